//! Before a switch: a restore point, a record, a watcher.
//!
//! Runs inside `switch-to-configuration`, as a check of the incoming system:
//! every millisecond here is one that the switch takes longer, and a failure
//! stops it only where the policy says `required`.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use super::create::{self, AskState, Created, Request};
use super::health::{self, Ask};
use super::risk::{self, Risked};
use super::{Engine, EngineError, history};
use crate::health::Report;
use crate::nix::store_path::StorePath;
use crate::plan::gate;
use crate::point::document::{Incoming, Trigger};
use crate::point::policy::When;
use crate::point::risk::Foretold;
use crate::point::switch::{Action, Answer, Confirm, Switch, VERSION};
use crate::point::{PointId, Status, Verdict};
use crate::system::probe::Depth;
use crate::system::run::RunError;
use crate::system::{bus, pointers, switches, units};

/// How long the lock is waited for while an earlier switch is taken back.
const HASTE: Duration = Duration::from_secs(2);

/// What the hook did.
#[derive(Debug)]
pub struct Hooked {
    /// The record.
    pub switch: Switch,
    /// The restore point, when one was taken now.
    pub created: Option<Created>,
    /// Whether the point is that of an earlier action of the same change.
    pub shared: bool,
    /// What went wrong and stops nothing.
    pub warnings: Vec<String>,
}

/// How a watcher is called: the id of the record follows the arguments.
#[derive(Clone, Debug)]
pub struct Watcher {
    /// The program.
    pub program: PathBuf,
    /// Its arguments.
    pub args: Vec<OsString>,
}

impl Watcher {
    pub(super) fn start(&self, engine: &Engine<'_>, id: PointId) -> Result<(), RunError> {
        let mut args = self.args.clone();
        args.push(id.to_string().into());
        let call = units::detached(&format!("cairn-gate-{id}"), &self.program, &args);
        engine.runner.check(&call).map(|_| ())
    }
}

/// Takes the point, writes the record and starts the watcher; `None` when there
/// is nothing to do: the action changes nothing, or no system runs yet (an
/// installer).
///
/// All that asks another program runs beside the capture. The watcher may well
/// be there before its record: it waits for the end of the switch first.
///
/// # Errors
/// When there can be neither point nor record. A point that could not be taken
/// is told in the record, so that its switch is watched all the same.
pub fn pre_switch(
    engine: &Engine<'_>,
    toplevel: &Path,
    action: &str,
    watcher: &Watcher,
) -> Result<Option<Hooked>, EngineError> {
    let Some(action) = Action::of_hook(action) else {
        return Ok(None);
    };
    let Some(running) = pointers::current(engine.layout) else {
        return Ok(None);
    };
    let to = store_path(toplevel)?;
    // A record that cannot be read must not keep this switch from having one.
    let (records, _) = switches::read(engine.layout).unwrap_or_default();
    // What was switched to behind our back is what this point will hold.
    let _ = history::notice_in(engine, &records);
    let started = engine.clock.now();
    let id = engine.clock.new_id(started);
    let mut warnings = Vec::new();
    let (watched, prepared) = thread::scope(|scope| {
        let watched = scope.spawn(|| watcher.start(engine, id));
        let prepared = prepare(engine, &to, action, &running, &records);
        (watched.join(), prepared)
    });
    if let Err(error) = watched.map_err(|_| EngineError::Thread)? {
        warnings.push(format!("this switch is not watched: {error}"));
    }
    let Prepared {
        before,
        created,
        shared,
        no_point,
        report,
        risk,
        warning,
    } = prepared?;
    let unit_checks = ["units", "restarts"];
    let unknown = |v: &&Verdict| unit_checks.contains(&v.name.as_str()) && v.value.is_none();
    if let Some(verdict) = report.checks.iter().find(unknown) {
        warnings.push(format!(
            "units that failed before are not known: {}",
            verdict.detail
        ));
    }
    let mut ailing: Vec<String> = bus::ailing(engine.layout).into_iter().collect();
    ailing.extend(
        unit_checks
            .iter()
            .flat_map(|name| report.subjects_of(name))
            .cloned(),
    );
    warnings.extend(warning);
    let confirm = to_confirm(engine, &to, action, &before, &records);
    let switch = Switch {
        version: VERSION,
        id,
        started,
        action,
        to,
        before,
        point: shared.or(created.as_ref().map(|c| c.point.id)),
        no_point,
        ailing,
        health: at_gate(&report),
        boot: switches::boot_id(),
        unit: units::own_switch_unit(),
        risk,
        confirm,
        answer: None,
        judged: None,
        tried: None,
        result: None,
        revision: 0,
    };
    switches::store(engine.layout, &switch)?;
    Ok(Some(Hooked {
        switch,
        created,
        shared: shared.is_some(),
        warnings,
    }))
}

