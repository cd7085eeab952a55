//! After a switch: what came of it, whether the system is well, and the way
//! back when it is not.
//!
//! The watcher runs in a unit of its own, so that neither the end of the
//! session nor the switch itself takes it down. It waits for the switch to let
//! go of its lock, and never holds that lock itself. Killed, it is started
//! again and goes on from what the record says.

mod judged;

use std::io::ErrorKind;
use std::thread::{self, sleep};
use std::time::{Duration, Instant};

use super::{Engine, EngineError, back, confirm, marks, notify};
use crate::plan::gate::{self, Seen};
use crate::plan::notice;
use crate::point::PointId;
use crate::point::notice::Notice;
use crate::point::switch::{Action, Answer, Answered, Done, Outcome, Reached, Switch, Verdict};
use crate::system::{attempts, bus, known_good, pointers, switch, switches, units};

pub use super::back::VERB;
pub(super) use judged::take_back;
use judged::{Judged, judge};

/// How long to wait for systemd's word on how the switch ended.
const EXIT_PATIENCE: Duration = Duration::from_secs(2);

/// How long to wait for the record of the switch.
const RECORD_PATIENCE: Duration = Duration::from_secs(10);

/// Watches one switch to its end. `say` is told each step, in one line.
///
/// # Errors
/// When there is no such record, or its outcome cannot be stored.
pub fn watch(engine: &Engine<'_>, id: PointId, say: &dyn Fn(&str)) -> Result<Switch, EngineError> {
    if record_of(engine, id)?.tried.is_some() {
        // Whoever tries judges; this is for when that was killed.
        drop(switches::trying(engine.layout, Duration::MAX)?);
    }
    follow(engine, id, say)
}

/// As [`watch`], by whoever is in charge of it.
pub(super) fn follow(
    engine: &Engine<'_>,
    id: PointId,
    say: &dyn Fn(&str),
) -> Result<Switch, EngineError> {
    switch::wait_until_free(engine.layout, None)?;
    let record = record_of(engine, id)?;
    if !record.is_pending() {
        let after_boot = record.runs_later() && record.boot != switches::boot_id();
        return match after_boot && (record.is_unanswered() || record.answer.is_some()) {
            true => confirm::settle(engine, id, say),
            false => Ok(record),
        };
    }
    match record.judged {
        // The gate was through with it: what is left is the answer, or the way
        // back.
        Some(ref judged) if judged.verdict == Verdict::Good => confirm::settle(engine, id, say),
        Some(judged) => finish(engine, id, judged, say),
        None => judge_and_end(engine, &record, say),
    }
}

/// Judges a switch and ends it. Beside that somebody is asked to confirm it, if
/// that is needed: who is slow to hear of it holds nothing up.
fn judge_and_end(
    engine: &Engine<'_>,
    record: &Switch,
    say: &dyn Fn(&str),
) -> Result<Switch, EngineError> {
    thread::scope(|scope| {
        let mut asking = Vec::new();
        let ended = judge_to_end(engine, record, say, &mut |notice| {
            asking.push(scope.spawn(move || notify::tell(engine, &notice)));
        });
        let troubles = asking.into_iter().filter_map(|asked| asked.join().ok());
        troubles.flatten().for_each(|trouble| say(&trouble));
        ended
    })
}

fn judge_to_end(
    engine: &Engine<'_>,
    record: &Switch,
    say: &dyn Fn(&str),
    tell: &mut dyn FnMut(Notice),
) -> Result<Switch, EngineError> {
    let id = record.id;
    let seen = look(engine, record)?;
    let reached = match record.tried {
        Some(_) => Reached::Switched,
        None => gate::reached(record, &seen),
    };
    let runs = record.action.runs() && (engine.policy.gate.enable || record.tried.is_some());
    let judged = match reached {
        Reached::Switched if runs => {
            let record = confirm::ask(engine, record)?;
            if record.is_unanswered() {
                notice::asks(&record, engine.clock.now()).map(&mut *tell);
            }
            say(&format!(
                "{} runs; watching it for {}",
                record.to.name(),
                engine.policy.gate.window
            ));
            judge(engine, &record, seen.exit)?
        }
        Reached::Switched => Judged::none(),
        Reached::Refused => Judged::bad(refusal(engine, record, &seen)),
        Reached::Interrupted => Judged::bad("the switch was stopped half way".to_owned()),
        Reached::NeedsReboot => Judged {
            reasons: vec![format!("{}: it runs after a reboot", held_up(&seen))],
            ..Judged::none()
        },
        Reached::Superseded | Reached::CutOff => Judged::none(),
    };
    let reached = judged.reached.unwrap_or(reached);
    for reason in &judged.reasons {
        say(reason);
    }
    let outcome = Outcome {
        at: engine.clock.now(),
        reached,
        exit: seen
            .exit
            .or(record.tried.as_ref().and_then(|tried| tried.exit)),
        verdict: judged.verdict,
        reasons: judged.reasons,
        done: Done::Nothing,
        trouble: None,
        undo: None,
        warnings: Vec::new(),
    };
    if matches!(reached, Reached::Superseded | Reached::CutOff) {
        return finish(engine, id, outcome, say);
    }
    // Should this be killed now, the verdict stands.
    let (record, ()) = switches::change(engine.layout, id, |record| {
        record.judged = Some(outcome.clone());
    })?;
    if outcome.verdict == Verdict::Good && record.confirm.is_some() {
        return confirm::settle(engine, id, say);
    }
    finish(engine, id, outcome, say)
}

