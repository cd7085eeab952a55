//! What can stop a verb, what it left untouched, and what to do next.

use std::path::PathBuf;

use crate::nix::store_path::StorePath;
use crate::plan::humane::bytes;
use crate::plan::prune::PruneError;
use crate::point::path::printable;
use crate::point::selector::SelectError;
use crate::system::IoError;
use crate::system::journal::Entry;
use crate::system::lock::LockError;
use crate::system::points::StoreDocumentError;
use crate::system::run::RunError;
use crate::system::store::StoreError;
use crate::vault::VaultError;

/// Why a verb did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// A file operation failed.
    #[error(transparent)]
    Io(#[from] IoError),
    /// The lock was not had.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// No such point, or several.
    #[error(transparent)]
    Select(#[from] SelectError),
    /// The vault refused.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// The store could not be asked.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A program failed.
    #[error(transparent)]
    Run(#[from] RunError),
    /// The document could not be written.
    #[error(transparent)]
    Document(#[from] StoreDocumentError),
    /// The retention policy is unusable.
    #[error(transparent)]
    Prune(#[from] PruneError),
    /// The history could not be used.
    #[error(transparent)]
    History(#[from] crate::system::history::HistoryError),
    /// A file of knowledge is not believed.
    #[error("this file is not learned from: {0}")]
    Share(#[from] crate::learn::share::ShareError),
    /// There is no switch to judge.
    #[error("{} runs already: there is no switch to judge", .0.name())]
    NoChange(StorePath),
    /// A keep rule is unusable.
    #[error("keep-within: {0}")]
    Within(#[from] crate::plan::prune::WithinError),
    /// The machine's policy is unusable.
    #[error(transparent)]
    Policy(#[from] crate::system::policy_file::LoadError),
    /// A restore was begun and has not ended.
    #[error("an earlier {} was interrupted and has not ended", .0.verb)]
    Unfinished(Box<Entry>),
    /// There is nothing to resume, abort or undo.
    #[error("there is no restore to {0}")]
    NoRestore(&'static str),
    /// The point holds nothing of what was asked for.
    #[error("restore point {point} holds no {what}")]
    NotHeld {
        /// Short id.
        point: String,
        /// "configuration", "system".
        what: &'static str,
    },
    /// The point holds no state set of this name.
    #[error("restore point {point} holds no state set '{set}'")]
    NoSuchSet {
        /// Short id.
        point: String,
        /// The name.
        set: String,
    },
    /// The policy has no state set of this name.
    #[error("the policy has no state set '{0}'")]
    UnknownSet(String),
    /// A point names state, and the vault has none.
    #[error("the vault's repository of state is gone")]
    NoStateVault,
    /// Something that would change could not be captured first.
    #[error("the restore point that undoes this would lack {0}")]
    NoUndo(String),
    /// There is less room than the restore needs; found before it began.
    #[error(
        "{} has {} free, and the restore needs {}",
        printable(path),
        bytes(*free),
        bytes(*needed)
    )]
    NoRoom {
        /// The folder.
        path: PathBuf,
        /// Bytes that are free there.
        free: u64,
        /// Bytes that are needed.
        needed: u64,
    },
    /// Units that were stopped did not start again.
    #[error("{0}")]
    Units(String),
    /// A named path is neither in the point nor on disk.
    #[error(
        "{} is not in restore point {point}, nor on disk below its roots",
        printable(path)
    )]
    NoSuchPath {
        /// Short id.
        point: String,
        /// The path.
        path: PathBuf,
    },
    /// The toplevel is gone.
    #[error("the system of restore point {point} is gone from the store: {}", toplevel.to_absolute_path())]
    ToplevelGone {
        /// Short id.
        point: String,
        /// Its toplevel.
        toplevel: StorePath,
    },
    /// The caller lacks the rights; found before anything was changed.
    #[error("this needs rights that user {uid} does not have: {what}")]
    NotAllowed {
        /// Numeric user id.
        uid: u32,
        /// What may not be done.
        what: String,
    },
    /// No generation has this number.
    #[error("profile {profile} has no usable {}", if *number == 0 { "generation".to_owned() } else { format!("generation {number}") })]
    NoGeneration {
        /// The profile.
        profile: String,
        /// The number.
        number: u64,
    },
    /// The result is not what was planned.
    #[error("the restore ran but did not end as planned: {0}")]
    NotVerified(String),
    /// There is no way from here to there; found before anything was changed.
    #[error("{0}")]
    NoWay(String),
    /// A restore stopped after it had begun to change things.
    #[error("the restore stopped part way: {why}")]
    Halfway {
        /// What stopped it.
        why: Box<EngineError>,
    },
    /// The switch itself failed.
    #[error("switch-to-configuration ended with {code}: {}", crate::system::switch::meaning(*.code))]
    Switch {
        /// Its exit code.
        code: i32,
        /// The point that undoes what was done.
        undo: String,
    },
    /// A point that is protected was to be removed by name.
    #[error("restore point {point} is kept: {why}")]
    Protected {
        /// Short id.
        point: String,
        /// Why.
        why: String,
    },
    /// A worker thread died.
    #[error("a worker thread ended unexpectedly")]
    Thread,
}

impl EngineError {
    /// Whether the disk is full.
    pub fn is_no_space(&self) -> bool {
        let full = |kind| {
            matches!(
                kind,
                std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded
            )
        };
        match self {
            Self::Vault(e) => e.is_no_space(),
            Self::Io(e) => full(e.kind()),
            Self::Document(StoreDocumentError::Io(e)) => full(e.kind()),
            _ => false,
        }
    }

    /// What was left as it was, as the end of a sentence.
    pub fn untouched(&self) -> &'static str {
        match self {
            Self::Unfinished(_) => "nothing more was changed",
            Self::Halfway { .. } => {
                "the restore is not finished; what was there before is in the restore point \
                 taken first"
            }
            Self::Run(_) => "restore points are unchanged",
            _ => "nothing was changed",
        }
    }

    /// The next command to run.
    pub fn next(&self) -> String {
        match self {
            Self::Unfinished(_) | Self::Halfway { .. } => "cairn resume (or: cairn abort)".into(),
            Self::NoWay(_) => "cairn diff".into(),
            Self::History(_) => "cairn status (what is not in the history is listed by it)".into(),
            Self::NoChange(_) => "cairn risk -- nixos-rebuild build".into(),
            Self::Share(_) => "cairn learn export FILE (on the other machine)".into(),
            Self::Policy(_) => "cairn policy show".into(),
            Self::Select(_) | Self::NoRestore(_) => "cairn list".into(),
            Self::NotHeld { point, .. }
            | Self::NoSuchPath { point, .. }
            | Self::NoSuchSet { point, .. } => {
                format!("cairn show {point}")
            }
            Self::UnknownSet(_) => "cairn create -n".into(),
            Self::NoStateVault => "cairn verify".into(),
            Self::NoRoom { .. } => "cairn prune".into(),
            Self::Units(_) => "systemctl --failed".into(),
            Self::Lock(LockError::Held { .. }) => {
                "cairn status (then again, or with --lock-timeout 300)".into()
            }
            Self::Vault(e) if e.is_no_space() => {
                "cairn prune (it also frees what this attempt had stored)".into()
            }
            Self::Vault(_) => "cairn verify".into(),
            Self::ToplevelGone { point, .. } => {
                format!("cairn restore {point} --only config && nixos-rebuild switch")
            }
            Self::NotAllowed { .. } => "sudo cairn …".into(),
            Self::NoGeneration { .. } => "cairn generations list".into(),
            Self::Prune(_) | Self::Within(_) => "cairn prune --keep-last 20 --dry-run".into(),
            Self::Protected { point, .. } => format!("cairn unpin {point}"),
            _ => "cairn status".into(),
        }
    }
}
