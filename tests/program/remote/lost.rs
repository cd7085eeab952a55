//! What is lost in one place and whole in another comes back; and what is no
//! remote, or none any more, is told as that.

use std::fs;
use std::path::{Path, PathBuf};

use crate::support::{
    Machine, PASSWORD, Run, beside, commands, home, key, password, policy, sound, there,
};
use cairn::vault::{Repo, Vault};
use serde_json::json;

/// A machine that has nothing of another but what `far` and its password give;
/// runs this there, with both.
fn newcomer(far: &Path, args: &[&str]) -> (Machine, Run) {
    let new = home("new").unwrap();
    let file = password(&new);
    let key = key(far.to_str().unwrap(), file.to_str().unwrap());
    let run = new.cairn(&[args, &key].concat());
    (new, run)
}

fn files(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).unwrap().flatten() {
        match entry.file_type().unwrap().is_dir() {
            true => found.extend(files(&entry.path())),
            false => found.push(entry.path()),
        }
    }
    found.sort();
    found
}

/// Changes a bit of every pack: sizes and names stay.
fn rot(repository: &Path) {
    for pack in files(&repository.join("data")) {
        let mut bytes = fs::read(&pack).unwrap();
        bytes[10] ^= 1;
        fs::write(pack, bytes).unwrap();
    }
}

#[test]
fn what_rots_on_a_remote_is_sent_again() {
    let Some((_dir, far, machine)) = beside("old") else {
        return;
    };
    let first = machine.create("first");
    machine.ok(&["remote", "push"]);
    rot(&far);
    machine.write("etc/nixos/configuration.nix", "{ /* another */ }\n");
    let second = machine.create("second");
    machine.ok(&["remote", "push"]);
    let told = machine.cairn(&["remote", "check", "--read-data"]).ends(3);
    let last = told.out.lines().last().unwrap();
    assert_eq!(last, "  try: cairn remote check --read-data --repair");
    // Only what is read is known to be spoilt.
    let told = machine.cairn(&["remote", "check", "--repair"]).ends(3);
    let last = told.out.lines().last().unwrap();
    assert_eq!(last, "  try: cairn remote check --repair --read-data");
    machine.ok(&["remote", "check", "--repair", "--read-data"]);
    machine.ok(&["remote", "check", "--read-data"]);
    sound(far.to_str().unwrap());
    let pull = ["remote", "pull", "--host", "old", "--all"];
    let (new, run) = newcomer(&far, &pull);
    run.ends(0);
    assert_eq!(new.ids(), [first, second]);
    new.ok(&["verify", "--read-data"]);
}

#[test]
fn what_a_repair_cannot_send_is_a_problem() {
    let Some((_dir, far, machine)) = beside("old") else {
        return;
    };
    machine.create("first");
    machine.ok(&["remote", "push"]);
    rot(&far);
    rot(&machine.state().join("vault/config"));
    let repair = ["remote", "check", "--repair", "--read-data"];
    let told = machine.cairn(&repair).ends(3);
    assert!(told.out.contains("was not sent: "), "{}", told.out);
    assert!(!told.out.contains("all is well"), "{}", told.out);
    let last = told.out.lines().last().unwrap();
    assert_eq!(last, "  try: cairn verify --read-data");
}

#[test]
fn one_point_that_rotted_keeps_no_other_away() {
    let Some((_dir, far, machine)) = beside("old") else {
        return;
    };
    machine.create("first");
    machine.ok(&["remote", "push"]);
    rot(&far);
    // Nothing of it is in the other.
    machine.write("etc/nixos/configuration.nix", "{ /* another */ }\n");
    machine.write("etc/nixos/hardware.nix", "{ /* another */ }\n");
    machine.write("var/lib/app/data", "another");
    let second = machine.create("second");
    machine.ok(&["remote", "push"]);
    let pull = ["remote", "pull", "--host", "old", "--all"];
    let (new, run) = newcomer(&far, &pull);
    let run = run.ends(3);
    assert_eq!(new.ids(), [second]);
    assert!(
        run.err.contains("is not whole on the remote"),
        "{}",
        run.err
    );
    assert!(
        !run.err.contains(new.state().to_str().unwrap()),
        "{}",
        run.err
    );
    new.ok(&["verify", "--read-data"]);
}

