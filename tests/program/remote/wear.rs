//! What befalls a remote in the course of time: clocks that were wrong, files
//! that are damaged, servers that do not answer, work that was cut off.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::{
    Machine, PASSWORD, Run, Server, beside, contents, executable, home, key, need, need_root,
    password, policy, same, sound, there, with_remote,
};
use cairn::vault::{Note, Repo, SnapshotInfo, Vault};
use chrono::{DateTime, Utc};
use serde_json::{Value, json};

const POINT: &str = "cairn:point";
const KNOWLEDGE: &str = "cairn:knowledge";

fn snapshots(far: &Path) -> Vec<SnapshotInfo> {
    let repo = Repo::open_with(far, PASSWORD).unwrap();
    repo.snapshots().unwrap().good
}

fn tagged(far: &Path, tag: &str) -> Vec<SnapshotInfo> {
    let mut all = snapshots(far);
    all.retain(|s| s.tag == tag);
    all
}

/// Notes the same again, as if a machine had done it then.
fn note_again(far: &Path, like: &SnapshotInfo, time: DateTime<Utc>, text: Option<&str>) {
    let repo = Repo::open_with(far, PASSWORD).unwrap();
    let text = text.or(like.description.as_deref()).unwrap();
    repo.note(&[Note {
        tag: like.tag.clone(),
        host: like.host.clone(),
        time,
        tree: like.tree.clone(),
        text: text.to_owned(),
    }])
    .unwrap();
}

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

fn record(machine: &Machine) -> (PathBuf, Value) {
    let path = machine.state().join("remotes/off.json");
    let value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    (path, value)
}

/// What was begun was begun days ago.
fn age(machine: &Machine) -> usize {
    let (path, mut value) = record(machine);
    let begun = value["unfinished"].as_object_mut().unwrap();
    for since in begun.values_mut() {
        *since = json!("2020-01-01T00:00:00Z");
    }
    let count = begun.len();
    fs::write(path, value.to_string()).unwrap();
    count
}

fn flip(file: &Path) {
    let mut bytes = fs::read(file).unwrap();
    bytes[40] ^= 1;
    fs::write(file, bytes).unwrap();
}

fn files(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).unwrap();
    entries.map(|e| e.unwrap().path()).collect()
}

#[test]
fn marks_get_past_what_a_clock_ahead_has_sent() {
    let Some((_dir, far, tower)) = beside("tower") else {
        return;
    };
    let id = tower.create("one");
    tower.ok(&["remote", "push"]);
    let parcel = &tagged(&far, POINT)[0];
    note_again(&far, parcel, at("2099-01-01T00:00:00Z"), None);
    tower.ok(&["mark-good", &id]);
    let pushed = tower.json(&["remote", "push"])["push"].clone();
    assert_eq!(pushed["marked"], json!([id]));
    let listed = tower.json(&["list", "--remote", "off", "--host", "tower"]);
    let good = &listed["points"]["items"][0]["marks"]["verdict"]["good"];
    assert_eq!(*good, json!(true), "{listed}");
    // They are there: nothing is sent once more.
    let pushed = tower.json(&["remote", "push"])["push"].clone();
    assert_eq!(pushed["marked"], json!([]));
    assert_eq!(pushed["there"], 1);
}

