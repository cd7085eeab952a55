//! A whole machine in a folder — a private Nix store with three generations, a
//! configuration with everything that is easily lost — and the real `cairn`
//! working on it.
#![allow(dead_code, missing_docs, unreachable_pub)]
#![allow(clippy::disallowed_methods, clippy::unwrap_used, clippy::panic)]

pub mod course;
mod tree;

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::Write as _;
use std::os::unix::ffi::OsStringExt as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

use serde_json::Value;
use tempfile::TempDir;

#[allow(unused_imports)]
pub use tree::{Node, changed, listing};

/// A temporary folder, in memory where that keeps extended attributes: these
/// tests flush thousands of times, and no power is cut.
pub fn scratch() -> TempDir {
    let shm = Path::new("/dev/shm");
    if let Ok(dir) = tempfile::tempdir_in(shm)
        && xattr::set(dir.path(), "user.test", b"1").is_ok()
    {
        return dir;
    }
    tempfile::tempdir().unwrap()
}

/// Says that a test cannot run here; where nothing may be skipped it fails.
pub fn skip(name: &str, missing: &str) {
    println!("SKIPPED: {missing}");
    if let Some(path) = std::env::var_os("CAIRN_TEST_SKIPS") {
        let mut file = fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(path)
            .unwrap();
        writeln!(file, "{name}: {missing}").unwrap();
    }
    let strict = ["CI", "CAIRN_TEST_STRICT"]
        .iter()
        .any(|v| std::env::var_os(v).is_some());
    assert!(!strict, "{name}: {missing}");
}

pub fn have(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|dir| dir.join(program).is_file())
}

/// Whether a mount namespace of one's own is to be had; says so when not.
pub fn namespaces(test: &str) -> bool {
    if is_root() && have("unshare") {
        let made = Command::new("unshare").args(["-m", "true"]).output();
        if made.is_ok_and(|o| o.status.success()) {
            return true;
        }
    }
    skip(test, "root with mount namespaces");
    false
}

pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// How one run of the program ended.
pub struct Ended {
    pub code: Option<i32>,
    pub signal: Option<i32>,
    pub out: String,
    pub err: String,
    pub raw: Vec<u8>,
}

impl Ended {
    pub fn of(output: Output) -> Self {
        Self {
            code: output.status.code(),
            signal: output.status.signal(),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
            raw: [output.stdout, output.stderr].concat(),
        }
    }

    #[track_caller]
    pub fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{}", self.told());
        self
    }

    pub fn killed(&self) -> bool {
        self.signal == Some(9)
    }

    pub fn told(&self) -> String {
        format!(
            "exit {:?} signal {:?}\n{}\n{}",
            self.code, self.signal, self.out, self.err
        )
    }

    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|e| panic!("{e}: {}", self.told()))
    }
}

/// One machine: `root` is its root, `outside` is what nobody may write.
pub struct Machine {
    pub dir: TempDir,
    pub root: PathBuf,
    pub outside: PathBuf,
}

impl Drop for Machine {
    fn drop(&mut self) {
        // The store is read-only, which stops anyone but root.
        if !is_root() {
            let _ = Command::new("chmod")
                .args(["-R", "u+rwX"])
                .arg(&self.root)
                .output();
        }
    }
}

impl Machine {
    /// A machine without restore points; nothing where Nix is missing.
    pub fn new(test: &str) -> Option<Self> {
        Some(Self::copy_of(bare(test)?))
    }

    /// A machine with a life: point `A` (generation 1), then `B` (generation
    /// 3, another configuration), and changes since. The ids are in the names
    /// of its marks: `a()` and `b()` find them.
    pub fn lived(test: &str) -> Option<Self> {
        Some(Self::copy_of(&Self::lived_at(test)?))
    }

    /// Where the machine is that those with a life are copied from.
    pub fn lived_at(test: &str) -> Option<PathBuf> {
        bare(test)?;
        static LIVED: OnceLock<PathBuf> = OnceLock::new();
        let from = LIVED.get_or_init(|| {
            let machine = Self::new(test).unwrap();
            machine.live();
            machine.keep("lived")
        });
        Some(from.clone())
    }

