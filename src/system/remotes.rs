//! What is known of remotes without asking them: one small file each.

use std::collections::BTreeMap;
use std::fs;
use std::io;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::error::optional;
use super::{At, IoError, Layout, durable};
use crate::point::PointId;

/// The version this build writes, and the only one it reads.
const VERSION: u32 = 1;

/// What is known of one remote.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Record {
    /// Format version.
    pub version: u32,
    /// Its address when it was last used.
    #[serde(default)]
    pub address: String,
    /// When points were last sent, and got there (UTC).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pushed: Option<DateTime<Utc>>,
    /// When the newest of this machine's points there was taken (UTC).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub newest: Option<DateTime<Utc>>,
    /// When it was last tried (UTC).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tried: Option<DateTime<Utc>>,
    /// Points of which a push or a prune may have left content there without
    /// its point, and since when (UTC).
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub unfinished: BTreeMap<PointId, DateTime<Utc>>,
    /// Why the last try failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trouble: Option<String>,
}

/// What is known of a remote; nothing, when it was never used.
///
/// # Errors
/// When its file cannot be read.
pub fn read(layout: &Layout, name: &str) -> Result<Record, IoError> {
    let path = layout.remotes().join(format!("{name}.json"));
    let Some(text) = optional(fs::read(&path).at("read the record", &path))? else {
        return Ok(Record::default());
    };
    let record: Record = serde_json::from_slice(&text)
        .map_err(io::Error::from)
        .at("read the record", &path)?;
    match record.version {
        VERSION => Ok(record),
        other => Err(io::Error::other(format!(
            "it has version {other}, this cairn reads version {VERSION}"
        )))
        .at("read the record", &path),
    }
}

/// Forgets what is known of a remote: it is gone, or another one by now.
///
/// # Errors
/// When its file cannot be removed.
pub fn forget(layout: &Layout, name: &str) -> Result<(), IoError> {
    match layout.remotes().exists() {
        true => durable::remove(&layout.remotes().join(format!("{name}.json"))),
        false => Ok(()),
    }
}

/// Changes what is known of a remote. A record that cannot be read is begun
/// anew: the remote itself tells what is there.
///
/// # Errors
/// When it cannot be written.
pub fn change(
    layout: &Layout,
    name: &str,
    change: impl FnOnce(&mut Record),
) -> Result<(), IoError> {
    let dir = layout.remotes();
    durable::create_private_dir(&dir)?;
    let mut record = read(layout, name).unwrap_or_default();
    record.version = VERSION;
    change(&mut record);
    let path = dir.join(format!("{name}.json"));
    let text = serde_json::to_vec_pretty(&record)
        .map_err(io::Error::from)
        .at("encode", &path)?;
    durable::write(&path, &text)
}
