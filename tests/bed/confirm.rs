//! Switches that somebody has to confirm, on machines with real systemd: in
//! time, too late, by whom, and what survives what.

use std::time::{Duration, Instant};

use crate::support::{Bed, Pointers, told};
use serde_json::Value;

/// What the set `confirm` leaves for an answer.
const TIMEOUT: Duration = Duration::from_secs(8);

/// How much later than that the system of before may run again.
const LATE: Duration = Duration::from_secs(10);

/// The newest record, whatever it has come to.
fn record(bed: &Bed) -> Value {
    bed.json("history -l 1")["history"]["items"][0].clone()
}

/// Waits until the gate is through with the newest switch and somebody is to
/// confirm it.
#[track_caller]
fn awaited(bed: &Bed) {
    bed.wait_for("cairn history -l 1 | grep -q 'awaits cairn confirm'");
}

fn known_good(bed: &Bed) -> Vec<String> {
    let links = bed.sh("readlink /nix/var/nix/gcroots/cairn/known-good/*");
    let mut names: Vec<String> = links.out.lines().map(|path| bed.name(path)).collect();
    names.sort();
    names
}

fn watcher(bed: &Bed) -> String {
    format!("cairn-gate-{}.service", record(bed)["id"].as_str().unwrap())
}

#[test]
fn what_nobody_confirms_goes_back_in_time() {
    let Some(bed) = Bed::of("confirm", "good") else {
        return;
    };
    let out = bed.switch("other-good").ends(0);
    let ended = Instant::now();
    assert!(out.text().contains("cairn confirm"), "{out:?}");
    awaited(&bed);
    assert_eq!(bed.pointers().running, "other-good");
    assert!(known_good(&bed).is_empty());
    let status = bed.json("status")["status"]["awaited"].clone();
    assert_eq!(status["to"], bed.path("other-good"));
    assert!(status["until"].is_string() && status["secondsLeft"].as_u64().unwrap() <= 8);
    let text = bed.cairn("status").ok();
    assert!(text.contains("cairn confirm"), "{text}");

    bed.wait_for("test $(readlink /run/current-system) = $(readlink /run/booted-system)");
    let back = ended.elapsed();
    println!("back after {back:.1?}; there were {TIMEOUT:?}");
    assert!(back >= TIMEOUT - Duration::from_secs(1), "{back:?}");
    assert!(back <= TIMEOUT + LATE, "{back:?}");
    assert_eq!(bed.newest(), told("switched", 0, "bad", "went-back"));
    assert!(bed.reasons().contains("nobody confirmed it within 8s"));
    assert_eq!(bed.pointers(), Pointers::all("good"));
    assert_eq!(bed.app(), "good");
    // At most once, and too late is too late.
    let late = bed.cairn("confirm").ends(21);
    assert!(late.err.contains("too late"), "{late:?}");
    assert_eq!(bed.history().len(), 1);
    let journal = bed.sh("journalctl -o cat --output-fields=CAIRN_EVENT -t cairn");
    let events: Vec<&str> = journal.out.lines().collect();
    assert_eq!(events, ["confirm-awaited", "reverted"], "{journal:?}");
}

