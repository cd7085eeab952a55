//! What a configuration is: everything below its roots, and all it imports.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::chown;
use std::path::Path;
use std::process::Command;

use crate::support::{Machine, System, contents, exact, need, need_root, same, succeed};
use serde_json::Value;

/// Runs git in a folder below the root, with nothing of the user's settings.
fn git(machine: &Machine, folder: &str, args: &[&str]) -> String {
    let mut command = Command::new("git");
    command
        .current_dir(machine.root().join(folder))
        .env("HOME", machine.home())
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .args(["-c", "user.name=Test", "-c", "user.email=test@example.org"])
        .args(["-c", "init.defaultBranch=main"])
        .args(args);
    succeed(&mut command).trim().to_owned()
}

/// Paths of what a point holds, by kind.
fn captured(machine: &Machine, id: &str) -> BTreeSet<String> {
    let listed = machine.json(&["config", "list", id]);
    let files = listed["files"].as_array().unwrap();
    files
        .iter()
        .map(|f| f["path"].as_str().unwrap().to_owned())
        .collect()
}

/// The paths `find` prints below a folder of the root, without `.git`.
fn found(machine: &Machine, folder: &str) -> BTreeSet<String> {
    let mut command = Command::new("find");
    command.current_dir(machine.root()).arg(folder);
    let told = succeed(command.args(["-name", ".git", "-prune", "-o", "-print"]));
    told.lines().map(|line| format!("/{line}")).collect()
}

fn paths(value: &Value) -> Vec<&str> {
    value
        .as_array()
        .unwrap()
        .iter()
        .map(|p| p.as_str().unwrap())
        .collect()
}

#[test]
fn everything_below_the_root_is_captured_as_find_lists_it() {
    let Some(machine) = Machine::new() else {
        return;
    };
    for file in [
        "flake.nix",
        "flake.lock",
        ".hidden",
        ".sops.yaml",
        ".config/deep/er/file.txt",
        "secrets/db.age",
        "hosts/a/default.nix",
        "hosts/a/README.md",
        "name with spaces.nix",
        "naïve-ünïcode.nix",
        "git/.gitignore",
        "backup.nix~",
        ".git-credentials",
    ] {
        machine.write(Path::new("etc/nixos").join(file), file);
    }
    fs::create_dir_all(machine.root().join("etc/nixos/empty/folder")).unwrap();
    machine.link("../../nowhere", "etc/nixos/dangling");
    machine.link("hosts", "etc/nixos/machines");
    machine.write("etc/nixos/.git/HEAD", "ref: refs/heads/main\n");
    machine.write("etc/nixos/hosts/.git", "gitdir: /elsewhere\n");
    let id = machine.create("all of it");
    assert_eq!(captured(&machine, &id), found(&machine, "etc/nixos"));
    let config = &machine.document(&id)["config"];
    let mut command = Command::new("find");
    command.current_dir(machine.root()).arg("etc/nixos");
    let files = succeed(command.args(["-name", ".git", "-prune", "-o", "-type", "f", "-print"]));
    assert_eq!(config["files"], files.lines().count());
    // What is left out is told.
    assert_eq!(
        paths(&config["excluded"]),
        ["/etc/nixos/.git", "/etc/nixos/hosts/.git"]
    );
    let text = machine.ok(&["show"]);
    assert!(text.contains("left out        /etc/nixos/.git"), "{text}");
}

