//! How likely an action is to help: a Beta distribution, from the prior and
//! from experience that fades.

use chrono::{DateTime, Utc};
use sha2::{Digest, Sha256};
use statrs::function::beta::beta_reg;

use super::priors::Priors;
use super::{Knowledge, Ledger};

/// What is believed of one action against one issue.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Estimate {
    /// Weight of having helped: the prior's and that of experience.
    pub alpha: f64,
    /// Weight of not having helped.
    pub beta: f64,
    /// How often this machine tried it, ever.
    pub attempts: u64,
    /// How often that helped.
    pub successes: u64,
    /// How often others tried it.
    pub imported: u64,
    /// How long it takes when it helps, in seconds.
    pub seconds: f64,
    /// Points of health that one attempt of this machine brought, on average.
    pub gain: Option<f64>,
}

/// Sums of one or more ledgers.
#[derive(Default)]
struct Sums {
    attempts: u64,
    successes: u64,
    gain: i64,
    /// Faded.
    tried: f64,
    helped: f64,
    seconds: f64,
}

impl Sums {
    fn add(&mut self, ledger: &Ledger, pair: (&str, &str), now: DateTime<Utc>, priors: &Priors) {
        for ((month, issue, action), tally) in &ledger.heals {
            if (issue.as_str(), action.as_str()) != pair {
                continue;
            }
            let weight = priors.decay(month.age(now));
            self.attempts += tally.attempts;
            self.successes += tally.successes;
            self.gain += tally.gain;
            self.tried += weight * float(tally.attempts);
            self.helped += weight * float(tally.successes.min(tally.attempts));
            self.seconds += weight * float(tally.seconds);
        }
    }
}

/// Counters are small: nothing is lost.
pub(super) fn float(n: u64) -> f64 {
    n as f64
}

impl Estimate {
    /// What is believed of `action` against `issue` at `now`.
    pub fn of(
        issue: &str,
        action: &str,
        knowledge: &Knowledge,
        now: DateTime<Utc>,
        priors: &Priors,
    ) -> Self {
        let prior = priors.of(issue, action);
        let (mut own, mut others) = (Sums::default(), Sums::default());
        own.add(&knowledge.own, (issue, action), now, priors);
        for ledger in knowledge.others.values() {
            others.add(ledger, (issue, action), now, priors);
        }
        let weight = priors
            .imported_weight
            .min(priors.imported_most / others.tried.max(f64::MIN_POSITIVE));
        let tried = own.tried + weight * others.tried;
        let helped = own.helped + weight * others.helped;
        // Times are of attempts that helped; the prior counts as one.
        let seconds = own.seconds + weight * others.seconds;
        Self {
            alpha: priors.strength * prior.chance + helped,
            beta: priors.strength * (1.0 - prior.chance) + (tried - helped),
            attempts: own.attempts,
            successes: own.successes,
            imported: others.attempts,
            seconds: (prior.seconds + seconds) / (1.0 + helped),
            gain: mean(own.gain, own.attempts),
        }
    }

    /// The expected probability.
    pub fn mean(&self) -> f64 {
        self.alpha / (self.alpha + self.beta)
    }

    /// The probability that lies above a share of what is believed.
    pub fn quantile(&self, share: f64) -> f64 {
        // The distribution function grows, so halving finds it, always in the
        // same number of steps; Newton's method may not end.
        let (mut low, mut high) = (0.0_f64, 1.0_f64);
        for _ in 0..30 {
            let middle = f64::midpoint(low, high);
            if beta_reg(self.alpha, self.beta, middle) < share {
                low = middle;
            } else {
                high = middle;
            }
        }
        f64::midpoint(low, high)
    }

    /// Where the probability is with 90 % certainty.
    pub fn interval(&self) -> (f64, f64) {
        (self.quantile(0.05), self.quantile(0.95))
    }

    /// As if all that is known, prior and experience, had been known `times`
    /// over: the same mean, less doubt.
    #[must_use]
    pub fn narrowed(mut self, times: f64) -> Self {
        self.alpha *= times;
        self.beta *= times;
        self
    }

