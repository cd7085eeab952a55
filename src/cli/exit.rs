//! Exit codes, as documented in the README.

use std::process::ExitCode;

/// How the program ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Done.
    Ok = 0,
    /// An error; nothing was changed unless the message says so.
    Error = 1,
    /// The command line was wrong.
    Usage = 2,
    /// Done in part: something could not be captured, removed or verified.
    Partial = 3,
    /// No such restore point.
    NoSuchPoint = 10,
    /// Another cairn holds the lock.
    Locked = 11,
    /// The vault's key is missing or wrong.
    VaultKey = 12,
    /// The machine is not well.
    Unhealthy = 20,
    /// A bad switch was taken back.
    RolledBack = 21,
    /// An interrupted restore must be resumed or aborted first.
    NeedsResume = 22,
    /// The person said no, or interrupted.
    Interrupted = 130,
}

/// How the program ended: in a way of its own, or as the command that it ran.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Its own.
    Own(Exit),
    /// The exit code of a command that `try` ran and kept.
    Passed(u8),
}

impl From<Exit> for End {
    fn from(exit: Exit) -> Self {
        Self::Own(exit)
    }
}

impl From<End> for ExitCode {
    fn from(end: End) -> Self {
        match end {
            End::Own(exit) => Self::from(exit as u8),
            End::Passed(code) => Self::from(code),
        }
    }
}
