//! The main story on a real store: take a point, break the machine, look at
//! what changed, bring it back, take that back.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, lchown};

use crate::support::{Machine, Run, System, bytes, contents, need, need_root, same, succeed};
use serde_json::Value;

/// A configuration with everything that is easily lost.
fn furnish(machine: &Machine) {
    let nixos = machine.root().join("etc/nixos");
    machine.write("etc/nixos/hosts/mini/disks.nix", "{ disks = 2; }\n");
    machine.write("etc/nixos/secret.age", [0, 159, 146, 150, 10]);
    machine.mode("etc/nixos/secret.age", 0o600);
    machine.write("etc/nixos/rebuild.sh", "#! /bin/sh\n");
    machine.mode("etc/nixos/rebuild.sh", 0o4755);
    machine.write("etc/nixos/empty", "");
    fs::create_dir(nixos.join("empty-folder")).unwrap();
    machine.mode("etc/nixos/empty-folder", 0o1770);
    machine.link("hosts/mini/disks.nix", "etc/nixos/disks.nix");
    machine.link("nowhere", "etc/nixos/dangling");
    fs::write(nixos.join(bytes(b"n\xe9.txt")), "latin\n").unwrap();
    xattr::set(nixos.join("hardware.nix"), "user.note", b"by hand").unwrap();
    xattr::set(nixos.join("hosts"), "user.folder", b"\0\xff").unwrap();
    lchown(nixos.join("hosts/mini/disks.nix"), Some(1234), Some(4321)).unwrap();
    lchown(nixos.join("dangling"), Some(7), Some(8)).unwrap();
}

/// Changes everything that can change.
fn wreck(machine: &Machine) {
    let nixos = machine.root().join("etc/nixos");
    machine.write(
        "etc/nixos/configuration.nix",
        "{\n  imports = [ ./hardware.nix ];\n  services.a.enable = false;\n}\n",
    );
    machine.write("etc/nixos/added.nix", "{ }\n");
    machine.write("etc/nixos/new/deep/file.nix", "{ }\n");
    machine.mode("etc/nixos/secret.age", 0o644);
    machine.mode("etc/nixos/empty-folder", 0o755);
    machine.mode("etc/nixos", 0o700);
    xattr::set(nixos.join("hardware.nix"), "user.note", b"changed").unwrap();
    xattr::set(nixos.join("rebuild.sh"), "user.more", b"x").unwrap();
    xattr::remove(nixos.join("hosts"), "user.folder").unwrap();
    lchown(nixos.join("hosts/mini/disks.nix"), Some(0), Some(0)).unwrap();
    lchown(nixos.join("dangling"), Some(0), Some(0)).unwrap();
    // A file becomes a folder, a folder a file, a link a file, a file a link.
    fs::remove_file(nixos.join("empty")).unwrap();
    fs::create_dir(nixos.join("empty")).unwrap();
    fs::write(nixos.join("empty/inside"), "x").unwrap();
    fs::remove_file(nixos.join("disks.nix")).unwrap();
    fs::write(nixos.join("disks.nix"), "{ }\n").unwrap();
    fs::remove_file(nixos.join(bytes(b"n\xe9.txt"))).unwrap();
    machine.link("/etc/hostname", "etc/nixos/rebuild.link");
    machine.set(System::Three);
    machine.run_system(System::Three);
}

/// Takes a point and wrecks the machine.
fn wrecked() -> Option<(Machine, String)> {
    if !need_root() {
        return None;
    }
    let machine = Machine::new()?;
    furnish(&machine);
    let id = machine.create("before the update");
    wreck(&machine);
    Some((machine, id))
}

