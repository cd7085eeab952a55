//! A private folder for work that ends in one rename, or leaves nothing.
//!
//! It is called `.cairn-<id>-<what>`, so that a person knows whose it is, and
//! captures pass over it. A lock on it tells living from dead: the next one
//! made in the same place removes those that nobody holds.

use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, FlockOperation, Mode, OFlags, RenameFlags, flock, openat, renameat_with};

use super::ours::PREFIX;
use super::{At, IoError, durable};
use crate::point::PointId;

/// See the module. What is left of it goes when it is dropped.
#[derive(Debug)]
pub struct Scratch {
    path: PathBuf,
    _held: OwnedFd,
}

impl Scratch {
    /// Makes one in `parent` (a real path), after sweeping away what dead
    /// processes left there of the same kind.
    ///
    /// # Errors
    /// When `parent` cannot be written.
    pub fn new(parent: &Path, what: &str, id: PointId) -> Result<Self, IoError> {
        sweep(parent, what)?;
        let path = parent.join(format!("{PREFIX}{}-{what}", id.hex()));
        fs::DirBuilder::new()
            .mode(0o700)
            .create(&path)
            .at("create the folder", &path)?;
        let held = hold(&path)
            .at("lock the folder", &path)?
            .ok_or_else(|| io::Error::from(io::ErrorKind::WouldBlock))
            .at("lock the folder", &path)?;
        Ok(Self { path, _held: held })
    }

    /// Makes one for work whose result goes elsewhere: in `parent`, or, where
    /// that is on a read-only file system, in `otherwise`, else in the folder
    /// for temporary files.
    ///
    /// # Errors
    /// As [`Scratch::new`].
    pub fn anywhere(
        parent: &Path,
        otherwise: Option<&Path>,
        what: &str,
        id: PointId,
    ) -> Result<Self, IoError> {
        match Self::new(parent, what, id) {
            Err(e) if e.kind() == io::ErrorKind::ReadOnlyFilesystem => {
                let temporary = std::env::temp_dir();
                Self::new(otherwise.unwrap_or(&temporary), what, id)
            }
            other => other,
        }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Makes a file in it, for this user alone.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn create(&self, name: &str) -> Result<fs::File, IoError> {
        let path = self.path.join(name);
        fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)
            .at("create", &path)
    }

    /// Renames something in it to `to`, where nothing is, durably.
    ///
    /// # Errors
    /// `AlreadyExists` when there is something.
    pub fn place_new(&self, name: &str, to: &Path) -> Result<(), IoError> {
        let from = self.path.join(name);
        match renameat_with(CWD, &from, CWD, to, RenameFlags::NOREPLACE) {
            // A file system that knows no such rename: a link never takes
            // another file's place either.
            Err(rustix::io::Errno::INVAL) => fs::hard_link(&from, to).at("put in place", to)?,
            other => other.at("put in place", to)?,
        }
        durable::sync_parent(to)
    }

    /// Gives the folder itself the name `to`, where nothing or an empty folder
    /// is, durably.
    ///
    /// # Errors
    /// When something is in the way by now; it stays as it was.
    pub fn become_folder(self, to: &Path) -> Result<(), IoError> {
        fs::rename(&self.path, to).at("put in place", to)?;
        durable::sync_parent(to)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What cannot be removed now is swept away by the next one.
        let _ = remove(&self.path);
    }
}

/// Removes what dead processes left in a folder; one that cannot be removed is
/// left for another time.
fn sweep(parent: &Path, what: &str) -> Result<(), IoError> {
    for entry in fs::read_dir(parent).at("list", parent)? {
        let name = entry.at("list", parent)?.file_name();
        let ours = name
            .to_str()
            .and_then(|n| {
                n.strip_prefix(PREFIX)?
                    .strip_suffix(what)?
                    .strip_suffix('-')
            })
            .is_some_and(|id| id.len() == 32 && id.bytes().all(|b| b.is_ascii_hexdigit()));
        let path = parent.join(&name);
        // Whoever still works there holds it.
        if ours && let Ok(Some(_held)) = hold(&path) {
            let _ = remove(&path);
        }
    }
    Ok(())
}

/// Opens a folder of ours and locks it; `None` when somebody holds it.
fn hold(path: &Path) -> io::Result<Option<OwnedFd>> {
    let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::RDONLY | OFlags::CLOEXEC;
    let fd = openat(CWD, path, flags, Mode::empty())?;
    match flock(&fd, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => {}
        Err(rustix::io::Errno::WOULDBLOCK) => return Ok(None),
        Err(e) => return Err(e.into()),
    }
    // It may have been swept away between the two.
    let (held, there) = (rustix::fs::fstat(&fd)?, fs::symlink_metadata(path)?);
    if held.st_ino != there.ino() {
        return Ok(None);
    }
    Ok(Some(fd))
}

/// Removes a folder with all in it, closed ones too.
fn remove(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    if fs::remove_dir_all(path).is_ok() {
        return Ok(());
    }
    let mut todo = vec![path.to_owned()];
    while let Some(dir) = todo.pop() {
        fs::set_permissions(&dir, fs::Permissions::from_mode(0o700))?;
        for entry in fs::read_dir(&dir)? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                todo.push(entry.path());
            }
        }
    }
    fs::remove_dir_all(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(n: u128) -> PointId {
        PointId::from_uuid(uuid::Uuid::from_u128(n))
    }

    #[test]
    fn the_dead_are_swept_away_and_the_living_are_not() {
        let dir = tempfile::tempdir().unwrap();
        let left = dir.path().join(format!("{PREFIX}{}-out", id(1).hex()));
        fs::create_dir_all(left.join("etc")).unwrap();
        for theirs in [".cairn-out", ".cairn-x-out", "x"] {
            fs::create_dir(dir.path().join(theirs)).unwrap();
        }
        let other_kind = dir.path().join(format!("{PREFIX}{}-in", id(1).hex()));
        fs::create_dir(&other_kind).unwrap();
        let alive = Scratch::new(dir.path(), "out", id(2)).unwrap();
        assert!(!left.exists() && other_kind.exists());
        let second = Scratch::new(dir.path(), "out", id(3)).unwrap();
        assert!(alive.path().exists() && second.path().exists());
        let path = alive.path().to_owned();
        drop(alive);
        assert!(!path.exists());
        fs::write(second.path().join("f"), "x").unwrap();
        second.place_new("f", &dir.path().join("f")).unwrap();
        fs::write(second.path().join("f"), "y").unwrap();
        let taken = second.place_new("f", &dir.path().join("f")).unwrap_err();
        assert_eq!(taken.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read(dir.path().join("f")).unwrap(), b"x");
        fs::create_dir(dir.path().join("empty")).unwrap();
        second.become_folder(&dir.path().join("empty")).unwrap();
        assert!(dir.path().join("empty/f").exists());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 6);
    }
}
