//! Merging what a point changed into what is there now.

use std::fs;
use std::process::Command;

use crate::support::{Machine, contents, need, same, short};

const WEB: &str = "{\n  nginx = true;\n\n\n\n  ports = [ 80 ];\n}\n";
const WEB_THEIRS: &str = "{\n  nginx = true;\n\n\n\n  ports = [ 80 443 ];\n}\n";
const WEB_OURS: &str = "{\n  nginx = false;\n\n\n\n  ports = [ 80 ];\n}\n";
const WEB_BOTH: &str = "{\n  nginx = false;\n\n\n\n  ports = [ 80 443 ];\n}\n";

/// A machine with a point, a second one with changes, and the first one back.
fn branched() -> Option<(Machine, String, String)> {
    let machine = Machine::new()?;
    machine.write("etc/nixos/web.nix", WEB);
    machine.write("etc/nixos/gone.nix", "{ }\n");
    machine.write("etc/nixos/tool", "#!/bin/sh\n");
    let base = machine.create("base");
    machine.write("etc/nixos/web.nix", WEB_THEIRS);
    machine.write("etc/nixos/new/file.nix", "{ new = 1; }\n");
    machine.mode("etc/nixos/tool", 0o755);
    fs::remove_file(machine.root().join("etc/nixos/gone.nix")).unwrap();
    let theirs = machine.create("theirs");
    machine.ok(&["restore", &base, "--only", "config", "--yes"]);
    Some((machine, base, theirs))
}

#[test]
fn changes_of_both_sides_come_together_and_undo_takes_them_apart() {
    let Some((machine, base, theirs)) = branched() else {
        return;
    };
    machine.write("etc/nixos/web.nix", WEB_OURS);
    machine.write("etc/nixos/tool", "#!/bin/sh\nexit 1\n");
    machine.write("etc/nixos/mine.nix", "{ mine = 1; }\n");
    let before = contents(&machine.root().join("etc"));
    let profile = machine.profile();
    let exact = machine.exact();

    let shown = machine.ok(&["restore", &theirs, "--merge", "-n"]);
    for part in [
        "+  ports = [ 80 443 ];",
        "+ /etc/nixos/new/file.nix",
        "- /etc/nixos/gone.nix",
        "~ /etc/nixos/tool mode",
        "dry run",
    ] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    assert!(!shown.contains("mine.nix"), "{shown}");
    same(&exact, &machine.exact(), "a dry run");

    let told = machine.ok(&["restore", &theirs, "--merge", "--yes"]);
    assert!(told.contains("cairn undo brings it back"), "{told}");
    assert_eq!(machine.read("etc/nixos/web.nix"), WEB_BOTH);
    assert_eq!(machine.read("etc/nixos/tool"), "#!/bin/sh\nexit 1\n");
    assert_eq!(machine.read("etc/nixos/mine.nix"), "{ mine = 1; }\n");
    assert_eq!(machine.read("etc/nixos/new/file.nix"), "{ new = 1; }\n");
    assert!(!machine.root().join("etc/nixos/gone.nix").exists());
    let mode = fs::metadata(machine.root().join("etc/nixos/tool")).unwrap();
    let mode = std::os::unix::fs::PermissionsExt::mode(&mode.permissions());
    assert_eq!(mode & 0o777, 0o755);
    assert_eq!(machine.profile(), profile, "the system is no part of it");

    // The points that it took for itself are not what anybody means by latest.
    assert_eq!(machine.json(&["show", "latest"])["point"]["id"], *theirs);
    let goal = machine.json(&["list", "--trigger", "merge"]);
    let goal = &goal["points"]["items"][0];
    assert_eq!(goal["reason"], format!("merge of {}", short(&theirs)));
    let goal = goal["id"].as_str().unwrap().to_owned();
    machine.ok(&["verify", "--read-data"]);
    let again = machine.ok(&["restore", &theirs, "--merge", "--yes"]);
    assert!(again.contains("is all there already"), "{again}");

    let merged = contents(&machine.root().join("etc"));
    machine.ok(&["undo", "--yes"]);
    same(&before, &contents(&machine.root().join("etc")), "undone");
    // What it arrived at is a point like any other.
    machine.ok(&["restore", &goal, "--yes"]);
    same(&merged, &contents(&machine.root().join("etc")), "the goal");
    machine.ok(&["restore", &base, "--only", "config", "--yes"]);
}

