//! That points last: restic can read them, verify finds damage, and prune
//! takes only what nobody needs.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{lchown, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::{Machine, Run, System, contents, need, need_root, same, short, succeed};
use serde_json::Value;

/// Runs Debian's restic on the configuration's repository.
fn restic(machine: &Machine, password: &str, args: &[&str]) -> String {
    let mut command = Command::new("restic");
    command
        .env("HOME", machine.home())
        .env("RESTIC_PASSWORD", password)
        .args(["--no-cache", "--repo"])
        .arg(machine.state().join("vault/config"))
        .args(args);
    succeed(&mut command)
}

#[test]
fn restic_reads_the_vault_with_the_password_that_was_shown_once() {
    if !need_root() || !need(&["restic"]) {
        return;
    }
    let Some(machine) = Machine::new() else {
        return;
    };
    machine.write("etc/nixos/hosts/a.nix", "{ a = 1; }\n");
    machine.write("etc/nixos/secret.age", [0, 255, 10]);
    machine.mode("etc/nixos/secret.age", 0o600);
    machine.link("hosts/a.nix", "etc/nixos/a.nix");
    xattr::set(
        machine.root().join("etc/nixos/secret.age"),
        "user.note",
        b"x",
    )
    .unwrap();
    lchown(machine.root().join("etc/nixos/hosts"), Some(12), Some(34)).unwrap();
    let good = contents(&machine.root().join("etc/nixos"));

    let run = machine.cairn(&["create"]).ends(0);
    let password = run
        .err
        .lines()
        .find_map(|l| l.strip_prefix("recovery password: "))
        .unwrap()
        .to_owned();
    let kept = fs::read_to_string(machine.state().join("vault/recovery-password")).unwrap();
    assert_eq!(kept.trim(), password);
    machine.write("etc/nixos/hosts/a.nix", "{ a = 2; }\n");
    let run = machine.cairn(&["create"]).ends(0);
    assert!(!run.err.contains("recovery password"), "{}", run.err);

    let told = restic(&machine, &password, &["check", "--read-data"]);
    assert!(told.contains("no errors were found"), "{told}");
    let first = &machine.ids()[0];
    let snapshot = machine.document(first)["config"]["snapshot"]
        .as_str()
        .unwrap()
        .to_owned();
    let target = machine.home().join("restored");
    let place = target.to_str().unwrap();
    restic(
        &machine,
        &password,
        &["restore", &snapshot, "--target", place],
    );
    same(
        &good,
        &contents(&target.join("etc/nixos")),
        "what restic restored",
    );
    let tagged = restic(
        &machine,
        &password,
        &["snapshots", "--tag", first, "--json"],
    );
    let tagged: Value = serde_json::from_str(&tagged).unwrap();
    assert_eq!(tagged.as_array().unwrap().len(), 1);
    // And restic leaves nothing behind that troubles cairn.
    assert!(
        machine
            .ok(&["verify", "--read-data"])
            .contains("all is well")
    );
}

/// A machine with two points; gives their ids.
fn two_points() -> Option<(Machine, [String; 2])> {
    let machine = Machine::new()?;
    // Longer than all the rest together, and without a pattern.
    let mut state = 1_u64;
    let noise: Vec<u8> = std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[3]
    })
    .take(200_000)
    .collect();
    machine.write("etc/nixos/big.bin", noise);
    let first = machine.create("first");
    machine.write("etc/nixos/hardware.nix", "{ changed = 1; }\n");
    let second = machine.create("second");
    assert!(
        machine
            .ok(&["verify", "--read-data"])
            .contains("all is well")
    );
    Some((machine, [first, second]))
}

/// What `verify` finds wrong: the point, and what.
fn problems(machine: &Machine, args: &[&str]) -> Vec<(String, String)> {
    let args: Vec<&str> = ["--json", "verify"].iter().chain(args).copied().collect();
    let run: Run = machine.cairn(&args).ends(3);
    let problems = run.json()["verify"]["problems"].as_array().unwrap().clone();
    let word = |v: &Value| v.as_str().unwrap_or_default().to_owned();
    problems
        .iter()
        .map(|p| (word(&p["point"]), word(&p["what"])))
        .collect()
}

#[track_caller]
fn one_problem(machine: &Machine, point: &str, what: &str) {
    let found = problems(machine, &[]);
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0].0, point);
    assert!(found[0].1.contains(what), "{}", found[0].1);
    let text = machine.cairn(&["verify"]).ends(3).out;
    let line = text.lines().next().unwrap();
    assert!(
        line.contains(&short(point)) && line.contains(what),
        "{text}"
    );
    assert!(
        text.contains("\n1 problem: 2 restore points, 2 snapshots, contents not read\n  try: cairn verify --repair"),
        "{text}"
    );
}

