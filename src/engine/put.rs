//! Carrying the files of a restore out, configuration and state: stage, then
//! put in place.
//!
//! New contents are written beside their targets first, those of all roots, so
//! that a full disk is found before anything has changed; then everything is
//! put in place by renames, each atomic.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use rustix::fs::FileType;

use super::apply::{Part, RootPlan};
use super::{Engine, EngineError, Stores};
use crate::plan::tree_diff::Action;
use crate::point::PointId;
use crate::system::beneath::{Attributes, Beneath, dress_fd, kind};
use crate::system::{At, fault};
use crate::vault::{Entry, EntryKind, Vault};

/// Prefix of staged files; captures and listings leave them out.
const STAGED: &str = ".cairn-";

/// Whether a name is one that staging gives: nothing else is ever swept away.
fn is_staged(name: &OsStr) -> bool {
    name.to_str()
        .and_then(|n| n.strip_prefix(STAGED)?.split_once('-'))
        .is_some_and(|(id, rest)| {
            let number = !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_digit());
            let hex = id.len() == 32 && id.bytes().all(|b| b.is_ascii_hexdigit());
            hex && (number || rest == "link")
        })
}

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
    /// Where each new file waits, by the path it is for.
    files: BTreeMap<PathBuf, PathBuf>,
}

/// Stages all roots. When one cannot be, what was staged is removed again, and
/// so are the folders made for it: everything is as it was.
pub(super) fn stage<'a>(
    engine: &Engine<'_>,
    stores: &'a Stores,
    plans: &'a [RootPlan],
    id: PointId,
) -> Result<Vec<Staged<'a>>, EngineError> {
    let top = Beneath::open(engine.layout.root())?;
    let mut made = Vec::new();
    let staged = stage_all(&top, stores, plans, id, &mut made);
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
    top: &Beneath,
    stores: &'a Stores,
    plans: &'a [RootPlan],
    id: PointId,
    made: &mut Vec<PathBuf>,
) -> Result<Vec<Staged<'a>>, EngineError> {
    // All of it before any is staged: two roots may lie in one folder.
    for plan in plans {
        sweep(top, plan)?;
    }
    let mut all: Vec<Staged<'a>> = Vec::new();
    for plan in plans.iter().filter(|p| !p.changes.is_empty()) {
        let base = relative(&plan.base);
        top.create_dirs(base, made)?;
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
            files: BTreeMap::new(),
        };
        staged.stage()?;
        all.push(staged);
    }
    Ok(all)
}

fn going(plan: &RootPlan) -> BTreeSet<&Path> {
    let steps = plan.actions.steps.iter();
    let going = steps.filter(|a| matches!(a, Action::RemoveDir(_) | Action::Remove(_)));
    going.map(Action::path).collect()
}

/// A logical path as one below `/`.
pub(super) fn relative(logical: &Path) -> &Path {
    logical.strip_prefix("/").unwrap_or(logical)
}

/// Removes what a crash left staged: in the root, and beside it.
fn sweep(top: &Beneath, plan: &RootPlan) -> Result<(), EngineError> {
    let base = relative(&plan.base);
    let mut todo = vec![relative(plan.root.path.as_path()).to_owned()];
    let mut beside = Some(base.to_owned());
    while let Some(dir) = beside.take().or_else(|| todo.pop()) {
        let deep = dir != base;
        for (name, kind) in top.entries(&dir)? {
            let path = dir.join(&name);
            if kind == FileType::Directory {
                if deep {
                    todo.push(path);
                }
            } else if is_staged(&name) {
                top.remove_file(&path)?;
            }
        }
    }
    Ok(())
}

