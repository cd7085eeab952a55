//! Planning the files of a restore, configuration and state: what is there,
//! what was, and the steps between. [`super::put`] takes them. What a capture
//! leaves out (`.git`) is left alone.

mod nodes;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use rustix::fs::FileType;

use super::contents::{Proven, recognise};
use super::create::own_state;
use super::links::{Names, relink};
use super::{Engine, EngineError, Stores, config, state};
use crate::plan::tree_diff::{
    self, Action, Actions, Change, Modified, Scope as TreeScope, Tree, Type, What,
};
use crate::point::BytePath;
use crate::point::document::{ConfigRoot, Point, RootKind};
use crate::point::path::printable;
use crate::system::follow::EXCLUDED_NAMES;
use crate::system::journal::Scope;
use crate::system::ours::is_staged;
use crate::system::tree::{self, Leave};
use crate::vault::{Entry, EntryKind, Vault};

use nodes::new_tree;
pub(super) use nodes::{node_of, node_with, rooted};

/// What files belong to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// The configuration.
    Config,
    /// The state set of this name.
    State(String),
}

/// What bringing one root back takes.
pub struct RootPlan {
    /// What it belongs to.
    pub part: Part,
    /// The root.
    pub root: ConfigRoot,
    /// The folder paths are relative to: the root's parent, as a logical path.
    pub base: PathBuf,
    /// What differs, from now to the point.
    pub changes: Vec<Change>,
    /// The steps.
    pub(super) actions: Actions,
    /// What the point holds of this root, by path relative to `base`.
    entries: BTreeMap<PathBuf, Entry>,
    /// Which of that are names of one file.
    linked: Names,
    /// Folders that are to be as they were, with all they hold.
    whole_folders: Vec<PathBuf>,
}

impl RootPlan {
    /// One to look at: what would change, without the steps.
    pub(super) fn shown(
        root: &ConfigRoot,
        changes: Vec<Change>,
        entries: BTreeMap<PathBuf, Entry>,
    ) -> Option<Self> {
        Some(Self {
            part: Part::Config,
            root: root.clone(),
            base: root.path.0.parent()?.to_owned(),
            changes,
            actions: Actions::default(),
            entries,
            linked: Names::default(),
            whole_folders: Vec::new(),
        })
    }

    /// Captured folders that are to be as they were, with all they hold.
    pub(super) fn whole_folders(&self) -> impl Iterator<Item = (&Path, &Entry)> {
        let folders = self.whole_folders.iter();
        folders.filter_map(|path| Some((path.as_path(), self.entry(path)?)))
    }

    /// Logical paths that will change.
    pub fn changed_paths(&self) -> impl Iterator<Item = PathBuf> + '_ {
        self.changes.iter().map(|c| self.base.join(&c.path))
    }

    /// Folders above named paths that are made for them.
    pub(super) fn made(&self) -> impl Iterator<Item = BytePath> + '_ {
        let parents = self.actions.parents.iter();
        parents.map(|p| self.base.join(&p.path).into())
    }

    /// Bytes of the contents that would be written, without holes.
    pub(super) fn new_bytes(&self) -> u64 {
        let written = self.actions.steps.iter().filter_map(|step| match step {
            Action::Write(node) => Some(node.path.as_path()),
            _ => None,
        });
        let once = written.filter(|p| self.first_name(p).is_none_or(|first| first == *p));
        once.filter_map(|p| self.entry(p)).map(bytes_on_disk).sum()
    }

    /// The first name of the file that is to be at `path`, when it has several.
    pub(super) fn first_name(&self, path: &Path) -> Option<&Path> {
        self.linked.first(path)
    }

    /// The captured entry at a change's path.
    pub fn entry(&self, path: &Path) -> Option<&Entry> {
        self.entries.get(path)
    }
}

/// About what a file needs on disk. Chunks of one file that are equal are its
/// holes: all of a hole is the same.
fn bytes_on_disk(entry: &Entry) -> u64 {
    let EntryKind::File { size, content } = &entry.kind else {
        return 0;
    };
    let distinct = content.iter().collect::<BTreeSet<_>>().len() as u64;
    let all = content.len().max(1) as u64;
    u64::try_from(u128::from(*size) * u128::from(distinct) / u128::from(all)).unwrap_or(*size)
}

fn file_id(entry: &Entry) -> Option<(u64, u64)> {
    match entry.kind {
        EntryKind::File { .. } => entry.hardlink,
        _ => None,
    }
}

/// The plans of all roots, and a named path that none of them has.
pub(super) struct Plans {
    pub(super) roots: Vec<RootPlan>,
    pub(super) unmatched: Option<PathBuf>,
}

