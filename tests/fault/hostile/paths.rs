//! Paths that lead out: links planted where a restore writes, folders swapped
//! while it writes, names that look like something else. Whatever happens,
//! nothing outside the root is written.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::support::{Ended, Machine, Node, changed, is_root, mode, odd_names, skip};
use rustix::fs::{CWD, FileType, Mode, RenameFlags, mknodat, renameat_with};

#[track_caller]
fn same(expected: &[Node], found: &[Node]) {
    let lines = changed(expected, found);
    assert!(lines.is_empty(), "{}", lines.join("\n"));
}

/// A machine with a tree and a point `one` of it; then a change.
fn machine() -> Machine {
    let machine = Machine::plain();
    let etc = machine.etc();
    fs::create_dir_all(etc.join("folder/deep")).unwrap();
    for file in ["victim", "folder/victim", "folder/deep/configuration.nix"] {
        fs::write(etc.join(file), format!("one of {file}")).unwrap();
    }
    mode(&etc.join("folder"), 0o750);
    machine.create("one");
    machine
}

/// Restores `one` over what was planted, exactly, and back again.
#[track_caller]
fn restores_exactly(machine: &Machine, wanted: &[Node]) {
    let canary = machine.canary();
    let planted = machine.picture();
    machine
        .run(["restore", &machine.point("one"), "-y"])
        .expect(0);
    same(wanted, &machine.picture());
    same(&canary, &machine.canary());
    machine.run(["undo", "-y"]).expect(0);
    same(&planted, &machine.picture());
    same(&canary, &machine.canary());
    machine.nothing_left_over();
}

#[test]
fn names_that_look_like_something_else_come_back() {
    let machine = Machine::plain();
    let odd = machine.etc().join("odd");
    fs::create_dir(&odd).unwrap();
    for name in odd_names() {
        fs::write(odd.join(&name), "file").unwrap();
        if name.len() < 200 {
            let folder = [name.as_encoded_bytes(), b".d"].concat();
            let folder = odd.join(crate::support::odd(&folder));
            fs::create_dir(&folder).unwrap();
            fs::write(folder.join(&name), "inside").unwrap();
            symlink(&name, folder.join("link")).unwrap();
        }
    }
    machine.create("one");
    let wanted = machine.picture();
    fs::remove_dir_all(&odd).unwrap();
    restores_exactly(&machine, &wanted);
    // One of them, by its name.
    for name in odd_names() {
        let path = Path::new("/etc/nixos/odd").join(&name);
        let mut args: Vec<std::ffi::OsString> = vec!["restore".into(), machine.point("one").into()];
        args.push(path.into());
        args.push("-y".into());
        machine.run(&args).expect(0);
        assert_eq!(fs::read(odd.join(&name)).unwrap(), b"file");
    }
}

