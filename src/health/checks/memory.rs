//! Memory and swap.

use super::{NOT_HERE, by_room, percent, pressure};
use crate::health::Finding;
use crate::health::seen::Text;
use crate::point::health::{Status, Unit, Value};
use crate::point::humane;
use crate::point::policy::Health;

/// `/proc/pressure/memory` and `/proc/meminfo`: how long what waits for
/// memory, and how much is left.
pub(in crate::health) fn memory(texts: &[Text], health: &Health) -> Finding {
    let [stalls, info] = texts else {
        return Finding::unknown(NOT_HERE);
    };
    let limits = &health.memory;
    let left = info
        .as_deref()
        .and_then(|info| Some((kib(info, "MemAvailable")?, kib(info, "MemTotal")?)));
    let stalls = stalls.as_deref().and_then(|text| {
        Some((
            pressure(text, "some", "avg60")?,
            pressure(text, "full", "avg60")?,
        ))
    });
    let (status, mut words) = match stalls {
        Some((some, full)) => {
            let most = f64::from(limits.max_pressure);
            let status = if full > most {
                Status::Failing
            } else if some > most {
                Status::Warning
            } else {
                Status::Ok
            };
            (status, vec![format!("waited for {some:.0} % of a minute")])
        }
        None => (Status::Unknown, Vec::new()),
    };
    let Some((available, whole)) = left else {
        return match words.pop() {
            Some(words) => Finding::new(status, words),
            None => Finding::unknown(NOT_HERE),
        };
    };
    let free = percent(available, whole);
    let by_room = match by_room(free, limits.min_free) {
        // What waits tells more than how little is left.
        Status::Failing if status != Status::Unknown => Status::Warning,
        other => other,
    };
    let (available, whole) = (humane::bytes(available << 10), humane::bytes(whole << 10));
    words.insert(0, format!("{available} of {whole} available"));
    Finding::new(status.max(by_room), words.join(", "))
        .value(Value::new(100.0 - free, Unit::Percent))
}

/// `/proc/meminfo`: swap that is left.
pub(in crate::health) fn swap(texts: &[Text], health: &Health) -> Finding {
    let told = texts
        .first()
        .and_then(Option::as_deref)
        .and_then(|info| Some((kib(info, "SwapFree")?, kib(info, "SwapTotal")?)));
    match told {
        None => Finding::unknown(NOT_HERE),
        Some((_, 0)) => Finding::unknown("there is no swap"),
        Some((left, whole)) => {
            let free = percent(left, whole);
            let status = by_room(free, health.memory.min_free).min(Status::Warning);
            let words = format!(
                "{} of {} free",
                humane::bytes(left << 10),
                humane::bytes(whole << 10)
            );
            Finding::new(status, words).value(Value::new(100.0 - free, Unit::Percent))
        }
    }
}

/// A line of `/proc/meminfo`: `MemTotal:  16384000 kB`.
fn kib(info: &str, name: &str) -> Option<u64> {
    let rest = info
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    let number: u64 = rest.trim().strip_suffix("kB")?.trim().parse().ok()?;
    (number < 1 << 50).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info(available: u64, swap_free: u64) -> Text {
        Some(format!(
            "MemTotal:        1000000 kB\nMemFree:  5 kB\nMemAvailable:   {available} kB\n\
             SwapTotal:  100000 kB\nSwapFree: {swap_free} kB\n"
        ))
    }

    fn stalls(some: &str, full: &str) -> Text {
        Some(format!(
            "some avg10=99.00 avg60={some} avg300=0.00 total=1\n\
             full avg10=99.00 avg60={full} avg300=0.00 total=1\n"
        ))
    }

    #[test]
    fn waiting_counts_before_what_is_left() {
        let health = Health::default();
        let status = |s, i| memory(&[s, i], &health).status;
        assert_eq!(status(stalls("1.00", "0.00"), info(500_000, 0)), Status::Ok);
        assert_eq!(
            status(stalls("21.00", "0.00"), info(500_000, 0)),
            Status::Warning
        );
        assert_eq!(
            status(stalls("50.00", "20.01"), info(500_000, 0)),
            Status::Failing
        );
        assert_eq!(
            status(stalls("0.00", "0.00"), info(1_000, 0)),
            Status::Warning
        );
        // Kernels without pressure figures.
        assert_eq!(status(None, info(49_000, 0)), Status::Warning);
        assert_eq!(status(None, info(9_000, 0)), Status::Failing);
        assert_eq!(status(None, info(500_000, 0)), Status::Ok);
        assert_eq!(status(None, None), Status::Unknown);
        assert_eq!(
            status(stalls("nonsense", ""), Some("nonsense".into())),
            Status::Unknown
        );
        let told = memory(&[stalls("1.00", "0.00"), info(500_000, 0)], &health);
        assert_eq!(
            told.detail,
            "488.3 MiB of 976.6 MiB available, waited for 1 % of a minute"
        );
        assert_eq!(told.value, Value::new(50.0, Unit::Percent));
    }

    #[test]
    fn swap_only_warns() {
        let health = Health::default();
        assert_eq!(swap(&[info(0, 100_000)], &health).status, Status::Ok);
        assert_eq!(swap(&[info(0, 0)], &health).status, Status::Warning);
        let none = Some("SwapTotal: 0 kB\nSwapFree: 0 kB\n".to_owned());
        assert_eq!(swap(&[none], &health).status, Status::Unknown);
        assert_eq!(swap(&[None], &health).status, Status::Unknown);
    }
}
