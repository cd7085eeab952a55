//! Passwords in files, and files of other people.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use super::{At, IoError};

/// Longest password that is read.
const MAX_BYTES: u64 = 4096;
/// Longest environment that is read.
const MAX_ENVIRONMENT: u64 = 64 << 10;

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

/// Names and values of a file of lines `NAME=VALUE`, as systemd's
/// `EnvironmentFile=` has them: empty lines and those that begin with `#` or
/// `;` are passed over, quotes around a value are none of it.
///
/// # Errors
/// A file that cannot be read, or a line that is none; its text is not told.
pub fn environment(path: &Path) -> Result<Vec<(String, String)>, IoError> {
    let mut text = String::new();
    File::open(path)
        .and_then(|file| file.take(MAX_ENVIRONMENT).read_to_string(&mut text))
        .at("read the environment in", path)?;
    let mut found = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with(['#', ';']) {
            continue;
        }
        let Some((name, value)) = line.split_once('=') else {
            let why = format!("line {} is not NAME=VALUE", number + 1);
            return Err(io::Error::other(why)).at("read the environment in", path);
        };
        let value = value.trim();
        let bare = ['"', '\'']
            .iter()
            .find_map(|&quote| value.strip_prefix(quote)?.strip_suffix(quote));
        found.push((name.trim().to_owned(), bare.unwrap_or(value).to_owned()));
    }
    Ok(found)
}

/// Names of what opens a server that are taken from this process's environment,
/// where no file says them.
const NAMES: [&str; 9] = [
    "RESTIC_REST_USERNAME",
    "RESTIC_REST_PASSWORD",
    "RESTIC_CACERT",
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_REGION",
    "AWS_DEFAULT_REGION",
    "CAIRN_SSH_KEY",
];

/// Those of this process's environment.
pub fn surroundings() -> BTreeMap<String, String> {
    NAMES
        .iter()
        .filter_map(|name| Some(((*name).to_owned(), std::env::var(name).ok()?)))
        .collect()
}

/// The content of a file of the configuration; nothing where it cannot be read.
pub fn content(path: &Path) -> Option<Vec<u8>> {
    std::fs::read(path).ok()
}

/// Opens a file to read.
///
/// # Errors
/// When it cannot be opened.
pub fn open(path: &Path) -> Result<File, IoError> {
    File::open(path).at("read", path)
}
