//! A machine with state, and a systemd of a few lines.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;

use super::machine::{Machine, Run};

/// A machine with state, and a systemd of a few lines.
pub struct Host {
    /// The machine.
    pub machine: Machine,
}

impl Host {
    pub fn new(policy: Value) -> Option<Self> {
        let host = Self {
            machine: Machine::new()?,
        };
        let m = &host.machine;
        m.write("etc/cairn/policy.json", policy.to_string());
        m.write("run/fake/bin/systemctl", include_str!("systemctl"));
        m.mode("run/fake/bin/systemctl", 0o755);
        fs::create_dir_all(m.root().join("run/fake/units")).unwrap();
        m.write("var/lib/app/data", "one\n");
        m.write("var/lib/app/deep/er/file", "deep\n");
        m.write("var/lib/app/cache/big", "cached\n");
        Some(host)
    }

    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = self.machine.command(args);
        let path = std::env::var("PATH").unwrap();
        let fake = self.fake().join("bin");
        command
            .env("PATH", format!("{}:{path}", fake.display()))
            .env("CAIRN_FAKE_SYSTEMD", "1");
        command
    }

    pub fn run(&self, args: &[&str]) -> Run {
        self.command(args).output().unwrap().into()
    }

    #[track_caller]
    pub fn ok(&self, args: &[&str]) -> String {
        self.run(args).ends(0).out
    }

    #[track_caller]
    pub fn json(&self, args: &[&str]) -> Value {
        let args: Vec<&str> = ["--json"].iter().chain(args).copied().collect();
        self.run(&args).ends(0).json()
    }

    #[track_caller]
    pub fn create(&self, args: &[&str]) -> Value {
        let args: Vec<&str> = ["create"].iter().chain(args).copied().collect();
        self.json(&args)["point"].clone()
    }

    pub fn fake(&self) -> PathBuf {
        self.machine.root().join("run/fake")
    }

    pub fn unit(&self, name: &str, state: &str) {
        self.machine
            .write(format!("run/fake/units/{name}"), format!("{state}\n"));
    }

    pub fn state_of(&self, unit: &str) -> String {
        let text = self.machine.read(format!("run/fake/units/{unit}"));
        text.trim().to_owned()
    }

    /// What was asked of systemd since the last call, questions left out.
    pub fn asked(&self) -> Vec<String> {
        let log = self.fake().join("units.log");
        let text = fs::read_to_string(&log).unwrap_or_default();
        let _ = fs::remove_file(&log);
        let looks = |l: &str| l.starts_with("show") || l.starts_with("list-units");
        let lines = text.lines().filter(|l| !looks(l));
        lines.map(str::to_owned).collect()
    }

    pub fn app(&self) -> PathBuf {
        self.machine.root().join("var/lib/app")
    }

    /// Snapshots of state in the vault.
    pub fn snapshots(&self) -> usize {
        let dir = self.machine.state().join("vault/state/snapshots");
        fs::read_dir(dir).map_or(0, Iterator::count)
    }

    pub fn journals(&self) -> Vec<Value> {
        let mut files: Vec<PathBuf> = fs::read_dir(self.machine.state().join("journal"))
            .unwrap()
            .map(|e| e.unwrap().path())
            .collect();
        files.sort();
        let read = |path: PathBuf| serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
        files.into_iter().map(read).collect()
    }
}
