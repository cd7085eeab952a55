//! The configuration part of a restore: compare, stage, put in place.
//!
//! New contents are written beside their targets first, so a full disk is
//! found before anything has changed; then everything is put in place by
//! renames, each atomic. What a capture leaves out (`.git`) is left alone.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use rustix::fs::FileType;
use sha2::{Digest, Sha256};

use super::create::own_state;
use super::{Engine, EngineError, config};
use crate::plan::tree_diff::{
    self, Action, Actions, Change, Kind, Modified, Node, Scope as TreeScope, Tree, Type, What,
};
use crate::point::document::{ConfigRoot, Point, RootKind};
use crate::point::{BytePath, PointId};
use crate::system::beneath::{Attributes, Beneath, dress_fd};
use crate::system::follow::{EXCLUDED_NAMES, EXCLUDED_PREFIXES};
use crate::system::journal::Scope;
use crate::system::tree::{self, Leave};
use crate::system::{At, durable, fault};
use crate::vault::{Entry, EntryKind, Vault, VaultDir};

/// Prefix of staged files; captures and listings leave them out.
const STAGED: &str = ".cairn-";

/// What bringing one root back takes.
pub struct RootPlan {
    /// The root.
    pub root: ConfigRoot,
    /// The folder paths are relative to: the root's parent, as a logical path.
    pub base: PathBuf,
    /// What differs, from now to the point.
    pub changes: Vec<Change>,
    /// The steps.
    actions: Actions,
    /// What the point holds of this root, by path relative to `base`.
    entries: BTreeMap<PathBuf, Entry>,
}

impl RootPlan {
    /// Logical paths that will change.
    pub fn changed_paths(&self) -> impl Iterator<Item = PathBuf> + '_ {
        self.changes.iter().map(|c| self.base.join(&c.path))
    }

    /// The captured entry at a change's path.
    pub fn entry(&self, path: &Path) -> Option<&Entry> {
        self.entries.get(path)
    }
}

/// What to make of a named path that neither the point nor the disk has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Named {
    /// A person named it just now: it is a mistake.
    MustBeThere,
    /// It was there when the restore was planned: it is as it is to be.
    MayBeGone,
}

