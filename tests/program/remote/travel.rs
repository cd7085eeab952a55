//! Copies elsewhere: sent, listed, brought back on another machine, and what
//! can go wrong on the way.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::thread;
use std::time::Duration;

use crate::support::{
    Machine, Run, Server, System, contents, home, key, need, password, policy, same, sound, there,
    with_remote,
};
use serde_json::{Value, json};

/// From one machine to another through nothing but the address and the
/// password; gives both machines.
fn travels(url: &str) -> Option<(Machine, Machine)> {
    let tower = with_remote("tower", url)?;
    let hardware = "{ fileSystems.\"/\".device = \"/dev/disk/by-uuid/tower\"; }\n";
    tower.write("etc/nixos/hardware-configuration.nix", hardware);
    tower.write("etc/nixos/large.bin", vec![7; 3 << 20]);
    let first = tower.create("the first");
    let pushed = tower.json(&["remote", "push"]);
    assert_eq!(pushed["push"]["sent"], json!([first]));
    assert_eq!(tower.json(&["remote", "push"])["push"]["there"], 1);
    tower.write("var/lib/app/data", "newer\n");
    let second = tower.create("the second");
    tower.ok(&["pin", &second, "-r", "for the trip"]);
    tower.ok(&["remote", "push"]);
    assert_eq!(there(&tower), [first.clone(), second.clone()]);
    // Marks that come later are told as well.
    tower.ok(&["mark-good", &first]);
    let again = tower.json(&["remote", "push"]);
    assert_eq!(again["push"]["marked"], json!([first]));

    let laptop = home("laptop")?;
    let file = password(&laptop);
    let key = key(url, file.to_str().unwrap());
    let listed = laptop.ok(&[&["remote", "list"], &key[..]].concat());
    assert!(listed.contains("tower") && listed.contains('2'), "{listed}");
    let all = laptop.json(&[&["list", "--all-hosts"], &key[..]].concat());
    assert_eq!(all["points"]["items"].as_array().unwrap().len(), 2);
    assert_eq!(
        all["points"]["items"][0]["marks"]["verdict"]["good"],
        json!(true)
    );
    let back = ["restore", "--host", "tower", "--only", "config", "--yes"];
    let told = laptop.cairn(&[&back[..], &key[..]].concat()).ends(0);
    assert!(told.err.contains("taken on tower"), "{}", told.err);
    assert!(told.err.contains("of other hardware"), "{}", told.err);
    same(
        &contents(&tower.root().join("etc/nixos")),
        &contents(&laptop.root().join("etc/nixos")),
        "the configuration",
    );
    let point = laptop.json(&["show", &second])["point"].clone();
    assert_eq!(point["marks"]["pinned"]["reason"], "for the trip");
    laptop.ok(&["restore", &second, "--only", "state", "--yes"]);
    assert_eq!(laptop.read("var/lib/app/data"), "newer\n");
    let one = [
        &["remote", "pull", &first[..13], "--host", "tower"],
        &key[..],
    ]
    .concat();
    assert!(laptop.ok(&one).contains("fetched"));
    assert!(laptop.ok(&one).contains("is here already"));
    laptop.ok(&["verify", "--read-data"]);
    laptop.ok(&["undo", "--yes"]);
    assert_eq!(laptop.read("var/lib/app/data"), "data of laptop\n");
    // What came from elsewhere is not sent as its own.
    policy(
        &laptop,
        json!({ "off": { "url": url, "passwordFile": file } }),
    );
    let sent = laptop.json(&["remote", "push"])["push"]["sent"].clone();
    assert!(!sent.to_string().contains(&first), "{sent}");
    laptop.ok(&["remote", "check", "--read-data"]);
    Some((tower, laptop))
}

