//! Mending a repository elsewhere, beside others who use it: what was torn when
//! a server died goes, and what it told of is found again.
//!
//! Nothing that can be read is removed, and what is removed is kept here first.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use rustic_core::repofile::{IndexFile, IndexId};
use rustic_core::{FileType, Id, RepairIndexOptions};
use sha2::{Digest, Sha256};

use crate::vault::durable::{sync_dir, write_synced};
use crate::vault::error::VaultError;
use crate::vault::repair::make_dirs;
use crate::vault::repo::{Repo, reason};
use crate::vault::view::View;

const MEND: &str = "mend";

/// How long a small file may take to be written, where a server shows it before
/// all of it is there.
const PATIENCE: Duration = Duration::from_secs(2);

impl Repo {
    /// Makes the index anew where files of it are torn or what they say is not
    /// so, and removes them and snapshots that are torn; gives what was done, a
    /// line each. `aside` takes what is removed. What a pack held that is lost is
    /// in no index then: whoever has it sends it again. With `read_data` every
    /// pack is read for that; else those whose size is not the one that is known.
    ///
    /// # Errors
    ///
    /// A server that does not answer, or takes no deletions: the index is whole
    /// then all the same.
    pub fn mend(&self, aside: &Path, read_data: bool) -> Result<Vec<String>, VaultError> {
        self.drop_reader();
        let mut done = Vec::new();
        if !self.damaged_indexes()?.is_empty() {
            // Perhaps one of them is being written.
            thread::sleep(PATIENCE);
        }
        let mut torn = BTreeSet::new();
        for (id, why) in self.damaged_indexes()? {
            if let Some(content) = self.if_torn(FileType::Index, &id)? {
                self.keep(aside, FileType::Index, &id, &content)?;
                done.push(line(FileType::Index, &id, &why));
                torn.insert(id);
            }
        }
        // The library cannot look into a pack that is torn. Not seen, it is in no
        // index any more, and the next prune marks it.
        let packs = self.torn_packs(&torn, read_data)?;
        for (id, _) in packs.iter().filter(|(_, known)| **known) {
            let id = &id.to_hex().as_str()[..8].to_owned();
            done.push(format!("took the pack {id} out of the index: it is torn"));
        }
        // What is found again is written before the torn files go.
        let hidden = packs.into_keys().chain(torn.iter().copied()).collect();
        let view = Arc::new(View::hiding(self.store.clone(), hidden));
        let repo = self.open(MEND, &view)?;
        let options = RepairIndexOptions::default();
        self.call_writing(MEND, &view, || repo.repair_index(&options, false))?;
        for id in &torn {
            self.drop_file(FileType::Index, id)?;
        }
        let view = self.view();
        let repo = self.open(MEND, &view)?;
        for (id, file) in self.snapshot_files(&repo)? {
            let Err(error) = file else { continue };
            if let Some(content) = self.if_torn(FileType::Snapshot, &id)? {
                self.keep(aside, FileType::Snapshot, &id, &content)?;
                self.drop_file(FileType::Snapshot, &id)?;
                done.push(line(FileType::Snapshot, &id, &reason(error)));
            }
        }
        self.drop_reader();
        Ok(done)
    }

    /// Packs that the index does not have as they are, and that are torn; and
    /// whether it has them at all.
    fn torn_packs(
        &self,
        without: &BTreeSet<Id>,
        read_data: bool,
    ) -> Result<BTreeMap<Id, bool>, VaultError> {
        let view = Arc::new(View::hiding(self.store.clone(), without.clone()));
        let repo = self.open(MEND, &view)?;
        let mut known = BTreeMap::new();
        for id in self.list(FileType::Index)? {
            if !without.contains(&id) {
                let file: IndexFile =
                    self.call(MEND, &view, || repo.get_file(&IndexId::from(id)))?;
                let sizes = file.packs.iter().map(|p| (*p.id, u64::from(p.pack_size())));
                known.extend(sizes);
            }
        }
        let stored = self.store.list(FileType::Pack);
        let mut torn = BTreeMap::new();
        for (id, size) in stored.map_err(|error| self.fault(MEND, error))? {
            let doubtful = read_data || known.get(&id) != Some(&size);
            if doubtful && self.if_torn(FileType::Pack, &id)?.is_some() {
                torn.insert(id, known.contains_key(&id));
            }
        }
        Ok(torn)
    }

    /// The content of a file, where that is not what its name says.
    fn if_torn(&self, tpe: FileType, id: &Id) -> Result<Option<Vec<u8>>, VaultError> {
        let content = self.store.read(tpe, id);
        let content = content.map_err(|error| self.fault(MEND, error))?;
        let is = Id::new(Sha256::digest(&content).into());
        Ok((is != *id).then_some(content))
    }

    fn keep(&self, aside: &Path, tpe: FileType, id: &Id, content: &[u8]) -> Result<(), VaultError> {
        let dir = aside.join(tpe.dirname());
        make_dirs(&dir).map_err(VaultError::io("make the directory", &dir))?;
        let path = dir.join(id.to_hex().as_str());
        match write_synced(&path, content) {
            // Kept already, by a run that ended before it was removed.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            other => other.and_then(|()| sync_dir(&dir)),
        }
        .map_err(VaultError::io("write the file", &path))
    }

    fn drop_file(&self, tpe: FileType, id: &Id) -> Result<(), VaultError> {
        let removed = self.store.remove(tpe, id);
        removed.map_err(|error| self.fault(MEND, error))
    }
}

fn line(tpe: FileType, id: &Id, why: &str) -> String {
    let hex = id.to_hex();
    let kind = tpe.dirname().trim_end_matches('s');
    format!("removed the {kind} {}: {why}", &hex.as_str()[..8])
}
