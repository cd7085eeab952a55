//! Generations as Nix lists them, and profiles as they should not be.

use std::fs;
use std::os::unix::fs::symlink;
use std::process::Command;

use crate::support::{Machine, System, succeed};
use chrono::{DateTime, Utc};
use serde_json::{Value, json};

/// The rows of `generations list --json`, which ends with this code.
fn rows(machine: &Machine, code: i32) -> Vec<Value> {
    let run = machine.cairn(&["--json", "generations", "list"]).ends(code);
    run.json()["generations"]["items"]
        .as_array()
        .unwrap()
        .clone()
}

fn numbers(rows: &[Value]) -> Vec<u64> {
    rows.iter()
        .map(|r| r["generation"].as_u64().unwrap())
        .collect()
}

#[test]
fn the_list_agrees_with_nix_and_has_the_fields_of_nixos_rebuild() {
    let Some(machine) = Machine::new() else {
        return;
    };
    machine.set(System::Three);
    machine.set(System::Container);
    machine.nix_env(&["--delete-generations", "1"]);
    machine.nix_env(&["--switch-generation", "3"]);
    let rows = rows(&machine, 0);
    // Number, date, time, and the word for the one the profile points to.
    let told: Vec<String> = machine
        .nix_env(&["--list-generations"])
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
        .collect();
    let ours: Vec<String> = rows
        .iter()
        .map(|row| {
            let date: DateTime<Utc> = row["date"].as_str().unwrap().parse().unwrap();
            let current = if row["current"] == true {
                " (current)"
            } else {
                ""
            };
            format!(
                "{} {}{current}",
                row["generation"],
                date.format("%Y-%m-%d %H:%M:%S")
            )
        })
        .collect();
    assert_eq!(ours, told);
    let fields = [
        "generation",
        "date",
        "nixosVersion",
        "kernelVersion",
        "configurationRevision",
        "specialisations",
        "current",
    ];
    for row in &rows {
        for field in fields {
            assert!(!row[field].is_null(), "no {field} in {row}");
        }
    }
    let of = |field: &str| -> Vec<Value> { rows.iter().map(|r| r[field].clone()).collect() };
    assert_eq!(of("nixosVersion"), ["26.05.2", "26.05.3", "26.05.4"]);
    assert_eq!(of("kernelVersion"), ["6.12.2-mini", "6.12.2-mini", ""]);
    assert_eq!(of("configurationRevision"), ["", "3333333", ""]);
    assert_eq!(
        of("specialisations"),
        [json!(["safe"]), json!([]), json!([])]
    );
    assert_eq!(of("running"), [true, false, false]);
    assert_eq!(of("booted"), [true, false, false]);

    let text = machine.ok(&["generations", "list"]);
    let first = text.lines().nth(1).unwrap();
    assert!(first.starts_with("4 "), "{text}");
    assert!(text.contains("current"), "{text}");
    assert!(text.contains("running booted +safe"), "{text}");
}

#[test]
fn show_tells_what_the_boot_menu_would() {
    let Some(machine) = Machine::new() else {
        return;
    };
    let id = machine.create("now");
    let shown = &machine.json(&["generations", "show"])["generation"];
    assert_eq!(shown["generation"], 2);
    assert_eq!(shown["toplevel"], machine.path(System::Two));
    assert_eq!(shown["label"], "NixOS 26.05.2 (Linux 6.12.2)");
    assert_eq!(shown["kernelParams"], json!(["loglevel=4", "quiet"]));
    assert_eq!(shown["points"], json!([id]));
    let mut command = Command::new("nix-store");
    command
        .arg("--store")
        .arg(machine.root())
        .env("HOME", machine.home());
    let closure = succeed(command.args(["--query", "--requisites", machine.path(System::Two)]));
    let mut command = Command::new("nix-store");
    command
        .arg("--store")
        .arg(machine.root())
        .env("HOME", machine.home());
    let sizes = succeed(command.args(["--query", "--size"]).args(closure.lines()));
    let sum: u64 = sizes.lines().map(|l| l.parse::<u64>().unwrap()).sum();
    assert_eq!(shown["closureBytes"], sum);
    machine.cairn(&["generations", "show", "7"]).fails(
        1,
        "no usable generation 7",
        "cairn generations list",
    );
}

