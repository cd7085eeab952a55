//! Switches of machines that have cairn, as far as they came to run a system:
//! real systemd, the module's own units and hook, and what cairn recorded, did
//! and said.
//!
//! Every row of the contract of `switch-to-configuration` has its test. That
//! the tool keeps it is `contract.rs`; what cairn makes of it is here:
//!
//! | Row | Exit | Test |
//! |---|---|---|
//! | all is well | 0 | `gate::a_good_switch_takes_one_point_and_becomes_known_good` |
//! | a unit failed while starting | 4 | `gate::a_unit_that_fails_takes_the_switch_back` |
//! | a unit timed out while starting | 4 | `gate::a_unit_that_hangs_takes_the_switch_back_and_a_slow_one_does_not` |
//! | `activate` failed | 2 | `gate::a_failed_activation_takes_the_switch_back` |
//! | the pre-switch check failed | 1 | `refused::a_refused_switch_has_its_profile_put_back` |
//! | the boot loader failed | 1 | `refused::a_refused_switch_has_its_profile_put_back` |
//! | the init interface differs | 100 | `refused::another_init_interface_waits_for_a_reboot` |
//! | the lock is held | 11 | `ways::two_switches_at_once_end_with_the_first` |
//! | not NixOS | 2 | `refused::what_ends_before_the_checks_is_no_switch` |
//! | not root, usage, environment | 1 | `refused::what_ends_before_the_checks_is_no_switch` |
//! | D-Bus is dead | 1 | `refused::without_d_bus_the_new_system_waits_for_a_reboot` |
//! | killed in the middle | 137 | `refused::a_switch_killed_half_way_is_taken_back` |
//! | a stale list names an absent unit | 4 | `gate::a_stale_list_is_nobodys_failure` |
//! | a crash after the end | 0 | `gate::a_late_crash_takes_the_switch_back` |
//! | the network breaks in silence | 0 | `gate::a_network_that_breaks_in_silence_takes_the_switch_back` |
//! | a unit that failed before | 0, 4 | `gate::a_unit_that_failed_before_takes_nothing_back` |
//! | a pinned system gets a new number | 0 | `gate::a_good_switch_takes_one_point_and_becomes_known_good` |

use crate::support::{Bed, Pointers, told};

#[test]
fn a_good_switch_takes_one_point_and_becomes_known_good() {
    let Some(bed) = Bed::with_cairn() else { return };
    let out = bed.switch("other-good").ends(0);
    assert!(out.text().contains("taken"), "{out:?}");
    assert_eq!(bed.newest(), told("switched", 0, "good", "nothing"));
    assert_eq!(bed.points("pre-switch").len(), 1);
    let pinned = bed
        .sh("readlink /nix/var/nix/gcroots/cairn/known-good/*")
        .ok();
    assert_eq!(bed.name(&pinned), "other-good");
    // The point holds the system of before, after its generation is gone.
    bed.sh("nix-env -p /nix/var/nix/profiles/system --delete-generations 1")
        .ends(0);
    bed.sh("nix-store --gc").ends(0);
    bed.cairn("rollback latest --yes").ends(0);
    let back = Pointers {
        booted: "good".into(),
        ..Pointers::all("good")
    };
    assert_eq!(bed.pointers(), back);
    assert_eq!(bed.generation(), 3);
}

#[test]
fn a_unit_that_fails_takes_the_switch_back() {
    let Some(bed) = Bed::with_cairn() else { return };
    bed.switch("bad-unit").ends(4);
    assert_eq!(bed.newest(), told("switched", 4, "bad", "went-back"));
    assert!(bed.reasons().contains("app.service failed"));
    assert!(
        bed.watchers()
            .contains("going back to the system of before")
    );
    assert_eq!(bed.pointers(), Pointers::all("good"));
    assert_eq!(bed.app(), "good");
    assert_eq!(bed.state("app.service"), "active");
}

