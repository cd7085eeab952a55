//! Comparing two points, or a point and now.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::{Engine, EngineError, apply, config, contents, create, state_diff};
use crate::nix::closure;
use crate::nix::store_path::StorePath;
use crate::plan::comparison::{Diff, FileChange, SystemDiff};
use crate::plan::text_diff::{self, Side};
use crate::plan::tree_diff::{self, Change, Tree};
use crate::point::Selector;
use crate::point::document::{Point, RootKind, System};
use crate::point::tree::Kind;
use crate::system::follow::EXCLUDED_NAMES;
use crate::system::tree::{self, Leave};
use crate::system::{pointers, store};
use crate::vault::{Entry, Vault, VaultDir};

/// Unchanged lines shown around each difference.
const CONTEXT: usize = 3;

/// One side of a comparison.
#[derive(Clone, Debug)]
pub enum End {
    /// A restore point.
    Point(Box<Point>),
    /// The machine as it is.
    Now,
}

impl End {
    /// How it is called in headers.
    pub fn label(&self) -> String {
        match self {
            Self::Point(point) => point.id.short_among([]),
            Self::Now => "now".to_owned(),
        }
    }
}

/// The end a selector names; `now` is the machine.
///
/// # Errors
/// No such point.
pub fn end(engine: &Engine<'_>, selector: Option<&Selector>) -> Result<End, EngineError> {
    match selector {
        Some(selector) => Ok(End::Point(Box::new(engine.select(selector)?))),
        None => Ok(End::Now),
    }
}

/// Compares two ends: all of them, or what lies at or below some paths.
///
/// # Errors
/// When the vault or the files cannot be read; a path that no root is near.
pub fn diff(
    engine: &Engine<'_>,
    from: &End,
    to: &End,
    paths: &[PathBuf],
) -> Result<Diff, EngineError> {
    if let Some(path) = paths.iter().find(|p| !is_near([from, to], p)) {
        let point = [from, to].into_iter().find(|e| matches!(e, End::Point(_)));
        return Err(EngineError::NotInPoint {
            point: point.map_or_else(String::new, End::label),
            path: path.clone(),
            near: None,
        });
    }
    let stores = engine.stores()?;
    let wanted = |path: &Path| paths.is_empty() || paths.iter().any(|p| path.starts_with(p));
    let mut state = state_diff::changes(engine, &stores, from, to)?;
    if !paths.is_empty() {
        for set in state.values_mut() {
            set.changes.retain(|(path, _)| wanted(&path.0));
        }
        state.retain(|_, set| !set.changes.is_empty());
    }
    Ok(Diff {
        labels: (from.label(), to.label()),
        system: match paths.is_empty() {
            true => system(engine, from, to)?,
            false => None,
        },
        config: config_changes(engine, &stores.vault, from, to, &wanted)?,
        state,
    })
}

/// Whether a path lies in a root of one of the ends, or above one.
fn is_near(ends: [&End; 2], path: &Path) -> bool {
    ends.into_iter().any(|end| match end {
        End::Now => false,
        End::Point(point) => {
            let config = point.config.iter().flat_map(|c| &c.roots);
            let state = point.state.values().flat_map(|s| &s.roots);
            let mut roots = config.chain(state).map(|r| r.path.as_path());
            roots.any(|root| path.starts_with(root) || root.starts_with(path))
        }
    })
}

/// Compares the configuration alone, of two ends.
///
/// # Errors
/// As [`diff`].
pub fn config_alone(
    engine: &Engine<'_>,
    from: &End,
    to: &End,
) -> Result<Vec<FileChange>, EngineError> {
    config_changes(engine, &engine.vault()?, from, to, &|_| true)
}

fn system_of(engine: &Engine<'_>, end: &End) -> Result<System, EngineError> {
    Ok(match end {
        End::Point(point) => point.system.clone(),
        End::Now => pointers::observe(engine.layout, engine.profile, None)?.system,
    })
}

