//! The score.
//!
//! Each check counts once, by its weight, with the worst it says of anything:
//! 1 when all is well, ½ when it warns, 0 when it fails. What is unknown does
//! not count. The score is 100 times the weighted mean, rounded down. A
//! required failure holds it below the least score of a healthy machine.

use std::collections::BTreeMap;

use super::table;
use crate::point::health::{Status, Verdict};

/// The score of these verdicts, 0 to 100; `None` when nothing is known.
/// `least` is the least score of a healthy machine.
pub fn score(verdicts: &[Verdict], least: u8) -> Option<u8> {
    let mut worst: BTreeMap<&str, Status> = BTreeMap::new();
    for verdict in verdicts {
        let status = worst.entry(&verdict.name).or_insert(verdict.status);
        *status = (*status).max(verdict.status);
    }
    let (mut points, mut whole) = (0, 0);
    for (name, status) in worst {
        let weight = table::check(name).map_or(table::OWN_WEIGHT, |check| check.weight);
        let half_points = match status {
            Status::Unknown => continue,
            Status::Ok => 2,
            Status::Warning => 1,
            Status::Failing => 0,
        };
        points += weight * half_points;
        whole += weight * 2;
    }
    let mean = (points * 100).checked_div(whole)?;
    let score = u8::try_from(mean).unwrap_or(100);
    let broken = verdicts
        .iter()
        .any(|v| v.required && v.status == Status::Failing);
    Some(if broken {
        score.min(least.saturating_sub(1))
    } else {
        score
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn verdict(name: &str, required: bool, status: Status) -> Verdict {
        Verdict {
            name: name.to_owned(),
            of: None,
            required,
            status,
            value: None,
            detail: String::new(),
            subjects: Vec::new(),
        }
    }

    #[test]
    fn what_is_unknown_does_not_count_and_nothing_known_has_no_score() {
        let of = |list: &[Verdict]| score(list, 50);
        assert_eq!(of(&[]), None);
        assert_eq!(of(&[verdict("time", false, Status::Unknown)]), None);
        let both = [
            verdict("time", false, Status::Unknown),
            verdict("disk", true, Status::Ok),
        ];
        assert_eq!(of(&both), Some(100));
    }

    #[test]
    fn a_warning_costs_half_and_the_worst_of_a_check_counts_once() {
        let disk = table::check("disk").unwrap().weight;
        let swap = table::check("swap").unwrap().weight;
        let list = [
            verdict("disk", true, Status::Ok),
            verdict("disk", true, Status::Warning),
            verdict("swap", false, Status::Ok),
        ];
        let wanted = (disk + 2 * swap) * 100 / (2 * (disk + swap));
        assert_eq!(score(&list, 50), Some(u8::try_from(wanted).unwrap()));
    }

    #[test]
    fn a_required_failure_makes_the_machine_unhealthy_whatever_else_is_well() {
        let mut list: Vec<Verdict> = table::CHECKS
            .iter()
            .map(|c| verdict(c.name, c.required, Status::Ok))
            .collect();
        assert_eq!(score(&list, 50), Some(100));
        let inodes = list.iter_mut().find(|v| v.name == "inodes").unwrap();
        inodes.status = Status::Failing;
        assert_eq!(score(&list, 50), Some(49));
        assert_eq!(score(&list, 1), Some(0));
    }

    proptest! {
        #[test]
        fn worse_is_never_more(
            picks in proptest::collection::vec((0usize..table::CHECKS.len(), 0u8..4), 1..30),
            at in 0usize..30,
        ) {
            let status = |n| [Status::Unknown, Status::Ok, Status::Warning, Status::Failing][usize::from(n)];
            let mut list: Vec<Verdict> = picks
                .iter()
                .map(|(c, s)| {
                    let check = &table::CHECKS[*c];
                    verdict(check.name, check.required, status(*s))
                })
                .collect();
            let before = score(&list, 50);
            let n = at % list.len();
            if list[n].status != Status::Unknown {
                list[n].status = Status::Failing;
                let after = score(&list, 50);
                prop_assert!(after <= before, "{:?} {:?}", before, after);
            }
        }
    }
}
