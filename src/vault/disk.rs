//! The files of a repository on the local disk.
//!
//! Layout and names are restic's. Unlike the backend that comes with the
//! library, files are 0600 and directories 0700 under any umask, a file only
//! gets its name once it is durable, the name is made durable too, and what an
//! interrupted writer leaves lies in `tmp/`, where no reader looks.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

use rustic_core::{FileType, Id};

use crate::fault;
use crate::vault::durable::{create_temporary, ensure_dir, sync_dir};
use crate::vault::pending::Pending;
use crate::vault::store::{READ, StoreResult, WRITE, failed, parse_id};

/// The directory of one repository.
#[derive(Debug, Clone)]
pub(crate) struct Disk {
    root: PathBuf,
}

impl Disk {
    pub(crate) const fn new(root: PathBuf) -> Self {
        Self { root }
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// Where a file of the repository is.
    pub(crate) fn path(&self, tpe: FileType, id: &Id) -> PathBuf {
        if tpe == FileType::Config {
            return self.root.join("config");
        }
        let name = id.to_hex();
        let base = self.root.join(tpe.dirname());
        match tpe {
            FileType::Pack => base.join(&name.as_str()[..2]).join(name.as_str()),
            _ => base.join(name.as_str()),
        }
    }

    fn temporaries(&self) -> PathBuf {
        self.root.join("tmp")
    }

    /// Makes the directories of a new repository.
    pub(crate) fn create(&self) -> StoreResult<()> {
        let names = ["", "data", "index", "keys", "locks", "snapshots", "tmp"];
        for name in names {
            let path = self.root.join(name);
            ensure_dir(&path).map_err(failed("make the directory", &path))?;
        }
        // Now rather than one by one: a capture then has less to sync.
        for number in 0..=u8::MAX {
            let path = self.root.join("data").join(hex::encode([number]));
            ensure_dir(&path).map_err(failed("make the directory", &path))?;
        }
        Ok(())
    }

    /// Stores a file durably; when this returns, it survives a power cut.
    pub(crate) fn write(
        &self,
        tpe: FileType,
        id: &Id,
        content: &[impl AsRef<[u8]>],
    ) -> StoreResult<()> {
        let path = self.path(tpe, id);
        let (file, temporary) = self.write_temporary(&path, content)?;
        let named = file.sync_all().and_then(|()| {
            drop(file);
            self.publish(&temporary, &path)
        });
        named.map_err(|error| {
            // Best effort: what stays is removed by the next prune.
            let _ = fs::remove_file(&temporary);
            failed(WRITE, &path)(error)
        })?;
        fault::point("vault.write");
        Ok(())
    }

    /// Writes a pack that gets its name when `pending` is settled.
    pub(crate) fn write_pack(
        &self,
        id: &Id,
        content: &[impl AsRef<[u8]>],
        pending: &mut Pending,
    ) -> StoreResult<()> {
        let path = self.path(FileType::Pack, id);
        let (file, temporary) = self.write_temporary(&path, content)?;
        pending.add(file, temporary, path);
        fault::point("vault.write");
        Ok(())
    }

    /// Gives all packs that wait their names; they survive a power cut then.
    pub(crate) fn settle(&self, pending: &mut Pending) -> StoreResult<()> {
        let settled = pending.settle(|folder| self.make_again(folder));
        settled.map_err(|(path, error)| failed(WRITE, &path)(error))
    }

    fn write_temporary(
        &self,
        path: &Path,
        content: &[impl AsRef<[u8]>],
    ) -> StoreResult<(File, PathBuf)> {
        fault::before("vault.write").map_err(failed(WRITE, path))?;
        let temporaries = self.temporaries();
        let created = match create_temporary(&temporaries) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                ensure_dir(&temporaries).and_then(|()| create_temporary(&temporaries))
            }
            other => other,
        };
        let (mut file, temporary) = created.map_err(failed(WRITE, &temporaries))?;
        for part in content {
            if let Err(error) = file.write_all(part.as_ref()) {
                let _ = fs::remove_file(&temporary);
                return Err(failed(WRITE, path)(error));
            }
        }
        Ok((file, temporary))
    }

    /// Gives a durable temporary its name, and makes that durable.
    fn publish(&self, temporary: &Path, path: &Path) -> io::Result<()> {
        let parent = path.parent().unwrap_or(&self.root);
        match fs::rename(temporary, path) {
            // A copy of the repository may lack empty directories.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.make_again(parent)?;
                fs::rename(temporary, path)?;
            }
            other => other?,
        }
        sync_dir(parent)
    }

    /// Makes a directory of the repository that is missing, for good.
    fn make_again(&self, folder: &Path) -> io::Result<()> {
        ensure_dir(folder)?;
        sync_dir(folder.parent().unwrap_or(&self.root))
    }

    pub(crate) fn read(&self, tpe: FileType, id: &Id) -> StoreResult<Vec<u8>> {
        let path = self.path(tpe, id);
        fault::before("vault.read")
            .and_then(|()| fs::read(&path))
            .map_err(failed(READ, &path))
    }

    pub(crate) fn read_range(
        &self,
        tpe: FileType,
        id: &Id,
        offset: u32,
        length: u32,
    ) -> StoreResult<Vec<u8>> {
        let path = self.path(tpe, id);
        let read = || {
            fault::before("vault.read")?;
            let mut content = vec![0; usize::try_from(length).map_err(io::Error::other)?];
            File::open(&path)?.read_exact_at(&mut content, offset.into())?;
            Ok(content)
        };
        read().map_err(failed(READ, &path))
    }

    /// Ids and sizes of all files of a kind; other names are no part of the
    /// repository and are passed over.
    pub(crate) fn list(&self, tpe: FileType) -> StoreResult<BTreeMap<Id, u64>> {
        let mut found = BTreeMap::new();
        if tpe == FileType::Config {
            let path = self.root.join("config");
            match fs::metadata(&path) {
                Ok(metadata) => {
                    found.insert(Id::default(), metadata.len());
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(failed("look at the file", &path)(error)),
            }
            return Ok(found);
        }
        let base = self.root.join(tpe.dirname());
        if tpe == FileType::Pack {
            for entry in list_dir(&base)? {
                let is_dir = entry.file_type().is_ok_and(|kind| kind.is_dir());
                if is_dir && entry.file_name().len() == 2 {
                    collect(&entry.path(), &mut found)?;
                }
            }
        } else {
            collect(&base, &mut found)?;
        }
        Ok(found)
    }

    /// Whether a file is there.
    pub(crate) fn holds(&self, tpe: FileType, id: &Id) -> StoreResult<bool> {
        let path = self.path(tpe, id);
        match fs::symlink_metadata(&path) {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(failed("look at the file", &path)(error)),
        }
    }

    /// Removes a file. The removal of an index or a snapshot is durable when
    /// this returns: what it referred to may be removed next.
    pub(crate) fn remove(&self, tpe: FileType, id: &Id) -> StoreResult<()> {
        let path = self.path(tpe, id);
        let remove = || {
            fs::remove_file(&path)?;
            match (tpe, path.parent()) {
                (FileType::Pack, _) | (_, None) => Ok(()),
                (_, Some(parent)) => sync_dir(parent),
            }
        };
        remove().map_err(failed("remove the file", &path))
    }

    /// Leftovers of interrupted writers. Under a shared lock some may be alive.
    pub(crate) fn leftovers(&self) -> StoreResult<Vec<PathBuf>> {
        let path = self.temporaries();
        match fs::read_dir(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            _ => Ok(list_dir(&path)?.iter().map(fs::DirEntry::path).collect()),
        }
    }

    /// Bytes of all files of the repository.
    pub(crate) fn size(&self) -> StoreResult<u64> {
        let mut total = 0;
        let mut left = vec![self.root.clone()];
        while let Some(path) = left.pop() {
            for entry in list_dir(&path)? {
                match entry.metadata() {
                    Ok(metadata) if metadata.is_dir() => left.push(entry.path()),
                    Ok(metadata) => total += metadata.size(),
                    // A writer's temporary that just got its name.
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                    Err(error) => return Err(failed("look at the file", &entry.path())(error)),
                }
            }
        }
        Ok(total)
    }
}

