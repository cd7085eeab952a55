//! A machine that is switched, under a temporary root.

use std::process::Command;

use serde_json::Value;

use super::machine::Run;
use super::scripted::Scripted;
use super::store::System;

/// A machine whose `systemd-run` and `nixos-enter` note their calls.
pub struct Switching(pub Scripted);

impl Switching {
    /// A machine with this policy; `None` where Nix is missing.
    pub fn new(policy: &str) -> Option<Self> {
        let machine = Self(Scripted::new(policy)?);
        for (name, log) in [("systemd-run", "run"), ("nixos-enter", "enter")] {
            let script = format!("printf '%s\\n' \"$*\" >> \"$UNITS.{log}\"");
            machine.0.tool(name, &script);
        }
        Some(machine)
    }

    /// Has `systemctl` list these units.
    pub fn units(&self, json: &str) {
        self.0.units(json);
    }

    /// Runs the program.
    pub fn run(&self, args: &[&str]) -> Run {
        self.command(args).output().unwrap().into()
    }

    /// The program, with the stand-ins and the policy.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = self.0.scripted(args);
        if args.contains(&"try") {
            // Tried is only on a machine that runs.
            command.env("CAIRN_FAKE_SYSTEMD", "1");
        }
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
