//! What switches did, and those that went by unseen.

use std::collections::BTreeMap;

use super::{Engine, EngineError};
use crate::point::document::System;
use crate::point::switch::{Action, Done, Outcome, Reached, Switch, VERSION, Verdict};
use crate::system::lock::Mode;
use crate::system::{pointers, switches};

/// The records, newest first, and one line for each that cannot be read.
///
/// # Errors
/// When they cannot be listed.
pub fn history(engine: &Engine<'_>) -> Result<(Vec<Switch>, Vec<String>), EngineError> {
    let (mut switches, damaged) = switches::read(engine.layout)?;
    switches.reverse();
    Ok((switches, damaged))
}

/// A switch that took no restore point, if what runs was switched to behind
/// cairn's back (`NIXOS_NO_CHECK=1`): told, and not yet written down.
pub fn gap(engine: &Engine<'_>, records: &[Switch]) -> Option<Switch> {
    let known = switches::known(engine.layout)?;
    let boot = switches::boot_id();
    let running = pointers::current(engine.layout)?;
    // Another boot starts what the loader says: that is for the boot's look.
    if known.boot != boot || known.toplevel == running {
        return None;
    }
    // What the command of a try switches to is known at its end.
    let seen = records
        .iter()
        .rev()
        .any(|s| s.is_pending() && s.boot == boot && (s.to == running || s.is_trying()));
    if seen {
        return None;
    }
    let now = engine.clock.now();
    Some(Switch {
        version: VERSION,
        id: engine.clock.new_id(now),
        started: now,
        action: Action::Unknown,
        to: running,
        before: System {
            current: Some(known.toplevel),
            ..System::default()
        },
        point: None,
        no_point: Some(
            "the checks before the switch did not run (NIXOS_NO_CHECK=1, or another tool)"
                .to_owned(),
        ),
        ailing: Vec::new(),
        health: BTreeMap::new(),
        boot,
        unit: None,
        risk: None,
        confirm: None,
        revision: 0,
        answer: None,
        judged: None,
        tried: None,
        result: Some(Outcome {
            at: now,
            reached: Reached::Switched,
            exit: None,
            verdict: Verdict::None,
            reasons: Vec::new(),
            done: Done::Nothing,
            trouble: None,
            undo: None,
            warnings: Vec::new(),
        }),
    })
}

/// Writes down a switch that nobody saw, if there was one, and what runs now.
///
/// # Errors
/// When the records cannot be read or written.
pub fn notice(engine: &Engine<'_>) -> Result<Option<Switch>, EngineError> {
    let (records, _) = switches::read(engine.layout)?;
    notice_in(engine, &records)
}

/// As [`notice`], after every restore of our own has ended and noted what it
/// made run.
///
/// # Errors
/// As [`notice`]; when the lock is not had.
pub fn notice_alone(engine: &Engine<'_>) -> Result<Option<Switch>, EngineError> {
    let _lock = engine.lock(Mode::Shared)?;
    notice(engine)
}

/// As [`notice`], with the records at hand.
pub(super) fn notice_in(
    engine: &Engine<'_>,
    records: &[Switch],
) -> Result<Option<Switch>, EngineError> {
    let gap = gap(engine, records);
    if let Some(gap) = &gap {
        switches::store(engine.layout, gap)?;
    }
    if let Some(running) = pointers::current(engine.layout) {
        let watched = records
            .iter()
            .any(|s| s.is_pending() && s.boot == switches::boot_id());
        // While a switch is watched, what runs is not settled.
        if !watched {
            switches::know(engine.layout, &running)?;
        }
    }
    Ok(gap)
}
