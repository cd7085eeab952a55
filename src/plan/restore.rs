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
    pub boots: StorePath,
    /// The toplevel that is to run, when one did.
    pub runs: Option<StorePath>,
    /// How the profile gets there.
    pub profile: ProfileMove,
    /// Calls of `switch-to-configuration`, in order; none when there is
    /// nothing to activate or no running system to activate it on.
    pub activations: Vec<Activate>,
}

/// One call of `switch-to-configuration`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Activate {
    /// The toplevel whose tool is run.
    pub toplevel: StorePath,
    /// The specialisation of it, when one is to run.
    pub specialisation: Option<String>,
    /// `switch`, `boot` or `test`.
    pub action: &'static str,
}

impl SystemPlan {
    /// Whether the system already is as it is to be.
    pub fn is_empty(&self) -> bool {
        self.profile == ProfileMove::Stay && self.activations.is_empty()
    }
}

/// What a person asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// Now and at every boot.
    Switch,
    /// From the next boot on.
    Boot,
    /// Now only.
    Test,
}

/// Where a system can be activated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Nowhere: no NixOS runs here, or the system has no tool for it.
    Nowhere,
    /// Here: NixOS runs.
    Running,
    /// On another root: nothing of it runs, but its boot loader can be told.
    Mounted,
}

/// Plans the way from the profile and the running system `now` to a point's
/// system; `None` when the point has none.
///
/// The profile goes back to an existing generation with the same toplevel, the
/// highest one, and is set by path only when there is none: a number is a
/// hint, the path is the truth. The generation it already points to wins.
/// Boot default and running system are two pointers; where they differed in
/// the point, each comes back on its own. `anyhow` activates what the pointers
/// say is right already. The boot loader of another root is always told when
/// that was asked for: what it knows is in no pointer.
pub fn plan_system(
    wanted: &System,
    profile: &ProfileView,
    now: Option<&StorePath>,
    reach: Reach,
    when: When,
    anyhow: bool,
) -> Option<SystemPlan> {
    let boots = wanted.boot_target()?.clone();
    let runs = wanted.run_target().cloned();
    let profile = match when {
        // `test` runs a system without touching the profile.
        When::Test => ProfileMove::Stay,
        When::Switch | When::Boot => profile_move(profile, &boots),
    };
    let moved = anyhow || profile != ProfileMove::Stay;
    let run_differs = runs.is_some() && (anyhow || now != runs.as_ref());
    let mut activations = Vec::new();
    let boot = Activate {
        toplevel: boots.clone(),
        specialisation: None,
        action: "boot",
    };
    if reach == Reach::Mounted && when == When::Boot {
        activations.push(boot);
    } else if reach == Reach::Running {
        let parent = wanted
            .specialisation
            .as_ref()
            .map(|s| &s.parent)
            .or(runs.as_ref());
        let run = |action| Activate {
            toplevel: parent.unwrap_or(&boots).clone(),
            specialisation: wanted.specialisation.as_ref().map(|s| s.name.clone()),
            action,
        };
        // Most boot loaders have no default that is a specialisation: called
        // with one, they would leave theirs where it is.
        let loader_agrees = wanted.specialisation.is_none()
            || wanted.loader_default.is_none()
            || wanted.loader_default == runs;
        let together = parent.is_none_or(|p| *p == boots) && loader_agrees;
        match when {
            When::Test if run_differs => activations.push(run("test")),
            When::Boot if moved => activations.push(boot),
            When::Switch if together && (moved || run_differs) => activations.push(run("switch")),
            When::Switch if !together => {
                activations.extend(moved.then_some(boot));
                activations.extend(run_differs.then(|| run("test")));
            }
            _ => {}
        }
    }
    Some(SystemPlan {
        boots,
        runs,
        profile,
        activations,
    })
}

