//! Ctrl-C at every step, and what is shown of long work meanwhile.
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::support::pty::Terminal;
use crate::support::{Host, Run, System, contents, same};
use cairn::system::fault;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

fn host() -> Option<Host> {
    let host = Host::new(json!({ "state": { "app": {
        "paths": ["/var/lib/app"],
        "units": ["app.service"],
    } } }))?;
    host.unit("app.service", "active");
    Some(host)
}

/// Runs a verb that is asked to stop at a fault point.
fn stopped(host: &Host, at: &str, args: &[&str]) -> Run {
    let mut command = host.command(args);
    command.env("CAIRN_FAULT", format!("{at}=int"));
    command.output().unwrap().into()
}

fn left_over(host: &Host) -> Vec<String> {
    let mut left: Vec<String> = Vec::new();
    for name in fs::read_dir(host.machine.state().join("inflight")).unwrap() {
        left.push(name.unwrap().path().display().to_string());
    }
    for place in ["var/lib/app", "var/lib", "etc/nixos", "etc"] {
        for name in fs::read_dir(host.machine.root().join(place)).unwrap() {
            let path = name.unwrap().path().display().to_string();
            left.extend(Some(path).filter(|path| path.contains("/.cairn-")));
        }
    }
    left
}

fn snapshots(host: &Host) -> usize {
    let dir = host.machine.state().join("vault/config/snapshots");
    fs::read_dir(dir).unwrap().count() + host.snapshots()
}

#[test]
fn a_capture_stops_anywhere_and_leaves_nothing() {
    let Some(host) = host() else {
        return;
    };
    host.ok(&["create", "-r", "first"]);
    let kept = snapshots(&host);
    for at in fault::CREATE {
        host.machine.write("var/lib/app/data", format!("{at}\n"));
        let ended = stopped(&host, at, &["create", "-r", "stopped"]);
        let list = host.ok(&["list"]);
        if ["create.documented", "create.ended"].contains(at) {
            // It was whole by then.
            ended.ends(0);
            assert!(list.contains("stopped"), "{at}: {list}");
            let prune = ["prune", "--keep-last", "1", "-y"];
            host.ok(&["create", "-r", "last"]);
            host.ok(&prune);
            continue;
        }
        let ended = ended.ends(130);
        let err = &ended.err;
        assert!(err.contains("stopping at a safe place"), "{at}: {err}");
        assert!(
            err.contains("cairn: interrupted; nothing was changed"),
            "{at}: {err}"
        );
        assert!(!list.contains("stopped"), "{at}: {list}");
        assert_eq!(host.state_of("app.service"), "active", "{at}");
        assert_eq!(left_over(&host), [""; 0], "{at}");
        assert_eq!(snapshots(&host), kept, "{at}");
    }
    host.ok(&["verify", "--read-data"]);
}

/// A machine on which all parts differ from its only meant point.
fn changed() -> Option<Host> {
    let host = host()?;
    let m = &host.machine;
    host.ok(&["create", "-r", "then"]);
    m.set(System::One);
    m.write("etc/nixos/hardware.nix", "{ changed = true; }\n");
    m.write("etc/nixos/added.nix", "{ }\n");
    m.write("var/lib/app/data", "two\n");
    m.write("var/lib/app/more", "more\n");
    fs::remove_dir_all(m.root().join("var/lib/app/deep")).unwrap();
    Some(host)
}

/// Configuration, state, and the generation's system.
type Picture = (
    BTreeMap<PathBuf, String>,
    BTreeMap<PathBuf, String>,
    PathBuf,
);

fn picture(host: &Host) -> Picture {
    let m = &host.machine;
    let generation = fs::read_link(m.profiles().join(m.profile())).unwrap();
    let root = m.root();
    (
        contents(&root.join("etc/nixos")),
        contents(&root.join("var/lib/app")),
        generation,
    )
}

#[track_caller]
fn is_as(host: &Host, expected: &Picture, what: &str) {
    let found = picture(host);
    same(&expected.0, &found.0, what);
    same(&expected.1, &found.1, what);
    assert_eq!(expected.2, found.2, "{what}");
    assert_eq!(host.state_of("app.service"), "active", "{what}");
}

