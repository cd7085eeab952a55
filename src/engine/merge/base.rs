//! What both sides of a merge started from.

use crate::engine::{Engine, EngineError};
use crate::point::Point;
use crate::point::document::{ConfigRoot, Trigger};
use crate::system::points::Catalogue;

/// The base of each root: the newest point before the merged one that holds
/// it, or the one that was named. A root that no point held before has none:
/// the merged point is the first to know it.
///
/// Points that restores took for themselves are passed over: the machine went
/// away from what they hold, and so nothing that came later started there.
pub(super) fn of<'p>(
    engine: &Engine<'_>,
    catalogue: &'p Catalogue,
    theirs: &Point,
    roots: &'p [ConfigRoot],
    named: Option<&'p Point>,
) -> Result<Vec<(&'p ConfigRoot, Option<&'p Point>)>, EngineError> {
    if let Some(named) = named {
        if named.config.is_none() {
            return Err(EngineError::NotHeld {
                point: named.id.short_among([]),
                what: "configuration",
            });
        }
        return Ok(roots.iter().map(|root| (root, Some(named))).collect());
    }
    let foreign = engine.is_foreign(theirs);
    let same_machine = |p: &Point| {
        engine.is_foreign(p) == foreign && (!foreign || p.machine_id == theirs.machine_id)
    };
    let before: Vec<&Point> = catalogue
        .points
        .iter()
        .rev()
        .map(|(p, _)| p)
        .filter(|p| p.id < theirs.id && p.config.is_some())
        .filter(|p| p.trigger != Trigger::PreRestore && same_machine(p))
        .collect();
    if before.is_empty() {
        return Err(EngineError::NoBase {
            point: theirs.id.short_among([]),
        });
    }
    let holds = |point: &Point, root: &ConfigRoot| {
        let roots = point.config.iter().flat_map(|c| &c.roots);
        roots
            .into_iter()
            .any(|r| root.path.0.starts_with(&r.path.0))
    };
    Ok(roots
        .iter()
        .map(|root| (root, before.iter().copied().find(|p| holds(p, root))))
        .collect())
}
