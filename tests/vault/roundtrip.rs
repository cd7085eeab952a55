//! What goes into the vault comes out as it was.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, symlink};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::thread;

use crate::support::{content, filetime, find, link_target, mode, noise, odd_tree, request, vault};
use cairn::vault::{CaptureRoot, EntryKind, MemoryVault, Timestamp, Vault, VaultError};

fn check_odd_tree(repo: &dyn Vault, snapshot: &str, disk: &Path) {
    let entries = repo.entries(snapshot).unwrap();
    let at = |name: &str| find(&entries, Path::new("/etc/nixos").join(name));

    assert!(entries.is_sorted_by(|a, b| a.path.as_os_str() < b.path.as_os_str()));
    assert!(
        entries
            .iter()
            .all(|entry| entry.path.starts_with("/etc/nixos"))
    );

    let root = find(&entries, "/etc/nixos");
    let meta = fs::metadata(disk).unwrap();
    assert_eq!((&root.kind, root.mode), (&EntryKind::Dir, 0o700));
    assert_eq!((root.uid, root.gid), (meta.uid(), meta.gid()));
    assert_eq!(root.mtime.seconds, meta.mtime());
    assert_eq!(
        (root.xattrs[0].name.as_str(), &*root.xattrs[0].value),
        ("user.root", &b"kept"[..])
    );

    let plain = at("plain");
    assert_eq!(content(repo, plain), b"one\n");
    assert_eq!(plain.xattrs[0].value, b"\x00\xff");
    assert_eq!(
        plain.mtime,
        Timestamp {
            seconds: 1_000_000_000,
            nanos: 987_654_321
        }
    );
    assert_eq!(plain.hardlink, None);
    assert_eq!(content(repo, at("empty")), b"");
    assert_eq!(at("private").mode, 0o600);
    assert_eq!(at("setuid").mode, 0o4755);
    assert_eq!(content(repo, at("new\nline")), b"2");
    let odd = Path::new("/etc/nixos").join(OsStr::from_bytes(b"not\xffutf8 \\x41 \"q\""));
    assert_eq!(content(repo, find(&entries, odd)), b"3");
    assert_eq!(
        content(repo, at("large")),
        fs::read(disk.join("large")).unwrap()
    );
    assert_eq!(at("sub/deep").mode, 0o2750);
    assert_eq!(content(repo, at("sub/deep/x")), b"x");
    assert_eq!(link_target(at("dangling")), Path::new("nowhere/at/all"));
    assert_eq!(link_target(at("absolute")), Path::new("/etc"));
    assert_eq!(link_target(at("out")), Path::new("../../../.."));
    assert_eq!(
        link_target(at("odd-target")).as_os_str().as_bytes(),
        b"t\xfe"
    );
    assert!(at("name1").hardlink.is_some());
    assert_eq!(at("name1").hardlink, at("sub/name2").hardlink);
    assert_eq!(
        (&at("pipe").kind, at("pipe").mode),
        (&EntryKind::Fifo, 0o640)
    );
    assert!(matches!(
        repo.read(root, &mut Vec::new()),
        Err(VaultError::NoContent { .. })
    ));
}

#[test]
fn an_odd_tree_comes_back_exactly() {
    let dir = tempfile::tempdir().unwrap();
    let disk = dir.path().join("src");
    odd_tree(&disk);
    let vault = vault(dir.path());
    let captured = vault
        .config()
        .capture(&request(&disk, "/etc/nixos"))
        .unwrap();
    check_odd_tree(vault.config(), &captured.snapshot, &disk);
    assert_eq!(
        (captured.files, captured.dirs, captured.symlinks),
        (10, 4, 4)
    );
    assert_eq!(captured.specials, 1);
    assert!(captured.bytes > 3 << 20 && captured.stored_bytes > 3 << 20);
    let hash = vault.config().content_hash(&captured.snapshot).unwrap();
    assert_eq!(captured.content_hash, Some(hash));
    assert_eq!(
        vault.config().check(true).unwrap().problems,
        Vec::<String>::new()
    );

    // Another process opens it and sees the same.
    let again = cairn::vault::VaultDir::open(vault.path()).unwrap();
    check_odd_tree(again.config(), &captured.snapshot, &disk);
    let listed = again.config().snapshots().unwrap().good;
    let asked = request(&disk, "/etc/nixos");
    assert_eq!(
        (&listed[0].id, &listed[0].tag),
        (&captured.snapshot, &asked.tag)
    );
    assert_eq!((&listed[0].host, listed[0].time), (&asked.host, asked.time));
}

