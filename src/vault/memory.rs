//! A vault in memory, for tests of the layers above.
//!
//! It walks and reads the disk exactly as the real one does, so what may not
//! be read, changes or is excluded behaves the same, and content hashes are
//! equal. Only the storing is simulated.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, Utc};

use crate::vault::Vault;
use crate::vault::capture::{cheap_digest, validate};
use crate::vault::digest::{Line, LineKind, bytes, content_hash, sha};
use crate::vault::error::VaultError;
use crate::vault::log::{CaptureLog, Seen};
use crate::vault::node::{to_entry, to_node};
use crate::vault::types::{
    CaptureRequest, Captured, CheckReport, ComposeRequest, DamagedSnapshot, Entry, EntryKind,
    Forgotten, PruneStats, Repaired, SnapshotInfo, SnapshotList,
};
use crate::vault::walk::{WalkPlan, WalkedKind, Walker};

/// See the module. Share it by reference; it locks itself.
#[derive(Debug, Default)]
pub struct MemoryVault {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    snapshots: BTreeMap<String, Stored>,
    chunks: BTreeMap<String, Vec<u8>>,
    damaged: BTreeSet<String>,
    next_failure: Option<VaultError>,
    count: u64,
}

#[derive(Debug)]
struct Stored {
    info: SnapshotInfo,
    entries: Vec<Entry>,
    hash: String,
}

impl MemoryVault {
    /// An empty vault.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The next call that can fail fails with this.
    pub fn fail_next(&self, error: VaultError) {
        self.lock().next_failure = Some(error);
    }

    /// From now on this snapshot is damaged.
    pub fn damage(&self, snapshot: &str) {
        self.lock().damaged.insert(snapshot.to_owned());
    }

    /// Keeps a snapshot of these entries.
    fn keep(
        &self,
        (tag, host, time): (String, String, DateTime<Utc>),
        entries: Vec<Entry>,
        chunks: Vec<(String, Vec<u8>)>,
        mut seen: Seen,
    ) -> Result<Captured, VaultError> {
        for line in &mut seen.lines {
            let stored = entries.iter().find(|entry| entry.path == line.path);
            if let (LineKind::File(digest @ None), Some(EntryKind::File { content, .. })) =
                (&mut line.kind, stored.map(|entry| &entry.kind))
            {
                *digest = cheap_digest(content);
            }
        }
        let hash = content_hash(&mut seen.lines).unwrap_or_default();
        let count = |is: fn(&LineKind) -> bool| {
            seen.lines.iter().filter(|line| is(&line.kind)).count() as u64
        };
        let files = count(|kind| matches!(kind, LineKind::File(_)));
        let dirs = count(|kind| matches!(kind, LineKind::Dir));
        let symlinks = count(|kind| matches!(kind, LineKind::Symlink(_)));

        let mut inner = self.lock();
        inner.count += 1;
        let id = hex::encode(sha(format!("{} {}", inner.count, tag).as_bytes()));
        let mut stored_bytes = 0;
        for (chunk, content) in chunks {
            let size = content.len() as u64;
            if inner.chunks.insert(chunk, content).is_none() {
                stored_bytes += size;
            }
        }
        let info = SnapshotInfo {
            id: id.clone(),
            tag,
            time,
            host,
            tree: hash.clone(),
            original: None,
            description: None,
        };
        inner.snapshots.insert(
            id.clone(),
            Stored {
                info,
                entries,
                hash: hash.clone(),
            },
        );
        Ok(Captured {
            snapshot: id,
            tree: hash.clone(),
            files,
            dirs,
            symlinks,
            specials: seen.lines.len() as u64 - files - dirs - symlinks,
            bytes: seen.bytes,
            stored_bytes,
            content_hash: Some(hash),
            unreadable: seen.unreadable,
            excluded: seen.excluded,
            skipped: seen.skipped,
        })
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ready(&self) -> Result<MutexGuard<'_, Inner>, VaultError> {
        let mut inner = self.lock();
        match inner.next_failure.take() {
            Some(error) => Err(error),
            None => Ok(inner),
        }
    }
}

