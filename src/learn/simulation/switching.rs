//! Machines that are switched again and again: does the risk that is foretold
//! come closer to what happens than a constant rate?

use chrono::{DateTime, Duration, Utc};

use super::Mean;
use super::random::Random;
use crate::learn::risk::{Case, Model, Weights};
use crate::point::risk::Features;

/// What is simulated.
#[derive(Clone, Copy, Debug)]
pub struct Setting {
    /// Machines.
    pub machines: u64,
    /// How the hidden truth is related to what the weights believe.
    pub world: World,
    /// Where everything follows from.
    pub seed: u64,
}

/// How a machine's hidden weights are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum World {
    /// Drawn from what is believed: as far off as the beliefs say they may be.
    AsBelieved,
    /// As believed, and each weight up to twice as far off.
    FarOff,
    /// What is believed to matter does not: every switch of a machine is
    /// alike likely to fail.
    Unrelated,
}

/// How good forecasts were: lower is better.
#[derive(Clone, Copy, Debug)]
pub struct Scores {
    /// Mean squared error (Brier score).
    pub brier: Mean,
    /// Mean negative log-likelihood.
    pub log_loss: Mean,
}

/// After so many switches.
#[derive(Clone, Debug)]
pub struct Stage {
    /// How many were learned from.
    pub after: usize,
    /// The model's.
    pub model: Scores,
    /// Of the rate that this machine's own switches had, beginning at the
    /// model's own base rate: the best constant that can be known.
    pub constant: Scores,
    /// Model minus constant, machine by machine: below 0, the model is better.
    pub brier: Mean,
    /// The same of the log-loss.
    pub log_loss: Mean,
    /// Forecasts in bands of probability.
    pub bands: Vec<Band>,
}

/// Forecasts of one band.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Band {
    /// From this probability.
    pub from: f64,
    /// To that.
    pub to: f64,
    /// How many.
    pub forecasts: usize,
    /// Their mean.
    pub foretold: f64,
    /// The share that failed.
    pub failed: f64,
}

/// How many switches are learned from before forecasts are judged.
pub const STAGES: [usize; 4] = [0, 5, 20, 100];
/// How many forecasts of each machine are judged at each stage.
const JUDGED: usize = 20;
const EDGES: [f64; 7] = [0.0, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0];

struct Forecast {
    model: f64,
    constant: f64,
    failed: bool,
}

/// Simulates.
pub fn run(setting: Setting) -> Vec<Stage> {
    let weights = Weights::builtin();
    let mut stages: Vec<Vec<Vec<Forecast>>> = STAGES.iter().map(|_| Vec::new()).collect();
    for machine in 0..setting.machines {
        let mut random = Random::new(setting.seed, machine);
        let truth = truth(setting.world, &weights, &mut random);
        for (n, forecasts) in live(&weights, &truth, &mut random).into_iter().enumerate() {
            stages[n].push(forecasts);
        }
    }
    let stage = |(after, machines): (&usize, &Vec<Vec<Forecast>>)| sum_up(*after, machines);
    STAGES.iter().zip(&stages).map(stage).collect()
}

fn truth(world: World, weights: &Weights, random: &mut Random) -> Model {
    let off = match world {
        World::AsBelieved | World::Unrelated => 1.0,
        World::FarOff => 2.0,
    };
    Model::hidden(weights, world != World::Unrelated, &mut || {
        off * random.normal()
    })
}

/// A change as they come: mostly small ones, some upgrades of packages, now and
/// then of everything.
fn change(random: &mut Random, since_good: Option<u64>) -> Features {
    let kind = random.uniform();
    let mut count = |scale: f64| -> u32 {
        let n = (random.normal() * 0.8).exp() * scale;
        // Small and positive.
        n.round() as u32
    };
    let (units, packages, mib) = match kind {
        k if k < 0.6 => (count(2.0), count(6.0), count(8.0)),
        k if k < 0.85 => (count(8.0), count(60.0), count(300.0)),
        _ => (count(90.0), count(900.0), count(3000.0)),
    };
    let removed = if kind < 0.6 { count(0.2) } else { count(1.0) };
    let (small, large) = (kind < 0.6, kind >= 0.85);
    let mut with = |p: f64| random.happens(p);
    let kernel = large || (!small && with(0.3));
    Features {
        kernel,
        initrd: kernel || with(0.05),
        systemd: large && with(0.7),
        glibc: large && with(0.4),
        bootloader: large && with(0.3),
        init_interface: large && with(0.03),
        gpu: !small && with(0.2),
        inhibitors: u32::from(large && with(0.05)),
        units_changed: units,
        units_removed: removed,
        packages: Some(packages),
        bytes: Some(u64::from(mib) << 20),
        boot_free: Some(if with(0.04) { 20 << 20 } else { 300 << 20 }),
        boot_needs: if kernel { 60 << 20 } else { 0 },
        store_free: Some(if with(0.03) { 1 << 29 } else { 40 << 30 }),
        since_good,
    }
}

