//! One look at everything.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::thread;

use chrono::{DateTime, Utc};
use serde::Serialize;

use super::health::{self, Ask};
use super::{Engine, EngineError, diff, heal, history};
use crate::heal::Standing;
use crate::health::Report;
use crate::nix::store_path::StorePath;
use crate::plan::confirm;
use crate::point::document::{RootKind, System};
use crate::point::path::printable;
use crate::point::switch::{Action, Done};
use crate::point::{Issue, Point, PointId, Switch};
use crate::system::clock::since_boot;
use crate::system::journal::Entry;
use crate::system::probe::Depth;
use crate::system::{follow, generations, journal, loader, pointers, points, switches};
use crate::vault::{Vault, VaultError};

/// The state of the machine and of its restore points.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    /// Host name.
    pub host: String,
    /// Pointers and facts now.
    pub system: System,
    /// Broken links in the profile, one line each.
    pub profile_faults: Vec<String>,
    /// Usable generations.
    pub generations: usize,
    /// Restore points.
    pub points: usize,
    /// Of them, pinned by a person.
    pub pinned: usize,
    /// Documents that cannot be read.
    pub damaged: usize,
    /// The newest point.
    pub latest: Option<Brief>,
    /// The newest known-good point.
    pub latest_good: Option<Brief>,
    /// The machine's health: what is quickly asked.
    pub health: Wellness,
    /// How healing stands; absent where nothing was healed lately.
    pub healing: Option<Standing>,
    /// The switch that somebody has to confirm.
    pub awaited: Option<Awaited>,
    /// The newest switch.
    pub last_switch: Option<Switch>,
    /// Configuration files changed since the newest point that holds any.
    pub config_changes: Option<usize>,
    /// State sets of the policy, each with the newest point that holds it.
    pub state: BTreeMap<String, Option<Brief>>,
    /// Size of the vault in bytes.
    pub vault_bytes: u64,
    /// Where points live.
    pub state_dir: String,
    /// An interrupted restore.
    pub unfinished: bool,
    /// Units that were stopped for a restore or a capture, and wait for it to
    /// end or for the next run to make good what it owed.
    pub stopped: Vec<String>,
    /// What wants attention, one line each.
    pub notes: Vec<String>,
}

/// Health in one line.
#[derive(Debug, Default, Serialize)]
pub struct Wellness {
    /// 0 to 100; absent when nothing could be looked at.
    pub score: Option<u8>,
    /// Whether the machine is well.
    pub healthy: bool,
    /// What is wrong.
    pub issues: Vec<Issue>,
}

impl From<Report> for Wellness {
    fn from(report: Report) -> Self {
        Self {
            score: report.score,
            healthy: report.healthy,
            issues: report.issues,
        }
    }
}

/// A switch that is taken back unless somebody confirms it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Awaited {
    /// Its record.
    pub switch: PointId,
    /// Its system.
    pub to: StorePath,
    /// Until when (UTC); absent as long as it has not ended.
    pub until: Option<DateTime<Utc>>,
    /// How many seconds are left.
    pub seconds_left: Option<u64>,
}

/// A point in one line.
#[derive(Debug, Serialize)]
pub struct Brief {
    /// Its id.
    pub id: PointId,
    /// When it was taken.
    pub created: DateTime<Utc>,
    /// Why.
    pub reason: String,
}

impl From<&Point> for Brief {
    fn from(point: &Point) -> Self {
        Self {
            id: point.id,
            created: point.created,
            reason: point.reason.clone(),
        }
    }
}

/// Looks.
///
/// # Errors
/// When the state directory or the profiles cannot be read.
pub fn status(engine: &Engine<'_>) -> Result<Status, EngineError> {
    let (health, status) = thread::scope(|scope| {
        let health = scope.spawn(|| health::look(engine, &Ask::of(Depth::Quick)));
        let status = all_but_health(engine);
        (health.join(), status)
    });
    let health = health.map_err(|_| EngineError::Thread)?;
    let mut status = status?;
    match heal::standing(engine, &health.issues) {
        Ok(standing) => status.healing = standing,
        Err(why) => status.notes.push(why),
    }
    Ok(Status {
        health: health.into(),
        ..status
    })
}