fn root_of(machine: &Machine, id: &str) -> PathBuf {
    machine
        .root()
        .join(format!("nix/var/nix/gcroots/cairn/{id}-0"))
}

#[test]
fn verify_finds_a_root_that_is_gone() {
    let Some((machine, [first, _])) = two_points() else {
        return;
    };
    fs::remove_file(root_of(&machine, &first)).unwrap();
    one_problem(&machine, &first, "is gone");
}

#[test]
fn verify_finds_a_root_that_leads_elsewhere() {
    let Some((machine, [first, _])) = two_points() else {
        return;
    };
    for target in [machine.path(System::One), "/etc/passwd"] {
        let link = root_of(&machine, &first);
        fs::remove_file(&link).unwrap();
        symlink(target, &link).unwrap();
        one_problem(&machine, &first, "leads elsewhere");
    }
}

#[test]
fn verify_finds_a_snapshot_that_is_gone() {
    let Some((machine, [first, second])) = two_points() else {
        return;
    };
    let snapshot = machine.document(&first)["config"]["snapshot"]
        .as_str()
        .unwrap()
        .to_owned();
    fs::remove_file(
        machine
            .state()
            .join("vault/config/snapshots")
            .join(snapshot),
    )
    .unwrap();
    let found = problems(&machine, &[]);
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(
        found[0],
        (
            first.clone(),
            "its configuration is gone from the vault".to_owned()
        )
    );
    // The others come back, and that one's system does.
    machine.write("etc/nixos/hardware.nix", "{ changed = 2; }\n");
    let before = machine.exact();
    let run = machine.cairn(&["restore", &first, "--yes"]).ends(1);
    assert!(run.err.contains("nothing was changed"), "{}", run.err);
    same(&before, &machine.exact(), "a refused restore");
    machine.ok(&["restore", &second, "--yes"]);
    assert_eq!(machine.read("etc/nixos/hardware.nix"), "{ changed = 1; }\n");
    machine.set(System::Three);
    machine.ok(&["rollback", &first, "--yes"]);
    assert_eq!(machine.profile().to_str(), Some("system-2-link"));
}

#[test]
fn a_damaged_document_is_told_and_the_rest_is_listed() {
    let Some((machine, [first, second])) = two_points() else {
        return;
    };
    let file = machine.state().join(format!("points/{first}.json"));
    let whole = fs::read(&file).unwrap();
    let text = String::from_utf8(whole.clone()).unwrap();
    let other = fs::read(machine.state().join(format!("points/{second}.json"))).unwrap();
    for (content, why) in [
        (whole[..whole.len() / 2].to_vec(), "the document is damaged"),
        (Vec::new(), "the document is empty"),
        (b"{}".to_vec(), "the document is damaged"),
        (vec![0; 1000], "the document is damaged"),
        (other, "the document names itself"),
        (
            text.replace("\"version\": 1", "\"version\": 2")
                .into_bytes(),
            "schema version 2",
        ),
    ] {
        fs::write(&file, content).unwrap();
        let found = problems(&machine, &[]);
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(found[0].0, first);
        assert!(found[0].1.contains(why), "{}", found[0].1);
        let run = machine.cairn(&["--json", "list"]).ends(3);
        let listed = run.json()["points"].clone();
        assert_eq!(listed["items"].as_array().unwrap().len(), 1);
        assert_eq!(listed["items"][0]["id"], second);
        assert!(listed["damaged"][0]["why"].as_str().unwrap().contains(why));
        assert_eq!(run.err.lines().count(), 1, "{}", run.err);
        machine.ok(&["show", "latest"]);
    }
    // What it held is still there when the document is back.
    fs::write(&file, whole).unwrap();
    machine.ok(&["verify"]);
}

/// Flips a bit in the middle of the largest pack.
fn flip_a_bit(machine: &Machine) {
    let mut command = Command::new("find");
    command.arg(machine.state().join("vault/config/data"));
    let files = succeed(command.args(["-type", "f"]));
    let pack = files
        .lines()
        .max_by_key(|f| fs::metadata(f).unwrap().len())
        .unwrap();
    let mut bytes = fs::read(pack).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(pack, bytes).unwrap();
}

#[test]
fn a_flipped_bit_is_found_when_every_byte_is_read_and_only_then() {
    let Some((machine, _)) = two_points() else {
        return;
    };
    flip_a_bit(&machine);
    let unread = machine.ok(&["verify"]);
    assert!(
        unread.contains("all is well") && unread.contains("contents not read"),
        "{unread}"
    );
    let found = problems(&machine, &["--read-data"]);
    assert!(!found.is_empty());
    let text = machine.cairn(&["verify", "--read-data"]).ends(3).out;
    assert!(text.contains("every byte read"), "{text}");
}

