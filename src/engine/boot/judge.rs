//! Judging a boot, and going back after bad ones.

use super::{Booted, record, settle, told};
use crate::engine::restore::{self, Goal};
use crate::engine::watch::{self, Before, Wellness};
use crate::engine::{Engine, EngineError, confirm, gate, marks};
use crate::nix::store_path::StorePath;
use crate::point::switch::{Done, Outcome, Reached, Verdict};
use crate::system::journal::{Activation, Scope};
use crate::system::{attempts, known_good, pointers, switch, switches};

/// Watches the booted system; the last known-good one takes its place after as
/// many bad boots as the policy has. When that has bad boots as well, nothing
/// more is done: going round in circles helps nobody.
pub(super) fn judge(
    engine: &Engine<'_>,
    booted: &mut Booted,
    say: &dyn Fn(&str),
) -> Result<(), EngineError> {
    let Some(running) = pointers::current(engine.layout) else {
        return Ok(());
    };
    // Taken back meanwhile, this boot is no longer one of it.
    let gone = || match &booted.awaited {
        Some(awaited) => confirm::taken_back(engine, awaited.id).map(|a| a.is_some()),
        None => Ok(false),
    };
    let bad = match watch::well(engine, &Before::default(), &gone)? {
        Wellness::Overtaken => return Ok(()),
        Wellness::Judged { bad, notes } => {
            booted.reasons = bad.iter().chain(&notes).cloned().collect();
            bad
        }
    };
    for reason in &booted.reasons {
        say(reason);
    }
    if bad.is_empty() {
        booted.verdict = Some(Verdict::Good);
        // A boot that is well is not held up by what cannot be noted of it: the
        // boot loader would give a good entry up.
        let mut noted = vec![attempts::clear(engine.layout)];
        // What somebody has to confirm is known-good only then.
        if booted.awaited.is_none() {
            noted.push(known_good::mark(engine.layout, &running));
        }
        for error in noted.into_iter().filter_map(Result::err) {
            say(&format!(
                "{} is well, and not noted as such: {error}",
                running.name()
            ));
        }
        return Ok(());
    }
    booted.verdict = Some(Verdict::Bad);
    let failed = attempts::count(engine.layout, &running, &switches::boot_id())?;
    let allowed = engine.policy.boot_gate.attempts;
    if failed < allowed {
        say(&format!(
            "bad boot {failed} of {allowed}; after the last one the known-good system takes its place"
        ));
        booted.done = Some(Done::Nothing);
        return Ok(());
    }
    let given_up = attempts::given_up(engine.layout)?;
    let good = known_good::newest_first(engine.layout)?
        .into_iter()
        .find(|path| *path != running);
    let mut outcome = Outcome {
        at: engine.clock.now(),
        reached: Reached::Switched,
        exit: None,
        verdict: Verdict::Bad,
        reasons: bad,
        done: Done::Stuck,
        trouble: None,
        warnings: Vec::new(),
        undo: None,
    };
    match (good, given_up.iter().find(|path| **path != running)) {
        _ if !engine.policy.gate.rollback => {
            outcome.done = Done::Nothing;
            outcome.trouble = Some("the policy leaves going back to you: cairn rollback".into());
        }
        (_, Some(first)) => {
            outcome.trouble = Some(format!(
                "it took the place of {}, and is not well either: cairn generations list",
                first.name()
            ));
        }
        (None, None) => {
            outcome.trouble =
                Some("there is no known-good system to go to: cairn generations list".into());
        }
        (Some(good), None) => {
            say(&format!("going to the known-good {}", good.name()));
            attempts::give_up(engine.layout)?;
            let reboot = switch::needs_reboot(engine.layout, &running, &good);
            let (activation, done) = match &reboot {
                Some(_) => (Activation::Boot, Done::WentBackAtBoot),
                None => (Activation::Switch, Done::WentBack),
            };
            if let Some(why) = reboot {
                say(&format!("{why}: going there takes a reboot"));
                outcome
                    .reasons
                    .push(format!("{why}: going there takes a reboot"));
            }
            let scope = Scope {
                generation: true,
                activation,
                ..Scope::default()
            };
            settle(engine, good, &scope, &mut outcome, done);
        }
    }
    if let Err(error) = marks::distrust(engine, &running, outcome.undo, &outcome.reasons) {
        say(&format!(
            "{} is still marked known-good: {error}",
            running.name()
        ));
    }
    if let Some(trouble) = &outcome.trouble {
        say(trouble);
    }
    booted.done = Some(outcome.done);
    // Once is enough: each boot from here on comes to the same.
    if failed == allowed {
        told(engine, &outcome, &running, None, say);
        record(engine, running, None, outcome)?;
    }
    Ok(())
}

pub(super) fn go_to(
    engine: &Engine<'_>,
    toplevel: StorePath,
    scope: &Scope,
) -> Result<restore::Restored, EngineError> {
    let plan = restore::plan_goal(engine, Goal::Toplevel(toplevel), scope)?;
    if plan.is_empty() {
        let done = "everything already points there".to_owned();
        return Err(EngineError::NoWay(done));
    }
    restore::execute(engine, plan, gate::VERB)
}
