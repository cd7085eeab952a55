//! Full disks, read-only and immutable files, missing rights and held locks:
//! a clear error, and everything as it was.

use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::support::{Machine, changed, have, is_root, listing, mode, namespaces, scratch, skip};
use cairn::system::lock::{Lock, Mode};

const LOCKED: i32 = 11;
const NEEDS_RESUME: i32 = 22;

/// Bytes that do not compress.
fn noise(length: usize, seed: u64) -> Vec<u8> {
    let mut state = seed | 1;
    (0..length)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state.to_le_bytes()[3]
        })
        .collect()
}

/// The target is full: nothing is put in place, nothing is left over, and the
/// restore is not left unfinished.
#[test]
fn a_full_target_stops_a_restore_before_it_changes_anything() {
    const NAME: &str = "a_full_target_stops_a_restore_before_it_changes_anything";
    if !namespaces(NAME) {
        return;
    }
    let machine = Machine::plain();
    let etc = machine.etc();
    fs::create_dir_all(machine.root.join("srv/second")).unwrap();
    let policy = machine.root.join("etc/cairn/policy.json");
    fs::create_dir_all(policy.parent().unwrap()).unwrap();
    let text = r#"{ "version": 1, "configPaths": ["/etc/nixos", "/srv/second"] }"#;
    fs::write(&policy, text).unwrap();
    fs::write(etc.join("small"), "one").unwrap();
    fs::write(machine.root.join("srv/second/large"), noise(2 << 20, 1)).unwrap();
    fs::write(machine.root.join("srv/second/other"), noise(1 << 20, 2)).unwrap();
    let one = machine.create("one");
    fs::write(etc.join("small"), "two").unwrap();
    fs::write(machine.root.join("srv/second/large"), "two").unwrap();
    fs::remove_file(machine.root.join("srv/second/other")).unwrap();
    // The second root is on a file system of its own with too little space.
    // Inside the namespace everything is looked at before and after.
    let script = r#"
        cp -a "$ROOT/srv/second" "$ROOT/srv/copy"
        mount -t tmpfs -o size=2500k,mode=755 none "$ROOT/srv/second"
        cp -a "$ROOT/srv/copy/." "$ROOT/srv/second"
        rm -r "$ROOT/srv/copy"
        look() {
            cd "$ROOT"
            find etc srv -printf '%p %y %m %U:%G %l\n' | sort
            find etc srv -type f -exec sha256sum {} + | sort
        }
        look > "$ROOT/before"
        code=0; "$@" || code=$?
        look > "$ROOT/after"
        diff "$ROOT/before" "$ROOT/after" >&2 || code=99
        exit $code
    "#;
    let ended = machine.wrapped(script, &["restore", &one, "-y"]).expect(1);
    let said = ended.err.contains("No space left") && ended.err.contains("nothing was changed");
    assert!(said, "{}", ended.told());
    machine.run(["status"]).expect(0);
    let none = machine.run(["resume", "-y"]).expect(1);
    assert!(none.err.contains("no restore to resume"));
    machine.nothing_left_over();
    // With room it goes through.
    machine.run(["restore", &one, "-y"]).expect(0);
    assert_eq!(fs::read(etc.join("small")).unwrap(), b"one");
}

/// State that has no room is not begun with: no unit is stopped for it, and
/// no point is taken.
#[test]
fn state_without_room_is_refused_before_anything_is_stopped() {
    const NAME: &str = "state_without_room_is_refused_before_anything_is_stopped";
    if !namespaces(NAME) {
        return;
    }
    let machine = Machine::plain();
    let policy = machine.root.join("etc/cairn/policy.json");
    fs::create_dir_all(policy.parent().unwrap()).unwrap();
    let text = r#"{ "state": { "app": { "paths": ["/srv/app"] } } }"#;
    fs::write(&policy, text).unwrap();
    fs::create_dir_all(machine.root.join("srv/app")).unwrap();
    fs::write(machine.root.join("srv/app/large"), noise(2 << 20, 1)).unwrap();
    let one = machine.create("one");
    fs::write(machine.root.join("srv/app/large"), "two").unwrap();
    let script = r#"
        mount -t tmpfs -o size=1500k,mode=755 none "$ROOT/srv/app"
        printf two > "$ROOT/srv/app/large"
        exec "$@"
    "#;
    let ended = machine
        .wrapped(script, &["restore", &one, "--only", "state", "-y"])
        .expect(1);
    let said = ended.err.contains("free, and the restore needs 2.0 MiB");
    assert!(
        said && ended.err.contains("nothing was changed"),
        "{}",
        ended.told()
    );
    assert_eq!(machine.ids(), [one.as_str()]);
    machine.run(["restore", &one, "-y"]).expect(0);
    let large = fs::read(machine.root.join("srv/app/large")).unwrap();
    assert_eq!(large.len(), 2 << 20);
}

