//! What bringing a system back takes: how the profile moves, what is
//! activated.

use crate::nix::store_path::StorePath;
use crate::point::document::System;

/// The profile as the plan needs it.
#[derive(Clone, Debug, Default)]
pub struct ProfileView {
    /// Usable generations: number and toplevel.
    pub generations: Vec<(u64, StorePath)>,
    /// The number the profile points to.
    pub current: Option<u64>,
}

/// How the profile gets to the target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProfileMove {
    /// It is there, or is to stay.
    Stay,
    /// Back to a generation that still has its link.
    SwitchGeneration(u64),
    /// Set by path: its link is gone, so it gets a new number.
    Set,
}

/// The system part of a restore.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SystemPlan {
    /// The toplevel the profile is to point to.
    pub target: StorePath,
    /// The toplevel that is to run: the target or its specialisation.
    pub runs: Option<StorePath>,
    /// How the profile gets there.
    pub profile: ProfileMove,
    /// The action `switch-to-configuration` runs; absent when there is nothing
    /// to activate or no running system to activate it on.
    pub activate: Option<String>,
}

impl SystemPlan {
    /// Whether the system already is as it is to be.
    pub fn is_empty(&self) -> bool {
        self.profile == ProfileMove::Stay && self.activate.is_none()
    }
}

/// Plans the way from the profile and the running system `now` to a point's
/// system; `None` when the point has none.
///
/// The profile goes back to an existing generation with the same toplevel, the
/// highest one, and is set by path only when there is none: a number is a
/// hint, the path is the truth. The generation it already points to wins.
pub fn plan_system(
    wanted: &System,
    profile: &ProfileView,
    now: Option<&StorePath>,
    can_switch: bool,
    action: &str,
) -> Option<SystemPlan> {
    let target = wanted.target()?.clone();
    let runs = wanted.current.clone().or_else(|| Some(target.clone()));
    let current = profile
        .current
        .and_then(|number| profile.generations.iter().find(|(n, _)| *n == number));
    let highest = profile
        .generations
        .iter()
        .filter(|(_, t)| *t == target)
        .map(|(n, _)| *n)
        .max();
    let profile = match (current, highest) {
        // `test` runs a system without touching the profile.
        _ if action == "test" => ProfileMove::Stay,
        (Some((_, toplevel)), _) if *toplevel == target => ProfileMove::Stay,
        (_, Some(number)) => ProfileMove::SwitchGeneration(number),
        (_, None) => ProfileMove::Set,
    };
    let differs = profile != ProfileMove::Stay || now != runs.as_ref();
    let activate = (can_switch && differs).then(|| action.to_owned());
    Some(SystemPlan {
        target,
        runs,
        profile,
        activate,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::point::document::{ProfileFact, Specialisation};

    fn path(n: u8) -> StorePath {
        let text = format!("/nix/store/{}-nixos-system-{n}", "0".repeat(32));
        StorePath::from_absolute_path(text.as_bytes()).unwrap()
    }

    fn running(n: u8) -> System {
        System {
            current: Some(path(n)),
            ..System::default()
        }
    }

    fn view(generations: &[(u64, u8)], current: u64) -> ProfileView {
        ProfileView {
            generations: generations.iter().map(|(n, t)| (*n, path(*t))).collect(),
            current: Some(current),
        }
    }

    fn moved(wanted: &System, profile: &ProfileView, now: u8) -> (ProfileMove, Option<String>) {
        let plan = plan_system(wanted, profile, Some(&path(now)), true, "switch").unwrap();
        (plan.profile, plan.activate)
    }

    #[test]
    fn the_highest_generation_of_the_same_path_is_used() {
        let profile = view(&[(1, 1), (2, 1), (3, 2)], 3);
        let switch = Some("switch".to_owned());
        assert_eq!(
            moved(&running(1), &profile, 2),
            (ProfileMove::SwitchGeneration(2), switch)
        );
    }

    #[test]
    fn a_generation_whose_link_is_gone_is_set_by_path() {
        let (profile, _) = moved(&running(1), &view(&[(3, 2)], 3), 2);
        assert_eq!(profile, ProfileMove::Set);
    }

    #[test]
    fn where_it_already_is_it_stays_even_with_a_higher_twin() {
        let profile = view(&[(1, 1), (2, 2), (5, 1)], 1);
        assert_eq!(moved(&running(1), &profile, 1), (ProfileMove::Stay, None));
    }

    #[test]
    fn a_system_that_runs_but_is_not_the_default_is_made_so() {
        let profile = view(&[(1, 1), (2, 2)], 2);
        let (profile, activate) = moved(&running(1), &profile, 1);
        assert_eq!(profile, ProfileMove::SwitchGeneration(1));
        assert_eq!(activate.as_deref(), Some("switch"));
    }

    #[test]
    fn a_specialisation_comes_back_through_its_parent() {
        let mut wanted = running(9);
        wanted.specialisation = Some(Specialisation {
            name: "s".into(),
            parent: path(1),
        });
        let plan = plan_system(&wanted, &view(&[(1, 1)], 1), Some(&path(1)), true, "switch");
        let plan = plan.unwrap();
        assert_eq!((plan.target, plan.runs), (path(1), Some(path(9))));
        assert_eq!(plan.activate.as_deref(), Some("switch"));
    }

    #[test]
    fn without_a_running_system_only_the_profile_moves() {
        let mut wanted = System::default();
        assert_eq!(
            plan_system(&wanted, &view(&[], 0), None, false, "switch"),
            None
        );
        wanted.profile = Some(ProfileFact {
            name: "system".into(),
            generation: 4,
            toplevel: path(1),
        });
        let plan = plan_system(&wanted, &view(&[(5, 2)], 5), None, false, "switch").unwrap();
        assert_eq!((plan.profile, plan.activate), (ProfileMove::Set, None));
    }

    #[test]
    fn test_leaves_the_profile_alone() {
        let plan = plan_system(
            &running(1),
            &view(&[(1, 1), (2, 2)], 2),
            Some(&path(2)),
            true,
            "test",
        );
        let plan = plan.unwrap();
        assert_eq!(
            (plan.profile, plan.activate.as_deref()),
            (ProfileMove::Stay, Some("test"))
        );
    }
}
