//! Writing an archive.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use super::{ContainerError, HEADER, Hashed, Header, REPOSITORY, SUMS, plain};
use crate::system::{At, IoError};

/// Writes a repository out; gives the number of bytes.
///
/// # Errors
/// When the repository cannot be read or `out` not written.
pub fn pack(repository: &Path, header: &Header, out: impl Write) -> Result<u64, ContainerError> {
    let counted = Counted {
        inner: out,
        bytes: 0,
    };
    let mut archive = tar::Builder::new(counted);
    let mut sums = String::new();
    let text = serde_json::to_vec(header)
        .map_err(io::Error::from)
        .at("encode", HEADER)?;
    append(
        &mut archive,
        HEADER,
        text.len() as u64,
        &text[..],
        &mut sums,
    )?;
    for relative in files_below(repository)? {
        let path = repository.join(&relative);
        let name = format!("{REPOSITORY}{}", relative.display());
        let file = File::open(&path).at("read", &path)?;
        let size = file.metadata().at("look at", &path)?.len();
        append(&mut archive, &name, size, file, &mut sums)?;
    }
    let all = sums.clone();
    append(
        &mut archive,
        SUMS,
        all.len() as u64,
        all.as_bytes(),
        &mut sums,
    )?;
    let mut counted = archive.into_inner().at("write", "the export")?;
    counted.flush().at("write", "the export")?;
    Ok(counted.bytes)
}

struct Counted<W> {
    inner: W,
    bytes: u64,
}

impl<W: Write> Write for Counted<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

fn append<W: Write>(
    archive: &mut tar::Builder<W>,
    name: &str,
    size: u64,
    content: impl Read,
    sums: &mut String,
) -> Result<(), IoError> {
    let mut header = tar::Header::new_ustar();
    header.set_entry_type(tar::EntryType::Regular);
    header.set_mode(0o600);
    header.set_size(size);
    let mut hashed = Hashed::new(content);
    archive
        .append_data(&mut header, name, &mut hashed)
        .at("write", name)?;
    if hashed.bytes != size {
        return Err(io::Error::other("it changed while it was written")).at("write", name);
    }
    sums.push_str(&format!("{}  {name}\n", hashed.digest()));
    Ok(())
}

/// Files below a folder, relative to it, sorted.
fn files_below(dir: &Path) -> Result<Vec<PathBuf>, IoError> {
    let mut found = Vec::new();
    let mut todo = vec![PathBuf::new()];
    while let Some(relative) = todo.pop() {
        let path = dir.join(&relative);
        for entry in fs::read_dir(&path).at("list", &path)? {
            let entry = entry.at("list", &path)?;
            let inside = relative.join(entry.file_name());
            match entry.file_type().at("look at", entry.path())? {
                kind if kind.is_dir() => todo.push(inside),
                _ if plain(&inside) => found.push(inside),
                // Locks and temporaries travel nowhere.
                _ => {}
            }
        }
    }
    found.sort();
    Ok(found)
}
