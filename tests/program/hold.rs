//! Holding state still: snapshots of a real btrfs, units that end badly,
//! commands that hang; and versions of the programs that own it.

use std::fs;
use std::time::{Duration, Instant};

use crate::support::{Btrfs, Host, Run, System, contents, need, same};
use cairn::system::fault;
use serde_json::{Value, json};

/// A host whose `/var/lib` is on a btrfs, the state set `app` a folder there.
fn on_btrfs(set: Value) -> Option<(Host, Btrfs)> {
    let host = Host::new(json!({}))?;
    let mut btrfs = Btrfs::new(&["lib", "state"])?;
    btrfs.mount("lib", &host.machine.root().join("var/lib"));
    let m = &host.machine;
    m.write("var/lib/app/data", "one\n");
    m.write("var/lib/app/deep/er/file", "deep\n");
    m.write("var/lib/app/cache/big", "cached\n");
    policy(&host, set);
    Some((host, btrfs))
}

/// Writes a policy with this set, `app`, and its defaults.
fn policy(host: &Host, set: Value) {
    let mut app = json!({ "paths": ["/var/lib/app"], "exclude": ["/var/lib/app/cache"] });
    app.as_object_mut()
        .unwrap()
        .extend(set.as_object().unwrap().clone());
    let policy = json!({ "state": { "app": app } });
    host.machine
        .write("etc/cairn/policy.json", policy.to_string());
}

/// A command that writes a word into the log of what was done.
fn says(host: &Host, word: &str, more: &str) -> Value {
    let log = host.fake().join("units.log");
    json!([
        "sh",
        "-c",
        format!("echo {word} >> {}; {more}", log.display())
    ])
}

