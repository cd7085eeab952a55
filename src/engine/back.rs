//! The way back from a bad switch: at most once for each, and never towards a
//! system that failed itself.

use super::restore::{self, Goal, Plan};
use super::undo::{self, Way};
use super::{Engine, EngineError, repair};
use crate::nix::store_path::StorePath;
use crate::plan::confirm;
use crate::plan::gate::{self, Case, Decision};
use crate::point::switch::{Action, Answer, Done, Outcome, Reached, Switch, Verdict};
use crate::point::{PointId, Selector};
use crate::system::journal::{self, Activation, Scope};
use crate::system::{known_good, offspring, pointers, switch, switches};

/// The verb a rollback by the gate has in the journal.
pub const VERB: &str = "rollback by the gate";

/// Does what the verdict asks for, once.
pub(super) fn act(
    engine: &Engine<'_>,
    record: &Switch,
    outcome: &mut Outcome,
    say: &dyn Fn(&str),
) -> Result<(), EngineError> {
    let now = pointers::observe(engine.layout, engine.profile, None)?.system;
    let profile = now.profile.as_ref().map(|p| &p.toplevel);
    let (records, _) = switches::read(engine.layout)?;
    // What there was before, and before what nobody confirmed.
    let origin = confirm::origin(&records, record);
    let record = &Switch {
        before: origin.before.clone(),
        point: origin.point,
        ..record.clone()
    };
    let before = record.before.boot_target();
    let default_moved = (profile.is_some() && before.is_some() && profile != before)
        || now.loader_default != record.before.loader_default;
    let inhibited = inhibited(engine, record);
    let (decision, but) = gate::decide(Case {
        switch: record,
        reached: outcome.reached,
        verdict: outcome.verdict,
        default_moved,
        inhibited: inhibited.is_some() && profile == Some(generation(record)),
        before_is_bad: is_bad(engine, &records, record.before.current.as_ref()),
    });
    if let Some(but) = but {
        say(but);
        outcome.trouble = Some(but.to_owned());
    }
    if decision == Decision::Leave {
        return Ok(());
    }
    if decision == Decision::Boot {
        if boots(engine, record, say)? {
            outcome.done = Done::Boots;
            outcome.verdict = Verdict::None;
            outcome.reasons = inhibited.into_iter().collect();
            return Ok(());
        }
        say("it cannot be made the boot default either");
    }
    let answer = record.answer.as_ref().map(|answered| answered.answer);
    let asked = answer == Some(Answer::Reverted) || record.tried.is_some();
    if !engine.policy.gate.rollback && !asked {
        outcome.trouble = Some("the policy leaves going back to you: cairn rollback".to_owned());
        return Ok(());
    }
    let repair = matches!(decision, Decision::Repair | Decision::Boot);
    // `test` leaves the boot default alone, and so does taking it back, unless
    // a later `boot` of the same change has moved it.
    let only_runs = record.action == Action::Test && !default_moved;
    let running = now.current.as_ref();
    let reboot = (running.zip(record.before.current.as_ref()))
        .filter(|_| !repair)
        .and_then(|(running, before)| switch::needs_reboot(engine.layout, running, before));
    let scope = Scope {
        generation: true,
        activation: match (repair, &reboot) {
            (true, _) | (_, Some(_)) => Activation::Boot,
            _ if only_runs => Activation::Test,
            _ => Activation::Switch,
        },
        anyhow: repair || outcome.reached == Reached::Interrupted,
        config: record.tried.is_some(),
        state: record
            .tried
            .as_ref()
            .map_or_else(Vec::new, |tried| tried.state.clone()),
        ..Scope::default()
    };
    if let Some(why) = &reboot {
        say(&format!("{why}: going back takes a reboot"));
        outcome
            .reasons
            .push(format!("{why}: going back takes a reboot"));
    }
    if record.tried.is_some() {
        // What still runs of the command would change again what goes back.
        match offspring::end(&record.id.to_string()) {
            Ok(0) => {}
            Ok(n) => say(&format!("ended what the command had left running: {n}")),
            Err(error) => say(&format!("{error}; what they change does not go back")),
        }
    }
    say(match repair {
        true => "putting the profile and the boot loader back",
        false => "going back to the system of before",
    });
    match go_back(engine, record, &scope, say) {
        Ok(back) => {
            outcome.undo = back.undo;
            for warning in &back.warnings {
                say(warning);
            }
            outcome.warnings = back.warnings;
            outcome.done = match (repair, &reboot) {
                (true, _) => Done::Repaired,
                (_, Some(_)) => Done::WentBackAtBoot,
                _ => Done::WentBack,
            };
            if let Some(code) = back.switch_code {
                outcome.trouble = Some(format!(
                    "switching back ended with {code}: {}",
                    switch::meaning(code)
                ));
            }
        }
        Err(error) => {
            let now = pointers::observe(engine.layout, engine.profile, None)?.system;
            let profile_is_back = now.profile.as_ref().map(|p| &p.toplevel) == before;
            // Where it cannot be read, the profile is all there is to go by.
            let loader_is_back = now.loader_default.is_none()
                || now.loader_default.as_ref() == before
                || now.loader_default == record.before.loader_default;
            let runs_back = now.current == record.before.current;
            outcome.done = match profile_is_back && loader_is_back && !runs_back {
                true => Done::WentBackAtBoot,
                false => Done::Stuck,
            };
            outcome.trouble = Some(error.to_string());
            say(&error.to_string());
        }
    }
    Ok(())
}

