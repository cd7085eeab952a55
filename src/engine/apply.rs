//! Planning the configuration part of a restore: what is there, what was, and
//! the steps between. [`super::put`] takes them. What a capture leaves out
//! (`.git`) is left alone.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::{Path, PathBuf};

use rustix::fs::FileType;
use sha2::{Digest, Sha256};

use super::create::own_state;
use super::{Engine, EngineError, config};
use crate::plan::tree_diff::{
    self, Action, Actions, Change, Kind, Modified, Node, Scope as TreeScope, Tree, Type, What,
};
use crate::point::BytePath;
use crate::point::document::{ConfigRoot, Point, RootKind};
use crate::point::path::printable;
use crate::system::follow::{EXCLUDED_NAMES, EXCLUDED_PREFIXES};
use crate::system::journal::Scope;
use crate::system::tree::{self, Leave};
use crate::vault::{Entry, EntryKind, Vault, VaultDir};

/// What bringing one root back takes.
pub struct RootPlan {
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
}

impl RootPlan {
    /// Logical paths that will change.
    pub fn changed_paths(&self) -> impl Iterator<Item = PathBuf> + '_ {
        self.changes.iter().map(|c| self.base.join(&c.path))
    }

    /// Folders above named paths that are made for them.
    pub(super) fn made(&self) -> impl Iterator<Item = BytePath> + '_ {
        let parents = self.actions.parents.iter();
        parents.map(|p| self.base.join(&p.path).into())
    }

    /// The captured entry at a change's path.
    pub fn entry(&self, path: &Path) -> Option<&Entry> {
        self.entries.get(path)
    }
}

/// The plans of all roots, and a named path that none of them has.
pub(super) struct Plans {
    pub(super) roots: Vec<RootPlan>,
    pub(super) unmatched: Option<PathBuf>,
}

/// Plans every root of a point's configuration.
pub(super) fn plan(
    engine: &Engine<'_>,
    vault: &VaultDir,
    point: &Point,
    scope: &Scope,
) -> Result<Plans, EngineError> {
    let config = point.config.as_ref().ok_or_else(|| EngineError::NotHeld {
        point: point.id.short_among([]),
        what: "configuration",
    })?;
    let entries = config::stored(vault, config)?;
    let mut leave: Vec<PathBuf> = point
        .completeness
        .missing()
        .iter()
        .map(|m| engine.layout.real(&m.what.0))
        .collect();
    leave.extend(own_state(engine).map(|s| engine.layout.real(s)));
    let mut plans = Vec::new();
    let mut unmatched: BTreeSet<&Path> = scope.paths.iter().map(BytePath::as_path).collect();
    for root in &config.roots {
        let plan = plan_root(engine, vault, root, &entries, scope, &leave, &mut unmatched)?;
        plans.extend(plan);
    }
    Ok(Plans {
        roots: plans,
        unmatched: unmatched.first().map(|path| (*path).to_owned()),
    })
}

fn plan_root(
    engine: &Engine<'_>,
    vault: &VaultDir,
    root: &ConfigRoot,
    entries: &[Entry],
    scope: &Scope,
    leave: &[PathBuf],
    unmatched: &mut BTreeSet<&Path>,
) -> Result<Option<RootPlan>, EngineError> {
    let path = root.path.as_path();
    let (Some(base), Some(name)) = (path.parent(), path.file_name()) else {
        return Ok(None);
    };
    let captured: BTreeMap<PathBuf, Entry> = entries
        .iter()
        .filter(|e| e.path.starts_with(path) && root.kind != RootKind::Absent)
        .filter_map(|e| Some((e.path.strip_prefix(base).ok()?.to_owned(), e.clone())))
        .collect();
    let mut nodes = Vec::new();
    for (relative, entry) in &captured {
        nodes.push(node_of(vault.config(), relative, entry)?);
    }
    let wanted = new_tree(nodes, path)?;
    let leave = Leave {
        names: EXCLUDED_NAMES,
        prefixes: EXCLUDED_PREFIXES,
        paths: leave,
    };
    let listing = tree::list(&engine.layout.real(base), Path::new(name), leave)?;
    let now = new_tree(listing.nodes, path)?;
    let mut plan = RootPlan {
        root: root.clone(),
        base: base.to_owned(),
        changes: Vec::new(),
        actions: Actions::default(),
        entries: captured,
    };
    let Some(within) = tree_scope(scope, base, path, &now, &wanted, unmatched) else {
        // Nothing of it is wanted, but leftovers in it are swept away.
        return Ok(Some(plan));
    };
    let stuck = |e: tree_diff::ActionError| EngineError::NoWay(e.to_string());
    let mut actions =
        tree_diff::actions(&now, &wanted, &within, scope.keep_added).map_err(stuck)?;
    let mut changes = tree_diff::compare(&now, &wanted, &within);
    if scope.keep_added {
        changes.retain(|c| c.what != What::Removed);
    }
    // A folder that is to go but holds something a capture leaves out stays.
    let stays: BTreeSet<&Path> = listing
        .left
        .iter()
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

/// A tree over several roots: the folders above them are filled in.
pub(super) fn rooted(mut nodes: BTreeMap<PathBuf, Node>) -> Result<Tree, EngineError> {
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

fn new_tree(nodes: Vec<Node>, root: &Path) -> Result<Tree, EngineError> {
    // The base itself is no part of the tree, so the top node has no parent
    // to be checked.
    Tree::new(nodes)
        .map_err(|e| EngineError::NoWay(format!("the listing of {}: {e}", printable(root))))
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

pub(super) fn node_of(vault: &dyn Vault, path: &Path, entry: &Entry) -> Result<Node, EngineError> {
    let kind = match &entry.kind {
        EntryKind::File { size, content } => Kind::File {
            size: *size,
            digest: digest(vault, entry, content)?,
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
    Ok(Node {
        path: path.to_owned(),
        kind,
        mode: entry.mode,
        uid: entry.uid,
        gid: entry.gid,
        xattrs,
    })
}

/// The SHA-256 of a captured file. A chunk's id is the SHA-256 of its content,
/// so a file of one chunk need not be read.
fn digest(vault: &dyn Vault, entry: &Entry, content: &[String]) -> Result<[u8; 32], EngineError> {
    let mut hash = [0; 32];
    if let [only] = content
        && hex::decode_to_slice(only, &mut hash).is_ok()
    {
        return Ok(hash);
    }
    let mut hasher = HashWriter(Sha256::new());
    vault.read(entry, &mut hasher)?;
    Ok(hasher.0.finalize().into())
}

struct HashWriter(Sha256);

impl Write for HashWriter {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
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
