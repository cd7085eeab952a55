//! Whether an issue may be acted upon now, and with what.

use std::fmt;

use chrono::{DateTime, TimeDelta, Utc};
use sha2::{Digest, Sha256};

use super::book::Book;
use super::ladder::{Rung, ladder};
use super::wanted;
use crate::point::Issue;
use crate::point::humane;
use crate::point::policy::Heal;

/// How long the cap of attempts reaches back.
const CAP_REACHES: TimeDelta = TimeDelta::days(1);

/// Why an issue is left alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Hold {
    /// The policy has it ignored.
    Ignored,
    /// It is about cairn's own work: a run of it cannot heal itself.
    Own,
    /// No action is known against it.
    NoAction,
    /// The policy leaves none of its actions.
    AllOff {
        /// How many are off for being destructive.
        destructive: usize,
    },
    /// Something was tried a moment ago.
    Cooling {
        /// Until when (UTC).
        until: DateTime<Utc>,
    },
    /// Too much was tried within a day.
    Capped {
        /// How often.
        tries: usize,
        /// Until when (UTC).
        until: DateTime<Utc>,
    },
    /// Too much was tried since the machine booted.
    Spent {
        /// How much.
        actions: u32,
    },
}

impl Hold {
    /// Until when, where it ends by itself.
    pub fn until(&self) -> Option<DateTime<Utc>> {
        match self {
            Self::Cooling { until } | Self::Capped { until, .. } => Some(*until),
            _ => None,
        }
    }

    /// In one line.
    pub fn words(&self, now: DateTime<Utc>) -> String {
        let left = |until: &DateTime<Utc>| {
            let left = (*until - now).to_std().unwrap_or_default();
            humane::duration(left)
        };
        match self {
            Self::Cooling { until } => {
                format!("it was acted upon a moment ago; waits {} more", left(until))
            }
            Self::Capped { tries, until } => format!(
                "{tries} actions were tried within a day; left alone for {}",
                left(until)
            ),
            other => other.to_string(),
        }
    }
}

impl fmt::Display for Hold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ignored => f.write_str("the policy ignores it (heal.ignore)"),
            Self::Own => f.write_str("it is cairn's own unit"),
            Self::NoAction => f.write_str("no action is known against it"),
            Self::AllOff { destructive: 0 } => {
                f.write_str("the policy leaves no action (heal.disabled)")
            }
            Self::AllOff { .. } => f.write_str(
                "what is left is destructive, and the policy does not name it (heal.destructive)",
            ),
            Self::Cooling { until } => {
                write!(f, "cooling down until {}", until.format("%F %T UTC"))
            }
            Self::Capped { tries, until } => write!(
                f,
                "{tries} actions were tried within a day; left alone until {}",
                until.format("%F %T UTC")
            ),
            Self::Spent { actions } => write!(
                f,
                "{actions} actions were tried since the machine booted (heal.perBoot)"
            ),
        }
    }
}

/// The actions of an issue that the policy allows, and those it does not,
/// as they are written.
pub fn rungs(issue: &Issue, policy: &Heal) -> (Vec<Rung>, Vec<Rung>) {
    let all = ladder(issue.kind()).map_or(&[][..], |ladder| ladder.rungs);
    all.iter().partition(|rung| {
        !policy.disabled.contains(&rung.action)
            && (!rung.destructive || policy.destructive.contains(&rung.action))
    })
}

/// Why an issue is left alone now, if it is. A person who `asked` for it by
/// name is not kept waiting, nor held to caps or to what is ignored.
pub fn hold(
    issue: &Issue,
    book: &Book,
    policy: &Heal,
    boot: &str,
    asked: bool,
    now: DateTime<Utc>,
) -> Option<Hold> {
    if !asked && wanted::is_ignored(issue, &policy.ignore) {
        return Some(Hold::Ignored);
    }
    if is_own(issue) {
        return Some(Hold::Own);
    }
    let (allowed, off) = rungs(issue, policy);
    if allowed.is_empty() {
        let destructive = off
            .iter()
            .filter(|rung| !policy.disabled.contains(&rung.action))
            .count();
        return Some(match off.is_empty() {
            true => Hold::NoAction,
            false => Hold::AllOff { destructive },
        });
    }
    if asked {
        return None;
    }
    let cool_down = TimeDelta::from_std(policy.cool_down.duration()).unwrap_or(TimeDelta::MAX);
    spent(issue, book, policy, boot, now).or_else(|| {
        let last = book.case(issue)?.tries.last()?;
        let until = last
            .ended
            .unwrap_or(last.at)
            .checked_add_signed(cool_down)?;
        // A clock that was set back must not make it wait for longer.
        (until > now && last.at <= now).then_some(Hold::Cooling { until })
    })
}

/// Why no further action may be tried in a run that has begun.
pub fn spent(
    issue: &Issue,
    book: &Book,
    policy: &Heal,
    boot: &str,
    now: DateTime<Utc>,
) -> Option<Hold> {
    let actions = book.spent_in(boot);
    if actions >= policy.per_boot {
        return Some(Hold::Spent { actions });
    }
    let recent: Vec<DateTime<Utc>> = book
        .case(issue)
        .into_iter()
        .flat_map(|case| &case.tries)
        .map(|one| one.at)
        .filter(|at| *at + CAP_REACHES > now)
        .collect();
    let cap = usize::try_from(policy.attempts).unwrap_or(usize::MAX);
    // So many of the oldest must have left the day for one more to fit in.
    let leaves = recent.len().checked_sub(cap)?;
    Some(Hold::Capped {
        tries: recent.len(),
        until: *recent.get(leaves)? + CAP_REACHES,
    })
}

