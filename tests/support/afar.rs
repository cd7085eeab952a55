//! Machines with a remote, and the least that they need for it.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tempfile::TempDir;

use super::Machine;

/// Of every remote of the tests.
pub const PASSWORD: &str = "correct horse battery staple";

/// A machine with an id, state, and the password of the remotes.
pub fn home(name: &str) -> Option<Machine> {
    let machine = Machine::new()?;
    machine.write("etc/hostname", format!("{name}\n"));
    let id: String = hex::encode(Sha256::digest(name))[..32].to_owned();
    machine.write("etc/machine-id", format!("{id}\n"));
    machine.write("etc/passwd", "root:x:0:0::/root:/bin/sh\n");
    machine.write("var/lib/app/data", format!("data of {name}\n"));
    policy(&machine, json!({}));
    fs::write(password(&machine), format!("{PASSWORD}\n")).unwrap();
    Some(machine)
}

/// A policy with one set of state, and these remotes.
pub fn policy(machine: &Machine, remotes: Value) {
    let policy = json!({
        "state": { "app": { "paths": ["/var/lib/app"] } }, "remotes": remotes,
    });
    machine.write("etc/cairn/policy.json", policy.to_string());
}

/// The file with the password.
pub fn password(machine: &Machine) -> PathBuf {
    machine.home().join("password")
}

/// A machine whose remote `off` is there, and empty.
pub fn with_remote(name: &str, url: &str) -> Option<Machine> {
    let machine = home(name)?;
    let file = password(&machine);
    let file = file.to_str().unwrap();
    let made = [
        "remote",
        "add",
        "off",
        url,
        "--new",
        "--password-file",
        file,
    ];
    machine.ok(&made);
    Some(machine)
}

/// A machine with a remote that is a directory.
pub fn beside(name: &str) -> Option<(TempDir, PathBuf, Machine)> {
    let dir = tempfile::tempdir().unwrap();
    let far = dir.path().join("far");
    let machine = with_remote(name, far.to_str().unwrap())?;
    Some((dir, far, machine))
}

/// `--url … --password-file …`: all that a new machine has.
pub fn key<'a>(url: &'a str, file: &'a str) -> [&'a str; 4] {
    ["--url", url, "--password-file", file]
}

/// Whether restic finds no fault in a repository, all of it read.
pub fn sound(repository: &str) {
    let checked = Command::new("restic")
        .args(["-r", repository, "check", "--read-data"])
        .env("RESTIC_PASSWORD", PASSWORD)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&checked.stdout).into_owned();
    let wrong = String::from_utf8_lossy(&checked.stderr).into_owned();
    assert!(checked.status.success(), "{text}{wrong}");
    assert!(text.contains("no errors were found"), "{text}");
}

/// The ids of the points on the remote `off`.
pub fn there(machine: &Machine) -> Vec<String> {
    let listed = machine.json(&["remote", "list", "off"]);
    let items = listed["points"]["items"].as_array().unwrap();
    items
        .iter()
        .map(|p| p["id"].as_str().unwrap().to_owned())
        .collect()
}