#[test]
fn a_whole_restore_leaves_every_git_folder_alone() {
    if !need(&["git"]) {
        return;
    }
    let Some(machine) = Machine::new() else {
        return;
    };
    git(&machine, "etc/nixos", &["init", "-q"]);
    git(&machine, "etc/nixos", &["add", "."]);
    git(&machine, "etc/nixos", &["commit", "-q", "-m", "one"]);
    let id = machine.create("one");
    machine.write("etc/nixos/hardware.nix", "{ changed = true; }\n");
    git(&machine, "etc/nixos", &["commit", "-qam", "two"]);
    // A checkout inside a folder that was added since.
    machine.write("etc/nixos/modules/own/default.nix", "{ }\n");
    git(&machine, "etc/nixos/modules/own", &["init", "-q"]);
    let (top, own) = ("etc/nixos/.git", "etc/nixos/modules/own/.git");
    let before = [top, own].map(|dir| exact(&machine.root().join(dir)));
    let head = git(&machine, "etc/nixos", &["rev-parse", "HEAD"]);

    machine.ok(&["restore", &id, "--yes"]);
    assert_eq!(machine.read("etc/nixos/hardware.nix"), "{ }\n");
    assert!(
        !machine
            .root()
            .join("etc/nixos/modules/own/default.nix")
            .exists()
    );
    for (dir, before) in [top, own].into_iter().zip(&before) {
        same(before, &exact(&machine.root().join(dir)), dir);
    }
    assert_eq!(git(&machine, "etc/nixos", &["rev-parse", "HEAD"]), head);
    assert_eq!(
        git(&machine, "etc/nixos", &["status", "--porcelain"]),
        "M hardware.nix\n?? modules/"
    );
    // What cannot go is no difference, so this is a restore that ended.
    assert!(
        machine
            .ok(&["restore", &id, "--only", "config", "--yes"])
            .contains("already")
    );
    machine.ok(&["undo", "--yes"]);
    assert_eq!(machine.read("etc/nixos/modules/own/default.nix"), "{ }\n");
}

#[test]
fn commit_and_dirty_flag_are_those_of_git() {
    if !need(&["git"]) {
        return;
    }
    let Some(machine) = Machine::new() else {
        return;
    };
    let fact = |reason: &str| -> Value {
        let id = machine.create(reason);
        machine.document(&id)["config"]["roots"][0]["git"].clone()
    };
    assert_eq!(fact("no checkout"), Value::Null);
    git(&machine, "etc/nixos", &["init", "-q"]);
    let unborn = fact("no commit");
    assert_eq!(
        (&unborn["commit"], &unborn["dirty"]),
        (&Value::Null, &Value::Bool(true))
    );
    assert_eq!(unborn["top"], "/etc/nixos");
    git(&machine, "etc/nixos", &["add", "."]);
    git(&machine, "etc/nixos", &["commit", "-q", "-m", "one"]);
    let head = git(&machine, "etc/nixos", &["rev-parse", "HEAD"]);
    let clean = fact("clean");
    assert_eq!(
        (&clean["commit"], &clean["dirty"]),
        (&Value::from(head.as_str()), &false.into())
    );
    machine.write("etc/nixos/untracked.nix", "{ }\n");
    assert_eq!(fact("untracked")["dirty"], true);
    fs::remove_file(machine.root().join("etc/nixos/untracked.nix")).unwrap();
    machine.write("etc/nixos/hardware.nix", "{ x = 1; }\n");
    let dirty = fact("dirty");
    assert_eq!(
        (&dirty["commit"], &dirty["dirty"]),
        (&Value::from(head.as_str()), &true.into())
    );
    let text = machine.ok(&["show"]);
    assert!(
        text.contains(&format!("(git {}, dirty)", &head[..12])),
        "{text}"
    );
}

#[test]
fn the_settings_of_a_checkout_run_nothing() {
    if !need(&["git"]) || !need_root() {
        return;
    }
    let Some(machine) = Machine::new() else {
        return;
    };
    git(&machine, "etc/nixos", &["init", "-q"]);
    git(&machine, "etc/nixos", &["add", "."]);
    git(&machine, "etc/nixos", &["commit", "-q", "-m", "one"]);
    let proof = machine.home().join("ran");
    let monitor = machine.home().join("monitor");
    fs::write(&monitor, format!("#! /bin/sh\ntouch {}\n", proof.display())).unwrap();
    machine.mode(&monitor, 0o755);
    git(
        &machine,
        "etc/nixos",
        &["config", "core.fsmonitor", monitor.to_str().unwrap()],
    );
    machine.create("own checkout");
    assert!(!proof.exists(), "core.fsmonitor was run");
    // A user's checkout: git would refuse root there, so the commit is had as
    // that user.
    let top = machine.root().join("etc/nixos");
    for path in contents(&top).keys() {
        chown(top.join(path), Some(1234), Some(1234)).unwrap();
    }
    let head = git_head(&top);
    let id = machine.create("a user's checkout");
    assert_eq!(
        machine.document(&id)["config"]["roots"][0]["git"]["commit"],
        head
    );
    assert!(!proof.exists(), "core.fsmonitor was run");
}

