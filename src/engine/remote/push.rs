//! Sending points to a remote.
//!
//! No lock is held: what is read never changes, and nothing has to wait for a
//! slow line. A point that is pruned meanwhile is passed over.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, TimeDelta, Utc};

use super::super::progress::Task;
use super::super::{Engine, EngineError, Stores, prune as rules};
use super::list::{Listing, read};
use super::{Access, Remote, closure, find, knowledge};
use crate::plan::prune::{self as planner, Item, Protection};
use crate::point::document::RootKind;
use crate::point::humane::count;
use crate::point::parcel::{self, Owners, Parcel, There};
use crate::point::{Marks, Point, PointId};
use crate::system::remotes::{self, Record};
use crate::system::{accounts, fault, points, toplevel};
use crate::vault::{
    ComposeRequest, Composed, Entry, EntryKind, Note, Repo, Timestamp, Vault, VaultError,
};

/// So many points are sent before they are looked for and noted: a cut costs no
/// more than these.
const BATCH: usize = 8;

/// How often what is lacking is sent again, where somebody prunes meanwhile.
const ATTEMPTS: usize = 3;

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
    let remote = find(engine, access)?;
    let outcome = send(engine, &remote, with_closures, dry);
    if !dry {
        let now = engine.clock.now();
        let why = match &outcome {
            Ok(pushed) => pushed.failed.values().next().cloned(),
            Err(error) => Some(error.to_string()),
        };
        remotes::change(engine.layout, &remote.name, |record| {
            record.tried = Some(now);
            record.trouble = why;
        })?;
    }
    outcome
}

