//! Captured content: the only layer that stores it or reads it back.
//!
//! Content lives in restic-format repositories (through rustic_core), which
//! any `restic` can read with the recovery password. What the library leaves
//! open is closed here: a capture is whole or it fails ([`Vault::capture`]),
//! files are private and durable, damage is an error and never a panic.
//!
//! [`Repo`] is the real thing, [`MemoryVault`] the fake. [`VaultDir`] holds the
//! two repositories of a machine. The callers' lock decides who may be there
//! at once: captures and reads share, [`Vault::prune`] is alone.
#![allow(clippy::disallowed_methods)]

mod attributes;
mod capture;
mod compare;
mod compose;
mod digest;
mod disk;
mod durable;
mod error;
mod far;
#[cfg(test)]
mod hook;
mod keys;
mod log;
mod memory;
mod mend;
mod node;
#[cfg(feature = "remote-s3")]
mod objects;
mod open;
mod pending;
mod place;
mod portable;
mod push;
mod quiet;
mod read;
mod reader;
mod repair;
mod repo;
mod salvage;
mod settings;
mod source;
mod store;
#[cfg(test)]
mod tests;
mod types;
mod upkeep;
mod view;
mod walk;
mod watch;
mod words;

use std::io::{Read, Write};
use std::path::Path;

pub use error::VaultError;
pub use keys::RecoveryPassword;
pub use memory::MemoryVault;
pub use open::{Opened, VaultDir};
pub use place::{Place, Secrets};
pub use push::Note;
pub use repo::Repo;
pub use types::{
    CaptureRequest, CaptureRoot, Captured, CheckReport, ComposeRequest, Composed, DamagedSnapshot,
    Entry, EntryKind, Forgotten, OnUnreadable, PruneStats, Repaired, Skipped, SnapshotInfo,
    SnapshotList, Timestamp, Unreadable, Xattr,
};
pub use watch::{Unwatched, Watch};

/// One repository of captured content.
pub trait Vault: Sync {
    /// Captures the roots into one snapshot, which is durable on return.
    ///
    /// Nothing is followed through a symlink. A file or directory that changes
    /// while it is read makes the whole capture start again, three times in
    /// all; no snapshot of a torn tree is ever kept.
    ///
    /// # Errors
    ///
    /// [`VaultError::Changed`], [`VaultError::Unreadable`] (only with
    /// [`OnUnreadable::Fail`]), [`VaultError::Damaged`] if the index cannot be
    /// read, or what the system says. No snapshot is left then.
    fn capture(&self, request: &CaptureRequest) -> Result<Captured, VaultError>;

    /// Stores a tree that is not on disk as one snapshot, durable on return.
    ///
    /// # Errors
    ///
    /// [`VaultError::Damaged`] when a content cannot be read, or what the
    /// system says. No snapshot is left then.
    fn compose(&self, request: &ComposeRequest) -> Result<Captured, VaultError>;

    /// Everything in a snapshot, sorted by the bytes of the logical path: a
    /// directory comes before what it holds.
    ///
    /// # Errors
    ///
    /// [`VaultError::NoSuchSnapshot`], [`VaultError::Damaged`].
    fn entries(&self, snapshot: &str) -> Result<Vec<Entry>, VaultError>;

    /// Writes a regular file's content to `out`, every chunk verified before it
    /// is written. After an error `out` holds a prefix.
    ///
    /// # Errors
    ///
    /// [`VaultError::Damaged`], [`VaultError::NoContent`],
    /// [`VaultError::Output`].
    fn read(&self, entry: &Entry, out: &mut dyn Write) -> Result<(), VaultError>;

    /// As [`Vault::read`], with chunks that are authentic but not verified: for
    /// those who hold what they wrote against the entry afterwards
    /// ([`Vault::holds`]).
    ///
    /// # Errors
    ///
    /// As [`Vault::read`].
    fn pour(&self, entry: &Entry, out: &mut dyn Write) -> Result<(), VaultError> {
        self.read(entry, out)
    }

