//! Comparing state sets of two points, or of a point and now.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::contents::{Proven, recognise};
use super::diff::{End, left_out};
use super::{Engine, EngineError, Stores, apply, state};
use crate::plan::comparison::StateDiff;
use crate::plan::tree_diff::{self, Scope, Tree, What};
use crate::point::BytePath;
use crate::point::document::StateSet;
use crate::system::tree::{self, Leave};
use crate::vault::Entry;

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
            (Some(old), Some(new)) => {
                (tree_of(&held(stores, old)?)?, tree_of(&held(stores, new)?)?)
            }
            (Some(set), None) if matches!(to, End::Now) => {
                then_and_now(engine, stores, set, &left_out(engine, [from, to]))?
            }
            (None, Some(set)) if matches!(from, End::Now) => {
                let (then, now) = then_and_now(engine, stores, set, &left_out(engine, [from, to]))?;
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

/// What a point holds of a set, by path from the top.
fn held(stores: &Stores, set: &StateSet) -> Result<BTreeMap<PathBuf, Entry>, EngineError> {
    let entries = state::stored(stores, set)?.into_iter();
    Ok(entries
        .map(|entry| (relative(&entry.path), entry))
        .collect())
}

/// The same content is always stored in the same chunks.
fn tree_of(held: &BTreeMap<PathBuf, Entry>) -> Result<Tree, EngineError> {
    let nodes = held
        .iter()
        .map(|(path, entry)| (path.clone(), apply::node_of(path, entry)));
    apply::rooted(nodes.collect())
}

/// What a point holds of a set, and what is there of it now.
fn then_and_now(
    engine: &Engine<'_>,
    stores: &Stores,
    set: &StateSet,
    leave: &[PathBuf],
) -> Result<(Tree, Tree), EngineError> {
    let excluded = set.excluded.iter().map(|path| engine.layout.real(&path.0));
    let leave: Vec<PathBuf> = leave.iter().cloned().chain(excluded).collect();
    let held = held(stores, set)?;
    let top = engine.layout.real("/");
    let mut nodes = BTreeMap::new();
    for root in &set.roots {
        let leave = Leave {
            names: &[],
            ours: true,
            paths: &leave,
            sockets: true,
            contents: true,
        };
        engine.refuse_link_above(root.path.as_path())?;
        let mut found = tree::list(&top, &relative(root.path.as_path()), leave)?.nodes;
        if set.snapshot().is_some() {
            recognise(&mut found, &held, stores.state()?, &top, &Proven::default())?;
        }
        nodes.extend(found.into_iter().map(|n| (n.path.clone(), n)));
    }
    Ok((tree_of(&held)?, apply::rooted(nodes)?))
}