#[test]
fn the_fake_behaves_as_the_real_one() {
    let dir = tempfile::tempdir().unwrap();
    let disk = dir.path().join("src");
    odd_tree(&disk);
    let (real, fake) = (vault(dir.path()), MemoryVault::new());
    let asked = request(&disk, "/etc/nixos");
    let one = real.config().capture(&asked).unwrap();
    let two = fake.capture(&asked).unwrap();
    check_odd_tree(&fake, &two.snapshot, &disk);
    assert_eq!(one.content_hash, two.content_hash);
    assert_eq!(
        (one.files, one.dirs, one.bytes),
        (two.files, two.dirs, two.bytes)
    );
    let plain = |repo: &dyn Vault, id: &str| {
        let mut entries = repo.entries(id).unwrap();
        for entry in &mut entries {
            if let EntryKind::File { content, .. } = &mut entry.kind {
                content.clear();
            }
        }
        entries
    };
    assert_eq!(
        plain(real.config(), &one.snapshot),
        plain(&fake, &two.snapshot)
    );
    fake.fail_next(VaultError::InvalidRequest {
        reason: "asked for".into(),
    });
    assert!(fake.capture(&asked).is_err());
    assert!(fake.capture(&asked).is_ok());
}

#[test]
fn several_roots_files_and_symlinks_are_roots_too() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    fs::create_dir_all(at("b/inner")).unwrap();
    fs::write(at("b/inner/f"), "f").unwrap();
    fs::write(at("lone.nix"), "{}").unwrap();
    symlink("b", at("link")).unwrap();
    let mut asked = request(&at("b"), "/etc/nixos");
    asked.roots.push(CaptureRoot {
        disk: at("lone.nix"),
        logical: "/etc/a.nix".into(),
    });
    asked.roots.push(CaptureRoot {
        disk: at("link"),
        logical: "/etc/nixos-link".into(),
    });
    asked.roots.push(CaptureRoot {
        disk: at("b"),
        logical: "/home/ü/b".into(),
    });
    let vault = vault(dir.path());
    let captured = vault.config().capture(&asked).unwrap();
    let entries = vault.config().entries(&captured.snapshot).unwrap();
    let paths: Vec<_> = entries
        .iter()
        .map(|entry| entry.path.to_str().unwrap())
        .collect();
    let expected = [
        "/etc/a.nix",
        "/etc/nixos",
        "/etc/nixos-link",
        "/etc/nixos/inner",
        "/etc/nixos/inner/f",
        "/home/ü/b",
        "/home/ü/b/inner",
        "/home/ü/b/inner/f",
    ];
    assert_eq!(paths, expected);
    assert_eq!(
        link_target(find(&entries, "/etc/nixos-link")),
        Path::new("b")
    );
}

#[test]
fn what_is_left_out_is_listed() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("src");
    fs::create_dir_all(root.join("a/.git/objects")).unwrap();
    fs::create_dir_all(root.join("cache")).unwrap();
    fs::write(root.join(".cairn-swap"), "").unwrap();
    fs::write(root.join("keep.cairn-"), "").unwrap();
    let _server = UnixListener::bind(root.join("socket")).unwrap();
    // The vault itself, inside of what is captured.
    let inside = cairn::vault::VaultDir::init_or_open(&root.join("vault"))
        .unwrap()
        .vault;
    let mut asked = request(&root, "/r");
    asked.exclude_names = vec![".git".into()];
    asked.exclude_named = |name| name == ".cairn-swap";
    asked.exclude_paths = vec!["/r/cache".into()];
    let captured = inside.config().capture(&asked).unwrap();
    let excluded: Vec<_> = captured
        .excluded
        .iter()
        .map(|path| path.to_str().unwrap())
        .collect();
    assert_eq!(
        excluded,
        ["/r/.cairn-swap", "/r/a/.git", "/r/cache", "/r/vault"]
    );
    assert_eq!(captured.skipped[0].path, Path::new("/r/socket"));
    assert!(captured.skipped[0].reason.contains("socket"));
    let entries = inside.config().entries(&captured.snapshot).unwrap();
    let paths: Vec<_> = entries
        .iter()
        .map(|entry| entry.path.to_str().unwrap())
        .collect();
    assert_eq!(
        paths,
        ["/r", "/r/a", "/r/keep.cairn-", "/r/vault.init.lock"]
    );
}

