//! The difference of two closures, grouped by package as
//! `nix store diff-closures` groups it.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::store_path::StorePath;
use super::version::{compare_versions, parse_drv_name};

/// A package whose versions stay the same is reported from this change of size
/// on, in bytes: the threshold of `nix store diff-closures`.
pub const SIZE_THRESHOLD: u64 = 8 * 1024;

/// One path of a closure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClosureEntry {
    /// The path.
    pub path: StorePath,
    /// Size of its NAR in bytes.
    pub nar_size: u64,
    /// Whether the system asks for it itself (`environment.systemPackages`),
    /// rather than through something else.
    pub direct: bool,
}

/// A package that only one of the closures has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Package {
    /// Its name without version.
    pub name: String,
    /// Its versions, oldest first; an empty one stands for none.
    pub versions: Vec<String>,
    /// NAR bytes of all its paths.
    pub size: u64,
    /// Whether one of its paths is direct.
    pub direct: bool,
}

/// A package that both closures have, with other versions or sizes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PackageChange {
    /// Its name without version.
    pub name: String,
    /// The versions before, oldest first.
    pub old_versions: Vec<String>,
    /// The versions after, oldest first.
    pub new_versions: Vec<String>,
    /// NAR bytes of all its paths before.
    pub old_size: u64,
    /// NAR bytes of all its paths after.
    pub new_size: u64,
    /// Whether one of its paths is direct, before or after.
    pub direct: bool,
}

/// What differs between two closures. Each list is sorted by name.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct ClosureDiff {
    /// Packages only the new one has.
    pub added: Vec<Package>,
    /// Packages only the old one has.
    pub removed: Vec<Package>,
    /// Packages with other versions, or with the same ones and a size that
    /// differs by [`SIZE_THRESHOLD`] or more.
    pub changed: Vec<PackageChange>,
    /// NAR bytes of the old closure.
    pub size_before: u64,
    /// NAR bytes of the new closure.
    pub size_after: u64,
}

impl ClosureDiff {
    /// Whether there is nothing to report.
    pub fn is_empty(&self) -> bool {
        self.added.is_empty() && self.removed.is_empty() && self.changed.is_empty()
    }
}

/// Compares two closures. The order of the entries does not matter; a path given
/// twice counts once.
pub fn diff(before: &[ClosureEntry], after: &[ClosureEntry]) -> ClosureDiff {
    let (mut old, size_before) = group(before);
    let (new, size_after) = group(after);
    let mut diff = ClosureDiff {
        size_before,
        size_after,
        ..ClosureDiff::default()
    };
    for (name, new) in new {
        let Some(old) = old.remove(name) else {
            diff.added.push(new.into_package(name));
            continue;
        };
        let versions_differ = old.versions != new.versions;
        if versions_differ || old.size.abs_diff(new.size) >= SIZE_THRESHOLD {
            diff.changed.push(PackageChange {
                name: name.to_owned(),
                old_size: old.size,
                new_size: new.size,
                direct: old.direct || new.direct,
                old_versions: old.into_versions(),
                new_versions: new.into_versions(),
            });
        }
    }
    diff.removed.extend(
        old.into_iter()
            .map(|(name, group)| group.into_package(name)),
    );
    diff
}

/// The paths of one package.
#[derive(Default)]
struct Group<'a> {
    versions: BTreeSet<&'a str>,
    size: u64,
    direct: bool,
}

impl Group<'_> {
    fn into_versions(self) -> Vec<String> {
        let mut versions: Vec<String> = self.versions.into_iter().map(str::to_owned).collect();
        // Stable, so spellings of one version keep their order as texts.
        versions.sort_by(|a, b| compare_versions(a, b));
        versions
    }

    fn into_package(self, name: &str) -> Package {
        let (size, direct) = (self.size, self.direct);
        Package {
            name: name.to_owned(),
            versions: self.into_versions(),
            size,
            direct,
        }
    }
}

fn group(entries: &[ClosureEntry]) -> (BTreeMap<&str, Group<'_>>, u64) {
    let mut paths: BTreeMap<&StorePath, (u64, bool)> = BTreeMap::new();
    for entry in entries {
        let (size, direct) = paths.entry(&entry.path).or_default();
        *size = (*size).max(entry.nar_size);
        *direct |= entry.direct;
    }
    let mut groups: BTreeMap<&str, Group<'_>> = BTreeMap::new();
    let mut total = 0_u64;
    for (path, (size, direct)) in paths {
        let (name, version) = parse_drv_name(without_output(path.name()));
        let group = groups.entry(name).or_default();
        group.versions.insert(version);
        group.size = group.size.saturating_add(size);
        group.direct |= direct;
        total = total.saturating_add(size);
    }
    (groups, total)
}

