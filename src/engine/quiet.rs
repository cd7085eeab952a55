//! Holding state still while it is read: the commands around a capture, the
//! units that own it, and the snapshot of its filesystem, which is still for
//! as long as it takes to read it.
//!
//! What has to be made good again — units to be started, commands to follow,
//! snapshots to be deleted — is written into the point's marker before
//! anything is done. Whoever finds the marker of a dead process settles its
//! debts.

use std::path::PathBuf;
use std::time::Duration;

use super::state::Source;
use super::{Engine, EngineError};
use crate::point::PointId;
use crate::point::policy::{Snapshot as Wanted, StateSet};
use crate::system::points::{self, Owed};
use crate::system::run::{Call, RunError};
use crate::system::services::{self, Started};
use crate::system::snapshots::{self, NoSnapshot, Plan, Snapshot};
use crate::system::{IoError, fault, rights};

/// Whether commands and units of the policy are those of the root.
pub(super) fn is_live(engine: &Engine<'_>) -> bool {
    engine.layout.is_live() || fault::pretends_systemd()
}

/// What is to be read of a set: real paths, and what of them is left out.
#[derive(Default)]
pub(super) struct Reach {
    pub(super) paths: Vec<PathBuf>,
    pub(super) leave: Vec<PathBuf>,
}

/// How it went to hold a set still.
#[derive(Debug, Default)]
pub(super) struct Held {
    /// What was not made good afterwards.
    pub(super) troubles: Vec<String>,
    /// Worth knowing.
    pub(super) warnings: Vec<String>,
    /// How it was held still, in words.
    pub(super) how: String,
    /// Whether something is left that the next run has to clean away.
    pub(super) leftovers: bool,
}

/// What keeps state still while one point is taken.
pub(super) struct Quiet<'e> {
    engine: &'e Engine<'e>,
    id: PointId,
    owed: Owed,
    /// Leave the units stopped: a restore goes on with them, and their debts
    /// stay in the marker.
    hold: bool,
    /// How many snapshots there were: each has a name of its own.
    made: usize,
}

impl<'e> Quiet<'e> {
    /// For the point that is being taken as `id`.
    pub(super) fn new(engine: &'e Engine<'e>, id: PointId, hold: bool) -> Self {
        let owed = Owed::default();
        Self {
            engine,
            id,
            owed,
            hold,
            made: 0,
        }
    }

    /// Does `work` while the set is still, with the places where its paths
    /// are read if not where they are; gives what it gave, or why the set
    /// could not be held still. `reach` says what will be read, once the
    /// command before has run.
    pub(super) fn during<T>(
        &mut self,
        set: &Source,
        reach: impl FnOnce() -> Result<Reach, EngineError>,
        work: impl FnOnce(Option<&[PathBuf]>) -> T,
    ) -> (Result<T, String>, Held) {
        let mut held = Held::default();
        if !is_live(self.engine) {
            held.how = "offline".to_owned();
            return (Ok(work(None)), held);
        }
        let frozen = self.freeze(set, reach, &mut held);
        let done = match frozen {
            Ok(None) => Ok(work(None)),
            Ok(Some(plan)) => {
                // From here on nobody need wait for the reading.
                self.make_good(set, false, &mut held);
                fault::point("create.snapshot");
                let done = work(Some(&plan.places));
                fault::point("create.read");
                self.thaw(&mut held);
                return (Ok(done), held);
            }
            Err(error) => Err(error),
        };
        fault::point("create.state-captured");
        let done = done.and_then(|done| self.was_still(set, &mut held).map(|()| done));
        self.make_good(set, self.hold && done.is_ok(), &mut held);
        (done, held)
    }

    /// Whether what was stopped stayed so while the set was read. An undo point
    /// that cannot say so is none; any other point says that it cannot.
    fn was_still(&self, set: &Source, held: &mut Held) -> Result<(), String> {
        if set.units.is_empty() || !services::present(self.engine.layout) {
            return Ok(());
        }
        let why = match services::running(self.engine.runner, &set.units) {
            Ok(running) if running.is_empty() => return Ok(()),
            Ok(running) => format!("{} started again while it was read", running.join(", ")),
            Err(error) => format!("whether its units stood still is not known: {error}"),
        };
        if self.hold {
            return Err(why);
        }
        held.how = "not held still".to_owned();
        held.warnings
            .push(format!("{why}: it may not be of one moment"));
        Ok(())
    }

