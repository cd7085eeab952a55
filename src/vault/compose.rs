//! Storing a tree that was never on disk: entries of earlier snapshots with
//! other owners or modes, and files whose bytes are at hand.

use std::io::Cursor;
use std::path::PathBuf;
use std::sync::Arc;

use rustic_core::{
    BackupOptions, ErrorKind, ParentOptions, ReadSource, ReadSourceEntry, RusticError, RusticResult,
};

use crate::vault::capture::{OPERATION, to_snapshot};
use crate::vault::digest::{Line, LineKind, bytes, sha};
use crate::vault::error::VaultError;
use crate::vault::log::CaptureLog;
use crate::vault::node::from_entry;
use crate::vault::repo::Repo;
use crate::vault::types::{Captured, ComposeRequest, Composed, EntryKind, OnUnreadable};
use crate::vault::view::View;

impl Repo {
    /// [`Vault::compose`](crate::vault::Vault::compose).
    pub(crate) fn compose_strictly(
        &self,
        request: &ComposeRequest,
    ) -> Result<Captured, VaultError> {
        let log = Arc::new(CaptureLog::new(OnUnreadable::Fail, false));
        let view = Arc::new(View::gated(self.store.clone(), Arc::clone(&log)));
        let open = self.open(OPERATION, &view)?;
        let repo = self
            .call(OPERATION, &view, || open.to_indexed_ids())
            .map_err(|error| self.index_error(OPERATION, error))?;
        let mut entries = request.entries.clone();
        // Component by component: the order in which trees are stored.
        entries.sort_by(|a, b| a.entry.path.cmp(&b.entry.path));
        let source = ComposedSource {
            // Another handle on the same files: the library wants its own.
            reader: Arc::new(Self::new(
                self.path().to_owned(),
                self.key.clone(),
                self.own,
            )),
            entries: Arc::new(entries),
            log: Arc::clone(&log),
        };
        let snapshot = to_snapshot(&request.tag, &request.host, request.time)?;
        let options = BackupOptions::default()
            .no_scan(true)
            .parent_opts(ParentOptions::default().force(true));
        let paths = [PathBuf::from("/")];
        let archived = self.call_writing(OPERATION, &view, || {
            repo.archive(&options, &source, snapshot, &paths)
        });
        self.kept(&log, &view, archived)
    }
}

/// Entries with their contents, read one by one as they are stored.
struct ComposedSource {
    reader: Arc<Repo>,
    entries: Arc<Vec<Composed>>,
    log: Arc<CaptureLog>,
}

impl ReadSource for ComposedSource {
    type Open = Cursor<Vec<u8>>;
    type Iter = ComposedEntries;

    fn size(&self) -> RusticResult<Option<u64>> {
        Ok(None)
    }

    fn entries(&self) -> ComposedEntries {
        ComposedEntries {
            reader: Arc::clone(&self.reader),
            entries: Arc::clone(&self.entries),
            next: 0,
            log: Arc::clone(&self.log),
        }
    }
}

/// The entries of a [`ComposedSource`].
struct ComposedEntries {
    reader: Arc<Repo>,
    entries: Arc<Vec<Composed>>,
    next: usize,
    log: Arc<CaptureLog>,
}

impl ComposedEntries {
    fn one(&self, composed: &Composed) -> Result<ReadSourceEntry<Cursor<Vec<u8>>>, VaultError> {
        let entry = &composed.entry;
        let unsupported = |what: &str| VaultError::Unsupported {
            path: entry.path.clone(),
            what: what.to_owned(),
        };
        let mut content = None;
        let kind = match &entry.kind {
            EntryKind::File { .. } => {
                let mut whole = Vec::new();
                match &composed.bytes {
                    Some(bytes) => whole.clone_from(bytes),
                    None => self.reader.read_entry(entry, &mut whole, true)?,
                }
                let digest = sha(&whole);
                content = Some(whole);
                LineKind::File(Some(digest))
            }
            EntryKind::Dir => LineKind::Dir,
            EntryKind::Symlink { target } => LineKind::Symlink(sha(bytes(target))),
            EntryKind::Fifo => LineKind::Fifo,
            EntryKind::Char { device } => LineKind::Char(*device),
            EntryKind::Block { device } => LineKind::Block(*device),
            EntryKind::Socket => return Err(unsupported("a socket is never stored")),
        };
        let size = content.as_ref().map_or(0, |whole| whole.len() as u64);
        let node =
            from_entry(entry, size).ok_or_else(|| unsupported("a time beyond the year 9999"))?;
        let line = Line {
            path: entry.path.clone(),
            kind,
            mode: entry.mode,
        };
        self.log.entry(line, size);
        Ok(ReadSourceEntry {
            path: entry.path.clone(),
            node,
            open: content.map(Cursor::new),
        })
    }
}

impl Iterator for ComposedEntries {
    type Item = RusticResult<ReadSourceEntry<Cursor<Vec<u8>>>>;

    fn next(&mut self) -> Option<Self::Item> {
        let entries = Arc::clone(&self.entries);
        let Some(composed) = entries.get(self.next) else {
            self.log.finish_walk();
            return None;
        };
        if self.log.failed() {
            return None;
        }
        self.next += 1;
        Some(self.one(composed).map_err(|error| {
            let told = RusticError::new(ErrorKind::InputOutput, "an entry cannot be stored");
            self.log.fail(error);
            told
        }))
    }
}
