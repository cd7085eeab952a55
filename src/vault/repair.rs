//! Repairing a repository: what is damaged is moved aside, what is sound goes
//! on without it. Nothing is deleted.
//!
//! The order matters. The index first: without it nothing is found. Then packs:
//! what is sound in a damaged one is saved. Then snapshots: one that refers to
//! what is lost would keep every prune from its work. What was set aside
//! earlier comes back once all it refers to is there again, for a later
//! capture may have stored it anew.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use rustic_core::repofile::{IndexFile, IndexId, IndexPack, SnapshotFile, SnapshotId};
use rustic_core::{DataId, FileType, Id, RepairIndexOptions};

use crate::vault::durable::{ensure_dir, sync_dir};
use crate::vault::error::VaultError;
use crate::vault::repo::{Repo, reason};
use crate::vault::salvage::salvage;
use crate::vault::store::parse_id;
use crate::vault::types::{EntryKind, Repaired};
use crate::vault::upkeep::is_named_by_content;

const REPAIR: &str = "repair";

impl Repo {
    /// [`Vault::repair`](crate::vault::Vault::repair).
    pub(crate) fn repair_alone(
        &self,
        aside: &Path,
        read_data: bool,
    ) -> Result<Vec<Repaired>, VaultError> {
        self.drop_reader();
        let mut done = Vec::new();
        self.sweep(&mut done)?;
        let indexed = self.repair_index(aside, &mut done)?;
        self.repair_packs(aside, &indexed, read_data, &mut done)?;
        self.repair_snapshots(aside, &mut done)?;
        Ok(done)
    }

    fn sweep(&self, done: &mut Vec<Repaired>) -> Result<(), VaultError> {
        let leftovers = self.store.leftovers();
        for path in leftovers.map_err(|error| self.fault(REPAIR, error))? {
            fs::remove_file(&path).map_err(VaultError::io("remove the file", &path))?;
            let what = format!("removed {}, left by an interrupted writer", path.display());
            done.push(Repaired::of_all(what));
        }
        Ok(())
    }

    /// Moves damaged index files aside, and has the library index again what
    /// is no longer indexed. Gives what the index says of each pack, also of
    /// those that the library found unusable.
    fn repair_index(
        &self,
        aside: &Path,
        done: &mut Vec<Repaired>,
    ) -> Result<BTreeMap<Id, IndexPack>, VaultError> {
        for (id, why) in self.damaged_indexes()? {
            let to = self.set_aside(aside, FileType::Index, &id)?;
            let what = format!(
                "index {}: {why}; made anew, the old one is {to}",
                short(&id)
            );
            done.push(Repaired::of_all(what));
        }
        let mut packs = self.indexed()?;
        self.index_again()?;
        packs.extend(self.indexed()?);
        Ok(packs)
    }

    /// Nothing is written where index and packs agree.
    fn index_again(&self) -> Result<(), VaultError> {
        let view = self.view();
        let repo = self.open(REPAIR, &view)?;
        let options = RepairIndexOptions::default();
        self.call_writing(REPAIR, &view, || repo.repair_index(&options, false))?;
        self.drop_reader();
        Ok(())
    }

    /// What the index says of each pack.
    fn indexed(&self) -> Result<BTreeMap<Id, IndexPack>, VaultError> {
        let view = self.view();
        let repo = self.open(REPAIR, &view)?;
        let mut packs = BTreeMap::new();
        for id in self.list(FileType::Index)? {
            let index = IndexId::from(id);
            let file = self.call(REPAIR, &view, || repo.get_file::<IndexFile>(&index))?;
            packs.extend(file.packs.into_iter().map(|pack| (*pack.id, pack)));
        }
        Ok(packs)
    }

    /// Replaces damaged packs by what is sound in them. Without `read_data`
    /// only those are looked into whose size is wrong, or that the library
    /// could not index.
    fn repair_packs(
        &self,
        aside: &Path,
        indexed: &BTreeMap<Id, IndexPack>,
        read_data: bool,
        done: &mut Vec<Repaired>,
    ) -> Result<(), VaultError> {
        let stored = self.store.list(FileType::Pack);
        let stored = stored.map_err(|error| self.fault(REPAIR, error))?;
        let mut changed = false;
        for (id, size) in stored {
            let path = self.path_of(FileType::Pack, &id);
            let known = indexed.get(&id);
            let suspect = known.is_none_or(|pack| u64::from(pack.pack_size()) != size);
            if !(suspect || read_data) || (known.is_some() && is_named_by_content(&path, &id)) {
                continue;
            }
            changed = true;
            let mut saved = String::from("nothing in it is sound");
            if let Some(pack) = known {
                let content = fs::read(&path).map_err(VaultError::io("read the file", &path))?;
                if let Some(found) = salvage(&self.key, pack, &content) {
                    if let Some((new, content)) = &found.pack {
                        let written = self.store.write(
                            FileType::Pack,
                            new,
                            bytes::Bytes::from(content.clone()).into(),
                        );
                        written.map_err(|error| self.fault(REPAIR, error))?;
                    }
                    saved = format!("{} pieces saved, {} lost", found.saved, found.lost);
                }
            }
            let to = self.set_aside(aside, FileType::Pack, &id)?;
            let what = format!("pack {}: damaged; {saved}; it is now {to}", short(&id));
            done.push(Repaired::of_all(what));
        }
        match changed {
            true => self.index_again(),
            false => Ok(()),
        }
    }

