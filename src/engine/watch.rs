//! Watching a system after a switch or a boot: whether it is well.

use std::collections::BTreeMap;
use std::thread::sleep;
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};

use super::health::{self, Ask};
use super::{Engine, EngineError};
use crate::health::is_ignored;
use crate::plan::gate::{self, Weight};
use crate::point::{Status, Verdict};
use crate::system::bus;
use crate::system::probe::Depth;
use crate::system::units::{self, Ailing};

/// How often units are looked at during the window.
const BEAT: Duration = Duration::from_millis(500);

/// A check counts as failed when it failed this often in a row.
const TRIES: u32 = 3;

/// How long after a failure it is asked again.
const BETWEEN: Duration = Duration::from_secs(1);

/// What watching a system came to.
pub(super) enum Wellness {
    /// It ended before its time.
    Overtaken,
    /// What makes it unhealthy, and what is only worth telling.
    Judged {
        bad: Vec<String>,
        notes: Vec<String>,
    },
}

/// What was not well before, and counts against nobody.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Before<'a> {
    /// Units.
    pub(super) ailing: &'a [String],
    /// What checks said, by label; `None` when nobody asked.
    pub(super) health: Option<&'a BTreeMap<String, Status>>,
    /// When the switch began: units that flapped then were not well either.
    pub(super) switch: Option<DateTime<Utc>>,
}

/// Watches the running system for the gate's window: a unit that fails ends it
/// at once, the checks are asked at its end.
pub(super) fn well(
    engine: &Engine<'_>,
    before: &Before<'_>,
    overtaken: &dyn Fn() -> Result<bool, EngineError>,
) -> Result<Wellness, EngineError> {
    let begun = Instant::now();
    let window = engine.policy.gate.window.duration();
    let mut ailing = before.ailing.to_vec();
    let mut bad = Vec::new();
    loop {
        if overtaken()? {
            return Ok(Wellness::Overtaken);
        }
        let last = begun.elapsed() >= window;
        match units::ailing(engine.runner) {
            Ok(now) => {
                for unit in gate::blame(&ailing, &counted(engine, now, last)) {
                    let flapped = |at| units::flapped(engine.runner, &unit, at);
                    if before.switch.is_some_and(flapped) {
                        ailing.push(unit);
                    } else {
                        bad.push(format!("{unit} failed"));
                    }
                }
            }
            Err(error) if last => bad.push(format!("systemd does not answer: {error}")),
            Err(_) => {}
        }
        if last || !bad.is_empty() {
            break;
        }
        sleep(BEAT.min(window.saturating_sub(begun.elapsed())));
    }
    let mut notes = Vec::new();
    if bad.is_empty() {
        (bad, notes) = failing_checks(engine, before);
    }
    Ok(Wellness::Judged { bad, notes })
}

/// The units that count: those that wait to be started again only at the end.
fn counted(engine: &Engine<'_>, now: Ailing, last: bool) -> Vec<String> {
    let health = &engine.policy.health;
    let asked = |name: &str| !health.disabled.iter().any(|disabled| disabled == name);
    let mut units = Vec::new();
    if asked("units") {
        units.extend(now.failed);
        units.extend(bus::ailing(engine.layout));
    }
    if last && asked("restarts") {
        units.extend(now.restarting);
    }
    units.retain(|unit| !is_ignored(unit, health));
    units
}

/// Asks the checks that count at gates, and those that fail again: what fails
/// each time is bad, or only told, in one line each.
fn failing_checks(engine: &Engine<'_>, before: &Before<'_>) -> (Vec<String>, Vec<String>) {
    let mut ask = Ask::of(Depth::Gate);
    let mut failing: Vec<Verdict> = Vec::new();
    for n in 0..TRIES {
        if n > 0 {
            sleep(BETWEEN);
        }
        failing = health::look(engine, &ask).checks;
        failing.retain(|verdict| verdict.status == Status::Failing);
        if failing.is_empty() {
            break;
        }
        ask.only = Some(failing.iter().map(Verdict::label).collect());
    }
    let (mut bad, mut notes) = (Vec::new(), Vec::new());
    for verdict in failing {
        let was = before.health.map(|all| all.get(&verdict.label()).copied());
        let (label, why) = (verdict.label(), &verdict.detail);
        match gate::weigh(&verdict, was.flatten()) {
            Weight::Bad => bad.push(format!("{label} failed: {why}")),
            Weight::Told => notes.push(format!("{label} failed: {why}")),
            Weight::AsBefore => notes.push(format!("{label} fails as it did before: {why}")),
        }
    }
    (bad, notes)
}
