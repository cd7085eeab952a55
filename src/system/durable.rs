//! Writes that survive a power cut: a temporary file beside the target,
//! fsync, rename, fsync of the folder.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use super::error::{At, IoError};
use crate::fault;

/// Prefix of temporary files; anything so named is left from a crash.
pub const TEMPORARY: &str = ".tmp-";

/// Replaces `path` by a 0600 file with these bytes, durably.
///
/// # Errors
/// The old content is untouched on any error before the rename.
pub fn write(path: &Path, bytes: &[u8]) -> Result<(), IoError> {
    write_as(path, bytes, None)
}

/// Writes to a place that somebody named. A file there is replaced, at the end of
/// links too; what is none, such as a device or a pipe, gets the bytes and stays
/// what it is.
///
/// # Errors
/// As [`write()`].
pub fn hand_out(path: &Path, bytes: &[u8], readable: bool) -> Result<(), IoError> {
    let mode = readable.then_some(0o644);
    match fs::metadata(path) {
        Ok(there) if there.is_file() => {
            let real = fs::canonicalize(path).at("look at", path)?;
            write_as(&real, bytes, mode)
        }
        Ok(there) if !there.is_dir() => {
            let mut there = OpenOptions::new().write(true).open(path).at("open", path)?;
            there.write_all(bytes).at("write", path)
        }
        _ => write_as(path, bytes, mode),
    }
}

fn write_as(path: &Path, bytes: &[u8], mode: Option<u32>) -> Result<(), IoError> {
    let temporary = temporary_beside(path);
    fault::before("state.write").at("write", path)?;
    let mut file = create_private(&temporary)?;
    let mode = mode.map(fs::Permissions::from_mode);
    let written = file
        .write_all(bytes)
        .and_then(|()| mode.map_or(Ok(()), |mode| file.set_permissions(mode)))
        .and_then(|()| file.sync_all())
        .at("write", &temporary)
        .and_then(|()| fs::rename(&temporary, path).at("put in place", path));
    if written.is_err() {
        // The old file still stands; a leftover would only take space.
        let _ = fs::remove_file(&temporary);
    }
    written?;
    sync_parent(path)?;
    fault::point("state.write");
    Ok(())
}

/// Replaces the content of a file that is there, durably; owner, group and
/// mode stay.
///
/// # Errors
/// The old file is untouched on any error before the rename.
pub fn replace(path: &Path, bytes: &[u8]) -> Result<(), IoError> {
    let old = fs::metadata(path).at("look at", path)?;
    let temporary = temporary_beside(path);
    let mut file = create_private(&temporary)?;
    let written = keep_owner(&file, &old)
        .and_then(|()| file.set_permissions(old.permissions()))
        .and_then(|()| file.write_all(bytes))
        .and_then(|()| file.sync_all())
        .at("write", &temporary)
        .and_then(|()| fs::rename(&temporary, path).at("put in place", path));
    if written.is_err() {
        let _ = fs::remove_file(&temporary);
    }
    written?;
    sync_parent(path)
}

fn keep_owner(file: &File, old: &fs::Metadata) -> io::Result<()> {
    let new = file.metadata()?;
    if (new.uid(), new.gid()) == (old.uid(), old.gid()) {
        return Ok(());
    }
    std::os::unix::fs::fchown(file, Some(old.uid()), Some(old.gid()))
}

/// Makes a file with these bytes, durably, with the mode files usually get;
/// never over one that is there.
///
/// # Errors
/// `AlreadyExists` when there is anything of that name.
pub fn create_new(path: &Path, bytes: &[u8]) -> Result<(), IoError> {
    let temporary = temporary_beside(path);
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .open(&temporary)
        .at("create", path)?;
    let made = file
        .write_all(bytes)
        .and_then(|()| file.sync_all())
        .at("write", path)
        // Unlike a rename, a link never takes another file's place.
        .and_then(|()| fs::hard_link(&temporary, path).at("create", path));
    let removed = fs::remove_file(&temporary).at("remove", &temporary);
    made.and(removed)?;
    sync_parent(path)
}

fn create_private(path: &Path) -> Result<File, IoError> {
    OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)
        .at("create", path)
}

fn temporary_beside(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!("{TEMPORARY}{}-{name}", std::process::id()))
}

/// Removes a file durably; one that is already gone is fine.
///
/// # Errors
/// Anything but "not there".
pub fn remove(path: &Path) -> Result<(), IoError> {
    match fs::remove_file(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e).at("remove", path),
        _ => sync_parent(path),
    }
}

/// Makes a folder, 0700, and its parents with the usual mode.
///
/// # Errors
/// Anything but "already there".
pub fn create_private_dir(path: &Path) -> Result<(), IoError> {
    if path.is_dir() {
        return Ok(());
    }
    if let Some(parent) = path.parent() {
        // Folders above are everybody's; only ours is private.
        fs::create_dir_all(parent).at("create", parent)?;
    }
    match fs::DirBuilder::new().mode(0o700).create(path) {
        Err(e) if e.kind() != io::ErrorKind::AlreadyExists => Err(e).at("create", path),
        _ => sync_parent(path),
    }
}

/// Flushes the folder that holds `path`, so that a rename in it is durable.
///
/// # Errors
/// When the folder cannot be opened or flushed.
pub fn sync_parent(path: &Path) -> Result<(), IoError> {
    match path.parent() {
        Some(parent) => sync_dir(if parent.as_os_str().is_empty() {
            Path::new(".")
        } else {
            parent
        }),
        None => Ok(()),
    }
}

/// Flushes a folder.
///
/// # Errors
/// When it cannot be opened or flushed.
pub fn sync_dir(path: &Path) -> Result<(), IoError> {
    File::open(path)
        .and_then(|dir| dir.sync_all())
        .at("flush", path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_file_stays_what_it_is() {
        use std::os::unix::fs::{FileTypeExt, symlink};
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        hand_out(&at("new"), b"1", false).unwrap();
        symlink(at("new"), at("link")).unwrap();
        hand_out(&at("link"), b"2", true).unwrap();
        assert_eq!(fs::read(at("new")).unwrap(), b"2");
        assert!(fs::symlink_metadata(at("link")).unwrap().is_symlink());
        symlink("/dev/null", at("null")).unwrap();
        hand_out(&at("null"), b"3", false).unwrap();
        assert!(fs::symlink_metadata(at("null")).unwrap().is_symlink());
        assert!(
            fs::metadata(at("null"))
                .unwrap()
                .file_type()
                .is_char_device()
        );
        assert!(hand_out(dir.path(), b"4", false).is_err());
    }
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_write_replaces_and_leaves_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.json");
        write(&path, b"one").unwrap();
        write(&path, b"two").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o600
        );
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_replaced_file_keeps_its_mode_and_a_new_one_never_replaces() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.json");
        assert!(replace(&path, b"x").is_err());
        create_new(&path, b"one").unwrap();
        let refused = create_new(&path, b"two").unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read(&path).unwrap(), b"one");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        replace(&path, b"three").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"three");
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o640);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_failed_write_keeps_the_old_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("is-a-folder");
        fs::create_dir(&path).unwrap();
        let error = write(&path, b"x").unwrap_err();
        assert!(error.to_string().contains("is-a-folder"), "{error}");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}
