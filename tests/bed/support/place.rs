//! A bed's directory and control groups, which go when it goes. What a killed
//! test run left is found by its free lock, and removed by the next.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use sha2::{Digest, Sha256};

use super::{groups, trees};

pub struct Place {
    pub dir: PathBuf,
    name: String,
    /// Held as long as the bed is there.
    _lock: File,
    /// Held shared, so that no tree in use is removed.
    _users: File,
}

impl Place {
    /// A new place, after what was left by others was removed.
    pub fn new() -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(1);
        let beds = trees::home().join("beds");
        let _lock = trees::locked("beds.lock");
        for entry in fs::read_dir(&beds).unwrap().flatten() {
            let lock = File::open(entry.path().join("lock"));
            if lock.is_ok_and(|lock| lock.try_lock().is_err()) {
                continue;
            }
            let name = entry.file_name().into_string().unwrap();
            groups::end(&group(&name, ""));
            // A bed that goes at this moment takes its folder with it.
            use std::io::ErrorKind::{DirectoryNotEmpty, NotFound};
            match fs::remove_dir_all(entry.path()) {
                Err(e) if !matches!(e.kind(), NotFound | DirectoryNotEmpty) => panic!("{e}"),
                _ => {}
            }
        }
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("{}-{count}", std::process::id());
        let dir = beds.join(&name);
        fs::create_dir(&dir).unwrap();
        let lock = File::create(dir.join("lock")).unwrap();
        lock.lock().unwrap();
        let users = File::create(trees::home().join("users.lock")).unwrap();
        users.lock_shared().unwrap();
        Self {
            dir,
            name,
            _lock: lock,
            _users: users,
        }
    }

    /// The name of this bed's group of its nth boot, and of its socket.
    pub fn group(&self, boot: usize) -> String {
        group(&self.name, &boot.to_string())
    }

    /// Ends all that runs here.
    pub fn end(&self) {
        groups::end(&group(&self.name, ""));
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.end();
        let _ = fs::remove_dir_all(&self.dir);
    }
}

/// Beds of two checkouts differ in the digest of where they are.
fn group(bed: &str, boot: &str) -> String {
    let place = Sha256::digest(trees::home().as_os_str().as_encoded_bytes());
    format!("cairn-bed-{}-{bed}-{boot}", hex::encode(&place[..4]))
}
