//! Points with configuration, state and system: taken by the clock, brought
//! back in a running machine, undone, cut off and ended at the next boot.

use crate::support::{Bed, Pointers};
use serde_json::Value;

/// Configuration and state of the machine, as text.
fn contents(bed: &Bed) -> String {
    bed.sh("cd / && for f in $(find etc/nixos var/lib/app -type f | sort); do echo \"$f: $(cat $f)\"; done")
        .ok()
}

/// Another system, another configuration, other state.
fn change_all(bed: &Bed, to: &str) {
    bed.sh("echo '{ changed = true; }' >/etc/nixos/configuration.nix; \
         echo new >/etc/nixos/new.nix; rm /etc/nixos/hardware-configuration.nix; \
         echo 'more rows' >>/var/lib/app/data; mkdir /var/lib/app/deep; \
         echo deeper >/var/lib/app/deep/file")
        .ok();
    bed.switch(to).ends(0);
    bed.history();
}

/// The id of a point taken now, by hand.
fn create(bed: &Bed) -> String {
    let created: Value = bed.json("create --reason 'before the change'");
    created["point"]["id"].as_str().unwrap().to_owned()
}

fn main_pid(bed: &Bed) -> String {
    bed.unit("app.service", "MainPID")
}

fn runs(name: &str) -> Pointers {
    Pointers {
        booted: "good".into(),
        ..Pointers::all(name)
    }
}

#[test]
fn configuration_state_and_system_come_back_together_and_are_undone() {
    let Some(bed) = Bed::with_cairn() else { return };
    let (then, pid) = (contents(&bed), main_pid(&bed));
    let id = create(&bed);
    // The unit that owns the state stood still meanwhile.
    assert_ne!(main_pid(&bed), pid);
    assert_eq!(bed.state("app.service"), "active");
    let set = &bed.point(&id)["state"]["app"];
    assert_eq!(set["consistency"], "units stopped");

    change_all(&bed, "other-good");
    let changed = contents(&bed);
    assert_ne!(changed, then);
    let pid = main_pid(&bed);
    bed.cairn(&format!("restore {id} --yes")).ends(0);
    assert_eq!(contents(&bed), then);
    assert_eq!(bed.pointers(), runs("good"));
    assert_eq!(bed.app(), "good");
    assert_eq!(bed.state("app.service"), "active");
    assert_ne!(main_pid(&bed), pid);

    bed.cairn("undo --yes").ends(0);
    assert_eq!(contents(&bed), changed);
    assert_eq!(bed.pointers(), runs("other-good"));
    assert_eq!(bed.app(), "other-good");
    assert_eq!(bed.state("app.service"), "active");
    bed.cairn("verify --read-data").ends(0);
    // What cairn did itself is no switch that went by unseen.
    bed.sh("systemctl start cairn-switched.service").ends(0);
    assert_eq!(bed.history().len(), 1);
}

#[test]
fn a_restore_beside_a_switch_waits_or_gives_up_before_anything_changes() {
    let Some(bed) = Bed::with_cairn() else { return };
    let id = create(&bed);
    change_all(&bed, "other-good");
    let (changed, pid) = (contents(&bed), main_pid(&bed));
    let lock = "flock /run/nixos/switch-to-configuration.lock";
    bed.sh(&format!(
        "setsid {lock} sh -c 'echo $$ >/run/holder; exec sleep 300' >/dev/null 2>&1 & sleep 0.3"
    ))
    .ok();
    let refused = bed.cairn(&format!("--lock-timeout 1 restore {id} --yes"));
    assert!(
        refused.err.contains("a switch of the system is under way")
            && refused.err.contains("nothing was changed"),
        "{refused:?}"
    );
    refused.ends(11);
    assert_eq!(contents(&bed), changed);
    assert_eq!(bed.pointers(), runs("other-good"));
    // Nothing was stopped for it either, and nothing is to be resumed.
    assert_eq!(main_pid(&bed), pid);
    bed.cairn("status").ends(0);
    // Without a system to switch to nobody waits.
    bed.cairn(&format!(
        "--lock-timeout 1 restore {id} --only config --yes"
    ))
    .ends(0);
    bed.cairn("undo --yes").ends(0);
    // It waits for the end of the switch, where that comes in time.
    bed.sh("kill $(cat /run/holder)").ok();
    bed.sh(&format!(
        "setsid {lock} sleep 2 >/dev/null 2>&1 & sleep 0.3"
    ))
    .ok();
    bed.cairn(&format!("restore {id} --yes")).ends(0);
    assert_eq!(bed.pointers(), runs("good"));
}

