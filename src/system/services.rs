//! Units of systemd: which run, stopping them, starting them again.

use std::fmt;
use std::path::Path;

use super::run::{Call, RunError, Runner};
use super::{Layout, fault};

/// What systemd says of a unit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unit {
    /// Whether there is such a unit.
    pub known: bool,
    /// Its `ActiveState`.
    pub state: String,
    /// Its `Result`: how it ended last. Empty for a unit that has none.
    pub result: String,
    /// Whether its last start was skipped, because a condition was not met.
    pub skipped: bool,
    /// Units that start it by themselves: sockets, timers, paths.
    pub triggers: Vec<String>,
}

impl Unit {
    /// Whether it runs, or is about to.
    pub fn runs(&self) -> bool {
        matches!(
            self.state.as_str(),
            "active" | "activating" | "reloading" | "refreshing"
        )
    }
}

/// A unit that was stopped, but not as it should: what it owns is as after a
/// crash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rough {
    /// The unit.
    pub unit: String,
    /// Its `Result`.
    pub result: String,
}

impl fmt::Display for Rough {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let how = match self.result.as_str() {
            "timeout" => "did not stop in time and was killed",
            "watchdog" => "hung and was killed",
            "oom-kill" => "was killed for want of memory",
            "core-dump" => "crashed",
            _ => "was killed",
        };
        write!(
            f,
            "{} {how} as it was stopped: its state is as after a crash",
            self.unit
        )
    }
}

/// What systemd says of a unit that came to an end it was not to come to.
const ROUGH: &[&str] = &["timeout", "watchdog", "oom-kill", "core-dump", "signal"];

/// Why units are not as they were to be.
#[derive(Debug, thiserror::Error)]
pub enum UnitError {
    /// `systemctl` could not be run, or said no.
    #[error(transparent)]
    Run(#[from] RunError),
    /// It said yes, and the unit says no.
    #[error("{unit} is {state} after it was to {verb}")]
    State {
        /// The unit.
        unit: String,
        /// Its `ActiveState`.
        state: String,
        /// `stop` or `start`.
        verb: &'static str,
    },
    /// systemd passed over the start.
    #[error("{unit} was not started: a condition of it is not met (systemctl status {unit})")]
    Skipped {
        /// The unit.
        unit: String,
    },
}

/// Whether there is a systemd that runs the units of this root.
pub fn present(layout: &Layout) -> bool {
    (layout.is_live() && Path::new("/run/systemd/system").is_dir()) || fault::pretends_systemd()
}

/// What systemd says of a unit.
///
/// # Errors
/// When `systemctl` cannot be run or fails.
pub fn look(runner: &dyn Runner, unit: &str) -> Result<Unit, UnitError> {
    let call = Call::new("systemctl")
        .args([
            "show",
            "--property=LoadState,ActiveState,Result,ConditionResult,TriggeredBy",
            "--",
        ])
        .arg(unit);
    let told = runner.check(&call)?.stdout;
    let told = String::from_utf8_lossy(&told);
    let value = |name: &str| {
        told.lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix('='))
            .unwrap_or_default()
            .trim()
            .to_owned()
    };
    Ok(Unit {
        // What is masked cannot be started by anybody.
        known: !matches!(value("LoadState").as_str(), "not-found" | "masked"),
        state: value("ActiveState"),
        result: value("Result"),
        skipped: value("ConditionResult") == "no",
        triggers: value("TriggeredBy")
            .split_whitespace()
            .map(str::to_owned)
            .collect(),
    })
}

/// Those of `units` that run.
///
/// # Errors
/// As [`look`].
pub fn running(runner: &dyn Runner, units: &[String]) -> Result<Vec<String>, UnitError> {
    let mut running = Vec::new();
    for unit in units {
        if look(runner, unit)?.runs() && !running.contains(unit) {
            running.push(unit.clone());
        }
    }
    Ok(running)
}

/// What has to stop for `units` to stand still: those of them that run, and,
/// before these, the sockets, timers and paths that would start one again.
///
/// # Errors
/// As [`look`].
pub fn to_stop(runner: &dyn Runner, units: &[String]) -> Result<Vec<String>, UnitError> {
    let (mut triggers, mut running) = (Vec::new(), Vec::new());
    for unit in units {
        let seen = look(runner, unit)?;
        if seen.runs() && !running.contains(unit) {
            running.push(unit.clone());
        }
        for trigger in seen.triggers {
            let listed = units.contains(&trigger) || triggers.contains(&trigger);
            if !listed && look(runner, &trigger)?.runs() {
                triggers.push(trigger);
            }
        }
    }
    triggers.extend(running);
    Ok(triggers)
}

