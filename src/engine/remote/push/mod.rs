//! Sending points to a remote.
//!
//! No lock is held: what is read never changes, and nothing has to wait for a
//! slow line. A point that is pruned meanwhile is passed over.

mod content;
mod note;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use chrono::{DateTime, Utc};

use super::list::{Listing, read};
use super::rules::{kept, ours};
use super::{Access, Remote, closure, find, knowledge, known};
use crate::engine::progress::Task;
use crate::engine::{Engine, EngineError, Stores};
use crate::point::humane::count;
use crate::point::{Marks, Point, PointId};
use crate::system::remotes::{self, Record};
use crate::system::{IoError, fault, points};
use crate::vault::{Repo, VaultError};
use content::{copy, has_content};
use note::note;
pub(super) use note::{after, nothing};

/// So many points are sent before they are looked for and noted: a cut costs no
/// more than these.
const BATCH: usize = 8;

/// What a push came to.
#[derive(Debug, Default)]
pub struct Pushed {
    /// Points that are there now and were not, oldest first.
    pub sent: Vec<PointId>,
    /// Points whose marks were sent again.
    pub marked: Vec<PointId>,
    /// Points of this machine that were there already.
    pub there: usize,
    /// Points that the remote's own rules would not keep.
    pub passed_over: usize,
    /// Points that could not be sent, and why.
    pub failed: BTreeMap<PointId, String>,
    /// Systems that are in the store beside it.
    pub closures: usize,
    /// What did not work, one line each; the rest was sent.
    pub troubles: Vec<String>,
    /// The address.
    pub address: String,
}

impl Pushed {
    /// One that cannot be sent keeps the others from nothing.
    fn fails(&mut self, point: PointId, error: EngineError) -> Result<(), EngineError> {
        if ends_all(&error) {
            return Err(error);
        }
        let why = format!("{} was not sent: {error}", point.short_among([]));
        self.troubles.push(why.clone());
        self.failed.insert(point, why);
        Ok(())
    }
}

/// Whether nothing more can be sent.
fn ends_all(error: &EngineError) -> bool {
    error.is_stopped() || matches!(error, EngineError::Vault(VaultError::Far { .. }))
}

/// Sends what is not there yet. Only looks when `dry`.
///
/// # Errors
/// When the remote cannot be reached or opened. What was sent by then counts.
pub fn push(
    engine: &Engine<'_>,
    access: &Access,
    with_closures: bool,
    dry: bool,
) -> Result<Pushed, EngineError> {
    let remote = find(engine, access).inspect_err(|error| {
        // What cannot be written down now is told all the same.
        if let (false, Some(name)) = (dry, known(engine, access)) {
            let _ = tried(engine, &name, Some(error.to_string()));
        }
    })?;
    let how = How {
        closures: with_closures,
        dry,
        again: false,
    };
    push_to(engine, &remote, how)
}

/// Writes down how a push went.
fn tried(engine: &Engine<'_>, name: &str, trouble: Option<String>) -> Result<(), IoError> {
    let now = engine.clock.now();
    remotes::change(engine.layout, name, |record| {
        record.tried = Some(now);
        record.trouble = trouble;
    })
}

/// How points are sent.
#[derive(Clone, Copy, Debug)]
pub(super) struct How {
    /// The systems too.
    pub(super) closures: bool,
    /// Only look.
    pub(super) dry: bool,
    /// Look at what is there already, and send again what of it is lost.
    pub(super) again: bool,
}

/// As [`push`], of a remote at hand.
pub(super) fn push_to(
    engine: &Engine<'_>,
    remote: &Remote,
    how: How,
) -> Result<Pushed, EngineError> {
    let outcome = send(engine, remote, how);
    if !how.dry {
        let why = match &outcome {
            Ok(pushed) => pushed.failed.values().next().cloned(),
            Err(error) => Some(error.to_string()),
        };
        tried(engine, &remote.name, why)?;
    }
    outcome
}