#[test]
fn the_hardware_configuration_of_this_machine_stays() {
    const FILE: &str = "etc/nixos/hardware-configuration.nix";
    let dir = tempfile::tempdir().unwrap();
    let url = dir.path().join("far");
    let Some(tower) = with_remote("tower", url.to_str().unwrap()) else {
        return;
    };
    let theirs = "{ fileSystems.\"/\".device = \"/dev/disk/by-uuid/tower\"; }\n";
    let ours = "{ fileSystems.\"/\".device = \"/dev/disk/by-uuid/laptop\"; }\n";
    tower.write(FILE, theirs);
    tower.write("etc/nixos/tower.nix", "{ }\n");
    let id = tower.create("theirs");
    tower.ok(&["remote", "push"]);
    let laptop = home("laptop").unwrap();
    laptop.write(FILE, ours);
    let file = password(&laptop);
    let key = key(url.to_str().unwrap(), file.to_str().unwrap());
    let part = ["--only", "config", "--yes"];
    let restore = |args: &[&str]| laptop.cairn(&[&["restore"], args, &part].concat());
    // A restore that is cut off goes on with that, too.
    let far = [&["--host", "tower"], &key[..]].concat();
    let cut = [&["restore"], &far[..], &part].concat();
    let mut cut = laptop.command(&cut);
    let cut = cut.env("CAIRN_FAULT", "restore.file").output().unwrap();
    assert!(!cut.status.success());
    laptop.ok(&["resume", "--yes"]);
    assert_eq!(laptop.read(FILE), ours);
    assert_eq!(laptop.read("etc/nixos/tower.nix"), "{ }\n");
    laptop.ok(&["undo", "--yes"]);
    assert!(!laptop.root().join("etc/nixos/tower.nix").exists());
    let told = restore(&far).ends(0);
    assert!(told.err.contains("stays as it is here"), "{}", told.err);
    assert_eq!(laptop.read(FILE), ours);
    assert_eq!(laptop.read("etc/nixos/tower.nix"), "{ }\n");
    // It is as the restore wanted it: there is nothing left to do.
    assert!(restore(&[&id]).ends(0).out.contains("already as"));
    // By name, or by wish, it comes.
    laptop.ok(&["restore", &id, &format!("/{FILE}"), "--yes"]);
    assert_eq!(laptop.read(FILE), theirs);
    laptop.ok(&["undo", "--yes"]);
    assert_eq!(laptop.read(FILE), ours);
    restore(&[&id, "--hardware"]).ends(0);
    assert_eq!(laptop.read(FILE), theirs);
    // Its own points are its own hardware.
    laptop.write(FILE, ours);
    let own = laptop.create("own");
    laptop.write(FILE, "{ }\n");
    restore(&[&own]).ends(0);
    assert_eq!(laptop.read(FILE), ours);
}

#[test]
fn points_travel_through_a_directory() {
    let dir = tempfile::tempdir().unwrap();
    let url = dir.path().join("far");
    let Some((tower, _)) = travels(url.to_str().unwrap()) else {
        return;
    };
    let mode = std::os::unix::fs::PermissionsExt::mode(&fs::metadata(&url).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o700);
    if need(&["restic"]) {
        sound(url.to_str().unwrap());
    }
    // What is known of it here, without asking it.
    let known = tower.json(&["remote", "list"]);
    assert!(
        known["remotes"]["items"][0]["newest"].is_string(),
        "{known}"
    );
}

#[test]
fn points_travel_through_a_rest_server() {
    let dir = tempfile::tempdir().unwrap();
    let Some(server) = Server::rest(dir.path(), &[]) else {
        return;
    };
    let url = format!("rest:http://127.0.0.1:{}/far/", server.port());
    if travels(&url).is_some() && need(&["restic"]) {
        sound(&url);
    }
}

#[cfg(feature = "remote-s3")]
#[test]
fn points_travel_through_an_object_store() {
    let Some(server) = Server::s3() else { return };
    let url = format!("s3:http://127.0.0.1:{}/cairn/far", server.port());
    // The tests of this file run in one process: these names are of this one.
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(
        file.path(),
        "# of the test\nAWS_ACCESS_KEY_ID=test\nAWS_SECRET_ACCESS_KEY='test'\n",
    )
    .unwrap();
    let Some(tower) = home("tower") else { return };
    let (secret, keys) = (password(&tower), file.path().to_str().unwrap());
    let secret = secret.to_str().unwrap();
    let add = ["remote", "add", "off", &url, "--password-file", secret];
    tower.cairn(&[&add[..], &["--new"]].concat()).fails(
        1,
        "AWS_ACCESS_KEY_ID is not set",
        "--environment-file FILE",
    );
    let opened = ["--environment-file", keys];
    tower.ok(&[&add[..], &["--new"], &opened].concat());
    let id = tower.create("to the bucket");
    tower.ok(&["remote", "push"]);
    assert_eq!(there(&tower), std::slice::from_ref(&id));
    let laptop = home("laptop").unwrap();
    let back = ["restore", "--host", "tower", "--yes", "--only", "state"];
    laptop.ok(&[&back[..], &key(&url, secret), &opened].concat());
    assert_eq!(laptop.read("var/lib/app/data"), "data of tower\n");
    tower.ok(&["remote", "check", "--read-data"]);
    tower.ok(&["remote", "prune", "--yes", "--keep-last", "1"]);
    if need(&["restic"]) {
        let checked = std::process::Command::new("restic")
            .args(["-r", &url, "check", "--read-data"])
            .env("RESTIC_PASSWORD", crate::support::PASSWORD)
            .env("AWS_ACCESS_KEY_ID", "test")
            .env("AWS_SECRET_ACCESS_KEY", "test")
            .output()
            .unwrap();
        assert!(checked.status.success(), "{checked:?}");
    }
    let wrong = tempfile::NamedTempFile::new().unwrap();
    fs::write(wrong.path(), "AWS_ACCESS_KEY_ID\n").unwrap();
    let listed = ["remote", "list", "off", "--environment-file"];
    tower
        .cairn(&[&listed[..], &[wrong.path().to_str().unwrap()]].concat())
        .fails(1, "line 1 is not NAME=VALUE", "ls -ld");
}