#[test]
fn what_was_learned_holds_no_content_and_its_past_is_pruned() {
    let Some((_dir, far, tower)) = beside("tower") else {
        return;
    };
    tower.create("one");
    tower.ok(&["remote", "push"]);
    let known = tagged(&far, KNOWLEDGE);
    let [known] = &known[..] else {
        panic!("{known:?}")
    };
    let points = tagged(&far, POINT);
    assert!(points.iter().all(|p| p.tree != known.tree));
    let copies = snapshots(&far);
    let copies = copies.iter().filter(|s| s.original.is_some());
    assert!(copies.into_iter().all(|s| s.tree != known.tree));
    // What was told before that, and what another machine told before.
    note_again(&far, known, at("2021-01-01T00:00:00Z"), Some("old"));
    note_again(&far, known, at("2022-01-01T00:00:00Z"), Some("less old"));
    let other = SnapshotInfo {
        host: "other".into(),
        ..known.clone()
    };
    note_again(&far, &other, at("2021-01-01T00:00:00Z"), Some("old"));
    note_again(&far, &other, at("2022-01-01T00:00:00Z"), None);
    tower.ok(&["remote", "prune", "--yes", "--keep-last", "5"]);
    let left = tagged(&far, KNOWLEDGE);
    let of = |host: &str| left.iter().filter(|s| s.host == host).count();
    assert_eq!((of("tower"), of("other")), (1, 2), "{left:?}");
    tower.ok(&[
        "remote",
        "prune",
        "--yes",
        "--keep-last",
        "5",
        "--all-hosts",
    ]);
    let left = tagged(&far, KNOWLEDGE);
    assert_eq!(left.len(), 2, "{left:?}");
    assert!(left.iter().all(|s| s.description == known.description));
    tower.ok(&["remote", "check", "--read-data"]);
}

#[test]
fn a_damaged_index_stops_nobody_and_what_it_told_of_is_sent_again() {
    let Some((_dir, far, tower)) = beside("tower") else {
        return;
    };
    tower.write("etc/nixos/large.bin", vec![7; 3 << 20]);
    let one = tower.create("one");
    tower.ok(&["remote", "push"]);
    files(&far.join("index")).iter().for_each(|file| flip(file));
    tower.cairn(&["remote", "check"]).ends(3);
    tower.write("var/lib/app/data", "newer\n");
    let two = tower.create("two");
    let pushed = tower.cairn(&["--json", "remote", "push"]).ends(3);
    assert_eq!(pushed.json()["push"]["sent"], json!([two]));
    assert_eq!(pushed.json()["push"]["failed"], json!([]));
    assert!(pushed.err.contains("cannot be read"), "{}", pushed.err);
    // Both come back on a machine that has nothing but the remote.
    let laptop = home("laptop").unwrap();
    let file = password(&laptop);
    let key = key(far.to_str().unwrap(), file.to_str().unwrap());
    let all = ["remote", "pull", "--host", "tower", "--all"];
    laptop.ok(&[&all[..], &key[..]].concat());
    laptop.ok(&["restore", &one, "--only", "config", "--yes"]);
    same(
        &contents(&tower.root().join("etc/nixos")),
        &contents(&laptop.root().join("etc/nixos")),
        "the configuration",
    );
    laptop.ok(&["restore", &two, "--only", "state", "--yes"]);
    assert_eq!(laptop.read("var/lib/app/data"), "newer\n");
    // Room is not made while it is not known what is needed.
    let before = contents(&far);
    let refused = tower.cairn(&["remote", "prune", "--yes", "--keep-last", "2"]);
    refused.fails(1, "is damaged", "check off --repair");
    same(&before, &contents(&far), "the remote");
    if need(&["restic"]) {
        let mended = Command::new("restic")
            .args(["-r", far.to_str().unwrap(), "rebuild-index"])
            .env("RESTIC_PASSWORD", PASSWORD)
            .output()
            .unwrap();
        assert!(mended.status.success(), "{mended:?}");
        tower.ok(&["remote", "check", "--read-data"]);
        tower.ok(&["remote", "prune", "--yes", "--keep-last", "2"]);
        sound(far.to_str().unwrap());
    }
}

