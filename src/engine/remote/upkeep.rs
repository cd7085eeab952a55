//! Checking a remote, and removing what its rules do not keep.

use std::collections::{BTreeMap, BTreeSet};

use chrono::TimeDelta;

use super::super::{Engine, EngineError};
use super::list::{Kept, Listing, read};
use super::push::{How, Pushed, push_to};
use super::rules::{is_of, keeps, ours};
use super::{Access, Remote, RemoteError, find};
use crate::point::policy::Keep;
use crate::point::{Point, PointId};
use crate::system::{fault, pointers, remotes};
use crate::vault::{CheckReport, Vault, VaultError};

/// Checks a remote: its format, and with `read_data` every byte of it.
///
/// # Errors
/// When it cannot be reached or opened; damage is in the report.
pub fn check(
    engine: &Engine<'_>,
    access: &Access,
    read_data: bool,
) -> Result<CheckReport, EngineError> {
    let remote = find(engine, access)?;
    let repo = remote.open(engine)?;
    let mut report = repo.check(read_data)?;
    let there = read(&repo)?;
    report.problems.extend(vanished(engine, &remote, &there)?);
    let owners = owners(&there);
    for problem in &mut report.problems {
        if let Some(told) = of_its_point(problem, &owners) {
            *problem = told;
        }
    }
    for kept in &there.points {
        let point = &kept.parcel.point;
        if let Some(lost) = point.snapshots().find(|s| !there.holds(s)) {
            let id = point.id.short_among([]);
            let line = format!(
                "point {id} of {}: its snapshot {} is gone",
                point.host,
                &lost[..8.min(lost.len())]
            );
            report.problems.push(line);
        }
    }
    report.problems.extend(there.damaged);
    report.problems.sort();
    report.problems.dedup();
    Ok(report)
}

/// Told where this machine sent points to the remote, and none of its own is there.
fn vanished(
    engine: &Engine<'_>,
    remote: &Remote,
    there: &Listing,
) -> Result<Option<String>, EngineError> {
    let record = remotes::read(engine.layout, &remote.name).unwrap_or_default();
    let machine = pointers::machine_id(engine.layout);
    let own = |kept: &Kept| is_of(&kept.parcel.point, machine.as_deref(), engine);
    let gone = record.newest.is_some()
        && record.address == remote.address.to_string()
        && !there.points.iter().any(own)
        && !ours(engine)?.is_empty();
    Ok(gone.then(|| "no point of this machine is there, though some were sent".to_owned()))
}

/// Whose each snapshot is.
fn owners(there: &Listing) -> BTreeMap<&str, String> {
    let mut owners = BTreeMap::new();
    for kept in &there.points {
        let point = &kept.parcel.point;
        let name = format!("point {} of {}", point.id.short_among([]), point.host);
        let held = there.content.get(&point.id.to_string()).into_iter();
        let held = held.flatten().map(|snapshot| snapshot.id.as_str());
        let parcels = std::iter::once(&*kept.snapshot).chain(kept.older.iter().map(|s| &**s));
        owners.extend(held.chain(parcels).map(|id| (id, name.clone())));
    }
    owners
}

/// What is wrong with a snapshot, told of the point that it belongs to.
fn of_its_point(problem: &str, owners: &BTreeMap<&str, String>) -> Option<String> {
    const LENGTH: usize = 64;
    let (_, named) = problem.split_once("snapshots/")?;
    let owner = owners.get(named.get(..LENGTH)?)?;
    let what = named.get(LENGTH..)?.trim_start_matches(": ");
    Some(format!("{owner}: {what}"))
}

/// What a repair of a remote came to.
#[derive(Debug)]
pub struct Mended {
    /// What was mended there, a line each.
    pub done: Vec<String>,
    /// What was sent again.
    pub pushed: Pushed,
}

/// Mends a remote's index, removes what is torn, and sends again what of this
/// machine's points is lost by that; with `read_data` what has rotted, too.
/// Beside others: each of them does so for its own points.
///
/// # Errors
/// When it cannot be reached or opened, or takes no deletions.
pub fn repair(
    engine: &Engine<'_>,
    access: &Access,
    read_data: bool,
) -> Result<Mended, EngineError> {
    let remote = find(engine, access)?;
    let aside = engine.layout.damaged().join("remotes").join(&remote.name);
    let done = remote.open(engine)?.mend(&aside, read_data)?;
    let how = How {
        closures: false,
        dry: false,
        again: true,
    };
    let pushed = push_to(engine, &remote, how)?;
    Ok(Mended { done, pushed })
}

/// What was begun longer ago than this is under way no more.
const SETTLED: TimeDelta = TimeDelta::days(1);

/// Nothing is freed where it is not known what is needed.
fn damaged(remote: &Remote, error: &VaultError) -> EngineError {
    RemoteError::Damaged {
        name: remote.name.clone(),
        address: remote.address.to_string(),
        what: error.to_string(),
    }
    .into()
}

/// What a prune of a remote came to.
#[derive(Debug, Default)]
pub struct Pruned {
    /// Points that went, oldest first.
    pub removed: Vec<Point>,
    /// Points that stay.
    pub kept: usize,
    /// Bytes of the remote after; absent for a dry run.
    pub bytes: Option<u64>,
    /// What could not be removed, one line each.
    pub troubles: Vec<String>,
}