#[test]
fn a_planted_link_is_replaced_not_followed() {
    type Plant = (&'static str, fn(&Machine));
    let plants: Vec<Plant> = vec![
        ("a file that is a link to a file", |m| {
            fs::remove_file(m.etc().join("victim")).unwrap();
            symlink(m.outside.join("victim"), m.etc().join("victim")).unwrap();
        }),
        ("a folder that is a link to a folder", |m| {
            fs::remove_dir_all(m.etc().join("folder")).unwrap();
            symlink(m.outside.join("folder"), m.etc().join("folder")).unwrap();
        }),
        ("a folder below that is one, relative", |m| {
            fs::remove_dir_all(m.etc().join("folder/deep")).unwrap();
            let out = "../../../../outside/folder/deep";
            assert!(m.etc().join("folder").join(out).is_dir());
            symlink(out, m.etc().join("folder/deep")).unwrap();
        }),
        ("the root itself", |m| {
            fs::remove_dir_all(m.etc()).unwrap();
            symlink(m.outside.join("folder"), m.etc()).unwrap();
        }),
        ("the root itself, dangling", |m| {
            fs::remove_dir_all(m.etc()).unwrap();
            symlink(m.outside.join("not-there"), m.etc()).unwrap();
        }),
        ("the root itself, a loop", |m| {
            fs::remove_dir_all(m.etc()).unwrap();
            symlink("nixos", m.etc()).unwrap();
        }),
        ("a folder where a file was", |m| {
            fs::remove_file(m.etc().join("victim")).unwrap();
            fs::create_dir_all(m.etc().join("victim/a/b")).unwrap();
            fs::write(m.etc().join("victim/a/b/c"), "in the way").unwrap();
            symlink(&m.outside, m.etc().join("victim/a/link")).unwrap();
        }),
        ("a pipe where a file was", |m| {
            fs::remove_file(m.etc().join("victim")).unwrap();
            let made = mknodat(CWD, m.etc().join("victim"), FileType::Fifo, Mode::RUSR, 0);
            made.unwrap();
        }),
        ("a second name of a file outside, other content", |m| {
            fs::remove_file(m.etc().join("victim")).unwrap();
            fs::hard_link(m.outside.join("victim"), m.etc().join("victim")).unwrap();
        }),
    ];
    for (what, plant) in plants {
        println!("{what}");
        let machine = machine();
        let wanted = machine.picture();
        plant(&machine);
        if what.ends_with("a loop") {
            // There is no telling what a loop leads to: the undo point cannot
            // be taken, so nothing is changed.
            let planted = machine.picture();
            let ended = machine.run(["restore", "latest", "-y"]);
            if ended.code == Some(0) {
                same(&wanted, &machine.picture());
            } else {
                assert!(ended.err.contains("symbolic links"), "{}", ended.told());
                same(&planted, &machine.picture());
            }
            continue;
        }
        restores_exactly(&machine, &wanted);
    }
}

/// Same content, other mode: giving it its mode back would change the file
/// outside too, so it is replaced.
#[test]
fn a_second_name_of_a_file_outside_is_not_changed_there() {
    let machine = machine();
    let wanted = machine.picture();
    let (inside, outside) = (machine.etc().join("victim"), machine.outside.join("same"));
    fs::rename(&inside, &outside).unwrap();
    mode(&outside, 0o600);
    fs::hard_link(&outside, &inside).unwrap();
    restores_exactly(&machine, &wanted);
}

/// Folders above a root are no part of the point: they are not replaced, and
/// nothing is written through them.
#[test]
fn a_parent_that_became_a_link_is_refused() {
    for missing in [false, true] {
        let machine = machine();
        fs::rename(machine.root.join("etc"), machine.root.join("etc-old")).unwrap();
        if !missing {
            fs::create_dir(machine.outside.join("nixos")).unwrap();
        }
        symlink(&machine.outside, machine.root.join("etc")).unwrap();
        let canary = machine.canary();
        for args in [
            &["restore", "latest", "-y"][..],
            &["restore", "latest", "/etc/nixos/victim", "-y"],
        ] {
            let ended = machine.run(args);
            assert_ne!(ended.code, Some(0), "{}", ended.told());
            assert!(
                ended.err.contains("nothing was changed"),
                "{}",
                ended.told()
            );
            same(&canary, &machine.canary());
            machine.run(["status"]).expect(0);
        }
    }
}

/// Ends the other thread even when this one fails.
struct SetOnDrop<'a>(&'a AtomicBool);

impl Drop for SetOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Restores run while another process swaps a folder for a link to outside and
/// back, thousands of times. The check of the path and its use are one step.
#[test]
fn a_folder_swapped_during_the_restore_leads_nowhere() {
    let machine = machine();
    let etc = machine.etc();
    let point = machine.point("one");
    let trap = machine.root.join("trap");
    symlink(machine.outside.join("folder"), &trap).unwrap();
    let canary = machine.canary();
    let stop = AtomicBool::new(false);
    // Held while a folder is swapped, so that this test itself never writes
    // through the link.
    let swapped = Mutex::new(());
    let pause = |micros: u64| std::thread::sleep(Duration::from_micros(micros));
    let (mut done, mut refused) = (0, 0);
    let swaps = std::thread::scope(|scope| {
        let swapper = scope.spawn(|| {
            let mut swaps = 0_u64;
            while !stop.load(Ordering::Relaxed) {
                for path in [etc.join("folder"), machine.root.join("etc")] {
                    let exchange =
                        || renameat_with(CWD, &trap, CWD, &path, RenameFlags::EXCHANGE).is_ok();
                    let guard = swapped.lock().unwrap();
                    if exchange() {
                        pause(swaps * 7 % 1500);
                        // What was swapped goes back, in place of what the
                        // restore may have put there meanwhile.
                        assert!(exchange());
                        swaps += 1;
                    }
                    if !trap.is_symlink() {
                        fs::remove_dir_all(&trap).unwrap();
                        symlink(machine.outside.join("folder"), &trap).unwrap();
                    }
                    drop(guard);
                    pause(swaps * 13 % 2500);
                }
            }
            swaps
        });
        let _ends = SetOnDrop(&stop);
        for round in 0..120 {
            {
                let _guard = swapped.lock().unwrap();
                // An undo point may hold the link, and going back brings it
                // back: that is right, but not to be written through here.
                if etc.join("folder").is_symlink() {
                    fs::remove_file(etc.join("folder")).unwrap();
                }
                let _ = fs::write(etc.join("folder/victim"), format!("round {round}"));
                let _ = fs::remove_file(etc.join("folder/deep/configuration.nix"));
            }
            let ended = machine.run(["restore", &point, "-y"]);
            let sound = ended.signal.is_none() && !ended.err.contains("panicked");
            assert!(sound, "{}", ended.told());
            match ended.code {
                Some(0) => done += 1,
                _ => refused += 1,
            }
            machine.run(["abort", "-y"]);
            machine.run(["resume", "-y"]);
            same(&canary, &machine.canary());
        }
        stop.store(true, Ordering::Relaxed);
        swapper.join().unwrap()
    });
    println!("{swaps} swaps, {done} restores, {refused} refused");
    assert!(swaps > 100 && done + refused == 120 && refused > 0);
    // Left alone, it comes back as ever.
    machine.run(["abort", "-y"]);
    machine.run(["restore", &point, "-y"]).expect(0);
    assert_eq!(
        fs::read(etc.join("folder/victim")).unwrap(),
        b"one of folder/victim"
    );
}

