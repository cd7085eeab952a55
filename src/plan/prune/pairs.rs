//! Which items hang together as pre/post pairs.

use std::collections::BTreeMap;

use super::Item;

/// Items that go or stay together: the connected parts of the pair relation.
/// Positions in `sorted`, ascending; an item without a partner is a group of one.
pub(super) fn groups(sorted: &[&Item], index: &BTreeMap<&str, usize>) -> Vec<Vec<usize>> {
    let mut group_of: Vec<usize> = (0..sorted.len()).collect();
    let mut groups: Vec<Vec<usize>> = (0..sorted.len()).map(|at| vec![at]).collect();
    for (at, item) in sorted.iter().enumerate() {
        let partner = item.pair.as_deref().and_then(|key| index.get(key));
        if let Some(&partner) = partner
            && group_of[partner] != group_of[at]
        {
            let (into, from) = (group_of[at], group_of[partner]);
            let moved = std::mem::take(&mut groups[from]);
            for &member in &moved {
                group_of[member] = into;
            }
            groups[into].extend(moved);
        }
    }
    groups.retain(|group| !group.is_empty());
    for group in &mut groups {
        group.sort_unstable();
    }
    groups
}