fn live(weights: &Weights, truth: &Model, random: &mut Random) -> Vec<Vec<Forecast>> {
    let began: DateTime<Utc> = DateTime::from_timestamp(1_767_225_600, 0).unwrap_or_default();
    let (mut now, mut last_good) = (began, None);
    let mut next = |random: &mut Random| {
        now += Duration::hours(6 + i64::try_from(random.below(160)).unwrap_or(0));
        let since = last_good.map(|at: DateTime<Utc>| (now - at).num_seconds());
        let features = change(random, since.and_then(|s| u64::try_from(s).ok()));
        let failed = random.happens(truth.assess(&features).chance);
        if !failed {
            last_good = Some(now);
        }
        (now, features, failed)
    };
    let mut cases: Vec<Case> = Vec::new();
    let mut stages = Vec::new();
    let base = weights.base;
    for (n, after) in STAGES.iter().enumerate() {
        let until = STAGES.get(n + 1).copied().unwrap_or(after + JUDGED);
        let model = Model::learn(
            weights,
            &cases,
            &std::collections::BTreeMap::new(),
            now_of(&cases, began),
        );
        let failed =
            crate::learn::estimate::float(cases.iter().filter(|c| c.failed).count() as u64);
        let all = crate::learn::estimate::float(cases.len() as u64);
        let constant = (base.rate * base.strength + failed) / (base.strength + all);
        let mut forecasts = Vec::new();
        let mut later = Vec::new();
        for _ in 0..(until - after).max(JUDGED) {
            let (at, features, failed) = next(random);
            let told = model.assess(&features);
            if forecasts.len() < JUDGED {
                forecasts.push(Forecast {
                    model: told.chance,
                    constant,
                    failed,
                });
            }
            later.push(Case {
                at,
                features,
                failed,
                score: Some(told.score),
            });
        }
        // Only as many are learned from as the next stage says.
        later.truncate(until - after);
        cases.extend(later);
        stages.push(forecasts);
    }
    stages
}

fn now_of(cases: &[Case], began: DateTime<Utc>) -> DateTime<Utc> {
    cases.last().map_or(began, |case| case.at)
}

fn sum_up(after: usize, machines: &[Vec<Forecast>]) -> Stage {
    let brier = |p: f64, failed: bool| (p - f64::from(u8::from(failed))).powi(2);
    let log_loss = |p: f64, failed: bool| {
        let p = p.clamp(1e-6, 1.0 - 1e-6);
        -(if failed { p } else { 1.0 - p }).ln()
    };
    let mean = |value: &dyn Fn(&Forecast) -> f64| {
        Mean::of(machines.iter().map(|m| Mean::of(m.iter().map(value)).mean))
    };
    let scores = |of: &dyn Fn(&Forecast) -> f64| Scores {
        brier: mean(&|f| brier(of(f), f.failed)),
        log_loss: mean(&|f| log_loss(of(f), f.failed)),
    };
    let bands = EDGES
        .windows(2)
        .map(|edge| {
            let inside: Vec<&Forecast> = machines
                .iter()
                .flatten()
                .filter(|f| f.model >= edge[0] && f.model < edge[1])
                .collect();
            Band {
                from: edge[0],
                to: edge[1],
                forecasts: inside.len(),
                foretold: Mean::of(inside.iter().map(|f| f.model)).mean,
                failed: Mean::of(inside.iter().map(|f| f64::from(u8::from(f.failed)))).mean,
            }
        })
        .collect();
    Stage {
        after,
        model: scores(&|f| f.model),
        constant: scores(&|f| f.constant),
        brier: mean(&|f| brier(f.model, f.failed) - brier(f.constant, f.failed)),
        log_loss: mean(&|f| log_loss(f.model, f.failed) - log_loss(f.constant, f.failed)),
        bands,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stages(world: World) -> Vec<Stage> {
        run(Setting {
            machines: 150,
            world,
            seed: 1,
        })
    }

    #[test]
    fn foretelling_beats_a_constant_rate() {
        for stage in stages(World::AsBelieved) {
            assert!(stage.brier.is_negative(), "{stage:?}");
            assert!(stage.log_loss.is_negative(), "{stage:?}");
        }
    }

    /// Where the beliefs are wrong it may lose while it knows little, and must
    /// have learned so after a hundred switches.
    #[test]
    fn beliefs_that_are_wrong_are_unlearned() {
        let stages = stages(World::Unrelated);
        let (first, last) = (&stages[0], &stages[3]);
        assert!(first.log_loss.mean > 0.0, "{first:?}");
        assert!(last.log_loss.mean < first.log_loss.mean / 2.0, "{last:?}");
    }
}
