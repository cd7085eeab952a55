//! The files of one repository, on the local disk or far away.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use rustic_core::{BytesList, FileType, Id};

use crate::vault::disk::Disk;
use crate::vault::far::Far;
use crate::vault::pending::Pending;

/// A failed operation on a file of the repository.
#[derive(Debug)]
pub(crate) struct StoreError {
    pub(crate) operation: &'static str,
    pub(crate) path: PathBuf,
    pub(crate) source: io::Error,
}

impl StoreError {
    /// Reading the content of a file failed.
    pub(crate) fn is_read(&self) -> bool {
        self.operation == READ
    }
}

pub(crate) const READ: &str = "read the file";
pub(crate) const WRITE: &str = "write the file";

/// Result of a [`Store`] operation.
pub(crate) type StoreResult<T> = Result<T, StoreError>;

pub(crate) fn failed(operation: &'static str, path: &Path) -> impl FnOnce(io::Error) -> StoreError {
    move |source| StoreError {
        operation,
        path: path.to_owned(),
        source,
    }
}

/// Where the files of a repository are.
#[derive(Debug, Clone)]
pub(crate) enum Store {
    /// A directory of this machine.
    Disk(Disk),
    /// Another machine.
    Far(Far),
}

impl Store {
    pub(crate) const fn new(root: PathBuf) -> Self {
        Self::Disk(Disk::new(root))
    }

    /// Whether each file is asked of a server.
    pub(crate) const fn is_far(&self) -> bool {
        matches!(self, Self::Far(_))
    }

    /// Its directory, or its address, which names no secret.
    pub(crate) fn root(&self) -> &Path {
        match self {
            Self::Disk(disk) => disk.root(),
            Self::Far(far) => far.root(),
        }
    }

    /// Where a file of the repository is, to be told; on the local disk that is
    /// a path to be used.
    pub(crate) fn path(&self, tpe: FileType, id: &Id) -> PathBuf {
        match self {
            Self::Disk(disk) => disk.path(tpe, id),
            Self::Far(far) => far.path(tpe, id),
        }
    }

    /// Makes what a new repository needs before its first file.
    pub(crate) fn create(&self) -> StoreResult<()> {
        match self {
            Self::Disk(disk) => disk.create(),
            Self::Far(far) => far.create(),
        }
    }

    /// Stores a file durably; when this returns, it survives a power cut.
    pub(crate) fn write(&self, tpe: FileType, id: &Id, content: BytesList) -> StoreResult<()> {
        match self {
            Self::Disk(disk) => disk.write(tpe, id, content.slice()),
            Self::Far(far) => far.write(tpe, id, content),
        }
    }

    /// Writes a pack that is durable once `pending` is settled.
    pub(crate) fn write_pack(
        &self,
        id: &Id,
        content: BytesList,
        pending: &mut Pending,
    ) -> StoreResult<()> {
        match self {
            Self::Disk(disk) => disk.write_pack(id, content.slice(), pending),
            Self::Far(far) => far.write(FileType::Pack, id, content),
        }
    }

    /// All packs that wait survive a power cut when this returns.
    pub(crate) fn settle(&self, pending: &mut Pending) -> StoreResult<()> {
        match self {
            Self::Disk(disk) => disk.settle(pending),
            Self::Far(_) => Ok(()),
        }
    }

    pub(crate) fn read(&self, tpe: FileType, id: &Id) -> StoreResult<Vec<u8>> {
        match self {
            Self::Disk(disk) => disk.read(tpe, id),
            Self::Far(far) => far.read(tpe, id),
        }
    }

    pub(crate) fn read_range(
        &self,
        tpe: FileType,
        id: &Id,
        offset: u32,
        length: u32,
    ) -> StoreResult<Vec<u8>> {
        match self {
            Self::Disk(disk) => disk.read_range(tpe, id, offset, length),
            Self::Far(far) => far.read_range(tpe, id, offset, length),
        }
    }

    /// Ids and sizes of all files of a kind; other names are no part of the
    /// repository and are passed over.
    pub(crate) fn list(&self, tpe: FileType) -> StoreResult<BTreeMap<Id, u64>> {
        match self {
            Self::Disk(disk) => disk.list(tpe),
            Self::Far(far) => far.list(tpe),
        }
    }

    /// Whether a file is there.
    pub(crate) fn holds(&self, tpe: FileType, id: &Id) -> StoreResult<bool> {
        match self {
            Self::Disk(disk) => disk.holds(tpe, id),
            Self::Far(far) => Ok(far.list(tpe)?.contains_key(id)),
        }
    }

    /// Removes a file. The removal of an index or a snapshot is durable when
    /// this returns: what it referred to may be removed next.
    pub(crate) fn remove(&self, tpe: FileType, id: &Id) -> StoreResult<()> {
        match self {
            Self::Disk(disk) => disk.remove(tpe, id),
            Self::Far(far) => far.remove(tpe, id),
        }
    }

    /// Leftovers of interrupted writers. Under a shared lock some may be alive.
    pub(crate) fn leftovers(&self) -> StoreResult<Vec<PathBuf>> {
        match self {
            Self::Disk(disk) => disk.leftovers(),
            Self::Far(_) => Ok(Vec::new()),
        }
    }

    /// Bytes of all files of the repository.
    pub(crate) fn size(&self) -> StoreResult<u64> {
        match self {
            Self::Disk(disk) => disk.size(),
            Self::Far(far) => far.size(),
        }
    }
}

/// A full id: 64 lower-case hex digits.
pub(crate) fn parse_id(text: &str) -> Option<Id> {
    let digits = text
        .bytes()
        .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    if text.len() == 64 && digits {
        text.parse().ok()
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_full_ids_are_ids() {
        assert!(parse_id(&"0f".repeat(32)).is_some());
        for bad in [
            "",
            "latest",
            "../config",
            &"0F".repeat(32),
            &"0f".repeat(31),
        ] {
            assert!(parse_id(bad).is_none(), "{bad}");
        }
    }
}
