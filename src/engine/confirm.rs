//! Switches that somebody has to confirm: asking, waiting, answering.
//!
//! The record of a switch holds the question, until when there is time, and
//! the answer. The first answer counts: whoever confirms, takes back or finds
//! the time over writes it under one lock, so none of the three undoes another.

use std::thread::sleep;
use std::time::{Duration, Instant};

use super::{Engine, EngineError, gate};
use crate::plan::confirm::{self, left};
use crate::point::PointId;
use crate::point::switch::{Action, Answer, Answered, Done, Outcome, Reached, Switch, Verdict};
use crate::system::clock::since_boot;
use crate::system::{pointers, switch, switches};

/// How often the record is looked at while an answer is awaited.
const BEAT: Duration = Duration::from_millis(200);

/// How long the watcher has to act on an answer before whoever answered does
/// it: it lives longer than a session.
const WATCHER: Duration = Duration::from_secs(3);

/// Asks for the confirmation of a switch that needs one: from now on there is
/// only so much time. Asked again, it is no longer.
pub(super) fn ask(engine: &Engine<'_>, record: &Switch) -> Result<Switch, EngineError> {
    if record.confirm.is_none() {
        return Ok(record.clone());
    }
    let now = engine.clock.now();
    let (record, ()) = switches::change(engine.layout, record.id, |record| {
        if let Some(confirm) = &mut record.confirm {
            *confirm = confirm::asked(confirm, now, since_boot());
        }
    })?;
    Ok(record)
}

/// Whether a switch is to be taken back without waiting for its verdict, and
/// why. Time that is over is an answer, and written down.
pub(super) fn taken_back(engine: &Engine<'_>, id: PointId) -> Result<Option<Answer>, EngineError> {
    let record = switches::by_id(engine.layout, id)?;
    let answer = match &record.answer {
        Some(answered) => Some(answered.answer),
        None if is_over(engine, &record) => Some(answer(engine, &record, Answer::TimedOut)?),
        None => None,
    };
    Ok(answer.filter(|answer| *answer != Answer::Confirmed))
}

fn is_over(engine: &Engine<'_>, record: &Switch) -> bool {
    record
        .confirm
        .as_ref()
        .and_then(|confirm| left(confirm, engine.clock.now(), &since_boot()))
        .is_some_and(|left| left.is_zero())
}

/// Gives an answer, to all open switches to the same system: deployers make
/// several for one change. Gives the one that counts, which may be an earlier
/// one.
fn answer(engine: &Engine<'_>, record: &Switch, wanted: Answer) -> Result<Answer, EngineError> {
    let at = engine.clock.now();
    let put = |record: &mut Switch| {
        let given = Answered { answer: wanted, at };
        record.answer.get_or_insert(given).answer
    };
    let (_, counts) = switches::change(engine.layout, record.id, put)?;
    let (records, _) = switches::read(engine.layout)?;
    let same =
        |other: &&Switch| other.id != record.id && other.to == record.to && other.is_unanswered();
    for other in records.iter().filter(same) {
        switches::change(engine.layout, other.id, |other| {
            other.answer.get_or_insert(Answered { answer: counts, at });
        })?;
    }
    Ok(counts)
}

/// Waits for the answer to a switch that passed its gate, and ends it. The
/// switch of another system ends the wait as well.
pub(super) fn settle(
    engine: &Engine<'_>,
    id: PointId,
    say: &dyn Fn(&str),
) -> Result<Switch, EngineError> {
    let record = ask(engine, &switches::by_id(engine.layout, id)?)?;
    let told = record.judged.clone().or_else(|| record.result.clone());
    let Some(told) = told else {
        return Ok(record);
    };
    let mut outcome = Outcome {
        reached: Reached::Switched,
        done: Done::Nothing,
        ..told
    };
    if let Some(until) = record.confirm.as_ref().and_then(|confirm| confirm.until)
        && record.answer.is_none()
    {
        say(&format!(
            "{} is well so far; it is taken back at {} unless `cairn confirm` comes first",
            record.to.name(),
            until.format("%H:%M:%S UTC")
        ));
    }
    let answer = loop {
        let record = switches::by_id(engine.layout, id)?;
        if !record.is_pending() && !record.runs_later() {
            return Ok(record);
        }
        if let Some(answered) = &record.answer {
            break answered.answer;
        }
        // While another switch is under way, what runs is not settled.
        if switch::wait_until_free(engine.layout, Some(Duration::ZERO))? {
            if pointers::current(engine.layout).as_ref() != Some(&record.to) {
                outcome.reached = Reached::Superseded;
                outcome.verdict = Verdict::None;
                return gate::finish(engine, id, outcome, say);
            }
            if is_over(engine, &record) {
                break self::answer(engine, &record, Answer::TimedOut)?;
            }
        }
        sleep(BEAT);
    };
    outcome.verdict = match answer {
        Answer::Confirmed => Verdict::Good,
        Answer::Reverted | Answer::TimedOut => Verdict::Bad,
    };
    if answer == Answer::Confirmed {
        say("it was confirmed");
    } else {
        let timeout = record.confirm.as_ref().map(|confirm| confirm.timeout);
        let reason = confirm::reason(answer, timeout);
        say(&reason);
        outcome.reasons.push(reason);
    }
    gate::finish(engine, id, outcome, say)
}