/// Whether a system failed its last gate, and was not found good since.
fn is_bad(engine: &Engine<'_>, records: &[Switch], path: Option<&StorePath>) -> bool {
    path.is_some_and(|path| {
        records
            .iter()
            .rev()
            .find(|s| s.to == *path && s.verdict() != Verdict::None)
            .is_some_and(|s| s.verdict() == Verdict::Bad)
            && !known_good::is(engine.layout, path)
    })
}

/// The system of the profile that a switch goes through: its own, or that of
/// its specialisation.
fn generation(record: &Switch) -> &StorePath {
    let incoming = record.before.incoming.as_ref();
    incoming.map_or(&record.to, |incoming| incoming.generation())
}

/// Why NixOS refuses to switch from the system of before to the new one
/// without a reboot; `None` when it does not.
pub(super) fn inhibited(engine: &Engine<'_>, record: &Switch) -> Option<String> {
    let before = record.before.current.as_ref()?;
    let names = switch::inhibitors(engine.layout, before, &record.to);
    (!names.is_empty()).then(|| format!("switch inhibitors differ ({})", names.join(", ")))
}

/// Makes the system that may not be switched to the boot default, as `boot`
/// does, its checks included; whether that worked.
fn boots(engine: &Engine<'_>, record: &Switch, say: &dyn Fn(&str)) -> Result<bool, EngineError> {
    if !engine.layout.is_live() {
        return Ok(false);
    }
    say("making it the boot default instead: it runs after a reboot");
    let special = record.before.incoming.as_ref();
    let special = special.and_then(|to| to.specialisation.as_ref());
    let call = switch::boot_call(
        engine.layout,
        generation(record),
        special.map(|special| special.name.as_str()),
    );
    switch::wait_until_free(engine.layout, Some(engine.patience))?;
    Ok(engine.runner.run(&call)?.code == 0)
}

/// What going back came to.
struct Back {
    undo: Option<PointId>,
    switch_code: Option<i32>,
    warnings: Vec<String>,
}

/// Brings the system of before back: that of the point, or without one the
/// system that ran. What a try changed comes back whole.
fn go_back(
    engine: &Engine<'_>,
    record: &Switch,
    scope: &Scope,
    say: &dyn Fn(&str),
) -> Result<Back, EngineError> {
    for what in repair::set_journals_aside(engine)? {
        say(&what);
    }
    if journal::unfinished(engine.layout)?.is_some_and(|entry| entry.verb == VERB) {
        say("going on with a rollback that was cut off");
        let restored = undo::end(engine, Way::Resume)?;
        return Ok(Back {
            undo: Some(restored.undo.id),
            switch_code: restored.switch_code,
            warnings: Vec::new(),
        });
    }
    let point = record
        .point
        .map(|id| engine.select(&Selector::Prefix(id.hex())));
    let goal = match (point, &record.before.current) {
        (Some(Ok(point)), _) => Goal::Point(Box::new(point)),
        (Some(Err(error)), _) if record.tried.is_some() => return Err(error),
        (_, Some(running)) => Goal::Toplevel(running.clone()),
        (Some(Err(error)), None) => return Err(error),
        (None, None) => return Err(EngineError::NoWay("no system ran before".to_owned())),
    };
    let plan: Plan = restore::plan_goal(engine, goal.clone(), scope)?;
    let warnings = plan.warnings.clone();
    if plan.is_empty() {
        // The command of a try changed nothing of what a point holds.
        return Ok(Back {
            undo: None,
            switch_code: None,
            warnings,
        });
    }
    match restore::execute(engine, plan, VERB) {
        Ok(restored) => Ok(Back {
            undo: Some(restored.undo.id),
            switch_code: restored.switch_code,
            warnings,
        }),
        // Neither a full disk nor a long capture is a reason to stay in a broken
        // system; no file is touched.
        Err(error) if error.is_no_space() || error.is_kept_out() => {
            let scope = Scope {
                config: false,
                state: Vec::new(),
                ..scope.clone()
            };
            let plan = restore::plan_goal(engine, goal, &scope)?;
            let switch_code = restore::execute_bare(engine, &plan)?;
            match record.tried {
                // The system is back, the files are not.
                Some(_) => Err(error),
                None => Ok(Back {
                    undo: None,
                    switch_code,
                    warnings,
                }),
            }
        }
        Err(error) => Err(error),
    }
}
