//! Asking the same check again: whether an issue is gone, and stays so.

use std::collections::BTreeSet;
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::super::Engine;
use super::super::health::{self, Ask};
use crate::heal::ladder;
use crate::health::{Report, issues};
use crate::point::{Issue, Verdict};
use crate::system::probe::Depth;
use crate::system::tending;

/// How often it is looked at.
const BEAT: Duration = Duration::from_millis(500);

/// The labels of the checks that see this issue.
pub(super) fn labels(report: &Report, issue: &Issue) -> BTreeSet<String> {
    let sees = |verdict: &&Verdict| issues(std::slice::from_ref(verdict)).contains(issue);
    let mut labels: BTreeSet<String> = report
        .checks
        .iter()
        .filter(sees)
        .map(Verdict::label)
        .collect();
    if matches!(issue, Issue::ServiceDown(_)) {
        // What has failed may be restarting a moment later, and the other way.
        labels.extend(["units".to_owned(), "restarts".to_owned()]);
    }
    labels
}

/// What the checks saw of an issue, in one line.
pub(super) fn detail(report: &Report, issue: &Issue) -> String {
    let sees = |verdict: &&Verdict| issues(std::slice::from_ref(verdict)).contains(issue);
    let found = report.checks.iter().find(sees);
    found.map(|v| v.detail.clone()).unwrap_or_default()
}

/// Waits until an issue is gone and has stayed so for the policy's while.
///
/// # Errors
/// What the check says of it when it is not gone in its time, in one line.
pub(super) fn gone(
    engine: &Engine<'_>,
    issue: &Issue,
    labels: &BTreeSet<String>,
) -> Result<(), String> {
    let settle = engine.policy.heal.settle.duration();
    let patience = ladder(issue.kind()).map_or(Duration::ZERO, |ladder| ladder.patience);
    let ask = Ask {
        only: Some(labels.clone()),
        ..Ask::of(Depth::All)
    };
    let begun = Instant::now();
    let mut since: Option<Instant> = None;
    loop {
        match still(engine, issue, &ask) {
            None => {
                if since.get_or_insert_with(Instant::now).elapsed() >= settle {
                    return Ok(());
                }
            }
            Some(said) => {
                // It came back: what helps for a moment does not help.
                if since.is_some() || begun.elapsed() >= patience {
                    return Err(said);
                }
            }
        }
        if engine.check_stop().is_err() {
            return Err("interrupted while the check was asked".to_owned());
        }
        sleep(BEAT);
    }
}

/// What is said of an issue that is still there.
fn still(engine: &Engine<'_>, issue: &Issue, ask: &Ask) -> Option<String> {
    let report = health::look(engine, ask);
    if report.issues.contains(issue) {
        return Some(detail(&report, issue));
    }
    let Issue::ServiceDown(unit) = issue else {
        return None;
    };
    // A unit that is only no longer called failed does not do its work.
    match tending::know(engine.runner, unit) {
        Ok(known) if known.there && !known.is_well() => Some(format!("{unit} is {}", known.state)),
        Ok(_) => None,
        Err(error) => Some(error.to_string()),
    }
}
