//! A machine that is switched, under a temporary root.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use serde_json::Value;

use super::machine::{Machine, Run};
use super::store::System;

/// A machine with a stand-in for systemd: `systemctl` lists the units named in
/// `units.json`, `systemd-run` notes its call.
pub struct Switching(pub Machine);

impl Switching {
    /// A machine with this policy; `None` where Nix is missing.
    pub fn new(policy: &str) -> Option<Self> {
        let machine = Switching(Machine::new()?);
        for (name, text) in [
            (
                "systemctl",
                "case $1 in show) ;; *) cat \"$UNITS\" ;; esac\n",
            ),
            ("systemd-run", "printf '%s\\n' \"$*\" >> \"$UNITS.run\"\n"),
            ("journalctl", "exit 0\n"),
            ("nixos-enter", "printf '%s\\n' \"$*\" >> \"$UNITS.enter\"\n"),
        ] {
            let path = machine.0.home().join(name);
            fs::write(&path, format!("#!/bin/sh\n{text}")).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        }
        fs::write(machine.0.home().join("policy.json"), policy).unwrap();
        machine.units("[]");
        Some(machine)
    }

    /// Has `systemctl` list these units.
    pub fn units(&self, json: &str) {
        fs::write(self.0.home().join("units.json"), json).unwrap();
    }

    /// Runs the program.
    pub fn run(&self, args: &[&str]) -> Run {
        self.command(args).output().unwrap().into()
    }

    /// The program, with the stand-ins and the policy.
    pub fn command(&self, args: &[&str]) -> Command {
        let home = self.0.home();
        let path = format!("{}:{}", home.display(), std::env::var("PATH").unwrap());
        let mut command = self.0.command(args);
        command
            .env("PATH", path)
            .env("UNITS", home.join("units.json"))
            .env("CAIRN_POLICY", home.join("policy.json"));
        command
    }

    /// The hook of a switch to `system`, whose profile has moved already.
    pub fn hook(&self, system: System, action: &str) -> Run {
        self.run(&["hook", "pre-switch", self.0.path(system), action])
    }

    /// The records, newest first.
    #[track_caller]
    pub fn history(&self) -> Vec<Value> {
        let told = self.run(&["--json", "history"]).ends(0).json();
        told["history"]["items"].as_array().unwrap().clone()
    }

    /// Watches the newest switch, to its end.
    #[track_caller]
    pub fn watch(&self, code: i32) -> Value {
        let id = self.history()[0]["id"].as_str().unwrap().to_owned();
        self.run(&["hook", "watch", &id]).ends(code);
        self.history()[0].clone()
    }
}
