//! What a point captures beside the system: the policy's answer, by what
//! takes the point.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::point::Policy;
use crate::point::document::Trigger;
use crate::point::policy::{Capture, When};

/// What a point is to capture.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Choice {
    /// The configuration.
    pub config: bool,
    /// State sets, by name, each once, sorted.
    pub state: Vec<String>,
    /// Names that the policy uses and has no state set for.
    pub unknown: Vec<String>,
}

/// What the policy has a point of this trigger capture.
///
/// A point by hand takes everything, and so does a scheduled one that does
/// not say. Something waits for the others, so they take only the state they
/// are told to: what all points of their kind name, together.
pub fn choose(policy: &Policy, trigger: &Trigger) -> Choice {
    let (captures, unsaid): (Vec<&Capture>, &[&str]) = match trigger {
        Trigger::Manual | Trigger::PreRestore | Trigger::Merge => (Vec::new(), &["*"]),
        Trigger::Schedule(name) => {
            let point = policy.points.get(name);
            (point.map(|p| &p.capture).into_iter().collect(), &["*"])
        }
        Trigger::PreSwitch | Trigger::Try => (captures(policy, When::PreSwitch), &[]),
        Trigger::Boot => (captures(policy, When::Boot), &[]),
        Trigger::PreHeal => (captures(policy, When::PreHeal), &[]),
    };
    // Before a switch or a heal the configuration is part of what changes.
    let scheduled = matches!(trigger, Trigger::Schedule(_) | Trigger::Boot);
    let config = !scheduled || captures.is_empty() || captures.iter().any(|c| c.config);
    let mut named = BTreeSet::new();
    if captures.is_empty() {
        named.extend(unsaid.iter().map(|n| (*n).to_owned()));
    }
    for capture in captures {
        match &capture.state {
            Some(names) => named.extend(names.iter().cloned()),
            None => named.extend(unsaid.iter().map(|n| (*n).to_owned())),
        }
    }
    let all = named.remove("*");
    let (mut state, unknown): (BTreeSet<String>, Vec<String>) =
        partition(named, |name| policy.state.contains_key(name));
    if all {
        state.extend(policy.state.keys().cloned());
    }
    Choice {
        config,
        state: state.into_iter().collect(),
        unknown,
    }
}

fn captures(policy: &Policy, when: When) -> Vec<&Capture> {
    let points = policy.points.values().filter(|p| p.trigger == when);
    points.map(|p| &p.capture).collect()
}

fn partition(
    names: BTreeSet<String>,
    known: impl Fn(&str) -> bool,
) -> (BTreeSet<String>, Vec<String>) {
    let (yes, no): (BTreeSet<String>, BTreeSet<String>) =
        names.into_iter().partition(|name| known(name));
    (yes, no.into_iter().collect())
}

/// What the set `name` leaves out: what its policy says, and what lies in it
/// but belongs to another set or to the configuration. Each file belongs to
/// one of them, so that it comes back once.
pub fn left_out(policy: &Policy, name: &str) -> Vec<PathBuf> {
    let Some(set) = policy.state.get(name) else {
        return Vec::new();
    };
    let inside = |path: &Path| {
        set.paths
            .iter()
            .any(|root| path != root && path.starts_with(root))
    };
    let others = policy.state.iter().filter(|(other, _)| *other != name);
    let mut out: BTreeSet<PathBuf> = set.exclude.iter().cloned().collect();
    out.extend(
        others
            .flat_map(|(_, set)| &set.paths)
            .chain(&policy.config_paths)
            .filter(|path| inside(path))
            .cloned(),
    );
    out.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: &str = r#"{
      "stateDir": "/persist/cairn",
      "state": {
        "db": {"paths": ["/var/lib/db"]},
        "web": {"paths": ["/var/lib/web"]},
        "all": {"paths": ["/var/lib", "/etc"], "exclude": ["/var/lib/cache"]}
      },
      "points": {
        "hourly": {"schedule": "hourly", "capture": {"state": ["db"]}},
        "system": {"schedule": "daily", "capture": {"config": false, "state": []}},
        "daily": {"schedule": "daily"},
        "wrong": {"schedule": "daily"},
        "switch-db": {"trigger": "preSwitch", "capture": {"state": ["db"]}},
        "switch-web": {"trigger": "preSwitch", "capture": {"state": ["web", "db"]}},
        "switch": {"trigger": "preSwitch"},
        "boot": {"trigger": "boot", "capture": {"state": ["*"]}}
      }
    }"#;

    fn chosen(trigger: &str) -> Vec<String> {
        choose(&Policy::parse(POLICY).unwrap(), &trigger.parse().unwrap()).state
    }

    #[test]
    fn each_trigger_has_its_sets() {
        let all = ["all", "db", "web"];
        assert_eq!(chosen("manual"), all);
        assert_eq!(chosen("schedule:hourly"), ["db"]);
        assert_eq!(chosen("schedule:daily"), all);
        assert_eq!(chosen("schedule:nobody-named-it"), all);
        assert!(chosen("schedule:system").is_empty());
        assert_eq!(chosen("pre-switch"), ["db", "web"]);
        assert_eq!(chosen("try"), ["db", "web"]);
        assert_eq!(chosen("boot"), all);
        assert!(chosen("pre-heal").is_empty());
    }

    #[test]
    fn nothing_is_captured_before_a_switch_unless_it_is_said() {
        let policy = Policy::parse(r#"{"state": {"db": {"paths": ["/db"]}}}"#).unwrap();
        let choice = choose(&policy, &Trigger::PreSwitch);
        assert_eq!((choice.config, choice.state.len()), (true, 0));
    }

    #[test]
    fn a_scheduled_point_may_leave_the_configuration_out() {
        let policy = Policy::parse(POLICY).unwrap();
        assert!(!choose(&policy, &Trigger::Schedule("system".into())).config);
        assert!(choose(&policy, &Trigger::Schedule("daily".into())).config);
        assert!(choose(&policy, &Trigger::Manual).config);
    }

    #[test]
    fn a_name_without_a_set_is_told() {
        // No policy that is read has such a name; one that is made might.
        let mut policy = Policy::parse(POLICY).unwrap();
        let wrong = policy.points.get_mut("wrong").unwrap();
        wrong.capture.state = Some(vec!["dbb".into(), "web".into()]);
        let choice = choose(&policy, &Trigger::Schedule("wrong".into()));
        assert_eq!(choice.state, ["web"]);
        assert_eq!(choice.unknown, ["dbb"]);
    }

    #[test]
    fn a_set_leaves_to_others_what_they_name() {
        let policy = Policy::parse(POLICY).unwrap();
        let paths = |name| left_out(&policy, name);
        assert_eq!(
            paths("all"),
            [
                "/etc/nixos",
                "/var/lib/cache",
                "/var/lib/db",
                "/var/lib/web"
            ]
            .map(PathBuf::from)
        );
        assert!(paths("db").is_empty());
        assert!(paths("nobody").is_empty());
    }
}
