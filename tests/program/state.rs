//! State sets: captured while they are held still, brought back exactly, and
//! what was there before is never lost.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use crate::support::{Host, Run, contents, same, short};
use serde_json::{Value, json};

fn names(point: &Value) -> Vec<&str> {
    point["state"]
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect()
}

fn app() -> Value {
    json!({ "state": { "app": { "paths": ["/var/lib/app"], "exclude": ["/var/lib/app/cache"] } } })
}

#[test]
fn state_comes_back_exactly_and_undo_brings_back_what_was_there() {
    let Some(host) = Host::new(app()) else {
        return;
    };
    let m = &host.machine;
    let dir = host.app();
    m.mode("var/lib/app/data", 0o640);
    m.link("data", "var/lib/app/link");
    m.write("var/lib/app/.git/HEAD", "a repository is state too\n");
    let odd = Path::new(std::ffi::OsStr::from_bytes(b"not\xffutf8\n"));
    fs::write(dir.join(odd), "odd").unwrap();
    xattr::set(dir.join("data"), "user.origin", b"one").unwrap();
    let _socket = UnixListener::bind(dir.join("socket")).unwrap();
    let time = |folder: &str| fs::metadata(dir.join(folder)).unwrap().modified().unwrap();
    let times = |folders: [&str; 2]| folders.map(time);
    let before = contents(&dir);
    let then = times(["", "deep"]);
    let point = host.create(&["-r", "then"]);
    let set = &point["state"]["app"];
    assert_eq!(
        set["roots"][0],
        json!({"path": "/var/lib/app", "kind": "directory"})
    );
    assert_eq!(set["excluded"], json!(["/var/lib/app/cache"]));
    assert_eq!(set["files"], 4, "{set}");
    assert_eq!(set["bytes"], 4 + 5 + 26 + 3);
    assert_eq!(point["completeness"]["status"], "complete");

    m.write("var/lib/app/data", "two, and longer\n");
    fs::remove_dir_all(dir.join("deep")).unwrap();
    m.write("var/lib/app/added/since", "new\n");
    m.write("var/lib/app/cache/big", "cached since\n");
    m.write("var/lib/app/cache/more", "cached since\n");
    xattr::remove(dir.join("data"), "user.origin").unwrap();
    m.write("etc/nixos/hardware.nix", "{ changed = true; }\n");
    let changed = contents(&dir);
    let later = times(["", "added"]);

    let told = host.ok(&["restore", "--only", "state", "-y"]);
    assert!(told.contains("state app /var/lib/app"), "{told}");
    let mut expected = before.clone();
    for path in ["cache/big", "cache/more"].map(PathBuf::from) {
        expected.insert(path.clone(), changed[&path].clone());
    }
    same(&expected, &contents(&dir), "after the restore");
    assert_eq!(times(["", "deep"]), then);
    // The rest of the machine was not asked for.
    assert_eq!(m.read("etc/nixos/hardware.nix"), "{ changed = true; }\n");

    host.ok(&["undo", "-y"]);
    same(&changed, &contents(&dir), "after undo");
    assert_eq!(times(["", "added"]), later);
    let id = short(point["id"].as_str().unwrap());
    host.ok(&["restore", &id, "-y"]);
    same(&expected, &contents(&dir), "after a whole restore");
    assert_eq!(m.read("etc/nixos/hardware.nix"), "{ }\n");
    assert!(host.ok(&["restore", &id, "-y"]).contains("already"));
    host.ok(&["verify", "--read-data"]);
}

#[test]
fn a_set_of_files_links_and_nothing_comes_back_as_such() {
    let policy = json!({ "state": { "mix": { "paths":
        ["/srv/one.db", "/srv/link", "/srv/later", "/srv/empty"] } } });
    let Some(host) = Host::new(policy) else {
        return;
    };
    let m = &host.machine;
    m.write("srv/one.db", "1");
    m.write("data/behind/file", "behind the link");
    m.link("/data/behind", "srv/link");
    fs::create_dir_all(m.root().join("srv/empty")).unwrap();
    let point = host.create(&[]);
    let kinds: Vec<&str> = point["state"]["mix"]["roots"]
        .as_array()
        .unwrap()
        .iter()
        .map(|r| r["kind"].as_str().unwrap())
        .collect();
    assert_eq!(
        kinds,
        ["directory", "directory", "absent", "symlink", "file"]
    );
    let before = contents(&m.root().join("srv"));
    m.write("srv/later/file", "came later");
    fs::remove_file(m.root().join("srv/one.db")).unwrap();
    fs::remove_dir(m.root().join("srv/empty")).unwrap();
    m.link("/nowhere", "srv/link");
    m.write("data/behind/file", "changed");
    host.ok(&["restore", "--state", "mix", "-y"]);
    same(&before, &contents(&m.root().join("srv")), "srv");
    assert_eq!(m.read("data/behind/file"), "behind the link");
}