impl Staged<'_> {
    /// Writes every new file beside the nearest folder that stays, with its
    /// attributes, and flushes it.
    fn stage(&mut self) -> Result<(), EngineError> {
        let plan = self.plan;
        for step in &plan.actions.steps {
            let (Action::Write(node) | Action::SetMeta(node)) = step else {
                continue;
            };
            let Some(entry) = plan.entry(&node.path) else {
                continue;
            };
            let is_file = matches!(entry.kind, EntryKind::File { .. });
            let in_place = matches!(step, Action::SetMeta(_)) && !self.is_shared(&node.path)?;
            if !is_file || in_place {
                continue;
            }
            let name = format!(
                "{STAGED}{}-{}",
                self.id.hex(),
                self.first + self.files.len()
            );
            let place = self.staying_folder(&node.path)?.join(name);
            let mut file = self.base.create(&place)?;
            let vault = self.vault.ok_or(EngineError::NoStateVault)?;
            vault.read(entry, &mut file)?;
            let at = self.base.path().join(&place);
            dress_fd(&file, &attributes(entry)).at("set owner and mode of", &at)?;
            file.sync_all().at("flush", &at)?;
            self.files.insert(node.path.clone(), place);
        }
        Ok(())
    }

    /// Whether a file has other names, perhaps outside: then it is replaced,
    /// never changed.
    fn is_shared(&self, path: &Path) -> Result<bool, EngineError> {
        Ok(self.base.stat(path)?.is_some_and(|s| s.st_nlink > 1))
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

    /// Takes the steps; gives their number.
    pub(super) fn put_in_place(&self) -> Result<usize, EngineError> {
        let mut touched: BTreeSet<&Path> = BTreeSet::new();
        for parent in &self.plan.actions.parents {
            self.base.create_dir(&parent.path)?;
            self.dress(&parent.path)?;
            touched.extend(parent.path.parent());
        }
        for step in &self.plan.actions.steps {
            match step {
                Action::Remove(path) => self.base.remove_file(path)?,
                Action::RemoveDir(path) => self.base.remove_dir(path)?,
                Action::CreateDir(path) => self.base.create_dir(path)?,
                Action::Write(node) => self.write(&node.path)?,
                Action::SetMeta(node) => match self.files.get(&node.path) {
                    Some(staged) => self.base.rename(staged, &node.path)?,
                    None => self.dress(&node.path)?,
                },
                Action::SetDirMeta(node) => self.dress(&node.path)?,
            }
            touched.extend(step.path().parent());
            fault::point("restore.file");
        }
        // A folder that went is not there to be flushed; something else may be.
        for dir in touched.into_iter().filter(|dir| !self.goes.contains(dir)) {
            self.base.sync(dir)?;
        }
        Ok(self.plan.changes.len())
    }

    fn write(&self, path: &Path) -> Result<(), EngineError> {
        if let Some(staged) = self.files.get(path) {
            return Ok(self.base.rename(staged, path)?);
        }
        let Some(entry) = self.plan.entry(path) else {
            return Ok(());
        };
        let name = format!("{STAGED}{}-link", self.id.hex());
        let temporary = path.with_file_name(name);
        self.base.remove_file(&temporary)?;
        let node = |kind, device| self.base.make_node(&temporary, kind, device);
        match &entry.kind {
            EntryKind::Symlink { target } => self.base.symlink(target, &temporary)?,
            EntryKind::Fifo => node(FileType::Fifo, 0)?,
            EntryKind::Char { device } => node(FileType::CharacterDevice, *device)?,
            EntryKind::Block { device } => node(FileType::BlockDevice, *device)?,
            EntryKind::File { .. } | EntryKind::Dir | EntryKind::Socket => return Ok(()),
        }
        self.dress_as(&temporary, entry)?;
        Ok(self.base.rename(&temporary, path)?)
    }

    fn dress(&self, path: &Path) -> Result<(), EngineError> {
        match self.plan.entry(path) {
            Some(entry) => self.dress_as(path, entry),
            None => Ok(()),
        }
    }

    fn dress_as(&self, path: &Path, entry: &Entry) -> Result<(), EngineError> {
        let wanted = attributes(entry);
        match entry.kind {
            EntryKind::Symlink { .. } => self.base.dress_symlink(path, &wanted)?,
            EntryKind::File { .. } | EntryKind::Dir => self.base.dress(path, &wanted)?,
            _ => self.base.dress_node(path, &wanted)?,
        }
        Ok(())
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_staging_names_is_swept_away() {
        let id = "0198c0de".repeat(4);
        for ours in [format!(".cairn-{id}-0"), format!(".cairn-{id}-link")] {
            assert!(is_staged(OsStr::new(&ours)), "{ours}");
        }
        for theirs in [
            ".cairn-notes".to_owned(),
            ".cairn-".to_owned(),
            format!(".cairn-{id}"),
            format!(".cairn-{id}-"),
            format!(".cairn-{id}-0.bak"),
            format!("x.cairn-{id}-0"),
        ] {
            assert!(!is_staged(OsStr::new(&theirs)), "{theirs}");
        }
    }
}
