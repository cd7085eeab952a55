//! Reading from a repository.

use std::io::Write;
use std::path::{Path, PathBuf};

use chrono::DateTime;
use rustic_core::repofile::{BlobType, SnapshotFile, SnapshotId};
use rustic_core::{BlobId, FileType, Id, Repository};
use sha2::{Digest, Sha256};

use crate::parallel;
use crate::vault::capture::cheap_digest;
use crate::vault::digest::{Line, LineKind, bytes, content_hash, sha};
use crate::vault::error::VaultError;
use crate::vault::node::{is_placeholder, plain_name, to_entry};
use crate::vault::repo::{Reader, Repo, reason};
use crate::vault::store::parse_id;
use crate::vault::types::{DamagedSnapshot, Entry, EntryKind, SnapshotInfo, SnapshotList};

const LIST: &str = "list the snapshot";
const READ: &str = "read a file";

/// So many small files are asked of a server at once: what takes the time is to
/// wait for each answer.
const AT_ONCE: usize = 16;

/// A snapshot's id, and its file or why it cannot be read.
pub(crate) type SnapshotRead = (Id, Result<SnapshotFile, VaultError>);

impl Repo {
    /// [`Vault::entries`](crate::vault::Vault::entries).
    pub(crate) fn stored_entries(&self, snapshot: &str) -> Result<Vec<Entry>, VaultError> {
        let id = self.existing(snapshot)?;
        let mut entries = self.with_reader(LIST, |reader| self.walk_trees(reader, id))?;
        entries.sort_by(|a, b| bytes(&a.path).cmp(bytes(&b.path)));
        Ok(entries)
    }

    fn walk_trees(&self, reader: &Reader, id: SnapshotId) -> Result<Vec<Entry>, VaultError> {
        let snapshot = self.snapshot(LIST, &reader.view, &reader.repo, id)?;
        let mut entries = Vec::new();
        let mut left = vec![(PathBuf::from("/"), snapshot.tree)];
        while let Some((parent, tree)) = left.pop() {
            let tree = self.call(LIST, &reader.view, || reader.repo.get_tree(&tree))?;
            for node in tree.nodes {
                let broken = |what: &str| {
                    let files = reader.view.last_read().into_iter().collect();
                    let text = format!("{what} {:?} in {}", node.name, parent.display());
                    self.damaged(LIST, files, text)
                };
                let name = plain_name(&node).ok_or_else(|| broken("the impossible name"))?;
                let path = parent.join(name);
                match (node.is_dir(), node.subtree) {
                    (true, Some(subtree)) => left.push((path.clone(), subtree)),
                    (true, None) => return Err(broken("no tree for")),
                    (false, _) => {}
                }
                if node.is_file() && node.content.is_none() {
                    return Err(broken("no content for"));
                }
                if !is_placeholder(&node) {
                    entries.push(to_entry(&path, &node));
                }
            }
        }
        Ok(entries)
    }

    /// [`Vault::read`](crate::vault::Vault::read).
    pub(crate) fn read_entry(
        &self,
        entry: &Entry,
        out: &mut dyn Write,
        verified: bool,
    ) -> Result<(), VaultError> {
        let EntryKind::File { size, content } = &entry.kind else {
            return Err(VaultError::NoContent {
                path: entry.path.clone(),
            });
        };
        let mut total = 0;
        for chunk in content {
            self.check_stop()?;
            let data = self.chunk(&entry.path, chunk, verified)?;
            total += data.len() as u64;
            let output = |source| VaultError::Output {
                path: entry.path.clone(),
                source,
            };
            out.write_all(&data).map_err(output)?;
            self.watch.advance(data.len() as u64);
        }
        if total == *size {
            Ok(())
        } else {
            let text = format!(
                "{} has {total} bytes instead of {size}",
                entry.path.display()
            );
            Err(self.damaged(READ, Vec::new(), text))
        }
    }

    /// One chunk: what its writer put there, for it is authenticated; verified
    /// against its id, unless that is done later.
    fn chunk(&self, path: &Path, chunk: &str, verified: bool) -> Result<bytes::Bytes, VaultError> {
        let text = || format!("the chunk id {chunk:?} of {}", path.display());
        let id = parse_id(chunk).ok_or_else(|| self.damaged(READ, Vec::new(), text()))?;
        self.with_reader(READ, |reader| {
            let blob = BlobId::from(id);
            let data = self.call(READ, &reader.view, || {
                reader.repo.get_blob_cached(&blob, BlobType::Data)
            })?;
            if !verified || Id::new(sha(&data)) == id {
                return Ok(data);
            }
            let files = reader.view.last_read().into_iter().collect();
            Err(self.damaged(READ, files, text()))
        })
    }

