//! Which of a machine's points a remote is to have.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};

use super::super::{Engine, EngineError, prune};
use super::Remote;
use super::list::Listing;
use crate::plan::prune::{self as planner, Item, Protection};
use crate::point::policy::Keep;
use crate::point::{Marks, Point, PointId};
use crate::system::pointers;

/// The points that this machine took, oldest first.
pub(super) fn ours(engine: &Engine<'_>) -> Result<Vec<(Point, Marks)>, EngineError> {
    let mut points = engine.catalogue()?.points;
    points.retain(|(point, _)| point.imported.is_none());
    points.sort_by_key(|(point, _)| point.id);
    Ok(points)
}

/// Those that the remote's own rules keep; all of them when there are none.
pub(super) fn kept(
    engine: &Engine<'_>,
    remote: &Remote,
    ours: &[(Point, Marks)],
    there: &Listing,
) -> Result<BTreeSet<PointId>, EngineError> {
    let Some(keep) = &remote.terms.keep else {
        return Ok(ours.iter().map(|(point, _)| point.id).collect());
    };
    let machine = pointers::machine_id(engine.layout);
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
        _ => point.host == pointers::host(engine.layout),
    }
}

/// Those of one machine's points that rules keep. Pinned ones and the newest
/// that is known to work always stay. So do those that a clock which was wrong
/// has put into the future: they push out no other.
pub(super) fn keeps(
    points: &[(&Point, &Marks)],
    keep: &Keep,
    now: DateTime<Utc>,
) -> Result<BTreeSet<PointId>, EngineError> {
    let (points, ahead): (Vec<_>, Vec<_>) =
        points.iter().partition(|(point, _)| !point.is_ahead(now));
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
    let plan = planner::plan(&items, &prune::rules(keep)?, now, None)?;
    let kept = plan.kept().filter_map(|key| key.parse().ok());
    Ok(kept.chain(ahead.iter().map(|(p, _)| p.id)).collect())
}
