//! Writing a policy file and changing one.

use std::io;
use std::path::{Path, PathBuf};

use crate::next::{Next, quoted};
use crate::point::Policy;
use crate::point::path::printable;
use crate::point::policy::{BadPolicy, Change, ChangeError, Fault, fault_at};
use crate::system::policy_file::LoadError;
use crate::system::run::Runner;
use crate::system::{IoError, Layout, calendar, durable, policy_file};

/// Why a policy file was not written.
#[derive(Debug, thiserror::Error)]
pub enum PolicyFileError {
    /// It cannot be read or written.
    #[error(transparent)]
    Io(#[from] IoError),
    /// There is none.
    #[error("there is no policy {}", printable(.0))]
    Absent(PathBuf),
    /// There is none in force, nor in the current folder.
    #[error("this machine has no policy, and here is no {}", printable(.0))]
    NoneAtAll(PathBuf),
    /// It cannot be used.
    #[error(transparent)]
    Load(#[from] LoadError),
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
            }
            | Self::Load(LoadError::Policy { source: bad, .. }) => Some(bad),
            _ => None,
        }
    }

    /// What to run next.
    pub fn next(&self) -> Next {
        Next::run(match self {
            Self::Absent(path) | Self::NoneAtAll(path) => {
                format!("cairn policy init {}", quoted(path))
            }
            Self::Load(_) => "cairn policy schema".to_owned(),
            Self::Exists(path) => format!("cairn policy check {}", quoted(path)),
            Self::Declared { .. } => "nixos-rebuild switch".to_owned(),
            Self::Change { path, source } => match source {
                ChangeError::Exists { kind, name } => {
                    let (path, name) = (quoted(path), quoted(name));
                    format!("cairn policy remove {kind} {name} --file {path}")
                }
                ChangeError::Broken(_) | ChangeError::Absent { .. } => {
                    format!("cairn policy show --policy {}", quoted(path))
                }
                ChangeError::Bad(_) | ChangeError::Layout(_) => {
                    format!("cairn policy check {}", quoted(path))
                }
            },
            Self::Io(_) => "cairn policy --help".to_owned(),
        })
    }
}

/// A policy that was checked.
#[derive(Clone, Debug)]
pub struct Checked {
    /// The file.
    pub path: PathBuf,
    /// What it says.
    pub policy: Policy,
}

/// Checks the policy that was named; else the one in force; else `otherwise`,
/// where there is such a file. systemd is asked of every calendar event, where
/// it can be.
///
/// # Errors
/// No policy at all; one that cannot be read; all that is wrong with it.
pub fn check(
    layout: &Layout,
    runner: &dyn Runner,
    named: Option<&Path>,
    otherwise: &Path,
) -> Result<Checked, PolicyFileError> {
    let in_force = policy_file::in_force(layout);
    let path = match named {
        Some(named) => named.to_owned(),
        None if policy_file::is_there(&in_force)? => in_force,
        None if policy_file::is_there(otherwise)? => otherwise.to_owned(),
        None => return Err(PolicyFileError::NoneAtAll(otherwise.to_owned())),
    };
    let (text, policy) = policy_file::read(layout, &path)?;
    let faults: Vec<Fault> = policy
        .schedules()
        .into_iter()
        .filter_map(|(at, schedule)| {
            let why = calendar::refused(runner, schedule)?;
            Some(fault_at(&text, &at, why))
        })
        .collect();
    match faults.is_empty() {
        true => Ok(Checked { path, policy }),
        false => Err(PolicyFileError::Load(LoadError::Policy {
            path,
            source: BadPolicy { faults },
        })),
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
