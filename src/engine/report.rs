//! Gathering what a page about the machine tells. Nothing is changed by it but
//! the history's index.

use chrono::TimeDelta;

use super::{Engine, EngineError, chronicle, generations, status};
use crate::nix::closure::{self, ClosureDiff, ClosureEntry};
use crate::plan::report::{EventLine, GenerationLine, PointLine, Report};
use crate::point::{Marks, Point};
use crate::system::history::{Ask, Chronicle, History};
use crate::system::{remotes, store};

/// So many events are told, the newest.
const EVENTS: usize = 400;
/// So many points.
const POINTS: usize = 100;
/// So many generations.
const GENERATIONS: usize = 20;
/// So many changes of each generation.
const CHANGES: usize = 25;
/// Health is told for so many days.
const DAYS: i64 = 90;

/// All that a page tells.
///
/// # Errors
/// When the state directory or the profile cannot be read.
pub fn report(engine: &Engine<'_>) -> Result<Report, EngineError> {
    let now = engine.clock.now();
    let seen = status::status(engine)?;
    let asked = Ask {
        kinds: Vec::new(),
        last: Some(EVENTS),
    };
    let (events, mut notes) = chronicle::events(engine, &asked)?;
    notes.extend(seen.notes.iter().cloned());
    let mut events: Vec<EventLine> = events
        .into_iter()
        .map(|event| EventLine {
            at: event.at,
            kind: event.kind,
            what: event.what,
            good: event.good,
        })
        .collect();
    events.sort_by_key(|event| event.at);
    let since = now - TimeDelta::days(DAYS);
    let scores = Chronicle::new(engine.layout)
        .glance(|db| db.readings("score", since))
        .unwrap_or_default();
    let mut scores: Vec<_> = scores.into_iter().map(|r| (r.at, r.mean)).collect();
    scores.sort_by_key(|(at, _)| *at);
    let catalogue = engine.catalogue()?.points;
    let surplus = catalogue.len().saturating_sub(POINTS);
    Ok(Report {
        host: seen.host.clone(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        at: now,
        score: seen.health.score,
        healthy: seen.health.healthy,
        issues: seen.health.issues.iter().map(ToString::to_string).collect(),
        notes,
        points: catalogue.iter().skip(surplus).map(point).collect(),
        generations: generation_lines(engine)?,
        events,
        scores,
        vault_bytes: seen.vault_bytes,
        remotes: engine
            .policy
            .remotes
            .keys()
            .map(|name| {
                let record = remotes::read(engine.layout, name).unwrap_or_default();
                (name.clone(), record.newest)
            })
            .collect(),
    })
}

fn point((point, marks): &(Point, Marks)) -> PointLine {
    let said = [
        (marks.is_pinned(), "pinned"),
        (point.is_good(marks), "good"),
        (marks.is_bad(), "bad"),
        (point.imported.is_some(), "imported"),
    ];
    let mut holds = Vec::new();
    if point.system.target().is_some() {
        holds.push("system".to_owned());
    }
    if point.config.is_some() {
        holds.push("configuration".to_owned());
    }
    holds.extend(point.state.keys().map(|set| format!("state {set}")));
    PointLine {
        id: point.id.short_among([]),
        at: point.created,
        reason: point.reason.clone(),
        trigger: point.trigger.to_string(),
        holds: holds.join(", "),
        marks: said
            .into_iter()
            .filter_map(|(is, word)| is.then_some(word))
            .collect(),
        whole: point.is_complete(),
    }
}

fn generation_lines(engine: &Engine<'_>) -> Result<Vec<GenerationLine>, EngineError> {
    let rows = generations::list(engine)?.rows;
    let skip = rows.len().saturating_sub(GENERATIONS);
    let mut before: Option<Vec<ClosureEntry>> = None;
    let mut lines = Vec::new();
    for row in rows.into_iter().skip(skip) {
        let closure = store::closure(engine.layout, engine.runner, &row.toplevel).ok();
        let changes = match (&before, &closure) {
            (Some(old), Some(new)) => words(&closure::diff(old, new)),
            _ => Vec::new(),
        };
        let is = [
            (row.current, "current"),
            (row.running, "running"),
            (row.booted, "booted"),
        ];
        lines.push(GenerationLine {
            number: row.generation,
            at: row.date,
            nixos: row.nixos_version,
            kernel: row.kernel_version,
            bytes: closure.as_ref().map(|c| c.iter().map(|e| e.nar_size).sum()),
            is: is
                .into_iter()
                .filter_map(|(is, word)| is.then_some(word))
                .collect(),
            more: changes.len().saturating_sub(CHANGES),
            changes: changes.into_iter().take(CHANGES).collect(),
        });
        before = closure;
    }
    Ok(lines)
}

/// What differs between two systems.
fn words(diff: &ClosureDiff) -> Vec<(char, String)> {
    let named = |name: &str, versions: &[String]| {
        format!("{name} {}", versions.join(", ")).trim().to_owned()
    };
    let changed = diff.changed.iter().map(|c| {
        let (old, new) = (c.old_versions.join(", "), c.new_versions.join(", "));
        let text = match old == new {
            true => format!("{} {new}, rebuilt", c.name),
            false => format!("{} {old} → {new}", c.name),
        };
        ('~', text)
    });
    let added = diff
        .added
        .iter()
        .map(|p| ('+', named(&p.name, &p.versions)));
    let removed = diff
        .removed
        .iter()
        .map(|p| ('-', named(&p.name, &p.versions)));
    changed.chain(added).chain(removed).collect()
}