#[cfg(feature = "remote-s3")]
#[test]
fn points_travel_through_sftp() {
    let Some((mut server, bin)) = Server::sftp() else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let Some(tower) = home("tower") else { return };
    let secret = password(&tower);
    let url = format!("sftp:backup:{}/far", folder.path().display());
    let run = |machine: &Machine, args: &[&str]| -> Run {
        let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
        let out = machine.command(args).env("PATH", path).output().unwrap();
        Run::from(out)
    };
    let add = ["remote", "add", "off", &url, "--new", "--password-file"];
    run(&tower, &[&add[..], &[secret.to_str().unwrap()]].concat()).ends(0);
    tower.create("by sftp");
    run(&tower, &["remote", "push"]).ends(0);
    let laptop = home("laptop").unwrap();
    let back = ["restore", "--host", "tower", "--yes", "--only", "state"];
    let key = key(&url, secret.to_str().unwrap());
    run(&laptop, &[&back[..], &key[..]].concat()).ends(0);
    assert_eq!(laptop.read("var/lib/app/data"), "data of tower\n");
    run(&tower, &["remote", "check", "--read-data"]).ends(0);
    if need(&["restic"]) {
        sound(folder.path().join("far").to_str().unwrap());
    }
    // What ssh says of it is told.
    server.kill();
    let told = run(&tower, &["remote", "push"]).ends(1);
    assert!(told.err.contains("Connection refused"), "{}", told.err);
}

#[test]
fn a_server_that_forbids_deleting_is_pushed_to_all_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let Some(server) = Server::rest(dir.path(), &["--append-only"]) else {
        return;
    };
    let url = format!("rest:http://127.0.0.1:{}/far/", server.port());
    let Some(tower) = with_remote("tower", &url) else {
        return;
    };
    let ids: Vec<String> = (0..3)
        .map(|n| {
            tower.write("etc/nixos/n.nix", format!("{n}\n"));
            let id = tower.create("n");
            tower.ok(&["remote", "push"]);
            id
        })
        .collect();
    let prune = ["--json", "remote", "prune", "--yes", "--keep-last", "1"];
    let refused = tower.cairn(&prune).ends(3).json();
    assert_eq!(refused["prune"]["removed"], json!([]), "{refused}");
    assert_eq!(refused["prune"]["kept"], 3);
    assert_eq!(there(&tower), ids);
    tower.ok(&["remote", "check", "--read-data"]);
}

