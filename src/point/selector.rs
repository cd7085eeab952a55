//! How people name a restore point: an id prefix, or a word.

use std::fmt;
use std::str::FromStr;

use super::{Marks, Point, PointId};
use crate::nix::store_path::StorePath;

/// A parsed name of a point.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Selector {
    /// Hex digits that an id starts with, lower case, no dashes.
    Prefix(String),
    /// `latest`, `latest~N`: the newest but N. Points that a restore or a merge
    /// took for itself do not count: after a restore, `latest` is still the
    /// point that was meant before.
    Latest(usize),
    /// `latest-good`, `latest-good~N`: the newest known-good but N.
    LatestGood(usize),
    /// The newest point that holds the booted system.
    Booted,
    /// The newest point that holds the running system.
    Current,
}

/// Why a text names no point.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum SelectError {
    /// Neither a prefix nor one of the words.
    #[error(
        "'{0}' names no restore point: give an id prefix, latest, latest~N, latest-good, booted or current"
    )]
    Syntax(String),
    /// Nothing matches.
    #[error("{}", missing(.0))]
    NoSuch(Selector),
    /// A word that passes over imported points, and there are no others.
    #[error("there is no restore point of this machine, only imported ones: {}", .0.join(", "))]
    OnlyImported(
        /// Short forms of the newest, at most five.
        Vec<String>,
    ),
    /// More than one id starts so.
    #[error("'{prefix}' is the start of {count} restore points: {}{}", ids.join(", "),
        if *count > ids.len() { ", …" } else { "" })]
    Ambiguous {
        /// What was given.
        prefix: String,
        /// How many candidates there are.
        count: usize,
        /// Short forms of the candidates, at most five.
        ids: Vec<String>,
    },
}

/// What it is that no point is.
fn missing(selector: &Selector) -> String {
    match selector {
        Selector::Latest(0) => "there is no restore point yet".to_owned(),
        Selector::Latest(n) => format!("there are not {} restore points that latest counts", n + 1),
        Selector::LatestGood(0) => "no restore point is marked good".to_owned(),
        Selector::LatestGood(n) => format!("there are not {} points marked good", n + 1),
        Selector::Booted => "no restore point holds the booted system".to_owned(),
        Selector::Current => "no restore point holds the running system".to_owned(),
        Selector::Prefix(prefix) => format!("there is no restore point {prefix}"),
    }
}

impl FromStr for Selector {
    type Err = SelectError;

    fn from_str(text: &str) -> Result<Self, SelectError> {
        let bad = || SelectError::Syntax(text.chars().take(80).collect());
        let (word, back) = match text.split_once('~') {
            Some((word, n)) => (word, Some(n.parse::<usize>().map_err(|_| bad())?)),
            None => (text, None),
        };
        match (word, back) {
            ("latest", n) => Ok(Self::Latest(n.unwrap_or(0))),
            ("latest-good", n) => Ok(Self::LatestGood(n.unwrap_or(0))),
            ("booted", None) => Ok(Self::Booted),
            ("current", None) => Ok(Self::Current),
            (hex, None) => {
                let digits: String = hex.chars().filter(|c| *c != '-').collect();
                let ok = !digits.is_empty()
                    && digits.len() <= 32
                    && !hex.starts_with('-')
                    && digits.bytes().all(|b| b.is_ascii_hexdigit());
                if ok {
                    Ok(Self::Prefix(digits.to_ascii_lowercase()))
                } else {
                    Err(bad())
                }
            }
            _ => Err(bad()),
        }
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let back = |f: &mut fmt::Formatter<'_>, word, n| match n {
            0 => write!(f, "{word}"),
            n => write!(f, "{word}~{n}"),
        };
        match self {
            Self::Prefix(p) => f.write_str(p),
            Self::Latest(n) => back(f, "latest", *n),
            Self::LatestGood(n) => back(f, "latest-good", *n),
            Self::Booted => f.write_str("booted"),
            Self::Current => f.write_str("current"),
        }
    }
}

