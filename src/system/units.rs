//! systemd, as far as the gate asks it: which units are not well, how a unit
//! ended, and a unit to go on in when the caller is gone.

use std::ffi::OsString;
use std::fs;
use std::path::Path;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use serde::Deserialize;

use super::run::{Call, RunError, Runner};
use crate::point::switch::Invocation;

/// systemd's message for a process of a unit that ended badly, from its
/// catalogue (`sd-messages.h`, `SD_MESSAGE_UNIT_PROCESS_EXIT`).
const PROCESS_EXIT: &str = "98e322203f7a4ed290d09fe03c09fe15";

/// … and for a unit that ended well (`SD_MESSAGE_UNIT_SUCCESS`).
const UNIT_SUCCESS: &str = "7ad2d189f7e94e70a38c781354912448";

/// … and for a unit that it will start again by itself
/// (`SD_MESSAGE_UNIT_RESTART_SCHEDULED`).
const RESTART_SCHEDULED: &str = "5eb03494b6584870a536b337290809b3";

/// Units in which switches run: `nixos-rebuild`'s, whose newer releases add a
/// suffix, and ours.
const SWITCH_UNITS: [&str; 2] = ["nixos-rebuild-switch-to-configuration", super::switch::UNIT];

/// Units that say nothing about the system: switches and their watchers.
const NOT_COUNTED: [&str; 4] = [
    "nixos-rebuild-switch-to-configuration",
    super::switch::UNIT,
    "cairn-gate-",
    "cairn-switched.",
];

#[derive(Deserialize)]
struct Listed {
    unit: String,
    #[serde(default)]
    active: String,
}

/// Units that are not well.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ailing {
    /// They failed and stay so.
    pub failed: Vec<String>,
    /// They failed and wait to be started again.
    pub restarting: Vec<String>,
}

impl Ailing {
    /// Both kinds.
    pub fn all(&self) -> Vec<String> {
        self.failed
            .iter()
            .chain(&self.restarting)
            .cloned()
            .collect()
    }
}

/// The units that failed or are between two attempts to start.
///
/// # Errors
/// When systemd cannot be asked.
pub fn ailing(runner: &dyn Runner) -> Result<Ailing, RunError> {
    let call = Call::new("systemctl")
        .args([
            "list-units",
            "--all",
            "--state=failed,auto-restart,auto-restart-queued",
            "--output=json",
        ])
        .limit(PATIENCE);
    let listed: Vec<Listed> =
        serde_json::from_slice(&runner.check(&call)?.stdout).map_err(|e| RunError::Failed {
            line: call.line(),
            code: 0,
            stderr: format!("it printed what is not its list: {e}"),
        })?;
    let mut ailing = Ailing::default();
    for unit in listed {
        if NOT_COUNTED.iter().any(|name| unit.unit.starts_with(name)) {
            continue;
        }
        if unit.active == "failed" {
            ailing.failed.push(unit.unit);
        } else {
            ailing.restarting.push(unit.unit);
        }
    }
    Ok(ailing)
}

/// How long systemd has to answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long ago a service may have been started again to count as flapping.
const FLAPS_WITHIN: TimeDelta = TimeDelta::seconds(60);

/// Whether a unit was flapping when a switch began: systemd had started it
/// again, or was about to, a moment before. At the instant the hook asked it
/// may have looked well.
///
/// The journal is asked, and afterwards: to ask systemd about every service
/// before each switch takes longer than all the rest of the hook. What counts is
/// when systemd said it: on a machine that has too much to do, the journal may
/// take it in only after the switch.
pub fn flapped(runner: &dyn Runner, unit: &str, switch: DateTime<Utc>) -> bool {
    // What is on its way to the journal is to be in it; without the right to
    // wait for that, it usually is.
    let _ = runner.check(&Call::new("journalctl").arg("--sync").limit(PATIENCE));
    let since = (switch - FLAPS_WITHIN).format("%s%.6f");
    let call = Call::new("journalctl")
        .args(["--quiet", "--no-pager", "--output=json", "--boot"])
        .arg("--output-fields=_SOURCE_REALTIME_TIMESTAMP")
        .arg(format!("--since=@{since}"))
        .args(["_PID=1".to_owned(), format!("UNIT={unit}")])
        .arg(format!("MESSAGE_ID={RESTART_SCHEDULED}"));
    let told = runner.check(&call).map(|told| told.stdout);
    let told = told.unwrap_or_default();
    String::from_utf8_lossy(&told)
        .lines()
        .filter_map(|line| serde_json::from_str::<Stamped>(line).ok())
        .filter_map(|entry| entry.at())
        .any(|at| at <= switch)
}

