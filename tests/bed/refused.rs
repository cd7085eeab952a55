//! Switches that did not come to run a system: what cairn recorded, put back
//! and said. `gate.rs` has the list of all cases.

use crate::support::{Bed, Pointers, told};

/// The profile is moved by hand, as `nixos-rebuild` does before it switches.
fn set_profile(bed: &Bed, name: &str) {
    let path = bed.path(name);
    bed.sh(&format!(
        "nix-env -p /nix/var/nix/profiles/system --set {path}"
    ))
    .ok();
}

#[test]
fn a_refused_switch_has_its_profile_put_back() {
    let Some(bed) = Bed::with_cairn() else { return };
    for name in ["check-fails", "bootloader-fails"] {
        bed.switch(name).ends(1);
        assert_eq!(bed.newest(), told("refused", 1, "bad", "repaired"));
        assert_eq!(bed.pointers(), Pointers::all("good"), "{name}");
    }
    assert!(bed.watchers().contains("putting the profile"));
    // A check that comes before the hook: cairn never hears of that switch.
    bed.switch("check-fails-first").ends(1);
    assert_eq!(bed.history().len(), 2);
    assert_eq!(bed.pointers().running, "good");
}

#[test]
fn another_init_interface_waits_for_a_reboot() {
    let Some(mut bed) = Bed::with_cairn() else {
        return;
    };
    bed.switch("init-differs").ends(100);
    assert_eq!(bed.newest(), told("needs-reboot", 100, "none", "nothing"));
    assert!(bed.reasons().contains("it runs after a reboot"));
    let waits = Pointers {
        profile: "init-differs".into(),
        loader: "init-differs".into(),
        ..Pointers::all("good")
    };
    assert_eq!(bed.pointers(), waits);
    bed.reboot();
    assert_eq!(bed.pointers(), Pointers::all("init-differs"));
    assert_eq!(bed.history().len(), 1);
}

#[test]
fn without_d_bus_the_new_system_waits_for_a_reboot() {
    let Some(mut bed) = Bed::with_cairn() else {
        return;
    };
    bed.sh("systemctl stop dbus.socket dbus.service").ends(0);
    // What is refused is put back all the same.
    set_profile(&bed, "check-fails");
    bed.bare("switch", "check-fails").ends(1);
    assert_eq!(bed.newest(), told("refused", None, "bad", "repaired"));
    assert_eq!(bed.pointers(), Pointers::all("good"));

    set_profile(&bed, "other-good");
    bed.bare("switch", "other-good").ends(1);
    assert_eq!(bed.newest(), told("needs-reboot", None, "none", "nothing"));
    assert!(bed.reasons().contains("nobody answers on D-Bus"));
    assert!(
        bed.history()[0]["ailing"]
            .to_string()
            .contains("dbus.socket")
    );
    let waits = Pointers {
        profile: "other-good".into(),
        loader: "other-good".into(),
        ..Pointers::all("good")
    };
    assert_eq!(bed.pointers(), waits);
    bed.reboot();
    assert_eq!(bed.pointers(), Pointers::all("other-good"));
}

#[test]
fn what_ends_before_the_checks_is_no_switch() {
    let Some(bed) = Bed::with_cairn() else { return };
    let stc = format!("{}/bin/switch-to-configuration", bed.path("other-good"));
    bed.sh(&format!(
        "mv /etc/NIXOS /etc/no; {stc} switch; code=$?; mv /etc/no /etc/NIXOS; exit $code"
    ))
    .ends(2);
    bed.sh(&format!(
        "setpriv --reuid=65534 --clear-groups {stc} switch"
    ))
    .ends(1);
    bed.sh(&format!("{stc} sideways")).ends(1);
    bed.sh(&format!(
        "sed '/^exec/s/exec/exec env -u OUT/' {stc} >/run/stc; sh /run/stc switch"
    ))
    .ends(1);
    for action in ["check", "dry-activate"] {
        bed.bare(action, "other-good").ends(0);
    }
    assert_eq!(bed.history().len(), 0);
    assert_eq!(bed.points("pre-switch").len(), 0);
    assert_eq!(bed.pointers(), Pointers::all("good"));
}

#[test]
fn a_switch_killed_half_way_is_taken_back() {
    let Some(bed) = Bed::with_cairn() else { return };
    let switch = std::thread::scope(|scope| {
        let switch = scope.spawn(|| bed.switch("long-activate"));
        bed.wait_for("test \"$(systemctl is-active app.service)\" = inactive");
        bed.sh("systemctl kill --signal=KILL nixos-rebuild-switch-to-configuration.service")
            .ends(0);
        switch.join().unwrap()
    });
    assert_ne!(switch.code, 0);
    assert_eq!(bed.newest(), told("interrupted", 137, "bad", "went-back"));
    assert!(bed.reasons().contains("stopped half way"));
    assert_eq!(bed.pointers(), Pointers::all("good"));
    assert_eq!(bed.state("app.service"), "active");
    bed.sh("test ! -e /run/nixos/start-list").ends(0);
}

#[test]
fn a_full_disk_stops_no_switch_and_a_bad_one_is_taken_back_all_the_same() {
    let Some(bed) = Bed::with_cairn() else { return };
    bed.cairn("create").ends(0);
    bed.fill_state();
    let out = bed.switch("other-good").ends(0);
    let said = "the switch goes on without one";
    assert!(out.text().contains(said), "{out:?}");
    assert_eq!(bed.newest().reached, "switched");
    assert_eq!(bed.newest().verdict, "good");
    let record = &bed.history()[0];
    assert!(record["point"].is_null(), "{record}");
    assert!(record["noPoint"].to_string().contains("space"), "{record}");

    bed.switch("bad-unit").ends(4);
    assert_eq!(bed.newest(), told("switched", 4, "bad", "went-back"));
    let back = Pointers {
        booted: "good".into(),
        ..Pointers::all("other-good")
    };
    assert_eq!(bed.pointers(), back);
    assert_eq!(bed.app(), "other-good");
    // What was there before is whole.
    bed.sh("rm /var/lib/cairn/full").ok();
    bed.cairn("verify").ends(0);
    bed.switch("third-good").ends(0);
    assert_eq!(bed.newest(), told("switched", 0, "good", "nothing"));
    assert!(bed.history()[0]["point"].is_string());
}

#[test]
fn a_full_disk_refuses_the_switch_where_a_point_is_required() {
    let Some(bed) = Bed::of("required", "good") else {
        return;
    };
    bed.cairn("create").ends(0);
    bed.fill_state();
    let out = bed.switch("other-good").ends(1);
    assert!(out.text().contains("preSwitch.required"), "{out:?}");
    assert_eq!(bed.newest(), told("refused", 1, "bad", "repaired"));
    assert_eq!(bed.pointers(), Pointers::all("good"));
    assert_eq!(bed.app(), "good");
    bed.sh("rm /var/lib/cairn/full").ok();
    bed.switch("other-good").ends(0);
    assert_eq!(bed.newest(), told("switched", 0, "good", "nothing"));
}
