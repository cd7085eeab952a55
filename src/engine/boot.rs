//! After a boot: end what the last one left open, notice that the boot loader
//! fell back, take the points that are taken at boot, judge the system.

mod judge;

use std::collections::BTreeMap;

use super::create::{self, Created, Request};
use super::hook::Watcher;
use super::undo::{self, Way};
use super::{Engine, EngineError, gate, notify, repair};
use crate::nix::store_path::StorePath;
use crate::plan::{confirm, notice};
use crate::point::document::{System, Trigger};
use crate::point::policy::When;
use crate::point::switch::{Action, Answer, Done, Outcome, Reached, Switch, VERSION, Verdict};
use crate::system::journal::{Activation, Scope};
use crate::system::{journal, loader, pointers, switches};
use judge::{go_to, judge};

/// What looking after a boot came to.
#[derive(Debug, Default)]
pub struct Booted {
    /// Switches that the last boot left open.
    pub ended: Vec<Switch>,
    /// The switch that runs now and that somebody still has to confirm.
    pub awaited: Option<Switch>,
    /// The fall back of the boot loader, if it did.
    pub fell_back: Option<Switch>,
    /// The point taken at boot, if the policy has one taken.
    pub created: Option<Created>,
    /// The verdict, when boots are judged.
    pub verdict: Option<Verdict>,
    /// Why.
    pub reasons: Vec<String>,
    /// What was done about it.
    pub done: Option<Done>,
}

/// Looks after a boot. `say` is told each step, in one line.
///
/// # Errors
/// When records or points cannot be read or written.
pub fn boot(
    engine: &Engine<'_>,
    watcher: &Watcher,
    say: &dyn Fn(&str),
) -> Result<Booted, EngineError> {
    let mut booted = Booted::default();
    // What went wrong in keeping books must not keep a system that is well from
    // being judged so: the boot loader would give it up.
    match end_open(engine) {
        Ok(ended) => booted.ended = ended,
        Err(error) => say(&error.to_string()),
    }
    for switch in &booted.ended {
        say(&format!(
            "the machine went down while {} to {} was watched",
            switch.action.as_str(),
            switch.to.name()
        ));
    }
    if let Err(error) = go_on_back(engine, say) {
        say(&error.to_string());
    }
    match go_on(engine, watcher, say) {
        Ok(awaited) => booted.awaited = awaited,
        Err(error) => say(&error.to_string()),
    }
    match fall_back(engine, say) {
        Ok(fell_back) => booted.fell_back = fell_back,
        Err(error) => say(&error.to_string()),
    }
    if let Some(running) = pointers::current(engine.layout)
        && let Err(error) = switches::know(engine.layout, &running)
    {
        say(&error.to_string());
    }
    let mut at_boot = engine
        .policy
        .points
        .values()
        .filter(|p| p.trigger == When::Boot)
        .peekable();
    if at_boot.peek().is_some() {
        let reason = at_boot.find_map(|p| p.reason.clone());
        let mut request = Request::manual(reason.unwrap_or_else(|| "at boot".to_owned()));
        request.trigger = Trigger::Boot;
        match create::create(engine, &request) {
            Ok(created) => booted.created = Some(created),
            Err(error) => say(&format!("no restore point was taken: {error}")),
        }
    }
    if engine.policy.boot_gate.enable {
        judge(engine, &mut booted, say)?;
    }
    Ok(booted)
}

/// Goes on with a rollback that was cut off. A journal that is none is moved
/// aside first: it must not keep the machine from being taken back.
fn go_on_back(engine: &Engine<'_>, say: &dyn Fn(&str)) -> Result<(), EngineError> {
    for what in repair::set_journals_aside(engine)? {
        say(&what);
    }
    if journal::unfinished(engine.layout)?.is_some_and(|entry| entry.verb == gate::VERB) {
        say("going on with a rollback that was cut off");
        undo::end(engine, Way::Resume)?;
    }
    Ok(())
}

/// Goes on with what the last boot was through with but for the answer or the
/// way back: what was to go back goes now; what nobody confirmed is asked for,
/// by a watcher that outlives this look at the boot. Gives that one.
fn go_on(
    engine: &Engine<'_>,
    watcher: &Watcher,
    say: &dyn Fn(&str),
) -> Result<Option<Switch>, EngineError> {
    let boot = switches::boot_id();
    let (records, _) = switches::read(engine.layout)?;
    for switch in records.iter().filter(|s| s.boot != boot && goes_back(s)) {
        say(&format!("{} is still to be taken back", switch.to.name()));
        let fresh = || Outcome {
            verdict: Verdict::Bad,
            reached: Reached::Switched,
            ..cut_off(engine)
        };
        let mut outcome = switch.judged.clone().unwrap_or_else(fresh);
        if let Some(answered) = &switch.answer {
            outcome.verdict = Verdict::Bad;
            let timeout = switch.confirm.as_ref().map(|confirm| confirm.timeout);
            outcome
                .reasons
                .push(confirm::reason(answered.answer, timeout));
        }
        gate::finish(engine, switch.id, outcome, say)?;
    }
    let Some(running) = pointers::current(engine.layout) else {
        return Ok(None);
    };
    let (records, _) = switches::read(engine.layout)?;
    let Some(owed) = confirm::owed_after_boot(&records, &boot, &running) else {
        return Ok(None);
    };
    let record = super::confirm::ask(engine, owed)?;
    if record.is_pending() && record.judged.is_none() {
        // The boot is judged, the switch no more.
        switches::change(engine.layout, record.id, |record| {
            record.judged = Some(Outcome {
                reached: Reached::Switched,
                verdict: Verdict::Good,
                ..cut_off(engine)
            });
        })?;
    }
    let asked = notice::asks(&record, engine.clock.now());
    asked.iter().for_each(|notice| say(&notice.message));
    let started = watcher.start(engine, record.id);
    for trouble in asked.iter().flat_map(|notice| notify::tell(engine, notice)) {
        say(&trouble);
    }
    if let Err(error) = started {
        say(&format!(
            "nobody else can wait for that, so the boot does: {error}"
        ));
        gate::follow(engine, record.id, say)?;
    }
    Ok(Some(record))
}

