//! Writing a policy file and changing one.

use std::io;
use std::path::{Path, PathBuf};

use crate::point::Policy;
use crate::point::path::printable;
use crate::point::policy::{BadPolicy, Change, ChangeError};
use crate::system::{IoError, Layout, durable, policy_file};

/// Why a policy file was not written.
#[derive(Debug, thiserror::Error)]
pub enum PolicyFileError {
    /// It cannot be read or written.
    #[error(transparent)]
    Io(#[from] IoError),
    /// There is none.
    #[error("there is no policy {}", printable(.0))]
    Absent(PathBuf),
    /// There is one already.
    #[error("{} is there already, and is never written over", printable(.0))]
    Exists(PathBuf),
    /// It belongs to a NixOS configuration.
    #[error(
        "{} is declared in the NixOS configuration; there, {instead}",
        printable(path)
    )]
    Declared {
        /// The file.
        path: PathBuf,
        /// What to write into the configuration.
        instead: String,
    },
    /// The change cannot be made.
    #[error("the policy {} {source}", printable(path))]
    Change {
        /// The file.
        path: PathBuf,
        /// Why.
        source: ChangeError,
    },
}

impl PolicyFileError {
    /// What is wrong with the policy, if that is the reason.
    pub fn faults(&self) -> Option<&BadPolicy> {
        match self {
            Self::Change {
                source: ChangeError::Bad(bad) | ChangeError::Broken(bad),
                ..
            } => Some(bad),
            _ => None,
        }
    }

    /// The next command to run.
    pub fn next(&self) -> String {
        match self {
            Self::Absent(path) => format!("cairn policy init {}", printable(path)),
            Self::Exists(path) => format!("cairn policy check {}", printable(path)),
            Self::Declared { .. } => "nixos-rebuild switch, once it says so".into(),
            Self::Change { path, source } => match source {
                ChangeError::Exists { kind, name } => {
                    let (path, name) = (printable(path), printable(name.as_ref()));
                    format!("cairn policy remove {kind} {name} --file {path}")
                }
                ChangeError::Broken(_) | ChangeError::Absent { .. } => {
                    format!("cairn policy show --policy {}", printable(path))
                }
                ChangeError::Bad(_) | ChangeError::Layout(_) => {
                    format!("cairn policy check {}", printable(path))
                }
            },
            Self::Io(_) => "cairn policy --help".into(),
        }
    }
}

/// The policy to start from: what holds without one, and a point a day.
pub const STARTER: &str = r#"{
  "version": 1,
  "configPaths": ["/etc/nixos"],
  "points": {
    "daily": { "schedule": "daily" }
  },
  "retention": {
    "points": { "keepLast": 20 },
    "generations": { "keepLast": 10 }
  }
}
"#;

/// Writes the policy to start from.
///
/// # Errors
/// When there is anything of that name.
pub fn init(path: &Path, dry_run: bool) -> Result<(), PolicyFileError> {
    let exists = || PolicyFileError::Exists(path.to_owned());
    if policy_file::is_there(path)? {
        return Err(exists());
    }
    if dry_run {
        return Ok(());
    }
    durable::create_new(path, STARTER.as_bytes()).map_err(|e| match e.kind() {
        io::ErrorKind::AlreadyExists => exists(),
        _ => e.into(),
    })
}

/// A policy file before and after a change.
#[derive(Clone, Debug)]
pub struct Changed {
    /// What it said.
    pub before: String,
    /// What it says, or would.
    pub after: String,
}

/// Changes a policy file, or only says how.
///
/// # Errors
/// No such file; one that a NixOS configuration declares; a change that cannot
/// be made, or would leave a policy that cannot be used.
pub fn change(
    layout: &Layout,
    path: &Path,
    change: &Change,
    dry_run: bool,
) -> Result<Changed, PolicyFileError> {
    let held =
        policy_file::hold(layout, path)?.ok_or_else(|| PolicyFileError::Absent(path.to_owned()))?;
    if held.declared {
        let policy = Policy::parse(&held.text).unwrap_or_default();
        return Err(PolicyFileError::Declared {
            path: path.to_owned(),
            instead: change.for_nixos(&policy),
        });
    }
    let after = change
        .apply(&held.text)
        .map_err(|source| PolicyFileError::Change {
            path: path.to_owned(),
            source,
        })?;
    if !dry_run && after != held.text {
        held.replace(&after)?;
    }
    Ok(Changed {
        before: held.text,
        after,
    })
}
