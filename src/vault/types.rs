//! What is asked of the vault and what it answers.

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

use chrono::{DateTime, Utc};

/// One directory, file or symlink to capture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CaptureRoot {
    /// Where it is read. Symlinks on the way are followed by the kernel; a
    /// symlink in the last component is captured as a symlink.
    pub disk: PathBuf,
    /// The absolute path it has in the snapshot, such as `/etc/nixos`.
    pub logical: PathBuf,
}

/// What to do with a path that may not be read (`EACCES`, `EPERM`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnUnreadable {
    /// Keep no snapshot and fail.
    #[default]
    Fail,
    /// Leave it out of the snapshot and list it in [`Captured::unreadable`].
    Record,
}

/// What to capture, and under which name.
#[derive(Debug, Clone)]
pub struct CaptureRequest {
    /// The restore point's id. Stored as the snapshot's only tag; no commas.
    pub tag: String,
    /// The machine's name.
    pub host: String,
    /// The restore point's time.
    pub time: DateTime<Utc>,
    /// What to capture. Logical paths are distinct and none lies in another.
    pub roots: Vec<CaptureRoot>,
    /// Entries with one of these names are not captured, nor what is below
    /// them (`.git`). Roots themselves are never excluded.
    pub exclude_names: Vec<OsString>,
    /// Entries whose names it says yes to are not captured: what the caller
    /// left there itself.
    pub exclude_named: fn(&OsStr) -> bool,
    /// Exact logical paths that are not captured, nor what is below them.
    pub exclude_paths: Vec<PathBuf>,
    /// What to do with a path that may not be read.
    pub on_unreadable: OnUnreadable,
    /// Id of an earlier snapshot: files with the same size, mtime and ctime
    /// are taken from it unread. A missing or damaged one costs time only.
    pub parent: Option<String>,
}

/// A tree to store that is not on disk.
#[derive(Debug, Clone)]
pub struct ComposeRequest {
    /// The restore point's id, as in [`CaptureRequest::tag`].
    pub tag: String,
    /// The machine's name.
    pub host: String,
    /// The restore point's time.
    pub time: DateTime<Utc>,
    /// What it holds; each below entries that are directories, but for the
    /// roots.
    pub entries: Vec<Composed>,
}

/// One entry of such a tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Composed {
    /// The entry. A file's content is that of its chunks in this repository.
    pub entry: Entry,
    /// The file's content, when it is in no repository yet.
    pub bytes: Option<Vec<u8>>,
}

/// A path that may not be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unreadable {
    /// Logical path. Neither it nor anything below it is in the snapshot.
    pub path: PathBuf,
    /// The system's answer.
    pub reason: String,
}

/// A path that has no content to keep, such as a socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Skipped {
    /// Logical path.
    pub path: PathBuf,
    /// Why it is not in the snapshot.
    pub reason: String,
}

/// A snapshot that is durably on disk, and what is in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Captured {
    /// Snapshot id, 64 hex digits.
    pub snapshot: String,
    /// Id of the root tree, 64 hex digits. It depends on times and inodes too:
    /// compare [`Captured::content_hash`] to learn whether content changed.
    pub tree: String,
    /// Regular files.
    pub files: u64,
    /// Directories, without those above the roots.
    pub dirs: u64,
    /// Symlinks.
    pub symlinks: u64,
    /// FIFOs and devices.
    pub specials: u64,
    /// Sizes of the regular files together, in bytes.
    pub bytes: u64,
    /// Bytes this capture wrote to the vault: packs, index and snapshot.
    pub stored_bytes: u64,
    /// SHA-256 (hex) over the sorted listing: path, kind, permission bits and
    /// SHA-256 of the content or of the link target. Not times, owners,
    /// attributes or inodes. `None` only with a parent, when a file of several
    /// chunks was taken from it unread; [`Vault::content_hash`] computes it then.
    ///
    /// [`Vault::content_hash`]: crate::vault::Vault::content_hash
    pub content_hash: Option<String>,
    /// What may not be read, sorted. Empty unless [`OnUnreadable::Record`].
    pub unreadable: Vec<Unreadable>,
    /// Logical paths left out by the request, and the vault itself, sorted.
    pub excluded: Vec<PathBuf>,
    /// What cannot be kept (sockets), sorted.
    pub skipped: Vec<Skipped>,
}

