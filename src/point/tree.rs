//! A listing of files: what two captures, or a capture and the disk, are
//! compared by.

use std::collections::BTreeMap;
use std::path::PathBuf;

/// One file, folder or link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// Path below the listing's base; empty for the base itself.
    pub path: PathBuf,
    /// What it is.
    pub kind: Kind,
    /// Permission bits, setuid, setgid and sticky included; 0 for symlinks.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Extended attributes.
    pub xattrs: BTreeMap<Vec<u8>, Vec<u8>>,
}

/// What a node is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A regular file.
    File {
        /// Bytes.
        size: u64,
        /// SHA-256 of the content.
        digest: [u8; 32],
    },
    /// A folder.
    Dir,
    /// A symlink and where it leads.
    Symlink(PathBuf),
    /// Anything else, by name: "fifo", "socket", "device".
    Other(String),
}
