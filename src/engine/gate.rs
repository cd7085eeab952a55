//! After a switch: what came of it, whether the system is well, and the way
//! back when it is not.
//!
//! The watcher runs in a unit of its own, so that neither the end of the
//! session nor the switch itself takes it down. It waits for the switch to let
//! go of its lock, and never holds that lock itself.

use std::collections::BTreeMap;
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::health::{self, Ask};
use super::restore::{self, Goal, Plan};
use super::{Engine, EngineError};
use crate::health::is_ignored;
use crate::plan::gate::{self, Case, Decision, Seen, Weight};
use crate::point::switch::{Action, Done, Outcome, Reached, Switch, Verdict};
use crate::point::{PointId, Selector, Status, Verdict as Said};
use crate::system::journal::{Activation, Scope};
use crate::system::probe::Depth;
use crate::system::units::Ailing;
use crate::system::{known_good, pointers, switch, switches, units};

/// The verb a rollback by the gate has in the journal.
pub const VERB: &str = "rollback by the gate";

/// How long to wait for systemd's word on how the switch ended.
const EXIT_PATIENCE: Duration = Duration::from_secs(2);

/// How often units are looked at during the window.
const BEAT: Duration = Duration::from_millis(500);

/// A check counts as failed when it failed this often in a row.
const TRIES: u32 = 3;

/// How long after a failure it is asked again.
const BETWEEN: Duration = Duration::from_secs(1);

/// Watches one switch to its end. `say` is told each step, in one line.
///
/// # Errors
/// When there is no such record, or its outcome cannot be stored.
pub fn watch(engine: &Engine<'_>, id: PointId, say: &dyn Fn(&str)) -> Result<Switch, EngineError> {
    let mut record = switches::by_id(engine.layout, id)?;
    if !record.is_pending() {
        return Ok(record);
    }
    switch::wait_until_free(engine.layout, None)?;
    let seen = look(engine, &record)?;
    let reached = gate::reached(&record, &seen);
    let judged = match reached {
        Reached::Switched if record.action.runs() && engine.policy.gate.enable => {
            say(&format!(
                "{} runs; watching it for {}",
                record.to.name(),
                engine.policy.gate.window
            ));
            judge(engine, &record, seen.exit)?
        }
        Reached::Switched => Judged::none(),
        Reached::Refused => Judged::bad(refusal(&record, &seen)),
        Reached::Interrupted => Judged::bad("the switch was stopped half way".to_owned()),
        Reached::NeedsReboot => Judged {
            verdict: Verdict::None,
            reasons: vec!["the init interface differs: it runs after a reboot".to_owned()],
            reached: None,
        },
        Reached::Superseded | Reached::CutOff => Judged::none(),
    };
    let reached = judged.reached.unwrap_or(reached);
    for reason in &judged.reasons {
        say(reason);
    }
    let mut outcome = Outcome {
        at: engine.clock.now(),
        reached,
        exit: seen.exit,
        verdict: judged.verdict,
        reasons: judged.reasons,
        done: Done::Nothing,
        trouble: None,
        undo: None,
    };
    if engine.policy.gate.enable {
        act(engine, &record, &mut outcome, say)?;
    }
    if outcome.verdict == Verdict::Good
        && let Err(error) = known_good::mark(engine.layout, &record.to)
    {
        outcome.trouble = Some(format!("it could not be marked known-good: {error}"));
    }
    outcome.at = engine.clock.now();
    record.result = Some(outcome);
    switches::store(engine.layout, &record)?;
    // Neither changes what came of this switch.
    let known = pointers::current(engine.layout)
        .map_or(Ok(()), |running| switches::know(engine.layout, &running));
    for error in [known, switches::trim(engine.layout)]
        .into_iter()
        .filter_map(Result::err)
    {
        say(&error.to_string());
    }
    Ok(record)
}