#[test]
fn a_scheduled_point_is_taken_by_its_confined_unit_when_its_time_comes() {
    let Some(bed) = Bed::with_cairn() else { return };
    let pid = main_pid(&bed);
    bed.sh("systemctl start cairn-point-daily.service").ends(0);
    assert_eq!(bed.unit("cairn-point-daily.service", "Result"), "success");
    let points = bed.points("schedule:daily");
    assert_eq!(points.len(), 1);
    let point = bed.point(points[0]["id"].as_str().unwrap());
    assert_eq!(point["trigger"], "schedule:daily");
    assert_eq!(point["completeness"]["status"], "complete", "{point}");
    assert_eq!(point["system"]["current"], bed.path("good"));
    let pins = point["pins"].to_string();
    assert!(pins.contains(&bed.path("good")), "{pins}");
    // Confined as it is, it stopped the unit and started it again.
    assert_eq!(point["state"]["app"]["consistency"], "units stopped");
    assert_ne!(main_pid(&bed), pid);
    assert_eq!(bed.state("app.service"), "active");

    // A day was missed; the delay is taken out, so that nobody waits for it.
    bed.sh("timer=cairn-point-daily.timer; systemctl stop $timer; \
         mkdir -p /run/systemd/system/$timer.d /var/lib/systemd/timers; \
         printf '[Timer]\\nRandomizedDelaySec=0\\nAccuracySec=1ms\\n' \
           >/run/systemd/system/$timer.d/now.conf; \
         touch -d '2 days ago' /var/lib/systemd/timers/stamp-$timer; \
         systemctl daemon-reload; systemctl start $timer")
        .ends(0);
    bed.wait_for("test $(cairn list --trigger schedule:daily | grep -c schedule:daily) = 2");
    bed.wait_for("test $(systemctl is-active cairn-point-daily.service) = inactive");
    assert_eq!(bed.unit("cairn-point-daily.service", "Result"), "success");
    for unit in ["cairn-prune", "cairn-verify"] {
        bed.sh(&format!("systemctl start {unit}.service")).ends(0);
    }
    assert_eq!(bed.points("schedule:daily").len(), 2);
}

#[test]
fn commands_hold_state_still_for_a_scheduled_point_and_for_its_undo() {
    let Some(bed) = Bed::of("commands", "good") else {
        return;
    };
    bed.sh("mkdir -p /var/lib/ledger; echo one >/var/lib/ledger/live")
        .ok();
    bed.sh("systemctl start cairn-point-daily.service").ends(0);
    let points = bed.points("schedule:daily");
    let id = points[0]["id"].as_str().unwrap();
    let set = &bed.point(id)["state"]["ledger"];
    assert_eq!(set["consistency"], "commands run");
    // The copy was there while it was captured, and only then.
    let copy = format!("show {id} --cat /var/lib/ledger/copy");
    assert_eq!(bed.cairn(&copy).ok(), "one");
    let files = "ls /var/lib/ledger";
    assert_eq!(bed.sh(files).ok(), "live");

    bed.sh("echo two >/var/lib/ledger/live").ok();
    bed.cairn(&format!("restore {id} --state ledger --yes"))
        .ends(0);
    let lines = "cat /var/lib/ledger/live";
    assert_eq!(bed.sh(lines).ok(), "one");
    bed.cairn("undo --yes").ends(0);
    assert_eq!(bed.sh(lines).ok(), "two");

    // A command that fails leaves the set out, says so, and stops no other.
    bed.sh("rm -r /var/lib/ledger; mkdir /var/lib/ledger").ok();
    bed.sh("systemctl start cairn-point-daily.service").ends(1);
    let point = bed.point("latest");
    assert_eq!(point["completeness"]["status"], "partial");
    assert!(point["state"]["app"].is_object() && point["state"]["ledger"].is_null());
    let said = bed.journal("-u cairn-point-daily.service");
    assert!(said.contains("state ledger"), "{said}");
}

