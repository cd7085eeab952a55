//! Parts of a point, the words that name one, and the marks it can have.

use std::fs;
use std::path::Path;

use crate::support::{Machine, System, contents, same, short};

const CHANGED: &str = "{ changed = true; }\n";

/// A machine with a point, after which system and files changed.
fn changed() -> Option<(Machine, String)> {
    let machine = Machine::new()?;
    machine.write("etc/nixos/hosts/a.nix", "{ a = 1; }\n");
    machine.write("etc/nixos/hosts/b.nix", "{ b = 1; }\n");
    machine.write("etc/nixos/hosts-of-old.nix", "{ }\n");
    let id = machine.create("before");
    for file in ["configuration.nix", "hosts/a.nix", "hosts-of-old.nix"] {
        machine.write(Path::new("etc/nixos").join(file), CHANGED);
    }
    fs::remove_file(machine.root().join("etc/nixos/hosts/b.nix")).unwrap();
    machine.write("etc/nixos/hosts/added.nix", CHANGED);
    machine.set(System::Three);
    machine.run_system(System::Three);
    Some((machine, id))
}

#[test]
fn the_generation_alone_leaves_the_configuration() {
    let Some((machine, _)) = changed() else {
        return;
    };
    let etc = contents(&machine.root().join("etc"));
    machine.ok(&["restore", "--only", "generation", "--yes"]);
    assert_eq!(machine.profile().to_str(), Some("system-2-link"));
    same(
        &etc,
        &contents(&machine.root().join("etc")),
        "the configuration",
    );
    machine.ok(&["undo", "--yes"]);
    assert_eq!(machine.profile().to_str(), Some("system-3-link"));
}

#[test]
fn the_configuration_alone_leaves_the_generation() {
    let Some((machine, _)) = changed() else {
        return;
    };
    machine.ok(&["restore", "--only", "config", "--yes"]);
    assert_eq!(machine.profile().to_str(), Some("system-3-link"));
    assert_eq!(machine.read("etc/nixos/hosts/b.nix"), "{ b = 1; }\n");
    assert!(!machine.root().join("etc/nixos/hosts/added.nix").exists());
}

#[test]
fn a_named_file_comes_back_and_nothing_else() {
    let Some((machine, _)) = changed() else {
        return;
    };
    let mut expected = contents(&machine.root().join("etc"));
    machine.ok(&["restore", "latest", "/etc/nixos/hosts/a.nix", "--yes"]);
    assert_eq!(machine.read("etc/nixos/hosts/a.nix"), "{ a = 1; }\n");
    assert_eq!(machine.profile().to_str(), Some("system-3-link"));
    let mut now = contents(&machine.root().join("etc"));
    let file = Path::new("nixos/hosts/a.nix");
    assert_ne!(now.remove(file), expected.remove(file));
    same(&expected, &now, "the rest");
}

#[test]
fn a_named_folder_comes_back_with_what_was_removed_and_without_what_was_added() {
    let Some((machine, _)) = changed() else {
        return;
    };
    // As a person types it: the real path.
    let typed = machine.root().join("etc/nixos/hosts/");
    machine.ok(&["restore", "latest", typed.to_str().unwrap(), "--yes"]);
    assert_eq!(machine.read("etc/nixos/hosts/a.nix"), "{ a = 1; }\n");
    assert_eq!(machine.read("etc/nixos/hosts/b.nix"), "{ b = 1; }\n");
    assert!(!machine.root().join("etc/nixos/hosts/added.nix").exists());
    // Its name begins as the folder's does.
    assert_eq!(machine.read("etc/nixos/hosts-of-old.nix"), CHANGED);
    assert_eq!(machine.read("etc/nixos/configuration.nix"), CHANGED);
}

#[test]
fn naming_a_file_that_was_added_since_removes_it_and_undo_brings_it_back() {
    let Some((machine, _)) = changed() else {
        return;
    };
    let added = machine.root().join("etc/nixos/hosts/added.nix");
    machine.ok(&["restore", "latest", "etc/nixos/hosts/added.nix", "--yes"]);
    assert!(!added.exists());
    assert_eq!(machine.read("etc/nixos/hosts/a.nix"), CHANGED);
    machine.ok(&["undo", "--yes"]);
    assert_eq!(fs::read_to_string(added).unwrap(), CHANGED);
}

