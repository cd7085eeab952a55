//! One point as one file: out of one machine, into another.

use std::fs::{self, Permissions};
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::support::{Machine, System, contents, need, same};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

const SECRET: &str = "the cat is called Schnurr";

/// A machine with an id, a policy with state, and a pinned point.
fn home(name: &str) -> Option<Machine> {
    let machine = Machine::new()?;
    machine.write("etc/hostname", format!("{name}\n"));
    let id: String = hex::encode(Sha256::digest(name))[..32].to_owned();
    machine.write("etc/machine-id", format!("{id}\n"));
    let policy = json!({ "state": { "app": { "paths": ["/var/lib/app"] } } });
    machine.write("etc/cairn/policy.json", policy.to_string());
    machine.write("var/lib/app/data", format!("data of {name}\n"));
    Some(machine)
}

/// A machine with a point of everything, and the file it was exported to.
fn exported(args: &[&str]) -> Option<(Machine, String, PathBuf)> {
    let machine = home("tower")?;
    machine.write("etc/nixos/secret", SECRET);
    machine.mode("etc/nixos/secret", 0o400);
    machine.link("secret", "etc/nixos/link");
    machine.write("etc/nixos/large.bin", vec![7; 3 << 20]);
    let id = machine.create("to be carried");
    machine.ok(&["pin", &id, "-r", "for the trip"]);
    let file = machine.home().join("point.cairn");
    let args = [&["export", &id, file.to_str().unwrap()], args].concat();
    machine.ok(&args);
    Some((machine, id, file))
}

/// What of a machine a refused import must not touch.
fn untouched(machine: &Machine) -> (Vec<String>, Vec<PathBuf>) {
    let state = machine.state();
    let entries = fs::read_dir(&state).into_iter().flatten();
    let mut names: Vec<PathBuf> = entries.map(|e| e.unwrap().path()).collect();
    names.retain(|p| !p.to_string_lossy().contains("lock"));
    names.sort();
    (machine.ids(), names)
}

#[test]
fn a_point_travels_and_comes_back_exactly() {
    let Some((tower, id, file)) = exported(&[]) else {
        return;
    };
    let mode = fs::metadata(&file).unwrap().permissions().mode();
    assert_eq!(mode & 0o7777, 0o600);
    assert_eq!(
        fs::read_dir(tower.home()).unwrap().count(),
        1 + nix_state(&tower)
    );
    let taken = tower.cairn(&["export", &id, file.to_str().unwrap()]);
    taken.fails(1, "is there already", "ls -ld");

    let laptop = home("laptop").unwrap();
    laptop.write("etc/nixos/own.nix", "{ }\n");
    let own = laptop.create("my own");
    let name = file.to_str().unwrap();
    let shown = laptop.cairn(&["import", name, "-n"]).ends(0);
    assert!(shown.out.contains("would be imported"), "{}", shown.out);
    assert_eq!(laptop.ids(), std::slice::from_ref(&own));
    let told = laptop.cairn(&["import", name]).ends(0);
    assert!(told.out.contains("tower"), "{}", told.out);
    assert!(told.err.contains("only its id names it"), "{}", told.err);
    let again = laptop.cairn(&["import", name]).ends(0);
    assert!(again.out.contains("is here already"), "{}", again.out);

    // Its own points are what words mean, though the other is older or newer.
    assert_eq!(laptop.ids().len(), 2);
    for word in ["latest", "current"] {
        assert_eq!(laptop.json(&["show", word])["point"]["id"], *own, "{word}");
    }
    tower.ok(&["mark-good", &id]);
    laptop.cairn(&["show", "latest-good"]).ends(10);
    let point = laptop.json(&["show", &id])["point"].clone();
    assert_eq!(point["host"], "tower");
    assert_eq!(point["marks"]["pinned"]["reason"], "for the trip");
    assert!(laptop.ok(&["list"]).contains("imported"));
    assert_eq!(
        laptop.ok(&["show", &id, "--cat", "/etc/nixos/secret"]),
        SECRET
    );
    let diff = laptop.ok(&["diff", &id, &own]);
    assert!(diff.contains("+ /etc/nixos/own.nix"), "{diff}");
    assert!(diff.contains("state app"), "{diff}");
    laptop.ok(&["verify", "--read-data"]);

    let told = laptop
        .cairn(&["restore", &id, "--only", "config", "--yes"])
        .ends(0);
    assert!(told.err.contains("taken on tower"), "{}", told.err);
    same(
        &contents(&tower.root().join("etc/nixos")),
        &contents(&laptop.root().join("etc/nixos")),
        "the configuration",
    );
    laptop.ok(&["restore", &id, "--only", "state", "--yes"]);
    assert_eq!(laptop.read("var/lib/app/data"), "data of tower\n");
    laptop.ok(&["undo", "--yes"]);
    assert_eq!(laptop.read("var/lib/app/data"), "data of laptop\n");
    // Its own restore does not count as a merge base or a rule's place either.
    let plan = laptop.json(&["prune", "--keep-last", "1", "-n"]);
    let text = plan.to_string();
    assert!(text.contains(&own) && text.contains(&id), "{text}");

    // Out again, and home: the tower knows it.
    let second = laptop.home().join("again.cairn");
    laptop.ok(&["export", &id, second.to_str().unwrap()]);
    let told = tower.ok(&["import", second.to_str().unwrap()]);
    assert!(told.contains("is here already"), "{told}");
    // On a tower that lost it, it is the tower's own.
    fs::remove_dir_all(tower.state()).unwrap();
    let told = tower.cairn(&["import", second.to_str().unwrap()]).ends(0);
    assert!(!told.err.contains("only its id"), "{}", told.err);
    assert_eq!(tower.json(&["show", "latest"])["point"]["id"], *id);
    tower.write("etc/nixos/secret", "lost");
    tower.ok(&["restore", "latest", "--yes"]);
    assert_eq!(tower.read("etc/nixos/secret"), SECRET);
}

