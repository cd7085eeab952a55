//! Filesystems: of the root, the store, the boot loader, the restore points.

use std::path::{Path, PathBuf};

use rustix::fs::StatVfsMountFlags;

use super::super::Layout;
use crate::health::seen::Space;

/// Each filesystem once, by the first of these paths that lies on it; again
/// where it must be written and is read-only.
pub(super) fn look(layout: &Layout) -> Vec<Space> {
    let state = match layout.state().strip_prefix(layout.root()) {
        Ok(inside) => Path::new("/").join(inside),
        Err(_) => layout.state().to_owned(),
    };
    let places: [(String, PathBuf, bool); 4] = [
        ("/".into(), layout.root().to_owned(), false),
        // The store is mounted read-only over itself; the database is not.
        ("/nix".into(), layout.real("/nix/var/nix"), true),
        ("/boot".into(), layout.real("/boot"), false),
        (state.display().to_string(), layout.state().to_owned(), true),
    ];
    let mut devices = Vec::new();
    let mut found = Vec::new();
    for (path, real, written) in places {
        let (Ok(meta), Ok(fs)) = (rustix::fs::stat(&real), rustix::fs::statvfs(&real)) else {
            continue;
        };
        let read_only = written && fs.f_flag.contains(StatVfsMountFlags::RDONLY);
        if devices.contains(&meta.st_dev) && !read_only {
            continue;
        }
        devices.push(meta.st_dev);
        // As df counts: what only root may still write is not there.
        let bytes = (fs.f_blocks.saturating_sub(fs.f_bfree)).saturating_add(fs.f_bavail);
        found.push(Space {
            path,
            bytes: bytes.saturating_mul(fs.f_frsize),
            bytes_free: fs.f_bavail.saturating_mul(fs.f_frsize),
            inodes: fs.f_files,
            inodes_free: fs.f_ffree,
            read_only,
        });
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_filesystem_is_told_once() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::new(dir.path(), dir.path().join("state"));
        std::fs::create_dir_all(dir.path().join("nix/var/nix")).unwrap();
        std::fs::create_dir_all(dir.path().join("state")).unwrap();
        let seen = look(&layout);
        assert_eq!(seen.len(), 1, "{seen:?}");
        assert_eq!(seen[0].path, "/");
        assert!(seen[0].bytes >= seen[0].bytes_free && seen[0].bytes > 0);
    }
}