#[test]
fn a_damaged_file_is_never_restored_and_leaves_all_as_it_was() {
    let Some((machine, [first, _])) = two_points() else {
        return;
    };
    flip_a_bit(&machine);
    machine.write("etc/nixos/big.bin", "small now\n");
    machine.write("etc/nixos/hardware.nix", "{ mine = 1; }\n");
    let nixos = machine.root().join("etc/nixos");
    let before = contents(&nixos);
    let run = machine
        .cairn(&["restore", &first, "--only", "config", "--yes"])
        .ends(1);
    assert!(run.err.contains("nothing was changed"), "{}", run.err);
    same(
        &before,
        &contents(&nixos),
        "a restore that could not be staged",
    );
    machine.cairn(&["abort", "--yes"]).ends(1);
    // A file that is whole comes back from the same point.
    machine.ok(&["restore", &first, "/etc/nixos/hardware.nix", "--yes"]);
    assert_eq!(machine.read("etc/nixos/hardware.nix"), "{ }\n");
}

/// What a plan says, by key: whether it stays, and why.
fn decisions(plan: &Value) -> BTreeMap<String, (bool, Vec<String>)> {
    let of = |decision: &Value| {
        let reasons = decision["reasons"].as_array().unwrap().iter().map(|r| {
            r["by"]
                .as_str()
                .unwrap_or_else(|| r["why"].as_str().unwrap())
                .to_owned()
        });
        let key = decision["key"].as_str().unwrap().to_owned();
        (
            key,
            (decision["keep"].as_bool().unwrap(), reasons.collect()),
        )
    };
    let plan = match &plan["plan"]["points"] {
        Value::Null => &plan["plan"],
        points => points,
    };
    plan["decisions"]
        .as_array()
        .unwrap()
        .iter()
        .map(of)
        .collect()
}

#[test]
fn twenty_points_stay_by_default() {
    let Some(machine) = Machine::new() else {
        return;
    };
    let ids: Vec<String> = (0..22)
        .map(|n| machine.create(&format!("number {n}")))
        .collect();
    let plan = decisions(&machine.json(&["prune", "-n"]));
    assert_eq!(plan.len(), 22);
    for (n, id) in ids.iter().enumerate() {
        assert_eq!(plan[id].0, n >= 2, "number {n}: {:?}", plan[id]);
    }
    let told = machine.ok(&["prune", "--yes"]);
    assert!(told.contains("removed 2 restore points"), "{told}");
    assert!(told.contains("beyond keep-last 20"), "{told}");
    assert_eq!(machine.ids(), ids[2..]);
    for id in &ids[..2] {
        assert!(!root_of(&machine, id).is_symlink());
    }
    assert!(
        machine
            .ok(&["prune", "--yes"])
            .contains("nothing to remove")
    );
    assert!(
        machine
            .ok(&["verify", "--read-data"])
            .contains("all is well")
    );
    let snapshots = fs::read_dir(machine.state().join("vault/config/snapshots")).unwrap();
    assert_eq!(snapshots.count(), 20);
}

#[test]
fn what_somebody_needs_stays_and_says_why() {
    let Some(machine) = Machine::bare() else {
        return;
    };
    for system in [System::One, System::Two, System::Three, System::Container] {
        machine.set(system);
    }
    machine.write("etc/nixos/configuration.nix", "{ }\n");
    machine.boot_system(System::One);
    machine.loader_default(System::Container);
    let take = |system: System, reason: &str| {
        machine.run_system(system);
        machine.create(reason)
    };
    let booted = take(System::One, "booted");
    let default = take(System::Container, "default");
    let older_good = take(System::Two, "older good");
    let good = take(System::Two, "good");
    let pinned = take(System::Two, "pinned");
    let current = take(System::Three, "current");
    let tagged = {
        machine.run_system(System::Two);
        machine.ok(&["create", "--tag", "precious"]);
        machine.ids().pop().unwrap()
    };
    let bad = take(System::Two, "bad");
    let newest = take(System::Two, "newest");
    machine.run_system(System::Three);
    machine.ok(&["mark-good", &older_good]);
    machine.ok(&["mark-good", &good]);
    machine.ok(&["mark-bad", &bad]);
    machine.ok(&["pin", &pinned]);
    let rules = ["--keep-last", "1", "--keep-tag", "precious"];
    let args: Vec<&str> = ["prune", "-n"].iter().chain(&rules).copied().collect();
    let plan = decisions(&machine.json(&args));
    for (id, why) in [
        (&booted, "booted"),
        (&default, "default"),
        (&good, "latest-good"),
        (&pinned, "pinned"),
        (&current, "current"),
        (&tagged, "tagged"),
        (&newest, "kept"),
    ] {
        let (keep, reasons) = &plan[id];
        assert!(
            *keep && reasons.iter().any(|r| r == why),
            "{why}: {reasons:?}"
        );
    }
    for id in [&older_good, &bad] {
        assert_eq!(plan[id], (false, vec!["beyond".to_owned()]));
    }
    let args: Vec<&str> = ["prune", "--yes"].iter().chain(&rules).copied().collect();
    machine.ok(&args);
    assert_eq!(
        machine.ids(),
        [booted, default, good, pinned, current, tagged, newest]
    );
}

