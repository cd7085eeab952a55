//! A run: look, try the actions of each issue until it is gone, mark what is
//! well.

use std::collections::BTreeSet;

use super::super::create::{self, Request};
use super::super::marks::{self, Say};
use super::super::step::step;
use super::super::{Engine, EngineError, chronicle, notify};
use super::check::{gone, labels};
use super::finish::{Came, close, down, finish, has_undo, judge, made_worse, runs_and_boots};
use super::plan::{JUDGING, begin, is_asked, look, score, wanted};
use super::prepare::{Prepared, Work, prepare};
use super::take_back::take_back;
use super::{Ask, act, check_can, foresee, is_judging};
use crate::heal::decide::spent;
use crate::heal::{Book, Healed, Hold, Open, Treated, Tried, deed};
use crate::health::Report;
use crate::nix::store_path::StorePath;
use crate::plan::notice;
use crate::point::document::Trigger;
use crate::point::event::HealVerdict;
use crate::point::heal::Action;
use crate::point::{Issue, PointId, Selector, Verdict};
use crate::system::{healing, known_good, pointers, switches};

const STUCK: &str = "nothing more is healed until that is taken back";

/// Looks, and heals. `say` is told each step, in one line.
///
/// # Errors
/// Where nothing can be healed, or the book cannot be read or written: nothing
/// more is done then. What was under way is ended by the next run.
pub fn heal(engine: &Engine<'_>, ask: &Ask, say: &dyn Fn(&str)) -> Result<Healed, EngineError> {
    check_can(engine, false)?;
    let _alone = healing::lock(engine.layout, engine.patience)?;
    crate::system::points::prepare(engine.layout)?;
    let (mut book, damaged) = healing::read(engine.layout)?;
    let mut healed = Healed {
        notes: damaged.into_iter().collect(),
        ..Healed::default()
    };
    // The gate sees the machine as it is: even what was cut off waits for it.
    let judging = is_judging(engine)?;
    if !judging {
        healed.finished = finish(engine, &mut book, say)?;
        engine.check_finished()?;
    }
    let report = look(engine);
    healed.before = report.score;
    let waits = match (judging || is_judging(engine)?, &book.open) {
        (true, _) => Some(JUDGING),
        (false, Some(_)) => Some(STUCK),
        (false, None) => None,
    };
    if let Some(why) = waits {
        healed.notes.push(why.to_owned());
        healed.after = report.score;
        healed.healthy = report.healthy;
        return Ok(healed);
    }
    if ask.only.is_empty() {
        healed.notes.extend(foresee::record(engine, &report));
        let soon = foresee::soon(engine, &report);
        healed.foreseen = foresee::provide(engine, &mut book, soon, say)?;
    }
    let known = chronicle::knowledge(engine);
    let mut report_now = report.clone();
    for issue in wanted(&report, ask, &mut healed.notes) {
        let mut treated = begin(engine, &book, &report, &known, issue, ask);
        if treated.held.is_none() {
            if let Err(stopped) = engine.check_stop() {
                // What was done is told, by the report.
                if !healed.has_acted() {
                    return Err(stopped);
                }
                healed.interrupted = true;
                break;
            }
            let mut run = Run {
                engine,
                book: &mut book,
                asked: is_asked(ask),
                say,
            };
            run.treat(&mut treated, &report_now)?;
            report_now = look(engine);
        }
        healed.interrupted = !treated.healed && engine.check_stop().is_err();
        if healed.interrupted {
            healed.issues.push(treated);
            if !healed.has_acted() {
                engine.check_stop()?;
            }
            break;
        }
        if let Some(notice) = notice::of_treated(&treated, engine.clock.now()) {
            for trouble in notify::tell(engine, &notice) {
                say(&trouble);
            }
        }
        healed.issues.push(treated);
        if book.open.is_some() {
            healed.notes.push(STUCK.to_owned());
            break;
        }
    }
    let acted = healed
        .issues
        .iter()
        .any(|treated| treated.healed && !treated.tries.is_empty());
    healed.after = report_now.score;
    healed.healthy = report_now.healthy;
    let helped = |tried: &Tried| tried.verdict == HealVerdict::Recovered;
    if acted || healed.finished.as_ref().is_some_and(helped) {
        mark_good(engine, &mut healed, &report_now, say)?;
    }
    Ok(healed)
}

/// What treating one issue works with.
struct Run<'r, 'e> {
    engine: &'r Engine<'e>,
    book: &'r mut Book,
    asked: bool,
    say: &'r dyn Fn(&str),
}

