//! Hosts with issues that come again: does a learned order heal them with
//! fewer actions, and sooner, than a fixed one? The fixed order is by the
//! priors: the best one that can be written down beforehand.

use chrono::{DateTime, Duration, Utc};

use super::Mean;
use super::random::Random;
use crate::learn::priors::Priors;
use crate::learn::{Harm, Knowledge, Ladder, Month, Origin, Rung, order};

/// What is simulated.
#[derive(Clone, Copy, Debug)]
pub struct Setting {
    /// Hosts.
    pub hosts: u64,
    /// Issues each host has, one after the other.
    pub episodes: u64,
    /// How far a host's hidden log-odds of success lie from the priors: 0 is a
    /// world in which the priors are right and nothing is to be learned.
    pub spread: f64,
    /// Whether hosts share what they learn: each host then also knows what the
    /// hosts before it (ten at most) experienced, and a fleet has its own ways
    /// that all its hosts share half of.
    pub fleet: bool,
    /// Where everything follows from.
    pub seed: u64,
}

/// What came of it. Differences are learned minus fixed, host by host: below
/// 0, learning is better.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Actions until an issue was gone, in the fixed order.
    pub fixed_actions: Mean,
    /// The same in the learned order.
    pub learned_actions: Mean,
    /// Their difference.
    pub actions: Mean,
    /// Seconds until an issue was gone, in the fixed order.
    pub fixed_seconds: Mean,
    /// The same in the learned order.
    pub learned_seconds: Mean,
    /// Their difference.
    pub seconds: Mean,
    /// The difference of actions in the first tenth of the episodes.
    pub early: Mean,
    /// … and in the last tenth.
    pub late: Mean,
}

/// The ladders, each from the mildest action to the last resort.
const LADDERS: [(&str, &[(&str, Harm)]); 4] = [
    (
        "service-down",
        &[
            ("reset-failed", Harm::Nothing),
            ("restart-unit", Harm::Interrupts),
            ("restart-dependencies", Harm::Interrupts),
            ("restore-configuration", Harm::Interrupts),
            ("roll-back", Harm::LastResort),
        ],
    ),
    (
        "disk-full",
        &[
            ("clean-temporary-files", Harm::Nothing),
            ("vacuum-journal", Harm::Loses),
            ("collect-garbage", Harm::Loses),
        ],
    ),
    (
        "cpu-high",
        &[
            ("renice-unit", Harm::Nothing),
            ("set-governor", Harm::Nothing),
            ("restart-unit", Harm::Interrupts),
            ("stop-unit", Harm::Interrupts),
        ],
    ),
    (
        "network-down",
        &[
            ("restart-network", Harm::Interrupts),
            ("restart-dependencies", Harm::Interrupts),
            ("restore-configuration", Harm::Interrupts),
            ("roll-back", Harm::LastResort),
        ],
    ),
];

/// What an issue that no action heals costs beside the actions: a person.
const PERSON_SECONDS: f64 = 1800.0;

/// The hidden ways of one host: chance and seconds of each action of each
/// ladder.
type Ways = Vec<Vec<(f64, f64)>>;

fn ways(random: &mut Random, common: Option<&[Vec<f64>]>, spread: f64, priors: &Priors) -> Ways {
    // With a common part, half of the variance is the fleet's.
    let own = if common.is_some() {
        spread / std::f64::consts::SQRT_2
    } else {
        spread
    };
    LADDERS
        .iter()
        .enumerate()
        .map(|(l, (issue, rungs))| {
            let way = |(r, (action, _)): (usize, &(&str, Harm))| {
                let prior = priors.of(issue, action);
                let shared = common.map_or(0.0, |common| common[l][r]);
                let off = shared + own * random.normal();
                let odds = prior.chance / (1.0 - prior.chance) * off.exp();
                let slow = (0.4 * random.normal()).exp();
                (odds / (1.0 + odds), prior.seconds * slow)
            };
            rungs.iter().enumerate().map(way).collect()
        })
        .collect()
}

/// Simulates.
pub fn run(setting: Setting) -> Outcome {
    let priors = Priors::builtin();
    let began: DateTime<Utc> = DateTime::from_timestamp(1_767_225_600, 0).unwrap_or_default();
    let mut fleet_random = Random::new(setting.seed, u64::MAX);
    let half = setting.spread / std::f64::consts::SQRT_2;
    let common: Option<Vec<Vec<f64>>> = setting.fleet.then(|| {
        let mut of =
            |rungs: &[(&str, Harm)]| rungs.iter().map(|_| half * fleet_random.normal()).collect();
        LADDERS.iter().map(|(_, rungs)| of(rungs)).collect()
    });
    let mut before: Vec<(Origin, crate::learn::Ledger)> = Vec::new();
    let mut hosts = Vec::new();
    for host in 0..setting.hosts {
        let mut random = Random::new(setting.seed, host);
        let ways = ways(&mut random, common.as_deref(), setting.spread, &priors);
        let mut knowledge = Knowledge::default();
        if setting.fleet {
            knowledge
                .others
                .extend(before.iter().rev().take(10).cloned());
        }
        hosts.push(live(
            setting,
            &priors,
            &ways,
            &mut knowledge,
            &mut random,
            began,
        ));
        let origin = Origin::of("simulated", &host.to_le_bytes());
        before.push((origin, knowledge.own));
    }
    sum_up(&hosts)
}

