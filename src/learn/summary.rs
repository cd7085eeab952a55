//! Everything that was learned, to be shown.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use serde::Serialize;

use super::patterns::{Pattern, Tried, patterns};
use super::priors::Priors;
use super::{Estimate, Judged, Knowledge, Ledger, Origin};

/// Everything that was learned.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Learned {
    /// This machine's name towards others.
    pub origin: Origin,
    /// Other machines that told something.
    pub machines: usize,
    /// What helps against what, the most tried first.
    pub heals: Vec<Helped>,
    /// Judged switches of this machine.
    pub switches: Judged,
    /// Judged switches of the others.
    pub imported: Judged,
    /// What failed switches share.
    pub patterns: Vec<Pattern>,
}

/// What is known of one action against one issue.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Helped {
    /// The kind of issue.
    pub issue: String,
    /// The action.
    pub action: String,
    /// How often it was tried here.
    pub attempts: u64,
    /// How often it helped.
    pub successes: u64,
    /// How often others tried it.
    pub imported: u64,
    /// How likely it is to help, with the prior and faded by age.
    pub estimate: f64,
    /// Where that is with 90 % certainty.
    pub interval: (f64, f64),
    /// Seconds it takes when it helps.
    pub seconds: f64,
    /// Points of health an attempt here brought, on average.
    pub gain: Option<f64>,
}

impl Learned {
    /// Sums up what is known.
    pub fn of(origin: Origin, knowledge: &Knowledge, tried: &[Tried], now: DateTime<Utc>) -> Self {
        Self {
            origin,
            machines: knowledge.others.len(),
            heals: helped(knowledge, now),
            switches: sum([&knowledge.own]),
            imported: sum(knowledge.others.values()),
            patterns: patterns(tried),
        }
    }
}

fn helped(knowledge: &Knowledge, now: DateTime<Utc>) -> Vec<Helped> {
    let priors = Priors::builtin();
    let pairs: BTreeSet<(&str, &str)> = std::iter::once(&knowledge.own)
        .chain(knowledge.others.values())
        .flat_map(|ledger| ledger.heals.keys())
        .map(|(_, issue, action)| (issue.as_str(), action.as_str()))
        .collect();
    let mut helped: Vec<Helped> = pairs
        .into_iter()
        .map(|(issue, action)| {
            let known = Estimate::of(issue, action, knowledge, now, &priors);
            Helped {
                issue: issue.to_owned(),
                action: action.to_owned(),
                attempts: known.attempts,
                successes: known.successes,
                imported: known.imported,
                estimate: known.mean(),
                interval: known.interval(),
                seconds: known.seconds,
                gain: known.gain,
            }
        })
        .collect();
    helped.sort_by(|a, b| {
        a.issue
            .cmp(&b.issue)
            .then(b.estimate.total_cmp(&a.estimate))
    });
    helped
}

fn sum<'l>(ledgers: impl IntoIterator<Item = &'l Ledger>) -> Judged {
    let mut sum = Judged::default();
    for judged in ledgers
        .into_iter()
        .flat_map(|ledger| ledger.switches.values())
    {
        sum.judged += judged.judged;
        sum.failed += judged.failed;
    }
    sum
}