    /// Keeps this machine under a name as what others are copied from.
    pub fn keep(self, name: &str) -> PathBuf {
        let kept = templates().join(name);
        fs::create_dir(&kept).unwrap();
        let moved = Command::new("mv").arg(&self.root).arg(&kept).output();
        assert!(moved.unwrap().status.success());
        // Hundreds of folders that a repository may do without.
        for repository in ["config", "state"] {
            let data = kept
                .join("root/var/lib/cairn/vault")
                .join(repository)
                .join("data");
            for folder in names(&data) {
                let _ = fs::remove_dir(data.join(folder));
            }
        }
        kept
    }

    /// A machine without Nix: an empty root with a configuration.
    pub fn plain() -> Self {
        let dir = scratch();
        let root = dir.path().join("root");
        fs::create_dir_all(root.join("etc/nixos")).unwrap();
        fs::write(root.join("etc/nixos/configuration.nix"), "{ }\n").unwrap();
        Self::with_canary(dir)
    }

    pub fn copy_of(from: &Path) -> Self {
        let dir = scratch();
        let copied = Command::new("cp")
            .args(["-a", "--reflink=auto", "--"])
            .arg(from.join("root"))
            .arg(dir.path())
            .output()
            .unwrap();
        assert!(copied.status.success());
        Self::with_canary(dir)
    }

    fn with_canary(dir: TempDir) -> Self {
        let (root, outside) = (dir.path().join("root"), dir.path().join("outside"));
        fs::create_dir_all(outside.join("folder/deep")).unwrap();
        for file in ["victim", "folder/victim", "folder/deep/configuration.nix"] {
            fs::write(outside.join(file), "nobody writes here\n").unwrap();
        }
        // What a sweep of leftovers might take for its own.
        let staged = format!(".cairn-{}-0", "0".repeat(32));
        fs::write(outside.join(&staged), "not yours").unwrap();
        fs::write(outside.join("folder").join(staged), "not yours").unwrap();
        Self { dir, root, outside }
    }

    /// Everything outside the root, to be compared.
    pub fn canary(&self) -> Vec<Node> {
        listing(self.dir.path(), &["outside"])
    }

    pub fn etc(&self) -> PathBuf {
        self.root.join("etc/nixos")
    }

    pub fn app(&self) -> PathBuf {
        self.root.join("var/lib/app")
    }

    pub fn state(&self) -> PathBuf {
        self.root.join("var/lib/cairn")
    }

