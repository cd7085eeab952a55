//! How likely a change is to fail its gate, and why.
//!
//! A logistic regression whose weights begin at `weights.json` and follow what
//! this machine's switches came to. What other machines told moves the base
//! rate. Few switches, little confidence: then what sets a change apart counts
//! less, and the answer stays near the base rate.

mod features;
mod fit;
mod weights;

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::Serialize;

use self::fit::{Belief, Fit, Row, dot, fit, logit, sigmoid};
use super::estimate::float;
use super::{Judged, Ledger, Origin};
use crate::point::Switch;
use crate::point::risk::Features;
use crate::point::switch::{Answer, Reached, Verdict};

pub use features::NAMES;
pub use weights::Weights;

/// Half of the 90 % interval, in standard deviations.
const NINETY: f64 = 1.645;

/// From this many judged switches with a forecast on, and this many failed and
/// good ones among them, forecasts are set right by how earlier ones did.
const ENOUGH: (usize, usize) = (100, 10);

/// A switch and what came of it.
#[derive(Clone, Debug)]
pub struct Case {
    /// When.
    pub at: DateTime<Utc>,
    /// What it changed.
    pub features: Features,
    /// Whether it failed its gate.
    pub failed: bool,
    /// The log-odds that were foretold, before calibration.
    pub score: Option<f64>,
}

/// The cases among these records: switches that were judged, and whose
/// features are known. One that a person stopped says nothing of its change.
pub fn cases(records: &[Switch]) -> Vec<Case> {
    let case = |switch: &Switch| {
        let (risk, result) = (switch.risk.as_ref()?, switch.result.as_ref()?);
        let failed = failed(switch)?;
        Some(Case {
            at: result.at,
            features: risk.features.clone(),
            failed,
            score: Some(f64::from(risk.score) / 1000.0),
        })
    };
    records.iter().filter_map(case).collect()
}

/// Whether a switch failed its gate; `None` when that was not found out.
///
/// What nobody confirmed may well have been good, and what a try ran says
/// nothing of systems.
pub fn failed(switch: &Switch) -> Option<bool> {
    let result = switch.result.as_ref()?;
    let answer = switch.answer.as_ref().map(|answered| answered.answer);
    if switch.tried.is_some() || answer == Some(Answer::TimedOut) {
        return None;
    }
    match (result.verdict, result.reached) {
        (_, Reached::Interrupted) | (Verdict::None, _) => None,
        (Verdict::Good, _) => Some(false),
        (Verdict::Bad, _) => Some(true),
    }
}

/// What is foretold of a change.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Assessment {
    /// The probability that it fails.
    pub chance: f64,
    /// Where that is with 90 % certainty.
    pub interval: (f64, f64),
    /// The probability for a change that is nothing special.
    pub base: f64,
    /// The log-odds before calibration.
    pub score: f64,
    /// What sets it apart, the heaviest first.
    pub reasons: Vec<Reason>,
    /// Judged switches of this machine that were learned from.
    pub switches: usize,
    /// Of them, failed.
    pub failed: usize,
    /// Judged switches of other machines.
    pub imported: Judged,
    /// Whether earlier forecasts set this one right.
    pub calibrated: bool,
}

/// One thing that sets a change apart.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Reason {
    /// Its name.
    pub feature: &'static str,
    /// In words.
    pub what: String,
    /// What it adds to the log-odds.
    pub log_odds: f64,
    /// The same in points: 10 double the odds.
    pub points: i32,
}

/// Foretells what comes of a change, with the weights of this build.
pub fn assess(
    change: &Features,
    cases: &[Case],
    others: &BTreeMap<Origin, Ledger>,
    now: DateTime<Utc>,
) -> Assessment {
    Model::learn(&Weights::builtin(), cases, others, now).assess(change)
}

/// What was learned of switches.
#[derive(Debug)]
pub struct Model {
    fit: Fit,
    usual: Vec<f64>,
    /// Offset and slope that set forecasts right.
    calibration: Option<(f64, f64)>,
    switches: usize,
    failed: usize,
    imported: Judged,
}

impl Model {
    /// Learns from this machine's cases and what others told.
    pub fn learn(
        weights: &Weights,
        cases: &[Case],
        others: &BTreeMap<Origin, Ledger>,
        now: DateTime<Utc>,
    ) -> Self {
        let (rate, imported) = weights.base_rate(others, now);
        let mut beliefs = vec![Belief {
            mean: logit(rate),
            sd: weights.base.sd,
        }];
        beliefs.extend(weights.beliefs());
        let usual = weights.usual();
        let rows: Vec<Row> = cases
            .iter()
            .map(|case| Row {
                x: row(&case.features, &usual),
                failed: case.failed,
                weight: weights.decay(case.at, now),
            })
            .collect();
        Self {
            fit: fit(&rows, &beliefs),
            usual,
            calibration: calibration(cases),
            switches: cases.len(),
            failed: cases.iter().filter(|c| c.failed).count(),
            imported,
        }
    }

