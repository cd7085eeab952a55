//! Carrying a plan out: journal, stage, put in place, switch, verify.

use std::path::PathBuf;

use super::before::{check_rights, check_room, still_stopped, undo_point};
use super::planning::{Look, plan_named};
use super::system::{Activated, activate, await_switch, move_profile, verify_system};
use super::{Plan, Restored};
use crate::engine::apply::{self, RootPlan};
use crate::engine::contents::Proven;
use crate::engine::fetch::{self, Sources};
use crate::engine::progress::Task;
use crate::engine::step::step;
use crate::engine::{Engine, EngineError, Stores, create, merge, put, quiet, times};
use crate::plan::restore::ProfileMove;
use crate::point::Point;
use crate::system::journal::{self, Entry, State};
use crate::system::lock::Lock;
use crate::system::{generations, pointers, points, switches};

/// Carries a plan out: takes the undo point, journals, restores, verifies.
///
/// # Errors
/// Before the journal is written nothing has changed; after it, `resume` and
/// `abort` know what to do.
pub fn execute(engine: &Engine<'_>, plan: Plan, verb: &str) -> Result<Restored, EngineError> {
    check_rights(engine, &plan)?;
    check_room(engine, &plan)?;
    if let Some(fetch) = &plan.fetch {
        engine.check_finished()?;
        fetch::run(engine, &plan.goal, fetch)?;
    }
    let mut troubles = create::clean_after_crash(engine)?;
    let lock = engine.lock_to_change()?;
    await_switch(engine, &plan)?;
    let undo = step("restore.undo-point", || {
        undo_point(engine, &lock, &plan, verb).inspect_err(|error| {
            if error.is_stopped() {
                // As a capture that is stopped does; the next run tries again.
                let _ = create::clean_locked(engine, &lock);
            }
        })
    })?;
    let begun = step("restore.journalled", || {
        let (plan, conflicts) = merge::settle(engine, plan, &undo)?;
        let (plan, entry) = begin(engine, plan, verb, &undo)?;
        Ok((plan, entry, conflicts))
    });
    let (plan, mut entry, conflicts) = match begun {
        Ok(begun) => begun,
        Err(error) => {
            // Nothing has begun: the units need not wait for its end.
            release(engine, &undo)?;
            return Err(error);
        }
    };
    // The journal knows the units by now.
    let stopped = entry.stopped.clone();
    let halfway = |why| halfway(why, &stopped);
    step("restore.handed-over", || {
        Ok(points::end(engine.layout, undo.id)?)
    })
    .map_err(halfway)?;
    let stores = engine.stores().map_err(halfway)?;
    let still = || still_stopped(engine, &entry);
    let staged = match stage(engine, &stores, &plan, &undo, still) {
        Ok(staged) => staged,
        Err(error) => {
            // Everything is as it was, so there is nothing to resume.
            let troubles = start_units(engine, &entry);
            entry.state = State::Aborted;
            return match journal::store(engine.layout, &entry) {
                Ok(()) if troubles.is_empty() => Err(error),
                Ok(()) => Err(EngineError::Units(format!(
                    "{error}; {}",
                    troubles.join("; ")
                ))),
                Err(_) => Err(halfway(error)),
            };
        }
    };
    let placed = put_in_place(engine, staged, &plan).map_err(halfway)?;
    let mut restored = finish(engine, &stores, plan, undo, &entry, placed).map_err(halfway)?;
    entry.state = State::Done;
    step("restore.ended", || {
        Ok(journal::store(engine.layout, &entry)?)
    })
    // The units run by now.
    .map_err(|why| self::halfway(why, &[]))?;
    restored.conflicts = conflicts;
    restored.notes.append(&mut troubles);
    Ok(restored)
}

/// Plans once more, and writes the journal.
fn begin(
    engine: &Engine<'_>,
    plan: Plan,
    verb: &str,
    undo: &Point,
) -> Result<(Plan, Entry), EngineError> {
    // The machine may have changed since the plan was shown; the undo point
    // holds it as it is now, and so must the plan.
    let (told, emptied) = (plan.warnings, plan.emptied);
    let sources = Sources::of(engine.policy);
    let plan = Plan {
        warnings: told,
        emptied,
        ..plan_named(engine, plan.goal, &plan.scope, &sources, Look::Alone)?
    };
    if let Some(fetch) = &plan.fetch {
        // It was there a moment ago. Nothing is fetched while units wait.
        return Err(fetch::is_gone(engine, &plan.goal, &fetch.gone[0]));
    }
    let started = engine.clock.now();
    let entry = Entry {
        version: journal::VERSION,
        id: engine.clock.new_id(started),
        started,
        turn: journal::next_turn(engine.layout)?,
        verb: verb.to_owned(),
        goal: plan.goal.journalled(),
        undo_point: undo.id,
        scope: plan.scope.clone(),
        made: plan.roots.iter().flat_map(RootPlan::made).collect(),
        above: put::missing_above(engine, &plan.roots)?,
        emptied: plan.emptied.clone(),
        roots: plan.roots.iter().map(|r| r.root.path.clone()).collect(),
        kept: Vec::new(),
        stopped: points::owed(engine.layout, undo.id)?.units,
        state: State::Running,
    };
    journal::store(engine.layout, &entry)?;
    Ok((plan, entry))
}