/// What is to be confirmed: every switch, where the policy says so, that could
/// be taken back. A `boot` of what runs and was just confirmed goes with that.
fn to_confirm(
    engine: &Engine<'_>,
    to: &StorePath,
    action: Action,
    before: &crate::point::document::System,
    records: &[Switch],
) -> Option<Confirm> {
    let gate = &engine.policy.gate;
    let timeout = gate
        .confirm_timeout
        .filter(|_| gate.enable && gate.rollback)?;
    let confirmed = records.iter().rev().find(|s| s.to == *to).is_some_and(|s| {
        let answer = s.answer.as_ref().map(|answered| answered.answer);
        answer == Some(Answer::Confirmed) && s.stands()
    });
    let runs = pointers::current(engine.layout).as_ref() == Some(to);
    let same = before.current.as_ref() == Some(to);
    if same || (action == Action::Boot && runs && confirmed) {
        return None;
    }
    Some(Confirm {
        timeout,
        until: None,
        since_boot: None,
    })
}

/// What the checks that count at gates said.
pub(super) fn at_gate(report: &Report) -> BTreeMap<String, Status> {
    let counts = |v: &&Verdict| crate::health::check(&v.name).is_some_and(|check| check.gate);
    let all = report.checks.iter().filter(counts);
    all.map(|v| (v.label(), v.status)).collect()
}

struct Prepared {
    before: crate::point::document::System,
    created: Option<Created>,
    shared: Option<PointId>,
    no_point: Option<String>,
    report: Report,
    risk: Option<Foretold>,
    warning: Option<String>,
}

/// The point, or the one to share, or why there is none; and what the health
/// checks say. A point has them asked beside its capture.
fn prepare(
    engine: &Engine<'_>,
    to: &StorePath,
    action: Action,
    running: &StorePath,
    records: &[Switch],
) -> Result<Prepared, EngineError> {
    let incoming = Some(Incoming {
        toplevel: to.clone(),
        action: action.as_str().to_owned(),
        // Observing finds it.
        specialisation: None,
    });
    let look = || health::look(engine, &Ask::of(Depth::Hook));
    let last = records.last();
    if let Some(last) =
        last.filter(|last| gate::continues(last, to, action, Some(running), engine.clock.now()))
    {
        return Ok(Prepared {
            before: last.before.clone(),
            created: None,
            shared: last.point,
            no_point: None,
            report: look(),
            risk: last.risk.clone(),
            warning: None,
        });
    }
    let risked = engine
        .policy
        .risk
        .enable
        .then(|| risk::foretell(engine, running, to, records, risk::HASTE));
    let foretold = risked.as_ref().map(Risked::foretold);
    let high = risked.filter(|risked| risked.is_high(engine));
    let observe = || {
        pointers::observe(engine.layout, engine.profile, incoming.clone())
            .map(|o| o.system)
            .map_err(EngineError::from)
    };
    if !engine.policy.pre_switch.enable {
        return Ok(Prepared {
            before: observe()?,
            created: None,
            shared: None,
            no_point: Some("the policy has none taken before a switch".to_owned()),
            report: look(),
            risk: foretold,
            warning: high.as_ref().map(Risked::line),
        });
    }
    let reasons: Vec<&String> = engine
        .policy
        .points
        .values()
        .filter(|p| p.trigger == When::PreSwitch)
        .filter_map(|p| p.reason.as_ref())
        .collect();
    let mut request = Request::manual(match reasons.as_slice() {
        [reason] => (*reason).clone(),
        _ => format!("before {} to {}", action.as_str(), to.name()),
    });
    request.trigger = Trigger::PreSwitch;
    request.incoming = incoming.clone();
    request.health = Depth::Hook;
    let mut warning = None;
    if let Some(risked) = high {
        let line = risked.line();
        request.state = AskState::Named(engine.policy.state.keys().cloned().collect());
        request.pinned = true;
        request.description = Some(line.clone());
        let state = match engine.policy.state.is_empty() {
            true => "",
            false => ", and holds all state",
        };
        warning = Some(format!("{line}; the point before it is pinned{state}"));
    }
    // Who goes back has the lock, and waits for this switch to end.
    let hasty = Engine {
        patience: HASTE.min(engine.patience),
        progress: engine.progress.clone(),
        ..*engine
    };
    let engine = match switches::is_ending(engine.layout) {
        true => &hasty,
        false => engine,
    };
    match create::create(engine, &request) {
        Ok(created) => Ok(Prepared {
            before: created.point.system.clone(),
            report: created.report.clone(),
            created: Some(created),
            shared: None,
            no_point: None,
            risk: foretold,
            warning,
        }),
        Err(error) => Ok(Prepared {
            before: observe()?,
            created: None,
            shared: None,
            no_point: Some(error.to_string()),
            report: look(),
            risk: foretold,
            warning: None,
        }),
    }
}

fn store_path(path: &Path) -> Result<StorePath, EngineError> {
    path.to_str()
        .and_then(|text| StorePath::from_absolute_path(text.as_bytes()).ok())
        .ok_or_else(|| {
            EngineError::NoWay(format!(
                "{} is not the store path of a system",
                crate::point::path::printable(path)
            ))
        })
}
