//! A listing of a tree: checked once, trusted afterwards.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

use thiserror::Error;

pub use crate::point::tree::{Kind, Node, Type};

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