/// The machine as it is after the switch.
fn look(engine: &Engine<'_>, record: &Switch) -> Result<Seen, EngineError> {
    let exit = record.unit.as_ref().and_then(|unit| {
        let begun = Instant::now();
        loop {
            let exit = units::exit_code(engine.runner, unit);
            if exit.is_some() || begun.elapsed() > EXIT_PATIENCE {
                return exit;
            }
            sleep(Duration::from_millis(100));
        }
    });
    let system = pointers::observe(engine.layout, engine.profile, None)?.system;
    let init_differs = record
        .before
        .current
        .as_ref()
        .is_some_and(|before| switch::init_differs(engine.layout, before, &record.to));
    Ok(Seen {
        system,
        lists_left: switch::lists_left(engine.layout),
        exit,
        init_differs,
    })
}

fn refusal(record: &Switch, seen: &Seen) -> String {
    let what = "a check before the switch or the boot loader failed";
    match (&record.no_point, seen.exit) {
        (_, Some(code)) => format!("{what}: switch-to-configuration ended with {code}"),
        (Some(why), None) => format!("{what} (no restore point: {why})"),
        (None, None) => what.to_owned(),
    }
}

/// What the gate says, and why.
struct Judged {
    verdict: Verdict,
    reasons: Vec<String>,
    /// Set when the switch turned out to have been overtaken.
    reached: Option<Reached>,
}

impl Judged {
    fn none() -> Self {
        Self {
            verdict: Verdict::None,
            reasons: Vec::new(),
            reached: None,
        }
    }

    fn bad(reason: String) -> Self {
        Self {
            verdict: Verdict::Bad,
            reasons: vec![reason],
            reached: None,
        }
    }
}

/// Watches the system for the window: a unit that fails ends it at once, the
/// checks are asked at its end.
fn judge(engine: &Engine<'_>, record: &Switch, exit: Option<i32>) -> Result<Judged, EngineError> {
    if exit == Some(2) {
        return Ok(Judged::bad("the activation script failed".to_owned()));
    }
    let overtaken = || {
        let (records, _) = switches::read(engine.layout)?;
        let newer = records
            .iter()
            .any(|s| s.id > record.id && s.to != record.to);
        Ok::<_, EngineError>(newer)
    };
    let before = Before {
        ailing: &record.ailing,
        health: Some(&record.health),
    };
    match well(engine, &before, &overtaken)? {
        Wellness::Overtaken => Ok(Judged {
            reached: Some(Reached::Superseded),
            ..Judged::none()
        }),
        Wellness::Judged { bad, notes } if bad.is_empty() => Ok(Judged {
            verdict: Verdict::Good,
            reasons: notes,
            reached: None,
        }),
        Wellness::Judged { mut bad, notes } => {
            bad.extend(notes);
            Ok(Judged {
                verdict: Verdict::Bad,
                reasons: bad,
                reached: None,
            })
        }
    }
}

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
}

