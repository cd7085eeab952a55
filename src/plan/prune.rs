//! Which restore points (or generations) to keep, and why.
//!
//! One engine for both. The rules are those of `restic forget`: keep-last
//! keeps the newest N; keep-daily keeps the newest of each of the last N days
//! that have any, and while a rule is not yet full also the very oldest, so
//! that history grows to its full length; keep-within counts back from the
//! newest item, not from today, so a machine that was off loses nothing. All
//! dates are UTC, weeks are ISO weeks.
//!
//! On top of restic's: protected items are never removed, the newest never is,
//! a pre/post pair goes or stays as one, an item from the future stays and says
//! so, and a free-space floor may take more, oldest first.

mod pairs;
mod reason;
mod rules;
mod space;
#[cfg(test)]
mod tests;

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Duration, Utc};
use serde::Serialize;
use thiserror::Error;

pub use crate::point::within::{WithinError, parse_duration};
pub use reason::{Protection, Reason, Rule};
use rules::RuleSet;
pub use space::Floor;

/// Something that can be pruned: a restore point or a generation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// Its unique name: a point's id, or a generation's number.
    pub key: String,
    /// When it was made.
    pub created: DateTime<Utc>,
    /// The tags [`Policy::keep_tags`] looks at.
    pub tags: BTreeSet<String>,
    /// What caused it, for example `pre-switch`; shown, never decided on.
    pub trigger: String,
    /// Why it must stay whatever the rules say; empty for most.
    pub protected: Vec<Protection>,
    /// The key of the other half of a pre/post pair. Either half may name the
    /// other; a partner that is not among the items binds nothing.
    pub pair: Option<String>,
    /// What it occupies, if known.
    pub bytes: Option<u64>,
}

/// The keep rules. An item stays if any rule keeps it; `None` and 0 keep none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// Keep the newest N.
    pub keep_last: Option<u32>,
    /// Keep the newest of each of N hours.
    pub keep_hourly: Option<u32>,
    /// Keep the newest of each of N days.
    pub keep_daily: Option<u32>,
    /// Keep the newest of each of N ISO weeks.
    pub keep_weekly: Option<u32>,
    /// Keep the newest of each of N months.
    pub keep_monthly: Option<u32>,
    /// Keep the newest of each of N years.
    pub keep_yearly: Option<u32>,
    /// Keep everything newer than this before the newest item.
    pub keep_within: Option<Duration>,
    /// Keep items with any of these tags; `a,b` asks for both, as in restic.
    pub keep_tags: Vec<String>,
    /// Never remove anything younger than this, not even for space.
    pub min_age: Duration,
}

impl Policy {
    /// The default for restore points: the last 20.
    pub fn points() -> Self {
        Self {
            keep_last: Some(20),
            keep_hourly: None,
            keep_daily: None,
            keep_weekly: None,
            keep_monthly: None,
            keep_yearly: None,
            keep_within: None,
            keep_tags: Vec::new(),
            min_age: Duration::zero(),
        }
    }

    /// The default for generations: the last 10.
    pub fn generations() -> Self {
        Self {
            keep_last: Some(10),
            ..Self::points()
        }
    }
}

impl Default for Policy {
    fn default() -> Self {
        Self::points()
    }
}

/// What happens to one item.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Decision {
    /// The item's key.
    pub key: String,
    /// Whether it stays.
    pub keep: bool,
    /// Every reason it stays for, or the one it goes for; never empty.
    pub reasons: Vec<Reason>,
}

/// A decision for every item, newest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PrunePlan {
    /// One line per item.
    pub decisions: Vec<Decision>,
    /// Bytes still missing to the free-space floor after all removals; 0 when
    /// it holds or none was asked for.
    pub missing_bytes: u64,
}

impl PrunePlan {
    /// The keys that go, newest first.
    pub fn removed(&self) -> impl Iterator<Item = &str> {
        self.decisions
            .iter()
            .filter(|line| !line.keep)
            .map(|line| line.key.as_str())
    }

    /// The keys that stay, newest first.
    pub fn kept(&self) -> impl Iterator<Item = &str> {
        self.decisions
            .iter()
            .filter(|line| line.keep)
            .map(|line| line.key.as_str())
    }
}

/// Why there is no plan. Nothing is removed then.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum PruneError {
    /// No rule keeps anything: carried out, it would remove nearly all.
    #[error("refusing to prune: the rules keep none of {items}; nothing was removed")]
    EmptyPolicy {
        /// How many items were at stake.
        items: usize,
    },
    /// Two items have one key, so a decision could hit the wrong one.
    #[error("refusing to prune: two items are called {key}")]
    DuplicateKey {
        /// The key they share.
        key: String,
    },
}