#[test]
fn units_that_run_are_stopped_for_it_and_started_again() {
    let mut policy = app();
    policy["state"]["app"]["units"] = json!(["app.service", "idle.service", "none.service"]);
    let Some(host) = Host::new(policy) else {
        return;
    };
    host.unit("app.service", "active");
    host.unit("idle.service", "inactive");
    let point = host.create(&[]);
    assert_eq!(point["state"]["app"]["consistency"], "units stopped");
    let once = ["stop -- app.service", "start -- app.service"];
    assert_eq!(host.asked(), once);

    host.machine.write("var/lib/app/data", "two\n");
    let told = host.ok(&["restore", "--only", "state", "-n"]);
    assert!(told.contains("stops"), "{told}");
    assert!(host.asked().is_empty());
    // Once for both: what is written while a restore goes on would be lost.
    host.ok(&["restore", "--only", "state", "-y"]);
    assert_eq!(host.asked(), once);
    assert_eq!(host.state_of("app.service"), "active");
    assert_eq!(host.state_of("idle.service"), "inactive");
    let journal = host.journals().pop().unwrap();
    assert_eq!(journal["stopped"], json!(["app.service"]));
    assert_eq!(journal["scope"]["state"], json!(["app"]));
    host.ok(&["undo", "-y"]);
    assert_eq!(host.asked(), once);
    assert_eq!(host.machine.read("var/lib/app/data"), "two\n");
}

#[test]
fn a_unit_that_does_not_stop_makes_the_point_partial_and_a_restore_refuse() {
    let mut policy = app();
    policy["state"]["app"]["units"] = json!(["app.service"]);
    let Some(host) = Host::new(policy) else {
        return;
    };
    host.unit("app.service", "active");
    host.create(&["-r", "good"]);
    host.machine.write("var/lib/app/data", "two\n");
    host.unit("app.service.stuck", "");
    let told = host.run(&["create", "--json"]).ends(3).json();
    assert_eq!(names(&told["point"]), [""; 0]);
    let missing = &told["point"]["completeness"]["missing"][0];
    assert_eq!(missing["what"], "/var/lib/app");
    assert!(
        missing["why"].as_str().unwrap().contains("systemctl stop"),
        "{missing}"
    );
    assert_eq!(host.state_of("app.service"), "active");
    let refused = host
        .run(&["restore", "latest~1", "--only", "state", "-y"])
        .ends(1);
    assert!(refused.err.contains("state app"), "{}", refused.err);
    assert_eq!(host.machine.read("var/lib/app/data"), "two\n");
    assert_eq!(host.state_of("app.service"), "active");
    host.ok(&["status"]);
}

#[test]
fn a_unit_that_does_not_start_again_is_heard_of_and_resume_tries_again() {
    let mut policy = app();
    policy["state"]["app"]["units"] = json!(["app.service"]);
    let Some(host) = Host::new(policy) else {
        return;
    };
    host.unit("app.service", "active");
    host.create(&[]);
    host.machine.write("var/lib/app/data", "two\n");
    host.unit("app.service.broken", "");
    let told = host.run(&["restore", "--only", "state", "-y"]).ends(22);
    assert!(told.err.contains("app.service"), "{}", told.err);
    host.run(&["status"]).ends(22);
    fs::remove_file(host.fake().join("units/app.service.broken")).unwrap();
    host.ok(&["resume", "-y"]);
    assert_eq!(host.state_of("app.service"), "active");
    assert_eq!(host.machine.read("var/lib/app/data"), "one\n");

    host.unit("app.service.broken", "");
    let told = host.run(&["create", "--json"]).ends(3);
    assert!(told.err.contains("app.service"), "{}", told.err);
    // What was captured is whole all the same.
    assert_eq!(told.json()["point"]["completeness"]["status"], "complete");
}

