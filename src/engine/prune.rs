//! Letting old points go: plan, then document, roots and content, in that
//! order, so that a crash leaves a point whole or gone.

mod items;

use std::collections::BTreeMap;

use super::progress::Task;
use super::{Engine, EngineError, chronicle, create};
use crate::plan::prune::{self as planner, Item, Policy, Protection, PrunePlan};
use crate::point::document::Trigger;
use crate::point::policy::{Keep, When};
use crate::point::{self, Point, PointId};
use crate::system::points::Catalogue;
use crate::system::{fault, generations, loader, pins, pointers, points, policy_file};
use crate::vault::{PruneStats, Vault, VaultDir, VaultError};

/// What a prune did.
#[derive(Debug, Default)]
pub struct Pruned {
    /// Points removed.
    pub removed: Vec<PointId>,
    /// Points that could not be removed, and why; they never stop the rest.
    pub failed: Vec<(PointId, String)>,
    /// Bytes the vault takes before and after.
    pub vault: PruneStats,
    /// What a dead process left undone and could not be made good.
    pub troubles: Vec<String>,
}

/// Turns keep rules into the planner's.
///
/// # Errors
/// A `keep-within` that is no duration.
pub fn rules(keep: &Keep) -> Result<Policy, EngineError> {
    Ok(Policy {
        keep_last: keep.keep_last,
        keep_hourly: keep.keep_hourly,
        keep_daily: keep.keep_daily,
        keep_weekly: keep.keep_weekly,
        keep_monthly: keep.keep_monthly,
        keep_yearly: keep.keep_yearly,
        keep_within: keep
            .keep_within
            .as_deref()
            .map(planner::parse_duration)
            .transpose()?,
        keep_tags: keep.keep_tags.clone(),
        min_age: keep
            .min_age
            .as_deref()
            .map(planner::parse_duration)
            .transpose()?
            .unwrap_or_default(),
    })
}

/// The keep rules of restore points.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rules {
    /// For all that have none of their own.
    common: Keep,
    /// For the points of some triggers, by how they are written.
    own: BTreeMap<String, Keep>,
}

impl Rules {
    /// The same rules for all points.
    pub fn given(keep: Keep) -> Self {
        let own = BTreeMap::new();
        Self { common: keep, own }
    }

    /// The rules of a policy: those of a point, where it has any, hold for what
    /// it takes. Points that are no longer declared go by the common ones.
    pub fn of(policy: &point::Policy) -> Self {
        let own = policy.points.iter().filter_map(|(name, point)| {
            let trigger = match point.trigger {
                When::Schedule => Trigger::Schedule(name.clone()),
                When::PreSwitch => Trigger::PreSwitch,
                When::Boot => Trigger::Boot,
                When::PreHeal => Trigger::PreHeal,
            };
            Some((trigger.to_string(), point.keep.clone()?))
        });
        Self {
            common: policy.retention.points.clone(),
            own: own.collect(),
        }
    }
}

/// How imported points are grouped: by the common rules, in no place of a
/// point that this machine took since.
const IMPORTED: &str = "imported";

/// Plans which points go. Nothing is changed.
///
/// # Errors
/// Rules that keep nothing.
pub fn plan(engine: &Engine<'_>, keep: &Rules) -> Result<(Catalogue, PrunePlan), EngineError> {
    let catalogue = engine.catalogue()?;
    let items = items::items(engine, &catalogue)?;
    let mut own = keep
        .own
        .iter()
        .map(|(trigger, keep)| Ok((trigger.clone(), rules(keep)?)))
        .collect::<Result<BTreeMap<_, _>, EngineError>>()?;
    if items.iter().any(|item| item.trigger == IMPORTED) {
        own.insert(IMPORTED.to_owned(), rules(&keep.common)?);
    }
    let now = engine.clock.now();
    let plan = planner::plan_by_trigger(&items, &rules(&keep.common)?, &own, now, None)?;
    Ok((catalogue, plan))
}