fn all_but_health(engine: &Engine<'_>) -> Result<Status, EngineError> {
    let catalogue = engine.catalogue()?;
    let observation = pointers::observe(engine.layout, engine.profile, None)?;
    let profile = generations::read(engine.layout, engine.profile)?;
    let all = &catalogue.points;
    let newest = |keep: &dyn Fn(&(Point, crate::point::Marks)) -> bool| {
        let machine = observation.machine_id.as_deref();
        let mut ours = all.iter().rev().filter(|(p, _)| !p.is_foreign(machine));
        ours.find(|p| keep(p)).map(|(p, _)| p)
    };
    let with_config = newest(&|(p, _)| p.config.is_some() && p.trigger.is_meant());
    let mut faults: Vec<String> = profile.fault.iter().cloned().collect();
    faults.extend(
        profile
            .broken
            .iter()
            .map(|b| format!("{}: {}", b.name.to_string_lossy(), b.why)),
    );
    let vault_bytes = match engine.existing_vault()? {
        Some(vault) => {
            let state = vault.existing_state()?;
            vault.config().size()? + state.map_or(Ok(0), |state| state.size())?
        }
        None => 0,
    };
    let sets = engine.policy.state.keys().map(|name| {
        let holder = newest(&|(p, _)| p.state.contains_key(name));
        (name.clone(), holder.map(Brief::from))
    });
    let (records, _) = switches::read(engine.layout)?;
    let gap = history::gap(engine, &records);
    let mut notes = notes(&observation.system);
    if let Some(once) = loader::once(engine.layout) {
        notes.push(format!(
            "the next boot, and only that, is of {}",
            once.name()
        ));
    }
    let config_changes = match with_config.map(|p| config_changes(engine, p)) {
        // Nothing is compared behind it; the rest is as worth knowing as ever.
        Some(Err(error @ EngineError::LinkAbove(_))) => {
            notes.push(error.to_string());
            None
        }
        Some(Err(EngineError::Vault(
            error @ (VaultError::Damaged { .. } | VaultError::NoSuchSnapshot { .. }),
        ))) => {
            let id = with_config.map_or_else(String::new, |p| p.id.short_among([]));
            notes.push(format!("what changed since {id} is not known: {error}"));
            None
        }
        other => other.transpose()?,
    };
    notes.extend(nowhere(engine));
    if let Some(gap) = &gap {
        notes.push(format!(
            "{} was switched to without a restore point",
            gap.to.name()
        ));
    }
    let unfinished = match journal::unfinished(engine.layout) {
        // Whether a restore is unfinished is not known; the rest is.
        Err(error) if error.operation == journal::READ => {
            notes.push(format!("{error}; cairn verify --repair moves it aside"));
            None
        }
        other => other?,
    };
    let stopped = stopped(engine, unfinished.as_ref())?;
    let boot = switches::boot_id();
    let awaited = confirm::open(&records, &boot).map(|open| Awaited {
        switch: open.id,
        to: open.to.clone(),
        until: open.confirm.as_ref().and_then(|confirm| confirm.until),
        seconds_left: (open.confirm.as_ref())
            .and_then(|confirm| confirm::left(confirm, engine.clock.now(), &since_boot()))
            .map(|left| left.as_secs()),
    });
    notes.extend(needs_reboot(
        &records,
        &boot,
        observation.system.current.as_ref(),
    ));
    Ok(Status {
        awaited,
        health: Wellness::default(),
        healing: None,
        state: sets.collect(),
        host: observation.host,
        generations: profile.generations.len(),
        profile_faults: faults,
        points: all.len(),
        pinned: all.iter().filter(|(_, m)| m.is_pinned()).count(),
        damaged: catalogue.damaged.len(),
        latest: newest(&|(p, _)| p.trigger.is_meant()).map(Brief::from),
        latest_good: newest(&|(p, m)| p.is_good(m)).map(Brief::from),
        config_changes,
        vault_bytes,
        state_dir: engine.layout.state().display().to_string(),
        unfinished: unfinished.is_some(),
        stopped,
        last_switch: gap.or(records.into_iter().next_back()),
        notes,
        system: observation.system,
    })
}

