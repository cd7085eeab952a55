//! One point as one file: a tar archive of a restic repository.
//!
//! ```text
//! cairn.json            what this is; the password, if anybody may open it
//! repository/…          a restic repository
//! SHA256SUMS            the hash of each of the above, in order
//! ```
//!
//! `tar -x` and `restic` read it without cairn. Reading it in trusts nothing:
//! only these names, only plain files, only what the sums say, to the end.

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{At, IoError};

/// The version this build writes, and the only one it reads.
pub const VERSION: u32 = 1;

const HEADER: &str = "cairn.json";
const REPOSITORY: &str = "repository/";
const SUMS: &str = "SHA256SUMS";

/// Longest header and list of sums, and largest file of a repository: packs
/// are a few MiB, and none is ever larger than this.
const MAX_HEADER: u64 = 64 << 10;
const MAX_SUMS: u64 = 64 << 20;
const MAX_FILE: u64 = 512 << 20;

/// What the file says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// Always `cairn-point`.
    pub format: String,
    /// Format version.
    pub version: u32,
    /// The password of the repository; absent when it is to be kept secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<String>,
}

impl Header {
    /// One of today's version.
    pub fn new(password: Option<String>) -> Self {
        Self {
            format: "cairn-point".to_owned(),
            version: VERSION,
            password,
        }
    }
}

/// Why a file is not taken in.
#[derive(Debug, thiserror::Error)]
pub enum ContainerError {
    /// It could not be read, or what is in it not written.
    #[error(transparent)]
    Io(#[from] IoError),
    /// It is something else.
    #[error("it is no exported restore point: {0}")]
    Foreign(String),
    /// Made by another release.
    #[error("it has version {found}, this cairn reads version {VERSION}")]
    Version {
        /// What it says.
        found: u32,
    },
    /// It ends too early.
    #[error("it is cut off: {0}")]
    Truncated(String),
    /// It is not what was exported.
    #[error("it was changed since it was exported: {0}")]
    Tampered(String),
}

fn tampered(what: impl Into<String>) -> ContainerError {
    ContainerError::Tampered(what.into())
}

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

/// A reader that hashes what comes through.
struct Hashed<R> {
    inner: R,
    hasher: Sha256,
    bytes: u64,
}

impl<R> Hashed<R> {
    fn new(inner: R) -> Self {
        Self {
            inner,
            hasher: Sha256::new(),
            bytes: 0,
        }
    }

    fn digest(self) -> String {
        hex::encode(self.hasher.finalize())
    }
}

impl<R: Read> Read for Hashed<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.hasher.update(&buffer[..count]);
        self.bytes += count as u64;
        Ok(count)
    }
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

/// Whether a name is one that files of a repository have.
fn plain(relative: &Path) -> bool {
    let Some(name) = relative.to_str() else {
        return false;
    };
    let hex = |text: &str, digits: usize| {
        text.len() == digits && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
    };
    match name.split('/').collect::<Vec<_>>()[..] {
        ["config"] => true,
        ["keys" | "index" | "snapshots", id] => hex(id, 64),
        ["data", start, id] => hex(start, 2) && hex(id, 64) && id.starts_with(start),
        _ => false,
    }
}

/// Takes a file apart into `repository`, a folder with the folders of a
/// repository in it. On any error what was written there is worth nothing.
///
/// # Errors
/// [`ContainerError`] for anything but a whole, unchanged export.
pub fn unpack(input: impl Read, repository: &Path) -> Result<Header, ContainerError> {
    let mut archive = tar::Archive::new(input);
    let mut sums = String::new();
    let mut seen = BTreeSet::new();
    let mut header: Option<Header> = None;
    let mut ended = false;
    let entries = archive
        .entries()
        .map_err(|e| broken(&e, header.is_some()))?;
    // Raw: links, long names and the like are no part of the format.
    for entry in entries.raw(true) {
        let mut entry = entry.map_err(|e| broken(&e, header.is_some()))?;
        let name = name_of(&entry);
        let Some(name) = name.filter(|_| entry.header().entry_type() == tar::EntryType::Regular)
        else {
            return Err(odd(header.is_some(), "something in it is no plain file"));
        };
        if ended {
            return Err(tampered(format!("{name} comes after the end")));
        }
        let size = entry.size();
        let limit = match name.as_str() {
            HEADER => MAX_HEADER,
            SUMS => MAX_SUMS,
            _ => MAX_FILE,
        };
        if size > limit {
            return Err(odd(
                header.is_some(),
                &format!("{name} says it has {size} bytes"),
            ));
        }
        match (name.as_str(), header.is_some()) {
            (HEADER, false) => {
                let text = read_whole(&mut entry, size, &name, &mut sums)?;
                header = Some(parse_header(&text)?);
            }
            (SUMS, true) => {
                let text = read_whole(&mut entry, size, &name, &mut String::new())?;
                if text != sums.as_bytes() {
                    return Err(tampered(first_difference(&text, &sums)));
                }
                ended = true;
            }
            (_, true) => {
                let inside = name.strip_prefix(REPOSITORY).map(Path::new);
                let Some(inside) = inside.filter(|i| plain(i)) else {
                    return Err(tampered(format!("{} does not belong in it", shown(&name))));
                };
                if !seen.insert(name.clone()) {
                    return Err(tampered(format!("{name} is in it twice")));
                }
                write_file(&mut entry, size, &repository.join(inside), &name, &mut sums)?;
            }
            (_, false) => return Err(odd(false, "it does not begin as one")),
        }
    }
    if header.is_none() {
        return Err(odd(false, "there is nothing in it"));
    }
    if !ended {
        return Err(ContainerError::Truncated("its end is missing".to_owned()));
    }
    only_zeros(archive.into_inner())?;
    header.ok_or_else(|| odd(false, "there is nothing in it"))
}