impl Inner {
    fn stored(&self, snapshot: &str) -> Result<&Stored, VaultError> {
        if self.damaged.contains(snapshot) {
            return Err(damaged(snapshot));
        }
        self.snapshots
            .get(snapshot)
            .ok_or_else(|| VaultError::NoSuchSnapshot {
                repository: PathBuf::from("memory"),
                id: snapshot.to_owned(),
            })
    }
}

fn damaged(what: &str) -> VaultError {
    VaultError::Damaged {
        operation: "read",
        repository: PathBuf::from("memory"),
        files: vec![PathBuf::from(what)],
        detail: "damaged on purpose".to_owned(),
    }
}

impl Vault for MemoryVault {
    fn capture(&self, request: &CaptureRequest) -> Result<Captured, VaultError> {
        drop(self.ready()?);
        validate(request)?;
        let log = Arc::new(CaptureLog::new(request.on_unreadable, false));
        let walker = Walker::new(Arc::new(WalkPlan::new(request, None)), Arc::clone(&log));
        let (mut entries, mut chunks) = (Vec::new(), Vec::new());
        for walked in walker {
            let Some(node) = to_node(&walked) else {
                continue;
            };
            let mut entry = to_entry(&walked.logical, &node);
            if let (WalkedKind::File(mut reader), EntryKind::File { content, .. }) =
                (walked.kind, &mut entry.kind)
            {
                let mut whole = Vec::new();
                // Its error is in the log.
                let _ = reader.read_to_end(&mut whole);
                if !whole.is_empty() {
                    let id = hex::encode(sha(&whole));
                    content.push(id.clone());
                    chunks.push((id, whole));
                }
            }
            entries.push(entry);
        }
        if let Some(failure) = log.take_failure() {
            return Err(failure);
        }
        log.is_whole().map_err(|detail| VaultError::Incomplete {
            operation: "capture",
            repository: PathBuf::from("memory"),
            detail,
        })?;
        entries.sort_by(|a, b| bytes(&a.path).cmp(bytes(&b.path)));
        let (tag, host) = (request.tag.clone(), request.host.clone());
        self.keep((tag, host, request.time), entries, chunks, log.take())
    }

    fn compose(&self, request: &ComposeRequest) -> Result<Captured, VaultError> {
        let (mut entries, mut lines, mut chunks) = (Vec::new(), Vec::new(), Vec::new());
        let mut total = 0;
        for composed in &request.entries {
            let mut entry = composed.entry.clone();
            let kind = match &mut entry.kind {
                EntryKind::File { size, content } => {
                    let mut whole = Vec::new();
                    match &composed.bytes {
                        Some(bytes) => whole.clone_from(bytes),
                        None => self.read(&composed.entry, &mut whole)?,
                    }
                    *size = whole.len() as u64;
                    total += *size;
                    let digest = sha(&whole);
                    content.clear();
                    if !whole.is_empty() {
                        content.push(hex::encode(digest));
                        chunks.push((hex::encode(digest), whole));
                    }
                    LineKind::File(Some(digest))
                }
                EntryKind::Dir => LineKind::Dir,
                EntryKind::Symlink { target } => LineKind::Symlink(sha(bytes(target))),
                EntryKind::Char { device } => LineKind::Char(*device),
                EntryKind::Block { device } => LineKind::Block(*device),
                EntryKind::Fifo | EntryKind::Socket => LineKind::Fifo,
            };
            lines.push(Line {
                path: entry.path.clone(),
                kind,
                mode: entry.mode,
            });
            entries.push(entry);
        }
        entries.sort_by(|a, b| bytes(&a.path).cmp(bytes(&b.path)));
        let mut seen = Seen::default();
        (seen.lines, seen.bytes) = (lines, total);
        let (tag, host) = (request.tag.clone(), request.host.clone());
        self.keep((tag, host, request.time), entries, chunks, seen)
    }

