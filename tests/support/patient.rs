//! A machine under a temporary root whose `/proc`, `/sys` and systemd say what
//! they are told to.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use super::machine::{Machine, Run};
use super::store::System;

/// A machine that says what it is told to.
pub struct Patient(pub Machine);

/// The folder of its only sensor.
pub const ZONE: &str = "sys/class/thermal/thermal_zone0";

impl Patient {
    /// One that is well.
    pub fn new() -> Option<Self> {
        let m = Machine::new()?;
        m.loader_default(System::Two);
        m.write(
            "proc/meminfo",
            "MemTotal: 8000000 kB\nMemAvailable: 4000000 kB\nSwapTotal: 0 kB\nSwapFree: 0 kB\n",
        );
        for (name, text) in [
            (
                "memory",
                "some avg10=0.00 avg60=0.00 avg300=0.00 total=0\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=0\n",
            ),
            ("cpu", "some avg10=1.00 avg60=2.00 avg300=1.00 total=0\n"),
        ] {
            m.write(format!("proc/pressure/{name}"), text);
        }
        m.write("proc/loadavg", "0.50 0.40 0.30 1/200 999\n");
        m.write("sys/devices/system/cpu/online", "0-3\n");
        m.write(
            "proc/net/route",
            "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT\n\
             eth0\t00000000\t0100000A\t0003\t0\t0\t100\t00000000\t0\t0\t0\n",
        );
        m.write(format!("{ZONE}/type"), "acpitz\n");
        m.write(format!("{ZONE}/temp"), "41000\n");
        m.write("run/systemd/timesync/synchronized", "");
        let patient = Self(m);
        patient.tool(
            "systemctl",
            "case $1 in show) cat \"$UNITS.show\" ;; *) cat \"$UNITS\" ;; esac",
        );
        patient.tool("systemd-run", "exit 0");
        patient.tool("journalctl", "exit 0");
        patient.units("[]");
        patient.policy(&json!({ "gate": { "window": "50ms" } }));
        fs::write(patient.0.home().join("units.json.show"), "").unwrap();
        Some(patient)
    }

    /// A program of this machine: a script, found first.
    pub fn tool(&self, name: &str, script: &str) {
        executable(&self.0.home().join(name), script);
    }

    /// What `systemctl list-units` prints.
    pub fn units(&self, json: &str) {
        fs::write(self.0.home().join("units.json"), json).unwrap();
    }

    /// Writes the policy.
    pub fn policy(&self, policy: &Value) {
        fs::write(self.0.home().join("policy.json"), policy.to_string()).unwrap();
    }

    /// Runs the program.
    pub fn run(&self, args: &[&str]) -> Run {
        self.command(args).output().unwrap().into()
    }

    /// The program, with this machine's tools.
    pub fn command(&self, args: &[&str]) -> Command {
        let home = self.0.home();
        let path = format!("{}:{}", home.display(), std::env::var("PATH").unwrap());
        let mut command = self.0.command(args);
        command
            .env("PATH", path)
            .env("UNITS", home.join("units.json"))
            .env("CAIRN_POLICY", home.join("policy.json"))
            // Units, commands and network of this root are ours.
            .env("CAIRN_FAKE_SYSTEMD", "1");
        command
    }

    /// The report, which must end with this code.
    #[track_caller]
    pub fn health(&self, code: i32) -> Value {
        self.run(&["--json", "health"]).ends(code).json()["health"].clone()
    }
}

/// Writes a script that can be run.
pub fn executable(path: &Path, script: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, format!("#!/bin/sh\n{script}\n")).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}
