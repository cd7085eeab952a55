//! One object resolves every path once; `--root` falls out of it.
//!
//! Two kinds of path are kept apart: *logical* ones, as the machine under the
//! root names them (`/nix/store/…`, what links and documents hold), and *real*
//! ones, where this process finds them (`<root>/nix/store/…`).

use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};

use super::error::{At, IoError, optional};
use crate::nix::store_path::StorePath;

/// Every path cairn uses, under one root.
#[derive(Clone, Debug)]
pub struct Layout {
    root: PathBuf,
    state: PathBuf,
}

/// Most symlinks followed before a path counts as a loop, as in the kernel.
const MAX_LINKS: usize = 40;

impl Layout {
    /// Paths under `root`, points under `state` (a real path).
    pub fn new(root: impl Into<PathBuf>, state: impl Into<PathBuf>) -> Self {
        Self {
            root: root.into(),
            state: state.into(),
        }
    }

    /// Paths under a root that is there, and no state directory.
    ///
    /// # Errors
    /// A root that cannot be used.
    pub fn at(root: &Path) -> Result<Self, IoError> {
        let root = fs::canonicalize(root).at("use the root", root)?;
        Ok(Self::new(root, PathBuf::new()))
    }

    /// The root, `/` on a running machine.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Whether the root is `/`: only then are there running units.
    pub fn is_live(&self) -> bool {
        self.root == Path::new("/")
    }

    /// The state directory (a real path).
    pub fn state(&self) -> &Path {
        &self.state
    }

    /// The real path of a logical one. Nothing is resolved: a symlink on the
    /// way would be followed by the kernel relative to `/`.
    pub fn real(&self, logical: impl AsRef<Path>) -> PathBuf {
        let relative: PathBuf = logical
            .as_ref()
            .components()
            .filter(|c| matches!(c, Component::Normal(_)))
            .collect();
        self.root.join(relative)
    }

    /// The logical path of what a person typed: relative to the current folder
    /// when the root is `/`, to the root otherwise; a real path below the root
    /// loses it. `.` and `..` are taken out; links in the folder are followed.
    ///
    /// # Errors
    /// When the current folder is unknown, or a loop of symlinks.
    pub fn logical(&self, typed: &Path) -> Result<PathBuf, IoError> {
        let from = if self.is_live() {
            std::env::current_dir().at("find the current folder", ".")?
        } else {
            PathBuf::from("/")
        };
        let full = from.join(typed);
        let full = match full.strip_prefix(&self.root) {
            Ok(below) if !self.is_live() => Path::new("/").join(below),
            _ => full,
        };
        match (full.parent(), full.file_name()) {
            (Some(parent), Some(name)) => Ok(self.resolve(parent)?.join(name)),
            _ => self.resolve(&full),
        }
    }

    /// The real path of a store path.
    pub fn store_path(&self, path: &StorePath) -> PathBuf {
        self.real(path.to_absolute_path())
    }

    /// Follows every symlink of a logical path as a `chroot` would, and gives
    /// the logical path it ends at. Parts that do not exist are kept.
    ///
    /// # Errors
    /// A loop of symlinks, or a folder that may not be read.
    pub fn resolve(&self, logical: &Path) -> Result<PathBuf, IoError> {
        let mut done = PathBuf::from("/");
        let mut todo: Vec<PathBuf> = parts(logical);
        let mut links = 0;
        while let Some(part) = todo.pop() {
            if part.as_os_str() == ".." {
                done.pop();
                continue;
            }
            let next = done.join(&part);
            match optional(fs::symlink_metadata(self.real(&next)).at("look at", &next))? {
                Some(meta) if meta.is_symlink() => {
                    links += 1;
                    if links > MAX_LINKS {
                        return Err(IoError {
                            operation: "follow",
                            path: logical.to_owned(),
                            source: io::Error::other("too many levels of symbolic links"),
                        });
                    }
                    let target = fs::read_link(self.real(&next)).at("read the link", &next)?;
                    if target.is_absolute() {
                        done = PathBuf::from("/");
                    }
                    todo.extend(parts(&target));
                }
                _ => done = next,
            }
        }
        Ok(done)
    }

    /// The real path of what a logical one leads to, links followed as the
    /// machine under the root follows them. A path that leads nowhere is
    /// given as it is.
    pub fn follow(&self, logical: &str) -> PathBuf {
        let logical = Path::new(logical);
        self.real(self.resolve(logical).as_deref().unwrap_or(logical))
    }

    /// The folder of the profile `name`: `system` lives directly in the
    /// profiles directory, all others in `system-profiles`.
    pub fn profile_dir(&self, name: &str) -> PathBuf {
        let profiles = self.real("/nix/var/nix/profiles");
        if name == "system" {
            profiles
        } else {
            profiles.join("system-profiles")
        }
    }