#[test]
fn a_damaged_file_on_a_server_is_told_and_is_not_taken_for_absent() {
    let dir = tempfile::tempdir().unwrap();
    let Some(server) = Server::rest(dir.path(), &[]) else {
        return;
    };
    let url = format!("rest:http://127.0.0.1:{}/far/", server.port());
    let Some(tower) = with_remote("tower", &url) else {
        return;
    };
    tower.create("one");
    tower.ok(&["remote", "push"]);
    let far = dir.path().join("far");
    let parcel = &tagged(&far, POINT)[0];
    flip(&far.join("snapshots").join(&parcel.id));
    // Another machine has not read it before.
    let laptop = home("laptop").unwrap();
    let file = password(&laptop);
    let key = key(&url, file.to_str().unwrap());
    let listed = ["--json", "remote", "list"];
    let listed = laptop.cairn(&[&listed[..], &key[..]].concat()).ends(3);
    let damaged = listed.json()["points"]["damaged"].clone();
    assert!(damaged.to_string().contains(&parcel.id[..8]), "{damaged}");
    let prune = ["remote", "prune", "--yes", "--keep-last", "1"];
    laptop
        .cairn(&[&prune[..], &key[..]].concat())
        .fails(1, "is damaged", " --repair");
}

#[test]
fn a_repository_that_lost_its_settings_is_not_made_anew_over_it() {
    let Some((_dir, far, tower)) = beside("tower") else {
        return;
    };
    tower.create("one");
    tower.ok(&["remote", "push"]);
    fs::remove_file(far.join("config")).unwrap();
    let before = contents(&far);
    let file = password(&tower);
    let file = file.to_str().unwrap();
    let add = |url: &str| {
        let args = ["remote", "add", "again", url, "--new", "--password-file"];
        tower.cairn(&[&args[..], &[file]].concat())
    };
    let refused = add(far.to_str().unwrap()).ends(1);
    assert!(
        refused
            .err
            .contains("its settings, the file config, are gone"),
        "{}",
        refused.err
    );
    same(&before, &contents(&far), "the remote");
    // A repository that was never finished is made anew.
    let begun = tower.home().join("begun");
    assert!(add(begun.to_str().unwrap()).code == 0);
    tower.ok(&["remote", "remove", "again"]);
    for key in fs::read_dir(begun.join("keys")).unwrap() {
        fs::remove_file(key.unwrap().path()).unwrap();
    }
    assert!(add(begun.to_str().unwrap()).ends(0).out.contains("made"));
    tower.ok(&["remote", "push", "again"]);
    tower.ok(&["remote", "check", "again", "--read-data"]);
    tower.ok(&["remote", "remove", "again"]);
    // Digits of an address are no answer of a server.
    let gone = add("rest:http://127.0.0.1:1/404/NotFound").ends(1);
    assert!(!gone.err.contains("no repository"), "{}", gone.err);
    assert!(gone.err.contains("127.0.0.1:1"), "{}", gone.err);
}

#[test]
fn a_copy_of_the_future_does_not_look_new_for_years() {
    let Some((_dir, _far, tower)) = beside("tower") else {
        return;
    };
    let created = tower.json(&["create", "-r", "one"])["point"]["created"].clone();
    tower.ok(&["remote", "push"]);
    let newest = |machine: &Machine| {
        let known = machine.json(&["remote", "list"]);
        known["remotes"]["items"][0]["newest"].clone()
    };
    assert_eq!(newest(&tower), created);
    tower.write("etc/nixos/n.nix", "3\n");
    let id = tower.create("ahead");
    let path = tower.state().join("points").join(format!("{id}.json"));
    let mut point: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    point["created"] = json!("2099-01-01T00:00:00Z");
    fs::write(&path, point.to_string()).unwrap();
    tower.ok(&["remote", "push"]);
    assert_eq!(newest(&tower), created);
}