#[test]
fn what_is_lost_here_comes_back_from_a_copy() {
    let Some((_dir, _, machine)) = beside("old") else {
        return;
    };
    let id = machine.create("first");
    machine.ok(&["remote", "push"]);
    machine.ok(&["export", &id, "first.cairn"]);
    let before = machine.document(&id);
    for way in [&["remote", "pull", &id][..], &["import", "first.cairn"]] {
        rot(&machine.state().join("vault/config"));
        let run = machine
            .cairn(&["verify", "--repair", "--read-data"])
            .ends(3);
        assert!(run.out.contains("try: cairn remote pull"), "{}", run.out);
        let told = machine.json(way);
        let mended = told["pull"]["items"][0]["mended"].as_bool();
        let mended = mended.or(told["import"]["mended"].as_bool());
        assert_eq!(mended, Some(true), "{told}");
        machine.ok(&["verify", "--read-data"]);
        let mut after = machine.document(&id);
        after["config"]["snapshot"] = before["config"]["snapshot"].clone();
        assert_eq!(after, before, "only where its content is has changed");
        let again = machine.json(way);
        assert!(!again.to_string().contains("\"mended\":true"), "{again}");
        let to = machine.home().join(way[0]);
        let out = [
            "restore",
            &id,
            "--only",
            "config",
            "--to",
            to.to_str().unwrap(),
        ];
        machine.ok(&out);
        let text = fs::read_to_string(to.join("etc/nixos/configuration.nix")).unwrap();
        assert!(text.contains("services.a.enable"), "{text}");
    }
}

#[test]
fn snapshots_that_are_gone_here_are_told_and_come_back() {
    let Some((_dir, _, machine)) = beside("old") else {
        return;
    };
    let id = machine.create("first");
    machine.ok(&["remote", "push"]);
    for snapshot in files(&machine.state().join("vault/config/snapshots")) {
        fs::remove_file(snapshot).unwrap();
    }
    let status = machine.ok(&["status"]);
    assert!(status.contains("is not known: no snapshot"), "{status}");
    let pulled = machine.ok(&["remote", "pull", &id]);
    assert!(pulled.contains("is whole again"), "{pulled}");
    machine.ok(&["verify", "--read-data"]);
}

#[test]
fn what_is_lost_in_both_places_is_not_taken_for_whole() {
    let Some((_dir, far, machine)) = beside("old") else {
        return;
    };
    let id = machine.create("first");
    machine.ok(&["remote", "push"]);
    let content = |s: &cairn::vault::SnapshotInfo| s.tag == id;
    let repo = Repo::open_with(&far, PASSWORD).unwrap();
    let there = repo.snapshots().unwrap().good;
    let names: Vec<&str> = (there.iter().filter(|s| content(s)))
        .map(|s| s.id.as_str())
        .collect();
    assert_eq!(names.len(), 2);
    assert!(repo.forget(&names).failed.is_empty());
    for snapshot in files(&machine.state().join("vault/config/snapshots")) {
        fs::remove_file(snapshot).unwrap();
    }
    let before = machine.document(&id);
    machine.cairn(&["remote", "pull", &id]).fails(
        1,
        "the configuration is not there either",
        "cairn remote check off --read-data",
    );
    assert_eq!(machine.document(&id), before);
}

/// Removes the pack that is the largest.
fn lose(data: &Path) {
    let size = |pack: &PathBuf| fs::metadata(pack).unwrap().len();
    let largest = files(data).into_iter().max_by_key(size).unwrap();
    fs::remove_file(largest).unwrap();
}

