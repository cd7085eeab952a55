//! Control groups: one per running bed, or all containers would share one.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// Where this machine mounts the hierarchies a container needs: the unified
/// one, and on older machines the one that systemd names.
pub fn mounts() -> Vec<PathBuf> {
    let table = fs::read_to_string("/proc/self/mountinfo").unwrap();
    let wanted = |line: &str| {
        let (place, kind) = line.split_once(" - ")?;
        let (kind, options) = kind.split_once(' ')?;
        let ours = kind == "cgroup2" || (kind == "cgroup" && options.contains("name=systemd"));
        ours.then(|| PathBuf::from(place.split(' ').nth(4).unwrap()))
    };
    table.lines().filter_map(wanted).collect()
}

/// The groups of this name, for the launcher.
pub fn of(name: &str) -> String {
    let groups: Vec<String> = mounts()
        .iter()
        .map(|mount| mount.join(name).display().to_string())
        .collect();
    groups.join(":")
}

/// Puts a process into the groups of this name.
pub fn join(name: &str, process: u32) {
    for group in mounts().iter().map(|mount| mount.join(name)) {
        fs::create_dir_all(&group).unwrap();
        fs::write(group.join("cgroup.procs"), process.to_string()).unwrap();
    }
}

/// Ends all that runs in groups whose name starts so, and removes them.
pub fn end(prefix: &str) {
    let mut groups: Vec<PathBuf> = mounts()
        .iter()
        .flat_map(|mount| fs::read_dir(mount).unwrap())
        .flatten()
        .filter(|entry| entry.file_name().to_string_lossy().starts_with(prefix))
        .map(|entry| entry.path())
        .collect();
    for group in &groups {
        // Only the unified hierarchy has this; all our processes are in it.
        let _ = fs::write(group.join("cgroup.kill"), "1");
    }
    let end = Instant::now() + Duration::from_secs(10);
    loop {
        groups.retain(|group| !remove(group));
        if groups.is_empty() || Instant::now() > end {
            break;
        }
        sleep(Duration::from_millis(5));
    }
}

/// Removes a group and those in it; whether it is gone.
fn remove(group: &Path) -> bool {
    for entry in fs::read_dir(group).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove(&entry.path());
        }
    }
    fs::remove_dir(group).is_ok() || !group.exists()
}
