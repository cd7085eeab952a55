//! Running other programs, behind a trait so that tests can see what would
//! have been run.

mod processes;

use std::ffi::{OsStr, OsString};
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use crate::next::quoted;

pub use processes::Processes;

/// A program to run, with everything it needs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Call {
    /// Program name or path.
    pub program: OsString,
    /// Arguments.
    pub args: Vec<OsString>,
    /// Added to the environment.
    pub env: Vec<(OsString, OsString)>,
    /// Where to run it.
    pub dir: Option<PathBuf>,
    /// Run it as this user and group (needs root).
    pub user: Option<(u32, u32)>,
    /// Let what it prints and complains go to our standard error, where it
    /// disturbs no result, instead of keeping it.
    pub show: bool,
    /// Let what it complains go to our standard error instead of keeping it.
    pub tell: bool,
    /// Let it print and complain to nobody: what it leaves running may go on
    /// doing so.
    pub mute: bool,
    /// Kill it, and all it started, after this long.
    pub limit: Option<Duration>,
    /// Kill it, and all it started, when this program is asked to stop.
    pub yields: bool,
    /// A file it reads as its standard input.
    pub input: Option<PathBuf>,
    /// What it reads as its standard input; it need not. Only with a limit.
    pub feed: Option<Vec<u8>>,
    /// A file, for this user alone, that gets what it prints.
    pub output: Option<PathBuf>,
}

impl Call {
    /// A call of `program` with no arguments.
    pub fn new(program: impl Into<OsString>) -> Self {
        Self {
            program: program.into(),
            ..Self::default()
        }
    }

    /// Adds one argument.
    #[must_use]
    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.args.push(arg.as_ref().to_owned());
        self
    }

    /// Adds arguments.
    #[must_use]
    pub fn args<A: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = A>) -> Self {
        self.args
            .extend(args.into_iter().map(|a| a.as_ref().to_owned()));
        self
    }

    /// Sets an environment variable.
    #[must_use]
    pub fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.env.push((name.into(), value.as_ref().to_owned()));
        self
    }

    /// Has it read a file.
    #[must_use]
    pub fn input(mut self, file: impl Into<PathBuf>) -> Self {
        self.input = Some(file.into());
        self
    }

    /// Has it read this.
    #[must_use]
    pub fn feed(mut self, bytes: Vec<u8>) -> Self {
        self.feed = Some(bytes);
        self
    }

    /// Has it write a file.
    #[must_use]
    pub fn output(mut self, file: impl Into<PathBuf>) -> Self {
        self.output = Some(file.into());
        self
    }

    /// Limits how long it may run.
    #[must_use]
    pub fn limit(mut self, limit: Duration) -> Self {
        self.limit = Some(limit);
        self
    }

    /// Lets it be killed when this program is asked to stop.
    #[must_use]
    pub fn yields(mut self) -> Self {
        self.yields = true;
        self
    }

    /// Lets it print to nobody.
    #[must_use]
    pub fn mute(mut self) -> Self {
        self.mute = true;
        self
    }

    /// The call as a person would type it.
    pub fn line(&self) -> String {
        std::iter::once(&self.program)
            .chain(&self.args)
            .map(quoted)
            .collect::<Vec<_>>()
            .join(" ")
    }
}

/// How a program ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ended {
    /// Exit code; 128 + the signal when a signal ended it.
    pub code: i32,
    /// What it printed.
    pub stdout: Vec<u8>,
    /// What it complained.
    pub stderr: String,
}

/// Why a program gave no usable result.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// It is not installed, or may not be run.
    #[error("cannot run {}: {source}", program.to_string_lossy())]
    Start {
        /// Its name.
        program: OsString,
        /// Why.
        source: io::Error,
    },
    /// It took too long and was killed.
    #[error(
        "`{line}` did not end within {limit:?} and was killed{}",
        detail(stderr)
    )]
    TimedOut {
        /// The call.
        line: String,
        /// How long it had.
        limit: Duration,
        /// What it complained.
        stderr: String,
    },
    /// It ran and failed.
    #[error("`{line}` failed with exit code {code}{}", detail(stderr))]
    Failed {
        /// The call.
        line: String,
        /// Its exit code.
        code: i32,
        /// What it complained.
        stderr: String,
    },
}

/// The last two lines a program complained, on one line.
fn detail(stderr: &str) -> String {
    let lines: Vec<&str> = stderr
        .lines()
        .map(str::trim)
        .filter(|l| !l.is_empty())
        .collect();
    match lines.len() {
        0 => String::new(),
        n => format!(": {}", lines[n.saturating_sub(2)..].join("; ")),
    }
}

/// The exit code of a program that was killed for taking too long, as
/// `timeout(1)` has it.
pub const TIMED_OUT: i32 = 124;

/// Runs programs.
pub trait Runner: Sync {
    /// Runs one to its end.
    ///
    /// # Errors
    /// Only when it could not be started; a failure is in [`Ended::code`].
    fn run(&self, call: &Call) -> Result<Ended, RunError>;

    /// Runs one that must succeed.
    ///
    /// # Errors
    /// When it could not be started or did not exit with 0.
    fn check(&self, call: &Call) -> Result<Ended, RunError> {
        let ended = self.run(call)?;
        if ended.code == 0 {
            return Ok(ended);
        }
        if let (TIMED_OUT, Some(limit)) = (ended.code, call.limit) {
            return Err(RunError::TimedOut {
                line: call.line(),
                limit,
                stderr: ended.stderr,
            });
        }
        Err(RunError::Failed {
            line: call.line(),
            code: ended.code,
            stderr: ended.stderr,
        })
    }
}

/// Records calls and answers with success.
#[cfg(test)]
#[derive(Debug, Default)]
pub(crate) struct Recorder(pub(crate) std::sync::Mutex<Vec<Call>>);

#[cfg(test)]
impl Runner for Recorder {
    fn run(&self, call: &Call) -> Result<Ended, RunError> {
        self.0.lock().unwrap().push(call.clone());
        Ok(Ended::default())
    }
}
