//! The tool that switches keeps the contract of the real one: its exit codes,
//! and what it leaves behind. `BED_STC` puts another one to the same test.

use crate::support::{Bed, Pointers};

/// All pointers of a machine that was booted into `good` and whose system was
/// switched by `nixos-rebuild`.
fn switched(to: &str) -> Pointers {
    Pointers {
        booted: "good".to_owned(),
        ..Pointers::all(to)
    }
}

/// Only the profile has moved.
fn profile_moved(to: &str) -> Pointers {
    Pointers {
        profile: to.to_owned(),
        ..Pointers::all("good")
    }
}

/// The profile and the boot default have moved, the system has not.
fn not_running(to: &str) -> Pointers {
    Pointers {
        loader: to.to_owned(),
        ..profile_moved(to)
    }
}

#[test]
fn a_good_switch_moves_all_but_the_booted_system() {
    let Some(bed) = Bed::plain() else { return };
    assert_eq!(bed.pointers(), Pointers::all("good"));
    assert_eq!(bed.app(), "good");
    bed.switch("other-good").ends(0);
    assert_eq!(bed.pointers(), switched("other-good"));
    assert_eq!(bed.app(), "other-good");
    assert_eq!(bed.state("app.service"), "active");
    assert_eq!(bed.generation(), 2);
    bed.sh("test ! -e /run/nixos/start-list").ends(0);
}

#[test]
fn a_unit_that_fails_or_times_out_while_starting_gives_4() {
    let Some(bed) = Bed::plain() else { return };
    bed.switch("bad-unit").ends(4);
    assert_eq!(bed.pointers(), switched("bad-unit"));
    assert_eq!(bed.state("app.service"), "failed");
    bed.switch("slow-unit").ends(4);
    assert_eq!(bed.pointers(), switched("slow-unit"));
    assert_eq!(bed.unit("app.service", "Result"), "timeout");
    // The next good one is good again: old failures are wiped.
    bed.switch("good").ends(0);
    assert_eq!(bed.sh("systemctl --failed --no-legend").ok(), "");
}

#[test]
fn a_failed_activation_gives_2_and_the_switch_goes_on() {
    let Some(bed) = Bed::plain() else { return };
    bed.switch("activate-fails").ends(2);
    assert_eq!(bed.pointers(), switched("activate-fails"));
    assert_eq!(bed.state("extra.service"), "active");
    assert_eq!(bed.app(), "activate-fails");
}

#[test]
fn a_failed_check_gives_1_after_the_profile_moved() {
    let Some(bed) = Bed::plain() else { return };
    let out = bed.switch("check-fails").ends(1);
    assert!(out.text().contains("not on my watch"), "{out:?}");
    assert_eq!(bed.pointers(), profile_moved("check-fails"));
    assert_eq!(bed.app(), "good");
    // Who says so gets past the check.
    let path = bed.path("check-fails");
    bed.sh(&format!("NIXOS_NO_CHECK=1 nixos-rebuild switch {path}"))
        .ends(0);
    assert_eq!(bed.pointers(), switched("check-fails"));
}

#[test]
fn a_failed_boot_loader_gives_1_and_the_units_stay() {
    let Some(bed) = Bed::plain() else { return };
    bed.switch("bootloader-fails").ends(1);
    assert_eq!(bed.pointers(), profile_moved("bootloader-fails"));
    assert_eq!(bed.app(), "good");
}

#[test]
fn another_init_interface_gives_100_after_the_boot_default_moved() {
    let Some(mut bed) = Bed::plain() else { return };
    bed.switch("init-differs").ends(100);
    assert_eq!(bed.pointers(), not_running("init-differs"));
    assert_eq!(bed.app(), "good");
    bed.reboot();
    assert_eq!(bed.pointers(), Pointers::all("init-differs"));
}