fn send(
    engine: &Engine<'_>,
    remote: &Remote,
    with_closures: bool,
    dry: bool,
) -> Result<Pushed, EngineError> {
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
    if dry {
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
            if error.is_stopped() || matches!(error, EngineError::Vault(VaultError::Far { .. })) {
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
    mend(
        engine,
        stores.as_ref(),
        &settled,
        &repo,
        &there,
        &mut pushed,
    )?;
    drop(task);
    held.extend(&pushed.sent);
    record(engine, remote, &ours, &held)?;
    if remote.terms.knowledge
        && let Err(error) = knowledge::tell(engine, &repo, &there)
    {
        pushed
            .troubles
            .push(format!("what was learned was not sent: {error}"));
    }
    if with_closures || remote.terms.closures.is_some() {
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
        Err(error) if error.is_stopped() => return Err(error),
        Err(error @ EngineError::Vault(VaultError::Far { .. })) => return Err(error),
        // Pruned since it was listed.
        Err(_) if !points::exists(engine.layout, point.id) => {}
        Err(error) => {
            let id = point.id.short_among([]);
            let why = format!("{id} was not sent: {error}");
            pushed.troubles.push(why.clone());
            pushed.failed.insert(point.id, why);
        }
    }
    Ok(())
}

/// The points that this machine took, oldest first.
fn ours(engine: &Engine<'_>) -> Result<Vec<(Point, Marks)>, EngineError> {
    let mut points = engine.catalogue()?.points;
    points.retain(|(point, _)| point.imported.is_none());
    points.sort_by_key(|(point, _)| point.id);
    Ok(points)
}

/// Those that the remote's own rules keep; all of them when there are none.
fn kept(
    engine: &Engine<'_>,
    remote: &Remote,
    ours: &[(Point, Marks)],
    there: &Listing,
) -> Result<BTreeSet<PointId>, EngineError> {
    let Some(keep) = &remote.terms.keep else {
        return Ok(ours.iter().map(|(point, _)| point.id).collect());
    };
    let machine = crate::system::pointers::machine_id(engine.layout);
    let away = there.points.iter().map(|kept| &kept.parcel);
    let away = away.filter(|p| is_of(&p.point, machine.as_deref(), engine));
    let mut all: Vec<(&Point, &Marks)> = ours.iter().map(|(p, m)| (p, m)).collect();
    for parcel in away {
        if !ours.iter().any(|(p, _)| p.id == parcel.point.id) {
            all.push((&parcel.point, &parcel.marks));
        }
    }
    keeps(&all, keep, engine.clock.now())
}

/// Whether a point on a remote was taken by this machine.
pub(super) fn is_of(point: &Point, machine: Option<&str>, engine: &Engine<'_>) -> bool {
    match (&point.machine_id, machine) {
        (Some(its), Some(ours)) => its == ours,
        _ => point.host == crate::system::pointers::host(engine.layout),
    }
}

/// How far ahead a machine's clock may be.
const AHEAD: TimeDelta = TimeDelta::hours(1);

/// Those of one machine's points that rules keep. Pinned ones and the newest
/// that is known to work always stay. So do those that a clock which was wrong
/// has put into the future: they push out no other.
pub(super) fn keeps(
    points: &[(&Point, &Marks)],
    keep: &crate::point::policy::Keep,
    now: DateTime<Utc>,
) -> Result<BTreeSet<PointId>, EngineError> {
    let (points, ahead): (Vec<_>, Vec<_>) = points
        .iter()
        .partition(|(point, _)| point.created <= now + AHEAD);
    let good = points.iter().filter(|(p, m)| p.is_good(m));
    let good = good.map(|(p, _)| p.id).max();
    let items: Vec<Item> = points
        .iter()
        .map(|(point, marks)| Item {
            key: point.id.to_string(),
            created: point.created,
            tags: point.tags.clone(),
            trigger: point.trigger.to_string(),
            protected: [
                (marks.is_pinned(), Protection::Pinned),
                (good == Some(point.id), Protection::LatestGood),
                (points.len() == 1, Protection::OnlyPoint),
            ]
            .into_iter()
            .filter_map(|(holds, why)| holds.then_some(why))
            .collect(),
            pair: None,
            bytes: None,
        })
        .collect();
    let plan = planner::plan(&items, &rules::rules(keep)?, now, None)?;
    let kept = plan.kept().filter_map(|key| key.parse().ok());
    Ok(kept.chain(ahead.iter().map(|(p, _)| p.id)).collect())
}

/// Whether all content of a point is there, as far as snapshots tell.
fn has_content(point: &Point, there: &Listing) -> bool {
    point.snapshots().all(|snapshot| there.holds(snapshot))
}

/// Copies the content of points, and looks that it is there.
fn copy(
    engine: &Engine<'_>,
    stores: Option<&Stores>,
    points: &[&Point],
    to: &Repo,
    there: &Listing,
) -> Result<(), EngineError> {
    let config = points.iter().filter_map(|p| p.config.as_ref()?.snapshot());
    let state = points.iter().flat_map(|p| p.state.values());
    let state = state.filter_map(|set| set.snapshot());
    let (config, state): (Vec<&str>, Vec<&str>) = (config.collect(), state.collect());
    if config.is_empty() && state.is_empty() {
        return Ok(());
    }
    let stores = stores.ok_or(EngineError::NoStateVault)?;
    send_all(engine, stores.vault.config(), &config, to, there)?;
    if !state.is_empty() {
        let from = stores.state.as_ref().ok_or(EngineError::NoStateVault)?;
        send_all(engine, from, &state, to, there)?;
    }
    Ok(())
}

/// Sends snapshots until all of each is there. What an earlier push has sent,
/// and somebody has not removed since, is not sent again.
fn send_all(
    engine: &Engine<'_>,
    from: &Repo,
    snapshots: &[&str],
    to: &Repo,
    there: &Listing,
) -> Result<(), EngineError> {
    let (known, fresh): (Vec<&str>, Vec<&str>) = snapshots.iter().partition(|id| there.holds(id));
    let mut lacking: Vec<String> = fresh.into_iter().map(str::to_owned).collect();
    if !known.is_empty() {
        lacking.extend(from.lacks(to, &known)?);
    }
    for _ in 0..ATTEMPTS {
        if lacking.is_empty() {
            return Ok(());
        }
        engine.check_stop()?;
        let names: Vec<&str> = lacking.iter().map(String::as_str).collect();
        from.copy_all_to(to, &names)?;
        // Somebody may have pruned what the copies relied upon.
        lacking = from.lacks(to, &names)?;
    }
    match lacking.is_empty() {
        true => Ok(()),
        false => Err(EngineError::Vault(VaultError::Incomplete {
            operation: "copy the snapshots",
            repository: to.path().to_owned(),
            detail: "somebody else removes what is sent".to_owned(),
        })),
    }
}

/// Notes points: from now on they are there.
fn note(
    engine: &Engine<'_>,
    stores: Option<&Stores>,
    batch: &[(&Point, &Marks, bool)],
    repo: &Repo,
    there: &Listing,
) -> Result<(), EngineError> {
    let mut notes = Vec::new();
    for (point, marks, _) in batch {
        let tree = match tree_of(point) {
            Some(tree) => tree,
            // One that holds nothing but a system.
            None => nothing(repo, &point.id.to_string(), &point.host, point.created)?,
        };
        let parcel = Parcel {
            point: (*point).clone(),
            marks: (*marks).clone(),
            there: There {
                owners: owners(engine, stores, point)?,
                platform: toplevel::platform(engine.layout),
            },
        };
        let text = parcel.to_text();
        notes.push(Note {
            tag: parcel::TAG.to_owned(),
            host: point.host.clone(),
            time: after(engine.clock.now(), there.point(point.id).map(|k| k.time)),
            tree,
            text: text.map_err(|e| EngineError::Document(e.into()))?,
        });
    }
    Ok(repo.note(&notes)?)
}

/// Now, or just after what is there already and would else seem newer: a clock
/// that was ahead when it was sent.
pub(super) fn after(now: DateTime<Utc>, before: Option<DateTime<Utc>>) -> DateTime<Utc> {
    let next = before.and_then(|at| at.checked_add_signed(TimeDelta::milliseconds(1)));
    next.map_or(now, |next| next.max(now))
}

/// A tree of the point's that is there.
fn tree_of(point: &Point) -> Option<String> {
    let config = point.config.iter().filter(|c| c.snapshot().is_some());
    let state = point.state.values().filter(|s| s.snapshot().is_some());
    let mut trees = config.map(|c| &c.tree).chain(state.map(|s| &s.tree));
    trees.next().cloned()
}

/// Stores a tree that holds nothing.
pub(super) fn nothing(
    repo: &Repo,
    tag: &str,
    host: &str,
    time: DateTime<Utc>,
) -> Result<String, EngineError> {
    let entry = Entry {
        path: "/cairn".into(),
        kind: EntryKind::Dir,
        mode: 0o700,
        uid: 0,
        gid: 0,
        mtime: Timestamp::default(),
        xattrs: Vec::new(),
        hardlink: None,
    };
    let stored = repo.compose(&ComposeRequest {
        tag: tag.to_owned(),
        host: host.to_owned(),
        time,
        entries: vec![Composed { entry, bytes: None }],
    })?;
    Ok(stored.tree)
}

/// The names of those who own the point's state here.
fn owners(
    engine: &Engine<'_>,
    stores: Option<&Stores>,
    point: &Point,
) -> Result<Owners, EngineError> {
    let mut owners = Owners::default();
    let held = point.state.values().filter(|set| {
        let present = set.roots.iter().any(|r| r.kind != RootKind::Absent);
        present && set.snapshot().is_some()
    });
    let (mut users, mut groups) = (BTreeSet::new(), BTreeSet::new());
    for set in held {
        let (Some(stores), Some(snapshot)) = (stores, set.snapshot()) else {
            continue;
        };
        for entry in stores.state()?.entries(snapshot)? {
            users.insert(entry.uid);
            groups.insert(entry.gid);
        }
    }
    if !users.is_empty() {
        let known = accounts::read(engine.layout);
        owners.users = known
            .users
            .into_iter()
            .filter(|(id, _)| users.contains(id))
            .collect();
        owners.groups = known
            .groups
            .into_iter()
            .filter(|(id, _)| groups.contains(id))
            .collect();
    }
    Ok(owners)
}

/// Sends again what is there no more because an index file there is damaged.
/// Points that were there are looked at only then.
fn mend(
    engine: &Engine<'_>,
    stores: Option<&Stores>,
    settled: &[&Point],
    repo: &Repo,
    there: &Listing,
    pushed: &mut Pushed,
) -> Result<(), EngineError> {
    let damaged = repo.indexes_done_without();
    let Some(first) = damaged.first() else {
        return Ok(());
    };
    for points in settled.chunks(BATCH) {
        copy(engine, stores, points, repo, there)?;
    }
    pushed.troubles.push(format!(
        "{} of the remote's index cannot be read, such as {}: what this machine keeps there was \
         sent again where it was lost by that; cairn remote check tells of the others'",
        count(damaged.len(), "file"),
        first.display(),
    ));
    Ok(())
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
    let (past, ahead): (Vec<_>, Vec<_>) = there
        .map(|point| point.created)
        .partition(|at| *at <= now + AHEAD);
    let newest = past.into_iter().max();
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
