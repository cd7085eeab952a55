//! `cairn demo` on this machine: with Nix and without, as root and as another
//! user, to its end and interrupted. It must hold every promise, say which
//! store it used, exit with 1 if a step fails, and leave nothing behind.

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, geteuid, kill_process, kill_process_group};
use tempfile::TempDir;

/// What the demo needs of a system without Nix.
const TOOLS: [&str; 9] = [
    "sh", "cat", "chmod", "rm", "sleep", "readlink", "ln", "sed", "tail",
];

/// An account that owns nothing, when the tests run as root.
const NOBODY: u32 = 65534;

/// A place to run the demo in: its temporary folder, its home, its programs.
struct Place {
    dir: TempDir,
    path: OsString,
    uid: Option<u32>,
}

impl Place {
    /// With the programs of this machine; `None`, and a word about it, when
    /// Nix is not among them.
    fn with_nix() -> Option<Self> {
        if find("nix-store").is_some() && find("nix-env").is_some() {
            let path = std::env::var_os("PATH").unwrap();
            return Some(Self::new(path));
        }
        let strict = std::env::var_os("CAIRN_TEST_STRICT").is_some();
        assert!(!strict, "nix-store or nix-env is not installed");
        println!("SKIPPED: nix-store and nix-env are missing");
        None
    }

    /// With the programs of a system that has no Nix.
    fn without_nix() -> Self {
        let place = Self::new(OsString::new());
        let bin = place.dir.path().join("programs");
        fs::create_dir(&bin).unwrap();
        for tool in TOOLS {
            let found = find(tool).unwrap_or_else(|| panic!("{tool} is missing"));
            symlink(found, bin.join(tool)).unwrap();
        }
        Self {
            path: bin.into(),
            ..place
        }
    }

    fn new(path: OsString) -> Self {
        let dir = TempDir::new().unwrap();
        for name in ["tmp", "home"] {
            fs::create_dir(dir.path().join(name)).unwrap();
        }
        Self {
            dir,
            path,
            uid: None,
        }
    }

    /// To be used by another user, if the tests run as root.
    fn of_nobody(mut self) -> Self {
        if geteuid().is_root() {
            self.uid = Some(NOBODY);
            fs::set_permissions(self.dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
            for name in ["tmp", "home"] {
                chown(self.dir.path().join(name), Some(NOBODY), Some(NOBODY)).unwrap();
            }
        }
        self
    }

    /// Puts a program before all others.
    fn with_program(mut self, name: &str, script: &str) -> Self {
        let bin = self.dir.path().join("first");
        fs::create_dir_all(&bin).unwrap();
        fs::write(bin.join(name), script).unwrap();
        fs::set_permissions(bin.join(name), fs::Permissions::from_mode(0o755)).unwrap();
        let mut path = bin.into_os_string();
        path.push(":");
        path.push(&self.path);
        self.path = path;
        self
    }

    fn command(&self, args: &[&str]) -> Command {
        // Another user may not be allowed where this was built.
        let exe = match self.uid {
            Some(_) => {
                let copy = self.dir.path().join("cairn");
                fs::copy(env!("CARGO_BIN_EXE_cairn"), &copy).unwrap();
                copy
            }
            None => PathBuf::from(env!("CARGO_BIN_EXE_cairn")),
        };
        let mut command = Command::new(exe);
        command
            .args(args)
            .current_dir("/")
            .env_clear()
            .env("PATH", &self.path)
            .env("TMPDIR", self.tmp())
            .env("HOME", self.dir.path().join("home"))
            .env("XDG_DATA_HOME", self.dir.path().join("home"))
            .stdin(Stdio::null());
        if let Some(uid) = self.uid {
            command.uid(uid).gid(uid);
        }
        command
    }

    fn run(&self, args: &[&str]) -> Output {
        self.command(args).output().unwrap()
    }

    fn tmp(&self) -> PathBuf {
        self.dir.path().join("tmp")
    }

    fn left(&self) -> Vec<PathBuf> {
        entries(&self.tmp())
    }

    /// Nothing is left, neither in the temporary folder nor at home.
    fn assert_clean(&self) {
        assert_eq!(self.left(), Vec::<PathBuf>::new());
        assert_eq!(
            entries(&self.dir.path().join("home")),
            Vec::<PathBuf>::new()
        );
    }

    fn wait_until(&self, what: &str, done: impl Fn() -> bool) {
        let start = Instant::now();
        while !done() {
            let waited = start.elapsed();
            assert!(
                waited < Duration::from_secs(30),
                "{what}: {:?}",
                self.left()
            );
            thread::sleep(Duration::from_millis(20));
        }
    }
}

fn entries(dir: &Path) -> Vec<PathBuf> {
    let found = fs::read_dir(dir).unwrap();
    found.map(|e| e.unwrap().path()).collect()
}

fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|dir| dir.join(program))
        .find(|file| file.is_file())
}