#[test]
fn the_content_hash_follows_content_and_mode_only() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("src");
    fs::create_dir(&root).unwrap();
    let file = root.join("f");
    fs::write(&file, "one").unwrap();
    mode(&file, 0o644);
    let vault = vault(dir.path());
    let asked = request(&root, "/r");
    let hash = || {
        vault
            .config()
            .capture(&asked)
            .unwrap()
            .content_hash
            .unwrap()
    };
    let first = hash();
    filetime(&file, 5, 0);
    // Another inode, the same content.
    fs::rename(&file, root.join("g")).unwrap();
    fs::copy(root.join("g"), &file).unwrap();
    fs::remove_file(root.join("g")).unwrap();
    assert_eq!(hash(), first);
    mode(&file, 0o600);
    let private = hash();
    assert_ne!(private, first);
    fs::write(&file, "two").unwrap();
    assert_ne!(hash(), private);
}

#[test]
fn unchanged_content_is_stored_once() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("src");
    fs::create_dir(&root).unwrap();
    fs::write(root.join("f"), noise(2 << 20, 3)).unwrap();
    let vault = vault(dir.path());
    let first = vault.config().capture(&request(&root, "/r")).unwrap();
    let second = vault.config().capture(&request(&root, "/r")).unwrap();
    assert!(first.stored_bytes > 2 << 20 && second.stored_bytes < 4096);
    assert_eq!(first.content_hash, second.content_hash);
    assert_eq!(first.tree, second.tree);
}

#[test]
fn a_parent_saves_reading_and_loses_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("src");
    fs::create_dir(&root).unwrap();
    fs::write(root.join("small"), "same").unwrap();
    fs::write(root.join("new"), "old").unwrap();
    // Unchanged links and pipes are taken over too, and have no content.
    std::os::unix::fs::symlink("small", root.join("link")).unwrap();
    let vault = vault(dir.path());
    let state = vault.state().unwrap();
    let mut asked = request(&root, "/r");
    let first = state.capture(&asked).unwrap();
    fs::write(root.join("new"), "newer").unwrap();
    asked.parent = Some(first.snapshot);
    let second = state.capture(&asked).unwrap();
    let entries = state.entries(&second.snapshot).unwrap();
    assert_eq!(content(&state, find(&entries, "/r/small")), b"same");
    assert_eq!(content(&state, find(&entries, "/r/new")), b"newer");
    let computed = state.content_hash(&second.snapshot).unwrap();
    assert_eq!(second.content_hash, Some(computed));

    // A file of several chunks taken over unread: its digest is not known, but
    // can be computed, and equals that of a capture which reads everything.
    // A chunk has at most 8 MiB.
    fs::write(root.join("large"), noise(9 << 20, 9)).unwrap();
    std::thread::sleep(std::time::Duration::from_millis(60));
    let read = state.capture(&asked).unwrap();
    assert!(read.content_hash.is_some());
    asked.parent = Some(read.snapshot);
    let unread = state.capture(&asked).unwrap();
    assert_eq!(unread.content_hash, None);
    assert_eq!(
        state.content_hash(&unread.snapshot).unwrap(),
        read.content_hash.unwrap()
    );

    // A parent that is gone only costs time.
    asked.parent = Some("0".repeat(64));
    assert!(state.capture(&asked).unwrap().content_hash.is_some());
}

