//! What a run would do: the issues, each with its actions in their order, or
//! why it is left alone.

use super::super::{Engine, EngineError, chronicle, health};
use super::check::detail;
use super::prepare::prepare;
use super::{Ask, check_can, foresee, is_judging};
use crate::heal::decide::seed;
use crate::heal::{Book, Healed, Hold, Off, Planned, Rung, Treated, deed, hold, ladder, rungs};
use crate::health::Report;
use crate::learn::{self, Knowledge, Ranked};
use crate::point::Issue;
use crate::point::heal::Action;
use crate::system::probe::Depth;
use crate::system::{healing, pointers, switches};

/// Why healing waits while a switch is being judged.
pub(super) const JUDGING: &str = "a switch is being judged: healing waits for its gate";

/// What healing would do now. Nothing is changed.
///
/// # Errors
/// Where nothing can be healed; when the book cannot be read.
pub fn plan(engine: &Engine<'_>, ask: &Ask) -> Result<Healed, EngineError> {
    check_can(engine, true)?;
    let (book, damaged) = healing::read(engine.layout)?;
    let report = look(engine);
    let known = chronicle::knowledge(engine);
    let mut healed = Healed {
        dry_run: true,
        before: report.score,
        after: report.score,
        healthy: report.healthy,
        notes: damaged.into_iter().collect(),
        foreseen: foresee::soon(engine, &report)
            .into_iter()
            .map(|(_, foreseen)| foreseen)
            .collect(),
        ..Healed::default()
    };
    if let Some(open) = &book.open {
        healed.cut_off = true;
        healed.notes.push(format!(
            "{} against {} was cut off: it is ended first",
            open.action, open.issue
        ));
    }
    if is_judging(engine)? {
        healed.notes.push(JUDGING.to_owned());
    }
    for issue in wanted(&report, ask, &mut healed.notes) {
        let mut treated = begin(engine, &book, &report, &known, issue, ask);
        if treated.held.is_none() {
            for planned in &mut treated.actions {
                match prepare(engine, &treated.issue, planned.action, is_asked(ask)) {
                    Ok(prepared) => planned.on = prepared.on(),
                    Err(lacks) => planned.lacks = Some(lacks),
                }
            }
        }
        healed.issues.push(treated);
    }
    Ok(healed)
}

/// A look at all there is.
pub(super) fn look(engine: &Engine<'_>) -> Report {
    health::look(engine, &health::Ask::of(Depth::All))
}

/// The score now.
pub(super) fn score(engine: &Engine<'_>) -> Option<u8> {
    look(engine).score
}

/// Whether a person named what is to be healed.
pub(super) fn is_asked(ask: &Ask) -> bool {
    !ask.only.is_empty()
}

/// The issues that are to be healed; what was named and is not there is told.
pub(super) fn wanted(report: &Report, ask: &Ask, notes: &mut Vec<String>) -> Vec<Issue> {
    for wanted in &ask.only {
        if !report.issues.iter().any(|issue| wanted.means(issue)) {
            notes.push(format!("{wanted}: no check sees such an issue now"));
        }
    }
    let is_wanted =
        |issue: &&Issue| ask.only.is_empty() || ask.only.iter().any(|wanted| wanted.means(issue));
    report.issues.iter().filter(is_wanted).cloned().collect()
}

/// An issue with the actions against it, in their order, or why it is left
/// alone.
pub(super) fn begin(
    engine: &Engine<'_>,
    book: &Book,
    report: &Report,
    known: &Knowledge,
    issue: Issue,
    ask: &Ask,
) -> Treated {
    let (now, boot) = (engine.clock.now(), switches::boot_id());
    let policy = &engine.policy.heal;
    let held = hold(&issue, book, policy, &boot, is_asked(ask), now);
    let (allowed, off) = rungs(&issue, policy);
    let machine = pointers::machine_id(engine.layout).unwrap_or_default();
    let ranked = match ladder(issue.kind()) {
        Some(ladder) => {
            let rungs = ladder.learned();
            let written = learn::Ladder {
                issue: ladder.kind,
                rungs: &rungs,
            };
            learn::order(written, known, now, seed(&machine, &issue, book))
        }
        None => Vec::new(),
    };
    let actions = ranked
        .into_iter()
        .filter_map(|ranked| planned(ranked, &allowed))
        .collect();
    let off = off.into_iter().map(|rung| Off {
        action: rung.action,
        why: match policy.disabled.contains(&rung.action) {
            true => "heal.disabled has it",
            false => "it is destructive here, and heal.destructive does not have it",
        },
    });
    Treated {
        detail: detail(report, &issue),
        held: held.as_ref().map(|held| held.words(now)),
        until: held.as_ref().and_then(Hold::until),
        actions,
        off: off.collect(),
        tries: Vec::new(),
        healed: false,
        point: None,
        issue,
    }
}

fn planned(ranked: Ranked, allowed: &[Rung]) -> Option<Planned> {
    let action = Action::named(&ranked.action)?;
    let about = deed(action);
    allowed
        .iter()
        .any(|rung| rung.action == action)
        .then_some(Planned {
            action,
            title: about.title,
            on: None,
            harm: ranked.harm,
            breaks: about.breaks,
            estimate: ranked.estimate,
            interval: ranked.interval,
            attempts: ranked.attempts,
            imported: ranked.imported,
            seconds: ranked.seconds,
            lacks: None,
        })
}