#[test]
fn what_is_lost_there_is_not_taken_in_as_whole() {
    let Some((_dir, far, machine)) = beside("old") else {
        return;
    };
    // Of one piece: its id is its digest.
    let noise: String = (0..20_000u32).map(|n| format!("{:x}", n * n)).collect();
    machine.write("var/lib/app/data", noise);
    let id = machine.create("first");
    machine.ok(&["remote", "push"]);
    lose(&far.join("data"));
    // Another machine's repair takes it out of the index and cannot send it.
    newcomer(&far, &["remote", "check", "--repair"]).1.ends(3);
    let pull = ["remote", "pull", "--host", "old", "--all"];
    let (new, run) = newcomer(&far, &pull);
    let run = run.ends(1);
    assert!(run.err.contains("is not whole on"), "{}", run.err);
    assert_eq!(new.ids(), [""; 0]);
    new.ok(&["verify"]);
    // Nor does it mend what is lost here.
    lose(&machine.state().join("vault/state/data"));
    machine.cairn(&["verify", "--repair"]).ends(3);
    let marks = || machine.json(&["show", &id])["point"]["marks"].clone();
    let before = marks();
    assert!(before["damaged"].is_object(), "{before}");
    machine.cairn(&["remote", "pull", &id]).ends(1);
    assert_eq!(marks(), before);
}

#[test]
fn a_root_without_an_id_prunes_nothing_of_a_machine_of_its_name() {
    let Some((_dir, far, machine)) = beside("old") else {
        return;
    };
    for text in ["one", "two"] {
        machine.write("etc/nixos/configuration.nix", text);
        machine.create(text);
    }
    machine.ok(&["remote", "push"]);
    let rescued = home("old").unwrap();
    fs::remove_file(rescued.root().join("etc/machine-id")).unwrap();
    let (url, file) = (far.to_str().unwrap(), password(&rescued));
    let prune = ["remote", "prune", "--keep-last", "1", "-y"];
    let key = key(url, file.to_str().unwrap());
    rescued.ok(&[&prune[..], &key].concat());
    assert_eq!(there(&machine).len(), 2);
    machine.ok(&prune);
    assert_eq!(there(&machine).len(), 1);
}

#[test]
fn what_was_sent_and_is_gone_is_a_problem() {
    let Some((_dir, far, machine)) = beside("old") else {
        return;
    };
    machine.create("first");
    machine.ok(&["remote", "push"]);
    let listed = |args: &[&str]| {
        let all = [&["list", "--remote", "off", "--all-hosts"], args].concat();
        machine.json(&all)["points"]["items"]
            .as_array()
            .unwrap()
            .len()
    };
    machine.create("second");
    machine.ok(&["remote", "push"]);
    assert_eq!(listed(&[]), 2);
    assert_eq!(listed(&["--last", "1"]), 1);
    assert_eq!(listed(&["--tag", "none"]), 0);
    let none = ["list", "--remote", "off", "--all-hosts", "--tag", "none"];
    let none = machine.ok(&none);
    let tip = none.lines().last().unwrap();
    assert_eq!(tip, "  try: cairn list --remote off --all-hosts");
    for snapshot in files(&far.join("snapshots")) {
        fs::remove_file(snapshot).unwrap();
    }
    let run = machine.cairn(&["remote", "check"]).ends(3);
    assert!(
        run.out.contains("no point of this machine is there"),
        "{}",
        run.out
    );
    machine.ok(&["remote", "check", "--repair"]);
    assert_eq!(there(&machine).len(), 2);
}

#[test]
fn what_restore_points_hold_is_no_place_for_copies() {
    let Some(machine) = home("old") else { return };
    let file = password(&machine);
    let place = machine.root().join("etc/nixos/copies");
    let add = |name: &str, place: &Path| {
        let url = place.to_str().unwrap();
        let file = file.to_str().unwrap();
        machine.cairn(&["remote", "add", name, url, "--new", "--password-file", file])
    };
    let run = add("own", &place).ends(1);
    assert!(
        run.err.contains("a restore would take it away"),
        "{}",
        run.err
    );
    assert!(!place.exists());
}