/// Removes points that no rule keeps: this machine's, or with `all_hosts`
/// everybody's, by the same rules for each machine. Room is made in two steps,
/// so others may push meanwhile: what is not needed is marked, and goes with a
/// prune a day later.
///
/// # Errors
/// When the remote cannot be reached or opened, or the rules keep nothing.
pub fn prune(
    engine: &Engine<'_>,
    access: &Access,
    keep: Option<&Keep>,
    all_hosts: bool,
    dry: bool,
) -> Result<Pruned, EngineError> {
    let remote = find(engine, access)?;
    let keep = keep.or(remote.terms.keep.as_ref());
    let repo = remote.open(engine)?;
    let there = read(&repo)?;
    let machine = pointers::machine_id(engine.layout);
    // A name alone is no proof: a root without an id has none of those with one.
    let is_ours = |point: &Point| {
        (machine.is_some() || point.machine_id.is_none())
            && is_of(point, machine.as_deref(), engine)
    };
    let mut hosts: BTreeMap<(String, Option<String>), Vec<&Kept>> = BTreeMap::new();
    for kept in &there.points {
        let point = &kept.parcel.point;
        if all_hosts || is_ours(point) {
            let whose = (point.host.clone(), point.machine_id.clone());
            hosts.entry(whose).or_default().push(kept);
        }
    }
    let (mut gone, mut pruned) = (BTreeSet::<PointId>::new(), Pruned::default());
    for points in hosts.values() {
        let all: Vec<_> = points
            .iter()
            .map(|k| (&k.parcel.point, &k.parcel.marks))
            .collect();
        let stay = match keep {
            Some(keep) => keeps(&all, keep, engine.clock.now())?,
            None => all.iter().map(|(p, _)| p.id).collect(),
        };
        for kept in points {
            let point = &kept.parcel.point;
            match stay.contains(&point.id) {
                true => pruned.kept += 1,
                false => {
                    gone.insert(point.id);
                    pruned.removed.push(point.clone());
                }
            }
        }
    }
    pruned.removed.sort_by_key(|point| point.id);
    if dry {
        return Ok(pruned);
    }
    // Content whose point is not there: of a push or a prune that was cut.
    let now = engine.clock.now();
    let unfinished = remotes::read(engine.layout, &remote.name)?.unfinished;
    let forsaken: BTreeSet<PointId> = unfinished
        .iter()
        .filter(|(id, since)| there.point(**id).is_none() && now - **since > SETTLED)
        .map(|(id, _)| *id)
        .collect();
    if !gone.is_empty() {
        remotes::change(engine.layout, &remote.name, |record| {
            record.unfinished.extend(gone.iter().map(|id| (*id, now)));
        })?;
    }
    // The parcels first: a point that is not whole is not listed.
    let mut parcels: Vec<&str> = Vec::new();
    let mut content: Vec<&str> = Vec::new();
    for kept in &there.points {
        let id = kept.parcel.point.id;
        let point = &kept.parcel.point;
        if gone.contains(&id) {
            parcels.push(&kept.snapshot);
            let held = there.content.get(&id.to_string());
            content.extend(held.into_iter().flatten().map(|s| s.id.as_str()));
        }
        if gone.contains(&id) || all_hosts || is_ours(point) {
            parcels.extend(kept.older.iter().map(String::as_str));
        }
    }
    let outdated = there.outdated.iter();
    let outdated = outdated.filter(|s| all_hosts || s.host == pointers::host(engine.layout));
    parcels.extend(outdated.map(|s| s.id.as_str()));
    for id in &forsaken {
        let held = there.content.get(&id.to_string());
        content.extend(held.into_iter().flatten().map(|s| s.id.as_str()));
    }
    for names in [parcels, content] {
        let failed = repo.forget(&names).failed;
        // A point is there as long as its parcel is.
        let stays = |point: &Point| {
            let parcel = there.point(point.id).map(|kept| &kept.snapshot);
            failed.iter().any(|(id, _)| Some(id) == parcel)
        };
        let before = pruned.removed.len();
        pruned.removed.retain(|point| !stays(point));
        pruned.kept += before - pruned.removed.len();
        let told = |(id, error): &(String, _)| format!("snapshot {}: {error}", &id[..8]);
        pruned.troubles.extend(failed.iter().map(told));
        if !pruned.troubles.is_empty() {
            return Ok(pruned);
        }
        fault::point("remote.forgotten");
    }
    remotes::change(engine.layout, &remote.name, |record| {
        let done = |id: &PointId| gone.contains(id) || forsaken.contains(id);
        record.unfinished.retain(|id, _| !done(id));
    })?;
    let freed = repo.prune_beside_others();
    pruned.bytes = Some(freed.map_err(|error| match error.is_damaged() {
        true => damaged(&remote, &error),
        false => error.into(),
    })?);
    Ok(pruned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_is_told_of_a_point() {
        let id = "5".repeat(64);
        let owners = BTreeMap::from([(&*id, "point 01a2 of web".to_owned())]);
        let problem = format!("snapshot /a: b/snapshots/{id}: its trees: no tree");
        let told = of_its_point(&problem, &owners);
        assert_eq!(
            told.as_deref(),
            Some("point 01a2 of web: its trees: no tree")
        );
        assert_eq!(of_its_point("index /a/index/5: torn", &owners), None);
        assert_eq!(
            of_its_point("snapshot /a/snapshots/55: torn", &owners),
            None
        );
    }
}
