use super::*;
use crate::point::PointId;
use crate::point::document::{ProfileFact, Specialisation};
use crate::point::switch::{Done, Outcome, VERSION};

fn path(n: u8) -> StorePath {
    let text = format!("/nix/store/{}-nixos-system-{n}", "0".repeat(32));
    StorePath::from_absolute_path(text.as_bytes()).unwrap()
}

fn system(profile: u8, current: u8, loader: u8) -> System {
    System {
        profile: Some(ProfileFact {
            name: "system".into(),
            generation: u64::from(profile),
            toplevel: path(profile),
        }),
        current: Some(path(current)),
        loader_default: Some(path(loader)),
        ..System::default()
    }
}

/// A switch from system 1 to system 2, as `nixos-rebuild` makes it: the profile
/// has moved.
fn from_1_to_2(action: Action) -> Switch {
    Switch {
        health: std::collections::BTreeMap::new(),
        version: VERSION,
        id: "0199d1a0-0000-7000-8000-000000000001"
            .parse::<PointId>()
            .unwrap(),
        started: DateTime::from_timestamp(1_800_000_000, 0).unwrap(),
        action,
        to: path(2),
        before: system(2, 1, 1),
        point: Some("0199d1a0-0000-7000-8000-000000000000".parse().unwrap()),
        no_point: None,
        ailing: Vec::new(),
        boot: "b".into(),
        unit: None,
        risk: None,
        confirm: None,
        answer: None,
        judged: None,
        tried: None,
        result: None,
        revision: 0,
    }
}

fn seen(system: System, exit: Option<i32>) -> Seen {
    Seen {
        system,
        exit,
        ..Seen::default()
    }
}

#[test]
fn every_row_of_the_contract_is_told_from_pointers_and_exit_code() {
    let switch = from_1_to_2(Action::Switch);
    let came_to = |seen: Seen| reached(&switch, &seen);
    for exit in [Some(0), Some(2), Some(4), None] {
        assert_eq!(
            came_to(seen(system(2, 2, 2), exit)),
            Reached::Switched,
            "{exit:?}"
        );
    }
    for exit in [Some(1), Some(11), None] {
        assert_eq!(
            came_to(seen(system(2, 1, 1), exit)),
            Reached::Refused,
            "{exit:?}"
        );
    }
    assert_eq!(
        came_to(seen(system(2, 1, 2), Some(100))),
        Reached::NeedsReboot
    );
    let differs = Seen {
        init_differs: true,
        ..seen(system(2, 1, 2), None)
    };
    assert_eq!(came_to(differs), Reached::NeedsReboot);
    // Without D-Bus it ends after the boot loader.
    for (loader, wanted) in [(2, Reached::NeedsReboot), (1, Reached::Refused)] {
        let dead = Seen {
            bus_dead: true,
            ..seen(system(2, 1, loader), Some(1))
        };
        assert_eq!(came_to(dead), wanted, "{loader}");
    }
    for (current, exit) in [
        (1, None),
        (2, None),
        (1, Some(137)),
        (2, Some(137)),
        (1, Some(1)),
    ] {
        let killed = Seen {
            lists_left: !matches!(exit, Some(1)) || current == 2,
            ..seen(system(2, current, 2), exit)
        };
        let wanted = if killed.lists_left {
            Reached::Interrupted
        } else {
            Reached::Refused
        };
        assert_eq!(came_to(killed), wanted, "{current} {exit:?}");
    }
    assert_eq!(
        came_to(seen(system(2, 2, 2), Some(1))),
        Reached::Interrupted,
        "the bus died"
    );
    assert_eq!(came_to(seen(system(3, 3, 3), None)), Reached::Superseded);
    // A list that names an absent unit makes it 4, and all is right.
    let stale = Seen {
        lists_left: true,
        ..seen(system(2, 2, 2), Some(4))
    };
    assert_eq!(came_to(stale), Reached::Switched);
}

#[test]
fn boot_is_done_when_the_loader_starts_it() {
    let switch = from_1_to_2(Action::Boot);
    assert_eq!(
        reached(&switch, &seen(system(2, 1, 2), None)),
        Reached::Switched
    );
    assert_eq!(
        reached(&switch, &seen(system(2, 1, 1), None)),
        Reached::Refused
    );
    assert_eq!(
        reached(&switch, &seen(system(2, 1, 1), Some(1))),
        Reached::Refused
    );
    let unreadable = System {
        loader_default: None,
        ..system(2, 1, 1)
    };
    assert_eq!(reached(&switch, &seen(unreadable, None)), Reached::Switched);
    // Of a specialisation, no loader need have heard.
    let mut special = from_1_to_2(Action::Boot);
    special.to = path(9);
    special.before.incoming = Some(Incoming {
        toplevel: path(9),
        action: "boot".into(),
        specialisation: Some(Specialisation {
            name: "safe".into(),
            parent: path(2),
        }),
    });
    let came_to = |system| reached(&special, &seen(system, None));
    assert_eq!(came_to(system(2, 1, 1)), Reached::Switched);
    assert_eq!(came_to(system(1, 1, 1)), Reached::Refused);
}

#[test]
fn only_what_was_well_before_is_blamed() {
    let units = |names: &[&str]| names.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>();
    assert_eq!(
        blame(
            &units(&["flaps.service"]),
            &units(&["z.service", "flaps.service", "a.service"])
        ),
        units(&["a.service", "z.service"])
    );
    assert!(blame(&units(&["a.service"]), &[]).is_empty());
}