#[test]
fn a_path_outside_is_refused_before_anything_changes() {
    let Some((machine, id)) = changed() else {
        return;
    };
    let before = machine.exact();
    let show = format!("cairn show {}", short(&id));
    for path in [
        "/etc/hostname",
        "/nowhere",
        "/etc/nixos/never",
        "/etc/nixos/../hostname",
    ] {
        machine.cairn(&["restore", "latest", path, "--yes"]).fails(
            1,
            "is not in restore point",
            &show,
        );
        // One good path does not carry a bad one.
        machine
            .cairn(&["restore", "latest", "/etc/nixos/hosts", path, "--yes"])
            .fails(1, "is not in restore point", &show);
    }
    machine
        .cairn(&[
            "restore",
            "latest",
            "/etc/nixos",
            "--only",
            "generation",
            "--yes",
        ])
        .fails(2, "has no paths", "cairn restore --help");
    same(&before, &machine.exact(), "a refused restore");
}

#[test]
fn what_was_added_stays_when_asked_for() {
    let Some((machine, _)) = changed() else {
        return;
    };
    machine.ok(&["restore", "--only", "config", "--keep-added", "--yes"]);
    assert_eq!(machine.read("etc/nixos/hosts/added.nix"), CHANGED);
    assert_eq!(machine.read("etc/nixos/hosts/a.nix"), "{ a = 1; }\n");
    assert_eq!(machine.read("etc/nixos/hosts/b.nix"), "{ b = 1; }\n");
}

#[test]
fn the_configuration_has_verbs_of_its_own() {
    let Some((machine, id)) = changed() else {
        return;
    };
    let told = machine.ok(&["config", "backup", "--reason", "by the clock"]);
    assert!(told.contains("by the clock"), "{told}");
    assert_eq!(machine.ids().len(), 2);
    let listed = machine.json(&["config", "list"]);
    let items = listed["points"]["items"].as_array().unwrap();
    assert_eq!(items.len(), 2);
    assert_ne!(items[0]["config"]["hash"], items[1]["config"]["hash"]);
    let text = machine.ok(&["config", "list", &id]);
    for path in [
        "/etc/nixos",
        "/etc/nixos/configuration.nix",
        "/etc/nixos/hosts/b.nix",
    ] {
        assert!(
            text.lines().any(|l| l.ends_with(&format!(" {path}"))),
            "no {path}: {text}"
        );
    }
    machine.ok(&["config", "restore", &id, "/etc/nixos/hosts/b.nix", "--yes"]);
    assert_eq!(machine.read("etc/nixos/hosts/b.nix"), "{ b = 1; }\n");
    assert_eq!(machine.read("etc/nixos/hosts/a.nix"), CHANGED);
    machine.ok(&["config", "restore", &id, "--keep-added", "--yes"]);
    assert_eq!(machine.read("etc/nixos/hosts/a.nix"), "{ a = 1; }\n");
    assert_eq!(machine.read("etc/nixos/hosts/added.nix"), CHANGED);
    assert_eq!(machine.profile().to_str(), Some("system-3-link"));
}

#[test]
fn a_captured_file_is_printed_byte_for_byte() {
    let Some(machine) = Machine::new() else {
        return;
    };
    let odd: Vec<u8> = (0..=255)
        .chain([b'\n', b'\r', 0])
        .cycle()
        .take(100_000)
        .collect();
    machine.write("etc/nixos/odd.bin", &odd);
    let id = machine.create("odd");
    machine.write("etc/nixos/odd.bin", "other");
    let output = machine
        .command(&["show", "--cat", "/etc/nixos/odd.bin"])
        .output()
        .unwrap();
    assert_eq!(output.stdout, odd);
    let show = format!("cairn show {}", short(&id));
    for path in ["/etc/nixos/none", "/etc/nixos/odd.bin/x", "/etc/hostname"] {
        machine.cairn(&["show", "latest", "--cat", path]).fails(
            1,
            "is not in restore point",
            &show,
        );
    }
}