fn one_line(run: &Run) -> String {
    run.err.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn markers_left(host: &Host) -> usize {
    fs::read_dir(host.machine.state().join("inflight"))
        .unwrap()
        .count()
}

#[test]
fn state_on_btrfs_is_read_from_a_snapshot_while_its_units_run_again() {
    let Some((host, btrfs)) = on_btrfs(json!({})) else {
        return;
    };
    let data = host.app().join("data");
    // What comes after the units run again is not in the point.
    let after = says(&host, "after", &format!("echo since > {}", data.display()));
    policy(
        &host,
        json!({ "units": ["app.service"], "before": says(&host, "before", ":"), "after": after }),
    );
    host.unit("app.service", "active");
    let before = contents(&host.app());
    let point = host.create(&[]);
    let set = &point["state"]["app"];
    assert_eq!(
        set["consistency"],
        "commands run, units stopped, btrfs snapshot"
    );
    assert_eq!(set["files"], 2, "{set}");
    let order = [
        "before",
        "stop -- app.service",
        "start -- app.service",
        "after",
    ];
    assert_eq!(host.asked(), order);
    assert_eq!(btrfs.subvolumes(), 2, "a snapshot stays");
    assert_eq!(host.ok(&["show", "--cat", "/var/lib/app/data"]), "one\n");
    assert_eq!(fs::read_to_string(&data).unwrap(), "since\n");
    assert_eq!(markers_left(&host), 0);

    // What was not changed is not read again, though its device is another.
    let again = host.create(&[]);
    assert_eq!(again["state"]["app"]["files"], 2);
    host.ok(&["restore", "latest~1", "--only", "state", "-y"]);
    same(&before, &contents(&host.app()), "after the restore");
    host.ok(&["verify", "--read-data"]);
    assert_eq!(btrfs.subvolumes(), 2, "a snapshot stays");
}

#[test]
fn without_units_nothing_is_stopped_and_never_means_never() {
    let Some((host, btrfs)) = on_btrfs(json!({})) else {
        return;
    };
    let consistency = |host: &Host| host.create(&[])["state"]["app"]["consistency"].clone();
    assert_eq!(consistency(&host), "btrfs snapshot");
    assert!(host.asked().is_empty());
    policy(&host, json!({ "snapshot": "never" }));
    assert_eq!(consistency(&host), "not held still");
    // Links to it lead to the same subvolume, files have one as well.
    host.machine.link("app/data", "var/lib/link");
    let paths = ["/var/lib/link", "/var/lib/app/deep", "/var/lib/none"];
    policy(
        &host,
        json!({ "paths": paths, "snapshot": "required", "exclude": [] }),
    );
    let point = host.create(&[]);
    assert_eq!(point["completeness"]["status"], "complete", "{point}");
    assert_eq!(point["state"]["app"]["files"], 2);
    assert_eq!(btrfs.subvolumes(), 2);
}

#[test]
fn a_state_directory_on_the_same_filesystem_holds_the_snapshot() {
    let Some(host) = Host::new(json!({})) else {
        return;
    };
    let Some(mut btrfs) = Btrfs::new(&["lib", "state"]) else {
        return;
    };
    fs::create_dir_all(host.machine.state()).unwrap();
    btrfs.mount("state", &host.machine.state());
    btrfs.mount("lib", &host.machine.root().join("var/lib"));
    host.machine.write("var/lib/app/data", "one\n");
    let seen = host.machine.root().join("seen");
    let look = format!(
        "ls {}/snapshots > {}",
        host.machine.state().display(),
        seen.display()
    );
    policy(&host, json!({ "after": ["sh", "-c", look] }));
    let point = host.create(&[]);
    assert_eq!(
        point["state"]["app"]["consistency"],
        "commands run, btrfs snapshot"
    );
    let id = point["id"].as_str().unwrap().replace('-', "");
    assert_eq!(fs::read_to_string(seen).unwrap(), format!("{id}-0\n"));
    let left = fs::read_dir(host.machine.state().join("snapshots")).unwrap();
    assert_eq!(left.count(), 0);
    assert_eq!(btrfs.subvolumes(), 2);
}

#[test]
fn a_subvolume_below_is_no_part_of_a_snapshot_so_units_stay_stopped() {
    let Some((host, btrfs)) = on_btrfs(json!({})) else {
        return;
    };
    let inner = host.app().join("deep/inner");
    btrfs.subvolume(&inner);
    fs::write(inner.join("file"), "inner\n").unwrap();
    policy(&host, json!({ "units": ["app.service"] }));
    host.unit("app.service", "active");
    let told = host.run(&["create", "--json"]).ends(0);
    let set = &told.json()["point"]["state"]["app"];
    assert_eq!(set["consistency"], "units stopped");
    assert_eq!(set["files"], 3);
    let words = one_line(&told);
    let why = format!(
        "{} is a filesystem or subvolume of its own",
        inner.display()
    );
    assert!(
        words.contains("state app: no snapshot could be made"),
        "{words}"
    );
    assert!(
        words.replace(' ', "").contains(&why.replace(' ', "")),
        "{words}"
    );
    assert!(
        words.contains("its units were stopped until it was read"),
        "{words}"
    );

    policy(&host, json!({ "snapshot": "required" }));
    let told = host.run(&["create", "--json"]).ends(3).json();
    let missing = &told["point"]["completeness"]["missing"][0];
    assert!(
        missing["why"]
            .as_str()
            .unwrap()
            .contains("no snapshot could be made"),
        "{missing}"
    );
    assert!(told["point"]["state"].as_object().unwrap().is_empty());

    // What is left out need not be in it.
    let exclude = ["/var/lib/app/cache", "/var/lib/app/deep/inner"];
    policy(&host, json!({ "snapshot": "required", "exclude": exclude }));
    let point = host.create(&[]);
    assert_eq!(point["state"]["app"]["consistency"], "btrfs snapshot");
    assert_eq!(point["state"]["app"]["files"], 2);
}

#[test]
fn other_filesystems_and_a_missing_tool_have_no_snapshot() {
    let Some(host) = Host::new(json!({})) else {
        return;
    };
    policy(&host, json!({}));
    let told = host.run(&["create"]).ends(0);
    assert!(!told.err.contains("snapshot"), "{}", told.err);
    policy(&host, json!({ "snapshot": "required" }));
    let told = host.run(&["create"]).ends(3);
    assert!(
        told.out.contains("neither on btrfs nor on zfs"),
        "{}",
        told.out
    );

    let Some((host, btrfs)) = on_btrfs(json!({})) else {
        return;
    };
    host.machine.write(
        "run/fake/bin/btrfs",
        "#!/bin/sh\necho 'no such thing' >&2\nexit 1\n",
    );
    host.machine.mode("run/fake/bin/btrfs", 0o755);
    let told = host.run(&["create", "--json"]).ends(0);
    assert_eq!(
        told.json()["point"]["state"]["app"]["consistency"],
        "not held still"
    );
    let words = one_line(&told);
    assert!(words.contains("no such thing"), "{words}");
    assert!(words.contains("it was read as it is"), "{words}");
    assert_eq!(btrfs.subvolumes(), 2);
    assert_eq!(markers_left(&host), 0);
}

#[test]
fn a_snapshot_that_stays_is_told_of_and_goes_with_the_next_run() {
    let Some((host, btrfs)) = on_btrfs(json!({})) else {
        return;
    };
    let tool = "#!/bin/sh\n[ \"$2\" != delete ] || { echo busy >&2; exit 1; }\n\
                PATH=${PATH#*:}\nexec btrfs \"$@\"\n";
    host.machine.write("run/fake/bin/btrfs", tool);
    host.machine.mode("run/fake/bin/btrfs", 0o755);
    let told = host.run(&["create"]).ends(0);
    let words = one_line(&told);
    assert!(
        words.contains("is still there, the next run tries again"),
        "{words}"
    );
    assert!(words.contains("busy"), "{words}");
    assert_eq!((btrfs.subvolumes(), markers_left(&host)), (3, 1));
    // Again it stays, and so does its marker; a point is taken all the same.
    host.run(&["create", "--no-state"]).ends(3);
    assert_eq!((btrfs.subvolumes(), markers_left(&host)), (3, 1));
    fs::remove_file(host.fake().join("bin/btrfs")).unwrap();
    host.ok(&["create", "--no-state"]);
    assert_eq!((btrfs.subvolumes(), markers_left(&host)), (2, 0));
}

#[test]
fn who_dies_beside_a_snapshot_leaves_none_behind() {
    let Some((host, btrfs)) = on_btrfs(json!({})) else {
        return;
    };
    let after = says(&host, "after", ":");
    policy(&host, json!({ "units": ["app.service"], "after": after }));
    host.unit("app.service", "active");
    host.ok(&["create", "-r", "first"]);
    for point in fault::SNAPSHOT {
        for signal in [false, true] {
            host.asked();
            let mut command = host.command(&["create", "-r", "dies"]);
            let how = if signal { "=int" } else { "" };
            command.env("CAIRN_FAULT", format!("{point}{how}"));
            let ended = Run::from(command.output().unwrap());
            if signal {
                ended.ends(130);
                assert_eq!(host.asked().last().unwrap(), "after", "{point}");
            } else {
                ended.ends(-1);
                host.ok(&["create", "--no-state", "-r", "next"]);
            }
            assert_eq!(btrfs.subvolumes(), 2, "{point}: a snapshot stays");
            assert_eq!(host.state_of("app.service"), "active", "{point}");
            assert_eq!(markers_left(&host), 0, "{point}");
            let list = host.ok(&["list"]);
            assert!(!list.contains("dies"), "{point}: {list}");
        }
    }
    host.ok(&["verify"]);
}

#[test]
fn a_unit_that_had_to_be_killed_is_told_of() {
    let Some(host) = Host::new(json!({})) else {
        return;
    };
    policy(&host, json!({ "units": ["app.service"] }));
    host.unit("app.service", "active");
    host.unit("app.service.rough", "");
    let told = host.run(&["create"]).ends(0);
    let words = one_line(&told);
    let what = "state app: app.service did not stop in time and was killed as it was stopped: \
                its state is as after a crash";
    assert!(words.contains(what), "{words}");
    assert_eq!(host.state_of("app.service"), "active");
    fs::remove_file(host.fake().join("units/app.service.rough")).unwrap();

    // systemd calls a start that it passed over done.
    host.unit("app.service.unmet", "");
    let told = host.run(&["create"]).ends(3);
    let words = one_line(&told);
    assert!(
        words.contains("app.service was not started: a condition of it is not met"),
        "{words}"
    );
}

#[test]
fn what_starts_a_unit_again_is_held_with_it() {
    let Some(host) = Host::new(json!({})) else {
        return;
    };
    policy(&host, json!({ "units": ["app.service", "idle.service"] }));
    host.unit("app.service", "active");
    host.unit("app.service.triggers", "app.socket app.timer");
    host.unit("app.socket", "active");
    host.unit("app.timer", "inactive");
    // It does not run, and could be made to at any moment.
    host.unit("idle.service", "inactive");
    host.unit("idle.service.triggers", "idle.path");
    host.unit("idle.path", "active");
    let point = host.create(&[]);
    assert_eq!(point["state"]["app"]["consistency"], "units stopped");
    let whole = [
        "stop -- app.socket idle.path app.service",
        "start -- app.socket idle.path",
        "start -- app.service",
    ];
    assert_eq!(host.asked(), whole);
    // Whoever dies meanwhile owes all of them.
    for (number, place) in ["create.owed", "create.stopped"].iter().enumerate() {
        let mut command = host.command(&["create"]);
        command.env("CAIRN_FAULT", place);
        Run::from(command.output().unwrap()).ends(-1);
        let status = host.json(&["status"]);
        let stopped = status["status"]["stopped"].clone();
        assert_eq!(stopped, json!(["app.service", "app.socket", "idle.path"]));
        let told = host.ok(&["status"]);
        assert!(
            told.contains("app.service, app.socket, idle.path"),
            "{told}"
        );
        host.asked();
        host.ok(&["create", "--no-state"]);
        assert_eq!(host.asked(), whole[1..], "{number}");
        assert_eq!(markers_left(&host), 0);
    }
    assert_eq!(host.json(&["status"])["status"]["stopped"], json!([]));
    host.machine.write("var/lib/app/data", "two\n");
    host.asked();
    let id = point["id"].as_str().unwrap();
    host.ok(&["restore", id, "--only", "state", "-y"]);
    assert_eq!(host.asked(), whole);
}

#[test]
fn a_unit_that_runs_again_while_it_is_read_is_told_of_and_stops_a_restore() {
    let Some(host) = Host::new(json!({})) else {
        return;
    };
    policy(&host, json!({ "units": ["app.service"] }));
    host.unit("app.service", "active");
    // Seen to be stopped once, then it runs.
    host.unit("app.service.revives", "1");
    let told = host.run(&["create", "--json"]).ends(0);
    let set = &told.json()["point"]["state"]["app"];
    assert_eq!(set["consistency"], "not held still");
    assert!(
        one_line(&told).contains("app.service started again while it was read"),
        "{}",
        told.err
    );
    host.ok(&["create"]);
    host.machine.write("var/lib/app/data", "two\n");
    // Before the undo point was read, and after it: nothing is put in place.
    for revives in ["1", "2"] {
        host.unit("app.service.revives", revives);
        let refused = host.run(&["restore", "--only", "state", "-y"]).ends(1);
        let words = one_line(&refused);
        assert!(
            words.contains("app.service started again") && words.contains("nothing was changed"),
            "{words}"
        );
        assert_eq!(host.machine.read("var/lib/app/data"), "two\n");
        assert_eq!(host.state_of("app.service"), "active");
        host.ok(&["status"]);
    }
    host.ok(&["restore", "--only", "state", "-y"]);
    assert_eq!(host.machine.read("var/lib/app/data"), "one\n");
}

#[test]
fn what_is_owed_stays_so_until_it_is_paid_and_needs_no_vault() {
    let Some(host) = Host::new(json!({})) else {
        return;
    };
    let flag = host.fake().join("after-works");
    let script = format!("[ -e {} ]", flag.display());
    policy(
        &host,
        json!({ "units": ["app.service"], "after": ["sh", "-c", script] }),
    );
    fs::write(&flag, "").unwrap();
    host.unit("app.service", "active");
    host.create(&[]);
    let mut command = host.command(&["create"]);
    command.env("CAIRN_FAULT", "create.stopped");
    Run::from(command.output().unwrap()).ends(-1);
    assert_eq!(host.state_of("app.service"), "inactive");
    fs::remove_file(&flag).unwrap();
    host.unit("app.service.broken", "");
    // Tried, told, and still owed, however often.
    for _ in 0..2 {
        let told = host.run(&["create", "--no-state"]).ends(3);
        let words = one_line(&told);
        assert!(words.contains("not started again: app.service"), "{words}");
        assert!(words.contains("after: "), "{words}");
        assert_eq!(markers_left(&host), 1);
    }
    fs::remove_file(host.fake().join("units/app.service.broken")).unwrap();
    // Units are started though the vault cannot be opened.
    let key = host.machine.state().join("vault/key.json");
    fs::rename(&key, key.with_extension("away")).unwrap();
    host.run(&["create", "--no-state"]).ends(12);
    assert_eq!(host.state_of("app.service"), "active");
    assert_eq!(markers_left(&host), 1);
    fs::rename(key.with_extension("away"), &key).unwrap();
    fs::write(&flag, "").unwrap();
    host.ok(&["create", "--no-state"]);
    assert_eq!(markers_left(&host), 0);
}

#[test]
fn a_confined_run_leaves_what_needs_more_rights_to_others() {
    if !need(&["setpriv"]) {
        return;
    }
    let Some(host) = Host::new(json!({})) else {
        return;
    };
    let after = says(&host, "after", ":");
    policy(&host, json!({ "units": ["app.service"], "after": after }));
    host.unit("app.service", "active");
    host.create(&[]);
    let mut command = host.command(&["create"]);
    command.env("CAIRN_FAULT", "create.stopped");
    Run::from(command.output().unwrap()).ends(-1);
    host.asked();
    let inner = host.command(&["prune", "-y"]);
    let mut confined = std::process::Command::new("setpriv");
    confined
        .args(["--no-new-privs", "--bounding-set=-sys_admin"])
        .arg(inner.get_program())
        .args(inner.get_args());
    for (name, value) in inner.get_envs() {
        if let Some(value) = value {
            confined.env(name, value);
        }
    }
    let told = Run::from(confined.output().unwrap());
    assert!(
        one_line(&told).contains("this one is confined"),
        "{}",
        told.err
    );
    // The unit was started; the command waits.
    assert_eq!(host.asked(), ["start -- app.service"]);
    assert_eq!(markers_left(&host), 1);
    host.ok(&["prune", "-y"]);
    assert_eq!(host.asked(), ["after"]);
    assert_eq!(markers_left(&host), 0);
}

#[test]
fn an_interrupted_restore_names_the_units_that_wait_for_its_end() {
    let Some(host) = Host::new(json!({})) else {
        return;
    };
    policy(&host, json!({ "units": ["app.service"] }));
    host.unit("app.service", "active");
    host.create(&[]);
    // Between two files it is a safe place to stop at.
    host.machine.write("var/lib/app/data", "two\n");
    host.machine.write("var/lib/app/deep/er/file", "two\n");
    let mut command = host.command(&["restore", "--only", "state", "-y"]);
    command.env("CAIRN_FAULT", "restore.file=int");
    let told = Run::from(command.output().unwrap()).ends(130);
    let waits = "app.service stays stopped until it ends";
    assert!(one_line(&told).contains(waits), "{}", told.err);
    let refused = host.run(&["prune", "-y"]).ends(22);
    assert!(one_line(&refused).contains(waits), "{}", refused.err);
    let status = host.run(&["status"]).ends(22);
    assert!(
        status.out.contains("stopped         app.service"),
        "{}",
        status.out
    );
    host.ok(&["abort", "-y"]);
    assert_eq!(host.state_of("app.service"), "active");
    assert!(!host.ok(&["status"]).contains("stopped "));
}

#[test]
fn a_command_that_hangs_is_killed_and_after_runs_all_the_same() {
    let Some(host) = Host::new(json!({})) else {
        return;
    };
    let after = says(&host, "after", ":");
    let hangs = json!([
        "sh",
        "-c",
        "echo waiting for a lock >&2; sleep 300 & sleep 300"
    ]);
    policy(
        &host,
        json!({ "before": hangs, "after": after, "timeout": "300ms" }),
    );
    let begun = Instant::now();
    let told = host.run(&["create"]).ends(3);
    assert!(begun.elapsed() < Duration::from_secs(60));
    let words = told.out.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(
        words.contains("did not end within 300ms and was killed: waiting for a lock"),
        "{words}"
    );
    assert_eq!(host.asked(), ["after"]);

    policy(&host, json!({ "after": hangs, "timeout": "300ms" }));
    let told = host.run(&["create", "--json"]).ends(3);
    assert!(
        one_line(&told).contains("did not end within 300ms"),
        "{}",
        told.err
    );
    assert_eq!(told.json()["point"]["completeness"]["status"], "complete");
}

/// A set whose program says the version that a file holds.
fn versioned(host: &Host, more: Value) {
    let file = host.fake().join("version");
    let mut set = json!({ "version": ["cat", file.to_str().unwrap()] });
    set.as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    policy(host, set);
}

#[test]
fn a_system_gone_back_to_is_warned_of_when_state_is_newer() {
    let Some(host) = Host::new(json!({})) else {
        return;
    };
    let m = &host.machine;
    versioned(&host, json!({}));
    m.write("run/fake/version", "\n16.4\nmore\n");
    m.write("var/lib/app/16/PG_VERSION", "16\n");
    m.write("var/lib/app/mariadb_upgrade_info", "10.11.6-MariaDB");
    let point = host.create(&[]);
    assert_eq!(point["state"]["app"]["version"], "16.4");
    let says: Vec<&str> = point["markers"]
        .as_array()
        .unwrap()
        .iter()
        .map(|m| m["says"].as_str().unwrap())
        .collect();
    assert_eq!(says, ["16", "10.11.6-MariaDB"]);

    m.set(System::One);
    m.run_system(System::One);
    m.write("run/fake/version", "17.1\n");
    m.write("var/lib/app/16/PG_VERSION", "17\n");
    // The goal has no state: the newest point of its system knows.
    let without = ["restore", "--only", "generation", "-n", "--json"];
    let plan = host.run(&without).ends(0).json();
    let warnings = plan["plan"]["warnings"].to_string();
    assert!(
        warnings.contains("/var/lib/app/16/PG_VERSION says 17 now and said 16 when"),
        "{warnings}"
    );
    assert!(
        warnings
            .contains("state app stays as 17.1 has it, and 16.4 comes back: it may not be able"),
        "{warnings}"
    );
    assert!(!warnings.contains("mariadb"), "{warnings}");
    host.ok(&["mark-good", "latest"]);
    let told = host.run(&["rollback", "-n"]).ends(0);
    assert!(one_line(&told).contains("16.4 comes back"), "{}", told.err);
    // Both together fit.
    let told = host.run(&["restore", "-n"]).ends(0);
    let silent = !told.err.contains("state app") && !told.err.contains("PG_VERSION");
    assert!(silent, "{}", told.err);
    // State alone does not.
    let told = host.run(&["restore", "--only", "state", "-n"]).ends(0);
    let words = one_line(&told);
    assert!(
        words.contains("PG_VERSION says 17 now and 16 in the point"),
        "{words}"
    );
    assert!(
        words.contains("state app is of 16.4, and 17.1 is what runs now: it may migrate it"),
        "{words}"
    );

    // A command that fails takes nothing from a point, and is heard of.
    fs::remove_file(host.fake().join("version")).unwrap();
    let told = host.run(&["create", "--json"]).ends(0);
    assert!(
        one_line(&told).contains("state app: its version is not known"),
        "{}",
        told.err
    );
    assert_eq!(told.json()["point"]["state"]["app"]["version"], Value::Null);
}

#[test]
fn a_policy_may_refuse_state_of_another_version() {
    let Some(host) = Host::new(json!({})) else {
        return;
    };
    let m = &host.machine;
    versioned(&host, json!({ "versionChange": "refuse" }));
    m.write("run/fake/version", "16\n");
    host.create(&[]);
    m.set(System::One);
    m.run_system(System::One);
    m.write("run/fake/version", "17\n");
    m.write("var/lib/app/data", "two\n");
    let before = m.exact();
    for only in ["generation", "state"] {
        let refused = host.run(&["restore", "--only", only, "-y"]).ends(1);
        assert!(refused.err.contains("16"), "{}", refused.err);
        assert!(
            refused.err.contains("nothing was changed"),
            "{}",
            refused.err
        );
    }
    assert!(before == m.exact());
    // Both together fit, and what comes back is never refused.
    host.ok(&["restore", "-y"]);
    assert_eq!(m.read("var/lib/app/data"), "one\n");
    m.run_system(System::Two);
    m.write("run/fake/version", "16\n");
    host.ok(&["undo", "-y"]);
    assert_eq!(m.read("var/lib/app/data"), "two\n");
}