impl Run<'_, '_> {
    /// Tries the actions until the issue is gone.
    fn treat(&mut self, treated: &mut Treated, report: &Report) -> Result<(), EngineError> {
        let engine = self.engine;
        let issue = treated.issue.clone();
        // What healed another issue may have healed this one.
        if !report.issues.contains(&issue) {
            treated.healed = true;
            return Ok(());
        }
        (self.say)(&format!("{issue}: {}", treated.detail));
        let labels = labels(report, &issue);
        for n in 0..treated.actions.len() {
            let action = treated.actions[n].action;
            if let Some(held) = self.spent(&issue) {
                treated.until = held.until();
                treated.held = Some(held.words(engine.clock.now()));
                break;
            }
            let prepared = match prepare(engine, &issue, action, self.asked) {
                Ok(prepared) => prepared,
                Err(lacks) => {
                    treated.actions[n].lacks = Some(lacks);
                    continue;
                }
            };
            treated.actions[n].on = prepared.on();
            if treated.point.is_none() {
                match self.point(&issue, action) {
                    Ok(point) => treated.point = point,
                    Err(_) if engine.check_stop().is_err() => break,
                    Err(why) => {
                        treated.actions[n].lacks = Some(why);
                        continue;
                    }
                }
            }
            if deed(action).needs_point && treated.point.is_none() {
                treated.actions[n].lacks = Some("no restore point could be taken".to_owned());
                continue;
            }
            let tried = self.attempt(&issue, action, &prepared, treated.point, &labels, report)?;
            let (verdict, stuck) = (tried.verdict, tried.trouble.is_some());
            treated.tries.push(tried);
            treated.healed = verdict == HealVerdict::Recovered;
            // What could not be taken back is no ground to build on.
            if treated.healed || stuck || engine.check_stop().is_err() {
                break;
            }
        }
        if engine.check_stop().is_err() {
            return Ok(());
        }
        if !treated.healed && treated.held.is_none() {
            (self.say)(&format!("{issue}: nothing more is to be tried now"));
        }
        Ok(())
    }

    fn spent(&self, issue: &Issue) -> Option<Hold> {
        if self.asked {
            return None;
        }
        let (now, boot) = (self.engine.clock.now(), switches::boot_id());
        spent(issue, self.book, &self.engine.policy.heal, &boot, now)
    }

    /// Takes the restore point before the first action. On a full disk there
    /// is none, and what only a point could undo is not tried.
    fn point(&self, issue: &Issue, action: Action) -> Result<Option<PointId>, String> {
        let points = self.engine.policy.points.values();
        let own = points
            .filter(|point| point.trigger == crate::point::policy::When::PreHeal)
            .find_map(|point| point.reason.clone());
        let reason = own.unwrap_or_else(|| format!("before healing {issue}"));
        let mut request = Request::manual(reason);
        request.trigger = Trigger::PreHeal;
        match create::create(self.engine, &request) {
            Ok(created) => {
                let troubles = created.troubles.iter().chain(&created.warnings);
                troubles.for_each(|trouble| (self.say)(trouble));
                Ok(Some(created.point.id))
            }
            Err(error) if error.is_no_space() || error.is_kept_out() => {
                (self.say)(&format!("no restore point was taken: {error}"));
                match deed(action).needs_point {
                    true => Err(format!("no restore point could be taken: {error}")),
                    false => Ok(None),
                }
            }
            Err(error) if error.is_stopped() => Err(error.to_string()),
            Err(error) => {
                (self.say)(&format!("no restore point was taken: {error}"));
                Err(format!("no restore point could be taken: {error}"))
            }
        }
    }