/// Whether a switch was to be taken back when its machine went down.
fn goes_back(switch: &Switch) -> bool {
    let answer = switch.answer.as_ref().map(|answered| answered.answer);
    let asked = matches!(answer, Some(Answer::Reverted | Answer::TimedOut));
    let bad = (switch.judged.as_ref()).is_some_and(|judged| judged.verdict == Verdict::Bad);
    // A command that was cut off before its gate was through is as if it had
    // never been run.
    let tried = switch.tried.is_some() && switch.judged.is_none() && answer.is_none();
    (switch.is_pending() && (bad || asked || tried)) || (switch.runs_later() && asked)
}

/// What is known of a switch whose machine went down.
fn cut_off(engine: &Engine<'_>) -> Outcome {
    Outcome {
        at: engine.clock.now(),
        reached: Reached::CutOff,
        exit: None,
        verdict: Verdict::None,
        reasons: vec!["the machine went down before it was judged".to_owned()],
        done: Done::Nothing,
        trouble: None,
        undo: None,
        warnings: Vec::new(),
    }
}

/// Ends the records of an earlier boot that nobody ended; what is to go back
/// still, or to be confirmed, is not ended yet.
fn end_open(engine: &Engine<'_>) -> Result<Vec<Switch>, EngineError> {
    let boot = switches::boot_id();
    let running = pointers::current(engine.layout);
    let (records, _) = switches::read(engine.layout)?;
    let owed = running
        .and_then(|running| confirm::owed_after_boot(&records, &boot, &running))
        .map(|owed| owed.id);
    let mut ended = Vec::new();
    for mut switch in records.clone() {
        let open = switch.is_pending() && switch.boot != boot;
        if !open || goes_back(&switch) || owed == Some(switch.id) {
            continue;
        }
        switch.judged = None;
        switch.result = Some(cut_off(engine));
        switch.revision += 1;
        switches::store(engine.layout, &switch)?;
        ended.push(switch);
    }
    Ok(ended)
}

/// The boot loader gave the profile's system up and started another: the
/// profile follows, so that the next boot and the next switch agree with it.
///
/// Another entry that a person chose in the menu is left alone: only the count
/// of tries in the entry's name tells the two apart.
fn fall_back(engine: &Engine<'_>, say: &dyn Fn(&str)) -> Result<Option<Switch>, EngineError> {
    let system = pointers::observe(engine.layout, engine.profile, None)?.system;
    let (Some(profile), Some(booted)) = (
        system.profile.as_ref().map(|p| p.toplevel.clone()),
        system.booted.clone(),
    ) else {
        return Ok(None);
    };
    if profile == booted || !loader::gave_up(engine.layout, &profile) {
        return Ok(None);
    }
    say(&format!(
        "{} did not boot: the boot loader fell back to {}",
        profile.name(),
        booted.name()
    ));
    let now = engine.clock.now();
    let mut outcome = Outcome {
        at: now,
        reached: Reached::Switched,
        exit: None,
        verdict: Verdict::Bad,
        reasons: vec!["it did not boot, and the boot loader fell back".to_owned()],
        done: Done::Nothing,
        trouble: None,
        undo: None,
        warnings: Vec::new(),
    };
    if engine.policy.gate.rollback {
        let scope = Scope {
            generation: true,
            activation: Activation::Boot,
            ..Scope::default()
        };
        settle(engine, booted.clone(), &scope, &mut outcome, Done::Repaired);
    }
    told(engine, &outcome, &profile, Some(&booted), say);
    record(engine, profile, Some(booted), outcome).map(Some)
}

/// Tells others what a boot came to.
fn told(
    engine: &Engine<'_>,
    outcome: &Outcome,
    system: &StorePath,
    instead: Option<&StorePath>,
    say: &dyn Fn(&str),
) {
    let notice = notice::of_boot(outcome, system, instead);
    for trouble in notify::tell(engine, &notice) {
        say(&trouble);
    }
}

/// Goes to a system, and notes how that went.
fn settle(
    engine: &Engine<'_>,
    toplevel: StorePath,
    scope: &Scope,
    outcome: &mut Outcome,
    done: Done,
) {
    match go_to(engine, toplevel, scope) {
        Ok(restored) => {
            outcome.done = done;
            outcome.undo = Some(restored.undo.id);
        }
        Err(error) => {
            outcome.done = Done::Stuck;
            outcome.trouble = Some(error.to_string());
        }
    }
}

/// Writes down what came of booting `to`, and what runs instead.
fn record(
    engine: &Engine<'_>,
    to: StorePath,
    instead: Option<StorePath>,
    outcome: Outcome,
) -> Result<Switch, EngineError> {
    let now = engine.clock.now();
    let record = Switch {
        version: VERSION,
        id: engine.clock.new_id(now),
        started: now,
        action: Action::Boot,
        to,
        before: System {
            current: instead,
            ..System::default()
        },
        point: None,
        no_point: Some("it was found after the boot".to_owned()),
        ailing: Vec::new(),
        health: BTreeMap::new(),
        boot: switches::boot_id(),
        unit: None,
        risk: None,
        confirm: None,
        answer: None,
        judged: None,
        tried: None,
        result: Some(outcome),
        revision: 0,
    };
    switches::store(engine.layout, &record)?;
    Ok(record)
}