/// The disk with the state directory fills up at every stage of a `create`:
/// each fails with a word of it, lists nothing and hurts no other point.
#[test]
fn a_full_state_directory_stops_a_create() {
    const NAME: &str = "a_full_state_directory_stops_a_create";
    if !namespaces(NAME) {
        return;
    }
    let machine = Machine::plain();
    let one = machine.create("one");
    fs::write(machine.etc().join("large"), noise(600 << 10, 3)).unwrap();
    let (mut full, mut fitted) = (0, 0);
    for spare in [
        0, 1, 2, 3, 4, 5, 6, 8, 12, 20, 60, 120, 150, 156, 160, 170, 400,
    ] {
        // `$1` is the program: it is run again to look at what was left.
        let script = format!(
            r#"
            mount -t tmpfs -o size=100m,mode=700 none "$ROOT/mnt"
            cp -a "$ROOT/var/lib/cairn/." "$ROOT/mnt"
            used=$(df -B4096 --output=used "$ROOT/mnt" | tail -1)
            mount -o remount,size=$(( (used + {spare}) * 4096 )) "$ROOT/mnt"
            mount --bind "$ROOT/mnt" "$ROOT/var/lib/cairn"
            code=0; "$@" >&2 || code=$?
            cairn() {{ "$program" --root "$ROOT" "$@"; }}
            program=$1
            cairn list --json
            cairn verify --read-data >&2
            ls "$ROOT/var/lib/cairn/points" | wc -l >&2
            mount -o remount,size=100m "$ROOT/mnt"
            cairn create -r after >&2
            cairn prune --keep-last 2 -y >&2
            test -z "$(ls "$ROOT/var/lib/cairn/inflight")"
            cairn verify --read-data | grep -q 'all is well'
            ! cairn verify | grep -q 'belongs to no'
            exit $code
            "#
        );
        fs::create_dir_all(machine.root.join("mnt")).unwrap();
        let ended = machine.wrapped(&script, &["create", "-r", "two"]);
        let ids = crate::support::ids(&ended.json());
        match ended.code {
            Some(1) => {
                full += 1;
                let said = ended.err.contains("No space left") || ended.err.contains("full");
                assert!(said, "{spare}: {}", ended.told());
                assert!(
                    ended.err.contains("nothing was changed"),
                    "{}",
                    ended.told()
                );
                assert_eq!(ids, std::slice::from_ref(&one), "{spare}");
            }
            Some(0) => {
                fitted += 1;
                assert_eq!(ids.len(), 2, "{spare}");
            }
            _ => panic!("{spare}: {}", ended.told()),
        }
    }
    assert!(full >= 5 && fitted >= 1, "{full} full, {fitted} fitted");
}

#[test]
fn a_read_only_state_directory_stops_a_create() {
    const NAME: &str = "a_read_only_state_directory_stops_a_create";
    if !namespaces(NAME) {
        return;
    }
    let machine = Machine::plain();
    let one = machine.create("one");
    let before = listing(&machine.root, &["var", "etc"]);
    let script = r#"
        mount --bind "$ROOT/var/lib/cairn" "$ROOT/var/lib/cairn"
        mount -o remount,bind,ro "$ROOT/var/lib/cairn"
        exec "$@"
    "#;
    let state = machine.state();
    let dir = state.to_str().unwrap();
    for args in [
        &["--state-dir", dir, "create"][..],
        &["--state-dir", dir, "prune", "--keep-last", "1", "-y"],
        &["--state-dir", dir, "pin", &one],
    ] {
        let ended = machine.wrapped(script, args).expect(1);
        let said = ended.err.contains("Read-only file system") && ended.err.contains("cairn");
        assert!(
            said && ended.err.contains("nothing was changed"),
            "{}",
            ended.told()
        );
    }
    // Without a name for it, points are not silently put elsewhere.
    let list = machine
        .wrapped(script, &["--state-dir", dir, "list", "--json"])
        .expect(0);
    assert_eq!(crate::support::ids(&list.json()), [one]);
    let lines = changed(&before, &listing(&machine.root, &["var", "etc"]));
    assert!(lines.is_empty(), "{lines:?}");
}

