//! Carrying the files of a restore out, configuration and state: stage, then
//! put in place.
//!
//! New contents are written beside their targets first, those of all roots, and
//! read back, so that a full disk or a bad one is found before anything has
//! changed; then everything is put in place, one path after the other, each at
//! once.
//!
//! Whole folders do not change places: what a capture leaves out (`.git`,
//! sockets, other file systems) would have to move along, services keep their
//! folders open, and where a folder is a mount point it cannot be done.

mod above;
mod place;

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::io;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use rustix::fs::FileType;

use super::apply::{Part, RootPlan};
use super::contents::Proven;
use super::progress::Task;
use super::step::step;
use super::{Engine, EngineError, Stores};
use crate::parallel::each;
use crate::plan::tree_diff::Action;
use crate::point::PointId;
use crate::point::path::printable;
use crate::system::At;
use crate::system::beneath::{Attributes, Beneath, dress_fd, kind};
use crate::system::flush::{self, Unflushed};
use crate::system::ours::PREFIX;
use crate::system::sparse::Sparse;
use crate::vault::{Entry, EntryKind, Vault};

use above::sweep;
pub(super) use above::{missing_above, relative, take_away};

/// One root, its new contents staged.
pub(super) struct Staged<'a> {
    plan: &'a RootPlan,
    /// Absent for state that was not there: nothing of it is ever written.
    vault: Option<&'a dyn Vault>,
    id: PointId,
    base: Beneath,
    /// How many files of other roots are staged: names are counted on.
    first: usize,
    /// What is taken away; a folder never comes back as one.
    goes: BTreeSet<&'a Path>,
    /// What comes; where something goes too, they change places.
    comes: BTreeSet<&'a Path>,
    /// Where each new file waits, by the path it is for.
    files: BTreeMap<PathBuf, PathBuf>,
    /// Which were read back.
    proven: Mutex<Proven>,
}

/// Stages all roots, and asks `last` whether to go on. When one cannot be, or it
/// says no, what was staged is removed again, and so are the folders made for
/// it: everything is as it was.
pub(super) fn stage<'a>(
    engine: &Engine<'_>,
    stores: &'a Stores,
    plans: &'a [RootPlan],
    id: PointId,
    last: impl FnOnce() -> Result<(), EngineError>,
) -> Result<Vec<Staged<'a>>, EngineError> {
    let top = Beneath::open(engine.layout.root())?;
    let mut made = Vec::new();
    let total = plans.iter().map(RootPlan::new_bytes).sum();
    let _going = engine.begin(&Task::Stage, Some(total));
    // The last place where all can be as it was.
    let staged = stage_all(engine, &top, stores, plans, id, &mut made)
        .and_then(|staged| last().map(|()| staged))
        .and_then(|staged| engine.check_stop().map(|()| staged));
    if staged.is_err() {
        for plan in plans {
            // What cannot be removed now is swept away by the next restore.
            let _ = sweep(&top, plan);
        }
        for folder in made.iter().rev() {
            let _ = top.remove_dir(folder);
        }
    }
    staged
}

fn stage_all<'a>(
    engine: &Engine<'_>,
    top: &Beneath,
    stores: &'a Stores,
    plans: &'a [RootPlan],
    id: PointId,
    made: &mut Vec<PathBuf>,
) -> Result<Vec<Staged<'a>>, EngineError> {
    // All of it before any is staged: two roots may lie in one folder.
    step("restore.swept", || {
        plans.iter().try_for_each(|plan| sweep(top, plan))
    })?;
    let mut all: Vec<Staged<'a>> = Vec::new();
    let mut unflushed = Unflushed::default();
    for plan in plans.iter().filter(|p| !p.changes.is_empty()) {
        let base = relative(&plan.base);
        step("restore.folder", || Ok(top.create_dirs(base, made)?))?;
        let mut staged = Staged {
            plan,
            vault: match plan.part {
                Part::Config => Some(stores.config()),
                Part::State(_) => stores.state().ok(),
            },
            id,
            base: top.below(base)?,
            first: all.iter().map(|s| s.files.len()).sum(),
            goes: going(plan),
            comes: coming(plan),
            files: BTreeMap::new(),
            proven: Mutex::default(),
        };
        staged.refuse_mounts()?;
        staged.stage(engine, &mut unflushed)?;
        all.push(staged);
    }
    step("restore.content-flushed", || flush_all(top, unflushed))?;
    Ok(all)
}

/// Has all of it reach the disk.
pub(super) fn flush_all(base: &Beneath, unflushed: Unflushed) -> Result<(), EngineError> {
    let flushed = unflushed.flush().map_err(io::Error::from);
    Ok(flushed.at("flush what is new below", base.path())?)
}

fn going(plan: &RootPlan) -> BTreeSet<&Path> {
    let steps = plan.actions.steps.iter();
    let going = steps.filter(|a| matches!(a, Action::RemoveDir(_) | Action::Remove(_)));
    going.map(Action::path).collect()
}

fn coming(plan: &RootPlan) -> BTreeSet<&Path> {
    let steps = plan.actions.steps.iter();
    let coming = steps.filter(|a| matches!(a, Action::CreateDir(_) | Action::Write(_)));
    coming.map(Action::path).collect()
}

