//! Records of switches, one file each, and the note of what runs.
//!
//! They live in the state directory; when that cannot be written, on a full
//! disk say, a record goes to `/run/cairn`, so that its switch is watched all
//! the same.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::error::optional;
use super::{At, IoError, Layout, durable};
use crate::nix::store_path::StorePath;
use crate::point::PointId;
use crate::point::switch::{Switch, VERSION};

/// Ended records kept; older ones are removed as new ones come.
pub const KEPT: usize = 500;

/// Stores a record, in the state directory if that works.
///
/// # Errors
/// When it cannot be written in either place.
pub fn store(layout: &Layout, switch: &Switch) -> Result<(), IoError> {
    let name = format!("{}.json", switch.id);
    let text = serde_json::to_vec_pretty(switch)
        .map_err(io::Error::from)
        .at("encode", &name)?;
    let volatile = layout.volatile_switches().join(&name);
    let dir = layout.switches();
    let written =
        durable::create_private_dir(&dir).and_then(|()| durable::write(&dir.join(&name), &text));
    if written.is_ok() {
        return match fs::remove_file(&volatile) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e).at("remove", &volatile),
            _ => Ok(()),
        };
    }
    durable::create_private_dir(&layout.volatile_switches())?;
    durable::write(&volatile, &text)
}

/// All records that can be read, oldest first, and one line for each that
/// cannot.
///
/// # Errors
/// When a folder of them exists and cannot be listed.
pub fn read(layout: &Layout) -> Result<(Vec<Switch>, Vec<String>), IoError> {
    let (mut switches, mut damaged) = (Vec::new(), Vec::new());
    for path in files(layout)? {
        match read_one(&path) {
            Ok(switch) => switches.push(switch),
            Err(error) => damaged.push(error.to_string()),
        }
    }
    switches.sort_by_key(|s: &Switch| s.id);
    // One may lie in both places, when the disk was full for a while.
    switches.dedup_by_key(|s| s.id);
    Ok((switches, damaged))
}

/// The record with this id.
///
/// # Errors
/// When it is nowhere, or cannot be read.
pub fn by_id(layout: &Layout, id: PointId) -> Result<Switch, IoError> {
    let name = format!("{id}.json");
    let path = layout.switches().join(&name);
    match optional(read_one(&path))? {
        Some(switch) => Ok(switch),
        None => read_one(&layout.volatile_switches().join(name)),
    }
}

/// Removes the oldest ended records beyond [`KEPT`]; never the newest good one.
///
/// # Errors
/// When one cannot be removed.
pub fn trim(layout: &Layout) -> Result<(), IoError> {
    let (switches, _) = read(layout)?;
    let surplus = switches.len().saturating_sub(KEPT);
    for switch in switches.iter().take(surplus).filter(|s| !s.is_pending()) {
        durable::remove(&layout.switches().join(format!("{}.json", switch.id)))?;
    }
    Ok(())
}

fn files(layout: &Layout) -> Result<Vec<PathBuf>, IoError> {
    let mut files = Vec::new();
    for dir in [layout.switches(), layout.volatile_switches()] {
        let Some(entries) = optional(fs::read_dir(&dir).at("list the switches in", &dir))? else {
            continue;
        };
        for entry in entries {
            let path = entry.at("list the switches in", &dir)?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if name.ends_with(".json") && !name.starts_with(durable::TEMPORARY) {
                files.push(path);
            }
        }
    }
    Ok(files)
}

fn read_one(path: &Path) -> Result<Switch, IoError> {
    let text = fs::read(path).at("read the record", path)?;
    let switch: Switch = serde_json::from_slice(&text)
        .map_err(io::Error::from)
        .at("read the record", path)?;
    if switch.version == VERSION {
        return Ok(switch);
    }
    let found = switch.version;
    Err(io::Error::other(format!(
        "it has version {found}, this cairn reads version {VERSION}"
    )))
    .at("read the record", path)
}

/// The system that cairn last knew to run. What differs from it was switched
/// to behind its back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Known {
    version: u32,
    /// The running toplevel.
    pub toplevel: StorePath,
    /// The boot in which it was seen.
    pub boot: String,
}

/// Notes what runs now.
///
/// # Errors
/// When the note cannot be written.
pub fn know(layout: &Layout, toplevel: &StorePath) -> Result<(), IoError> {
    let boot = boot_id();
    if known(layout).is_some_and(|k| k.toplevel == *toplevel && k.boot == boot) {
        return Ok(());
    }
    let path = layout.known();
    let known = Known {
        version: VERSION,
        toplevel: toplevel.clone(),
        boot,
    };
    let text = serde_json::to_vec(&known)
        .map_err(io::Error::from)
        .at("encode", &path)?;
    let volatile = layout.volatile_known();
    if durable::write(&path, &text).is_ok() {
        return match fs::remove_file(&volatile) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e).at("remove", &volatile),
            _ => Ok(()),
        };
    }
    // On a full disk a note that is out of date would report switches that
    // nobody made.
    durable::create_private_dir(&layout.volatile_switches())?;
    durable::write(&volatile, &text)
}

/// What was noted; `None` when nothing was, or it cannot be read: then nothing
/// can be said of what was done since.
pub fn known(layout: &Layout) -> Option<Known> {
    let read = |path: &Path| {
        let known: Known = serde_json::from_slice(&fs::read(path).ok()?).ok()?;
        (known.version == VERSION).then_some(known)
    };
    // Only there when it is the newer one.
    read(&layout.volatile_known()).or_else(|| read(&layout.known()))
}

/// The id of this boot.
pub fn boot_id() -> String {
    fs::read_to_string("/proc/sys/kernel/random/boot_id")
        .map(|text| text.trim().to_owned())
        .unwrap_or_default()
}
