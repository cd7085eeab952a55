//! Samples of health for the history, and what they foretell: a disk that will
//! be full has a restore point taken while there is room for one.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};

use super::super::create::{self, Request};
use super::super::{Engine, EngineError, chronicle};
use crate::heal::{Book, Foreseen};
use crate::health::Report;
use crate::health::forecast::{self, Forecast, forecast};
use crate::point::document::Trigger;
use crate::point::event::{Item, Sample};
use crate::point::health::Unit;
use crate::point::{Status, Verdict};
use crate::system::healing;
use crate::system::history::{Chronicle, History};

/// How far the samples reach back that a forecast is made of.
const PAST: TimeDelta = TimeDelta::days(7);

/// What is full at a hundred percent.
const FULL: f64 = 100.0;

/// Keeps a sample of the health that was just seen; gives what is worth
/// knowing, one line each.
pub fn record(engine: &Engine<'_>, report: &Report) -> Vec<String> {
    let figures = figures(report);
    if figures.is_empty() {
        return Vec::new();
    }
    let at = engine.clock.now();
    chronicle::keep(engine, &[Item::Sample(Sample { at, figures })])
}

/// The figures of a report, by name: `score`, `disk./nix.used`, `memory.used`.
fn figures(report: &Report) -> BTreeMap<String, f64> {
    let score = report
        .score
        .map(|score| ("score".to_owned(), f64::from(score)));
    let used = report.checks.iter().filter_map(|verdict| {
        let value = verdict.value.filter(|value| value.unit == Unit::Percent)?;
        Some((figure(verdict)?, value.number.get()))
    });
    score.into_iter().chain(used).collect()
}

/// The name of the figure of what can run full.
fn figure(verdict: &Verdict) -> Option<String> {
    match (verdict.name.as_str(), &verdict.of) {
        (name @ ("disk" | "inodes"), Some(of)) => Some(format!("{name}.{of}.used")),
        (name @ ("memory" | "swap"), None) => Some(format!("{name}.used")),
        _ => None,
    }
}

/// What will be full within the policy's span.
pub(super) fn soon(engine: &Engine<'_>, report: &Report) -> Vec<(String, Foreseen)> {
    let now = engine.clock.now();
    let span = engine.policy.heal.foresee.duration();
    let reach = TimeDelta::from_std(span).unwrap_or(TimeDelta::MAX);
    let chronicle = Chronicle::new(engine.layout);
    let mut found = Vec::new();
    // What has failed already is an issue, not a forecast; swap fills by design.
    let candidates = report
        .checks
        .iter()
        .filter(|verdict| verdict.status != Status::Failing && verdict.name != "swap");
    for verdict in candidates {
        let Some(figure) = figure(verdict) else {
            continue;
        };
        let read = chronicle.glance(|db| db.readings(&figure, now - PAST));
        let samples: Vec<forecast::Sample> = read
            .unwrap_or_default()
            .iter()
            .map(|reading| forecast::Sample {
                at: reading.at + TimeDelta::seconds(i64::from(reading.span / 2)),
                value: reading.mean,
            })
            .collect();
        let foretold = forecast(&samples, FULL, now);
        if let Forecast::FullAt { at, .. } = foretold
            && at - now <= reach
        {
            let words = foretold.words(now).unwrap_or_default();
            let what = verdict.label();
            let foreseen = Foreseen {
                what,
                words,
                at,
                point: None,
            };
            found.push((figure, foreseen));
        }
    }
    found
}

/// Takes one restore point for what will be full soon and has had none for the
/// policy's span.
///
/// # Errors
/// When the book cannot be written. A point that cannot be taken is told.
pub(super) fn provide(
    engine: &Engine<'_>,
    book: &mut Book,
    soon: Vec<(String, Foreseen)>,
    say: &dyn Fn(&str),
) -> Result<Vec<Foreseen>, EngineError> {
    let now = engine.clock.now();
    let span = engine.policy.heal.foresee.duration();
    let mut due: Vec<usize> = Vec::new();
    for (n, (figure, foreseen)) in soon.iter().enumerate() {
        say(&format!("{} is {}", foreseen.what, foreseen.words));
        if is_due(book.foreseen.get(figure), now, span) {
            due.push(n);
        }
    }
    let (figures, mut foreseen): (Vec<String>, Vec<Foreseen>) = soon.into_iter().unzip();
    if due.is_empty() {
        return Ok(foreseen);
    }
    let all: Vec<String> = due
        .iter()
        .map(|n| format!("{} is {}", foreseen[*n].what, foreseen[*n].words))
        .collect();
    let mut request = Request::manual(all.join(", "));
    request.trigger = Trigger::PreHeal;
    match create::create(engine, &request) {
        Ok(created) => {
            say(&format!(
                "restore point {} taken before that",
                created.point.id.short_among([])
            ));
            for n in due {
                foreseen[n].point = Some(created.point.id);
                book.foreseen.insert(figures[n].clone(), now);
            }
            book.foreseen
                .retain(|_, at| now - *at < TimeDelta::days(30));
            healing::store(engine.layout, book)?;
        }
        Err(error) => say(&format!("no restore point was taken for that: {error}")),
    }
    Ok(foreseen)
}

fn is_due(last: Option<&DateTime<Utc>>, now: DateTime<Utc>, span: std::time::Duration) -> bool {
    last.is_none_or(|last| (now - *last).to_std().is_ok_and(|since| since >= span))
}