#[test]
fn conflicts_change_nothing_until_they_are_allowed() {
    if !need(&["git"]) {
        return;
    }
    let Some((machine, _, theirs)) = branched() else {
        return;
    };
    machine.write("etc/nixos/web.nix", WEB.replace("80", "8080"));
    machine.write("etc/nixos/gone.nix", "{ changed = true; }\n");
    let before = contents(&machine.root().join("etc"));
    let points = machine.ids();

    let refused = machine.cairn(&["restore", &theirs, "--merge", "--yes"]);
    for part in [
        "conflict /etc/nixos/web.nix: both sides changed the same lines",
        "  ports = [ 8080 ];",
        "||||||| base",
        "conflict /etc/nixos/gone.nix: changed now, but removed at the point",
    ] {
        assert!(refused.err.contains(part), "{part}: {}", refused.err);
    }
    let refused = refused.ends(1);
    assert_eq!(refused.out, "");
    let first = refused.err.lines().next().unwrap();
    let last = refused.err.lines().last().unwrap();
    let what = "has conflicts in 2 files: /etc/nixos/gone.nix, /etc/nixos/web.nix";
    assert!(
        first.contains(what) && first.ends_with("nothing was changed"),
        "{first}"
    );
    let next = format!("cairn restore {theirs} --merge --yes --allow-conflicts");
    assert!(last.contains(&next), "{last}");
    same(&before, &contents(&machine.root().join("etc")), "refused");
    assert_eq!(points, machine.ids(), "no point was taken");
    let told = machine
        .cairn(&["restore", &theirs, "--merge", "-n", "--json"])
        .ends(1);
    let told: serde_json::Value = serde_json::from_str(&told.err).unwrap();
    let conflicts = told["error"]["conflicts"].clone();
    assert_eq!(conflicts[0]["kinds"][0]["kind"], "deleted-theirs");
    assert_eq!(conflicts[1]["places"][0]["ours"], "  ports = [ 8080 ];\n");
    assert_eq!(conflicts[1]["places"][0]["base"], "  ports = [ 80 ];\n");
    assert_eq!(
        conflicts[1]["places"][0]["theirs"],
        "  ports = [ 80 443 ];\n"
    );

    // A path without conflicts goes alone.
    machine.ok(&["restore", &theirs, "/etc/nixos/new", "--merge", "--yes"]);
    assert_eq!(machine.read("etc/nixos/new/file.nix"), "{ new = 1; }\n");
    assert_eq!(machine.read("etc/nixos/gone.nix"), "{ changed = true; }\n");
    machine.ok(&["undo", "--yes"]);
    same(&before, &contents(&machine.root().join("etc")), "undone");

    let allowed = ["restore", &theirs, "--merge", "--allow-conflicts", "--yes"];
    let told = machine.cairn(&allowed).ends(3);
    assert!(told.err.contains("2 conflicts to settle"), "{}", told.err);
    // As git has it.
    let files = [
        ("ours", WEB.replace("80", "8080")),
        ("base", WEB.to_owned()),
        ("theirs", WEB_THEIRS.to_owned()),
    ];
    for (name, text) in &files {
        machine.write(name, text);
    }
    let label = format!("point {}", short(&theirs));
    let git = Command::new("git")
        .args(["merge-file", "--diff3", "-p"])
        .args(["-L", "now", "-L", "base", "-L", &label])
        .args(files.iter().map(|(name, _)| machine.root().join(name)))
        .output()
        .unwrap();
    let marked = String::from_utf8(git.stdout).unwrap();
    assert!(marked.contains("<<<<<<< now"), "{marked}");
    assert_eq!(machine.read("etc/nixos/web.nix"), marked);
    assert_eq!(machine.read("etc/nixos/gone.nix"), "{ changed = true; }\n");
    machine.ok(&["undo", "--yes"]);
    same(&before, &contents(&machine.root().join("etc")), "undone");
}

