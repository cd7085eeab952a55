//! The id of a restore point: a UUIDv7, shown as a short hex prefix.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The id of one restore point.
///
/// UUIDv7 (RFC 9562): the first 48 bits are the creation time in milliseconds,
/// so ids sort by age and are never reused.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PointId(Uuid);

/// Why a text is not a whole point id.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("'{0}' is not a restore point id (32 hex digits, with or without dashes)")]
pub struct BadId(pub String);

impl PointId {
    /// Fewest hex digits ever shown.
    ///
    /// Twelve digits are the creation time to the millisecond.
    pub const SHORT: usize = 12;

    /// Wraps a UUID made by the clock.
    pub const fn from_uuid(uuid: Uuid) -> Self {
        Self(uuid)
    }

    /// All 32 hex digits, no dashes: what prefixes are matched against.
    pub fn hex(&self) -> String {
        self.0.simple().to_string()
    }

    /// The shortest prefix, at least [`Self::SHORT`] digits, that no other id
    /// in `all` starts with.
    pub fn short_among<'a>(&self, all: impl IntoIterator<Item = &'a Self>) -> String {
        let own = self.hex();
        let common = all
            .into_iter()
            .filter(|other| *other != self)
            .map(|other| {
                let other = other.hex();
                own.bytes()
                    .zip(other.bytes())
                    .take_while(|(a, b)| a == b)
                    .count()
            })
            .max()
            .unwrap_or(0);
        own[..(common + 1).clamp(Self::SHORT, own.len())].to_owned()
    }
}

/// The short form of every id in one pass: `ids` must be sorted.
///
/// Neighbours in sorted order share the longest prefixes, so comparing each id
/// with its two neighbours is enough.
pub fn shorten_sorted(ids: &[PointId]) -> Vec<String> {
    (0..ids.len())
        .map(|i| {
            let before = i.checked_sub(1).and_then(|j| ids.get(j));
            ids[i].short_among(before.into_iter().chain(ids.get(i + 1)))
        })
        .collect()
}

/// The short form of every id, in whatever order they are.
pub fn shorten(ids: &[PointId]) -> Vec<String> {
    let mut sorted = ids.to_vec();
    sorted.sort_unstable();
    sorted.dedup();
    let short: BTreeMap<PointId, String> = (sorted.iter().copied())
        .zip(shorten_sorted(&sorted))
        .collect();
    let of = |id: &PointId| short.get(id).cloned().unwrap_or_default();
    ids.iter().map(of).collect()
}

impl fmt::Display for PointId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.hyphenated())
    }
}

impl fmt::Debug for PointId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PointId({self})")
    }
}

impl FromStr for PointId {
    type Err = BadId;

    fn from_str(text: &str) -> Result<Self, BadId> {
        let plain = matches!(text.len(), 32 | 36)
            && text.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-');
        match Uuid::try_parse(text) {
            Ok(uuid) if plain => Ok(Self(uuid)),
            _ => Err(BadId(text.chars().take(64).collect())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn id(text: &str) -> PointId {
        text.parse().unwrap()
    }

    #[test]
    fn both_spellings_are_one_id() {
        let dashed = id("0192f0c1-0000-7000-8000-000000000001");
        assert_eq!(dashed, id("0192f0c1000070008000000000000001"));
        assert_eq!(dashed.to_string(), "0192f0c1-0000-7000-8000-000000000001");
    }

    #[test]
    fn short_forms_are_unique_and_no_longer_than_needed() {
        let ids = [
            id("0192f0c1-0000-7000-8000-000000000001"),
            id("0192f0c1-0001-7000-8000-000000000001"),
            id("0192f0c2-0000-7000-8000-000000000001"),
        ];
        let short = shorten_sorted(&ids);
        assert_eq!(
            short,
            ["0192f0c100007", "0192f0c100017", "0192f0c200007"].map(|s| &s[..12])
        );
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]
        #[test]
        fn any_text_is_an_id_or_a_clean_error(text in "\\PC{0,80}") {
            if let Ok(id) = text.parse::<PointId>() {
                prop_assert_eq!(id.to_string().parse::<PointId>().unwrap(), id);
            }
        }

        #[test]
        fn short_forms_name_one_id_each(raw in proptest::collection::btree_set(any::<u128>(), 1..40)) {
            let ids: Vec<_> = raw.iter().map(|n| PointId(Uuid::from_u128(*n))).collect();
            for (id, short) in ids.iter().zip(shorten_sorted(&ids)) {
                let named: Vec<_> = ids.iter().filter(|o| o.hex().starts_with(&short)).collect();
                prop_assert_eq!(named, vec![id]);
            }
        }
    }
}