    /// [`Vault::content_hash`](crate::vault::Vault::content_hash).
    pub(crate) fn stored_hash(&self, snapshot: &str) -> Result<String, VaultError> {
        let mut lines = Vec::new();
        for entry in self.stored_entries(snapshot)? {
            let kind = match &entry.kind {
                EntryKind::File { content, .. } => {
                    let known = cheap_digest(content);
                    let digest = match known {
                        Some(digest) => digest,
                        None => {
                            let mut hasher = Sha256::new();
                            self.read_entry(&entry, &mut Hashing(&mut hasher), true)?;
                            hasher.finalize().into()
                        }
                    };
                    LineKind::File(Some(digest))
                }
                EntryKind::Dir => LineKind::Dir,
                EntryKind::Symlink { target } => LineKind::Symlink(sha(bytes(target))),
                EntryKind::Fifo => LineKind::Fifo,
                EntryKind::Char { device } => LineKind::Char(*device),
                EntryKind::Block { device } => LineKind::Block(*device),
                // We store none; another program's has nothing to compare.
                EntryKind::Socket => continue,
            };
            lines.push(Line {
                path: entry.path,
                kind,
                mode: entry.mode,
            });
        }
        content_hash(&mut lines).ok_or_else(|| {
            self.damaged(
                LIST,
                Vec::new(),
                "a file's content has no digest".to_owned(),
            )
        })
    }

    /// [`Vault::snapshots`](crate::vault::Vault::snapshots).
    pub(crate) fn list_snapshots(&self) -> Result<SnapshotList, VaultError> {
        let view = self.view();
        let repo = self.open("list the snapshots", &view)?;
        let mut list = SnapshotList::default();
        for (id, snapshot) in self.snapshot_files(&repo)? {
            match snapshot {
                Ok(file) => list.good.push(info(id, &file)),
                Err(error) => list.damaged.push(DamagedSnapshot {
                    id: id.to_hex().to_string(),
                    path: self.path_of(FileType::Snapshot, &id),
                    reason: reason(error),
                }),
            }
        }
        list.good
            .sort_by(|a, b| (a.time, &a.id).cmp(&(b.time, &b.id)));
        Ok(list)
    }

    /// Every snapshot file, read one by one: the library's own listing ends at
    /// the first damaged one.
    pub(crate) fn snapshot_files(
        &self,
        repo: &Repository<impl rustic_core::Open + Sync>,
    ) -> Result<Vec<SnapshotRead>, VaultError> {
        let operation = "read the snapshot";
        let read = |id: &Id| {
            let file = self.snapshot(operation, &self.view(), repo, SnapshotId::from(*id));
            match file {
                // A server that does not answer says nothing of its files.
                Err(error @ VaultError::Far { .. }) => Err(error),
                // Forgotten by someone else since it was listed.
                Err(_) if !self.is_there(FileType::Snapshot, id)? => Ok(None),
                file => Ok(Some((*id, file))),
            }
        };
        let ids = self.list(FileType::Snapshot)?;
        let files = match self.store.is_far() {
            true => parallel::at_once(AT_ONCE, &ids, read)?,
            false => parallel::each(&ids, read)?,
        };
        Ok(files.into_iter().flatten().collect())
    }
}

fn info(id: Id, file: &SnapshotFile) -> SnapshotInfo {
    let nanos = file.time.timestamp().as_nanosecond();
    let seconds = i64::try_from(nanos.div_euclid(1_000_000_000)).unwrap_or_default();
    let below = u32::try_from(nanos.rem_euclid(1_000_000_000)).unwrap_or_default();
    SnapshotInfo {
        id: id.to_hex().to_string(),
        tag: file.tags.to_string(),
        time: DateTime::from_timestamp(seconds, below).unwrap_or_default(),
        host: file.hostname.clone(),
        tree: file.tree.to_hex().to_string(),
        original: file.original.map(|id| id.to_hex().to_string()),
        description: file.description.clone(),
    }
}

/// Hashes what is written to it.
struct Hashing<'a>(&'a mut Sha256);

impl Write for Hashing<'_> {
    fn write(&mut self, buffer: &[u8]) -> std::io::Result<usize> {
        self.0.update(buffer);
        Ok(buffer.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
