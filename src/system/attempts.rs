//! The count of bad boots of one system, and the systems that were given up
//! for theirs, on disk: it must survive them.

use std::fs;
use std::io;

use serde::{Deserialize, Serialize};

use super::error::optional;
use super::{At, IoError, Layout, durable};
use crate::nix::store_path::StorePath;

const VERSION: u32 = 1;

#[derive(Serialize, Deserialize)]
struct Attempts {
    version: u32,
    toplevel: StorePath,
    boots: Vec<String>,
    /// Systems that another one has taken the place of since the last good boot.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    given_up: Vec<StorePath>,
}

impl Attempts {
    fn store(&self, layout: &Layout) -> Result<(), IoError> {
        let path = layout.attempts();
        let text = serde_json::to_vec(self)
            .map_err(io::Error::from)
            .at("encode", &path)?;
        durable::write(&path, &text)
    }
}

fn read(layout: &Layout) -> Result<Option<Attempts>, IoError> {
    let path = layout.attempts();
    let text = optional(fs::read(&path).at("read the count of boots", &path))?;
    Ok(text
        .and_then(|text| serde_json::from_slice::<Attempts>(&text).ok())
        .filter(|a| a.version == VERSION))
}

/// Counts a bad boot of `toplevel`, once per boot; gives how many there were.
/// Another system begins a new count.
///
/// # Errors
/// When the count cannot be read or written: nothing may be decided on it then.
pub fn count(layout: &Layout, toplevel: &StorePath, boot: &str) -> Result<u32, IoError> {
    let mut attempts = read(layout)?.unwrap_or_else(|| Attempts {
        version: VERSION,
        toplevel: toplevel.clone(),
        boots: Vec::new(),
        given_up: Vec::new(),
    });
    if attempts.toplevel != *toplevel {
        attempts.toplevel = toplevel.clone();
        attempts.boots.clear();
    }
    if !attempts.boots.iter().any(|b| b == boot) {
        attempts.boots.push(boot.to_owned());
        attempts.store(layout)?;
    }
    Ok(u32::try_from(attempts.boots.len()).unwrap_or(u32::MAX))
}

/// Systems given up since the last good boot.
///
/// # Errors
/// When the count cannot be read.
pub fn given_up(layout: &Layout) -> Result<Vec<StorePath>, IoError> {
    Ok(read(layout)?.map(|a| a.given_up).unwrap_or_default())
}

/// Notes, before it happens, that another system takes the place of the one
/// whose bad boots were counted last.
///
/// # Errors
/// When that cannot be written: nothing may take its place then.
pub fn give_up(layout: &Layout) -> Result<(), IoError> {
    let Some(mut attempts) = read(layout)? else {
        return Ok(());
    };
    if !attempts.given_up.contains(&attempts.toplevel) {
        attempts.given_up.push(attempts.toplevel.clone());
    }
    attempts.store(layout)
}

/// Forgets all bad boots.
///
/// # Errors
/// When the count cannot be removed.
pub fn clear(layout: &Layout) -> Result<(), IoError> {
    let path = layout.attempts();
    match optional(fs::symlink_metadata(&path).at("look at", &path))? {
        Some(_) => durable::remove(&path),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_bad_boot_of_a_system_counts_once() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::new(dir.path(), dir.path());
        let path = |n: u8| {
            let text = format!("/nix/store/{}-system-{n}", "0".repeat(32));
            StorePath::from_absolute_path(text.as_bytes()).unwrap()
        };
        assert_eq!(count(&layout, &path(1), "a").unwrap(), 1);
        assert_eq!(count(&layout, &path(1), "a").unwrap(), 1);
        assert_eq!(count(&layout, &path(1), "b").unwrap(), 2);
        give_up(&layout).unwrap();
        assert_eq!(count(&layout, &path(2), "c").unwrap(), 1);
        assert_eq!(given_up(&layout).unwrap(), [path(1)]);
        clear(&layout).unwrap();
        clear(&layout).unwrap();
        assert_eq!(given_up(&layout).unwrap(), []);
        assert_eq!(count(&layout, &path(2), "c").unwrap(), 1);
    }
}