#[test]
fn a_server_killed_in_mid_push_costs_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let Some(mut server) = Server::rest(dir.path(), &[]) else {
        return;
    };
    let url = format!("rest:http://127.0.0.1:{}/far/", server.port());
    let Some(tower) = with_remote("tower", &url) else {
        return;
    };
    // Noise, so that it takes a while.
    let mut noise = vec![0u8; 24 << 20];
    let mut state = 1u64;
    for byte in &mut noise {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1);
        *byte = (state >> 33) as u8;
    }
    tower.write("var/lib/app/noise", &noise);
    let id = tower.create("much");
    let packs = || walk(&dir.path().join("far/data"));
    let mut push = tower.command(&["remote", "push"]);
    let push = push.stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = push.spawn().unwrap();
    for _ in 0..2000 {
        if packs() >= 2 {
            break;
        }
        thread::sleep(Duration::from_millis(1));
    }
    server.kill();
    let cut = Run::from(child.wait_with_output().unwrap());
    if cut.code != 0 {
        assert!(cut.err.contains("rest:http"), "{}", cut.err);
        assert!(cut.err.contains("try: "), "{}", cut.err);
    }
    // A server that is gone is no wrong password.
    let gone = tower.cairn(&["remote", "list", "off"]).ends(1);
    assert!(!gone.err.contains("password"), "{}", gone.err);
    let known = tower.json(&["remote", "list"]);
    let trouble = known["remotes"]["items"][0]["trouble"].is_string();
    assert_eq!(trouble, cut.code != 0, "{known}");
    server.start_again();
    assert!(there(&tower).is_empty() || cut.code == 0, "no half point");
    tower.ok(&["remote", "push"]);
    assert_eq!(there(&tower), [id]);
    tower.ok(&["remote", "check", "--read-data"]);
    if need(&["restic"]) {
        sound(&url);
    }
}

fn walk(dir: &Path) -> usize {
    let Ok(entries) = fs::read_dir(dir) else {
        return 0;
    };
    entries
        .flatten()
        .map(|e| match e.path().is_dir() {
            true => walk(&e.path()),
            false => 1,
        })
        .sum()
}

#[test]
fn a_push_that_dies_anywhere_leaves_no_half_point_and_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let Some(server) = Server::rest(dir.path(), &[]) else {
        return;
    };
    for (n, fault) in [
        "remote.write:1",
        "remote.write:3",
        "remote.copied:1",
        "remote.noted:1",
    ]
    .into_iter()
    .enumerate()
    {
        let url = format!("rest:http://127.0.0.1:{}/far-{n}/", server.port());
        let Some(tower) = with_remote("tower", &url) else {
            return;
        };
        let id = tower.create("to be cut");
        let died = tower
            .command(&["remote", "push"])
            .env("CAIRN_FAULT", fault)
            .output()
            .unwrap();
        assert!(!died.status.success(), "{fault}");
        let after: &[String] = match fault {
            "remote.noted:1" => std::slice::from_ref(&id),
            _ => &[],
        };
        assert_eq!(there(&tower), after, "{fault}");
        tower.ok(&["remote", "push"]);
        assert_eq!(there(&tower), [id], "{fault}");
        tower.ok(&["remote", "check", "--read-data"]);
    }
}

#[test]
fn what_does_not_open_it_is_told_and_nothing_is_changed() {
    let dir = tempfile::tempdir().unwrap();
    let url = dir.path().join("far");
    let url = url.to_str().unwrap();
    let Some(tower) = with_remote("tower", url) else {
        return;
    };
    tower.create("one");
    tower.ok(&["remote", "push"]);
    let before = contents(dir.path());
    let wrong = tower.home().join("wrong");
    fs::write(&wrong, "guess\n").unwrap();
    let wrong = wrong.to_str().unwrap();
    for verb in [&["push"][..], &["list"], &["check"], &["prune"]] {
        let args = [&["remote"], verb, &["off", "--password-file", wrong]].concat();
        let run = tower.cairn(&args).ends(12);
        assert!(run.err.contains("does not open"), "{}", run.err);
        assert!(!run.err.contains("guess"), "{}", run.err);
    }
    // The key of another repository.
    let other = dir.path().join("other");
    let stranger = with_remote("stranger", other.to_str().unwrap()).unwrap();
    stranger.create("s");
    stranger.ok(&["remote", "push"]);
    same(
        &before,
        &contents(dir.path())
            .into_iter()
            .filter(|(path, _)| !path.starts_with("other"))
            .collect(),
        "the remote",
    );
    for key in fs::read_dir(other.join("keys")).unwrap() {
        let key = key.unwrap().path();
        let place = Path::new(url).join("keys");
        for old in fs::read_dir(&place).unwrap() {
            fs::remove_file(old.unwrap().path()).unwrap();
        }
        fs::copy(&key, place.join(key.file_name().unwrap())).unwrap();
    }
    let run = tower.cairn(&["remote", "push"]);
    assert!(run.code != 0, "{}", run.out);
    // Names and addresses.
    tower
        .cairn(&["remote", "push", "nowhere"])
        .fails(1, "no remote nowhere", "cairn remote list");
    let file = password(&tower);
    let file = file.to_str().unwrap();
    let add = |name, url| {
        let args = ["remote", "add", name, url, "--password-file", file];
        tower.cairn(&args)
    };
    add("new", "ftp:x").fails(1, "is no address", "cairn remote add --help");
    let secret = add("new", "rest:https://me:hunter2@host/x");
    let secret = secret.fails(1, "has a password in it", "cairn remote add --help");
    assert!(!secret.err.contains("hunter2"));
    add("Büro", "/x").fails(1, "no name of a remote", "cairn remote add --help");
    add("new", "/nowhere/at/all").fails(1, "there is no repository", "--new");
    let gone = add("new", "rest:http://127.0.0.1:1/x");
    assert!(
        gone.code == 1 && gone.err.contains("127.0.0.1:1"),
        "{}",
        gone.err
    );
}

