//! A machine under a temporary root whose `/proc`, `/sys` and systemd say what
//! they are told to.

use std::fs;
use std::process::Command;

use serde_json::Value;

use super::machine::Run;
use super::scripted::Scripted;
use super::store::System;

/// A machine that says what it is told to.
pub struct Patient(pub Scripted);

/// The folder of its only sensor.
pub const ZONE: &str = "sys/class/thermal/thermal_zone0";

impl Patient {
    /// One that is well.
    pub fn new() -> Option<Self> {
        let mut m = Scripted::new(r#"{ "gate": { "window": "50ms" } }"#)?;
        // Units, commands and network of this root are ours.
        m.live = true;
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
        m.tool(
            "systemctl",
            "case $1 in show) cat \"$UNITS.show\" ;; *) cat \"$UNITS\" ;; esac",
        );
        fs::write(m.home().join("units.json.show"), "").unwrap();
        Some(Self(m))
    }

    /// A program of this machine: a script, found first.
    pub fn tool(&self, name: &str, script: &str) {
        self.0.tool(name, script);
    }

    /// What `systemctl list-units` prints.
    pub fn units(&self, json: &str) {
        self.0.units(json);
    }

    /// Writes the policy.
    pub fn policy(&self, policy: &Value) {
        self.0.policy(&policy.to_string());
    }

    /// Runs the program.
    pub fn run(&self, args: &[&str]) -> Run {
        self.0.run(args)
    }

    /// The program, with this machine's tools.
    pub fn command(&self, args: &[&str]) -> Command {
        self.0.scripted(args)
    }

    /// The report, which must end with this code.
    #[track_caller]
    pub fn health(&self, code: i32) -> Value {
        self.run(&["--json", "health"]).ends(code).json()["health"].clone()
    }
}