/// A file system that is read-only, and files that may not be changed.
#[test]
fn a_read_only_target_is_left_as_it_was() {
    const NAME: &str = "a_read_only_target_is_left_as_it_was";
    if !namespaces(NAME) {
        return;
    }
    let machine = Machine::plain();
    let one = machine.create("one");
    fs::write(machine.etc().join("configuration.nix"), "two").unwrap();
    let before = machine.picture();
    let script = r#"
        mount --bind "$ROOT/etc/nixos" "$ROOT/etc/nixos"
        mount -o remount,bind,ro "$ROOT/etc/nixos"
        exec "$@"
    "#;
    let ended = machine.wrapped(script, &["restore", &one, "-y"]).expect(1);
    let said = ended.err.contains("Read-only") && ended.err.contains("nothing was changed");
    assert!(said, "{}", ended.told());
    assert_eq!(before, machine.picture());
    machine.run(["status"]).expect(0);
    machine.nothing_left_over();
}

/// An immutable file cannot be replaced: the restore stops halfway and says
/// so; resume goes on when it may, abort goes back.
#[test]
fn an_immutable_file_stops_a_restore_halfway() {
    const NAME: &str = "an_immutable_file_stops_a_restore_halfway";
    // Memory file systems know no such flag everywhere; the disk does.
    let disk = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let probe = disk.path().join("probe");
    fs::write(&probe, "").unwrap();
    let chattr = |flag: &str, path: &std::path::Path| {
        let done = Command::new("chattr").arg(flag).arg(path).output();
        done.is_ok_and(|o| o.status.success())
    };
    if !is_root() || !chattr("+i", &probe) {
        return skip(NAME, "root and chattr +i");
    }
    assert!(chattr("-i", &probe));
    for ending in ["resume", "abort"] {
        let mut machine = Machine::plain();
        machine.root = disk.path().join(ending);
        let etc = machine.etc();
        fs::create_dir_all(&etc).unwrap();
        for name in ["a", "b", "c"] {
            fs::write(etc.join(name), "one").unwrap();
        }
        let one = machine.create("one");
        let wanted = machine.picture();
        for name in ["a", "b", "c"] {
            fs::write(etc.join(name), "two").unwrap();
        }
        let before = machine.picture();
        assert!(chattr("+i", &etc.join("b")));
        let ended = machine.run(["restore", &one, "-y"]).expect(NEEDS_RESUME);
        let said = ended.err.contains("not finished") && ended.err.contains("cairn resume");
        assert!(
            said && !ended.err.contains("nothing was changed"),
            "{}",
            ended.told()
        );
        machine.run(["status"]).expect(NEEDS_RESUME);
        machine.run(["resume", "-y"]).expect(NEEDS_RESUME);
        assert!(chattr("-i", &etc.join("b")));
        machine.run([ending, "-y"]).expect(0);
        let expected = if ending == "resume" { &wanted } else { &before };
        let lines = changed(expected, &machine.picture());
        assert!(lines.is_empty(), "{lines:?}");
        machine.nothing_left_over();
    }
}

/// Content that cannot be forgotten keeps its marker, and goes next time.
#[test]
fn a_snapshot_that_cannot_be_removed_is_tried_again() {
    const NAME: &str = "a_snapshot_that_cannot_be_removed_is_tried_again";
    if !namespaces(NAME) {
        return;
    }
    let machine = Machine::plain();
    let one = machine.create("one");
    machine.create("two");
    let script = r#"
        snapshots="$ROOT/var/lib/cairn/vault/config/snapshots"
        mount --bind "$snapshots" "$snapshots"
        mount -o remount,bind,ro "$snapshots"
        exec "$@"
    "#;
    let ended = machine.wrapped(script, &["prune", "--keep-last", "1", "-y"]);
    assert!(
        ended.code == Some(3) || ended.code == Some(1),
        "{}",
        ended.told()
    );
    assert!(
        ended.raw.windows(9).any(|w| w == b"Read-only"),
        "{}",
        ended.told()
    );
    assert!(!machine.ids().contains(&one));
    machine.run(["prune", "--keep-last", "1", "-y"]).expect(0);
    machine.nothing_left_over();
}

