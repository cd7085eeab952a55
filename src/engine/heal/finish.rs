//! Ending what an earlier run had left under way: it was killed, or the
//! machine went down.

use chrono::{DateTime, Utc};

use super::super::step::step;
use super::super::undo::{self, Way};
use super::super::{Engine, EngineError, chronicle, health};
use super::check::{gone, labels};
use super::take_back::take_back;
use super::{VERB, plan};
use crate::heal::{Book, Open, Tried, Undo};
use crate::health::Report;
use crate::nix::store_path::StorePath;
use crate::point::PointId;
use crate::point::Verdict;
use crate::point::event::{HealAttempt, HealVerdict, Item};
use crate::system::probe::Depth;
use crate::system::{generations, healing, journal, pointers, switches};

/// Ends the action that the book has under way, if it has one: where the issue
/// is gone it has helped, otherwise it is taken back.
///
/// # Errors
/// When the book cannot be written; the action stays under way then.
pub(super) fn finish(
    engine: &Engine<'_>,
    book: &mut Book,
    say: &dyn Fn(&str),
) -> Result<Option<Tried>, EngineError> {
    let Some(mut open) = book.open.clone() else {
        return Ok(None);
    };
    say(&format!(
        "{} against {} was cut off: ending it",
        open.action, open.issue
    ));
    // What somebody switched to since is not to be lost: then a restore of ours
    // that was cut off is for a person to end. Otherwise it goes back first.
    let moved_on = moved_on(&open.systems, &runs_and_boots(engine));
    let ours = journal::unfinished(engine.layout)?.is_some_and(|entry| entry.verb == VERB);
    let mut trouble = None;
    if ours
        && !moved_on
        && let Err(error) = undo::end(engine, Way::Abort)
    {
        trouble = Some(error.to_string());
    }
    let same_boot = open.boot == switches::boot_id();
    let report = health::look(engine, &health::Ask::of(Depth::All));
    let is_gone = match (moved_on, ours) {
        (true, _) => Err("the system was switched since, and stays as it is".to_owned()),
        (false, true) => Err("it was cut off before it could help".to_owned()),
        (false, false) => gone(engine, &open.issue, &labels(&report, &open.issue)),
    };
    if is_gone.is_err() && !moved_on && !ours {
        // Who interrupts the check leaves it to the next run.
        engine.check_stop()?;
    }
    let is_gone = judge(is_gone, &open, made_worse(&open, &report));
    open.undo.retain(|one| match one {
        Undo::System { .. } if moved_on => false,
        _ => same_boot || !one.ends_with_the_boot(),
    });
    let (verdict, said) = match is_gone {
        Ok(said) => (HealVerdict::Recovered, said),
        Err(said) => {
            // What no point holds any longer would be in the way for ever.
            let lost = lost(engine, &open.undo)?;
            if let Some(point) = lost.first() {
                let point = point.short_among([]);
                trouble.get_or_insert(format!("its restore point {point} is gone"));
                open.undo
                    .retain(|one| one.point().is_none_or(|point| !lost.contains(&point)));
            }
            if let Err(error) = take_back(engine, &open.undo) {
                trouble.get_or_insert(error);
            }
            let verdict = match open.undo.is_empty() {
                true => HealVerdict::Remains,
                false => HealVerdict::TakenBack,
            };
            (verdict, Some(said))
        }
    };
    let after = plan::score(engine);
    // It was cut off: that it did not help says little about it.
    let interrupted = verdict != HealVerdict::Recovered;
    let came = Came {
        verdict,
        interrupted,
        after,
        said,
        trouble,
    };
    let tried = close(engine, book, &open, came, say)?;
    say(&match (verdict, &tried.trouble) {
        _ if moved_on => "the system was switched since, and stays as it is".to_owned(),
        (HealVerdict::Recovered, _) => format!("{} is gone", open.issue),
        (_, None) => format!("{} is as it was before", open.issue),
        (_, Some(trouble)) => format!("it could not be taken back: {trouble}"),
    });
    Ok(Some(tried))
}

