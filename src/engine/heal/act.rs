//! Doing it.

use super::super::restore::{self, Goal};
use super::super::{Engine, EngineError};
use super::VERB;
use super::prepare::Work;
use crate::point::{PointId, Selector};
use crate::system::journal::Scope;
use crate::system::{cleaning, governors, services, tending};

/// Does what was prepared.
///
/// # Errors
/// What was begun is taken back by what the book says.
pub(super) fn act(engine: &Engine<'_>, work: &Work) -> Result<(), EngineError> {
    let runner = engine.runner;
    match work {
        Work::Forget(unit) => Ok(tending::forget_failure(runner, std::slice::from_ref(unit))?),
        Work::Restart(units) => Ok(tending::restart(runner, units)?),
        Work::Stop(unit) => {
            let stopped = services::stop(runner, std::slice::from_ref(unit));
            stopped
                .map(drop)
                .map_err(|e| EngineError::Units(e.to_string()))
        }
        Work::Share(unit, weight) => Ok(tending::set_share(runner, unit, weight)?),
        Work::Garbage => Ok(cleaning::collect_garbage(runner)?),
        Work::Journal => Ok(cleaning::vacuum_journal(runner)?),
        Work::Temporary => Ok(cleaning::clean_temporary_files(runner)?),
        Work::Governors(set) => Ok(governors::set(engine.layout, set)?),
        Work::Files(point, paths) => {
            let scope = Scope {
                config: true,
                paths: paths.clone(),
                ..Scope::default()
            };
            bring_back(engine, *point, &scope)
        }
        Work::System(toplevel) => {
            let scope = Scope {
                generation: true,
                ..Scope::default()
            };
            restored(engine, Goal::Toplevel(toplevel.clone()), &scope)
        }
    }
}

/// Brings a part of a point back, as it is there.
pub(super) fn bring_back(
    engine: &Engine<'_>,
    point: PointId,
    scope: &Scope,
) -> Result<(), EngineError> {
    let point = engine.select(&Selector::Prefix(point.hex()))?;
    restored(engine, Goal::Point(Box::new(point)), scope)
}

fn restored(engine: &Engine<'_>, goal: Goal, scope: &Scope) -> Result<(), EngineError> {
    let plan = restore::plan_goal(engine, goal, scope)?;
    if plan.is_empty() {
        return Ok(());
    }
    // A switch that went on though not all of it worked (2, 4) is as it was to
    // be; what failed is for the check to see, and may have failed before.
    restore::execute(engine, plan, VERB).map(drop)
}
