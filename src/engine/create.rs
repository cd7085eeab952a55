//! Taking a restore point: lock → observe and capture → pin → document.
//!
//! A crash at any instant leaves a whole point or none. Until the document is
//! renamed into place nothing is listed; what was written before is found
//! again through its marker in `inflight/` and cleaned away by the next run.

mod clean;
mod config;
mod request;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::thread;

use chrono::{DateTime, Utc};

use super::health::{self, Ask};
use super::state::{self, Source, Taken};
use super::{Engine, EngineError, versions};
use crate::health::Report;
use crate::plan::capture::{Choice, choose};
use crate::point::document::{self, Completeness, Missing, Point, RootKind};
use crate::point::marks::Note;
use crate::point::{BytePath, Marks, PointId};
use crate::system::fault;
use crate::system::lock::{Lock, Mode};
use crate::system::pins::{self, PinError};
use crate::system::pointers::{self, Observation};
use crate::system::{journal, known_good, points};
use crate::vault::{Opened, VaultDir};

pub(super) use clean::{clean_after_crash, clean_locked, discard};
pub(super) use config::own_state;
use config::{capture, config_part, describe_roots, find_sources, with_content};
pub use request::{AskState, Created, Preview, Request};

/// Takes a point.
///
/// # Errors
/// Nothing is listed, and nothing but the vault's own files is changed, when
/// it fails.
pub fn create(engine: &Engine<'_>, request: &Request) -> Result<Created, EngineError> {
    points::prepare(engine.layout)?;
    let troubles = clean_after_crash(engine)?;
    let lock = engine.lock(Mode::Shared)?;
    let mut created = match create_locked(engine, &lock, request) {
        Err(error) if error.is_stopped() => {
            drop(lock);
            // What it had stored takes no space; if that fails the next run
            // tries again, and the interruption is what is to be told.
            let _ = clean_after_crash(engine);
            return Err(error);
        }
        other => other?,
    };
    created.troubles.extend(troubles);
    // A point takes nothing away, and the hook before a switch must not be
    // stopped: but whoever restores this one should know.
    match journal::unfinished(engine.layout) {
        Ok(None) => {}
        Ok(Some(entry)) => created.warnings.push(format!(
            "a {} is unfinished: this point holds what is halfway there (cairn resume, or \
             cairn abort)",
            entry.verb
        )),
        Err(e) => created
            .warnings
            .push(format!("whether a restore is unfinished is not known: {e}")),
    }
    Ok(created)
}

/// What a point would capture. Nothing is changed.
///
/// # Errors
/// A loop of symlinks among the paths the policy names.
pub fn preview(engine: &Engine<'_>, request: &Request) -> Result<Preview, EngineError> {
    let choice = chosen(engine, request)?;
    let config = match choice.config {
        true => Some(find_sources(engine, request)?),
        false => None,
    };
    let state = sources_of(engine, request, &choice);
    Ok(Preview { config, state })
}

/// What is captured, by the request and the policy.
fn chosen(engine: &Engine<'_>, request: &Request) -> Result<Choice, EngineError> {
    let policy = choose(engine.policy, &request.trigger);
    let named = !engine.policy.config_paths.is_empty() || !request.also.is_empty();
    let config = request.config && policy.config && named;
    match &request.state {
        AskState::Policy => Ok(Choice { config, ..policy }),
        AskState::Held(_) => Ok(Choice {
            config,
            ..Choice::default()
        }),
        AskState::Named(names) => {
            let known = |name: &&String| engine.policy.state.contains_key(*name);
            if let Some(unknown) = names.iter().find(|name| !known(name)) {
                return Err(EngineError::UnknownSet(unknown.clone()));
            }
            let state: BTreeSet<String> = names.iter().cloned().collect();
            Ok(Choice {
                config,
                state: state.into_iter().collect(),
                unknown: Vec::new(),
            })
        }
    }
}

