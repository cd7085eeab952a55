//! How much room a filesystem has.

use std::path::Path;

use super::whereabouts::as_far_as_there;
use super::{At, IoError};

/// The room where a path is, or would be.
#[derive(Clone, Copy, Debug)]
pub struct Room {
    /// Which filesystem.
    pub device: u64,
    /// Bytes that are free for this user.
    pub free: u64,
}

/// The room at the nearest folder that is there; `None` where the filesystem
/// has no limit to tell.
///
/// # Errors
/// When it cannot be asked.
pub fn at(path: &Path) -> Result<Option<Room>, IoError> {
    let there = as_far_as_there(path);
    let stat = rustix::fs::stat(there).at("look at", there)?;
    let fs = rustix::fs::statvfs(there).at("ask for the room at", there)?;
    if fs.f_blocks == 0 {
        return Ok(None);
    }
    Ok(Some(Room {
        device: stat.st_dev,
        free: fs.f_bavail.saturating_mul(fs.f_frsize),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_that_is_not_there_has_the_room_of_the_folder_above() {
        let dir = tempfile::tempdir().unwrap();
        let here = at(dir.path()).unwrap().unwrap();
        let below = at(&dir.path().join("a/b")).unwrap().unwrap();
        assert_eq!(here.device, below.device);
        assert!(below.free > 0);
    }
}
