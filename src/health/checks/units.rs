//! Units that failed.

use super::listed;
use crate::health::{Finding, seen};
use crate::nix::loader::glob;
use crate::point::health::{Status, Value};
use crate::point::policy::Health;

/// Whether the policy has a unit left out.
pub(crate) fn is_ignored(unit: &str, health: &Health) -> bool {
    // Names of units hold `\x2d` and its like, and mean it.
    let matches = |pattern: &String| glob::matches(&pattern.replace('\\', "\\\\"), unit);
    health.ignore_units.iter().any(matches)
}

/// Units that failed and stay so.
pub(in crate::health) fn failed(seen: &seen::Units, health: &Health) -> Finding {
    let failed: Vec<String> = seen
        .failed
        .iter()
        .filter(|unit| !is_ignored(unit, health))
        .cloned()
        .collect();
    let finding = match failed.len() {
        0 => Finding::new(Status::Ok, "none failed"),
        _ => Finding::new(Status::Failing, format!("{} failed", listed(&failed))),
    };
    finding.value(Value::count(failed.len())).subjects(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failed_units_are_named_and_ignored_ones_are_not() {
        let mut health = Health::default();
        let mut seen = seen::Units::default();
        assert_eq!(failed(&seen, &health).status, Status::Ok);
        seen.failed = ["a", "b", "c", "d"].map(|n| format!("{n}.service")).into();
        let finding = failed(&seen, &health);
        assert_eq!(finding.status, Status::Failing);
        assert_eq!(
            finding.detail,
            "a.service, b.service, c.service and 1 more failed"
        );
        assert_eq!(finding.subjects.len(), 4);
        health.ignore_units = vec!["?.service".into()];
        assert_eq!(failed(&seen, &health).status, Status::Ok);
        health.ignore_units = vec!["a.*".into()];
        assert_eq!(failed(&seen, &health).subjects.len(), 3);
        health.ignore_units = vec![r"dev-a\x2d*".into()];
        assert!(is_ignored(r"dev-a\x2db.swap", &health));
    }
}