#[test]
fn a_confirmed_switch_stays_and_is_known_good() {
    let Some(bed) = Bed::of("confirm", "good") else {
        return;
    };
    bed.switch("other-good").ends(0);
    awaited(&bed);
    // From another session than the one that switched.
    bed.sh("systemd-run --wait --pipe --quiet /opt/cairn/bin/cairn confirm")
        .ends(0);
    assert_eq!(bed.newest(), told("switched", 0, "good", "nothing"));
    assert_eq!(known_good(&bed), ["other-good"]);
    let again = bed.cairn("confirm").ok();
    assert!(again.contains("already"), "{again}");
    std::thread::sleep(TIMEOUT);
    assert_eq!(bed.pointers().running, "other-good");

    // Confirmed at once, before the gate is through with it.
    bed.switch("third-good").ends(0);
    let early = bed.cairn("confirm").ok();
    assert!(early.contains("still watching"), "{early}");
    assert_eq!(bed.newest(), told("switched", 0, "good", "nothing"));
    // That does not make a bad one good.
    bed.switch("net-broken").ends(0);
    bed.cairn("confirm").ends(0);
    assert_eq!(bed.newest(), told("switched", 0, "bad", "went-back"));
    assert_eq!(bed.pointers().running, "third-good");
    // What was good for a while can be taken back as well.
    let id = bed.history()[1]["id"].as_str().unwrap().to_owned();
    bed.cairn(&format!("revert {id} --yes")).ends(0);
    assert_eq!(bed.pointers().running, "other-good");
    assert_eq!(known_good(&bed), ["other-good"]);
    bed.cairn("revert --yes").ends(0);
    assert_eq!(bed.pointers(), Pointers::all("good"));
    assert!(known_good(&bed).is_empty());
}

#[test]
fn revert_takes_back_what_is_awaited_or_still_watched() {
    let Some(bed) = Bed::of("confirm", "good") else {
        return;
    };
    bed.switch("other-good").ends(0);
    awaited(&bed);
    bed.cairn("revert").ends(2);
    bed.cairn("revert --yes").ends(0);
    assert_eq!(bed.newest(), told("switched", 0, "bad", "went-back"));
    assert!(bed.reasons().contains("cairn revert"));
    assert_eq!(bed.pointers(), Pointers::all("good"));

    bed.switch("third-good").ends(0);
    let begun = Instant::now();
    bed.cairn("revert --yes").ends(0);
    println!("revert in the window took {:.1?}", begun.elapsed());
    assert_eq!(bed.newest(), told("switched", 0, "bad", "went-back"));
    assert_eq!(bed.pointers(), Pointers::all("good"));
    assert_eq!(bed.history().len(), 2);
    bed.cairn("status").ends(0);
}

#[test]
fn a_killed_watcher_goes_on_and_a_stopped_one_is_stood_in_for() {
    let Some(bed) = Bed::of("confirm", "good") else {
        return;
    };
    bed.switch("other-good").ends(0);
    let ended = Instant::now();
    awaited(&bed);
    let unit = watcher(&bed);
    bed.sh(&format!("systemctl kill --signal=KILL {unit}"))
        .ends(0);
    bed.wait_for(&format!("test \"$(systemctl is-active {unit})\" = active"));
    bed.wait_for("test $(readlink /run/current-system) = $(readlink /run/booted-system)");
    let back = ended.elapsed();
    println!("back after {back:.1?}, though the watcher was killed");
    assert!(back <= TIMEOUT + LATE, "{back:?}");
    assert_eq!(bed.newest(), told("switched", 0, "bad", "went-back"));

    // Killed in the window: judged anew.
    bed.switch("net-broken").ends(0);
    let unit = watcher(&bed);
    bed.sh(&format!("systemctl kill --signal=KILL {unit}"))
        .ends(0);
    assert_eq!(bed.newest(), told("switched", 0, "bad", "went-back"));
    assert!(bed.reasons().contains("check network failed"));

    // Stopped for good, nobody watches; whoever answers does the work.
    bed.switch("third-good").ends(0);
    awaited(&bed);
    bed.sh(&format!("systemctl stop {}", watcher(&bed))).ends(0);
    let said = bed.cairn("confirm").ok();
    assert!(said.contains("stays"), "{said}");
    assert_eq!(bed.newest(), told("switched", 0, "good", "nothing"));
    assert_eq!(known_good(&bed), ["third-good"]);
}