/// Prunes by these rules.
///
/// # Errors
/// A policy that keeps nothing; no lock; a damaged vault. One point that
/// cannot be removed is reported and does not stop the others.
pub fn prune(engine: &Engine<'_>, keep: &Rules) -> Result<(PrunePlan, Pruned), EngineError> {
    let lock = engine.lock_to_change()?;
    let cleaned = create::clean_locked(engine, &lock)?;
    fault::point("prune.locked");
    let (catalogue, plan) = plan(engine, keep)?;
    let mut pruned = Pruned {
        troubles: cleaned.troubles,
        ..Pruned::default()
    };
    // What is removed stays in the history. That it could not be told is no
    // reason to keep it.
    if plan.removed().next().is_some() {
        pruned.troubles.extend(chronicle::index(engine));
    }
    let mut snapshots = Vec::new();
    for (point, _) in &catalogue.points {
        if plan.removed().any(|key| key == point.id.to_string()) {
            if engine.check_stop().is_err() {
                return Err(EngineError::StoppedPrune);
            }
            match remove(engine, point) {
                Ok(()) => {
                    snapshots.extend(point.snapshots().map(str::to_owned));
                    pruned.removed.push(point.id);
                }
                Err(e) => pruned.failed.push((point.id, e.to_string())),
            }
        }
    }
    fault::point("prune.documents-removed");
    // What an earlier prune left when it was killed takes space until now.
    if pruned.removed.is_empty() && !cleaned.any {
        return Ok((plan, pruned));
    }
    let Some(vault) = engine.existing_vault()? else {
        return end_all(engine, plan, pruned);
    };
    let ids: Vec<&str> = snapshots.iter().map(String::as_str).collect();
    let state = vault.existing_state()?;
    let mut failed = vault.config().forget(&ids).failed;
    if let Some(state) = &state {
        failed.extend(state.forget(&ids).failed);
    }
    for (snapshot, error) in failed {
        let owner = catalogue
            .points
            .iter()
            .map(|(p, _)| p)
            .find(|p| p.snapshots().any(|id| id == snapshot));
        if let Some(owner) = owner {
            pruned.failed.push((owner.id, error.to_string()));
        }
    }
    fault::point("prune.forgotten");
    pruned.vault = free(engine, &vault)?;
    fault::point("prune.vault-pruned");
    end_all(engine, plan, pruned)
}

/// Cleans away what dead processes left, and removes no point; gives what of
/// their doing could not be made good.
///
/// # Errors
/// No lock; a restore that has not ended; a damaged vault.
pub fn tidy(engine: &Engine<'_>) -> Result<Pruned, EngineError> {
    let lock = engine.lock_to_change()?;
    let cleaned = create::clean_locked(engine, &lock)?;
    if cleaned.any
        && let Some(vault) = engine.existing_vault()?
    {
        free(engine, &vault)?;
    }
    Ok(Pruned {
        troubles: cleaned.troubles,
        ..Pruned::default()
    })
}

/// Frees what no snapshot needs, in both repositories: damage to one never
/// keeps the other from it.
fn free(engine: &Engine<'_>, vault: &VaultDir) -> Result<PruneStats, EngineError> {
    let stopped = |error: VaultError| match error.is_stopped() {
        true => EngineError::StoppedPrune,
        false => error.into(),
    };
    let _going = engine.begin(&Task::Free, None);
    let config = vault.config().prune().map_err(stopped);
    let state = match vault.existing_state()? {
        Some(state) => state.prune().map_err(stopped)?,
        None => PruneStats::default(),
    };
    let config = config?;
    Ok(PruneStats {
        before: config.before + state.before,
        after: config.after + state.after,
        temporaries: config.temporaries + state.temporaries,
    })
}

