//! Holding a file against what is stored of it, by the ids of its chunks.

use std::io::{self, Read};

use rustic_core::DataId;
use sha2::{Digest, Sha256};

use crate::vault::error::VaultError;
use crate::vault::repo::Repo;
use crate::vault::store::parse_id;
use crate::vault::types::{Entry, EntryKind};

const COMPARE: &str = "compare a file";

/// Read at once.
const PIECE: u64 = 128 << 10;

impl Repo {
    /// [`Vault::holds`](crate::vault::Vault::holds).
    pub(crate) fn compare_entry(
        &self,
        entry: &Entry,
        found: &mut dyn Read,
    ) -> Result<bool, VaultError> {
        let EntryKind::File { size, content } = &entry.kind else {
            return Err(VaultError::NoContent {
                path: entry.path.clone(),
            });
        };
        let failed = |error| VaultError::io("compare the content of", &entry.path)(error);
        let mut buffer = Vec::new();
        for chunk in content {
            self.check_stop()?;
            // Of a single chunk the length is known.
            let length = match content.as_slice() {
                [_] => *size,
                _ => self.chunk_length(entry, chunk)?,
            };
            let (mut left, mut hash) = (length, Sha256::new());
            while left > 0 {
                buffer.resize(usize::try_from(left.min(PIECE)).unwrap_or(0), 0);
                match found.read_exact(&mut buffer) {
                    Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(false),
                    read => read.map_err(failed)?,
                }
                hash.update(&buffer);
                left -= buffer.len() as u64;
            }
            if hex::encode(hash.finalize()) != *chunk {
                return Ok(false);
            }
        }
        Ok(found.read(&mut [0; 1]).map_err(failed)? == 0)
    }

    /// Bytes of one chunk's content, as the index has it.
    fn chunk_length(&self, entry: &Entry, chunk: &str) -> Result<u64, VaultError> {
        let unknown = || {
            let path = entry.path.display();
            let text = format!("no index knows the chunk {chunk:?} of {path}");
            self.damaged(COMPARE, Vec::new(), text)
        };
        let id = DataId::from(parse_id(chunk).ok_or_else(unknown)?);
        self.with_reader(COMPARE, |reader| {
            let found = reader.repo.get_index_entry(&id).map_err(|_| unknown())?;
            Ok(found.data_length().into())
        })
    }
}