    /// One probability drawn from what is believed. The same seed and name
    /// draw the same.
    pub fn draw(&self, seed: u64, name: &str) -> f64 {
        self.quantile(uniform(seed, name))
    }
}
fn mean(sum: i64, n: u64) -> Option<f64> {
    (n > 0).then(|| sum as f64 / float(n))
}

/// A number between 0 and 1 made from a seed and a name, alike on all machines.
fn uniform(seed: u64, name: &str) -> f64 {
    let mut hash = Sha256::new();
    hash.update(seed.to_le_bytes());
    hash.update(name.as_bytes());
    let digest = hash.finalize();
    let bits = digest
        .iter()
        .take(7)
        .fold(0_u64, |bits, byte| bits << 8 | u64::from(*byte));
    // 53 of the 56 bits: what a double can tell apart; never 0 or 1.
    (float(bits >> 3) + 0.5) / float(1 << 53)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::learn::{Month, Origin, Tally};

    fn now() -> DateTime<Utc> {
        "2026-11-15T00:00:00Z".parse().unwrap()
    }

    fn tally(attempts: u64, successes: u64) -> Tally {
        Tally {
            attempts,
            successes,
            seconds: 5 * successes,
            gain: 0,
        }
    }

    fn ledger(months_ago: i32, tally: Tally) -> Ledger {
        let month = Month::of(now()).plus(-months_ago);
        let mut ledger = Ledger::default();
        let key = (month, "cpu".to_owned(), "renice-unit".to_owned());
        ledger.heals.insert(key, tally);
        ledger
    }

    fn believed(knowledge: &Knowledge) -> Estimate {
        Estimate::of("cpu", "renice-unit", knowledge, now(), &Priors::builtin())
    }

    fn own(ledger: Ledger) -> Knowledge {
        Knowledge {
            own: ledger,
            ..Knowledge::default()
        }
    }

    #[test]
    fn without_experience_the_prior_holds() {
        let estimate = believed(&Knowledge::default());
        assert!((estimate.mean() - 0.4).abs() < 1e-9);
        assert_eq!(estimate.seconds, 5.0);
        let (low, high) = estimate.interval();
        assert!(low < 0.15 && high > 0.7, "{low} {high}");
    }

    #[test]
    fn experience_narrows_and_moves_it_and_fades() {
        let new = believed(&own(ledger(0, tally(50, 45))));
        assert!((new.mean() - 46.6 / 54.0).abs() < 1e-9);
        let (low, high) = new.interval();
        assert!(low > 0.75 && high < 0.95, "{low} {high}");
        let old = believed(&own(ledger(24, tally(50, 45))));
        assert!(old.mean() < new.mean() && old.mean() > 0.4);
        assert_eq!(old.attempts, 50);
    }

    #[test]
    fn the_experience_of_others_weighs_less_and_only_so_much() {
        let other = |n: u64, tally| {
            let mut others = Knowledge::default();
            for n in 0..n {
                let origin = Origin::of("x", &n.to_le_bytes());
                others.others.insert(origin, ledger(0, tally));
            }
            others
        };
        let own = believed(&own(ledger(0, tally(8, 8))));
        let told = believed(&other(1, tally(8, 8)));
        assert!(told.mean() < own.mean() && told.mean() > 0.4);
        assert_eq!((told.attempts, told.imported), (0, 8));
        // A thousand liars against twenty attempts of one's own.
        let mut lied_to = other(1000, tally(1000, 1000));
        lied_to.own = ledger(0, tally(20, 0));
        assert!(believed(&lied_to).mean() < 0.51, "{:?}", believed(&lied_to));
    }

    #[test]
    fn draws_repeat_and_follow_the_distribution() {
        let estimate = believed(&own(ledger(0, tally(20, 10))));
        assert_eq!(estimate.draw(7, "a"), estimate.draw(7, "a"));
        assert_ne!(estimate.draw(7, "a"), estimate.draw(8, "a"));
        let draws: Vec<f64> = (0..2000).map(|seed| estimate.draw(seed, "a")).collect();
        let mean = draws.iter().sum::<f64>() / 2000.0;
        assert!((mean - estimate.mean()).abs() < 0.01, "{mean}");
        let (low, high) = estimate.interval();
        let inside = draws.iter().filter(|p| **p > low && **p < high).count();
        assert!((1740..1860).contains(&inside), "{inside}");
    }
}
