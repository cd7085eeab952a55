//! systemd, as far as healing asks it: units restarted, failures forgotten,
//! what a unit needs, which units make the network, a unit's share of the
//! processors.

use std::time::Duration;

use serde::Deserialize;

use super::run::{Call, RunError, Runner};

/// How long a unit may take to restart; systemd's own limit is 90 s.
const RESTART: Duration = Duration::from_secs(120);

/// How long systemd has to answer.
const ANSWER: Duration = Duration::from_secs(5);

/// What systemd says of a unit that is to be tended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Known {
    /// Whether there is a unit, not only the memory of one.
    pub there: bool,
    /// Whether a person may start it.
    pub by_hand: bool,
    /// Its `ActiveState`.
    pub state: String,
    /// Its `Result`.
    pub result: String,
    /// Units it requires, binds to or wants.
    pub needs: Vec<String>,
    /// Units that are stopped when it is stopped or restarted.
    pub hits: Vec<String>,
    /// Its `CPUWeight`; empty where none is set.
    pub weight: String,
}

impl Known {
    /// Whether it does its work: it runs, or ran to a good end.
    pub fn is_well(&self) -> bool {
        match self.state.as_str() {
            "active" | "reloading" | "refreshing" => true,
            "inactive" => self.result == "success",
            _ => false,
        }
    }
}

/// How units hang on one that is stopped, so that they are stopped too.
const HITS: &[&str] = &[
    "RequiredBy",
    "RequisiteOf",
    "BoundBy",
    "ConsistsOf",
    "PropagatesStopTo",
];

/// What systemd says of a unit.
///
/// # Errors
/// When it cannot be asked.
pub fn know(runner: &dyn Runner, unit: &str) -> Result<Known, RunError> {
    let call = Call::new("systemctl")
        .args([
            "show",
            "--property=LoadState,ActiveState,Result,RefuseManualStart,Transient,Requires,\
             BindsTo,Wants,RequiredBy,RequisiteOf,BoundBy,ConsistsOf,PropagatesStopTo,CPUWeight",
            "--",
        ])
        .arg(unit)
        .limit(ANSWER);
    let told = runner.check(&call)?.stdout;
    Ok(known(&String::from_utf8_lossy(&told)))
}

fn known(told: &str) -> Known {
    let value = |name: &str| {
        told.lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix('='))
            .unwrap_or_default()
            .trim()
    };
    let union = |lists: &[&str]| {
        let mut units: Vec<String> = Vec::new();
        for unit in lists.iter().flat_map(|list| value(list).split_whitespace()) {
            if !units.iter().any(|known| known == unit) {
                units.push(unit.to_owned());
            }
        }
        units
    };
    Known {
        // A transient unit cannot be started again: its file is gone with it.
        there: value("LoadState") == "loaded" && value("Transient") != "yes",
        by_hand: value("RefuseManualStart") != "yes",
        state: value("ActiveState").to_owned(),
        result: value("Result").to_owned(),
        needs: union(&["Requires", "BindsTo", "Wants"]),
        hits: union(HITS),
        weight: match value("CPUWeight") {
            "[not set]" | "18446744073709551615" => String::new(),
            weight => weight.to_owned(),
        },
    }
}

/// Forgets that units failed, and with that how often they were started.
///
/// # Errors
/// When systemd says no.
pub fn forget_failure(runner: &dyn Runner, units: &[String]) -> Result<(), RunError> {
    let call = Call::new("systemctl")
        .args(["reset-failed", "--"])
        .args(units);
    runner.check(&call.limit(ANSWER)).map(drop)
}

/// Restarts units in one transaction, and waits for it. That one was started
/// too often is forgotten before.
///
/// # Errors
/// When a job fails or takes too long.
pub fn restart(runner: &dyn Runner, units: &[String]) -> Result<(), RunError> {
    // A unit that is not loaded has nothing to forget.
    let _ = forget_failure(runner, units);
    let call = Call::new("systemctl").args(["restart", "--"]).args(units);
    runner.check(&call.limit(RESTART)).map(drop)
}

/// Sets a unit's share of the processors until the next boot; empty: as its
/// file has it.
///
/// # Errors
/// When systemd says no.
pub fn set_share(runner: &dyn Runner, unit: &str, weight: &str) -> Result<(), RunError> {
    let call = Call::new("systemctl")
        .args(["set-property", "--runtime", "--"])
        .arg(unit)
        .arg(format!("CPUWeight={weight}"));
    runner.check(&call.limit(ANSWER)).map(drop)
}

