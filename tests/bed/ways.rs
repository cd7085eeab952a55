//! Ways to switch: through a specialisation, from a system that no profile
//! has, in two steps, behind cairn's back, two at once.

use crate::support::{Bed, Pointers, came_to, told};

#[test]
fn a_specialisation_is_named_and_gone_back_to() {
    let Some(bed) = Bed::with_cairn() else { return };
    let parent = "with-specialisation";
    let safe = bed.specialisation(parent, "safe");
    // Out of a plain system into a bad one: all of it is taken back.
    bed.specialise(parent, "broken").ends(4);
    assert_eq!(bed.newest(), told("switched", 4, "bad", "went-back"));
    assert_eq!(bed.pointers(), Pointers::all("good"));

    bed.specialise(parent, "safe").ends(0);
    assert_eq!(bed.newest(), told("switched", 0, "good", "nothing"));
    let record = &bed.history()[0];
    assert_eq!(record["to"], safe);
    let incoming = &record["before"]["incoming"]["specialisation"];
    assert_eq!(incoming["name"], "safe");
    assert_eq!(incoming["parent"], bed.path(parent));
    let listed = bed.cairn("history").ok();
    assert!(listed.contains("(safe)"), "{listed}");
    assert_eq!(bed.pointers().profile, parent);
    assert_eq!(bed.pointers().running, safe);

    // Out of it, into another of the same system: the boot loader, which has
    // no default of that kind, was left alone by both. Then into another
    // system, which it did follow.
    for loader in ["good", parent] {
        let out = match loader {
            "good" => bed.specialise(parent, "broken"),
            _ => bed.switch("bad-unit"),
        };
        out.ends(4);
        assert_eq!(bed.newest(), told("switched", 4, "bad", "went-back"));
        let back = Pointers {
            profile: parent.into(),
            running: safe.clone(),
            booted: "good".into(),
            loader: loader.into(),
        };
        assert_eq!(bed.pointers(), back);
        assert_eq!(bed.app(), "specialised");
        let point = bed.point("latest");
        assert_eq!(point["system"]["specialisation"]["name"], "safe");
        assert_eq!(
            point["system"]["specialisation"]["parent"],
            bed.path(parent)
        );
    }
}

#[test]
fn a_running_system_that_no_profile_has_is_kept_and_gone_back_to() {
    let Some(bed) = Bed::with_cairn() else { return };
    bed.rebuild("test", "other-good").ends(0);
    assert_eq!(bed.newest(), told("switched", 0, "good", "nothing"));
    let tested = Pointers {
        running: "other-good".into(),
        ..Pointers::all("good")
    };
    assert_eq!(bed.pointers(), tested);

    bed.switch("bad-unit").ends(4);
    assert_eq!(bed.newest(), told("switched", 4, "bad", "went-back"));
    assert_eq!(bed.pointers(), tested);
    assert_eq!(bed.generation(), 1);
    assert_eq!(bed.app(), "other-good");
    let point = bed.point("latest");
    assert_eq!(point["system"]["current"], bed.path("other-good"));
    let pins = point["pins"].to_string();
    assert!(pins.contains(&bed.path("other-good")), "{pins}");

    // The pin alone keeps it.
    bed.switch("third-good").ends(0);
    assert_eq!(bed.newest().verdict, "good");
    bed.sh("rm /nix/var/nix/gcroots/cairn/known-good/*; nix-store --gc")
        .ends(0);
    let id = point["id"].as_str().unwrap();
    bed.cairn(&format!("rollback {id} --yes")).ends(0);
    assert_eq!(bed.pointers(), tested);
}

#[test]
fn test_and_then_boot_is_one_point_and_a_bare_call_is_seen() {
    let Some(bed) = Bed::with_cairn() else { return };
    bed.bare("test", "other-good").ends(0);
    bed.sh(&format!(
        "nix-env -p /nix/var/nix/profiles/system --set {}",
        bed.path("other-good")
    ))
    .ends(0);
    bed.bare("boot", "other-good").ends(0);
    let history = bed.history();
    assert_eq!(history.len(), 2);
    assert_eq!(history[0]["point"], history[1]["point"]);
    assert_eq!(bed.points("pre-switch").len(), 1);
    assert_eq!(
        came_to(&history[1]),
        told("switched", None, "good", "nothing")
    );
}

#[test]
fn a_switch_without_checks_is_noticed_and_told() {
    let Some(bed) = Bed::with_cairn() else { return };
    let tool = format!(
        "NIXOS_NO_CHECK=1 {}/bin/switch-to-configuration test",
        bed.path("other-good")
    );
    bed.sh(&tool).ends(0);
    bed.wait_for("cairn history | grep -q 'no restore point'");
    let record = &bed.history()[0];
    assert!(record["point"].is_null());
    assert_eq!(bed.name(record["to"].as_str().unwrap()), "other-good");
    bed.wait_for(
        "journalctl -u cairn-switched.service | grep -q 'no restore point was taken before'",
    );
}

#[test]
fn two_switches_at_once_end_with_the_first() {
    let Some(bed) = Bed::with_cairn() else { return };
    std::thread::scope(|scope| {
        let first = scope.spawn(|| bed.bare("test", "long-start"));
        bed.wait_for("test -n \"$(cairn history | grep long-start)\"");
        bed.bare("test", "other-good").ends(11);
        first.join().unwrap().ends(0);
    });
    let history = bed.history();
    assert_eq!(history.len(), 1, "{history:?}");
    assert_eq!(came_to(&history[0]).verdict, "good");
    assert_eq!(bed.pointers().running, "long-start");
}
