//! What can stop a verb, what it left untouched, and what to do next.

mod advice;

use std::path::PathBuf;
use std::time::Duration;

use crate::nix::store_path::StorePath;
use crate::plan::humane::{bytes, duration};
use crate::plan::merge::FileConflict;
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
    /// No such point among those that can be read.
    #[error("{source}; the documents of {damaged} cannot be read, and it may be one of them")]
    SelectDamaged {
        /// What was asked for.
        source: SelectError,
        /// How many cannot be read.
        damaged: usize,
    },
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
    /// A remote cannot be used.
    #[error(transparent)]
    Remote(#[from] crate::engine::remote::RemoteError),
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
    #[error(
        "an earlier {} was interrupted and has not ended{}",
        .0.verb,
        still_stopped(&.0.stopped)
    )]
    Unfinished(Box<Entry>),
    /// Somebody else switches the system.
    #[error(
        "a switch of the system is under way (switch-to-configuration holds its lock); waited {}",
        duration(*waited)
    )]
    Switching {
        /// For how long this process waited.
        waited: Duration,
    },
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
    /// Both sides of a merge changed the same things.
    #[error(
        "the merge of {point} has conflicts in {}: {}",
        if found.len() == 1 { "one file".to_owned() } else { format!("{} files", found.len()) },
        found.iter().map(|c| c.path.to_string()).collect::<Vec<_>>().join(", ")
    )]
    Conflicts {
        /// Short id.
        point: String,
        /// Where, and in which ways.
        found: Vec<FileConflict>,
    },
    /// Nothing to merge against.
    #[error("no restore point before {point} holds the configuration, so there is no base")]
    NoBase {
        /// Short id.
        point: String,
    },
    /// The point does not hold a path.
    #[error(
        "{} is not in restore point {point}{}",
        printable(path),
        near.as_ref().map_or_else(String::new, |n| format!(", did you mean {}?", printable(n)))
    )]
    NotInPoint {
        /// Short id.
        point: String,
        /// The path.
        path: PathBuf,
        /// One that it does hold.
        near: Option<PathBuf>,
    },
    /// A path that the point knows was not there.
    #[error(
        "{} was not there when restore point {point} was taken",
        printable(path)
    )]
    AbsentThen {
        /// Short id.
        point: String,
        /// The path.
        path: PathBuf,
    },
    /// A path that was there and could not be captured.
    #[error(
        "{} could not be captured in restore point {point}: {why}",
        printable(path)
    )]
    NotCaptured {
        /// Short id.
        point: String,
        /// The path.
        path: PathBuf,
        /// Why not.
        why: String,
    },
    /// A file is in the way of one that is to be made.
    #[error("{} is there already", printable(.0))]
    Taken(PathBuf),
    /// A folder that things are to be brought out to is no fresh one.
    #[error("{} {why}", printable(path))]
    NotFresh {
        /// The folder.
        path: PathBuf,
        /// What it is.
        why: &'static str,
    },
    /// A file is not taken in.
    #[error("{file} cannot be imported: {why}")]
    Import {
        /// Its name.
        file: String,
        /// Why not.
        why: String,
        /// What to run next.
        next: crate::next::Next,
    },
    /// A file does not open.
    #[error("the password does not open {0}")]
    WrongPassword(String),
    /// A repository in a file could not be written or read.
    #[error(transparent)]
    Container(#[from] crate::system::container::ContainerError),
    /// The toplevel is gone.
    #[error("the system of restore point {point} is gone from the store: {}", toplevel.to_absolute_path())]
    ToplevelGone {
        /// Short id.
        point: String,
        /// Its toplevel.
        toplevel: StorePath,
        /// The command that builds its configuration again.
        recipe: Option<String>,
    },
    /// A system that is gone could not be had elsewhere.
    #[error(
        "{} is gone from the store and could not be fetched: {}",
        toplevel.to_absolute_path(),
        tried.join("; ")
    )]
    NotFetched {
        /// The system.
        toplevel: StorePath,
        /// What each place said.
        tried: Vec<String>,
        /// Whether unsigned paths were taken.
        unsigned: bool,
    },
    /// There is nothing to build a system from.
    #[error("the configuration in restore point {point} has no flake.nix and no configuration.nix")]
    NoRecipe {
        /// Short id.
        point: String,
    },
    /// The boot loader of another root was not told.
    #[error("the boot step failed with exit code {code}: {line}")]
    BootStep {
        /// Exit code.
        code: i32,
        /// What was run, as a person would type it.
        line: String,
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
    /// A folder above what is to be looked at is a symbolic link by now: behind
    /// it may be anything, also outside of the root.
    #[error(
        "{} is a symbolic link by now; when the restore point was taken, it was none",
        printable(.0)
    )]
    LinkAbove(PathBuf),
    /// There is no way from here to there; found before anything was changed.
    #[error("{0}")]
    NoWay(String),
    /// A restore stopped after it had begun to change things.
    #[error("the restore stopped part way: {why}{}", still_stopped(stopped))]
    Halfway {
        /// What stopped it.
        why: Box<EngineError>,
        /// Units that stay stopped until it ends.
        stopped: Vec<String>,
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
    /// Somebody asked for it, and this was a safe place.
    #[error("interrupted")]
    Stopped,
    /// A prune was stopped before it had removed all it was to remove.
    #[error("interrupted")]
    StoppedPrune,
    /// The state that is there is of another version than the program that
    /// would find it; the policy forbids that.
    #[error("{0}")]
    OtherVersion(String),
    /// There is no systemd of this root.
    #[error("only a machine that runs can be healed or tried on, and this root is not one")]
    NotRunning,
    /// A switch takes no answer.
    #[error("{0}")]
    Unanswerable(String),
    /// A switch is taken back already.
    #[error("it is too late for {}: {why}", system.name())]
    TooLate {
        /// The system.
        system: StorePath,
        /// Why it is taken back.
        why: String,
    },
    /// A worker thread died.
    #[error("a worker thread ended unexpectedly")]
    Thread,
}

/// Names the units that wait for a restore to end, as the end of a sentence.
pub(super) fn still_stopped(units: &[String]) -> String {
    match units {
        [] => String::new(),
        [one] => format!("; {one} stays stopped until it ends"),
        many => format!("; {} stay stopped until it ends", many.join(", ")),
    }
}

impl From<crate::plan::tree_diff::TreeError> for EngineError {
    fn from(error: crate::plan::tree_diff::TreeError) -> Self {
        Self::NoWay(error.to_string())
    }
}
