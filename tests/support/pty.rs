//! A program on a terminal of its own, and what that terminal shows.

use std::fs::File;
use std::io::{Read, Write};
use std::num::NonZero;
use std::process::{Child, Command};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, Winsize, tcgetattr, tcsetwinsize};

const PATIENCE: Duration = Duration::from_secs(30);

/// A terminal with a program on it.
pub struct Terminal {
    master: File,
    child: Child,
    seen: Arc<Mutex<Seen>>,
}

struct Seen {
    screen: vt100::Parser,
    raw: Vec<u8>,
    ended: bool,
}

impl Terminal {
    /// Runs a command on a terminal of this size, which is its controlling one.
    pub fn run(command: &Command, rows: u16, columns: u16) -> Self {
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let master = openpt(flags).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let name = ptsname(&master, Vec::new()).unwrap();
        tcsetwinsize(&master, size(rows, columns)).unwrap();
        let slave = File::options()
            .read(true)
            .write(true)
            .open(name.to_str().unwrap())
            .unwrap();
        let mut outer = Command::new("setsid");
        outer
            .args(["--ctty", "--wait"])
            .arg(command.get_program())
            .args(command.get_args())
            .env("TERM", "xterm-256color");
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => outer.env(name, value),
                None => outer.env_remove(name),
            };
        }
        if let Some(dir) = command.get_current_dir() {
            outer.current_dir(dir);
        }
        let child = outer
            .stdin(slave.try_clone().unwrap())
            .stdout(slave.try_clone().unwrap())
            .stderr(slave)
            .spawn()
            .unwrap();
        let seen = Arc::new(Mutex::new(Seen {
            screen: vt100::Parser::new(at_least_one(rows), at_least_one(columns), 1000),
            raw: Vec::new(),
            ended: false,
        }));
        let master = File::from(master);
        let (mut reader, filled) = (master.try_clone().unwrap(), seen.clone());
        drop(outer);
        thread::spawn(move || {
            let mut buffer = [0; 4096];
            loop {
                let read = reader.read(&mut buffer).unwrap_or(0);
                let mut seen = filled.lock().unwrap();
                if read == 0 {
                    seen.ended = true;
                    return;
                }
                seen.raw.extend(&buffer[..read]);
                seen.screen.process(&buffer[..read]);
            }
        });
        Self {
            master,
            child,
            seen,
        }
    }

    /// Types.
    pub fn send(&mut self, text: &str) {
        self.master.write_all(text.as_bytes()).unwrap();
    }

    /// Gives the terminal another size.
    pub fn resize(&mut self, rows: u16, columns: u16) {
        let mut seen = self.seen.lock().unwrap();
        seen.screen
            .screen_mut()
            .set_size(at_least_one(rows), at_least_one(columns));
        tcsetwinsize(&self.master, size(rows, columns)).unwrap();
    }

    /// What is on the screen.
    pub fn screen(&self) -> String {
        self.seen.lock().unwrap().screen.screen().contents()
    }

    /// All that was ever written.
    pub fn raw(&self) -> String {
        String::from_utf8_lossy(&self.seen.lock().unwrap().raw).into_owned()
    }

    /// Waits until the screen is as wanted; gives it.
    #[track_caller]
    pub fn wait_for(&self, what: &str, wanted: impl Fn(&str) -> bool) -> String {
        let end = Instant::now() + PATIENCE;
        loop {
            let screen = self.screen();
            if wanted(&screen) {
                return screen;
            }
            assert!(Instant::now() < end, "never saw {what}:\n{screen}");
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// Waits for a text on the screen.
    #[track_caller]
    pub fn wait(&self, text: &str) -> String {
        self.wait_for(text, |screen| screen.contains(text))
    }

    /// Waits for the end; gives the exit code. The terminal must be as usable
    /// as it was: it echoes, and hands lines over.
    #[track_caller]
    pub fn ends(mut self, code: i32) -> Ended {
        let status = self.child.wait().unwrap();
        let end = Instant::now() + PATIENCE;
        while !self.seen.lock().unwrap().ended && Instant::now() < end {
            thread::sleep(Duration::from_millis(10));
        }
        let (screen, raw) = (self.screen(), self.raw());
        assert_eq!(status.code(), Some(code), "{screen}");
        let modes = tcgetattr(&self.master).unwrap().local_modes;
        assert!(modes.contains(LocalModes::ECHO | LocalModes::ICANON));
        let hidden = self.seen.lock().unwrap().screen.screen().hide_cursor();
        assert!(!hidden, "the cursor stays hidden");
        Ended { screen, raw }
    }
}

/// What a terminal showed in the end.
pub struct Ended {
    /// What is on the screen.
    pub screen: String,
    /// All that was ever written.
    pub raw: String,
}

/// The screen is drawn somewhere, though the terminal does not know its size.
fn at_least_one(n: u16) -> NonZero<u16> {
    NonZero::new(n.max(1)).unwrap()
}

fn size(rows: u16, columns: u16) -> Winsize {
    Winsize {
        ws_row: rows,
        ws_col: columns,
        ws_xpixel: 0,
        ws_ypixel: 0,
    }
}
