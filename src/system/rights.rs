//! What this process may do at all.

use std::fs;

/// `CAP_SYS_ADMIN`'s bit, from `linux/capability.h`.
const SYS_ADMIN: u32 = 21;

/// Whether this process was confined by whoever started it, as the module's
/// units for routine work are: it can gain no rights, and lacks those that
/// commands of the policy and snapshots may need. What cannot be told is no.
pub fn are_confined() -> bool {
    fs::read_to_string("/proc/self/status").is_ok_and(|status| is_confined(&status))
}

fn is_confined(status: &str) -> bool {
    let value = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        line.map(str::trim)
    };
    let bounding = value("CapBnd:").and_then(|hex| u64::from_str_radix(hex, 16).ok());
    value("NoNewPrivs:") == Some("1") && bounding.is_some_and(|set| set & (1 << SYS_ADMIN) == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_who_can_gain_nothing_and_has_little_is_confined() {
        let status = |set: &str, no_new: u8| {
            format!("Name:\tcairn\nCapBnd:\t{set}\nNoNewPrivs:\t{no_new}\n")
        };
        assert!(is_confined(&status("0000000000000006", 1)));
        assert!(!is_confined(&status("000001ffffffffff", 1)));
        assert!(!is_confined(&status("0000000000000006", 0)));
        assert!(!is_confined(""));
    }
}