#[test]
fn the_same_system_under_two_numbers() {
    let Some(machine) = Machine::bare() else {
        return;
    };
    for system in [System::One, System::Two, System::One, System::Three] {
        machine.set(system);
    }
    let rows = rows(&machine, 0);
    assert_eq!(numbers(&rows), [1, 2, 3, 4]);
    assert_eq!(rows[0]["toplevel"], rows[2]["toplevel"]);
    machine.nix_env(&["--switch-generation", "1"]);
    let id = machine.create("at the first");
    // There already, though a higher number has it too.
    let told = machine.ok(&["restore", &id, "--only", "generation", "--yes"]);
    assert!(told.contains("already"), "{told}");
    machine.nix_env(&["--switch-generation", "4"]);
    machine.ok(&["restore", &id, "--only", "generation", "--yes"]);
    assert_eq!(machine.profile().to_str(), Some("system-3-link"));
    // Once more, by number: it is the same system, so there is nothing to do.
    let told = machine.ok(&["generations", "switch", "1", "--yes"]);
    assert!(told.contains("already"), "{told}");
    machine.ok(&["generations", "switch", "2", "--yes"]);
    assert_eq!(machine.profile().to_str(), Some("system-2-link"));
    machine.ok(&["undo", "--yes"]);
    assert_eq!(machine.profile().to_str(), Some("system-3-link"));
}

#[test]
fn a_generation_from_the_future() {
    let Some(machine) = Machine::new() else {
        return;
    };
    let link = machine.profiles().join("system-1-link");
    succeed(
        Command::new("touch")
            .args(["-h", "-d", "2099-01-02T03:04:05Z"])
            .arg(&link),
    );
    let rows = rows(&machine, 0);
    assert_eq!(rows[0]["date"], "2099-01-02T03:04:05Z");
    let text = machine.ok(&["generations", "list"]);
    let line = text.lines().find(|l| l.starts_with("1 ")).unwrap();
    assert!(line.contains("(future)"), "{line}");
    machine.create("with a future");
    machine.ok(&["generations", "clean", "-n"]);
    machine.ok(&["status"]);
}

#[test]
fn containers_and_broken_bootspecs_are_told_in_a_line() {
    let Some(machine) = Machine::new() else {
        return;
    };
    machine.set(System::Container);
    machine.set(System::Broken);
    assert_eq!(numbers(&rows(&machine, 0)), [1, 2, 3, 4]);
    let note = |number: &str| -> String {
        let shown = &machine.json(&["generations", "show", number])["generation"];
        shown["bootspecNote"].as_str().unwrap_or("none").to_owned()
    };
    assert!(note("3").contains("no boot.json"), "{}", note("3"));
    assert!(
        note("4").starts_with("boot.json is unusable: "),
        "{}",
        note("4")
    );
    assert_eq!(note("2"), "none");
    let text = machine.ok(&["generations", "show", "4"]);
    assert_eq!(
        text.lines().filter(|l| l.contains("boot.json")).count(),
        1,
        "{text}"
    );
    // Neither keeps anything from being taken or brought back.
    machine.run_system(System::Broken);
    let id = machine.create("broken");
    machine.set(System::One);
    machine.ok(&["restore", &id, "--yes"]);
    assert_eq!(machine.profile().to_str(), Some("system-4-link"));
}

