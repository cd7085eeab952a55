//! The machine and its restore points in figures, for those who watch many.

use std::collections::BTreeMap;

use crate::point::document::Trigger;

/// All figures. What is not known is absent, never zero.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Figures {
    /// The program's version.
    pub version: String,
    /// Seconds since 1970 at which this was seen: figures in a file may be old.
    pub observed: i64,
    /// Points taken, by what took them and whether all was captured.
    pub backups: BTreeMap<(String, Status), u64>,
    /// Restores that ended, and those that did not.
    pub restores: BTreeMap<Status, u64>,
    /// Switches that the gate judged.
    pub verdicts: BTreeMap<Status, u64>,
    /// Switches that were taken back.
    pub rollbacks: BTreeMap<Status, u64>,
    /// Actions that were tried against issues.
    pub heals: BTreeMap<Status, u64>,
    /// Bytes of the vault, by repository.
    pub storage: BTreeMap<&'static str, u64>,
    /// The number of the profile's generation.
    pub generation: Option<u64>,
    /// Usable generations.
    pub generations: u64,
    /// Restore points.
    pub points: u64,
    /// Of them, pinned.
    pub pinned: u64,
    /// Documents that cannot be read.
    pub damaged: u64,
    /// The health score, 0 to 100.
    pub score: Option<u8>,
    /// Whether all that is required is well.
    pub healthy: bool,
    /// Open issues by kind.
    pub issues: BTreeMap<String, u64>,
    /// Seconds since 1970 at which the newest point was taken.
    pub newest: Option<i64>,
    /// Seconds since then.
    pub newest_age: Option<u64>,
    /// Whether a restore waits to be resumed or aborted.
    pub unfinished: bool,
    /// Remotes by name.
    pub remotes: BTreeMap<String, Copies>,
}

/// How something went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Status {
    /// Well.
    Success,
    /// Not, or not all of it.
    Failure,
}

impl Status {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Success, Self::Failure];

    /// Its name in a label.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Failure => "failure",
        }
    }
}

impl From<bool> for Status {
    fn from(good: bool) -> Self {
        match good {
            true => Self::Success,
            false => Self::Failure,
        }
    }
}

impl Figures {
    /// Has all counters begin at zero. One that is first seen at 1 has not
    /// increased for who watches it: what happens first would never be told.
    pub fn count_from_zero(&mut self) {
        for status in Status::ALL {
            for kind in Trigger::KINDS {
                self.backups.entry((kind.to_owned(), status)).or_default();
            }
            for counted in [
                &mut self.restores,
                &mut self.verdicts,
                &mut self.rollbacks,
                &mut self.heals,
            ] {
                counted.entry(status).or_default();
            }
        }
    }
}

/// Copies on one remote.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Copies {
    /// Seconds since 1970 at which the newest point there was taken.
    pub newest: Option<i64>,
    /// Seconds since the newest point there was taken.
    pub age: Option<u64>,
    /// Whether the last push failed.
    pub failing: bool,
}