#[test]
fn a_wrecked_machine_comes_back_whole_and_undo_goes_both_ways() {
    if !need_root() {
        return;
    }
    let Some(machine) = Machine::new() else {
        return;
    };
    furnish(&machine);
    let etc = machine.root().join("etc");
    let good = contents(&etc);
    let hardware = machine.root().join("etc/nixos/hardware.nix");
    let configuration = machine.root().join("etc/nixos/configuration.nix");
    let time = |path| {
        fs::metadata(path)
            .map(|m| (m.mtime(), m.mtime_nsec()))
            .unwrap()
    };
    let times = (time(&hardware), time(&configuration));
    machine.create("before the update");
    wreck(&machine);
    let bad = contents(&etc);
    assert_ne!(good, bad);

    let told = machine.ok(&["restore", "latest", "--yes"]);
    same(&good, &contents(&etc), "the configuration");
    assert_eq!(machine.profile().to_str(), Some("system-2-link"));
    assert_eq!((time(&hardware), time(&configuration)), times);
    assert!(told.contains("cairn undo brings it back"), "{told}");
    let again = machine.ok(&["restore", "latest", "--yes"]);
    assert!(again.contains("everything is already as"), "{again}");

    machine.ok(&["undo", "--yes"]);
    same(&bad, &contents(&etc), "the configuration");
    assert_eq!(machine.profile().to_str(), Some("system-3-link"));

    machine.ok(&["undo", "--yes"]);
    same(&good, &contents(&etc), "the configuration");
    assert_eq!(machine.profile().to_str(), Some("system-2-link"));
    assert!(machine.nix_env(&["--list-generations"]).contains("2   "));
}

/// The package of a name in a list of the closure's difference.
fn package<'v>(list: &'v Value, name: &str) -> &'v Value {
    let list = list.as_array().unwrap();
    list.iter()
        .find(|p| p["name"] == name)
        .unwrap_or_else(|| panic!("no {name} in {list:?}"))
}

#[test]
fn diff_tells_packages_with_sizes() {
    let Some((machine, _)) = wrecked() else {
        return;
    };
    let diff = &machine.json(&["diff", "latest"])["diff"];
    assert_eq!(diff["same"], false);
    let system = &diff["system"];
    assert_eq!(system["from"], machine.path(System::Two));
    assert_eq!(system["to"], machine.path(System::Three));
    let closure = &system["closure"];
    let newcomer = package(&closure["added"], "newcomer");
    assert_eq!(newcomer["versions"], serde_json::json!(["3.1"]));
    let elder = package(&closure["removed"], "elder");
    assert_eq!(elder["versions"], serde_json::json!(["0.9"]));
    let hello = package(&closure["changed"], "hello");
    assert_eq!(hello["oldVersions"], serde_json::json!(["1.1"]));
    assert_eq!(hello["newVersions"], serde_json::json!(["2.0"]));
    // Nix itself knows the sizes.
    let size = |package: &str| -> u64 {
        let store = machine.root().join("nix/store");
        let path = fs::read_dir(store)
            .unwrap()
            .map(|e| e.unwrap().file_name().into_string().unwrap())
            .find(|name| name.ends_with(&format!("-{package}")))
            .unwrap();
        let mut command = std::process::Command::new("nix-store");
        command
            .arg("--store")
            .arg(machine.root())
            .args(["--query", "--size"]);
        let told = succeed(
            command
                .env("HOME", machine.home())
                .arg(format!("/nix/store/{path}")),
        );
        told.trim().parse().unwrap()
    };
    assert_eq!(newcomer["bytes"], size("newcomer-3.1"));
    assert_eq!(elder["bytes"], size("elder-0.9"));
    assert_eq!(hello["oldBytes"], size("hello-1.1"));
    assert_eq!(hello["newBytes"], size("hello-2.0"));

    let text = machine.ok(&["diff"]);
    for line in ["+ newcomer 3.1", "- elder 0.9", "~ hello 1.1 → 2.0"] {
        assert!(text.contains(line), "no {line:?} in {text}");
    }
    let back = &machine.json(&["diff", "latest..now"])["diff"];
    assert_eq!(back["config"], diff["config"]);
}

