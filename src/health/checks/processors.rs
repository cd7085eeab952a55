//! Processors: what waits for one, and the load.

use super::{NOT_HERE, pressure as stalls};
use crate::health::Finding;
use crate::health::seen::Text;
use crate::point::health::{Status, Unit, Value};
use crate::point::policy::Health;

/// `/proc/pressure/cpu`: how long something waits for a processor.
pub(in crate::health) fn pressure(texts: &[Text], health: &Health) -> Finding {
    let told = texts.first().and_then(Option::as_deref).and_then(|text| {
        Some((
            stalls(text, "some", "avg60")?,
            stalls(text, "some", "avg300")?,
        ))
    });
    let Some((minute, five)) = told else {
        return Finding::unknown(NOT_HERE);
    };
    Finding::new(
        lasting(minute, five, f64::from(health.cpu.max_pressure)),
        format!("waited for {minute:.0} % of a minute"),
    )
    .value(Value::new(minute, Unit::Percent))
}

/// `/proc/loadavg` and the processors that are online.
pub(in crate::health) fn load(texts: &[Text], health: &Health) -> Finding {
    let [Some(load), online] = texts else {
        return Finding::unknown(NOT_HERE);
    };
    let cores = online.as_deref().and_then(cores);
    let mut numbers = load
        .split_ascii_whitespace()
        .map_while(|word| word.parse::<f64>().ok().filter(|n| n.is_finite()));
    let (Some(minute), Some(quarter), Some(cores)) = (numbers.next(), numbers.nth(1), cores) else {
        return Finding::unknown(NOT_HERE);
    };
    let (each, lasted) = (minute / f64::from(cores), quarter / f64::from(cores));
    let s = if cores == 1 { "" } else { "s" };
    Finding::new(
        lasting(each, lasted, f64::from(health.cpu.max_load)),
        format!("{minute:.2} on {cores} core{s}"),
    )
    .value(Value::new(each, Unit::PerCore))
}

/// Too much warns; for long it fails.
fn lasting(now: f64, long: f64, most: f64) -> Status {
    match (now > most, long > most) {
        (true, true) => Status::Failing,
        (true, false) => Status::Warning,
        (false, _) => Status::Ok,
    }
}

/// How many processors a list such as `0-3,6` names.
fn cores(list: &str) -> Option<u32> {
    let mut all = 0u32;
    for part in list.trim().split(',') {
        let (from, to) = part.split_once('-').unwrap_or((part, part));
        let (from, to): (u32, u32) = (from.parse().ok()?, to.parse().ok()?);
        all = all.checked_add(to.checked_sub(from)?.checked_add(1)?)?;
    }
    Some(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_of_pressure_warns_and_five_minutes_fail() {
        let health = Health::default();
        let of = |minute: &str, five: &str| {
            let text = format!("some avg10=0.00 avg60={minute} avg300={five} total=9\n");
            pressure(&[Some(text)], &health).status
        };
        assert_eq!(of("80.00", "99.00"), Status::Ok);
        assert_eq!(of("80.01", "10.00"), Status::Warning);
        assert_eq!(of("95.00", "90.00"), Status::Failing);
        assert_eq!(pressure(&[None], &health).status, Status::Unknown);
        assert_eq!(of("NaN", "1"), Status::Unknown);
    }

    #[test]
    fn load_is_shared_by_the_cores() {
        let health = Health::default();
        let of = |load: &str, online: &str| load_of(load, online, &health);
        fn load_of(load_text: &str, online: &str, health: &Health) -> (Status, Option<Value>) {
            let told = load(&[Some(load_text.into()), Some(online.into())], health);
            (told.status, told.value)
        }
        assert_eq!(
            of("8.00 8.00 8.00 1/200 9\n", "0-3\n"),
            (Status::Ok, Value::new(2.0, Unit::PerCore))
        );
        assert_eq!(of("9.00 1 1.00 1/200 9", "0,3").0, Status::Warning);
        assert_eq!(of("9.00 9 9.00 1/200 9", "0-1").0, Status::Failing);
        assert_eq!(of("", "0").0, Status::Unknown);
        assert_eq!(of("1 1 1", "3-0").0, Status::Unknown);
        assert_eq!(cores("0-3,6,8-9"), Some(7));
        assert_eq!(cores("0-4294967295"), None);
    }
}
