//! Reading what the health checks judge: each check in a thread of its own,
//! each with a time by which it must have answered.

mod copies;
mod files;
mod nix;
mod own;
mod race;
mod sensors;
mod space;
mod systemd;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use chrono::{DateTime, Utc};
use race::{Job, Work};

use super::Layout;
use super::run::Runner;
use super::units::{self, Ailing};
use crate::health::table::Test;
use crate::health::{CHECKS, Check, Finding};
use crate::point::document::Incoming;
use crate::point::health::Verdict;
use crate::point::policy::{Health, Remote};

/// What the probes work with.
pub struct Machine<'a> {
    /// Where things are.
    pub layout: &'a Layout,
    /// Limits, commands, hosts.
    pub health: &'a Health,
    /// Remotes, by name.
    pub remotes: &'a BTreeMap<String, Remote>,
    /// The time.
    pub now: DateTime<Utc>,
    /// Files and folders of the configuration.
    pub config_paths: &'a [std::path::PathBuf],
    /// Runs programs.
    pub runner: &'a dyn Runner,
    /// Name of the system profile.
    pub profile: &'a str,
    /// Whether commands, units and network are those of the root.
    pub live: bool,
    /// The switch under way.
    pub incoming: Option<Incoming>,
    /// Units that are not well: systemd is asked once.
    pub ailing: OnceLock<Result<Ailing, String>>,
}

impl Machine<'_> {
    fn ailing(&self) -> Result<Ailing, String> {
        let ask = || units::ailing(self.runner).map_err(|error| error.to_string());
        self.ailing.get_or_init(ask).clone()
    }
}

/// Which checks to ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// All.
    All,
    /// Those that take next to nothing.
    Quick,
    /// Those, and what a gate will ask, as far as it answers at once.
    Hook,
    /// What a gate asks, but for units: it watches these itself.
    Gate,
}

/// How long the hook before a switch waits for what is not quick. The point is
/// captured meanwhile.
const AT_ONCE: Duration = Duration::from_millis(100);

impl Depth {
    fn asks(self, check: &Check) -> bool {
        match self {
            Self::All => true,
            Self::Quick => check.quick,
            Self::Hook => check.quick || check.gate,
            Self::Gate => check.gate,
        }
    }

    /// The check's own time, and whether it is cut short.
    fn time(self, check: &Check, own: Duration) -> (Duration, bool) {
        if self == Self::Hook && !check.quick && own > AT_ONCE {
            (AT_ONCE, true)
        } else {
            (own, false)
        }
    }
}

/// Looks: all checks of this depth at once; with `only`, those of these labels
/// or names. A check that does not answer in time fails, and holds up no
/// other; one that was not given its time is unknown.
pub fn look(machine: &Machine<'_>, depth: Depth, only: Option<&BTreeSet<String>>) -> Vec<Verdict> {
    let health = Arc::new(machine.health.clone());
    let mut jobs = Vec::new();
    for check in CHECKS {
        if depth.asks(check)
            && !machine
                .health
                .disabled
                .iter()
                .any(|name| name == check.name)
        {
            jobs.extend(jobs_of(machine, &health, depth, check));
        }
    }
    let asked = |name: &str, of: Option<&str>| {
        only.is_none_or(|only| {
            only.contains(name)
                || of.is_some_and(|of| only.contains(of) || only.contains(&format!("{name} {of}")))
        })
    };
    // What a job is not of one thing alone is sorted out afterwards.
    jobs.retain(|job| {
        let of = job.of.as_deref();
        asked(job.check.name, of) || (of.is_none() && finds_several(job.check) && only.is_some())
    });
    let mut verdicts: Vec<Verdict> = race::run(jobs)
        .into_iter()
        .flat_map(|(check, found)| found.into_iter().map(|finding| finding.verdict(check)))
        .collect();
    verdicts.retain(|v| asked(&v.name, v.of.as_deref()));
    verdicts
}

fn finds_several(check: &Check) -> bool {
    matches!(check.test, Test::Space(_) | Test::Copies(_))
}

/// The names that [`look`] knows beside those of the checks: of commands,
/// files, hosts.
pub fn names(machine: &Machine<'_>) -> Vec<String> {
    let health = Arc::new(machine.health.clone());
    CHECKS
        .iter()
        .flat_map(|check| jobs_of(machine, &health, Depth::All, check))
        .filter_map(|job| job.of)
        .collect()
}

fn jobs_of<'a>(
    machine: &'a Machine<'_>,
    health: &Arc<Health>,
    depth: Depth,
    check: &'static Check,
) -> Vec<Job<'a>> {
    let layout = machine.layout.clone();
    let health = Arc::clone(health);
    let (time, cut) = depth.time(check, check.timeout);
    let one = |work| {
        vec![Job {
            check,
            of: None,
            required: None,
            time,
            cut,
            work,
        }]
    };
    match check.test {
        Test::Texts(paths, judge) => one(Work::free(move || {
            let texts: Vec<_> = paths
                .iter()
                .map(|path| files::text(&layout, path))
                .collect();
            vec![judge(&texts, &health)]
        })),
        Test::Space(judge) => one(Work::free(move || judge(&space::look(&layout), &health))),
        Test::Sensors(judge) => one(Work::free(move || {
            vec![judge(&sensors::look(&layout), &health)]
        })),
        Test::Config(judge) => {
            let paths = machine.config_paths.to_vec();
            one(Work::free(move || {
                vec![judge(&files::configuration(&layout, &paths))]
            }))
        }
        Test::Store(judge) => one(Work::free(move || vec![judge(&nix::store(&layout))])),
        Test::Systems(judge) => {
            let profile = machine.profile.to_owned();
            one(Work::free(move || {
                vec![judge(&nix::systems(&layout, &profile))]
            }))
        }
        Test::Boot(judge) => {
            let (profile, incoming) = (machine.profile.to_owned(), machine.incoming.clone());
            one(Work::free(move || {
                vec![judge(&nix::boot(&layout, &profile, incoming))]
            }))
        }
        Test::Units(judge) => one(Work::Bound(Box::new(move || {
            vec![systemd::failed(machine, |seen| judge(seen, &health))]
        }))),
        Test::Restarts(judge) => one(Work::Bound(Box::new(move || {
            vec![systemd::restarts(machine, depth, |seen| {
                judge(seen, &health)
            })]
        }))),
        Test::Clock(judge) => one(Work::Bound(Box::new(move || {
            vec![judge(&systemd::clock(machine, time))]
        }))),
        Test::Resolve(judge) => own::resolve(machine, check, judge, (time, cut)),
        Test::Hosts(judge) => own::hosts(machine, check, judge, (time, cut)),
        Test::Commands(judge) => own::commands(machine, depth, check, judge),
        Test::Files(judge) => own::files(machine, depth, check, judge),
        Test::Copies(judge) => {
            let (remotes, now) = (machine.remotes.clone(), machine.now);
            one(Work::free(move || {
                judge(&copies::look(&layout, &remotes, now))
            }))
        }
    }
}

/// Said of what belongs to a machine that does not run.
fn elsewhere() -> Finding {
    Finding::unknown("only on the running machine")
}