#[test]
fn a_unit_that_hangs_takes_the_switch_back_and_a_slow_one_does_not() {
    let Some(bed) = Bed::with_cairn() else { return };
    bed.switch("slow-unit").ends(4);
    assert_eq!(bed.newest(), told("switched", 4, "bad", "went-back"));
    assert!(bed.reasons().contains("app.service failed"));
    assert_eq!(bed.pointers(), Pointers::all("good"));
    assert_eq!(bed.app(), "good");

    bed.switch("long-start").ends(0);
    assert_eq!(bed.newest(), told("switched", 0, "good", "nothing"));
    assert_eq!(bed.pointers().running, "long-start");
}

#[test]
fn a_late_crash_takes_the_switch_back() {
    let Some(bed) = Bed::with_cairn() else { return };
    // On a slow machine it crashes before the switch has ended.
    let code = bed.switch("late-crash").code;
    assert!([0, 4].contains(&code), "{code}");
    let came_to = told("switched", i64::from(code), "bad", "went-back");
    assert_eq!(bed.newest(), came_to);
    assert!(bed.reasons().contains("app.service failed"));
    assert_eq!(bed.pointers(), Pointers::all("good"));
}

#[test]
fn a_network_that_breaks_in_silence_takes_the_switch_back() {
    let Some(bed) = Bed::with_cairn() else { return };
    bed.switch("net-broken").ends(0);
    assert_eq!(bed.newest(), told("switched", 0, "bad", "went-back"));
    assert!(bed.reasons().contains("check network failed"));
    assert_eq!(bed.pointers(), Pointers::all("good"));
    bed.sh("ping -c1 -W1 10.99.0.2").ends(0);
}

#[test]
fn a_failed_activation_takes_the_switch_back() {
    let Some(bed) = Bed::with_cairn() else { return };
    bed.switch("activate-fails").ends(2);
    assert_eq!(bed.newest(), told("switched", 2, "bad", "went-back"));
    assert!(bed.reasons().contains("the activation script failed"));
    assert_eq!(bed.pointers(), Pointers::all("good"));
    assert_eq!(bed.state("extra.service"), "inactive");
}

#[test]
fn a_bus_that_dies_late_sends_the_machine_back_at_its_next_boot() {
    let Some(mut bed) = Bed::with_cairn() else {
        return;
    };
    bed.switch("dbus-dead").ends(0);
    // No unit failed, and no system can be switched to any more.
    let came_to = told("switched", 0, "bad", "went-back-at-boot");
    assert_eq!(bed.newest(), came_to);
    assert!(bed.reasons().contains("dbus.socket failed"));
    let back = Pointers {
        running: "dbus-dead".into(),
        ..Pointers::all("good")
    };
    assert_eq!(bed.pointers(), back);
    let listed = bed.cairn("history").ok();
    assert!(listed.contains("goes back at the next boot"), "{listed}");
    bed.cairn("status").ends(22);
    bed.reboot();
    bed.wait_for("cairn status");
    assert_eq!(bed.pointers(), Pointers::all("good"));
    assert_eq!(bed.app(), "good");
}

#[test]
fn a_stale_list_is_nobodys_failure() {
    let Some(bed) = Bed::with_cairn() else { return };
    bed.sh("mkdir -p /run/nixos; echo absent.service >/run/nixos/start-list")
        .ok();
    bed.switch("other-good").ends(4);
    assert_eq!(bed.newest(), told("switched", 4, "good", "nothing"));
    assert_eq!(bed.pointers().running, "other-good");
    assert_eq!(bed.app(), "other-good");
}

#[test]
fn a_unit_that_failed_before_takes_nothing_back() {
    let Some(bed) = Bed::with_cairn() else { return };
    bed.sh("mkdir -p /var/lib/flap; systemctl restart flapping.service")
        .text();
    bed.wait_for("systemctl list-units --all --state=failed,auto-restart | grep -q flapping");
    let code = bed.switch("other-good").code;
    let came_to = told("switched", i64::from(code), "good", "nothing");
    assert_eq!(bed.newest(), came_to, "{}", bed.reasons());
    assert_eq!(bed.pointers().running, "other-good");
}
