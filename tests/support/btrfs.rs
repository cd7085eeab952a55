//! A real btrfs in a file, mounted for one test.

use std::fs::{self, File};
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use super::machine::succeed;
use super::skip::{need, need_root, skip};

/// Mounts of one filesystem; they go with it.
pub struct Btrfs {
    image: TempDir,
    mounted: Vec<std::path::PathBuf>,
}

impl Btrfs {
    /// A filesystem with these subvolumes below its top; `None` where none can
    /// be mounted.
    pub fn new(subvolumes: &[&str]) -> Option<Self> {
        if !need_root() || !need(&["btrfs", "mkfs.btrfs", "losetup"]) {
            return None;
        }
        let mut btrfs = Self {
            image: tempfile::tempdir().unwrap(),
            mounted: Vec::new(),
        };
        let image = btrfs.image.path().join("image");
        File::create(&image).unwrap().set_len(256 << 20).unwrap();
        succeed(Command::new("mkfs.btrfs").arg("-q").arg(&image));
        let top = btrfs.image.path().join("top");
        fs::create_dir(&top).unwrap();
        let mut mount = Command::new("mount");
        if !mount
            .args(["-o", "loop"])
            .arg(&image)
            .arg(&top)
            .status()
            .unwrap()
            .success()
        {
            skip("no btrfs can be mounted here");
            return None;
        }
        btrfs.mounted.push(top);
        for name in subvolumes {
            btrfs.subvolume(&btrfs.top().join(name));
        }
        Some(btrfs)
    }

    /// Where all of it is seen.
    pub fn top(&self) -> &Path {
        &self.mounted[0]
    }

    /// Makes a subvolume.
    pub fn subvolume(&self, path: &Path) {
        succeed(
            Command::new("btrfs")
                .args(["-q", "subvolume", "create"])
                .arg(path),
        );
    }

    /// Mounts a subvolume at a folder.
    pub fn mount(&mut self, subvolume: &str, at: &Path) {
        let source = succeed(
            Command::new("findmnt")
                .args(["-n", "-o", "SOURCE"])
                .arg(self.top()),
        );
        let option = format!("subvol={subvolume}");
        let mut mount = Command::new("mount");
        succeed(
            mount
                .args(["-t", "btrfs", "-o", &option, source.trim()])
                .arg(at),
        );
        self.mounted.push(at.to_owned());
    }

    /// How many subvolumes there are.
    pub fn subvolumes(&self) -> usize {
        let listed = succeed(
            Command::new("btrfs")
                .args(["subvolume", "list"])
                .arg(self.top()),
        );
        listed.lines().count()
    }
}

impl Drop for Btrfs {
    fn drop(&mut self) {
        for at in self.mounted.iter().rev() {
            let _ = Command::new("umount").arg(at).status();
        }
    }
}
