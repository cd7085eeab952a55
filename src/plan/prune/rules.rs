//! The keep rules themselves, as `restic forget` defines them.

use std::collections::BTreeMap;

use chrono::{DateTime, Datelike, Duration, Utc};

use super::{Item, Policy, Reason, Rule};
use crate::plan::humane;

/// The counting rules in the order they are shown.
fn counted(policy: &Policy) -> [(Rule, u32); 6] {
    [
        (Rule::Last, policy.keep_last),
        (Rule::Hourly, policy.keep_hourly),
        (Rule::Daily, policy.keep_daily),
        (Rule::Weekly, policy.keep_weekly),
        (Rule::Monthly, policy.keep_monthly),
        (Rule::Yearly, policy.keep_yearly),
    ]
    .map(|(rule, count)| (rule, count.unwrap_or(0)))
}

fn within(policy: &Policy) -> Option<Duration> {
    policy
        .keep_within
        .filter(|within| *within > Duration::zero())
}

fn tags(policy: &Policy) -> impl Iterator<Item = &String> {
    policy
        .keep_tags
        .iter()
        .filter(|entry| !entry.trim().is_empty())
}

/// The rules that keep anything, as the user wrote them. Empty: no policy.
pub(super) fn names(policy: &Policy) -> Vec<String> {
    let counts = counted(policy).into_iter().filter(|(_, count)| *count > 0);
    let mut names: Vec<String> = counts
        .map(|(rule, count)| format!("keep-{rule} {count}"))
        .collect();
    if let Some(within) = within(policy) {
        let length = within
            .to_std()
            .map_or_else(|_| within.to_string(), humane::duration);
        names.push(format!("keep-within {length}"));
    }
    names.extend(tags(policy).map(|tag| format!("keep-tag {tag}")));
    names
}

/// Rules, and the items they are for.
pub(super) struct RuleSet<'p> {
    /// The rules.
    pub(super) policy: &'p Policy,
    /// Those that keep anything, as the user wrote them.
    pub(super) names: Vec<String>,
    /// Positions among all items, newest first.
    pub(super) members: Vec<usize>,
}

/// Sorts the items by the rules they go by: those of their trigger, if it has
/// any, else the common ones.
pub(super) fn sets<'p>(
    sorted: &[&Item],
    common: &'p Policy,
    own: &'p BTreeMap<String, Policy>,
) -> Vec<RuleSet<'p>> {
    let place = |wanted: Option<&str>| -> Vec<usize> {
        let name_of = |item: &Item| own.get_key_value(&item.trigger).map(|(name, _)| name);
        (0..sorted.len())
            .filter(|&at| name_of(sorted[at]).map(String::as_str) == wanted)
            .collect()
    };
    let set = |policy: &'p Policy, name: Option<&str>| RuleSet {
        policy,
        names: names(policy),
        members: place(name),
    };
    let own = own.iter().map(|(name, policy)| set(policy, Some(name)));
    std::iter::once(set(common, None)).chain(own).collect()
}

/// The names of the rules that are for an item.
pub(super) fn of(sets: &[RuleSet<'_>], at: usize) -> Vec<String> {
    sets.iter()
        .find(|set| set.members.binary_search(&at).is_ok())
        .map_or_else(Vec::new, |set| set.names.clone())
}

/// Adds to `reasons` what a set's rules keep. `honest` are its members that
/// are not from the future.
pub(super) fn apply(
    sorted: &[&Item],
    honest: &[usize],
    set: &RuleSet<'_>,
    reasons: &mut [Vec<Reason>],
) {
    let policy = set.policy;
    for (rule, of) in counted(policy) {
        let mut nth = 0;
        let mut last = None;
        for (place, &at) in honest.iter().enumerate() {
            if nth == of {
                break;
            }
            let period = period(rule, sorted[at].created);
            if rule == Rule::Last || last.as_ref() != Some(&period) {
                nth += 1;
                reasons[at].push(Reason::Kept {
                    rule,
                    nth,
                    of,
                    period: period.clone(),
                });
                last = Some(period);
            } else if place + 1 == honest.len() {
                reasons[at].push(Reason::Oldest { rule });
            }
        }
    }
    if let (Some(within), Some(&newest)) = (within(policy), honest.first()) {
        // None: further back than dates go, so everything is within.
        let edge = sorted[newest].created.checked_sub_signed(within);
        for &at in honest {
            if edge.is_none_or(|edge| sorted[at].created > edge) {
                reasons[at].push(Reason::Within);
            }
        }
    }
    for &at in &set.members {
        let item = sorted[at];
        let matching =
            tags(policy).find(|entry| entry.split(',').all(|tag| item.tags.contains(tag.trim())));
        if let Some(tag) = matching {
            reasons[at].push(Reason::Tagged { tag: tag.clone() });
        }
    }
}

/// The bucket a time falls in, as it is shown. Distinct buckets of one rule
/// have distinct texts.
fn period(rule: Rule, time: DateTime<Utc>) -> Option<String> {
    let format = match rule {
        Rule::Last => return None,
        Rule::Hourly => "%Y-%m-%d %Hh",
        Rule::Daily => "%Y-%m-%d",
        Rule::Weekly => {
            let week = time.iso_week();
            return Some(format!("{}-W{:02}", week.year(), week.week()));
        }
        Rule::Monthly => "%Y-%m",
        Rule::Yearly => "%Y",
    };
    Some(time.format(format).to_string())
}