/// The undo point could not hold what a capture leaves out, so a folder with
/// it in it is not taken away.
#[test]
fn a_folder_that_holds_a_repository_is_not_replaced() {
    let machine = machine();
    fs::remove_file(machine.etc().join("victim")).unwrap();
    fs::create_dir_all(machine.etc().join("victim/.git")).unwrap();
    fs::write(machine.etc().join("victim/.git/HEAD"), "history").unwrap();
    let before = machine.picture();
    let ended = machine.run(["restore", "latest", "-y"]).expect(1);
    let said = ended.err.contains("move it away") && ended.err.contains("nothing was changed");
    assert!(said, "{}", ended.told());
    same(&before, &machine.picture());
    machine.run(["status"]).expect(0);
    // A repository where nothing was stays, and its folder with it.
    let other = machine.etc().join("clone/.git");
    fs::rename(machine.etc().join("victim"), machine.etc().join("clone")).unwrap();
    machine.run(["restore", "latest", "-y"]).expect(0);
    assert_eq!(fs::read(other.join("HEAD")).unwrap(), b"history");
}

/// Only what staging names is swept away and left out; what merely looks like
/// it is captured and comes back.
#[test]
fn files_that_only_look_staged_are_a_persons_own() {
    let machine = machine();
    let theirs = [".cairn-notes", ".cairn-", ".cairn-0123-0"];
    for name in theirs {
        fs::write(machine.etc().join(name), "mine").unwrap();
    }
    fs::create_dir(machine.etc().join(".cairn-folder")).unwrap();
    machine.create("with them");
    for name in theirs {
        fs::write(machine.etc().join(name), "changed").unwrap();
    }
    fs::remove_dir(machine.etc().join(".cairn-folder")).unwrap();
    let left = format!(".cairn-{}-3", "0123456789abcdef".repeat(2));
    fs::write(machine.etc().join("folder").join(&left), "of a crash").unwrap();
    fs::write(machine.etc().join("victim"), "changed").unwrap();
    machine.run(["restore", "latest", "-y"]).expect(0);
    for name in theirs {
        assert_eq!(
            fs::read(machine.etc().join(name)).unwrap(),
            b"mine",
            "{name}"
        );
    }
    assert!(machine.etc().join(".cairn-folder").is_dir());
    assert!(!machine.etc().join("folder").join(&left).exists());
}

/// Pipes and devices come back with owner and mode, and are not opened: the
/// device here has no driver, and opening it would fail.
#[test]
fn special_files_come_back_unopened() {
    const NAME: &str = "special_files_come_back_unopened";
    if !is_root() {
        return skip(NAME, "root");
    }
    let machine = machine();
    let etc = machine.etc();
    let device = rustix::fs::makedev(4095, 77);
    for (name, kind, device) in [
        ("pipe", FileType::Fifo, 0),
        ("char", FileType::CharacterDevice, device),
        ("block", FileType::BlockDevice, device),
    ] {
        let made = mknodat(CWD, etc.join(name), kind, Mode::RUSR, device);
        if made.is_err() {
            return skip(NAME, "the right to make devices");
        }
        std::os::unix::fs::chown(etc.join(name), Some(12), Some(34)).unwrap();
        mode(&etc.join(name), 0o640);
    }
    machine.create("special");
    let wanted = machine.picture();
    for name in ["pipe", "char"] {
        fs::remove_file(etc.join(name)).unwrap();
    }
    mode(&etc.join("block"), 0o600);
    let changed = machine.picture();
    machine.run(["restore", "latest", "-y"]).expect(0);
    same(&wanted, &machine.picture());
    machine.run(["undo", "-y"]).expect(0);
    same(&changed, &machine.picture());
}

