//! Healing on machines with real systemd: what is healed and called good, what
//! is taken back exactly, a full disk, a unit that flaps for ever, and power
//! that is cut on the way. `tests/program/heal.rs` has the rules.

use crate::support::{Bed, Pointers};
use serde_json::{Value, json};

/// A machine that heals when a test says so.
fn machine() -> Option<Bed> {
    Bed::of("heal", "good")
}

/// `cairn heal`, which must end with this code.
#[track_caller]
fn heal(bed: &Bed, code: i32) -> Value {
    let out = bed.cairn("--json heal --yes").ends(code).out;
    serde_json::from_str::<Value>(&out).unwrap()["heal"].clone()
}

/// What was tried against an issue, and what each came to.
#[track_caller]
fn tries(healed: &Value, subject: &str) -> Vec<(String, String)> {
    let issues = healed["issues"].as_array().unwrap();
    let issue = issues.iter().find(|i| i["issue"]["subject"] == subject);
    let issue = issue.unwrap_or_else(|| panic!("no issue of {subject} in {healed:#}"));
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let tries = issue["tries"].as_array().unwrap();
    tries
        .iter()
        .map(|one| (text(&one["action"]), text(&one["verdict"])))
        .collect()
}

fn pair(action: &str, verdict: &str) -> (String, String) {
    (action.to_owned(), verdict.to_owned())
}

/// The last service to fail does so whatever is restarted, in any generation.
fn break_fragile(bed: &Bed) {
    bed.sh("touch /var/lib/fragile; ! systemctl restart fragile.service")
        .ok();
}

fn known_good(bed: &Bed) -> Vec<String> {
    let listed = bed
        .sh("ls /nix/var/nix/gcroots/cairn/known-good 2>/dev/null")
        .out;
    listed
        .lines()
        .map(|name| bed.name(&format!("/nix/store/{name}")))
        .collect()
}

/// Units with their states, the configuration, and where the pointers lead.
fn state(bed: &Bed) -> (String, String, Pointers, u32) {
    let units = bed
        .sh(
            "systemctl list-units --all --plain --no-legend --type=service,socket \
             'app*' 'fragile*' 'flapping*' 'network*' 'nix-daemon*' | awk '{print $1, $3, $4}'",
        )
        .ok();
    let files = bed.sh("cd /etc/nixos && tar c . | sha256sum").ok();
    (units, files, bed.pointers(), bed.generation())
}

#[test]
fn a_service_that_is_down_is_restarted_by_the_unit_and_the_system_is_good() {
    let Some(bed) = machine() else { return };
    break_fragile(&bed);
    bed.sh("rm /var/lib/fragile").ok();
    assert_eq!(bed.state("fragile.service"), "failed");
    assert!(known_good(&bed).is_empty());
    bed.sh("systemctl start cairn-heal.service").ends(0);
    assert_eq!(bed.unit("cairn-heal.service", "Result"), "success");
    assert_eq!(
        bed.state("fragile.service"),
        "active",
        "{}",
        bed.journal("-u cairn-heal")
    );
    assert_eq!(known_good(&bed), ["good"]);
    let points = bed.points("pre-heal");
    assert_eq!(points.len(), 1);
    let point = bed.point("latest-good");
    assert_eq!(point["id"], points[0]["id"]);
    let history = bed.cairn("history --kind heal").ok();
    assert!(
        history.contains("service-down fragile.service: restart-unit: recovered"),
        "{history}"
    );
    let status = bed.cairn("status").ok();
    assert!(
        status.contains("restart-unit against service-down fragile.service"),
        "{status}"
    );
    // The timer is there, and counts from the end of the last run.
    assert_eq!(bed.state("cairn-heal.timer"), "active");
}

#[test]
fn what_no_action_heals_leaves_units_files_and_pointers_as_before() {
    let Some(bed) = machine() else { return };
    for name in ["other-good", "third-good"] {
        bed.switch(name).ends(0);
        bed.history();
    }
    break_fragile(&bed);
    let before = state(&bed);
    let healed = heal(&bed, 20);
    assert_eq!(
        tries(&healed, "fragile.service"),
        [
            pair("restart-unit", "remains"),
            pair("roll-back", "taken-back")
        ],
        "{healed:#}"
    );
    assert_eq!(state(&bed), before);
    assert_eq!(bed.app(), "third-good");
    // Nothing is left open, and no switch went by unseen.
    bed.cairn("status").ends(0);
    assert_eq!(bed.history().len(), 2);
}

