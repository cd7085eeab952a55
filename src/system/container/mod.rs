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

mod pack;
mod unpack;

use std::io::{self, Read};
use std::path::Path;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::IoError;

pub use pack::pack;
pub use unpack::unpack;

/// The version this build writes, and the only one it reads.
pub const VERSION: u32 = 1;

const HEADER: &str = "cairn.json";
const REPOSITORY: &str = "repository/";
const SUMS: &str = "SHA256SUMS";

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
