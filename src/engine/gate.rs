//! After a switch: what came of it, whether the system is well, and the way
//! back when it is not.
//!
//! The watcher runs in a unit of its own, so that neither the end of the
//! session nor the switch itself takes it down. It waits for the switch to let
//! go of its lock, and never holds that lock itself. Killed, it is started
//! again and goes on from what the record says.

use std::io::ErrorKind;
use std::thread::{self, sleep};
use std::time::{Duration, Instant};

use super::watch::{Before, Wellness, well};
use super::{Engine, EngineError, back, confirm, marks, notify};
use crate::plan::gate::{self, Seen};
use crate::plan::notice;
use crate::point::PointId;
use crate::point::notice::Notice;
use crate::point::switch::{Action, Answer, Answered, Done, Outcome, Reached, Switch, Verdict};
use crate::system::{attempts, bus, known_good, pointers, switch, switches, units};

pub use super::back::VERB;

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
/// checks are asked at its end. An answer that takes the switch back ends it
/// too, and so does the end of the time there is to confirm it.
fn judge(engine: &Engine<'_>, record: &Switch, exit: Option<i32>) -> Result<Judged, EngineError> {
    if exit == Some(2) {
        return Ok(Judged::bad("the activation script failed".to_owned()));
    }
    if let Some(tried) = &record.tried {
        match tried.exit {
            None => return Ok(Judged::bad("cairn try was killed".to_owned())),
            Some(code) if code != 0 && !tried.may_fail => {
                return Ok(Judged::bad(format!("the command ended with {code}")));
            }
            Some(_) => {}
        }
    }
    let overtaken = || {
        if confirm::taken_back(engine, record.id)?.is_some() {
            return Ok(true);
        }
        let (records, _) = switches::read(engine.layout)?;
        let newer = records
            .iter()
            .any(|s| s.id > record.id && s.to != record.to);
        Ok::<_, EngineError>(newer)
    };
    let before = Before {
        ailing: &record.ailing,
        health: Some(&record.health),
        switch: Some(record.started),
    };
    let judged = well(engine, &before, &overtaken)?;
    if let Some(answer) = confirm::taken_back(engine, record.id)? {
        let timeout = record.confirm.as_ref().map(|confirm| confirm.timeout);
        return Ok(Judged::bad(crate::plan::confirm::reason(answer, timeout)));
    }
    Ok(match judged {
        Wellness::Overtaken => Judged {
            reached: Some(Reached::Superseded),
            ..Judged::none()
        },
        Wellness::Judged { bad, notes } if bad.is_empty() => Judged {
            verdict: Verdict::Good,
            reasons: notes,
            reached: None,
        },
        Wellness::Judged { mut bad, notes } => {
            bad.extend(notes);
            Judged {
                verdict: Verdict::Bad,
                reasons: bad,
                reached: None,
            }
        }
    })
}

/// Takes back a switch that has ended already, because somebody says so.
///
/// # Errors
/// When it does not run any more; when its record cannot be read or written.
pub(super) fn take_back(
    engine: &Engine<'_>,
    record: &Switch,
    say: &dyn Fn(&str),
) -> Result<Switch, EngineError> {
    let alone = switches::ending(engine.layout)?;
    let record = switches::by_id(engine.layout, record.id)?;
    let now = pointers::observe(engine.layout, engine.profile, None)?.system;
    let runs = now.current.as_ref() == Some(&record.to);
    let boots = now.boot_target() == Some(&record.to);
    if !record.is_left() || !(runs || boots) {
        let why = format!(
            "{} neither runs nor boots: there is nothing to take back",
            record.to.name()
        );
        return Err(EngineError::Unanswerable(why));
    }
    let mut outcome = Outcome {
        at: engine.clock.now(),
        reached: Reached::Switched,
        exit: record.result.as_ref().and_then(|result| result.exit),
        verdict: Verdict::Bad,
        reasons: vec![crate::plan::confirm::reason(Answer::Reverted, None)],
        done: Done::Nothing,
        trouble: None,
        undo: None,
        warnings: Vec::new(),
    };
    let at = engine.clock.now();
    let answer = Answered {
        answer: Answer::Reverted,
        at,
    };
    let asked = Switch {
        answer: Some(answer.clone()),
        ..record
    };
    back::act(engine, &asked, &mut outcome, say)?;
    if outcome.done == Done::Nothing {
        let why = outcome.trouble.unwrap_or_default();
        return Err(EngineError::Unanswerable(why));
    }
    known_good::unmark(engine.layout, &asked.to)?;
    outcome.at = engine.clock.now();
    let (record, ()) = switches::change(engine.layout, asked.id, |record| {
        record.answer.get_or_insert(answer);
        record.result = Some(outcome);
    })?;
    drop(alone);
    if let Some(notice) = notice::of_switch(&record) {
        for trouble in notify::tell(engine, &notice) {
            say(&trouble);
        }
    }
    Ok(record)
}