#[test]
fn each_odd_link_is_one_line_and_the_rest_is_listed() {
    let Some(machine) = Machine::new() else {
        return;
    };
    let profiles = machine.profiles();
    let gone = "/nix/store/0123456789abcdfghijklmnpqrsvwxyz-nixos-system-gone-1";
    let good = machine.path(System::One);
    let odd = [
        ("system-3-link", gone, "gone from the store"),
        ("system-4-link", "/etc/hostname", "store"),
        ("system-5-link", "../../../../etc/nixos", "store"),
        (
            "system-007-link",
            good,
            "its name is not one that Nix gives",
        ),
        // Nix itself takes it for generation 6.
        (
            "system-6-link.bak",
            good,
            "its name is not one that Nix gives",
        ),
    ];
    for (name, target, _) in odd {
        symlink(target, profiles.join(name)).unwrap();
    }
    fs::write(profiles.join("system-8-link"), "x").unwrap();
    // No generations at all.
    symlink(good, profiles.join("system-x-link")).unwrap();
    symlink(good, profiles.join("systemd-1-link")).unwrap();

    assert_eq!(numbers(&rows(&machine, 3)), [1, 2]);
    let run = machine.cairn(&["generations", "list"]).ends(3);
    assert_eq!(run.out.lines().count(), 3, "{}", run.out);
    let notes: Vec<&str> = run.err.lines().collect();
    assert_eq!(notes.len(), 6, "{}", run.err);
    for (name, _, why) in odd
        .into_iter()
        .chain([("system-8-link", "", "not a symlink")])
    {
        let told = notes
            .iter()
            .filter(|n| n.contains(name))
            .collect::<Vec<_>>();
        assert_eq!(told.len(), 1, "{name}: {}", run.err);
        assert!(told[0].contains(why), "{}", told[0]);
    }
    let json = machine.cairn(&["--json", "generations", "list"]).json();
    let broken = json["generations"]["broken"].as_array().unwrap();
    assert_eq!(broken.len(), 6, "{broken:?}");
    assert!(
        broken
            .iter()
            .all(|b| !b["why"].as_str().unwrap().is_empty())
    );
    machine
        .cairn(&["generations", "switch", "3", "--yes"])
        .fails(1, "no usable generation 3", "cairn generations list");
    // Nix itself refuses to set a profile with such a file in it.
    fs::remove_file(profiles.join("system-8-link")).unwrap();
    let id = machine.create("all the same");
    machine.set(System::Three);
    machine.ok(&["restore", &id, "--yes"]);
    assert_eq!(machine.profile().to_str(), Some("system-2-link"));
}

#[test]
fn a_profile_that_points_to_a_dead_link_is_told() {
    let Some(machine) = Machine::new() else {
        return;
    };
    let link = machine.profiles().join("system-2-link");
    fs::remove_file(&link).unwrap();
    symlink("/nix/store/0123456789abcdfghijklmnpqrsvwxyz-gone", &link).unwrap();
    let run = machine.cairn(&["--json", "generations", "list"]).ends(3);
    let fault = &run.json()["generations"]["fault"];
    assert_eq!(
        fault,
        "the profile points to generation 2, which is not usable"
    );
    machine.run_system(System::One);
    machine.boot_system(System::One);
    let document = machine.document(&machine.create("dead link"));
    assert_eq!(document["system"]["current"], machine.path(System::One));
    assert!(document["system"]["profile"].is_null());
}