#[test]
fn diff_tells_every_changed_path_and_patch_can_apply_its_texts() {
    if !need(&["patch"]) {
        return;
    }
    let Some((machine, _)) = wrecked() else {
        return;
    };
    let diff = &machine.json(&["diff"])["diff"];
    let mut kinds: Vec<(String, String)> = diff["config"]
        .as_array()
        .unwrap()
        .iter()
        .map(|c| {
            let word = |v: &Value| v.as_str().unwrap_or("not text").to_owned();
            (word(&c["path"]), word(&c["change"]["kind"]))
        })
        .collect();
    kinds.sort();
    let expected = [
        ("/etc/nixos", "modified"),
        ("/etc/nixos/added.nix", "added"),
        ("/etc/nixos/configuration.nix", "modified"),
        ("/etc/nixos/dangling", "modified"),
        ("/etc/nixos/disks.nix", "type-changed"),
        ("/etc/nixos/empty", "type-changed"),
        ("/etc/nixos/empty-folder", "modified"),
        ("/etc/nixos/empty/inside", "added"),
        ("/etc/nixos/hardware.nix", "modified"),
        ("/etc/nixos/hosts", "modified"),
        ("/etc/nixos/hosts/mini/disks.nix", "modified"),
        ("/etc/nixos/new", "added"),
        ("/etc/nixos/new/deep", "added"),
        ("/etc/nixos/new/deep/file.nix", "added"),
        ("/etc/nixos/rebuild.link", "added"),
        ("/etc/nixos/rebuild.sh", "modified"),
        ("/etc/nixos/secret.age", "modified"),
    ];
    for (path, kind) in expected {
        assert!(
            kinds.contains(&(path.to_owned(), kind.to_owned())),
            "{path} {kind}: {kinds:#?}"
        );
    }
    // And the one whose name is no text.
    assert_eq!(kinds.len(), expected.len() + 1, "{kinds:#?}");

    let change = diff["config"]
        .as_array()
        .unwrap()
        .iter()
        .find(|c| c["path"] == "/etc/nixos/configuration.nix")
        .unwrap();
    let text = change["text"].as_str().unwrap();
    assert!(
        text.contains("-  services.a.enable = true;\n+  services.a.enable = false;\n"),
        "{text}"
    );
    let old = machine.ok(&["show", "latest", "--cat", "/etc/nixos/configuration.nix"]);
    let place = machine.home().join("configuration.nix");
    fs::write(&place, old).unwrap();
    fs::write(machine.home().join("patch"), text).unwrap();
    succeed(
        std::process::Command::new("patch")
            .current_dir(machine.home())
            .args(["--input", "patch", "configuration.nix"]),
    );
    assert_eq!(
        fs::read_to_string(&place).unwrap(),
        machine.read("etc/nixos/configuration.nix")
    );
}

#[test]
fn a_dry_run_changes_nothing_at_all() {
    let Some((machine, _)) = wrecked() else {
        return;
    };
    let before = machine.exact();
    for args in [
        &["create", "--dry-run"][..],
        &["restore", "-n"],
        &["restore", "-n", "--only", "config"],
        &["restore", "-n", "--only", "generation", "--boot"],
        &["restore", "-n", "latest", "/etc/nixos/configuration.nix"],
        &["rollback", "latest", "-n"],
        &["mark-good", "-n"],
        &["pin", "-n"],
        &["prune", "-n", "--keep-last", "1"],
        &["generations", "clean", "-n", "--keep-last", "1"],
        &["generations", "switch", "1", "-n"],
        &["config", "restore", "-n"],
        &["config", "backup", "-n"],
    ] {
        let told = machine.ok(args);
        assert!(!told.is_empty(), "{args:?} says nothing");
        same(
            &before,
            &machine.exact(),
            &format!("{args:?} changed something"),
        );
    }
}

#[test]
fn looking_changes_nothing_at_all() {
    let Some((machine, _)) = wrecked() else {
        return;
    };
    let before = machine.exact();
    for args in [
        &["list"][..],
        &["show"],
        &["show", "latest", "--cat", "/etc/nixos/hardware.nix"],
        &["diff"],
        &["status"],
        &["config", "list"],
        &["config", "list", "latest"],
        &["generations", "list"],
        &["generations", "show", "1"],
        &["verify"],
        &["verify", "--read-data"],
    ] {
        machine.ok(args);
        same(
            &before,
            &machine.exact(),
            &format!("{args:?} changed something"),
        );
    }
}

#[test]
fn a_dry_run_shows_what_a_restore_then_does() {
    let Some((machine, _)) = wrecked() else {
        return;
    };
    let plan = machine.json(&["restore", "-n"])["plan"].clone();
    assert_eq!(plan["system"]["boots"], machine.path(System::Two));
    assert_eq!(plan["system"]["profile"], "switch-generation");
    assert_eq!(plan["system"]["generation"], 2);
    let planned = plan["config"].as_array().unwrap().len();
    let done = machine.json(&["restore", "--yes"]);
    assert_eq!(done["restore"]["paths"], planned);
    assert_eq!(done["restore"]["generation"], 2);
    assert_eq!(done["restore"]["changed"], true);
}

