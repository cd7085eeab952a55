//! Journals of restores: one file each, written before anything changes.
//!
//! A journal holds the intent — which point, which part, which point undoes
//! it — not a list of writes. Restoring is convergent: going on after a crash
//! is restoring the same intent again, going back is restoring the undo point.

use std::fs;
use std::io;
use std::path::PathBuf;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::error::optional;
use super::points::is_malformed;
use super::{At, IoError, Layout, durable};
use crate::nix::store_path::StorePath;
use crate::point::PointId;

/// The version of the journal this build reads and writes.
pub const VERSION: u32 = 1;

/// One restore.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Entry {
    /// Format version.
    pub version: u32,
    /// Its id.
    pub id: PointId,
    /// When it began (UTC).
    pub started: DateTime<Utc>,
    /// Which restore of this machine it is, counted from 1; 0 in journals of
    /// before. Clocks may be wrong: this is their order.
    #[serde(default)]
    pub turn: u64,
    /// The verb that asked for it.
    pub verb: String,
    /// What is brought back.
    pub goal: Goal,
    /// The point taken before, which undoes it.
    pub undo_point: PointId,
    /// Which part of it.
    pub scope: Scope,
    /// Folders above named paths that are made for them; going back takes
    /// them away again.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub made: Vec<crate::point::BytePath>,
    /// Folders above its roots that were not there and are made; going back
    /// takes them away when they are empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub above: Vec<crate::point::BytePath>,
    /// Folders that go when they are empty: what it undoes had made them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub emptied: Vec<crate::point::BytePath>,
    /// Roots of configuration and state it covers; going back touches no
    /// others.
    #[serde(default)]
    pub roots: Vec<crate::point::BytePath>,
    /// Points taken when it was resumed or aborted, of what was there then.
    #[serde(default)]
    pub kept: Vec<PointId>,
    /// Units that ran and were stopped for it: they are started again when it
    /// ends, however it ends.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stopped: Vec<String>,
    /// How far it is.
    pub state: State,
}

/// What a restore brings back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Goal {
    /// A restore point.
    Point(PointId),
    /// A system alone, by its store path.
    Toplevel(StorePath),
}

/// Which part of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Scope {
    /// The system generation.
    pub generation: bool,
    /// The configuration.
    pub config: bool,
    /// State sets, by name.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub state: Vec<String>,
    /// Only these paths of the files; all when empty.
    pub paths: Vec<crate::point::BytePath>,
    /// Paths of the configuration that stay as they are.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub leave: Vec<crate::point::BytePath>,
    /// Leave files alone that were added since.
    pub keep_added: bool,
    /// How the system is activated.
    pub activation: Activation,
    /// Activate it though every pointer is right: what a switch that was
    /// stopped half way did is not in the pointers.
    pub anyhow: bool,
    /// Install the boot loader itself too, not only its menu.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub bootloader: bool,
    /// The system that takes the place of the point's own, which is gone and
    /// could not be had exactly.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stand_in: Option<StorePath>,
}

/// How a restored system is made to run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Activation {
    /// Now, and at every boot.
    #[default]
    Switch,
    /// From the next boot on.
    Boot,
    /// Now, not at boot: the profile stays.
    Test,
}

/// How far a restore is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// Begun and not ended: it needs `resume` or `abort`.
    Running,
    /// Ended, verified.
    Done,
    /// Taken back to its undo point.
    Aborted,
}

impl Entry {
    /// The part to restore from the undo point to go back.
    pub fn scope_back(&self) -> Scope {
        let mut scope = Scope {
            keep_added: false,
            stand_in: None,
            ..self.scope.clone()
        };
        if scope.paths.is_empty() {
            scope.paths.clone_from(&self.roots);
        } else {
            scope.paths.extend(self.made.iter().cloned());
        }
        scope
    }
}

/// Writes an entry, replacing an earlier state of it.
///
/// # Errors
/// When it cannot be written durably.
pub fn store(layout: &Layout, entry: &Entry) -> Result<(), IoError> {
    let path = layout.journal().join(format!("{}.json", entry.id));
    let text = serde_json::to_vec_pretty(entry)
        .map_err(io::Error::from)
        .at("encode", &path)?;
    durable::write(&path, &text)
}

/// What could not be done where a journal is no such thing.
pub const READ: &str = "read the journal";

/// All entries, oldest first.
///
/// # Errors
/// When one cannot be read: whether a restore is unfinished must be known.
pub fn read(layout: &Layout) -> Result<Vec<Entry>, IoError> {
    let mut entries = Vec::new();
    for (path, entry) in each(layout)? {
        entries.push(entry.at(READ, &path)?);
    }
    entries.sort_by_key(|e| (e.turn, e.id));
    Ok(entries)
}

/// The turn of the next restore.
///
/// # Errors
/// As [`read`].
pub fn next_turn(layout: &Layout) -> Result<u64, IoError> {
    Ok(read(layout)?.last().map_or(0, |entry| entry.turn) + 1)
}

/// Journals that were read and are none, and why.
///
/// # Errors
/// When the folder cannot be listed.
pub fn damaged(layout: &Layout) -> Result<Vec<(PathBuf, String)>, IoError> {
    let damaged = each(layout)?.into_iter().filter_map(|(path, entry)| {
        let error = entry.err().filter(is_malformed)?;
        Some((path, error.to_string()))
    });
    Ok(damaged.collect())
}

/// Journals that cannot be read, whatever the reason, and why.
///
/// # Errors
/// When the folder cannot be listed.
pub fn unreadable(layout: &Layout) -> Result<Vec<(PathBuf, String)>, IoError> {
    let all = each(layout)?.into_iter();
    let unreadable = all.filter_map(|(path, entry)| Some((path, entry.err()?.to_string())));
    Ok(unreadable.collect())
}

fn each(layout: &Layout) -> Result<Vec<(PathBuf, io::Result<Entry>)>, IoError> {
    let dir = layout.journal();
    let Some(files) = optional(fs::read_dir(&dir).at("list the journals in", &dir))? else {
        return Ok(Vec::new());
    };
    let mut entries = Vec::new();
    for file in files {
        let path = file.at("list the journals in", &dir)?.path();
        if path.extension().is_none_or(|e| e != "json")
            || path
                .file_name()
                .is_some_and(|n| n.to_string_lossy().starts_with(durable::TEMPORARY))
        {
            continue;
        }
        let entry = fs::read(&path).and_then(|text| parse(&text));
        entries.push((path, entry));
    }
    Ok(entries)
}

fn parse(text: &[u8]) -> io::Result<Entry> {
    let entry: Entry = serde_json::from_slice(text)?;
    if entry.version == VERSION {
        return Ok(entry);
    }
    let found = entry.version;
    Err(io::Error::other(format!(
        "it has version {found}, this cairn reads version {VERSION}"
    )))
}

/// The restore that is begun and not ended.
///
/// # Errors
/// As [`read`].
pub fn unfinished(layout: &Layout) -> Result<Option<Entry>, IoError> {
    Ok(read(layout)?
        .into_iter()
        .rfind(|e| e.state == State::Running))
}
