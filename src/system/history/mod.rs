//! The history: events, samples of health, attempts to heal, and what was
//! learned from them, in `history.db`.
//!
//! What has a file of its own — points, switches, restores — stays true there;
//! the history only indexes it, and can be made anew. Nothing waits for it: a
//! database that is locked has its items queued, a damaged one is set aside.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};

use super::IoError;
use crate::learn::patterns::Tried;
use crate::learn::{Knowledge, Ledger, Origin};
use crate::point::event::{Event, HealAttempt, Item, Kind, Reading};

mod chronicle;
mod counters;
mod database;
mod memory;
mod queue;
mod rows;
mod samples;
#[cfg(test)]
mod tests;
mod totals;

pub use chronicle::{Chronicle, Kept};
pub use database::Database;
pub use memory::Memory;
pub use totals::Total;

/// Why the history could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum HistoryError {
    /// Another process writes to it, longer than anybody should wait.
    #[error("the history is in use by another process")]
    Locked,
    /// It is damaged.
    #[error("the history is damaged: {0}")]
    Damaged(rusqlite::Error),
    /// A later cairn made it.
    #[error("the history has version {found}, this cairn reads versions up to {known}")]
    Later {
        /// Its version.
        found: i64,
        /// What this build reads.
        known: i64,
    },
    /// SQLite said no.
    #[error("cannot use the history: {0}")]
    Sql(rusqlite::Error),
    /// A file could not be used.
    #[error(transparent)]
    Io(#[from] IoError),
    /// Something that was kept does not read back.
    #[error("cannot read an entry of the history: {0}")]
    Entry(#[from] serde_json::Error),
    /// More machines than are remembered.
    #[error("with these, the history would tell of more than {0} machines")]
    TooMany(usize),
}

impl From<rusqlite::Error> for HistoryError {
    fn from(error: rusqlite::Error) -> Self {
        use rusqlite::ErrorCode as Code;
        match error.sqlite_error_code() {
            Some(Code::DatabaseBusy | Code::DatabaseLocked) => Self::Locked,
            Some(Code::DatabaseCorrupt | Code::NotADatabase) => Self::Damaged(error),
            _ => Self::Sql(error),
        }
    }
}

/// Which events are asked for.
#[derive(Clone, Debug, Default)]
pub struct Ask {
    /// Only these kinds; all when empty.
    pub kinds: Vec<Kind>,
    /// Only the newest so many.
    pub last: Option<usize>,
}

/// What importing came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Imported {
    /// Machines that were told of.
    pub machines: usize,
    /// Of them, with something new.
    pub news: usize,
}

/// Keeps what happened.
pub trait History {
    /// Keeps items, all or none. One that is there already is replaced.
    ///
    /// # Errors
    /// None of them is kept then.
    fn put(&self, items: &[Item]) -> Result<(), HistoryError>;

    /// Events, newest first.
    ///
    /// # Errors
    /// When they cannot be read.
    fn events(&self, ask: &Ask) -> Result<Vec<Event>, HistoryError>;

    /// Attempts to heal since a moment, oldest first.
    ///
    /// # Errors
    /// When they cannot be read.
    fn heals(&self, since: DateTime<Utc>) -> Result<Vec<HealAttempt>, HistoryError>;

    /// A figure of the samples since a moment, oldest first.
    ///
    /// # Errors
    /// When it cannot be read.
    fn readings(&self, figure: &str, since: DateTime<Utc>) -> Result<Vec<Reading>, HistoryError>;

    /// Judged switches with what they changed.
    ///
    /// # Errors
    /// When they cannot be read.
    fn tried(&self) -> Result<Vec<Tried>, HistoryError>;

    /// What was learned, by this machine and others.
    ///
    /// # Errors
    /// When it cannot be read.
    fn knowledge(&self) -> Result<Knowledge, HistoryError>;

    /// Takes what other machines learned.
    ///
    /// # Errors
    /// Nothing of it is taken then.
    fn import(
        &self,
        told: &BTreeMap<Origin, Ledger>,
        own: &Origin,
    ) -> Result<Imported, HistoryError>;

    /// Thins samples out, and forgets what is too old to matter.
    ///
    /// # Errors
    /// Nothing is forgotten then.
    fn retain(&self, now: DateTime<Utc>) -> Result<(), HistoryError>;

    /// Keeps an attempt to heal, and counts it.
    ///
    /// # Errors
    /// As [`History::put`].
    fn record_heal(&self, attempt: &HealAttempt) -> Result<(), HistoryError> {
        self.put(&[Item::Heal(attempt.clone())])
    }
}