#[test]
fn rules_of_a_remote_are_its_own_and_clocks_may_be_wrong() {
    let dir = tempfile::tempdir().unwrap();
    let url = dir.path().join("far");
    let url = url.to_str().unwrap();
    let Some(tower) = with_remote("tower", url) else {
        return;
    };
    let keep = |last: u32| json!({ "off": { "url": url, "passwordFile": password(&tower), "keep": { "keepLast": last } } });
    let mut ids = Vec::new();
    for n in 0..5 {
        tower.write("etc/nixos/n.nix", format!("{n}\n"));
        ids.push(tower.create("n"));
    }
    tower.ok(&["pin", &ids[0]]);
    policy(&tower, keep(2));
    let pushed = tower.json(&["remote", "push"])["push"].clone();
    assert_eq!(pushed["sent"], json!([ids[0], ids[3], ids[4]]), "{pushed}");
    assert_eq!(pushed["passedOver"], 2);
    // Another machine, whose clock is a year ahead, prunes only its own.
    let laptop = home("laptop").unwrap();
    policy(
        &laptop,
        json!({ "off": { "url": url, "passwordFile": password(&laptop), "keep": { "keepLast": 1 } } }),
    );
    laptop.write("etc/nixos/n.nix", "from the future\n");
    let id = laptop.create("ahead");
    let path = laptop.state().join("points").join(format!("{id}.json"));
    let text = fs::read_to_string(&path).unwrap();
    let mut point: Value = serde_json::from_str(&text).unwrap();
    point["created"] = json!("2099-01-01T00:00:00Z");
    fs::write(&path, point.to_string()).unwrap();
    laptop.ok(&["remote", "push"]);
    let second = laptop.create("now");
    laptop.ok(&["remote", "push"]);
    assert!(there(&laptop).contains(&second));
    laptop.ok(&["remote", "prune", "--yes"]);
    let left = there(&tower);
    for id in [&ids[0], &ids[3], &ids[4]] {
        assert!(left.contains(id), "{left:?}");
    }
    policy(&tower, keep(1));
    let gone = tower.json(&["remote", "prune", "-n"])["prune"]["removed"].clone();
    assert_eq!(gone, json!([ids[3]]));
    tower.ok(&["remote", "prune", "--yes"]);
    assert!(!there(&tower).contains(&ids[3]));
    // It does not come back with the next push.
    assert_eq!(tower.json(&["remote", "push"])["push"]["sent"], json!([]));
    tower.ok(&["remote", "check", "--read-data"]);
}

#[test]
fn two_machines_push_while_a_third_prunes() {
    let dir = tempfile::tempdir().unwrap();
    let Some(server) = Server::rest(dir.path(), &[]) else {
        return;
    };
    let url = format!("rest:http://127.0.0.1:{}/far/", server.port());
    let Some(first) = with_remote("first", &url) else {
        return;
    };
    let (second, third) = (home("second").unwrap(), home("third").unwrap());
    for machine in [&second, &third] {
        let file = password(machine);
        policy(
            machine,
            json!({ "off": { "url": &url, "passwordFile": file } }),
        );
    }
    third.create("of the pruner");
    third.ok(&["remote", "push"]);
    let push = |machine: &Machine, name: &str| {
        for n in 0..5 {
            machine.write("var/lib/app/data", format!("{name} {n}\n").repeat(4000));
            machine.write("etc/nixos/n.nix", format!("{name} {n}\n"));
            machine.create("n");
            machine.ok(&["remote", "push"]);
        }
    };
    thread::scope(|scope| {
        scope.spawn(|| push(&first, "first"));
        scope.spawn(|| push(&second, "second"));
        for n in 0..6 {
            third.write("etc/nixos/n.nix", format!("third {n}\n"));
            third.create("n");
            third.ok(&["remote", "push"]);
            third.ok(&["remote", "prune", "--yes", "--keep-last", "1"]);
        }
    });
    let listed = first.json(&["list", "--remote", "off", "--all-hosts"]);
    let hosts = &listed["points"]["hosts"];
    assert_eq!(hosts["first"], 5, "{hosts}");
    assert_eq!(hosts["second"], 5, "{hosts}");
    first.ok(&["remote", "check", "--read-data"]);
    if need(&["restic"]) {
        sound(&url);
    }
    // Every point that is listed comes back.
    let laptop = home("laptop").unwrap();
    let file = password(&laptop);
    for host in ["first", "second", "third"] {
        let all = ["remote", "pull", "--host", host, "--all"];
        laptop.ok(&[&all[..], &key(&url, file.to_str().unwrap())].concat());
    }
    laptop.ok(&["verify", "--read-data"]);
}