fn list_dir(path: &Path) -> StoreResult<Vec<fs::DirEntry>> {
    let entries = fault::before("vault.list")
        .and_then(|()| fs::read_dir(path))
        .and_then(Iterator::collect);
    entries.map_err(failed("list the directory", path))
}

fn collect(directory: &Path, found: &mut BTreeMap<Id, u64>) -> StoreResult<()> {
    for entry in list_dir(directory)? {
        let name = entry.file_name();
        let Some(id) = name.to_str().and_then(parse_id) else {
            continue;
        };
        match entry.metadata() {
            Ok(metadata) if metadata.is_file() => {
                found.insert(id, metadata.len());
            }
            Ok(_) => {}
            // Forgotten by someone else meanwhile.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(failed("look at the file", &entry.path())(error)),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store() -> (tempfile::TempDir, Disk) {
        let dir = tempfile::tempdir().unwrap();
        let store = Disk::new(dir.path().join("repo"));
        store.create().unwrap();
        (dir, store)
    }

    #[test]
    fn a_failed_write_leaves_no_temporary() {
        let (_dir, store) = store();
        let id = Id::new([1; 32]);
        // A directory is in the way of the name.
        fs::create_dir(store.path(FileType::Index, &id)).unwrap();
        let error = store.write(FileType::Index, &id, &["x"]).unwrap_err();
        assert_eq!(error.path, store.path(FileType::Index, &id));
        assert!(store.leftovers().unwrap().is_empty());
    }

    #[test]
    fn missing_directories_are_made_again() {
        let (_dir, store) = store();
        let id = Id::new([2; 32]);
        fs::remove_dir_all(store.root().join("data/02")).unwrap();
        fs::remove_dir(store.root().join("tmp")).unwrap();
        store.write(FileType::Pack, &id, &["a", "bc"]).unwrap();
        assert_eq!(store.read(FileType::Pack, &id).unwrap(), b"abc");
        assert_eq!(store.read_range(FileType::Pack, &id, 1, 2).unwrap(), b"bc");
        assert!(
            store
                .read_range(FileType::Pack, &id, 1, 3)
                .unwrap_err()
                .is_read()
        );
        assert_eq!(
            store.list(FileType::Pack).unwrap(),
            BTreeMap::from([(id, 3)])
        );
    }

    #[test]
    fn a_listing_that_fails_is_no_empty_listing() {
        let (_dir, store) = store();
        fs::remove_dir(store.root().join("index")).unwrap();
        assert!(store.list(FileType::Index).is_err());
    }
}