/// A machine whose restore of everything was killed at a fault point, and whose
/// power was cut then; with the id of the point, and what there was before.
fn cut_off_at(fault: &str) -> Option<(Bed, String, [String; 2])> {
    let mut bed = Bed::with_cairn()?;
    let then = contents(&bed);
    let id = create(&bed);
    change_all(&bed, "other-good");
    let changed = contents(&bed);
    bed.sh(&format!(
        "CAIRN_FAULT={fault} cairn restore {id} --yes; exit $?"
    ))
    .ends(137);
    bed.power_cut();
    let status = bed.cairn("status").ends(22);
    assert!(status.text().contains("cairn resume"), "{status:?}");
    let refused = bed.cairn(&format!("restore {id} --yes")).ends(22);
    assert!(refused.err.contains("cairn resume"), "{refused:?}");
    Some((bed, id, [then, changed]))
}

// Only debug builds have fault points.
#[cfg(debug_assertions)]
#[test]
fn a_restore_that_a_power_cut_ended_goes_on_after_the_boot() {
    for fault in ["restore.file:2", "restore.profile"] {
        let Some((bed, _, [then, _])) = cut_off_at(fault) else {
            return;
        };
        bed.cairn("resume --yes").ends(0);
        assert_eq!(contents(&bed), then, "{fault}");
        let pointers = bed.pointers();
        assert_eq!((&*pointers.profile, &*pointers.running), ("good", "good"));
        assert_eq!((&*pointers.loader, &*bed.app()), ("good", "good"));
        assert_eq!(bed.state("app.service"), "active");
        bed.cairn("status").ends(0);
        bed.cairn("verify").ends(0);
    }
}

#[cfg(debug_assertions)]
#[test]
fn a_restore_that_a_power_cut_ended_is_taken_back_after_the_boot() {
    let Some((bed, _, [_, changed])) = cut_off_at("restore.config") else {
        return;
    };
    bed.cairn("abort --yes").ends(0);
    assert_eq!(contents(&bed), changed);
    assert_eq!(bed.pointers(), Pointers::all("other-good"));
    assert_eq!(bed.app(), "other-good");
    assert_eq!(bed.state("app.service"), "active");
    bed.cairn("status").ends(0);
}

#[test]
fn a_power_cut_in_the_middle_of_the_switch_of_a_restore_is_gone_on_from() {
    let Some(mut bed) = Bed::with_cairn() else {
        return;
    };
    bed.switch("long-activate").ends(0);
    bed.history();
    let then = contents(&bed);
    let id = create(&bed);
    change_all(&bed, "other-good");
    let mut restore = bed
        .command(&format!("cairn restore {id} --yes"))
        .spawn()
        .unwrap();
    bed.wait_for("test -e /run/nixos/start-list && ! systemctl is-active --quiet app.service");
    bed.cut();
    restore.wait().unwrap();
    bed.start();
    bed.cairn("status").ends(22);
    bed.cairn("resume --yes").ends(0);
    assert_eq!(contents(&bed), then);
    assert_eq!(bed.pointers(), Pointers::all("long-activate"));
    assert_eq!(bed.app(), "long-activate");
    bed.cairn("status").ends(0);
}