#[test]
fn what_a_cut_has_left_there_is_removed_by_a_later_prune() {
    let Some((_dir, far, tower)) = beside("tower") else {
        return;
    };
    let cut = |args: &[&str], fault: &str| {
        let died = tower.command(args).env("CAIRN_FAULT", fault).output();
        assert!(!died.unwrap().status.success(), "{fault}");
    };
    let content = |id: &str| tagged(&far, id).len();
    // A push that never went on, since its point is gone.
    let one = tower.create("one");
    cut(&["remote", "push"], "remote.copied:1");
    assert_eq!(content(&one), 2);
    tower.write("etc/nixos/n.nix", "2\n");
    let two = tower.create("two");
    tower.ok(&["prune", "--keep-last", "1", "--yes"]);
    assert_eq!(tower.ids(), std::slice::from_ref(&two));
    tower.write("etc/nixos/n.nix", "3\n");
    let three = tower.create("three");
    tower.ok(&["remote", "push"]);
    let prune = ["remote", "prune", "--yes", "--keep-last", "1"];
    // It might still be under way.
    tower.ok(&["remote", "prune", "--yes", "--keep-last", "5"]);
    assert_eq!(content(&one), 2);
    assert_eq!(age(&tower), 1);
    tower.ok(&["remote", "prune", "--yes", "--keep-last", "5"]);
    assert_eq!(content(&one), 0);
    assert_eq!(there(&tower), [two.clone(), three.clone()]);
    // A prune that was cut between a point and its content.
    cut(&prune, "remote.forgotten:1");
    assert_eq!(there(&tower), std::slice::from_ref(&three));
    assert_eq!(content(&two), 2);
    assert_eq!(age(&tower), 1);
    tower.ok(&prune);
    assert_eq!(content(&two), 0);
    assert!(record(&tower).1["unfinished"].is_null());
    tower.ok(&["remote", "check", "--read-data"]);
    assert_eq!(content(&three), 2);
}

#[test]
fn a_remote_of_the_policy_is_made_and_a_policy_that_says_else_is_seen_first() {
    let Some(tower) = home("tower") else { return };
    let far = tower.home().join("far");
    let file = password(&tower);
    let off = json!({ "url": far, "passwordFile": file, "maxAge": "2d" });
    policy(&tower, json!({ "off": off }));
    let before = tower.read("etc/cairn/policy.json");
    let args = ["remote", "add", "off", far.to_str().unwrap(), "--new"];
    let other = [&args[..], &["--password-file", "/etc/hostname"]].concat();
    let refused = tower.cairn(&other).ends(1);
    assert!(
        refused.err.contains("another remote off"),
        "{}",
        refused.err
    );
    assert!(!far.exists());
    let right = [&args[..], &["--password-file", file.to_str().unwrap()]].concat();
    assert!(tower.ok(&right).contains("made"));
    assert_eq!(tower.read("etc/cairn/policy.json"), before);
    tower.create("one");
    tower.ok(&["remote", "push"]);
}

#[test]
fn where_no_policy_can_be_written_no_repository_is_made() {
    if !need_root() {
        return;
    }
    let Some(tower) = home("tower") else { return };
    let far = tower.home().join("far");
    let script = r#"
        mount --bind "$2/etc" "$2/etc" && mount -o remount,ro,bind "$2/etc" &&
        exec "$1" --root "$2" remote add off "$3" --new --password-file "$4""#;
    let ended = Command::new("unshare")
        .args(["--mount", "sh", "-c", script, "sh"])
        .arg(env!("CARGO_BIN_EXE_cairn"))
        .arg(tower.root())
        .args([&far, &password(&tower)])
        .output()
        .unwrap();
    let run = Run::from(ended).ends(1);
    assert!(run.err.contains("Read-only file system"), "{}", run.err);
    assert!(!far.exists());
}

#[test]
fn a_push_that_fails_in_part_says_so_afterwards_too() {
    let Some((_dir, _far, tower)) = beside("tower") else {
        return;
    };
    tower.write("var/lib/app/data", "soon lost\n".repeat(999));
    tower.create("one");
    for folder in files(&tower.state().join("vault/state/data")) {
        for pack in files(&folder) {
            fs::remove_file(pack).unwrap();
        }
    }
    let pushed = tower.cairn(&["remote", "push"]).ends(3);
    assert!(pushed.err.contains("was not sent"), "{}", pushed.err);
    let known = tower.json(&["remote", "list"]);
    let trouble = known["remotes"]["items"][0]["trouble"].clone();
    assert!(trouble.to_string().contains("was not sent"), "{known}");
    // A record that is damaged is no reason to list nothing.
    fs::write(record(&tower).0, "{").unwrap();
    let known = tower.json(&["remote", "list"]);
    let trouble = known["remotes"]["items"][0]["trouble"].clone();
    assert!(trouble.to_string().contains("off.json"), "{known}");
}

