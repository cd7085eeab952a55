//! Where a path leads, as far as it is there.

use std::fs;
use std::path::{Path, PathBuf};

use super::{At, IoError};

/// The part of a path that is there.
pub fn as_far_as_there(path: &Path) -> &Path {
    let mut above = path.ancestors();
    above.find(|path| path.exists()).unwrap_or(path)
}

/// A path with the links on it followed, as far as it is there.
pub fn real(path: &Path) -> PathBuf {
    let there = as_far_as_there(path);
    match (fs::canonicalize(there), path.strip_prefix(there)) {
        (Ok(real), Ok(rest)) if !rest.as_os_str().is_empty() => real.join(rest),
        (Ok(real), _) => real,
        (Err(_), _) => path.to_owned(),
    }
}

/// The folder that a path is in, though it be the working one.
pub fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// Looks at the folder that a path is in.
///
/// # Errors
/// When it is not there, or may not be looked at.
pub fn look_above(path: &Path) -> Result<(), IoError> {
    let above = folder_of(path);
    fs::metadata(above)
        .at("look at the folder", above)
        .map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_followed_as_far_as_they_lead() {
        let dir = tempfile::tempdir().unwrap();
        let base = fs::canonicalize(dir.path()).unwrap();
        fs::create_dir(base.join("a")).unwrap();
        std::os::unix::fs::symlink(base.join("a"), base.join("link")).unwrap();
        assert_eq!(real(&base.join("link")), base.join("a"));
        assert_eq!(real(&base.join("link/b/c")), base.join("a/b/c"));
        assert_eq!(as_far_as_there(&base.join("a/b/c")), base.join("a"));
        assert!(look_above(&base.join("a/b")).is_ok());
        assert!(look_above(&base.join("a/b/c")).is_err());
    }
}
