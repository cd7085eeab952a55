//! Taking an action back that did not help. Each part may be done again, so
//! who was killed on the way begins anew.

use super::super::{Engine, EngineError};
use super::act::bring_back;
use crate::heal::Undo;
use crate::system::journal::Scope;
use crate::system::{governors, services, tending};

/// Takes back what these say; all of it is tried.
///
/// # Errors
/// What could not be taken back, in one line.
pub(super) fn take_back(engine: &Engine<'_>, undo: &[Undo]) -> Result<(), String> {
    let mut troubles = Vec::new();
    for one in undo {
        if let Err(error) = part(engine, one) {
            troubles.push(error.to_string());
        }
    }
    match troubles.is_empty() {
        true => Ok(()),
        false => Err(troubles.join("; ")),
    }
}

fn part(engine: &Engine<'_>, undo: &Undo) -> Result<(), EngineError> {
    let runner = engine.runner;
    let units = |error: services::UnitError| EngineError::Units(error.to_string());
    match undo {
        Undo::Start(names) => {
            let running = services::running(runner, names).map_err(units)?;
            let mut missing = names.clone();
            missing.retain(|unit| !running.contains(unit));
            let mut failed = services::start(runner, &missing).failed.into_iter();
            failed.next().map_or(Ok(()), |(_, why)| Err(units(why)))
        }
        Undo::Stop(names) => {
            let running = services::running(runner, names).map_err(units)?;
            services::stop(runner, &running).map_err(units)?;
            Ok(())
        }
        Undo::Share { unit, weight } => Ok(tending::set_share(runner, unit, weight)?),
        Undo::Governors(was) => Ok(governors::set(engine.layout, was)?),
        Undo::Files { point, paths } => {
            let scope = Scope {
                config: true,
                paths: paths.clone(),
                ..Scope::default()
            };
            bring_back(engine, *point, &scope)
        }
        Undo::System { point } => {
            let scope = Scope {
                generation: true,
                ..Scope::default()
            };
            bring_back(engine, *point, &scope)
        }
    }
}
