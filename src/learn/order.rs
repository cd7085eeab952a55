//! In which order to try the actions of a ladder.
//!
//! Thompson sampling: each action is judged by one draw from what is believed
//! of it, narrowed. What helps most often comes first most often, and what is
//! little known gets its turn now and then; more of that would be waste, since
//! every action that does not help lets the next one show what it can. Draws that differ by less than a
//! twentieth count as alike: then the action that can break less comes first,
//! then the one that takes less time, then the one that is written first.

use chrono::{DateTime, Utc};
use serde::Serialize;

use super::priors::Priors;
use super::{Estimate, Knowledge};

/// What an action can break.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Harm {
    /// Nothing.
    Nothing,
    /// Something is away for a moment.
    Interrupts,
    /// Something is lost for good, such as old logs.
    Loses,
    /// The whole machine changes. Whatever was learned, it comes after all
    /// that is not of this kind.
    LastResort,
}

/// One action of a ladder.
#[derive(Clone, Debug)]
pub struct Rung {
    /// Its name.
    pub action: String,
    /// What it can break.
    pub harm: Harm,
}

/// The actions against one kind of issue, in the order they are written.
#[derive(Clone, Copy, Debug)]
pub struct Ladder<'a> {
    /// The kind of issue.
    pub issue: &'a str,
    /// Its actions.
    pub rungs: &'a [Rung],
}

/// An action in its place.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Ranked {
    /// Its name.
    pub action: String,
    /// What it can break.
    pub harm: Harm,
    /// How likely it is to help.
    pub estimate: f64,
    /// Where that is with 90 % certainty.
    pub interval: (f64, f64),
    /// How often this machine tried it.
    pub attempts: u64,
    /// How often others did.
    pub imported: u64,
    /// How long it takes when it helps, in seconds.
    pub seconds: f64,
    /// What was drawn for it this time.
    pub drawn: f64,
}

/// The actions of a ladder in the order to try them in. Another seed may order
/// otherwise; the same one never does.
pub fn order(
    ladder: Ladder<'_>,
    knowledge: &Knowledge,
    now: DateTime<Utc>,
    seed: u64,
) -> Vec<Ranked> {
    order_by(ladder, knowledge, now, seed, &Priors::builtin())
}

/// As [`order`], with other priors.
pub fn order_by(
    ladder: Ladder<'_>,
    knowledge: &Knowledge,
    now: DateTime<Utc>,
    seed: u64,
    priors: &Priors,
) -> Vec<Ranked> {
    let mut ranked: Vec<Ranked> = ladder
        .rungs
        .iter()
        .map(|rung| {
            let estimate = Estimate::of(ladder.issue, &rung.action, knowledge, now, priors);
            let name = format!("{}/{}", ladder.issue, rung.action);
            Ranked {
                action: rung.action.clone(),
                harm: rung.harm,
                estimate: estimate.mean(),
                interval: estimate.interval(),
                attempts: estimate.attempts,
                imported: estimate.imported,
                seconds: estimate.seconds,
                drawn: estimate.narrowed(priors.narrow).draw(seed, &name),
            }
        })
        .collect();
    ranked.sort_by(|a, b| {
        let last = |r: &Ranked| r.harm == Harm::LastResort;
        last(a)
            .cmp(&last(b))
            .then(step(b.drawn).total_cmp(&step(a.drawn)))
            .then(a.harm.cmp(&b.harm))
            .then(a.seconds.total_cmp(&b.seconds))
    });
    ranked
}

/// The twentieth a probability is in.
fn step(probability: f64) -> f64 {
    (probability * 20.0).floor()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::learn::{Ledger, Month, Tally};

    fn now() -> DateTime<Utc> {
        "2026-11-15T00:00:00Z".parse().unwrap()
    }

    fn rung(action: &str, harm: Harm) -> Rung {
        Rung {
            action: action.to_owned(),
            harm,
        }
    }

    fn known(entries: &[(&str, u64, u64)]) -> Knowledge {
        let mut own = Ledger::default();
        for (action, attempts, successes) in entries {
            let tally = Tally {
                attempts: *attempts,
                successes: *successes,
                seconds: 10 * successes,
                gain: 0,
            };
            let key = (Month::of(now()), "x".to_owned(), (*action).to_owned());
            own.heals.insert(key, tally);
        }
        Knowledge {
            own,
            ..Knowledge::default()
        }
    }

    /// How often each action comes first, over many seeds.
    fn first(rungs: &[Rung], knowledge: &Knowledge, action: &str) -> usize {
        let ladder = Ladder { issue: "x", rungs };
        (0..200)
            .filter(|seed| order(ladder, knowledge, now(), *seed)[0].action == action)
            .count()
    }

    #[test]
    fn what_helped_comes_first_and_what_is_unknown_gets_its_turn() {
        let rungs = [
            rung("a", Harm::Nothing),
            rung("b", Harm::Nothing),
            rung("c", Harm::Nothing),
        ];
        let knowledge = known(&[("a", 30, 3), ("b", 30, 14)]);
        let b = first(&rungs, &knowledge, "b");
        let c = first(&rungs, &knowledge, "c");
        assert!(b > 100, "{b}");
        assert!(c > 4 && c < 100, "{c}");
        assert_eq!(first(&rungs, &knowledge, "a"), 0);
    }

    #[test]
    fn the_same_seed_orders_alike() {
        let rungs = [rung("a", Harm::Nothing), rung("b", Harm::Nothing)];
        let ladder = Ladder {
            issue: "x",
            rungs: &rungs,
        };
        let knowledge = known(&[]);
        for seed in 0..20 {
            let once = order(ladder, &knowledge, now(), seed);
            assert_eq!(once, order(ladder, &knowledge, now(), seed));
            assert_eq!(once.len(), 2);
        }
    }

    #[test]
    fn the_last_resort_stays_last_however_well_it_works() {
        let rungs = [rung("roll", Harm::LastResort), rung("a", Harm::Nothing)];
        let knowledge = known(&[("roll", 50, 50), ("a", 50, 1)]);
        assert_eq!(first(&rungs, &knowledge, "roll"), 0);
    }

    #[test]
    fn of_two_that_help_alike_the_milder_comes_first() {
        let rungs = [rung("loses", Harm::Loses), rung("mild", Harm::Nothing)];
        let knowledge = known(&[("loses", 9000, 4590), ("mild", 9000, 4770)]);
        assert_eq!(first(&rungs, &knowledge, "mild"), 200);
    }
}
