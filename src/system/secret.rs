//! Passwords in files, and files of other people.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use super::{At, IoError};

/// Longest password that is read.
const MAX_BYTES: u64 = 4096;

/// The first line of a file.
///
/// # Errors
/// A file that cannot be read, is no text, or has an empty first line.
pub fn password(path: &Path) -> Result<String, IoError> {
    let mut text = String::new();
    File::open(path)
        .and_then(|file| file.take(MAX_BYTES).read_to_string(&mut text))
        .at("read the password in", path)?;
    match text.lines().next() {
        Some(line) if !line.is_empty() => Ok(line.to_owned()),
        _ => Err(io::Error::other("its first line is empty")).at("read the password in", path),
    }
}

/// Opens a file to read.
///
/// # Errors
/// When it cannot be opened.
pub fn open(path: &Path) -> Result<File, IoError> {
    File::open(path).at("read", path)
}
