//! Lengths of time as restic's `--keep-within` writes them: `1y2m3w4d5h`.

use chrono::Duration;
use thiserror::Error;

/// Why a length of time could not be read.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum WithinError {
    /// Nothing was given.
    #[error("an empty duration; write for example 30d, 2w or 1y6m")]
    Empty,
    /// A number should start here.
    #[error("in the duration {input:?}: expected a digit at character {at}, found {found:?}")]
    NoDigit {
        /// The whole text.
        input: String,
        /// Where, from 1.
        at: usize,
        /// What stands there.
        found: char,
    },
    /// The text ends in a number.
    #[error("in the duration {input:?}: {number} has no unit; add y, m, w, d or h")]
    NoUnit {
        /// The whole text.
        input: String,
        /// The number without a unit.
        number: String,
    },
    /// A letter that is no unit.
    #[error(
        "in the duration {input:?}: unknown unit {unit:?} at character {at}; \
         use y (years), m (months), w (weeks), d (days) or h (hours)"
    )]
    UnknownUnit {
        /// The whole text.
        input: String,
        /// Where, from 1.
        at: usize,
        /// What stands there.
        unit: char,
    },
    /// A unit occurs twice, which is more likely a slip than a sum.
    #[error("in the duration {input:?}: the unit {unit} occurs twice")]
    Repeated {
        /// The whole text.
        input: String,
        /// The unit.
        unit: char,
    },
    /// More time than can be counted.
    #[error("the duration {input:?} is too long")]
    TooLong {
        /// The whole text.
        input: String,
    },
}

/// Reads `1y2m3w4d5h`: numbers with the units y, m (months), w, d, h, in any
/// order, each at most once.
///
/// A year counts 366 days and a month 31, the longest there are, so that
/// nothing is removed sooner than the calendar would have it.
///
/// # Errors
/// [`WithinError`], naming the character where reading stopped.
pub fn parse_duration(input: &str) -> Result<Duration, WithinError> {
    if input.is_empty() {
        return Err(WithinError::Empty);
    }
    let too_long = || WithinError::TooLong {
        input: input.to_owned(),
    };
    let mut seen = Vec::new();
    let mut hours: i64 = 0;
    let mut number = String::new();
    for (at, letter) in (1..).zip(input.chars()) {
        if letter.is_ascii_digit() {
            number.push(letter);
            continue;
        }
        if number.is_empty() {
            return Err(WithinError::NoDigit {
                input: input.to_owned(),
                at,
                found: letter,
            });
        }
        let unit = match letter {
            'y' => 366 * 24,
            'm' => 31 * 24,
            'w' => 7 * 24,
            'd' => 24,
            'h' => 1,
            unit => {
                return Err(WithinError::UnknownUnit {
                    input: input.to_owned(),
                    at,
                    unit,
                });
            }
        };
        if seen.contains(&letter) {
            return Err(WithinError::Repeated {
                input: input.to_owned(),
                unit: letter,
            });
        }
        seen.push(letter);
        let count: i64 = std::mem::take(&mut number)
            .parse()
            .map_err(|_| too_long())?;
        hours = count
            .checked_mul(unit)
            .and_then(|more| hours.checked_add(more))
            .ok_or_else(too_long)?;
    }
    if !number.is_empty() {
        return Err(WithinError::NoUnit {
            input: input.to_owned(),
            number,
        });
    }
    Duration::try_hours(hours).ok_or_else(too_long)
}
