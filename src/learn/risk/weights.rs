//! What is believed of switches before one was seen: `weights.json`, which says
//! what its values mean.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::Deserialize;

use super::features::NAMES;
use super::fit::Belief;
use super::told;
use crate::learn::{Judged, Ledger, Origin};

const TEXT: &str = include_str!("weights.json");

/// The weights a model begins with.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Weights {
    #[allow(dead_code, reason = "checked by a test")]
    version: u32,
    #[allow(dead_code, reason = "for who reads the file")]
    about: Vec<String>,
    /// The base rate.
    pub base: Base,
    half_life_days: f64,
    imported_weight: f64,
    imported_most: f64,
    features: BTreeMap<String, Feature>,
}

/// How often a switch that is nothing special fails.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Base {
    /// The rate.
    pub rate: f64,
    /// How many switches that belief weighs against those of other machines.
    pub strength: f64,
    /// How far it may be off, in log-odds.
    pub sd: f64,
}

/// What one feature is believed to do.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Feature {
    pub(super) weight: f64,
    sd: f64,
    usual: f64,
    #[allow(dead_code, reason = "for who reads the file")]
    unit: String,
}

impl Weights {
    /// The weights of this build.
    pub fn builtin() -> Self {
        // A test reads the file: this fallback is what no build has.
        serde_json::from_str(TEXT).unwrap_or_else(|_| Self {
            version: 1,
            about: Vec::new(),
            base: Base {
                rate: 0.05,
                strength: 20.0,
                sd: 0.8,
            },
            half_life_days: 365.0,
            imported_weight: 0.25,
            imported_most: 40.0,
            features: BTreeMap::new(),
        })
    }

    fn each<T>(&self, value: impl Fn(&Feature) -> T, none: T) -> Vec<T>
    where
        T: Copy,
    {
        let of = |name| self.features.get(name).map_or(none, &value);
        NAMES.into_iter().map(of).collect()
    }

    /// What is believed of each feature's weight, in their order.
    pub(super) fn beliefs(&self) -> Vec<Belief> {
        let belief = |f: &Feature| Belief {
            mean: f.weight,
            sd: f.sd,
        };
        self.each(belief, Belief { mean: 0.0, sd: 0.1 })
    }

    /// The value of each feature in a switch that is nothing special.
    pub(super) fn usual(&self) -> Vec<f64> {
        self.each(|f| f.usual, 0.0)
    }

    /// What a case of that age weighs.
    pub(super) fn decay(&self, at: DateTime<Utc>, now: DateTime<Utc>) -> f64 {
        let days = i32::try_from((now - at).num_days().max(0)).unwrap_or(i32::MAX);
        self.fade(f64::from(days))
    }

    fn fade(&self, days: f64) -> f64 {
        (-days / self.half_life_days).exp2()
    }

    /// The base rate, moved by what other machines told, and their raw counts.
    pub(super) fn base_rate(
        &self,
        others: &BTreeMap<Origin, Ledger>,
        now: DateTime<Utc>,
    ) -> (f64, Judged) {
        let (judged, failed, raw) = told(others, |days| self.fade(days), now);
        let weight = self
            .imported_weight
            .min(self.imported_most / judged.max(f64::MIN_POSITIVE));
        let Base { rate, strength, .. } = self.base;
        let rate = (rate * strength + weight * failed) / (strength + weight * judged);
        (rate.clamp(0.001, 0.9), raw)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_makes_sense() {
        let weights: Weights = serde_json::from_str(TEXT).unwrap();
        assert_eq!(weights.version, 1);
        let mut named: Vec<&str> = weights.features.keys().map(String::as_str).collect();
        let mut names = NAMES;
        named.sort_unstable();
        names.sort_unstable();
        assert_eq!(named, names);
        assert!(
            weights
                .features
                .values()
                .all(|f| f.sd > 0.0 && f.weight.is_finite())
        );
    }
}