    /// Moves snapshots aside that cannot be read whole, and takes back those
    /// that can be again.
    fn repair_snapshots(&self, aside: &Path, done: &mut Vec<Repaired>) -> Result<(), VaultError> {
        for id in self.list(FileType::Snapshot)? {
            let path = self.path_of(FileType::Snapshot, &id);
            let Err(why) = self.is_whole(&path, &id) else {
                continue;
            };
            let tag = self.tag(&id);
            let to = self.set_aside(aside, FileType::Snapshot, &id)?;
            let what = format!("snapshot {}: {why}; it is now {to}", short(&id));
            done.push(Repaired { tag, what });
        }
        for (path, id) in set_aside_before(&aside.join(FileType::Snapshot.dirname()))? {
            let home = self.path_of(FileType::Snapshot, &id);
            if home.exists() || !is_named_by_content(&path, &id) {
                continue;
            }
            rename(&path, &home)?;
            if self.is_whole(&home, &id).is_ok() {
                let what = format!("snapshot {} is whole again and back", short(&id));
                let tag = self.tag(&id);
                done.push(Repaired { tag, what });
            } else {
                rename(&home, &path)?;
            }
        }
        self.drop_reader();
        Ok(())
    }

    /// The restore point that a snapshot belongs to, if that can be read.
    fn tag(&self, id: &Id) -> Option<String> {
        let view = self.view();
        let repo = self.open(REPAIR, &view).ok()?;
        let id = SnapshotId::from(*id);
        let file = self.snapshot(REPAIR, &view, &repo, id).ok()?;
        Some(tag_of(&file))
    }

    /// Whether everything that a snapshot refers to is there.
    fn is_whole(&self, path: &Path, id: &Id) -> Result<(), String> {
        if !is_named_by_content(path, id) {
            return Err("its file is damaged".to_owned());
        }
        let entries = self.stored_entries(id.to_hex().as_str()).map_err(reason)?;
        let lost = self.with_reader(REPAIR, |reader| {
            let is_lost = |chunk: &String| {
                let id = parse_id(chunk).map(DataId::from);
                id.is_none_or(|id| reader.repo.get_index_entry(&id).is_err())
            };
            let files = entries.iter().filter(|entry| match &entry.kind {
                EntryKind::File { content, .. } => content.iter().any(is_lost),
                _ => false,
            });
            let lost: Vec<&PathBuf> = files.map(|entry| &entry.path).collect();
            Ok(lost.first().map(|first| (lost.len(), first.to_path_buf())))
        });
        match lost.map_err(reason)? {
            None => Ok(()),
            Some((1, first)) => Err(format!("the content of {} is lost", first.display())),
            Some((n, first)) => Err(format!(
                "the content of {n} files is lost, the first is {}",
                first.display()
            )),
        }
    }

    /// Moves a file of the repository aside; gives where it is now.
    fn set_aside(&self, aside: &Path, tpe: FileType, id: &Id) -> Result<String, VaultError> {
        let dir = aside.join(tpe.dirname());
        make_dirs(&dir).map_err(VaultError::io("make the directory", &dir))?;
        let from = self.path_of(tpe, id);
        let name = id.to_hex();
        let mut to = dir.join(name.as_str());
        let mut number = 0;
        while to.exists() {
            number += 1;
            to = dir.join(format!("{}.{number}", name.as_str()));
        }
        rename(&from, &to)?;
        Ok(to.display().to_string())
    }
}

fn tag_of(file: &SnapshotFile) -> String {
    file.tags.to_string()
}

/// Files set aside earlier, by the ids that their names begin with.
fn set_aside_before(dir: &Path) -> Result<Vec<(PathBuf, Id)>, VaultError> {
    let mut found = Vec::new();
    if !dir.is_dir() {
        return Ok(found);
    }
    for entry in fs::read_dir(dir).map_err(VaultError::io("list the directory", dir))? {
        let path = entry
            .map_err(VaultError::io("list the directory", dir))?
            .path();
        let stem = path.file_name().and_then(|name| name.to_str());
        let stem = stem.and_then(|name| name.split('.').next());
        if let Some(id) = stem.and_then(parse_id) {
            found.push((path, id));
        }
    }
    found.sort();
    Ok(found)
}

/// Makes a directory and those above it, private and durably.
pub(crate) fn make_dirs(dir: &Path) -> io::Result<()> {
    if dir.is_dir() {
        return Ok(());
    }
    let Some(parent) = dir.parent() else {
        return Ok(());
    };
    make_dirs(parent)?;
    ensure_dir(dir)?;
    sync_dir(parent)
}

/// A rename that survives a power cut.
pub(crate) fn rename(from: &Path, to: &Path) -> Result<(), VaultError> {
    let rename = || {
        fs::rename(from, to)?;
        [to, from]
            .iter()
            .filter_map(|path| path.parent())
            .try_for_each(sync_dir)
    };
    rename().map_err(VaultError::io("move aside the file", from))
}

fn short(id: &Id) -> String {
    id.to_hex().as_str().chars().take(12).collect()
}