/// The profile and the system are switched behind cairn's back: no gate.
fn switch_unseen(bed: &Bed, name: &str) {
    let path = bed.path(name);
    bed.sh(&format!(
        "nix-env -p /nix/var/nix/profiles/system --set {path}; \
         NIXOS_NO_CHECK=1 {path}/bin/switch-to-configuration switch"
    ))
    .ends(4);
    bed.wait_for("test $(systemctl is-active cairn-switched.service) = inactive");
}

#[test]
fn a_system_that_cannot_be_healed_is_rolled_back_to_known_good() {
    let Some(bed) = machine() else { return };
    bed.switch("other-good").ends(0);
    bed.history();
    switch_unseen(&bed, "bad-unit");
    let healed = heal(&bed, 0);
    assert_eq!(
        tries(&healed, "app.service"),
        [
            pair("restart-unit", "remains"),
            pair("roll-back", "recovered")
        ]
    );
    let back = Pointers {
        booted: "good".into(),
        ..Pointers::all("other-good")
    };
    assert_eq!(bed.pointers(), back);
    assert_eq!(bed.app(), "other-good");
}

#[test]
fn power_that_is_cut_during_a_roll_back_is_made_good_by_the_next_run() {
    let Some(mut bed) = machine() else { return };
    bed.switch("other-good").ends(0);
    bed.history();
    switch_unseen(&bed, "bad-unit");
    // The profile has moved, nothing was switched yet.
    bed.sh("CAIRN_FAULT=restore.profile cairn heal --yes; test $? = 137")
        .ok();
    bed.power_cut();
    let status = bed.cairn("status").ends(22);
    assert!(
        status
            .out
            .contains("roll-back against service-down app.service was cut off"),
        "{status:?}"
    );
    let healed = heal(&bed, 0);
    assert_eq!(healed["finished"]["action"], "roll-back");
    assert_eq!(healed["finished"]["verdict"], "taken-back");
    // What was cut off is undone first; then it is healed from the start.
    assert_eq!(
        tries(&healed, "app.service").last(),
        Some(&pair("roll-back", "recovered"))
    );
    let pointers = bed.pointers();
    assert_eq!(
        (&*pointers.profile, &*pointers.running),
        ("other-good", "other-good")
    );
    bed.cairn("status").ends(0);
}

#[test]
fn a_unit_that_flaps_for_ever_reaches_the_cap_and_is_left_alone() {
    let Some(mut bed) = machine() else { return };
    bed.sh("touch /var/lib/flap; systemctl restart flapping.service")
        .ok();
    bed.sh("sleep 1").ok();
    let mut count = 0;
    for _ in 0..6 {
        let healed = heal(&bed, 20);
        count += tries(&healed, "flapping.service").len();
    }
    assert_eq!(count, 6, "one action can be tried in each run");
    let left = |healed: &Value| {
        assert_eq!(tries(healed, "flapping.service"), []);
        let held = healed["issues"][0]["held"].as_str().unwrap().to_owned();
        assert!(
            held.starts_with("6 actions were tried within a day"),
            "{held}"
        );
    };
    left(&heal(&bed, 20));
    // The cap is not forgotten with the power.
    bed.power_cut();
    bed.sh("sleep 1").ok();
    left(&heal(&bed, 20));
    assert!(known_good(&bed).is_empty());
}