/// One issue: actions and seconds in the fixed order, then in the learned one.
type Episode = [(f64, f64); 2];

fn live(
    setting: Setting,
    priors: &Priors,
    ways: &Ways,
    knowledge: &mut Knowledge,
    random: &mut Random,
    began: DateTime<Utc>,
) -> Vec<Episode> {
    let mut episodes = Vec::new();
    for episode in 0..setting.episodes {
        let l = random.below(LADDERS.len());
        let (issue, written) = LADDERS[l];
        // Whether an action would help is settled before any is tried, so that
        // both orders face the same issue.
        let helps: Vec<bool> = ways[l]
            .iter()
            .map(|(chance, _)| random.happens(*chance))
            .collect();
        let rungs: Vec<Rung> = written
            .iter()
            .map(|(action, harm)| Rung {
                action: (*action).to_owned(),
                harm: *harm,
            })
            .collect();
        let place = |action: &str| written.iter().position(|(name, _)| *name == action);
        // An issue every other day.
        let days = i64::try_from(2 * episode).unwrap_or(0);
        let now = began + Duration::days(days);
        let ladder = Ladder {
            issue,
            rungs: &rungs,
        };
        let learned: Vec<usize> = order(ladder, knowledge, now, random.number())
            .iter()
            .filter_map(|ranked| place(&ranked.action))
            .collect();
        let mut fixed: Vec<usize> = (0..written.len()).collect();
        let believed = |n: usize| priors.of(issue, written[n].0).chance;
        fixed.sort_by(|a, b| {
            let last = |n: usize| written[n].1 == Harm::LastResort;
            last(*a)
                .cmp(&last(*b))
                .then(believed(*b).total_cmp(&believed(*a)))
        });
        let costs = |order: &[usize]| {
            let (mut actions, mut seconds) = (0.0, 0.0);
            for n in order {
                actions += 1.0;
                seconds += ways[l][*n].1;
                if helps[*n] {
                    return (actions, seconds);
                }
            }
            (actions + 1.0, seconds + PERSON_SECONDS)
        };
        episodes.push([costs(&fixed), costs(&learned)]);
        for n in learned {
            note(knowledge, now, issue, written[n].0, helps[n], ways[l][n].1);
            if helps[n] {
                break;
            }
        }
    }
    episodes
}
fn note(
    knowledge: &mut Knowledge,
    now: DateTime<Utc>,
    issue: &str,
    action: &str,
    helped: bool,
    seconds: f64,
) {
    let key = (Month::of(now), issue.to_owned(), action.to_owned());
    let tally = knowledge.own.heals.entry(key).or_default();
    tally.attempts += 1;
    if helped {
        tally.successes += 1;
        tally.seconds += seconds.round() as u64;
    }
}

fn sum_up(hosts: &[Vec<Episode>]) -> Outcome {
    let per_host = |value: &dyn Fn(&Episode) -> f64, part: &dyn Fn(usize, usize) -> bool| {
        Mean::of(hosts.iter().map(|episodes| {
            let of: Vec<f64> = episodes
                .iter()
                .enumerate()
                .filter(|(n, _)| part(*n, episodes.len()))
                .map(|(_, e)| value(e))
                .collect();
            Mean::of(of).mean
        }))
    };
    let all = |_: usize, _: usize| true;
    let fewer = |e: &Episode| e[1].0 - e[0].0;
    Outcome {
        fixed_actions: per_host(&|e| e[0].0, &all),
        learned_actions: per_host(&|e| e[1].0, &all),
        actions: per_host(&fewer, &all),
        fixed_seconds: per_host(&|e| e[0].1, &all),
        learned_seconds: per_host(&|e| e[1].1, &all),
        seconds: per_host(&|e| e[1].1 - e[0].1, &all),
        early: per_host(&fewer, &|n, of| n < of.div_ceil(10)),
        late: per_host(&fewer, &|n, of| n >= of - of.div_ceil(10)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SETTING: Setting = Setting {
        hosts: 60,
        episodes: 60,
        spread: 1.5,
        fleet: false,
        seed: 1,
    };

    #[test]
    fn the_learned_order_beats_the_best_fixed_one() {
        let outcome = run(SETTING);
        assert!(outcome.actions.is_negative(), "{outcome:?}");
        assert!(outcome.late.mean < outcome.early.mean, "{outcome:?}");
    }

    #[test]
    fn the_same_seed_lives_the_same() {
        let setting = Setting {
            hosts: 3,
            ..SETTING
        };
        assert_eq!(format!("{:?}", run(setting)), format!("{:?}", run(setting)));
    }
}