fn sources_of(engine: &Engine<'_>, request: &Request, choice: &Choice) -> Vec<Source> {
    match &request.state {
        AskState::Held(sources) => sources.clone(),
        _ => choice
            .state
            .iter()
            .filter_map(|name| Source::of_policy(engine, name))
            .collect(),
    }
}

/// Takes a point under a lock that is already held.
pub(super) fn create_locked(
    engine: &Engine<'_>,
    _lock: &Lock,
    request: &Request,
) -> Result<Created, EngineError> {
    fault::point("create.locked");
    let choice = chosen(engine, request)?;
    let Opened { vault, recovery } = engine.open_or_make_vault()?;
    let created = engine.clock.now();
    let id = engine.clock.new_id(created);
    points::begin(engine.layout, id)?;
    fault::point("create.begun");
    let taken = match take(engine, &vault, request, &choice, id, created) {
        Ok(taken) => taken,
        Err(error) => {
            // The error that stopped us is what the user must hear of; what
            // cannot be cleaned now is cleaned by the next run.
            let _ = discard(engine, &vault, id);
            if matches!(error, EngineError::Vault(_)) || error.is_stopped() {
                // Packs that no snapshot names may be left: the marker has the
                // next run free them.
                let _ = points::begin(engine.layout, id);
            }
            return Err(error);
        }
    };
    let (point, marks, report, warnings, state) = taken;
    let held = matches!(request.state, AskState::Held(_));
    // A marker that stays has the next run free what a full disk left behind.
    if !held && !state.leftovers {
        points::end(engine.layout, id)?;
    }
    fault::point("create.ended");
    // A restore may well bring back what is not there.
    let nowhere = nowhere(&point).filter(|_| point.trigger.is_meant());
    let without_config = nowhere.is_some();
    Ok(Created {
        point,
        marks,
        report,
        recovery,
        warnings: nowhere
            .into_iter()
            .chain(warnings)
            .chain(state.warnings)
            .collect(),
        without_config,
        troubles: state.troubles,
    })
}

/// Said of a point that was to hold a configuration where nothing is of any:
/// whoever keeps theirs elsewhere must not believe it is safe.
fn nowhere(point: &Point) -> Option<String> {
    let roots = &point.config.as_ref()?.roots;
    if roots.is_empty() || roots.iter().any(|root| root.kind != RootKind::Absent) {
        return None;
    }
    let places: Vec<String> = roots.iter().map(|root| root.path.to_string()).collect();
    Some(format!(
        "no configuration was captured: there is nothing at {}; name where yours is in \
         configPaths of the policy (cairn policy init; on NixOS services.cairn.configPaths), or \
         [] there if this machine has none of its own",
        places.join(", ")
    ))
}

