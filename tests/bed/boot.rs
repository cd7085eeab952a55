//! Boots of machines that have cairn: judged, cut off, with the module taken
//! out and put back.

use std::thread::sleep;
use std::time::Duration;

use crate::support::{Bed, Pointers, came_to, told};

/// Waits until the look at the boot has ended; gives its exit code.
fn look(bed: &Bed) -> String {
    bed.wait_for(
        "test $(systemctl show --value -p ExecMainExitTimestampMonotonic cairn-boot.service) != 0",
    );
    bed.unit("cairn-boot.service", "ExecMainStatus")
}

fn known_good(bed: &Bed) -> Vec<String> {
    let links = bed.sh("readlink /nix/var/nix/gcroots/cairn/known-good/*");
    let mut names: Vec<String> = links.out.lines().map(|path| bed.name(path)).collect();
    names.sort();
    names
}

#[test]
fn after_bad_boots_the_known_good_system_takes_over_once() {
    let Some(mut bed) = Bed::of("boot-gate", "good") else {
        return;
    };
    assert_eq!(look(&bed), "0");
    assert_eq!(known_good(&bed), ["good"]);
    bed.rebuild("boot", "bad-unit").ends(0);
    assert_eq!(bed.newest(), told("switched", 0, "none", "nothing"));

    bed.reboot();
    assert_eq!(look(&bed), "20");
    let said = bed.journal("--boot -u cairn-boot.service");
    assert!(said.contains("bad boot 1 of 2"), "{said}");
    assert_eq!(bed.pointers(), Pointers::all("bad-unit"));
    assert_eq!(bed.history().len(), 1);

    bed.reboot();
    assert_eq!(look(&bed), "21");
    let back = Pointers {
        booted: "bad-unit".into(),
        ..Pointers::all("good")
    };
    assert_eq!(bed.pointers(), back);
    assert_eq!(bed.app(), "good");
    assert_eq!(bed.newest(), told("switched", None, "bad", "went-back"));
    assert!(bed.reasons().contains("app.service failed"));
    assert_eq!(known_good(&bed), ["good"]);

    // That one is not well either: all stays as it is, and is told once.
    bed.sh("touch /var/lib/fragile").ok();
    for _ in 0..3 {
        bed.reboot();
        assert_eq!(look(&bed), "20");
        assert_eq!(bed.pointers(), Pointers::all("good"));
    }
    assert_eq!(bed.newest(), told("switched", None, "bad", "stuck"));
    assert!(bed.reasons().contains("took the place of"));
    assert_eq!(bed.history().len(), 3);

    // A good boot ends the count.
    bed.sh("rm /var/lib/fragile").ok();
    bed.reboot();
    assert_eq!(look(&bed), "0");
    bed.sh("test ! -e /var/lib/cairn/boots.json").ends(0);
}

#[test]
fn ten_quick_reboots_count_against_no_system() {
    let Some(mut bed) = Bed::of("boot-gate", "good") else {
        return;
    };
    look(&bed);
    bed.rebuild("boot", "other-good").ends(0);
    bed.history();
    bed.cut();
    for _ in 0..10 {
        bed.cut_while_booting("test $(systemctl is-active cairn-boot.service) = activating");
    }
    bed.start();
    assert_eq!(look(&bed), "0");
    assert_eq!(bed.pointers(), Pointers::all("other-good"));
    assert_eq!(known_good(&bed), ["good", "other-good"]);
    bed.sh("test ! -e /var/lib/cairn/boots.json").ends(0);
    assert_eq!(bed.history().len(), 1);
    bed.cairn("verify").ends(0);
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
    assert_eq!(bed.newest(), told("cut-off", None, "none", "nothing"));
}

#[test]
fn ten_power_cuts_around_switches_leave_whole_points_and_ended_records() {
    let Some(mut bed) = Bed::with_cairn() else {
        return;
    };
    bed.cairn("create").ends(0);
    for n in 0..10 {
        let to = ["other-good", "third-good"][n % 2];
        let script = format!("nixos-rebuild switch {}", bed.path(to));
        let mut switch = bed.command(&script).spawn().unwrap();
        // From before the hook has begun to after the switch has ended.
        sleep(Duration::from_millis(150 * u64::try_from(n).unwrap()));
        bed.cut();
        switch.wait().unwrap();
        bed.start();
        assert_eq!(look(&bed), "0");
        let pointers = bed.pointers();
        assert_eq!(pointers.running, pointers.booted);
    }
    let history = bed.history();
    assert!(!history.is_empty());
    for record in &history {
        assert!(
            ["cut-off", "switched"].contains(&&*came_to(record).reached),
            "{record}"
        );
    }
    bed.cairn("status").ends(0);
    bed.cairn("verify --read-data").ends(0);
    bed.sh("test -z \"$(ls /var/lib/cairn/inflight)\"").ends(0);
    bed.switch("good").ends(0);
    assert_eq!(bed.newest(), told("switched", 0, "good", "nothing"));
}

#[test]
fn the_module_taken_out_leaves_nothing_running_and_put_back_goes_on() {
    let Some(bed) = Bed::with_cairn() else { return };
    bed.switch("other-good").ends(0);
    assert_eq!(bed.newest().verdict, "good");
    bed.switch("module-off").ends(0);
    bed.wait_for("! systemctl list-units --all --plain --no-legend 'cairn*' | grep -q active");
    let left = bed
        .sh("find /etc/cairn/ /etc/systemd/system/ -name policy.json -o -name 'cairn-*'")
        .out;
    assert_eq!(left, "");
    assert_eq!(bed.pointers().running, "module-off");
    let program = "/opt/cairn/bin/cairn";
    let listed = bed.sh(&format!("{program} list")).ok();
    assert!(listed.contains("pre-switch"), "{listed}");

    bed.switch("third-good").ends(0);
    assert_eq!(bed.newest(), told("switched", 0, "good", "nothing"));
    let history = bed.history();
    // What was done meanwhile was seen by nobody, and is told.
    let to: Vec<String> = history
        .iter()
        .map(|record| bed.name(record["to"].as_str().unwrap()))
        .collect();
    assert_eq!(to, ["third-good", "module-off", "other-good"]);
    assert!(history[1]["noPoint"].is_string());
    for unit in ["cairn-switched.path", "cairn-point-daily.timer"] {
        assert_eq!(bed.state(unit), "active", "{unit}");
    }
    let point = bed.point("latest");
    assert_eq!(point["system"]["current"], bed.path("module-off"));
    // And back to where there was no cairn.
    bed.cairn("rollback latest --yes").ends(0);
    assert_eq!(bed.pointers().running, "module-off");
}
