//! Copies of snapshots in other repositories, and what is noted beside them.
//!
//! A copy is known by the id of its original, never by its time: clocks differ.
//! Whoever prunes the other repository at the same time may take what a copy
//! relied upon: [`Repo::lacks`] looks afterwards.

use std::fs;
use std::time::Duration;

use chrono::{DateTime, Utc};
use rustic_core::repofile::{SnapshotFile, SnapshotId};
use rustic_core::{DataId, FileType, LimitOption, PruneOptions, TreeId};

use crate::vault::capture::to_snapshot;
use crate::vault::error::VaultError;
use crate::vault::repo::Repo;
use crate::vault::store::parse_id;

const COPY: &str = "copy the snapshot";
const NOTE: &str = "write the note";
const PRUNE: &str = "prune";

/// Something that is noted beside the snapshots: a snapshot of the same content
/// as another, whose description is the text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// Its only tag.
    pub tag: String,
    /// The machine that notes it.
    pub host: String,
    /// When.
    pub time: DateTime<Utc>,
    /// The root tree of a snapshot that is there, 64 hex digits.
    pub tree: String,
    /// What is noted.
    pub text: String,
}

/// After so long nobody is at work on a file any more.
const SETTLED: Duration = Duration::from_secs(24 * 60 * 60);

/// How often a prune is planned, where others push meanwhile.
const ATTEMPTS: u32 = 5;

impl Repo {
    /// Copies snapshots, with all they hold, to another repository. What is
    /// there already is not stored again. Each copy has its original's id.
    ///
    /// # Errors
    ///
    /// Content that cannot be read here, or what the system or the server says
    /// there. What was sent by then serves the next attempt.
    pub fn copy_all_to(&self, to: &Self, snapshots: &[&str]) -> Result<(), VaultError> {
        if snapshots.is_empty() {
            return Ok(());
        }
        let (from_view, from) = self.with_index(COPY, |open| open.to_indexed())?;
        let mut files = Vec::new();
        for snapshot in snapshots {
            let id: SnapshotId = self.existing(snapshot)?;
            let mut file = self.snapshot(COPY, &from_view, &from, id)?;
            file.original = Some(id);
            files.push(file);
        }
        let (to_view, dest) = to.with_index(COPY, |open| open.to_indexed_ids())?;
        to.call_writing(COPY, &to_view, || from.copy(&dest, &files))
            .map_err(|error| match (from_view.take_fault(), error) {
                (Some(fault), _) => self.fault(COPY, fault),
                // Nothing failed there but the library: it is what was read here.
                (None, VaultError::Repository { detail, .. }) => {
                    self.damaged(COPY, from_view.last_read().into_iter().collect(), detail)
                }
                (None, error) => error,
            })
    }

    /// Whether there is no index at all: nothing that is stored can be found.
    ///
    /// # Errors
    ///
    /// What the system or the server says.
    pub fn index_is_gone(&self) -> Result<bool, VaultError> {
        Ok(self.list(FileType::Index)?.is_empty())
    }

    /// Those of our snapshots of which not every piece is in the index of `to`,
    /// as it is now.
    ///
    /// # Errors
    ///
    /// Trees that cannot be read here, or an index that cannot be read there.
    pub fn lacks(&self, to: &Self, snapshots: &[&str]) -> Result<Vec<String>, VaultError> {
        let operation = "look for the copies";
        let (_, dest) = to.with_index(operation, |open| open.to_indexed())?;
        let mut lacking = Vec::new();
        for snapshot in snapshots {
            let id = self.existing(snapshot)?;
            let whole = self.with_reader(operation, |reader| {
                let file = self.snapshot(operation, &reader.view, &reader.repo, id)?;
                let mut left: Vec<TreeId> = vec![file.tree];
                while let Some(tree) = left.pop() {
                    if dest.get_index_entry(&tree).is_err() {
                        return Ok(false);
                    }
                    let tree =
                        self.call(operation, &reader.view, || reader.repo.get_tree(&tree))?;
                    for node in tree.nodes {
                        let gone = |id: &DataId| dest.get_index_entry(id).is_err();
                        if node.content.iter().flatten().any(gone) {
                            return Ok(false);
                        }
                        left.extend(node.subtree);
                    }
                }
                Ok(true)
            })?;
            if !whole {
                lacking.push((*snapshot).to_owned());
            }
        }
        Ok(lacking)
    }