#[test]
fn the_base_is_the_point_before_and_another_can_be_named() {
    let Some((machine, base, theirs)) = branched() else {
        return;
    };
    // Nothing is before the first one.
    let fails = machine.cairn(&["restore", &base, "--merge", "--yes"]);
    fails.fails(1, "there is no base", "--merge-base ID");
    // Going back is merging the other way round.
    machine.ok(&["restore", &theirs, "--only", "config", "--yes"]);
    machine.write("etc/nixos/mine.nix", "{ mine = 1; }\n");
    let args = [
        "restore",
        &base,
        "--merge",
        "--merge-base",
        &theirs,
        "--yes",
    ];
    machine.ok(&args);
    assert_eq!(machine.read("etc/nixos/web.nix"), WEB);
    assert_eq!(machine.read("etc/nixos/gone.nix"), "{ }\n");
    assert!(!machine.root().join("etc/nixos/new").exists());
    assert_eq!(machine.read("etc/nixos/mine.nix"), "{ mine = 1; }\n");
    // The undo points in between are no base: from what they hold nothing
    // came. `theirs` comes back whole, with the base before it.
    machine.ok(&["restore", &theirs, "--merge", "--yes"]);
    assert_eq!(machine.read("etc/nixos/web.nix"), WEB_THEIRS);
    assert_eq!(machine.read("etc/nixos/mine.nix"), "{ mine = 1; }\n");
}

#[test]
fn what_a_point_could_not_read_is_left_alone_by_a_merge() {
    let Some((machine, _, theirs)) = branched() else {
        return;
    };
    // As a user who may not read it would have taken it.
    machine.write("etc/nixos/secret", "only for its owner");
    let file = machine
        .state()
        .join("points")
        .join(format!("{theirs}.json"));
    let mut document = machine.document(&theirs);
    document["completeness"] = serde_json::json!({
        "status": "partial",
        "missing": [{ "what": "/etc/nixos/tool", "why": "permission denied" }],
    });
    fs::write(file, document.to_string()).unwrap();
    machine.write("etc/nixos/tool", "mine");
    machine.ok(&["restore", &theirs, "--merge", "--yes"]);
    assert_eq!(machine.read("etc/nixos/tool"), "mine");
    assert_eq!(machine.read("etc/nixos/web.nix"), WEB_THEIRS);
    assert_eq!(machine.read("etc/nixos/secret"), "only for its owner");
}

#[test]
fn a_merge_is_of_the_configuration_alone() {
    let Some((machine, _, theirs)) = branched() else {
        return;
    };
    for args in [
        &["--only", "generation"][..],
        &["--only", "state"],
        &["--state", "db"],
        &["--boot"],
        &["--to", "/tmp/x"],
    ] {
        let args = [&["restore", &theirs, "--merge", "--yes"], args].concat();
        machine.cairn(&args).ends(2);
    }
    machine
        .cairn(&["restore", &theirs, "--allow-conflicts"])
        .ends(2);
    machine
        .cairn(&["restore", &theirs, "/etc/nixos/never", "--merge", "--yes"])
        .fails(1, "is not in restore point", "cairn show");
}

#[test]
fn config_restore_merges_and_brings_out_as_restore_does() {
    let Some((machine, base, theirs)) = branched() else {
        return;
    };
    machine.write("etc/nixos/web.nix", WEB_OURS);
    let args = [
        "config",
        "restore",
        &theirs,
        "--merge",
        "--merge-base",
        &base,
        "-y",
    ];
    machine.ok(&args);
    assert_eq!(machine.read("etc/nixos/web.nix"), WEB_BOTH);
    machine.ok(&["undo", "-y"]);
    assert_eq!(machine.read("etc/nixos/web.nix"), WEB_OURS);
    let out = machine.home().join("copies");
    let to = out.to_str().unwrap();
    machine.ok(&[
        "config",
        "restore",
        &theirs,
        "/etc/nixos/web.nix",
        "--to",
        to,
    ]);
    let copy = fs::read_to_string(out.join("etc/nixos/web.nix")).unwrap();
    assert_eq!(copy, WEB_THEIRS);
    assert_eq!(machine.read("etc/nixos/web.nix"), WEB_OURS);
    machine
        .cairn(&["config", "restore", &theirs, "--allow-conflicts"])
        .ends(2);
}
