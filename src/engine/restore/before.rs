//! What must be so before a restore changes anything: the rights, the room,
//! and a point of what is there that undoes it.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::Plan;
use super::execute::release;
use crate::engine::apply::{self, Part};
use crate::engine::create::{self, AskState, Created, Request};
use crate::engine::state::{self, Source};
use crate::engine::{Engine, EngineError, quiet};
use crate::point::Point;
use crate::point::document::Trigger;
use crate::system::journal::Entry;
use crate::system::lock::Lock;
use crate::system::{room, services};

/// Finds lacking rights before anything is changed.
pub(super) fn check_rights(engine: &Engine<'_>, plan: &Plan) -> Result<(), EngineError> {
    let uid = rustix::process::geteuid();
    if uid.is_root() {
        return Ok(());
    }
    let lacking = |what: String| {
        Err(EngineError::NotAllowed {
            uid: uid.as_raw(),
            what,
        })
    };
    if let Some(system) = plan.system.as_ref().filter(|s| !s.is_empty()) {
        let profiles = engine.layout.profile_dir(engine.profile);
        if !system.activations.is_empty() || !apply::writable(&profiles) {
            return lacking(format!("setting the profile in {}", profiles.display()));
        }
    }
    match plan
        .roots
        .iter()
        .find_map(|root| apply::first_unwritable(engine, root))
    {
        Some(path) => lacking(format!("writing {}", path.display())),
        None => Ok(()),
    }
}

/// Finds a lack of room for state before its units are stopped: new contents
/// are written beside the old ones. A configuration that finds none is as
/// quickly staged as measured.
pub(super) fn check_room(engine: &Engine<'_>, plan: &Plan) -> Result<(), EngineError> {
    let mut needed: BTreeMap<u64, (PathBuf, u64, u64)> = BTreeMap::new();
    let state = plan.roots.iter().filter(|r| r.part != Part::Config);
    for root in state.filter(|r| !r.changes.is_empty()) {
        let path = engine.layout.real(root.root.path.as_path());
        let Some(room) = room::at(&path)? else {
            continue;
        };
        let there = needed.entry(room.device).or_insert((path, room.free, 0));
        there.2 += root.new_bytes();
    }
    match needed.into_values().find(|(_, free, needed)| needed > free) {
        Some((path, free, needed)) => Err(EngineError::NoRoom { path, free, needed }),
        None => Ok(()),
    }
}

/// The point that undoes this restore: what is there now, of all that the
/// restored point touches.
pub(in crate::engine) fn undo_point(
    engine: &Engine<'_>,
    lock: &Lock,
    plan: &Plan,
    verb: &str,
) -> Result<Point, EngineError> {
    let mut request = Request::manual(format!("before {verb} of {}", plan.goal.label()));
    request.trigger = Trigger::PreRestore;
    let config = plan.roots.iter().filter(|r| r.part == Part::Config);
    request.also = config.map(|r| r.root.path.0.clone()).collect();
    let mut sources = Vec::new();
    if let Some(point) = plan.goal.point() {
        for name in &plan.scope.state {
            let set = state::set_of(point, name)?;
            sources.push(Source::of_point(engine, name, set));
        }
    }
    request.state = AskState::Held(sources);
    let created = create::create_locked(engine, lock, &request)?;
    if let Err(error) = is_whole(plan, &created) {
        release(engine, &created.point)?;
        return Err(error);
    }
    Ok(created.point)
}

/// Whether an undo point holds all that would change.
fn is_whole(plan: &Plan, created: &Created) -> Result<(), EngineError> {
    if let Some(trouble) = created.troubles.first() {
        return Err(EngineError::Units(trouble.clone()));
    }
    let changed: Vec<PathBuf> = plan
        .roots
        .iter()
        .flat_map(|r| r.changed_paths().collect::<Vec<_>>())
        .collect();
    let missing: Vec<_> = created
        .point
        .completeness
        .missing()
        .iter()
        .filter(|m| {
            let path = m.what.as_path();
            changed
                .iter()
                .any(|c| c.starts_with(path) || path.starts_with(c))
        })
        .collect();
    let lacks = |name: &&String| !created.point.state.contains_key(*name);
    if let Some(set) = plan.scope.state.iter().find(lacks) {
        let named = format!("state {set}: ");
        let mut whys = created.point.completeness.missing().iter();
        let why = whys.find_map(|m| m.why.strip_prefix(&named));
        return Err(EngineError::NoUndo(format!(
            "state {set} ({})",
            why.unwrap_or("it was not captured")
        )));
    }
    if !missing.is_empty() {
        let what = missing
            .iter()
            .map(|m| format!("{} ({})", m.what, m.why))
            .collect::<Vec<_>>();
        return Err(EngineError::NotAllowed {
            uid: rustix::process::geteuid().as_raw(),
            what: format!("reading {} for the undo point", what.join(", ")),
        });
    }
    Ok(())
}

/// Whether the units that were stopped for the undo point are so still: what
/// one wrote since would be in no point.
pub(super) fn still_stopped(engine: &Engine<'_>, entry: &Entry) -> Result<(), EngineError> {
    if entry.stopped.is_empty() || !quiet::is_live(engine) {
        return Ok(());
    }
    let running = services::running(engine.runner, &entry.stopped)
        .map_err(|e| EngineError::Units(e.to_string()))?;
    match running.is_empty() {
        true => Ok(()),
        false => Err(EngineError::Units(format!(
            "{} started again after the restore point that undoes this was taken",
            running.join(", ")
        ))),
    }
}