#[test]
fn a_point_that_is_not_there_is_told_by_its_own_code() {
    let Some((_dir, _far, tower)) = beside("tower") else {
        return;
    };
    tower.create("one");
    tower.ok(&["remote", "push"]);
    let none = ["remote", "pull", "ffffffff", "--host", "tower"];
    tower
        .cairn(&none)
        .fails(10, "no restore point ffffffff", "cairn remote list");
}

#[test]
fn nix_opens_a_store_beside_the_remote_with_the_same_keys() {
    let Some((dir, far, tower)) = beside("tower") else {
        return;
    };
    let bin = dir.path().join("bin");
    let told = dir.path().join("told");
    let script = format!(
        "{{ echo \"$AWS_ACCESS_KEY_ID $AWS_SECRET_ACCESS_KEY\"; echo \"$@\"; }} > {}\n",
        told.display()
    );
    executable(&bin.join("nix"), &script);
    let keys = dir.path().join("keys");
    fs::write(&keys, "AWS_ACCESS_KEY_ID=me\nAWS_SECRET_ACCESS_KEY=hush\n").unwrap();
    tower.create("with its system");
    policy(
        &tower,
        json!({ "off": {
            "url": far, "passwordFile": password(&tower), "environmentFile": keys,
            "closures": "s3://cache?endpoint=127.0.0.1",
        } }),
    );
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
    let pushed = tower
        .command(&["remote", "push"])
        .env("PATH", path)
        .output()
        .unwrap();
    assert!(pushed.status.success(), "{pushed:?}");
    let told = fs::read_to_string(told).unwrap();
    let (opened, arguments) = told.split_once('\n').unwrap();
    assert_eq!(opened, "me hush");
    assert!(arguments.contains("s3://cache"), "{arguments}");
    assert!(!arguments.contains("hush"), "{arguments}");
}

#[test]
fn what_a_cut_push_left_and_a_prune_marked_is_no_damage() {
    let Some((_dir, far, tower)) = beside("tower") else {
        return;
    };
    tower.create("one");
    tower.ok(&["remote", "push"]);
    // A pack that no index knows, as a cut leaves one.
    let pack = walk_files(&far.join("data")).pop().unwrap();
    let stray = "00".to_owned() + &"5a".repeat(31);
    fs::create_dir_all(far.join("data/00")).unwrap();
    fs::copy(&pack, far.join("data/00").join(&stray)).unwrap();
    tower.ok(&["remote", "check"]);
    // Files of writers: one that was cut off long ago, and one at work.
    let (old, new) = (far.join("tmp/1-0"), far.join("tmp/2-0"));
    for file in [&old, &new] {
        fs::create_dir_all(far.join("tmp")).unwrap();
        fs::write(file, "half").unwrap();
    }
    let long_ago = std::time::SystemTime::now() - std::time::Duration::from_secs(25 * 3600);
    let file = fs::File::options().write(true).open(&old).unwrap();
    file.set_modified(long_ago).unwrap();
    // Written anew, the index forgets how large it was.
    for n in 0..3 {
        tower.write("etc/nixos/n.nix", format!("{n}\n"));
        tower.create("n");
        tower.ok(&["remote", "push"]);
        tower.ok(&["remote", "prune", "--yes", "--keep-last", "1"]);
    }
    assert!(!old.exists() && new.exists());
    let told = tower.json(&["remote", "check", "--read-data"])["check"].clone();
    assert_eq!(told["problems"], json!([]), "{told}");
    assert!(told.to_string().contains(&stray[..8]), "{told}");
    // One that is needed, and is not what it was, is damage.
    for pack in walk_files(&far.join("data")) {
        let mut bytes = fs::read(&pack).unwrap();
        bytes.pop();
        fs::write(&pack, bytes).unwrap();
    }
    tower.cairn(&["remote", "check"]).ends(3);
}