    /// Whether a tree is in the index, as it is now.
    ///
    /// # Errors
    ///
    /// An index that cannot be read.
    pub fn holds_tree(&self, tree: &str) -> Result<bool, VaultError> {
        let (_, open) = self.with_index("look for the tree", |open| open.to_indexed())?;
        let tree = parse_id(tree).map(TreeId::from);
        Ok(tree.is_some_and(|tree| open.get_index_entry(&tree).is_ok()))
    }

    /// Writes notes.
    ///
    /// # Errors
    ///
    /// What the system or the server says.
    pub fn note(&self, notes: &[Note]) -> Result<(), VaultError> {
        let mut files: Vec<SnapshotFile> = Vec::new();
        for note in notes {
            let mut file = to_snapshot(&note.tag, &note.host, note.time)?;
            let tree = parse_id(&note.tree).ok_or_else(|| VaultError::InvalidRequest {
                reason: format!("{:?} is no tree", note.tree),
            })?;
            file.tree = TreeId::from(tree);
            file.description = Some(note.text.clone());
            files.push(file);
        }
        let view = self.view();
        let repo = self.open(NOTE, &view)?;
        self.call_writing(NOTE, &view, || repo.save_snapshots(files))
    }

    /// Removes what writers left here that were cut off long ago: no other is at
    /// work on a file for so long.
    fn sweep_beside_others(&self) -> Result<(), VaultError> {
        let leftovers = self.store.leftovers();
        for path in leftovers.map_err(|error| self.fault(PRUNE, error))? {
            let written = fs::metadata(&path).and_then(|file| file.modified());
            let age = written.ok().and_then(|at| at.elapsed().ok());
            if age.is_some_and(|age| age > SETTLED) {
                fs::remove_file(&path).map_err(VaultError::io("remove the file", &path))?;
            }
        }
        Ok(())
    }

    /// Frees what no snapshot needs, while others may be writing: what is to go
    /// is marked first, and goes with a later prune, when it has been so for a
    /// day. Gives the number of bytes that the repository has after.
    ///
    /// # Errors
    ///
    /// A snapshot or an index that cannot be read: nothing is removed then. What
    /// the system or the server says.
    pub fn prune_beside_others(&self) -> Result<u64, VaultError> {
        self.sweep_beside_others()?;
        let damaged = self.list_snapshots()?.damaged;
        if let Some(first) = damaged.first() {
            let files = damaged.iter().map(|s| s.path.clone()).collect();
            return Err(self.damaged(PRUNE, files, first.reason.clone()));
        }
        let mut options = PruneOptions::default();
        options.max_repack = LimitOption::Percentage(20);
        let mut left = ATTEMPTS;
        loop {
            left -= 1;
            let known = self.list(FileType::Snapshot)?;
            let view = self.view();
            let repo = self.open(PRUNE, &view)?;
            match self.call(PRUNE, &view, || repo.prune_plan(&options)) {
                Ok(plan) => {
                    self.call_writing(PRUNE, &view, || repo.prune(&options, plan))?;
                    self.drop_reader();
                    // What came meanwhile may rely upon what was just marked as
                    // not needed: planned again, that is needed. Whoever notes a
                    // snapshot after this finds it marked, and sends it again.
                    let now = self.list(FileType::Snapshot)?;
                    if left == 0 || now.iter().all(|id| known.contains(id)) {
                        return self.bytes();
                    }
                }
                // A push that ended between reading the index and reading the
                // snapshots has one whose content the index read does not tell of.
                Err(_) if left > 0 && self.damaged_indexes()?.is_empty() => {}
                Err(error) => return Err(self.index_error(PRUNE, error)),
            }
        }
    }
}