/// Told where nothing is of a configuration that points are to hold.
fn nowhere(engine: &Engine<'_>) -> Option<String> {
    let paths = &engine.policy.config_paths;
    // What may not be looked at may be there.
    let absent = |path: &PathBuf| {
        let place = engine
            .layout
            .resolve(path)
            .map(|path| engine.layout.real(path));
        place.is_ok_and(|place| matches!(follow::kind(&place), Ok(RootKind::Absent)))
    };
    if paths.is_empty() || !paths.iter().all(absent) {
        return None;
    }
    let paths: Vec<String> = paths.iter().map(|path| printable(path)).collect();
    Some(format!(
        "points hold no configuration, for nothing is at {} (configPaths of the policy)",
        paths.join(", ")
    ))
}

/// Units that an unfinished restore keeps stopped, and those that a capture has
/// stopped and not started again: one under way, or one that died.
fn stopped(engine: &Engine<'_>, unfinished: Option<&Entry>) -> Result<Vec<String>, EngineError> {
    let mut units: Vec<String> = unfinished.map(|e| e.stopped.clone()).unwrap_or_default();
    for id in points::inflight(engine.layout)? {
        units.extend(points::owed(engine.layout, id)?.units);
    }
    units.sort();
    units.dedup();
    Ok(units)
}

fn config_changes(engine: &Engine<'_>, point: &Point) -> Result<usize, EngineError> {
    let (from, to) = (diff::End::Point(Box::new(point.clone())), diff::End::Now);
    Ok(diff::config_alone(engine, &from, &to)?.len())
}

/// What the newest lasting switch of this boot waits for a reboot with.
fn needs_reboot(records: &[Switch], boot: &str, runs: Option<&StorePath>) -> Option<String> {
    let newest = records.iter().rev().find(|s| s.action != Action::Test)?;
    let result = newest.result.as_ref().filter(|_| newest.boot == boot)?;
    let (name, runs) = (newest.to.name(), runs == Some(&newest.to));
    match result.done {
        Done::WentBackAtBoot if runs => Some(format!(
            "reboot: {name} is bad, and is gone back from at the next boot"
        )),
        _ if newest.runs_later() && !runs => Some(format!("reboot: {name} runs only then")),
        _ => None,
    }
}

/// Where the pointers disagree.
fn notes(system: &System) -> Vec<String> {
    let mut notes = Vec::new();
    let profile = system.profile.as_ref().map(|p| &p.toplevel);
    let is = |a: Option<&StorePath>, b: Option<&StorePath>| a.is_none() || b.is_none() || a == b;
    let current = system
        .specialisation
        .as_ref()
        .map(|s| &s.parent)
        .or(system.current.as_ref());
    if !is(current, profile) {
        notes.push("the running system is not the one the profile boots".to_owned());
    }
    if !is(system.booted.as_ref(), system.current.as_ref()) {
        notes.push("the system was switched since boot".to_owned());
    }
    if !is(system.loader_default.as_ref(), profile) {
        notes.push("the boot loader's default is not the profile's system".to_owned());
    }
    if let (Some(running), Some(target)) = (&system.kernel.running, &system.kernel.target)
        && running != target
    {
        notes.push(format!(
            "kernel {running} runs, {target} starts at the next boot"
        ));
    }
    notes
}
