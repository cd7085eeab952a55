//! The keep rules themselves, as `restic forget` defines them.

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

/// Adds to `reasons` what the rules keep of `honest` (positions in `sorted`,
/// newest first).
pub(super) fn apply(
    sorted: &[&Item],
    honest: &[usize],
    policy: &Policy,
    reasons: &mut [Vec<Reason>],
) {
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
    for (item, reasons) in sorted.iter().zip(reasons) {
        let matching =
            tags(policy).find(|entry| entry.split(',').all(|tag| item.tags.contains(tag.trim())));
        if let Some(tag) = matching {
            reasons.push(Reason::Tagged { tag: tag.clone() });
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
