//! Running other programs, behind a trait so that tests can see what would
//! have been run.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

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
    /// Let it write to our terminal instead of keeping what it prints.
    pub show: bool,
    /// Let it complain to our terminal; what it prints is kept.
    pub show_errors: bool,
    /// Kill it, and all it started, after this long; it prints to nobody then.
    pub limit: Option<Duration>,
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

    /// Limits how long it may run.
    #[must_use]
    pub fn limit(mut self, limit: Duration) -> Self {
        self.limit = Some(limit);
        self
    }

    /// The call as a person would type it.
    pub fn line(&self) -> String {
        let quote = |s: &OsString| {
            let s = s.to_string_lossy();
            let plain = |c: char| c.is_ascii_alphanumeric() || "/._-=:+,@%".contains(c);
            if !s.is_empty() && s.chars().all(plain) {
                s.into_owned()
            } else {
                format!("'{}'", s.replace('\'', "'\\''"))
            }
        };
        std::iter::once(&self.program)
            .chain(&self.args)
            .map(quote)
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
        Err(RunError::Failed {
            line: call.line(),
            code: ended.code,
            stderr: ended.stderr,
        })
    }
}

/// Runs programs for real.
#[derive(Clone, Copy, Debug, Default)]
pub struct Processes;

impl Runner for Processes {
    fn run(&self, call: &Call) -> Result<Ended, RunError> {
        let mut command = Command::new(&call.program);
        command
            .args(&call.args)
            .envs(call.env.iter().map(|(k, v)| (k, v)))
            .stdin(Stdio::null());
        if let Some(dir) = &call.dir {
            command.current_dir(dir);
        }
        if let Some((uid, gid)) = call.user {
            command.uid(uid).gid(gid);
        }
        if call.show {
            command.stdout(Stdio::inherit()).stderr(Stdio::inherit());
        }
        if call.show_errors {
            command.stderr(Stdio::inherit());
        }
        let start = |source| RunError::Start {
            program: call.program.clone(),
            source,
        };
        if let Some(limit) = call.limit {
            return run_limited(command, limit).map_err(start);
        }
        let output = command.output().map_err(start)?;
        let code = output
            .status
            .code()
            .or_else(|| output.status.signal().map(|s| 128 + s));
        Ok(Ended {
            code: code.unwrap_or(1),
            stdout: output.stdout,
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        })
    }
}

/// The exit code of a program that was killed for taking too long, as
/// `timeout(1)` has it.
pub const TIMED_OUT: i32 = 124;

fn run_limited(mut command: Command, limit: Duration) -> io::Result<Ended> {
    let mut child = command
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()?;
    let begun = Instant::now();
    let ended = |code| Ended {
        code,
        ..Ended::default()
    };
    loop {
        if let Some(status) = child.try_wait()? {
            let code = status.code().or_else(|| status.signal().map(|s| 128 + s));
            return Ok(ended(code.unwrap_or(1)));
        }
        if begun.elapsed() >= limit {
            // The group too: what it started may be what hangs.
            if let Some(group) = i32::try_from(child.id())
                .ok()
                .and_then(rustix::process::Pid::from_raw)
            {
                let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
            }
            let _ = child.kill();
            child.wait()?;
            return Ok(ended(TIMED_OUT));
        }
        sleep(Duration::from_millis(5));
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_takes_too_long_is_killed_with_all_it_started() {
        let begun = Instant::now();
        let call = Call::new("sh")
            .args(["-c", "sleep 60 & sleep 60"])
            .limit(Duration::from_millis(100));
        assert_eq!(Processes.run(&call).unwrap().code, TIMED_OUT);
        assert!(begun.elapsed() < Duration::from_secs(10));
        let quick = Call::new("sh")
            .args(["-c", "exit 7"])
            .limit(Duration::from_secs(60));
        assert_eq!(Processes.run(&quick).unwrap().code, 7);
    }
}
