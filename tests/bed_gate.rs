//! Switches of machines that have cairn: real systemd, the module's own units
//! and hook, and what cairn recorded and did in each case of the contract.
#![allow(clippy::disallowed_methods, clippy::unwrap_used, clippy::panic)]

mod bed_support;

use bed_support::{Bed, Pointers};
use serde_json::Value;

/// Waits until no switch is watched any more; the records, newest first.
fn history(bed: &Bed) -> Vec<Value> {
    bed.wait_for(
        "cairn --json history | python3 -c \"import json,sys; \
         sys.exit(any('result' not in i for i in json.load(sys.stdin)['history']['items']))\"",
    );
    bed.json("history")["history"]["items"]
        .as_array()
        .unwrap()
        .clone()
}

/// How far the newest switch came, its exit code, the verdict, what was done.
fn newest(bed: &Bed) -> (String, Option<i64>, String, String) {
    let result = history(bed)[0]["result"].clone();
    let text = |name: &str| result[name].as_str().unwrap().to_owned();
    (
        text("reached"),
        result["exit"].as_i64(),
        text("verdict"),
        text("done"),
    )
}

fn is(
    reached: &str,
    exit: i64,
    verdict: &str,
    done: &str,
) -> (String, Option<i64>, String, String) {
    (reached.into(), Some(exit), verdict.into(), done.into())
}

fn before_switch(bed: &Bed) -> Vec<Value> {
    let listed = bed.json("list --trigger pre-switch");
    listed["points"]["items"].as_array().unwrap().clone()
}

#[test]
fn a_good_switch_takes_one_point_and_becomes_known_good() {
    let Some(bed) = Bed::with_cairn() else { return };
    bed.switch("other-good").ends(0);
    assert_eq!(newest(&bed), is("switched", 0, "good", "nothing"));
    assert_eq!(before_switch(&bed).len(), 1);
    let pinned = bed
        .sh("readlink /nix/var/nix/gcroots/cairn/known-good/*")
        .ok();
    assert_eq!(bed.name(&pinned), "other-good");
    // The point holds the system of before, after its generation is gone.
    bed.sh("nix-env -p /nix/var/nix/profiles/system --delete-generations 1")
        .ends(0);
    bed.sh("nix-store --gc").ends(0);
    bed.cairn("rollback latest --yes").ends(0);
    assert_eq!(
        bed.pointers(),
        Pointers {
            booted: "good".into(),
            ..Pointers::all("good")
        }
    );
}

#[test]
fn a_unit_that_fails_takes_the_switch_back() {
    let Some(bed) = Bed::with_cairn() else { return };
    bed.switch("bad-unit").ends(4);
    assert_eq!(newest(&bed), is("switched", 4, "bad", "went-back"));
    assert_eq!(bed.pointers(), Pointers::all("good"));
    assert_eq!(bed.state("app.service"), "active");
}

#[test]
fn a_late_crash_takes_the_switch_back() {
    let Some(bed) = Bed::with_cairn() else { return };
    // On a slow machine it crashes before the switch has ended.
    let code = bed.switch("late-crash").code;
    assert!([0, 4].contains(&code), "{code}");
    assert_eq!(
        newest(&bed),
        is("switched", code.into(), "bad", "went-back")
    );
    assert_eq!(bed.pointers(), Pointers::all("good"));
}

#[test]
fn a_network_that_breaks_in_silence_takes_the_switch_back() {
    let Some(bed) = Bed::with_cairn() else { return };
    bed.switch("net-broken").ends(0);
    assert_eq!(newest(&bed), is("switched", 0, "bad", "went-back"));
    assert_eq!(bed.pointers(), Pointers::all("good"));
}

#[test]
fn a_failed_activation_takes_the_switch_back() {
    let Some(bed) = Bed::with_cairn() else { return };
    bed.switch("activate-fails").ends(2);
    assert_eq!(newest(&bed), is("switched", 2, "bad", "went-back"));
    assert_eq!(bed.pointers(), Pointers::all("good"));
}

#[test]
fn a_refused_switch_has_its_profile_put_back() {
    let Some(bed) = Bed::with_cairn() else { return };
    bed.switch("check-fails").ends(1);
    assert_eq!(newest(&bed), is("refused", 1, "bad", "repaired"));
    assert_eq!(bed.pointers(), Pointers::all("good"));
    bed.switch("bootloader-fails").ends(1);
    assert_eq!(newest(&bed), is("refused", 1, "bad", "repaired"));
    assert_eq!(bed.pointers(), Pointers::all("good"));
}

#[test]
fn another_init_interface_waits_for_a_reboot() {
    let Some(bed) = Bed::with_cairn() else { return };
    bed.switch("init-differs").ends(100);
    assert_eq!(newest(&bed), is("needs-reboot", 100, "none", "nothing"));
    assert_eq!(bed.pointers().running, "good");
    assert_eq!(bed.pointers().profile, "init-differs");
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
    let history = history(&bed);
    assert_eq!(history.len(), 2);
    assert_eq!(history[0]["point"], history[1]["point"]);
    assert_eq!(before_switch(&bed).len(), 1);
    assert_eq!(history[1]["result"]["verdict"], "good");
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
    let record = &history(&bed)[0];
    assert!(record["point"].is_null());
    assert_eq!(bed.name(record["to"].as_str().unwrap()), "other-good");
    bed.wait_for(
        "journalctl -u cairn-switched.service | grep -q 'no restore point was taken before'",
    );
}

#[test]
fn the_module_taken_out_leaves_nothing_running() {
    let Some(bed) = Bed::with_cairn() else { return };
    bed.switch("module-off").ends(0);
    bed.wait_for("! systemctl list-units --all --plain --no-legend 'cairn*' | grep -q active");
    let left = bed
        .sh("find /etc/cairn/ /etc/systemd/system/ -name policy.json -o -name 'cairn-*'")
        .out;
    assert_eq!(left, "");
    assert_eq!(bed.pointers().running, "module-off");
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
    assert_eq!(newest(&bed), is("interrupted", 137, "bad", "went-back"));
    assert_eq!(bed.pointers(), Pointers::all("good"));
    assert_eq!(bed.state("app.service"), "active");
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
    let history = history(&bed);
    assert_eq!(history.len(), 1, "{history:?}");
    assert_eq!(history[0]["result"]["verdict"], "good");
    assert_eq!(bed.pointers().running, "long-start");
}

#[test]
fn a_power_cut_in_the_window_is_ended_at_the_next_boot() {
    let Some(mut bed) = Bed::with_cairn() else {
        return;
    };
    bed.switch("other-good").ends(0);
    bed.power_cut();
    bed.wait_for("cairn history | grep -q 'cut off'");
    assert_eq!(bed.pointers(), Pointers::all("other-good"));
    assert_eq!(history(&bed)[0]["result"]["reached"], "cut-off");
}

#[test]
fn a_unit_that_failed_before_takes_nothing_back() {
    let Some(bed) = Bed::with_cairn() else { return };
    bed.sh("mkdir -p /var/lib/flap; systemctl restart flapping.service")
        .text();
    bed.wait_for("systemctl list-units --all --state=failed,auto-restart | grep -q flapping");
    bed.switch("other-good");
    let (reached, _, verdict, done) = newest(&bed);
    assert_eq!(
        (reached.as_str(), verdict.as_str(), done.as_str()),
        ("switched", "good", "nothing")
    );
}