    pub fn command<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_cairn"));
        command.env("CAIRN_ROOT", &self.root).args(args);
        for name in ["CAIRN_FAULT", "CAIRN_STATE_DIR", "CAIRN_POLICY"] {
            command.env_remove(name);
        }
        // Those of a machine that has a systemd have a fake one.
        let fake = self.root.join("run/fake/bin");
        if fake.is_dir() {
            let path = std::env::var("PATH").unwrap();
            command
                .env("PATH", format!("{}:{path}", fake.display()))
                .env("CAIRN_FAKE_SYSTEMD", "1");
        }
        // The caller's own Nix state and Git settings are not touched.
        command
            .env("HOME", self.dir.path())
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .stdin(std::process::Stdio::null());
        command
    }

    pub fn run<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Ended {
        Ended::of(self.command(args).output().unwrap())
    }

    /// Runs with a fault point armed.
    pub fn struck(&self, at: &str, args: &[&str]) -> Ended {
        Ended::of(self.command(args).env("CAIRN_FAULT", at).output().unwrap())
    }

    /// Runs under a shell script in a mount namespace of its own; the script
    /// gets the command as its arguments.
    pub fn wrapped(&self, script: &str, args: &[&str]) -> Ended {
        let command = self.command(args);
        let mut outer = Command::new("unshare");
        outer
            .args(["-m", "sh", "-ec", script, "sh"])
            .arg(command.get_program())
            .args(command.get_args());
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => outer.env(name, value),
                None => outer.env_remove(name),
            };
        }
        outer
            .env("ROOT", &self.root)
            .stdin(std::process::Stdio::null());
        Ended::of(outer.output().unwrap())
    }

    /// Takes a point; gives its id.
    #[track_caller]
    pub fn create(&self, reason: &str) -> String {
        let ended = self.run(["create", "--json", "-r", reason]).expect(0);
        ended.json()["point"]["id"].as_str().unwrap().to_owned()
    }

    /// Ids of all listed points, newest last; fails if any is damaged.
    #[track_caller]
    pub fn ids(&self) -> Vec<String> {
        ids(&self.run(["list", "--json"]).expect(0).json())
    }

    /// The id of the point taken for this reason.
    #[track_caller]
    pub fn point(&self, reason: &str) -> String {
        let list = self.run(["list", "--json"]).expect(0).json();
        let items = list["points"]["items"].as_array().unwrap();
        let found = items.iter().find(|p| p["reason"] == reason);
        found.unwrap()["id"].as_str().unwrap().to_owned()
    }

    /// All points verify, every byte read.
    #[track_caller]
    pub fn verify(&self) -> Value {
        let told = self.run(["verify", "--read-data", "--json"]).expect(0);
        let report = told.json()["verify"].clone();
        assert_eq!(report["problems"], Value::Array(vec![]), "{report}");
        report
    }

    /// Nothing is left over of anything that died: no marker, no temporary
    /// file, no staged file, no root or snapshot without a point.
    #[track_caller]
    pub fn nothing_left_over(&self) {
        for folder in ["points", "marks", "journal", "inflight"] {
            let names = names(&self.state().join(folder));
            let left: Vec<&OsString> = names
                .iter()
                .filter(|n| folder == "inflight" || n.to_string_lossy().starts_with(".tmp-"))
                .collect();
            assert!(left.is_empty(), "{folder}: {left:?}");
        }
        let ids = self.ids();
        for mark in names(&self.state().join("marks")) {
            let mark = mark.into_string().unwrap();
            assert!(ids.iter().any(|id| mark.starts_with(id)), "mark {mark}");
        }
        for root in names(&self.root.join("nix/var/nix/gcroots/cairn")) {
            let root = root.into_string().unwrap();
            assert!(ids.iter().any(|id| root.starts_with(id)), "root {root}");
        }
        if self.root.join("run/fake").is_dir() {
            assert!(self.app_runs(), "a unit was left stopped");
        }
        let notes = self.verify()["notes"].to_string();
        assert!(!notes.contains("belongs to no restore point"), "{notes}");
        self.nothing_staged();
    }

    /// No staged file is left in what is restored.
    #[track_caller]
    pub fn nothing_staged(&self) {
        let staged: Vec<_> = listing(&self.root, &["etc", "srv", "var/lib/app"])
            .into_iter()
            .filter(|n| {
                let name = n.path.file_name().unwrap_or_default().to_string_lossy();
                name.starts_with(".cairn-")
            })
            .collect();
        assert!(staged.is_empty(), "{staged:?}");
    }

    /// What a restore may change: configuration, state and profile.
    pub fn picture(&self) -> Vec<Node> {
        let state = "var/lib/app";
        listing(&self.root, &["etc", "srv", state, "nix/var/nix/profiles"])
    }

    /// Whether the unit that owns the state runs.
    pub fn app_runs(&self) -> bool {
        let state = self.root.join("run/fake/units/app.service");
        fs::read_to_string(state).unwrap().trim() == "active"
    }

    /// Where the profile leads to.
    pub fn profile(&self) -> PathBuf {
        let profiles = self.root.join("nix/var/nix/profiles");
        let link = fs::read_link(profiles.join("system")).unwrap();
        fs::read_link(profiles.join(link)).unwrap()
    }

    /// Sets the profile to a generation and lets its system run.
    pub fn switch_to(&self, generation: u32) {
        let profiles = self.root.join("nix/var/nix/profiles");
        let link = format!("system-{generation}-link");
        let toplevel = fs::read_link(profiles.join(&link)).unwrap();
        relink(&link, &profiles.join("system"));
        relink(&toplevel, &self.root.join("run/current-system"));
    }

    fn live(&self) {
        self.switch_to(1);
        systemd(self);
        first_configuration(self);
        first_state(self);
        self.create("A");
        self.switch_to(3);
        second_configuration(self);
        second_state(self);
        self.create("B");
        fs::write(self.app().join("data"), "since B\n").unwrap();
        fs::write(self.etc().join("since.nix"), "# since B\n").unwrap();
        fs::remove_file(self.etc().join("modules/b.nix")).unwrap();
    }
}

