//! Room on filesystems.

use super::{NOT_HERE, by_room, percent};
use crate::health::{Finding, seen::Space};
use crate::point::health::{Status, Unit, Value};
use crate::point::humane;
use crate::point::policy::Health;

/// So much room is enough on a disk of any size.
const ENOUGH: u64 = 50 << 30;

/// Bytes.
pub(in crate::health) fn bytes_left(seen: &[Space], health: &Health) -> Vec<Finding> {
    each(seen, |space| {
        if space.bytes == 0 {
            return None;
        }
        let free = percent(space.bytes_free, space.bytes);
        let words = format!(
            "{} of {} free",
            humane::bytes(space.bytes_free),
            humane::bytes(space.bytes)
        );
        let (status, words) = if space.read_only {
            (Status::Failing, format!("mounted read-only; {words}"))
        } else if space.bytes_free >= ENOUGH {
            (Status::Ok, words)
        } else {
            (by_room(free, health.disk.min_free), words)
        };
        let mut finding =
            Finding::new(status, words).value(Value::new(100.0 - free, Unit::Percent));
        if space.read_only {
            finding = finding.subjects(["read-only".to_owned()]);
        }
        Some(finding)
    })
}

/// Inodes; filesystems that make them as needed have none to count.
pub(in crate::health) fn inodes_left(seen: &[Space], health: &Health) -> Vec<Finding> {
    each(seen, |space| {
        if space.inodes == 0 {
            return None;
        }
        let free = percent(space.inodes_free, space.inodes);
        let status = by_room(free, health.disk.min_free);
        let words = format!("{} of {} free", space.inodes_free, space.inodes);
        Some(Finding::new(status, words).value(Value::new(100.0 - free, Unit::Percent)))
    })
}

fn each(seen: &[Space], judge: impl Fn(&Space) -> Option<Finding>) -> Vec<Finding> {
    let found: Vec<Finding> = seen
        .iter()
        .filter_map(|space| Some(judge(space)?.of(&space.path)))
        .collect();
    if found.is_empty() {
        return vec![Finding::unknown(NOT_HERE)];
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn disk(path: &str, bytes: u64, free: u64) -> Space {
        Space {
            path: path.to_owned(),
            bytes,
            bytes_free: free,
            inodes: 1000,
            inodes_free: 15,
            ..Space::default()
        }
    }

    #[test]
    fn room_is_judged_by_its_share_unless_there_is_plenty() {
        let health = Health::default();
        let gib = 1 << 30;
        for (bytes, free, status) in [
            (100 * gib, 11 * gib, Status::Ok),
            (100 * gib, 9 * gib, Status::Warning),
            (100 * gib, 2 * gib, Status::Warning),
            (100 * gib, gib, Status::Failing),
            (100 * gib, 0, Status::Failing),
            (10_000 * gib, 60 * gib, Status::Ok),
        ] {
            let found = bytes_left(&[disk("/", bytes, free)], &health);
            assert_eq!(found[0].status, status, "{free} of {bytes}");
        }
        let found = bytes_left(&[disk("/nix", 10 * gib, gib / 2)], &health);
        assert_eq!(found[0].detail, "512.0 MiB of 10.0 GiB free");
        assert_eq!(found[0].of.as_deref(), Some("/nix"));
        assert_eq!(found[0].value, Value::new(95.0, Unit::Percent));
    }

    #[test]
    fn inodes_are_judged_too_and_btrfs_has_none() {
        let health = Health::default();
        let mut space = disk("/", 1 << 40, 1 << 39);
        assert_eq!(
            inodes_left(std::slice::from_ref(&space), &health)[0].status,
            Status::Failing
        );
        space.inodes_free = 50;
        assert_eq!(
            inodes_left(std::slice::from_ref(&space), &health)[0].status,
            Status::Warning
        );
        space.inodes = 0;
        assert_eq!(inodes_left(&[space], &health)[0].status, Status::Unknown);
    }

    #[test]
    fn a_disk_that_turned_read_only_fails_however_much_is_free() {
        let mut space = disk("/nix", 1 << 40, 1 << 40);
        space.read_only = true;
        let found = bytes_left(&[space], &Health::default());
        assert_eq!(found[0].status, Status::Failing);
        assert!(found[0].detail.starts_with("mounted read-only"));
    }
}