#[test]
fn the_undo_point_of_the_last_restore_is_not_pruned_away() {
    let Some(machine) = Machine::new() else {
        return;
    };
    let first = machine.create("first");
    machine.write("etc/nixos/hardware.nix", "{ mine = 1; }\n");
    machine.ok(&["restore", &first, "--yes"]);
    machine.run_system(System::One);
    for n in 0..3 {
        machine.create(&format!("later {n}"));
    }
    machine.ok(&["prune", "--keep-last", "1", "--yes"]);
    machine.ok(&["undo", "--yes"]);
    assert_eq!(machine.read("etc/nixos/hardware.nix"), "{ mine = 1; }\n");
}

#[test]
fn a_prune_that_would_keep_nothing_is_refused() {
    let Some((machine, _)) = two_points() else {
        return;
    };
    let before = machine.exact();
    let run = machine
        .cairn(&["prune", "--keep-last", "0", "--yes"])
        .ends(1);
    assert!(run.err.contains("nothing was changed"), "{}", run.err);
    let run = machine
        .cairn(&["prune", "--keep-within", "soon", "--yes"])
        .ends(1);
    assert!(run.err.contains("keep-within"), "{}", run.err);
    same(&before, &machine.exact(), "a refused prune");
}

/// Numbers of the generations as Nix lists them.
fn generations(machine: &Machine) -> Vec<u64> {
    let listed = machine.nix_env(&["--list-generations"]);
    listed
        .lines()
        .map(|l| l.split_whitespace().next().unwrap().parse().unwrap())
        .collect()
}

#[test]
fn clean_keeps_booted_running_default_and_current_generations() {
    let Some(machine) = Machine::bare() else {
        return;
    };
    let all = [
        System::One,
        System::Two,
        System::Three,
        System::Container,
        System::Broken,
        System::Safe,
    ];
    for system in all {
        machine.set(system);
    }
    machine.boot_system(System::One);
    machine.run_system(System::Two);
    machine.loader_default(System::Three);
    machine.nix_env(&["--switch-generation", "4"]);
    let plan = decisions(&machine.json(&["generations", "clean", "-n", "--keep-last", "1"]));
    for (key, why) in [
        ("1", "booted"),
        ("2", "current"),
        ("3", "default"),
        ("4", "profile-current"),
        ("6", "kept"),
    ] {
        let (keep, reasons) = &plan[key];
        assert!(
            *keep && reasons.iter().any(|r| r == why),
            "{key}: {reasons:?}"
        );
    }
    assert_eq!(plan["5"], (false, vec!["beyond".to_owned()]));
    let deleted = machine.json(&["generations", "clean", "--keep-last", "1", "--yes"]);
    assert_eq!(deleted["deleted"], serde_json::json!([5]));
    assert_eq!(generations(&machine), [1, 2, 3, 4, 6]);
    assert_eq!(machine.profile(), Path::new("system-4-link"));
}

#[test]
fn a_running_specialisation_keeps_the_generation_it_belongs_to() {
    let Some(machine) = Machine::bare() else {
        return;
    };
    for system in [System::One, System::Two, System::Three, System::Container] {
        machine.set(system);
    }
    machine.run_system(System::Safe);
    machine.boot_system(System::Container);
    machine.ok(&["generations", "clean", "--keep-last", "1", "--yes"]);
    assert_eq!(generations(&machine), [2, 4]);
}

#[test]
fn ten_generations_stay_by_default() {
    let Some(machine) = Machine::bare() else {
        return;
    };
    machine.set(System::Two);
    machine.run_system(System::Two);
    machine.boot_system(System::Two);
    for _ in 0..6 {
        machine.set(System::Three);
        machine.set(System::Container);
    }
    let told = machine.ok(&["generations", "clean", "--yes"]);
    assert!(told.contains("deleted generations 3, 2"), "{told}");
    assert_eq!(generations(&machine), [1, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13]);
    let told = machine.ok(&["generations", "clean", "--yes"]);
    assert!(told.ends_with("nothing to remove\n"), "{told}");
}
