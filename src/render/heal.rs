//! Healing as text.

use std::time::Duration;

use super::Style;
use super::style::line;
use crate::heal::{Healed, Planned, Standing, Treated, Tried};
use crate::next::Next;
use crate::point::event::HealVerdict;
use crate::point::humane;

/// What healing came to, or would do: each issue with its actions.
pub fn report(healed: &Healed, host: &str, style: &Style) -> String {
    let mut out = format!("{} {}", style.bold("healing of"), style.bold(line(host)));
    out.push_str(&format!(" {}\n", score(healed, style)));
    if let Some(tried) = &healed.finished {
        out.push_str(&format!("\n{}\n", style.bold("was cut off")));
        out.push_str(&came(tried, style));
    }
    for treated in &healed.issues {
        out.push('\n');
        out.push_str(&issue(treated, healed.dry_run, style));
    }
    if healed.interrupted {
        let told = "interrupted: nothing more was tried";
        out.push_str(&format!("\n{}\n", style.yellow(told)));
    } else if healed.issues.is_empty() {
        out.push_str(&format!("\n{}\n", style.green("nothing is to be healed")));
    }
    for foreseen in &healed.foreseen {
        let text = format!("{} is {}", foreseen.what, foreseen.words);
        let point = foreseen.point.map(|point| point.short_among([]));
        let taken = point.map_or_else(String::new, |point| {
            format!(": restore point {} taken before that", style.cyan(point))
        });
        out.push_str(&format!("\n{}{taken}\n", style.yellow(line(&text))));
    }
    if healed.marked_good.is_some() {
        out.push_str(&format!(
            "\n{}\n",
            style.green("the running system is known-good")
        ));
    }
    for note in &healed.notes {
        out.push_str(&format!("{} {}\n", style.yellow("note:"), line(note)));
    }
    out
}

fn score(healed: &Healed, style: &Style) -> String {
    let of = |score: Option<u8>| score.map_or_else(|| "?".to_owned(), |score| score.to_string());
    let text = match healed.before == healed.after {
        true => format!("{} of 100", of(healed.after)),
        false => format!("{} → {} of 100", of(healed.before), of(healed.after)),
    };
    match healed.healthy {
        true => style.green(text),
        false => style.red(text),
    }
}

fn issue(treated: &Treated, dry_run: bool, style: &Style) -> String {
    let name = line(&treated.issue.to_string());
    let name = match treated.healed {
        true => style.green(name),
        false => style.yellow(name),
    };
    let mut out = format!("{name}  {}\n", style.dim(line(&treated.detail)));
    let mut put = |text: String| out.push_str(&format!("  {text}\n"));
    if let Some(held) = &treated.held {
        put(format!("left alone: {}", line(held)));
    }
    for tried in &treated.tries {
        put(came(tried, style).trim_end().to_owned());
    }
    let held_back = treated.held.is_some() && treated.tries.is_empty();
    if dry_run && !held_back {
        for (n, planned) in treated.actions.iter().enumerate() {
            put(rung(n + 1, planned, style));
        }
    } else if !treated.healed {
        for planned in &treated.actions {
            if let Some(lacks) = &planned.lacks {
                put(style.dim(format!("{}: passed over, {}", planned.action, line(lacks))));
            }
        }
    }
    for off in treated.off.iter().filter(|_| !treated.healed) {
        put(style.dim(format!("{}: off, {}", off.action, off.why)));
    }
    if let Some(point) = treated.point {
        let point = style.cyan(point.short_among([]));
        put(format!("what was there before is in {point}"));
    }
    out
}

/// One action of a plan: what, on what, what may break, how likely it helps.
fn rung(n: usize, planned: &Planned, style: &Style) -> String {
    let on = planned
        .on
        .as_ref()
        .map_or_else(String::new, |on| format!(" ({})", line(on)));
    let head = format!("{n}. {}{on}", planned.action);
    if let Some(lacks) = &planned.lacks {
        return style.dim(format!("{head}: passed over, {}", line(lacks)));
    }
    let percent = |share: f64| format!("{:.0}", share * 100.0);
    let tries = match (planned.attempts, planned.imported) {
        (0, 0) => "never tried".to_owned(),
        (own, 0) => format!("tried {own}×"),
        (own, others) => format!("tried {own}×, elsewhere {others}×"),
    };
    let takes = humane::duration(Duration::from_secs_f64(planned.seconds.clamp(0.0, 1e6)));
    format!(
        "{head}: helps with {} % ({}–{}), {tries}, takes {takes}; can break: {}",
        percent(planned.estimate),
        percent(planned.interval.0),
        percent(planned.interval.1),
        planned.breaks
    )
}

/// What an action came to.
fn came(tried: &Tried, style: &Style) -> String {
    let took = humane::duration(Duration::from_millis(tried.millis));
    let said = tried.said.as_deref().map(line).unwrap_or_default();
    let text = match (tried.verdict, &tried.trouble) {
        (_, Some(trouble)) if tried.interrupted => style.red(format!(
            "interrupted, and it could not be taken back: {}",
            line(trouble)
        )),
        (HealVerdict::TakenBack, _) if tried.interrupted => "interrupted, taken back".to_owned(),
        (HealVerdict::Remains, _) if tried.interrupted => "interrupted".to_owned(),
        (_, Some(trouble)) => style.red(format!(
            "no help, and it could not be taken back: {}",
            line(trouble)
        )),
        (HealVerdict::Recovered, _) if tried.said.is_some() => {
            format!("{}, but {}", style.green("helped"), style.red(said))
        }
        (HealVerdict::Recovered, _) => style.green("helped"),
        (HealVerdict::Remains, _) => format!("no help: {said}"),
        (HealVerdict::TakenBack, _) => format!("no help, taken back: {said}"),
    };
    format!("{} {text} {}\n", tried.action, style.dim(took))
}

