//! What can stop a verb, what it left untouched, and what to do next.

use std::path::PathBuf;
use std::time::Duration;

use crate::nix::store_path::StorePath;
use crate::plan::humane::{bytes, duration};
use crate::plan::merge::FileConflict;
use crate::plan::prune::PruneError;
use crate::point::document::RootKind;
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
        /// What to do.
        next: String,
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
    #[error("only a machine that runs can be healed, and this root is not one")]
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

impl EngineError {
    /// Whether it was stopped on request.
    pub fn is_stopped(&self) -> bool {
        match self {
            Self::Stopped | Self::StoppedPrune => true,
            Self::Vault(e) => e.is_stopped(),
            Self::Halfway { why, .. } => why.is_stopped(),
            _ => false,
        }
    }

    /// A path that is none of those a point holds, with the one that may have
    /// been meant.
    pub(super) fn not_in_point<'p>(
        point: &crate::point::Point,
        path: &std::path::Path,
        held: impl Iterator<Item = &'p PathBuf>,
    ) -> Self {
        if let Some(error) = Self::known_missing(point, path) {
            return error;
        }
        let known: Vec<&str> = held.filter_map(|p| p.to_str()).collect();
        let near = path
            .to_str()
            .and_then(|text| crate::point::near::nearest(text, &known));
        Self::NotInPoint {
            point: point.id.short_among([]),
            path: path.to_owned(),
            near: near.map(PathBuf::from),
        }
    }

    /// A path that a restore was to bring back, and that is neither in the point
    /// nor on disk.
    pub(super) fn nowhere(point: &crate::point::Point, path: PathBuf) -> Self {
        Self::known_missing(point, &path).unwrap_or_else(|| Self::NoSuchPath {
            point: point.id.short_among([]),
            path,
        })
    }

    /// What the point itself says of a path that it does not hold.
    fn known_missing(point: &crate::point::Point, path: &std::path::Path) -> Option<Self> {
        let (short, held) = (point.id.short_among([]), path.to_owned());
        let mut missing = point.completeness.missing().iter();
        if let Some(missing) = missing.find(|m| path.starts_with(m.what.as_path())) {
            return Some(Self::NotCaptured {
                point: short,
                path: held,
                why: missing.why.clone(),
            });
        }
        let config = point.config.iter().flat_map(|c| &c.roots);
        let mut roots = config.chain(point.state.values().flat_map(|set| &set.roots));
        let absent = roots
            .any(|root| root.kind == RootKind::Absent && path.starts_with(root.path.as_path()));
        absent.then_some(Self::AbsentThen {
            point: short,
            path: held,
        })
    }

    /// Whether nothing was begun because somebody else is at work, or did not
    /// end what they had begun.
    pub fn is_kept_out(&self) -> bool {
        matches!(
            self,
            Self::Lock(LockError::Held { .. }) | Self::Unfinished(_)
        )
    }

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

    /// The file operation that failed, if one did.
    fn io(&self) -> Option<(&std::path::Path, std::io::ErrorKind)> {
        match self {
            Self::Io(e) | Self::Document(StoreDocumentError::Io(e)) => Some((&e.path, e.kind())),
            Self::Lock(LockError::Io(e)) => Some((&e.path, e.kind())),
            Self::Vault(VaultError::Io { path, source, .. }) => Some((path, source.kind())),
            _ => None,
        }
    }

    /// What to do about a file operation that failed, where that can be told.
    fn next_of_io(&self) -> Option<String> {
        use std::io::ErrorKind;

        let (path, kind) = self.io()?;
        let path = printable(path);
        match kind {
            ErrorKind::ReadOnlyFilesystem => Some(format!(
                "mount -o remount,rw \"$(findmnt -n -o TARGET -T {path})\" (or, without: cairn \
                 restore ID --to DIR, cairn export ID FILE)"
            )),
            // In the vault it is full of points; elsewhere of other things.
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded
                if !matches!(self, Self::Vault(_)) =>
            {
                Some(format!(
                    "df -h {path} (then make room there, and the same command again)"
                ))
            }
            ErrorKind::PermissionDenied if !rustix::process::geteuid().is_root() => {
                Some("sudo cairn …".to_owned())
            }
            // What the vault lacks is damage.
            ErrorKind::NotFound if !matches!(self, Self::Vault(_)) => {
                Some(format!("ls -ld {path} (is it spelt right, and mounted?)"))
            }
            _ => None,
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
            Self::StoppedPrune => "what was removed stays so, the rest is as it was",
            e if e.is_stopped() => "nothing was changed",
            _ => "nothing was changed",
        }
    }

    /// The next command to run.
    pub fn next(&self) -> String {
        if let Some(next) = self.next_of_io() {
            return next;
        }
        match self {
            Self::Unfinished(_) | Self::Halfway { .. } => "cairn resume (or: cairn abort)".into(),
            Self::StoppedPrune => "cairn prune".into(),
            e if e.is_stopped() => "the same command again".into(),
            Self::OtherVersion(_) => "cairn restore ID --state SET (both together)".into(),
            Self::LinkAbove(path) => format!(
                "ls -l {} (and put a folder there, or: cairn restore ID --to DIR)",
                printable(path)
            ),
            Self::Remote(error) => error.next(),
            Self::Vault(VaultError::Far { .. }) => "cairn remote list (once it answers)".into(),
            Self::NoWay(_) => "cairn diff".into(),
            Self::NotRunning => "cairn health (it looks at any root)".into(),
            Self::Unanswerable(_) | Self::TooLate { .. } => "cairn history".into(),
            Self::History(_) => "cairn status (what is not in the history is listed by it)".into(),
            Self::NoChange(_) => "cairn risk -- nixos-rebuild build".into(),
            Self::Share(_) => "cairn learn export FILE (on the other machine)".into(),
            Self::Policy(_) => "cairn policy check".into(),
            Self::Select(_) | Self::NoRestore(_) => "cairn list".into(),
            Self::NotHeld { point, .. }
            | Self::NoSuchPath { point, .. }
            | Self::NotInPoint { point, .. }
            | Self::AbsentThen { point, .. }
            | Self::NotCaptured { point, .. }
            | Self::NoSuchSet { point, .. } => {
                format!("cairn show {point}")
            }
            Self::Conflicts { point, .. } => format!(
                "cairn restore {point} --merge --allow-conflicts (or name the paths to merge)"
            ),
            Self::NoBase { point } => format!("cairn restore {point} --merge --merge-base ID"),
            Self::Taken(_) => "cairn export again, with another name".into(),
            Self::NotFresh { path, .. } => {
                format!("cairn restore … --to {}", printable(&path.join("restored")))
            }
            Self::Import { next, .. } => next.clone(),
            Self::WrongPassword(file) => format!("cairn import {file} --password-file FILE"),
            Self::UnknownSet(_) => "cairn create -n".into(),
            Self::NoStateVault => "cairn verify".into(),
            Self::NoRoom { .. } => "cairn prune".into(),
            Self::Units(_) => "systemctl --failed".into(),
            Self::Switching { .. } => {
                "the same command when the switch has ended, or with --lock-timeout 300".into()
            }
            Self::Lock(LockError::Held { .. }) => {
                "cairn status (then again, or with --lock-timeout 300)".into()
            }
            Self::Vault(e) if e.is_no_space() => {
                "cairn prune (it also frees what this attempt had stored)".into()
            }
            Self::Vault(_) => "cairn verify --read-data (and then with --repair)".into(),
            Self::ToplevelGone { point, recipe, .. } => match recipe {
                Some(line) => format!(
                    "cairn restore {point} --rebuild (or --from URL; by hand: cairn restore \
                     {point} --only config && {line})"
                ),
                None => format!("cairn restore {point} --from URL (a binary cache that has it)"),
            },
            Self::NotFetched {
                unsigned, tried, ..
            } => {
                let signature = |t: &String| t.contains("signature");
                match !unsigned && tried.iter().any(signature) {
                    true => "again with --no-check-sigs, if you trust that store".into(),
                    false => "again with --rebuild, or with --from and another store".into(),
                }
            }
            Self::NoRecipe { point } => format!("cairn restore {point} --from URL"),
            Self::NotAllowed { .. } => "sudo cairn …".into(),
            Self::NoGeneration { .. } => "cairn generations list".into(),
            Self::Prune(_) | Self::Within(_) => "cairn prune --keep-last 20 --dry-run".into(),
            Self::Protected { point, .. } => format!("cairn unpin {point}"),
            _ => "cairn status".into(),
        }
    }
}
