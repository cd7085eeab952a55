//! The three sides of a merge, and what comes of them.
//!
//! All trees are those of `/`, as far as the point's roots go. What one of the
//! points could not capture is in none of them: nothing is known of it, so it
//! stays as it is.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};

use super::{Ask, absolute, base, missing_of, relative};
use crate::engine::apply::{self, RootPlan};
use crate::engine::diff::{self, End, Files};
use crate::engine::{Engine, EngineError, Stores};
use crate::plan::comparison::FileChange;
use crate::plan::merge::{
    FileConflict, Labels, Merged, PathMerge, Place, Region, Which, merge_text, merge_trees,
};
use crate::plan::text_diff::{self, Side};
use crate::plan::tree_diff::{self, Change, Kind, Node, Scope as TreeScope, Tree, What};
use crate::point::document::{ConfigRoot, Missing, Point, RootKind};
use crate::point::{BytePath, PointId};
use crate::system::journal::Scope;
use crate::vault::{Composed, Entry, EntryKind, Timestamp, Vault, VaultDir, Xattr};

/// See the module.
pub(super) struct ThreeWay<'a> {
    stored: &'a VaultDir,
    scope: &'a Scope,
    roots: Vec<ConfigRoot>,
    pub(super) bases: Vec<PointId>,
    /// What none of the sides knows of.
    pub(super) missing: Vec<Missing>,
    base: Files<'a>,
    ours: Files<'a>,
    theirs: Files<'a>,
    merged: Merged,
    /// The merged tree where the scope goes, what is there elsewhere.
    goal: Tree,
}

impl<'a> ThreeWay<'a> {
    /// Merges.
    pub(super) fn new(
        engine: &'a Engine<'a>,
        stores: &'a Stores,
        theirs: &Point,
        ours: &End,
        scope: &'a Scope,
        ask: &Ask,
    ) -> Result<Self, EngineError> {
        let short = theirs.id.short_among([]);
        let config = theirs.config.as_ref().ok_or_else(|| EngineError::NotHeld {
            point: short.clone(),
            what: "configuration",
        })?;
        let catalogue = engine.catalogue()?;
        let bases = base::of(engine, &catalogue, theirs, &config.roots, ask.base.as_ref())?;
        let base_points: BTreeMap<PointId, &Point> = bases
            .iter()
            .filter_map(|(_, point)| point.map(|p| (p.id, p)))
            .collect();
        let undo = match ours {
            End::Point(undo) => Some(&**undo),
            End::Now => None,
        };
        let sides = base_points.values().copied().chain([theirs]).chain(undo);
        let missing = missing_of(sides);
        let roots: Vec<PathBuf> = config.roots.iter().map(|r| r.path.0.clone()).collect();
        let hidden: Vec<PathBuf> = missing.iter().map(|m| relative(&m.what.0)).collect();
        let known = |path: &Path| !hidden.iter().any(|h| path.starts_with(h));
        let leave: Vec<PathBuf> = missing
            .iter()
            .map(|m| m.what.0.clone())
            .chain(crate::engine::create::own_state(engine))
            .map(|path| engine.layout.real(path))
            .collect();
        let read = |end: &End, within: &dyn Fn(&Path) -> bool| {
            let files = diff::files(engine, &stores.vault, end, &roots, &leave)?;
            files.only(|path| within(path) && known(path))
        };
        let in_roots = |path: &Path| roots.iter().any(|r| absolute(path).starts_with(r));
        let theirs_files = read(&End::Point(Box::new(theirs.clone())), &in_roots)?;
        let ours_files = read(ours, &in_roots)?;
        let mut base_files: Option<Files<'a>> = None;
        for (id, point) in &base_points {
            // Each root from the point that is its base.
            let own: Vec<&Path> = bases
                .iter()
                .filter(|(_, p)| p.is_some_and(|p| p.id == *id))
                .map(|(root, _)| root.path.as_path())
                .collect();
            let within = |path: &Path| own.iter().any(|r| absolute(path).starts_with(r));
            let files = read(&End::Point(Box::new((*point).clone())), &within)?;
            base_files = Some(match base_files {
                Some(before) => before.and(files)?,
                None => files,
            });
        }
        let base_files = match base_files {
            Some(files) => files,
            None => theirs_files.only(|_| false)?,
        };
        let labels = Labels::for_point(&short);
        let merged = merge_trees(
            &base_files.tree,
            &ours_files.tree,
            &theirs_files.tree,
            ask.allow_conflicts.then_some(&labels),
            |which, node| {
                let side = match which {
                    Which::Base => &base_files,
                    Which::Ours => &ours_files,
                    Which::Theirs => &theirs_files,
                };
                read_file(side, &node.path)
            },
        )?;
        let goal = goal_tree(&merged, &ours_files.tree, scope)?;
        Ok(Self {
            stored: &stores.vault,
            scope,
            roots: config.roots.clone(),
            bases: base_points.into_keys().collect(),
            missing,
            base: base_files,
            ours: ours_files,
            theirs: theirs_files,
            merged,
            goal,
        })
    }

