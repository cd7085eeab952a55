//! That nothing anybody did is lost to what comes after it.

use std::process::Stdio;

use crate::support::{Machine, System, short};

/// The content of a file in the newest point whose reason begins so.
fn in_point(machine: &Machine, reason: &str, path: &str) -> String {
    let listed = machine.json(&["list"]);
    let items = listed["points"]["items"].as_array().unwrap();
    let point = items
        .iter()
        .rfind(|p| p["reason"].as_str().unwrap().starts_with(reason))
        .unwrap_or_else(|| panic!("no point was taken {reason}: {listed}"));
    machine.ok(&["show", point["id"].as_str().unwrap(), "--cat", path])
}

/// A restore that dies while it puts files in place.
fn interrupted(machine: &Machine) {
    machine.create("good");
    machine.write("etc/nixos/hardware.nix", "{ bad = 1; }\n");
    machine.write("etc/nixos/added.nix", "{ }\n");
    let mut command = machine.command(&["restore", "--yes"]);
    let ended = command.env("CAIRN_FAULT", "restore.file").output().unwrap();
    assert_eq!(ended.status.code(), None, "it was not killed");
    machine.cairn(&["status"]).ends(22);
}

#[test]
fn work_done_since_an_interruption_is_in_a_point_before_abort_takes_it_away() {
    let Some(machine) = Machine::new() else {
        return;
    };
    interrupted(&machine);
    machine.write("etc/nixos/work.nix", "{ hours = 9; }\n");
    let told = machine.ok(&["abort", "--yes"]);
    assert!(told.contains("what was there until now is in"), "{told}");
    let kept = in_point(&machine, "before abort", "/etc/nixos/work.nix");
    assert_eq!(kept, "{ hours = 9; }\n");
    machine.ok(&["prune", "--keep-last", "1", "--yes"]);
    in_point(&machine, "before abort", "/etc/nixos/work.nix");
}

#[test]
fn work_done_since_an_interruption_is_in_a_point_before_resume_takes_it_away() {
    let Some(machine) = Machine::new() else {
        return;
    };
    interrupted(&machine);
    machine.write("etc/nixos/work.nix", "{ hours = 9; }\n");
    machine.ok(&["resume", "--yes"]);
    let kept = in_point(&machine, "before resume", "/etc/nixos/work.nix");
    assert_eq!(kept, "{ hours = 9; }\n");
}

#[test]
fn a_reader_that_goes_away_stops_no_change() {
    let Some(machine) = Machine::new() else {
        return;
    };
    machine.create("good");
    let good = machine.read("etc/nixos/hardware.nix");
    machine.write("etc/nixos/hardware.nix", "{ bad = 1; }\n");
    let mut command = machine.command(&["restore", "--yes"]);
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    assert!(child.wait().unwrap().success());
    assert_eq!(machine.read("etc/nixos/hardware.nix"), good);
}

#[test]
fn output_that_cannot_be_written_is_no_change_that_was_not_made() {
    let Some(machine) = Machine::new() else {
        return;
    };
    let full = std::fs::File::options()
        .write(true)
        .open("/dev/full")
        .unwrap();
    let mut command = machine.command(&["create", "--reason", "told to nobody"]);
    let ended = command.stdout(full).output().unwrap();
    let told = String::from_utf8_lossy(&ended.stderr).into_owned();
    assert_eq!(ended.status.code(), Some(1), "{told}");
    assert!(!told.contains("nothing was changed"), "{told}");
    assert_eq!(machine.ids().len(), 1);
}

#[test]
fn the_generation_of_a_booted_specialisation_stays() {
    let Some(machine) = Machine::bare() else {
        return;
    };
    for system in [System::One, System::Two, System::Three] {
        machine.set(system);
    }
    machine.boot_system(System::Safe);
    machine.run_system(System::Three);
    let told = machine.ok(&["generations", "clean", "--keep-last", "1", "-n"]);
    assert!(told.contains("keep   generation 2  booted"), "{told}");
    assert!(told.contains("remove generation 1"), "{told}");
}