fn send(engine: &Engine<'_>, remote: &Remote, how: How) -> Result<Pushed, EngineError> {
    let mut pushed = Pushed {
        address: remote.address.to_string(),
        ..Pushed::default()
    };
    let repo = remote.open(engine)?;
    let there = read(&repo)?;
    pushed.troubles.clone_from(&there.damaged);
    let ours = ours(engine)?;
    let kept = kept(engine, remote, &ours, &there)?;
    let (mut todo, mut held) = (Vec::new(), BTreeSet::new());
    for (point, marks) in &ours {
        let known = there.point(point.id);
        let whole = known.is_some() && has_content(point, &there);
        if whole {
            held.insert(point.id);
        }
        match known {
            _ if !kept.contains(&point.id) && !whole => pushed.passed_over += 1,
            Some(known) if whole && known.parcel.marks == *marks => pushed.there += 1,
            _ => todo.push((point, marks, whole)),
        }
    }
    let gone = !how.again && !held.is_empty() && repo.index_is_gone()?;
    if how.dry {
        for (point, _, whole) in todo {
            match whole {
                true => pushed.marked.push(point.id),
                false => pushed.sent.push(point.id),
            }
        }
        return Ok(pushed);
    }
    let stores = match engine.existing_vault()? {
        Some(vault) => Some(Stores::of(vault)?),
        None => None,
    };
    begun(engine, remote, todo.iter().filter(|(.., whole)| !whole))?;
    let task = engine.begin(&Task::Push, None);
    for batch in todo.chunks(BATCH) {
        engine.check_stop()?;
        let fresh: Vec<&Point> = batch
            .iter()
            .filter(|(.., whole)| !whole)
            .map(|(p, ..)| *p)
            .collect();
        if let Err(error) = copy(engine, stores.as_ref(), &fresh, &repo, &there) {
            if ends_all(&error) {
                return Err(error);
            }
            // One that cannot be read keeps the others from nothing.
            for (point, marks, whole) in batch {
                let todo = (*point, *marks, *whole);
                one(engine, stores.as_ref(), todo, &repo, &there, &mut pushed)?;
            }
            continue;
        }
        fault::point("remote.copied");
        note(engine, stores.as_ref(), batch, &repo, &there)?;
        fault::point("remote.noted");
        for (point, _, whole) in batch {
            match whole {
                true => pushed.marked.push(point.id),
                false => pushed.sent.push(point.id),
            }
        }
    }
    let settled = ours.iter().map(|(point, _)| point);
    let settled: Vec<&Point> = settled.filter(|point| held.contains(&point.id)).collect();
    let damaged = repo.indexes_done_without();
    if how.again || !damaged.is_empty() {
        let send = |points: &[&Point]| copy(engine, stores.as_ref(), points, &repo, &there);
        for batch in settled.chunks(BATCH) {
            let Err(error) = send(batch) else { continue };
            if ends_all(&error) {
                return Err(error);
            }
            for point in batch {
                match send(&[*point]) {
                    Err(error) if points::exists(engine.layout, point.id) => {
                        pushed.fails(point.id, error)?;
                    }
                    _ => {}
                }
            }
        }
    }
    if how.again {
        note::nothing_again(engine, &ours, &repo, &there)?;
    }
    pushed.troubles.extend(done_without(&damaged));
    if gone {
        let trouble = "the remote's index is gone: cairn remote check --repair makes it anew";
        pushed.troubles.push(trouble.to_owned());
    }
    drop(task);
    held.extend(&pushed.sent);
    held.retain(|id| !pushed.failed.contains_key(id));
    record(engine, remote, &ours, &held)?;
    if remote.terms.knowledge
        && let Err(error) = knowledge::tell(engine, &repo, &there)
    {
        pushed
            .troubles
            .push(format!("what was learned was not sent: {error}"));
    }
    if how.closures || remote.terms.closures.is_some() {
        let points = ours.iter().map(|(point, _)| point);
        let points = points.filter(|point| kept.contains(&point.id));
        pushed.closures = closure::send(engine, remote, points, &mut pushed.troubles)?;
    }
    Ok(pushed)
}

/// Sends one point, where it can be read; says so where it cannot.
fn one(
    engine: &Engine<'_>,
    stores: Option<&Stores>,
    todo: (&Point, &Marks, bool),
    repo: &Repo,
    there: &Listing,
    pushed: &mut Pushed,
) -> Result<(), EngineError> {
    let (point, _, whole) = todo;
    let sent = match whole {
        true => Ok(()),
        false => copy(engine, stores, &[point], repo, there),
    };
    let sent = sent.and_then(|()| note(engine, stores, &[todo], repo, there));
    match sent {
        Ok(()) if whole => pushed.marked.push(point.id),
        Ok(()) => pushed.sent.push(point.id),
        // Pruned since it was listed.
        Err(error) if !ends_all(&error) && !points::exists(engine.layout, point.id) => {}
        Err(error) => pushed.fails(point.id, error)?,
    }
    Ok(())
}

/// Told where index files could not be read: what they told of was sent again.
fn done_without(damaged: &[PathBuf]) -> Option<String> {
    let first = damaged.first()?;
    Some(format!(
        "{} of the remote's index cannot be read, such as {}: what this machine keeps there was \
         sent again where it was lost by that; cairn remote check --repair mends the index",
        count(damaged.len(), "file"),
        first.display(),
    ))
}

/// Writes down what is begun: content that is there and whose point never is,
/// after a cut, is to be found by a later prune.
fn begun<'t>(
    engine: &Engine<'_>,
    remote: &Remote,
    fresh: impl Iterator<Item = &'t (&'t Point, &'t Marks, bool)>,
) -> Result<(), EngineError> {
    let now = engine.clock.now();
    let begun: Vec<(PointId, DateTime<Utc>)> = fresh.map(|(point, ..)| (point.id, now)).collect();
    if !begun.is_empty() {
        remotes::change(engine.layout, &remote.name, |record| {
            record.unfinished.extend(begun);
        })?;
    }
    Ok(())
}

/// Writes down what is known to be there: the machine's health looks at it.
fn record(
    engine: &Engine<'_>,
    remote: &Remote,
    ours: &[(Point, Marks)],
    held: &BTreeSet<PointId>,
) -> Result<(), EngineError> {
    let now = engine.clock.now();
    let there = ours.iter().map(|(point, _)| point);
    let there = there.filter(|point| held.contains(&point.id));
    // One that a wrong clock has put into the future must not look new for years.
    let (ahead, past): (Vec<&Point>, Vec<_>) = there.partition(|point| point.is_ahead(now));
    let newest = past.into_iter().map(|point| point.created).max();
    let newest = newest.or((!ahead.is_empty()).then_some(now));
    let address = remote.address.to_string();
    remotes::change(engine.layout, &remote.name, |record: &mut Record| {
        record.address = address;
        record.pushed = Some(now);
        record.newest = newest.or(record.newest);
        record.unfinished.retain(|id, _| !held.contains(id));
    })?;
    Ok(())
}