#[test]
fn a_push_that_cannot_begin_is_known_to_have_failed() {
    let Some((_dir, _far, machine)) = beside("old") else {
        return;
    };
    machine.create("first");
    machine.ok(&["remote", "push"]);
    let trouble = || machine.json(&["remote", "list"])["remotes"]["items"][0]["trouble"].clone();
    assert!(trouble().is_null());
    let file = password(&machine);
    fs::rename(&file, file.with_extension("away")).unwrap();
    machine.cairn(&["remote", "push"]).ends(1);
    assert!(trouble().to_string().contains("password"), "{}", trouble());
    fs::rename(file.with_extension("away"), &file).unwrap();
    machine.ok(&["remote", "push"]);
    assert!(trouble().is_null());
}

#[test]
fn a_new_machine_gets_what_somebody_meant_to_take() {
    let Some((_dir, far, machine)) = beside("old") else {
        return;
    };
    machine.write("etc/nixos/configuration.nix", "{ /* good */ }\n");
    let good = machine.create("good");
    machine.ok(&["mark-good", &good]);
    machine.write("etc/nixos/configuration.nix", "{ /* better */ }\n");
    machine.create("better");
    machine.write("etc/nixos/configuration.nix", "{ /* broken */ }\n");
    machine.ok(&["restore", "latest", "--only", "config", "-y"]);
    machine.ok(&["remote", "push"]);
    for (point, text) in [
        (None, "{ /* better */ }\n"),
        (Some("latest~1"), "{ /* good */ }\n"),
        (Some("latest"), "{ /* better */ }\n"),
    ] {
        let mut restore = vec!["restore", "--host", "old", "--only", "config", "-y"];
        restore.extend(point);
        let (new, run) = newcomer(&far, &restore);
        run.ends(0);
        assert_eq!(new.read("etc/nixos/configuration.nix"), text, "{point:?}");
    }
    let wrong = ["restore", "--host", "old", "latest~7", "-y"];
    let run = newcomer(&far, &wrong).1.ends(10);
    assert!(
        run.err.contains("no restore point latest~7 of old"),
        "{}",
        run.err
    );
}

#[test]
fn the_vault_is_no_remote_of_its_own_machine() {
    let Some(machine) = home("old") else { return };
    machine.create("first");
    let vault = machine.state().join("vault/config");
    let file = machine.state().join("vault/recovery-password");
    let link = machine.home().join("link");
    std::os::unix::fs::symlink(&vault, &link).unwrap();
    for place in [
        &vault,
        &link,
        &machine.state().join("vault/../vault/config"),
    ] {
        let url = place.to_str().unwrap();
        let file = file.to_str().unwrap();
        let add = ["remote", "add", "own", url, "--password-file", file];
        let own = "belongs to this machine's own restore points";
        machine.cairn(&add).fails(1, own, "cairn remote add NAME");
        let prune = ["remote", "prune", "--keep-last", "1", "-y"];
        let run = machine.cairn(&[&prune[..], &key(url, file)].concat());
        assert!(run.ends(1).err.contains(own));
    }
    machine.ok(&["verify", "--read-data"]);
}

#[test]
fn another_repository_has_no_copies_of_before() {
    let Some((dir, far, machine)) = beside("old") else {
        return;
    };
    machine.create("first");
    machine.ok(&["remote", "push"]);
    let newest = |machine: &Machine| {
        machine.json(&["remote", "list"])["remotes"]["items"][0]["newest"].clone()
    };
    assert!(newest(&machine).is_string());
    let file = password(&machine);
    let add = |url: &Path| {
        let (url, file) = (url.to_str().unwrap(), file.to_str().unwrap());
        machine.ok(&[
            "remote",
            "add",
            "off",
            url,
            "--password-file",
            file,
            "--new",
        ]);
    };
    // The same one again is known as it was.
    add(&far);
    assert!(newest(&machine).is_string());
    machine.ok(&["remote", "remove", "off"]);
    add(&dir.path().join("other"));
    assert!(newest(&machine).is_null());
    machine.ok(&["remote", "push"]);
    assert!(newest(&machine).is_string());
    fs::remove_dir_all(dir.path().join("other")).unwrap();
    add(&dir.path().join("other"));
    assert!(newest(&machine).is_null());
}

