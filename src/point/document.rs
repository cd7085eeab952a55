//! The document of a restore point, schema version 1.
//!
//! It describes itself: with it and the vault alone, a machine that has never
//! seen this one can bring the point back. It is written once and never changed,
//! but for the snapshots it names, where a copy brings back what was lost; later
//! verdicts are [`super::Marks`].

mod content;
mod system;
mod trigger;

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, TimeDelta, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::health::{Health, Issue};
use super::{BytePath, PointId};
use crate::nix::store_path::StorePath;

pub use content::{Config, ConfigRoot, GitFact, RootKind, StateSet, Unfollowed};
pub use system::{Incoming, Kernel, ProfileFact, Specialisation, System};
pub use trigger::{BadTrigger, Trigger};

/// The schema version this build writes, and the only one it reads.
pub const VERSION: u32 = 1;

/// Largest document that is read, in bytes. A real one is a few KiB.
pub const MAX_BYTES: usize = 16 << 20;

/// One restore point.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Point {
    /// Schema version.
    #[schemars(extend("const" = VERSION))]
    pub version: u32,
    /// Id; also the name of the file.
    pub id: PointId,
    /// When it was taken (UTC).
    pub created: DateTime<Utc>,
    /// Host name at that time.
    pub host: String,
    /// `/etc/machine-id`, when there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub machine_id: Option<String>,
    /// Why it was taken, in one line.
    pub reason: String,
    /// More, in the words of who took it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// What took it.
    pub trigger: Trigger,
    /// Labels to list and prune by.
    #[serde(default)]
    pub tags: BTreeSet<String>,
    /// Key–value pairs that cairn carries but never reads.
    #[serde(default)]
    pub userdata: BTreeMap<String, String>,
    /// The system: pointers and facts.
    pub system: System,
    /// Health when it was taken; absent when it was not measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub health: Option<Health>,
    /// Issues that were open.
    #[serde(default)]
    pub issues: Vec<Issue>,
    /// The configuration files; absent when they were not asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config: Option<Config>,
    /// State sets by name.
    #[serde(default)]
    pub state: BTreeMap<String, StateSet>,
    /// Files in the state sets of the policy that say which program's format
    /// the files beside them have, and what they said; of sets that were not
    /// captured as well.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub markers: Vec<Marker>,
    /// Garbage-collector roots made for this point.
    #[serde(default)]
    pub pins: Vec<Pin>,
    /// Whether the running system was already known-good.
    #[serde(default)]
    pub known_good: bool,
    /// Whether all that was asked for was captured.
    pub completeness: Completeness,
    /// Set when it came here in a file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub imported: Option<Imported>,
}

/// How a point came to a machine that did not take it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Imported {
    /// When (UTC).
    pub at: DateTime<Utc>,
    /// What is known of the machine that took it; absent when it came in a file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub there: Option<super::parcel::There>,
}

impl Point {
    /// Whether it was taken by another machine than the one with this
    /// `/etc/machine-id`. A point that came in a file and does not say whose
    /// it is counts as another's.
    pub fn is_foreign(&self, machine_id: Option<&str>) -> bool {
        self.imported.is_some()
            && (self.machine_id.is_none() || self.machine_id.as_deref() != machine_id)
    }

    /// Whether it is dated in the future: by a clock that is wrong, or was. One
    /// hour is allowed.
    pub fn is_ahead(&self, now: DateTime<Utc>) -> bool {
        self.created > now + TimeDelta::hours(1)
    }

    /// Whether two documents are of one point, wherever they are kept: what
    /// differs from vault to vault does not count.
    pub fn is_same_as(&self, other: &Self) -> bool {
        let bare = |point: &Self| {
            let mut point = point.clone();
            point.pins.clear();
            point.imported = None;
            if let Some(config) = &mut point.config {
                config.snapshot.clear();
            }
            for set in point.state.values_mut() {
                set.snapshot.clear();
            }
            point
        };
        bare(self) == bare(other)
    }

    /// Whether its system is known to work: as people and gates said since,
    /// else as it was known when the point was taken.
    pub fn is_good(&self, marks: &super::Marks) -> bool {
        marks
            .verdict
            .as_ref()
            .map_or(self.known_good, |verdict| verdict.good)
    }
}

/// A file that says which program's format the files beside it have.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Marker {
    /// The file.
    pub path: BytePath,
    /// Its first line.
    pub says: String,
}

