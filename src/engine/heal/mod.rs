//! Healing: detect → restore point → write down → act → ask the same check →
//! healed, or taken back → write down → the next action.
//!
//! What is under way is in the book before it is done, with all that takes it
//! back: whoever finds the book of a dead process ends what that had begun.

mod act;
mod check;
mod finish;
mod foresee;
mod plan;
mod prepare;
mod run;
mod standing;
mod take_back;

pub use foresee::record;
pub use plan::plan;
pub use run::heal;
pub use standing::standing;

use chrono::TimeDelta;

use super::{Engine, EngineError, quiet};
use crate::heal::Wanted;
use crate::system::{services, switches};

/// The verb of healing in the journal of restores.
pub const VERB: &str = "healing";

/// What is to be healed.
#[derive(Clone, Debug, Default)]
pub struct Ask {
    /// Only these issues; all that are found when empty. A person who names
    /// one does not wait for cool-downs and caps.
    pub only: Vec<Wanted>,
}

/// Refuses where nothing can be healed, before anything is looked at.
fn check_can(engine: &Engine<'_>, dry_run: bool) -> Result<(), EngineError> {
    if !quiet::is_live(engine) || !services::present(engine.layout) {
        return Err(EngineError::NotRunning);
    }
    let uid = rustix::process::geteuid();
    if !dry_run && !uid.is_root() {
        return Err(EngineError::NotAllowed {
            uid: uid.as_raw(),
            what: "acting upon units and the system".to_owned(),
        });
    }
    Ok(())
}

/// How long a switch may take beside the time its gate needs: after that the
/// watcher is gone, and nothing waits for it.
const SWITCHES_TAKE: TimeDelta = TimeDelta::hours(1);

/// More than any gate is waited for.
const LONGEST: TimeDelta = TimeDelta::days(7);

/// Whether a switch is being judged: its gate must see the machine as it is.
fn is_judging(engine: &Engine<'_>) -> Result<bool, EngineError> {
    let boot = switches::boot_id();
    let (records, _) = switches::read(engine.layout)?;
    let gate = &engine.policy.gate;
    let spans = [Some(gate.window), gate.confirm_timeout];
    let takes = spans
        .into_iter()
        .flatten()
        .fold(SWITCHES_TAKE, |sum, span| {
            let span = TimeDelta::from_std(span.duration()).unwrap_or(LONGEST);
            sum + span.min(LONGEST)
        });
    let since = engine.clock.now() - takes;
    Ok(records
        .iter()
        .any(|s| s.is_pending() && s.boot == boot && s.started > since))
}
