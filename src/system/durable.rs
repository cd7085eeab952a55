//! Writes that survive a power cut: a temporary file beside the target,
//! fsync, rename, fsync of the folder.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::error::{At, IoError};

/// Prefix of temporary files; anything so named is left from a crash.
pub const TEMPORARY: &str = ".tmp-";

/// Replaces `path` by a 0600 file with these bytes, durably.
///
/// # Errors
/// The old content is untouched on any error before the rename.
pub fn write(path: &Path, bytes: &[u8]) -> Result<(), IoError> {
    let temporary = temporary_beside(path);
    let mut file = create_private(&temporary)?;
    let written = file
        .write_all(bytes)
        .and_then(|()| file.sync_all())
        .at("write", &temporary)
        .and_then(|()| fs::rename(&temporary, path).at("put in place", path));
    if written.is_err() {
        // The old file still stands; a leftover would only take space.
        let _ = fs::remove_file(&temporary);
    }
    written?;
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
    fn a_failed_write_keeps_the_old_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("is-a-folder");
        fs::create_dir(&path).unwrap();
        let error = write(&path, b"x").unwrap_err();
        assert!(error.to_string().contains("is-a-folder"), "{error}");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}