#[test]
fn rollback_goes_to_the_latest_system_known_to_be_good() {
    let Some(machine) = Machine::new() else {
        return;
    };
    let good = machine.create("good");
    machine.cairn(&["rollback", "--yes"]).fails(
        10,
        "no restore point is marked good",
        "cairn list",
    );
    machine.ok(&["mark-good", &good, "--reason", "ran for a week"]);
    machine.set(System::Three);
    machine.run_system(System::Three);
    machine.write("etc/nixos/configuration.nix", CHANGED);
    let bad = machine.create("bad");
    machine.ok(&["mark-bad", "latest"]);
    let told = machine.ok(&["rollback", "--yes"]);
    assert!(told.contains("3 → 2"), "{told}");
    assert_eq!(machine.profile().to_str(), Some("system-2-link"));
    assert_eq!(machine.read("etc/nixos/configuration.nix"), CHANGED);
    let listed = machine.json(&["list"]);
    let items = listed["points"]["items"].as_array().unwrap();
    let of = |id: &str| &items.iter().find(|p| p["id"] == id).unwrap()["marks"]["verdict"];
    assert_eq!(of(&good)["good"], true);
    assert_eq!(of(&good)["reason"], "ran for a week");
    assert_eq!(of(&bad)["good"], false);
    // A mind that changes is followed.
    machine.ok(&["mark-bad", &good]);
    machine.cairn(&["rollback", "--yes"]).fails(
        10,
        "no restore point is marked good",
        "cairn list",
    );
}

#[test]
fn a_pin_is_there_until_it_is_taken_away() {
    let Some(machine) = Machine::new() else {
        return;
    };
    let first = machine.create("first");
    machine.ok(&["create", "--pin", "--reason", "second"]);
    machine.create("third");
    machine.ok(&["pin", &first]);
    let pinned = || -> Vec<bool> {
        let listed = machine.json(&["list"]);
        let items = listed["points"]["items"].as_array().unwrap();
        items
            .iter()
            .map(|p| !p["marks"]["pinned"].is_null())
            .collect()
    };
    assert_eq!(pinned(), [true, true, false]);
    machine.ok(&["prune", "--keep-last", "1", "--yes"]);
    assert_eq!(machine.ids().len(), 3);
    machine.ok(&["unpin", &first]);
    assert_eq!(pinned(), [false, true, false]);
    machine.ok(&["prune", "--keep-last", "1", "--yes"]);
    assert_eq!(pinned(), [true, false]);
}

/// The id of the point a word names.
fn named(machine: &Machine, word: &str) -> String {
    machine.json(&["show", word])["point"]["id"]
        .as_str()
        .unwrap()
        .to_owned()
}

#[test]
fn points_are_named_by_prefix_and_by_word() {
    let Some(machine) = Machine::new() else {
        return;
    };
    let ids = [machine.create("one"), machine.create("two")];
    machine.set(System::Three);
    machine.run_system(System::Three);
    let third = machine.create("three");
    machine.ok(&["mark-good", "latest~2"]);
    machine.ok(&["mark-good", "latest~1"]);
    for (word, id) in [
        ("latest", &third),
        ("latest~0", &third),
        ("latest~1", &ids[1]),
        ("latest~2", &ids[0]),
        ("latest-good", &ids[1]),
        ("latest-good~1", &ids[0]),
        ("booted", &ids[1]),
        ("current", &third),
        (third.as_str(), &third),
        (ids[0].to_uppercase().as_str(), &ids[0]),
        (ids[1].replace('-', "").as_str(), &ids[1]),
    ] {
        assert_eq!(&named(&machine, word), id, "{word}");
    }
    // The shortest prefix that is nobody else's.
    let hex = |id: &String| id.replace('-', "");
    let wanted = hex(&ids[1]);
    let shared = |other: &String| {
        let other = hex(other);
        wanted
            .bytes()
            .zip(other.bytes())
            .take_while(|(a, b)| a == b)
            .count()
    };
    let longest = shared(&ids[0]).max(shared(&third));
    assert_eq!(named(&machine, &wanted[..=longest]), ids[1]);
    // And the forms that a list prints.
    let list = machine.ok(&["list"]);
    for (line, id) in list.lines().skip(1).zip([&third, &ids[1], &ids[0]]) {
        assert_eq!(
            &named(&machine, line.split_whitespace().next().unwrap()),
            id
        );
    }
}