fn name_of<R: Read>(entry: &tar::Entry<'_, R>) -> Option<String> {
    String::from_utf8(entry.path_bytes().into_owned()).ok()
}

/// A name from a file of somebody else.
fn shown(name: &str) -> String {
    crate::point::path::printable(Path::new(name))
}

fn odd(begun: bool, what: &str) -> ContainerError {
    match begun {
        true => tampered(what),
        false => ContainerError::Foreign(what.to_owned()),
    }
}

/// The archive cannot be read on.
fn broken(error: &io::Error, begun: bool) -> ContainerError {
    match (error.kind(), begun) {
        (io::ErrorKind::UnexpectedEof, true) => ContainerError::Truncated(error.to_string()),
        (_, true) => tampered(error.to_string()),
        (_, false) => ContainerError::Foreign(error.to_string()),
    }
}

fn parse_header(text: &[u8]) -> Result<Header, ContainerError> {
    let header: Header = serde_json::from_slice(text)
        .map_err(|e| ContainerError::Foreign(format!("its header: {e}")))?;
    if header.format != "cairn-point" {
        return Err(ContainerError::Foreign("its header".to_owned()));
    }
    match header.version {
        VERSION => Ok(header),
        found => Err(ContainerError::Version { found }),
    }
}

fn read_whole(
    entry: impl Read,
    size: u64,
    name: &str,
    sums: &mut String,
) -> Result<Vec<u8>, ContainerError> {
    let mut text = Vec::new();
    copy(entry, size, &mut text, name, sums)?;
    Ok(text)
}

fn write_file(
    entry: impl Read,
    size: u64,
    path: &Path,
    name: &str,
    sums: &mut String,
) -> Result<(), ContainerError> {
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .at("create", path)?;
    copy(entry, size, &mut file, name, sums)
}

fn copy(
    entry: impl Read,
    size: u64,
    out: &mut impl Write,
    name: &str,
    sums: &mut String,
) -> Result<(), ContainerError> {
    let mut hashed = Hashed::new(entry);
    let mut buffer = vec![0; 128 << 10];
    loop {
        let count = match hashed.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => count,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
            Err(e) => return Err(broken(&e, true)),
        };
        out.write_all(&buffer[..count]).at("write", name)?;
    }
    if hashed.bytes != size {
        let what = format!("{name} has {} bytes of {size}", hashed.bytes);
        return Err(ContainerError::Truncated(what));
    }
    sums.push_str(&format!("{}  {name}\n", hashed.digest()));
    Ok(())
}

/// The first file whose sum is another one.
fn first_difference(told: &[u8], found: &str) -> String {
    let told = String::from_utf8_lossy(told);
    let (mut told, mut found) = (told.lines(), found.lines());
    loop {
        match (told.next(), found.next()) {
            (Some(a), Some(b)) if a == b => {}
            (_, Some(line)) => {
                let name = line.split_once("  ").map_or(line, |(_, name)| name);
                return format!("{name} is not what it was");
            }
            (_, None) => return "files of it are missing".to_owned(),
        }
    }
}

/// An archive ends in zeros; anything else was put there by somebody.
fn only_zeros(mut rest: impl Read) -> Result<(), ContainerError> {
    let mut buffer = vec![0; 64 << 10];
    loop {
        match rest.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(count) if buffer[..count].iter().all(|b| *b == 0) => {}
            Ok(_) => return Err(tampered("something comes after its end")),
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(broken(&e, true)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_a_repository_are_plain() {
        let id = "0f".repeat(32);
        for good in [
            "config".to_owned(),
            format!("keys/{id}"),
            format!("data/0f/{id}"),
        ] {
            assert!(plain(Path::new(&good)), "{good}");
        }
        for bad in [
            String::new(),
            "../config".to_owned(),
            "/config".to_owned(),
            "config/".to_owned(),
            "keys/../config".to_owned(),
            format!("keys/{}", id.to_uppercase()),
            format!("data/00/{id}"),
            format!("data/0f/{id}/x"),
            format!("locks/{id}"),
            format!("./keys/{id}"),
        ] {
            assert!(!plain(Path::new(&bad)), "{bad}");
        }
    }
}
