//! Taking a restore point: lock → observe and capture → pin → document.
//!
//! A crash at any instant leaves a whole point or none. Until the document is
//! renamed into place nothing is listed; what was written before is found
//! again through its marker in `inflight/` and cleaned away by the next run.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::thread;

use chrono::{DateTime, Utc};

use super::health::{self, Ask};
use super::progress::Task;
use super::state::{self, Source, Taken};
use super::{Engine, EngineError, quiet, versions};
use crate::health::Report;
use crate::plan::capture::{Choice, choose};
use crate::point::document::{
    self, Completeness, Config, ConfigRoot, Incoming, Missing, Point, RootKind, Trigger,
};
use crate::point::marks::Note;
use crate::point::{BytePath, Marks, PointId};
use crate::system::fault;
use crate::system::follow::{self, EXCLUDED_NAMES, Sources};
use crate::system::lock::{Lock, Mode};
use crate::system::ours::is_ours;
use crate::system::pins::{self, PinError};
use crate::system::pointers::{self, Observation};
use crate::system::probe::Depth;
use crate::system::{IoError, git, journal, known_good, points};
use crate::vault::{
    CaptureRequest, CaptureRoot, Captured, OnUnreadable, Opened, RecoveryPassword, Vault, VaultDir,
};

/// Which state a point is to hold.
#[derive(Clone, Debug)]
pub enum AskState {
    /// What the policy says for what takes the point.
    Policy,
    /// These sets of the policy, by name; none at all when empty.
    Named(Vec<String>),
    /// These, whatever the policy says. The units that are stopped for them
    /// stay so, and are noted in the marker of the point, which stays too: who
    /// asked goes on with them.
    Held(Vec<Source>),
}

/// What to take.
#[derive(Clone, Debug)]
pub struct Request {
    /// Why, in one line.
    pub reason: String,
    /// More words.
    pub description: Option<String>,
    /// What takes it.
    pub trigger: Trigger,
    /// Labels.
    pub tags: BTreeSet<String>,
    /// Key–value pairs.
    pub userdata: BTreeMap<String, String>,
    /// Whether to capture the configuration.
    pub config: bool,
    /// Which state to capture.
    pub state: AskState,
    /// Whether it is pinned from the moment it is listed.
    pub pinned: bool,
    /// Captured beside what the policy names: logical paths.
    pub also: Vec<PathBuf>,
    /// The switch under way.
    pub incoming: Option<Incoming>,
    /// Which health checks are asked.
    pub health: Depth,
}

impl Request {
    /// A point by hand, of everything.
    pub fn manual(reason: impl Into<String>) -> Self {
        Self {
            reason: reason.into(),
            description: None,
            trigger: Trigger::Manual,
            tags: BTreeSet::new(),
            userdata: BTreeMap::new(),
            config: true,
            state: AskState::Policy,
            pinned: false,
            also: Vec::new(),
            incoming: None,
            health: Depth::Quick,
        }
    }
}

/// A point that was taken.
#[derive(Clone, Debug)]
pub struct Created {
    /// Its document.
    pub point: Point,
    /// Its marks.
    pub marks: Marks,
    /// What the health checks said.
    pub report: Report,
    /// The vault's recovery password, when the vault was made just now.
    pub recovery: Option<RecoveryPassword>,
    /// What is worth knowing and no reason to call the point partial.
    pub warnings: Vec<String>,
    /// Set when a configuration was asked for and nothing of one was there.
    pub without_config: bool,
    /// What was not made good after the capture, such as a unit that did not
    /// start again.
    pub troubles: Vec<String>,
}

/// What a point would capture.
#[derive(Clone, Debug)]
pub struct Preview {
    /// The configuration; absent when it would not be captured.
    pub config: Option<Sources>,
    /// State sets.
    pub state: Vec<Source>,
}

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

fn find_sources(engine: &Engine<'_>, request: &Request) -> Result<Sources, IoError> {
    let mut paths = engine.policy.config_paths.clone();
    paths.extend(request.also.iter().cloned());
    follow::sources(engine.layout, &paths)
}

fn describe_roots(engine: &Engine<'_>, sources: &Sources) -> Vec<ConfigRoot> {
    let describe = |root: &follow::Root| {
        let dir = match root.kind {
            RootKind::Directory => Some(root.path.as_path()),
            RootKind::File => root.path.parent(),
            RootKind::Symlink | RootKind::Absent => None,
        };
        ConfigRoot {
            path: BytePath(root.path.clone()),
            kind: root.kind,
            git: dir.and_then(|dir| git::fact(engine.layout, engine.runner, dir)),
        }
    };
    sources.roots.iter().map(describe).collect()
}

fn capture(
    engine: &Engine<'_>,
    vault: &VaultDir,
    sources: &Sources,
    id: PointId,
    time: DateTime<Utc>,
) -> Result<Option<Captured>, EngineError> {
    let present = || sources.roots.iter().filter(|r| r.kind != RootKind::Absent);
    // A machine that is deployed from elsewhere has no configuration of its
    // own; a point of it is whole all the same.
    if present().next().is_none() {
        return Ok(None);
    }
    let request = CaptureRequest {
        tag: id.to_string(),
        host: pointers::host(engine.layout),
        time,
        roots: present()
            .map(|r| CaptureRoot {
                disk: engine.layout.real(&r.path),
                logical: r.path.clone(),
            })
            .collect(),
        exclude_names: EXCLUDED_NAMES.iter().map(Into::into).collect(),
        exclude_named: is_ours,
        exclude_paths: own_state(engine).into_iter().collect(),
        on_unreadable: OnUnreadable::Record,
        parent: None,
    };
    let places: Vec<PathBuf> = request.roots.iter().map(|r| r.disk.clone()).collect();
    let captured = engine.measured(&Task::CaptureConfig, &places, &[], || {
        vault.config().capture(&request)
    });
    Ok(Some(captured?))
}

