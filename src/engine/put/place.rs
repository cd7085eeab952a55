//! Putting in place what is staged: one path after the other, each at once.

use super::{Staged, attributes, flush_all};
use crate::engine::step::step;
use crate::engine::{Engine, EngineError};
use crate::plan::tree_diff::Action;
use crate::system::At;
use crate::system::beneath::Put;
use crate::system::flush::Unflushed;
use crate::system::ours::PREFIX;
use crate::vault::{Entry, EntryKind};
use rustix::fs::FileType;
use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

impl Staged<'_> {
    /// Whether a file has other names, perhaps outside: then it is replaced,
    /// never changed.
    pub(super) fn is_shared(&self, path: &Path) -> Result<bool, EngineError> {
        Ok(self.base.stat(path)?.is_some_and(|s| s.st_nlink > 1))
    }

    /// Takes the steps; gives the number of changes.
    pub(in crate::engine) fn put_in_place(
        &self,
        engine: &Engine<'_>,
    ) -> Result<usize, EngineError> {
        let mut touched: BTreeSet<&Path> = BTreeSet::new();
        for parent in &self.plan.actions.parents {
            step("restore.parent", || {
                self.base.create_dir(&parent.path)?;
                self.dress(&parent.path)
            })?;
            touched.extend(parent.path.parent());
        }
        for action in &self.plan.actions.steps {
            engine.check_stop()?;
            step("restore.file", || self.take(action))?;
            touched.extend(action.path().parent());
        }
        // A folder that went is not there to be flushed; something else may be.
        step("restore.flushed", || {
            let mut unflushed = Unflushed::default();
            for dir in touched.into_iter().filter(|dir| self.is_folder(dir)) {
                let folder = self.base.folder(dir)?;
                unflushed
                    .add(folder)
                    .map_err(io::Error::from)
                    .at("look at", self.base.path().join(dir))?;
            }
            flush_all(&self.base, unflushed)
        })?;
        Ok(self.plan.changes.len())
    }

    /// Whether a folder that something was put into or taken from is one still.
    fn is_folder(&self, dir: &Path) -> bool {
        let comes = self.comes.contains(dir) && {
            let entry = self.plan.entry(dir);
            entry.is_some_and(|e| e.kind == EntryKind::Dir)
        };
        comes || !self.goes.contains(dir)
    }

    fn take(&self, action: &Action) -> Result<(), EngineError> {
        match action {
            // What comes in its place takes it away.
            Action::Remove(path) | Action::RemoveDir(path) if self.comes.contains(&**path) => {}
            Action::Remove(path) => self.base.remove_file(path)?,
            Action::RemoveDir(path) => self.base.remove_dir(path)?,
            Action::CreateDir(path) => self.create_dir(path)?,
            Action::Write(node) => self.write(&node.path)?,
            Action::SetMeta(node) => match self.files.get(&node.path) {
                Some(staged) => self.put(staged, &node.path)?,
                None => self.dress(&node.path)?,
            },
            Action::SetDirMeta(node) => self.dress(&node.path)?,
        }
        Ok(())
    }

    fn put(&self, from: &Path, to: &Path) -> Result<(), EngineError> {
        match self.base.put(from, to)? {
            Put::Whole => Ok(()),
            Put::Within => self.dress(to),
        }
    }

    fn create_dir(&self, path: &Path) -> Result<(), EngineError> {
        if !self.goes.contains(path) {
            return Ok(self.base.create_dir(path)?);
        }
        let temporary = self.temporary(path)?;
        self.base.create_dir(&temporary)?;
        self.put(&temporary, path)
    }

    fn write(&self, path: &Path) -> Result<(), EngineError> {
        if let Some(staged) = self.files.get(path) {
            return self.put(staged, path);
        }
        let Some(entry) = self.plan.entry(path) else {
            return Ok(());
        };
        let temporary = self.temporary(path)?;
        let node = |kind, device| self.base.make_node(&temporary, kind, device);
        match &entry.kind {
            EntryKind::Symlink { target } => self.base.symlink(target, &temporary)?,
            EntryKind::Fifo => node(FileType::Fifo, 0)?,
            EntryKind::Char { device } => node(FileType::CharacterDevice, *device)?,
            EntryKind::Block { device } => node(FileType::BlockDevice, *device)?,
            EntryKind::File { .. } | EntryKind::Dir | EntryKind::Socket => return Ok(()),
        }
        self.dress_as(&temporary, entry)?;
        self.put(&temporary, path)
    }

    /// A name beside `path` that is free.
    fn temporary(&self, path: &Path) -> Result<PathBuf, EngineError> {
        let temporary = path.with_file_name(format!("{PREFIX}{}-link", self.id.hex()));
        self.base.remove_file(&temporary)?;
        Ok(temporary)
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
