//! What garbage collection does to restore points, with the real collector.

use std::fs;

use crate::support::{Machine, System, contents, same, short};

/// A point of the second system; then the third is set, runs and was booted,
/// and the generations 1 and 2 are deleted.
fn moved_on() -> Option<(Machine, String)> {
    let machine = Machine::new()?;
    let id = machine.create("second");
    machine.set(System::Three);
    machine.run_system(System::Three);
    machine.boot_system(System::Three);
    machine.nix_env(&["--delete-generations", "1", "2"]);
    assert_eq!(machine.nix_env(&["--list-generations"]).lines().count(), 1);
    Some((machine, id))
}

#[test]
fn a_points_system_survives_collection_and_comes_back_as_a_new_generation() {
    let Some((machine, id)) = moved_on() else {
        return;
    };
    machine.gc();
    assert!(machine.is_valid(System::Two));
    // The specialisation is part of its closure.
    assert!(machine.is_valid(System::Safe));
    // What no point holds is really collected.
    assert!(!machine.is_valid(System::One));
    assert!(!machine.real(System::One).exists());
    assert!(machine.ok(&["verify"]).contains("all is well"));

    let plan = machine.json(&["restore", "-n"])["plan"].clone();
    assert_eq!(plan["system"]["profile"], "set");
    assert_eq!(plan["system"]["generation"], serde_json::Value::Null);
    machine.ok(&["restore", &id, "--only", "generation", "--yes"]);
    assert_eq!(machine.profile().to_str(), Some("system-4-link"));
    let link = fs::read_link(machine.profiles().join("system-4-link")).unwrap();
    assert_eq!(link.to_str(), Some(machine.path(System::Two)));
    // The undo goes by a link that is still there.
    machine.ok(&["undo", "--yes"]);
    assert_eq!(machine.profile().to_str(), Some("system-3-link"));
}

#[test]
fn every_pointer_of_a_point_is_held() {
    let Some(machine) = Machine::bare() else {
        return;
    };
    for system in [System::One, System::Two, System::Three] {
        machine.set(system);
    }
    machine.run_system(System::Safe);
    machine.boot_system(System::One);
    machine.loader_default(System::Container);
    let id = machine.create("all different");
    let document = machine.document(&id);
    assert_eq!(document["system"]["specialisation"]["name"], "safe");
    assert_eq!(
        document["system"]["specialisation"]["parent"],
        machine.path(System::Two)
    );
    let held: Vec<&str> = document["pins"]
        .as_array()
        .unwrap()
        .iter()
        .map(|p| p["path"].as_str().unwrap())
        .collect();
    let all = [
        System::One,
        System::Two,
        System::Three,
        System::Safe,
        System::Container,
    ];
    for system in all {
        assert!(
            held.contains(&machine.path(system)),
            "{system:?} is not held"
        );
    }
    for file in fs::read_dir(machine.profiles()).unwrap() {
        let path = file.unwrap().path();
        if path.is_symlink() {
            fs::remove_file(path).unwrap();
        }
    }
    machine.gc();
    for system in all {
        assert!(machine.is_valid(system), "{system:?} was collected");
    }
    assert!(!machine.is_valid(System::Broken));
}

#[test]
fn what_prune_let_go_is_collected() {
    let Some((machine, _)) = moved_on() else {
        return;
    };
    machine.create("third");
    let pruned = machine.json(&["prune", "--keep-last", "1", "--yes"]);
    assert_eq!(pruned["pruned"]["removed"].as_array().unwrap().len(), 1);
    machine.gc();
    assert!(!machine.is_valid(System::Two));
    assert!(machine.is_valid(System::Three));
    assert!(
        machine
            .ok(&["verify", "--read-data"])
            .contains("all is well")
    );
}

#[test]
fn a_system_that_is_gone_is_a_clear_error_and_the_configuration_still_comes_back() {
    let Some((machine, id)) = moved_on() else {
        return;
    };
    fs::remove_dir_all(machine.root().join("nix/var/nix/gcroots/cairn")).unwrap();
    machine.gc();
    assert!(!machine.is_valid(System::Two));
    let before_change = contents(&machine.root().join("etc"));
    machine.write("etc/nixos/configuration.nix", "{ }\n");
    let before = machine.exact();
    let next = format!("cairn restore {} --only config", short(&id));
    for args in [
        &["restore", "--yes"][..],
        &["restore", "-n"],
        &["restore", "--only", "generation", "--yes"],
        &["rollback", "latest", "--yes"],
    ] {
        let run = machine
            .cairn(args)
            .fails(1, "is gone from the store", &next);
        assert!(run.err.contains(machine.path(System::Two)), "{}", run.err);
    }
    same(&before, &machine.exact(), "a refused restore");
    machine.ok(&["restore", "--only", "config", "--yes"]);
    same(
        &before_change,
        &contents(&machine.root().join("etc")),
        "the configuration",
    );
    let diff = &machine.json(&["diff", &id])["diff"];
    let note = diff["system"]["note"].as_str().unwrap();
    assert!(note.contains("is not in the store"), "{note}");
}

#[test]
fn a_path_on_disk_that_nix_does_not_know_is_not_taken_for_a_system() {
    let Some((machine, _)) = moved_on() else {
        return;
    };
    fs::remove_dir_all(machine.root().join("nix/var/nix/gcroots/cairn")).unwrap();
    machine.gc();
    // As an interrupted build or copy leaves it.
    fs::create_dir_all(machine.real(System::Two)).unwrap();
    machine
        .cairn(&["restore", "--only", "generation", "--yes"])
        .fails(1, "is gone from the store", "--only config");
}