/// The state directory as a logical path, when it lies under the root: it
/// never captures itself.
pub(super) fn own_state(engine: &Engine<'_>) -> Option<PathBuf> {
    let inside = engine
        .layout
        .state()
        .strip_prefix(engine.layout.root())
        .ok()?;
    Some(Path::new("/").join(inside))
}

/// The configuration but for what the vault holds of it.
fn config_part(sources: Sources, roots: Vec<ConfigRoot>, missing: &mut Vec<Missing>) -> Config {
    missing.extend(sources.missing);
    Config {
        roots,
        followed: sources.followed.into_iter().map(BytePath).collect(),
        unfollowed: sources.unfollowed,
        ..Config::default()
    }
}

/// The configuration with what was captured of it.
fn with_content(config: Config, captured: Captured, missing: &mut Vec<Missing>) -> Config {
    missing.extend(captured.unreadable.into_iter().map(|u| Missing {
        what: BytePath(u.path),
        why: u.reason,
    }));
    missing.extend(captured.skipped.into_iter().map(|s| Missing {
        what: BytePath(s.path),
        why: s.reason,
    }));
    Config {
        files: captured.files,
        bytes: captured.bytes,
        hash: captured.content_hash.unwrap_or_default(),
        tree: captured.tree,
        snapshot: captured.snapshot,
        excluded: captured.excluded.into_iter().map(BytePath).collect(),
        ..config
    }
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

/// Makes good what is owed for a point that a dead process was taking, and
/// removes everything of it when it has no document; gives what could not be
/// made good.
pub(super) fn discard(
    engine: &Engine<'_>,
    vault: &VaultDir,
    id: PointId,
) -> Result<Vec<String>, EngineError> {
    let settled = quiet::settle(engine, id)?;
    remove_all(engine, Some(vault), id, settled.paid)?;
    Ok(settled.troubles)
}

/// Removes everything of a point that has no document. Its marker goes once
/// nothing is owed any more: until then the next run tries again.
fn remove_all(
    engine: &Engine<'_>,
    vault: Option<&VaultDir>,
    id: PointId,
    paid: bool,
) -> Result<(), EngineError> {
    if !points::exists(engine.layout, id) {
        points::remove(engine.layout, id)?;
        pins::unpin(engine.layout, id)?;
        if let Some(vault) = vault {
            forget(vault.config(), id)?;
            if let Some(state) = vault.existing_state()? {
                forget(&state, id)?;
            }
        }
    }
    if paid {
        points::end(engine.layout, id)?;
    }
    Ok(())
}

/// Removes the snapshots of a point from one repository.
fn forget(vault: &dyn Vault, id: PointId) -> Result<(), EngineError> {
    let tag = id.to_string();
    let snapshots = vault.snapshots()?.good;
    let ours: Vec<String> = snapshots
        .into_iter()
        .filter(|s| s.tag == tag)
        .map(|s| s.id)
        .collect();
    let ours: Vec<&str> = ours.iter().map(String::as_str).collect();
    match vault.forget(&ours).failed.into_iter().next() {
        Some((_, error)) => Err(error.into()),
        None => Ok(()),
    }
}

/// Cleans away what dead processes left, when nobody else is at work; what is
/// not cleaned now is cleaned another time. Gives what of their doing could
/// not be made good.
pub(super) fn clean_after_crash(engine: &Engine<'_>) -> Result<Vec<String>, EngineError> {
    if points::inflight(engine.layout)?.is_empty() {
        return Ok(Vec::new());
    }
    match Lock::try_alone(engine.layout.state())? {
        Some(lock) => clean_locked(engine, &lock).map(|cleaned| cleaned.troubles),
        None => Ok(Vec::new()),
    }
}

/// What was cleaned away.
#[derive(Debug, Default)]
pub(super) struct Cleaned {
    /// Whether there was anything.
    pub(super) any: bool,
    /// What could not be made good.
    pub(super) troubles: Vec<String>,
}

/// Cleans away what dead processes left. Nobody else holds the lock.
pub(super) fn clean_locked(engine: &Engine<'_>, _alone: &Lock) -> Result<Cleaned, EngineError> {
    points::sweep(engine.layout)?;
    let left = points::inflight(engine.layout)?;
    let mut cleaned = Cleaned::default();
    if left.is_empty() {
        return Ok(cleaned);
    }
    cleaned.any = true;
    // First what others wait for: that needs no vault.
    let mut settled = Vec::new();
    let mut unread = None;
    for id in left {
        match quiet::settle(engine, id) {
            Ok(done) => {
                cleaned.troubles.extend(done.troubles);
                settled.push((id, done.paid));
            }
            Err(error) => unread = Some(error),
        }
    }
    if let Some(error) = unread {
        return Err(error.into());
    }
    // Cleaning up is not work that is stopped half way.
    let vault = engine.existing_vault_unwatched()?;
    for (id, paid) in settled {
        remove_all(engine, vault.as_ref(), id, paid)?;
    }
    // What was stored for them takes space until now. A vault too damaged to
    // be pruned must not keep new points from being taken.
    if let Some(vault) = vault {
        let _ = vault.config().prune();
        if let Ok(Some(state)) = vault.existing_state() {
            let _ = state.prune();
        }
    }
    Ok(cleaned)
}
