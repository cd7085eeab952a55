//! What was read of the machine, before anybody judges it: texts and numbers.

use std::path::PathBuf;
use std::time::Duration;

use crate::nix::store_path::StorePath;

/// Text of a file; `None` where there is no such file.
pub type Text = Option<String>;

/// Units that are not well.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Units {
    /// They failed and stay so.
    pub failed: Vec<String>,
    /// They failed and wait to be started again.
    pub restarting: Vec<String>,
    /// systemd started them again a moment ago.
    pub flapping: Vec<String>,
}

/// A filesystem.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Space {
    /// The path it was asked for by, as the machine names it.
    pub path: String,
    /// Bytes.
    pub bytes: u64,
    /// Bytes that may still be written.
    pub bytes_free: u64,
    /// Inodes; 0 where they are made as needed.
    pub inodes: u64,
    /// Inodes that are free.
    pub inodes_free: u64,
    /// Whether it must be written and cannot: mounted read-only.
    pub read_only: bool,
}

/// A temperature sensor, in the kernel's words: thousandths of a degree.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sensor {
    /// Its name.
    pub name: String,
    /// What it measures.
    pub input: String,
    /// Where it says it is critical.
    pub critical: Text,
}

/// What keeps the clock.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Clock {
    /// Whether systemd-timesyncd says it has set the clock.
    pub timesyncd: bool,
    /// `timedatectl show`, where the above does not tell.
    pub timedated: Text,
    /// `/proc/uptime`.
    pub uptime: Text,
}

/// A host, and what trying it came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tried {
    /// The name, or host and port.
    pub host: String,
    /// Whether it must work.
    pub required: Option<bool>,
    /// Milliseconds it took; else why it failed.
    pub result: Result<u64, String>,
}

/// A remote, as it was last seen from here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Copies {
    /// Its name.
    pub remote: String,
    /// How old the newest copy there is; absent when there is none, or its
    /// record cannot be read.
    pub age: Option<Duration>,
    /// How old it may be.
    pub most: Duration,
}

/// The store.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Store {
    /// Whether there is a store at all.
    pub there: bool,
    /// Whether the database holds a valid path; else why it could not be
    /// asked, `None` when it may not be read by this user.
    pub rows: Option<Result<bool, String>>,
}

/// A system that is to run or to boot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct System {
    /// What for: "running", "profile's", "booted".
    pub what: &'static str,
    /// Its path.
    pub path: StorePath,
    /// Whether it is on disk and valid; else why that could not be asked.
    pub valid: Result<bool, String>,
}

/// The boot loader.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Boot {
    /// What the loader starts by default; `None` when there is no loader, or
    /// it cannot be read.
    pub default: Option<StorePath>,
    /// What it should start.
    pub wanted: Option<StorePath>,
    /// Specialisations of what it should start, any of which will do.
    pub variants: Vec<StorePath>,
    /// Whether the default is on disk.
    pub there: bool,
}

/// Files of the configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Config {
    /// Path and text; else why it could not be read.
    pub files: Vec<(PathBuf, Result<String, String>)>,
    /// Whether there were too many to read them all.
    pub cut: bool,
}
