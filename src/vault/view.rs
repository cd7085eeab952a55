//! One operation's view of a repository's files, as the library sees it.
//!
//! A view remembers the first failure with its path (the library turns some of
//! them into panics and drops others), counts what was written, can hide
//! damaged files, and keeps the gate before the snapshot file.

use std::collections::{BTreeSet, HashMap};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, ThreadId};

use bytes::Bytes;
use rustic_core::{
    BytesList, ErrorKind, FileType, Id, ReadBackend, RusticError, RusticResult, WriteBackend,
};

use crate::vault::log::CaptureLog;
use crate::vault::pending::Pending;
use crate::vault::store::{Store, StoreError, StoreResult};
use crate::vault::watch::{Watch, unwatched};

/// Which files were read last. Several threads may read through one view.
#[derive(Debug, Default)]
struct LastRead {
    by_thread: HashMap<ThreadId, (FileType, Id)>,
    any: Option<(FileType, Id)>,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct View {
    store: Store,
    gate: Option<Arc<CaptureLog>>,
    hidden: BTreeSet<Id>,
    watch: Arc<dyn Watch>,
    written: AtomicU64,
    fault: Mutex<Option<StoreError>>,
    last_read: Mutex<LastRead>,
    pending: Mutex<Pending>,
    /// Writes that still succeed.
    #[cfg(test)]
    pub(crate) writes_left: Mutex<Option<u32>>,
}

impl View {
    pub(crate) fn new(store: Store) -> Self {
        Self {
            store,
            gate: None,
            hidden: BTreeSet::new(),
            watch: unwatched(),
            written: AtomicU64::new(0),
            fault: Mutex::new(None),
            last_read: Mutex::default(),
            pending: Mutex::default(),
            #[cfg(test)]
            writes_left: Mutex::new(None),
        }
    }

    /// The snapshot file is written only if the log says the capture is whole.
    pub(crate) fn gated(store: Store, log: Arc<CaptureLog>) -> Self {
        Self {
            gate: Some(log),
            ..Self::new(store)
        }
    }

    /// Reads of packs are told of, and fail once they are to stop.
    pub(crate) fn watched(self, watch: Arc<dyn Watch>) -> Self {
        Self { watch, ..self }
    }

    /// A read of a pack goes on, unless it is to stop.
    fn going_on(&self, tpe: FileType, id: &Id, bytes: usize) -> StoreResult<()> {
        if tpe != FileType::Pack {
            return Ok(());
        }
        self.watch.advance(bytes as u64);
        if self.watch.stops() {
            return Err(StoreError {
                operation: "go on reading",
                path: self.store.path(tpe, id),
                source: std::io::ErrorKind::Interrupted.into(),
            });
        }
        Ok(())
    }

    /// These files are not listed.
    pub(crate) fn hiding(store: Store, hidden: BTreeSet<Id>) -> Self {
        Self {
            hidden,
            ..Self::new(store)
        }
    }

    /// Bytes written so far.
    pub(crate) fn written(&self) -> u64 {
        self.written.load(Ordering::SeqCst)
    }

    /// The first failure since the last call.
    pub(crate) fn take_fault(&self) -> Option<StoreError> {
        self.fault
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
    }

    /// The file that this thread read last, or else any: the one to name when
    /// its content is bad.
    pub(crate) fn last_read(&self) -> Option<PathBuf> {
        let last = self
            .last_read
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let own = last.by_thread.get(&thread::current().id());
        let (tpe, id) = own.copied().or(last.any)?;
        Some(self.store.path(tpe, &id))
    }

    fn note_read(&self, tpe: FileType, id: &Id) {
        let mut last = self
            .last_read
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        last.any = Some((tpe, *id));
        last.by_thread.insert(thread::current().id(), (tpe, *id));
    }

    fn keep<T>(&self, result: StoreResult<T>) -> RusticResult<T> {
        result.map_err(|error| {
            let told =
                RusticError::new(ErrorKind::Backend, "could not {operation} {path}: {cause}")
                    .attach_context("operation", error.operation)
                    .attach_context("path", error.path.display().to_string())
                    .attach_context("cause", error.source.to_string());
            let mut fault = self.fault.lock().unwrap_or_else(PoisonError::into_inner);
            // A failed read may be tolerated (a parent that is gone), a failed
            // write never is: it is the one to report.
            if fault
                .as_ref()
                .is_none_or(|first| first.is_read() && !error.is_read())
            {
                *fault = Some(error);
            }
            told
        })
    }