#[test]
fn what_may_only_be_booted_into_is_made_the_boot_default() {
    let case = |switch, inhibited| Case {
        switch,
        reached: Reached::Refused,
        verdict: Verdict::Bad,
        default_moved: true,
        inhibited,
        before_is_bad: false,
    };
    let switch = from_1_to_2(Action::Switch);
    assert_eq!(decide(case(&switch, true)), (Decision::Boot, None));
    assert_eq!(decide(case(&switch, false)), (Decision::Repair, None));
    // Nobody asked for that to be booted.
    let test = from_1_to_2(Action::Test);
    assert_eq!(decide(case(&test, true)), (Decision::Repair, None));
}

#[test]
fn what_a_command_did_goes_back_though_the_system_is_the_same() {
    let mut tried = from_1_to_2(Action::Try);
    tried.to = path(1);
    fn case(switch: &Switch) -> Case<'_> {
        Case {
            switch,
            reached: Reached::Switched,
            verdict: Verdict::Bad,
            default_moved: false,
            inhibited: false,
            before_is_bad: true,
        }
    }
    assert_eq!(decide(case(&tried)).0, Decision::Leave);
    tried.tried = Some(crate::point::switch::Tried {
        command: "false".to_owned(),
        state: Vec::new(),
        may_fail: false,
        exit: Some(1),
    });
    assert_eq!(decide(case(&tried)), (Decision::GoBack, None));
}

#[test]
fn what_is_done_fits_what_came_of_it() {
    let switch = from_1_to_2(Action::Switch);
    let case = |reached, verdict, default_moved, before_is_bad| Case {
        switch: &switch,
        reached,
        verdict,
        default_moved,
        inhibited: false,
        before_is_bad,
    };
    let decided = |c| decide(c).0;
    use Decision::{GoBack, Leave, Repair};
    assert_eq!(
        decided(case(Reached::Switched, Verdict::Good, false, false)),
        Leave
    );
    assert_eq!(
        decided(case(Reached::Switched, Verdict::Bad, false, false)),
        GoBack
    );
    assert_eq!(
        decided(case(Reached::Switched, Verdict::Bad, false, true)),
        Leave
    );
    assert_eq!(
        decided(case(Reached::Refused, Verdict::Bad, true, false)),
        Repair
    );
    assert_eq!(
        decided(case(Reached::Refused, Verdict::Bad, false, false)),
        Leave
    );
    assert_eq!(
        decided(case(Reached::Interrupted, Verdict::Bad, false, false)),
        GoBack
    );
    assert_eq!(
        decided(case(Reached::NeedsReboot, Verdict::None, true, false)),
        Leave
    );
    assert_eq!(
        decided(case(Reached::Superseded, Verdict::None, true, false)),
        Leave
    );
    let mut again = switch.clone();
    again.before.current = Some(path(2));
    let same = Case {
        switch: &again,
        ..case(Reached::Switched, Verdict::Bad, false, false)
    };
    let (decision, why) = decide(same);
    assert!(decision == Leave && why.is_some());
}

#[test]
fn test_then_boot_is_one_change() {
    let test = from_1_to_2(Action::Test);
    let now = test.started + chrono::Duration::minutes(2);
    let on = |last: &Switch, to, action, running: u8, now| {
        continues(last, &path(to), action, Some(&path(running)), now)
    };
    assert!(on(&test, 2, Action::Boot, 2, now));
    assert!(on(&test, 2, Action::Switch, 2, now));
    assert!(!on(&test, 3, Action::Boot, 2, now), "another system");
    assert!(!on(&test, 2, Action::Test, 2, now), "the same again");
    assert!(!on(&test, 2, Action::Boot, 4, now), "something else runs");
    assert!(!on(
        &test,
        2,
        Action::Boot,
        2,
        now + chrono::Duration::hours(1)
    ));
    let mut taken_back = test.clone();
    taken_back.result = Some(Outcome {
        at: now,
        reached: Reached::Switched,
        exit: None,
        verdict: Verdict::Bad,
        reasons: Vec::new(),
        done: Done::WentBack,
        trouble: None,
        undo: None,
        warnings: Vec::new(),
    });
    assert!(!on(&taken_back, 2, Action::Boot, 1, now));
    let mut without = test;
    without.point = None;
    assert!(
        !on(&without, 2, Action::Boot, 2, now),
        "there is no point to share"
    );
}

fn said(name: &str, required: bool) -> Said {
    Said {
        name: name.to_owned(),
        of: None,
        required,
        status: Status::Failing,
        value: None,
        detail: String::new(),
        subjects: Vec::new(),
    }
}

#[test]
fn a_check_that_failed_before_counts_against_no_switch() {
    for name in ["check", "file", "route", "store"] {
        let was = Some(Status::Failing);
        assert_eq!(weigh(&said(name, true), was), Weight::AsBefore, "{name}");
    }
}

#[test]
fn what_the_policy_runs_counts_by_being_required() {
    for was in [None, Some(Status::Unknown), Some(Status::Ok)] {
        assert_eq!(weigh(&said("check", true), was), Weight::Bad);
        assert_eq!(weigh(&said("file", false), was), Weight::Told);
    }
}

#[test]
fn other_checks_count_only_where_they_were_well_before() {
    for was in [None, Some(Status::Unknown)] {
        assert_eq!(weigh(&said("route", false), was), Weight::Told);
        assert_eq!(weigh(&said("store", true), was), Weight::Told);
    }
    assert_eq!(weigh(&said("route", false), Some(Status::Ok)), Weight::Bad);
}