fn git_head(top: &Path) -> String {
    fs::read_to_string(top.join(".git/refs/heads/main"))
        .unwrap()
        .trim()
        .to_owned()
}

#[test]
fn a_linked_etc_nixos_is_captured_and_restored_where_it_leads() {
    let Some(machine) = Machine::new() else {
        return;
    };
    let root = machine.root();
    fs::create_dir_all(root.join("home/me")).unwrap();
    fs::rename(root.join("etc/nixos"), root.join("home/me/config")).unwrap();
    machine.link("/home/me/config", "etc/nixos");
    let id = machine.create("linked");
    let document = machine.document(&id);
    let roots: Vec<(&str, &str)> = document["config"]["roots"]
        .as_array()
        .unwrap()
        .iter()
        .map(|r| (r["path"].as_str().unwrap(), r["kind"].as_str().unwrap()))
        .collect();
    assert_eq!(
        roots,
        [("/etc/nixos", "symlink"), ("/home/me/config", "directory")]
    );
    let good = [contents(&root.join("etc")), contents(&root.join("home"))];

    machine.write("home/me/config/configuration.nix", "{ }\n");
    fs::remove_file(root.join("etc/nixos")).unwrap();
    machine.write("etc/nixos/configuration.nix", "{ other = true; }\n");
    let bad = [contents(&root.join("etc")), contents(&root.join("home"))];
    machine.ok(&["restore", "--yes"]);
    same(&good[0], &contents(&root.join("etc")), "etc");
    same(&good[1], &contents(&root.join("home")), "home");
    machine.ok(&["undo", "--yes"]);
    same(&bad[0], &contents(&root.join("etc")), "etc");
    same(&bad[1], &contents(&root.join("home")), "home");
    // A file is named by the way that people know.
    machine.ok(&["undo", "--yes"]);
    machine.write("home/me/config/configuration.nix", "{ }\n");
    machine.ok(&["restore", &id, "/etc/nixos/configuration.nix", "--yes"]);
    same(&good[1], &contents(&root.join("home")), "home");
}

#[test]
fn a_linked_flake_stands_for_its_folder() {
    let Some(machine) = Machine::new() else {
        return;
    };
    machine.write("srv/flake/flake.nix", "{ outputs = _: { }; }\n");
    machine.write("srv/flake/flake.lock", "{ }\n");
    machine.write("srv/flake/hosts/mini.nix", "{ }\n");
    machine.link("/srv/flake/flake.nix", "etc/nixos/flake.nix");
    let id = machine.create("flake");
    assert_eq!(
        paths(&machine.document(&id)["config"]["followed"]),
        ["/srv/flake"]
    );
    machine.write("srv/flake/flake.lock", "{ changed = 1; }\n");
    fs::remove_dir_all(machine.root().join("srv/flake/hosts")).unwrap();
    machine.ok(&["restore", "--yes"]);
    assert_eq!(machine.read("srv/flake/flake.lock"), "{ }\n");
    assert_eq!(machine.read("srv/flake/hosts/mini.nix"), "{ }\n");
}