/// When an entry of the journal was made, in microseconds since 1970.
#[derive(Deserialize)]
struct Stamped {
    #[serde(rename = "_SOURCE_REALTIME_TIMESTAMP")]
    said: Option<String>,
    #[serde(rename = "__REALTIME_TIMESTAMP")]
    taken_in: Option<String>,
}

impl Stamped {
    fn at(&self) -> Option<DateTime<Utc>> {
        let stamp = self.said.as_ref().or(self.taken_in.as_ref())?;
        DateTime::from_timestamp_micros(stamp.parse().ok()?)
    }
}

/// Services that wait to be started again by systemd, or were so a moment ago:
/// at this instant they may look well. Every service is asked about, which
/// takes too long for the hook before a switch: see [`flapped`].
///
/// # Errors
/// When systemd cannot be asked.
pub fn flapping(runner: &dyn Runner) -> Result<Vec<String>, RunError> {
    let call = Call::new("systemctl")
        .args([
            "show",
            "--property=Id,SubState,NRestarts,StateChangeTimestampMonotonic",
            "*.service",
        ])
        .limit(PATIENCE);
    let told = runner.check(&call)?.stdout;
    Ok(flapping_in(&String::from_utf8_lossy(&told), uptime()))
}

fn flapping_in(told: &str, uptime: Duration) -> Vec<String> {
    let value = |block: &str, name: &str| {
        block
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix('='))
            .map(str::to_owned)
    };
    let flaps_within = FLAPS_WITHIN.to_std().unwrap_or_default();
    told.split("\n\n")
        .filter(|block| {
            let number = |name| value(block, name).and_then(|text| text.parse::<u64>().ok());
            let changed = number("StateChangeTimestampMonotonic").map(Duration::from_micros);
            let waits = value(block, "SubState").is_some_and(|s| s.starts_with("auto-restart"));
            waits
                || number("NRestarts").is_some_and(|n| n > 0)
                    && changed.is_some_and(|at| uptime.saturating_sub(at) < flaps_within)
        })
        .filter_map(|block| value(block, "Id"))
        .filter(|unit| !NOT_COUNTED.iter().any(|name| unit.starts_with(name)))
        .collect()
}

/// Time since boot, as systemd's monotonic stamps count it.
fn uptime() -> Duration {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    Duration::new(
        u64::try_from(now.tv_sec).unwrap_or(0),
        u32::try_from(now.tv_nsec).unwrap_or(0),
    )
}

/// The unit this process runs in, when a switch is what runs there.
pub fn own_switch_unit() -> Option<Invocation> {
    let cgroups = fs::read_to_string("/proc/self/cgroup").ok()?;
    let name = cgroups
        .lines()
        .filter_map(|line| line.rsplit('/').next())
        .find(|name| SWITCH_UNITS.iter().any(|unit| name.starts_with(unit)))?;
    let id = std::env::var("INVOCATION_ID").ok()?;
    Some(Invocation {
        name: name.to_owned(),
        id,
    })
}

#[derive(Deserialize)]
struct Message {
    #[serde(rename = "MESSAGE_ID")]
    id: Option<String>,
    #[serde(rename = "EXIT_CODE")]
    how: Option<String>,
    #[serde(rename = "EXIT_STATUS")]
    status: Option<String>,
}

/// The exit code of a unit that has ended, from systemd's own messages; 128 +
/// the signal when one ended it. `None` when the journal does not tell.
pub fn exit_code(runner: &dyn Runner, unit: &Invocation) -> Option<i32> {
    let call = Call::new("journalctl")
        .args(["--quiet", "--no-pager", "--output=json", "--boot", "_PID=1"])
        .arg(format!("INVOCATION_ID={}", unit.id));
    let printed = runner.check(&call).ok()?.stdout;
    exit_in(&String::from_utf8_lossy(&printed))
}

fn exit_in(journal: &str) -> Option<i32> {
    let messages = journal
        .lines()
        .filter_map(|line| serde_json::from_str::<Message>(line).ok());
    let mut exit = None;
    for message in messages {
        match (message.id.as_deref(), message.status) {
            (Some(PROCESS_EXIT), Some(status)) => {
                let signalled = message.how.as_deref() != Some("exited");
                let number: i32 = status.parse().ok()?;
                exit = Some(if signalled { 128 + number } else { number });
            }
            (Some(UNIT_SUCCESS), _) => exit = exit.or(Some(0)),
            _ => {}
        }
    }
    exit
}