/// Starts what was stopped for an undo point that nothing follows.
pub(in crate::engine) fn release(engine: &Engine<'_>, undo: &Point) -> Result<(), EngineError> {
    let settled = quiet::settle(engine, undo.id)?;
    if settled.paid {
        points::end(engine.layout, undo.id)?;
    }
    if settled.troubles.is_empty() {
        return Ok(());
    }
    Err(EngineError::Units(settled.troubles.join("; ")))
}

fn start_units(engine: &Engine<'_>, entry: &Entry) -> Vec<String> {
    if entry.stopped.is_empty() || !quiet::is_live(engine) {
        return Vec::new();
    }
    quiet::start(engine, &entry.stopped)
}

/// An error that stopped a restore after its beginning, with the units that
/// stay stopped until it ends.
pub(in crate::engine) fn halfway(why: EngineError, stopped: &[String]) -> EngineError {
    let stopped = match &why {
        // Systemd was asked to start them, and the message says which failed.
        EngineError::Units(_) => Vec::new(),
        _ => stopped.to_vec(),
    };
    EngineError::Halfway {
        why: Box::new(why),
        stopped,
    }
}

/// Makes the machine like the plan's point and checks that it is.
pub(in crate::engine) fn converge(
    engine: &Engine<'_>,
    _alone: &Lock,
    plan: Plan,
    undo: Point,
    entry: &Entry,
) -> Result<Restored, EngineError> {
    let stores = engine.stores()?;
    let staged = stage(engine, &stores, &plan, &undo, || Ok(()))?;
    let placed = put_in_place(engine, staged, &plan)?;
    finish(engine, &stores, plan, undo, entry, placed)
}

fn stage<'a>(
    engine: &Engine<'_>,
    stores: &'a Stores,
    plan: &'a Plan,
    undo: &Point,
    last: impl FnOnce() -> Result<(), EngineError>,
) -> Result<Vec<put::Staged<'a>>, EngineError> {
    step("restore.staged", || {
        put::stage(engine, stores, &plan.roots, undo.id, last)
    })
}

/// What putting files in place came to.
struct Placed {
    /// Files, folders and links changed.
    changed: usize,
    /// Those of them that were read back.
    proven: Proven,
}

fn put_in_place(
    engine: &Engine<'_>,
    staged: Vec<put::Staged<'_>>,
    plan: &Plan,
) -> Result<Placed, EngineError> {
    let mut placed = Placed {
        changed: 0,
        proven: Proven::default(),
    };
    step("restore.config", || {
        for root in staged {
            placed.changed += root.put_in_place(engine)?;
            placed.proven.extend(root.proven());
        }
        Ok(())
    })?;
    step("restore.emptied", || put::take_away(engine, &plan.emptied))?;
    step("restore.times", || times::put_back(engine, &plan.roots))?;
    Ok(placed)
}

/// The system, when the files are in place; then the check of all, while state
/// is still; last the units, which find both as the point has them.
fn finish(
    engine: &Engine<'_>,
    stores: &Stores,
    plan: Plan,
    undo: Point,
    entry: &Entry,
    placed: Placed,
) -> Result<Restored, EngineError> {
    let mut activated = Activated::default();
    let Placed { changed, proven } = placed;
    verify_files(engine, stores, &plan, &proven)?;
    if let Some(system) = &plan.system {
        engine.check_stop()?;
        step("restore.profile", || move_profile(engine, system))?;
        engine.check_stop()?;
        activated = step("restore.activated", || {
            let activated = activate(engine, system, &plan.scope, &undo.id.short_among([]))?;
            if let Some(runs) = pointers::current(engine.layout) {
                // Without the note, the next look reports a switch too many.
                let _ = switches::know(engine.layout, &runs);
            }
            Ok(activated)
        })?;
        step("restore.verified", || verify_system(engine, system))?;
    }
    step("restore.started", || {
        let troubles = start_units(engine, entry);
        if troubles.is_empty() {
            return Ok(());
        }
        Err(EngineError::Units(troubles.join("; ")))
    })?;
    let generation = generations::read(engine.layout, engine.profile)?.current;
    Ok(Restored {
        goal: plan.goal,
        undo,
        before: None,
        changed,
        generation,
        moved: plan.system.is_some_and(|s| s.profile != ProfileMove::Stay),
        activated: activated.any,
        runs: activated.runs,
        boot_step: plan.boot_step,
        switch_code: activated.code,
        conflicts: 0,
        warnings: plan.warnings,
        notes: activated.note.into_iter().collect(),
    })
}

/// Plans again: a restore that ended well leaves nothing to do.
fn verify_files(
    engine: &Engine<'_>,
    stores: &Stores,
    plan: &Plan,
    proven: &Proven,
) -> Result<(), EngineError> {
    let files = plan.scope.config || !plan.scope.state.is_empty();
    if let Some(point) = plan.goal.point().filter(|_| files) {
        let _comparing = engine.begin(&Task::Compare, None);
        let left: Vec<PathBuf> = apply::plan(engine, stores, point, &plan.scope, proven)?
            .roots
            .iter()
            .flat_map(|r| r.changed_paths().collect::<Vec<_>>())
            .collect();
        if let Some(first) = left.first() {
            return Err(EngineError::NotVerified(format!(
                "{}, the first is {}",
                match left.len() {
                    1 => "1 path still differs".to_owned(),
                    n => format!("{n} paths still differ"),
                },
                first.display()
            )));
        }
    }
    Ok(())
}