impl Staged<'_> {
    /// A file system that is mounted where something has to go is found before
    /// anything has changed. One over a file that stays a file is no trouble.
    fn refuse_mounts(&self) -> Result<(), EngineError> {
        for path in &self.goes {
            if self.base.is_mount_point(path)? {
                return Err(EngineError::NoWay(format!(
                    "{} would have to go, and a file system is mounted there; unmount it first",
                    printable(&self.plan.base.join(path))
                )));
            }
        }
        Ok(())
    }

    /// Writes every new file beside the nearest folder that stays, with its
    /// attributes, and reads it back, several at a time. Names of one file are
    /// linked.
    fn stage(&mut self, engine: &Engine<'_>, unflushed: &mut Unflushed) -> Result<(), EngineError> {
        let plan = self.plan;
        let mut written: BTreeMap<&Path, PathBuf> = BTreeMap::new();
        let (mut files, mut links) = (Vec::new(), Vec::new());
        for action in &plan.actions.steps {
            let (Action::Write(node) | Action::SetMeta(node)) = action else {
                continue;
            };
            let Some(entry) = plan.entry(&node.path) else {
                continue;
            };
            let is_file = matches!(entry.kind, EntryKind::File { .. });
            let in_place = matches!(action, Action::SetMeta(_)) && !self.is_shared(&node.path)?;
            if !is_file || in_place {
                continue;
            }
            let name = format!(
                "{PREFIX}{}-{}",
                self.id.hex(),
                self.first + self.files.len()
            );
            let place = self.staying_folder(&node.path)?.join(name);
            let first = plan.first_name(&node.path);
            match first.and_then(|first| written.get(first)) {
                Some(other) => links.push((other.clone(), place.clone(), entry)),
                None => files.push((place.clone(), entry)),
            }
            written.insert(first.unwrap_or(&node.path), place.clone());
            self.files.insert(node.path.clone(), place);
        }
        let shared = Mutex::new(unflushed);
        each(&files, |(place, entry)| {
            step("restore.content", || self.write_new(place, entry, &shared))
        })?;
        for (other, place, entry) in &links {
            engine.check_stop()?;
            step("restore.content", || {
                self.link(other, place, entry, &shared)
            })?;
        }
        Ok(())
    }

    fn link(
        &self,
        other: &Path,
        place: &Path,
        entry: &Entry,
        unflushed: &Mutex<&mut Unflushed>,
    ) -> Result<(), EngineError> {
        match self.base.link(other, place) {
            // Names on two file systems are two files.
            Err(e) if e.kind() == io::ErrorKind::CrossesDevices => {
                self.write_new(place, entry, unflushed)
            }
            other => Ok(other?),
        }
    }

    fn write_new(
        &self,
        place: &Path,
        entry: &Entry,
        unflushed: &Mutex<&mut Unflushed>,
    ) -> Result<(), EngineError> {
        let at = self.base.path().join(place);
        let file = self.base.create(place)?;
        let flushed = file.try_clone().at("open", &at)?;
        let mut all = unflushed.lock().unwrap_or_else(PoisonError::into_inner);
        let added = all.add(flushed).map_err(io::Error::from);
        drop(all);
        added.at("look at", &at)?;
        let vault = self.vault.ok_or(EngineError::NoStateVault)?;
        let mut sparse = Sparse::new(&file);
        vault.pour(entry, &mut sparse)?;
        sparse.finish().at("write", &at)?;
        // While it is read back, and the next is made.
        flush::begin(&file, size(entry));
        dress_fd(&file, &attributes(entry)).at("set owner and mode of", &at)?;
        if !vault.holds(entry, &mut self.base.read(place)?)? {
            // Where the vault is to blame, this tells.
            vault.read(entry, &mut io::sink())?;
            let why = io::Error::other("it does not read back as it was written");
            Err(why).at("stage", &at)?;
        }
        let written = file.metadata().at("look at", &at)?;
        let mut proven = self.proven.lock().unwrap_or_else(PoisonError::into_inner);
        proven.add(&written, entry);
        drop(proven);
        Ok(())
    }

    /// What was read back.
    pub(super) fn proven(self) -> Proven {
        let proven = self.proven.into_inner();
        proven.unwrap_or_else(PoisonError::into_inner)
    }

    /// The nearest folder above `path` that is there now and is not to go.
    fn staying_folder(&self, path: &Path) -> Result<PathBuf, EngineError> {
        // From the top, so that nothing is looked for behind a link.
        let mut above: Vec<&Path> = path.ancestors().skip(1).collect();
        above.reverse();
        let mut staying = Path::new("");
        for dir in above {
            let there = self.base.stat(dir)?.map(|s| kind(&s));
            if there != Some(FileType::Directory) || self.goes.contains(dir) {
                break;
            }
            staying = dir;
        }
        Ok(staying.to_owned())
    }
}

fn size(entry: &Entry) -> u64 {
    match &entry.kind {
        EntryKind::File { size, .. } => *size,
        _ => 0,
    }
}

/// What an entry is to be given.
pub(super) fn attributes(entry: &Entry) -> Attributes {
    Attributes {
        mode: entry.mode,
        owner: (entry.uid, entry.gid),
        mtime: Some((entry.mtime.seconds, i64::from(entry.mtime.nanos))),
        xattrs: entry
            .xattrs
            .iter()
            .map(|x| {
                (
                    OsString::from_vec(x.name.clone().into_bytes()),
                    x.value.clone(),
                )
            })
            .collect(),
    }
}
