//! What a restore would do. Making a plan changes nothing.

use super::{Goal, Plan};
use crate::engine::apply::{self, Part, RootPlan};
use crate::engine::contents::Proven;
use crate::engine::fetch::{self, Fetch, Sources};
use crate::engine::progress::Task;
use crate::engine::remote::fit;
use crate::engine::{Engine, EngineError, quiet, state, versions};
use crate::nix::store_path::StorePath;
use crate::plan::humane::were;
use crate::plan::restore::{ProfileMove, Reach, SystemPlan, When, plan_system};
use crate::point::{Point, Selector};
use crate::system::journal::{Activation, Scope};
use crate::system::toplevel::Reader;
use crate::system::{enter, generations, pointers, services, switch};

/// Plans a restore of the point `selector` names.
///
/// # Errors
/// No such point; a part it does not hold; a system that is gone; rights that
/// are lacking. Nothing is changed.
pub fn plan(engine: &Engine<'_>, selector: &Selector, scope: &Scope) -> Result<Plan, EngineError> {
    plan_goal(
        engine,
        Goal::Point(Box::new(engine.select(selector)?)),
        scope,
    )
}

/// Plans a restore of a goal at hand.
///
/// # Errors
/// As [`plan`].
pub fn plan_goal(engine: &Engine<'_>, goal: Goal, scope: &Scope) -> Result<Plan, EngineError> {
    plan_from(engine, goal, scope, &Sources::of(engine.policy))
}

/// Plans a restore of a goal at hand, whose system may come from elsewhere.
///
/// # Errors
/// As [`plan`].
pub fn plan_from(
    engine: &Engine<'_>,
    goal: Goal,
    scope: &Scope,
    sources: &Sources,
) -> Result<Plan, EngineError> {
    plan_named(engine, goal, scope, sources, Look::First)
}

/// Plans again what was planned once: a path that was named and is nowhere by
/// now (removed already, or not there yet) is as it should be.
pub(in crate::engine) fn plan_again(
    engine: &Engine<'_>,
    goal: Goal,
    scope: &Scope,
) -> Result<Plan, EngineError> {
    plan_named(
        engine,
        goal,
        scope,
        &Sources::of(engine.policy),
        Look::Again,
    )
}

/// What planning looks at beside what differs.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Look {
    /// Whether what was named is there, and whether the policy allows it.
    First,
    /// Versions, to tell of them.
    Again,
    /// Nothing: all of it was told.
    Alone,
}

pub(super) fn plan_named(
    engine: &Engine<'_>,
    goal: Goal,
    scope: &Scope,
    sources: &Sources,
    look: Look,
) -> Result<Plan, EngineError> {
    let mut warnings = Vec::new();
    if let Some(point) = goal.point().filter(|p| engine.is_foreign(p)) {
        warnings.push(foreign_warning(point));
    }
    let (mut system, mut fetch, mut boot_step) = (None, None, None);
    if scope.generation {
        let (plan, needed) = system_plan(engine, &goal, scope, sources, &mut warnings)?;
        if plan.profile != ProfileMove::Stay
            && plan.activations.is_empty()
            && reach(engine, &plan.boots) == Reach::Mounted
        {
            boot_step = Some(enter::boot_step(engine.layout, engine.profile).line());
        }
        (system, fetch) = (Some(plan), needed);
    }
    let files = scope.config || !scope.state.is_empty();
    let mut units = Vec::new();
    let mut stores = None;
    let roots = match goal.point() {
        Some(point) if files => {
            let stores = &*stores.insert(engine.stores()?);
            let comparing = engine.begin(&Task::Compare, None);
            let plans = apply::plan(engine, stores, point, scope, &Proven::default())?;
            drop(comparing);
            if let Some(path) = plans.unmatched.filter(|_| look == Look::First) {
                return Err(EngineError::nowhere(point, path));
            }
            let live = quiet::is_live(engine) && services::present(engine.layout);
            for name in scope.state.iter().filter(|_| live) {
                if changes(&plans.roots, name) {
                    units.extend(state::owners(engine, name, state::set_of(point, name)?));
                }
            }
            plans.roots
        }
        _ => Vec::new(),
    };
    if look != Look::Alone {
        if let Some(point) = goal.point().filter(|p| engine.is_foreign(p)) {
            let stores = stores.as_ref();
            warnings.extend(fit::report(engine, stores, point, scope)?);
        }
        let stores = stores.as_ref();
        let moves = system.as_ref().is_some_and(|system| !system.is_empty());
        let found = versions::mismatches(engine, stores, &goal, moves, scope, &roots)?;
        if let Some(what) = found
            .refused
            .into_iter()
            .next()
            .filter(|_| look == Look::First)
        {
            return Err(EngineError::OtherVersion(what));
        }
        warnings.extend(found.warnings);
    }
    if let Some(point) = goal.point().filter(|p| files && !p.is_complete()) {
        warnings.push(format!(
            "the point is partial: {} not captured; what is there now stays",
            were(point.completeness.missing().len())
        ));
    }
    Ok(Plan {
        goal,
        scope: scope.clone(),
        fetch,
        system,
        boot_step,
        roots,
        units,
        emptied: Vec::new(),
        warnings,
        merge: None,
    })
}