/// Watches the running system for the gate's window.
pub(super) fn well(
    engine: &Engine<'_>,
    before: &Before<'_>,
    overtaken: &dyn Fn() -> Result<bool, EngineError>,
) -> Result<Wellness, EngineError> {
    let begun = Instant::now();
    let window = engine.policy.gate.window.duration();
    let mut bad = Vec::new();
    loop {
        if overtaken()? {
            return Ok(Wellness::Overtaken);
        }
        let last = begun.elapsed() >= window;
        match units::ailing(engine.runner) {
            Ok(now) => {
                let seen = counted(engine, now, last);
                bad.extend(
                    gate::blame(before.ailing, &seen)
                        .into_iter()
                        .map(|unit| format!("{unit} failed")),
                );
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
    let mut failing = Vec::new();
    for n in 0..TRIES {
        if n > 0 {
            sleep(BETWEEN);
        }
        failing = health::look(engine, &ask).checks;
        failing.retain(|verdict| verdict.status == Status::Failing);
        if failing.is_empty() {
            break;
        }
        ask.only = Some(failing.iter().map(Said::label).collect());
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

/// Does what the verdict asks for, once.
fn act(
    engine: &Engine<'_>,
    record: &Switch,
    outcome: &mut Outcome,
    say: &dyn Fn(&str),
) -> Result<(), EngineError> {
    let now = pointers::observe(engine.layout, engine.profile, None)?.system;
    let profile = now.profile.as_ref().map(|p| &p.toplevel);
    let before = record.before.boot_target();
    let default_moved = (profile.is_some() && before.is_some() && profile != before)
        || now.loader_default != record.before.loader_default;
    let (records, _) = switches::read(engine.layout)?;
    let before_is_bad = record.before.current.as_ref().is_some_and(|path| {
        records
            .iter()
            .rev()
            .find(|s| s.to == *path && s.verdict() != Verdict::None)
            .is_some_and(|s| s.verdict() == Verdict::Bad)
            && !known_good::is(engine.layout, path)
    });
    let (decision, but) = gate::decide(Case {
        switch: record,
        reached: outcome.reached,
        verdict: outcome.verdict,
        default_moved,
        before_is_bad,
    });
    if let Some(but) = but {
        say(but);
        outcome.trouble = Some(but.to_owned());
    }
    if decision == Decision::Leave {
        return Ok(());
    }
    if !engine.policy.gate.rollback {
        outcome.trouble = Some("the policy leaves going back to you: cairn rollback".to_owned());
        return Ok(());
    }
    // `test` leaves the boot default alone, and so does taking it back, unless
    // a later `boot` of the same change has moved it.
    let only_runs = record.action == Action::Test && !default_moved;
    let scope = Scope {
        generation: true,
        activation: match decision {
            Decision::Repair => Activation::Boot,
            _ if only_runs => Activation::Test,
            _ => Activation::Switch,
        },
        anyhow: decision == Decision::Repair || outcome.reached == Reached::Interrupted,
        ..Scope::default()
    };
    say(match decision {
        Decision::Repair => "putting the profile and the boot loader back",
        _ => "going back to the system of before",
    });
    match go_back(engine, record, &scope) {
        Ok(back) => {
            outcome.undo = back.undo;
            outcome.done = match decision {
                Decision::Repair => Done::Repaired,
                _ => Done::WentBack,
            };
            if let Some(code) = back.switch_code {
                outcome.trouble = Some(format!(
                    "switching back ended with {code}: {}",
                    switch::meaning(code)
                ));
            }
        }
        Err(error) => {
            let now = pointers::observe(engine.layout, engine.profile, None)?.system;
            let profile_is_back = now.profile.as_ref().map(|p| &p.toplevel) == before;
            let runs_back = now.current == record.before.current;
            outcome.done = match (profile_is_back, runs_back) {
                (true, false) => Done::WentBackAtBoot,
                _ => Done::Stuck,
            };
            outcome.trouble = Some(error.to_string());
            say(&error.to_string());
        }
    }
    Ok(())
}

/// What going back came to.
struct Back {
    undo: Option<PointId>,
    switch_code: Option<i32>,
}

/// Brings the system of before back: that of the point, or without one the
/// system that ran.
fn go_back(engine: &Engine<'_>, record: &Switch, scope: &Scope) -> Result<Back, EngineError> {
    let point = record
        .point
        .map(|id| engine.select(&Selector::Prefix(id.hex())));
    let goal = match (point, &record.before.current) {
        (Some(Ok(point)), _) => Goal::Point(Box::new(point)),
        (_, Some(running)) => Goal::Toplevel(running.clone()),
        (Some(Err(error)), None) => return Err(error),
        (None, None) => return Err(EngineError::NoWay("no system ran before".to_owned())),
    };
    let plan: Plan = restore::plan_goal(engine, goal.clone(), scope)?;
    match restore::execute(engine, plan, VERB) {
        Ok(restored) => Ok(Back {
            undo: Some(restored.undo.id),
            switch_code: restored.switch_code,
        }),
        // A full disk is no reason to stay in a broken system.
        Err(error) if error.is_no_space() => Ok(Back {
            undo: None,
            switch_code: restore::execute_bare(engine, &restore::plan_goal(engine, goal, scope)?)?,
        }),
        Err(error) => Err(error),
    }
}