/// What an action came to.
pub(super) struct Came {
    pub(super) verdict: HealVerdict,
    /// Whether it was interrupted before that: nothing is learned from it.
    pub(super) interrupted: bool,
    /// The health score after.
    pub(super) after: Option<u8>,
    pub(super) said: Option<String>,
    pub(super) trouble: Option<String>,
}

/// Whether an action helped, with what else fails since: that is a reason to
/// take it back, and where nothing takes it back, to be told.
///
/// # Errors
/// What speaks against it.
pub(super) fn judge(
    is_gone: Result<(), String>,
    open: &Open,
    worse: Option<String>,
) -> Result<Option<String>, String> {
    match (is_gone, worse) {
        (Ok(()), Some(worse)) if has_undo(open) => Err(worse),
        (Ok(()), worse) => Ok(worse),
        (Err(said), Some(worse)) if !has_undo(open) => Err(format!("{said}; {worse}")),
        (Err(said), _) => Err(said),
    }
}

/// Writes down what an action came to, in the book and in the history. One
/// whose files or system could not be brought back stays in the book as under
/// way.
pub(super) fn close(
    engine: &Engine<'_>,
    book: &mut Book,
    open: &Open,
    came: Came,
    say: &dyn Fn(&str),
) -> Result<Tried, EngineError> {
    let Came {
        verdict,
        interrupted,
        after,
        said,
        trouble,
    } = came;
    let now = engine.clock.now();
    let millis = elapsed(open.at, now);
    // What a reboot came to says nothing about the action.
    // Nor does what somebody else's switch came to, or what had not its time.
    let counts = !interrupted
        && open.boot == switches::boot_id()
        && !moved_on(&open.systems, &runs_and_boots(engine));
    let attempt = HealAttempt {
        id: open.id,
        at: open.at,
        issue: open.issue.kind().to_owned(),
        action: open.action.as_str().to_owned(),
        subject: open.issue.subject().map(str::to_owned),
        before: open.before,
        after,
        verdict,
        millis,
        point: open.point,
    };
    step("heal.closed", || {
        // A unit that does not start again is an issue of its own; a file or
        // a system that is not back must be before anything else is done.
        let lasting = open.undo.iter().any(|undo| !undo.ends_with_the_boot());
        if trouble.is_none() || !lasting {
            book.end(verdict, interrupted, now);
        }
        Ok(healing::store(engine.layout, book)?)
    })?;
    if counts {
        for note in chronicle::keep(engine, &[Item::Heal(attempt)]) {
            say(&note);
        }
    }
    Ok(Tried {
        issue: open.issue.clone(),
        action: open.action,
        verdict,
        before: open.before,
        after,
        millis,
        interrupted,
        said,
        trouble,
    })
}

fn elapsed(since: DateTime<Utc>, now: DateTime<Utc>) -> u64 {
    u64::try_from((now - since).num_milliseconds()).unwrap_or(0)
}

/// What takes an action back, where anything does.
pub(super) fn has_undo(open: &Open) -> bool {
    open.undo.iter().any(|undo| match undo {
        Undo::Start(units) | Undo::Stop(units) => !units.is_empty(),
        _ => true,
    })
}

/// What runs, and what the profile has.
pub(super) fn runs_and_boots(engine: &Engine<'_>) -> Vec<StorePath> {
    let profile = generations::current_of(engine.layout, engine.profile);
    let running = pointers::current(engine.layout);
    running
        .into_iter()
        .chain(profile.map(|generation| generation.toplevel))
        .collect()
}

/// Whether the machine has another system than those an action leaves.
fn moved_on(systems: &[StorePath], now: &[StorePath]) -> bool {
    !systems.is_empty() && now.iter().any(|system| !systems.contains(system))
}

/// The restore points that these need and that are no longer there.
fn lost(engine: &Engine<'_>, undo: &[Undo]) -> Result<Vec<PointId>, EngineError> {
    let catalogue = engine.catalogue()?;
    // One that cannot be read may be repaired.
    if !catalogue.damaged.is_empty() {
        return Ok(Vec::new());
    }
    let is_there = |id: &PointId| catalogue.points.iter().any(|(point, _)| point.id == *id);
    let needed = undo.iter().filter_map(Undo::point);
    Ok(needed.filter(|id| !is_there(id)).collect())
}