/// A name without the output it may end in: `glibc-2.40-bin` is of `glibc-2.40`.
/// Like Nix this takes any last component of small letters for one (and `lib32`,
/// `lib64`), so `hello-unstable` counts as `hello`.
fn without_output(name: &str) -> &str {
    match name.rsplit_once('-') {
        Some((rest, last))
            if matches!(last, "lib32" | "lib64")
                || (!last.is_empty() && last.bytes().all(|b| b.is_ascii_lowercase())) =>
        {
            rest
        }
        _ => name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn entry(digest: u8, name: &str, nar_size: u64) -> ClosureEntry {
        let path = StorePath::from_name_and_digest(name, [digest; 20]).unwrap();
        ClosureEntry {
            path,
            nar_size,
            direct: false,
        }
    }

    #[test]
    fn groups_as_nix_does() {
        let before = [
            entry(1, "glibc-2.39", 100),
            entry(2, "glibc-2.39-bin", 10),
            entry(3, "firefox-128.0.1", 5000),
            entry(4, "old-1.0", 7),
            entry(5, "etc", 1),
            entry(6, "python3-3.9", 1),
            entry(7, "grow-1", 1000),
            entry(8, "stay-1", 1000),
        ];
        let mut after = vec![
            entry(11, "glibc-2.40", 200),
            entry(12, "glibc-2.40-bin", 20),
            entry(13, "firefox-128.0.1", 5000),
            entry(15, "etc", 1),
            entry(16, "python3-3.10", 1),
            entry(17, "python3-3.9", 1),
            entry(18, "new-lib32", 9),
            entry(19, "grow-1", 1000 + SIZE_THRESHOLD),
            entry(20, "stay-1", 999 + SIZE_THRESHOLD),
        ];
        after[0].direct = true;
        after.push(after[0].clone());
        let diff = diff(&before, &after);
        let package = |name: &str, version: &str, size| Package {
            name: name.to_owned(),
            versions: vec![version.to_owned()],
            size,
            direct: false,
        };
        assert_eq!(diff.added, [package("new", "", 9)]);
        assert_eq!(diff.removed, [package("old", "1.0", 7)]);
        let changed: Vec<_> = diff.changed.iter().map(|c| c.name.as_str()).collect();
        assert_eq!(changed, ["glibc", "grow", "python3"]);
        let glibc = &diff.changed[0];
        assert_eq!(
            (glibc.old_size, glibc.new_size, glibc.direct),
            (110, 220, true)
        );
        assert_eq!(diff.changed[2].new_versions, ["3.9", "3.10"]);
        assert_eq!(diff.size_before, 7119);
        assert_eq!(
            diff.size_after,
            100 + 7119 - 7 + 10 + 1 + 9 + 2 * SIZE_THRESHOLD - 1
        );
    }

    #[test]
    fn outputs() {
        for (name, expected) in [
            ("glibc-2.40-bin", "glibc-2.40"),
            ("glibc-2.40-lib64", "glibc-2.40"),
            ("glibc-2.40-66", "glibc-2.40-66"),
            ("nix-env", "nix"),
            ("a-Bin", "a-Bin"),
            ("a-", "a-"),
            ("etc", "etc"),
        ] {
            assert_eq!(without_output(name), expected, "{name}");
        }
    }

    fn entries() -> impl Strategy<Value = Vec<ClosureEntry>> {
        let parts = (
            0..9_u8,
            "[ab](-[12](\\.[0-9])?)?(-bin)?",
            any::<u64>(),
            any::<bool>(),
        );
        prop::collection::vec(parts, 0..12).prop_map(|list| {
            let make = |(digest, name, size, direct): (u8, String, u64, bool)| ClosureEntry {
                direct,
                ..entry(digest, &name, size)
            };
            list.into_iter().map(make).collect()
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1000))]

        #[test]
        fn stable_and_symmetric(mut before in entries(), after in entries()) {
            let forth = diff(&before, &after);
            let back = diff(&after, &before);
            prop_assert_eq!(&forth.added, &back.removed);
            prop_assert_eq!(&forth.removed, &back.added);
            prop_assert_eq!(forth.changed.len(), back.changed.len());
            prop_assert!(diff(&before, &before).is_empty());
            prop_assert!(forth.changed.is_sorted_by_key(|change| change.name.clone()));
            before.reverse();
            prop_assert_eq!(forth, diff(&before, &after));
        }
    }
}