#[test]
fn a_root_that_is_none_is_refused() {
    let machine = Machine::plain();
    let canary = machine.canary();
    let run = |root: &Path, args: &[&str]| -> Ended {
        let mut command = machine.command::<&str>([]);
        let program = command.get_program().to_owned();
        command = Command::new(program);
        let output = command.arg("--root").arg(root).args(args).output().unwrap();
        let err = String::from_utf8_lossy(&output.stderr).into_owned();
        let code = output.status.code();
        Ended {
            code,
            signal: None,
            out: String::new(),
            err,
            raw: vec![],
        }
    };
    let file = machine.root.join("file");
    fs::write(&file, "").unwrap();
    for root in [machine.root.join("not-there"), file] {
        for args in [
            &["create"][..],
            &["list"],
            &["status"],
            &["restore", "latest", "-y"],
        ] {
            let ended = run(&root, args).expect(1);
            let name = root.file_name().unwrap().to_str().unwrap();
            assert!(ended.err.contains(name), "{}", ended.err);
            assert!(ended.err.contains("cannot use the root"), "{}", ended.err);
        }
    }
    same(&canary, &machine.canary());
}

/// Links of another root lead where they would lead there, never out of it.
#[test]
fn links_of_another_root_stay_in_it() {
    let machine = Machine::plain();
    let root = &machine.root;
    fs::create_dir_all(root.join("persist/cairn")).unwrap();
    fs::create_dir_all(root.join("persist/static")).unwrap();
    fs::create_dir_all(root.join("var/lib")).unwrap();
    // Both targets also exist outside of the root, on this machine.
    let out = machine.outside.join("state");
    fs::create_dir(&out).unwrap();
    fs::create_dir_all(root.join(out.strip_prefix("/").unwrap())).unwrap();
    symlink(&out, root.join("var/lib/cairn")).unwrap();
    fs::create_dir_all(root.join("etc/cairn")).unwrap();
    symlink(
        "/persist/static/policy.json",
        root.join("etc/cairn/policy.json"),
    )
    .unwrap();
    symlink("/persist/static/hostname", root.join("etc/hostname")).unwrap();
    fs::write(root.join("persist/static/hostname"), "inside\n").unwrap();
    fs::write(
        root.join("persist/static/policy.json"),
        r#"{ "version": 1, "configPaths": ["/etc/nixos", "/etc/cairn"] }"#,
    )
    .unwrap();
    let canary = machine.canary();
    let created = machine.run(["create", "--json"]).expect(0).json();
    assert_eq!(created["point"]["host"], "inside");
    let roots = created["point"]["config"]["roots"].to_string();
    assert!(
        roots.contains("/etc/cairn"),
        "the policy was not read: {roots}"
    );
    same(&canary, &machine.canary());
    let inside = root.join(out.strip_prefix("/").unwrap()).join("points");
    assert_eq!(fs::read_dir(inside).unwrap().count(), 1);
}

/// A roots directory that leads out is not written through.
#[test]
fn a_planted_roots_directory_is_refused() {
    const NAME: &str = "a_planted_roots_directory_is_refused";
    let Some(machine) = Machine::new(NAME) else {
        return;
    };
    let roots = machine.root.join("nix/var/nix/gcroots/cairn");
    symlink(machine.outside.join("folder"), &roots).unwrap();
    let canary = machine.canary();
    let ended = machine.run(["create"]).expect(1);
    assert!(ended.err.contains("gcroots/cairn"), "{}", ended.told());
    same(&canary, &machine.canary());
    assert!(machine.ids().is_empty());
}

/// The state directory never captures itself, wherever it is.
#[test]
fn a_state_directory_inside_the_configuration_is_left_out() {
    for place in ["state", "a/b/state"] {
        let machine = machine();
        let state = machine.etc().join(place);
        let dir = state.to_str().unwrap();
        let run = |args: &[&str]| machine.run([&["--state-dir", dir], args].concat());
        let created = run(&["create", "--json"]).expect(0).json();
        let files = created["point"]["config"]["files"].as_u64().unwrap();
        assert_eq!(files, 4, "{place}: {created}");
        run(&["create"]).expect(0);
        let again = run(&["create", "--json"]).expect(0).json();
        assert_eq!(again["point"]["config"]["files"], 4);
        fs::write(machine.etc().join("victim"), "changed").unwrap();
        run(&["restore", "latest", "-y"]).expect(0);
        assert_eq!(
            fs::read(machine.etc().join("victim")).unwrap(),
            b"one of victim"
        );
        run(&["undo", "-y"]).expect(0);
        assert_eq!(fs::read(machine.etc().join("victim")).unwrap(), b"changed");
        let verify = run(&["verify", "--read-data"]).expect(0);
        assert!(verify.out.contains("all is well"), "{}", verify.told());
        let status = run(&["status", "--json"]).expect(0).json();
        assert_eq!(status["status"]["points"], 5);
        let changes = &status["status"]["configChanges"];
        assert!(changes.as_u64().unwrap() <= 2, "{place}: {status}");
        assert_eq!(run(&["diff", "latest~1", "latest"]).code, Some(0));
    }
}