#[test]
fn a_name_of_no_point_or_of_several_ends_with_10_and_says_what_to_do() {
    let Some(machine) = Machine::new() else {
        return;
    };
    machine
        .cairn(&["restore", "--yes"])
        .fails(10, "there is no restore point yet", "cairn create");
    machine.create("one");
    machine.create("two");
    let before = machine.exact();
    let ambiguous = &machine.ids()[0].replace('-', "")[..4];
    for (word, what) in [
        (ambiguous, "is the start of 2 restore points"),
        ("ffffffff", "no restore point ffffffff"),
        ("latest-good", "no restore point is marked good"),
        ("yesterday", "'yesterday' names no restore point"),
        ("latest~x", "'latest~x' names no restore point"),
        ("booted~1", "'booted~1' names no restore point"),
        ("../../etc/passwd", "names no restore point"),
        ("", "'' names no restore point"),
        ("\u{1b}[31mred", "names no restore point"),
    ] {
        for verb in [
            &["show"][..],
            &["restore", "--yes"],
            &["rollback", "--yes"],
            &["mark-good"],
            &["pin"],
            &["diff"],
            &["config", "list"],
            &["config", "restore", "--yes"],
        ] {
            let args: Vec<&str> = verb.iter().copied().chain([word]).collect();
            let run = machine.cairn(&args).fails(10, what, "cairn list");
            assert!(!run.err.contains('\u{1b}'), "{}", run.err);
        }
        let run = machine.cairn(&["--json", "show", word]).ends(10);
        let told: serde_json::Value = serde_json::from_str(&run.err).unwrap();
        assert_eq!(told["error"]["exit"], 10);
        let next = told["error"]["next"].as_str().unwrap();
        assert!(next.starts_with("cairn list"), "{next}");
    }
    machine
        .cairn(&["show", "latest~2"])
        .fails(10, "there are not 3 restore points", "cairn");
    // Nothing runs that never booted.
    fs::remove_file(machine.root().join("run/booted-system")).unwrap();
    machine.cairn(&["show", "booted"]).fails(
        10,
        "no restore point holds the booted system",
        "cairn list",
    );
    machine.boot_system(System::Two);
    let mut after = machine.exact();
    let mut before = before;
    for listing in [&mut before, &mut after] {
        listing.remove(Path::new("root/run"));
        listing.remove(Path::new("root/run/booted-system"));
    }
    same(&before, &after, "a name that names nothing");
}

#[test]
fn a_path_that_was_not_there_then_is_said_to_have_been_absent() {
    let Some(machine) = Machine::new() else {
        return;
    };
    let text = r#"{ "configPaths": ["/etc/nixos", "/srv/later"] }"#;
    machine.write("etc/cairn/policy.json", text);
    let id = machine.create("before");
    let what = format!("was not there when restore point {} was taken", short(&id));
    let next = format!("cairn show {}", short(&id));
    for path in ["/srv/later", "/srv/later/deep/file"] {
        let out = machine.home().join("copies");
        for args in [
            &["show", &id, "--cat", path][..],
            &["restore", &id, path, "-n"],
            &["restore", &id, path, "--to", out.to_str().unwrap()],
        ] {
            machine.cairn(args).fails(1, &what, &next);
        }
    }
    // One that a point knows nothing of is another matter.
    machine
        .cairn(&["show", &id, "--cat", "/etc/nixos/no-such"])
        .fails(1, "is not in restore point", &next);
    // What came since goes, for it was not there then.
    machine.write("srv/later/file", "new\n");
    machine.ok(&["restore", &id, "/srv/later", "-y"]);
    assert!(!machine.root().join("srv/later").exists());
}
