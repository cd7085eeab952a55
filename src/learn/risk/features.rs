//! A change as numbers, and its numbers in words.

use crate::point::risk::Features;

/// Names of the features, in the order of the model's weights.
pub const NAMES: [&str; 16] = [
    "kernel",
    "initrd",
    "systemd",
    "glibc",
    "bootloader",
    "initInterface",
    "gpu",
    "inhibitors",
    "unitsChanged",
    "unitsRemoved",
    "packages",
    "bytes",
    "bootSpace",
    "storeSpace",
    "sinceGood",
    "neverGood",
];

/// Below this much, a store is short of room.
const STORE_ROOM: u64 = 2 << 30;
/// Days after which more make no difference: the logarithm of some 500.
const MOST_DAYS: f64 = 9.0;

/// The values of the features. What is not known is as usual, so that it is a
/// reason for nothing.
pub(super) fn values(f: &Features, usual: &[f64]) -> Vec<f64> {
    let yes = |on: bool| f64::from(u8::from(on));
    let unknown = |name: &str| {
        let place = NAMES.iter().position(|n| *n == name);
        place.and_then(|n| usual.get(n)).copied().unwrap_or(0.0)
    };
    NAMES
        .into_iter()
        .map(|name| match name {
            "kernel" => yes(f.kernel),
            "initrd" => yes(f.initrd),
            "systemd" => yes(f.systemd),
            "glibc" => yes(f.glibc),
            "bootloader" => yes(f.bootloader),
            "initInterface" => yes(f.init_interface),
            "gpu" => yes(f.gpu),
            "inhibitors" => yes(f.inhibitors > 0),
            "unitsChanged" => doublings(u64::from(f.units_changed)),
            "unitsRemoved" => doublings(u64::from(f.units_removed)),
            "packages" => f
                .packages
                .map_or_else(|| unknown(name), |n| doublings(u64::from(n))),
            "bytes" => f
                .bytes
                .map_or_else(|| unknown(name), |n| doublings(n >> 20)),
            "bootSpace" => short(f.boot_free, f.boot_needs.saturating_mul(2)),
            "storeSpace" => short(f.store_free, STORE_ROOM),
            "sinceGood" => f
                .since_good
                .map_or_else(|| unknown(name), |s| doublings(s / 86_400).min(MOST_DAYS)),
            _ => yes(f.since_good.is_none()),
        })
        .collect()
}

/// How often 1 doubles to reach 1 + n.
fn doublings(n: u64) -> f64 {
    (n as f64 + 1.0).log2()
}

/// How short something is of what would be enough: 0 not at all, 1 wholly.
fn short(free: Option<u64>, enough: u64) -> f64 {
    match free {
        Some(free) if free < enough => 1.0 - free as f64 / enough as f64,
        _ => 0.0,
    }
}

fn bytes(n: u64) -> String {
    match n >> 20 {
        mib if mib < 10_240 => format!("{mib} MiB"),
        mib => format!("{} GiB", mib >> 10),
    }
}

/// A feature of a change in words.
pub(super) fn words(name: &str, f: &Features) -> String {
    let several = |n: u32, what: &str, did: &str| {
        let s = if n == 1 { "" } else { "s" };
        format!("{n} {what}{s} {did}")
    };
    let free = |free: Option<u64>| bytes(free.unwrap_or(0));
    match name {
        "kernel" => "another kernel".to_owned(),
        "initrd" => "another initial RAM disk".to_owned(),
        "systemd" => "another systemd".to_owned(),
        "glibc" => "another C library".to_owned(),
        "bootloader" => "another boot loader".to_owned(),
        "initInterface" => "another init interface: it needs a reboot".to_owned(),
        "gpu" => "other graphics drivers".to_owned(),
        "inhibitors" => several(f.inhibitors, "value", "changed that forbid a switch"),
        "unitsChanged" => several(f.units_changed, "unit", "changed or new"),
        "unitsRemoved" => several(f.units_removed, "unit", "removed"),
        "packages" => several(f.packages.unwrap_or(0), "package", "differ"),
        "bytes" => format!("{} of new content", bytes(f.bytes.unwrap_or(0))),
        "bootSpace" => format!(
            "/boot has {} free, and the kernel needs {}",
            free(f.boot_free),
            bytes(f.boot_needs)
        ),
        "storeSpace" => format!("the store has {} free", free(f.store_free)),
        "sinceGood" => {
            let days = f.since_good.unwrap_or(0) / 86_400;
            let s = if days == 1 { "" } else { "s" };
            format!("{days} day{s} since a switch was found good")
        }
        _ => "no switch was found good yet".to_owned(),
    }
}
