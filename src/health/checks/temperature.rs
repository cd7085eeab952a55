//! Temperatures.

use super::{NOT_HERE, listed};
use crate::health::{Finding, seen::Sensor};
use crate::point::health::{Status, Unit, Value};
use crate::point::policy::Health;

/// How far below its limit a sensor is warm.
const MARGIN: f64 = 10.0;

/// The sensor that is nearest to its limit, and those that are too near.
pub(in crate::health) fn temperature(seen: &[Sensor], health: &Health) -> Finding {
    let max = f64::from(health.temperature.max);
    let read: Vec<(&Sensor, f64, f64)> = seen
        .iter()
        .filter_map(|sensor| {
            // Some drivers make numbers up for what is not connected.
            let now = degrees(&sensor.input).filter(|d| (-40.0..150.0).contains(d))?;
            let critical = sensor.critical.as_deref().and_then(degrees);
            let limit = critical
                .filter(|d| (40.0..130.0).contains(d))
                .unwrap_or(max);
            Some((sensor, now, limit))
        })
        .collect();
    let nearest = read
        .iter()
        .min_by(|a, b| (a.2 - a.1).total_cmp(&(b.2 - b.1)));
    let Some((sensor, now, limit)) = nearest else {
        return Finding::unknown(NOT_HERE);
    };
    let hot = |margin: f64| -> Vec<String> {
        read.iter()
            .filter(|(_, now, limit)| *now >= limit - margin)
            .map(|(sensor, _, _)| sensor.name.clone())
            .collect()
    };
    let (failing, warm) = (hot(0.0), hot(MARGIN));
    let (status, at_fault) = match (failing.is_empty(), warm.is_empty()) {
        (false, _) => (Status::Failing, failing),
        (true, false) => (Status::Warning, warm),
        (true, true) => (Status::Ok, Vec::new()),
    };
    let mut words = format!("{} {now:.0} °C, critical at {limit:.0} °C", sensor.name);
    if at_fault.len() > 1 {
        words = format!("{words}; hot: {}", listed(&at_fault));
    }
    Finding::new(status, words)
        .value(Value::new(*now, Unit::Celsius))
        .subjects(at_fault)
}

fn degrees(text: &str) -> Option<f64> {
    let thousandths: i32 = text.trim().parse().ok()?;
    Some(f64::from(thousandths) / 1000.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sensor(name: &str, input: &str, critical: Option<&str>) -> Sensor {
        Sensor {
            name: name.into(),
            input: input.into(),
            critical: critical.map(Into::into),
        }
    }

    #[test]
    fn the_nearest_to_its_own_limit_speaks() {
        let health = Health::default();
        let of = |list: &[Sensor]| temperature(list, &health);
        let cool = sensor("acpitz", "45000\n", Some("105000"));
        let told = of(&[cool.clone(), sensor("nvme", "70000", Some("84800"))]);
        assert_eq!(
            (told.status, &*told.detail),
            (Status::Ok, "nvme 70 °C, critical at 85 °C")
        );
        let told = of(&[cool.clone(), sensor("nvme", "75000", Some("84800"))]);
        assert_eq!(
            (told.status, told.subjects),
            (Status::Warning, vec!["nvme".to_owned()])
        );
        let told = of(&[cool.clone(), sensor("cpu", "100000", Some("100000"))]);
        assert_eq!(
            (told.status, told.subjects),
            (Status::Failing, vec!["cpu".to_owned()])
        );
        // Without a limit of its own the policy's holds.
        assert_eq!(of(&[sensor("x", "95000", None)]).status, Status::Failing);
        assert_eq!(
            of(&[sensor("x", "86000", Some("65261850"))]).status,
            Status::Warning
        );
    }

    #[test]
    fn numbers_that_are_made_up_do_not_count() {
        let health = Health::default();
        let list = [
            sensor("a", "-274000", None),
            sensor("b", "255000", None),
            sensor("c", "warm", None),
            sensor("d", "99999999999", None),
        ];
        assert_eq!(temperature(&list, &health).status, Status::Unknown);
        assert_eq!(temperature(&[], &health).status, Status::Unknown);
    }
}
