//! A machine under a temporary root.

use std::ffi::OsStr;
use std::fs::{self, Permissions};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;

use super::skip::need;
use super::store::{self, System, nix};
use super::told::{all_are_commands, commands};

/// A root with a store, profiles, a configuration and a state directory.
pub struct Machine {
    dir: TempDir,
    /// Options given before the verb.
    pub options: Vec<String>,
}

/// How one run of the program ended.
#[derive(Debug)]
pub struct Run {
    /// Exit code.
    pub code: i32,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
}

impl From<Output> for Run {
    #[track_caller]
    fn from(output: Output) -> Self {
        let run = Self {
            code: output.status.code().unwrap_or(-1),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        };
        all_are_commands(&run.out);
        all_are_commands(&run.err);
        run
    }
}

impl Run {
    /// Asserts the exit code.
    #[track_caller]
    pub fn ends(self, code: i32) -> Self {
        assert_eq!(self.code, code, "out:\n{}\nerr:\n{}", self.out, self.err);
        self
    }

    /// Asserts an error of one line, what was wrong and what was left untouched,
    /// and then nothing but commands, one of them this.
    #[track_caller]
    pub fn fails(self, code: i32, what: &str, next: &str) -> Self {
        let run = self.ends(code);
        let lines: Vec<&str> = run.err.lines().collect();
        let first = lines[0];
        let told = commands(&run.err);
        assert!(!told.is_empty(), "no command: {}", run.err);
        assert_eq!(lines.len(), 1 + told.len(), "more lines: {}", run.err);
        assert!(
            first.starts_with("cairn: ") && first.contains(what),
            "{first}"
        );
        assert!(first.ends_with("nothing was changed"), "{first}");
        let is_told = told.iter().any(|command| command.contains(next));
        assert!(is_told, "{next} is not in: {}", run.err);
        assert_eq!(run.out, "");
        run
    }

    /// Standard output as JSON.
    #[track_caller]
    pub fn json(&self) -> Value {
        let value: Value = serde_json::from_str(&self.out)
            .unwrap_or_else(|e| panic!("{e} in: {}\nerr: {}", self.out, self.err));
        assert_eq!(value["version"], 1);
        value
    }
}

impl Machine {
    /// A machine with the generations 1 and 2, the second running, and a small
    /// configuration; `None` where Nix is missing.
    pub fn new() -> Option<Self> {
        let machine = Self::bare()?;
        machine.set(System::One);
        machine.set(System::Two);
        machine.run_system(System::Two);
        machine.boot_system(System::Two);
        machine.write("etc/hostname", "mini\n");
        machine.write(
            "etc/nixos/configuration.nix",
            "{\n  imports = [ ./hardware.nix ];\n  services.a.enable = true;\n}\n",
        );
        machine.write("etc/nixos/hardware.nix", "{ }\n");
        Some(machine)
    }

    /// A store and nothing else.
    pub fn bare() -> Option<Self> {
        if !need(&["nix-build", "nix-env", "nix-store"]) {
            return None;
        }
        let dir = tempfile::tempdir().unwrap();
        let machine = Self {
            dir,
            options: Vec::new(),
        };
        for folder in ["", "etc/nixos", "run", "boot"] {
            fs::create_dir_all(machine.root().join(folder)).unwrap();
        }
        fs::create_dir(machine.home()).unwrap();
        store::copy_to(&machine.root());
        Some(machine)
    }

    /// The root.
    pub fn root(&self) -> PathBuf {
        self.dir.path().join("root")
    }

    /// The state directory, outside the root.
    pub fn state(&self) -> PathBuf {
        self.dir.path().join("state")
    }

    /// Home of whoever runs programs here.
    pub fn home(&self) -> PathBuf {
        self.dir.path().join("home")
    }

    /// Everything of this machine, for comparing before and after. SQLite's
    /// own side files are left out: they come and go with every reader.
    pub fn exact(&self) -> super::Exact {
        let mut all = super::exact(self.dir.path());
        all.retain(|path, _| {
            let name = path.to_string_lossy();
            !name.ends_with("db.sqlite-shm") && !name.ends_with("db.sqlite-wal")
        });
        all.remove(Path::new("root/nix/var/nix/db"));
        all
    }

