//! What a capture has seen so far, shared by the walker, the readers and the
//! gate before the snapshot file.
//!
//! The repository library only warns about errors of a source, drops the entry
//! and reports success. Nothing is lost here: the first error is kept, and the
//! gate refuses to write the snapshot after it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::vault::digest::{Line, LineKind, Sha};
use crate::vault::error::VaultError;
use crate::vault::types::{OnUnreadable, Skipped, Unreadable};
use crate::vault::watch::{Watch, unwatched};

/// Shared record of one capture.
#[derive(Debug)]
pub(crate) struct CaptureLog {
    on_unreadable: OnUnreadable,
    /// Unread files are fine: the library may take them from a parent.
    may_skip_reading: bool,
    watch: Arc<dyn Watch>,
    seen: Mutex<Seen>,
}

/// What was seen.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    failure: Option<VaultError>,
    walked: bool,
    /// Files that were not read to their end, by number.
    unread: BTreeSet<usize>,
    pub(crate) lines: Vec<Line>,
    pub(crate) bytes: u64,
    pub(crate) unreadable: Vec<Unreadable>,
    pub(crate) excluded: Vec<PathBuf>,
    pub(crate) skipped: Vec<Skipped>,
}

impl CaptureLog {
    pub(crate) fn new(on_unreadable: OnUnreadable, may_skip_reading: bool) -> Self {
        Self {
            on_unreadable,
            may_skip_reading,
            watch: unwatched(),
            seen: Mutex::default(),
        }
    }

    /// Somebody watches.
    pub(crate) fn watched(self, watch: Arc<dyn Watch>) -> Self {
        Self { watch, ..self }
    }

    /// So many bytes more are read, or need not be.
    pub(crate) fn advance(&self, bytes: u64) {
        self.watch.advance(bytes);
    }

    fn lock(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps the first failure.
    pub(crate) fn fail(&self, error: VaultError) {
        self.lock().failure.get_or_insert(error);
    }

    /// Whether the capture has failed, or is to stop, which fails it.
    pub(crate) fn failed(&self) -> bool {
        if self.watch.stops() {
            self.fail(VaultError::Stopped);
        }
        self.lock().failure.is_some()
    }

    pub(crate) fn take_failure(&self) -> Option<VaultError> {
        self.lock().failure.take()
    }

    /// `disk` may not be read.
    pub(crate) fn unreadable(&self, disk: &Path, logical: &Path, reason: String) {
        match self.on_unreadable {
            OnUnreadable::Fail => self.fail(VaultError::Unreadable {
                path: disk.into(),
                reason,
            }),
            OnUnreadable::Record => {
                self.lock().unreadable.push(Unreadable {
                    path: logical.into(),
                    reason,
                });
            }
        }
    }

    pub(crate) fn exclude(&self, logical: PathBuf) {
        self.lock().excluded.push(logical);
    }

    pub(crate) fn skip(&self, logical: PathBuf, reason: &str) {
        self.lock().skipped.push(Skipped {
            path: logical,
            reason: reason.to_owned(),
        });
    }

    /// Adds an entry; the number names it in [`CaptureLog::content`].
    pub(crate) fn entry(&self, line: Line, size: u64) -> usize {
        let mut seen = self.lock();
        let number = seen.lines.len();
        if line.kind == LineKind::File(None) {
            seen.unread.insert(number);
        }
        seen.bytes += size;
        seen.lines.push(line);
        number
    }

    /// The whole content of the file `number` was read; its digest, unless
    /// what is stored of it tells that.
    pub(crate) fn content(&self, number: usize, digest: Option<Sha>) {
        let mut seen = self.lock();
        seen.unread.remove(&number);
        if let Some(line) = seen.lines.get_mut(number) {
            line.kind = LineKind::File(digest);
        }
    }

    /// The walk came to its end.
    pub(crate) fn finish_walk(&self) {
        self.lock().walked = true;
    }

    /// Whether the snapshot may be written: the walk is complete, nothing
    /// failed, every file was read to its verified end.
    pub(crate) fn is_whole(&self) -> Result<(), String> {
        let seen = self.lock();
        if let Some(error) = &seen.failure {
            return Err(error.to_string());
        }
        if !seen.walked {
            return Err("the walk did not reach its end".to_owned());
        }
        match seen.unread.first().and_then(|n| seen.lines.get(*n)) {
            Some(line) if !self.may_skip_reading => {
                Err(format!("{:?} was not read to its end", line.path))
            }
            _ => Ok(()),
        }
    }

    /// Takes the record out, sorted.
    pub(crate) fn take(&self) -> Seen {
        let mut seen = std::mem::take(&mut *self.lock());
        seen.unreadable
            .sort_by(|a, b| a.path.as_os_str().cmp(b.path.as_os_str()));
        seen.excluded
            .sort_by(|a, b| a.as_os_str().cmp(b.as_os_str()));
        seen.skipped
            .sort_by(|a, b| a.path.as_os_str().cmp(b.path.as_os_str()));
        seen
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line() -> Line {
        Line {
            path: "/f".into(),
            kind: LineKind::File(None),
            mode: 0o644,
        }
    }

    #[test]
    fn a_file_that_was_not_read_closes_the_gate() {
        let log = CaptureLog::new(OnUnreadable::Fail, false);
        assert!(log.is_whole().is_err(), "the walk is not finished");
        let number = log.entry(line(), 1);
        log.finish_walk();
        assert!(log.is_whole().unwrap_err().contains("/f"));
        log.content(number, Some([1; 32]));
        assert_eq!(log.is_whole(), Ok(()));
    }

    #[test]
    fn the_first_failure_wins_and_closes_the_gate() {
        let log = CaptureLog::new(OnUnreadable::Fail, true);
        log.finish_walk();
        log.unreadable(Path::new("/d"), Path::new("/l"), "no".into());
        log.fail(VaultError::Changed {
            path: "/later".into(),
            what: "grew",
        });
        assert!(log.is_whole().is_err() && log.failed());
        assert!(matches!(
            log.take_failure(),
            Some(VaultError::Unreadable { .. })
        ));
    }

    #[test]
    fn recording_leaves_the_gate_open() {
        let log = CaptureLog::new(OnUnreadable::Record, false);
        log.finish_walk();
        log.unreadable(Path::new("/d"), Path::new("/l"), "no".into());
        assert_eq!(log.is_whole(), Ok(()));
        assert_eq!(log.take().unreadable[0].path, Path::new("/l"));
    }
}
