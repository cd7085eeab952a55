//! Times, sizes and durations as people say them.
//!
//! English only, UTC only, and short: these end up in table columns.

use std::time::Duration;

use chrono::{DateTime, Utc};

/// How far `then` is from `now`: "just now", "5 min ago", "3 h ago",
/// "yesterday", "12 days ago", "4 months ago", "in 2 h", "tomorrow".
///
/// Below a day the elapsed time counts; from a day on the UTC calendar does, so
/// that "yesterday" is the date before today's. Months are 30.44 days.
pub fn relative(now: DateTime<Utc>, then: DateTime<Utc>) -> String {
    let past = then <= now;
    let seconds = (now - then).num_seconds().unsigned_abs();
    let days = (now.date_naive() - then.date_naive())
        .num_days()
        .unsigned_abs();
    let amount = match seconds {
        0..45 => return "just now".to_owned(),
        45..3_600 => format!("{} min", (seconds / 60).max(1)),
        3_600..86_400 => format!("{} h", seconds / 3_600),
        _ if days == 1 => return if past { "yesterday" } else { "tomorrow" }.to_owned(),
        _ if days < 60 => format!("{days} days"),
        _ if days < 730 => format!("{} months", days * 100 / 3_044),
        _ => format!("{} years", days * 100 / 36_525),
    };
    if past {
        format!("{amount} ago")
    } else {
        format!("in {amount}")
    }
}

/// A size in binary units with one decimal: "512 B", "30.1 KiB", "2.0 GiB".
///
/// Rounds to the nearest tenth, and to the next unit instead of "1024.0".
pub fn bytes(count: u64) -> String {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    if count < 1024 {
        return format!("{count} B");
    }
    let mut text = String::new();
    for (power, unit) in (1u32..).zip(UNITS) {
        let tenths = (u128::from(count) * 10 + (1u128 << (10 * power - 1))) >> (10 * power);
        text = format!("{}.{} {unit}", tenths / 10, tenths % 10);
        if tenths < 10_240 {
            break;
        }
    }
    text
}

/// A length of time with the two digits that matter: "420 µs", "38 ms",
/// "1.4 s", "2 min 5 s", "1 h 4 min", "3 d 2 h".
pub fn duration(length: Duration) -> String {
    let micros = length.as_micros();
    let tenths = (micros + 50_000) / 100_000;
    let seconds = (micros + 500_000) / 1_000_000;
    if micros < 1_000 {
        format!("{micros} µs")
    } else if micros < 999_500 {
        format!("{} ms", (micros + 500) / 1_000)
    } else if tenths < 600 {
        format!("{}.{} s", tenths / 10, tenths % 10)
    } else if seconds < 3_600 {
        two(seconds / 60, "min", seconds % 60, "s")
    } else if seconds < 86_400 {
        two(seconds / 3_600, "h", seconds % 3_600 / 60, "min")
    } else {
        two(seconds / 86_400, "d", seconds % 86_400 / 3_600, "h")
    }
}

/// A number of things: "1 path", "2 paths". Adds an "s" to all but one.
pub fn count(n: usize, thing: &str) -> String {
    let s = if n == 1 { "" } else { "s" };
    format!("{n} {thing}{s}")
}

/// So many things of which something is told: "1 item was", "2 items were".
pub fn were(n: usize) -> String {
    format!(
        "{} {}",
        count(n, "item"),
        if n == 1 { "was" } else { "were" }
    )
}

fn two(big: u128, big_unit: &str, small: u128, small_unit: &str) -> String {
    if small == 0 {
        format!("{big} {big_unit}")
    } else {
        format!("{big} {big_unit} {small} {small_unit}")
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;
    use proptest::prelude::*;

    use super::*;

    fn ago(text: &str, seconds: i64) -> String {
        let now: DateTime<Utc> = text.parse().unwrap();
        relative(now, now - TimeDelta::seconds(seconds))
    }

    #[test]
    fn relative_times_read_well() {
        let noon = "2026-11-20T12:00:00Z";
        for (seconds, wanted) in [
            (0, "just now"),
            (44, "just now"),
            (-44, "just now"),
            (45, "1 min ago"),
            (119, "1 min ago"),
            (300, "5 min ago"),
            (3_599, "59 min ago"),
            (3_600, "1 h ago"),
            (3 * 3_600 + 1_000, "3 h ago"),
            (86_399, "23 h ago"),
            (86_400, "yesterday"),
            (36 * 3_600, "yesterday"),
            (36 * 3_600 + 1, "2 days ago"),
            (12 * 86_400, "12 days ago"),
            (59 * 86_400, "59 days ago"),
            (61 * 86_400, "2 months ago"),
            (729 * 86_400, "23 months ago"),
            (731 * 86_400, "2 years ago"),
            (-300, "in 5 min"),
            (-7_200, "in 2 h"),
            (-86_400, "tomorrow"),
            (-12 * 86_400, "in 12 days"),
        ] {
            assert_eq!(ago(noon, seconds), wanted, "{seconds} s");
        }
    }

    #[test]
    fn a_late_evening_is_hours_ago_not_yesterday() {
        assert_eq!(ago("2026-11-20T01:00:00Z", 2 * 3_600), "2 h ago");
    }

    #[test]
    fn sizes_round_and_carry_into_the_next_unit() {
        for (count, wanted) in [
            (0, "0 B"),
            (1_023, "1023 B"),
            (1_024, "1.0 KiB"),
            (30_822, "30.1 KiB"),
            (1_048_524, "1023.9 KiB"),
            (1_048_525, "1.0 MiB"),
            (5 << 30, "5.0 GiB"),
            (u64::MAX, "16.0 EiB"),
        ] {
            assert_eq!(bytes(count), wanted, "{count}");
        }
    }

    #[test]
    fn durations_keep_what_matters() {
        for (micros, wanted) in [
            (0, "0 µs"),
            (420, "420 µs"),
            (38_000, "38 ms"),
            (999_499, "999 ms"),
            (999_500, "1.0 s"),
            (1_400_000, "1.4 s"),
            (59_949_999, "59.9 s"),
            (59_950_000, "1 min"),
            (125_000_000, "2 min 5 s"),
            (3_599_500_000, "1 h"),
            (3_840_000_000, "1 h 4 min"),
            (266_400_000_000, "3 d 2 h"),
        ] {
            assert_eq!(duration(Duration::from_micros(micros)), wanted, "{micros}");
        }
    }

    proptest! {
        #[test]
        fn a_size_read_back_is_close(count in 1_024u64..) {
            let text = bytes(count);
            let (number, unit) = text.split_once(' ').unwrap();
            let power = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"]
                .iter().position(|known| *known == unit).unwrap();
            let number: f64 = number.parse().unwrap();
            prop_assert!((1.0..1024.0).contains(&number), "{text}");
            let back = number * 1024f64.powi(i32::try_from(power).unwrap());
            prop_assert!((back / count as f64 - 1.0).abs() < 0.0501, "{count} {text}");
        }
    }
}
