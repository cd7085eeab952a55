//! Comparing state sets of two points, or of a point and now.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::diff::{End, left_out};
use super::{Engine, EngineError, Stores, apply, state};
use crate::plan::comparison::StateDiff;
use crate::plan::tree_diff::{self, Scope, Tree, What};
use crate::point::BytePath;
use crate::point::document::StateSet;
use crate::point::tree::{Kind, Node};
use crate::system::follow::EXCLUDED_PREFIXES;
use crate::system::tree::{self, Leave};
use crate::vault::{Entry, EntryKind};

/// State sets that differ. With now, those that the point holds are compared.
pub(super) fn changes(
    engine: &Engine<'_>,
    stores: &Stores,
    from: &End,
    to: &End,
) -> Result<BTreeMap<String, StateDiff>, EngineError> {
    let mut found = BTreeMap::new();
    let names: BTreeSet<&String> = [from, to].into_iter().flat_map(names).collect();
    for name in names {
        let (before, after) = (set(from, name), set(to, name));
        let (old, new) = match (before, after) {
            (None, None) => continue,
            (Some(old), Some(new)) if old.snapshot == new.snapshot => continue,
            (Some(old), Some(new)) => (
                of_point(stores, old, &|_| false)?,
                of_point(stores, new, &|_| false)?,
            ),
            (Some(set), None) if matches!(to, End::Now) => {
                let now = now(engine, set, &left_out(engine, [from, to]))?;
                let then = of_point(stores, set, &same_size(&now))?;
                (then, now)
            }
            (None, Some(set)) if matches!(from, End::Now) => {
                let now = now(engine, set, &left_out(engine, [from, to]))?;
                let then = of_point(stores, set, &same_size(&now))?;
                (now, then)
            }
            (Some(_), None) | (None, Some(_)) => (Tree::default(), Tree::default()),
        };
        let roots: Vec<&Path> = [before, after]
            .into_iter()
            .flatten()
            .flat_map(|set| &set.roots)
            .map(|r| r.path.as_path())
            .collect();
        let changes: Vec<(BytePath, What)> = tree_diff::compare(&old, &new, &Scope::all())
            .into_iter()
            .map(|change| (Path::new("/").join(&change.path), change.what))
            .filter(|(path, _)| roots.iter().any(|root| path.starts_with(root)))
            .map(|(path, what)| (BytePath(path), what))
            .collect();
        let one_sided = before.is_some() != after.is_some();
        let with_now = matches!(from, End::Now) || matches!(to, End::Now);
        if !changes.is_empty() || (one_sided && !with_now) {
            let diff = StateDiff {
                before: before.map(|s| s.bytes),
                after: after.map(|s| s.bytes),
                changes,
            };
            found.insert(name.clone(), diff);
        }
    }
    Ok(found)
}

fn names(end: &End) -> Vec<&String> {
    match end {
        End::Point(point) => point.state.keys().collect(),
        End::Now => Vec::new(),
    }
}

fn set<'e>(end: &'e End, name: &str) -> Option<&'e StateSet> {
    match end {
        End::Point(point) => point.state.get(name),
        End::Now => None,
    }
}

fn relative(path: &Path) -> PathBuf {
    path.strip_prefix("/").unwrap_or(path).to_owned()
}

/// What a point holds of a set. Contents that `read` says so are read; the
/// others are told apart by what they are stored as: the same content is
/// always stored in the same chunks.
fn of_point(
    stores: &Stores,
    set: &StateSet,
    read: &dyn Fn(&Node) -> bool,
) -> Result<Tree, EngineError> {
    let mut nodes = BTreeMap::new();
    for entry in state::stored(stores, set)? {
        let path = relative(&entry.path);
        let mut node = apply::node_with(&path, &entry, stored_as(&entry));
        if read(&node) {
            node = apply::node_of(stores.state()?, &path, &entry)?;
        }
        nodes.insert(path, node);
    }
    apply::rooted(nodes)
}

fn stored_as(entry: &Entry) -> [u8; 32] {
    let mut hash = Sha256::new();
    if let EntryKind::File { content, .. } = &entry.kind {
        for chunk in content {
            hash.update(chunk.as_bytes());
        }
    }
    hash.finalize().into()
}

/// Whether a file is on the other side with the same size: only then must its
/// content be read.
fn same_size(now: &Tree) -> impl Fn(&Node) -> bool {
    |node| match (&node.kind, now.get(&node.path).map(|n| &n.kind)) {
        (Kind::File { size, .. }, Some(Kind::File { size: there, .. })) => size == there,
        _ => false,
    }
}

fn now(engine: &Engine<'_>, set: &StateSet, leave: &[PathBuf]) -> Result<Tree, EngineError> {
    let excluded = set.excluded.iter().map(|path| engine.layout.real(&path.0));
    let leave: Vec<PathBuf> = leave.iter().cloned().chain(excluded).collect();
    let mut nodes = BTreeMap::new();
    for root in &set.roots {
        let leave = Leave {
            names: &[],
            prefixes: EXCLUDED_PREFIXES,
            paths: &leave,
            sockets: true,
        };
        let start = relative(root.path.as_path());
        let listing = tree::list(&engine.layout.real("/"), &start, leave)?;
        nodes.extend(listing.nodes.into_iter().map(|n| (n.path.clone(), n)));
    }
    apply::rooted(nodes)
}
