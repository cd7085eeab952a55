//! Going on, going back, and undoing.

use super::restore::{self, Plan, Restored};
use super::step::step;
use super::{Engine, EngineError, fetch};
use crate::point::{Point, Selector};
use crate::system::journal::{self, Entry, Goal, Scope, State};
use crate::system::lock::Mode;
use crate::system::points;

/// The restore `undo` would reverse: the last one that ended, or the one whose
/// undo point or restored point `selector` names.
fn reversible(engine: &Engine<'_>, selector: Option<&Selector>) -> Result<Entry, EngineError> {
    let wanted = selector
        .map(|s| engine.select(s))
        .transpose()?
        .map(|p| p.id);
    journal::read(engine.layout)?
        .into_iter()
        .rev()
        .filter(|e| e.state == State::Done)
        .find(|e| wanted.is_none_or(|id| e.undo_point == id || e.goal == Goal::Point(id)))
        .ok_or(EngineError::NoRestore("undo"))
}

/// Plans the undo of the last restore, or of the one `selector` names.
///
/// # Errors
/// As [`plan_with`].
pub fn plan(engine: &Engine<'_>, selector: Option<&Selector>) -> Result<Plan, EngineError> {
    plan_with(engine, selector, |_| {})
}

/// The same; `change` has the last word on how.
///
/// # Errors
/// When there is none, its undo point is gone, or one is unfinished: that has
/// to end first.
pub fn plan_with(
    engine: &Engine<'_>,
    selector: Option<&Selector>,
    change: impl FnOnce(&mut Scope),
) -> Result<Plan, EngineError> {
    if let Some(entry) = journal::unfinished(engine.layout)? {
        return Err(EngineError::Unfinished(Box::new(entry)));
    }
    let entry = reversible(engine, selector)?;
    let goal = restore::Goal::Point(Box::new(by_id(engine, entry.undo_point)?));
    let mut scope = entry.scope_back();
    change(&mut scope);
    Ok(Plan {
        emptied: entry.above.clone(),
        ..restore::plan_again(engine, goal, &scope)?
    })
}

fn by_id(engine: &Engine<'_>, id: crate::point::PointId) -> Result<Point, EngineError> {
    engine.select(&Selector::Prefix(id.hex()))
}

/// Which way an interrupted restore is ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// On to the point that was asked for.
    Resume,
    /// Back to the undo point.
    Abort,
}

/// What ending the interrupted restore in this way would do.
///
/// # Errors
/// When no restore is unfinished.
pub fn plan_ending(engine: &Engine<'_>, way: Way) -> Result<(Entry, Plan), EngineError> {
    let verb = match way {
        Way::Resume => "resume",
        Way::Abort => "abort",
    };
    let entry = journal::unfinished(engine.layout)?.ok_or(EngineError::NoRestore(verb))?;
    let scope = match way {
        Way::Resume => entry.scope.clone(),
        Way::Abort => entry.scope_back(),
    };
    let goal = match (way, &entry.goal) {
        (Way::Resume, Goal::Toplevel(path)) => restore::Goal::Toplevel(path.clone()),
        (Way::Resume, Goal::Point(id)) => restore::Goal::Point(Box::new(by_id(engine, *id)?)),
        (Way::Abort, _) => restore::Goal::Point(Box::new(by_id(engine, entry.undo_point)?)),
    };
    let emptied = match way {
        Way::Resume => entry.emptied.clone(),
        Way::Abort => entry.above.clone(),
    };
    let plan = Plan {
        emptied,
        ..restore::plan_again(engine, goal, &scope)?
    };
    Ok((entry, plan))
}

/// Ends the interrupted restore.
///
/// # Errors
/// When no restore is unfinished; as a restore otherwise. It stays unfinished
/// then, and can be ended again.
pub fn end(engine: &Engine<'_>, way: Way) -> Result<Restored, EngineError> {
    let lock = engine.lock(Mode::Exclusive)?;
    let cleaned = super::create::clean_locked(engine, &lock)?;
    let (mut entry, plan) = plan_ending(engine, way)?;
    restore::await_switch(engine, &plan)?;
    if let Some(fetch) = &plan.fetch {
        fetch::run(engine, &plan.goal, fetch)?;
    }
    let (verb, ended) = match way {
        Way::Resume => ("resume", State::Done),
        Way::Abort => ("abort", State::Aborted),
    };
    // Whatever was done since the interruption is in no point yet.
    let before = if plan.is_empty() {
        None
    } else {
        Some(step("end.undo-point", || {
            restore::undo_point(engine, &lock, &plan, verb)
        })?)
    };
    if let Some(before) = &before {
        entry.kept.push(before.id);
        for unit in points::owed(engine.layout, before.id)?.units {
            if !entry.stopped.contains(&unit) {
                entry.stopped.push(unit);
            }
        }
        let journalled = step("end.journalled", || {
            Ok(journal::store(engine.layout, &entry)?)
        });
        if let Err(error) = journalled {
            restore::release(engine, before)?;
            return Err(error);
        }
        step("end.handed-over", || {
            Ok(points::end(engine.layout, before.id)?)
        })?;
    }
    let undo = match (by_id(engine, entry.undo_point), &before) {
        (Ok(undo), _) => undo,
        // Going on does not need the point that goes back.
        (Err(_), Some(before)) if way == Way::Resume => before.clone(),
        (Err(error), _) => return Err(error),
    };
    let staging = before.clone().unwrap_or_else(|| undo.clone());
    let mut restored = restore::converge(engine, &lock, plan, staging, &entry)
        .map_err(|why| restore::halfway(why, &entry.stopped))?;
    restored.notes.extend(cleaned.troubles);
    entry.state = ended;
    step("end.ended", || Ok(journal::store(engine.layout, &entry)?))
        // The units run by now.
        .map_err(|why| restore::halfway(why, &[]))?;
    Ok(Restored {
        undo,
        before: before.map(|point| point.id),
        ..restored
    })
}