#[test]
fn after_a_reboot_the_confirmation_is_still_owed() {
    let Some(mut bed) = Bed::of("confirm-later", "good") else {
        return;
    };
    bed.switch("other-good").ends(0);
    awaited(&bed);
    bed.reboot();
    assert_eq!(bed.pointers(), Pointers::all("other-good"));
    bed.wait_for("cairn status | grep -q 'other-good until'");
    bed.cairn("confirm").ends(0);
    assert_eq!(bed.newest(), told("switched", 0, "good", "nothing"));
    assert_eq!(known_good(&bed), ["other-good"]);

    // With `boot` it is asked for after the boot, and not before.
    bed.rebuild("boot", "third-good").ends(0);
    assert_eq!(bed.newest(), told("switched", 0, "none", "nothing"));
    let early = bed.cairn("confirm").ends(1);
    assert!(early.err.contains("after a reboot"), "{early:?}");
    bed.reboot();
    let booted = Instant::now();
    bed.wait_for("cairn status | grep -q 'third-good until'");
    // Cut off from power in between, nobody confirms: it goes back.
    bed.power_cut();
    bed.wait_for("test \"$(readlink /run/current-system)\" != \"$(readlink /run/booted-system)\"");
    let back = booted.elapsed();
    println!("back after {back:.1?}; there were 25 s from the boot on");
    assert!(back <= Duration::from_secs(25) + LATE, "{back:?}");
    bed.wait_for("cairn history -l 1 | grep -q 'went back'");
    assert_eq!(bed.newest().done, "went-back");
    let there = Pointers {
        booted: "third-good".into(),
        ..Pointers::all("other-good")
    };
    assert_eq!(bed.pointers(), there);
}

#[test]
fn time_that_passed_while_the_machine_was_off_counts() {
    let Some(mut bed) = Bed::of("confirm", "good") else {
        return;
    };
    bed.switch("other-good").ends(0);
    awaited(&bed);
    bed.cut();
    std::thread::sleep(TIMEOUT);
    bed.start();
    bed.wait_for("test \"$(readlink /run/current-system)\" != \"$(readlink /run/booted-system)\"");
    bed.wait_for("cairn history -l 1 | grep -q 'went back'");
    let back = Pointers {
        booted: "other-good".into(),
        ..Pointers::all("good")
    };
    assert_eq!(bed.pointers(), back);
    bed.reboot();
    assert_eq!(bed.pointers(), Pointers::all("good"));
}

#[test]
fn what_overtook_an_unconfirmed_switch_goes_back_to_before_it() {
    let Some(bed) = Bed::of("confirm-later", "good") else {
        return;
    };
    bed.switch("other-good").ends(0);
    awaited(&bed);
    bed.switch("third-good").ends(0);
    bed.wait_for("test $(readlink /run/current-system) = $(readlink /run/booted-system)");
    assert_eq!(bed.newest(), told("switched", 0, "bad", "went-back"));
    assert_eq!(bed.pointers(), Pointers::all("good"));
    let history = bed.history();
    assert_eq!(history[1]["result"]["reached"], "superseded");
    assert_eq!(history.len(), 2);
}

#[test]
fn a_confirm_that_races_the_end_of_the_time_is_decided_once() {
    let Some(bed) = Bed::of("confirm", "good") else {
        return;
    };
    bed.switch("other-good").ends(0);
    awaited(&bed);
    // Many of both, around the instant at which the time is over.
    let race = bed.sh(
        "left=$(cairn --json status | python3 -c \
         'import json,sys; print(json.load(sys.stdin)[\"status\"][\"awaited\"][\"secondsLeft\"])'); \
         sleep $left.9; for n in $(seq 12); do cairn confirm >/dev/null 2>&1; echo $?; done",
    );
    let newest = bed.newest();
    let codes: Vec<&str> = race.out.lines().collect();
    println!("{codes:?}: {newest:?}");
    let kept = newest.done == "nothing";
    assert_eq!(newest.verdict, if kept { "good" } else { "bad" });
    for code in codes {
        assert_eq!(code, if kept { "0" } else { "21" }, "{newest:?}");
    }
    let runs = if kept { "other-good" } else { "good" };
    assert_eq!(bed.pointers().running, runs);
}
