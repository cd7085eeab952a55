//! Bringing a point back: plan → undo point → journal → execute → verify.
//!
//! Executing is convergent: it makes the machine like the point, whatever it
//! is like now. So an interrupted restore is resumed by running it again, and
//! aborted by restoring the undo point in the same way.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::apply::{self, Part, RootPlan};
use super::contents::Proven;
use super::create::{self, AskState, Created, Request};
use super::fetch::{self, Fetch, Sources};
use super::progress::Task;
use super::state::{self, Source};
use super::step::step;
use super::{Engine, EngineError, Stores, merge, put, quiet, versions};
use crate::nix::store_path::StorePath;
use crate::plan::humane::were;
use crate::plan::restore::{ProfileMove, Reach, SystemPlan, When, plan_system};
use crate::point::document::{System, Trigger};
use crate::point::{BytePath, Point, PointId, Selector};
use crate::system::journal::{self, Activation, Entry, Scope, State};
use crate::system::lock::Lock;
use crate::system::toplevel::Reader;
use crate::system::{
    enter, generations, loader, nix_cli, pointers, points, room, services, switch, switches,
};

/// What is to be brought back.
#[derive(Clone, Debug)]
pub enum Goal {
    /// A restore point.
    Point(Box<Point>),
    /// A system alone, by its store path: no point need hold it.
    Toplevel(StorePath),
}

impl Goal {
    /// How people call it.
    pub fn label(&self) -> String {
        match self {
            Self::Point(point) => point.id.short_among([]),
            Self::Toplevel(path) => path.name().to_owned(),
        }
    }

    /// The restore point, when it is one.
    pub fn point(&self) -> Option<&Point> {
        match self {
            Self::Point(point) => Some(point),
            Self::Toplevel(_) => None,
        }
    }

    /// The system to bring back: the goal's, unless another stands in for it.
    pub(super) fn system(&self, stand_in: Option<&StorePath>) -> System {
        let alone = |path: &StorePath| System {
            current: Some(path.clone()),
            ..System::default()
        };
        match (stand_in, self) {
            (Some(path), _) | (None, Self::Toplevel(path)) => alone(path),
            (None, Self::Point(point)) => point.system.clone(),
        }
    }

    fn journalled(&self) -> journal::Goal {
        match self {
            Self::Point(point) => journal::Goal::Point(point.id),
            Self::Toplevel(path) => journal::Goal::Toplevel(path.clone()),
        }
    }
}

/// What a restore would do. Making one changes nothing.
pub struct Plan {
    /// What to bring back.
    pub goal: Goal,
    /// What of it.
    pub scope: Scope,
    /// What has to be fetched first.
    pub fetch: Option<Fetch>,
    /// The system part; absent when not asked for.
    pub system: Option<SystemPlan>,
    /// What tells the boot loader of another root of the system, when it will
    /// have to be told and the plan leaves it to the user.
    pub boot_step: Option<String>,
    /// The files, root by root: of the configuration, then of state.
    pub roots: Vec<RootPlan>,
    /// Units that own state which changes: they are stopped, and started again
    /// if they ran.
    pub units: Vec<String>,
    /// Folders above the roots that go if they are empty then: what is taken
    /// back had made them.
    pub emptied: Vec<BytePath>,
    /// Worth knowing before saying yes.
    pub warnings: Vec<String>,
    /// Set when the point is merged into what is there.
    pub merge: Option<Box<merge::Merge>>,
}

impl Plan {
    /// Whether everything is already as the point has it.
    pub fn is_empty(&self) -> bool {
        self.system.as_ref().is_none_or(SystemPlan::is_empty)
            && self.roots.iter().all(|r| r.changes.is_empty())
    }
}