    /// Runs the command before, stops the units, makes the snapshot.
    fn freeze(
        &mut self,
        set: &Source,
        reach: impl FnOnce() -> Result<Reach, EngineError>,
        held: &mut Held,
    ) -> Result<Option<Plan>, String> {
        self.before(set)?;
        let planned = match self.wants_snapshot(set) {
            false => None,
            true => Some(reach().map_err(|e| e.to_string())).transpose()?,
        };
        let planned = planned.map(|reach| {
            let (layout, made) = (self.engine.layout, self.made);
            snapshots::plan(layout, &reach.paths, &reach.leave, self.id, made)
        });
        let planned = self.possible(set, planned, held)?;
        let stopped = self.stop(set, held)?;
        let made = match planned {
            Some(plan) if !plan.snapshots.is_empty() => {
                let made = self.snapshot(&plan).map(|()| plan);
                if made.is_err() {
                    self.thaw(held);
                }
                self.possible(set, Some(made), held)?
            }
            _ => None,
        };
        let commands = set.before.is_some() || set.after.is_some();
        let snapshot = made
            .as_ref()
            .map(|plan| format!("{} snapshot", plan.kind()));
        let words: Vec<&str> = [(commands, "commands run"), (stopped, "units stopped")]
            .into_iter()
            .filter_map(|(is, word)| is.then_some(word))
            .chain(snapshot.as_deref())
            .collect();
        held.how = match words.is_empty() {
            true => "not held still".to_owned(),
            false => words.join(", "),
        };
        Ok(made)
    }

    /// Units that a restore keeps stopped anyway win nothing by a snapshot.
    fn wants_snapshot(&self, set: &Source) -> bool {
        set.snapshot != Wanted::Never && (!self.hold || set.units.is_empty())
    }

    /// What comes of it when there is no snapshot: another way, or none.
    fn possible(
        &self,
        set: &Source,
        plan: Option<Result<Plan, NoSnapshot>>,
        held: &mut Held,
    ) -> Result<Option<Plan>, String> {
        let why = match plan {
            None => return Ok(None),
            Some(Ok(plan)) => return Ok(Some(plan)),
            Some(Err(why)) => why,
        };
        // What is there now must go into an undo point, in whatever way.
        if set.snapshot == Wanted::Required && !self.hold {
            return Err(format!("no snapshot could be made: {why}"));
        }
        // Most filesystems make none, and nobody waits for it.
        if !matches!(why, NoSnapshot::Elsewhere { .. } | NoSnapshot::NotRoot) {
            let instead = match set.units.is_empty() {
                true => "it was read as it is",
                false => "its units were stopped until it was read",
            };
            held.warnings
                .push(format!("no snapshot could be made ({why}); {instead}"));
        }
        Ok(None)
    }

    fn snapshot(&mut self, plan: &Plan) -> Result<(), NoSnapshot> {
        self.made += plan.snapshots.len();
        self.owed.snapshots.extend(plan.snapshots.iter().cloned());
        self.note()?;
        fault::point("create.snapshot-owed");
        snapshots::make(self.engine.layout, self.engine.runner, plan)
    }

    /// Deletes the snapshots. One that stays gets a marker of its own, so that
    /// the next run tries again.
    fn thaw(&mut self, held: &mut Held) {
        let snapshots = std::mem::take(&mut self.owed.snapshots);
        let (left, troubles) = remove(self.engine, snapshots);
        held.warnings.extend(troubles);
        let noted = match left.is_empty() {
            true => self.note(),
            false => {
                let id = self.engine.clock.new_id(self.engine.clock.now());
                let owed = Owed {
                    snapshots: left.clone(),
                    ..Owed::default()
                };
                points::owe(self.engine.layout, id, &owed).and_then(|()| self.note())
            }
        };
        if let Err(error) = noted {
            held.troubles.push(error.to_string());
            held.leftovers = true;
            self.owed.snapshots = left;
        }
    }

    /// Starts the units, unless they are to stay stopped, and runs the command
    /// after.
    fn make_good(&mut self, set: &Source, stay: bool, held: &mut Held) {
        if !stay {
            held.troubles.extend(self.start());
        }
        fault::point("create.started");
        held.troubles.extend(self.after(set));
    }

    /// Notes the command after, and runs the one before.
    fn before(&mut self, set: &Source) -> Result<(), String> {
        if let Some(after) = &set.after {
            self.owed.commands.push(after.clone());
            if let Err(error) = self.note() {
                self.owed.commands.clear();
                return Err(error.to_string());
            }
        }
        let Some(before) = &set.before else {
            return Ok(());
        };
        let call = call(before).limit(set.timeout).yields();
        let ran = self.engine.runner.check(&call);
        if matches!(ran, Err(RunError::Start { .. })) {
            // It did not begin, so there is nothing to follow it.
            self.owed.commands.clear();
            self.note().map_err(|e| e.to_string())?;
        }
        ran.map(|_| ()).map_err(|e| format!("before: {e}"))
    }

    /// Stops the units that run, and what would start them again; gives whether
    /// there is a systemd to stop any.
    fn stop(&mut self, set: &Source, held: &mut Held) -> Result<bool, String> {
        let stops = !set.units.is_empty() && services::present(self.engine.layout);
        if stops {
            let runner = self.engine.runner;
            let running = services::to_stop(runner, &set.units).map_err(|e| e.to_string())?;
            let new = running.iter().filter(|u| !self.owed.units.contains(u));
            let new: Vec<String> = new.cloned().collect();
            self.owed.units.extend(new);
            self.note().map_err(|e| e.to_string())?;
            fault::point("create.owed");
            let rough = services::stop(runner, &running).map_err(|e| e.to_string())?;
            held.warnings.extend(rough.iter().map(ToString::to_string));
        }
        fault::point("create.stopped");
        Ok(stops)
    }

