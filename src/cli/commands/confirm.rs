//! `confirm` and `revert`

use super::super::Exit;
use super::super::args::Answer;
use super::super::failure::Failure;
use super::super::session::Session;
use crate::engine::confirm::{self, Given};
use crate::engine::{EngineError, chronicle};
use crate::point::Switch;
use crate::point::switch::{Done, Verdict};
use crate::render::Style;
use crate::render::style::line;
use crate::render::switch::words;

/// `confirm`
pub(super) fn confirm(s: &Session, args: &Answer) -> Result<Exit, Failure> {
    let engine = s.engine();
    if s.dry_run() {
        return Err(Failure::Usage(
            "what confirm would confirm is what cairn status shows".to_owned(),
        ));
    }
    let given = confirm::confirm(&engine, args.id.as_deref(), &tell(s))?;
    note(s, &given);
    s.out.result("confirm", &given.switch, |style| {
        confirmed(&given, style).into_bytes()
    })?;
    Ok(Exit::Ok)
}

fn confirmed(given: &Given, style: &Style) -> String {
    let name = style.bold(line(given.switch.to.name()));
    match (given.before, &given.switch.result) {
        (true, _) => format!("{name} was confirmed already\n"),
        (false, None) => format!("{name} is confirmed; its gate is still watching it\n"),
        (false, Some(result)) if result.verdict == Verdict::Good => {
            format!(
                "{} {name}: it stays, and is known-good\n",
                style.green("confirmed")
            )
        }
        (false, Some(_)) => format!("{name}: {}\n", line(&words(&given.switch))),
    }
}

/// `revert`
pub(super) fn revert(s: &Session, args: &Answer) -> Result<Exit, Failure> {
    let engine = s.engine();
    let meant = confirm::to_revert(&engine, args.id.as_deref())?;
    let what = format!("{} to {}", meant.action.as_str(), line(meant.to.name()));
    if s.dry_run() {
        s.out.result("revert", &meant, |style| {
            let was = meant
                .before
                .current
                .as_ref()
                .map_or("nothing", |p| p.name());
            format!("would take back {}: to {}\n", style.bold(what), line(was)).into_bytes()
        })?;
        return Ok(Exit::Ok);
    }
    s.confirm("revert", &format!("take back {what}?"))?;
    let given = confirm::revert(&engine, Some(&meant.id.hex()), &tell(s))?;
    note(s, &given);
    s.out.result("revert", &given.switch, |style| {
        format!(
            "{} {}\n",
            style.bold(line(given.switch.to.name())),
            line(&words(&given.switch))
        )
        .into_bytes()
    })?;
    match given.switch.result.as_ref().map(|result| result.done) {
        Some(Done::WentBack | Done::WentBackAtBoot | Done::Repaired) => Ok(Exit::Ok),
        _ => Err(EngineError::Unanswerable(stays(&given.switch)).into()),
    }
}

fn stays(switch: &Switch) -> String {
    format!("it was not taken back: {}", words(switch))
}

fn tell(s: &Session) -> impl Fn(&str) {
    |text| {
        let _ = s.out.say(line(text));
    }
}

fn note(s: &Session, given: &Given) {
    if given.switch.result.is_some() && !given.before {
        for note in chronicle::note_switch(&s.engine(), &given.switch) {
            s.out.warn(note);
        }
    }
}