#[test]
fn a_restore_stops_anywhere_and_can_be_ended_either_way() {
    let Some(whole) = changed() else {
        return;
    };
    let before = picture(&whole);
    whole.ok(&["restore", "-y"]);
    let after = picture(&whole);
    assert!(before.0 != after.0 && before.1 != after.1 && before.2 != after.2);
    let (mut clean, mut halfway) = (0, 0);
    for at in fault::RESTORE.iter().chain(fault::CONVERGE) {
        for way in ["resume", "abort"] {
            let host = changed().unwrap();
            let ended = stopped(&host, at, &["restore", "-y"]);
            if ended.code == 0 {
                // It was so far that ending it was the safe place.
                is_as(&host, &after, at);
                let late = ["activated", "started", "verified", "ended"];
                // This restore makes no folder above what it brings back.
                let absent = ["parent"];
                let step = at.trim_start_matches("restore.");
                assert!(late.contains(&step) || absent.contains(&step), "{at}");
                continue;
            }
            let err = ended.ends(130).err;
            if host.run(&["status"]).code == 0 {
                clean += 1;
                assert!(
                    err.contains("interrupted; nothing was changed"),
                    "{at}: {err}"
                );
                is_as(&host, &before, at);
            } else {
                halfway += 1;
                host.run(&["status"]).ends(22);
                assert!(
                    err.contains("the restore stopped part way: interrupted"),
                    "{at}: {err}"
                );
                assert!(
                    err.contains("try: cairn resume\n   or: cairn abort"),
                    "{at}: {err}"
                );
                host.ok(&[way, "-y"]);
                let expected = if way == "resume" { &after } else { &before };
                is_as(&host, expected, &format!("{at}, then {way}"));
            }
            host.ok(&["create", "-r", "next", "--no-state"]);
            assert_eq!(left_over(&host), [""; 0], "{at}");
        }
    }
    assert!(
        clean >= 6 && halfway >= 8,
        "{clean} clean, {halfway} half way"
    );
}

#[test]
fn resume_itself_can_be_interrupted() {
    let Some(host) = changed() else {
        return;
    };
    let before = picture(&host);
    stopped(&host, "restore.file", &["restore", "-y"]).ends(130);
    for at in ["restore.staged", "restore.file"] {
        let ended = stopped(&host, at, &["resume", "-y"]).ends(130);
        assert!(
            ended.err.contains("cairn resume\n   or: cairn abort"),
            "{}",
            ended.err
        );
        host.run(&["status"]).ends(22);
    }
    host.ok(&["abort", "-y"]);
    is_as(&host, &before, "after abort");
}

#[test]
fn a_prune_that_stops_goes_on_the_next_time() {
    let Some(host) = host() else {
        return;
    };
    for at in fault::PRUNE {
        for n in 1..4 {
            host.machine
                .write("var/lib/app/data", format!("{at} {n}\n"));
            host.ok(&["create", "-r", "one of many"]);
        }
        let ended = stopped(&host, at, &["prune", "--keep-last", "1", "-y"]);
        if ended.code != 0 {
            let err = ended.ends(130).err;
            assert!(
                err.contains("interrupted; what was removed stays so"),
                "{at}: {err}"
            );
            assert!(err.contains("try: cairn prune"), "{at}: {err}");
        }
        host.ok(&["prune", "--keep-last", "1", "-y"]);
        assert_eq!(host.machine.ids().len(), 1, "{at}");
        assert_eq!(left_over(&host), [""; 0], "{at}");
        host.ok(&["verify", "--read-data"]);
    }
}

/// Half a GiB that takes seconds to read and no room to store.
fn large(host: &Host) {
    let file = File::create(host.app().join("large")).unwrap();
    file.set_len(512 << 20).unwrap();
}

#[test]
fn a_terminal_shows_a_bar_and_ctrl_c_stops_the_capture() {
    let Some(host) = host() else {
        return;
    };
    large(&host);
    let mut command = host.command(&["create"]);
    command.env("CAIRN_TELL_AFTER", "50").env_remove("NO_COLOR");
    let mut terminal = Terminal::run(&command, 24, 100);
    let bar = terminal.wait_for("a bar", |screen| {
        screen.contains("capturing state app [") && screen.contains("512.00 MiB")
    });
    assert!(bar.contains("capturing state app"), "{bar}");
    assert!(bar.contains("left"), "{bar}");
    terminal.send("\x03");
    let ended = terminal.ends(130);
    let screen = ended.screen;
    assert!(
        screen.contains("stopping at a safe place; Ctrl-C again ends it at once"),
        "{screen}"
    );
    assert!(
        screen.contains("cairn: interrupted; nothing was changed"),
        "{screen}"
    );
    assert!(!screen.contains("capturing"), "the bar stays:\n{screen}");
    assert_eq!(host.state_of("app.service"), "active");
    assert_eq!(left_over(&host), [""; 0]);
}