/// Another user: what may not be read makes the point partial, what may not be
/// written is found before anything is changed.
#[test]
fn without_rights_nothing_is_changed() {
    const NAME: &str = "without_rights_nothing_is_changed";
    if !is_root() || !have("setpriv") {
        return skip(NAME, "root with setpriv");
    }
    let machine = Machine::plain();
    let etc = machine.etc();
    fs::write(etc.join("secret"), "of root").unwrap();
    mode(&etc.join("secret"), 0o600);
    mode(machine.dir.path(), 0o755);
    // The program as well must be where another user may run it.
    let place = scratch();
    mode(place.path(), 0o755);
    let program = place.path().join("cairn");
    fs::copy(env!("CARGO_BIN_EXE_cairn"), &program).unwrap();
    let state = machine.dir.path().join("theirs");
    fs::create_dir(&state).unwrap();
    std::os::unix::fs::chown(&state, Some(65534), Some(65534)).unwrap();
    let run = |args: &[&str]| {
        let output = Command::new("setpriv")
            .args(["--reuid=65534", "--regid=65534", "--clear-groups"])
            .arg(&program)
            .arg("--root")
            .arg(&machine.root)
            .arg("--state-dir")
            .arg(&state)
            .args(args)
            .env("HOME", &state)
            .output()
            .unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (
            output.status.code(),
            text(&output.stdout),
            text(&output.stderr),
        )
    };
    let (code, out, err) = run(&["create"]);
    assert_eq!(code, Some(3), "{out}{err}");
    assert!(
        out.contains("not captured: /etc/nixos/secret"),
        "{out}{err}"
    );
    let (code, out, err) = run(&["status"]);
    assert_eq!(code, Some(0), "{out}{err}");
    fs::write(etc.join("configuration.nix"), "two").unwrap();
    let before = machine.picture();
    let (code, out, err) = run(&["restore", "latest", "-y"]);
    assert_eq!(code, Some(1), "{out}{err}");
    assert!(
        err.contains("rights that user 65534 does not have"),
        "{err}"
    );
    assert!(err.contains("nothing was changed"), "{err}");
    assert_eq!(before, machine.picture());
    assert_eq!(run(&["status"]).0, Some(0));
    // What root restores of that point leaves alone what is not in it.
    let dir = state.to_str().unwrap();
    machine
        .run(["--state-dir", dir, "restore", "latest", "-y"])
        .expect(0);
    assert_eq!(fs::read(etc.join("secret")).unwrap(), b"of root");
    assert_ne!(fs::read(etc.join("configuration.nix")).unwrap(), b"two");
}

#[test]
fn a_held_lock_is_waited_for_and_then_named() {
    let machine = Machine::plain();
    let one = machine.create("one");
    fs::write(machine.etc().join("configuration.nix"), "two").unwrap();
    let before = machine.picture();
    let exclusive: &[&[&str]] = &[
        &["create"],
        &["restore", &one, "-y"],
        &["pin", &one],
        &["verify"],
    ];
    let shared: &[&[&str]] = &[
        &["restore", &one, "-y"],
        &["pin", &one],
        &["mark-good", &one],
    ];
    for (held, verbs) in [(Mode::Exclusive, exclusive), (Mode::Shared, shared)] {
        let lock = Lock::take(&machine.state(), held, Duration::ZERO).unwrap();
        for args in verbs {
            let begun = Instant::now();
            let ended = machine
                .run([&["--lock-timeout", "1"], *args].concat())
                .expect(LOCKED);
            let waited = begun.elapsed();
            assert!(waited >= Duration::from_secs(1) && waited < Duration::from_secs(20));
            assert!(
                ended.err.contains("is locked by another cairn"),
                "{}",
                ended.told()
            );
            assert!(
                ended.err.contains("nothing was changed"),
                "{}",
                ended.told()
            );
            assert!(ended.err.contains("--lock-timeout"), "{}", ended.told());
            let json = [&["--lock-timeout", "0", "--json"], *args].concat();
            let told = machine.run(json).expect(LOCKED);
            let error: serde_json::Value = serde_json::from_str(&told.err).unwrap();
            assert_eq!(error["error"]["exit"], 11);
        }
        // Looking waits for nobody.
        for args in [
            &["list"][..],
            &["show"],
            &["status"],
            &["diff"],
            &["restore", &one, "-n"],
        ] {
            machine.run(args).expect(0);
        }
        drop(lock);
    }
    let lines = changed(&before, &machine.picture());
    assert!(lines.is_empty(), "{lines:?}");
    assert_eq!(machine.ids(), [one]);
    // Beside others who share it, points are taken.
    let _lock = Lock::take(&machine.state(), Mode::Shared, Duration::ZERO).unwrap();
    machine.run(["--lock-timeout", "0", "create"]).expect(0);
    machine.run(["--lock-timeout", "0", "verify"]).expect(0);
}