#[test]
fn what_is_refused_at_once_leaves_nothing() {
    let Some(bed) = Bed::plain() else { return };
    let stc = format!("{}/bin/switch-to-configuration", bed.path("other-good"));

    let lock = "flock /run/nixos/switch-to-configuration.lock";
    bed.sh(&format!("mkdir -p /run/nixos; {lock} {stc} switch"))
        .ends(11);
    bed.sh(&format!(
        "mv /etc/NIXOS /etc/no; {stc} switch; code=$?; mv /etc/no /etc/NIXOS; exit $code"
    ))
    .ends(2);
    bed.sh(&format!(
        "setpriv --reuid=65534 --clear-groups {stc} switch"
    ))
    .ends(1);
    bed.sh(&format!("{stc} sideways")).ends(1);
    bed.sh(&stc).ends(1);
    for name in "OUT TOPLEVEL DISTRO_ID INSTALL_BOOTLOADER PRE_SWITCH_CHECK SYSTEMD".split(' ') {
        bed.sh(&format!(
            "sed '/^exec/s/exec/exec env -u {name}/' {stc} >/run/stc; sh /run/stc switch"
        ))
        .ends(1);
    }
    assert_eq!(bed.pointers(), Pointers::all("good"));
    assert_eq!(bed.app(), "good");
    // And it was the same call that works.
    bed.sh(&format!("sh {stc} switch")).ends(0);
    assert_eq!(bed.app(), "other-good");
}

#[test]
fn without_d_bus_a_switch_gives_1_and_a_reboot_cures_it() {
    let Some(mut bed) = Bed::plain() else { return };
    bed.switch("dbus-dead").ends(0);
    bed.wait_for(
        "! systemctl is-active --quiet dbus.socket && ! systemctl is-active --quiet dbus.service",
    );
    let path = bed.path("other-good");
    bed.sh(&format!(
        "nix-env -p /nix/var/nix/profiles/system --set {path}"
    ))
    .ok();
    bed.bare("switch", "other-good").ends(1);
    let stuck = Pointers {
        running: "dbus-dead".to_owned(),
        booted: "good".to_owned(),
        ..Pointers::all("other-good")
    };
    assert_eq!(bed.pointers(), stuck);
    assert_eq!(bed.app(), "dbus-dead");
    bed.reboot();
    assert_eq!(bed.pointers(), Pointers::all("other-good"));
    bed.switch("good").ends(0);
}

#[test]
fn a_killed_switch_leaves_its_list_and_a_second_one_repairs() {
    let Some(bed) = Bed::plain() else { return };
    let stc = format!("{}/bin/switch-to-configuration", bed.path("long-activate"));
    let switch = bed
        .command(&format!("{stc} switch & echo $! >/run/stc.pid; wait $!"))
        .spawn();
    let mut switch = switch.unwrap();
    bed.wait_for("test -e /run/nixos/start-list && ! systemctl is-active --quiet app.service");
    bed.sh("kill -9 $(cat /run/stc.pid)").ok();
    assert_eq!(switch.wait().unwrap().code(), Some(137));

    assert_eq!(bed.state("app.service"), "inactive");
    bed.sh("grep -qx app.service /run/nixos/start-list").ends(0);
    bed.sh("flock -n /run/nixos/switch-to-configuration.lock true")
        .ends(0);
    // The activation it had started ends by itself.
    let orphan = "readlink /run/current-system | grep long-activate";
    bed.wait_for(orphan);
    bed.bare("switch", "good").ends(0);
    assert_eq!(bed.state("app.service"), "active");
    assert_eq!(bed.app(), "good");
    bed.sh("test ! -e /run/nixos/start-list").ends(0);
}

#[test]
fn a_stale_list_with_an_absent_unit_gives_4_and_is_cleared() {
    let Some(bed) = Bed::plain() else { return };
    bed.sh("mkdir -p /run/nixos; echo absent.service >/run/nixos/start-list")
        .ok();
    bed.switch("other-good").ends(4);
    assert_eq!(bed.pointers(), switched("other-good"));
    assert_eq!(bed.app(), "other-good");
    bed.sh("test ! -e /run/nixos/start-list").ends(0);
    assert_eq!(bed.sh("systemctl --failed --no-legend").ok(), "");
}

#[test]
fn what_breaks_later_or_silently_gives_0() {
    let Some(bed) = Bed::plain() else { return };
    let reach = "ping -c 1 -W 1 10.99.0.2";
    bed.sh(reach).ends(0);
    bed.switch("net-broken").ends(0);
    bed.sh(reach).ends(2);
    assert_eq!(bed.sh("systemctl --failed --no-legend").ok(), "");

    bed.switch("late-crash").ends(0);
    bed.sh(reach).ends(0);
    assert_eq!(bed.state("app.service"), "active");
    bed.wait_for("systemctl is-failed --quiet app.service");
}

