//! Which point each one comes from.

use std::collections::{BTreeMap, BTreeSet};

use super::{Engine, EngineError};
use crate::point::{Marks, Point, PointId};
use crate::system::journal::{self, Entry, Goal, State};

/// For each point that is `listed`, the one among them that the machine was at
/// before: the one before it, or where the machine had been brought back since,
/// the one that it was brought back to. All points are given, oldest first.
///
/// # Errors
/// A journal that cannot be listed.
pub fn descent(
    engine: &Engine<'_>,
    points: &[(Point, Marks)],
    listed: &BTreeSet<PointId>,
) -> Result<BTreeMap<PointId, PointId>, EngineError> {
    let entries = journal::read(engine.layout)?;
    // Where the machine was brought back to, by the point that was taken before.
    let back = entries.iter().filter_map(led_back).collect();
    let own = points.iter().filter(|(point, _)| point.imported.is_none());
    let own: Vec<PointId> = own.map(|(point, _)| point.id).collect();
    Ok(among(&lineage(&own, &back), listed))
}

/// A restore of everything that came to its end, with what it brought back: one
/// of some files, or a merge, goes on from what was there.
fn led_back(entry: &Entry) -> Option<(PointId, PointId)> {
    let whole = entry.scope.paths.is_empty() && (entry.scope.generation || entry.scope.config);
    match entry.goal {
        Goal::Point(to) if whole && entry.state == State::Done && entry.verb != "merge" => {
            Some((entry.undo_point, to))
        }
        _ => None,
    }
}

fn lineage(own: &[PointId], back: &BTreeMap<PointId, PointId>) -> BTreeMap<PointId, PointId> {
    let pairs = own.windows(2).filter_map(|pair| match pair {
        [before, point] => Some((*point, back.get(before).copied().unwrap_or(*before))),
        _ => None,
    });
    pairs.collect()
}

/// The nearest of those that are listed.
fn among(
    from: &BTreeMap<PointId, PointId>,
    listed: &BTreeSet<PointId>,
) -> BTreeMap<PointId, PointId> {
    let nearest = |point: &PointId| {
        let mut at = from.get(point)?;
        while !listed.contains(at) {
            // Whatever a point comes from was there before it.
            at = from.get(at).filter(|next| *next < at)?;
        }
        Some((*point, *at))
    };
    listed.iter().filter_map(nearest).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(n: u8) -> PointId {
        let text = format!("01a20799-2c11-7d0f-8a52-0000000000{n:02}");
        text.parse().unwrap()
    }

    #[test]
    fn a_point_after_a_restore_comes_from_what_was_restored() {
        // 3 was taken before going back to 1, so 4 comes from 1.
        let back = [(id(3), id(1))].into();
        let from = lineage(&[1, 2, 3, 4].map(id), &back);
        assert_eq!(
            from,
            [(id(2), id(1)), (id(3), id(2)), (id(4), id(1))].into()
        );
        // Those between that are not listed are passed over.
        let listed = [1, 3, 4].map(id).into();
        assert_eq!(
            among(&from, &listed),
            [(id(3), id(1)), (id(4), id(1))].into()
        );
        // What was brought back and is gone is nobody's origin.
        let from = lineage(&[2, 3, 4].map(id), &back);
        let listed = [2, 3, 4].map(id).into();
        assert_eq!(among(&from, &listed), [(id(3), id(2))].into());
    }
}