/// One part of a point: its roots, what is stored of them, and what of them is
/// none of the restore's business.
struct Stored<'a> {
    part: Part,
    roots: &'a [ConfigRoot],
    entries: Vec<Entry>,
    vault: Option<&'a dyn Vault>,
    names: &'a [&'a str],
    /// Real paths.
    leave: Vec<PathBuf>,
    /// Logical paths among them that the point holds as well.
    own: &'a [BytePath],
}

/// Plans every root of a point's configuration and state, as far as the scope
/// goes. Files that are proven are not read again.
pub(super) fn plan(
    engine: &Engine<'_>,
    stores: &Stores,
    point: &Point,
    scope: &Scope,
    proven: &Proven,
) -> Result<Plans, EngineError> {
    let missing = point.completeness.missing().iter().map(|m| &m.what.0);
    let leave: Vec<PathBuf> = missing
        .chain(&own_state(engine))
        .map(|path| engine.layout.real(path))
        .collect();
    let own = scope.leave.iter().map(|path| engine.layout.real(&path.0));
    let mut parts = Vec::new();
    if scope.config {
        let config = point.config.as_ref().ok_or_else(|| EngineError::NotHeld {
            point: point.id.short_among([]),
            what: "configuration",
        })?;
        parts.push(Stored {
            part: Part::Config,
            roots: &config.roots,
            entries: config::stored(&stores.vault, config)?,
            vault: Some(stores.config()),
            names: EXCLUDED_NAMES,
            leave: leave.iter().cloned().chain(own.clone()).collect(),
            own: &scope.leave,
        });
    }
    for name in &scope.state {
        let set = state::set_of(point, name)?;
        let excluded = set.excluded.iter().map(|path| engine.layout.real(&path.0));
        parts.push(Stored {
            part: Part::State(name.clone()),
            roots: &set.roots,
            entries: state::stored(stores, set)?,
            vault: set.snapshot().map(|_| stores.state()).transpose()?,
            names: &[],
            leave: leave.iter().cloned().chain(excluded).collect(),
            own: &[],
        });
    }
    let mut plans = Vec::new();
    let mut unmatched: BTreeSet<&Path> = scope.paths.iter().map(BytePath::as_path).collect();
    for part in &parts {
        for root in part.roots {
            plans.extend(plan_root(
                engine,
                part,
                root,
                scope,
                proven,
                &mut unmatched,
            )?);
        }
    }
    Ok(Plans {
        roots: plans,
        unmatched: unmatched.first().map(|path| (*path).to_owned()),
    })
}

fn plan_root(
    engine: &Engine<'_>,
    stored: &Stored<'_>,
    root: &ConfigRoot,
    scope: &Scope,
    proven: &Proven,
    unmatched: &mut BTreeSet<&Path>,
) -> Result<Option<RootPlan>, EngineError> {
    let path = root.path.as_path();
    let (Some(base), Some(name)) = (path.parent(), path.file_name()) else {
        return Ok(None);
    };
    engine.refuse_link_above(path)?;
    let leave = Leave {
        names: stored.names,
        ours: true,
        paths: &stored.leave,
        sockets: stored.part != Part::Config,
        contents: true,
    };
    let real = engine.layout.real(base);
    let mut listing = tree::list(&real, Path::new(name), leave)?;
    let captured: BTreeMap<PathBuf, Entry> = stored
        .entries
        .iter()
        .filter(|e| e.path.starts_with(path) && root.kind != RootKind::Absent)
        .filter(|e| !stored.own.iter().any(|own| e.path == own.0))
        .filter_map(|e| Some((e.path.strip_prefix(base).ok()?.to_owned(), e.clone())))
        .collect();
    let mut nodes = Vec::new();
    if let Some(vault) = stored.vault {
        recognise(&mut listing.nodes, &captured, vault, &real, proven)?;
        nodes.extend(
            captured
                .iter()
                .map(|(relative, entry)| node_of(relative, entry)),
        );
    }
    let now = new_tree(listing.nodes, path)?;
    let wanted = new_tree(nodes, path)?;
    let mut plan = RootPlan {
        part: stored.part.clone(),
        root: root.clone(),
        base: base.to_owned(),
        changes: Vec::new(),
        actions: Actions::default(),
        entries: captured,
        linked: Names::default(),
        whole_folders: Vec::new(),
    };
    let within = match stored.own.contains(&root.path) {
        true => None,
        false => tree_scope(scope, base, path, &now, &wanted, unmatched),
    };
    let Some(within) = within else {
        // Nothing of it is wanted, but leftovers in it are swept away.
        return Ok(Some(plan));
    };
    let stuck = |e: tree_diff::ActionError| EngineError::NoWay(e.to_string());
    let mut actions =
        tree_diff::actions(&now, &wanted, &within, scope.keep_added).map_err(stuck)?;
    let mut changes = tree_diff::compare(&now, &wanted, &within);
    let inside = |path: &Path| within.contains(path);
    let there = listing.linked.iter().filter(|(path, _)| inside(path));
    let linked_now = Names::new(there.map(|(path, id)| (path.as_path(), *id)));
    let stored = plan.entries.iter().filter(|(path, _)| inside(path));
    let linked_then = Names::new(stored.filter_map(|(p, e)| Some((p.as_path(), file_id(e)?))));
    relink(
        &linked_then,
        &linked_now,
        &wanted,
        inside,
        &mut changes,
        &mut actions,
    );
    plan.linked = linked_then;
    if scope.keep_added {
        changes.retain(|c| c.what != What::Removed);
    } else {
        let folders = plan
            .entries
            .iter()
            .filter(|(_, e)| e.kind == EntryKind::Dir);
        let whole = folders.map(|(path, _)| path).filter(|path| inside(path));
        plan.whole_folders = whole.cloned().collect();
    }
    // A folder that is to go but holds something a capture leaves out stays.
    // What a restore that died had staged is swept away before.
    let staged = |left: &&PathBuf| left.file_name().is_some_and(is_staged);
    let stays: BTreeSet<&Path> = listing
        .left
        .iter()
        .filter(|left| !staged(left))
        .flat_map(|left| left.ancestors())
        .collect();
    changes.retain(|c| c.what != What::Removed || !stays.contains(c.path.as_path()));
    if let Some(folder) = in_the_way(&changes, &stays) {
        return Err(EngineError::NoWay(format!(
            "{} was no folder then, but is one now and holds what restore points leave out \
             (such as .git); move it away first",
            printable(&base.join(folder))
        )));
    }
    actions
        .steps
        .retain(|a| !matches!(a, Action::RemoveDir(path) if stays.contains(path.as_path())));
    plan.changes = changes;
    plan.actions = actions;
    Ok(Some(plan))
}

