//! An error as it is told: one line of what was wrong and what was left
//! untouched, then the commands that may help.

use std::io;

use serde_json::json;

use super::out::{VERSION, complain};
use super::{Exit, commands, usage};
use crate::engine::EngineError;
use crate::engine::policy::PolicyFileError;
use crate::engine::remote::RemoteError;
use crate::next::{Next, quoted};
use crate::plan::merge::FileConflict;
use crate::point::policy::BadPolicy;
use crate::point::selector::{SelectError, Selector};
use crate::render::style::{count, line};
use crate::system::IoError;
use crate::system::lock::LockError;
use crate::system::policy_file::LoadError;

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    /// The engine said no.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The policy is unusable.
    #[error(transparent)]
    Policy(#[from] LoadError),
    /// A policy file could not be written or changed.
    #[error(transparent)]
    PolicyFile(#[from] PolicyFileError),
    /// A path could not be used.
    #[error(transparent)]
    Io(#[from] IoError),
    /// There is no machine to play on.
    #[error(transparent)]
    Demo(#[from] crate::system::demo::DemoError),
    /// Output could not be written.
    #[error("cannot write the output: {0}")]
    Output(#[from] io::Error),
    /// The arguments contradict each other.
    #[error("{0}")]
    Usage(String),
    /// A command line that cannot be understood.
    #[error("{why}")]
    Misread {
        /// What is wrong with it.
        why: String,
        /// Where to read how it is meant.
        next: String,
    },
    /// A page could not be made.
    #[error("the page cannot be made: {0}")]
    Page(String),
    /// The person said no.
    #[error("not confirmed")]
    Declined,
    /// The person left without picking a point.
    #[error("no restore point was picked")]
    NotPicked,
    /// A question could not be asked.
    #[error("{0} needs a yes, and there is no terminal to ask on")]
    NoTerminal(&'static str),
}

impl From<SelectError> for Failure {
    fn from(error: SelectError) -> Self {
        Self::Engine(error.into())
    }
}

impl Failure {
    fn exit(&self) -> Exit {
        match self {
            Self::Engine(
                EngineError::Select(_)
                | EngineError::SelectDamaged { .. }
                | EngineError::Remote(
                    RemoteError::NoSuchPoint { .. } | RemoteError::NoSuchHost { .. },
                ),
            ) => Exit::NoSuchPoint,
            Self::Engine(
                EngineError::Lock(LockError::Held { .. }) | EngineError::Switching { .. },
            ) => Exit::Locked,
            Self::Engine(EngineError::Vault(e)) if e.is_key() => Exit::VaultKey,
            Self::Engine(e) if e.is_stopped() => Exit::Interrupted,
            Self::Engine(
                EngineError::WrongPassword(_)
                | EngineError::Remote(RemoteError::WrongPassword { .. }),
            ) => Exit::VaultKey,
            Self::Engine(EngineError::TooLate { .. }) => Exit::RolledBack,
            Self::Engine(EngineError::Unfinished(_) | EngineError::Halfway { .. }) => {
                Exit::NeedsResume
            }
            Self::Usage(_) | Self::Misread { .. } | Self::NoTerminal(_) => Exit::Usage,
            Self::Declined | Self::NotPicked => Exit::Interrupted,
            _ => Exit::Error,
        }
    }

    fn untouched(&self) -> &'static str {
        match self {
            Self::Engine(e) => e.untouched(),
            Self::Output(_) => "what was asked for may have been done all the same",
            _ => "nothing was changed",
        }
    }

    /// What to run next.
    fn next(&self) -> Next {
        match self {
            Self::Engine(EngineError::Select(SelectError::NoSuch(selector))) => match selector {
                Selector::Latest(0) => "cairn create".into(),
                Selector::LatestGood(_) => Next::run("cairn list").or("cairn mark-good ID"),
                _ => "cairn list".into(),
            },
            Self::Engine(EngineError::Select(SelectError::OnlyImported(ids))) => {
                let newest = ids.first().map_or("ID", String::as_str);
                Next::run(format!("cairn show {newest}"))
            }
            Self::Engine(e) => e.next(),
            Self::NoTerminal(_) => {
                Next::again_with("--dry-run", None).or_else(Next::again_with("--yes", None))
            }
            Self::NotPicked => "cairn show ID".into(),
            Self::Io(e) if e.operation == "use the root" => "cairn --root /mnt status".into(),
            Self::Io(e) => EngineError::Io(IoError {
                operation: e.operation,
                path: e.path.clone(),
                source: e.kind().into(),
            })
            .next(),
            Self::Usage(_) => usage::help().into(),
            Self::Misread { next, .. } => Next::run(next),
            Self::Demo(_) => "TMPDIR=/var/tmp cairn demo".into(),
            Self::PolicyFile(e) => e.next(),
            Self::Policy(LoadError::Io(_)) => "cairn policy check FILE".into(),
            Self::Policy(LoadError::Policy { path, .. }) => {
                // It goes with the defaults.
                Next::run(format!("cairn policy check {}", quoted(path)))
                    .or_else(Next::again_with("--policy", Some("/dev/null")))
            }
            _ => "cairn status".into(),
        }
    }

    /// What is wrong with a policy, each with its place.
    fn faults(&self) -> Option<&BadPolicy> {
        match self {
            Self::Policy(LoadError::Policy { source, .. }) => Some(source),
            Self::PolicyFile(e) => e.faults(),
            _ => None,
        }
    }

    /// What both sides of a merge changed.
    fn conflicts(&self) -> &[FileConflict] {
        match self {
            Self::Engine(EngineError::Conflicts { found, .. }) => found,
            _ => &[],
        }
    }

    /// Tells it and gives the exit code.
    pub(super) fn report(&self, json: bool) -> Exit {
        // A reader that went away has seen enough.
        if matches!(self, Self::Output(e) if e.kind() == io::ErrorKind::BrokenPipe) {
            return Exit::Ok;
        }
        let exit = self.exit();
        let next = usage::here(&self.next());
        if json {
            let mut told = json!({
                "version": VERSION,
                "error": {
                    "message": self.to_string(),
                    "untouched": self.untouched(),
                    "next": next[0],
                    "exit": exit as u8,
                }
            });
            if next.len() > 1 {
                told["error"]["alternatives"] = json!(next[1..]);
            }
            if let Some(bad) = self.faults() {
                told["error"]["faults"] = json!(bad.faults);
            }
            if !self.conflicts().is_empty() {
                let found = self.conflicts().iter();
                told["error"]["conflicts"] = found.map(commands::merge::conflict).collect();
            }
            complain(told);
        } else {
            // Said once is enough.
            let mut message = self.to_string().replace(" (nothing was changed)", "");
            let many = self.faults().filter(|bad| bad.faults.len() > 1);
            if let Some(bad) = many {
                let number = count(bad.faults.len(), "fault");
                message = message.replace(&bad.to_string(), &number);
            }
            complain(format!("cairn: {}; {}", line(&message), self.untouched()));
            for fault in many.iter().flat_map(|bad| &bad.faults) {
                complain(format!("  {fault}"));
            }
            for block in crate::render::merge::conflicts(self.conflicts()).lines() {
                complain(format!("  {block}"));
            }
            complain(crate::render::next::lines(&next));
        }
        exit
    }
}