fn take(
    engine: &Engine<'_>,
    vault: &VaultDir,
    request: &Request,
    choice: &Choice,
    id: PointId,
    created: DateTime<Utc>,
) -> Result<(Point, Marks, Report, Vec<String>, Taken), EngineError> {
    let mut missing: Vec<Missing> = choice
        .unknown
        .iter()
        .map(|name| Missing {
            what: BytePath(name.into()),
            why: "the policy has no state set of this name".to_owned(),
        })
        .collect();
    let mut warnings = Vec::new();
    let sources = if choice.config {
        Some(find_sources(engine, request)?)
    } else {
        None
    };
    let ask = Ask {
        incoming: request.incoming.clone(),
        ..Ask::of(request.health)
    };
    // Observing runs beside the capture: neither needs the other.
    let (observed, captured, roots, report) = thread::scope(|scope| {
        let report = scope.spawn(|| health::look(engine, &ask));
        let observed = scope
            .spawn(|| pointers::observe(engine.layout, engine.profile, request.incoming.clone()));
        let roots = scope.spawn(|| sources.as_ref().map(|s| describe_roots(engine, s)));
        let captured = sources
            .as_ref()
            .map(|s| capture(engine, vault, s, id, created));
        (
            observed.join(),
            captured.transpose(),
            roots.join(),
            report.join(),
        )
    });
    let observation = observed.map_err(|_| EngineError::Thread)??;
    fault::point("create.observed");
    let captured = captured?;
    let roots = roots.map_err(|_| EngineError::Thread)?;
    let report = report.map_err(|_| EngineError::Thread)?;
    fault::point("create.captured");
    let config = match (sources, captured, roots) {
        (Some(sources), Some(captured), Some(roots)) => {
            let config = config_part(sources, roots, &mut missing);
            Some(match captured {
                Some(captured) => with_content(config, captured, &mut missing),
                None => config,
            })
        }
        _ => None,
    };
    let wanted = sources_of(engine, request, choice);
    let hold = matches!(request.state, AskState::Held(_));
    engine.check_stop()?;
    let mut state = state::capture(engine, vault, &wanted, id, created, hold)?;
    engine.check_stop()?;
    missing.append(&mut state.missing);
    let pins = pin(engine, id, &observation, &mut missing, &mut warnings)?;
    fault::point("create.pinned");
    let known_good = is_known_good(engine, &observation)?;
    let point = Point {
        version: document::VERSION,
        id,
        created,
        host: observation.host,
        machine_id: observation.machine_id,
        reason: request.reason.clone(),
        description: request.description.clone(),
        trigger: request.trigger.clone(),
        tags: request.tags.clone(),
        userdata: request.userdata.clone(),
        system: observation.system,
        health: report.document(),
        issues: report.issues.clone(),
        config,
        state: std::mem::take(&mut state.sets),
        markers: versions::markers(engine),
        pins,
        known_good,
        completeness: Completeness::from_missing(missing),
        imported: None,
    };
    // The pin comes first: a prune that sees the point must see that too.
    let mut marks = Marks::default();
    if request.pinned {
        let (at, reason) = (created, None);
        marks.version = crate::point::marks::VERSION;
        marks.pinned = Some(Note { at, reason });
        points::store_marks(engine.layout, id, &marks)?;
    }
    fault::point("create.marked");
    // From the document on it is a point.
    engine.check_stop()?;
    points::store(engine.layout, &point)?;
    fault::point("create.documented");
    Ok((point, marks, report, warnings, state))
}

/// Pins every toplevel the point names. A user who may not write roots gets a
/// warning; anything else that is not pinned makes the point partial.
fn pin(
    engine: &Engine<'_>,
    id: PointId,
    observation: &Observation,
    missing: &mut Vec<Missing>,
    warnings: &mut Vec<String>,
) -> Result<Vec<document::Pin>, EngineError> {
    let toplevels = observation.system.toplevels();
    if toplevels.is_empty() {
        return Ok(Vec::new());
    }
    let pinned = match pins::pin(engine.layout, id, toplevels) {
        Err(e) if e.kind() == std::io::ErrorKind::PermissionDenied => {
            warnings.push(
                "the system is not pinned: only root may add garbage-collector roots".to_owned(),
            );
            return Ok(Vec::new());
        }
        other => other?,
    };
    for (path, error) in pinned.failed {
        match &error {
            PinError::Io(e) if e.kind() == std::io::ErrorKind::PermissionDenied => {
                warnings.push(format!(
                    "{} is not pinned: {error}",
                    path.to_absolute_path()
                ));
            }
            _ => missing.push(Missing {
                what: PathBuf::from(path.to_absolute_path()).into(),
                why: error.to_string(),
            }),
        }
    }
    Ok(pinned.pins)
}

/// Whether the running system passed a gate, or an earlier point that held it
/// was marked good.
/// Only marked points are looked at, so this costs nothing as a rule.
fn is_known_good(engine: &Engine<'_>, observation: &Observation) -> Result<bool, EngineError> {
    let Some(current) = &observation.system.current else {
        return Ok(false);
    };
    if known_good::is(engine.layout, current) {
        return Ok(true);
    }
    Ok(points::marked_points(engine.layout)?
        .iter()
        .filter(|(point, _)| !engine.is_foreign(point))
        .any(|(point, marks)| marks.is_good() && point.system.current.as_ref() == Some(current)))
}
