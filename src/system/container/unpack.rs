//! Reading an archive of somebody else's.

use std::collections::BTreeSet;
use std::fs::OpenOptions;
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use super::{ContainerError, HEADER, Hashed, Header, REPOSITORY, SUMS, VERSION, plain, tampered};
use crate::system::At;

/// Longest header and list of sums, and largest file of a repository: packs
/// are a few MiB, and none is ever larger than this.
const MAX_HEADER: u64 = 64 << 10;
const MAX_SUMS: u64 = 64 << 20;
const MAX_FILE: u64 = 512 << 20;

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
        // What the library says would repeat what is in it.
        (_, false) => ContainerError::Foreign("it is no tar archive".to_owned()),
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