/// The call that runs `program` in a transient unit that outlives its caller
/// and leaves nothing behind.
pub fn detached(unit: &str, program: &Path, args: &[OsString]) -> Call {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut setenv = OsString::from("--setenv=PATH=");
    setenv.push(path);
    Call::new("systemd-run")
        .args(["--no-block", "--collect", "--quiet", "--no-ask-password"])
        .arg(format!("--unit={unit}"))
        .arg("--description=cairn watches a switch")
        // Killed, it goes on where it was; asked to stop, as at a shutdown, it
        // does.
        .args([
            "--property=Restart=on-abnormal",
            "--property=RestartSec=200ms",
        ])
        .arg(setenv)
        .arg("--")
        .arg(program)
        .args(args)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::system::run::Ended;

    struct Says(&'static str);

    impl Runner for Says {
        fn run(&self, _: &Call) -> Result<Ended, RunError> {
            Ok(Ended {
                stdout: self.0.as_bytes().to_vec(),
                ..Ended::default()
            })
        }
    }

    #[test]
    fn failed_and_restarting_units_are_told_apart_and_our_own_left_out() {
        let ailing = ailing(&Says(
            r#"[{"unit":"a.service","load":"loaded","active":"failed","sub":"failed"},
                {"unit":"b.service","active":"activating","sub":"auto-restart"},
                {"unit":"nixos-rebuild-switch-to-configuration.service","active":"failed"}]"#,
        ))
        .unwrap();
        assert_eq!(ailing.failed, ["a.service"]);
        assert_eq!(ailing.restarting, ["b.service"]);
        assert!(super::ailing(&Says("Failed to connect")).is_err());
    }

    #[test]
    fn a_unit_that_systemd_had_to_start_again_before_flaps() {
        let switch = "2026-11-23T07:00:00Z".parse().unwrap();
        // Said before the switch, and taken in after it.
        let before = r#"{"_SOURCE_REALTIME_TIMESTAMP":"1795417199000000","__REALTIME_TIMESTAMP":"1795417205000000"}"#;
        let after = r#"{"_SOURCE_REALTIME_TIMESTAMP":"1795417201000000","__REALTIME_TIMESTAMP":"1795417201000000"}"#;
        let plain = r#"{"__REALTIME_TIMESTAMP":"1795417199000000"}"#;
        assert!(flapped(&Says(before), "a.service", switch));
        assert!(!flapped(&Says(after), "a.service", switch));
        assert!(flapped(&Says(plain), "a.service", switch));
        assert!(!flapped(&Says("\n"), "a.service", switch));
        let recorder = crate::system::run::Recorder::default();
        assert!(!flapped(&recorder, "a.service", switch));
        let calls = recorder.0.lock().unwrap();
        assert_eq!(calls[0].line(), "journalctl --sync");
        let line = calls[1].line();
        assert!(line.contains("--since=@1795417140.000000"), "{line}");
        assert!(!line.contains("--until"), "{line}");
    }

    #[test]
    fn a_service_that_was_just_started_again_flaps() {
        let told = "Id=a.service\nNRestarts=3\nStateChangeTimestampMonotonic=90000000\n\n\
                    Id=b.service\nNRestarts=3\nStateChangeTimestampMonotonic=1000000\n\n\
                    Id=c.service\nNRestarts=0\nStateChangeTimestampMonotonic=90000000\n\n\
                    Id=d.service\nSubState=auto-restart\nNRestarts=0\n";
        assert_eq!(
            flapping_in(told, Duration::from_secs(100)),
            ["a.service", "d.service"]
        );
    }

    #[test]
    fn the_journal_tells_how_a_unit_ended() {
        let exited = format!(
            r#"{{"MESSAGE_ID":"{PROCESS_EXIT}","EXIT_CODE":"exited","EXIT_STATUS":"4"}}
               {{"MESSAGE":"noise"}}"#
        );
        let killed =
            format!(r#"{{"MESSAGE_ID":"{PROCESS_EXIT}","EXIT_CODE":"killed","EXIT_STATUS":"9"}}"#);
        let well = format!(r#"{{"MESSAGE_ID":"{UNIT_SUCCESS}"}}"#);
        assert_eq!(exit_in(&exited), Some(4));
        assert_eq!(exit_in(&killed), Some(137));
        assert_eq!(exit_in(&well), Some(0));
        assert_eq!(exit_in(""), None);
    }
}
