//! What systemd says: units, and the clock.

use std::time::Duration;

use super::super::run::Call;
use super::super::{services, units};
use super::{Depth, Machine, elsewhere, files};
use crate::health::{Finding, seen};
use crate::point::health::Status;

/// Units that failed.
pub(super) fn failed(
    machine: &Machine<'_>,
    judge: impl FnOnce(&seen::Units) -> Finding,
) -> Finding {
    if !machine.live {
        return elsewhere();
    }
    match machine.ailing() {
        Ok(ailing) => judge(&of(ailing)),
        Err(error) => silent(machine, &error),
    }
}

fn of(ailing: units::Ailing) -> seen::Units {
    seen::Units {
        failed: ailing.failed,
        restarting: ailing.restarting,
        flapping: Vec::new(),
    }
}

/// Services that are started again and again. The hook before a switch has no
/// time for those that were so a moment ago: its gate looks them up.
pub(super) fn restarts(
    machine: &Machine<'_>,
    depth: Depth,
    judge: impl FnOnce(&seen::Units) -> Finding,
) -> Finding {
    if !machine.live {
        return elsewhere();
    }
    let ailing = machine.ailing();
    if depth == Depth::Hook {
        return match ailing {
            Ok(ailing) => judge(&of(ailing)),
            Err(error) => silent(machine, &error),
        };
    }
    match units::flapping(machine.runner) {
        // What is between two attempts in one answer is well in the other.
        Ok(flapping) => judge(&seen::Units {
            flapping,
            ..of(ailing.unwrap_or_default())
        }),
        Err(error) => silent(machine, &error.to_string()),
    }
}

/// A systemd that is there and does not answer is a fault; where there is none
/// it is not.
fn silent(machine: &Machine<'_>, error: &str) -> Finding {
    let words = format!("systemd does not answer: {error}");
    if services::present(machine.layout) {
        Finding::new(Status::Failing, words)
    } else {
        Finding::unknown(words)
    }
}

/// What keeps the clock. Only where systemd-timesyncd has not set it is a
/// program asked.
pub(super) fn clock(machine: &Machine<'_>, time: Duration) -> seen::Clock {
    let flag = machine.layout.real("/run/systemd/timesync/synchronized");
    let mut clock = seen::Clock {
        timesyncd: flag.exists(),
        timedated: None,
        uptime: files::text(machine.layout, "/proc/uptime"),
    };
    if !clock.timesyncd && machine.live {
        let call = Call::new("timedatectl")
            .args(["show", "--property=NTP", "--property=NTPSynchronized"])
            .limit(time);
        clock.timedated = machine
            .runner
            .check(&call)
            .ok()
            .map(|ended| String::from_utf8_lossy(&ended.stdout).into_owned());
    }
    clock
}
