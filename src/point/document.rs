//! The document of a restore point, schema version 1.
//!
//! It describes itself: with it and the vault alone, a machine that has never
//! seen this one can bring the point back. It is written once and never
//! changed; later verdicts are [`super::Marks`].

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::health::{Health, Issue};
use super::{BytePath, PointId};
use crate::nix::store_path::StorePath;

/// The schema version this build writes, and the only one it reads.
pub const VERSION: u32 = 1;

/// Largest document that is read, in bytes. A real one is a few KiB.
pub const MAX_BYTES: usize = 16 << 20;

/// One restore point.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Point {
    /// Schema version, [`VERSION`].
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
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Imported {
    /// When (UTC).
    pub at: DateTime<Utc>,
}

impl Point {
    /// Whether it was taken by another machine than the one with this
    /// `/etc/machine-id`. A point that came in a file and does not say whose
    /// it is counts as another's.
    pub fn is_foreign(&self, machine_id: Option<&str>) -> bool {
        self.imported.is_some()
            && (self.machine_id.is_none() || self.machine_id.as_deref() != machine_id)
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

/// What took a point.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Trigger {
    /// A person.
    Manual,
    /// A timer, by name.
    Schedule(String),
    /// The hook that runs before a switch.
    PreSwitch,
    /// The machine has booted.
    Boot,
    /// A healing action was about to run.
    PreHeal,
    /// A restore was about to run; this point undoes it.
    PreRestore,
    /// A merge: this point holds what it arrives at.
    Merge,
    /// `cairn try`.
    Try,
}

impl Trigger {
    /// Whether somebody meant to have the point: not one that a restore or a
    /// merge takes for itself.
    pub fn is_meant(&self) -> bool {
        !matches!(self, Self::PreRestore | Self::Merge)
    }
}

/// Why a text is not a trigger.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error(
    "'{0}' is not a trigger (manual, schedule:<name>, pre-switch, boot, pre-heal, pre-restore, \
     merge, try)"
)]
pub struct BadTrigger(String);

impl FromStr for Trigger {
    type Err = BadTrigger;

    fn from_str(text: &str) -> Result<Self, BadTrigger> {
        let named = |name: &str| {
            let ok = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
            (!name.is_empty() && name.len() <= 64 && name.chars().all(ok)).then(|| name.to_owned())
        };
        match text {
            "manual" => Ok(Self::Manual),
            "pre-switch" => Ok(Self::PreSwitch),
            "boot" => Ok(Self::Boot),
            "pre-heal" => Ok(Self::PreHeal),
            "pre-restore" => Ok(Self::PreRestore),
            "merge" => Ok(Self::Merge),
            "try" => Ok(Self::Try),
            _ => text
                .strip_prefix("schedule:")
                .and_then(named)
                .map(Self::Schedule)
                .ok_or_else(|| BadTrigger(text.chars().take(80).collect())),
        }
    }
}

impl fmt::Display for Trigger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Manual => f.write_str("manual"),
            Self::Schedule(name) => write!(f, "schedule:{name}"),
            Self::PreSwitch => f.write_str("pre-switch"),
            Self::Boot => f.write_str("boot"),
            Self::PreHeal => f.write_str("pre-heal"),
            Self::PreRestore => f.write_str("pre-restore"),
            Self::Merge => f.write_str("merge"),
            Self::Try => f.write_str("try"),
        }
    }
}

impl Serialize for Trigger {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Trigger {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

/// The system at the time: the four pointers, which can all differ, and facts
/// read from the running toplevel.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct System {
    /// The profile: what the next boot would use, unless the loader disagrees.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub profile: Option<ProfileFact>,
    /// `/run/current-system`: what runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub current: Option<StorePath>,
    /// `/run/booted-system`: what was booted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub booted: Option<StorePath>,
    /// What the boot loader would start.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub loader_default: Option<StorePath>,
    /// Set when the running system is a specialisation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub specialisation: Option<Specialisation>,
    /// The switch under way, for a point taken by its hook.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub incoming: Option<Incoming>,
    /// Kernels.
    pub kernel: Kernel,
    /// `nixos-version` of the running toplevel.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nixos_version: Option<String>,
    /// `system.configurationRevision`, when the configuration sets it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub configuration_revision: Option<String>,
}

impl System {
    /// The toplevel that restoring this point makes the boot default.
    ///
    /// As a rule that is where the profile pointed. When a switch has moved the
    /// profile already, as `nixos-rebuild` does before anything else, it is
    /// what the boot loader still started, else the running system; so it is
    /// when there was no profile.
    ///
    /// A running specialisation tells it better than the boot loader, whose
    /// default may be another generation, or the specialisation itself.
    pub fn boot_target(&self) -> Option<&StorePath> {
        let profile = self.profile.as_ref().map(|p| &p.toplevel);
        let parent = self.specialisation.as_ref().map(|s| &s.parent);
        let running = parent.or(self.current.as_ref());
        match &self.incoming {
            Some(to) if to.action != "test" && profile == Some(to.generation()) => {
                // From one specialisation to another, the profile stays.
                if to.specialisation.is_some() && running == profile {
                    return profile;
                }
                let of_loader = self
                    .loader_default
                    .as_ref()
                    .filter(|default| **default != to.toplevel && *default != to.generation());
                parent.or(of_loader).or(running).or(profile)
            }
            _ => profile.or(running),
        }
    }

    /// The toplevel that restoring this point makes run; absent when nothing
    /// ran, as in a root on a mounted disk.
    pub fn run_target(&self) -> Option<&StorePath> {
        self.current.as_ref()
    }

