//! What a point holds, as nodes of a tree to compare.

use crate::engine::EngineError;
use crate::engine::contents::stored_as;
use crate::plan::tree_diff::{Kind, Node, Tree};
use crate::point::path::printable;
use crate::vault::{Entry, EntryKind};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// A tree over several roots: the folders above them are filled in.
pub(in crate::engine) fn rooted(mut nodes: BTreeMap<PathBuf, Node>) -> Result<Tree, EngineError> {
    let above: BTreeSet<PathBuf> = nodes
        .keys()
        .flat_map(|path| path.ancestors().skip(1))
        .filter(|dir| !dir.as_os_str().is_empty() && !nodes.contains_key(*dir))
        .map(Path::to_owned)
        .collect();
    for path in above {
        let kind = Kind::Dir;
        let node = Node {
            path: path.clone(),
            kind,
            mode: 0,
            uid: 0,
            gid: 0,
            xattrs: BTreeMap::new(),
        };
        nodes.insert(path, node);
    }
    new_tree(nodes.into_values().collect(), Path::new("/"))
}

pub(super) fn new_tree(nodes: Vec<Node>, root: &Path) -> Result<Tree, EngineError> {
    // The base itself is no part of the tree, so the top node has no parent
    // to be checked.
    Tree::new(nodes)
        .map_err(|e| EngineError::NoWay(format!("the listing of {}: {e}", printable(root))))
}

/// The node of a captured entry; a file's digest is what it is stored as.
pub(in crate::engine) fn node_of(path: &Path, entry: &Entry) -> Node {
    node_with(path, entry, stored_as(entry))
}

/// The node of a captured entry; `digest` is that of a file's content.
pub(in crate::engine) fn node_with(path: &Path, entry: &Entry, digest: [u8; 32]) -> Node {
    let kind = match &entry.kind {
        EntryKind::File { size, .. } => Kind::File {
            size: *size,
            digest,
        },
        EntryKind::Dir => Kind::Dir,
        EntryKind::Symlink { target } => Kind::Symlink(target.clone()),
        EntryKind::Fifo => Kind::Other("fifo".into()),
        EntryKind::Socket => Kind::Other("socket".into()),
        EntryKind::Char { device } => Kind::Other(format!("char {device}")),
        EntryKind::Block { device } => Kind::Other(format!("block {device}")),
    };
    let xattrs = match kind {
        Kind::File { .. } | Kind::Dir => entry
            .xattrs
            .iter()
            .map(|x| (x.name.clone().into_bytes(), x.value.clone()))
            .collect(),
        _ => BTreeMap::new(),
    };
    Node {
        path: path.to_owned(),
        kind,
        mode: entry.mode,
        uid: entry.uid,
        gid: entry.gid,
        xattrs,
    }
}