#[test]
fn what_a_dying_server_tore_is_mended_and_sent_again() {
    let Some((dir, far, tower)) = beside("tower") else {
        return;
    };
    let Some(laptop) = home("laptop") else { return };
    let file = password(&laptop);
    policy(
        &laptop,
        json!({ "off": { "url": &far, "passwordFile": file } }),
    );
    for n in 0..3 {
        for machine in [&tower, &laptop] {
            machine.write(
                "etc/nixos/n.nix",
                format!("{n} of {}\n", machine.home().display()),
            );
            machine.write("var/lib/app/data", format!("{n}\n").repeat(5000));
            machine.create("n");
            machine.ok(&["remote", "push"]);
        }
    }
    let all = there(&tower);
    // Of each kind one, in the middle of being written, and a pack that is gone.
    let torn = |kind: &str, keep: usize| {
        let mut files = walk_files(&far.join(kind));
        files.sort();
        let bytes = fs::read(&files[0]).unwrap();
        fs::write(&files[0], &bytes[..keep.min(bytes.len() / 2)]).unwrap();
    };
    torn("index", 0);
    torn("snapshots", 7);
    let packs = walk_files(&far.join("data"));
    fs::remove_file(packs.iter().min().unwrap()).unwrap();
    fs::write(packs.iter().max().unwrap(), "half").unwrap();
    tower.cairn(&["remote", "check"]).ends(3);
    let refused = tower.cairn(&["remote", "prune", "--yes"]);
    assert!(
        refused.err.contains("cairn remote check off --repair"),
        "{}",
        refused.err
    );
    // Each machine has what it sent.
    for machine in [&tower, &laptop] {
        machine.cairn(&["remote", "check", "--repair"]);
    }
    let told = tower.json(&["remote", "check", "--read-data"])["check"].clone();
    assert_eq!(told["problems"], json!([]), "{told}");
    assert_eq!(there(&tower), all);
    tower.ok(&["remote", "prune", "--yes"]);
    if need(&["restic"]) {
        sound(far.to_str().unwrap());
    }
    // What was torn is kept.
    let kept = walk_files(&tower.state().join("damaged/remotes/off"));
    assert_eq!(kept.len(), 2, "{kept:?}");
    // All of it comes back elsewhere.
    let new = home("new").unwrap();
    let file = password(&new);
    for host in ["tower", "laptop"] {
        let pull = ["remote", "pull", "--all", "--host", host];
        new.ok(&[
            &pull[..],
            &key(far.to_str().unwrap(), file.to_str().unwrap()),
        ]
        .concat());
    }
    new.ok(&["verify", "--read-data"]);
    // Where nothing is amiss, nothing is done.
    let told = tower.json(&["remote", "check", "--repair"])["check"].clone();
    assert_eq!(told["mended"], json!([]), "{told}");
    drop(dir);
}

#[test]
fn a_machine_without_a_policy_can_add_a_remote() {
    let Some(tower) = home("tower") else { return };
    fs::remove_dir_all(tower.root().join("etc/cairn")).unwrap();
    let far = tower.home().join("far");
    let file = password(&tower);
    let add = ["remote", "add", "off", far.to_str().unwrap(), "--new"];
    tower.ok(&[&add[..], &["--password-file", file.to_str().unwrap()]].concat());
    tower.create("one");
    tower.ok(&["remote", "push"]);
    assert_eq!(there(&tower).len(), 1);
}

/// All files below a folder.
fn walk_files(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut todo = vec![dir.to_owned()];
    while let Some(dir) = todo.pop() {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => todo.push(path),
                false => found.push(path),
            }
        }
    }
    found
}