fn commands(before: &str, after: &str) -> Value {
    let mut policy = app();
    policy["state"]["app"]["units"] = json!(["app.service"]);
    policy["state"]["app"]["before"] = json!(["sh", "-c", before]);
    policy["state"]["app"]["after"] = json!(["sh", "-c", after]);
    policy
}

#[test]
fn before_runs_before_the_stop_and_after_runs_last() {
    let Some(host) = Host::new(json!({})) else {
        return;
    };
    let log = host.fake().join("units.log");
    let dump = host.app().join("dump");
    let policy = commands(
        &format!(
            "echo before >> {}; echo dumped > {}",
            log.display(),
            dump.display()
        ),
        &format!("echo after >> {}; rm {}", log.display(), dump.display()),
    );
    host.machine
        .write("etc/cairn/policy.json", policy.to_string());
    host.unit("app.service", "active");
    let point = host.create(&[]);
    let order = [
        "before",
        "stop -- app.service",
        "start -- app.service",
        "after",
    ];
    assert_eq!(host.asked(), order);
    assert_eq!(
        point["state"]["app"]["consistency"],
        "commands run, units stopped"
    );
    assert!(!dump.exists());
    assert_eq!(host.ok(&["show", "--cat", "/var/lib/app/dump"]), "dumped\n");
}

#[test]
fn a_command_that_fails_leaves_its_set_out_and_after_runs_all_the_same() {
    let Some(host) = Host::new(json!({})) else {
        return;
    };
    let log = host.fake().join("units.log");
    let after = format!("echo after >> {}", log.display());
    let policy = commands("echo no luck >&2; exit 7", &after);
    host.machine
        .write("etc/cairn/policy.json", policy.to_string());
    let told = host.run(&["create", "--json"]).ends(3).json();
    let missing = &told["point"]["completeness"]["missing"][0];
    assert!(
        missing["why"].as_str().unwrap().contains("no luck"),
        "{missing}"
    );
    assert_eq!(names(&told["point"]), [""; 0]);
    assert_eq!(host.asked(), ["after"]);

    // One that was never begun has nothing to follow it.
    let mut policy = policy;
    policy["state"]["app"]["before"] = json!(["/nowhere/to/be/found"]);
    host.machine
        .write("etc/cairn/policy.json", policy.to_string());
    let told = host.run(&["create"]).ends(3);
    assert!(told.out.contains("/nowhere/to/be/found"), "{}", told.out);
    assert!(host.asked().is_empty());

    // One that fails after the capture takes nothing from it.
    let policy = commands("true", "exit 9");
    host.machine
        .write("etc/cairn/policy.json", policy.to_string());
    let told = host.run(&["create", "--json"]).ends(3);
    assert!(told.err.contains("exit code 9"), "{}", told.err);
    assert_eq!(names(&told.json()["point"]), ["app"]);
}

#[test]
fn each_trigger_captures_what_the_policy_says() {
    let policy = json!({
        "state": {
            "app": { "paths": ["/var/lib/app"] },
            "other": { "paths": ["/srv/other"] },
        },
        "points": {
            "hourly": { "schedule": "hourly", "capture": { "state": ["app"] } },
            "bare": { "schedule": "daily", "capture": { "state": [], "config": false } },
            "switch": { "trigger": "preSwitch", "capture": { "state": ["other"] } },
            "boot": { "trigger": "boot" },
        },
    });
    let Some(host) = Host::new(policy) else {
        return;
    };
    let taken = |args: &[&str]| {
        let point = host.create(args);
        let names: Vec<String> = names(&point).into_iter().map(str::to_owned).collect();
        names
    };
    assert_eq!(taken(&[]), ["app", "other"]);
    assert_eq!(taken(&["--no-state"]), [""; 0]);
    assert_eq!(taken(&["--state", "other"]), ["other"]);
    assert_eq!(taken(&["--trigger", "schedule:hourly"]), ["app"]);
    assert_eq!(taken(&["--trigger", "schedule:new"]), ["app", "other"]);
    assert_eq!(taken(&["--trigger", "pre-switch"]), ["other"]);
    assert_eq!(taken(&["--trigger", "boot"]), [""; 0]);
    let bare = host.create(&["--trigger", "schedule:bare"]);
    assert!(
        names(&bare).is_empty() && bare["config"].is_null(),
        "{bare}"
    );
    host.run(&["create", "--state", "nobody"])
        .fails(1, "no state set 'nobody'", "cairn create -n");
    let told = host.ok(&["create", "-n"]);
    assert!(told.contains("/srv/other state other"), "{told}");
    // The configuration's own backup takes none.
    let backup = host.json(&["config", "backup", "--no-prune"])["point"].clone();
    assert!(names(&backup).is_empty());
}