#[test]
fn imports_that_lead_outside_are_captured_and_restored() {
    let Some(machine) = Machine::new() else {
        return;
    };
    machine.write(
        "etc/nixos/configuration.nix",
        "{ imports = [ ./hardware.nix ../../srv/shared.nix /opt/modules ]; }\n",
    );
    machine.write("srv/shared.nix", "{ imports = [ ./more.nix ]; }\n");
    machine.write("srv/more.nix", "{ more = 1; }\n");
    machine.write("srv/unrelated.nix", "{ }\n");
    machine.write("opt/modules/default.nix", "{ }\n");
    machine.write("opt/modules/data.txt", "data\n");
    let id = machine.create("imports");
    let document = machine.document(&id);
    assert_eq!(
        paths(&document["config"]["followed"]),
        ["/opt/modules", "/srv/more.nix", "/srv/shared.nix"]
    );
    let held = captured(&machine, &id);
    assert!(held.contains("/opt/modules/data.txt"), "{held:?}");
    assert!(!held.contains("/srv/unrelated.nix"), "{held:?}");
    let good = [
        contents(&machine.root().join("srv")),
        contents(&machine.root().join("opt")),
    ];
    machine.write("srv/more.nix", "{ more = 2; }\n");
    fs::remove_file(machine.root().join("srv/shared.nix")).unwrap();
    fs::remove_dir_all(machine.root().join("opt")).unwrap();
    let diff = &machine.json(&["diff"])["diff"];
    let changed: Vec<&str> = diff["config"]
        .as_array()
        .unwrap()
        .iter()
        .map(|c| c["path"].as_str().unwrap())
        .collect();
    assert!(changed.contains(&"/srv/more.nix") && changed.contains(&"/opt/modules/data.txt"));
    machine.ok(&["restore", "--yes"]);
    same(&good[0], &contents(&machine.root().join("srv")), "srv");
    same(&good[1], &contents(&machine.root().join("opt")), "opt");
}

#[test]
fn imports_known_only_when_evaluated_are_told_with_their_line() {
    let Some(machine) = Machine::new() else {
        return;
    };
    machine.write(
        "etc/nixos/configuration.nix",
        "{ host, ... }:\n{\n  imports = [\n    ./hardware.nix\n    (./hosts + \"/${host}.nix\")\n    \
         <nixpkgs/nixos/modules/x.nix>\n    ./gone.nix\n  ];\n}\n",
    );
    machine.write("etc/nixos/torn.nix", "{ imports = [\n");
    let id = machine.create("dynamic");
    let document = machine.document(&id);
    let told: Vec<(&str, u64)> = document["config"]["unfollowed"]
        .as_array()
        .unwrap()
        .iter()
        .map(|u| (u["file"].as_str().unwrap(), u["line"].as_u64().unwrap()))
        .collect();
    for wanted in [
        ("/etc/nixos/configuration.nix", 5),
        ("/etc/nixos/configuration.nix", 6),
        ("/etc/nixos/torn.nix", 2),
    ] {
        assert!(
            told.contains(&wanted),
            "{wanted:?} is not told: {document:#}"
        );
    }
    // A torn file is told once.
    assert_eq!(
        told.iter()
            .filter(|(file, _)| *file == "/etc/nixos/torn.nix")
            .count(),
        1
    );
    // A search path and a dynamic path are no reason to call it partial.
    assert_eq!(document["completeness"]["status"], "complete");
    let json = machine.json(&["show"]);
    assert_eq!(
        json["point"]["config"]["unfollowed"],
        document["config"]["unfollowed"]
    );
    let text = machine.ok(&["show", "-v"]);
    assert!(text.contains("/etc/nixos/configuration.nix:5"), "{text}");
    assert!(
        text.contains("<nixpkgs/nixos/modules/x.nix> (a search path)"),
        "{text}"
    );
    let brief = machine.ok(&["show"]);
    assert!(brief.contains("imports, shown with -v"), "{brief}");
}

#[test]
fn a_restore_never_writes_through_a_link_that_was_put_in_the_way() {
    let Some(machine) = Machine::new() else {
        return;
    };
    machine.write("etc/nixos/hosts/a.nix", "{ a = 1; }\n");
    machine.create("before");
    machine.write("srv/victim/a.nix", "precious\n");
    fs::remove_dir_all(machine.root().join("etc/nixos/hosts")).unwrap();
    machine.link("/srv/victim", "etc/nixos/hosts");
    fs::remove_file(machine.root().join("etc/nixos/hardware.nix")).unwrap();
    machine.link(
        machine.root().join("srv/victim/a.nix"),
        "etc/nixos/hardware.nix",
    );
    machine.ok(&["restore", "--yes"]);
    assert_eq!(machine.read("srv/victim/a.nix"), "precious\n");
    assert_eq!(machine.read("etc/nixos/hosts/a.nix"), "{ a = 1; }\n");
    assert_eq!(machine.read("etc/nixos/hardware.nix"), "{ }\n");
    assert!(!machine.root().join("etc/nixos/hosts").is_symlink());
}