/// What to run next, if anything is left to do.
pub fn next(healed: &Healed) -> Option<Next> {
    let stuck = |tried: &Tried| tried.trouble.is_some();
    let tries = healed.issues.iter().flat_map(|treated| &treated.tries);
    if tries.chain(&healed.finished).any(stuck) {
        return Some("cairn status".into());
    }
    if healed.interrupted {
        return Some("cairn heal".into());
    }
    if !healed.remains() {
        return None;
    }
    let can = |treated: &Treated| treated.held.is_none() && !treated.actions.is_empty();
    Some(match healed.dry_run && healed.issues.iter().any(can) {
        true => "cairn heal".into(),
        false => "cairn health".into(),
    })
}

/// How healing stands, in one line, for `status`.
pub fn standing(standing: &Standing, style: &Style) -> String {
    if let Some(cut_off) = &standing.cut_off {
        return style.yellow(format!("{} was cut off: cairn heal", line(cut_off)));
    }
    match (&standing.issue, standing.action, standing.at) {
        (Some(issue), Some(action), Some(at)) => {
            let came = match standing.verdict {
                Some(HealVerdict::Recovered) => style.green("helped"),
                Some(HealVerdict::TakenBack) if standing.interrupted => {
                    "interrupted, taken back".to_owned()
                }
                _ if standing.interrupted => "interrupted".to_owned(),
                Some(HealVerdict::TakenBack) => "no help, taken back".to_owned(),
                _ => "no help".to_owned(),
            };
            let issue = line(&issue.to_string());
            format!("{} · {action} against {issue}: {came}", style.when(at))
        }
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::learn::Harm;
    use crate::point::Issue;
    use crate::point::heal::Action;

    fn style() -> Style {
        Style {
            colour: false,
            width: None,
            now: "2026-11-20T12:00:00Z".parse().unwrap(),
        }
    }

    fn planned(action: Action, lacks: Option<&str>) -> Planned {
        Planned {
            action,
            title: "",
            on: Some("web.service".into()),
            harm: Harm::Interrupts,
            breaks: "what it does is away",
            estimate: 0.65,
            interval: (0.3, 0.9),
            attempts: 2,
            imported: 0,
            seconds: 8.0,
            lacks: lacks.map(Into::into),
        }
    }

    fn treated(tries: Vec<Tried>, healed: bool) -> Treated {
        Treated {
            issue: Issue::ServiceDown("web.service".into()),
            detail: "web.service failed".into(),
            held: None,
            until: None,
            actions: vec![
                planned(Action::RestartUnit, None),
                planned(Action::RestartDependencies, Some("it needs none")),
            ],
            off: Vec::new(),
            tries,
            healed,
            point: None,
        }
    }

    #[test]
    fn a_plan_says_what_is_tried_why_and_what_can_break() {
        let plan = Healed {
            dry_run: true,
            before: Some(49),
            after: Some(49),
            issues: vec![treated(Vec::new(), false)],
            ..Healed::default()
        };
        let text = report(&plan, "web1", &style());
        assert!(
            text.contains(
                "1. restart-unit (web.service): helps with 65 % (30–90), tried 2×, takes 8.0 s; \
                 can break: what it does is away"
            ),
            "{text}"
        );
        assert!(text.contains("passed over, it needs none"), "{text}");
        assert_eq!(next(&plan), Some("cairn heal".into()));
    }

    #[test]
    fn what_was_tried_says_what_it_came_to() {
        let tried = |verdict, trouble: Option<&str>| Tried {
            issue: Issue::ServiceDown("web.service".into()),
            action: Action::RestartUnit,
            verdict,
            before: Some(49),
            after: Some(100),
            millis: 5100,
            interrupted: false,
            said: (verdict != HealVerdict::Recovered).then(|| "web.service failed".into()),
            trouble: trouble.map(Into::into),
        };
        let of = |tried: Tried, well| {
            let healed = Healed {
                before: Some(49),
                after: Some(100),
                healthy: well,
                issues: vec![treated(vec![tried], well)],
                ..Healed::default()
            };
            (report(&healed, "web1", &style()), next(&healed))
        };
        let (text, _) = of(tried(HealVerdict::Recovered, None), true);
        assert!(text.contains("49 → 100 of 100"), "{text}");
        assert!(text.contains("restart-unit helped 5.1 s"), "{text}");
        let (text, then) = of(tried(HealVerdict::TakenBack, None), false);
        assert!(
            text.contains("no help, taken back: web.service failed"),
            "{text}"
        );
        assert_eq!(then, Some("cairn health".into()));
        let (text, then) = of(tried(HealVerdict::TakenBack, Some("no space")), false);
        assert!(text.contains("could not be taken back: no space"), "{text}");
        assert_eq!(then, Some("cairn status".into()));
    }
}