    /// The hidden truth of a simulated machine: each weight off by `draw`
    /// standard deviations from what is believed, and sure.
    pub(super) fn hidden(weights: &Weights, related: bool, draw: &mut dyn FnMut() -> f64) -> Self {
        const SURE: f64 = 1e-6;
        let mut beliefs = vec![Belief {
            mean: logit(weights.base.rate),
            sd: weights.base.sd,
        }];
        beliefs.extend(weights.beliefs());
        let truth: Vec<Belief> = beliefs
            .iter()
            .enumerate()
            .map(|(n, belief)| Belief {
                mean: match n == 0 || related {
                    true => belief.mean + belief.sd * draw(),
                    false => 0.0,
                },
                sd: SURE,
            })
            .collect();
        Self {
            fit: fit(&[], &truth),
            usual: weights.usual(),
            calibration: None,
            switches: 0,
            failed: 0,
            imported: Judged::default(),
        }
    }

    /// Foretells what comes of a change.
    pub fn assess(&self, change: &Features) -> Assessment {
        let x = row(change, &self.usual);
        let weights = &self.fit.weights;
        let base = weights[0];
        let apart: Vec<f64> = std::iter::once(0.0).chain(x[1..].iter().copied()).collect();
        // The mean over all weights that may be (MacKay's approximation), about
        // the base rate: the less is known, the less a change is set apart.
        let shrunk = 1.0 / (1.0 + std::f64::consts::PI / 8.0 * self.fit.variance(&apart)).sqrt();
        let score = base + shrunk * dot(weights, &apart);
        let (offset, slope) = self.calibration.unwrap_or((0.0, 1.0));
        let told = offset + slope * score;
        let off = NINETY * self.fit.variance(&x).sqrt();
        let mut reasons: Vec<Reason> = NAMES
            .into_iter()
            .zip(weights[1..].iter().zip(&x[1..]))
            .filter_map(|(feature, (weight, x))| {
                let log_odds = shrunk * weight * x;
                let points = points(log_odds);
                (points != 0).then(|| Reason {
                    feature,
                    what: features::words(feature, change),
                    log_odds,
                    points,
                })
            })
            .collect();
        reasons.sort_by(|a, b| b.log_odds.abs().total_cmp(&a.log_odds.abs()));
        Assessment {
            chance: sigmoid(told),
            interval: (sigmoid(told - off), sigmoid(told + off)),
            base: sigmoid(offset + slope * base),
            score,
            reasons,
            switches: self.switches,
            failed: self.failed,
            imported: self.imported,
            calibrated: self.calibration.is_some(),
        }
    }
}

fn row(features: &Features, usual: &[f64]) -> Vec<f64> {
    let values = features::values(features, usual);
    let apart = values.iter().zip(usual).map(|(value, usual)| value - usual);
    std::iter::once(1.0).chain(apart).collect()
}

/// Log-odds in points: 10 double the odds.
fn points(log_odds: f64) -> i32 {
    (10.0 * log_odds / std::f64::consts::LN_2).round() as i32
}

/// Platt's scaling: offset and slope that would have made the earlier forecasts
/// right, held near 0 and 1 by a prior of their own. `None` with few of them.
fn calibration(cases: &[Case]) -> Option<(f64, f64)> {
    let told: Vec<Row> = cases
        .iter()
        .filter_map(|case| {
            Some(Row {
                x: vec![1.0, case.score?],
                failed: case.failed,
                weight: 1.0,
            })
        })
        .collect();
    let failed = told.iter().filter(|row| row.failed).count();
    let (enough, of_each) = ENOUGH;
    if told.len() < enough || failed < of_each || told.len() - failed < of_each {
        return None;
    }
    let offset = Belief { mean: 0.0, sd: 0.5 };
    let slope = Belief {
        mean: 1.0,
        sd: 0.25,
    };
    let weights = fit(&told, &[offset, slope]).weights;
    Some((weights[0], weights[1]))
}

/// Sums of what others told, faded; and the raw ones.
fn told(
    others: &BTreeMap<Origin, Ledger>,
    weight: impl Fn(f64) -> f64,
    now: DateTime<Utc>,
) -> (f64, f64, Judged) {
    let (mut judged, mut failed, mut raw) = (0.0, 0.0, Judged::default());
    for (month, switches) in others.values().flat_map(|ledger| &ledger.switches) {
        let weight = weight(month.age(now));
        judged += weight * float(switches.judged);
        failed += weight * float(switches.failed);
        raw.judged += switches.judged;
        raw.failed += switches.failed;
    }
    (judged, failed, raw)
}

#[cfg(test)]
mod tests;