/// Plans every root of a point's configuration.
pub(super) fn plan(
    engine: &Engine<'_>,
    vault: &VaultDir,
    point: &Point,
    scope: &Scope,
    named: Named,
) -> Result<Vec<RootPlan>, EngineError> {
    let short = || point.id.short_among([]);
    let config = point.config.as_ref().ok_or_else(|| EngineError::NotHeld {
        point: short(),
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
        if let Some(plan) = plan_root(engine, vault, root, &entries, scope, &leave, &mut unmatched)?
        {
            plans.push(plan);
        }
    }
    match unmatched.first().filter(|_| named == Named::MustBeThere) {
        Some(path) => Err(EngineError::NoSuchPath {
            point: short(),
            path: (*path).to_owned(),
        }),
        None => Ok(plans),
    }
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
    let Some(within) = tree_scope(scope, base, path, &now, &wanted, unmatched) else {
        return Ok(None);
    };
    let stuck = |e: tree_diff::ActionError| EngineError::NotVerified(e.to_string());
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
    actions
        .steps
        .retain(|a| !matches!(a, Action::RemoveDir(path) if stays.contains(path.as_path())));
    Ok(Some(RootPlan {
        root: root.clone(),
        base: base.to_owned(),
        changes,
        actions,
        entries: captured,
    }))
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
        .map_err(|e| EngineError::NotVerified(format!("the listing of {}: {e}", root.display())))
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

/// Carries a root's plan out; gives the number of changes.
pub(super) fn execute(
    engine: &Engine<'_>,
    vault: &VaultDir,
    plan: &RootPlan,
    id: PointId,
) -> Result<usize, EngineError> {
    let real = engine.layout.real(&plan.base);
    let name = plan
        .root
        .path
        .as_path()
        .file_name()
        .map(PathBuf::from)
        .unwrap_or_default();
    // Also when nothing differs: a restore that stopped while it staged leaves
    // its files and no difference.
    tree::sweep(&real, &name, STAGED)?;
    if plan.changes.is_empty() {
        return Ok(0);
    }
    durable::create_dir_all(&real)?;
    let base = Beneath::open(&real)?;
    let work = Work {
        base: &base,
        plan,
        vault: vault.config(),
        id,
    };
    let staged = match work.stage() {
        Ok(staged) => staged,
        Err(error) => {
            // The error is what must be heard of; what stays is swept when the
            // restore is ended.
            let _ = tree::sweep(&real, &name, STAGED);
            return Err(error);
        }
    };
    fault::point("restore.staged");
    work.put_in_place(&staged)?;
    Ok(plan.changes.len())
}

struct Work<'a> {
    base: &'a Beneath,
    plan: &'a RootPlan,
    vault: &'a dyn Vault,
    id: PointId,
}

impl Work<'_> {
    /// Writes every new file beside the nearest folder that stays, with its
    /// attributes, and flushes it.
    fn stage(&self) -> Result<BTreeMap<PathBuf, PathBuf>, EngineError> {
        let mut staged = BTreeMap::new();
        for step in &self.plan.actions.steps {
            let Action::Write(node) = step else { continue };
            let Some(entry) = self.plan.entry(&node.path) else {
                continue;
            };
            if !matches!(entry.kind, EntryKind::File { .. }) {
                continue;
            }
            let name = format!("{STAGED}{}-{}", self.id.hex(), staged.len());
            let place = self.staying_folder(&node.path)?.join(name);
            let mut file = self.base.create(&place)?;
            self.vault.read(entry, &mut file)?;
            let at = self.base.path().join(&place);
            dress_fd(&file, &attributes(entry)).at("set owner and mode of", &at)?;
            file.sync_all().at("flush", &at)?;
            staged.insert(node.path.clone(), place);
        }
        Ok(staged)
    }

    /// The nearest folder above `path` that is there now and is not to go.
    fn staying_folder(&self, path: &Path) -> Result<PathBuf, EngineError> {
        let goes = |dir: &Path| {
            self.plan
                .actions
                .steps
                .iter()
                .any(|a| matches!(a, Action::RemoveDir(p) | Action::Remove(p) if p == dir))
        };
        for dir in path.ancestors().skip(1) {
            if self.is_folder(dir)? && !goes(dir) {
                return Ok(dir.to_owned());
            }
        }
        Ok(PathBuf::new())
    }

    fn is_folder(&self, path: &Path) -> Result<bool, EngineError> {
        let there = self.base.stat(path)?;
        Ok(there.is_some_and(|s| FileType::from_raw_mode(s.st_mode) == FileType::Directory))
    }

    fn put_in_place(&self, staged: &BTreeMap<PathBuf, PathBuf>) -> Result<(), EngineError> {
        let mut touched: BTreeSet<&Path> = BTreeSet::new();
        for parent in &self.plan.actions.parents {
            self.base.create_dir(&parent.path)?;
            self.dress(&parent.path)?;
        }
        for step in &self.plan.actions.steps {
            match step {
                Action::Remove(path) => self.base.remove_file(path)?,
                Action::RemoveDir(path) => self.base.remove_dir(path)?,
                Action::CreateDir(path) => self.base.create_dir(path)?,
                Action::Write(node) => self.write(&node.path, staged.get(&node.path))?,
                Action::SetMeta(node) | Action::SetDirMeta(node) => self.dress(&node.path)?,
            }
            touched.extend(step.path().parent());
            fault::point("restore.file");
        }
        for dir in touched {
            // A folder that was emptied may be gone by now, or be a file.
            if self.is_folder(dir)? {
                self.base.sync(dir)?;
            }
        }
        Ok(())
    }

    fn write(&self, path: &Path, staged: Option<&PathBuf>) -> Result<(), EngineError> {
        if let Some(staged) = staged {
            return Ok(self.base.rename(staged, path)?);
        }
        let Some(entry) = self.plan.entry(path) else {
            return Ok(());
        };
        let name = format!("{STAGED}{}-link", self.id.hex());
        let temporary = path.with_file_name(name);
        self.base.remove_file(&temporary)?;
        match &entry.kind {
            EntryKind::Symlink { target } => {
                self.base.symlink(target, &temporary)?;
                self.base.dress_symlink(&temporary, &attributes(entry))?;
            }
            EntryKind::Fifo => self.base.make_node(&temporary, FileType::Fifo, 0)?,
            EntryKind::Char { device } => {
                self.base
                    .make_node(&temporary, FileType::CharacterDevice, *device)?;
            }
            EntryKind::Block { device } => {
                self.base
                    .make_node(&temporary, FileType::BlockDevice, *device)?;
            }
            EntryKind::File { .. } | EntryKind::Dir | EntryKind::Socket => return Ok(()),
        }
        self.base.rename(&temporary, path)?;
        if !matches!(entry.kind, EntryKind::Symlink { .. }) {
            self.base.dress(path, &attributes(entry))?;
        }
        Ok(())
    }

    fn dress(&self, path: &Path) -> Result<(), EngineError> {
        let Some(entry) = self.plan.entry(path) else {
            return Ok(());
        };
        match entry.kind {
            EntryKind::Symlink { .. } => self.base.dress_symlink(path, &attributes(entry))?,
            _ => self.base.dress(path, &attributes(entry))?,
        }
        Ok(())
    }
}

fn attributes(entry: &Entry) -> Attributes {
    Attributes {
        mode: entry.mode,
        owner: (entry.uid, entry.gid),
        mtime: Some((entry.mtime.seconds, i64::from(entry.mtime.nanos))),
        xattrs: entry
            .xattrs
            .iter()
            .map(|x| {
                (
                    std::ffi::OsString::from_vec(x.name.clone().into_bytes()),
                    x.value.clone(),
                )
            })
            .collect(),
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
