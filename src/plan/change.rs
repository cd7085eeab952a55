//! What a switch from one system to another changes, as far as it says
//! something of how that will go.

use std::collections::BTreeSet;
use std::path::PathBuf;

use crate::nix::closure::{self, ClosureEntry};
use crate::nix::side::Side;
use crate::nix::version::parse_drv_name;
use crate::point::event::Traits;
use crate::point::risk::Features;

/// What changes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Change {
    /// As figures. Free room and the time since are not known here.
    pub features: Features,
    /// As names.
    pub traits: Traits,
}

/// More names of a kind are not kept: what changes everything has no pattern.
const MOST_NAMES: usize = 100;

/// Packages that install the boot loader, by the beginning of their names.
const BOOT_LOADERS: [&str; 9] = [
    "extlinux-conf-builder",
    "grub",
    "install-grub",
    "install-systemd-boot",
    "lanzaboote",
    "limine",
    "lzbt",
    "refind",
    "systemd-boot",
];

/// Packages of graphics cards, likewise.
const GRAPHICS: [&str; 6] = [
    "amdgpu",
    "linux-firmware",
    "mesa",
    "nvidia-",
    "nvidia_",
    "xf86-video",
];

/// Compares two systems.
pub fn compare(old: &Side, new: &Side) -> Change {
    let differ = |a: &Option<PathBuf>, b: &Option<PathBuf>| a != b;
    let removed = names(old.units.keys().filter(|u| !new.units.contains_key(*u)));
    let changed = names(
        new.units
            .iter()
            .filter(|(unit, by)| old.units.get(*unit) != Some(by))
            .map(|(unit, _)| unit),
    );
    let boots_other = differ(&old.kernel, &new.kernel) || differ(&old.initrd, &new.initrd);
    let mut features = Features {
        kernel: differ(&old.kernel, &new.kernel),
        initrd: differ(&old.initrd, &new.initrd),
        systemd: differ(&old.systemd, &new.systemd),
        init_interface: matches!(
            (&old.init_interface, &new.init_interface),
            (Some(a), Some(b)) if a != b
        ),
        // As NixOS does: a value that is only in one of them forbids nothing.
        inhibitors: count(
            old.inhibitors
                .iter()
                .filter(|(name, value)| new.inhibitors.get(*name).is_some_and(|v| v != *value)),
        ),
        units_changed: count(&changed),
        units_removed: count(&removed),
        boot_needs: if boots_other { new.boot_bytes } else { 0 },
        ..Features::default()
    };
    let mut traits = Traits::new();
    let mut name = |kind: &str, names: &[String]| {
        if names.len() <= MOST_NAMES {
            traits.extend(names.iter().map(|name| format!("{kind}:{name}")));
        }
    };
    name("unit", &changed);
    name("unit", &removed);
    if features.kernel
        && let Some(version) = &new.kernel_version
    {
        name("kernel", std::slice::from_ref(version));
    }
    if let (Some(before), Some(after)) = (&old.closure, &new.closure) {
        name("package", &packages(before, after, &mut features));
    }
    Change { features, traits }
}

/// Fills in what the closures say; gives the names of the packages that differ.
fn packages(
    before: &[ClosureEntry],
    after: &[ClosureEntry],
    features: &mut Features,
) -> Vec<String> {
    let diff = closure::diff(before, after);
    let differing: BTreeSet<&str> = diff
        .added
        .iter()
        .chain(&diff.removed)
        .map(|p| p.name.as_str())
        .chain(diff.changed.iter().map(|p| p.name.as_str()))
        // The system itself always differs.
        .filter(|name| !name.starts_with("nixos-system-"))
        .collect();
    let old: BTreeSet<_> = before.iter().map(|e| &e.path).collect();
    let new: BTreeSet<_> = after.iter().map(|e| &e.path).collect();
    // By path, not by version: a rebuild of the same version is another one.
    let others: Vec<&str> = old
        .symmetric_difference(&new)
        .map(|path| parse_drv_name(path.name()).0)
        .collect();
    let other = |prefixes: &[&str]| {
        let is = |name: &&str| prefixes.iter().any(|prefix| name.starts_with(prefix));
        others.iter().any(is)
    };
    features.glibc = others.contains(&"glibc");
    features.bootloader = other(&BOOT_LOADERS);
    features.gpu = other(&GRAPHICS);
    features.packages = Some(count(&differing));
    features.bytes = Some(
        after
            .iter()
            .filter(|e| !old.contains(&e.path))
            .fold(0, |sum, e| sum.saturating_add(e.nar_size)),
    );
    differing.into_iter().map(str::to_owned).collect()
}