/// Units that failed, or do not stay up.
pub(super) fn down(report: &Report) -> Vec<String> {
    report
        .broken()
        .filter(|verdict| is_of_units(verdict))
        .flat_map(|verdict| verdict.subjects.clone())
        .collect()
}

/// Whether a check is of all units, and names those that are down.
fn is_of_units(verdict: &Verdict) -> bool {
    matches!(verdict.name.as_str(), "units" | "restarts")
}

/// What is required and fails only since the action.
pub(super) fn made_worse(open: &Open, after: &Report) -> Option<String> {
    // All units share one check: who is down counts, not that somebody is.
    let new = |verdict: &&Verdict| match &open.units {
        Some(before) if is_of_units(verdict) => {
            verdict.subjects.iter().any(|unit| !before.contains(unit))
        }
        _ => !open.failing.contains(&verdict.label()),
    };
    let worse = after.broken().find(new)?;
    Some(format!("{} failed since: {}", worse.label(), worse.detail))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::point::heal::Action;
    use crate::point::health::Status;
    use crate::point::{Issue, Policy};

    fn units(name: &str, down: &[&str]) -> Verdict {
        Verdict {
            name: name.into(),
            of: None,
            required: true,
            status: Status::Failing,
            value: None,
            detail: "some failed".into(),
            subjects: down.iter().map(|unit| (*unit).to_owned()).collect(),
        }
    }

    fn report(checks: Vec<Verdict>) -> Report {
        Report::new(checks, &Policy::default())
    }

    #[test]
    fn another_unit_that_is_down_since_makes_it_worse_and_the_same_one_does_not() {
        let before = report(vec![units("units", &["web.service", "db.service"])]);
        let at = "2026-11-20T12:00:00Z".parse().unwrap();
        let mut open = Open {
            id: "019a0000-0000-7000-8000-000000000001".parse().unwrap(),
            at,
            boot: "b".into(),
            issue: Issue::ServiceDown("web.service".into()),
            action: Action::RestartUnit,
            before: None,
            failing: before.broken().map(Verdict::label).collect(),
            units: Some(down(&before)),
            systems: Vec::new(),
            point: None,
            undo: vec![Undo::Start(vec!["api.service".into()])],
        };
        let worse = |name, down: &[&str]| made_worse(&open, &report(vec![units(name, down)]));
        assert_eq!(worse("units", &["db.service"]), None);
        assert_eq!(worse("restarts", &["db.service"]), None);
        assert!(worse("units", &["api.service"]).is_some());
        assert!(worse("restarts", &["db.service", "api.service"]).is_some());

        // With an undo that is a reason to take it back; without one it is told.
        let said = || worse("units", &["api.service"]);
        assert!(judge(Ok(()), &open, said()).is_err());
        assert_eq!(judge(Ok(()), &open, None), Ok(None));
        let failed = "units failed since: some failed".to_owned();
        open.undo.clear();
        let worse = made_worse(&open, &report(vec![units("units", &["api.service"])]));
        assert_eq!(worse.as_ref(), Some(&failed));
        assert_eq!(judge(Ok(()), &open, worse.clone()), Ok(Some(failed)));
        let both = judge(Err("full".to_owned()), &open, worse);
        assert_eq!(
            both,
            Err("full; units failed since: some failed".to_owned())
        );
    }

    #[test]
    fn a_system_that_no_action_left_was_switched_to_since() {
        let system = |n: u8| {
            let path = format!("/nix/store/{}-system-{n}", "0".repeat(32));
            StorePath::from_absolute_path(path.as_bytes()).unwrap()
        };
        let left = [system(1), system(2)];
        assert!(!moved_on(&left, &[system(2), system(1)]));
        assert!(moved_on(&left, &[system(2), system(3)]));
        assert!(!moved_on(&[], &[system(3)]));
    }
}
