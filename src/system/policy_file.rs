//! The policy on disk.

use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::error::optional;
use super::whereabouts::folder_of;
use super::{At, IoError, Layout, durable};
use crate::point::Policy;
use crate::point::policy::BadPolicy;

/// Why the policy on disk cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// It cannot be read.
    #[error(transparent)]
    Io(#[from] IoError),
    /// It is not a policy.
    #[error("the policy {} is unusable: {source}", path.display())]
    Policy {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: BadPolicy,
    },
}

/// The policy the NixOS module writes, as a logical path.
const POLICY: &str = "/etc/cairn/policy.json";

/// The policy that stands for none at all.
const NONE: &str = "/dev/null";

/// Where the policy of the machine lies, whether it is there or not.
pub fn in_force(layout: &Layout) -> PathBuf {
    layout.real(POLICY)
}

/// Reads the policy of the machine; `None` when it has none. NixOS makes it a
/// link with an absolute target, which is followed inside the root.
///
/// # Errors
/// A file that cannot be read or is no policy, and a link that leads nowhere:
/// defaults never stand in for a policy that was written.
pub fn find(layout: &Layout) -> Result<Option<Policy>, LoadError> {
    let logical = Path::new(POLICY);
    let place = layout.real(logical);
    if optional(fs::symlink_metadata(&place).at("look at", &place))?.is_none() {
        return Ok(None);
    }
    let real = layout.real(layout.resolve(logical)?);
    let text = fs::read_to_string(&real).at("read the policy", &place)?;
    parse(&text, &place).map(Some)
}

/// Reads the policy that was named; `/dev/null` stands for none.
///
/// # Errors
/// A file that is not there, cannot be read or is no policy.
pub fn load(path: &Path) -> Result<Option<Policy>, LoadError> {
    if path == Path::new(NONE) {
        return Ok(None);
    }
    let text = fs::read_to_string(path).at("read the policy", path)?;
    parse(&text, path).map(Some)
}

/// What stands in, on a way back alone, for a policy that cannot be used: the
/// defaults, and the state directory it names, if that much can be read of it.
pub fn stand_in(layout: &Layout, named: Option<&Path>) -> Policy {
    let place = match named {
        Some(named) => Ok(named.to_owned()),
        None => layout.resolve(Path::new(POLICY)).map(|p| layout.real(p)),
    };
    let text = place.ok().and_then(|place| fs::read(place).ok());
    let read = text.and_then(|text| serde_json::from_slice::<serde_json::Value>(&text).ok());
    let state_dir = read.as_ref().and_then(|policy| policy["stateDir"].as_str());
    Policy {
        state_dir: state_dir.map(PathBuf::from).filter(|dir| dir.is_absolute()),
        ..Policy::default()
    }
}

/// Reads a policy with its text. A link is followed inside the root.
///
/// # Errors
/// As [`load`].
pub fn read(layout: &Layout, path: &Path) -> Result<(String, Policy), LoadError> {
    if path == Path::new(NONE) {
        return Ok((String::new(), Policy::default()));
    }
    let real = place(layout, path)?;
    let text = fs::read_to_string(&real).at("read the policy", path)?;
    let policy = parse(&text, path)?;
    Ok((text, policy))
}

fn parse(text: &str, path: &Path) -> Result<Policy, LoadError> {
    Policy::parse(text).map_err(|source| LoadError::Policy {
        path: path.to_owned(),
        source,
    })
}

/// Makes the folder that a policy file is to lie in, where there is none.
///
/// # Errors
/// When it cannot be made.
pub fn make_folder(path: &Path) -> Result<(), IoError> {
    let dir = folder_of(path);
    std::fs::create_dir_all(dir).at("create the folder", dir)
}

/// Whether a policy can be written there, found out before anything else is
/// changed for it.
///
/// # Errors
/// A folder that may not be written to.
pub fn may_write(path: &Path) -> Result<(), IoError> {
    let dir = folder_of(path);
    rustix::fs::access(dir, rustix::fs::Access::WRITE_OK)
        .map_err(std::io::Error::from)
        .at("write in the folder", dir)
}

/// Whether there is anything of this name, be it a link that leads nowhere.
///
/// # Errors
/// When that cannot be known.
pub fn is_there(path: &Path) -> Result<bool, IoError> {
    Ok(optional(fs::symlink_metadata(path).at("look at", path))?.is_some())
}

/// A policy file that is to be changed. While it is held, no other cairn
/// changes it.
#[derive(Debug)]
pub struct Held {
    /// Where it really is: links are followed inside the root.
    pub real: PathBuf,
    /// What it says.
    pub text: String,
    /// Whether it is in the store, where a NixOS configuration put it.
    pub declared: bool,
    _lock: Option<File>,
}

impl Held {
    /// Replaces what the file says. Owner and mode stay.
    ///
    /// # Errors
    /// The file is as it was on any error before the rename.
    pub fn replace(&self, text: &str) -> Result<(), IoError> {
        durable::replace(&self.real, text.as_bytes())
    }
}

/// Opens a policy file to change it; `None` when there is none.
///
/// # Errors
/// A file that cannot be read.
pub fn hold(layout: &Layout, path: &Path) -> Result<Option<Held>, IoError> {
    let real = place(layout, path)?;
    let declared = real.starts_with("/nix/store") || real.starts_with(layout.real("/nix/store"));
    if optional(fs::metadata(&real).at("read the policy", path))?.is_none() {
        return Ok(None);
    }
    let lock = if declared {
        None
    } else {
        Some(lock(&real, path)?)
    };
    let text = fs::read_to_string(&real).at("read the policy", path)?;
    Ok(Some(Held {
        real,
        text,
        declared,
        _lock: lock,
    }))
}

/// Where a named file is, links followed as the machine under the root does.
fn place(layout: &Layout, path: &Path) -> Result<PathBuf, IoError> {
    let full = std::path::absolute(path).at("find", path)?;
    match full.strip_prefix(layout.root()) {
        Ok(below) => Ok(layout.real(layout.resolve(&Path::new("/").join(below))?)),
        Err(_) => Ok(fs::canonicalize(&full).unwrap_or(full)),
    }
}

/// Locks the file that is there once the lock was had: whoever had it before
/// may have put another in its place.
fn lock(real: &Path, path: &Path) -> Result<File, IoError> {
    loop {
        let file = File::open(real).at("read the policy", path)?;
        rustix::fs::flock(&file, rustix::fs::FlockOperation::LockExclusive).at("lock", path)?;
        let (held, there) = (
            file.metadata().at("look at", path)?,
            fs::metadata(real).at("look at", path)?,
        );
        if (held.dev(), held.ino()) == (there.dev(), there.ino()) {
            return Ok(file);
        }
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn of_a_policy_that_cannot_be_used_the_state_directory_is_kept() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::new(dir.path(), PathBuf::new());
        let path = dir.path().join("policy.json");
        for (text, expected) in [
            (
                r#"{"gaet": {}, "stateDir": "/persist/cairn"}"#,
                Some("/persist/cairn"),
            ),
            (r#"{"gaet": {}, "stateDir": "relative"}"#, None),
            (r#"{"stateDir": "/persist/cairn""#, None),
        ] {
            fs::write(&path, text).unwrap();
            assert!(load(&path).is_err());
            let state_dir = stand_in(&layout, Some(&path)).state_dir;
            assert_eq!(state_dir, expected.map(PathBuf::from), "{text}");
        }
        assert_eq!(stand_in(&layout, None), Policy::default());
    }
}