    /// Whether `content` is a regular file's content, to its end. Only
    /// `content` is read, and no further than it is equal.
    ///
    /// # Errors
    ///
    /// [`VaultError::Damaged`], [`VaultError::NoContent`], or what reading
    /// `content` says.
    fn holds(&self, entry: &Entry, content: &mut dyn Read) -> Result<bool, VaultError>;

    /// The content hash of a stored snapshot, as [`Captured::content_hash`].
    ///
    /// # Errors
    ///
    /// As [`Vault::entries`] and [`Vault::read`].
    fn content_hash(&self, snapshot: &str) -> Result<String, VaultError>;

    /// All snapshots; a damaged one never hides the others.
    ///
    /// # Errors
    ///
    /// Only if the repository cannot be opened or listed.
    fn snapshots(&self) -> Result<SnapshotList, VaultError>;

    /// Removes snapshots. One that cannot be removed does not stop the others,
    /// one that is gone already is fine. Frees no space: [`Vault::prune`] does.
    fn forget(&self, snapshots: &[&str]) -> Forgotten;

    /// Frees what no snapshot needs, and leftovers of interrupted writers. The
    /// caller holds the exclusive lock: beside a capture it would lose content.
    ///
    /// # Errors
    ///
    /// [`VaultError::Damaged`] if a snapshot or index file cannot be read:
    /// what it refers to is unknown, so nothing is removed.
    fn prune(&self) -> Result<PruneStats, VaultError>;

    /// Looks for damage and goes on after it; with `read_data` every pack is
    /// read, which alone finds a flipped bit. Deletes nothing.
    ///
    /// # Errors
    ///
    /// Only if the repository cannot be opened or listed.
    fn check(&self, read_data: bool) -> Result<CheckReport, VaultError>;

    /// Repairs what can be. What is damaged is moved below `aside`, a folder of
    /// this repository alone; with `read_data` flipped bits are looked for. The
    /// caller holds the exclusive lock.
    ///
    /// # Errors
    ///
    /// If the repository cannot be opened, or a file cannot be moved. What was
    /// repaired until then stays so.
    fn repair(&self, aside: &Path, read_data: bool) -> Result<Vec<Repaired>, VaultError>;

    /// Bytes of the repository on disk.
    ///
    /// # Errors
    ///
    /// What the system says.
    fn size(&self) -> Result<u64, VaultError>;
}

impl Vault for Repo {
    fn capture(&self, request: &CaptureRequest) -> Result<Captured, VaultError> {
        self.capture_strictly(request)
    }

    fn compose(&self, request: &ComposeRequest) -> Result<Captured, VaultError> {
        self.compose_strictly(request)
    }

    fn entries(&self, snapshot: &str) -> Result<Vec<Entry>, VaultError> {
        self.stored_entries(snapshot)
    }

    fn read(&self, entry: &Entry, out: &mut dyn Write) -> Result<(), VaultError> {
        self.read_entry(entry, out, true)
    }

    fn pour(&self, entry: &Entry, out: &mut dyn Write) -> Result<(), VaultError> {
        self.read_entry(entry, out, false)
    }

    fn holds(&self, entry: &Entry, content: &mut dyn Read) -> Result<bool, VaultError> {
        self.compare_entry(entry, content)
    }

    fn content_hash(&self, snapshot: &str) -> Result<String, VaultError> {
        self.stored_hash(snapshot)
    }

    fn snapshots(&self) -> Result<SnapshotList, VaultError> {
        self.list_snapshots()
    }

    fn forget(&self, snapshots: &[&str]) -> Forgotten {
        self.forget_snapshots(snapshots)
    }

    fn prune(&self) -> Result<PruneStats, VaultError> {
        self.prune_alone()
    }

    fn check(&self, read_data: bool) -> Result<CheckReport, VaultError> {
        self.check_all(read_data)
    }

    fn repair(&self, aside: &Path, read_data: bool) -> Result<Vec<Repaired>, VaultError> {
        self.repair_alone(aside, read_data)
    }

    fn size(&self) -> Result<u64, VaultError> {
        self.bytes()
    }
}
