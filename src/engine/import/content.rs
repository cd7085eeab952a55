//! What a document says of its content, held against what came with it.

use crate::engine::EngineError;
use crate::point::document::{ConfigRoot, RootKind};
use crate::point::{BytePath, Point};
use crate::vault::{Repo, SnapshotInfo, Vault};
use std::path::Component;

/// Whether the paths of a document are such as this program writes: absolute,
/// without `..`, and never `/` itself.
pub(in crate::engine) fn plausible(point: &Point) -> Result<(), String> {
    let config = point.config.iter().flat_map(|c| &c.roots);
    let state = point.state.values();
    let roots = config.chain(state.clone().flat_map(|s| &s.roots));
    let excluded = state.flat_map(|s| &s.excluded);
    let paths = roots.map(|r: &ConfigRoot| &r.path).chain(excluded);
    let plain = |path: &BytePath| {
        let mut parts = path.0.components();
        let absolute = parts.next() == Some(Component::RootDir);
        let below = parts.clone().next().is_some();
        absolute && below && parts.all(|p| matches!(p, Component::Normal(_)))
    };
    match paths.into_iter().find(|path| !plain(path)) {
        Some(path) => Err(format!("it names the path {path}")),
        None => Ok(()),
    }
}

/// One part of a point, as its document has it.
pub(super) struct Part<'p> {
    pub(super) what: String,
    pub(super) snapshot: Option<&'p str>,
    pub(super) tree: &'p str,
    pub(super) hash: &'p str,
    pub(super) present: bool,
}

impl Part<'_> {
    /// Whether there is content of it.
    pub(super) fn is_held(&self) -> bool {
        self.snapshot.is_some() || self.present
    }
}

pub(super) fn parts(point: &Point) -> Vec<Part<'_>> {
    let config = point.config.iter().map(|c| {
        let what = "the configuration".to_owned();
        (what, c.snapshot(), &c.tree, &c.hash, &c.roots)
    });
    let state = point.state.iter().map(|(name, set)| {
        let what = format!("state {}", name.escape_default());
        (what, set.snapshot(), &set.tree, &set.hash, &set.roots)
    });
    let part = |(what, snapshot, tree, hash, roots): (_, _, _, _, &Vec<ConfigRoot>)| Part {
        what,
        snapshot,
        tree,
        hash,
        present: roots.iter().any(|r| r.kind != RootKind::Absent),
    };
    config
        .map(|(w, s, t, h, r)| part((w, s, t.as_str(), h.as_str(), r)))
        .chain(state.map(|(w, s, t, h, r)| part((w, s, t.as_str(), h.as_str(), r))))
        .collect()
}

/// Whether the file holds all that the document says, unchanged.
pub(super) fn held(
    repo: &Repo,
    snapshots: &[SnapshotInfo],
    point: &Point,
) -> Result<(), EngineError> {
    for part in parts(point).iter().filter(|part| part.is_held()) {
        let Some(found) = find(snapshots, point, part.tree) else {
            return Err(EngineError::NoWay(format!("{} is not in it", part.what)));
        };
        same(repo, &found.id, part.hash, &part.what)?;
    }
    Ok(())
}

/// Whether a snapshot's content is that of a document.
pub(super) fn same(repo: &Repo, snapshot: &str, hash: &str, what: &str) -> Result<(), EngineError> {
    if !hash.is_empty() && repo.content_hash(snapshot)? != *hash {
        return Err(EngineError::NoWay(format!("{what} is another one")));
    }
    Ok(())
}

/// Whether every piece of a snapshot is here: the id of a file of one piece tells
/// its content without a look at it.
pub(super) fn whole(repo: &Repo, snapshot: &str, what: &str) -> Result<(), EngineError> {
    match repo.lacks(repo, &[snapshot])?.is_empty() {
        true => Ok(()),
        false => Err(EngineError::NoWay(format!("{what} is not all there"))),
    }
}

/// A tree has the same id wherever it is copied to.
pub(super) fn find<'s>(
    snapshots: &'s [SnapshotInfo],
    point: &Point,
    tree: &str,
) -> Option<&'s SnapshotInfo> {
    let tag = point.id.to_string();
    snapshots.iter().find(|s| s.tag == tag && s.tree == tree)
}