/// Whether Nix has put its own folder there.
fn nix_state(machine: &Machine) -> usize {
    let names = fs::read_dir(machine.home()).unwrap();
    names
        .filter(|n| n.as_ref().unwrap().file_name() != "point.cairn")
        .count()
}

#[test]
fn a_password_keeps_everything_secret() {
    if !need(&["tar", "restic"]) {
        return;
    }
    let Some((tower, id, open)) = exported(&[]) else {
        return;
    };
    tower.write("password", "kitten\nrest is no part of it\n");
    let password = tower.root().join("password");
    let password = password.to_str().unwrap();
    let file = tower.home().join("secret.cairn");
    let name = file.to_str().unwrap();
    let told = tower
        .cairn(&["export", &id, name, "--password-file", password])
        .ends(0);
    assert_eq!(told.err, "");
    let bytes = fs::read(&file).unwrap();
    for word in ["tower", "to be carried", "nixos", id.as_str(), "kitten"] {
        let found = bytes.windows(word.len()).any(|w| w == word.as_bytes());
        assert!(!found, "{word} can be read");
    }
    let laptop = home("laptop").unwrap();
    let before = untouched(&laptop);
    laptop
        .cairn(&["import", name])
        .fails(1, "it is encrypted", "--password-file FILE");
    laptop.write("wrong", "dog\n");
    let wrong = laptop.root().join("wrong");
    laptop
        .cairn(&["import", name, "--password-file", wrong.to_str().unwrap()])
        .fails(12, "the password does not open", "--password-file");
    assert_eq!(untouched(&laptop).0, before.0);
    laptop.ok(&["import", name, "--password-file", password]);
    assert_eq!(
        laptop.ok(&["show", &id, "--cat", "/etc/nixos/secret"]),
        SECRET
    );

    // Without cairn: tar and restic. The open one says its password itself.
    for (file, word) in [(&file, Some("kitten")), (&open, None)] {
        let place = tempfile::tempdir().unwrap();
        let run =
            |command: &mut Command| crate::support::succeed(command.current_dir(place.path()));
        run(Command::new("tar").arg("-xf").arg(file));
        run(Command::new("sha256sum").args(["--quiet", "-c", "SHA256SUMS"]));
        let header = fs::read_to_string(place.path().join("cairn.json")).unwrap();
        let header: Value = serde_json::from_str(&header).unwrap();
        let word = word.or(header["password"].as_str()).unwrap().to_owned();
        let restic = |args: &[&str]| {
            let mut command = Command::new("restic");
            command
                .args(["-r", "repository", "--no-cache", "--no-lock"])
                .args(args)
                .env("RESTIC_PASSWORD", &word)
                .env("HOME", place.path());
            run(&mut command)
        };
        let document = restic(&[
            "dump",
            "--tag",
            "cairn-export",
            "latest",
            "/cairn/point.json",
        ]);
        assert_eq!(serde_json::from_str::<Value>(&document).unwrap()["id"], *id);
        let secret = restic(&[
            "dump",
            "--tag",
            &id,
            "--path",
            "/etc/nixos",
            "latest",
            "/etc/nixos/secret",
        ]);
        assert_eq!(secret, SECRET);
    }
}

