//! `hook`: what the NixOS module's hooks and units run. Everything is said on
//! standard error, one line each: that is the journal, or the terminal of who
//! switches.

use std::path::Path;

use super::super::Exit;
use super::super::args::Hook;
use super::super::failure::Failure;
use super::super::out::complain;
use super::super::session::Session;
use super::points::{RECOVERY_KEPT, short};
use crate::engine::{boot, chronicle, gate, history, hook, notify, trial};
use crate::point::PointId;
use crate::point::notice::Notice;
use crate::point::occasion::Occasion;
use crate::point::switch::{Done, Verdict};
use crate::render::style::line;
use crate::system::switch;

fn say(text: &str) {
    complain(format!("cairn: {}", line(text)));
}

fn tell(notes: &[String]) {
    for note in notes {
        say(note);
    }
}

/// `hook`
pub(super) fn run(s: &Session, hook: Hook) -> Result<Exit, Failure> {
    match hook {
        Hook::PreSwitch { toplevel, action } => Ok(pre_switch(s, &toplevel, &action)),
        Hook::Watch { switch } => watch(s, switch),
        Hook::Switched => switched(s),
        Hook::Boot => booted(s),
    }
}

/// A failure stops the switch only where the policy says so.
fn pre_switch(s: &Session, toplevel: &Path, action: &str) -> Exit {
    let engine = s.engine();
    let required = engine.policy.pre_switch.required;
    let refused = |why: &str| {
        say(&format!("no restore point was taken: {why}"));
        if required {
            say(
                "the policy refuses switches without one (preSwitch.required); nothing was switched",
            );
            complain("  try: cairn create");
            let notice = Notice::new(
                Occasion::PointFailed,
                engine.clock.now(),
                format!("a switch was refused, no restore point could be taken: {why}"),
            );
            tell(&notify::tell(&engine, &notice.then("cairn create")));
            Exit::Error
        } else {
            say("the switch goes on without one");
            Exit::Ok
        }
    };
    if trial::is_at_work(&engine) {
        say("this switch is part of a cairn try, whose restore point and gate hold for it");
        return Exit::Ok;
    }
    let watcher = match s.watcher() {
        Ok(watcher) => watcher,
        Err(error) => return refused(&error.to_string()),
    };
    s.begin_work();
    let hooked = match hook::pre_switch(&engine, toplevel, action, &watcher) {
        Ok(None) => return Exit::Ok,
        Ok(Some(hooked)) => hooked,
        Err(error) => return refused(&error.to_string()),
    };
    let point = hooked.switch.point.map(short);
    match (&point, hooked.shared) {
        (Some(point), false) => say(&format!("restore point {point} taken")),
        (Some(point), true) => say(&format!("restore point {point} was taken for this change")),
        (None, _) => {}
    }
    if hooked
        .created
        .as_ref()
        .is_some_and(|c| c.recovery.is_some())
    {
        say(RECOVERY_KEPT);
    }
    let warnings = hooked.created.iter().flat_map(|c| &c.warnings);
    for warning in hooked.warnings.iter().chain(warnings) {
        say(warning);
    }
    if let Some(confirm) = &hooked.switch.confirm {
        let when = match hooked.switch.action.runs() {
            true => "its end",
            false => "the next boot",
        };
        say(&format!(
            "this switch is taken back unless `cairn confirm` comes within {} of {when}",
            confirm.timeout
        ));
    }
    match &hooked.switch.no_point {
        Some(why) if engine.policy.pre_switch.enable => refused(why),
        _ => Exit::Ok,
    }
}

fn watch(s: &Session, id: PointId) -> Result<Exit, Failure> {
    let switch = gate::watch(&s.engine(), id, &say)?;
    tell(&chronicle::note_switch(&s.engine(), &switch));
    let result = switch.result.as_ref();
    if let Some(result) = result {
        say(&format!(
            "{} to {}: {}",
            switch.action.as_str(),
            switch.to.name(),
            crate::render::switch::told(result)
        ));
    }
    Ok(match result.map(|r| r.done) {
        Some(Done::WentBack | Done::WentBackAtBoot | Done::Repaired) => Exit::RolledBack,
        Some(Done::Stuck) => Exit::Error,
        _ => Exit::Ok,
    })
}

fn switched(s: &Session) -> Result<Exit, Failure> {
    let engine = s.engine();
    switch::wait_until_free(engine.layout, None).map_err(crate::engine::EngineError::from)?;
    // A restore of our own ends with its note of what runs: wait for it too.
    let gap = history::notice_alone(&engine)?;
    if let Some(gap) = gap {
        say(&format!(
            "{} runs, and no restore point was taken before: {}",
            gap.to.name(),
            gap.no_point.as_deref().unwrap_or_default()
        ));
        complain("  try: cairn history");
    }
    Ok(Exit::Ok)
}

fn booted(s: &Session) -> Result<Exit, Failure> {
    let booted = boot::boot(&s.engine(), &s.watcher()?, &say)?;
    tell(&chronicle::note_boot(&s.engine(), &booted));
    if let Some(created) = &booted.created {
        say(&format!("restore point {} taken", short(created.point.id)));
    }
    Ok(match (booted.verdict, booted.done) {
        (_, Some(Done::WentBack | Done::WentBackAtBoot)) => Exit::RolledBack,
        (Some(Verdict::Bad), _) => Exit::Unhealthy,
        _ => Exit::Ok,
    })
}