fn names<'n>(names: impl Iterator<Item = &'n String>) -> Vec<String> {
    names.cloned().collect()
}

fn count(things: impl IntoIterator) -> u32 {
    u32::try_from(things.into_iter().count()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::nix::store_path::StorePath;

    fn entry(digest: u8, name: &str) -> ClosureEntry {
        ClosureEntry {
            path: StorePath::from_name_and_digest(name, [digest; 20]).unwrap(),
            nar_size: 1 << 20,
            direct: false,
        }
    }

    fn side(kernel: &str, units: &[(&str, &str)], closure: &[(u8, &str)]) -> Side {
        Side {
            kernel: Some(kernel.into()),
            kernel_version: Some(kernel.to_owned()),
            systemd: Some("systemd".into()),
            init_interface: Some("systemd 2".to_owned()),
            inhibitors: BTreeMap::from([("dbus".to_owned(), "broker".to_owned())]),
            units: units
                .iter()
                .map(|(unit, by)| ((*unit).to_owned(), (*by).to_owned()))
                .collect(),
            boot_bytes: 60 << 20,
            closure: Some(closure.iter().map(|(d, n)| entry(*d, n)).collect()),
            ..Side::default()
        }
    }

    #[test]
    fn a_system_is_like_itself() {
        let one = side("6.12", &[("a.service", "1")], &[(1, "glibc-2.40")]);
        let same = compare(&one, &one);
        let nothing = Features {
            packages: Some(0),
            bytes: Some(0),
            ..Features::default()
        };
        assert_eq!(same.features, nothing);
        assert!(same.traits.is_empty());
    }

    #[test]
    fn what_changes_is_counted_and_named() {
        let old = side(
            "6.12",
            &[("a.service", "1"), ("b.service", "1"), ("c.timer", "1")],
            &[
                (1, "glibc-2.40"),
                (2, "openssl-3.4"),
                (9, "nixos-system-x-1"),
            ],
        );
        let mut new = side(
            "6.18",
            &[("a.service", "2"), ("b.service", "1"), ("d.service", "1")],
            &[
                (1, "glibc-2.40"),
                (3, "openssl-3.5"),
                (4, "nvidia-x11-570"),
                (5, "systemd-boot-257"),
                (8, "nixos-system-x-2"),
            ],
        );
        new.inhibitors = BTreeMap::from([
            ("dbus".to_owned(), "dbus".to_owned()),
            ("new".to_owned(), "x".to_owned()),
        ]);
        let Change { features, traits } = compare(&old, &new);
        assert!(features.kernel && !features.systemd && !features.glibc);
        assert!(features.gpu && features.bootloader);
        assert_eq!((features.units_changed, features.units_removed), (2, 1));
        assert_eq!((features.inhibitors, features.boot_needs), (1, 60 << 20));
        assert_eq!(
            (features.packages, features.bytes),
            (Some(3), Some(4 << 20))
        );
        let all: Vec<&str> = traits.iter().map(String::as_str).collect();
        assert_eq!(
            all,
            [
                "kernel:6.18",
                "package:nvidia-x11",
                "package:openssl",
                "package:systemd-boot",
                "unit:a.service",
                "unit:c.timer",
                "unit:d.service"
            ]
        );
    }

    #[test]
    fn what_the_store_does_not_say_is_absent() {
        let old = side("6.12", &[], &[(1, "glibc-2.40")]);
        let new = Side {
            closure: None,
            ..side("6.12", &[], &[])
        };
        let features = compare(&old, &new).features;
        assert_eq!((features.packages, features.bytes), (None, None));
        assert!(!features.glibc);
    }

    #[test]
    fn the_same_version_built_anew_is_another_libc() {
        let features = compare(
            &side("6.12", &[], &[(1, "glibc-2.40-66")]),
            &side("6.12", &[], &[(2, "glibc-2.40-66")]),
        )
        .features;
        assert!(features.glibc);
    }
}
