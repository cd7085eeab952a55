//! A command that a person runs through this program: it has the terminal, and
//! gets the signals.

use std::fs::File;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::sleep;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2};
use signal_hook::flag;

use super::run::{Call, RunError};

/// What is passed on.
const PASSED: [(i32, Signal); 6] = [
    (SIGHUP, Signal::HUP),
    (SIGINT, Signal::INT),
    (SIGQUIT, Signal::QUIT),
    (SIGTERM, Signal::TERM),
    (SIGUSR1, Signal::USR1),
    (SIGUSR2, Signal::USR2),
];

/// What a terminal sends to all who are in its foreground, the command too.
const BY_TERMINAL: [i32; 3] = [SIGHUP, SIGINT, SIGQUIT];

/// Runs a command with our standard input and outputs; gives its exit code, or
/// 128 and the signal that ended it.
///
/// From here on no such signal ends this program itself: what comes is passed
/// on, and who called has something to put in order afterwards.
///
/// # Errors
/// When it cannot be started.
pub fn run(call: &Call) -> Result<i32, RunError> {
    let start = |source: io::Error| RunError::Start {
        program: call.program.clone(),
        source,
    };
    let heard = listen().map_err(start)?;
    let mut child = Command::new(&call.program)
        .args(&call.args)
        .envs(call.env.iter().map(|(name, value)| (name, value)))
        .spawn()
        .map_err(start)?;
    let mut pause = Duration::from_millis(1);
    loop {
        if let Some(status) = child.try_wait().map_err(start)? {
            let signal = status.signal().map(|signal| 128 + signal);
            return Ok(status.code().or(signal).unwrap_or(1));
        }
        for ((number, signal), came) in PASSED.iter().zip(&heard) {
            let came = came.swap(false, Ordering::Relaxed);
            if came && !(BY_TERMINAL.contains(number) && is_foreground()) {
                pass(&child, *signal);
            }
        }
        sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(20));
    }
}

/// Notes what comes, from now on and for good.
fn listen() -> io::Result<Vec<Arc<AtomicBool>>> {
    let noted = |(number, _): &(i32, Signal)| {
        let came = Arc::new(AtomicBool::new(false));
        flag::register(*number, Arc::clone(&came)).map(|_| came)
    };
    PASSED.iter().map(noted).collect()
}

fn pass(child: &Child, signal: Signal) {
    if let Some(pid) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) {
        // It may have ended by itself just now.
        let _ = kill_process(pid, signal);
    }
}

/// Whether we are in the foreground of our terminal, as our command is then,
/// wherever standard input comes from.
fn is_foreground() -> bool {
    let ours = rustix::process::getpgrp();
    File::open("/dev/tty")
        .is_ok_and(|terminal| rustix::termios::tcgetpgrp(terminal).is_ok_and(|g| g == ours))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exit_codes_and_signals_are_passed_on() {
        let sh = |script: &str| run(&Call::new("sh").args(["-c", script])).unwrap();
        assert_eq!(sh("exit 7"), 7);
        assert_eq!(sh("kill -KILL $$"), 137);
        // We are told, and live; the command is told, and ends in its way.
        assert_eq!(
            sh("trap 'exit 9' TERM; kill -TERM $PPID; sleep 30 & wait"),
            9
        );
        assert!(run(&Call::new("/nowhere/at/all")).is_err());
    }
}