fn profile_move(profile: &ProfileView, target: &StorePath) -> ProfileMove {
    let same = profile
        .generations
        .iter()
        .filter(|(_, t)| t == target)
        .map(|(n, _)| *n);
    let numbers: Vec<u64> = same.collect();
    match (profile.current, numbers.iter().max()) {
        (Some(current), _) if numbers.contains(&current) => ProfileMove::Stay,
        (_, Some(number)) => ProfileMove::SwitchGeneration(*number),
        (_, None) => ProfileMove::Set,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::point::document::{ProfileFact, Specialisation};

    fn path(n: u8) -> StorePath {
        let text = format!("/nix/store/{}-nixos-system-{n}", "0".repeat(32));
        StorePath::from_absolute_path(text.as_bytes()).unwrap()
    }

    /// A point whose profile was at `boots` while `runs` ran.
    fn point(boots: u8, runs: u8) -> System {
        System {
            profile: Some(ProfileFact {
                name: "system".into(),
                generation: 9,
                toplevel: path(boots),
            }),
            current: Some(path(runs)),
            ..System::default()
        }
    }

    fn view(generations: &[(u64, u8)], current: u64) -> ProfileView {
        ProfileView {
            generations: generations.iter().map(|(n, t)| (*n, path(*t))).collect(),
            current: Some(current),
        }
    }

    fn switch(wanted: &System, profile: &ProfileView, now: u8) -> SystemPlan {
        plan_system(
            wanted,
            profile,
            Some(&path(now)),
            Reach::Running,
            When::Switch,
            false,
        )
        .unwrap()
    }

    fn actions(plan: &SystemPlan) -> Vec<(StorePath, &'static str)> {
        plan.activations
            .iter()
            .map(|a| (a.toplevel.clone(), a.action))
            .collect()
    }

    #[test]
    fn the_highest_generation_of_the_same_path_is_used() {
        let plan = switch(&point(1, 1), &view(&[(1, 1), (2, 1), (3, 2)], 3), 2);
        assert_eq!(plan.profile, ProfileMove::SwitchGeneration(2));
        assert_eq!(actions(&plan), [(path(1), "switch")]);
    }

    #[test]
    fn a_generation_whose_link_is_gone_is_set_by_path() {
        let plan = switch(&point(1, 1), &view(&[(3, 2)], 3), 2);
        assert_eq!(plan.profile, ProfileMove::Set);
    }

    #[test]
    fn where_it_already_is_it_stays_even_with_a_higher_twin() {
        let plan = switch(&point(1, 1), &view(&[(1, 1), (2, 2), (5, 1)], 1), 1);
        assert!(plan.is_empty());
    }

    #[test]
    fn a_system_that_runs_but_is_not_the_default_is_made_so() {
        let plan = switch(&point(1, 1), &view(&[(1, 1), (2, 2)], 2), 1);
        assert_eq!(plan.profile, ProfileMove::SwitchGeneration(1));
        assert_eq!(actions(&plan), [(path(1), "switch")]);
    }

    #[test]
    fn boot_default_and_running_system_come_back_each_on_its_own() {
        let profile = view(&[(1, 1), (2, 2), (3, 3)], 3);
        let plan = switch(&point(2, 1), &profile, 3);
        assert_eq!(plan.profile, ProfileMove::SwitchGeneration(2));
        assert_eq!(actions(&plan), [(path(2), "boot"), (path(1), "test")]);
    }

    #[test]
    fn during_a_switch_the_old_system_is_the_target_of_both() {
        let mut wanted = point(2, 1);
        wanted.incoming = Some(crate::point::document::Incoming {
            toplevel: path(2),
            action: "switch".into(),
            specialisation: None,
        });
        let plan = switch(&wanted, &view(&[(1, 1), (2, 2)], 2), 2);
        assert_eq!(
            (plan.boots.clone(), plan.runs.clone()),
            (path(1), Some(path(1)))
        );
        assert_eq!(actions(&plan), [(path(1), "switch")]);
    }

    #[test]
    fn a_specialisation_comes_back_through_its_parent() {
        let mut wanted = point(1, 9);
        wanted.specialisation = Some(Specialisation {
            name: "s".into(),
            parent: path(1),
        });
        let plan = switch(&wanted, &view(&[(1, 1)], 1), 1);
        assert_eq!(
            (plan.boots.clone(), plan.runs.clone()),
            (path(1), Some(path(9)))
        );
        assert_eq!(plan.activations[0].specialisation.as_deref(), Some("s"));
        assert_eq!(actions(&plan), [(path(1), "switch")]);
        // A loader that cannot have it as its default gets the generation's.
        wanted.loader_default = Some(path(1));
        let plan = switch(&wanted, &view(&[(1, 1), (2, 2)], 2), 2);
        assert_eq!(actions(&plan), [(path(1), "boot"), (path(1), "test")]);
        assert_eq!(plan.activations[1].specialisation.as_deref(), Some("s"));
        wanted.loader_default = Some(path(9));
        let plan = switch(&wanted, &view(&[(1, 1), (2, 2)], 2), 2);
        assert_eq!(actions(&plan), [(path(1), "switch")]);
    }

    #[test]
    fn without_a_running_system_only_the_profile_moves() {
        assert_eq!(
            plan_system(
                &System::default(),
                &view(&[], 0),
                None,
                Reach::Nowhere,
                When::Switch,
                false
            ),
            None
        );
        let mut wanted = point(1, 1);
        wanted.current = None;
        let plan = plan_system(
            &wanted,
            &view(&[(5, 2)], 5),
            None,
            Reach::Nowhere,
            When::Switch,
            false,
        )
        .unwrap();
        assert_eq!((plan.profile, plan.activations), (ProfileMove::Set, vec![]));
    }

    #[test]
    fn test_leaves_the_profile_alone_and_boot_the_running_system() {
        let profile = view(&[(1, 1), (2, 2)], 2);
        let with = |when| {
            plan_system(
                &point(1, 1),
                &profile,
                Some(&path(2)),
                Reach::Running,
                when,
                false,
            )
            .unwrap()
        };
        let test = with(When::Test);
        assert_eq!(
            (test.profile, actions(&test)),
            (ProfileMove::Stay, vec![(path(1), "test")])
        );
        let boot = with(When::Boot);
        assert_eq!(boot.profile, ProfileMove::SwitchGeneration(1));
        assert_eq!(actions(&boot), [(path(1), "boot")]);
    }

    #[test]
    fn the_boot_loader_of_another_root_is_told_when_asked_for() {
        let with = |profile: &ProfileView, when| {
            let wanted = point(1, 1);
            plan_system(&wanted, profile, None, Reach::Mounted, when, false).unwrap()
        };
        let moved = with(&view(&[(1, 1), (2, 2)], 2), When::Switch);
        assert_eq!(moved.profile, ProfileMove::SwitchGeneration(1));
        assert!(moved.activations.is_empty());
        // Even where the profile is right already.
        let there = with(&view(&[(1, 1)], 1), When::Boot);
        assert_eq!(there.profile, ProfileMove::Stay);
        assert_eq!(actions(&there), [(path(1), "boot")]);
        assert!(with(&view(&[(1, 1)], 1), When::Test).is_empty());
    }
}
