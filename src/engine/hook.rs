//! Before a switch: a restore point, a record, a watcher.
//!
//! Runs inside `switch-to-configuration`, as a check of the incoming system:
//! every millisecond here is one that the switch takes longer, and a failure
//! stops it only where the policy says `required`.

use std::path::Path;
use std::thread;

use super::create::{self, AskState, Created, Request};
use super::risk::{self, Risked};
use super::{Engine, EngineError, history};
use crate::nix::store_path::StorePath;
use crate::plan::gate;
use crate::point::document::{Incoming, Trigger};
use crate::point::policy::When;
use crate::point::risk::Foretold;
use crate::point::switch::{Action, Switch, VERSION};
use crate::system::run::RunError;
use crate::system::{pointers, switches, units};

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

/// Takes the point and writes the record; `None` when there is nothing to do:
/// the action changes nothing, or no system runs yet (an installer).
///
/// # Errors
/// When there can be neither point nor record. A point that could not be taken
/// is told in the record, so that its switch is watched all the same.
pub fn pre_switch(
    engine: &Engine<'_>,
    toplevel: &Path,
    action: &str,
) -> Result<Option<Hooked>, EngineError> {
    let Some(action) = Action::of_hook(action) else {
        return Ok(None);
    };
    let Some(running) = pointers::current(engine.layout) else {
        return Ok(None);
    };
    let to = store_path(toplevel)?;
    let mut warnings = Vec::new();
    let (ailing, prepared) = thread::scope(|scope| {
        let ailing = scope.spawn(|| {
            let mut ailing = units::ailing(engine.runner)?.all();
            ailing.extend(units::flapping(engine.runner)?);
            Ok::<_, RunError>(ailing)
        });
        let prepared = prepare(engine, &to, action, &running);
        (ailing.join(), prepared)
    });
    let ailing = match ailing.map_err(|_| EngineError::Thread)? {
        Ok(ailing) => ailing,
        Err(error) => {
            warnings.push(format!("units that failed before are not known: {error}"));
            Vec::new()
        }
    };
    let Prepared {
        before,
        created,
        shared,
        no_point,
        risk,
        warning,
    } = prepared?;
    warnings.extend(warning);
    let started = engine.clock.now();
    let switch = Switch {
        version: VERSION,
        id: engine.clock.new_id(started),
        started,
        action,
        to,
        before,
        point: shared.or(created.as_ref().map(|c| c.point.id)),
        no_point,
        ailing,
        boot: switches::boot_id(),
        unit: units::own_switch_unit(),
        risk,
        result: None,
    };
    switches::store(engine.layout, &switch)?;
    Ok(Some(Hooked {
        switch,
        created,
        shared: shared.is_some(),
        warnings,
    }))
}

struct Prepared {
    before: crate::point::document::System,
    created: Option<Created>,
    shared: Option<crate::point::PointId>,
    no_point: Option<String>,
    risk: Option<Foretold>,
    warning: Option<String>,
}

/// The point, or the one to share, or why there is none.
fn prepare(
    engine: &Engine<'_>,
    to: &StorePath,
    action: Action,
    running: &StorePath,
) -> Result<Prepared, EngineError> {
    // A record that cannot be read must not keep this switch from having one.
    let (records, _) = switches::read(engine.layout).unwrap_or_default();
    // What was switched to behind our back is what this point will hold.
    let _ = history::notice_in(engine, &records);
    let incoming = Some(Incoming {
        toplevel: to.clone(),
        action: action.as_str().to_owned(),
    });
    let last = records.last();
    if let Some(last) =
        last.filter(|last| gate::continues(last, to, action, Some(running), engine.clock.now()))
    {
        return Ok(Prepared {
            before: last.before.clone(),
            created: None,
            shared: last.point,
            no_point: None,
            risk: last.risk.clone(),
            warning: None,
        });
    }
    let risked = engine
        .policy
        .risk
        .enable
        .then(|| risk::foretell(engine, running, to, &records, risk::HASTE));
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
    match create::create(engine, &request) {
        Ok(created) => Ok(Prepared {
            before: created.point.system.clone(),
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