/// What a restore did.
#[derive(Debug)]
pub struct Restored {
    /// What was brought back.
    pub goal: Goal,
    /// The point that undoes it.
    pub undo: Point,
    /// The point taken before an interrupted restore was ended, if it had
    /// anything left to change.
    pub before: Option<PointId>,
    /// Files, folders and links changed.
    pub changed: usize,
    /// The generation the profile points to now.
    pub generation: Option<u64>,
    /// Whether the profile moved.
    pub moved: bool,
    /// Whether a system was activated.
    pub activated: bool,
    /// Whether it runs now, or only boots next.
    pub runs: bool,
    /// What the user is left to run, for the machine to boot what was restored.
    pub boot_step: Option<String>,
    /// The exit code of `switch-to-configuration`, when the switch went on but
    /// not all of it worked (2 or 4).
    pub switch_code: Option<i32>,
    /// Files that a merge left with conflicts.
    pub conflicts: usize,
    /// What the plan warned of.
    pub warnings: Vec<String>,
    /// What is known only now.
    pub notes: Vec<String>,
}

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
pub(super) fn plan_again(
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
enum Look {
    /// Whether what was named is there, and whether the policy allows it.
    First,
    /// Versions, to tell of them.
    Again,
    /// Nothing: all of it was told.
    Alone,
}

fn plan_named(
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
pub(super) fn foreign_warning(point: &Point) -> String {
    format!(
        "the point was taken on {}, not on this machine",
        point.host.escape_default()
    )
}

/// Whether anything of a state set changes.
pub(super) fn changes(roots: &[RootPlan], set: &str) -> bool {
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

/// Carries a plan out: takes the undo point, journals, restores, verifies.
///
/// # Errors
/// Before the journal is written nothing has changed; after it, `resume` and
/// `abort` know what to do.
pub fn execute(engine: &Engine<'_>, plan: Plan, verb: &str) -> Result<Restored, EngineError> {
    check_rights(engine, &plan)?;
    check_room(engine, &plan)?;
    if let Some(fetch) = &plan.fetch {
        engine.check_finished()?;
        fetch::run(engine, &plan.goal, fetch)?;
    }
    let mut troubles = create::clean_after_crash(engine)?;
    let lock = engine.lock_to_change()?;
    await_switch(engine, &plan)?;
    let undo = step("restore.undo-point", || {
        undo_point(engine, &lock, &plan, verb).inspect_err(|error| {
            if error.is_stopped() {
                // As a capture that is stopped does; the next run tries again.
                let _ = create::clean_locked(engine, &lock);
            }
        })
    })?;
    let begun = step("restore.journalled", || {
        let (plan, conflicts) = merge::settle(engine, plan, &undo)?;
        let (plan, entry) = begin(engine, plan, verb, &undo)?;
        Ok((plan, entry, conflicts))
    });
    let (plan, mut entry, conflicts) = match begun {
        Ok(begun) => begun,
        Err(error) => {
            // Nothing has begun: the units need not wait for its end.
            release(engine, &undo)?;
            return Err(error);
        }
    };
    // The journal knows the units by now.
    let stopped = entry.stopped.clone();
    let halfway = |why| halfway(why, &stopped);
    step("restore.handed-over", || {
        Ok(points::end(engine.layout, undo.id)?)
    })
    .map_err(halfway)?;
    let stores = engine.stores().map_err(halfway)?;
    let still = || still_stopped(engine, &entry);
    let staged = match stage(engine, &stores, &plan, &undo, still) {
        Ok(staged) => staged,
        Err(error) => {
            // Everything is as it was, so there is nothing to resume.
            let troubles = start_units(engine, &entry);
            entry.state = State::Aborted;
            return match journal::store(engine.layout, &entry) {
                Ok(()) if troubles.is_empty() => Err(error),
                Ok(()) => Err(EngineError::Units(format!(
                    "{error}; {}",
                    troubles.join("; ")
                ))),
                Err(_) => Err(halfway(error)),
            };
        }
    };
    let placed = put_in_place(engine, staged, &plan).map_err(halfway)?;
    let mut restored = finish(engine, &stores, plan, undo, &entry, placed).map_err(halfway)?;
    entry.state = State::Done;
    step("restore.ended", || {
        Ok(journal::store(engine.layout, &entry)?)
    })
    // The units run by now.
    .map_err(|why| self::halfway(why, &[]))?;
    restored.conflicts = conflicts;
    restored.notes.append(&mut troubles);
    Ok(restored)
}

/// Plans once more, and writes the journal.
fn begin(
    engine: &Engine<'_>,
    plan: Plan,
    verb: &str,
    undo: &Point,
) -> Result<(Plan, Entry), EngineError> {
    // The machine may have changed since the plan was shown; the undo point
    // holds it as it is now, and so must the plan.
    let (told, emptied) = (plan.warnings, plan.emptied);
    let sources = Sources::of(engine.policy);
    let plan = Plan {
        warnings: told,
        emptied,
        ..plan_named(engine, plan.goal, &plan.scope, &sources, Look::Alone)?
    };
    if let Some(fetch) = &plan.fetch {
        // It was there a moment ago. Nothing is fetched while units wait.
        return Err(fetch::is_gone(engine, &plan.goal, &fetch.gone[0]));
    }
    let started = engine.clock.now();
    let entry = Entry {
        version: journal::VERSION,
        id: engine.clock.new_id(started),
        started,
        verb: verb.to_owned(),
        goal: plan.goal.journalled(),
        undo_point: undo.id,
        scope: plan.scope.clone(),
        made: plan.roots.iter().flat_map(RootPlan::made).collect(),
        above: put::missing_above(engine, &plan.roots)?,
        emptied: plan.emptied.clone(),
        roots: plan.roots.iter().map(|r| r.root.path.clone()).collect(),
        kept: Vec::new(),
        stopped: points::owed(engine.layout, undo.id)?.units,
        state: State::Running,
    };
    journal::store(engine.layout, &entry)?;
    Ok((plan, entry))
}

/// Starts what was stopped for an undo point that nothing follows.
pub(super) fn release(engine: &Engine<'_>, undo: &Point) -> Result<(), EngineError> {
    let settled = quiet::settle(engine, undo.id)?;
    if settled.paid {
        points::end(engine.layout, undo.id)?;
    }
    if settled.troubles.is_empty() {
        return Ok(());
    }
    Err(EngineError::Units(settled.troubles.join("; ")))
}

/// Whether the units that were stopped for the undo point are so still: what
/// one wrote since would be in no point.
fn still_stopped(engine: &Engine<'_>, entry: &Entry) -> Result<(), EngineError> {
    if entry.stopped.is_empty() || !quiet::is_live(engine) {
        return Ok(());
    }
    let running = services::running(engine.runner, &entry.stopped)
        .map_err(|e| EngineError::Units(e.to_string()))?;
    match running.is_empty() {
        true => Ok(()),
        false => Err(EngineError::Units(format!(
            "{} started again after the restore point that undoes this was taken",
            running.join(", ")
        ))),
    }
}

fn start_units(engine: &Engine<'_>, entry: &Entry) -> Vec<String> {
    if entry.stopped.is_empty() || !quiet::is_live(engine) {
        return Vec::new();
    }
    quiet::start(engine, &entry.stopped)
}

/// Makes a system run and boot without an undo point and a journal: the way
/// back from a bad switch where the disk has no room for them. The record of
/// the switch says where it came from.
pub(super) fn execute_bare(engine: &Engine<'_>, plan: &Plan) -> Result<Option<i32>, EngineError> {
    let Some(system) = &plan.system else {
        return Ok(None);
    };
    if let Some(fetch) = &plan.fetch {
        return Err(fetch::is_gone(engine, &plan.goal, &fetch.gone[0]));
    }
    await_switch(engine, plan)?;
    move_profile(engine, system)?;
    let activated = activate(engine, system, &plan.scope, &plan.goal.label())?;
    verify_system(engine, system)?;
    Ok(activated.code)
}

/// An error that stopped a restore after its beginning, with the units that
/// stay stopped until it ends.
pub(super) fn halfway(why: EngineError, stopped: &[String]) -> EngineError {
    let stopped = match &why {
        // Systemd was asked to start them, and the message says which failed.
        EngineError::Units(_) => Vec::new(),
        _ => stopped.to_vec(),
    };
    EngineError::Halfway {
        why: Box::new(why),
        stopped,
    }
}

/// The point that undoes this restore: what is there now, of all that the
/// restored point touches.
pub(super) fn undo_point(
    engine: &Engine<'_>,
    lock: &Lock,
    plan: &Plan,
    verb: &str,
) -> Result<Point, EngineError> {
    let mut request = Request::manual(format!("before {verb} of {}", plan.goal.label()));
    request.trigger = Trigger::PreRestore;
    let config = plan.roots.iter().filter(|r| r.part == Part::Config);
    request.also = config.map(|r| r.root.path.0.clone()).collect();
    let mut sources = Vec::new();
    if let Some(point) = plan.goal.point() {
        for name in &plan.scope.state {
            let set = state::set_of(point, name)?;
            sources.push(Source::of_point(engine, name, set));
        }
    }
    request.state = AskState::Held(sources);
    let created = create::create_locked(engine, lock, &request)?;
    if let Err(error) = is_whole(plan, &created) {
        release(engine, &created.point)?;
        return Err(error);
    }
    Ok(created.point)
}

/// Whether an undo point holds all that would change.
fn is_whole(plan: &Plan, created: &Created) -> Result<(), EngineError> {
    if let Some(trouble) = created.troubles.first() {
        return Err(EngineError::Units(trouble.clone()));
    }
    let changed: Vec<PathBuf> = plan
        .roots
        .iter()
        .flat_map(|r| r.changed_paths().collect::<Vec<_>>())
        .collect();
    let missing: Vec<_> = created
        .point
        .completeness
        .missing()
        .iter()
        .filter(|m| {
            let path = m.what.as_path();
            changed
                .iter()
                .any(|c| c.starts_with(path) || path.starts_with(c))
        })
        .collect();
    let lacks = |name: &&String| !created.point.state.contains_key(*name);
    if let Some(set) = plan.scope.state.iter().find(lacks) {
        let named = format!("state {set}: ");
        let mut whys = created.point.completeness.missing().iter();
        let why = whys.find_map(|m| m.why.strip_prefix(&named));
        return Err(EngineError::NoUndo(format!(
            "state {set} ({})",
            why.unwrap_or("it was not captured")
        )));
    }
    if !missing.is_empty() {
        let what = missing
            .iter()
            .map(|m| format!("{} ({})", m.what, m.why))
            .collect::<Vec<_>>();
        return Err(EngineError::NotAllowed {
            uid: rustix::process::geteuid().as_raw(),
            what: format!("reading {} for the undo point", what.join(", ")),
        });
    }
    Ok(())
}

/// Makes the machine like the plan's point and checks that it is.
pub(super) fn converge(
    engine: &Engine<'_>,
    _alone: &Lock,
    plan: Plan,
    undo: Point,
    entry: &Entry,
) -> Result<Restored, EngineError> {
    let stores = engine.stores()?;
    let staged = stage(engine, &stores, &plan, &undo, || Ok(()))?;
    let placed = put_in_place(engine, staged, &plan)?;
    finish(engine, &stores, plan, undo, entry, placed)
}

fn stage<'a>(
    engine: &Engine<'_>,
    stores: &'a Stores,
    plan: &'a Plan,
    undo: &Point,
    last: impl FnOnce() -> Result<(), EngineError>,
) -> Result<Vec<put::Staged<'a>>, EngineError> {
    step("restore.staged", || {
        put::stage(engine, stores, &plan.roots, undo.id, last)
    })
}

/// What putting files in place came to.
struct Placed {
    /// Files, folders and links changed.
    changed: usize,
    /// Those of them that were read back.
    proven: Proven,
}

fn put_in_place(
    engine: &Engine<'_>,
    staged: Vec<put::Staged<'_>>,
    plan: &Plan,
) -> Result<Placed, EngineError> {
    let mut placed = Placed {
        changed: 0,
        proven: Proven::default(),
    };
    step("restore.config", || {
        for root in staged {
            placed.changed += root.put_in_place(engine)?;
            placed.proven.extend(root.proven());
        }
        Ok(())
    })?;
    step("restore.emptied", || put::take_away(engine, &plan.emptied))?;
    Ok(placed)
}

/// The system, when the files are in place; then the check of all, while state
/// is still; last the units, which find both as the point has them.
fn finish(
    engine: &Engine<'_>,
    stores: &Stores,
    plan: Plan,
    undo: Point,
    entry: &Entry,
    placed: Placed,
) -> Result<Restored, EngineError> {
    let mut activated = Activated::default();
    let Placed { changed, proven } = placed;
    verify_files(engine, stores, &plan, &proven)?;
    if let Some(system) = &plan.system {
        engine.check_stop()?;
        step("restore.profile", || move_profile(engine, system))?;
        engine.check_stop()?;
        activated = step("restore.activated", || {
            let activated = activate(engine, system, &plan.scope, &undo.id.short_among([]))?;
            if let Some(runs) = pointers::current(engine.layout) {
                // Without the note, the next look reports a switch too many.
                let _ = switches::know(engine.layout, &runs);
            }
            Ok(activated)
        })?;
        step("restore.verified", || verify_system(engine, system))?;
    }
    step("restore.started", || {
        let troubles = start_units(engine, entry);
        if troubles.is_empty() {
            return Ok(());
        }
        Err(EngineError::Units(troubles.join("; ")))
    })?;
    let generation = generations::read(engine.layout, engine.profile)?.current;
    Ok(Restored {
        goal: plan.goal,
        undo,
        before: None,
        changed,
        generation,
        moved: plan.system.is_some_and(|s| s.profile != ProfileMove::Stay),
        activated: activated.any,
        runs: activated.runs,
        boot_step: plan.boot_step,
        switch_code: activated.code,
        conflicts: 0,
        warnings: plan.warnings,
        notes: activated.note.into_iter().collect(),
    })
}

fn move_profile(engine: &Engine<'_>, system: &SystemPlan) -> Result<(), EngineError> {
    let call = match system.profile {
        ProfileMove::Stay => return Ok(()),
        ProfileMove::SwitchGeneration(number) => {
            nix_cli::switch_generation(engine.layout, engine.profile, number)
        }
        ProfileMove::Set => nix_cli::set(engine.layout, engine.profile, &system.boots),
    };
    engine.runner.check(&call)?;
    Ok(())
}

/// What calling `switch-to-configuration` came to.
#[derive(Default)]
struct Activated {
    any: bool,
    runs: bool,
    code: Option<i32>,
    note: Option<String>,
}

fn activate(
    engine: &Engine<'_>,
    system: &SystemPlan,
    scope: &Scope,
    undo: &str,
) -> Result<Activated, EngineError> {
    let mut activated = Activated::default();
    if !engine.layout.is_live() {
        if !system.activations.is_empty() {
            tell_loader(engine, system, scope, &mut activated)?;
        }
        return Ok(activated);
    }
    for step in &system.activations {
        let specialisation = step.specialisation.as_deref();
        let (toplevel, loader) = (&step.toplevel, scope.bootloader);
        let call = switch::call(engine.layout, toplevel, specialisation, step.action, loader);
        // Somebody may have begun one since this restore did.
        no_switch(engine)?;
        let code = engine.runner.run(&call)?.code;
        activated.any = true;
        activated.runs |= step.action != "boot";
        match code {
            0 => {}
            // The switch went on, and what runs is checked below.
            2 | 4 => activated.code = Some(code),
            _ => {
                return Err(EngineError::Switch {
                    code,
                    undo: undo.to_owned(),
                });
            }
        }
    }
    Ok(activated)
}

/// A switch of somebody else would make ours give up at once, when the files
/// have changed already: so its end is waited for before anything has.
///
/// # Errors
/// [`EngineError::Switching`] when it goes on for longer than the patience.
pub(super) fn await_switch(engine: &Engine<'_>, plan: &Plan) -> Result<(), EngineError> {
    let activates = |system: &SystemPlan| !system.activations.is_empty();
    if engine.layout.is_live() && plan.system.as_ref().is_some_and(activates) {
        return no_switch(engine);
    }
    Ok(())
}

fn no_switch(engine: &Engine<'_>) -> Result<(), EngineError> {
    match switch::wait_until_free(engine.layout, Some(engine.patience))? {
        true => Ok(()),
        false => Err(EngineError::Switching {
            waited: engine.patience,
        }),
    }
}

/// The boot step in another root: its boot loader learns of the profile's
/// system.
fn tell_loader(
    engine: &Engine<'_>,
    system: &SystemPlan,
    scope: &Scope,
    activated: &mut Activated,
) -> Result<(), EngineError> {
    let (layout, profile) = (engine.layout, engine.profile);
    let call = enter::call(layout, profile, scope.bootloader);
    let code = engine.runner.run(&call)?.code;
    if code != 0 {
        let line = enter::boot_step(layout, profile).line();
        return Err(EngineError::BootStep { code, line });
    }
    activated.any = true;
    if let Some(default) = loader::default(layout).filter(|d| *d != system.boots) {
        activated.note = Some(format!(
            "the boot loader's default reads as {}: look at its menu before you reboot",
            default.to_absolute_path()
        ));
    }
    Ok(())
}

/// Plans again: a restore that ended well leaves nothing to do.
fn verify_files(
    engine: &Engine<'_>,
    stores: &Stores,
    plan: &Plan,
    proven: &Proven,
) -> Result<(), EngineError> {
    let files = plan.scope.config || !plan.scope.state.is_empty();
    if let Some(point) = plan.goal.point().filter(|_| files) {
        let _comparing = engine.begin(&Task::Compare, None);
        let left: Vec<PathBuf> = apply::plan(engine, stores, point, &plan.scope, proven)?
            .roots
            .iter()
            .flat_map(|r| r.changed_paths().collect::<Vec<_>>())
            .collect();
        if let Some(first) = left.first() {
            return Err(EngineError::NotVerified(format!(
                "{}, the first is {}",
                match left.len() {
                    1 => "1 path still differs".to_owned(),
                    n => format!("{n} paths still differ"),
                },
                first.display()
            )));
        }
    }
    Ok(())
}

fn verify_system(engine: &Engine<'_>, system: &SystemPlan) -> Result<(), EngineError> {
    let profile = generations::read(engine.layout, engine.profile)?;
    let points_to = profile.current().map(|g| g.toplevel.clone());
    if system.profile != ProfileMove::Stay && points_to.as_ref() != Some(&system.boots) {
        return Err(EngineError::NotVerified(format!(
            "the profile points to {}, not to {}",
            shown(points_to.as_ref()),
            system.boots.to_absolute_path()
        )));
    }
    let runs = pointers::current(engine.layout);
    if system.activations.iter().any(|a| a.action != "boot") && runs != system.runs {
        return Err(EngineError::NotVerified(format!(
            "{} runs, not {}",
            shown(runs.as_ref()),
            shown(system.runs.as_ref())
        )));
    }
    Ok(())
}

fn shown(path: Option<&StorePath>) -> String {
    path.map_or_else(|| "nothing".to_owned(), StorePath::to_absolute_path)
}

/// Finds lacking rights before anything is changed.
fn check_rights(engine: &Engine<'_>, plan: &Plan) -> Result<(), EngineError> {
    let uid = rustix::process::geteuid();
    if uid.is_root() {
        return Ok(());
    }
    let lacking = |what: String| {
        Err(EngineError::NotAllowed {
            uid: uid.as_raw(),
            what,
        })
    };
    if let Some(system) = plan.system.as_ref().filter(|s| !s.is_empty()) {
        let profiles = engine.layout.profile_dir(engine.profile);
        if !system.activations.is_empty() || !apply::writable(&profiles) {
            return lacking(format!("setting the profile in {}", profiles.display()));
        }
    }
    match plan
        .roots
        .iter()
        .find_map(|root| apply::first_unwritable(engine, root))
    {
        Some(path) => lacking(format!("writing {}", path.display())),
        None => Ok(()),
    }
}

/// Finds a lack of room for state before its units are stopped: new contents
/// are written beside the old ones. A configuration that finds none is as
/// quickly staged as measured.
fn check_room(engine: &Engine<'_>, plan: &Plan) -> Result<(), EngineError> {
    let mut needed: BTreeMap<u64, (PathBuf, u64, u64)> = BTreeMap::new();
    let state = plan.roots.iter().filter(|r| r.part != Part::Config);
    for root in state.filter(|r| !r.changes.is_empty()) {
        let path = engine.layout.real(root.root.path.as_path());
        let Some(room) = room::at(&path)? else {
            continue;
        };
        let there = needed.entry(room.device).or_insert((path, room.free, 0));
        there.2 += root.new_bytes();
    }
    match needed.into_values().find(|(_, free, needed)| needed > free) {
        Some((path, free, needed)) => Err(EngineError::NoRoom { path, free, needed }),
        None => Ok(()),
    }
}
