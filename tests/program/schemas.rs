//! The published schemas are those of the types, and documents that the program
//! wrote hold to them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::{Machine, Switching, System};
use jsonschema::Validator;
use serde_json::{Value, json};

fn published(kind: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/schemas");
    let text = fs::read(path.join(format!("{kind}.schema.json"))).unwrap();
    serde_json::from_slice(&text).unwrap()
}

fn validator(kind: &str) -> Validator {
    jsonschema::draft202012::new(&published(kind)).unwrap()
}

/// Every document of a folder holds to the schema; gives how many there are.
fn all_hold(schema: &Validator, folder: &Path) -> usize {
    let files: Vec<PathBuf> = (fs::read_dir(folder).unwrap())
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "json"))
        .collect();
    for file in &files {
        let document = serde_json::from_slice(&fs::read(file).unwrap()).unwrap();
        holds(schema, &document);
    }
    files.len()
}

fn holds(schema: &Validator, document: &Value) {
    let faults: Vec<String> = schema
        .iter_errors(document)
        .map(|e| format!("{}: {e}", e.instance_path()))
        .collect();
    assert!(faults.is_empty(), "{faults:#?}\n{document:#}");
}

#[test]
fn they_are_what_the_program_prints() {
    for kind in ["point", "marks", "switch", "notice"] {
        let output = Command::new(env!("CARGO_BIN_EXE_cairn"))
            .args(["schema", kind])
            .output()
            .unwrap();
        let printed: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert!(
            printed == published(kind),
            "make it anew: cargo run -- schema {kind} > docs/schemas/{kind}.schema.json"
        );
    }
}

#[test]
fn points_and_marks_hold_to_them() {
    let Some(m) = Machine::new() else { return };
    let (point, marks) = (validator("point"), validator("marks"));
    m.write("var/lib/app/data", "1\n");
    let policy = json!({ "version": 1, "state": { "app": { "paths": ["/var/lib/app"] } } });
    m.write("etc/cairn/policy.json", policy.to_string());
    m.write(crate::support::bytes(b"etc/nixos/n\xe9.nix"), "{ }\n");
    m.write("etc/nixos/import.nix", "{ imports = [ <nixpkgs> ]; }\n");
    let whole = m.json(&["create", "-r", "whole", "--tag", "t", "--pin"])["point"].clone();
    m.ok(&["create", "--no-config", "--no-state", "-r", "little"]);
    let id = whole["id"].as_str().unwrap();
    m.ok(&["mark-bad", id, "-r", "it was"]);
    m.write("etc/nixos/configuration.nix", "changed\n");
    m.ok(&["restore", id, "--only", "config", "--yes"]);
    let file = m.home().join("point.cairn");
    m.ok(&["export", id, file.to_str().unwrap()]);
    let other = Machine::new().unwrap();
    other.ok(&["import", file.to_str().unwrap()]);
    assert_eq!(all_hold(&point, &m.state().join("points")), 3);
    assert_eq!(all_hold(&point, &other.state().join("points")), 1);
    assert!(all_hold(&marks, &m.state().join("marks")) >= 1);
    // And what is none is none.
    let document = m.document(id);
    for (change, value) in [
        ("/id", json!("7")),
        ("/version", json!(2)),
        ("/created", json!(5)),
        ("/trigger", json!("whim")),
        ("/system/current", json!("/usr/bin")),
        ("/config/roots/0/path", json!({ "hex": "xy" })),
        ("/completeness/status", json!("perhaps")),
    ] {
        let mut broken = document.clone();
        *broken.pointer_mut(change).unwrap() = value;
        assert!(!point.is_valid(&broken), "{change}");
    }
    let mut broken = document.clone();
    broken.as_object_mut().unwrap().remove("id");
    assert!(!point.is_valid(&broken));
    // A later release may say more.
    let mut more = document;
    more["more"] = json!(1);
    holds(&point, &more);
}

#[test]
fn records_of_switches_and_notices_hold_to_them() {
    let policy = r#"{"gate": {"window": "50ms"}, "notify": {"wall": false, "commands": {
        "note": {"command": ["sh", "-c", "cat >> \"$UNITS.told\""]}}}}"#;
    let Some(m) = Switching::new(policy) else {
        return;
    };
    let (switch, notice) = (validator("switch"), validator("notice"));
    m.0.set(System::Three);
    m.hook(System::Three, "switch").ends(0);
    let records = m.0.state().join("switches");
    assert_eq!(all_hold(&switch, &records), 1, "one that is open");
    m.0.run_system(System::Three);
    let id = m.history()[0]["id"].as_str().unwrap().to_owned();
    let mut command = m.command(&["hook", "watch", &id]);
    let watched = command.env("CAIRN_FAKE_SYSTEMD", "1").output().unwrap();
    assert!(watched.status.success());
    assert_eq!(all_hold(&switch, &records), 1, "one that has ended");
    let told = fs::read(m.0.home().join("units.json.told")).unwrap();
    let told: Value = serde_json::from_slice(&told).unwrap();
    holds(&notice, &told);
    for (kind, schema, mut document) in [
        ("notice", notice, told),
        ("switch", switch, m.history()[0].clone()),
    ] {
        holds(&schema, &document);
        document["at"] = json!(1);
        document["to"] = json!("/etc");
        assert!(!schema.is_valid(&document), "{kind}");
    }
}
