//! Holding state still while it is read: the commands around a capture, and
//! the units that own it.
//!
//! What has to be made good again — units to be started, commands to follow —
//! is written into the point's marker before anything is stopped. Whoever
//! finds the marker of a dead process settles its debts.

use super::Engine;
use super::state::Source;
use crate::point::PointId;
use crate::system::points::{self, Owed};
use crate::system::run::{Call, RunError};
use crate::system::{IoError, fault, services};

/// Whether commands and units of the policy are those of the root.
pub(super) fn is_live(engine: &Engine<'_>) -> bool {
    engine.layout.is_live() || fault::pretends_systemd()
}

/// What keeps state still while one point is taken.
pub(super) struct Quiet<'e> {
    engine: &'e Engine<'e>,
    id: PointId,
    owed: Owed,
    /// Leave the units stopped: a restore goes on with them, and their debts
    /// stay in the marker.
    hold: bool,
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
        }
    }

    /// Does `work` while the set is still; gives what it gave, or why the set
    /// could not be held still, and what could not be made good afterwards.
    pub(super) fn during<T>(
        &mut self,
        set: &Source,
        work: impl FnOnce() -> T,
    ) -> (Result<T, String>, Vec<String>) {
        if !is_live(self.engine) {
            return (Ok(work()), Vec::new());
        }
        let mut troubles = Vec::new();
        let done = match self.before(set) {
            Ok(()) => self.stopped(set).map(|()| work()),
            Err(error) => Err(error),
        };
        fault::point("create.state-captured");
        if !self.hold || done.is_err() {
            troubles.extend(self.start());
        }
        fault::point("create.started");
        troubles.extend(self.after());
        (done, troubles)
    }

    /// Runs the command before, and notes the one after.
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
        let ran = self.engine.runner.check(&call(before));
        if matches!(ran, Err(RunError::Start { .. })) {
            // It did not begin, so there is nothing to follow it.
            self.owed.commands.clear();
            self.note().map_err(|e| e.to_string())?;
        }
        ran.map(|_| ()).map_err(|e| e.to_string())
    }

    fn stopped(&mut self, set: &Source) -> Result<(), String> {
        if !set.units.is_empty() && services::present(self.engine.layout) {
            let runner = self.engine.runner;
            let running = services::running(runner, &set.units).map_err(|e| e.to_string())?;
            let new = running.iter().filter(|u| !self.owed.units.contains(u));
            let new: Vec<String> = new.cloned().collect();
            self.owed.units.extend(new);
            self.note().map_err(|e| e.to_string())?;
            fault::point("create.owed");
            services::stop(runner, &running).map_err(|e| e.to_string())?;
        }
        fault::point("create.stopped");
        Ok(())
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

    fn after(&mut self) -> Vec<String> {
        let commands = std::mem::take(&mut self.owed.commands);
        if commands.is_empty() {
            return Vec::new();
        }
        let mut troubles = run_all(self.engine, &commands);
        troubles.extend(self.note().err().map(|e| e.to_string()));
        troubles
    }

    fn note(&self) -> Result<(), IoError> {
        points::owe(self.engine.layout, self.id, &self.owed)
    }
}

/// Starts units that were stopped; gives what went wrong, one line each.
pub(super) fn start(engine: &Engine<'_>, units: &[String]) -> Vec<String> {
    match services::start(engine.runner, units) {
        Ok(gone) => gone
            .iter()
            .map(|unit| format!("{unit} was stopped and is there no more"))
            .collect(),
        Err(error) => vec![format!("not started again: {} ({error})", units.join(", "))],
    }
}

fn run_all(engine: &Engine<'_>, commands: &[Vec<String>]) -> Vec<String> {
    let run = |command: &Vec<String>| engine.runner.check(&call(command)).err();
    commands
        .iter()
        .filter_map(run)
        .map(|e| e.to_string())
        .collect()
}

/// Settles what is owed for a point: starts units, runs commands. Everything
/// is tried once; gives what went wrong, one line each.
pub(super) fn settle(engine: &Engine<'_>, id: PointId) -> Result<Vec<String>, IoError> {
    let owed = points::owed(engine.layout, id)?;
    if owed == Owed::default() || !is_live(engine) {
        return Ok(Vec::new());
    }
    let mut troubles = start(engine, &owed.units);
    troubles.extend(run_all(engine, &owed.commands));
    points::owe(engine.layout, id, &Owed::default())?;
    Ok(troubles)
}

fn call(command: &[String]) -> Call {
    match command.split_first() {
        Some((program, args)) => Call::new(program).args(args),
        // Running nothing fails, and says so.
        None => Call::default(),
    }
}
