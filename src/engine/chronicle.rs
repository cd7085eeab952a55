//! What happened, in the history. Points, switches and restores are indexed
//! from their own files; all else is noted when it happens.

use std::time::Duration;

use serde_json::json;

use super::boot::Booted;
use super::{Engine, EngineError};
use crate::learn::Knowledge;
use crate::plan::change;
use crate::point::event::{Event, Item, Kind};
use crate::point::switch::Verdict;
use crate::point::{Point, Switch};
use crate::system::history::{Ask, Chronicle, History, Kept, Memory};
use crate::system::journal::{Entry, Goal, State};
use crate::system::{journal, side, switches};

/// How long the store may take to say what a switch changed; nobody waits.
const PATIENCE: Duration = Duration::from_secs(10);

/// Events, newest first, and what is worth knowing, one line each. Without a
/// history that can be used, what has files of its own is listed.
///
/// # Errors
/// When those cannot be read either.
pub fn events(engine: &Engine<'_>, ask: &Ask) -> Result<(Vec<Event>, Vec<String>), EngineError> {
    let (items, mut notes) = indexed(engine)?;
    let read = Chronicle::new(engine.layout).work(engine.clock.now(), |db| {
        db.put(&items)?;
        db.events(ask)
    });
    match read {
        Ok((events, more)) => {
            notes.extend(more);
            Ok((events, notes))
        }
        Err(error) => {
            notes.push(format!("{error}: boots and healing are not listed"));
            let memory = Memory::default();
            memory.put(&items)?;
            Ok((memory.events(ask)?, notes))
        }
    }
}

/// Indexes what has files of its own: before some of them are removed, and
/// whenever the history is read. Gives what is worth knowing, one line each.
pub fn index(engine: &Engine<'_>) -> Vec<String> {
    match indexed(engine) {
        Ok((items, mut notes)) => {
            notes.extend(keep(engine, &items));
            notes
        }
        Err(error) => vec![error.to_string()],
    }
}

/// Notes what came of a switch, and what it changed.
pub fn note_switch(engine: &Engine<'_>, switch: &Switch) -> Vec<String> {
    let mut items = vec![Item::Switch(Box::new(switch.clone()))];
    let before = switch.before.current.as_ref();
    if let Some(before) = before.filter(|_| switch.verdict() != Verdict::None) {
        let (old, new) = side::both(engine.layout, before, &switch.to, PATIENCE);
        items.push(Item::Traits {
            switch: switch.id,
            traits: change::compare(&old, &new).traits,
        });
    }
    keep(engine, &items)
}

/// Notes a boot.
pub fn note_boot(engine: &Engine<'_>, booted: &Booted) -> Vec<String> {
    let good = match booted.verdict {
        Some(Verdict::Good) => Some(true),
        Some(Verdict::Bad) => Some(false),
        _ => None,
    };
    let reasons = booted.reasons.join(", ");
    let what = match (good, &booted.fell_back) {
        (_, Some(switch)) => format!("the boot loader fell back from {}", switch.to.name()),
        (Some(true), _) => "the machine booted and is well".to_owned(),
        (Some(false), _) => format!("the machine booted and is not well: {reasons}"),
        (None, _) => "the machine booted".to_owned(),
    };
    let boot = switches::boot_id();
    let mut items = vec![Item::Event(Event {
        id: format!("boot/{boot}"),
        at: engine.clock.now(),
        kind: Kind::Boot,
        what,
        good,
        data: json!({ "boot": boot, "reasons": booted.reasons, "done": booted.done }),
    })];
    let switches = booted.ended.iter().chain(&booted.fell_back);
    items.extend(switches.map(|switch| Item::Switch(Box::new(switch.clone()))));
    keep(engine, &items)
}

/// Keeps items, whatever is in the way; gives what is worth knowing.
pub fn keep(engine: &Engine<'_>, items: &[Item]) -> Vec<String> {
    let (kept, mut notes) = Chronicle::new(engine.layout).keep(items, engine.clock.now());
    match kept {
        Kept::Stored => {}
        Kept::Queued(why) => notes.push(format!("the history is written later: {why}")),
        Kept::Dropped(why) => notes.push(format!("the history lacks this: {why}")),
    }
    notes
}

/// What was learned so far; nothing where the history cannot be read at once,
/// for the priors answer as well.
pub fn knowledge(engine: &Engine<'_>) -> Knowledge {
    Chronicle::new(engine.layout)
        .glance(|db| db.knowledge())
        .unwrap_or_default()
}

fn indexed(engine: &Engine<'_>) -> Result<(Vec<Item>, Vec<String>), EngineError> {
    let (records, mut notes) = switches::read(engine.layout)?;
    let mut items: Vec<Item> = records
        .into_iter()
        .map(|switch| Item::Switch(Box::new(switch)))
        .collect();
    let catalogue = engine.catalogue()?;
    items.extend(catalogue.points.iter().map(|(point, _)| of_point(point)));
    match journal::read(engine.layout) {
        Ok(entries) => items.extend(entries.iter().map(of_restore)),
        Err(error) => notes.push(error.to_string()),
    }
    Ok((items, notes))
}

fn of_point(point: &Point) -> Item {
    let whole = point.is_complete();
    Item::Event(Event {
        id: point.id.to_string(),
        at: point.created,
        kind: Kind::Point,
        what: point.reason.clone(),
        good: Some(whole),
        data: json!({
            "trigger": point.trigger,
            "system": point.system.profile.as_ref().map(|p| &p.toplevel),
            "imported": point.imported.is_some(),
        }),
    })
}

fn of_restore(entry: &Entry) -> Item {
    let goal = match &entry.goal {
        Goal::Point(id) => id.short_among([]),
        Goal::Toplevel(path) => path.name().to_owned(),
    };
    let (state, good) = match entry.state {
        State::Running => ("unfinished", None),
        State::Done => ("done", Some(true)),
        State::Aborted => ("taken back", Some(false)),
    };
    Item::Event(Event {
        id: entry.id.to_string(),
        at: entry.started,
        kind: Kind::Restore,
        what: format!("{} to {goal}: {state}", entry.verb),
        good,
        data: json!({ "verb": entry.verb, "undoPoint": entry.undo_point, "state": entry.state }),
    })
}