/// Ids in a `list --json`, oldest first.
pub fn ids(list: &Value) -> Vec<String> {
    let items = list["points"]["items"].as_array().unwrap();
    let mut ids: Vec<String> = items
        .iter()
        .map(|p| p["id"].as_str().unwrap().to_owned())
        .collect();
    ids.sort();
    ids
}

pub fn names(dir: &Path) -> Vec<OsString> {
    let entries = fs::read_dir(dir).into_iter().flatten();
    entries.map(|e| e.unwrap().file_name()).collect()
}

pub fn mode(path: &Path, bits: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(bits)).unwrap();
}

pub fn odd(bytes: &[u8]) -> OsString {
    OsString::from_vec(bytes.to_vec())
}

fn relink(target: impl AsRef<Path>, link: &Path) {
    let _ = fs::remove_file(link);
    symlink(target, link).unwrap();
}

/// Names that programs trip over; all are legal.
pub fn odd_names() -> Vec<OsString> {
    let long = "l".repeat(255);
    [
        &b"new\nline"[..],
        b"not\xffutf8",
        b"-rf",
        b"--help",
        b"..dots",
        b"...",
        b".. ",
        b"a b'c\"d",
        b"\\x41",
        b"$HOME",
        b"*",
        b"\x1b]0;title\x07",
        b"caf\xc3\xa9",
        b"cafe\xcc\x81",
        long.as_bytes(),
    ]
    .into_iter()
    .map(odd)
    .collect()
}

fn first_configuration(machine: &Machine) {
    let etc = machine.etc();
    fs::create_dir_all(machine.root.join("srv")).unwrap();
    fs::write(machine.root.join("srv/shared.nix"), "{ shared = 1; }\n").unwrap();
    fs::write(
        etc.join("configuration.nix"),
        "{ imports = [ ./hw.nix ./modules /srv/shared.nix /srv/deep/down/shared.nix ]; }\n",
    )
    .unwrap();
    fs::create_dir_all(etc.join("modules/deep")).unwrap();
    fs::write(
        etc.join("modules/default.nix"),
        "{ imports = [ ./a.nix ]; }\n",
    )
    .unwrap();
    fs::write(etc.join("modules/a.nix"), "{ a = 1; }\n").unwrap();
    fs::write(etc.join("modules/deep/only-in-a"), "gone in B").unwrap();
    fs::write(etc.join("turns"), "a file in A, a folder in B").unwrap();
    fs::create_dir(etc.join("turned")).unwrap();
    fs::write(etc.join("turned/inside"), "a folder in A, a link in B").unwrap();
    fs::write(etc.join("secret"), "only for its owner").unwrap();
    mode(&etc.join("secret"), 0o400);
    fs::write(etc.join("tool"), "#!/bin/sh\n").unwrap();
    mode(&etc.join("tool"), 0o4755);
    fs::create_dir_all(machine.root.join("srv/deep/down")).unwrap();
    fs::write(machine.root.join("srv/deep/down/shared.nix"), "{ }\n").unwrap();
    fs::write(etc.join("twin"), "two names").unwrap();
    fs::hard_link(etc.join("twin"), etc.join("modules/twin")).unwrap();
    symlink("modules/a.nix", etc.join("link")).unwrap();
    symlink("../../../../../../nowhere", etc.join("out")).unwrap();
    mode(&etc.join("modules/deep"), 0o2750);
    xattr::set(etc.join("hw.nix"), "user.origin", b"\x00\xff").unwrap();
    xattr::set(etc.join("modules"), "user.folder", b"A").unwrap();
    for name in odd_names() {
        fs::write(etc.join("modules").join(name), "odd").unwrap();
    }
    if is_root() {
        let own = |path: PathBuf| std::os::unix::fs::lchown(path, Some(1234), Some(4321)).unwrap();
        own(etc.join("modules/a.nix"));
        own(etc.join("link"));
        own(etc.join("modules/deep"));
    }
}

