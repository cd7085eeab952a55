//! A machine whose systemd is a few scripts that say what they are told to.

use std::fs;
use std::ops::Deref;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use super::machine::{Machine, Run};

/// A machine with scripts before all other programs: `systemctl` lists the
/// units of [`Scripted::units`], `systemd-run` and `journalctl` do nothing. They
/// find the file of units in `$UNITS`, and may write beside it.
pub struct Scripted {
    machine: Machine,
    /// Whether units and commands of this root are taken for those of the
    /// running machine.
    pub live: bool,
}

impl Deref for Scripted {
    type Target = Machine;

    fn deref(&self) -> &Machine {
        &self.machine
    }
}

impl Scripted {
    /// A machine with this policy, on which no unit failed.
    pub fn new(policy: &str) -> Option<Self> {
        let scripted = Self {
            machine: Machine::new()?,
            live: false,
        };
        scripted.tool("systemctl", "case $1 in show) ;; *) cat \"$UNITS\" ;; esac");
        scripted.tool("systemd-run", "exit 0");
        scripted.tool("journalctl", "exit 0");
        scripted.policy(policy);
        scripted.units("[]");
        Some(scripted)
    }

    /// Puts a script before the program of this name.
    pub fn tool(&self, name: &str, script: &str) {
        executable(&self.home().join(name), script);
    }

    /// What `systemctl` lists.
    pub fn units(&self, json: &str) {
        fs::write(self.home().join("units.json"), json).unwrap();
    }

    /// Writes the policy anew.
    pub fn policy(&self, policy: &str) {
        fs::write(self.home().join("policy.json"), policy).unwrap();
    }

    /// Runs the program beside the scripts.
    pub fn run(&self, args: &[&str]) -> Run {
        self.scripted(args).output().unwrap().into()
    }

    /// The program, beside the scripts.
    pub fn scripted(&self, args: &[&str]) -> Command {
        let home = self.home();
        let path = format!("{}:{}", home.display(), std::env::var("PATH").unwrap());
        let mut command = self.command(args);
        command
            .env("PATH", path)
            .env("UNITS", home.join("units.json"))
            .env("CAIRN_POLICY", home.join("policy.json"));
        if self.live {
            command.env("CAIRN_FAKE_SYSTEMD", "1");
        }
        command
    }

    /// Runs it with `--json`, which must end well.
    #[track_caller]
    pub fn json(&self, args: &[&str]) -> Value {
        let args: Vec<&str> = ["--json"].iter().chain(args).copied().collect();
        self.run(&args).ends(0).json()
    }
}

/// Writes a shell script that can be run.
pub fn executable(path: &Path, script: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, format!("#!/bin/sh\n{script}\n")).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}
