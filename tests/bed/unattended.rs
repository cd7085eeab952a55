//! What no person is there for: upgrades by a timer, systems that need a
//! reboot, state that spoils every system, who is told, and how long it takes.

use std::time::{Duration, Instant};

use crate::support::{Bed, Pointers, told};

#[test]
fn an_upgrade_that_breaks_the_machine_is_taken_back_though_its_unit_has_ended() {
    let Some(bed) = Bed::with_cairn() else { return };
    // As the unit of `system.autoUpgrade`: a oneshot that runs nixos-rebuild.
    let upgrade = |name: &str| {
        let path = bed.path(name);
        bed.sh(&format!(
            "systemd-run --unit=nixos-upgrade --property=Type=oneshot --wait --collect --quiet \
             --setenv=PATH=$PATH /opt/bed/bin/nixos-rebuild switch {path}"
        ))
    };
    // It ends well; the app crashes, and the network is gone, only afterwards.
    for bad in ["net-broken", "late-crash"] {
        upgrade(bad);
        bed.wait_for("! systemctl is-active nixos-upgrade.service");
        let newest = bed.newest();
        assert_eq!(
            (newest.verdict.as_str(), newest.done.as_str()),
            ("bad", "went-back"),
            "{bad}"
        );
        assert_eq!(bed.pointers(), Pointers::all("good"), "{bad}");
    }
    upgrade("other-good").ends(0);
    assert_eq!(bed.newest(), told("switched", 0, "good", "nothing"));
}

#[test]
fn what_may_not_be_switched_to_is_made_the_boot_default() {
    let Some(mut bed) = Bed::of("cairn", "old-bus") else {
        return;
    };
    let out = bed.switch("new-bus").ends(1);
    assert!(out.text().contains("critical components"), "{out:?}");
    let history = bed.history();
    let refused = history.iter().find(|r| r["action"] == "switch").unwrap();
    assert_eq!(refused["result"]["done"], "boots", "{refused}");
    assert!(
        refused["result"]["reasons"].to_string().contains("dbus"),
        "{refused}"
    );
    let waits = Pointers {
        profile: "new-bus".into(),
        loader: "new-bus".into(),
        ..Pointers::all("old-bus")
    };
    assert_eq!(bed.pointers(), waits);
    let status = bed.cairn("status").ok();
    assert!(status.contains("reboot"), "{status}");
    let told = bed
        .sh("journalctl -o cat --output-fields=CAIRN_EVENT -t cairn")
        .out;
    assert!(told.contains("needs-reboot"), "{told}");
    bed.reboot();
    assert_eq!(bed.pointers(), Pointers::all("new-bus"));
}

#[test]
fn where_going_back_takes_a_reboot_the_boot_default_goes_back() {
    let Some(mut bed) = Bed::of("boot-gate", "old-bus") else {
        return;
    };
    let judged =
        "test $(systemctl show --value -p ExecMainExitTimestampMonotonic cairn-boot.service) != 0";
    bed.wait_for(judged);
    bed.rebuild("boot", "bad-bus").ends(0);
    for _ in 0..2 {
        bed.reboot();
        bed.wait_for(judged);
    }
    // It runs still, and is booted no more.
    let waits = Pointers {
        running: "bad-bus".into(),
        booted: "bad-bus".into(),
        ..Pointers::all("old-bus")
    };
    assert_eq!(bed.pointers(), waits);
    assert_eq!(bed.newest().done, "went-back-at-boot");
    let status = bed.cairn("status").ok();
    assert!(status.contains("reboot"), "{status}");
    bed.reboot();
    assert_eq!(bed.pointers(), Pointers::all("old-bus"));
}

#[test]
fn bad_state_that_fails_every_system_makes_no_circles() {
    let Some(bed) = Bed::with_cairn() else { return };
    bed.switch("other-good").ends(0);
    assert_eq!(bed.newest(), told("switched", 0, "good", "nothing"));
    // The state goes bad after the next switch: every system fails on it.
    bed.sh(&format!(
        "nixos-rebuild switch {}; touch /var/lib/fragile; systemctl restart fragile.service",
        bed.path("third-good")
    ))
    .ends(1);
    assert_eq!(bed.newest(), told("switched", 0, "bad", "went-back"));
    assert!(bed.reasons().contains("fragile.service failed"));
    // The system of before fails on it too, and that starts nothing anew.
    assert_eq!(bed.state("fragile.service"), "failed");
    assert_eq!(bed.history().len(), 2);
    std::thread::sleep(Duration::from_secs(6));
    assert_eq!(bed.history().len(), 2);
    assert_eq!(bed.pointers().running, "other-good");
    // From now on it is known not to be well, and is blamed on nobody.
    let code = bed.switch("third-good").code;
    assert_eq!(
        bed.newest(),
        told("switched", i64::from(code), "good", "nothing")
    );
}

#[test]
fn commands_and_the_journal_are_told_once_of_each_outcome() {
    let Some(bed) = Bed::of("told", "good") else {
        return;
    };
    bed.switch("bad-unit").ends(4);
    bed.history();
    bed.switch("other-good").ends(0);
    bed.history();
    bed.wait_for("test $(wc -l </run/events) = 2");
    assert_eq!(bed.sh("cat /run/events").ok(), "went-back\nswitch-good");
    let told: serde_json::Value =
        serde_json::from_str(&bed.sh("head -n 1 /run/told").ok()).unwrap();
    assert_eq!(told["system"], bed.path("bad-unit"));
    assert_eq!(told["reasons"][0], "app.service failed");
    let found = bed
        .sh("journalctl -o json MESSAGE_ID=980382bd372e4f69a813e8db77eb806e")
        .json();
    assert_eq!(found["PRIORITY"], "4");
    assert_eq!(found["CAIRN_SYSTEM"], bed.path("bad-unit"));
    assert_eq!(found["CAIRN_SWITCH"], told["switch"]);
}

/// From the end of a switch that failed to the system of before: at most three
/// times as long as a plain switch back takes.
#[test]
fn going_back_takes_no_more_than_three_plain_switches() {
    let (Some(plain), Some(bed)) = (Bed::plain(), Bed::with_cairn()) else {
        return;
    };
    let mut ratios = Vec::new();
    for _ in 0..3 {
        plain.switch("bad-unit").ends(4);
        let begun = Instant::now();
        plain.switch("good").ends(0);
        let by_hand = begun.elapsed();
        bed.switch("bad-unit").ends(4);
        let begun = Instant::now();
        bed.wait_for(
            "test $(readlink /run/current-system) = $(readlink /run/booted-system) && \
             test $(systemctl is-active app.service) = active",
        );
        let by_gate = begun.elapsed();
        assert_eq!(bed.newest().done, "went-back");
        let ratio = by_gate.as_secs_f64() / by_hand.as_secs_f64();
        println!("by hand {by_hand:.2?}, by the gate {by_gate:.2?}: {ratio:.2} x");
        ratios.push(ratio);
    }
    let ratio = crate::support::cost::median(ratios.iter().copied());
    assert!(ratio <= 3.0, "{ratios:?}");
}
