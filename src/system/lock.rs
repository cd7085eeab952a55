//! The state directory's lock.
//!
//! Taking a point needs it shared, pruning and restoring need it alone. Every
//! taker passes a turnstile first (a second, briefly held lock), so that a
//! stream of shared holders cannot keep an exclusive one waiting for ever.
//! The kernel frees both when a process dies.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use super::error::{At, IoError, optional};
use crate::point::humane::duration;
use crate::point::path::printable;

/// How a lock is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Beside others.
    Shared,
    /// Alone.
    Exclusive,
}

/// A held lock; dropping it frees it.
#[derive(Debug)]
pub struct Lock {
    /// Absent where the file system is read-only and nobody ever locked.
    _file: Option<File>,
    mode: Mode,
}

/// Why a lock was not had.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Somebody else holds it.
    #[error(
        "{} is locked by another cairn; waited {}",
        printable(path),
        duration(*waited)
    )]
    Held {
        /// The lock file.
        path: PathBuf,
        /// For how long this process waited.
        waited: Duration,
    },
    /// The lock file could not be used.
    #[error(transparent)]
    Io(#[from] IoError),
}

impl Lock {
    /// Takes the lock of the state directory `dir`, waiting at most `patience`.
    ///
    /// # Errors
    /// [`LockError::Held`] after `patience`; I/O errors at once.
    pub fn take(dir: &Path, mode: Mode, patience: Duration) -> Result<Self, LockError> {
        Self::take_unless(dir, mode, patience, &|| false)
    }

    /// As [`Lock::take`], but waits no longer once `stops` says so.
    ///
    /// # Errors
    /// As [`Lock::take`].
    pub fn take_unless(
        dir: &Path,
        mode: Mode,
        patience: Duration,
        stops: &dyn Fn() -> bool,
    ) -> Result<Self, LockError> {
        let begun = Instant::now();
        let turnstile = open(&dir.join("lock.turnstile"))?;
        let waits = || begun.elapsed() < patience && !stops();
        wait(&turnstile, dir, Mode::Exclusive, begun, &waits)?;
        let file = open(&dir.join("lock"))?;
        wait(&file, dir, mode, begun, &waits)?;
        let file = Some(file);
        Ok(Self { _file: file, mode })
    }

    /// Takes the lock beside others, to read. On a read-only file system the
    /// lock is only taken where its file is there: another mount of the same
    /// disk may be written through. Where it is not, nobody can be at work.
    ///
    /// # Errors
    /// As [`Lock::take_unless`].
    pub fn take_to_read(
        dir: &Path,
        patience: Duration,
        stops: &dyn Fn() -> bool,
    ) -> Result<Self, LockError> {
        let mode = Mode::Shared;
        match Self::take_unless(dir, mode, patience, stops) {
            Err(LockError::Io(e)) if e.kind() == io::ErrorKind::ReadOnlyFilesystem => {}
            other => return other,
        }
        let path = dir.join("lock");
        let file = optional(File::open(&path).at("open the lock", &path))?;
        if let Some(file) = &file {
            let begun = Instant::now();
            let waits = || begun.elapsed() < patience && !stops();
            wait(file, dir, mode, begun, &waits)?;
        }
        Ok(Self { _file: file, mode })
    }

    /// Takes the lock alone if nobody holds it now; `None` otherwise.
    ///
    /// # Errors
    /// I/O errors.
    pub fn try_alone(dir: &Path) -> Result<Option<Self>, LockError> {
        match Self::take(dir, Mode::Exclusive, Duration::ZERO) {
            Ok(lock) => Ok(Some(lock)),
            Err(LockError::Held { .. }) => Ok(None),
            Err(e) => Err(e),
        }
    }

    /// How it is held.
    pub fn mode(&self) -> Mode {
        self.mode
    }
}

fn open(path: &Path) -> Result<File, IoError> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
        .at("open the lock", path)
}

fn wait(
    file: &File,
    dir: &Path,
    mode: Mode,
    begun: Instant,
    waits: &dyn Fn() -> bool,
) -> Result<(), LockError> {
    let operation = match mode {
        Mode::Shared => FlockOperation::NonBlockingLockShared,
        Mode::Exclusive => FlockOperation::NonBlockingLockExclusive,
    };
    loop {
        match flock(file, operation) {
            Ok(()) => return Ok(()),
            Err(Errno::WOULDBLOCK | Errno::INTR) if waits() => {
                sleep(Duration::from_millis(2));
            }
            Err(Errno::WOULDBLOCK | Errno::INTR) => {
                return Err(LockError::Held {
                    path: dir.join("lock"),
                    waited: begun.elapsed(),
                });
            }
            Err(errno) => {
                return Err(LockError::Io(IoError {
                    operation: "lock",
                    path: dir.join("lock"),
                    source: errno.into(),
                }));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shared_beside_shared_exclusive_alone() {
        let dir = tempfile::tempdir().unwrap();
        let take = |mode| Lock::take(dir.path(), mode, Duration::ZERO);
        let one = take(Mode::Shared).unwrap();
        let two = take(Mode::Shared).unwrap();
        assert!(matches!(take(Mode::Exclusive), Err(LockError::Held { .. })));
        drop((one, two));
        let alone = take(Mode::Exclusive).unwrap();
        assert!(matches!(take(Mode::Shared), Err(LockError::Held { .. })));
        assert!(Lock::try_alone(dir.path()).unwrap().is_none());
        drop(alone);
        assert!(Lock::try_alone(dir.path()).unwrap().is_some());
    }

    #[test]
    fn a_stream_of_shared_holders_does_not_starve_an_exclusive_one() {
        let dir = tempfile::tempdir().unwrap();
        let stop = std::sync::atomic::AtomicBool::new(false);
        std::thread::scope(|s| {
            for _ in 0..4 {
                s.spawn(|| {
                    while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                        let _held = Lock::take(dir.path(), Mode::Shared, Duration::from_secs(20));
                        sleep(Duration::from_millis(20));
                    }
                });
            }
            sleep(Duration::from_millis(50));
            let got = Lock::take(dir.path(), Mode::Exclusive, Duration::from_secs(10));
            stop.store(true, std::sync::atomic::Ordering::Relaxed);
            got.unwrap();
        });
    }
}
