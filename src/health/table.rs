//! The checks, as data. `docs/health.md` is written from this table.

use std::time::Duration;

use super::checks::{
    boot, clock, config, copies, memory, network, nix, processors, restarts, space, temperature,
    tried, units,
};
use super::{Finding, seen};
use crate::point::policy::Health;

/// The weight of what is not in the table: a check of another release.
pub const OWN_WEIGHT: u32 = 10;

/// One check.
#[derive(Clone, Copy, Debug)]
pub struct Check {
    /// Its name, in the policy and in JSON.
    pub name: &'static str,
    /// What it is about, for people.
    pub title: &'static str,
    /// Whether its failure makes the machine unhealthy.
    pub required: bool,
    /// How much it counts in the score.
    pub weight: u32,
    /// After this long it has failed: no answer is one.
    pub timeout: Duration,
    /// Whether it takes so little that every restore point has it.
    pub quick: bool,
    /// Whether a gate counts its failure where it was well before the switch.
    pub gate: bool,
    /// What it reads.
    pub reads: &'static str,
    /// When it warns and fails.
    pub description: &'static str,
    /// How it judges what was read.
    pub test: Test,
}

/// What a check needs to have read, and the judge of that.
#[derive(Clone, Copy, Debug)]
pub enum Test {
    /// Units that failed.
    Units(fn(&seen::Units, &Health) -> Finding),
    /// Services that are started again and again.
    Restarts(fn(&seen::Units, &Health) -> Finding),
    /// Files of the kernel.
    Texts(
        &'static [&'static str],
        fn(&[seen::Text], &Health) -> Finding,
    ),
    /// Filesystems.
    Space(fn(&[seen::Space], &Health) -> Vec<Finding>),
    /// Temperature sensors.
    Sensors(fn(&[seen::Sensor], &Health) -> Finding),
    /// What keeps the clock.
    Clock(fn(&seen::Clock) -> Finding),
    /// Names of the policy, resolved.
    Resolve(fn(&seen::Tried) -> Finding),
    /// Hosts of the policy, connected to.
    Hosts(fn(&seen::Tried) -> Finding),
    /// The store and its database.
    Store(fn(&seen::Store) -> Finding),
    /// The systems that run and boot.
    Systems(fn(&[seen::System]) -> Finding),
    /// The files of the configuration.
    Config(fn(&seen::Config) -> Finding),
    /// The boot loader.
    Boot(fn(&seen::Boot) -> Finding),
    /// Commands of the policy.
    Commands(fn(&seen::Tried) -> Finding),
    /// Executable files of the policy's folders.
    Files(fn(&seen::Tried) -> Finding),
    /// What is known of remotes.
    Copies(fn(&[seen::Copies]) -> Vec<Finding>),
}

/// The check of this name.
pub fn check(name: &str) -> Option<&'static Check> {
    CHECKS.iter().find(|check| check.name == name)
}

const fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// All checks.
pub const CHECKS: &[Check] = &[
    Check {
        name: "units",
        title: "failed units",
        required: true,
        weight: 20,
        timeout: seconds(5),
        quick: true,
        gate: false,
        reads: "`systemctl list-units`",
        description: "Fails when a unit failed.",
        test: Test::Units(units::failed),
    },
    Check {
        name: "restarts",
        title: "restarting services",
        required: false,
        weight: 10,
        timeout: seconds(5),
        quick: true,
        gate: false,
        reads: "`systemctl show`",
        description: "Fails when systemd waits to start a service again, or did so in the last \
                      minute.",
        test: Test::Restarts(restarts::restarting),
    },
    Check {
        name: "disk",
        title: "disk space",
        required: true,
        weight: 15,
        timeout: seconds(3),
        quick: true,
        gate: false,
        reads: "statvfs of `/`, `/nix`, `/boot` and the state directory",
        description: "Warns with less than `disk.minFree` percent free, fails with less than a \
                      fifth of it; 50 GiB are always enough. Fails when `/nix` or the state \
                      directory is mounted read-only.",
        test: Test::Space(space::bytes_left),
    },
    Check {
        name: "inodes",
        title: "inodes",
        required: true,
        weight: 5,
        timeout: seconds(3),
        quick: true,
        gate: false,
        reads: "as `disk`",
        description: "As `disk`, of inodes.",
        test: Test::Space(space::inodes_left),
    },
    Check {
        name: "memory",
        title: "memory",
        required: false,
        weight: 10,
        timeout: seconds(1),
        quick: true,
        gate: false,
        reads: "`/proc/pressure/memory`, `/proc/meminfo`",
        description: "Warns when something waits for memory for more than `memory.maxPressure` \
                      percent of a minute, or less than `memory.minFree` percent is available; \
                      fails when everything waits so long. Without pressure figures, fails with \
                      less than a fifth of `memory.minFree`.",
        test: Test::Texts(&["/proc/pressure/memory", "/proc/meminfo"], memory::memory),
    },
    Check {
        name: "swap",
        title: "swap",
        required: false,
        weight: 3,
        timeout: seconds(1),
        quick: true,
        gate: false,
        reads: "`/proc/meminfo`",
        description: "Warns with less than `memory.minFree` percent free.",
        test: Test::Texts(&["/proc/meminfo"], memory::swap),
    },
    Check {
        name: "cpu",
        title: "processors",
        required: false,
        weight: 5,
        timeout: seconds(1),
        quick: true,
        gate: false,
        reads: "`/proc/pressure/cpu`",
        description: "Warns when something waits for a processor for more than \
                      `cpu.maxPressure` percent of a minute; fails when it was so for five \
                      minutes.",
        test: Test::Texts(&["/proc/pressure/cpu"], processors::pressure),
    },
    Check {
        name: "load",
        title: "load",
        required: false,
        weight: 3,
        timeout: seconds(1),
        quick: true,
        gate: false,
        reads: "`/proc/loadavg`, `/sys/devices/system/cpu/online`",
        description: "Warns with a load of more than `cpu.maxLoad` for each core in the last \
                      minute; fails when it was so for a quarter of an hour.",
        test: Test::Texts(
            &["/proc/loadavg", "/sys/devices/system/cpu/online"],
            processors::load,
        ),
    },
    Check {
        name: "temperature",
        title: "temperature",
        required: false,
        weight: 5,
        timeout: seconds(3),
        quick: false,
        gate: false,
        reads: "`/sys/class/thermal`, `/sys/class/hwmon`",
        description: "Fails when a sensor is at its critical temperature, or at \
                      `temperature.max` where it names none; warns ten degrees below.",
        test: Test::Sensors(temperature::temperature),
    },
    Check {
        name: "time",
        title: "time",
        required: false,
        weight: 5,
        timeout: seconds(3),
        quick: false,
        gate: false,
        reads: "`/run/systemd/timesync/synchronized`, else `timedatectl show`",
        description: "Warns when the clock is not synchronised though something is to do so; \
                      fails when it is not ten minutes after boot.",
        test: Test::Clock(clock::synchronised),
    },
    Check {
        name: "route",
        title: "default route",
        required: false,
        weight: 10,
        timeout: seconds(1),
        quick: true,
        gate: true,
        reads: "`/proc/net/route`, `/proc/net/ipv6_route`",
        description: "Fails without a default route.",
        test: Test::Texts(&["/proc/net/route", "/proc/net/ipv6_route"], network::route),
    },
    Check {
        name: "resolve",
        title: "names",
        required: true,
        weight: 10,
        timeout: seconds(5),
        quick: false,
        gate: true,
        reads: "names of `health.resolve`, looked up",
        description: "Fails when a name does not resolve.",
        test: Test::Resolve(tried::tried),
    },
    Check {
        name: "host",
        title: "hosts",
        required: true,
        weight: 10,
        timeout: seconds(5),
        quick: false,
        gate: true,
        reads: "hosts of `health.hosts`, connected to",
        description: "Fails when a host takes no connection.",
        test: Test::Hosts(tried::tried),
    },
    Check {
        name: "store",
        title: "Nix store",
        required: true,
        weight: 15,
        timeout: seconds(5),
        quick: true,
        gate: true,
        reads: "`/nix/var/nix/db/db.sqlite`",
        description: "Fails when Nix's database cannot be read, or knows no valid path.",
        test: Test::Store(nix::store),
    },
    Check {
        name: "system",
        title: "systems",
        required: true,
        weight: 15,
        timeout: seconds(5),
        quick: true,
        gate: true,
        reads: "the running, booted and profile's system, in the store and its database",
        description: "Fails when the running system, or the one the profile boots, is not valid \
                      in the store; warns when the booted one is not.",
        test: Test::Systems(nix::systems),
    },
    Check {
        name: "configuration",
        title: "configuration",
        required: false,
        weight: 10,
        timeout: seconds(5),
        quick: false,
        gate: false,
        reads: "`.nix` files below `configPaths`",
        description: "Fails when a file does not parse; warns when one cannot be read.",
        test: Test::Config(config::parses),
    },
    Check {
        name: "boot",
        title: "boot entries",
        required: false,
        weight: 10,
        timeout: seconds(3),
        quick: true,
        gate: false,
        reads: "the boot loader's files, the profile",
        description: "Fails when the loader's default is not the profile's system, or is gone \
                      from the store.",
        test: Test::Boot(boot::entries),
    },
    Check {
        name: "check",
        title: "commands",
        required: true,
        weight: 10,
        timeout: seconds(10),
        quick: false,
        gate: true,
        reads: "commands of `health.checks`, run",
        description: "Fails when the command does not exit with 0. Each says itself whether it \
                      is required, and how long it may take.",
        test: Test::Commands(tried::tried),
    },
    Check {
        name: "file",
        title: "files",
        required: true,
        weight: 10,
        timeout: seconds(30),
        quick: false,
        gate: true,
        reads: "executable files in `required.d` and `wanted.d` of `health.dirs`, run",
        description: "Fails when the file does not exit with 0. Those in `wanted.d` are not \
                      required.",
        test: Test::Files(tried::tried),
    },
    Check {
        name: "copies",
        title: "copies elsewhere",
        required: false,
        weight: 5,
        timeout: seconds(1),
        quick: true,
        gate: false,
        reads: "what the last `remote push` wrote down; no network",
        description: "Fails when the newest copy on a remote is older than its `maxAge`.",
        test: Test::Copies(copies::age),
    },
];

/// The table as Markdown, for the documentation.
pub fn markdown() -> String {
    let mut out = String::from(
        "| Check | Required | Weight | Time | In points | At gates | What it reads | What it says |\n\
         |---|---|---|---|---|---|---|---|\n",
    );
    let yes = |on: bool| if on { "yes" } else { "" };
    for check in CHECKS {
        let Check {
            name,
            required,
            weight,
            timeout,
            quick,
            gate,
            reads,
            description,
            ..
        } = check;
        out.push_str(&format!(
            "| `{name}` | {} | {weight} | {} s | {} | {} | {reads} | {description} |\n",
            yes(*required),
            timeout.as_secs(),
            yes(*quick),
            yes(*gate),
        ));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_policy_knows_every_check_by_its_name() {
        let names: Vec<&str> = CHECKS.iter().map(|c| c.name).collect();
        assert_eq!(names, crate::point::health::NAMES);
    }

    #[test]
    fn what_is_quick_starts_no_programs_but_systemctl() {
        for check in CHECKS.iter().filter(|c| c.quick) {
            let runs = matches!(
                check.test,
                Test::Commands(_) | Test::Files(_) | Test::Hosts(_) | Test::Resolve(_)
            );
            assert!(!runs, "{}", check.name);
        }
    }
}