fn second_configuration(machine: &Machine) {
    let etc = machine.etc();
    fs::write(machine.root.join("srv/shared.nix"), "{ shared = 2; }\n").unwrap();
    fs::write(
        etc.join("configuration.nix"),
        "{ imports = [ ./hw.nix ./modules /srv/shared.nix ]; two = 2; }\n",
    )
    .unwrap();
    fs::write(etc.join("modules/b.nix"), "{ b = 1; }\n").unwrap();
    fs::remove_dir_all(etc.join("modules/deep")).unwrap();
    fs::remove_dir_all(machine.root.join("srv/deep")).unwrap();
    fs::remove_file(etc.join("twin")).unwrap();
    fs::write(etc.join("twin"), "one name each").unwrap();
    fs::remove_file(etc.join("turns")).unwrap();
    fs::create_dir(etc.join("turns")).unwrap();
    fs::write(etc.join("turns/inside"), "B").unwrap();
    fs::remove_dir_all(etc.join("turned")).unwrap();
    symlink("modules", etc.join("turned")).unwrap();
    mode(&etc.join("secret"), 0o644);
    fs::remove_file(etc.join("link")).unwrap();
    symlink("modules/b.nix", etc.join("link")).unwrap();
    xattr::remove(etc.join("hw.nix"), "user.origin").unwrap();
    xattr::set(etc.join("modules"), "user.folder", b"B").unwrap();
    for name in odd_names().into_iter().step_by(2) {
        fs::remove_file(etc.join("modules").join(name)).unwrap();
    }
    fs::create_dir_all(etc.join("new/folder")).unwrap();
    fs::write(etc.join("new/folder/file"), "only in B").unwrap();
}

/// A systemd of a few lines with one unit, which owns the state of the policy.
fn systemd(machine: &Machine) {
    let fake = machine.root.join("run/fake");
    fs::create_dir_all(fake.join("bin")).unwrap();
    fs::create_dir_all(fake.join("units")).unwrap();
    let script = include_str!("../../support/systemctl");
    fs::write(fake.join("bin/systemctl"), script).unwrap();
    mode(&fake.join("bin/systemctl"), 0o755);
    fs::write(fake.join("units/app.service"), "active\n").unwrap();
    fs::create_dir_all(machine.root.join("etc/cairn")).unwrap();
    let policy = serde_json::json!({ "state": { "app": {
        "paths": ["/var/lib/app"],
        "exclude": ["/var/lib/app/cache"],
        "units": ["app.service"],
    } } });
    let file = machine.root.join("etc/cairn/policy.json");
    fs::write(file, policy.to_string()).unwrap();
}

fn first_state(machine: &Machine) {
    let app = machine.app();
    fs::create_dir_all(app.join("tables")).unwrap();
    fs::create_dir_all(app.join("cache")).unwrap();
    fs::write(app.join("cache/kept"), "nobody's business").unwrap();
    fs::write(app.join("data"), "A\n").unwrap();
    fs::write(app.join("tables/only-in-a"), vec![b'a'; 100_000]).unwrap();
    symlink("data", app.join("current")).unwrap();
    mode(&app.join("tables"), 0o700);
}

fn second_state(machine: &Machine) {
    let app = machine.app();
    fs::write(app.join("data"), "B\n").unwrap();
    fs::remove_file(app.join("tables/only-in-a")).unwrap();
    fs::write(app.join("tables/only-in-b"), vec![b'b'; 100_000]).unwrap();
    fs::create_dir(app.join("new")).unwrap();
    fs::write(app.join("new/file"), "only in B").unwrap();
}

