//! Telling of long work while it goes on, and stopping it at a safe place.
//!
//! The engine says what it does and how much there is of it; whoever made the
//! [`Engine`](super::Engine) shows that, or does not.

use std::fmt;
use std::path::PathBuf;
use std::sync::mpsc::{RecvTimeoutError, TryRecvError, channel};
use std::thread;
use std::time::Duration;

use super::{Engine, EngineError};
use crate::system::{fault, tree};
use crate::vault::{Unwatched, Watch};

/// Work that may take long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Task {
    /// The configuration is captured.
    CaptureConfig,
    /// A state set is captured.
    CaptureState(String),
    /// What is there is compared with a point.
    Compare,
    /// Files of a point are written beside their targets.
    Stage,
    /// Stored content is read to find damage.
    Check,
    /// Room is made in the vault.
    Free,
    /// Points are sent to a remote.
    Push,
    /// Points come from a remote.
    Pull,
}

impl fmt::Display for Task {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CaptureConfig => f.write_str("capturing the configuration"),
            Self::CaptureState(set) => write!(f, "capturing state {set}"),
            Self::Compare => f.write_str("comparing"),
            Self::Stage => f.write_str("restoring"),
            Self::Check => f.write_str("reading the vault"),
            Self::Free => f.write_str("making room"),
            Self::Push => f.write_str("sending"),
            Self::Pull => f.write_str("fetching"),
        }
    }
}

/// Hears of long work, and says when it is to stop.
pub trait Progress: Watch {
    /// Work begins. Whatever went on before has ended.
    fn begin(&self, task: &Task);

    /// There are so many bytes of it in all.
    fn total(&self, bytes: u64);

    /// It has ended.
    fn end(&self);

    /// Whether anybody sees it, so that measuring the work is worth it.
    fn is_shown(&self) -> bool;
}

impl Progress for Unwatched {
    fn begin(&self, _task: &Task) {}

    fn total(&self, _bytes: u64) {}

    fn end(&self) {}

    fn is_shown(&self) -> bool {
        false
    }
}

/// Work that goes on as long as this lives.
pub(super) struct Going<'e>(&'e dyn Progress);

impl Drop for Going<'_> {
    fn drop(&mut self) {
        self.0.end();
    }
}

/// Work that is over sooner than this is not measured first.
const MEASURE_AFTER: Duration = Duration::from_secs(1);

impl Engine<'_> {
    /// Says that work begins.
    pub(super) fn begin(&self, task: &Task, total: Option<u64>) -> Going<'_> {
        self.progress.begin(task);
        if let Some(bytes) = total {
            self.progress.total(bytes);
        }
        Going(&*self.progress)
    }

    /// Stops here, where nothing is half done, when that was asked for.
    pub(super) fn check_stop(&self) -> Result<(), EngineError> {
        if self.progress.stops() {
            return Err(EngineError::Stopped);
        }
        Ok(())
    }

    /// Does `work` on these real paths. While it goes on they are measured, so
    /// that somebody who watches learns how much there is left.
    pub(super) fn measured<T>(
        &self,
        task: &Task,
        paths: &[PathBuf],
        leave: &[PathBuf],
        work: impl FnOnce() -> T,
    ) -> T {
        let going = self.begin(task, None);
        let done = if self.progress.is_shown() {
            thread::scope(|scope| {
                let (alive, ended) = channel::<()>();
                scope.spawn(move || {
                    let after = fault::tells_after().unwrap_or(MEASURE_AFTER);
                    if ended.recv_timeout(after) != Err(RecvTimeoutError::Timeout) {
                        return;
                    }
                    let goes_on = || ended.try_recv() == Err(TryRecvError::Empty);
                    if let Some(bytes) = tree::measure(paths, leave, &goes_on) {
                        self.progress.total(bytes);
                    }
                });
                let done = work();
                drop(alive);
                done
            })
        } else {
            work()
        };
        drop(going);
        done
    }
}
