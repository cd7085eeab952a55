//! What the last push to each remote wrote down.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};

use super::super::{Layout, remotes};
use crate::health::seen::Copies;
use crate::point::policy::Remote;

/// The remotes whose copies have an age to keep to.
pub(super) fn look(
    layout: &Layout,
    known: &BTreeMap<String, Remote>,
    now: DateTime<Utc>,
) -> Vec<Copies> {
    let aged = known
        .iter()
        .filter_map(|(name, remote)| Some((name, remote.max_age?)));
    aged.map(|(name, most)| {
        let newest = remotes::read(layout, name).unwrap_or_default().newest;
        Copies {
            remote: name.clone(),
            // A clock that was ahead makes a copy new, not old.
            age: newest.map(|at| (now - at).to_std().unwrap_or_default()),
            most: most.duration(),
        }
    })
    .collect()
}