/// The pair of toplevels to compare: what runs, where that differs; else what
/// boots.
fn toplevels(from: &System, to: &System) -> Option<(StorePath, StorePath)> {
    let pair = |a: Option<&StorePath>, b: Option<&StorePath>| Some((a?.clone(), b?.clone()));
    pair(from.run_target(), to.run_target())
        .filter(|(a, b)| a != b)
        .or_else(|| pair(from.boot_target(), to.boot_target()))
        .or_else(|| pair(from.target(), to.target()))
}

fn system(engine: &Engine<'_>, from: &End, to: &End) -> Result<Option<SystemDiff>, EngineError> {
    let (from, to) = (system_of(engine, from)?, system_of(engine, to)?);
    let Some((from, to)) = toplevels(&from, &to) else {
        return Ok(None);
    };
    if from == to {
        return Ok(Some(SystemDiff {
            from,
            to,
            closure: None,
            note: None,
        }));
    }
    let read = |path: &StorePath| store::closure(engine.layout, engine.runner, path);
    let (closure, note) = match (read(&from), read(&to)) {
        (Ok(before), Ok(after)) => (Some(closure::diff(&before, &after)), None),
        (Err(e), _) | (_, Err(e)) => (None, Some(e.to_string())),
    };
    Ok(Some(SystemDiff {
        from,
        to,
        closure,
        note,
    }))
}

/// One end's configuration: the listing, and how to read a file of it.
pub(super) struct Files<'a> {
    engine: &'a Engine<'a>,
    vault: &'a dyn Vault,
    /// Relative to `/`.
    pub(super) tree: Tree,
    /// What is stored of it; absent of the machine as it is.
    pub(super) entries: Option<BTreeMap<PathBuf, Entry>>,
}

impl Files<'_> {
    /// The part of it that `keep` wants.
    pub(super) fn only(&self, keep: impl Fn(&Path) -> bool) -> Result<Self, EngineError> {
        let nodes = self.tree.nodes().filter(|node| keep(&node.path));
        let nodes = nodes.map(|n| (n.path.clone(), n.clone())).collect();
        Ok(Self {
            tree: apply::rooted(nodes)?,
            entries: self.entries.clone(),
            ..*self
        })
    }

    /// It and another part, of other paths.
    pub(super) fn and(mut self, other: Self) -> Result<Self, EngineError> {
        let nodes = self.tree.nodes().chain(other.tree.nodes());
        let nodes = nodes.map(|n| (n.path.clone(), n.clone())).collect();
        self.tree = apply::rooted(nodes)?;
        let mut entries = self.entries.take().unwrap_or_default();
        for (path, entry) in other.entries.unwrap_or_default() {
            if other.tree.get(&path).is_some() {
                entries.insert(path, entry);
            }
        }
        self.entries = Some(entries);
        Ok(self)
    }

    /// The content of a file.
    pub(super) fn read(&self, path: &Path) -> Result<Option<Vec<u8>>, EngineError> {
        if !self
            .tree
            .get(path)
            .is_some_and(|n| matches!(n.kind, Kind::File { .. }))
        {
            return Ok(None);
        }
        match &self.entries {
            Some(entries) => {
                let Some(entry) = entries.get(path) else {
                    return Ok(None);
                };
                let mut bytes = Vec::new();
                self.vault.read(entry, &mut bytes)?;
                Ok(Some(bytes))
            }
            None => Ok(Some(tree::read(&self.engine.layout.real(path))?)),
        }
    }
}

fn roots_of(end: &End) -> Vec<&Path> {
    match end {
        End::Point(point) => point
            .config
            .iter()
            .flat_map(|c| &c.roots)
            .filter(|r| r.kind != RootKind::Absent)
            .map(|r| r.path.as_path())
            .collect(),
        End::Now => Vec::new(),
    }
}