#[test]
fn a_disk_filled_to_the_last_byte_is_freed() {
    let Some(bed) = machine() else { return };
    // Points and journal on a disk of 96 MiB that the journal may fill. What heals
    // is told to the journal, which takes 8 MiB for that at once.
    bed.sh("mkdir -p /small /run/systemd/journald.conf.d; \
         mount -t tmpfs -o size=96m,mode=755 small /small; \
         mkdir /small/journal; cp -a /var/lib/cairn /small/cairn; \
         mount --bind /small/cairn /var/lib/cairn; \
         mkdir -p /var/log/journal; mount --bind /small/journal /var/log/journal; \
         printf '[Journal]\\nStorage=persistent\\nSystemMaxUse=1G\\nSystemKeepFree=1\\n\
                 SystemMaxFileSize=8M\\nRateLimitBurst=0\\nCompress=no\\n' \
           >/run/systemd/journald.conf.d/fill.conf; \
         systemctl restart systemd-journald; journalctl --flush; \
         head -c 24M /dev/urandom | base64 -w 2000 | systemd-cat; journalctl --sync; \
         ! cat /dev/zero >/small/fill 2>/dev/null; sync")
        .ok();
    let free = || -> u64 {
        let text = bed.sh("df --output=avail -k /small | tail -n 1").ok();
        text.trim().parse().unwrap()
    };
    assert!(free() < 200, "{} KiB are free", free());
    let plan = bed.json("heal --dry-run")["heal"]["issues"].clone();
    let issues = plan.as_array().unwrap();
    let full = issues
        .iter()
        .find(|i| i["issue"]["kind"] == "disk-full")
        .unwrap();
    assert_eq!(full["issue"]["subject"], "/var/lib/cairn", "{plan:#}");
    let lacks = |action: &str| {
        let all = full["actions"].as_array().unwrap();
        all.iter().find(|a| a["action"] == action).unwrap()["lacks"].clone()
    };
    assert!(
        lacks("collect-garbage")
            .as_str()
            .unwrap()
            .contains("another filesystem")
    );
    assert_eq!(lacks("vacuum-journal"), json!(null), "{full:#}");
    let healed = heal(&bed, 0);
    assert_eq!(
        tries(&healed, "/var/lib/cairn"),
        [pair("vacuum-journal", "recovered")],
        "{healed:#}"
    );
    assert!(free() > 4_000, "{} KiB are free", free());
    // What was tried is written down where it stays.
    bed.sh("test -s /var/lib/cairn/healing.json && test ! -e /run/cairn/healing.json")
        .ok();
    assert!(bed.sh("journalctl -n 1").code == 0);
}

#[test]
fn garbage_is_collected_and_what_points_hold_stays() {
    let Some(bed) = machine() else { return };
    let (pinned, dead) = (bed.path("other-good"), bed.path("third-good"));
    // A point holds a system whose generation is gone.
    bed.sh(&format!(
        "profile=/nix/var/nix/profiles/system; good=$(readlink -f $profile); \
         nix-env -p $profile --set {pinned} && cairn create --reason held >/dev/null; \
         nix-env -p $profile --set $good && nix-env -p $profile --delete-generations old"
    ))
    .ok();
    // The store is on a disk of 128 MiB, and something dead fills it.
    bed.sh(
        "systemctl stop nix-daemon.socket nix-daemon.service; mkdir /small; \
         mount -t tmpfs -o size=128m,mode=755 small /small; cp -a /nix /small/nix; \
         mount --bind /small/nix /nix; systemctl start nix-daemon.socket; \
         head -c 24M /dev/zero >/tmp/dead; nix-store --add /tmp/dead >/tmp/path; \
         ! cat /dev/zero >/small/fill 2>/dev/null",
    )
    .ok();
    bed.sh(&format!("test -e {dead} && test -e $(cat /tmp/path)"))
        .ok();
    let healed = heal(&bed, 0);
    assert_eq!(
        tries(&healed, "/nix"),
        [pair("collect-garbage", "recovered")],
        "{healed:#}"
    );
    bed.sh(&format!("! test -e {dead} && ! test -e $(cat /tmp/path)"))
        .ok();
    bed.sh(&format!("test -e {pinned} && cairn verify")).ok();
    assert_eq!(bed.state("app.service"), "active");
}

#[test]
fn what_no_action_is_known_against_is_left_alone_without_a_point() {
    let Some(bed) = machine() else { return };
    bed.sh("ip link del lan0; ! cairn health network").ok();
    let healed = heal(&bed, 20);
    // A command says no, and what it looks at is known to nobody: only going
    // back could help, and there is no other good system.
    let issue = &healed["issues"][0];
    assert_eq!(issue["issue"]["kind"], "check-failed", "{healed:#}");
    let lacks = issue["actions"][0]["lacks"].as_str().unwrap();
    assert!(lacks.contains("no other system is known-good"), "{lacks}");
    assert_eq!(bed.points("pre-heal").len(), 0);
}
