//! What a switch came to, judged once.

use crate::engine::watch::{Before, Wellness, well};
use crate::engine::{Engine, EngineError, back, confirm, notify};
use crate::plan::notice;
use crate::point::switch::{Answer, Answered, Done, Outcome, Reached, Switch, Verdict};
use crate::system::{known_good, pointers, switches};

/// What the gate says, and why.
pub(super) struct Judged {
    pub(super) verdict: Verdict,
    pub(super) reasons: Vec<String>,
    /// Set when the switch turned out to have been overtaken.
    pub(super) reached: Option<Reached>,
}

impl Judged {
    pub(super) fn none() -> Self {
        Self {
            verdict: Verdict::None,
            reasons: Vec::new(),
            reached: None,
        }
    }

    pub(super) fn bad(reason: String) -> Self {
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
pub(super) fn judge(
    engine: &Engine<'_>,
    record: &Switch,
    exit: Option<i32>,
) -> Result<Judged, EngineError> {
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
pub(in crate::engine) fn take_back(
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
