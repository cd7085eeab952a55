//! The points as a prune sees them, and which of them are needed.

use super::IMPORTED;
use crate::engine::{Engine, EngineError};
use crate::plan::prune::{Item, Protection};
use crate::point::{Marks, Point, PointId, Switch};
use crate::system::points::Catalogue;
use crate::system::{healing, journal, loader, pointers, switches};

pub(super) fn items(engine: &Engine<'_>, catalogue: &Catalogue) -> Result<Vec<Item>, EngineError> {
    let all = &catalogue.points;
    let machine = pointers::machine_id(engine.layout);
    let ours = || {
        let ours = |(p, _): &&(Point, Marks)| !p.is_foreign(machine.as_deref());
        all.iter().rev().filter(ours)
    };
    let latest_good = ours().find(|(p, m)| p.is_good(m)).map(|(p, _)| p.id);
    let mut needed = needed_by_journal(engine)?;
    needed.extend(needed_by_gates(engine)?);
    let newest_of = |wanted: Option<crate::nix::store_path::StorePath>| {
        wanted.and_then(|w| {
            ours()
                .map(|(p, _)| p)
                .find(|p| p.system.current.as_ref() == Some(&w))
        })
    };
    let holders = [
        (
            newest_of(pointers::booted(engine.layout)),
            Protection::Booted,
        ),
        (
            newest_of(pointers::current(engine.layout)),
            Protection::Current,
        ),
        (
            newest_of(loader::default(engine.layout)),
            Protection::Default,
        ),
        (newest_of(loader::once(engine.layout)), Protection::NextBoot),
    ];
    // Restores must not push out the last point that somebody meant to take.
    let newest_meant = ours()
        .find(|(p, _)| p.trigger.is_meant())
        .map(|(p, _)| p.id);
    let item = |(point, marks): &(Point, Marks)| {
        let mut protected = Vec::new();
        if newest_meant == Some(point.id) {
            protected.push(Protection::NewestMeant);
        }
        if marks.is_pinned() {
            protected.push(Protection::Pinned);
        }
        if latest_good == Some(point.id) {
            protected.push(Protection::LatestGood);
        }
        if needed.contains(&point.id) {
            protected.push(Protection::Running);
        }
        protected.extend(
            holders
                .iter()
                .filter(|(p, _)| p.is_some_and(|p| p.id == point.id))
                .map(|(_, why)| *why),
        );
        if all.len() == 1 {
            protected.push(Protection::OnlyPoint);
        }
        Item {
            key: point.id.to_string(),
            created: point.created,
            tags: point.tags.clone(),
            trigger: match &point.imported {
                Some(_) => IMPORTED.to_owned(),
                None => point.trigger.to_string(),
            },
            protected,
            pair: None,
            bytes: None,
        }
    };
    Ok(all.iter().map(item).collect())
}

/// Points that a switch or a try goes back to that is not yet judged or
/// confirmed, and those that healing goes back to if what it does is of no help.
fn needed_by_gates(engine: &Engine<'_>) -> Result<Vec<PointId>, EngineError> {
    let (switches, _) = switches::read(engine.layout)?;
    let open = |s: &Switch| s.is_pending() || s.is_unanswered();
    let open = switches.into_iter().filter(open);
    let mut ids: Vec<PointId> = open.filter_map(|s| s.point).collect();
    // Damage of the book is told by healing.
    let (book, _) = healing::read(engine.layout)?;
    ids.extend(book.open.and_then(|open| open.point));
    Ok(ids)
}

/// Points an unfinished restore needs, and the undo point of the last one.
fn needed_by_journal(engine: &Engine<'_>) -> Result<Vec<PointId>, EngineError> {
    let entries = journal::read(engine.layout)?;
    let running = entries
        .iter()
        .filter(|e| e.state == journal::State::Running);
    let last = entries
        .iter()
        .rev()
        .find(|e| e.state == journal::State::Done);
    let mut ids = Vec::new();
    for entry in running {
        ids.push(entry.undo_point);
        if let journal::Goal::Point(id) = entry.goal {
            ids.push(id);
        }
    }
    ids.extend(last.map(|e| e.undo_point));
    ids.extend(
        entries
            .last()
            .into_iter()
            .flat_map(|e| e.kept.iter().copied()),
    );
    Ok(ids)
}
