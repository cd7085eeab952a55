//! Copies of the restore points on remotes.

use crate::health::{Finding, seen::Copies};
use crate::point::health::Status;
use crate::point::humane;

/// How old the newest copy on each remote is.
pub(in crate::health) fn age(seen: &[Copies]) -> Vec<Finding> {
    if seen.is_empty() {
        return vec![Finding::unknown(
            "no remote of the policy says how old they may be",
        )];
    }
    seen.iter().map(one).collect()
}

fn one(seen: &Copies) -> Finding {
    let most = humane::duration(seen.most);
    let (status, words) = match seen.age {
        None => (Status::Failing, "nothing was sent yet".to_owned()),
        Some(age) => {
            let status = match age > seen.most {
                true => Status::Failing,
                false => Status::Ok,
            };
            let age = humane::duration(age);
            (
                status,
                format!("the newest is {age} old, of {most} at most"),
            )
        }
    };
    Finding::new(status, words).of(&seen.remote)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_copy_is_old_beyond_its_time_and_none_is_too() {
        let hour = Duration::from_secs(3600);
        let seen = |age| Copies {
            remote: "office".into(),
            age,
            most: 2 * hour,
        };
        let status = |age| age_of(&[seen(age)])[0].status;
        assert_eq!(status(Some(hour)), Status::Ok);
        assert_eq!(status(Some(3 * hour)), Status::Failing);
        assert_eq!(status(None), Status::Failing);
        assert_eq!(age_of(&[])[0].status, Status::Unknown);
    }

    fn age_of(seen: &[Copies]) -> Vec<Finding> {
        super::age(seen)
    }
}