/// Cairn's own units: a run of it would restart itself.
fn is_own(issue: &Issue) -> bool {
    matches!(issue, Issue::ServiceDown(unit) if unit.starts_with("cairn-"))
}

/// What the order of a ladder is drawn from: alike until something was tried
/// again, so that what `-n` shows is what is done.
pub fn seed(machine: &str, issue: &Issue, book: &Book) -> u64 {
    let mut hash = Sha256::new();
    hash.update(machine.as_bytes());
    hash.update(b"\0");
    hash.update(issue.to_string().as_bytes());
    for one in book.case(issue).into_iter().flat_map(|case| &case.tries) {
        hash.update(one.id.to_string().as_bytes());
    }
    hash.finalize()
        .iter()
        .take(8)
        .fold(0, |seed, byte| seed << 8 | u64::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::super::book::tests::{at, open};
    use super::*;
    use crate::point::Span;
    use crate::point::event::HealVerdict;
    use crate::point::heal::Action;

    fn down() -> Issue {
        Issue::ServiceDown("a.service".into())
    }

    /// A book in which restarts were tried at these minutes.
    fn tried(minutes: &[i64]) -> Book {
        let mut book = Book::default();
        for minute in minutes {
            book.begin(open(&down(), Action::RestartUnit, *minute, "b"));
            book.end(HealVerdict::Remains, false, at(*minute));
        }
        book
    }

    fn held(book: &Book, policy: &Heal, minute: i64) -> Option<Hold> {
        hold(&down(), book, policy, "b", false, at(minute))
    }

    #[test]
    fn an_issue_cools_down_after_each_try() {
        let policy = Heal::default();
        assert_eq!(held(&Book::default(), &policy, 0), None);
        let book = tried(&[0]);
        let until = at(15);
        assert_eq!(held(&book, &policy, 14), Some(Hold::Cooling { until }));
        assert_eq!(held(&book, &policy, 15), None);
        // Another issue does not wait for it, nor does who asks.
        assert_eq!(
            hold(&Issue::CpuHigh, &book, &policy, "b", false, at(1)),
            None
        );
        assert_eq!(hold(&down(), &book, &policy, "b", true, at(1)), None);
        // The clock was set back.
        assert_eq!(held(&book, &policy, -60), None);
    }

    #[test]
    fn a_flapping_issue_reaches_the_cap_and_is_left_alone_for_a_day() {
        let policy = Heal {
            attempts: 3,
            cool_down: Span::seconds(60),
            ..Heal::default()
        };
        let book = tried(&[0, 10, 20]);
        let until = at(24 * 60);
        let hold = held(&book, &policy, 30).unwrap();
        assert_eq!(hold, Hold::Capped { tries: 3, until });
        assert!(
            hold.words(at(30)).contains("left alone for 23 h"),
            "{}",
            hold.words(at(30))
        );
        assert_eq!(held(&book, &policy, 24 * 60), None);
    }

    #[test]
    fn the_budget_is_of_one_boot_and_of_all_issues() {
        let policy = Heal {
            per_boot: 2,
            ..Heal::default()
        };
        let book = tried(&[0, 60]);
        let spent = Some(Hold::Spent { actions: 2 });
        assert_eq!(
            hold(&Issue::CpuHigh, &book, &policy, "b", false, at(120)),
            spent
        );
        assert_eq!(
            hold(&Issue::CpuHigh, &book, &policy, "c", false, at(120)),
            None
        );
    }

    #[test]
    fn what_is_destructive_is_off_unless_named() {
        let policy = Heal::default();
        let config = Issue::ConfigInvalid("/etc/nixos/a.nix".into());
        let none = Book::default();
        let off = Some(Hold::AllOff { destructive: 1 });
        assert_eq!(hold(&config, &none, &policy, "b", true, at(0)), off);
        let mut policy = Heal {
            destructive: vec![Action::RestoreConfiguration],
            ..Heal::default()
        };
        assert_eq!(hold(&config, &none, &policy, "b", false, at(0)), None);
        policy.disabled = vec![Action::RestoreConfiguration];
        let off = Some(Hold::AllOff { destructive: 0 });
        assert_eq!(hold(&config, &none, &policy, "b", false, at(0)), off);
        let (allowed, off) = rungs(&down(), &policy);
        assert!(allowed.iter().all(|rung| !rung.destructive));
        assert_eq!(off.len(), 1);
        assert_eq!(
            hold(&Issue::StoreDamaged, &none, &policy, "b", false, at(0)),
            Some(Hold::NoAction)
        );
    }

    #[test]
    fn what_the_policy_ignores_and_our_own_units_are_left_alone() {
        let policy = Heal {
            ignore: vec!["service-down:a*".into()],
            ..Heal::default()
        };
        let none = Book::default();
        assert_eq!(held(&none, &policy, 0), Some(Hold::Ignored));
        assert_eq!(hold(&down(), &none, &policy, "b", true, at(0)), None);
        let own = Issue::ServiceDown("cairn-heal.service".into());
        assert_eq!(
            hold(&own, &none, &policy, "b", true, at(0)),
            Some(Hold::Own)
        );
    }

    #[test]
    fn the_seed_stays_until_something_was_tried() {
        let book = tried(&[0]);
        assert_eq!(seed("m", &down(), &book), seed("m", &down(), &book.clone()));
        assert_ne!(seed("m", &down(), &book), seed("m", &down(), &tried(&[])));
        assert_ne!(seed("m", &down(), &book), seed("n", &down(), &book));
    }
}
