//! The actions against each kind of issue, from the mildest to the last
//! resort; experience says in which order they are tried.

use std::time::Duration;

use super::deed::deed;
use crate::learn;
use crate::point::heal::Action;

/// One action against one kind of issue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rung {
    /// What is done.
    pub action: Action,
    /// Whether it is off unless the policy names it.
    pub destructive: bool,
}

/// What can be done against a kind of issue.
#[derive(Clone, Copy, Debug)]
pub struct Ladder {
    /// The kind.
    pub kind: &'static str,
    /// The actions.
    pub rungs: &'static [Rung],
    /// How long the check may need to see that an action helped: pressures are
    /// means over time, networks come up slowly.
    pub patience: Duration,
}

impl Ladder {
    /// Its actions, as the order is learned.
    pub fn learned(&self) -> Vec<learn::Rung> {
        let rung = |rung: &Rung| learn::Rung {
            action: rung.action.as_str().to_owned(),
            harm: deed(rung.action).harm,
        };
        self.rungs.iter().map(rung).collect()
    }
}

const fn mild(action: Action) -> Rung {
    Rung {
        action,
        destructive: false,
    }
}

/// Hits what has not failed itself, or takes changes back.
const fn hard(action: Action) -> Rung {
    Rung {
        action,
        destructive: true,
    }
}

const fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// The ladder of a kind of issue; `None` where only a person can help.
pub fn ladder(kind: &str) -> Option<&'static Ladder> {
    LADDERS.iter().find(|ladder| ladder.kind == kind)
}

/// All ladders.
pub const LADDERS: &[Ladder] = &[
    Ladder {
        kind: "service-down",
        rungs: &[
            mild(Action::ResetFailed),
            mild(Action::RestartUnit),
            mild(Action::RestartDependencies),
            hard(Action::RollBack),
        ],
        patience: seconds(0),
    },
    Ladder {
        kind: "disk-full",
        rungs: &[
            mild(Action::CleanTemporaryFiles),
            mild(Action::VacuumJournal),
            mild(Action::CollectGarbage),
        ],
        patience: seconds(2),
    },
    Ladder {
        kind: "cpu-high",
        rungs: &[
            mild(Action::ReniceUnit),
            mild(Action::SetGovernor),
            hard(Action::RestartUnit),
            hard(Action::StopUnit),
        ],
        patience: seconds(120),
    },
    Ladder {
        kind: "memory-high",
        rungs: &[
            mild(Action::CleanTemporaryFiles),
            hard(Action::RestartUnit),
            hard(Action::StopUnit),
        ],
        patience: seconds(60),
    },
    Ladder {
        kind: "temperature-high",
        rungs: &[mild(Action::SetGovernor), hard(Action::StopUnit)],
        patience: seconds(120),
    },
    Ladder {
        kind: "config-invalid",
        rungs: &[hard(Action::RestoreConfiguration)],
        patience: seconds(0),
    },
    Ladder {
        kind: "network-down",
        rungs: &[mild(Action::RestartNetwork), hard(Action::RollBack)],
        patience: seconds(30),
    },
    Ladder {
        kind: "check-failed",
        rungs: &[hard(Action::RollBack)],
        patience: seconds(10),
    },
];

/// Ladders and actions as Markdown, for the documentation.
pub fn markdown() -> String {
    let mut out = String::from(
        "| Issue | Actions, the mildest first | Seen to help within |\n|---|---|---|\n",
    );
    for Ladder {
        kind,
        rungs,
        patience,
    } in LADDERS
    {
        let rungs: Vec<String> = rungs
            .iter()
            .map(|rung| match rung.destructive {
                true => format!("**`{}`**", rung.action),
                false => format!("`{}`", rung.action),
            })
            .collect();
        let within = match patience.as_secs() {
            0 => "at once".to_owned(),
            n => format!("{n} s"),
        };
        out.push_str(&format!("| `{kind}` | {} | {within} |\n", rungs.join(", ")));
    }
    out.push_str(
        "\n| Action | What can break | What it needs | How it is undone |\n|---|---|---|---|\n",
    );
    for deed in super::DEEDS {
        out.push_str(&format!(
            "| `{}`: {} | {} | {} | {} |\n",
            deed.action, deed.title, deed.breaks, deed.needs, deed.undone
        ));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::learn::Harm;
    use crate::point::health::KINDS;

    #[test]
    fn ladders_are_of_known_kinds_and_have_each_action_once() {
        for each in LADDERS {
            assert!(KINDS.contains(&each.kind), "{}", each.kind);
            assert_eq!(ladder(each.kind).unwrap().kind, each.kind);
            let mut actions: Vec<Action> = each.rungs.iter().map(|rung| rung.action).collect();
            actions.sort_unstable();
            actions.dedup();
            assert_eq!(actions.len(), each.rungs.len(), "{}", each.kind);
        }
        assert!(ladder("store-damaged").is_none());
    }

    #[test]
    fn every_action_is_on_some_ladder() {
        for action in Action::ALL {
            let on = |ladder: &Ladder| ladder.rungs.iter().any(|rung| rung.action == action);
            assert!(LADDERS.iter().any(on), "{action}");
        }
    }

    #[test]
    fn what_changes_the_machine_for_good_is_off_unless_enabled_and_comes_last() {
        for each in LADDERS {
            for rung in each.rungs {
                let deed = deed(rung.action);
                if deed.harm == Harm::LastResort || !deed.keeps_system {
                    assert!(rung.destructive, "{} {}", each.kind, rung.action);
                }
                if rung.action == Action::StopUnit {
                    assert!(rung.destructive, "{}", each.kind);
                }
            }
            let hard: Vec<bool> = each.rungs.iter().map(|rung| rung.destructive).collect();
            assert!(hard.is_sorted(), "{}", each.kind);
        }
    }

    #[test]
    fn priors_are_of_kinds_there_are() {
        let text: serde_json::Value =
            serde_json::from_str(include_str!("../learn/priors.json")).unwrap();
        for kind in text["issues"].as_object().unwrap().keys() {
            assert!(ladder(kind).is_some(), "{kind}");
        }
    }
}