#[test]
fn elsewhere_lines_are_written_and_none_when_nobody_wants_them() {
    let Some(host) = host() else {
        return;
    };
    large(&host);
    let run = |args: &[&str]| -> Run {
        let mut command = host.command(args);
        command
            .env("CAIRN_TELL_AFTER", "20")
            .output()
            .unwrap()
            .into()
    };
    for quiet in ["-q", "--json"] {
        let ended = run(&[quiet, "create"]).ends(0);
        assert!(!ended.err.contains("capturing"), "{}", ended.err);
    }
    fs::write(host.app().join("large"), "small").unwrap();
    large(&host);
    let ended = run(&["create"]).ends(0);
    assert!(ended.err.contains("capturing state app: "), "{}", ended.err);
    assert!(
        !ended.err.contains('\r') && !ended.err.contains('\x1b'),
        "{:?}",
        ended.err
    );
    fs::write(host.app().join("large"), "gone").unwrap();
    let told = run(&["restore", "-y"]).ends(0);
    assert!(told.err.contains("restoring: "), "{}", told.err);
    assert!(
        run(&["verify", "--read-data"])
            .ends(0)
            .err
            .contains("reading the vault")
    );
}

/// Waits until a file is there.
fn wait_for(path: &Path) {
    let end = Instant::now() + Duration::from_secs(60);
    while !path.exists() {
        assert!(Instant::now() < end, "{path:?} never came");
        sleep(Duration::from_millis(5));
    }
}

#[test]
fn what_is_run_is_not_hurt_and_the_second_ctrl_c_ends_at_once() {
    let Some(host) = host() else {
        return;
    };
    let (begun, log) = (host.fake().join("begun"), host.fake().join("log"));
    let (go, begun_, log_) = (host.fake().join("go"), begun.display(), log.display());
    let script = format!(
        "trap 'echo hurt >> {log_}' INT TERM; touch {begun_}; \
         while [ ! -e {} ]; do sleep 0.05; done; echo whole >> {log_}",
        go.display()
    );
    let policy: Value = json!({ "state": { "app": {
        "paths": ["/var/lib/app"],
        "units": ["app.service"],
        "after": ["sh", "-c", script],
    } } });
    host.machine
        .write("etc/cairn/policy.json", policy.to_string());
    let mut terminal = Terminal::run(&host.command(&["create"]), 24, 100);
    wait_for(&begun);
    terminal.send("\x03");
    terminal.wait("stopping at a safe place");
    fs::write(&go, "").unwrap();
    terminal.ends(130);
    assert_eq!(fs::read_to_string(&log).unwrap(), "whole\n");

    for path in [&begun, &log, &go] {
        fs::remove_file(path).unwrap();
    }
    let mut terminal = Terminal::run(&host.command(&["create"]), 24, 100);
    wait_for(&begun);
    terminal.send("\x03");
    terminal.wait("stopping at a safe place");
    terminal.send("\x03");
    terminal.ends(130);
    assert!(!log.exists(), "it waited");
    // What it still owed is made good by the next run.
    fs::write(&go, "").unwrap();
    host.ok(&["create", "--no-state"]);
    assert!(fs::read_to_string(&log).unwrap().contains("whole"));
    assert_eq!(left_over(&host), [""; 0]);
}

#[test]
fn a_command_before_is_ended_and_sigterm_does_the_same() {
    let Some(host) = host() else {
        return;
    };
    let begun = host.fake().join("begun");
    let script = format!("touch {}; sleep 300", begun.display());
    let after = host.fake().join("after");
    let policy: Value = json!({ "state": { "app": {
        "paths": ["/var/lib/app"],
        "before": ["sh", "-c", script],
        "after": ["touch", after.to_str().unwrap()],
    } } });
    host.machine
        .write("etc/cairn/policy.json", policy.to_string());
    let mut command = host.command(&["create"]);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = command.spawn().unwrap();
    wait_for(&begun);
    let pid = Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
    kill_process(pid, Signal::TERM).unwrap();
    let ended = Run::from(child.wait_with_output().unwrap()).ends(130);
    assert!(
        ended
            .err
            .contains("cairn: interrupted; nothing was changed"),
        "{}",
        ended.err
    );
    assert!(after.exists());
    assert_eq!(left_over(&host), [""; 0]);
}