    /// The vault all but the files of now are in.
    pub(super) fn stored(&self) -> &VaultDir {
        self.stored
    }

    /// Its repository of configurations.
    pub(super) fn vault(&self) -> &dyn Vault {
        self.stored.config()
    }

    /// A named path that neither side has.
    pub(super) fn unmatched(&self) -> Option<PathBuf> {
        let there = |path: &Path| {
            let inside = relative(path);
            let above_root = self.roots.iter().any(|r| r.path.0.starts_with(path));
            let sides = [&self.ours.tree, &self.theirs.tree];
            above_root || sides.iter().any(|tree| tree.get(&inside).is_some())
        };
        let named = self.scope.paths.iter().map(BytePath::as_path);
        named.into_iter().find(|p| !there(p)).map(Path::to_owned)
    }

    /// What a person has to decide.
    pub(super) fn conflicts(&self) -> Result<Vec<FileConflict>, EngineError> {
        let merged = self.merged.conflicts();
        merged
            .filter(|found| in_scope(self.scope, &found.path))
            .map(|found| self.conflict(found))
            .collect()
    }

    fn conflict(&self, found: &PathMerge) -> Result<FileConflict, EngineError> {
        use crate::plan::merge::Conflict;
        let is_text = |c: &Conflict| matches!(c, Conflict::Text { .. });
        let mut places = Vec::new();
        if found.conflicts.iter().any(is_text) {
            let read = |side: &Files<'_>| side.read(&found.path);
            let (base, ours, theirs) = (read(&self.base)?, read(&self.ours)?, read(&self.theirs)?);
            let text = |side: Option<Vec<u8>>| side.unwrap_or_default();
            let merge = merge_text(&text(base), &text(ours), &text(theirs));
            let regions = merge.map(|m| m.regions).unwrap_or_default();
            places = regions
                .into_iter()
                .filter_map(|region| match region {
                    Region::Conflict { ours, base, theirs } => Some(Place { ours, base, theirs }),
                    Region::Merged(_) => None,
                })
                .collect();
        }
        Ok(FileConflict {
            path: absolute(&found.path).into(),
            kinds: found.conflicts.clone(),
            places,
        })
    }