    #[cfg(test)]
    fn injected(&self, tpe: FileType, id: &Id) -> StoreResult<()> {
        let mut left = self.writes_left.lock().unwrap();
        match left.as_mut() {
            Some(0) => Err(StoreError {
                operation: "write the file",
                path: self.store.path(tpe, id),
                source: std::io::ErrorKind::StorageFull.into(),
            }),
            Some(count) => {
                *count -= 1;
                Ok(())
            }
            None => Ok(()),
        }
    }
}

impl ReadBackend for View {
    fn location(&self) -> String {
        self.store.root().display().to_string()
    }

    fn list_with_size(&self, tpe: FileType) -> RusticResult<Vec<(Id, u32)>> {
        let found = self.keep(self.store.list(tpe))?;
        let visible = found
            .into_iter()
            .filter(|(id, _)| !self.hidden.contains(id));
        Ok(visible
            .map(|(id, size)| (id, u32::try_from(size).unwrap_or(u32::MAX)))
            .collect())
    }

    fn read_full(&self, tpe: FileType, id: &Id) -> RusticResult<Bytes> {
        self.note_read(tpe, id);
        let read = self.store.read(tpe, id).and_then(|content| {
            self.going_on(tpe, id, content.len())?;
            Ok(content)
        });
        self.keep(read).map(Bytes::from)
    }

    fn read_partial(
        &self,
        tpe: FileType,
        id: &Id,
        _cacheable: bool,
        offset: u32,
        length: u32,
    ) -> RusticResult<Bytes> {
        self.note_read(tpe, id);
        let read = self.store.read_range(tpe, id, offset, length);
        let read = read.and_then(|content| {
            self.going_on(tpe, id, content.len())?;
            Ok(content)
        });
        self.keep(read).map(Bytes::from)
    }

    fn warmup_path(&self, tpe: FileType, id: &Id) -> String {
        self.store.path(tpe, id).display().to_string()
    }
}

impl WriteBackend for View {
    fn create(&self) -> RusticResult<()> {
        self.keep(self.store.create())
    }

    fn write_bytes(
        &self,
        tpe: FileType,
        id: &Id,
        _cacheable: bool,
        content: BytesList,
    ) -> RusticResult<()> {
        if let (FileType::Snapshot, Some(log)) = (tpe, &self.gate) {
            log.is_whole().map_err(|reason| {
                RusticError::new(ErrorKind::InputOutput, "no snapshot is written: {reason}")
                    .attach_context("reason", reason)
            })?;
        }
        #[cfg(test)]
        self.keep(self.injected(tpe, id))?;
        let size = content.size() as u64;
        let mut pending = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
        let written = match tpe {
            FileType::Pack => self.store.write_pack(id, content, &mut pending),
            // What it refers to comes first.
            _ => {
                (self.store.settle(&mut pending)).and_then(|()| self.store.write(tpe, id, content))
            }
        };
        drop(pending);
        self.keep(written)?;
        self.written.fetch_add(size, Ordering::SeqCst);
        Ok(())
    }

    fn remove(&self, tpe: FileType, id: &Id, _cacheable: bool) -> RusticResult<()> {
        self.keep(self.store.remove(tpe, id))
    }
}

#[cfg(test)]
impl View {
    /// From now on only that many writes succeed.
    pub(crate) fn fail_after(&self, writes: Option<u32>) {
        *self.writes_left.lock().unwrap() = writes;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vault::error::VaultError;
    use crate::vault::types::OnUnreadable;

    #[test]
    fn the_gate_lets_no_snapshot_of_a_failed_capture_through() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::new(dir.path().to_owned());
        store.create().unwrap();
        let log = Arc::new(CaptureLog::new(OnUnreadable::Fail, false));
        let view = View::gated(store.clone(), Arc::clone(&log));
        let id = Id::new([7; 32]);
        let write = |tpe| view.write_bytes(tpe, &id, false, vec![1].into());
        log.finish_walk();
        log.fail(VaultError::Changed {
            path: "/f".into(),
            what: "grew",
        });
        assert!(write(FileType::Pack).is_ok());
        assert!(write(FileType::Snapshot).is_err());
        assert!(store.list(FileType::Snapshot).unwrap().is_empty());
        log.take_failure();
        assert!(write(FileType::Snapshot).is_ok());
        assert_eq!(
            (
                store.list(FileType::Snapshot).unwrap().len(),
                view.written()
            ),
            (1, 2)
        );
    }
}