#[test]
fn only_what_was_asked_for_is_restored() {
    let policy = json!({ "state": {
        "app": { "paths": ["/var/lib/app"] },
        "other": { "paths": ["/srv/other"] },
    } });
    let Some(host) = Host::new(policy) else {
        return;
    };
    let m = &host.machine;
    let files = [
        "var/lib/app/data",
        "srv/other/file",
        "etc/nixos/hardware.nix",
    ];
    for file in files {
        m.write(file, "then");
    }
    host.create(&[]);
    let restored = |args: &[&str]| -> Vec<String> {
        for file in files {
            m.write(file, "now");
        }
        let args: Vec<&str> = ["restore", "latest"].iter().chain(args).copied().collect();
        host.ok(&[&args[..], &["-y"]].concat());
        files.iter().map(|f| m.read(f)).collect()
    };
    assert_eq!(restored(&["--only", "state"]), ["then", "then", "now"]);
    assert_eq!(restored(&["--state", "app"]), ["then", "now", "now"]);
    let both = restored(&["--only", "state", "--state", "other"]);
    assert_eq!(both, ["now", "then", "now"]);
    assert_eq!(restored(&["--no-state"]), ["now", "now", "then"]);
    assert_eq!(restored(&["--only", "config"]), ["now", "now", "then"]);
    assert_eq!(restored(&["/var/lib/app/data"]), ["then", "now", "now"]);
    let two = restored(&["/srv/other", "/etc/nixos/hardware.nix"]);
    assert_eq!(two, ["now", "then", "then"]);
    assert_eq!(restored(&[]), ["then", "then", "then"]);

    let refused = |args: &[&str], code, what, next| {
        let args: Vec<&str> = ["restore", "latest"].iter().chain(args).copied().collect();
        host.run(&[&args[..], &["-y"]].concat())
            .fails(code, what, next);
    };
    refused(
        &["--state", "nobody"],
        1,
        "no state set 'nobody'",
        "cairn show",
    );
    refused(&["/var/nothing"], 1, "/var/nothing is not in", "cairn show");
    host.create(&["--no-state"]);
    refused(&["--only", "state"], 1, "holds no state", "cairn show");
}

#[test]
fn state_is_listed_shown_and_compared() {
    let Some(host) = Host::new(app()) else {
        return;
    };
    let m = &host.machine;
    let told = host.ok(&["status"]);
    assert!(
        told.contains("state app") && told.contains("never captured"),
        "{told}"
    );
    host.create(&["-r", "first"]);
    assert!(host.ok(&["list"]).contains("1 set, 9 B"));
    let told = host.ok(&["show"]);
    assert!(told.contains("state app       2 files, 9 B"), "{told}");
    assert!(host.ok(&["diff"]).contains("nothing differs"));
    m.write("var/lib/app/data", "two\n");
    m.write("var/lib/app/cache/big", "not part of it\n");
    fs::remove_file(host.app().join("deep/er/file")).unwrap();
    let told = host.ok(&["diff"]);
    assert!(told.contains("~ /var/lib/app/data content"), "{told}");
    assert!(told.contains("- /var/lib/app/deep/er/file"), "{told}");
    assert!(!told.contains("cache"), "{told}");
    host.create(&["-r", "second"]);
    let told = host.json(&["diff", "latest~1..latest"]);
    let set = &told["diff"]["state"][0];
    assert_eq!((&set["fromBytes"], &set["toBytes"]), (&json!(9), &json!(4)));
    assert_eq!(set["changes"].as_array().unwrap().len(), 2, "{set}");
    host.create(&["-r", "third"]);
    assert_eq!(
        host.json(&["diff", "latest~1..latest"])["diff"]["same"],
        true
    );
    assert_eq!(
        host.ok(&["show", "latest~2", "--cat", "/var/lib/app/data"]),
        "one\n"
    );
    let status = host.json(&["status"])["status"].clone();
    assert_eq!(status["state"]["app"]["reason"], "third");
    assert_eq!(status["configChanges"], 0);
}

