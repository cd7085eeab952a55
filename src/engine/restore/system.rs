//! The system part of a restore: the profile, and making it run.

use super::Plan;
use crate::engine::{Engine, EngineError, fetch};
use crate::nix::store_path::StorePath;
use crate::plan::restore::{ProfileMove, SystemPlan};
use crate::system::journal::Scope;
use crate::system::{enter, generations, loader, nix_cli, pointers, switch};

/// Makes a system run and boot without an undo point and a journal: the way
/// back from a bad switch where the disk has no room for them. The record of
/// the switch says where it came from.
pub(in crate::engine) fn execute_bare(
    engine: &Engine<'_>,
    plan: &Plan,
) -> Result<Option<i32>, EngineError> {
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

pub(super) fn move_profile(engine: &Engine<'_>, system: &SystemPlan) -> Result<(), EngineError> {
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
pub(super) struct Activated {
    pub(super) any: bool,
    pub(super) runs: bool,
    pub(super) code: Option<i32>,
    pub(super) note: Option<String>,
}

pub(super) fn activate(
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
pub(in crate::engine) fn await_switch(engine: &Engine<'_>, plan: &Plan) -> Result<(), EngineError> {
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

pub(super) fn verify_system(engine: &Engine<'_>, system: &SystemPlan) -> Result<(), EngineError> {
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
