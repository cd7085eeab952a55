//! The files of a repository far away, through a backend of the library or one
//! of our own.
//!
//! Names are the library's. An address that is told or stored never holds a
//! secret: what opens the server comes from elsewhere.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustic_core::{BytesList, FileType, Id, RusticError, WriteBackend};

use crate::fault;
use crate::vault::store::{READ, StoreResult, WRITE, failed};
use crate::vault::words::one_line;

/// A server that keeps a repository.
#[derive(Clone)]
pub(crate) struct Far {
    backend: Arc<dyn WriteBackend>,
    /// Its address, without secrets.
    address: PathBuf,
}

impl fmt::Debug for Far {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Far").field(&self.address).finish()
    }
}

/// How a REST server's answer and an object store's are told when a file is not
/// there. Longer than anything that an address may be: an address is told, too.
const MISSING: [&str; 2] = [
    "HTTP status client error (404 Not Found)",
    "store: NotFound:",
];

/// What the library says, as the system would say it.
fn told(error: &RusticError) -> io::Error {
    let text = one_line(&error.display_log());
    let kind = match MISSING.iter().any(|words| text.contains(words)) {
        true => io::ErrorKind::NotFound,
        false => io::ErrorKind::Other,
    };
    io::Error::new(kind, text)
}

impl Far {
    pub(crate) fn new(backend: Arc<dyn WriteBackend>, address: &str) -> Self {
        Self {
            backend,
            address: PathBuf::from(address.trim_end_matches('/')),
        }
    }

    pub(crate) fn root(&self) -> &Path {
        &self.address
    }

    pub(crate) fn path(&self, tpe: FileType, id: &Id) -> PathBuf {
        match tpe {
            FileType::Config => self.address.join("config"),
            _ => self.address.join(tpe.dirname()).join(id.to_hex().as_str()),
        }
    }

    pub(crate) fn create(&self) -> StoreResult<()> {
        let made = self.backend.create();
        made.map_err(|e| failed("make the repository", &self.address)(told(&e)))
    }

    pub(crate) fn write(&self, tpe: FileType, id: &Id, content: BytesList) -> StoreResult<()> {
        let path = self.path(tpe, id);
        fault::before("remote.write").map_err(failed(WRITE, &path))?;
        let written = self.backend.write_bytes(tpe, id, false, content);
        written.map_err(|e| failed(WRITE, &path)(told(&e)))?;
        fault::point("remote.write");
        Ok(())
    }

    pub(crate) fn read(&self, tpe: FileType, id: &Id) -> StoreResult<Vec<u8>> {
        let read = self.backend.read_full(tpe, id);
        let read = read.map_err(|e| failed(READ, &self.path(tpe, id))(told(&e)))?;
        Ok(read.into())
    }

    pub(crate) fn read_range(
        &self,
        tpe: FileType,
        id: &Id,
        offset: u32,
        length: u32,
    ) -> StoreResult<Vec<u8>> {
        let read = self.backend.read_partial(tpe, id, false, offset, length);
        let read = read.map_err(|e| failed(READ, &self.path(tpe, id))(told(&e)))?;
        Ok(read.into())
    }

    pub(crate) fn list(&self, tpe: FileType) -> StoreResult<BTreeMap<Id, u64>> {
        let listed = self.backend.list_with_size(tpe);
        let folder = self.address.join(tpe.dirname());
        let listed = listed.map_err(|e| failed("list the files of", &folder)(told(&e)))?;
        Ok(listed
            .into_iter()
            .map(|(id, size)| (id, u64::from(size)))
            .collect())
    }

    pub(crate) fn remove(&self, tpe: FileType, id: &Id) -> StoreResult<()> {
        let removed = self.backend.remove(tpe, id, false);
        removed.map_err(|e| failed("remove the file", &self.path(tpe, id))(told(&e)))
    }

    pub(crate) fn size(&self) -> StoreResult<u64> {
        let kinds = [
            FileType::Key,
            FileType::Snapshot,
            FileType::Index,
            FileType::Pack,
        ];
        kinds.iter().try_fold(0, |total, tpe| {
            Ok(total + self.list(*tpe)?.values().sum::<u64>())
        })
    }
}