    fn start(&mut self) -> Vec<String> {
        let units = std::mem::take(&mut self.owed.units);
        if units.is_empty() {
            return Vec::new();
        }
        let mut troubles = start(self.engine, &units);
        troubles.extend(self.note().err().map(|e| e.to_string()));
        troubles
    }

    fn after(&mut self, set: &Source) -> Vec<String> {
        let commands = std::mem::take(&mut self.owed.commands);
        if commands.is_empty() {
            return Vec::new();
        }
        let (_, mut troubles) = run_all(self.engine, commands, set.timeout);
        troubles.extend(self.note().err().map(|e| e.to_string()));
        troubles
    }

    fn note(&self) -> Result<(), IoError> {
        points::owe(self.engine.layout, self.id, &self.owed)
    }
}

/// Deletes snapshots; gives those that stay, and why.
fn remove(engine: &Engine<'_>, snapshots: Vec<Snapshot>) -> (Vec<Snapshot>, Vec<String>) {
    let (mut left, mut troubles) = (Vec::new(), Vec::new());
    for snapshot in snapshots {
        if let Err(error) = snapshots::remove(engine.runner, &snapshot) {
            let name = match &snapshot {
                Snapshot::Btrfs(path) => path.to_string(),
                Snapshot::Zfs(name) => name.clone(),
            };
            troubles.push(format!(
                "the snapshot {name} is still there, the next run tries again: {error}"
            ));
            left.push(snapshot);
        }
    }
    (left, troubles)
}

/// Starts units that were stopped; gives what went wrong, one line each.
pub(super) fn start(engine: &Engine<'_>, units: &[String]) -> Vec<String> {
    told(&services::start(engine.runner, units))
}

fn told(started: &Started) -> Vec<String> {
    let gone = started.gone.iter();
    let gone = gone.map(|unit| format!("{unit} was stopped and is there no more"));
    let failed = started.failed.iter();
    let failed = failed.map(|(unit, why)| format!("not started again: {unit} ({why})"));
    gone.chain(failed).collect()
}

/// Runs commands; gives those that failed, and why.
fn run_all(
    engine: &Engine<'_>,
    commands: Vec<Vec<String>>,
    limit: Duration,
) -> (Vec<Vec<String>>, Vec<String>) {
    let (mut left, mut troubles) = (Vec::new(), Vec::new());
    for command in commands {
        if let Err(error) = engine.runner.check(&call(&command).limit(limit)) {
            troubles.push(format!("after: {error}"));
            left.push(command);
        }
    }
    (left, troubles)
}

/// What settling came to.
#[derive(Debug)]
pub(super) struct Settled {
    /// What went wrong, one line each.
    pub(super) troubles: Vec<String>,
    /// Whether nothing is owed any more: only then may the marker go.
    pub(super) paid: bool,
}

/// Settles what is owed for a point: starts units, runs commands, deletes
/// snapshots. What fails stays owed, so that the next run tries again; and a
/// process that may do little leaves to others what needs more.
pub(super) fn settle(engine: &Engine<'_>, id: PointId) -> Result<Settled, IoError> {
    let mut owed = points::owed(engine.layout, id)?;
    let mut troubles = Vec::new();
    let nothing = Owed::default();
    // Another root's units and commands are not ours.
    if owed != nothing && is_live(engine) {
        let before = owed.clone();
        let started = services::start(engine.runner, &owed.units);
        troubles.extend(told(&started));
        owed.units = started.failed.into_iter().map(|(unit, _)| unit).collect();
        if rights::are_confined() {
            let needs_more = owed.commands.len() + owed.snapshots.len();
            if needs_more > 0 {
                troubles.push(
                    "what a killed run owed stays so: this one is confined; cairn prune by hand \
                     makes it good"
                        .to_owned(),
                );
            }
        } else {
            let limit = StateSet::default().timeout.duration();
            let (commands, failed) = run_all(engine, std::mem::take(&mut owed.commands), limit);
            let (snapshots, stay) = remove(engine, std::mem::take(&mut owed.snapshots));
            troubles.extend(failed.into_iter().chain(stay));
            (owed.commands, owed.snapshots) = (commands, snapshots);
        }
        if owed != before {
            points::owe(engine.layout, id, &owed)?;
        }
    }
    let paid = owed == nothing;
    Ok(Settled { troubles, paid })
}

/// A command of the policy.
pub(super) fn call(command: &[String]) -> Call {
    match command.split_first() {
        Some((program, args)) => Call::new(program).args(args),
        // Running nothing fails, and says so.
        None => Call::default(),
    }
}