/// Ends the record of a switch: goes back if that is what it comes to, notes
/// what is good, and tells. Of two that would, the second finds it done.
///
/// # Errors
/// When the record cannot be read or written.
pub(super) fn finish(
    engine: &Engine<'_>,
    id: PointId,
    mut outcome: Outcome,
    say: &dyn Fn(&str),
) -> Result<Switch, EngineError> {
    let alone = switches::ending(engine.layout)?;
    let record = switches::by_id(engine.layout, id)?;
    if !record.is_pending() && !record.runs_later() {
        return Ok(record);
    }
    if engine.policy.gate.enable || record.tried.is_some() || record.answer.is_some() {
        back::act(engine, &record, &mut outcome, say)?;
    }
    if outcome.verdict == Verdict::Good
        && record.tried.is_none()
        && let Err(error) = known_good::mark(engine.layout, &record.to)
            .and_then(|()| attempts::clear(engine.layout))
    {
        outcome.trouble = Some(format!("it could not be marked known-good: {error}"));
    }
    // What ran and is bad is nothing to go back to, and whoever takes a switch
    // back says that it is not good, whoever said so before.
    let reverted = |answered: &Answered| answered.answer == Answer::Reverted;
    let failed = outcome.verdict == Verdict::Bad && outcome.reached == Reached::Switched;
    if record.tried.is_none()
        && (failed || record.answer.as_ref().is_some_and(reverted))
        && let Err(error) = marks::distrust(engine, &record.to, outcome.undo, &outcome.reasons)
    {
        outcome.trouble = Some(format!("it is still marked known-good: {error}"));
    }
    outcome.at = engine.clock.now();
    let (record, ()) = switches::change(engine.layout, id, |record| {
        record.judged = None;
        record.result = Some(outcome);
    })?;
    drop(alone);
    // Neither changes what came of this switch.
    let known = pointers::current(engine.layout)
        .map_or(Ok(()), |running| switches::know(engine.layout, &running));
    for error in [known, switches::trim(engine.layout)]
        .into_iter()
        .filter_map(Result::err)
    {
        say(&error.to_string());
    }
    if let Some(notice) = notice::of_switch(&record) {
        for trouble in notify::tell(engine, &notice) {
            say(&trouble);
        }
    }
    Ok(record)
}

/// The record of the switch. The hook starts the watcher before it writes it;
/// a hook that was called by hand holds no lock to wait for.
fn record_of(engine: &Engine<'_>, id: PointId) -> Result<Switch, EngineError> {
    let begun = Instant::now();
    loop {
        match switches::by_id(engine.layout, id) {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                if begun.elapsed() > RECORD_PATIENCE {
                    return Err(error.into());
                }
                sleep(Duration::from_millis(50));
            }
            other => return Ok(other?),
        }
    }
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
        bus_dead: !bus::listens(engine.layout),
    })
}

/// Why a system could only be made the boot default.
fn held_up(seen: &Seen) -> &'static str {
    if seen.bus_dead && !seen.init_differs && seen.exit != Some(100) {
        "nobody answers on D-Bus"
    } else {
        "the init interface differs"
    }
}

fn refusal(engine: &Engine<'_>, record: &Switch, seen: &Seen) -> String {
    let what = match back::inhibited(engine, record) {
        Some(why) if record.action != Action::Boot => {
            format!("a check before the switch failed: {why}")
        }
        _ => "a check before the switch or the boot loader failed".to_owned(),
    };
    match (&record.no_point, seen.exit) {
        (_, Some(code)) => format!("{what}: switch-to-configuration ended with {code}"),
        (Some(why), None) => format!("{what} (no restore point: {why})"),
        (None, None) => what,
    }
}
