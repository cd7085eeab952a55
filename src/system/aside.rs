//! Moving aside what is damaged: into `damaged/` of the state directory, by
//! kind. Nothing there is ever read by a verb but `verify --repair`, and a
//! person may look at it, or delete it.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use super::{At, IoError, Layout, durable};

/// Moves a file aside; gives where it is now.
///
/// # Errors
/// When it cannot be moved; it is where it was then.
pub fn file(layout: &Layout, from: &Path, kind: &str) -> Result<PathBuf, IoError> {
    let to = free(layout, from, kind)?;
    fs::rename(from, &to).at("move aside", from)?;
    durable::sync_parent(&to)?;
    durable::sync_parent(from)?;
    Ok(to)
}

/// Keeps a file under a second name aside: something else is about to take its
/// place, at once. What can have no second name is moved; gives where it is.
///
/// # Errors
/// When it can be neither kept nor moved.
pub fn keep(layout: &Layout, from: &Path, kind: &str) -> Result<PathBuf, IoError> {
    let to = free(layout, from, kind)?;
    if fs::hard_link(from, &to).is_err() {
        return file(layout, from, kind);
    }
    durable::sync_parent(&to)?;
    Ok(to)
}

/// Keeps what a link says: another one beside what else is damaged. The link
/// itself stays, for it may lie on another file system.
///
/// # Errors
/// When it cannot be read, or made.
pub fn link(layout: &Layout, from: &Path, kind: &str) -> Result<PathBuf, IoError> {
    let target = fs::read_link(from).at("read the link", from)?;
    let to = free(layout, from, kind)?;
    symlink(target, &to).at("create", &to)?;
    durable::sync_parent(&to)?;
    Ok(to)
}

/// A name that nothing has, in the folder of its kind.
fn free(layout: &Layout, from: &Path, kind: &str) -> Result<PathBuf, IoError> {
    let dir = layout.damaged().join(kind);
    durable::create_private_dir(&layout.damaged())?;
    durable::create_private_dir(&dir)?;
    let name = from.file_name().unwrap_or_default();
    let mut to = dir.join(name);
    let mut number = 0;
    while fs::symlink_metadata(&to).is_ok() {
        number += 1;
        let mut numbered = name.to_owned();
        numbered.push(format!(".{number}"));
        to = dir.join(numbered);
    }
    Ok(to)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_stays_where_it_is_and_a_folder_is_moved() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::new("/", dir.path());
        let from = dir.path().join("x.json");
        fs::write(&from, "one").unwrap();
        let to = keep(&layout, &from, "points").unwrap();
        assert_eq!(fs::read_to_string(to).unwrap(), "one");
        assert!(from.exists());
        fs::remove_file(&from).unwrap();
        fs::create_dir(&from).unwrap();
        let to = keep(&layout, &from, "points").unwrap();
        assert!(to.is_dir() && !from.exists());
    }

    #[test]
    fn nothing_that_was_moved_aside_is_overwritten() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::new("/", dir.path());
        let from = dir.path().join("x.json");
        for text in ["one", "two"] {
            fs::write(&from, text).unwrap();
            let to = file(&layout, &from, "marks").unwrap();
            assert_eq!(fs::read_to_string(to).unwrap(), text);
        }
        assert_eq!(
            fs::read_dir(layout.damaged().join("marks"))
                .unwrap()
                .count(),
            2
        );
    }
}
