//! Services that do not stay up: systemd starts them again and again.

use super::{listed, units};
use crate::health::{Finding, seen};
use crate::point::health::{Status, Value};
use crate::point::policy::Health;

/// Services that wait to be started again, or were so a moment ago.
pub(in crate::health) fn restarting(seen: &seen::Units, health: &Health) -> Finding {
    let mut loops: Vec<String> = seen
        .restarting
        .iter()
        .chain(&seen.flapping)
        .cloned()
        .collect();
    loops.retain(|unit| !units::is_ignored(unit, health));
    loops.sort();
    loops.dedup();
    let finding = match loops.len() {
        0 => Finding::new(Status::Ok, "all stay up"),
        _ => Finding::new(Status::Failing, format!("{} started again", listed(&loops))),
    };
    finding.value(Value::count(loops.len())).subjects(loops)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_that_comes_up_again_and_again_is_told_once() {
        let health = Health::default();
        let seen = seen::Units {
            restarting: vec!["a.service".into()],
            flapping: vec!["a.service".into(), "b.service".into()],
            ..seen::Units::default()
        };
        let finding = restarting(&seen, &health);
        assert_eq!(finding.subjects, ["a.service", "b.service"]);
        assert_eq!(finding.detail, "a.service, b.service started again");
        let none = restarting(&seen::Units::default(), &health);
        assert_eq!(none.status, Status::Ok);
    }
}
