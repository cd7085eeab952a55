//! A command as a transaction: a restore point, the command, the gate; then
//! what it changed stays, or goes back whole.
//!
//! A switch that the command makes is judged by the try alone: the hook before
//! the switch sees that a try is at work, and leaves it to that.

use super::create::{self, AskState, Request};
use super::hook::{self, Watcher};
use super::{Engine, EngineError, gate, quiet};
use crate::point::document::Trigger;
use crate::point::switch::{
    Action, Confirm, Done, Outcome, Reached, Switch, Tried, VERSION, Verdict,
};
use crate::point::{PointId, Span};
use crate::system::lock::LockError;
use crate::system::probe::Depth;
use crate::system::{bus, pointers, switches};

/// What is to be tried.
#[derive(Clone, Debug)]
pub struct Ask {
    /// The command, as a person would type it.
    pub command: String,
    /// State sets that are captured first, and go back with the rest.
    pub state: Vec<String>,
    /// Whether the command may fail and be kept.
    pub may_fail: bool,
    /// Within which time somebody has to confirm it.
    pub confirm: Option<Span>,
}

/// A try that has begun: its point is taken.
#[derive(Debug)]
pub struct Begun {
    /// The record.
    pub switch: Switch,
    /// What is worth knowing before the command runs.
    pub warnings: Vec<String>,
    /// What the vault's recovery password was made for, if it was made now.
    pub recovery: bool,
}

/// Runs a command as a transaction. `begun` is told when its point is taken,
/// `run` runs the command, marked with the id of the try
/// ([`offspring`](crate::system::offspring)), and gives its exit code, `say` is told each step.
///
/// Killed at any time, it is ended by a watcher in a unit of its own, or at the
/// next boot: what was begun and not kept goes back.
///
/// # Errors
/// Before the command ran: nothing was changed. After it: the record could not
/// be ended, and the watcher goes on.
pub fn attempt(
    engine: &Engine<'_>,
    ask: Ask,
    watcher: &Watcher,
    begun: &dyn Fn(&Begun),
    run: &dyn Fn(PointId) -> Result<i32, EngineError>,
    say: &dyn Fn(&str),
) -> Result<Switch, EngineError> {
    let alone = match switches::trying(engine.layout, std::time::Duration::ZERO) {
        Err(LockError::Held { .. }) => {
            let why = "another cairn try is at work".to_owned();
            return Err(EngineError::Unanswerable(why));
        }
        other => other?,
    };
    if !quiet::is_live(engine) {
        return Err(EngineError::NotRunning);
    }
    let Some(running) = pointers::current(engine.layout) else {
        return Err(EngineError::NoWay("no system runs here".to_owned()));
    };
    let mut request = Request::manual(format!("before trying {}", ask.command));
    request.trigger = Trigger::Try;
    request.state = AskState::Named(ask.state.clone());
    request.health = Depth::Hook;
    let created = create::create(engine, &request)?;
    if let Some(missing) = ask
        .state
        .iter()
        .find(|set| !created.point.state.contains_key(*set))
    {
        return Err(EngineError::NoUndo(format!("state {missing}")));
    }
    let started = engine.clock.now();
    let mut ailing: Vec<String> = bus::ailing(engine.layout).into_iter().collect();
    let named = ["units", "restarts"];
    ailing.extend(
        named
            .iter()
            .flat_map(|name| created.report.subjects_of(name))
            .cloned(),
    );
    let switch = Switch {
        version: VERSION,
        id: engine.clock.new_id(started),
        started,
        action: Action::Try,
        to: running,
        before: created.point.system.clone(),
        point: Some(created.point.id),
        no_point: None,
        ailing,
        health: hook::at_gate(&created.report),
        boot: switches::boot_id(),
        unit: None,
        risk: None,
        confirm: ask.confirm.map(|timeout| Confirm {
            timeout,
            until: None,
            since_boot: None,
        }),
        answer: None,
        judged: None,
        tried: Some(Tried {
            command: ask.command,
            state: ask.state,
            may_fail: ask.may_fail,
            exit: None,
        }),
        result: None,
        revision: 0,
    };
    switches::store(engine.layout, &switch)?;
    let id = switch.id;
    let mut warnings = created.warnings;
    warnings.extend(created.troubles);
    if !created.point.is_complete() {
        warnings.push("the restore point is partial: what it lacks would stay changed".to_owned());
    }
    if let Err(error) = watcher.start(engine, id) {
        warnings.push(format!("should this be killed, nothing goes back: {error}"));
    }
    begun(&Begun {
        switch,
        warnings,
        recovery: created.recovery.is_some(),
    });
    let exit = match run(id) {
        Ok(exit) => exit,
        Err(error) => {
            // It never ran, so there is nothing to take back.
            drop_record(engine, id)?;
            drop(alone);
            return Err(error);
        }
    };
    let now = pointers::current(engine.layout);
    switches::change(engine.layout, id, |record| {
        if let Some(tried) = &mut record.tried {
            tried.exit = Some(exit);
        }
        if let Some(now) = now {
            record.to = now;
        }
    })?;
    let ended = gate::follow(engine, id, say);
    drop(alone);
    ended
}

/// Ends the record of a command that could not be started.
fn drop_record(engine: &Engine<'_>, id: PointId) -> Result<(), EngineError> {
    let at = engine.clock.now();
    switches::change(engine.layout, id, |record| {
        record.result = Some(Outcome {
            at,
            reached: Reached::Refused,
            exit: None,
            verdict: Verdict::None,
            reasons: vec!["the command could not be started".to_owned()],
            done: Done::Nothing,
            trouble: None,
            warnings: Vec::new(),
            undo: None,
        });
    })?;
    Ok(())
}

/// Whether a try is at work, whose gate judges what is switched to meanwhile.
/// One that was killed is not.
pub fn is_at_work(engine: &Engine<'_>) -> bool {
    // Nearly always there is none, and nothing has to be read.
    let held = switches::trying(engine.layout, std::time::Duration::ZERO);
    if !matches!(held, Err(LockError::Held { .. })) {
        return false;
    }
    let boot = switches::boot_id();
    switches::read(engine.layout)
        .is_ok_and(|(records, _)| records.iter().any(|s| s.boot == boot && s.is_trying()))
}