/// A garbage-collector root.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Pin {
    /// The link, under `/nix/var/nix/gcroots/cairn`.
    pub link: BytePath,
    /// What it keeps alive.
    pub path: StorePath,
}

/// Whether a point holds all that was asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "status", rename_all = "kebab-case")]
pub enum Completeness {
    /// All of it.
    Complete,
    /// Not all of it.
    Partial {
        /// What is missing.
        missing: Vec<Missing>,
    },
}

/// One thing a partial point lacks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Missing {
    /// The file, link or store path.
    pub what: BytePath,
    /// Why it is not there.
    pub why: String,
}

impl Completeness {
    /// `Complete` when nothing is missing.
    pub fn from_missing(missing: Vec<Missing>) -> Self {
        if missing.is_empty() {
            Self::Complete
        } else {
            Self::Partial { missing }
        }
    }

    /// What is missing; empty for a complete point.
    pub fn missing(&self) -> &[Missing] {
        match self {
            Self::Complete => &[],
            Self::Partial { missing } => missing,
        }
    }
}

/// Why a file is not a restore point's document.
#[derive(Debug, thiserror::Error)]
pub enum DocumentError {
    /// Nothing in it: a torn write of some other program, or a full disk.
    #[error("the document is empty")]
    Empty,
    /// Beyond [`MAX_BYTES`].
    #[error("the document has {0} bytes, more than any restore point")]
    TooLarge(usize),
    /// Not JSON, cut off, or fields missing.
    #[error("the document is damaged: {0}")]
    Damaged(serde_json::Error),
    /// Made by another release.
    #[error("the document has schema version {found}, this cairn reads version {VERSION}")]
    Version {
        /// What it says.
        found: u64,
    },
    /// The file was renamed or swapped.
    #[error("the document names itself {found}, its file {expected}")]
    WrongId {
        /// From the file's name.
        expected: PointId,
        /// From the document.
        found: PointId,
    },
}

#[derive(Deserialize)]
struct VersionOnly {
    version: u64,
}

#[derive(Deserialize)]
struct IdOnly {
    id: PointId,
}

impl Point {
    /// Parses a document that is stored under the id `expected`.
    ///
    /// # Errors
    /// Every [`DocumentError`]; a document is taken whole or not at all.
    pub fn parse(text: &[u8], expected: PointId) -> Result<Self, DocumentError> {
        if text.is_empty() {
            return Err(DocumentError::Empty);
        }
        if text.len() > MAX_BYTES {
            return Err(DocumentError::TooLarge(text.len()));
        }
        let point: Self = serde_json::from_slice(text).map_err(|error| {
            // Only a document that cannot be read is asked for its version
            // first: a newer schema is the likeliest cause, and says more.
            match serde_json::from_slice::<VersionOnly>(text) {
                Ok(v) if v.version != u64::from(VERSION) => {
                    DocumentError::Version { found: v.version }
                }
                _ => DocumentError::Damaged(error),
            }
        })?;
        if point.version != VERSION {
            return Err(DocumentError::Version {
                found: point.version.into(),
            });
        }
        if point.id != expected {
            return Err(DocumentError::WrongId {
                expected,
                found: point.id,
            });
        }
        Ok(point)
    }

    /// Parses a document that is stored under no name of its own.
    ///
    /// # Errors
    /// As [`Point::parse`].
    pub fn parse_loose(text: &[u8]) -> Result<Self, DocumentError> {
        if text.len() > MAX_BYTES {
            return Err(DocumentError::TooLarge(text.len()));
        }
        let named: IdOnly = serde_json::from_slice(text).map_err(DocumentError::Damaged)?;
        Self::parse(text, named.id)
    }

    /// The document's text, as it is stored.
    ///
    /// # Errors
    /// Never in practice: every field has a JSON form.
    pub fn to_json(&self) -> Result<Vec<u8>, serde_json::Error> {
        let mut text = serde_json::to_vec_pretty(self)?;
        text.push(b'\n');
        Ok(text)
    }

    /// Every snapshot of it in the vault, of both repositories.
    pub fn snapshots(&self) -> impl Iterator<Item = &str> {
        let config = self.config.as_ref().and_then(Config::snapshot);
        config
            .into_iter()
            .chain(self.state.values().filter_map(StateSet::snapshot))
    }

    /// Whether all that was asked for was captured.
    pub fn is_complete(&self) -> bool {
        self.completeness == Completeness::Complete
    }
}

#[cfg(test)]
#[path = "document_tests.rs"]
mod tests;
