//! A listing of a tree: checked once, trusted afterwards.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Component, Path, PathBuf};

use thiserror::Error;

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

/// Why a listing cannot be one of a tree.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum TreeError {
    /// A path that could lead out of the root, or is the root itself.
    #[error("the listing names {path:?}, which is no plain relative path")]
    NotRelative {
        /// The path.
        path: PathBuf,
    },
    /// One path, two entries.
    #[error("the listing names {path:?} twice")]
    Twice {
        /// The path.
        path: PathBuf,
    },
    /// An entry whose parent is not listed, or is no directory.
    #[error("the listing names {path:?}, but its parent is not listed as a directory")]
    NoParent {
        /// The path.
        path: PathBuf,
    },
}

/// A consistent listing: plain relative paths, each once, each below listed
/// directories. The root itself is not part of it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Tree {
    nodes: BTreeMap<PathBuf, Node>,
}

impl Tree {
    /// Checks a listing; its order does not matter.
    ///
    /// # Errors
    /// [`TreeError`] when it cannot be the listing of a tree. Acting on such a
    /// one could write outside the root.
    pub fn new(nodes: impl IntoIterator<Item = Node>) -> Result<Self, TreeError> {
        let mut tree = Self::default();
        for node in nodes {
            let path = node.path.clone();
            if !is_plain(&path) {
                return Err(TreeError::NotRelative { path });
            }
            if tree.nodes.insert(path.clone(), node).is_some() {
                return Err(TreeError::Twice { path });
            }
        }
        for path in tree.nodes.keys() {
            let parent = path
                .parent()
                .filter(|parent| !parent.as_os_str().is_empty());
            if parent.is_some_and(|parent| !tree.get(parent).is_some_and(Node::is_dir)) {
                return Err(TreeError::NoParent { path: path.clone() });
            }
        }
        Ok(tree)
    }

    /// The node at a path.
    pub fn get(&self, path: &Path) -> Option<&Node> {
        self.nodes.get(path)
    }

    /// All nodes by path, so parents come before what is in them.
    pub fn nodes(&self) -> impl Iterator<Item = &Node> {
        self.nodes.values()
    }

    /// What lies below a directory, by path.
    pub fn below<'a>(&'a self, dir: &'a Path) -> impl Iterator<Item = &'a Node> {
        use std::ops::Bound::{Excluded, Unbounded};
        let after = self.nodes.range::<Path, _>((Excluded(dir), Unbounded));
        after
            .map(|(_, node)| node)
            .take_while(move |node| node.path.starts_with(dir))
    }
}

fn is_plain(path: &Path) -> bool {
    // Through the text again, as `components` passes over "a/./b" and "a//b".
    let plain: PathBuf = path.components().collect();
    plain.as_os_str() == path.as_os_str()
        && path.components().next().is_some()
        && path
            .components()
            .all(|part| matches!(part, Component::Normal(_)))
        && !path.as_os_str().as_encoded_bytes().contains(&0)
}