/// Decides for every item, newest first, whatever order they come in.
///
/// The result depends on nothing but the arguments. Planning again for what
/// was kept removes nothing.
///
/// # Errors
/// [`PruneError`] when the policy keeps nothing or a key occurs twice.
pub fn plan(
    items: &[Item],
    policy: &Policy,
    now: DateTime<Utc>,
    floor: Option<&Floor<'_>>,
) -> Result<PrunePlan, PruneError> {
    plan_by_trigger(items, policy, &BTreeMap::new(), now, floor)
}

/// As [`plan`], with rules of their own for the items of some triggers. Such
/// items take no place in the rules of the others. What protects an item, pairs
/// and space hold across all rules.
///
/// # Errors
/// As [`plan`]; no rules at all may keep nothing.
pub fn plan_by_trigger(
    items: &[Item],
    policy: &Policy,
    own: &BTreeMap<String, Policy>,
    now: DateTime<Utc>,
    floor: Option<&Floor<'_>>,
) -> Result<PrunePlan, PruneError> {
    let mut sorted: Vec<&Item> = items.iter().collect();
    sorted.sort_by(|a, b| newest_first(a, b, now));
    let mut index = BTreeMap::new();
    for (position, item) in sorted.iter().enumerate() {
        if index.insert(item.key.as_str(), position).is_some() {
            return Err(PruneError::DuplicateKey {
                key: item.key.clone(),
            });
        }
    }

    let sets = rules::sets(&sorted, policy, own);
    if let Some(empty) = sets.iter().find(|set| set.names.is_empty()) {
        return Err(PruneError::EmptyPolicy {
            items: empty.members.len(),
        });
    }
    let mut reasons = individual_reasons(&sorted, &sets, now);
    let groups = pairs::groups(&sorted, &index);
    for group in &groups {
        let Some(kept) = group.iter().copied().find(|&at| !reasons[at].is_empty()) else {
            continue;
        };
        let alone: Vec<usize> = group
            .iter()
            .copied()
            .filter(|&at| reasons[at].is_empty())
            .collect();
        for at in alone {
            reasons[at].push(Reason::PairOf {
                partner: sorted[kept].key.clone(),
            });
        }
    }

    let mut decisions: Vec<Decision> = sorted
        .iter()
        .zip(reasons)
        .enumerate()
        .map(|(at, (item, reasons))| Decision {
            key: item.key.clone(),
            keep: !reasons.is_empty(),
            reasons: if reasons.is_empty() {
                vec![Reason::Beyond {
                    rules: rules::of(&sets, at),
                }]
            } else {
                reasons
            },
        })
        .collect();
    let missing_bytes = floor.map_or(0, |floor| {
        space::make_room(&sorted, &groups, &mut decisions, floor)
    });
    Ok(PrunePlan {
        decisions,
        missing_bytes,
    })
}

/// What keeps each item on its own account, pairs and space aside.
fn individual_reasons(
    sorted: &[&Item],
    sets: &[RuleSet<'_>],
    now: DateTime<Utc>,
) -> Vec<Vec<Reason>> {
    let mut reasons: Vec<Vec<Reason>> = sorted
        .iter()
        .map(|item| {
            item.protected
                .iter()
                .map(|&by| Reason::Protected { by })
                .collect()
        })
        .collect();
    for set in sets {
        // An item from the future takes no place in a rule: else a clock that
        // was wrong for an hour would push honest items out for years.
        let (future, honest): (Vec<usize>, Vec<usize>) = set
            .members
            .iter()
            .partition(|&&at| sorted[at].created > now);
        for at in future {
            reasons[at].push(Reason::FutureDated {
                created: sorted[at].created,
            });
        }
        rules::apply(sorted, &honest, set, &mut reasons);
        for &at in &honest {
            if now - sorted[at].created < set.policy.min_age {
                reasons[at].push(Reason::Young);
            }
        }
    }
    if let Some(newest) = (0..sorted.len()).find(|&at| sorted[at].created <= now)
        && reasons[newest].is_empty()
    {
        reasons[newest].push(Reason::Newest);
    }
    reasons
}

/// Newest first; the future counts as now; equal times by key, later key first
/// (ids are UUIDv7 and generation numbers grow, so a later key is newer).
fn newest_first(a: &Item, b: &Item, now: DateTime<Utc>) -> Ordering {
    b.created
        .min(now)
        .cmp(&a.created.min(now))
        .then_with(|| key_order(&b.key).cmp(&key_order(&a.key)))
}

/// Numbers by value ("9" before "10"), before all other keys, which go by text.
fn key_order(key: &str) -> (bool, usize, &str, &str) {
    let digits = key.trim_start_matches('0');
    if !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_digit()) {
        (false, digits.len(), digits, key)
    } else {
        (true, 0, "", key)
    }
}
