//! All that a command has started, found by a mark in its environment, which
//! every process hands on to what it starts. Services that it had systemd start
//! bear none, and are left alone.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

/// The variable whose value is the mark.
pub const VARIABLE: &str = "CAIRN_TRY";

/// How long who was asked to end may take, before it is killed.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long who was killed may take: it may wait for a disk.
const KILLED: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(20);

/// Ends all processes that bear the mark, and waits for their end; gives how
/// many there were. Those that asked for it, the caller and what started it, are
/// left alone.
///
/// # Errors
/// When processes cannot be listed, or do not end though they were killed.
pub fn end(mark: &str) -> io::Result<usize> {
    let ours = lineage();
    let mut met = BTreeSet::new();
    for (signal, patience) in [(Signal::TERM, PATIENCE), (Signal::KILL, KILLED)] {
        let begun = Instant::now();
        let mut told = BTreeSet::new();
        loop {
            let left = marked(mark, &ours)?;
            if left.is_empty() {
                return Ok(met.len());
            }
            for pid in left {
                met.insert(pid);
                // What was started meanwhile is told as well, each once.
                if told.insert(pid) {
                    send(pid, mark, signal);
                }
            }
            if begun.elapsed() > patience {
                break;
            }
            sleep(PAUSE);
        }
    }
    Err(io::Error::other("processes of the command do not end"))
}

/// Sends a signal to a process that still bears the mark: its number may be
/// another's by now.
fn send(pid: i32, mark: &str, signal: Signal) {
    let Some(known) = Pid::from_raw(pid) else {
        return;
    };
    // It may have ended by itself just now.
    if let Ok(process) = pidfd_open(known, PidfdFlags::empty())
        && bears(pid, mark)
    {
        let _ = pidfd_send_signal(&process, signal);
    }
}

fn marked(mark: &str, ours: &BTreeSet<i32>) -> io::Result<Vec<i32>> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let name = entry?.file_name();
        let pid = name.to_str().and_then(|name| name.parse().ok());
        found.extend(pid.filter(|pid| !ours.contains(pid) && bears(*pid, mark)));
    }
    Ok(found)
}

/// Whether a process bears the mark; one that has ended bears none.
fn bears(pid: i32, mark: &str) -> bool {
    let wanted = format!("{VARIABLE}={mark}");
    fs::read(format!("/proc/{pid}/environ")).is_ok_and(|environment| {
        environment
            .split(|byte| *byte == 0)
            .any(|variable| variable == wanted.as_bytes())
    })
}

/// This process, and those it comes from.
fn lineage() -> BTreeSet<i32> {
    let mut pids = BTreeSet::new();
    let mut next = i32::try_from(std::process::id()).ok();
    while let Some(pid) = next.filter(|pid| *pid > 0) {
        if !pids.insert(pid) {
            break;
        }
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        // The name before it may hold anything, also brackets.
        let after = stat.rsplit_once(')').map_or("", |(_, after)| after);
        next = after.split_whitespace().nth(1).and_then(|p| p.parse().ok());
    }
    pids
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, clippy::unwrap_used)]
mod tests {
    use super::*;
    use std::os::unix::process::ExitStatusExt;
    use std::process::{Command, Stdio};

    fn sh(mark: &str, script: &str) -> std::process::Child {
        let mut command = Command::new("sh");
        command.args(["-c", script]).env(VARIABLE, mark);
        command.stdout(Stdio::piped()).spawn().unwrap()
    }

    #[test]
    fn all_that_bears_the_mark_ends_and_nothing_else() {
        let mark = format!("test-{}", std::process::id());
        // It hears nothing, and so do those it started; they are no children of ours.
        let deaf = "trap '' TERM; (sleep 60 & sleep 60) & echo up; sleep 60; sleep 60";
        let mut other = sh("another", "sleep 60");
        let mut one = sh(&mark, deaf);
        let mut line = [0; 3];
        io::Read::read_exact(one.stdout.as_mut().unwrap(), &mut line).unwrap();
        let waiting = std::thread::spawn(move || one.wait().unwrap());
        assert!(end(&mark).unwrap() >= 2);
        assert_eq!(waiting.join().unwrap().signal(), Some(9));
        assert!(marked(&mark, &BTreeSet::new()).unwrap().is_empty());
        assert!(other.try_wait().unwrap().is_none());
        other.kill().unwrap();
        other.wait().unwrap();
        assert_eq!(end(&mark).unwrap(), 0);
    }

    #[test]
    fn this_process_and_what_started_it_are_known() {
        let known = lineage();
        assert!(known.contains(&i32::try_from(std::process::id()).unwrap()));
        assert!(known.contains(&1) || known.len() > 1, "{known:?}");
    }
}