    fn changes(&self) -> impl Iterator<Item = Change> + '_ {
        tree_diff::compare(&self.ours.tree, &self.goal, &TreeScope::all())
            .into_iter()
            .filter(|change| self.is_ours_to_change(&change.path))
            .filter(|change| !(self.scope.keep_added && change.what == What::Removed))
    }

    fn is_ours_to_change(&self, path: &Path) -> bool {
        let path = absolute(path);
        self.roots.iter().any(|r| path.starts_with(&r.path.0))
    }

    /// What changes, with the texts.
    pub(super) fn files(&self) -> Result<Vec<FileChange>, EngineError> {
        self.changes().map(|change| self.file(change)).collect()
    }

    fn file(&self, change: Change) -> Result<FileChange, EngineError> {
        let path = absolute(&change.path);
        let mut text = None;
        if apply::changes_content(&change) {
            let old = self.ours.read(&change.path)?;
            let new = self.content(&change.path)?;
            if old.is_some() || new.is_some() {
                let side = |label, content| Side {
                    path: &path,
                    label,
                    content,
                };
                text = Some(text_diff::diff(
                    side("now", old.as_deref()),
                    side("merged", new.as_deref()),
                    3,
                ));
            }
        }
        Ok(FileChange {
            path: path.into(),
            what: change.what,
            text,
        })
    }

    /// What changes, root by root.
    pub(super) fn roots(&self) -> Vec<RootPlan> {
        let plans = self.roots.iter().filter_map(|root| {
            let base = relative(root.path.0.parent()?);
            let below = |path: &Path| path.strip_prefix(&base).map(Path::to_owned).ok();
            let of_root = |path: &Path| absolute(path).starts_with(&root.path.0);
            let changes = self.changes().filter(|c| of_root(&c.path));
            let changes = changes.filter_map(|c| {
                let path = below(&c.path)?;
                Some(Change { path, what: c.what })
            });
            let entries = self.theirs.entries.iter().flatten();
            let entries = entries
                .filter(|(path, _)| of_root(path))
                .filter_map(|(path, entry)| Some((below(path)?, entry.clone())));
            RootPlan::shown(root, changes.collect(), entries.collect())
        });
        plans.collect()
    }

    /// The bytes of a file the merge made.
    fn made(&self, path: &Path) -> Option<&Vec<u8>> {
        let made = self.merged.contents.get(path);
        made.filter(|_| in_scope(self.scope, path))
    }

    /// The side whose file, link or device the goal has.
    fn source(&self, node: &Node) -> Option<&Files<'a>> {
        let sides = [&self.ours, &self.theirs, &self.base];
        let same = |side: &&&Files<'a>| {
            let there = side.tree.get(&node.path);
            there.is_some_and(|there| there.kind == node.kind)
        };
        sides.iter().find(same).copied()
    }

    /// The content of a file of the goal.
    fn content(&self, path: &Path) -> Result<Option<Vec<u8>>, EngineError> {
        if let Some(made) = self.made(path) {
            return Ok(Some(made.clone()));
        }
        match self.goal.get(path).and_then(|node| self.source(node)) {
            Some(side) => side.read(path),
            None => Ok(None),
        }
    }

    /// The goal's roots as a point describes them.
    pub(super) fn goal_roots(&self) -> Vec<ConfigRoot> {
        let kind = |root: &ConfigRoot| {
            let node = self.goal.get(&relative(&root.path.0));
            node.map_or(RootKind::Absent, |node| match node.kind {
                Kind::Dir => RootKind::Directory,
                Kind::Symlink(_) => RootKind::Symlink,
                Kind::File { .. } | Kind::Other(_) => RootKind::File,
            })
        };
        let roots = self.roots.iter();
        roots
            .map(|root| ConfigRoot {
                path: root.path.clone(),
                kind: kind(root),
                git: None,
            })
            .collect()
    }

    /// The goal, to be stored.
    pub(super) fn compose(&self, now: DateTime<Utc>) -> Result<Vec<Composed>, EngineError> {
        let nodes = self.goal.nodes();
        let own = nodes.filter(|node| self.is_ours_to_change(&node.path));
        own.map(|node| self.composed(node, now)).collect()
    }

    fn composed(&self, node: &Node, now: DateTime<Utc>) -> Result<Composed, EngineError> {
        let made = self.made(&node.path);
        let side = match made {
            Some(_) => Some(&self.ours),
            None => self.source(node),
        };
        let entry = side.and_then(|side| side.entries.as_ref()?.get(&node.path));
        let Some(entry) = entry else {
            let path = absolute(&node.path);
            return Err(EngineError::NoWay(format!(
                "the merge has {} from nowhere",
                crate::point::path::printable(&path)
            )));
        };
        // Other names of one file stay so only where the merge took nothing
        // from the point.
        let is_ours = self.ours.tree.get(&node.path) == Some(node);
        let mut entry = Entry {
            mode: node.mode & 0o7777,
            uid: node.uid,
            gid: node.gid,
            hardlink: entry.hardlink.filter(|_| is_ours),
            ..entry.clone()
        };
        if matches!(node.kind, Kind::File { .. } | Kind::Dir) {
            entry.xattrs = xattrs(node)?;
        }
        if let Some(made) = made {
            entry.kind = EntryKind::File {
                size: made.len() as u64,
                content: Vec::new(),
            };
            entry.mtime = Timestamp {
                seconds: now.timestamp(),
                nanos: now.timestamp_subsec_nanos().min(999_999_999),
            };
        }
        Ok(Composed {
            entry,
            bytes: made.cloned(),
        })
    }
}

fn xattrs(node: &Node) -> Result<Vec<Xattr>, EngineError> {
    let named = node.xattrs.iter().map(|(name, value)| {
        let name = String::from_utf8(name.clone())
            .map_err(|_| EngineError::NoWay("an attribute's name is no text".to_owned()))?;
        let value = value.clone();
        Ok(Xattr { name, value })
    });
    named.collect()
}

fn read_file(side: &Files<'_>, path: &Path) -> Result<Vec<u8>, EngineError> {
    side.read(path)?.ok_or_else(|| {
        let path = absolute(path);
        EngineError::NoWay(format!(
            "{} is gone while it is merged",
            crate::point::path::printable(&path)
        ))
    })
}

fn in_scope(scope: &Scope, path: &Path) -> bool {
    let path = absolute(path);
    scope.paths.is_empty() || scope.paths.iter().any(|p| path.starts_with(&p.0))
}

/// The merged tree within the scope and what is there outside of it, with the
/// folders that lead from one to the other.
fn goal_tree(merged: &Merged, ours: &Tree, scope: &Scope) -> Result<Tree, EngineError> {
    let inside = |node: &&Node| in_scope(scope, &node.path);
    let outside = ours.nodes().filter(|node| !in_scope(scope, &node.path));
    let mut nodes: BTreeMap<&Path, &Node> = outside.map(|n| (n.path.as_path(), n)).collect();
    nodes.extend(
        merged
            .tree
            .nodes()
            .filter(inside)
            .map(|n| (n.path.as_path(), n)),
    );
    let above: BTreeSet<&Path> = nodes
        .keys()
        .flat_map(|path| path.ancestors().skip(1))
        .filter(|dir| !nodes.contains_key(dir))
        .collect();
    for dir in above {
        nodes.extend(merged.tree.get(dir).map(|node| (dir, node)));
    }
    Ok(Tree::new(nodes.into_values().cloned())?)
}
