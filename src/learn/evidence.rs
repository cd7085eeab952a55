//! What was experienced, as counters that only grow.
//!
//! Each machine counts what it did itself, by month. Knowledge of several
//! machines is one ledger for each, so merging never adds the same experience
//! twice: of two ledgers of one machine the further one counts, entry by entry.
//! That is a grow-only counter: merging may be repeated, in any order.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::Month;
use crate::point::event::{HealAttempt, HealVerdict};

/// A machine under a name of its own making: a hash of its id and a random
/// salt that never leaves it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Origin(String);

/// Why a text is no origin.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an origin is 32 small hexadecimal digits")]
pub struct BadOrigin;

impl Origin {
    /// The name of the machine with this id, under this salt.
    pub fn of(machine_id: &str, salt: &[u8]) -> Self {
        let mut hash = Sha256::new();
        hash.update(b"cairn knowledge 1\0");
        hash.update(salt);
        hash.update(machine_id.trim().as_bytes());
        let digest = hash.finalize();
        Self(hex::encode(&digest[..16]))
    }

    /// Its digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<Origin> for String {
    fn from(origin: Origin) -> Self {
        origin.0
    }
}

impl FromStr for Origin {
    type Err = BadOrigin;

    fn from_str(text: &str) -> Result<Self, BadOrigin> {
        let digit = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
        if text.len() == 32 && text.bytes().all(digit) {
            Ok(Self(text.to_owned()))
        } else {
            Err(BadOrigin)
        }
    }
}

impl TryFrom<String> for Origin {
    type Error = BadOrigin;

    fn try_from(text: String) -> Result<Self, BadOrigin> {
        text.parse()
    }
}

/// What came of an action in one month. The order of the fields is that of
/// growth: of two tallies of one machine the greater is the later one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Tally {
    /// How often it was tried.
    pub attempts: u64,
    /// How often the issue was gone afterwards.
    pub successes: u64,
    /// Seconds it took, when it helped, together.
    pub seconds: u64,
    /// Points of health it brought, together; below 0 when it did harm.
    pub gain: i64,
}

impl Tally {
    /// Counts one attempt.
    pub fn add(&mut self, attempt: &HealAttempt) {
        self.attempts += 1;
        if attempt.verdict == HealVerdict::Recovered {
            self.successes += 1;
            self.seconds += attempt.millis.div_ceil(1000);
        }
        if let (Some(before), Some(after)) = (attempt.before, attempt.after) {
            self.gain += i64::from(after.min(100)) - i64::from(before.min(100));
        }
    }
}

/// What came of the switches of one month.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Judged {
    /// How many were judged.
    pub judged: u64,
    /// How many failed.
    pub failed: u64,
}

/// What one machine experienced.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ledger {
    /// Healing, by month, issue and action.
    pub heals: BTreeMap<(Month, String, String), Tally>,
    /// Switches, by month.
    pub switches: BTreeMap<Month, Judged>,
}

impl Ledger {
    /// Counts one attempt to heal.
    pub fn count(&mut self, attempt: &HealAttempt) {
        let month = Month::of(attempt.at);
        let key = (month, attempt.issue.clone(), attempt.action.clone());
        self.heals.entry(key).or_default().add(attempt);
    }

    /// Takes what another ledger of the same machine has further.
    pub fn join(&mut self, other: &Self) {
        for (key, tally) in &other.heals {
            let mine = self.heals.entry(key.clone()).or_default();
            *mine = (*mine).max(*tally);
        }
        for (month, judged) in &other.switches {
            let mine = self.switches.entry(*month).or_default();
            *mine = (*mine).max(*judged);
        }
    }
}

/// What is known: what this machine experienced, and what others told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Knowledge {
    /// This machine.
    pub own: Ledger,
    /// The others.
    pub others: BTreeMap<Origin, Ledger>,
}

impl Knowledge {
    /// Takes what others told; what is said of this machine itself is left
    /// out: it knows best.
    pub fn learn(&mut self, told: &BTreeMap<Origin, Ledger>, own: &Origin) {
        for (origin, ledger) in told.iter().filter(|(origin, _)| *origin != own) {
            self.others.entry(origin.clone()).or_default().join(ledger);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ledgers() -> impl Strategy<Value = BTreeMap<Origin, Ledger>> {
        let entry = (0..3_u8, 0..3_i32, 0..2_u8, 0..9_u64, 0..9_u64, -9..9_i64);
        prop::collection::vec(entry, 0..12).prop_map(|entries| {
            let mut all: BTreeMap<Origin, Ledger> = BTreeMap::new();
            for (origin, month, action, attempts, successes, gain) in entries {
                let ledger = all.entry(Origin::of("m", &[origin])).or_default();
                let month = Month::from_number(2026 * 12 + month);
                let key = (month, "cpu".to_owned(), format!("a{action}"));
                let tally = Tally {
                    attempts,
                    successes,
                    gain,
                    seconds: attempts,
                };
                ledger.heals.insert(key, tally);
                let judged = Judged {
                    judged: attempts,
                    failed: successes,
                };
                ledger.switches.insert(month, judged);
            }
            all
        })
    }

    fn merged<'k>(all: impl IntoIterator<Item = &'k BTreeMap<Origin, Ledger>>) -> Knowledge {
        let mut knowledge = Knowledge::default();
        for told in all {
            knowledge.learn(told, &Origin::of("me", b""));
        }
        knowledge
    }

    proptest! {
        #[test]
        fn merging_may_be_repeated_in_any_order(
            a in ledgers(), b in ledgers(), c in ledgers()
        ) {
            let once = merged([&a, &b, &c]);
            prop_assert_eq!(&once, &merged([&c, &a, &b]));
            prop_assert_eq!(&once, &merged([&a, &a, &b, &c, &b, &a]));
            // What was merged elsewhere first comes to the same.
            let elsewhere = merged([&b, &c]).others;
            prop_assert_eq!(&once, &merged([&a, &elsewhere, &b]));
        }
    }

    #[test]
    fn what_others_say_of_this_machine_is_left_out() {
        let me = Origin::of("me", b"salt");
        let told = BTreeMap::from([(me.clone(), Ledger::default())]);
        let mut knowledge = Knowledge::default();
        knowledge.learn(&told, &me);
        assert!(knowledge.others.is_empty());
    }

    #[test]
    fn an_origin_hides_the_id_and_depends_on_the_salt() {
        let id = "0123456789abcdef0123456789abcdef";
        let origin = Origin::of(id, b"a");
        assert_eq!(origin, Origin::of(&format!("{id}\n"), b"a"));
        assert_ne!(origin, Origin::of(id, b"b"));
        assert!(!origin.as_str().contains(&id[..8]));
        assert!(origin.as_str().parse::<Origin>().is_ok());
        assert!("xyz".parse::<Origin>().is_err());
    }
}
