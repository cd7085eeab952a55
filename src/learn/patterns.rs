//! What failed switches share: units, packages, kernels.
//!
//! Plain counting. A name that was in failed switches may be why they failed,
//! or may only have been there: the figures say how often each was so, and how
//! little is known where there were few switches.

use std::collections::BTreeMap;

use serde::Serialize;

use super::Estimate;
use super::estimate::float;
use crate::point::event::Traits;

/// A switch that was judged.
#[derive(Clone, Debug)]
pub struct Tried {
    /// Whether it failed.
    pub failed: bool,
    /// What it changed.
    pub traits: Traits,
}

/// Names that were in the same switches.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Pattern {
    /// The names.
    pub names: Vec<String>,
    /// Failed switches that changed them (support).
    pub failed: u64,
    /// All judged switches that changed them.
    pub switches: u64,
    /// The share of these that failed (confidence).
    pub share: f64,
    /// Where that share is with 90 % certainty.
    pub interval: (f64, f64),
    /// Whether that is more than what fails anyway, beyond doubt: the whole
    /// interval lies above the share of all switches.
    pub telling: bool,
}

/// Names in fewer failed switches say nothing.
const LEAST: u64 = 2;

/// What the failed ones share, the most telling first.
pub fn patterns(tried: &[Tried]) -> Vec<Pattern> {
    let mut switches: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (n, one) in tried.iter().enumerate() {
        for name in &one.traits {
            switches.entry(name).or_default().push(n);
        }
    }
    // Names that came together cannot be told apart.
    let mut groups: BTreeMap<Vec<usize>, Vec<String>> = BTreeMap::new();
    for (name, of) in switches {
        groups.entry(of).or_default().push(name.to_owned());
    }
    let failed = |of: &[usize]| float_count(of.iter().filter(|n| tried[**n].failed).count());
    let all: Vec<usize> = (0..tried.len()).collect();
    let usual = float(failed(&all)) / float(float_count(all.len()).max(1));
    let mut patterns: Vec<Pattern> = groups
        .into_iter()
        .filter(|(of, _)| failed(of) >= LEAST)
        .map(|(of, names)| {
            let (failed, switches) = (failed(&of), float_count(of.len()));
            let interval = doubt(failed, switches).interval();
            Pattern {
                names,
                failed,
                switches,
                share: float(failed) / float(switches),
                interval,
                telling: interval.0 > usual,
            }
        })
        .collect();
    patterns.sort_by(|a, b| {
        let first = |p: &Pattern| p.interval.0;
        first(b)
            .total_cmp(&first(a))
            .then_with(|| a.names.cmp(&b.names))
    });
    patterns
}

fn float_count(n: usize) -> u64 {
    u64::try_from(n).unwrap_or(u64::MAX)
}

/// What is known of a share after so many cases, and nothing before (Jeffreys'
/// prior).
fn doubt(failed: u64, of: u64) -> Estimate {
    Estimate {
        alpha: 0.5 + float(failed),
        beta: 0.5 + float(of - failed),
        attempts: of,
        successes: failed,
        imported: 0,
        seconds: 0.0,
        gain: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tried(failed: bool, names: &[&str]) -> Tried {
        Tried {
            failed,
            traits: names.iter().map(|n| (*n).to_owned()).collect(),
        }
    }

    #[test]
    fn what_is_in_the_failed_ones_comes_first_and_twins_are_one() {
        let mut all = vec![
            tried(true, &["unit:web", "package:nginx", "package:linux"]),
            tried(true, &["unit:web", "package:nginx"]),
            tried(true, &["unit:web", "package:nginx"]),
            tried(true, &["package:lonely"]),
        ];
        for _ in 0..10 {
            all.push(tried(false, &["package:linux"]));
        }
        let found = patterns(&all);
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(found[0].names, ["package:nginx", "unit:web"]);
        assert_eq!((found[0].failed, found[0].switches), (3, 3));
        assert!(found[0].telling, "{found:?}");
    }

    #[test]
    fn two_switches_prove_little() {
        let mut all = vec![tried(true, &["a"]), tried(true, &["a"])];
        for _ in 0..2 {
            all.push(tried(false, &["a"]));
            all.push(tried(true, &["b"]));
            all.push(tried(false, &["c"]));
        }
        let found = patterns(&all);
        let a = found.iter().find(|p| p.names == ["a"]).unwrap();
        assert_eq!(a.share, 0.5);
        assert!(
            !a.telling && a.interval.0 < 0.2 && a.interval.1 > 0.8,
            "{a:?}"
        );
        assert!(patterns(&[]).is_empty());
    }
}
