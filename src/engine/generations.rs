//! Listing, showing, switching and cleaning generations.

use serde::Serialize;

use super::restore::{self, Goal, Plan};
use super::{Engine, EngineError, prune};
use crate::nix::store_path::StorePath;
use crate::plan::prune::PrunePlan;
use crate::point::Point;
use crate::point::policy::Keep;
use crate::system::generations::{self, Profile};
use crate::system::journal::Scope;
use crate::system::toplevel::{Facts, Reader};
use crate::system::{listing, nix_cli, pointers};

/// One generation, with the fields of `nixos-rebuild list-generations --json`
/// and more.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Row {
    /// Its number.
    pub generation: u64,
    /// When its link was made (UTC).
    pub date: chrono::DateTime<chrono::Utc>,
    /// NixOS version, empty when it has none.
    pub nixos_version: String,
    /// Kernel version, empty for containers.
    pub kernel_version: String,
    /// `system.configurationRevision`, empty when it is not set.
    pub configuration_revision: String,
    /// Names of its specialisations.
    pub specialisations: Vec<String>,
    /// Whether the profile points to it.
    pub current: bool,
    /// Whether it runs.
    pub running: bool,
    /// Whether it was booted.
    pub booted: bool,
    /// Its store path.
    pub toplevel: StorePath,
}

/// A profile, listed.
#[derive(Debug)]
pub struct Listing {
    /// Usable generations, oldest first.
    pub rows: Vec<Row>,
    /// The profile as read, with what is broken in it.
    pub profile: Profile,
}

/// Lists the profile.
///
/// # Errors
/// When the profiles directory cannot be read.
pub fn list(engine: &Engine<'_>) -> Result<Listing, EngineError> {
    let (profile, facts) = listing::read(engine.layout, engine.profile, engine.clock.now())?;
    let (running, booted) = (
        pointers::current(engine.layout),
        pointers::booted(engine.layout),
    );
    let rows = profile
        .generations
        .iter()
        .zip(facts)
        .map(|(g, f): (_, Facts)| Row {
            generation: g.number,
            date: g.date,
            nixos_version: f.nixos_version.unwrap_or_default(),
            kernel_version: f.kernel_version.unwrap_or_default(),
            configuration_revision: f.configuration_revision.unwrap_or_default(),
            specialisations: f.specialisations,
            current: profile.current == Some(g.number),
            running: running.as_ref() == Some(&g.toplevel),
            booted: booted.as_ref() == Some(&g.toplevel),
            toplevel: g.toplevel.clone(),
        })
        .collect();
    Ok(Listing { rows, profile })
}

/// Everything known of one generation.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Details {
    /// The row of the list.
    #[serde(flatten)]
    pub row: Row,
    /// Kernel parameters from the bootspec.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kernel_params: Option<Vec<String>>,
    /// The boot menu's label.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// What is wrong with the bootspec, or that there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bootspec_note: Option<String>,
    /// Hash of the configuration captured while this system ran.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub config_hash: Option<String>,
    /// Restore points that hold this system, newest first.
    pub points: Vec<crate::point::PointId>,
    /// Size of the closure in bytes; absent when the store cannot say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub closure_bytes: Option<u64>,
}

/// Shows one generation; the profile's current one without a number.
///
/// # Errors
/// When there is no usable one with this number.
pub fn show(engine: &Engine<'_>, number: Option<u64>) -> Result<Details, EngineError> {
    let listing = list(engine)?;
    let number = number.or(listing.profile.current).unwrap_or(0);
    let row = listing
        .rows
        .into_iter()
        .find(|r| r.generation == number)
        .ok_or_else(|| no_generation(engine, number))?;
    let (spec, bootspec_note) = match Reader::new(engine.layout).bootspec(&row.toplevel) {
        Ok(Some(spec)) => (Some(spec), None),
        Ok(None) => (
            None,
            Some("no boot.json (a container, or an old release)".to_owned()),
        ),
        Err(e) => (None, Some(format!("boot.json is unusable: {e}"))),
    };
    let catalogue = engine.catalogue()?;
    let holders: Vec<&Point> = catalogue
        .points
        .iter()
        .rev()
        .map(|(p, _)| p)
        .filter(|p| p.system.target() == Some(&row.toplevel))
        .collect();
    let closure = crate::system::store::closure(engine.layout, engine.runner, &row.toplevel);
    Ok(Details {
        kernel_params: spec.as_ref().map(|s| s.kernel_params.clone()),
        label: spec.map(|s| s.label),
        bootspec_note,
        config_hash: holders
            .iter()
            .find_map(|p| p.config.as_ref())
            .map(|c| c.hash.clone()),
        points: holders.iter().map(|p| p.id).collect(),
        closure_bytes: closure.ok().map(|c| c.iter().map(|e| e.nar_size).sum()),
        row,
    })
}

fn no_generation(engine: &Engine<'_>, number: u64) -> EngineError {
    EngineError::NoGeneration {
        profile: engine.profile.to_owned(),
        number,
    }
}

/// The system of the generation `number`.
///
/// # Errors
/// When there is no usable generation with this number.
pub fn toplevel(engine: &Engine<'_>, number: u64) -> Result<StorePath, EngineError> {
    let profile = generations::read(engine.layout, engine.profile)?;
    let generation = profile.number(number);
    Ok(generation
        .ok_or_else(|| no_generation(engine, number))?
        .toplevel
        .clone())
}

/// Plans a switch to the generation `number`: a restore of its system, by
/// path.
///
/// # Errors
/// When there is no usable generation with this number.
pub fn plan_switch(engine: &Engine<'_>, number: u64, scope: &Scope) -> Result<Plan, EngineError> {
    let profile = generations::read(engine.layout, engine.profile)?;
    let generation = profile
        .number(number)
        .ok_or_else(|| no_generation(engine, number))?;
    restore::plan_goal(engine, Goal::Toplevel(generation.toplevel.clone()), scope)
}

/// Plans which generations go.
///
/// # Errors
/// As [`prune::plan_generations`].
pub fn plan_clean(engine: &Engine<'_>, keep: &Keep) -> Result<PrunePlan, EngineError> {
    prune::plan_generations(engine, keep)
}

/// Deletes the generations a plan removes; gives their numbers.
///
/// # Errors
/// When Nix refuses; generations deleted before that stay deleted.
pub fn clean(engine: &Engine<'_>, keep: &Keep) -> Result<(PrunePlan, Vec<u64>), EngineError> {
    let _lock = engine.lock_to_change()?;
    let plan = plan_clean(engine, keep)?;
    let numbers: Vec<u64> = plan.removed().map(prune::generation_of).collect();
    if !numbers.is_empty() {
        engine.runner.check(&nix_cli::delete_generations(
            engine.layout,
            engine.profile,
            &numbers,
        ))?;
    }
    Ok((plan, numbers))
}
