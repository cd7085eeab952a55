//! Holding state still: snapshots of a real btrfs, units that end badly,
//! commands that hang; and versions of the programs that own it.
#![allow(clippy::disallowed_methods, clippy::unwrap_used, clippy::panic)]

mod support;

use std::fs;
use std::time::{Duration, Instant};

use cairn::system::fault;
use serde_json::{Value, json};
use support::{Btrfs, Host, Run, System, contents, same};

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
    assert!(!told.err.contains("16"), "{}", told.err);
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