/// Said before a point of another machine comes back.
pub(in crate::engine) fn foreign_warning(point: &Point) -> String {
    format!(
        "the point was taken on {}, not on this machine",
        point.host.escape_default()
    )
}

/// Whether anything of a state set changes.
pub(in crate::engine) fn changes(roots: &[RootPlan], set: &str) -> bool {
    let of_set = |r: &&RootPlan| matches!(&r.part, Part::State(name) if name == set);
    roots.iter().filter(of_set).any(|r| !r.changes.is_empty())
}

fn system_plan(
    engine: &Engine<'_>,
    goal: &Goal,
    scope: &Scope,
    sources: &Sources,
    warnings: &mut Vec<String>,
) -> Result<(SystemPlan, Option<Fetch>), EngineError> {
    let system = goal.system(scope.stand_in.as_ref());
    let none = || EngineError::NotHeld {
        point: goal.label(),
        what: "system",
    };
    let boots = system.boot_target().ok_or_else(none)?;
    let wanted = [Some(boots), system.run_target()];
    let gone = fetch::gone(engine, wanted.into_iter().flatten())?;
    if let Some(first) = gone.first().filter(|_| sources.urls.is_empty()) {
        return Err(fetch::is_gone(engine, goal, first));
    }
    let profile = generations::read(engine.layout, engine.profile)?;
    let plan = plan_system(
        &system,
        &profile_view(&profile),
        pointers::current(engine.layout).as_ref(),
        reach(engine, boots),
        when(scope.activation),
        scope.anyhow,
    )
    .ok_or_else(none)?;
    let nowhere = reach(engine, boots) == Reach::Nowhere;
    if plan.activations.is_empty() && !plan.is_empty() && nowhere {
        warnings.push(
            "no running NixOS here: the profile moves, nothing is activated until the next boot"
                .to_owned(),
        );
    }
    let runs = system.run_target().unwrap_or(boots);
    let boots_kernel = Reader::new(engine.layout).facts(runs).kernel_version;
    if let (Some(running), Some(target)) = (pointers::running_kernel(engine.layout), boots_kernel)
        && running != target
        && !plan.activations.is_empty()
    {
        warnings.push(format!("kernel {target} runs only after a reboot"));
    }
    let fetch = (!gone.is_empty()).then(|| Fetch {
        gone,
        sources: sources.clone(),
    });
    Ok((plan, fetch))
}

/// Where a system can be activated.
fn reach(engine: &Engine<'_>, toplevel: &StorePath) -> Reach {
    let layout = engine.layout;
    match switch::has_tool(layout, toplevel) {
        true if !layout.is_live() => Reach::Mounted,
        true if switch::is_running(layout) => Reach::Running,
        _ => Reach::Nowhere,
    }
}

fn when(activation: Activation) -> When {
    match activation {
        Activation::Switch => When::Switch,
        Activation::Boot => When::Boot,
        Activation::Test => When::Test,
    }
}

fn profile_view(profile: &generations::Profile) -> crate::plan::restore::ProfileView {
    crate::plan::restore::ProfileView {
        generations: profile
            .generations
            .iter()
            .map(|g| (g.number, g.toplevel.clone()))
            .collect(),
        current: profile.current,
    }
}
