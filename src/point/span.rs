//! Spans of time in a policy, as people and systemd write them.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A span of time such as `30s`, `2min` or `1h 30min`: the part of
/// `systemd.time(7)` that is free of doubt, so a unit is always named.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span(Duration);

/// Why a text is not a span.
#[derive(Debug, thiserror::Error)]
#[error("'{text}' is not a span of time such as 30s, 2min or 1h 30min: {why}")]
pub struct BadSpan {
    text: String,
    why: humantime::DurationError,
}

impl Span {
    /// So many seconds.
    pub const fn seconds(seconds: u64) -> Self {
        Self(Duration::from_secs(seconds))
    }

    /// As the standard library has it.
    pub const fn duration(self) -> Duration {
        self.0
    }
}

impl FromStr for Span {
    type Err = BadSpan;

    fn from_str(text: &str) -> Result<Self, BadSpan> {
        humantime::parse_duration(text)
            .map(Self)
            .map_err(|why| BadSpan {
                text: text.chars().take(80).collect(),
                why,
            })
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        humantime::format_duration(self.0).fmt(f)
    }
}

impl Serialize for Span {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_write_is_read_and_written_so_that_systemd_reads_it() {
        for (text, seconds, written) in [
            ("30s", 30, "30s"),
            ("2min", 120, "2m"),
            ("1h 30min", 5400, "1h 30m"),
            ("1h30m", 5400, "1h 30m"),
        ] {
            let span: Span = text.parse().unwrap();
            assert_eq!(span, Span::seconds(seconds));
            assert_eq!(span.to_string(), written);
        }
        for bad in ["", "30", "soon", "-3s"] {
            assert!(bad.parse::<Span>().is_err(), "{bad}");
        }
    }
}
