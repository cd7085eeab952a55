//! What a page about the machine tells: values alone, oldest first.

use chrono::{DateTime, Utc};

use crate::point::event::Kind;

/// All of it.
#[derive(Clone, Debug)]
pub struct Report {
    /// The machine's name.
    pub host: String,
    /// The program's version.
    pub version: String,
    /// When it was made (UTC).
    pub at: DateTime<Utc>,
    /// The health score.
    pub score: Option<u8>,
    /// Whether all that is required is well.
    pub healthy: bool,
    /// Open issues, in words.
    pub issues: Vec<String>,
    /// What wants attention.
    pub notes: Vec<String>,
    /// Restore points.
    pub points: Vec<PointLine>,
    /// Generations.
    pub generations: Vec<GenerationLine>,
    /// What happened.
    pub events: Vec<EventLine>,
    /// The score over time.
    pub scores: Vec<(DateTime<Utc>, f64)>,
    /// Bytes of the vault.
    pub vault_bytes: u64,
    /// Remotes, and how old the newest copy on each.
    pub remotes: Vec<(String, Option<DateTime<Utc>>)>,
}

/// A restore point.
#[derive(Clone, Debug)]
pub struct PointLine {
    /// Short id.
    pub id: String,
    /// When it was taken (UTC).
    pub at: DateTime<Utc>,
    /// Why.
    pub reason: String,
    /// What took it.
    pub trigger: String,
    /// What it holds.
    pub holds: String,
    /// What is said of it: pinned, good, bad.
    pub marks: Vec<&'static str>,
    /// Whether all that was asked for was captured.
    pub whole: bool,
}

/// A generation.
#[derive(Clone, Debug)]
pub struct GenerationLine {
    /// Its number.
    pub number: u64,
    /// When it was made (UTC).
    pub at: DateTime<Utc>,
    /// NixOS version.
    pub nixos: String,
    /// Kernel version.
    pub kernel: String,
    /// Bytes of its closure.
    pub bytes: Option<u64>,
    /// "current", "running", "booted".
    pub is: Vec<&'static str>,
    /// What differs from the generation before: a sign and the words.
    pub changes: Vec<(char, String)>,
    /// Changes beyond those that are listed.
    pub more: usize,
}

/// Something that happened.
#[derive(Clone, Debug)]
pub struct EventLine {
    /// When (UTC).
    pub at: DateTime<Utc>,
    /// What kind.
    pub kind: Kind,
    /// In one line.
    pub what: String,
    /// Whether it went well.
    pub good: Option<bool>,
}
