//! Records of switches, one file each, and the note of what runs.
//!
//! They live in the state directory; when that cannot be written, on a full
//! disk say, a record goes to `/run/cairn`, so that its switch is watched all
//! the same.

use std::cmp::Reverse;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::error::optional;
use super::lock::{Lock, LockError, Mode};
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
    switches.sort_by_key(|s: &Switch| (s.id, Reverse(s.revision)));
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
    // In the second place while the first has no room for what is newer, and a
    // moment longer, which a crash may make a long one.
    let volatile = optional(read_one(&layout.volatile_switches().join(&name)))?;
    match (volatile, read_one(&layout.switches().join(name))) {
        (Some(volatile), Ok(stored)) if stored.revision > volatile.revision => Ok(stored),
        (Some(volatile), _) => Ok(volatile),
        (None, stored) => stored,
    }
}

/// Changes a record: nobody else reads or writes it meanwhile who means to
/// change it too. Gives it as it is now, and what the change came to.
///
/// # Errors
/// When it cannot be read, or written in either place.
pub fn change<T>(
    layout: &Layout,
    id: PointId,
    change: impl FnOnce(&mut Switch) -> T,
) -> Result<(Switch, T), LockError> {
    let _alone = alone(layout, "change", WRITING)?;
    let mut switch = by_id(layout, id)?;
    let outcome = change(&mut switch);
    switch.revision += 1;
    store(layout, &switch)?;
    Ok((switch, outcome))
}

/// How long a record may be in use.
const WRITING: Duration = Duration::from_secs(10);

/// The lock that whoever ends a switch holds: of two that go back, the second
/// finds it done. Waits as long as that takes.
///
/// # Errors
/// When it cannot be used.
pub fn ending(layout: &Layout) -> Result<Lock, LockError> {
    alone(layout, "end", Duration::MAX)
}

/// Whether somebody is ending a switch: it may be going back at this moment.
pub fn is_ending(layout: &Layout) -> bool {
    matches!(
        alone(layout, "end", Duration::ZERO),
        Err(LockError::Held { .. })
    )
}

/// The lock that `cairn try` holds as long as it is at work.
///
/// # Errors
/// [`LockError::Held`] after `patience`: another one is.
pub fn trying(layout: &Layout, patience: Duration) -> Result<Lock, LockError> {
    alone(layout, "try", patience)
}

/// These locks need no room on a disk, and no boot outlives them.
fn alone(layout: &Layout, name: &str, patience: Duration) -> Result<Lock, LockError> {
    let dir = layout.volatile_switches().join(name);
    durable::create_private_dir(&layout.volatile_switches())?;
    durable::create_private_dir(&dir)?;
    Lock::take(&dir, Mode::Exclusive, patience)
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
    for dir in [layout.volatile_switches(), layout.switches()] {
        let listed = fs::read_dir(&dir).at("list the switches in", &dir);
        // Those of the machine are root's, whatever an other user keeps.
        let others = dir == layout.volatile_switches() && !rustix::process::geteuid().is_root();
        let entries = match optional(listed) {
            Err(error) if others && error.kind() == io::ErrorKind::PermissionDenied => continue,
            other => other?,
        };
        let Some(entries) = entries else { continue };
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

#[cfg(test)]
#[allow(clippy::disallowed_methods)]
mod tests {
    use super::*;

    fn record(revision: u64) -> Switch {
        let system = format!("/nix/store/{}-system", "0".repeat(32));
        serde_json::from_value(serde_json::json!({
            "version": VERSION,
            "id": "0199d1a0-0000-7000-8000-000000000001",
            "started": "2026-11-23T07:00:00Z",
            "action": "switch",
            "to": system,
            "before": {},
            "boot": "b",
            "revision": revision,
        }))
        .unwrap()
    }

    #[test]
    fn what_a_crash_left_in_the_second_place_is_not_taken_for_the_newer() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::new(dir.path(), dir.path());
        let (id, name) = (record(0).id, format!("{}.json", record(0).id));
        let put = |place: PathBuf, revision| {
            fs::create_dir_all(&place).unwrap();
            let text = serde_json::to_vec(&record(revision)).unwrap();
            fs::write(place.join(&name), text).unwrap();
        };
        for (volatile, stored, counts) in [(1, 2, 2), (2, 1, 2), (1, 1, 1)] {
            put(layout.volatile_switches(), volatile);
            put(layout.switches(), stored);
            assert_eq!(by_id(&layout, id).unwrap().revision, counts);
            let (all, _) = read(&layout).unwrap();
            assert_eq!((all.len(), all[0].revision), (1, counts));
        }
        let (changed, ()) = change(&layout, id, |_| ()).unwrap();
        assert_eq!(changed.revision, 2);
        assert!(!layout.volatile_switches().join(&name).exists());
    }
}
