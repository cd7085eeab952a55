//! Systems that passed a gate: a garbage-collector root each, so that there
//! is always one to go back to, in a folder beside the roots of the points.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::time::SystemTime;

use super::error::optional;
use super::{At, IoError, Layout, durable};
use crate::nix::store_path::StorePath;

/// Systems that are kept: what ran last, and two to fall back on.
const KEPT: usize = 3;

fn dir(layout: &Layout) -> PathBuf {
    layout.gcroots().join("known-good")
}

/// Notes that a system is known-good, and reads the note back. The oldest
/// beyond three are let go.
///
/// # Errors
/// When the root cannot be made or does not read back; the system does not
/// count as known-good then.
pub fn mark(layout: &Layout, toplevel: &StorePath) -> Result<(), IoError> {
    let dir = dir(layout);
    fs::create_dir_all(&dir).at("create the folder", &dir)?;
    let link = dir.join(toplevel.to_string());
    let temporary = dir.join(format!("{}{toplevel}", durable::TEMPORARY));
    let _ = fs::remove_file(&temporary);
    // Made anew each time: the link's date is that of the last verdict.
    symlink(toplevel.to_absolute_path(), &temporary).at("create the root", &temporary)?;
    fs::rename(&temporary, &link).at("put the root in place", &link)?;
    durable::sync_dir(&dir)?;
    if !is(layout, toplevel) {
        return Err(std::io::Error::other("it does not read back as written")).at("verify", &link);
    }
    for old in newest_first(layout)?.into_iter().skip(KEPT) {
        durable::remove(&dir.join(old.to_string()))?;
    }
    Ok(())
}

/// Notes that a system is not known-good after all.
///
/// # Errors
/// When its root cannot be removed.
pub fn unmark(layout: &Layout, toplevel: &StorePath) -> Result<(), IoError> {
    match is(layout, toplevel) {
        true => durable::remove(&dir(layout).join(toplevel.to_string())),
        false => Ok(()),
    }
}

/// Whether a system is known-good.
pub fn is(layout: &Layout, toplevel: &StorePath) -> bool {
    fs::read_link(dir(layout).join(toplevel.to_string()))
        .is_ok_and(|target| target.as_os_str() == toplevel.to_absolute_path().as_str())
}

/// Systems that passed a gate, the last verdict first.
///
/// # Errors
/// When the folder exists and cannot be listed.
pub fn newest_first(layout: &Layout) -> Result<Vec<StorePath>, IoError> {
    let dir = dir(layout);
    let Some(entries) = optional(fs::read_dir(&dir).at("list", &dir))? else {
        return Ok(Vec::new());
    };
    let mut found: Vec<(SystemTime, StorePath)> = Vec::new();
    for entry in entries {
        let entry = entry.at("list", &dir)?;
        let target = fs::read_link(entry.path())
            .ok()
            .and_then(|t| StorePath::from_absolute_path(t.to_str()?.as_bytes()).ok());
        let date = entry.metadata().and_then(|m| m.modified());
        if let (Some(target), Ok(date)) = (target, date)
            && entry.file_name().to_string_lossy() == target.to_string()
        {
            found.push((date, target));
        }
    }
    found.sort();
    Ok(found.into_iter().rev().map(|(_, path)| path).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_three_are_kept_and_the_newest_comes_first() {
        let root = tempfile::tempdir().unwrap();
        let layout = Layout::new(root.path(), root.path().join("state"));
        fs::create_dir_all(layout.gcroots()).unwrap();
        let path = |n: u8| {
            let text = format!("/nix/store/{}-system-{n}", "0".repeat(32));
            StorePath::from_absolute_path(text.as_bytes()).unwrap()
        };
        for n in [1, 2, 3, 1, 4] {
            mark(&layout, &path(n)).unwrap();
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        assert_eq!(newest_first(&layout).unwrap(), [path(4), path(1), path(3)]);
        assert!(is(&layout, &path(1)) && !is(&layout, &path(2)));
    }
}