#[test]
fn an_index_that_is_gone_is_told_and_made_anew() {
    let Some((_dir, far, machine)) = beside("old") else {
        return;
    };
    let id = machine.create("first");
    machine.ok(&["remote", "push"]);
    for index in files(&far.join("index")) {
        fs::remove_file(index).unwrap();
    }
    let run = machine.cairn(&["remote", "push"]).ends(3);
    let told = "the remote's index is gone: cairn remote check --repair";
    assert!(run.err.contains(told), "{}", run.err);
    machine.create("second");
    machine.cairn(&["remote", "push"]).ends(3);
    machine.ok(&["remote", "check", "--repair"]);
    machine.ok(&["remote", "push"]);
    sound(far.to_str().unwrap());
    assert_eq!(there(&machine).len(), 2);
    assert!(there(&machine).contains(&id));
}

#[test]
fn a_repository_that_cannot_be_opened_says_why() {
    let Some((_dir, far, machine)) = beside("old") else {
        return;
    };
    machine.create("first");
    machine.ok(&["remote", "push"]);
    let config = far.join("config");
    let keys = files(&far.join("keys"));
    let told = |what: &str| {
        for verb in ["push", "pull", "check", "prune"] {
            let run = machine.cairn(&["remote", verb]).ends(1);
            assert!(
                run.err.contains("cannot be opened: "),
                "{verb}: {}",
                run.err
            );
            assert!(run.err.contains(what), "{verb}: {}", run.err);
        }
    };
    let spoilt = |file: &Path, content: Option<&str>, what: &str| {
        let was = fs::read(file).unwrap();
        fs::remove_file(file).unwrap();
        if let Some(content) = content {
            fs::write(file, content).unwrap();
        }
        told(what);
        let _ = fs::remove_file(file);
        fs::write(file, was).unwrap();
    };
    spoilt(&config, None, "its settings, the file config, are gone");
    spoilt(&config, Some("torn"), "config");
    spoilt(&keys[0], None, "there is no key");
    spoilt(&keys[0], Some("{"), "keys");
    machine.ok(&["remote", "check", "--read-data"]);
    // And none at all is none: perhaps its disk is not mounted.
    let away = far.with_extension("away");
    fs::rename(&far, &away).unwrap();
    let run = machine.cairn(&["remote", "push"]).ends(1);
    assert_eq!(commands(&run.err), [format!("ls -la {}", far.display())]);
}

#[test]
fn what_is_not_there_is_told_and_not_made() {
    let Some((dir, _, machine)) = beside("old") else {
        return;
    };
    let id = machine.create("first");
    machine.ok(&["remote", "push"]);
    machine
        .cairn(&["remote", "list", "off", "--host", "nobody"])
        .fails(
            10,
            "no machine nobody has restore points",
            "cairn remote list off",
        );
    let file = password(&machine);
    let file = file.to_str().unwrap();
    let url = dir.path().join("not/there");
    let add = [
        "remote",
        "add",
        "two",
        url.to_str().unwrap(),
        "--password-file",
        file,
    ];
    machine
        .cairn(&[&add[..], &["--new"]].concat())
        .fails(1, "not", "ls -ld");
    assert!(!dir.path().join("not").exists());
    let url = dir.path().join("two");
    let add = [
        "remote",
        "add",
        "two",
        url.to_str().unwrap(),
        "--password-file",
        file,
    ];
    machine
        .cairn(&add)
        .fails(1, "there is no repository", " --new");
    policy(
        &machine,
        json!({ "a": { "url": "/a" }, "b": { "url": "/b" } }),
    );
    let run = machine.cairn(&["remote", "push"]).ends(1);
    assert_eq!(
        commands(&run.err),
        ["cairn remote push a", "cairn remote push b"]
    );
    let none = machine.ok(&["list", "-t", "none"]);
    assert!(
        none.contains("none of the restore points is such"),
        "{none}"
    );
    let plan = machine.json(&["pin", &id, "-n"]);
    assert_eq!(plan["plan"]["mark"], "pinned");
}