#[test]
fn requests_that_contradict_themselves_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let vault = vault(dir.path());
    let refuse = |change: fn(&mut cairn::vault::CaptureRequest)| {
        let mut asked = request(dir.path(), "/r");
        change(&mut asked);
        let error = vault.config().capture(&asked).unwrap_err();
        assert!(
            matches!(error, VaultError::InvalidRequest { .. }),
            "{error}"
        );
    };
    refuse(|asked| asked.roots.clear());
    refuse(|asked| asked.tag = "a,b".into());
    refuse(|asked| asked.tag.clear());
    refuse(|asked| asked.roots[0].logical = "r".into());
    refuse(|asked| asked.roots[0].logical = "/".into());
    refuse(|asked| asked.roots[0].logical = "/a/../b".into());
    refuse(|asked| asked.parent = Some("latest".into()));
    refuse(|asked| {
        let inner = CaptureRoot {
            disk: "/tmp".into(),
            logical: "/r/inner".into(),
        };
        asked.roots.push(inner);
    });
    refuse(|asked| asked.roots.push(asked.roots[0].clone()));
    let mut absent = request(&dir.path().join("absent"), "/r");
    absent.on_unreadable = cairn::vault::OnUnreadable::Record;
    let error = vault.config().capture(&absent).unwrap_err();
    assert!(error.to_string().contains("absent"), "{error}");
    assert_eq!(vault.config().snapshots().unwrap().good, vec![]);
}

#[test]
fn eight_threads_capture_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let vault = vault(dir.path());
    let repo = vault.config();
    thread::scope(|scope| {
        for number in 0..8_u64 {
            let root = dir.path().join(format!("src{number}"));
            fs::create_dir(&root).unwrap();
            for file in 0..20 {
                // Half of it is shared by all threads.
                let seed = if file % 2 == 0 {
                    file
                } else {
                    file + 1000 * (number + 1)
                };
                fs::write(root.join(format!("f{file}")), noise(5000, seed)).unwrap();
            }
            scope.spawn(move || {
                for _ in 0..3 {
                    let captured = repo.capture(&request(&root, "/r")).unwrap();
                    let entries = repo.entries(&captured.snapshot).unwrap();
                    for entry in entries.iter().filter(|entry| entry.path != Path::new("/r")) {
                        let name = entry.path.file_name().unwrap();
                        assert_eq!(content(repo, entry), fs::read(root.join(name)).unwrap());
                    }
                }
            });
        }
    });
    assert_eq!(repo.snapshots().unwrap().good.len(), 24);
    let report = repo.check(true).unwrap();
    assert_eq!(
        (report.problems.len(), report.notes.len()),
        (0, 0),
        "{report:?}"
    );
}

#[test]
fn forgetting_and_pruning_free_only_what_nobody_needs() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("src");
    fs::create_dir(&root).unwrap();
    fs::write(root.join("shared"), noise(300_000, 1)).unwrap();
    let vault = vault(dir.path());
    let repo = vault.config();
    let kept = repo.capture(&request(&root, "/r")).unwrap();
    fs::write(root.join("own"), noise(2 << 20, 2)).unwrap();
    let gone = repo.capture(&request(&root, "/r")).unwrap();
    let absent = "f".repeat(64);
    let outcome = repo.forget(&[&gone.snapshot, &absent, "../config"]);
    assert_eq!(outcome.removed, std::slice::from_ref(&gone.snapshot));
    assert_eq!(outcome.missing, [absent, "../config".to_owned()]);
    assert!(outcome.failed.is_empty());
    assert!(matches!(
        repo.entries(&gone.snapshot),
        Err(VaultError::NoSuchSnapshot { .. })
    ));

    let stats = repo.prune().unwrap();
    assert!(stats.before - stats.after > 2_000_000, "{stats:?}");
    assert_eq!(repo.size().unwrap(), stats.after);
    let entries = repo.entries(&kept.snapshot).unwrap();
    assert_eq!(
        content(repo, find(&entries, "/r/shared")),
        noise(300_000, 1)
    );
    assert_eq!(
        repo.check(true).unwrap(),
        cairn::vault::CheckReport::default()
    );
}

#[test]
fn another_handle_sees_what_was_captured_and_pruned_since() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("src");
    fs::create_dir(&root).unwrap();
    let file = root.join("f");
    fs::write(&file, "first").unwrap();
    let one = vault(dir.path());
    let two = vault(dir.path());
    let first = one.config().capture(&request(&root, "/r")).unwrap();
    assert_eq!(two.config().entries(&first.snapshot).unwrap().len(), 2);
    fs::write(&file, "second").unwrap();
    let second = one.config().capture(&request(&root, "/r")).unwrap();
    one.config().forget(&[&first.snapshot]);
    one.config().prune().unwrap();
    let entries = two.config().entries(&second.snapshot).unwrap();
    assert_eq!(content(two.config(), find(&entries, "/r/f")), b"second");
}
