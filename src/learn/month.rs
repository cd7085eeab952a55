//! A month: the grain in which experience is counted. Fine enough to let old
//! experience fade, too coarse to tell anybody when a machine was switched.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Datelike, NaiveDate, Utc};
use serde::{Deserialize, Serialize};

/// A month of the calendar (UTC), written `2026-11`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Month(i32);

/// Why a text is no month.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not a month such as 2026-11")]
pub struct BadMonth(String);

impl Month {
    /// The month a moment is in.
    pub fn of(at: DateTime<Utc>) -> Self {
        let month0 = i32::try_from(at.month0()).unwrap_or(0);
        Self(at.year() * 12 + month0)
    }

    /// Months since the year 0: how it is stored.
    pub fn number(self) -> i32 {
        self.0
    }

    /// The month of a stored number.
    pub fn from_number(number: i32) -> Self {
        Self(number)
    }

    /// The month that lies `months` later, or earlier.
    #[must_use]
    pub fn plus(self, months: i32) -> Self {
        Self(self.0.saturating_add(months))
    }

    /// Days from its middle to `now`; none for a month that is yet to come.
    pub fn age(self, now: DateTime<Utc>) -> f64 {
        let (year, month0) = (self.0.div_euclid(12), self.0.rem_euclid(12));
        let month = u32::try_from(month0 + 1).unwrap_or(1);
        NaiveDate::from_ymd_opt(year, month, 15).map_or(f64::MAX, |middle| {
            let days = (now.date_naive() - middle).num_days();
            f64::from(i32::try_from(days.max(0)).unwrap_or(i32::MAX))
        })
    }
}

impl fmt::Display for Month {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month0) = (self.0.div_euclid(12), self.0.rem_euclid(12));
        write!(f, "{year:04}-{:02}", month0 + 1)
    }
}

impl From<Month> for String {
    fn from(month: Month) -> Self {
        month.to_string()
    }
}

impl FromStr for Month {
    type Err = BadMonth;

    fn from_str(text: &str) -> Result<Self, BadMonth> {
        let bad = || BadMonth(text.chars().take(20).collect());
        let (year, month) = text.split_once('-').ok_or_else(bad)?;
        let digits = |text: &str, n: usize| {
            (text.len() == n && text.bytes().all(|b| b.is_ascii_digit()))
                .then(|| text.parse::<i32>().ok())
                .flatten()
        };
        match (digits(year, 4), digits(month, 2)) {
            (Some(year), Some(month @ 1..=12)) => Ok(Self(year * 12 + month - 1)),
            _ => Err(bad()),
        }
    }
}

impl TryFrom<String> for Month {
    type Error = BadMonth;

    fn try_from(text: String) -> Result<Self, BadMonth> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn months_are_written_as_they_are_read() {
        for text in ["2026-01", "2026-12", "1999-07"] {
            assert_eq!(text.parse::<Month>().unwrap().to_string(), text);
        }
        for text in [
            "2026", "2026-13", "2026-00", "26-01", "2026-1", "+026-01", "2026-+1", "",
        ] {
            assert!(text.parse::<Month>().is_err(), "{text}");
        }
    }

    #[test]
    fn age_counts_from_the_middle() {
        let now: DateTime<Utc> = "2026-11-25T10:00:00Z".parse().unwrap();
        let month = Month::of(now);
        assert_eq!(month.to_string(), "2026-11");
        assert_eq!(month.age(now), 10.0);
        assert_eq!(month.plus(-1).age(now), 41.0);
        assert_eq!(month.plus(2).age(now), 0.0);
        assert_eq!(month.plus(2).to_string(), "2027-01");
    }
}