/// What the words `booted` and `current` refer to now.
#[derive(Clone, Copy, Debug, Default)]
pub struct Here<'a> {
    /// `/run/booted-system`.
    pub booted: Option<&'a StorePath>,
    /// `/run/current-system`.
    pub current: Option<&'a StorePath>,
    /// `/etc/machine-id`.
    pub machine: Option<&'a str>,
}

impl Selector {
    /// The point this names among `points`, which are sorted by id (oldest
    /// first). Words pass over what came from another machine: only its id
    /// names such a point.
    ///
    /// # Errors
    /// [`SelectError::NoSuch`] or [`SelectError::Ambiguous`].
    pub fn resolve<'p>(
        &self,
        points: &'p [(Point, Marks)],
        here: Here<'_>,
    ) -> Result<&'p Point, SelectError> {
        let newest = || {
            let ours = |(p, _): &&(Point, Marks)| !p.is_foreign(here.machine);
            points.iter().rev().filter(ours)
        };
        let holds = |wanted: Option<&StorePath>| {
            wanted.and_then(|w| {
                newest()
                    .map(|(p, _)| p)
                    .find(|p| p.system.current.as_ref() == Some(w))
            })
        };
        let found = match self {
            Self::Latest(n) => newest()
                .map(|(p, _)| p)
                .filter(|p| p.trigger.is_meant())
                .nth(*n),
            Self::LatestGood(n) => newest()
                .filter(|(p, m)| p.is_good(m))
                .nth(*n)
                .map(|(p, _)| p),
            Self::Booted => holds(here.booted),
            Self::Current => holds(here.current),
            Self::Prefix(prefix) => {
                let mut hits = points
                    .iter()
                    .map(|(p, _)| p)
                    .filter(|p| p.id.hex().starts_with(prefix));
                let first = hits.next();
                let more: Vec<PointId> = hits.map(|p| p.id).collect();
                match (first, more.is_empty()) {
                    (Some(first), false) => {
                        let all = || std::iter::once(&first.id).chain(&more);
                        let ids = all().take(5).map(|id| id.short_among(all())).collect();
                        return Err(SelectError::Ambiguous {
                            prefix: prefix.clone(),
                            count: more.len() + 1,
                            ids,
                        });
                    }
                    (found, _) => found,
                }
            }
        };
        let only_imported = !matches!(self, Self::Prefix(_)) && newest().next().is_none();
        found.ok_or_else(|| match points {
            [_, ..] if only_imported => {
                let ids = || points.iter().map(|(p, _)| &p.id);
                let newest = ids().rev().take(5);
                SelectError::OnlyImported(newest.map(|id| id.short_among(ids())).collect())
            }
            _ => SelectError::NoSuch(self.clone()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn words_and_prefixes() {
        for (text, selector) in [
            ("latest", Selector::Latest(0)),
            ("latest~3", Selector::Latest(3)),
            ("latest-good~1", Selector::LatestGood(1)),
            ("booted", Selector::Booted),
            ("0192F0-c1", Selector::Prefix("0192f0c1".into())),
        ] {
            assert_eq!(text.parse::<Selector>().unwrap(), selector);
        }
        for text in [
            "", "~1", "latest~", "latest~x", "booted~1", "xyz", "-1", "../a", "12 3",
        ] {
            assert!(text.parse::<Selector>().is_err(), "{text:?} was taken");
        }
    }

    #[test]
    fn all_candidates_are_counted_and_five_are_shown() {
        let told = |count, shown: &str| {
            let ids = shown.split(' ').map(str::to_owned).collect();
            let prefix = "0".to_owned();
            SelectError::Ambiguous { prefix, count, ids }.to_string()
        };
        assert_eq!(told(2, "a b"), "'0' is the start of 2 restore points: a, b");
        assert_eq!(
            told(14, "a b c d e"),
            "'0' is the start of 14 restore points: a, b, c, d, e, …"
        );
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]
        #[test]
        fn any_text_parses_or_says_why(text in any::<String>()) {
            if let Ok(selector) = text.parse::<Selector>() {
                prop_assert_eq!(selector.to_string().parse::<Selector>().unwrap(), selector);
            }
        }
    }
}