    /// Writes down, acts, asks the same check, takes back what did not help,
    /// and writes down what it came to.
    fn attempt(
        &mut self,
        issue: &Issue,
        action: Action,
        prepared: &Prepared,
        point: Option<PointId>,
        labels: &BTreeSet<String>,
        report: &Report,
    ) -> Result<Tried, EngineError> {
        let engine = self.engine;
        let now = engine.clock.now();
        let open = Open {
            id: engine.clock.new_id(now),
            at: now,
            boot: switches::boot_id(),
            issue: issue.clone(),
            action,
            before: report.score,
            failing: report.broken().map(Verdict::label).collect(),
            units: Some(down(report)),
            systems: match &prepared.work {
                Work::System(to) => {
                    let mut systems = runs_and_boots(engine);
                    systems.push(to.clone());
                    systems
                }
                _ => Vec::new(),
            },
            point,
            undo: prepared.undo(point),
        };
        step("heal.opened", || {
            self.book.begin(open.clone());
            Ok(healing::store(engine.layout, self.book)?)
        })?;
        let on = prepared
            .on()
            .map_or_else(String::new, |on| format!(" ({on})"));
        (self.say)(&format!("trying {action}{on}"));
        let acted = step("heal.acted", || act::act(engine, &prepared.work));
        let checked = match &acted {
            Err(error) => gone(engine, issue, labels).map_err(|said| format!("{error}; {said}")),
            Ok(()) => gone(engine, issue, labels),
        };
        let seen = look(engine);
        // What was interrupted had not its time to help.
        let interrupted = checked.is_err() && engine.check_stop().is_err();
        let checked = judge(checked, &open, made_worse(&open, &seen));
        let (verdict, said, trouble, after) = match checked {
            Ok(said) => (HealVerdict::Recovered, said, None, seen.score),
            Err(said) if !has_undo(&open) => (HealVerdict::Remains, Some(said), None, seen.score),
            Err(said) => {
                let taken_back = step("heal.taken-back", || Ok(take_back(engine, &open.undo)));
                let trouble = match taken_back {
                    Ok(done) => done.err(),
                    Err(error) => Some(error.to_string()),
                };
                (HealVerdict::TakenBack, Some(said), trouble, score(engine))
            }
        };
        let came = Came {
            verdict,
            interrupted,
            after,
            said,
            trouble,
        };
        let tried = close(engine, self.book, &open, came, self.say)?;
        (self.say)(&told(&tried));
        Ok(tried)
    }
}

/// What an action came to, in one line.
fn told(tried: &Tried) -> String {
    let said = tried.said.as_deref().unwrap_or_default();
    let action = tried.action;
    if tried.interrupted {
        return match (&tried.trouble, tried.verdict) {
            (Some(trouble), _) => format!("{action}: interrupted, and not taken back: {trouble}"),
            (None, HealVerdict::TakenBack) => format!("{action}: interrupted, taken back"),
            (None, _) => format!("{action}: interrupted"),
        };
    }
    match (tried.verdict, &tried.trouble) {
        (_, Some(trouble)) => {
            format!(
                "{}: no help ({said}), and not taken back: {trouble}",
                tried.action
            )
        }
        (HealVerdict::Recovered, _) if !said.is_empty() => {
            format!("{action}: {} is gone, but {said}", tried.issue)
        }
        (HealVerdict::Recovered, _) => format!("{action}: {} is gone", tried.issue),
        (HealVerdict::Remains, _) => format!("{}: no help: {said}", tried.action),
        (HealVerdict::TakenBack, _) => format!("{}: no help, taken back: {said}", tried.action),
    }
}

/// Whether somebody still has to confirm a switch to this system, in whichever
/// boot it was made.
fn is_owed(engine: &Engine<'_>, running: &StorePath) -> Result<bool, EngineError> {
    let (records, _) = switches::read(engine.layout)?;
    Ok(records
        .iter()
        .any(|switch| switch.to == *running && switch.is_unanswered()))
}

/// A machine that was healed, and is well in all that is required, runs a
/// system that works: known-good, and so is the point that holds it.
fn mark_good(
    engine: &Engine<'_>,
    healed: &mut Healed,
    report: &Report,
    say: &dyn Fn(&str),
) -> Result<(), EngineError> {
    let well = report.healthy && report.broken().next().is_none();
    let Some(running) = pointers::current(engine.layout).filter(|_| well) else {
        return Ok(());
    };
    if is_judging(engine)? || is_owed(engine, &running)? {
        let name = running.name();
        healed.notes.push(format!(
            "{name} is not marked known-good before the switch to it is confirmed"
        ));
        return Ok(());
    }
    let marked = step("heal.marked", || {
        Ok(known_good::mark(engine.layout, &running)?)
    });
    match marked {
        Ok(()) => {
            say(&format!("{} is known-good", running.name()));
            healed.marked_good = Some(running.to_absolute_path());
        }
        Err(error) => {
            healed
                .notes
                .push(format!("it could not be marked known-good: {error}"));
            return Ok(());
        }
    }
    for treated in healed.issues.iter().filter(|treated| treated.healed) {
        let last = treated.tries.last();
        let (Some(point), Some(tried)) = (treated.point, last) else {
            continue;
        };
        if deed(tried.action).keeps_system {
            let reason = format!("{} healed {}", tried.action, treated.issue);
            let point = Selector::Prefix(point.hex());
            if let Err(error) = marks::say(engine, &point, Say::Good, Some(reason)) {
                healed
                    .notes
                    .push(format!("its restore point is not marked: {error}"));
            }
        }
    }
    Ok(())
}
