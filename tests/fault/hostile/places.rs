//! Places where nothing can simply be renamed into: mount points, overlays,
//! read-only folders; and files that a restore could easily make others.

use std::fs;
use std::os::unix::fs::{FileExt as _, MetadataExt as _, symlink};
use std::process::Command;

use crate::support::{Machine, changed, have, is_root, listing, mode, namespaces, skip};

/// A machine with a point of `then`, made by `now` since.
fn machine(then: impl Fn(&Machine), now: impl Fn(&Machine)) -> (Machine, String) {
    let machine = Machine::plain();
    then(&machine);
    let point = machine.create("then");
    now(&machine);
    (machine, point)
}

/// Prepends the mounts; the machine is looked at inside, where they are.
fn inside(mounts: &str) -> String {
    format!(
        r#"
        look() {{
            cd "$ROOT/etc"
            find . -printf '%p %y %m %U:%G %n %l\n' | sort
            find . -type f -exec sha256sum {{}} + | sort
            cd /
        }}
        {mounts}
        look > "$ROOT/before"
        code=0; "$@" || code=$?
        look > "$ROOT/after"
        exit $code
        "#
    )
}

/// A file with a file system mounted over it cannot be replaced: its content
/// is written anew, in the file that is mounted there.
#[test]
fn a_mounted_file_gets_its_content_back() {
    const NAME: &str = "a_mounted_file_gets_its_content_back";
    if !namespaces(NAME) {
        return;
    }
    let (machine, one) = machine(
        |m| {
            fs::write(m.etc().join("secret"), "a longer text than now").unwrap();
            mode(&m.etc().join("secret"), 0o640);
        },
        |m| {
            fs::write(m.root.join("kept"), "short").unwrap();
            fs::write(m.etc().join("secret"), "").unwrap();
        },
    );
    let script = inside(r#"mount --bind "$ROOT/kept" "$ROOT/etc/nixos/secret""#);
    machine.wrapped(&script, &["restore", &one, "-y"]).expect(0);
    let kept = machine.root.join("kept");
    assert_eq!(fs::read(&kept).unwrap(), b"a longer text than now");
    assert_eq!(kept.metadata().unwrap().mode() & 0o7777, 0o640);
    let undone = machine.wrapped(&script, &["undo", "-y"]);
    undone.expect(0);
    assert_eq!(fs::read(&kept).unwrap(), b"short");
    assert_eq!(fs::read(machine.etc().join("secret")).unwrap(), b"");
    machine.nothing_staged();
}

/// What would have to go and is a mount point stops a restore before it
/// changes anything.
#[test]
fn a_mount_point_that_would_have_to_go_is_refused() {
    const NAME: &str = "a_mount_point_that_would_have_to_go_is_refused";
    if !namespaces(NAME) {
        return;
    }
    let (machine, one) = machine(
        |m| fs::write(m.etc().join("a"), "one").unwrap(),
        |m| {
            fs::write(m.etc().join("a"), "two").unwrap();
            fs::create_dir_all(m.etc().join("new/mounted")).unwrap();
        },
    );
    let script = inside(r#"mount -t tmpfs none "$ROOT/etc/nixos/new/mounted""#);
    let ended = machine.wrapped(&script, &["restore", &one, "-y"]).expect(1);
    let told = ended
        .err
        .contains("/etc/nixos/new/mounted would have to go")
        && ended.err.contains("unmount it first; nothing was changed");
    assert!(told, "{}", ended.told());
    let read = |name| fs::read_to_string(machine.root.join(name)).unwrap();
    assert_eq!(read("before"), read("after"));
    machine.run(["status"]).expect(0);
    machine.nothing_left_over();
    machine.run(["restore", &one, "-y"]).expect(0);
}

/// `/etc` is read-only and the configuration a file system in it: nothing is
/// staged outside of it.
#[test]
fn a_configuration_in_a_read_only_etc_comes_back() {
    const NAME: &str = "a_configuration_in_a_read_only_etc_comes_back";
    if !namespaces(NAME) {
        return;
    }
    let (machine, one) = machine(
        |m| {
            fs::create_dir(m.etc().join("folder")).unwrap();
            fs::write(m.etc().join("folder/a"), "one").unwrap();
        },
        |m| {
            fs::remove_dir_all(m.etc().join("folder")).unwrap();
            fs::write(m.etc().join("folder"), "two").unwrap();
        },
    );
    let before = machine.picture();
    let script = inside(
        r#"
        mount --bind "$ROOT/etc/nixos" "$ROOT/mnt"
        mount --bind "$ROOT/etc" "$ROOT/etc"
        mount -o remount,bind,ro "$ROOT/etc"
        mount --move "$ROOT/mnt" "$ROOT/etc/nixos" 2>/dev/null ||
            mount --bind "$ROOT/mnt" "$ROOT/etc/nixos"
        ! touch "$ROOT/etc/x" 2>/dev/null
        "#,
    );
    fs::create_dir(machine.root.join("mnt")).unwrap();
    machine.wrapped(&script, &["restore", &one, "-y"]).expect(0);
    assert_eq!(fs::read(machine.etc().join("folder/a")).unwrap(), b"one");
    machine.wrapped(&script, &["undo", "-y"]).expect(0);
    let lines = changed(&before, &machine.picture());
    assert!(lines.is_empty(), "{lines:?}");
}

/// What is on a disk that was mounted read-only, as for a rescue, is read
/// without a lock file and brought out elsewhere; what would change it says how
/// that could be.
#[test]
fn a_read_only_disk_is_read_and_brought_out() {
    const NAME: &str = "a_read_only_disk_is_read_and_brought_out";
    if !namespaces(NAME) {
        return;
    }
    let machine = Machine::plain();
    let one = machine.create("then");
    fs::write(machine.etc().join("configuration.nix"), "{ new = 1; }\n").unwrap();
    for locked in [true, false] {
        if !locked {
            for file in ["lock", "lock.turnstile"] {
                fs::remove_file(machine.state().join(file)).unwrap();
            }
        }
        let out = tempfile::tempdir().unwrap();
        let copies = out.path().join("copies");
        let file = out.path().join("point.cairn");
        let (copies_, file_) = (copies.to_str().unwrap(), file.to_str().unwrap());
        let script = r#"
            mount --bind "$ROOT" "$ROOT"
            mount -o remount,bind,ro "$ROOT"
            ! touch "$ROOT/x" 2>/dev/null
            "$@"
        "#;
        let run = |args: &[&str]| machine.wrapped(script, args);
        for args in [
            &["list"][..],
            &["show", &one],
            &["show", &one, "--cat", "/etc/nixos/configuration.nix"],
            &["diff", &one],
            &["status"],
            &["verify", "--read-data"],
            &["restore", &one, "--to", copies_],
            &["export", &one, file_],
            &["restore", &one, "-n"],
        ] {
            let ended = run(args);
            assert_eq!(ended.code, Some(0), "{args:?}: {}", ended.told());
        }
        let copy = fs::read(copies.join("etc/nixos/configuration.nix")).unwrap();
        assert_eq!(copy, b"{ }\n");
        assert!(file.metadata().unwrap().len() > 0);
        for args in [
            &["create"][..],
            &["restore", &one, "-y"],
            &["mark-good", &one],
        ] {
            let ended = run(args).expect(1);
            let told = ended.err.contains("Read-only file system")
                && ended.err.contains("nothing was changed")
                && ended.err.contains("remount,rw");
            assert!(told, "{args:?}: {}", ended.told());
        }
    }
    // Another mount of the same disk may be written through.
    machine.create("again");
}

/// A folder above the configuration that became a link is not followed, out of
/// the root least of all.
#[test]
fn a_link_above_the_configuration_is_not_followed() {
    let machine = Machine::plain();
    let one = machine.create("then");
    let outside = machine.root.parent().unwrap().join("outside/etc");
    fs::rename(machine.root.join("etc"), &outside).unwrap();
    fs::write(outside.join("nixos/secret"), "not of this root").unwrap();
    symlink(&outside, machine.root.join("etc")).unwrap();
    let before = listing(machine.root.parent().unwrap(), &["outside"]);
    for args in [
        &["restore", &one, "-n"][..],
        &["restore", &one, "-y"],
        &["diff", &one],
    ] {
        let ended = machine.run(args).expect(1);
        let told = ended.err.contains("/etc is a symbolic link by now")
            && ended.err.contains("nothing was changed")
            && !ended.told().contains("secret");
        assert!(told, "{}", ended.told());
    }
    machine.run(["status"]).expect(0);
    let lines = changed(
        &before,
        &listing(machine.root.parent().unwrap(), &["outside"]),
    );
    assert!(lines.is_empty(), "{lines:?}");
    // Brought out elsewhere it is all the same.
    let out = tempfile::tempdir().unwrap();
    let copies = out.path().join("copies");
    machine
        .run(["restore", &one, "--to", copies.to_str().unwrap()])
        .expect(0);
    assert!(copies.join("etc/nixos/configuration.nix").is_file());
}

/// On an overlay a folder of the lower layer changes places with nothing.
#[test]
fn folders_of_an_overlay_come_and_go() {
    const NAME: &str = "folders_of_an_overlay_come_and_go";
    if !namespaces(NAME) {
        return;
    }
    let (machine, one) = machine(
        |m| {
            fs::write(m.etc().join("was-file"), "a file").unwrap();
            fs::create_dir(m.etc().join("was-folder")).unwrap();
            fs::write(m.etc().join("was-folder/in"), "it").unwrap();
            symlink("was-file", m.etc().join("was-link")).unwrap();
        },
        |m| {
            for name in ["was-file", "was-link"] {
                fs::remove_file(m.etc().join(name)).unwrap();
                fs::create_dir(m.etc().join(name)).unwrap();
                fs::write(m.etc().join(name).join("new"), "x").unwrap();
            }
            fs::remove_dir_all(m.etc().join("was-folder")).unwrap();
            fs::write(m.etc().join("was-folder"), "x").unwrap();
        },
    );
    fs::create_dir(machine.root.join("mnt")).unwrap();
    let mount = r#"
        mount -t tmpfs none "$ROOT/mnt"
        mkdir "$ROOT/mnt/upper" "$ROOT/mnt/work"
        mount -t overlay -o "lowerdir=$ROOT/etc/nixos,upperdir=$ROOT/mnt/upper,workdir=$ROOT/mnt/work" \
            none "$ROOT/etc/nixos"
    "#;
    let probe = machine.wrapped(mount, &["status"]);
    if probe.code != Some(0) {
        return skip(NAME, "overlay file systems");
    }
    let script = inside(mount).replace(
        "exit $code",
        r#"
        if [ $code = 0 ]; then "$1" --root "$ROOT" undo -y >&2; fi
        look > "$ROOT/undone"
        exit $code
        "#,
    );
    machine.wrapped(&script, &["restore", &one, "-y"]).expect(0);
    let read = |name| fs::read_to_string(machine.root.join(name)).unwrap();
    let after = read("after");
    for line in [
        "./nixos/was-file f 644",
        "./nixos/was-folder/in f 644",
        "./nixos/was-link l 777",
    ] {
        assert!(after.contains(line), "no {line} in\n{after}");
    }
    // Numbers of links of folders are the overlay's own.
    assert!(
        !after.contains("new") && !after.contains(".cairn-"),
        "{after}"
    );
    let files = |text: &str| -> Vec<String> {
        let lines = text.lines().filter(|l| !l.contains(" d "));
        lines.map(str::to_owned).collect()
    };
    assert_eq!(files(&read("before")), files(&read("undone")));
}

/// `cap_net_raw+ep`, as the kernel keeps it.
const NET_RAW: [u8; 20] = [
    1, 0, 0, 2, 0, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
];

/// Files with holes, several names, capabilities and access lists, of the
/// configuration and of state.
#[test]
fn holes_names_and_rights_are_kept() {
    const NAME: &str = "holes_names_and_rights_are_kept";
    if !is_root() || !have("setfacl") {
        return skip(NAME, "root with setfacl");
    }
    let tool = |program: &str, args: &[&str], path: &std::path::Path| {
        let ended = Command::new(program).args(args).arg(path).output().unwrap();
        assert!(ended.status.success(), "{program}: {ended:?}");
    };
    let fill = |dir: &std::path::Path| {
        fs::create_dir_all(dir.join("sub")).unwrap();
        let sparse = fs::File::create(dir.join("image")).unwrap();
        sparse.write_all_at(b"head", 0).unwrap();
        sparse.write_all_at(b"middle", 20 << 20).unwrap();
        sparse.set_len(64 << 20).unwrap();
        fs::write(dir.join("one"), "three names").unwrap();
        for name in ["two", "sub/three"] {
            fs::hard_link(dir.join("one"), dir.join(name)).unwrap();
        }
        fs::write(dir.join("ping"), "#!/bin/sh\n").unwrap();
        mode(&dir.join("ping"), 0o755);
        xattr::set(dir.join("ping"), "security.capability", &NET_RAW).unwrap();
        fs::write(dir.join("shared"), "by list").unwrap();
        tool("setfacl", &["-m", "u:1234:rw"], &dir.join("shared"));
        tool("setfacl", &["-d", "-m", "g:4321:rx"], &dir.join("sub"));
    };
    let ruin = |dir: &std::path::Path| {
        fs::write(dir.join("image"), vec![1; 100]).unwrap();
        for name in ["one", "sub/three"] {
            fs::remove_file(dir.join(name)).unwrap();
        }
        fs::write(dir.join("one"), "one name").unwrap();
        fs::write(dir.join("ping"), "no capability any more").unwrap();
        tool("setfacl", &["-b"], &dir.join("shared"));
        fs::remove_dir_all(dir.join("sub")).unwrap();
    };
    let folders = ["etc/nixos/all", "srv/app"];
    let (machine, one) = machine(
        |m| {
            fs::create_dir_all(m.root.join("etc/cairn")).unwrap();
            let policy = r#"{ "state": { "app": { "paths": ["/srv/app"] } } }"#;
            fs::write(m.root.join("etc/cairn/policy.json"), policy).unwrap();
            for folder in folders {
                fill(&m.root.join(folder));
            }
        },
        |_| {},
    );
    let then = listing(&machine.root, &["etc", "srv"]);
    for folder in folders {
        ruin(&machine.root.join(folder));
    }
    let now = listing(&machine.root, &["etc", "srv"]);
    machine.run(["restore", &one, "-y"]).expect(0);
    let lines = changed(&then, &listing(&machine.root, &["etc", "srv"]));
    assert!(lines.is_empty(), "{lines:?}");
    for folder in folders {
        let dir = machine.root.join(folder);
        let image = dir.join("image").metadata().unwrap();
        assert_eq!(image.len(), 64 << 20);
        assert!(image.blocks() * 512 < 1 << 20, "{} blocks", image.blocks());
        assert_eq!(dir.join("one").metadata().unwrap().nlink(), 3);
        assert!(
            xattr::get(dir.join("ping"), "security.capability")
                .unwrap()
                .is_some()
        );
        assert!(
            xattr::get(dir.join("shared"), "system.posix_acl_access")
                .unwrap()
                .is_some()
        );
        assert!(
            xattr::get(dir.join("sub"), "system.posix_acl_default")
                .unwrap()
                .is_some()
        );
    }
    // Nothing is left to do, and all of it is undone.
    let again = machine
        .run(["restore", &one, "-n", "--json"])
        .expect(0)
        .json();
    assert!(!again.to_string().contains("hard links"), "{again}");
    machine.run(["undo", "-y"]).expect(0);
    let lines = changed(&now, &listing(&machine.root, &["etc", "srv"]));
    assert!(lines.is_empty(), "{lines:?}");
}

/// Two names that became two files are one again, and a file that gained a
/// name loses it; a name outside of what is restored is left alone.
#[test]
fn names_of_a_file_are_told_and_come_back() {
    let (machine, one) = machine(
        |m| {
            fs::write(m.etc().join("a"), "same").unwrap();
            fs::hard_link(m.etc().join("a"), m.etc().join("b")).unwrap();
            fs::write(m.etc().join("c"), "alone").unwrap();
            fs::write(m.etc().join("d"), "alone").unwrap();
        },
        |m| {
            fs::remove_file(m.etc().join("b")).unwrap();
            fs::copy(m.etc().join("a"), m.etc().join("b")).unwrap();
            fs::remove_file(m.etc().join("d")).unwrap();
            fs::hard_link(m.etc().join("c"), m.etc().join("d")).unwrap();
            fs::hard_link(m.etc().join("c"), m.root.join("elsewhere")).unwrap();
        },
    );
    let told = machine.run(["restore", &one, "-n"]).expect(0).out;
    assert!(told.contains("hard links"), "{told}");
    machine.run(["restore", &one, "-y"]).expect(0);
    let inode = |name: &str| machine.root.join(name).metadata().unwrap().ino();
    assert_eq!(inode("etc/nixos/a"), inode("etc/nixos/b"));
    assert_ne!(inode("etc/nixos/c"), inode("etc/nixos/d"));
    assert_ne!(inode("etc/nixos/c"), inode("elsewhere"));
    assert_eq!(fs::read(machine.root.join("elsewhere")).unwrap(), b"alone");
}