/// A time with nanoseconds, before or after 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp {
    /// Whole seconds since 1970-01-01 UTC, rounded down.
    pub seconds: i64,
    /// Nanoseconds after that second, 0 to 999,999,999.
    pub nanos: u32,
}

/// What an entry is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EntryKind {
    /// A regular file.
    File {
        /// Bytes.
        size: u64,
        /// Ids of its chunks in the vault, in order, hex.
        content: Vec<String>,
    },
    /// A directory.
    Dir,
    /// A symbolic link.
    Symlink {
        /// Where it points, byte for byte.
        target: PathBuf,
    },
    /// A named pipe.
    Fifo,
    /// A socket; written by other programs only.
    Socket,
    /// A character device.
    Char {
        /// Device number as in `st_rdev`.
        device: u64,
    },
    /// A block device.
    Block {
        /// Device number as in `st_rdev`.
        device: u64,
    },
}

/// One extended attribute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Xattr {
    /// Full name with its namespace, such as `user.origin`.
    pub name: String,
    /// Value, byte for byte.
    pub value: Vec<u8>,
}

/// One captured path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Absolute logical path without `.` or `..`.
    pub path: PathBuf,
    /// What it is.
    pub kind: EntryKind,
    /// Permission bits with setuid, setgid and sticky (`0o7777`).
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Modification time.
    pub mtime: Timestamp,
    /// Extended attributes (ACLs and capabilities are among them), by name.
    pub xattrs: Vec<Xattr>,
    /// Device and inode at capture time if it had several names: entries with
    /// the same pair are one file.
    pub hardlink: Option<(u64, u64)>,
}

/// A snapshot that can be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SnapshotInfo {
    /// Snapshot id, 64 hex digits.
    pub id: String,
    /// The restore point's id.
    pub tag: String,
    /// The restore point's time.
    pub time: DateTime<Utc>,
    /// The machine's name.
    pub host: String,
    /// Id of its root tree, 64 hex digits: the same wherever it is copied to.
    pub tree: String,
    /// The snapshot that it is a copy of, by its id where it was made.
    pub original: Option<String>,
    /// What is said of it.
    pub description: Option<String>,
}

/// A snapshot file that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DamagedSnapshot {
    /// Snapshot id, 64 hex digits.
    pub id: String,
    /// The damaged file.
    pub path: PathBuf,
    /// Why it cannot be read.
    pub reason: String,
}

/// All snapshots: a damaged one never hides the others.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SnapshotList {
    /// Those that can be read, oldest first.
    pub good: Vec<SnapshotInfo>,
    /// Those that cannot.
    pub damaged: Vec<DamagedSnapshot>,
}

/// What became of the snapshots that were to be forgotten.
#[derive(Debug, Default)]
pub struct Forgotten {
    /// Removed now.
    pub removed: Vec<String>,
    /// Were not there: forgetting is idempotent.
    pub missing: Vec<String>,
    /// Could not be removed; the others were.
    pub failed: Vec<(String, crate::vault::VaultError)>,
}

/// What a prune did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PruneStats {
    /// Bytes on disk before.
    pub before: u64,
    /// Bytes on disk after.
    pub after: u64,
    /// Leftover temporary files removed.
    pub temporaries: u64,
}

/// What a check found. Nothing is ever deleted by a check.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CheckReport {
    /// Damage, one line each, sorted. Empty means sound.
    pub problems: Vec<String>,
    /// Harmless things worth knowing, such as leftovers the next prune removes.
    pub notes: Vec<String>,
}

/// Something that a repair did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Repaired {
    /// The restore point it concerns alone, by its id.
    pub tag: Option<String>,
    /// What was damaged, and what became of it, in one line.
    pub what: String,
}

impl Repaired {
    /// Something that is no one point's.
    pub(crate) const fn of_all(what: String) -> Self {
        Self { tag: None, what }
    }
}