#[test]
fn without_a_terminal_nothing_is_restored_unasked() {
    let Some((machine, _)) = wrecked() else {
        return;
    };
    let before = machine.exact();
    let run = machine.cairn(&["restore"]).ends(2);
    assert!(run.err.contains("restore needs a yes"), "{}", run.err);
    assert!(run.err.contains("cairn restore --yes"), "{}", run.err);
    same(
        &before,
        &machine.exact(),
        "a restore that was not confirmed",
    );
}

/// The program with a `nix-env` that fails, so that a restore stops after the
/// configuration and before the system.
fn without_nix_env(machine: &Machine, args: &[&str]) -> Run {
    let tools = machine.home().join("tools");
    fs::create_dir_all(&tools).unwrap();
    let tool = tools.join("nix-env");
    fs::write(
        &tool,
        "#! /bin/sh\necho 'error: no space left' >&2\nexit 1\n",
    )
    .unwrap();
    fs::set_permissions(&tool, fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:{}", tools.display(), std::env::var("PATH").unwrap());
    machine
        .command(args)
        .env("PATH", path)
        .output()
        .unwrap()
        .into()
}

#[test]
fn a_restore_that_stops_part_way_says_so_and_ends_either_way() {
    let Some((machine, id)) = wrecked() else {
        return;
    };
    let etc = machine.root().join("etc");
    let bad = contents(&etc);
    for (verb, generation) in [("abort", "system-3-link"), ("resume", "system-2-link")] {
        let run = without_nix_env(&machine, &["restore", &id, "--yes"]).ends(22);
        assert!(run.err.contains("stopped part way"), "{}", run.err);
        assert!(run.err.contains("no space left"), "{}", run.err);
        assert!(!run.err.contains("nothing was changed"), "{}", run.err);
        assert!(
            run.err.contains("try: cairn resume\n   or: cairn abort"),
            "{}",
            run.err
        );
        let refused = machine.cairn(&["undo", "--yes"]).ends(22);
        assert!(
            refused.err.contains("restore was interrupted"),
            "{}",
            refused.err
        );
        machine.cairn(&["status"]).ends(22);
        let again = machine.cairn(&["restore", &id, "--yes"]).ends(22);
        assert!(
            again.err.contains("restore was interrupted"),
            "{}",
            again.err
        );
        machine.ok(&[verb, "--yes"]);
        assert_eq!(machine.profile().to_str(), Some(generation));
        assert_eq!(contents(&etc) == bad, verb == "abort", "{verb}");
        machine.ok(&["status"]);
    }
    machine.ok(&["undo", "--yes"]);
    same(&bad, &contents(&etc), "the configuration");
}

#[test]
fn the_graph_shows_what_was_left_behind() {
    let Some(machine) = Machine::new() else {
        return;
    };
    let edit = |text: &str| {
        machine.write("etc/nixos/n.nix", format!("{{ }} # {text}\n"));
        machine.create(text)
    };
    let (one, two) = (edit("one"), edit("two"));
    machine.ok(&["restore", &one, "--yes"]);
    let three = edit("three");
    // A file that is brought back is no other machine.
    machine.ok(&["restore", &two, "/etc/nixos/n.nix", "--yes"]);
    let four = edit("four");
    let told = machine.json(&["list", "--graph"])["points"].clone();
    let items: Vec<&str> = (told["items"].as_array().unwrap().iter())
        .map(|item| item["id"].as_str().unwrap())
        .collect();
    let [_, _, undo, _, again, _] = items[..] else {
        panic!("{items:?}")
    };
    assert_eq!(told["from"][undo], two.as_str(), "{told}");
    assert_eq!(told["from"][&three], one.as_str(), "{told}");
    assert_eq!(told["from"][again], three.as_str(), "{told}");
    assert_eq!(told["from"][&four], again, "{told}");
    let text = machine.ok(&["list", "--graph"]);
    let lanes: Vec<&str> = (text.lines().skip(1))
        .map(|line| line.split("  ").next().unwrap().trim_end())
        .collect();
    assert_eq!(lanes, ["●", "●", "●", "│ ●", "│ ●", "├─╯", "●"], "{text}");
    // Those that are left out are passed over.
    let text = machine.ok(&["list", "--graph", "--trigger", "manual"]);
    let lanes: Vec<&str> = (text.lines().skip(1))
        .map(|line| line.split("  ").next().unwrap().trim_end())
        .collect();
    assert_eq!(lanes, ["●", "●", "│ ●", "├─╯", "●"], "{text}");
}