const TOPLEVEL: &str = r#"{ n }: derivation {
  name = "nixos-system-demo-26.05.${n}";
  system = builtins.currentSystem;
  builder = "/bin/sh";
  PATH = "/bin:/usr/bin";
  inherit n;
  pkg = derivation {
    name = "hello-1.${n}";
    system = builtins.currentSystem;
    builder = "/bin/sh";
    PATH = "/bin:/usr/bin";
    inherit n;
    args = [ "-c" "mkdir $out; head -c ${n}0000 /dev/zero > $out/f" ];
  };
  args = [ "-c" "mkdir -p $out/bin $out/specialisation; printf 26.05.${n} > $out/nixos-version; ln -s $pkg $out/sw" ];
}
"#;

/// Where this process keeps what it copies; what dead processes kept goes.
fn templates() -> PathBuf {
    let shm = Path::new("/dev/shm/cairn-tests");
    let probe = shm.join("probe");
    let fits = fs::create_dir_all(shm).is_ok()
        && fs::write(&probe, "").is_ok()
        && xattr::set(&probe, "user.test", b"1").is_ok();
    let above = if fits {
        shm
    } else {
        Path::new(env!("CARGO_TARGET_TMPDIR"))
    };
    let ours = above.join(format!("machine-{}", std::process::id()));
    if !ours.is_dir() {
        for name in names(above) {
            let text = name.to_string_lossy().into_owned();
            let dead = text
                .strip_prefix("machine-")
                .is_some_and(|pid| !Path::new("/proc").join(pid).exists());
            if dead {
                let _ = Command::new("chmod")
                    .args(["-R", "u+rwX"])
                    .arg(above.join(&name))
                    .output();
                let _ = fs::remove_dir_all(above.join(&name));
            }
        }
        fs::create_dir_all(&ours).unwrap();
    }
    ours
}

/// The machine all others are copies of, built once by the real Nix.
fn bare(test: &str) -> Option<&'static Path> {
    static BARE: OnceLock<Option<PathBuf>> = OnceLock::new();
    let built = BARE.get_or_init(|| have("nix-build").then(build));
    if built.is_none() {
        skip(test, "nix-build is missing");
    }
    built.as_deref()
}

fn build() -> PathBuf {
    let dir = templates().join("bare");
    let root = dir.join("root");
    fs::create_dir_all(&root).unwrap();
    let expression = dir.join("toplevel.nix");
    fs::write(&expression, TOPLEVEL).unwrap();
    let nix = |program: &str, args: &[&OsStr]| -> String {
        let output = Command::new(program)
            .arg("--store")
            .arg(&root)
            .args(args)
            .env("HOME", &dir)
            .env("NIX_STATE_DIR", dir.join("nix-state"))
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "{program}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    };
    let word = OsStr::new;
    let mut toplevel = String::new();
    for n in ["1", "2", "3"] {
        let mut args = vec![word("--no-out-link"), expression.as_os_str()];
        args.extend(["--argstr", "n", n].map(word));
        args.extend(["--option", "sandbox", "true"].map(word));
        args.extend(["--option", "sandbox-paths", "/bin /usr /lib /lib64"].map(word));
        args.extend(["--option", "build-users-group", ""].map(word));
        args.extend(["--option", "substituters", ""].map(word));
        toplevel = nix("nix-build", &args);
        let profile = root.join("nix/var/nix/profiles/system");
        nix(
            "nix-env",
            &[
                word("-p"),
                profile.as_os_str(),
                word("--set"),
                word(&toplevel),
            ],
        );
    }
    // Eight megabytes that only matter to a full disk.
    let _ = fs::remove_file(root.join("nix/var/nix/db/reserved"));
    fs::create_dir_all(root.join("etc/nixos")).unwrap();
    fs::create_dir_all(root.join("run")).unwrap();
    relink(&toplevel, &root.join("run/current-system"));
    relink(&toplevel, &root.join("run/booted-system"));
    fs::write(root.join("etc/hostname"), "tower\n").unwrap();
    fs::write(
        root.join("etc/nixos/configuration.nix"),
        "{ imports = [ ./hw.nix ]; }\n",
    )
    .unwrap();
    fs::write(root.join("etc/nixos/hw.nix"), "{ }\n").unwrap();
    dir
}