fn text(output: &Output) -> String {
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// Without the codes that colour it.
fn plain(text: &str) -> String {
    let mut parts = text.split("\x1b[");
    let mut out = parts.next().unwrap().to_owned();
    for part in parts {
        out.push_str(part.split_once('m').unwrap().1);
    }
    out
}

fn assert_held(place: &Place, output: &Output) -> String {
    // Usually it is /tmp, and lines are as wide as they are there.
    let tmp = place.tmp().display().to_string();
    let text = plain(&text(output)).replace(&tmp, "/tmp");
    assert_eq!(output.status.code(), Some(0), "{text}");
    assert!(text.contains("every promise held"), "{text}");
    assert!(!text.contains("NOT SO"), "{text}");
    for line in text.lines() {
        assert!(line.chars().count() <= 80, "too wide: {line}");
    }
    for promise in [
        "✓ the profile: generation 5, system 3",
        "✓ system 1: collected, no restore point held it",
    ] {
        assert!(text.contains(promise), "{promise} is not in {text}");
    }
    text
}

fn json(output: &Output) -> serde_json::Value {
    let value: serde_json::Value = serde_json::from_str(&text(output)).unwrap();
    value["demo"].clone()
}

#[test]
fn with_nix_every_promise_holds() {
    let Some(place) = Place::with_nix() else {
        return;
    };
    let text = assert_held(&place, &place.run(&["demo"]));
    assert!(!text.contains("SYNTHETIC"), "{text}");
    assert!(!text.contains("stand-in script"), "{text}");
    place.assert_clean();
}

#[test]
fn with_nix_another_user_may_run_it() {
    let Some(place) = Place::with_nix() else {
        return;
    };
    let place = place.of_nobody();
    let output = place.run(&["demo", "--json"]);
    let demo = json(&output);
    assert_eq!(output.status.code(), Some(0), "{demo}");
    assert_eq!(demo["store"], "nix", "{demo}");
    assert_eq!(demo["held"], true);
    place.assert_clean();
}

#[test]
fn without_nix_the_store_is_called_synthetic() {
    let place = Place::without_nix();
    let text = assert_held(&place, &place.run(&["demo"]));
    assert!(text.contains("SYNTHETIC STORE: nix-env and nix-store are not installed"));
    assert!(!text.contains('\x1b'));
    place.assert_clean();
}

#[test]
fn without_nix_another_user_may_run_it_in_colour() {
    let place = Place::without_nix().of_nobody();
    let mut command = place.command(&["demo"]);
    let output = command.env("CLICOLOR_FORCE", "1").output().unwrap();
    assert!(text(&output).contains("\x1b[32m✓"));
    assert_held(&place, &output);
    place.assert_clean();
}

#[test]
fn a_nix_that_fails_is_named() {
    let version = "#!/bin/sh\nif [ \"$1\" = --version ]; then echo nix 9.9; exit; fi\n";
    let fails = format!("{version}echo 'error: the moon is full' >&2\nexit 1\n");
    let place = Place::without_nix()
        .with_program("nix-env", &fails)
        .with_program("nix-store", &fails);
    let demo = json(&place.run(&["demo", "--json"]));
    assert_eq!(demo["store"], "synthetic");
    assert_eq!(
        demo["detail"],
        "nix-store --import failed: error: the moon is full"
    );
    assert_eq!(demo["held"], true);
    place.assert_clean();
}

#[test]
fn a_step_that_fails_fails_the_demo() {
    let place = Place::without_nix().with_program("sed", "#!/bin/sh\nexit 7\n");
    let output = place.run(&["demo"]);
    let text = text(&output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(
        text.contains("✗ NOT SO: it ended with exit code 7"),
        "{text}"
    );
    assert!(text.contains("1 of 22 steps did not do what they promise"));
    place.assert_clean();
}

#[test]
fn a_promise_that_is_not_kept_fails_the_demo() {
    let Some(place) = Place::with_nix() else {
        return;
    };
    // This one collects nothing and says that all is well.
    let real = find("nix-store").unwrap().display().to_string();
    let lies = format!("#!/bin/sh\n[ \"$3\" = --gc ] && exit 0\nexec {real} \"$@\"\n");
    let place = place.with_program("nix-store", &lies);
    let output = place.run(&["demo", "-q"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output).contains("1 of 22 steps"));
    place.assert_clean();
}

#[test]
fn kept_it_stays_private_and_can_be_used() {
    let place = Place::without_nix();
    assert_held(&place, &place.run(&["demo", "--keep"]));
    let [kept] = &place.left()[..] else {
        panic!("{:?}", place.left());
    };
    let mode = fs::metadata(kept).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
    let root = kept.join("synthetic");
    let output = place
        .command(&["list", "--json"])
        .env("CAIRN_ROOT", root)
        .output()
        .unwrap();
    let list: serde_json::Value = serde_json::from_str(&text(&output)).unwrap();
    assert_eq!(list["points"]["items"].as_array().unwrap().len(), 6);
}

#[test]
fn interrupted_or_killed_it_leaves_nothing() {
    for (signal, whole_group) in [(Signal::INT, true), (Signal::KILL, false)] {
        let place = Place::without_nix();
        let mut command = place.command(&["demo"]);
        command.stdout(Stdio::null()).process_group(0);
        let mut child = command.spawn().unwrap();
        let vault = || {
            let tmp = place.left();
            tmp.iter()
                .any(|d| d.join("synthetic/var/lib/cairn/vault").is_dir())
        };
        place.wait_until("no vault is made", vault);
        let pid = Pid::from_child(&child);
        if whole_group {
            kill_process_group(pid, signal).unwrap();
        } else {
            kill_process(pid, signal).unwrap();
        }
        assert_eq!(child.wait().unwrap().signal(), Some(signal.as_raw()));
        place.wait_until("something is left", || place.left().is_empty());
        // A command that outlived the demo may have written after that.
        thread::sleep(Duration::from_secs(2));
        place.assert_clean();
    }
}