#[test]
fn a_stream_goes_from_one_to_the_other() {
    let Some((tower, id, _)) = exported(&[]) else {
        return;
    };
    let laptop = home("laptop").unwrap();
    let mut out = tower
        .command(&["export", &id, "-"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let into = laptop
        .command(&["import", "-"])
        .stdin(out.stdout.take().unwrap())
        .output()
        .unwrap();
    assert!(out.wait().unwrap().success() && into.status.success());
    assert_eq!(
        laptop.ok(&["show", &id, "--cat", "/etc/nixos/secret"]),
        SECRET
    );
    for machine in [&tower, &laptop] {
        let left = fs::read_dir(machine.state()).unwrap();
        let left = left.filter(|e| {
            e.as_ref()
                .unwrap()
                .file_name()
                .as_encoded_bytes()
                .starts_with(b".cairn")
        });
        assert_eq!(left.count(), 0, "a folder was left");
    }
}

#[test]
fn the_system_comes_along_when_asked_for_and_stays() {
    let Some((tower, id, file)) = exported(&["--closure"]) else {
        return;
    };
    // A store that has never seen it.
    let laptop = Machine::bare().unwrap();
    laptop.write("etc/machine-id", "0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f\n");
    laptop.gc();
    assert!(!laptop.is_valid(System::Two));
    let name = file.to_str().unwrap();
    let told = laptop.cairn(&["import", name]).ends(0);
    assert!(told.err.contains("--closure"), "{}", told.err);
    assert!(!laptop.is_valid(System::Two), "only when asked for");
    laptop.cairn(&["restore", &id, "--yes"]).ends(1);
    laptop.ok(&["import", name, "--closure"]);
    assert!(laptop.is_valid(System::Two));
    laptop.gc();
    assert!(laptop.is_valid(System::Two), "a root holds it");
    laptop.ok(&["restore", &id, "--yes"]);
    assert_eq!(
        fs::read_link(laptop.profiles().join(laptop.profile())).unwrap(),
        Path::new(tower.path(System::Two))
    );
    // An export without it has none to give.
    let bare = tower.home().join("bare.cairn");
    tower.ok(&["export", &id, bare.to_str().unwrap()]);
    laptop
        .cairn(&["import", bare.to_str().unwrap(), "--closure"])
        .fails(1, "has no system in it", "cairn import ");
}

/// The members of an export.
fn members(file: &Path) -> Vec<(String, Vec<u8>)> {
    let mut archive = tar::Archive::new(fs::File::open(file).unwrap());
    let mut all = Vec::new();
    for entry in archive.entries().unwrap() {
        let mut entry = entry.unwrap();
        let name = entry.path().unwrap().to_str().unwrap().to_owned();
        let mut content = Vec::new();
        entry.read_to_end(&mut content).unwrap();
        all.push((name, content));
    }
    all
}

/// An export of these members, with sums that are right.
fn forged(members: &[(String, Vec<u8>)]) -> Vec<u8> {
    let mut archive = tar::Builder::new(Vec::new());
    let mut sums = String::new();
    for (name, content) in members.iter().filter(|(name, _)| name != "SHA256SUMS") {
        let digest = Sha256::digest(content);
        sums.push_str(&format!("{}  {name}\n", hex::encode(digest)));
        add(&mut archive, name, content, tar::EntryType::Regular);
    }
    add(
        &mut archive,
        "SHA256SUMS",
        sums.as_bytes(),
        tar::EntryType::Regular,
    );
    archive.into_inner().unwrap()
}

/// A member of any name: the crate's own checks are those of honest people.
fn add(archive: &mut tar::Builder<Vec<u8>>, name: &str, content: &[u8], kind: tar::EntryType) {
    let mut header = tar::Header::new_ustar();
    header.as_mut_bytes()[..name.len()].copy_from_slice(name.as_bytes());
    header.set_entry_type(kind);
    header.set_size(content.len() as u64);
    header.set_mode(0o644);
    if kind == tar::EntryType::Symlink {
        header.set_link_name("/etc").unwrap();
        header.set_size(0);
    }
    header.set_cksum();
    archive.append(&header, content).unwrap();
}

#[test]
fn a_file_that_is_not_what_it_was_is_refused_before_anything_changes() {
    let Some((_tower, _, file)) = exported(&[]) else {
        return;
    };
    let whole = fs::read(&file).unwrap();
    let parts = members(&file);
    let laptop = home("laptop").unwrap();
    let victim = laptop.root().join("victim");
    fs::write(&victim, "safe").unwrap();
    laptop.create("my own");
    let before = untouched(&laptop);
    let place = laptop.home().join("bad.cairn");
    let refuse = |bytes: &[u8], what: &str| {
        fs::write(&place, bytes).unwrap();
        let run = laptop.cairn(&["import", place.to_str().unwrap()]);
        run.fails(1, what, "");
        assert_eq!(untouched(&laptop), before, "{what}");
        assert_eq!(fs::read_to_string(&victim).unwrap(), "safe");
    };
    // Cut off, at any place.
    for cut in [600, 4000, whole.len() / 2, whole.len() - 2000] {
        refuse(&whole[..cut], "cannot be imported");
    }
    refuse(&[], "no exported restore point");
    refuse(b"#!/bin/sh\n", "no exported restore point");
    // A flipped bit: anywhere in the content, in the sums, in a header.
    for at in (1024..whole.len() - 1024).step_by(whole.len() / 23) {
        if whole[at] == 0 {
            continue;
        }
        let mut flipped = whole.clone();
        flipped[at] ^= 4;
        refuse(&flipped, "cannot be imported");
    }
    let mut longer = whole.clone();
    longer.extend(b"something else");
    refuse(&longer, "comes after its end");

    // Forged by somebody who writes the sums anew.
    let with = |extra: &[(&str, &[u8])]| {
        let mut all = parts.clone();
        let extra = extra.iter().map(|(n, c)| ((*n).to_owned(), c.to_vec()));
        all.splice(1..1, extra);
        forged(&all)
    };
    for name in [
        "../victim",
        "/tmp/victim",
        "repository/../../../victim",
        "repository/data/../config",
        "repository/keys/short",
        "other",
    ] {
        refuse(&with(&[(name, b"pwned")]), "does not belong in it");
    }
    let key = parts.iter().find(|(n, _)| n.contains("keys/")).unwrap();
    refuse(&with(&[(&key.0, &key.1)]), "in it twice");
    let swapped: Vec<_> = parts
        .iter()
        .map(|(name, content)| {
            let mut content = content.clone();
            if name.contains("/data/") {
                let middle = content.len() / 2;
                content[middle] ^= 1;
            }
            (name.clone(), content)
        })
        .collect();
    refuse(&forged(&swapped), "its content is damaged");
    let without = |word: &str| {
        let kept = parts.iter().filter(|(name, _)| !name.contains(word));
        forged(&kept.cloned().collect::<Vec<_>>())
    };
    refuse(&without("/snapshots/"), "does not hold one point");
    refuse(&without("/keys/"), "cannot be imported");
    let newer = parts.iter().map(|(name, content)| match name.as_str() {
        "cairn.json" => {
            let text = String::from_utf8(content.clone()).unwrap();
            (
                name.clone(),
                text.replace("\"version\":1", "\"version\":2").into_bytes(),
            )
        }
        _ => (name.clone(), content.clone()),
    });
    refuse(&forged(&newer.collect::<Vec<_>>()), "version 2");
    // Links and lengths.
    let mut archive = tar::Builder::new(Vec::new());
    add(
        &mut archive,
        "cairn.json",
        &parts[0].1,
        tar::EntryType::Regular,
    );
    let start = archive.into_inner().unwrap();
    let start = &start[..start.len() - 1024];
    for kind in [
        tar::EntryType::Symlink,
        tar::EntryType::Link,
        tar::EntryType::Fifo,
        tar::EntryType::GNULongName,
    ] {
        let mut archive = tar::Builder::new(start.to_vec());
        let mut bytes = Vec::new();
        archive.get_mut().clear();
        add(&mut archive, "repository/config", b"", kind);
        bytes.extend(start);
        bytes.extend(archive.into_inner().unwrap());
        refuse(&bytes, "no plain file");
    }
    let mut header = tar::Header::new_gnu();
    header.set_path("repository/config").unwrap();
    header.set_entry_type(tar::EntryType::Regular);
    header.set_size(1 << 60);
    header.set_cksum();
    let huge = [start, header.as_bytes()].concat();
    refuse(&huge, "says it has");
}

#[test]
fn another_point_of_the_same_id_and_impossible_paths_are_refused() {
    let Some((tower, id, file)) = exported(&[]) else {
        return;
    };
    let place = tower.state().join("points").join(format!("{id}.json"));
    let honest = fs::read_to_string(&place).unwrap();
    let change = |from: &str, to: &str| {
        assert!(honest.contains(from), "{from}");
        fs::write(&place, honest.replace(from, to)).unwrap();
    };
    // The same id, another reason.
    change("to be carried", "something else");
    tower.cairn(&["import", file.to_str().unwrap()]).fails(
        1,
        "another restore point",
        "cairn show",
    );
    let laptop = home("laptop").unwrap();
    let forge = |name: &str, what: &str| {
        let file = tower.home().join(name);
        tower.ok(&["export", &id, file.to_str().unwrap()]);
        laptop
            .cairn(&["import", file.to_str().unwrap()])
            .fails(1, what, "cairn export");
        assert!(laptop.ids().is_empty());
    };
    for (n, path) in ["/", "etc/nixos", "/etc/../root"].iter().enumerate() {
        change("\"path\": \"/etc/nixos\"", &format!("\"path\": \"{path}\""));
        forge(&format!("path-{n}"), "it names the path");
    }
    // A document that says its content is another.
    let hash = tower.document(&id)["config"]["hash"]
        .as_str()
        .unwrap()
        .to_owned();
    change(&hash, &"0".repeat(64));
    forge("hash", "is another one");
    let tree = serde_json::from_str::<Value>(&honest).unwrap()["config"]["tree"].clone();
    change(tree.as_str().unwrap(), &"0".repeat(64));
    forge("tree", "is not in it");
}

#[test]
fn an_import_dies_at_every_point_and_leaves_all_or_nothing() {
    let Some((_tower, id, file)) = exported(&[]) else {
        return;
    };
    let name = file.to_str().unwrap();
    for at in cairn::system::fault::IMPORT {
        let laptop = home("laptop").unwrap();
        laptop.create("my own");
        let died = laptop
            .command(&["import", name])
            .env("CAIRN_FAULT", at)
            .output()
            .unwrap();
        let signal = std::os::unix::process::ExitStatusExt::signal(&died.status);
        assert_eq!(signal, Some(9), "{at} is never passed");
        let there = laptop.ids().contains(&id);
        assert_eq!(there, *at == "import.documented", "{at}");
        // The next run cleans up, and brings it whole.
        laptop.create("next");
        let report = laptop.json(&["verify", "--read-data"]);
        let notes = report["verify"]["notes"].to_string();
        assert!(
            !notes.contains("belongs to no restore point"),
            "{at}: {notes}"
        );
        let left = fs::read_dir(laptop.state().join("inflight")).unwrap();
        assert_eq!(left.count(), 0, "{at}");
        laptop.ok(&["import", name]);
        assert_eq!(
            laptop.ok(&["show", &id, "--cat", "/etc/nixos/secret"]),
            SECRET
        );
        let entries = fs::read_dir(laptop.state()).unwrap();
        let scratch = |e: &fs::DirEntry| e.file_name().as_encoded_bytes().starts_with(b".cairn");
        let left = entries.filter(|e| scratch(e.as_ref().unwrap()));
        assert_eq!(left.count(), 0, "{at}");
    }
}

#[test]
fn a_file_nobody_may_write_to_is_an_error_and_leaves_nothing() {
    let Some((tower, id, _)) = exported(&[]) else {
        return;
    };
    tower.cairn(&["export", &id, "/proc/point.cairn"]).ends(1);
    tower
        .cairn(&["export", &id, "/nowhere/point.cairn"])
        .ends(1);
    tower.cairn(&["import", "/nowhere/point.cairn"]).ends(1);
    let empty = tower.home().join("empty");
    fs::write(&empty, "\n").unwrap();
    fs::set_permissions(&empty, Permissions::from_mode(0o600)).unwrap();
    let name = tower.home().join("x.cairn");
    let args = [
        "export",
        &id,
        name.to_str().unwrap(),
        "--password-file",
        empty.to_str().unwrap(),
    ];
    tower.cairn(&args).fails(1, "first line is empty", "");
    assert!(!name.exists());
}

#[test]
fn with_imported_points_alone_a_word_says_so_and_their_ids_work() {
    let Some((_tower, id, file)) = exported(&[]) else {
        return;
    };
    let Some(laptop) = home("laptop") else { return };
    laptop.ok(&["import", file.to_str().unwrap()]);
    for word in ["latest", "latest~1", "latest-good", "current"] {
        laptop.cairn(&["show", word]).fails(
            10,
            &format!("only imported ones: {}", crate::support::short(&id)),
            &format!("cairn show {}", crate::support::short(&id)),
        );
    }
    laptop.ok(&["show", &id]);
    laptop.create("own");
    laptop.ok(&["show", "latest"]);
}
