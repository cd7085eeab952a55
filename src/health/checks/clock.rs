//! Whether the clock is right.

use crate::health::{Finding, seen::Clock};
use crate::point::health::Status;

/// How long after boot the clock may be off, in seconds.
const GRACE: f64 = 600.0;

/// What keeps the clock says whether it did.
pub(in crate::health) fn synchronised(seen: &Clock) -> Finding {
    if seen.timesyncd {
        return Finding::new(Status::Ok, "synchronised");
    }
    let told = seen.timedated.as_deref().unwrap_or_default();
    let is = |name: &str| {
        told.lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix('='))
            .map(|value| value.trim() == "yes")
    };
    let uptime = seen
        .uptime
        .as_deref()
        .and_then(|text| text.split_ascii_whitespace().next()?.parse::<f64>().ok());
    match (is("NTPSynchronized"), is("NTP")) {
        (Some(true), _) => Finding::new(Status::Ok, "synchronised"),
        (Some(false), Some(true)) if uptime.is_some_and(|up| up > GRACE) => {
            Finding::new(Status::Failing, "not synchronised")
        }
        (Some(false), Some(true)) => Finding::new(Status::Warning, "not yet synchronised"),
        (Some(false), _) => Finding::unknown("nothing keeps the clock"),
        (None, _) => Finding::unknown(super::NOT_HERE),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_has_ten_minutes_after_boot() {
        let of = |timedated: &str, uptime: &str| {
            let seen = Clock {
                timesyncd: false,
                timedated: Some(timedated.into()),
                uptime: Some(uptime.into()),
            };
            synchronised(&seen).status
        };
        assert_eq!(of("NTP=yes\nNTPSynchronized=yes\n", "9"), Status::Ok);
        assert_eq!(
            of("NTP=yes\nNTPSynchronized=no\n", "599.9 1"),
            Status::Warning
        );
        assert_eq!(
            of("NTP=yes\nNTPSynchronized=no\n", "601.0 1"),
            Status::Failing
        );
        assert_eq!(
            of("NTP=no\nNTPSynchronized=no\n", "601.0 1"),
            Status::Unknown
        );
        assert_eq!(of("", "601.0 1"), Status::Unknown);
        let timesyncd = Clock {
            timesyncd: true,
            ..Clock::default()
        };
        assert_eq!(synchronised(&timesyncd).status, Status::Ok);
    }
}
