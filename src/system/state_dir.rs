//! Where restore points are kept: found, made when it is missing, and left as
//! it was by a run that put nothing there.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::durable;
use super::error::{At, IoError};
use super::layout::Layout;

/// How the state directory was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Named, or the default, and usable.
    Chosen,
    /// A private folder under the temporary directory, because none of the
    /// others could be written. It may not survive a reboot.
    Temporary,
}

/// The folders that were named and had to be made, innermost first. Those that
/// are empty when it is dropped go again: a misspelt name leaves nothing behind.
#[derive(Debug, Default)]
pub struct Made(Vec<PathBuf>);

impl Made {
    /// Makes a private folder and the missing ones above it.
    fn folder(path: &Path) -> Result<Self, IoError> {
        let missing = path
            .ancestors()
            .take_while(|above| !above.as_os_str().is_empty() && !above.exists())
            .map(Path::to_owned)
            .collect();
        durable::create_private_dir(path)?;
        Ok(Self(missing))
    }
}

impl Drop for Made {
    fn drop(&mut self) {
        // What is not empty stays, and so does all above it.
        let _ = self.0.iter().try_for_each(fs::remove_dir);
    }
}

/// The layout under `root` and the state directory: `chosen`, else
/// `/var/lib/cairn` under the root (as root, or under another root), else the
/// user's data folder, else a private temporary one.
///
/// # Errors
/// When a directory that was named cannot be used; a name is never silently
/// replaced.
pub fn find(root: &Path, chosen: Option<&Path>) -> Result<(Layout, Kind, Made), IoError> {
    let root = folder(root, "use the root")?;
    if let Some(chosen) = chosen {
        let made = Made::folder(chosen)?;
        let state = folder(chosen, "use the state directory")?;
        return Ok((Layout::new(root, state), Kind::Chosen, made));
    }
    let privileged = rustix::process::geteuid().is_root();
    let default = if privileged || root != Path::new("/") {
        // A link in another root leads where it would lead there.
        let bare = Layout::new(&root, PathBuf::new());
        Some(bare.real(bare.resolve(Path::new("/var/lib/cairn"))?))
    } else {
        user_data_dir().map(|d| d.join("cairn"))
    };
    if let Some(state) = default {
        // Points that are there are used, if only to be read: a disk
        // mounted read-only is when they are needed most.
        if state.join("points").is_dir() {
            return Ok((Layout::new(root, state), Kind::Chosen, Made::default()));
        }
        match durable::create_private_dir(&state) {
            Ok(()) if privileged || writable(&state) => {
                return Ok((Layout::new(root, state), Kind::Chosen, Made::default()));
            }
            // Root is given no second place: it would hide the first.
            Err(e) if privileged => return Err(e),
            _ => {}
        }
    }
    let uid = rustix::process::geteuid().as_raw();
    let state = std::env::temp_dir().join(format!("cairn-{uid}"));
    durable::create_private_dir(&state)?;
    check_private(&state, uid)?;
    Ok((Layout::new(root, state), Kind::Temporary, Made::default()))
}

/// Where a folder really is.
fn folder(path: &Path, operation: &'static str) -> Result<PathBuf, IoError> {
    let real = fs::canonicalize(path).at(operation, path)?;
    match real.is_dir() {
        true => Ok(real),
        false => Err(io::Error::from(io::ErrorKind::NotADirectory)).at(operation, &real),
    }
}

fn user_data_dir() -> Option<PathBuf> {
    let absolute = |p: PathBuf| p.is_absolute().then_some(p);
    std::env::var_os("XDG_DATA_HOME")
        .map(PathBuf::from)
        .and_then(absolute)
        .or_else(|| {
            std::env::home_dir()
                .and_then(absolute)
                .map(|home| home.join(".local/share"))
        })
}

fn writable(dir: &Path) -> bool {
    rustix::fs::access(
        dir,
        rustix::fs::Access::WRITE_OK | rustix::fs::Access::EXEC_OK,
    )
    .is_ok()
}

/// A folder under a world-writable one is only used when it is ours alone.
fn check_private(dir: &Path, uid: u32) -> Result<(), IoError> {
    use std::os::unix::fs::MetadataExt;
    let meta = fs::symlink_metadata(dir).at("look at", dir)?;
    if meta.is_dir() && meta.uid() == uid && meta.mode() & 0o077 == 0 {
        return Ok(());
    }
    Err(IoError {
        operation: "use the state directory",
        path: dir.to_owned(),
        source: io::Error::new(
            io::ErrorKind::PermissionDenied,
            "it is not a private folder of this user",
        ),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_that_stay_empty_go_again() {
        let dir = tempfile::tempdir().unwrap();
        let deep = dir.path().join("a/b/state");
        drop(find(dir.path(), Some(&deep)).unwrap());
        assert!(!dir.path().join("a").exists());

        let (layout, _, made) = find(dir.path(), Some(&deep)).unwrap();
        fs::write(layout.state().join("kept"), "").unwrap();
        drop(made);
        assert!(deep.join("kept").exists());

        let there = dir.path().join("there");
        fs::create_dir(&there).unwrap();
        drop(find(dir.path(), Some(&there)).unwrap());
        assert!(there.exists(), "it was there before");
    }

    #[test]
    fn a_file_is_no_state_directory() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        fs::write(&file, "").unwrap();
        assert!(find(dir.path(), Some(&file)).is_err());
    }
}
