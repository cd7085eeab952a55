//! What can go wrong with stored content.
//!
//! Every variant says which operation failed, on which path and why, and what
//! was left untouched. No variant carries a password or a key.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// An operation on the vault failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VaultError {
    /// A system call failed; nothing that was stored before has changed.
    #[error(
        "could not {operation} {}: {source} (stored content is unchanged)",
        Show(path)
    )]
    Io {
        /// What was tried, as a verb phrase: "write the file", "list the directory".
        operation: &'static str,
        /// What it was tried on.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },

    /// A path may not be read, and the request said [`OnUnreadable::Fail`].
    ///
    /// [`OnUnreadable::Fail`]: crate::vault::OnUnreadable::Fail
    #[error(
        "may not read {}: {reason} (no snapshot was kept); read it as root, exclude it, or record unreadable paths",
        Show(path)
    )]
    Unreadable {
        /// The path on this machine.
        path: PathBuf,
        /// The system's answer.
        reason: String,
    },

    /// A path changed while it was being captured, several times in a row.
    ///
    /// We refuse a torn copy: it would restore a state that never existed.
    #[error(
        "{} {what} while it was captured (no snapshot was kept); stop its writer and try again",
        Show(path)
    )]
    Changed {
        /// The path on this machine.
        path: PathBuf,
        /// What changed.
        what: &'static str,
    },

    /// The request contradicts itself.
    #[error("cannot capture: {reason} (nothing was stored)")]
    InvalidRequest {
        /// Which part, and why.
        reason: String,
    },

    /// Something that the repository format cannot hold exactly.
    #[error("cannot store {}: {what} (no snapshot was kept)", Show(path))]
    Unsupported {
        /// The path on this machine.
        path: PathBuf,
        /// What is in the way.
        what: String,
    },

    /// The repository library stored less than it was given.
    #[error("{operation} in {}: {detail} (no snapshot was kept)", Show(repository))]
    Incomplete {
        /// What was tried.
        operation: &'static str,
        /// Directory of the repository.
        repository: PathBuf,
        /// What is missing.
        detail: String,
    },

    /// Stored content is missing or does not decrypt to what was stored.
    #[error(
        "could not {operation} in {}: damaged {}: {detail} (nothing was changed)",
        Show(repository),
        ShowAll(files)
    )]
    Damaged {
        /// What was tried.
        operation: &'static str,
        /// Directory of the repository.
        repository: PathBuf,
        /// The damaged files, where they are known.
        files: Vec<PathBuf>,
        /// What the library said.
        detail: String,
    },

    /// The repository library refused.
    #[error(
        "could not {operation} in {}: {detail} (earlier snapshots are unchanged)",
        Show(repository)
    )]
    Repository {
        /// What was tried.
        operation: &'static str,
        /// Directory of the repository.
        repository: PathBuf,
        /// The library's message, one line.
        detail: String,
    },

    /// No snapshot has this id.
    #[error("no snapshot {id} in {}", Show(repository))]
    NoSuchSnapshot {
        /// Directory of the repository.
        repository: PathBuf,
        /// The id as asked for.
        id: String,
    },

    /// The entry's content cannot be read because it is no regular file.
    #[error("{} is no regular file: it has no content to read", Show(path))]
    NoContent {
        /// The entry's logical path.
        path: PathBuf,
    },

    /// A server does not answer, or refuses.
    #[error("{}: {why}", Show(address))]
    Far {
        /// Its address, or that of a file there; no secret.
        address: PathBuf,
        /// What it said.
        why: String,
    },

    /// What opens a server is not known.
    #[error(
        "{}: {name} is not set: put it into the remote's environmentFile",
        Show(address)
    )]
    Unset {
        /// The server's address.
        address: PathBuf,
        /// The name that nothing was said of.
        name: &'static str,
    },

    /// The key file cannot be used. Its content is never shown.
    #[error(
        "cannot use the vault's key {}: {reason} (nothing was changed)",
        Show(path)
    )]
    Key {
        /// The key file.
        path: PathBuf,
        /// Why not.
        reason: String,
    },

    /// There is a directory, but no vault in it.
    #[error("{} is not a vault: {reason} (it was left as it is)", Show(path))]
    NotAVault {
        /// The directory.
        path: PathBuf,
        /// What is missing.
        reason: String,
    },

    /// Somebody who watches asked for it. Nothing that was stored before has
    /// changed.
    #[error("interrupted")]
    Stopped,

    /// The writer that content was read into failed.
    #[error("could not write out {}: {source}", Show(path))]
    Output {
        /// The entry's logical path.
        path: PathBuf,
        /// The writer's answer.
        source: io::Error,
    },
}

impl VaultError {
    /// Builds an [`VaultError::Io`] in the shape `map_err` wants.
    pub(crate) fn io(
        operation: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io {
            operation,
            path,
            source,
        }
    }

    /// The disk, or the quota, is full.
    #[must_use]
    pub fn is_no_space(&self) -> bool {
        use io::ErrorKind::{QuotaExceeded, StorageFull};
        matches!(self, Self::Io { source, .. } if matches!(source.kind(), StorageFull | QuotaExceeded))
    }

    /// Stored content is missing or damaged.
    #[must_use]
    pub const fn is_damaged(&self) -> bool {
        matches!(self, Self::Damaged { .. })
    }

    /// It was stopped on request.
    #[must_use]
    pub const fn is_stopped(&self) -> bool {
        matches!(self, Self::Stopped)
    }

    /// The key is the problem (exit code 12 of the program).
    #[must_use]
    pub const fn is_key(&self) -> bool {
        matches!(self, Self::Key { .. })
    }
}

/// A path on one line: control characters and non-UTF-8 bytes are escaped, so
/// that a file name cannot write to the terminal.
struct Show<'a>(&'a Path);

impl fmt::Display for Show<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.to_str() {
            Some(text) if !text.chars().any(char::is_control) => f.write_str(text),
            _ => write!(f, "{:?}", self.0),
        }
    }
}

struct ShowAll<'a>(&'a [PathBuf]);

impl fmt::Display for ShowAll<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("content");
        }
        for (position, path) in self.0.iter().enumerate() {
            if position > 0 {
                f.write_str(", ")?;
            }
            write!(f, "{}", Show(path))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_name_cannot_break_the_line() {
        let error = VaultError::Changed {
            path: PathBuf::from("/a\n\u{1b}[2Jb"),
            what: "grew",
        };
        assert!(!error.to_string().chars().any(char::is_control), "{error}");
    }

    #[test]
    fn a_full_disk_is_recognised() {
        let error = VaultError::io("write", "/x")(io::Error::from(io::ErrorKind::StorageFull));
        assert!(error.is_no_space() && !error.is_key());
    }
}