/// A folder that would have to become something else, and may not go.
fn in_the_way<'c>(changes: &'c [Change], stays: &BTreeSet<&Path>) -> Option<&'c Path> {
    let from_folder = |what: &What| {
        matches!(
            what,
            What::TypeChanged {
                from: Type::Dir,
                ..
            }
        )
    };
    changes
        .iter()
        .find(|c| from_folder(&c.what) && stays.contains(c.path.as_path()))
        .map(|c| c.path.as_path())
}

/// The part of a root that the named paths cover; `None` when they cover
/// nothing of it.
fn tree_scope(
    scope: &Scope,
    base: &Path,
    root: &Path,
    now: &Tree,
    wanted: &Tree,
    unmatched: &mut BTreeSet<&Path>,
) -> Option<TreeScope> {
    if scope.paths.is_empty() {
        return Some(TreeScope::all());
    }
    let mut inside = Vec::new();
    for path in scope.paths.iter().map(BytePath::as_path) {
        let relative = if root.starts_with(path) {
            root.strip_prefix(base).ok()
        } else {
            path.strip_prefix(base)
                .ok()
                .filter(|_| path.starts_with(root))
        };
        let Some(relative) = relative else { continue };
        if now.get(relative).is_some() || wanted.get(relative).is_some() {
            inside.push(relative.to_owned());
            unmatched.remove(path);
        }
    }
    if inside.is_empty() {
        None
    } else {
        TreeScope::new(&inside, now, wanted).ok()
    }
}

/// Whether this user may write a folder (a real path).
pub(super) fn writable(dir: &Path) -> bool {
    use rustix::fs::{Access, access};
    access(dir, Access::WRITE_OK | Access::EXEC_OK).is_ok()
}

/// The first place this user may not change, of all a plan changes.
pub(super) fn first_unwritable(engine: &Engine<'_>, plan: &RootPlan) -> Option<PathBuf> {
    let base = engine.layout.real(&plan.base);
    let uid = rustix::process::geteuid().as_raw();
    plan.changes.iter().find_map(|change| {
        let path = base.join(&change.path);
        let dir = path.ancestors().skip(1).find(|a| is_folder(a))?;
        let foreign = plan.entry(&change.path).is_some_and(|e| e.uid != uid);
        (!writable(dir) || foreign).then(|| path.clone())
    })
}

fn is_folder(path: &Path) -> bool {
    rustix::fs::stat(path).is_ok_and(|s| FileType::from_raw_mode(s.st_mode) == FileType::Directory)
}

/// Whether a change is one of content, for a text diff.
pub(super) fn changes_content(change: &Change) -> bool {
    matches!(
        change.what,
        What::Added
            | What::Removed
            | What::Modified(Modified { content: true, .. })
            | What::TypeChanged {
                from: Type::File,
                ..
            }
            | What::TypeChanged { to: Type::File, .. }
    )
}
