//! What the module's units may do, by systemd's own measure.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::need;

/// The most that a unit may be exposed, of 10.
const MOST: f64 = 3.0;

/// Units whose job allows no less, and why: `docs/security.md` says so, too.
const OPEN: &[(&str, &str)] = &[
    ("cairn-boot.service", "it switches the system back"),
    ("cairn-switched.service", "it switches the system back"),
    (
        "cairn-heal.service",
        "it restarts units and switches the system",
    ),
    (
        "cairn-point-daily.service",
        "it stops units, and runs the commands of state sets",
    ),
];

fn units() -> Vec<PathBuf> {
    let rendered = Path::new(env!("CARGO_MANIFEST_DIR")).join("nixos-tests/bed/rendered");
    let mut folders = vec![rendered];
    let mut found = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap().flatten() {
            let path = entry.path();
            match path.is_dir() {
                true => folders.push(path),
                false if path.extension().is_some_and(|e| e == "service") => found.push(path),
                false => {}
            }
        }
    }
    found
}

fn exposure(unit: &Path) -> f64 {
    // systemd wants the program to be there.
    let text = fs::read_to_string(unit).unwrap();
    let lines: Vec<&str> = text
        .lines()
        .map(|line| match line.starts_with("ExecStart=") {
            true => "ExecStart=/bin/true",
            false => line,
        })
        .collect();
    let dir = tempfile::tempdir().unwrap();
    let copy = dir.path().join(unit.file_name().unwrap());
    fs::write(&copy, lines.join("\n")).unwrap();
    let out = Command::new("systemd-analyze")
        .args(["security", "--offline=true", "--no-pager"])
        .arg(&copy)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&out.stdout).into_owned();
    let level = said
        .lines()
        .find_map(|line| line.split("exposure level for ").nth(1)?.split(": ").nth(1))
        .unwrap_or_else(|| panic!("{said}{}", String::from_utf8_lossy(&out.stderr)));
    level.split(' ').next().unwrap().parse().unwrap()
}

#[test]
fn units_may_do_little_but_for_those_whose_job_it_is() {
    if !need(&["systemd-analyze"]) {
        return;
    }
    let mut seen = BTreeMap::new();
    for unit in units() {
        let name = unit.file_name().unwrap().to_string_lossy().into_owned();
        let level = exposure(&unit);
        println!("{level:4.1} {name}");
        seen.insert(name, level);
    }
    for job in [
        "cairn-push-office",
        "cairn-push-disk",
        "cairn-prune-office",
        "cairn-prune-disk",
        "cairn-check-disk",
        "cairn-metrics",
        "cairn-serve",
        "cairn-prune",
        "cairn-verify",
    ] {
        assert!(seen.contains_key(&format!("{job}.service")), "{job}");
    }
    let documented = include_str!("../../docs/security.md");
    for (name, level) in &seen {
        match OPEN.iter().find(|(open, _)| open == name) {
            Some((_, why)) => assert!(documented.contains(why), "{name}: {why}"),
            None => assert!(*level <= MOST, "{name}: {level}"),
        }
    }
}