    /// The link of the profile `name`.
    pub fn profile(&self, name: &str) -> PathBuf {
        self.profile_dir(name).join(name)
    }

    /// Folder of cairn's garbage-collector roots.
    pub fn gcroots(&self) -> PathBuf {
        self.real("/nix/var/nix/gcroots/cairn")
    }

    /// Folder of the roots that the NixOS module makes for declared pins.
    pub fn declared_pins(&self) -> PathBuf {
        self.gcroots().join("declared")
    }

    /// Nix's database.
    pub fn nix_db(&self) -> PathBuf {
        self.real("/nix/var/nix/db/db.sqlite")
    }

    /// Documents of restore points.
    pub fn points(&self) -> PathBuf {
        self.state.join("points")
    }

    /// Marks of restore points.
    pub fn marks(&self) -> PathBuf {
        self.state.join("marks")
    }

    /// Points being taken; what is left here is from a crash.
    pub fn inflight(&self) -> PathBuf {
        self.state.join("inflight")
    }

    /// Read-only snapshots of filesystems, while a point is taken from them.
    pub fn snapshots(&self) -> PathBuf {
        self.state.join("snapshots")
    }

    /// Journals of restores.
    pub fn journal(&self) -> PathBuf {
        self.state.join("journal")
    }

    /// Records of switches.
    pub fn switches(&self) -> PathBuf {
        self.state.join("switches")
    }

    /// Records of switches that the state directory had no room for.
    pub fn volatile_switches(&self) -> PathBuf {
        self.real("/run/cairn/switches")
    }

    /// The count of bad boots.
    pub fn attempts(&self) -> PathBuf {
        self.state.join("boots.json")
    }

    /// The book of healing.
    pub fn healing(&self) -> PathBuf {
        self.state.join("healing.json")
    }

    /// The same, when the state directory had no room for it.
    pub fn volatile_healing(&self) -> PathBuf {
        self.real("/run/cairn/healing.json")
    }

    /// The folder with the lock of who heals.
    pub fn healing_lock(&self) -> PathBuf {
        self.real("/run/cairn/healing")
    }

    /// The note of the system that runs.
    pub fn known(&self) -> PathBuf {
        self.state.join("running.json")
    }

    /// The same, when the state directory had no room for it.
    pub fn volatile_known(&self) -> PathBuf {
        self.real("/run/cairn/running.json")
    }

    /// What was damaged and moved aside.
    pub fn damaged(&self) -> PathBuf {
        self.state.join("damaged")
    }

    /// The history.
    pub fn history(&self) -> PathBuf {
        self.state.join("history.db")
    }

    /// What waits to be put into the history.
    pub fn history_queue(&self) -> PathBuf {
        self.state.join("history.queue")
    }

    /// What is known of remotes, and a cache of their small files.
    pub fn remotes(&self) -> PathBuf {
        self.state.join("remotes")
    }

    /// Captured content.
    pub fn vault(&self) -> PathBuf {
        self.state.join("vault")
    }

    /// Whether there is anything where the vault belongs.
    pub fn has_vault(&self) -> bool {
        fs::read_dir(self.vault()).is_ok_and(|mut entries| entries.next().is_some())
    }
}

/// The normal parts and `..` of a path, last first.
fn parts(path: &Path) -> Vec<PathBuf> {
    path.components()
        .filter(|c| matches!(c, Component::Normal(_) | Component::ParentDir))
        .map(|c| PathBuf::from(c.as_os_str()))
        .rev()
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn links_are_followed_inside_the_root() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::new(dir.path(), dir.path().join("state"));
        fs::create_dir_all(dir.path().join("persist/etc/nixos")).unwrap();
        fs::create_dir_all(dir.path().join("etc")).unwrap();
        symlink("/persist/etc/nixos", dir.path().join("etc/nixos")).unwrap();
        symlink("../../../../../../etc/passwd", dir.path().join("etc/up")).unwrap();
        symlink("loop", dir.path().join("loop")).unwrap();
        let resolve = |p: &str| layout.resolve(Path::new(p));
        assert_eq!(
            resolve("/etc/nixos/a.nix").unwrap(),
            Path::new("/persist/etc/nixos/a.nix")
        );
        assert_eq!(resolve("/etc/up").unwrap(), Path::new("/etc/passwd"));
        assert_eq!(resolve("/../../x").unwrap(), Path::new("/x"));
        assert!(resolve("/loop").is_err());
    }

    #[test]
    fn real_paths_never_leave_the_root() {
        let layout = Layout::new("/mnt", "/s");
        assert_eq!(layout.real("/../../etc/x"), Path::new("/mnt/etc/x"));
        assert_eq!(layout.real("nix"), Path::new("/mnt/nix"));
    }
}