/// Units that make the network, as NixOS and others name them.
const NETWORK: &[&str] = &[
    "systemd-networkd.service",
    "NetworkManager.service",
    "dhcpcd.service",
    "network-setup.service",
    "network-addresses-*.service",
    "network-link-*.service",
    "wpa_supplicant*.service",
    "iwd.service",
    "wg-quick-*.service",
    "wireguard-*.service",
    "networking.service",
    "network.service",
    "systemd-resolved.service",
];

#[derive(Deserialize)]
struct Listed {
    unit: String,
    #[serde(default)]
    load: String,
    #[serde(default)]
    active: String,
}

/// The units that make the network here, and which of them run.
///
/// # Errors
/// When systemd cannot be asked.
pub fn network(runner: &dyn Runner) -> Result<Vec<(String, bool)>, RunError> {
    let call = Call::new("systemctl")
        .args(["list-units", "--all", "--output=json"])
        .args(NETWORK)
        .limit(ANSWER);
    let told = runner.check(&call)?.stdout;
    let listed: Vec<Listed> = serde_json::from_slice(&told).map_err(|e| RunError::Failed {
        line: call.line(),
        code: 0,
        stderr: format!("it printed what is not its list: {e}"),
    })?;
    Ok(listed
        .into_iter()
        // What never ran and did not fail is not in use.
        .filter(|one| one.load == "loaded" && one.active != "inactive")
        .map(|one| {
            let runs = one.active == "active";
            (one.unit, runs)
        })
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::system::run::{Ended, Recorder};

    #[test]
    fn what_systemd_says_is_read() {
        let told = "LoadState=loaded\nActiveState=failed\nResult=exit-code\n\
                    RefuseManualStart=no\nTransient=no\nRequires=db.service system.slice\n\
                    BindsTo=\nWants=db.service cache.socket\nRequiredBy=multi-user.target\n\
                    ConsistsOf=part.service\nCPUWeight=[not set]\n";
        let unit = known(told);
        assert!(unit.there && unit.by_hand && !unit.is_well());
        assert_eq!(unit.needs, ["db.service", "system.slice", "cache.socket"]);
        assert_eq!(unit.hits, ["multi-user.target", "part.service"]);
        assert_eq!(unit.weight, "");
        let gone = known("LoadState=not-found\nActiveState=failed\n");
        assert!(!gone.there);
        let transient = known("LoadState=loaded\nTransient=yes\nActiveState=failed\nCPUWeight=50");
        assert!(!transient.there);
        assert_eq!(transient.weight, "50");
    }

    #[test]
    fn a_unit_is_well_when_it_runs_or_ended_well() {
        let unit = |state: &str, result: &str| Known {
            state: state.to_owned(),
            result: result.to_owned(),
            ..Known::default()
        };
        assert!(unit("active", "success").is_well());
        assert!(unit("inactive", "success").is_well());
        for (state, result) in [
            ("failed", "exit-code"),
            ("activating", "success"),
            ("inactive", "exit-code"),
        ] {
            assert!(!unit(state, result).is_well(), "{state} {result}");
        }
    }

    #[test]
    fn a_restart_forgets_the_failures_first() {
        let recorder = Recorder::default();
        restart(&recorder, &["a.service".to_owned()]).unwrap();
        set_share(&recorder, "a.service", "20").unwrap();
        let lines: Vec<String> = recorder.0.lock().unwrap().iter().map(Call::line).collect();
        assert_eq!(
            lines,
            [
                "systemctl reset-failed -- a.service",
                "systemctl restart -- a.service",
                "systemctl set-property --runtime -- a.service CPUWeight=20"
            ]
        );
    }

    #[test]
    fn only_network_units_that_are_in_use_are_named() {
        struct Says;
        impl Runner for Says {
            fn run(&self, _: &Call) -> Result<Ended, RunError> {
                let told = r#"[{"unit":"dhcpcd.service","load":"loaded","active":"failed"},
                    {"unit":"network.service","load":"loaded","active":"active"},
                    {"unit":"iwd.service","load":"loaded","active":"inactive"},
                    {"unit":"NetworkManager.service","load":"not-found","active":"inactive"}]"#;
                Ok(Ended {
                    stdout: told.into(),
                    ..Ended::default()
                })
            }
        }
        let units = network(&Says).unwrap();
        let wanted = [("dhcpcd.service", false), ("network.service", true)];
        assert_eq!(units, wanted.map(|(unit, runs)| (unit.to_owned(), runs)));
    }
}
