//! Health as text.

use super::Style;
use super::style::{count, line, wrap};
use super::table::{Cell, Table};
use crate::health::Report;
use crate::next::{Next, quoted};
use crate::plan::humane;
use crate::point::health::{Health, Issue, Status, Unit, Verdict};

type Paint = fn(&Style, &str) -> String;

/// The colour of what a check says: red is for what makes a machine unhealthy.
fn paint(status: Status, required: bool) -> Paint {
    match (status, required) {
        (Status::Ok, _) => |s, t| s.green(t),
        (Status::Unknown, _) => |s, t| s.dim(t),
        (Status::Failing, true) => |s, t| s.red(t),
        (Status::Warning, _) | (Status::Failing, false) => |s, t| s.yellow(t),
    }
}

/// A whole report: the score, each check in a line, what to do next. What is
/// unknown is only counted, unless `verbose`.
pub fn report(report: &Report, host: &str, verbose: bool, style: &Style) -> String {
    let mut out = head(report, host, style);
    let mut table = Table::new(["CHECK", "SAYS", "VALUE", "WHAT IT SAW"]).may_drop([2]);
    let mut unknown: Vec<&str> = Vec::new();
    for verdict in &report.checks {
        if verdict.status == Status::Unknown && !verbose {
            unknown.push(&verdict.name);
            continue;
        }
        // How many there are is told in words.
        let value = verdict.value.filter(|v| v.unit != Unit::Count);
        let value = value.map(|v| v.to_string()).unwrap_or_default();
        table.row(vec![
            line(&verdict.label()).into(),
            Cell::new(
                verdict.status.as_str(),
                paint(verdict.status, verdict.required),
            ),
            value.into(),
            line(&verdict.detail).into(),
        ]);
    }
    if unknown.len() < report.checks.len() {
        out.push_str(&table.render(style));
    }
    unknown.dedup();
    if !unknown.is_empty() {
        let text = format!("unknown here: {} (-v says why)", unknown.join(", "));
        out.push('\n');
        for text in wrap(&text, style.width.unwrap_or(usize::MAX)) {
            out.push_str(&format!("{}\n", style.dim(text)));
        }
    }
    out
}

fn head(report: &Report, host: &str, style: &Style) -> String {
    let took = humane::duration(std::time::Duration::from_millis(report.took_ms));
    let verdict = match report.score {
        None => style.dim("nothing could be looked at"),
        Some(score) => {
            let word = if report.healthy {
                "healthy"
            } else {
                "unhealthy"
            };
            let text = format!("{score} of 100, {word}");
            coloured(score, report.healthy, style, &text)
        }
    };
    format!(
        "{} {} {verdict} {}\n\n",
        style.bold("health of"),
        style.bold(line(host)),
        style.dim(format!("· {took}"))
    )
}

fn coloured(score: u8, healthy: bool, style: &Style, text: &str) -> String {
    match (healthy, score) {
        (false, _) => style.red(text),
        (true, 100) => style.green(text),
        (true, _) => style.yellow(text),
    }
}

/// What to run next for the first thing that is required and fails.
pub fn next(report: &Report) -> Option<Next> {
    let broken = report.broken().next()?;
    Some(Next::run(match broken.name.as_str() {
        "units" => match broken.subjects.first() {
            Some(unit) => format!("systemctl status {}", quoted(unit)),
            None => "systemctl --failed".to_owned(),
        },
        "disk" | "inodes" => "cairn prune -n".to_owned(),
        "store" => "nix-store --verify".to_owned(),
        "system" => "cairn rollback -n".to_owned(),
        _ => "cairn history".to_owned(),
    }))
}

/// The score in a list of points; empty where it was not measured.
pub(super) fn score_cell(health: Option<&Health>) -> Cell {
    match health {
        None => "".into(),
        Some(health) => Cell::new(
            health.score.to_string(),
            match health.score {
                100 => |s, t| s.green(t),
                _ => |s, t| s.yellow(t),
            },
        ),
    }
}

/// The score of a point and how many checks it sums up.
pub(super) fn score_words(health: &Health, style: &Style) -> String {
    let known = health.checks.iter().filter(|v| v.status != Status::Unknown);
    let text = format!("{} of 100", health.score);
    format!(
        "{} {}",
        coloured(health.score, true, style, &text),
        style.dim(format!("({})", count(known.count(), "check")))
    )
}

/// One verdict in a line.
pub(super) fn verdict_words(verdict: &Verdict, style: &Style) -> String {
    let paint = paint(verdict.status, verdict.required);
    format!(
        "{} {}: {}",
        paint(style, verdict.status.as_str()),
        line(&verdict.label()),
        line(&verdict.detail)
    )
}

/// Health in one line: the score, and what is wrong.
pub fn brief(score: u8, healthy: bool, issues: &[Issue], style: &Style) -> String {
    let text = coloured(score, healthy, style, &format!("{score} of 100"));
    match issues {
        [] => text,
        [first, more @ ..] => {
            let more = match more.len() {
                0 => String::new(),
                n => format!(" and {n} more"),
            };
            format!(
                "{text}: {}",
                style.fit(40, &line(&format!("{first}{more}")))
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::point::Policy;
    use crate::point::health::Value;

    fn verdict(name: &str, of: Option<&str>, status: Status, detail: &str) -> Verdict {
        Verdict {
            name: name.into(),
            of: of.map(Into::into),
            required: name != "load",
            status,
            value: Value::new(97.0, Unit::Percent),
            detail: detail.into(),
            subjects: vec!["a.service".into()],
        }
    }

    fn style() -> Style {
        Style {
            colour: false,
            width: Some(70),
            now: chrono::DateTime::UNIX_EPOCH,
        }
    }

    #[test]
    fn a_report_reads_well() {
        let verdicts = vec![
            verdict("units", None, Status::Failing, "a.service failed"),
            verdict("disk", Some("/nix"), Status::Warning, "1.0 GiB free"),
            verdict("load", None, Status::Unknown, "not available here"),
        ];
        let mut told = Report::new(verdicts, &Policy::default());
        told.took_ms = 12;
        assert_eq!(
            report(&told, "web\u{1b}[31m", false, &style()),
            "health of web\\u{1b}[31m 21 of 100, unhealthy · 12 ms\n\n\
             CHECK      SAYS     VALUE  WHAT IT SAW\n\
             units      failing  97 %   a.service failed\n\
             disk /nix  warning  97 %   1.0 GiB free\n\n\
             unknown here: load (-v says why)\n"
        );
        assert_eq!(next(&told), Some("systemctl status a.service".into()));
        let verbose = report(&told, "web", true, &style());
        assert!(verbose.contains("load       unknown"), "{verbose}");
    }

    #[test]
    fn nothing_known_is_said_so() {
        let told = Report::new(Vec::new(), &Policy::default());
        let text = report(&told, "web", false, &style());
        assert_eq!(text, "health of web nothing could be looked at · 0 µs\n\n");
        assert!(told.healthy);
    }
}
