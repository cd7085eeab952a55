//! The second pass: remove more, oldest first, until enough space is free.

use super::{Decision, Item, Reason};

/// How much space must be free, and what may go for it.
pub struct Floor<'a> {
    /// Bytes free now.
    pub free_bytes: u64,
    /// Bytes that should be free.
    pub wanted_bytes: u64,
    /// The newest N of those kept stay whatever the space; at least one does.
    pub min_keep: u32,
    /// Bytes that removing this key gives back; `None` when unknown, then
    /// [`Item::bytes`] counts. Where items share content this is less than
    /// their size.
    pub freeable: &'a dyn Fn(&str) -> Option<u64>,
}

/// Turns decisions to keep into removals, oldest first, until the floor holds.
/// Returns the bytes still missing.
///
/// Never taken: protected, too young, dated in the future, the newest
/// `min_keep`, or anything tied by a pair to one of these. What is known to
/// free nothing, or not known to free anything, is not taken either: it would
/// be lost for no gain.
pub(super) fn make_room(
    sorted: &[&Item],
    groups: &[Vec<usize>],
    decisions: &mut [Decision],
    floor: &Floor<'_>,
) -> u64 {
    let gain = |at: usize| {
        (floor.freeable)(&sorted[at].key)
            .or(sorted[at].bytes)
            .unwrap_or(0)
    };
    let total = |members: &[usize]| {
        members
            .iter()
            .map(|&at| gain(at))
            .fold(0u64, u64::saturating_add)
    };
    let gone: Vec<usize> = (0..sorted.len())
        .filter(|&at| !decisions[at].keep)
        .collect();
    let mut free = floor.free_bytes.saturating_add(total(&gone));

    let safe = usize::try_from(floor.min_keep.max(1)).unwrap_or(usize::MAX);
    let first_spare = (0..sorted.len())
        .filter(|&at| decisions[at].keep)
        .nth(safe)
        .unwrap_or(sorted.len());
    let mut spare: Vec<&Vec<usize>> = groups
        .iter()
        .filter(|group| {
            group
                .iter()
                .all(|&at| at >= first_spare && may_go(&decisions[at]))
        })
        .collect();
    // A group is as old as its newest member, which comes first in it.
    spare.sort_unstable_by_key(|group| std::cmp::Reverse(group.first().copied()));

    for group in spare {
        let freed = total(group);
        if free >= floor.wanted_bytes {
            break;
        }
        if freed == 0 {
            continue;
        }
        let missing = floor.wanted_bytes - free;
        for &at in group {
            decisions[at].keep = false;
            decisions[at].reasons = vec![Reason::ForSpace { missing }];
        }
        free = free.saturating_add(freed);
    }
    floor.wanted_bytes.saturating_sub(free)
}

fn may_go(decision: &Decision) -> bool {
    decision.keep
        && decision.reasons.iter().all(|reason| {
            !matches!(
                reason,
                Reason::Protected { .. } | Reason::Young | Reason::FutureDated { .. }
            )
        })
}