#[test]
fn a_machine_without_a_configuration_has_points_and_what_came_later_goes_again() {
    let Some(machine) = Machine::new() else {
        return;
    };
    fs::remove_dir_all(machine.root().join("etc/nixos")).unwrap();
    // It is said, and the point is whole all the same.
    let create = |reason: &str| {
        let taken = machine.cairn(&["--json", "create", "-r", reason]).ends(3);
        taken.json()["point"]["id"].as_str().unwrap().to_owned()
    };
    let id = create("nothing there");
    let document = machine.document(&id);
    assert_eq!(document["config"]["roots"][0]["kind"], "absent");
    assert_eq!(document["config"]["files"], 0);
    assert_eq!(document["completeness"]["status"], "complete");
    assert_eq!(captured(&machine, &id), BTreeSet::new());
    assert!(machine.json(&["diff"])["diff"]["same"] == true);
    assert!(
        machine
            .ok(&["verify", "--read-data"])
            .contains("all is well")
    );
    machine.write("etc/nixos/configuration.nix", "{ }\n");
    machine.set(System::Three);
    machine.ok(&["restore", "--yes"]);
    assert!(!machine.root().join("etc/nixos").exists());
    assert_eq!(machine.profile().to_str(), Some("system-2-link"));
    machine.ok(&["undo", "--yes"]);
    assert_eq!(machine.read("etc/nixos/configuration.nix"), "{ }\n");
    machine.ok(&["undo", "--yes"]);
    assert!(!machine.root().join("etc/nixos").exists());
    // Such points are pruned as others are.
    create("later");
    machine.ok(&["prune", "--keep-last", "1", "--yes"]);
    assert!(!machine.ids().contains(&id));
    assert!(machine.ok(&["verify"]).contains("all is well"));
}

#[test]
fn a_state_directory_inside_the_configuration_never_captures_itself() {
    let Some(machine) = Machine::new() else {
        return;
    };
    let state = machine.root().join("etc/nixos/points");
    let run = |args: &[&str]| {
        let mut command = machine.program();
        command
            .arg("--root")
            .arg(machine.root())
            .arg("--state-dir")
            .arg(&state)
            .args(args);
        succeed(&mut command)
    };
    run(&["create"]);
    let text = run(&["config", "list", "latest"]);
    assert!(text.contains("/etc/nixos/configuration.nix"), "{text}");
    assert!(!text.contains("/etc/nixos/points/"), "{text}");
    machine.write("etc/nixos/configuration.nix", "{ }\n");
    let diff: Value = serde_json::from_str(&run(&["--json", "diff"])).unwrap();
    let changed = diff["diff"]["config"].as_array().unwrap();
    assert_eq!(changed.len(), 1, "{changed:?}");
    run(&["restore", "--yes"]);
    assert!(
        machine
            .read("etc/nixos/configuration.nix")
            .contains("imports")
    );
    run(&["verify"]);
}

#[test]
fn what_a_crash_left_is_swept_and_a_persons_file_is_not() {
    let Some(machine) = Machine::new() else {
        return;
    };
    machine.write("etc/nixos/.cairn-notes", "mine\n");
    let id = machine.create("before");
    let staged = format!(".cairn-{}-0", id.replace('-', ""));
    // Where a restore stages: beside a file, and beside a root.
    for place in ["etc", "etc/nixos"] {
        machine.write(Path::new(place).join(&staged), "half");
    }
    machine.write("etc/nixos/hardware.nix", "{ changed = 1; }\n");
    let text = machine.ok(&["diff"]);
    assert!(!text.contains(".cairn-"), "{text}");
    machine.ok(&["restore", "--yes"]);
    for place in ["etc", "etc/nixos"] {
        assert!(
            !machine.root().join(place).join(&staged).exists(),
            "{place}"
        );
    }
    assert_eq!(machine.read("etc/nixos/.cairn-notes"), "mine\n");
    // It is as any other file of the configuration.
    assert!(paths(&machine.document(&id)["config"]["excluded"]).is_empty());
    let notes = machine.ok(&["show", &id, "--cat", "/etc/nixos/.cairn-notes"]);
    assert_eq!(notes, "mine\n");
}
