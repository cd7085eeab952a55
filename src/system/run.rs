//! Running other programs, behind a trait so that tests can see what would
//! have been run.

use std::ffi::{OsStr, OsString};
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread::{Builder, sleep};
use std::time::{Duration, Instant};

use super::interrupt;

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

/// Runs programs for real.
#[derive(Clone, Copy, Debug, Default)]
pub struct Processes;

impl Runner for Processes {
    fn run(&self, call: &Call) -> Result<Ended, RunError> {
        let mut command = Command::new(&call.program);
        command
            .args(&call.args)
            .envs(call.env.iter().map(|(k, v)| (k, v)))
            .stdin(Stdio::null())
            // A Ctrl-C is for us alone: what we run is ended by us, or goes on.
            .process_group(0);
        if let Some(dir) = &call.dir {
            command.current_dir(dir);
        }
        if let Some((uid, gid)) = call.user {
            command.uid(uid).gid(gid);
        }
        if call.show {
            let ours = io::stderr().as_fd().try_clone_to_owned();
            let ours = ours.map_err(|source| RunError::Start {
                program: call.program.clone(),
                source,
            })?;
            command.stdout(ours).stderr(Stdio::inherit());
        }
        if call.tell {
            command.stderr(Stdio::inherit());
        }
        if call.mute {
            command.stdout(Stdio::null()).stderr(Stdio::null());
        }
        let start = |source| RunError::Start {
            program: call.program.clone(),
            source,
        };
        if let Some(path) = &call.input {
            command.stdin(File::open(path).map_err(start)?);
        }
        if let Some(path) = &call.output {
            let mut options = OpenOptions::new();
            options.write(true).create_new(true).mode(0o600);
            let file = options.open(path).map_err(start)?;
            let ended = command.stdout(file).stderr(Stdio::piped()).spawn();
            return finish(ended.and_then(Child::wait_with_output).map_err(start)?);
        }
        if call.limit.is_some() || call.yields {
            return run_limited(command, call).map_err(start);
        }
        finish(command.output().map_err(start)?)
    }
}

fn finish(output: Output) -> Result<Ended, RunError> {
    Ok(Ended {
        code: code_of(output.status),
        stdout: output.stdout,
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    })
}

/// The exit code, or 128 and the signal.
fn code_of(status: ExitStatus) -> i32 {
    status
        .code()
        .or_else(|| status.signal().map(|s| 128 + s))
        .unwrap_or(1)
}

/// The exit code of a program that was killed for taking too long, as
/// `timeout(1)` has it.
pub const TIMED_OUT: i32 = 124;

/// How long what was killed has to go: it may hang in the kernel.
const DYING: Duration = Duration::from_millis(200);

/// How long what a program printed last is waited for: what it left running
/// may hold the pipe.
const LAST_WORDS: Duration = Duration::from_millis(200);

/// So much of what such a program prints is kept.
const KEPT: usize = 16 << 20;

fn run_limited(mut command: Command, call: &Call) -> io::Result<Ended> {
    let begun = Instant::now();
    if !call.show && !call.mute {
        command.stdout(Stdio::piped());
        if !call.tell {
            command.stderr(Stdio::piped());
        }
    }
    if call.feed.is_some() {
        command.stdin(Stdio::piped());
    }
    let mut child = command.spawn()?;
    if let (Some(bytes), Some(mut pipe)) = (call.feed.clone(), child.stdin.take()) {
        // Left behind if nobody reads; it ends when the reader does.
        let _ = Builder::new().spawn(move || pipe.write_all(&bytes));
    }
    let stdout = Drain::of(child.stdout.take());
    let stderr = Drain::of(child.stderr.take());
    let left = call
        .limit
        .map(|limit| limit.saturating_sub(begun.elapsed()));
    let code = match wait(&mut child, left, call.yields)? {
        Waited::Ended(status) => code_of(status),
        Waited::Late => {
            kill(&mut child)?;
            TIMED_OUT
        }
        Waited::Asked => {
            kill(&mut child)?;
            interrupt::EXIT
        }
    };
    let end = Instant::now() + LAST_WORDS;
    Ok(Ended {
        code,
        stdout: stdout.bytes(end),
        stderr: String::from_utf8_lossy(&stderr.bytes(end)).into_owned(),
    })
}

/// Kills a program. The group too: what it started may be what hangs.
fn kill(child: &mut Child) -> io::Result<()> {
    if let Some(group) = i32::try_from(child.id())
        .ok()
        .and_then(rustix::process::Pid::from_raw)
    {
        let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
    }
    let _ = child.kill();
    wait(child, Some(DYING), false).map(|_| ())
}

/// What waiting for a program came to.
enum Waited {
    /// It ended.
    Ended(ExitStatus),
    /// Its time is over.
    Late,
    /// This program is asked to stop.
    Asked,
}

fn wait(child: &mut Child, limit: Option<Duration>, yields: bool) -> io::Result<Waited> {
    let begun = Instant::now();
    let mut pause = Duration::from_micros(500);
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Waited::Ended(status));
        }
        if yields && interrupt::asked() {
            return Ok(Waited::Asked);
        }
        let left = limit.map(|limit| limit.saturating_sub(begun.elapsed()));
        if left.is_some_and(|left| left.is_zero()) {
            return Ok(Waited::Late);
        }
        sleep(left.map_or(pause, |left| pause.min(left)));
        pause = (pause * 2).min(Duration::from_millis(5));
    }
}

/// What comes out of a pipe, read by a thread that may be left behind.
struct Drain(Option<Receiver<Vec<u8>>>);

impl Drain {
    fn of(pipe: Option<impl Read + Send + 'static>) -> Self {
        let Some(mut pipe) = pipe else {
            return Self(None);
        };
        let (send, receive) = channel();
        let thread = move || {
            let mut buffer = vec![0; 64 << 10];
            let mut room = KEPT;
            loop {
                match pipe.read(&mut buffer) {
                    Ok(0) => break,
                    Ok(n) => {
                        let n = n.min(room);
                        room -= n;
                        // With nobody left to tell, it is read all the same.
                        if n > 0 {
                            let _ = send.send(buffer[..n].to_vec());
                        }
                    }
                    Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                    Err(_) => break,
                }
            }
        };
        let started = Builder::new().spawn(thread);
        Self(started.is_ok().then_some(receive))
    }

    fn bytes(self, end: Instant) -> Vec<u8> {
        let mut all = Vec::new();
        if let Some(receive) = self.0 {
            let left = || end.saturating_duration_since(Instant::now());
            while let Ok(bytes) = receive.recv_timeout(left()) {
                all.extend(bytes);
            }
        }
        all
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

    #[test]
    fn what_a_limited_program_prints_is_kept_but_not_waited_for() {
        let begun = Instant::now();
        let call = Call::new("sh")
            .args([
                "-c",
                "head -c 300000 /dev/zero; echo why >&2; sleep 60 & exit 3",
            ])
            .limit(Duration::from_secs(30));
        let ended = Processes.run(&call).unwrap();
        assert_eq!((ended.code, ended.stdout.len()), (3, 300_000));
        assert_eq!(ended.stderr, "why\n");
        assert!(begun.elapsed() < Duration::from_secs(20));
        let muted = Processes.run(&call.mute()).unwrap();
        assert_eq!((muted.code, muted.stdout.len()), (3, 0));
    }
}