/// Stops units, in one transaction, and sees that they are; gives those that
/// ended roughly.
///
/// `systemctl` waits for the jobs and says how they ended: done, canceled,
/// timed out, failed for a dependency. A job to stop is done as well when the
/// unit had to be killed, which only the unit's own result tells.
///
/// # Errors
/// When one still runs.
pub fn stop(runner: &dyn Runner, units: &[String]) -> Result<Vec<Rough>, UnitError> {
    let mut rough = Vec::new();
    if units.is_empty() {
        return Ok(rough);
    }
    // One that never ends may be left waiting for.
    let call = Call::new("systemctl").args(["stop", "--"]).args(units);
    runner.check(&call.yields())?;
    for unit in units {
        let seen = look(runner, unit)?;
        match seen.state.as_str() {
            "inactive" => {}
            "failed" if ROUGH.contains(&seen.result.as_str()) => rough.push(Rough {
                unit: unit.clone(),
                result: seen.result,
            }),
            // Many a program exits with an error when it is told to end.
            "failed" => {}
            _ => {
                let (unit, verb, state) = (unit.clone(), "stop", seen.state);
                return Err(UnitError::State { unit, state, verb });
            }
        }
    }
    Ok(rough)
}

/// What starting units came to.
#[derive(Debug, Default)]
pub struct Started {
    /// Those that are there no more, as after a switch to a system without
    /// them, or that are masked by now: nobody can start them.
    pub gone: Vec<String>,
    /// Those that do not run as they should, and why.
    pub failed: Vec<(String, UnitError)>,
}

/// Starts units and sees that none failed: those that start others first, for
/// a socket is refused once its service runs; then the rest, in one
/// transaction.
pub fn start(runner: &dyn Runner, units: &[String]) -> Started {
    let mut started = Started::default();
    let starts_others = |unit: &String| {
        [".socket", ".timer", ".path"]
            .iter()
            .any(|end| unit.ends_with(end))
    };
    let (first, rest): (Vec<&String>, Vec<&String>) =
        units.iter().partition(|unit| starts_others(unit));
    for batch in [first, rest] {
        start_together(runner, &batch, &mut started);
    }
    started
}

fn start_together(runner: &dyn Runner, units: &[&String], started: &mut Started) {
    let mut there = Vec::new();
    for unit in units {
        match look(runner, unit) {
            Ok(seen) if seen.known => there.push(*unit),
            Ok(_) => started.gone.push((*unit).clone()),
            Err(error) => started.failed.push(((*unit).clone(), error)),
        }
    }
    if there.is_empty() {
        return;
    }
    let mut ran = runner
        .check(&Call::new("systemctl").args(["start", "--"]).args(&there))
        .map(drop)
        .map_err(UnitError::from);
    for unit in there {
        let state = |state: String| UnitError::State {
            unit: unit.clone(),
            state,
            verb: "start",
        };
        let why = match look(runner, unit) {
            Err(error) => error,
            Ok(seen) if seen.state == "failed" => state(seen.state),
            // A job that is passed over is done, to systemd.
            Ok(seen) if seen.state == "inactive" && seen.skipped => {
                let unit = unit.clone();
                UnitError::Skipped { unit }
            }
            // One that ends at once is inactive again, if nobody complained.
            Ok(seen) if !seen.runs() && ran.is_err() => match std::mem::replace(&mut ran, Ok(())) {
                Err(error) => error,
                Ok(()) => state(seen.state),
            },
            Ok(_) => continue,
        };
        started.failed.push((unit.clone(), why));
    }
}

/// A systemd of a few lines, for tests.
#[cfg(test)]
pub(crate) mod fake {
    use std::collections::BTreeMap;
    use std::sync::Mutex;

    use super::super::run::{Call, Ended, RunError, Runner};

    /// Units with their states, and every line that was run.
    #[derive(Debug, Default)]
    pub(crate) struct Systemd {
        pub(crate) units: Mutex<BTreeMap<String, String>>,
        pub(crate) lines: Mutex<Vec<String>>,
        /// Lines that fail.
        pub(crate) broken: Vec<&'static str>,
        /// Units with what starts them.
        pub(crate) triggers: Vec<(&'static str, &'static str)>,
    }

    impl Systemd {
        pub(crate) fn with(units: &[(&str, &str)]) -> Self {
            let units = units.iter().map(|(n, s)| ((*n).into(), (*s).into()));
            Self {
                units: Mutex::new(units.collect()),
                ..Self::default()
            }
        }

        /// What was run, but for questions.
        pub(crate) fn done(&self) -> Vec<String> {
            let mut lines = self.lines.lock().unwrap().clone();
            lines.retain(|l| !l.starts_with("systemctl show"));
            lines
        }
    }

