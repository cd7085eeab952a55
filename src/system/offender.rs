//! Which service takes most of the processors or of the memory: from `/proc`,
//! by the unit that each process runs in.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::thread::sleep;
use std::time::Duration;

use super::Layout;

/// How long the use of the processors is watched.
const WATCHED: Duration = Duration::from_secs(1);

/// The share of all that services take from which one of them is to blame, in
/// percent.
const BLAMED: u64 = 50;

/// Services that the machine cannot do without, or that speak for others.
const NEVER: &[&str] = &[
    "systemd-",
    "dbus",
    "cairn-",
    "nix-daemon",
    "sshd",
    "getty",
    "serial-getty",
    "polkit",
    "user@",
    "session-",
];

/// The unit that takes most, and its share of all that services take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offender {
    /// The unit.
    pub unit: String,
    /// In percent.
    pub share: u64,
}

/// The service that takes most of the processors' time, when one takes at
/// least half of what services take.
pub fn of_processors(layout: &Layout) -> Option<Offender> {
    let before = sums(layout, ticks);
    sleep(WATCHED);
    let after = sums(layout, ticks);
    let spent = after.into_iter().map(|(unit, now)| {
        let was = before.get(&unit).copied().unwrap_or(0);
        (unit, now.saturating_sub(was))
    });
    blame(spent.collect())
}

/// The service that takes most of the memory, when one takes at least half of
/// what services take.
pub fn of_memory(layout: &Layout) -> Option<Offender> {
    blame(sums(layout, pages))
}

/// The first among them, if it is to blame and may be touched.
fn blame(taken: BTreeMap<String, u64>) -> Option<Offender> {
    let all: u64 = taken.values().sum();
    let (unit, most) = taken.into_iter().max_by_key(|(_, most)| *most)?;
    let share = (most * 100).checked_div(all)?;
    let may = !NEVER.iter().any(|name| unit.starts_with(name));
    (may && share >= BLAMED).then_some(Offender { unit, share })
}

/// What the processes of each service take together. A process that ends
/// meanwhile takes nothing.
fn sums(layout: &Layout, figure: fn(&Path) -> Option<u64>) -> BTreeMap<String, u64> {
    let mut sums = BTreeMap::new();
    let Ok(processes) = fs::read_dir(layout.real("/proc")) else {
        return sums;
    };
    for process in processes.flatten() {
        let is_process = process
            .file_name()
            .to_string_lossy()
            .bytes()
            .all(|b| b.is_ascii_digit());
        if !is_process {
            continue;
        }
        let path = process.path();
        if let (Some(unit), Some(takes)) = (unit(&path), figure(&path)) {
            *sums.entry(unit).or_insert(0) += takes;
        }
    }
    sums
}

/// The service a process runs in: the first unit of its control group that is
/// no slice. What comes below that is a container's or a user's own, and has
/// names that mean something else here.
fn unit(process: &Path) -> Option<String> {
    let groups = fs::read_to_string(process.join("cgroup")).ok()?;
    unit_in(&groups)
}

fn unit_in(groups: &str) -> Option<String> {
    // Version 2 is "0::/path", version 1 has systemd's under its name.
    let path = groups.lines().find_map(|line| {
        line.strip_prefix("0::")
            .filter(|path| *path != "/")
            .or_else(|| line.split_once(":name=systemd:").map(|(_, path)| path))
    })?;
    path.split('/')
        .find(|part| part.ends_with(".service") || part.ends_with(".scope"))
        .filter(|unit| unit.ends_with(".service"))
        .map(str::to_owned)
}

/// Clock ticks a process has used: fields 14 and 15 of `stat`, after the name
/// in brackets.
fn ticks(process: &Path) -> Option<u64> {
    let stat = fs::read_to_string(process.join("stat")).ok()?;
    ticks_in(&stat)
}

fn ticks_in(stat: &str) -> Option<u64> {
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some(user.saturating_add(system))
}

/// Pages of memory a process holds.
fn pages(process: &Path) -> Option<u64> {
    let statm = fs::read_to_string(process.join("statm")).ok()?;
    statm.split_whitespace().nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(all: &[(&str, u64)]) -> Option<Offender> {
        blame(
            all.iter()
                .map(|(unit, n)| ((*unit).to_owned(), *n))
                .collect(),
        )
    }

    #[test]
    fn who_takes_half_is_to_blame_unless_the_machine_needs_it() {
        let web = taken(&[("web.service", 70), ("db.service", 30)]).unwrap();
        assert_eq!((web.unit.as_str(), web.share), ("web.service", 70));
        assert_eq!(
            taken(&[("a.service", 40), ("b.service", 35), ("c.service", 25)]),
            None
        );
        assert_eq!(
            taken(&[("systemd-journald.service", 90), ("b.service", 10)]),
            None
        );
        assert_eq!(taken(&[("a.service", 0)]), None);
        assert_eq!(taken(&[]), None);
    }

    #[test]
    fn units_are_read_from_both_versions_of_control_groups() {
        assert_eq!(
            unit_in("0::/system.slice/web.service\n").as_deref(),
            Some("web.service")
        );
        let hybrid = "12:cpu:/\n1:name=systemd:/system.slice/db.service\n0::/\n";
        assert_eq!(unit_in(hybrid).as_deref(), Some("db.service"));
        assert_eq!(unit_in("0::/init.scope\n"), None);
        assert_eq!(unit_in("0::/\n"), None);
    }

    #[test]
    fn units_within_a_container_or_of_a_user_are_not_the_machines() {
        let inner = "0::/machine.slice/container@web.service/system.slice/nginx.service\n";
        assert_eq!(unit_in(inner).as_deref(), Some("container@web.service"));
        let user = "0::/user.slice/user-1.slice/user@1.service/app.slice/nginx.service\n";
        assert_eq!(unit_in(user).as_deref(), Some("user@1.service"));
        let scope = "0::/machine.slice/machine-web.scope/system.slice/nginx.service\n";
        assert_eq!(unit_in(scope), None);
    }

    #[test]
    fn ticks_are_found_behind_any_name() {
        let stat = "42 (a) b (c) R 1 42 42 0 -1 4194304 100 0 0 0 30 12 0 0 20 0 1 0 5 6 7";
        assert_eq!(ticks_in(stat), Some(42));
        assert_eq!(ticks_in("nonsense"), None);
    }

    #[test]
    fn memory_is_summed_over_the_processes_of_a_unit() {
        let dir = tempfile::tempdir().unwrap();
        for (pid, unit, pages) in [
            ("1", "a", 30),
            ("2", "b", 60),
            ("3", "a", 70),
            ("self", "b", 999),
        ] {
            let process = dir.path().join("proc").join(pid);
            fs::create_dir_all(&process).unwrap();
            fs::write(
                process.join("cgroup"),
                format!("0::/system.slice/{unit}.service\n"),
            )
            .unwrap();
            fs::write(process.join("statm"), format!("500 {pages} 1 1 0 1 0\n")).unwrap();
        }
        let layout = Layout::new(dir.path(), dir.path());
        let found = of_memory(&layout).unwrap();
        assert_eq!((found.unit.as_str(), found.share), ("a.service", 62));
    }
}