    fn entries(&self, snapshot: &str) -> Result<Vec<Entry>, VaultError> {
        Ok(self.ready()?.stored(snapshot)?.entries.clone())
    }

    fn read(&self, entry: &Entry, out: &mut dyn Write) -> Result<(), VaultError> {
        let inner = self.ready()?;
        let EntryKind::File { content, .. } = &entry.kind else {
            return Err(VaultError::NoContent {
                path: entry.path.clone(),
            });
        };
        for id in content {
            let chunk = inner.chunks.get(id).ok_or_else(|| damaged(id))?;
            let output = |source| VaultError::Output {
                path: entry.path.clone(),
                source,
            };
            out.write_all(chunk).map_err(output)?;
        }
        Ok(())
    }

    fn holds(&self, entry: &Entry, content: &mut dyn Read) -> Result<bool, VaultError> {
        let (mut wanted, mut found) = (Vec::new(), Vec::new());
        self.read(entry, &mut wanted)?;
        let read = content.read_to_end(&mut found);
        read.map_err(VaultError::io("compare the content of", &entry.path))?;
        Ok(wanted == found)
    }

    fn content_hash(&self, snapshot: &str) -> Result<String, VaultError> {
        Ok(self.ready()?.stored(snapshot)?.hash.clone())
    }

    fn snapshots(&self) -> Result<SnapshotList, VaultError> {
        let inner = self.ready()?;
        let mut list = SnapshotList::default();
        for (id, stored) in &inner.snapshots {
            if inner.damaged.contains(id) {
                list.damaged.push(DamagedSnapshot {
                    id: id.clone(),
                    path: Path::new("memory").join(id),
                    reason: "damaged on purpose".to_owned(),
                });
            } else {
                list.good.push(stored.info.clone());
            }
        }
        list.good
            .sort_by(|a, b| (a.time, &a.id).cmp(&(b.time, &b.id)));
        Ok(list)
    }

    fn forget(&self, snapshots: &[&str]) -> Forgotten {
        let mut inner = self.lock();
        let mut outcome = Forgotten::default();
        for id in snapshots {
            let name = (*id).to_owned();
            inner.damaged.remove(*id);
            match inner.snapshots.remove(*id) {
                Some(_) => outcome.removed.push(name),
                None => outcome.missing.push(name),
            }
        }
        outcome
    }

    fn prune(&self) -> Result<PruneStats, VaultError> {
        let before = self.size()?;
        let mut inner = self.ready()?;
        if let Some(id) = inner.damaged.iter().next() {
            return Err(damaged(id));
        }
        let mut needed = BTreeSet::new();
        for entry in inner.snapshots.values().flat_map(|stored| &stored.entries) {
            if let EntryKind::File { content, .. } = &entry.kind {
                needed.extend(content.iter().cloned());
            }
        }
        inner.chunks.retain(|id, _| needed.contains(id));
        drop(inner);
        Ok(PruneStats {
            before,
            after: self.size()?,
            temporaries: 0,
        })
    }

    fn check(&self, _read_data: bool) -> Result<CheckReport, VaultError> {
        let inner = self.ready()?;
        let problems = inner
            .damaged
            .iter()
            .map(|id| format!("snapshot {id}: damaged"))
            .collect();
        Ok(CheckReport {
            problems,
            notes: Vec::new(),
        })
    }

    fn repair(&self, _aside: &Path, _read_data: bool) -> Result<Vec<Repaired>, VaultError> {
        let mut inner = self.ready()?;
        let damaged = std::mem::take(&mut inner.damaged);
        let gone = damaged.into_iter().map(|id| {
            inner.snapshots.remove(&id);
            Repaired::of_all(format!("snapshot {id}: damaged; set aside"))
        });
        Ok(gone.collect())
    }

    fn size(&self) -> Result<u64, VaultError> {
        Ok(self
            .ready()?
            .chunks
            .values()
            .map(|chunk| chunk.len() as u64)
            .sum())
    }
}