#[test]
fn restores_do_not_push_out_the_last_point_that_was_meant() {
    let Some(machine) = Machine::new() else {
        return;
    };
    let meant = machine.create("meant");
    for n in 0..3 {
        machine.write("etc/nixos/hardware.nix", format!("{{ n = {n}; }}\n"));
        machine.ok(&["restore", "--yes"]);
    }
    let told = machine.ok(&["prune", "--keep-last", "1", "--yes"]);
    let line = format!(
        "keep   {}  the newest not taken by a restore",
        short(&meant)
    );
    assert!(told.contains(&line), "{told}");
    assert!(machine.ids().contains(&meant));
}

#[test]
fn undo_leaves_roots_alone_that_the_restore_did_not_touch() {
    let Some(machine) = Machine::new() else {
        return;
    };
    machine.create("one root");
    machine.write("etc/nixos/hardware.nix", "{ bad = 1; }\n");
    machine.write("srv/b/b.nix", "{ old = 1; }\n");
    machine.write(
        "etc/cairn/policy.json",
        r#"{ "configPaths": ["/etc/nixos", "/srv/b"] }"#,
    );
    machine.ok(&["restore", "--yes"]);
    machine.write("srv/b/b.nix", "{ new = 1; }\n");
    machine.ok(&["undo", "--yes"]);
    assert_eq!(machine.read("srv/b/b.nix"), "{ new = 1; }\n");
    assert_eq!(machine.read("etc/nixos/hardware.nix"), "{ bad = 1; }\n");
}

#[test]
fn points_on_a_disk_that_is_read_only_are_there() {
    if !crate::support::need_root() {
        return;
    }
    let Some(machine) = Machine::new() else {
        return;
    };
    let root = machine.root();
    let script = r#"
        "$1" --root "$2" create -q -r rescue && mount --bind "$2" "$2" &&
        mount -o remount,ro,bind "$2" && "$1" --root "$2" list && "$1" --root "$2" restore -n &&
        ! "$1" --root "$2" create"#;
    let ended = std::process::Command::new("unshare")
        .args([
            "--mount",
            "sh",
            "-c",
            script,
            "sh",
            env!("CARGO_BIN_EXE_cairn"),
        ])
        .arg(&root)
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&ended.stdout).into_owned();
    let err = String::from_utf8_lossy(&ended.stderr).into_owned();
    assert!(ended.status.success(), "{told}{err}");
    assert!(told.contains("rescue"), "{told}");
}

#[test]
fn undo_takes_back_the_last_restore_whatever_the_clock_said() {
    let Some(machine) = Machine::new() else {
        return;
    };
    let file = "etc/nixos/configuration.nix";
    let one = machine.create("one");
    machine.write(file, "{ /* two */ }\n");
    machine.ok(&["restore", &one, "--yes"]);
    // The clock was years ahead then.
    let journal = machine.state().join("journal");
    let entry = std::fs::read_dir(&journal).unwrap().next().unwrap();
    let (entry, mut told): (_, serde_json::Value) = {
        let path = entry.unwrap().path();
        let text = std::fs::read(&path).unwrap();
        (path, serde_json::from_slice(&text).unwrap())
    };
    let id = told["id"].as_str().unwrap().replacen("01", "02", 1);
    told["id"] = id.clone().into();
    std::fs::remove_file(entry).unwrap();
    std::fs::write(journal.join(format!("{id}.json")), told.to_string()).unwrap();
    machine.write(file, "{ /* three */ }\n");
    machine.ok(&["restore", &one, "--yes"]);
    machine.ok(&["undo", "--yes"]);
    assert_eq!(machine.read(file), "{ /* three */ }\n");
}

#[test]
fn a_point_that_a_wrong_clock_has_put_ahead_is_told_as_that() {
    let Some(machine) = Machine::new() else {
        return;
    };
    let one = machine.create("one");
    machine.write("etc/nixos/configuration.nix", "{ /* two */ }\n");
    let told = machine.cairn(&["restore", "-n"]).ends(0);
    assert!(!told.err.contains("in the future"), "{}", told.err);
    let mut ahead = machine.document(&one);
    let id = one.replacen("01", "02", 1);
    ahead["id"] = id.clone().into();
    ahead["created"] = "2099-01-01T00:00:00Z".into();
    let points = machine.state().join("points");
    std::fs::write(points.join(format!("{id}.json")), ahead.to_string()).unwrap();
    let told = machine.cairn(&["restore", "-n"]).ends(0);
    assert!(told.err.contains("is dated in the future"), "{}", told.err);
}