    impl Runner for Systemd {
        fn run(&self, call: &Call) -> Result<Ended, RunError> {
            let line = call.line();
            self.lines.lock().unwrap().push(line.clone());
            let mut ended = Ended::default();
            if self.broken.contains(&&*line) {
                ended.code = 1;
                return Ok(ended);
            }
            let mut units = self.units.lock().unwrap();
            let words: Vec<&str> = line.split(' ').collect();
            let set = |units: &mut BTreeMap<String, String>, to: &str| {
                for word in &words[3..] {
                    units.insert((*word).to_owned(), to.to_owned());
                }
            };
            match words[..2] {
                ["systemctl", "show"] => {
                    let unit = words[words.len() - 1];
                    let told = match units.get(unit) {
                        Some(state) => {
                            let triggers = self.triggers.iter().find(|(of, _)| *of == unit);
                            let triggers = triggers.map_or("", |(_, triggers)| triggers);
                            format!(
                                "LoadState=loaded\nActiveState={state}\nTriggeredBy={triggers}\n"
                            )
                        }
                        None => "LoadState=not-found\nActiveState=inactive\n".to_owned(),
                    };
                    ended.stdout = told.into_bytes();
                }
                ["systemctl", "stop"] => set(&mut units, "inactive"),
                ["systemctl", "start"] => set(&mut units, "active"),
                _ => {}
            }
            Ok(ended)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::fake::Systemd;
    use super::*;

    fn names(units: &[&str]) -> Vec<String> {
        units.iter().map(|u| (*u).to_owned()).collect()
    }

    #[test]
    fn only_what_runs_is_stopped_and_only_what_is_there_started() {
        let systemd = Systemd::with(&[("a.service", "active"), ("b.service", "inactive")]);
        let all = names(&["a.service", "b.service", "c.service", "a.service"]);
        let ran = running(&systemd, &all).unwrap();
        assert_eq!(ran, ["a.service"]);
        stop(&systemd, &ran).unwrap();
        assert!(!look(&systemd, "a.service").unwrap().runs());
        let started = start(&systemd, &names(&["a.service", "c.service"]));
        assert_eq!(started.gone, ["c.service"]);
        assert!(started.failed.is_empty());
        assert_eq!(
            systemd.done(),
            [
                "systemctl stop -- a.service",
                "systemctl start -- a.service"
            ]
        );
        assert!(start(&systemd, &[]).gone.is_empty());
    }

    #[test]
    fn what_would_start_a_unit_again_stops_with_it_and_starts_before_it() {
        let mut systemd = Systemd::with(&[
            ("a.service", "active"),
            ("idle.service", "inactive"),
            ("a.socket", "active"),
            ("a.timer", "inactive"),
            ("idle.path", "active"),
        ]);
        systemd.triggers = vec![
            ("a.service", "a.socket a.timer"),
            ("idle.service", "idle.path"),
        ];
        let stops = to_stop(&systemd, &names(&["a.service", "idle.service"])).unwrap();
        assert_eq!(stops, ["a.socket", "idle.path", "a.service"]);
        // One that is named itself is there once.
        let stops = to_stop(&systemd, &names(&["a.service", "a.socket"])).unwrap();
        assert_eq!(stops, ["a.service", "a.socket"]);
        let all = names(&["a.service", "a.socket"]);
        stop(&systemd, &all).unwrap();
        assert!(start(&systemd, &all).failed.is_empty());
        assert_eq!(
            systemd.done(),
            [
                "systemctl stop -- a.service a.socket",
                "systemctl start -- a.socket",
                "systemctl start -- a.service"
            ]
        );
    }

    #[test]
    fn a_unit_that_does_not_stop_or_start_is_an_error() {
        let mut systemd = Systemd::with(&[("a.service", "active")]);
        systemd.broken = vec!["systemctl stop -- a.service"];
        let error = stop(&systemd, &names(&["a.service"])).unwrap_err();
        assert!(error.to_string().contains("systemctl stop"), "{error}");

        struct Stubborn;
        impl Runner for Stubborn {
            fn run(&self, _: &Call) -> Result<super::super::run::Ended, RunError> {
                Ok(super::super::run::Ended {
                    stdout: b"LoadState=loaded\nActiveState=failed\n".to_vec(),
                    ..Default::default()
                })
            }
        }
        let started = start(&Stubborn, &names(&["a.service"]));
        let [(unit, error)] = &started.failed[..] else {
            panic!("{started:?}");
        };
        assert_eq!(unit, "a.service");
        assert_eq!(
            error.to_string(),
            "a.service is failed after it was to start"
        );
    }
}