/// What an answer came to.
#[derive(Debug)]
pub struct Given {
    /// The switch as it is now.
    pub switch: Switch,
    /// Whether it had this answer already.
    pub before: bool,
}

/// Confirms a switch: by the start of its id or of its restore point's, else
/// the one that awaits it.
///
/// # Errors
/// When none does; when it is too late; when the record cannot be changed.
pub fn confirm(
    engine: &Engine<'_>,
    id: Option<&str>,
    say: &dyn Fn(&str),
) -> Result<Given, EngineError> {
    let (records, _) = switches::read(engine.layout)?;
    let boot = switches::boot_id();
    let record = match id {
        Some(_) => confirm::meant(&records, id).map_err(EngineError::Unanswerable)?,
        None => confirm::open(&records, &boot)
            // The one that was just answered, so that it can be told what.
            .or_else(|| records.iter().rev().find(|s| s.confirm.is_some()))
            .ok_or_else(|| {
                EngineError::Unanswerable("no switch awaits a confirmation".to_owned())
            })?,
    };
    let name = record.to.name();
    if record.confirm.is_none() {
        let why = format!("the switch to {name} needs no confirmation");
        return Err(EngineError::Unanswerable(why));
    }
    if let Some(answered) = &record.answer {
        return already(record, answered.answer);
    }
    if !record.is_unanswered() {
        let why = format!("the switch to {name} has ended, and awaits no confirmation");
        return Err(EngineError::Unanswerable(why));
    }
    if record.runs_later() && record.boot == boot {
        let why = format!("{name} runs after a reboot, and is confirmed then");
        return Err(EngineError::Unanswerable(why));
    }
    let waits = record.judged.is_some() || record.runs_later();
    // Where nobody watches any more, this finds out that it is too late.
    let left = (record.confirm.as_ref())
        .and_then(|asked| confirm::left(asked, engine.clock.now(), &since_boot()));
    let given = match left.is_some_and(|left| left.is_zero()) {
        true => Answer::TimedOut,
        false => Answer::Confirmed,
    };
    let counts = answer(engine, record, given)?;
    if counts != Answer::Confirmed {
        if counts == Answer::TimedOut && waits {
            ended(engine, record.id, say)?;
        }
        return already(record, counts);
    }
    Ok(Given {
        switch: match waits {
            true => ended(engine, record.id, say)?,
            // Its gate is still at work, and knows by its end.
            false => switches::by_id(engine.layout, record.id)?,
        },
        before: false,
    })
}

fn already(record: &Switch, answer: Answer) -> Result<Given, EngineError> {
    if answer == Answer::Confirmed {
        return Ok(Given {
            switch: record.clone(),
            before: true,
        });
    }
    let timeout = record.confirm.as_ref().map(|confirm| confirm.timeout);
    Err(EngineError::TooLate {
        system: record.to.clone(),
        why: confirm::reason(answer, timeout),
    })
}

/// Takes a switch back now: by the start of its id or of its restore point's,
/// else the newest that stands. One that is awaited or watched is taken back
/// by its watcher, which outlives sessions.
///
/// # Errors
/// When there is none; when it is being taken back already; when the record
/// cannot be changed.
pub fn revert(
    engine: &Engine<'_>,
    id: Option<&str>,
    say: &dyn Fn(&str),
) -> Result<Given, EngineError> {
    let record = to_revert(engine, id)?;
    let after_boot = record.runs_later() && record.boot != switches::boot_id();
    let is_open = record.is_pending() || (after_boot && record.is_unanswered());
    if !is_open {
        let switch = gate::take_back(engine, &record, say)?;
        return Ok(Given {
            switch,
            before: false,
        });
    }
    let counts = answer(engine, &record, Answer::Reverted)?;
    if counts == Answer::Confirmed {
        // It stays until its watcher has ended it; then it can go.
        let record = ended(engine, record.id, say)?;
        let switch = gate::take_back(engine, &record, say)?;
        return Ok(Given {
            switch,
            before: false,
        });
    }
    Ok(Given {
        switch: ended(engine, record.id, say)?,
        before: counts == Answer::TimedOut,
    })
}

/// The switch that [`revert`] would take back.
///
/// # Errors
/// When there is none.
pub fn to_revert(engine: &Engine<'_>, id: Option<&str>) -> Result<Switch, EngineError> {
    let (records, _) = switches::read(engine.layout)?;
    let meant = confirm::meant(&records, id).map_err(EngineError::Unanswerable)?;
    if meant.action == Action::Unknown {
        let why = format!(
            "{} was switched to behind cairn's back, without a restore point",
            meant.to.name()
        );
        return Err(EngineError::Unanswerable(why));
    }
    Ok(meant.clone())
}

/// The switch when it has ended: by its watcher, or without one by us.
fn ended(engine: &Engine<'_>, id: PointId, say: &dyn Fn(&str)) -> Result<Switch, EngineError> {
    let begun = Instant::now();
    while engine.layout.is_live() && begun.elapsed() < WATCHER {
        let record = switches::by_id(engine.layout, id)?;
        if !record.is_pending() && !record.runs_later() {
            return Ok(record);
        }
        sleep(BEAT / 2);
    }
    gate::follow(engine, id, say)
}