#[test]
fn a_damaged_parcel_hides_no_other() {
    let dir = tempfile::tempdir().unwrap();
    let url = dir.path().join("far");
    let Some(tower) = with_remote("tower", url.to_str().unwrap()) else {
        return;
    };
    let one = tower.create("one");
    tower.ok(&["remote", "push"]);
    let snapshots = || -> Vec<PathBuf> {
        let entries = fs::read_dir(url.join("snapshots")).unwrap();
        entries.map(|e| e.unwrap().path()).collect()
    };
    let before = snapshots();
    tower.write("etc/nixos/n.nix", "2\n");
    let two = tower.create("two");
    tower.ok(&["remote", "push"]);
    let new = snapshots()
        .into_iter()
        .find(|p| !before.contains(p))
        .unwrap();
    let mut bytes = fs::read(&new).unwrap();
    bytes[20] ^= 1;
    fs::write(&new, bytes).unwrap();
    let run = tower.cairn(&["--json", "remote", "list", "off"]).ends(3);
    assert!(run.out.contains(&one), "{}", run.out);
    assert_eq!(run.json()["points"]["damaged"].as_array().unwrap().len(), 1);
    tower.cairn(&["remote", "check"]).ends(3);
    // Nothing is freed while it is not known what a snapshot needs.
    let refused = tower.cairn(&["remote", "prune", "--yes"]);
    assert!(refused.code != 0, "{}", refused.out);
    // What was hit is sent again.
    tower.cairn(&["remote", "push"]).ends(3);
    let listed = tower.cairn(&["--json", "remote", "list", "off"]).out;
    assert!(listed.contains(&two), "{listed}");
}

#[test]
fn systems_go_to_a_nix_store_beside_the_remote() {
    let dir = tempfile::tempdir().unwrap();
    let (url, cache) = (dir.path().join("far"), dir.path().join("cache"));
    let Some(tower) = with_remote("tower", url.to_str().unwrap()) else {
        return;
    };
    let closures = format!("file://{}", cache.display());
    tower.create("with its system");
    policy(
        &tower,
        json!({ "off": { "url": url, "passwordFile": password(&tower), "closures": closures } }),
    );
    let pushed = tower.json(&["remote", "push", "--closure"])["push"].clone();
    assert_eq!(pushed["closures"], 1, "{pushed}");
    let hash = &tower.path(System::Two)["/nix/store/".len()..][..32];
    assert!(cache.join(format!("{hash}.narinfo")).exists());
    // On a machine that is reached by ssh.
    if let Some((_server, bin)) = Server::sftp() {
        let far = dir.path().join("store");
        let closures = format!("ssh://backup?remote-store={}", far.display());
        let off = json!({ "url": url, "passwordFile": password(&tower), "closures": closures });
        policy(&tower, json!({ "off": off }));
        let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
        let mut push = tower.command(&["remote", "push", "--closure"]);
        let pushed = Run::from(push.env("PATH", path).output().unwrap()).ends(0);
        assert!(!pushed.err.contains("not sent"), "{}", pushed.err);
        assert!(far.join(&tower.path(System::Two)[1..]).exists());
    }
    // Without a store, it is said.
    policy(
        &tower,
        json!({ "off": { "url": url, "passwordFile": password(&tower) } }),
    );
    tower.cairn(&["remote", "push", "--closure"]).fails(
        1,
        "(remotes.off.closures, such as",
        "cairn policy show",
    );
}