    /// The store path of a system, as the machine names it.
    pub fn path(&self, system: System) -> &'static str {
        store::path_of(system)
    }

    /// The real path of a system.
    pub fn real(&self, system: System) -> PathBuf {
        self.root().join(&store::path_of(system)[1..])
    }

    /// The profiles directory.
    pub fn profiles(&self) -> PathBuf {
        self.root().join("nix/var/nix/profiles")
    }

    /// Where the profile's link leads.
    pub fn profile(&self) -> PathBuf {
        fs::read_link(self.profiles().join("system")).unwrap()
    }

    /// Runs `nix-env` on the profile `system`.
    pub fn nix_env(&self, args: &[&str]) -> String {
        self.nix_env_on(&self.profiles().join("system"), args)
    }

    /// Runs `nix-env` on another profile.
    pub fn nix_env_on(&self, profile: &Path, args: &[&str]) -> String {
        let mut command = nix("nix-env", &self.home());
        command
            .arg("--store")
            .arg(self.root())
            .arg("--profile")
            .arg(profile)
            .args(args);
        succeed(&mut command)
    }

    /// Makes a system the profile's newest generation.
    pub fn set(&self, system: System) {
        self.nix_env(&["--set", self.path(system)]);
    }

    /// Collects garbage; gives what Nix said.
    pub fn gc(&self) -> String {
        let mut command = nix("nix-store", &self.home());
        command.arg("--store").arg(self.root()).arg("--gc");
        succeed(&mut command)
    }

    /// Whether Nix itself calls a system's store path valid.
    pub fn is_valid(&self, system: System) -> bool {
        let mut command = nix("nix-store", &self.home());
        command.arg("--store").arg(self.root());
        let output = command
            .args(["--check-validity", self.path(system)])
            .output()
            .unwrap();
        output.status.success()
    }

    /// Makes a system the running one.
    pub fn run_system(&self, system: System) {
        self.link(self.path(system), "run/current-system");
    }

    /// Makes a system the booted one.
    pub fn boot_system(&self, system: System) {
        self.link(self.path(system), "run/booted-system");
    }

    /// Makes a system the boot default of systemd-boot.
    pub fn loader_default(&self, system: System) {
        self.write(
            "boot/loader/loader.conf",
            "timeout 5\ndefault nixos-default.conf\n",
        );
        let entry = format!(
            "title NixOS\nlinux /EFI/nixos/k.efi\noptions init={}/init quiet\n",
            self.path(system)
        );
        self.write("boot/loader/entries/nixos-default.conf", &entry);
    }

    /// Writes a file below the root, with the folders above it.
    pub fn write(&self, path: impl AsRef<Path>, content: impl AsRef<[u8]>) {
        let path = self.root().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    /// Reads a file below the root.
    pub fn read(&self, path: impl AsRef<Path>) -> String {
        fs::read_to_string(self.root().join(path)).unwrap()
    }

    /// Makes or replaces a symlink below the root.
    pub fn link(&self, target: impl AsRef<Path>, path: impl AsRef<Path>) {
        let path = self.root().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let _ = fs::remove_file(&path);
        symlink(target, path).unwrap();
    }

    /// Sets permissions below the root.
    pub fn mode(&self, path: impl AsRef<Path>, mode: u32) {
        fs::set_permissions(self.root().join(path), Permissions::from_mode(mode)).unwrap();
    }

    /// The program with this machine's root and state directory, and nothing
    /// of the surroundings.
    pub fn command<S: AsRef<OsStr>>(&self, args: &[S]) -> Command {
        let mut command = self.program();
        // By the environment: tips name what the command line says of the place.
        command
            .env("CAIRN_ROOT", self.root())
            .env("CAIRN_STATE_DIR", self.state());
        command.args(&self.options).args(args);
        command
    }

    /// The program alone.
    pub fn program(&self) -> Command {
        let mut command = nix(env!("CARGO_BIN_EXE_cairn"), &self.home());
        for name in [
            "CAIRN_STATE_DIR",
            "CAIRN_POLICY",
            "XDG_DATA_HOME",
            "COLUMNS",
        ] {
            command.env_remove(name);
        }
        command
            .env("NO_COLOR", "1")
            .current_dir(self.dir.path())
            .stdin(Stdio::null());
        command
    }

    /// Runs the program.
    pub fn cairn<S: AsRef<OsStr>>(&self, args: &[S]) -> Run {
        self.command(args).output().unwrap().into()
    }

    /// Runs the program, which must end well; gives its output.
    #[track_caller]
    pub fn ok<S: AsRef<OsStr>>(&self, args: &[S]) -> String {
        self.cairn(args).ends(0).out
    }

    /// Runs the program with `--json`, which must end well.
    #[track_caller]
    pub fn json(&self, args: &[&str]) -> Value {
        let args: Vec<&str> = ["--json"].iter().chain(args).copied().collect();
        self.cairn(&args).ends(0).json()
    }

    /// Takes a point; gives its id.
    #[track_caller]
    pub fn create(&self, reason: &str) -> String {
        let taken = self.json(&["create", "--reason", reason]);
        taken["point"]["id"].as_str().unwrap().to_owned()
    }

    /// Ids of all points, oldest first.
    #[track_caller]
    pub fn ids(&self) -> Vec<String> {
        let listed = self.json(&["list"]);
        let items = listed["points"]["items"].as_array().unwrap();
        items
            .iter()
            .map(|p| p["id"].as_str().unwrap().to_owned())
            .collect()
    }

    /// The document of a point, as it is stored.
    pub fn document(&self, id: &str) -> Value {
        let path = self.state().join("points").join(format!("{id}.json"));
        serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
    }
}

/// Runs a command that must succeed; gives its output.
#[track_caller]
pub fn succeed(command: &mut Command) -> String {
    let output = command.stdin(Stdio::null()).output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {errors}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// A path from bytes that need be no text.
pub fn bytes(path: &[u8]) -> &Path {
    Path::new(OsStr::from_bytes(path))
}

/// An id as messages show it.
pub fn short(id: &str) -> String {
    id.replace('-', "").chars().take(12).collect()
}
