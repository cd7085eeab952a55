//! Programs that are run for real: waited for, ended in time, and heard.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread::{Builder, sleep};
use std::time::{Duration, Instant};

use super::{Call, Ended, RunError, Runner, TIMED_OUT};
use crate::system::interrupt;

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
