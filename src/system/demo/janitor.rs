//! Removes the demo's folder however the demo ends.
//!
//! A small process outside our process group waits for the end of its input.
//! That comes when we let go of it, and also when we are interrupted, killed
//! or crash: the kernel closes the pipe. So no signal needs to be caught.

use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::system::{At, IoError};

/// Store folders are read-only, so they are opened up first. A command that
/// outlives us may still write: what it leaves is taken a second later.
const SCRIPT: &str = r#"
cat
chmod -R u+rwX -- "$1"
rm -rf -- "$1" && exit
sleep 1
chmod -R u+rwX -- "$1"
rm -rf -- "$1"
"#;

/// Removes a folder when dropped, or when this process dies.
#[derive(Debug)]
pub(super) struct Janitor {
    child: Child,
    dir: PathBuf,
}

impl Janitor {
    /// Makes it wait. The folder need not exist yet.
    ///
    /// # Errors
    /// When no shell can be started.
    pub(super) fn hire(dir: &Path) -> Result<Self, IoError> {
        let child = Command::new("sh")
            .args(["-c", SCRIPT, "sh"])
            .arg(dir)
            .current_dir("/")
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .at("start a shell that removes", dir)?;
        Ok(Self {
            child,
            dir: dir.to_owned(),
        })
    }

    /// Removes the folder now.
    ///
    /// # Errors
    /// When something of it is left.
    pub(super) fn clean(mut self) -> Result<(), IoError> {
        self.finish();
        if self.dir.symlink_metadata().is_err() {
            return Ok(());
        }
        Err(io::Error::other("something of it is left")).at("remove", &self.dir)
    }

    fn finish(&mut self) {
        drop(self.child.stdin.take());
        // Nothing can be done about a shell that went away by itself.
        let _ = self.child.wait();
    }
}

impl Drop for Janitor {
    fn drop(&mut self) {
        self.finish();
    }
}
