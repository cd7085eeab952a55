//! After a switch: what came of it, whether the system is well, and the way
//! back when it is not.
//!
//! The watcher runs in a unit of its own, so that neither the end of the
//! session nor the switch itself takes it down. It waits for the switch to let
//! go of its lock, and never holds that lock itself.

use std::io::ErrorKind;
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::restore::{self, Goal, Plan};
use super::watch::{Before, Wellness, well};
use super::{Engine, EngineError};
use crate::plan::gate::{self, Case, Decision, Seen};
use crate::point::switch::{Action, Done, Outcome, Reached, Switch, Verdict};
use crate::point::{PointId, Selector};
use crate::system::journal::{Activation, Scope};
use crate::system::{attempts, bus, known_good, pointers, switch, switches, units};

/// The verb a rollback by the gate has in the journal.
pub const VERB: &str = "rollback by the gate";

/// How long to wait for systemd's word on how the switch ended.
const EXIT_PATIENCE: Duration = Duration::from_secs(2);

/// How long to wait for the record of the switch.
const RECORD_PATIENCE: Duration = Duration::from_secs(10);

/// Watches one switch to its end. `say` is told each step, in one line.
///
/// # Errors
/// When there is no such record, or its outcome cannot be stored.
pub fn watch(engine: &Engine<'_>, id: PointId, say: &dyn Fn(&str)) -> Result<Switch, EngineError> {
    switch::wait_until_free(engine.layout, None)?;
    let mut record = record_of(engine, id)?;
    if !record.is_pending() {
        return Ok(record);
    }
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
            reasons: vec![format!("{}: it runs after a reboot", held_up(&seen))],
            ..Judged::none()
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
        warnings: Vec::new(),
    };
    if engine.policy.gate.enable {
        act(engine, &record, &mut outcome, say)?;
    }
    if outcome.verdict == Verdict::Good
        && let Err(error) = known_good::mark(engine.layout, &record.to)
            .and_then(|()| attempts::clear(engine.layout))
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
        switch: Some(record.started),
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
            for warning in &back.warnings {
                say(warning);
            }
            outcome.warnings = back.warnings;
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
            // Where it cannot be read, the profile is all there is to go by.
            let loader_is_back = now.loader_default.is_none()
                || now.loader_default.as_ref() == before
                || now.loader_default == record.before.loader_default;
            let runs_back = now.current == record.before.current;
            outcome.done = match profile_is_back && loader_is_back && !runs_back {
                true => Done::WentBackAtBoot,
                false => Done::Stuck,
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
    warnings: Vec<String>,
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
    let warnings = plan.warnings.clone();
    match restore::execute(engine, plan, VERB) {
        Ok(restored) => Ok(Back {
            undo: Some(restored.undo.id),
            switch_code: restored.switch_code,
            warnings,
        }),
        // Neither a full disk nor a long capture is a reason to stay in a broken
        // system; no file is touched.
        Err(error) if error.is_no_space() || error.is_kept_out() => Ok(Back {
            undo: None,
            switch_code: restore::execute_bare(engine, &restore::plan_goal(engine, goal, scope)?)?,
            warnings,
        }),
        Err(error) => Err(error),
    }
}