#[test]
fn unchanged_state_takes_no_room_and_prune_frees_it() {
    let Some(host) = Host::new(app()) else {
        return;
    };
    let size = || -> u64 {
        let status = host.json(&["status"]);
        status["status"]["vaultBytes"].as_u64().unwrap()
    };
    // Of several chunks, and nothing in it twice.
    let mut noise = vec![0_u8; 12 << 20];
    let mut x = 88_172_645_463_325_252_u64;
    for byte in &mut noise {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        *byte = x as u8;
    }
    host.machine.write("var/lib/app/large", &noise);
    host.create(&["-r", "first"]);
    let first = size();
    assert!(first > 12 << 20);
    host.create(&["-r", "second"]);
    assert!(size() < first + (64 << 10), "{} {first}", size());
    // The same size, and other content in the middle.
    noise[6 << 20] ^= 1;
    host.machine.write("var/lib/app/large", &noise);
    let told = host.ok(&["diff"]);
    assert!(told.contains("/var/lib/app/large content"), "{told}");
    host.ok(&["restore", "--only", "state", "-y"]);
    noise[6 << 20] ^= 1;
    assert!(fs::read(host.app().join("large")).unwrap() == noise);
    assert_eq!(host.snapshots(), 3);

    fs::remove_file(host.app().join("large")).unwrap();
    host.create(&["-r", "without"]);
    host.create(&["-r", "without it again"]);
    host.ok(&["create", "--no-state"]);
    host.ok(&["prune", "--keep-last", "1", "-y"]);
    // The undo point of the last restore stays, with its state.
    assert_eq!(host.snapshots(), 1);
    let notes = host.json(&["verify", "--read-data"])["verify"].clone();
    assert_eq!(notes["notes"], json!([]));
    assert_eq!(notes["problems"], json!([]));
}

#[test]
fn a_lost_or_damaged_repository_of_state_never_blocks_the_configuration() {
    let Some(host) = Host::new(app()) else {
        return;
    };
    host.create(&["-r", "first"]);
    host.machine
        .write("etc/nixos/hardware.nix", "{ changed = 1; }\n");
    host.machine.write("var/lib/app/data", "two\n");
    let index = host.machine.state().join("vault/state/index");
    for entry in fs::read_dir(index).unwrap() {
        let path = entry.unwrap().path();
        fs::remove_file(&path).unwrap();
        fs::write(path, "damaged").unwrap();
    }
    host.run(&["verify"]).ends(3);
    host.run(&["create", "-r", "second"]).ends(3);
    host.ok(&["restore", "latest~1", "--only", "config", "-y"]);
    assert_eq!(host.machine.read("etc/nixos/hardware.nix"), "{ }\n");
    let refused = host
        .run(&["restore", "latest~1", "--only", "state", "-y"])
        .ends(1);
    assert!(
        refused.err.contains("nothing was changed"),
        "{}",
        refused.err
    );
    assert_eq!(host.machine.read("var/lib/app/data"), "two\n");

    fs::remove_dir_all(host.machine.state().join("vault/state")).unwrap();
    let told = host.run(&["verify"]).ends(3);
    assert!(told.out.contains("its state app is gone"), "{}", told.out);
    host.ok(&["create", "-r", "third"]);
    host.ok(&["restore", "--only", "state", "-y", "-n"]);
}

