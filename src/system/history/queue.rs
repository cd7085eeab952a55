//! What could not be put into the history at once: a file each, put in by the
//! next one that can.

use std::fs;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use chrono::{DateTime, Utc};

use crate::point::event::Item;
use crate::system::error::optional;
use crate::system::{At, IoError, Layout, durable};

/// More is not queued: somebody holds the database for good.
const MOST: usize = 1000;

static NUMBER: AtomicU32 = AtomicU32::new(0);

/// Queues items.
///
/// # Errors
/// When there are too many, or they cannot be written.
pub(super) fn push(layout: &Layout, items: &[Item], now: DateTime<Utc>) -> Result<(), IoError> {
    let dir = layout.history_queue();
    durable::create_private_dir(&dir)?;
    if files(layout)?.len() >= MOST {
        let full = io::Error::other(format!("{MOST} entries wait there already"));
        return Err(full).at("add to", &dir);
    }
    let text = serde_json::to_vec(items)
        .map_err(io::Error::from)
        .at("encode for", &dir)?;
    let (process, number) = (std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
    let name = format!("{:015}-{process}-{number}.json", now.timestamp_millis());
    durable::write(&dir.join(name), &text)
}

/// What waits.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    /// Oldest first.
    pub(super) items: Vec<Item>,
    /// The files they are in.
    pub(super) files: Vec<PathBuf>,
    /// One line for each file that cannot be read.
    pub(super) damaged: Vec<String>,
}

/// What waits.
///
/// # Errors
/// When the queue cannot be listed.
pub(super) fn read(layout: &Layout) -> Result<Waiting, IoError> {
    let mut waiting = Waiting {
        files: files(layout)?,
        ..Waiting::default()
    };
    for path in &waiting.files {
        let read = fs::read(path).at("read", path);
        let parsed = read.and_then(|text| {
            serde_json::from_slice::<Vec<Item>>(&text)
                .map_err(io::Error::from)
                .at("read", path)
        });
        match parsed {
            Ok(more) => waiting.items.extend(more),
            Err(error) => waiting.damaged.push(error.to_string()),
        }
    }
    Ok(waiting)
}

fn files(layout: &Layout) -> Result<Vec<PathBuf>, IoError> {
    let dir = layout.history_queue();
    let Some(entries) = optional(fs::read_dir(&dir).at("list", &dir))? else {
        return Ok(Vec::new());
    };
    let mut files = Vec::new();
    for entry in entries {
        let path = entry.at("list", &dir)?.path();
        if path.extension().is_some_and(|e| e == "json") {
            files.push(path);
        }
    }
    files.retain(|path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        !name.starts_with(durable::TEMPORARY)
    });
    files.sort();
    Ok(files)
}