#[test]
fn a_profile_that_is_no_link_or_garbage_is_told_and_a_point_is_taken_all_the_same() {
    let Some(machine) = Machine::new() else {
        return;
    };
    let profile = machine.profiles().join("system");
    let cases: [(&dyn Fn(), &str); 4] = [
        (&|| fs::write(&profile, "x").unwrap(), "is not a symlink"),
        (
            &|| symlink("what is this", &profile).unwrap(),
            "points to what is this",
        ),
        (
            &|| symlink(machine.path(System::One), &profile).unwrap(),
            "not to a generation",
        ),
        (
            &|| symlink("/etc/passwd", &profile).unwrap(),
            "points to /etc/passwd",
        ),
    ];
    for (spoil, why) in cases {
        fs::remove_file(&profile).unwrap();
        spoil();
        let run = machine.cairn(&["generations", "list"]).ends(3);
        assert_eq!(run.out.lines().count(), 3, "{}", run.out);
        assert_eq!(run.err.lines().count(), 1, "{}", run.err);
        assert!(run.err.contains(why), "{}", run.err);
        let json = machine
            .cairn(&["--json", "generations", "list"])
            .ends(3)
            .json();
        assert!(json["generations"]["fault"].as_str().unwrap().contains(why));
        assert!(rows(&machine, 3).iter().all(|r| r["current"] == false));
        assert!(machine.ok(&["status"]).contains(why));
        let document = machine.document(&machine.create(why));
        assert_eq!(document["system"]["current"], machine.path(System::Two));
    }
}

#[test]
fn a_named_profile_is_listed_and_comes_back() {
    let Some(mut machine) = Machine::new() else {
        return;
    };
    let work = machine.profiles().join("system-profiles/work");
    fs::create_dir_all(work.parent().unwrap()).unwrap();
    machine.nix_env_on(&work, &["--set", machine.path(System::One)]);
    machine.nix_env_on(&work, &["--set", machine.path(System::Three)]);
    machine.options = vec!["--profile".into(), "work".into()];
    let rows = rows(&machine, 0);
    assert_eq!(numbers(&rows), [1, 2]);
    assert_eq!(rows[1]["nixosVersion"], "26.05.3");
    let id = machine.create("work");
    let document = machine.document(&id);
    assert_eq!(document["system"]["profile"]["name"], "work");
    assert_eq!(
        document["system"]["profile"]["toplevel"],
        machine.path(System::Three)
    );
    machine.nix_env_on(&work, &["--switch-generation", "1"]);
    machine.ok(&["restore", &id, "--only", "generation", "--yes"]);
    assert_eq!(fs::read_link(&work).unwrap().to_str(), Some("work-2-link"));
    assert_eq!(machine.profile().to_str(), Some("system-2-link"));
    for name in ["../system", ".hidden", "a/b", ""] {
        let run = machine
            .cairn(&["--profile", name, "generations", "list"])
            .ends(2);
        assert!(run.err.contains("profile"), "{}", run.err);
    }
}

#[test]
fn a_root_without_a_profile_still_has_points() {
    let Some(machine) = Machine::bare() else {
        return;
    };
    machine.write("etc/nixos/configuration.nix", "{ }\n");
    assert_eq!(rows(&machine, 0), Vec::<Value>::new());
    assert!(
        machine
            .ok(&["generations", "list"])
            .contains("no generations")
    );
    machine
        .cairn(&["generations", "show"])
        .fails(1, "no usable generation", "generations list");
    let id = machine.create("configuration only");
    let document = machine.document(&id);
    assert!(document["system"]["profile"].is_null());
    assert_eq!(document["pins"], json!([]));
    assert_eq!(document["completeness"]["status"], "complete");
    machine.write("etc/nixos/configuration.nix", "{ x = 1; }\n");
    assert!(
        machine
            .ok(&["status"])
            .contains("not NixOS, or a fresh root")
    );
    machine.ok(&["restore", "--yes"]);
    assert_eq!(machine.read("etc/nixos/configuration.nix"), "{ }\n");
    machine
        .cairn(&["restore", "--only", "generation", "--yes"])
        .fails(1, "holds no system", "cairn show");
    // Not even a store.
    fs::remove_dir_all(machine.root().join("nix")).unwrap();
    machine.write("etc/nixos/configuration.nix", "{ y = 1; }\n");
    machine.create("no store");
    assert_eq!(rows(&machine, 0), Vec::<Value>::new());
    machine.ok(&["restore", &id, "--yes"]);
    assert_eq!(machine.read("etc/nixos/configuration.nix"), "{ }\n");
}