    /// The system that this point is about: the running one, else the boot
    /// default.
    pub fn target(&self) -> Option<&StorePath> {
        self.run_target().or_else(|| self.boot_target())
    }

    /// Every toplevel worth keeping alive, each once.
    pub fn toplevels(&self) -> BTreeSet<&StorePath> {
        [&self.current, &self.booted, &self.loader_default]
            .into_iter()
            .flatten()
            .chain(self.profile.as_ref().map(|p| &p.toplevel))
            .chain(self.specialisation.as_ref().map(|s| &s.parent))
            .collect()
    }
}

/// Where the profile pointed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProfileFact {
    /// Profile name, `system` unless another was asked for.
    pub name: String,
    /// Generation number: a hint, it dies with its link.
    pub generation: u64,
    /// The store path: the truth.
    pub toplevel: StorePath,
}

/// A running specialisation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Specialisation {
    /// Its name.
    pub name: String,
    /// The toplevel it belongs to.
    pub parent: StorePath,
}

/// A switch under way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Incoming {
    /// The toplevel being switched to.
    pub toplevel: StorePath,
    /// `NIXOS_ACTION`: switch, boot or test.
    pub action: String,
    /// Set when that is a specialisation of the profile's system.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub specialisation: Option<Specialisation>,
}

impl Incoming {
    /// What the profile points to for it.
    pub fn generation(&self) -> &StorePath {
        let parent = self.specialisation.as_ref().map(|s| &s.parent);
        parent.unwrap_or(&self.toplevel)
    }
}

/// Kernel versions.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Kernel {
    /// The one that runs (`uname -r`); absent for another root than `/`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub running: Option<String>,
    /// The one the target toplevel boots.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
}

/// The captured configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Config {
    /// What was captured, each root apart.
    pub roots: Vec<ConfigRoot>,
    /// Regular files.
    pub files: u64,
    /// Sum of their sizes, in bytes.
    pub bytes: u64,
    /// SHA-256 over the sorted listing (path, kind, permissions, content): two
    /// points with the same hash hold the same configuration.
    pub hash: String,
    /// Tree id in the vault; empty when nothing was there.
    pub tree: String,
    /// Snapshot id in the vault; empty when nothing was there: see
    /// [`Config::snapshot`].
    pub snapshot: String,
    /// Imports that led outside the roots and were captured too.
    #[serde(default)]
    pub followed: Vec<BytePath>,
    /// Imports that could not be followed, and why.
    #[serde(default)]
    pub unfollowed: Vec<Unfollowed>,
    /// Entries left out on purpose (`.git`).
    #[serde(default)]
    pub excluded: Vec<BytePath>,
}

impl Config {
    /// The snapshot in the vault; `None` when no root was there to capture.
    pub fn snapshot(&self) -> Option<&str> {
        Some(self.snapshot.as_str()).filter(|id| !id.is_empty())
    }
}

/// One captured root, of the configuration or of a state set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConfigRoot {
    /// Absolute path as the machine itself names it (without `--root`), free
    /// of symlinks.
    pub path: BytePath,
    /// What was there.
    pub kind: RootKind,
    /// The Git checkout it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub git: Option<GitFact>,
}

/// What was at a root.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RootKind {
    /// A directory and all below it.
    Directory,
    /// One file.
    File,
    /// A symlink (what it leads to is a root of its own).
    Symlink,
    /// Nothing: bringing the point back removes what is there now.
    Absent,
}

/// The state of a Git checkout.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GitFact {
    /// Top folder of the checkout.
    pub top: BytePath,
    /// Commit of `HEAD`; absent before the first commit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
    /// Whether files differed from that commit; absent when Git could not say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dirty: Option<bool>,
}

/// An import that could not be followed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unfollowed {
    /// The file it stands in.
    pub file: BytePath,
    /// Its line, from 1.
    pub line: u32,
    /// Its text.
    pub text: String,
    /// Why not.
    pub why: String,
}

/// One captured state set.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StateSet {
    /// Snapshot id in the vault; empty when nothing was there: see
    /// [`StateSet::snapshot`].
    pub snapshot: String,
    /// Sum of the sizes of its files, in bytes.
    pub bytes: u64,
    /// How it was made consistent.
    pub consistency: String,
    /// Tree id in the vault; empty when nothing was there.
    #[serde(default)]
    pub tree: String,
    /// Regular files.
    #[serde(default)]
    pub files: u64,
    /// As the configuration's; empty when large files were taken unread from
    /// an earlier point.
    #[serde(default)]
    pub hash: String,
    /// What was captured, each root apart.
    #[serde(default)]
    pub roots: Vec<ConfigRoot>,
    /// What belongs to the roots and not to the set, whether it was there or
    /// not: bringing the set back leaves it alone.
    #[serde(default)]
    pub excluded: Vec<BytePath>,
    /// Units that own it.
    #[serde(default)]
    pub units: Vec<String>,
    /// What its version command said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
}

impl StateSet {
    /// The snapshot in the vault; `None` when no root was there to capture.
    pub fn snapshot(&self) -> Option<&str> {
        Some(self.snapshot.as_str()).filter(|id| !id.is_empty())
    }
}

/// A file that says which program's format the files beside it have.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Marker {
    /// The file.
    pub path: BytePath,
    /// Its first line.
    pub says: String,
}

/// A garbage-collector root.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pin {
    /// The link, under `/nix/var/nix/gcroots/cairn`.
    pub link: BytePath,
    /// What it keeps alive.
    pub path: StorePath,
}

/// Whether a point holds all that was asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