/// Names of the pins that a policy of this machine once declared and no longer
/// does. None where no policy was found: that says nothing about pins.
///
/// # Errors
/// A folder that cannot be listed; a policy that cannot be used.
pub fn stale_pins(engine: &Engine<'_>) -> Result<Vec<String>, EngineError> {
    // A switch puts the policy in place first and makes the links then, so a
    // link that was seen is declared in the policy that is read after.
    let there = pins::declared(engine.layout)?;
    if there.is_empty() || !super::apply::writable(&engine.layout.declared_pins()) {
        return Ok(Vec::new());
    }
    let Some(policy) = policy_file::find(engine.layout)? else {
        return Ok(Vec::new());
    };
    let stale = there
        .into_iter()
        .filter(|name| !policy.pins.contains_key(name));
    Ok(stale.collect())
}

/// Removes the pins that are no longer declared; gives their names.
///
/// # Errors
/// As [`stale_pins`]; a link that cannot be removed.
pub fn remove_stale_pins(engine: &Engine<'_>) -> Result<Vec<String>, EngineError> {
    let _lock = engine.lock_to_change()?;
    let stale = stale_pins(engine)?;
    pins::remove_declared(engine.layout, &stale)?;
    Ok(stale)
}

/// Takes the markers away of all that is wholly gone. What is not keeps its
/// own, so that the next run tries again.
fn end_all(
    engine: &Engine<'_>,
    plan: PrunePlan,
    pruned: Pruned,
) -> Result<(PrunePlan, Pruned), EngineError> {
    for id in &pruned.removed {
        if !pruned.failed.iter().any(|(failed, _)| failed == id) {
            points::end(engine.layout, *id)?;
        }
    }
    Ok((plan, pruned))
}

/// Removes a point's document and roots. Its marker stays until its content
/// is gone too.
fn remove(engine: &Engine<'_>, point: &Point) -> Result<(), EngineError> {
    points::begin(engine.layout, point.id)?;
    points::remove(engine.layout, point.id)?;
    fault::point("prune.marks-removed");
    pins::unpin(engine.layout, point.id)?;
    fault::point("prune.unpinned");
    Ok(())
}

/// Plans which generations of the profile go. Booted, running, default and
/// current ones always stay.
///
/// # Errors
/// A policy that keeps nothing; a profile that cannot be read.
pub fn plan_generations(engine: &Engine<'_>, keep: &Keep) -> Result<PrunePlan, EngineError> {
    let profile = generations::read(engine.layout, engine.profile)?;
    let held = [
        (pointers::booted(engine.layout), Protection::Booted),
        (pointers::current(engine.layout), Protection::Current),
        (loader::default(engine.layout), Protection::Default),
        (loader::once(engine.layout), Protection::NextBoot),
    ];
    // A specialisation is held by its parent's generation.
    let held = held.map(|(path, why)| {
        let parent = path.as_ref().and_then(|path| {
            generations::specialisation_of(engine.layout, &profile, path).map(|(_, parent)| parent)
        });
        (parent.or(path), why)
    });
    let items: Vec<Item> = profile
        .generations
        .iter()
        .map(|g| {
            let mut protected: Vec<Protection> = held
                .iter()
                .filter(|(path, _)| path.as_ref() == Some(&g.toplevel))
                .map(|(_, why)| *why)
                .collect();
            if profile.current == Some(g.number) {
                protected.push(Protection::ProfileCurrent);
            }
            Item {
                key: g.number.to_string(),
                created: g.date,
                tags: std::collections::BTreeSet::new(),
                trigger: Trigger::Manual.to_string(),
                protected,
                pair: None,
                bytes: None,
            }
        })
        .collect();
    Ok(planner::plan(
        &items,
        &rules(keep)?,
        engine.clock.now(),
        None,
    )?)
}

/// Whether this user may delete generations of the profile.
pub fn may_delete_generations(engine: &Engine<'_>) -> bool {
    super::apply::writable(&engine.layout.profile_dir(engine.profile))
}

/// The generation number in a decision's key.
pub fn generation_of(key: &str) -> u64 {
    key.parse().unwrap_or(0)
}
