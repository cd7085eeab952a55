//! The actions, as data: what each can break, needs, and how it is undone.

use crate::learn::Harm;
use crate::point::heal::Action;

/// What is to be known of an action before it is tried.
#[derive(Clone, Copy, Debug)]
pub struct Deed {
    /// Which it is.
    pub action: Action,
    /// What it does, for people.
    pub title: &'static str,
    /// What it can break, as the order of the ladder weighs it.
    pub harm: Harm,
    /// … and in words.
    pub breaks: &'static str,
    /// What must be there for it to be tried.
    pub needs: &'static str,
    /// How it is undone when it did not help.
    pub undone: &'static str,
    /// Whether it is tried only once a restore point holds what was before:
    /// that point is what undoes it. Others go on without one on a full disk.
    pub needs_point: bool,
    /// Whether system and configuration stay what they are: where it heals,
    /// the point that was taken before holds a system that works.
    pub keeps_system: bool,
}

/// What is to be known of this action.
pub fn deed(action: Action) -> &'static Deed {
    // A test sees to it that each action has its entry.
    DEEDS
        .iter()
        .find(|deed| deed.action == action)
        .unwrap_or(&DEEDS[0])
}

/// All actions, in the order of [`Action::ALL`].
pub const DEEDS: &[Deed] = &[
    Deed {
        action: Action::ResetFailed,
        title: "forget that it failed",
        harm: Harm::Nothing,
        breaks: "nothing",
        needs: "the unit is gone from the system, and only its failure is left",
        undone: "not: nothing runs or is lost by it",
        needs_point: false,
        keeps_system: true,
    },
    Deed {
        action: Action::RestartUnit,
        title: "restart the unit",
        harm: Harm::Interrupts,
        breaks: "what the unit does is away for a moment",
        needs: "systemd knows the unit, and lets it be started by hand",
        undone: "units that ran before and do not now are started",
        needs_point: false,
        keeps_system: true,
    },
    Deed {
        action: Action::RestartDependencies,
        title: "restart what the unit needs, then the unit",
        harm: Harm::Interrupts,
        breaks: "what the unit and the services and sockets it needs do is away for a moment",
        needs: "the unit requires, binds to or wants services or sockets",
        undone: "those that ran before are started, those that did not are stopped",
        needs_point: false,
        keeps_system: true,
    },
    Deed {
        action: Action::CollectGarbage,
        title: "collect the garbage of the Nix store",
        harm: Harm::Loses,
        breaks: "store paths that no generation, restore point, pin or process uses must be fetched or built again",
        needs: "the store is on the filesystem that is full",
        undone: "not: what nothing refers to is gone; generations and points stay",
        needs_point: false,
        keeps_system: true,
    },
    Deed {
        action: Action::VacuumJournal,
        title: "remove the oldest of the journal",
        harm: Harm::Loses,
        breaks: "old log messages: a quarter of the journal stays, 16 MiB at least",
        needs: "the journal is on the filesystem that is full, and takes more than that",
        undone: "not: those messages are gone",
        needs_point: false,
        keeps_system: true,
    },
    Deed {
        action: Action::CleanTemporaryFiles,
        title: "remove temporary files that are old enough",
        harm: Harm::Loses,
        breaks: "files that systemd-tmpfiles would remove by the clock anyway",
        needs: "/tmp or /var/tmp is on the filesystem that is full, or in memory",
        undone: "not: those files are gone",
        needs_point: false,
        keeps_system: true,
    },
    Deed {
        action: Action::ReniceUnit,
        title: "give the unit that takes most a smaller share",
        harm: Harm::Nothing,
        breaks: "that unit gets slower where others want the processors, until the next boot",
        needs: "one service takes most of the processors' time",
        undone: "its share is set back",
        needs_point: false,
        keeps_system: true,
    },
    Deed {
        action: Action::StopUnit,
        title: "stop the unit that takes most",
        harm: Harm::Interrupts,
        breaks: "what that unit does is away until somebody starts it",
        needs: "one service takes most of what is short",
        undone: "it is started",
        needs_point: false,
        keeps_system: true,
    },
    Deed {
        action: Action::SetGovernor,
        title: "make the processors faster, or cooler",
        harm: Harm::Nothing,
        breaks: "power and speed, until the next boot",
        needs: "the kernel offers another frequency governor that does it",
        undone: "the governor of each processor is set back",
        needs_point: false,
        keeps_system: true,
    },
    Deed {
        action: Action::RestoreConfiguration,
        title: "bring the file back as it last parsed",
        harm: Harm::Interrupts,
        breaks: "edits of that file since; the point taken before has them",
        needs: "a restore point in which the file parses; nobody changed it for ten minutes",
        undone: "the file is brought back from the point taken before",
        needs_point: true,
        keeps_system: false,
    },
    Deed {
        action: Action::RestartNetwork,
        title: "restart the units that make the network",
        harm: Harm::Interrupts,
        breaks: "connections are away for a moment",
        needs: "systemd knows such units",
        undone: "units that ran before and do not now are started",
        needs_point: false,
        keeps_system: true,
    },
    Deed {
        action: Action::RollBack,
        title: "switch to the last known-good system",
        harm: Harm::LastResort,
        breaks: "everything that the newer system brought; services restart",
        needs: "a known-good system that is not the running one",
        undone: "profile, boot loader and running system are brought back from the point taken before",
        needs_point: true,
        keeps_system: false,
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_action_has_one_entry_and_it_says_all() {
        let actions: Vec<Action> = DEEDS.iter().map(|deed| deed.action).collect();
        assert_eq!(actions, Action::ALL);
        for each in DEEDS {
            assert_eq!(deed(each.action).title, each.title);
            for text in [each.title, each.breaks, each.needs, each.undone] {
                assert!(!text.is_empty(), "{}", each.action);
            }
        }
    }

    #[test]
    fn what_only_a_point_can_undo_is_not_tried_without_one() {
        for each in DEEDS.iter().filter(|deed| !deed.keeps_system) {
            assert!(each.needs_point, "{}", each.action);
        }
    }

    #[test]
    fn each_has_a_prior_of_its_own() {
        let text: serde_json::Value =
            serde_json::from_str(include_str!("../learn/priors.json")).unwrap();
        for action in Action::ALL {
            assert!(text["actions"][action.as_str()].is_object(), "{action}");
        }
    }
}