#[test]
fn what_changes_while_it_is_read_makes_the_point_partial_and_is_named() {
    let Some(host) = Host::new(app()) else {
        return;
    };
    let busy = host.app().join("busy");
    fs::write(&busy, vec![b'x'; 32 << 20]).unwrap();
    let stop = AtomicBool::new(false);
    let told = std::thread::scope(|scope| {
        scope.spawn(|| {
            let file = fs::OpenOptions::new().append(true).open(&busy).unwrap();
            while !stop.load(Ordering::Relaxed) {
                std::io::Write::write_all(&mut &file, b"more").unwrap();
                std::thread::sleep(std::time::Duration::from_micros(200));
            }
        });
        let told = host.run(&["create", "--json"]);
        stop.store(true, Ordering::Relaxed);
        told
    });
    let point = told.ends(3).json()["point"].clone();
    let missing = &point["completeness"]["missing"][0];
    assert_eq!(missing["what"], "/var/lib/app/busy", "{missing}");
    assert!(names(&point).is_empty());
    // The rest of the point is whole.
    assert!(point["config"]["files"].as_u64().unwrap() > 0);
    host.create(&["-r", "still"]);
}

#[test]
fn restore_points_never_hold_themselves() {
    let policy = json!({ "state": {
        "all": { "paths": ["/var/lib"], "exclude": ["/var/lib/cairn"] },
        "own": { "paths": ["/var/lib/kept/points"] },
        "db": { "paths": ["/var/lib/db"] },
    } });
    let Some(host) = Host::new(policy) else {
        return;
    };
    let m = &host.machine;
    m.write("var/lib/db/file", "1\n");
    // The policy does not know of this state directory, so it is not refused.
    let inside = m.root().join("var/lib/kept");
    let run = |args: &[&str]| -> Run {
        let mut command = m.program();
        command
            .arg("--root")
            .arg(m.root())
            .arg("--state-dir")
            .arg(&inside);
        command.args(args).output().unwrap().into()
    };
    run(&["create", "--state", "db", "--state", "all"]).ends(0);
    let told = run(&["create", "--json"]).ends(3).json();
    let point = &told["point"];
    let missing = &point["completeness"]["missing"][0];
    assert_eq!(missing["what"], "/var/lib/kept/points");
    // A file belongs to one set: the one that names it most closely.
    assert_eq!(point["state"]["db"]["files"], 1);
    assert_eq!(point["state"]["all"]["files"], 3, "{point}");
    m.write("var/lib/db/file", "2\n");
    m.write("var/lib/added", "since\n");
    run(&["restore", "--state", "all", "-y"]).ends(0);
    assert_eq!(m.read("var/lib/db/file"), "2\n");
    assert!(!m.root().join("var/lib/added").exists());
    assert_eq!(
        run(&["list", "--json"]).json()["points"]["items"]
            .as_array()
            .unwrap()
            .len(),
        3
    );
}

#[test]
fn a_database_of_another_release_is_warned_of() {
    let Some(host) = Host::new(app()) else {
        return;
    };
    host.machine.write("var/lib/app/PG_VERSION", "16\n");
    host.create(&[]);
    host.machine.write("var/lib/app/data", "two\n");
    let told = host.run(&["restore", "--only", "state", "-n"]).ends(0);
    assert!(!told.err.contains("PG_VERSION"), "{}", told.err);
    host.machine.write("var/lib/app/PG_VERSION", "17\n");
    let told = host.run(&["restore", "--only", "state", "-n"]).ends(0);
    let words: Vec<&str> = told.err.split_whitespace().collect();
    let words = words.join(" ");
    assert!(
        words.contains("/var/lib/app/PG_VERSION says 17 now and 16 in the point"),
        "{}",
        told.err
    );
}

/// Under another root nothing of the policy is run: it is that machine's.
#[test]
fn another_root_has_no_units_to_stop() {
    let mut policy = commands("exit 1", "exit 1");
    policy["state"]["app"]["units"] = json!(["app.service"]);
    let Some(host) = Host::new(policy) else {
        return;
    };
    host.unit("app.service", "active");
    let taken = host.machine.json(&["create"]);
    let set = &taken["point"]["state"]["app"];
    assert_eq!(set["consistency"], "offline");
    host.machine.write("var/lib/app/data", "two\n");
    let told = host.machine.ok(&["restore", "--only", "state", "-y"]);
    assert!(!told.contains("app.service"), "{told}");
    assert_eq!(host.machine.read("var/lib/app/data"), "one\n");
    assert!(host.asked().is_empty());
}
