//! A listing of files: what two captures, or a capture and the disk, are
//! compared by.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

/// What a path is, with its content by name or digest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// A regular file.
    File {
        /// Bytes.
        size: u64,
        /// SHA-256 of the content.
        digest: [u8; 32],
    },
    /// A directory.
    Dir,
    /// A symbolic link, with its target as it stands.
    Symlink(PathBuf),
    /// Anything else, described so that equal texts mean equal files, for
    /// example `fifo` or `char 1:3`.
    Other(String),
}

/// A kind without its content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Type {
    /// A regular file.
    File,
    /// A directory.
    Dir,
    /// A symbolic link.
    Symlink,
    /// A pipe, socket or device.
    Other,
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::File => "file",
            Self::Dir => "directory",
            Self::Symlink => "symlink",
            Self::Other => "special file",
        })
    }
}

impl Kind {
    /// The kind without its content.
    pub fn type_of(&self) -> Type {
        match self {
            Self::File { .. } => Type::File,
            Self::Dir => Type::Dir,
            Self::Symlink(_) => Type::Symlink,
            Self::Other(_) => Type::Other,
        }
    }
}

/// One entry of a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// Relative to the root of the listing.
    pub path: PathBuf,
    /// What it is.
    pub kind: Kind,
    /// The mode; only the lowest 12 bits count, and none for a symlink.
    pub mode: u32,
    /// Owning user.
    pub uid: u32,
    /// Owning group.
    pub gid: u32,
    /// Extended attributes, ACLs among them.
    pub xattrs: BTreeMap<Vec<u8>, Vec<u8>>,
}

impl Node {
    /// Whether it is a directory.
    pub fn is_dir(&self) -> bool {
        self.kind == Kind::Dir
    }

    /// The mode bits that can be restored: 0 for a symlink, as Linux has no
    /// `lchmod`.
    pub fn permissions(&self) -> u32 {
        if matches!(self.kind, Kind::Symlink(_)) {
            0
        } else {
            self.mode & 0o7777
        }
    }
}