#[test]
fn any_failed_unit_counts_but_old_failures_are_wiped() {
    let Some(bed) = Bed::plain() else { return };
    bed.sh("systemd-run --unit=elder false; sleep 0.1; systemctl is-failed elder")
        .ok();
    bed.switch("other-good").ends(0);
    assert_eq!(bed.sh("systemctl --failed --no-legend").ok(), "");
    // It fails again and again, and the switch has nothing to do with it.
    bed.sh("touch /var/lib/flap; systemctl restart flapping.service")
        .ok();
    // For an instant of each of its turns it looks well.
    let mut turns = ["third-good", "other-good"].into_iter().cycle().take(8);
    let counted = turns.find(|name| bed.switch(name).code == 4);
    assert_eq!(bed.app(), counted.unwrap());
}

#[test]
fn the_other_actions_move_what_they_should() {
    let Some(mut bed) = Bed::plain() else { return };
    let out = bed.rebuild("dry-activate", "other-good").ends(0);
    assert!(out.text().contains("app.service"), "{out:?}");
    assert_eq!(bed.pointers(), Pointers::all("good"));
    bed.sh("test ! -e /run/nixos/start-list").ends(0);
    bed.bare("check", "other-good").ends(0);
    bed.bare("check", "check-fails").ends(1);
    assert_eq!(bed.pointers(), Pointers::all("good"));

    bed.rebuild("test", "other-good").ends(0);
    let tested = Pointers {
        running: "other-good".to_owned(),
        ..Pointers::all("good")
    };
    assert_eq!(bed.pointers(), tested);
    assert_eq!(bed.generation(), 1);

    bed.rebuild("boot", "third-good").ends(0);
    let to_boot = Pointers {
        profile: "third-good".to_owned(),
        loader: "third-good".to_owned(),
        ..tested
    };
    assert_eq!(bed.pointers(), to_boot);
    bed.power_cut();
    assert_eq!(bed.pointers(), Pointers::all("third-good"));
    assert_eq!(bed.app(), "third-good");
}

#[test]
fn a_specialisation_is_switched_to_through_its_parent() {
    let Some(bed) = Bed::plain() else { return };
    let parent = bed.path("with-specialisation");
    bed.sh(&format!("nixos-rebuild switch {parent} safe"))
        .ends(0);
    let pointers = bed.pointers();
    assert_eq!(pointers.profile, "with-specialisation");
    let safe = bed.sh(&format!("readlink -f {parent}/specialisation/safe"));
    assert_eq!(pointers.running, safe.ok());
    assert_eq!(bed.app(), "specialised");
}

#[test]
fn a_pinned_system_outlives_its_generation_and_gets_a_new_number() {
    let Some(bed) = Bed::plain() else { return };
    let path = bed.path("other-good");
    bed.switch("other-good").ends(0);
    bed.switch("third-good").ends(0);
    bed.switch("good").ends(0);
    bed.sh(&format!("ln -s {path} /nix/var/nix/gcroots/pin"))
        .ok();
    bed.sh("nix-env -p /nix/var/nix/profiles/system --delete-generations 2 3 && nix-store --gc")
        .ok();
    let gone = bed.path("third-good");
    bed.sh(&format!("test -e {path} && test ! -e {gone}"))
        .ends(0);
    bed.switch("other-good").ends(0);
    assert_eq!(bed.generation(), 5);
}

#[test]
fn a_boot_entry_can_be_chosen_for_once() {
    let Some(mut bed) = Bed::plain() else { return };
    bed.switch("other-good").ends(0);
    bed.choose_entry(1);
    bed.reboot();
    let fallen_back = Pointers {
        running: "good".to_owned(),
        booted: "good".to_owned(),
        ..Pointers::all("other-good")
    };
    assert_eq!(bed.pointers(), fallen_back);
    bed.reboot();
    assert_eq!(bed.pointers(), Pointers::all("other-good"));
}