/// The files of one end, below these roots.
pub(super) fn files<'a>(
    engine: &'a Engine<'a>,
    stored: &'a VaultDir,
    end: &End,
    roots: &[PathBuf],
    leave: &[PathBuf],
) -> Result<Files<'a>, EngineError> {
    let vault: &dyn Vault = stored.config();
    let relative = |path: &Path| path.strip_prefix("/").unwrap_or(path).to_owned();
    let mut nodes = BTreeMap::new();
    let mut entries = None;
    match end {
        End::Point(point) => {
            let mut captured = BTreeMap::new();
            if let Some(config) = &point.config {
                for entry in config::stored(stored, config)? {
                    let path = relative(&entry.path);
                    if roots_of(end).iter().any(|r| entry.path.starts_with(r)) {
                        let digest = contents::digest(vault, &entry)?;
                        nodes.insert(path.clone(), apply::node_with(&path, &entry, digest));
                    }
                    captured.insert(path, entry);
                }
            }
            entries = Some(captured);
        }
        End::Now => {
            let leave = Leave {
                names: EXCLUDED_NAMES,
                ours: true,
                paths: leave,
                ..Leave::default()
            };
            for root in roots {
                engine.refuse_link_above(root)?;
                let listing = tree::list(&engine.layout.real("/"), &relative(root), leave)?;
                nodes.extend(listing.nodes.into_iter().map(|n| (n.path.clone(), n)));
            }
        }
    }
    let tree = apply::rooted(nodes)?;
    Ok(Files {
        engine,
        vault,
        tree,
        entries,
    })
}

fn config_changes(
    engine: &Engine<'_>,
    vault: &VaultDir,
    from: &End,
    to: &End,
    wanted: &dyn Fn(&Path) -> bool,
) -> Result<Vec<FileChange>, EngineError> {
    let mut roots: Vec<PathBuf> = roots_of(from)
        .into_iter()
        .chain(roots_of(to))
        .map(Path::to_owned)
        .collect();
    roots.sort();
    roots.dedup();
    let leave = left_out(engine, [from, to]);
    let before = files(engine, vault, from, &roots, &leave)?;
    let after = files(engine, vault, to, &roots, &leave)?;
    let labels = (from.label(), to.label());
    let inside = |change: &Change| {
        let path = Path::new("/").join(&change.path);
        wanted(&path) && roots.iter().any(|root| path.starts_with(root))
    };
    tree_diff::compare(&before.tree, &after.tree, &tree_diff::Scope::all())
        .into_iter()
        .filter(inside)
        .map(|change| file_change(&before, &after, change, &labels))
        .collect()
}

/// Real paths that are no part of a comparison with now: the state directory,
/// and what a point could not capture.
pub(super) fn left_out(engine: &Engine<'_>, ends: [&End; 2]) -> Vec<PathBuf> {
    let missing = ends.into_iter().flat_map(|end| match end {
        End::Point(point) => point.completeness.missing(),
        End::Now => &[],
    });
    missing
        .map(|m| m.what.0.clone())
        .chain(create::own_state(engine))
        .map(|path| engine.layout.real(path))
        .collect()
}

fn file_change(
    before: &Files<'_>,
    after: &Files<'_>,
    change: Change,
    labels: &(String, String),
) -> Result<FileChange, EngineError> {
    let path = Path::new("/").join(&change.path);
    let text = if apply::changes_content(&change) {
        let (old, new) = (before.read(&change.path)?, after.read(&change.path)?);
        match (&old, &new) {
            (None, None) => None,
            _ => Some(text_diff::diff(
                Side {
                    path: &path,
                    label: &labels.0,
                    content: old.as_deref(),
                },
                Side {
                    path: &path,
                    label: &labels.1,
                    content: new.as_deref(),
                },
                CONTEXT,
            )),
        }
    } else {
        None
    };
    Ok(FileChange {
        path: path.into(),
        what: change.what,
        text,
    })
}
