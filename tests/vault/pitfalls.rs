//! What the repository library does wrong when it is used plainly, and that
//! our layer does it right. The plain use is asserted too: once the library
//! changes, these tests say so.
//!
//! | | Pitfall | Test (those of restores are in `pitfalls_restore.rs`) |
//! |---|---|---|
//! | 1 | unreadable files are dropped, an unreadable folder is stored empty, and all is said to be well | `unreadable_paths_are_never_dropped_silently` |
//! | 2 | the root's own metadata is lost | `the_roots_own_metadata_is_kept` |
//! | 3 | content that changes while it is read is not noticed | `the_plain_backup_keeps_a_torn_file`, `a_torn_file_is_never_kept` |
//! | 4 | `PathList::sanitize` resolves links | `a_root_that_is_a_symlink_stays_one` |
//! | 5 | a restore writes through a link that is in the way | `a_link_in_the_way_is_not_written_through` |
//! | 6 | a tree with hard links cannot be restored over itself | `hard_links_are_restored_over_themselves` |
//! | 7 | missing and corrupt packs are panics, with a part written | `the_plain_restore_panics_on_a_missing_pack`, `missing_and_corrupt_packs_are_errors_that_name_the_file` |
//! | 7 | so is a full disk | `a_full_disk_is_an_error_and_leaves_nothing` |
//! | 8 | a restore changes files in place | `a_file_is_replaced_at_once` |
//! | 8 | it flushes nothing | `what_is_restored_is_flushed` |
//! | 8 | it trusts size and time | `a_file_is_compared_by_its_content` |
//! | 10 | one damaged index blocks everything | `a_damaged_index_is_named_and_nothing_is_removed` |
//! | 11 | one damaged snapshot hides all | `one_damaged_snapshot_does_not_hide_the_others` |
//! | 13 | temporary files leak | `leftovers_of_writers_are_ignored_and_pruned` |
//! | 14 | folders are not flushed, files are open to others | `files_and_their_names_are_synced`, `the_plain_backend_is_open_to_others`, `everything_is_private_under_any_umask` |
//! | 15 | a flipped bit is found only by reading the data | `a_flipped_bit_is_found_by_reading_the_data` |

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use crate::support::{
    child_dir, command_for, content, files, find, flip, have, link_target, mode, naive, noise,
    request, succeeded, vault,
};
use cairn::vault::{Entry, EntryKind, OnUnreadable, Vault, VaultDir, VaultError};
use rustic_core::repofile::{Node, PathList, SnapshotFile};
use rustic_core::{BackupOptions, CheckOptions, ConfigOptions, Credentials, KeyOptions, LsOptions};

const NOBODY: u32 = 65534;

/// Backs up as the library's documentation shows it.
fn naive_backup(vault: &VaultDir, path: &Path) -> SnapshotFile {
    let repo = naive(vault.config()).to_indexed_ids().unwrap();
    let paths = PathList::from_string(path.to_str().unwrap())
        .unwrap()
        .sanitize()
        .unwrap();
    repo.backup(&BackupOptions::default(), &paths, SnapshotFile::default())
        .unwrap()
}

fn naive_nodes(vault: &VaultDir, snapshot: &SnapshotFile) -> Vec<(std::path::PathBuf, Node)> {
    let repo = naive(vault.config()).to_indexed().unwrap();
    let root = repo.node_from_snapshot_and_path(snapshot, "").unwrap();
    repo.ls(&root, &LsOptions::default())
        .unwrap()
        .map(Result::unwrap)
        .collect()
}

struct StopOnDrop<'a>(&'a AtomicBool);

impl Drop for StopOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn one_file(dir: &Path, text: &[u8]) -> std::path::PathBuf {
    let root = dir.join("src");
    fs::create_dir(&root).unwrap();
    fs::write(root.join("f"), text).unwrap();
    root
}

/// Root may read everything, so it runs as nobody in a child.
#[test]
fn unreadable_paths_are_never_dropped_silently() {
    if let Some(dir) = child_dir() {
        return unreadable_as_a_user(&dir);
    }
    if !rustix::process::geteuid().is_root() {
        return unreadable_as_a_user(tempfile::tempdir().unwrap().path());
    }
    if !have("setpriv") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let own = dir.path().join("own");
    fs::create_dir(&own).unwrap();
    chown(&own, Some(NOBODY), Some(NOBODY)).unwrap();
    mode(dir.path(), 0o755);
    // The build directory need not be open to nobody.
    let copy = dir.path().join("test");
    fs::copy(std::env::current_exe().unwrap(), &copy).unwrap();
    mode(&copy, 0o755);
    let test = "pitfalls::unreadable_paths_are_never_dropped_silently";
    let output = std::process::Command::new("setpriv")
        .args(["--reuid=65534", "--regid=65534", "--clear-groups", "--"])
        .arg(&copy)
        .args(["--exact", test, "--nocapture"])
        .env("CAIRN_TEST_CHILD", &own)
        .env("HOME", &own)
        .current_dir(&own)
        .output()
        .unwrap();
    succeeded(&output);
}

fn unreadable_as_a_user(dir: &Path) {
    assert!(!rustix::process::geteuid().is_root());
    let root = one_file(dir, b"fine");
    fs::write(root.join("shut"), "x").unwrap();
    fs::create_dir(root.join("closed")).unwrap();
    fs::write(root.join("closed/in"), "x").unwrap();
    fs::create_dir(root.join("listed")).unwrap();
    fs::write(root.join("listed/in"), "x").unwrap();
    mode(&root.join("shut"), 0o000);
    mode(&root.join("closed"), 0o000);
    mode(&root.join("listed"), 0o400);
    let vault = vault(dir);

    let plain = naive_backup(&vault, &root);
    let names = |suffix: &str| {
        naive_nodes(&vault, &plain)
            .iter()
            .filter(|(path, _)| path.ends_with(suffix))
            .count()
    };
    assert_eq!(
        (names("src/f"), names("shut"), names("closed/in")),
        (1, 0, 0)
    );
    vault.config().forget(&[plain.id.to_hex().as_str()]);

    let mut asked = request(&root, "/r");
    let error = vault.config().capture(&asked).unwrap_err();
    assert!(matches!(error, VaultError::Unreadable { .. }), "{error}");
    assert!(vault.config().snapshots().unwrap().good.is_empty());

    asked.on_unreadable = OnUnreadable::Record;
    let captured = vault.config().capture(&asked).unwrap();
    let listed: Vec<_> = captured
        .unreadable
        .iter()
        .map(|u| u.path.to_str().unwrap())
        .collect();
    assert_eq!(listed, ["/r/closed", "/r/listed/in", "/r/shut"]);
    assert!(captured.unreadable[0].reason.contains("ermission denied"));
    let entries = vault.config().entries(&captured.snapshot).unwrap();
    let stored: Vec<_> = entries
        .iter()
        .map(|entry| entry.path.to_str().unwrap())
        .collect();
    assert_eq!(stored, ["/r", "/r/f", "/r/listed"]);
    for name in ["closed", "listed"] {
        mode(&root.join(name), 0o700);
    }
}

#[test]
fn the_roots_own_metadata_is_kept() {
    let dir = tempfile::tempdir().unwrap();
    let root = one_file(dir.path(), b"x");
    mode(&root, 0o1710);
    xattr::set(&root, "user.mark", b"1").unwrap();
    let vault = vault(dir.path());
    let captured = vault.config().capture(&request(&root, "/r")).unwrap();
    let entries = vault.config().entries(&captured.snapshot).unwrap();
    let entry = find(&entries, "/r");
    assert_eq!((entry.mode, entry.xattrs.len()), (0o1710, 1));
    assert_eq!(entry.uid, fs::metadata(&root).unwrap().uid());

    let plain = naive_nodes(&vault, &naive_backup(&vault, &root));
    let (_, node) = plain
        .iter()
        .find(|(path, _)| path.ends_with("src"))
        .unwrap();
    assert_eq!((node.meta.mode, node.meta.uid), (Some(0o755), None));
}

/// A writer rewrites the file over and over; every snapshot that is
/// kept holds one of its versions, never a mixture.
#[test]
fn a_torn_file_is_never_kept() {
    let dir = tempfile::tempdir().unwrap();
    let size = 1 << 20;
    let root = one_file(dir.path(), &vec![0; size]);
    let vault = vault(dir.path());
    let stop = AtomicBool::new(false);
    let (mut kept, mut refused) = (0, 0);
    thread::scope(|scope| {
        scope.spawn(|| {
            use std::os::unix::fs::FileExt;
            let file = fs::File::options()
                .write(true)
                .open(root.join("f"))
                .unwrap();
            for version in (0..=255_u8).cycle() {
                for part in 0..16 {
                    let at = part * size as u64 / 16;
                    file.write_all_at(&vec![version; size / 16], at).unwrap();
                }
                if stop.load(Ordering::Relaxed) {
                    break;
                }
                thread::sleep(Duration::from_millis(u64::from(version % 4) * 15));
            }
        });
        // Also when an assertion fails: the scope waits for the writer.
        let _stop = StopOnDrop(&stop);
        for _ in 0..25 {
            match vault.config().capture(&request(&root, "/r")) {
                Ok(captured) => {
                    kept += 1;
                    let entries = vault.config().entries(&captured.snapshot).unwrap();
                    let bytes = content(vault.config(), find(&entries, "/r/f"));
                    assert_eq!(bytes.len(), size);
                    assert!(
                        bytes.iter().all(|byte| *byte == bytes[0]),
                        "a mixture was kept"
                    );
                }
                Err(VaultError::Changed { path, .. }) => {
                    refused += 1;
                    assert_eq!(path, root.join("f"));
                }
                Err(other) => panic!("{other}"),
            }
        }
    });
    assert_eq!(vault.config().snapshots().unwrap().good.len(), kept);
    eprintln!("kept {kept}, refused {refused}");
}

/// The file is written anew once the plain call has read the first of it.
#[test]
fn the_plain_backup_keeps_a_torn_file() {
    let size = 64 << 20;
    for _ in 0..20 {
        let dir = tempfile::tempdir().unwrap();
        let root = one_file(dir.path(), &vec![b'1'; size]);
        let file = root.join("f");
        let vault = vault(dir.path());
        let second = vec![b'2'; size];
        let done = AtomicBool::new(false);
        let plain = thread::scope(|scope| {
            scope.spawn(|| {
                while !is_being_read(&file) {
                    if done.load(Ordering::Relaxed) {
                        return;
                    }
                }
                fs::File::options()
                    .write(true)
                    .open(&file)
                    .and_then(|mut f| std::io::Write::write_all(&mut f, &second))
                    .unwrap();
            });
            let _done = StopOnDrop(&done);
            naive_backup(&vault, &root)
        });
        let nodes = naive_nodes(&vault, &plain);
        let (_, node) = nodes.iter().find(|(p, _)| p.ends_with("src/f")).unwrap();
        let kept = vault.config().entries(plain.id.to_hex().as_str()).unwrap();
        let entry = kept.iter().find(|e| e.path.ends_with("src/f")).unwrap();
        assert_eq!(node.meta.size, size as u64);
        let bytes = content(vault.config(), entry);
        if bytes.first() != bytes.last() {
            return;
        }
    }
    panic!("never a mixture: the library notices now");
}

/// Whether this process has a file open and has read some of it.
fn is_being_read(file: &Path) -> bool {
    let descriptors = fs::read_dir("/proc/self/fd").unwrap().flatten();
    let mut of_file = descriptors.filter(|d| fs::read_link(d.path()).is_ok_and(|to| to == file));
    of_file.any(|descriptor| {
        let info = Path::new("/proc/self/fdinfo").join(descriptor.file_name());
        let text = fs::read_to_string(info).unwrap_or_default();
        let read = text.lines().find_map(|l| l.strip_prefix("pos:"));
        read.is_some_and(|at| at.trim() != "0")
    })
}

#[test]
fn a_root_that_is_a_symlink_stays_one() {
    let dir = tempfile::tempdir().unwrap();
    let base = dir.path().canonicalize().unwrap();
    let root = one_file(&base, b"x");
    let link = base.join("link");
    symlink("src", &link).unwrap();
    let vault = vault(&base);
    let captured = vault
        .config()
        .capture(&request(&link, "/etc/nixos"))
        .unwrap();
    let entries = vault.config().entries(&captured.snapshot).unwrap();
    assert_eq!(entries.len(), 1);
    assert_eq!(link_target(&entries[0]), Path::new("src"));
    // A symlink above the root is followed: --root may go through one.
    let captured = vault
        .config()
        .capture(&request(&link.join("f"), "/f"))
        .unwrap();
    let entries = vault.config().entries(&captured.snapshot).unwrap();
    assert_eq!(content(vault.config(), find(&entries, "/f")), b"x");

    let plain = PathList::from_string(link.to_str().unwrap())
        .unwrap()
        .sanitize()
        .unwrap();
    assert_eq!(plain.paths(), [root]);
}

fn first_file(entries: &[Entry]) -> &Entry {
    entries
        .iter()
        .find(|entry| matches!(entry.kind, EntryKind::File { .. }))
        .unwrap()
}

#[test]
fn missing_and_corrupt_packs_are_errors_that_name_the_file() {
    for missing in [true, false] {
        let dir = tempfile::tempdir().unwrap();
        let root = one_file(dir.path(), &noise(200_000, 5));
        let made = vault(dir.path());
        let captured = made.config().capture(&request(&root, "/r")).unwrap();
        let entries = made.config().entries(&captured.snapshot).unwrap();
        let packs = files(made.config(), "data");
        let large = packs
            .iter()
            .max_by_key(|path| fs::metadata(path).unwrap().len())
            .unwrap();
        if missing {
            fs::remove_file(large).unwrap()
        } else {
            flip(large, 1000)
        }

        let opened = vault(dir.path());
        let mut out = Vec::new();
        let error = opened
            .config()
            .read(first_file(&entries), &mut out)
            .unwrap_err();
        assert!(matches!(error, VaultError::Damaged { .. }), "{error:?}");
        assert!(
            error.to_string().contains(large.to_str().unwrap()),
            "{error}"
        );
        assert!(out.is_empty());
        // The trees are in another pack: listing still works.
        assert_eq!(
            opened.config().entries(&captured.snapshot).unwrap(),
            entries
        );

        // All packs gone: listing is an error too, not a panic.
        for pack in files(opened.config(), "data") {
            fs::remove_file(pack).unwrap();
        }
        let error = vault(dir.path())
            .config()
            .entries(&captured.snapshot)
            .unwrap_err();
        assert!(matches!(error, VaultError::Damaged { .. }), "{error:?}");
        let report = opened.config().check(true).unwrap();
        assert!(!report.problems.is_empty());
    }
}

#[test]
fn the_plain_restore_panics_on_a_missing_pack() {
    let dir = tempfile::tempdir().unwrap();
    let root = one_file(dir.path(), &noise(200_000, 5));
    let vault = vault(dir.path());
    let captured = vault.config().capture(&request(&root, "/r")).unwrap();
    let packs = files(vault.config(), "data");
    let large = packs
        .iter()
        .max_by_key(|path| fs::metadata(path).unwrap().len())
        .unwrap();
    fs::remove_file(large).unwrap();
    let repo = naive(vault.config()).to_indexed().unwrap();
    let snapshot = repo
        .get_snapshot_from_str(&captured.snapshot, |_| true)
        .unwrap();
    let out = dir.path().join("out");
    let restored = catch_unwind(AssertUnwindSafe(|| {
        let node = repo.node_from_snapshot_and_path(&snapshot, "").unwrap();
        let target = out.to_str().unwrap();
        let dest = rustic_core::LocalDestination::new(target, true, false).unwrap();
        let options = rustic_core::RestoreOptions::default();
        let nodes = repo.ls(&node, &LsOptions::default()).unwrap();
        let plan = repo
            .prepare_restore(&options, nodes.clone(), &dest, false)
            .unwrap();
        repo.restore(plan, &options, nodes, &dest).is_err()
    }));
    assert!(restored.is_err(), "no panic any more: {restored:?}");
}

#[test]
fn a_damaged_index_is_named_and_nothing_is_removed() {
    let dir = tempfile::tempdir().unwrap();
    let root = one_file(dir.path(), b"one");
    let made = vault(dir.path());
    made.config().capture(&request(&root, "/r")).unwrap();
    let bad = files(made.config(), "index").remove(0);
    fs::write(root.join("f"), "two").unwrap();
    let second = made.config().capture(&request(&root, "/r")).unwrap();
    flip(&bad, 40);

    let vault = vault(dir.path());
    let repo = vault.config();
    let before = files(repo, "");
    let name = bad.to_str().unwrap();
    let capture = repo.capture(&request(&root, "/r")).unwrap_err();
    let entries = repo.entries(&second.snapshot).unwrap_err();
    let prune = repo.prune().unwrap_err();
    for error in [capture, entries, prune] {
        assert!(matches!(error, VaultError::Damaged { .. }), "{error:?}");
        assert!(error.to_string().contains(name), "{error}");
    }
    assert_eq!(repo.snapshots().unwrap().good.len(), 2);
    let report = repo.check(true).unwrap();
    assert!(
        report.problems.iter().any(|problem| problem.contains(name)),
        "{report:?}"
    );
    assert_eq!(files(repo, ""), before);
    // State is another repository: it goes on.
    assert!(
        vault
            .state()
            .unwrap()
            .capture(&request(&root, "/r"))
            .is_ok()
    );
}

#[test]
fn one_damaged_snapshot_does_not_hide_the_others() {
    let dir = tempfile::tempdir().unwrap();
    let root = one_file(dir.path(), b"one");
    let made = vault(dir.path());
    for text in ["1", "2", "3"] {
        fs::write(root.join("f"), text).unwrap();
        made.config().capture(&request(&root, "/r")).unwrap();
    }
    let bad = files(made.config(), "snapshots").remove(1);
    flip(&bad, 30);
    assert!(naive(made.config()).get_all_snapshots().is_err());

    let repo = made.config();
    let before = files(repo, "");
    let list = repo.snapshots().unwrap();
    assert_eq!((list.good.len(), list.damaged.len()), (2, 1));
    assert_eq!(list.damaged[0].path, bad);
    for good in &list.good {
        assert_eq!(repo.entries(&good.id).unwrap().len(), 2);
    }
    let error = repo.entries(&list.damaged[0].id).unwrap_err();
    assert!(error.to_string().contains(bad.to_str().unwrap()), "{error}");
    let report = repo.check(true).unwrap();
    assert_eq!(report.problems.len(), 1, "{report:?}");
    assert!(report.problems[0].contains(bad.to_str().unwrap()));
    // What it needs is unknown: nothing may be pruned.
    assert!(matches!(
        repo.prune().unwrap_err(),
        VaultError::Damaged { .. }
    ));
    assert_eq!(files(repo, ""), before);
    repo.forget(&[&list.damaged[0].id]);
    assert!(repo.prune().is_ok());
    assert_eq!(repo.check(true).unwrap().problems, Vec::<String>::new());
}

/// A snapshot file under another's name decrypts, but is not that snapshot.
#[test]
fn an_exchanged_snapshot_file_is_noticed() {
    let dir = tempfile::tempdir().unwrap();
    let root = one_file(dir.path(), b"one");
    let vault = vault(dir.path());
    for text in ["1", "2"] {
        fs::write(root.join("f"), text).unwrap();
        vault.config().capture(&request(&root, "/r")).unwrap();
    }
    let snapshots = files(vault.config(), "snapshots");
    fs::copy(&snapshots[0], &snapshots[1]).unwrap();
    let report = vault.config().check(false).unwrap();
    assert!(
        report
            .problems
            .iter()
            .any(|p| p.contains("not the file of that id")),
        "{report:?}"
    );
}

#[test]
fn leftovers_of_writers_are_ignored_and_pruned() {
    let dir = tempfile::tempdir().unwrap();
    let root = one_file(dir.path(), b"one");
    let vault = vault(dir.path());
    let repo = vault.config();
    repo.capture(&request(&root, "/r")).unwrap();
    let half = repo.path().join("tmp/999999-0");
    fs::write(&half, "half of a pack").unwrap();
    fs::write(repo.path().join("snapshots/not-an-id"), "").unwrap();
    assert_eq!(repo.snapshots().unwrap().good.len(), 1);
    let report = repo.check(true).unwrap();
    assert!(
        report.problems.is_empty() && report.notes.len() == 1,
        "{report:?}"
    );
    assert!(half.exists());
    assert_eq!(repo.prune().unwrap().temporaries, 1);
    assert!(!half.exists());
}

/// The umask is the process's, so this runs in children.
#[test]
fn everything_is_private_under_any_umask() {
    if let Some(dir) = child_dir() {
        let root = one_file(&dir, &noise(1 << 20, 1));
        let vault = vault(&dir);
        vault.config().capture(&request(&root, "/r")).unwrap();
        vault
            .state()
            .unwrap()
            .capture(&request(&root, "/r"))
            .unwrap();
        return;
    }
    let test = "pitfalls::everything_is_private_under_any_umask";
    for umask in ["000", "027", "777"] {
        let dir = tempfile::tempdir().unwrap();
        let work = dir.path().join("work");
        fs::create_dir(&work).unwrap();
        if umask == "777" && !rustix::process::geteuid().is_root() {
            continue; // a user could not even enter the source tree
        }
        let script = format!("umask {umask}; exec \"$0\" \"$@\"");
        succeeded(
            &command_for(test, &work, &["sh", "-c", &script])
                .output()
                .unwrap(),
        );
        let mut left = vec![work.join("vault")];
        let mut seen = 0;
        while let Some(path) = left.pop() {
            let meta = fs::symlink_metadata(&path).unwrap();
            let expected = if meta.is_dir() { 0o700 } else { 0o600 };
            assert_eq!(
                meta.permissions().mode() & 0o7777,
                expected,
                "{path:?} under {umask}"
            );
            if meta.is_dir() {
                left.extend(
                    fs::read_dir(&path)
                        .unwrap()
                        .map(|entry| entry.unwrap().path()),
                );
            }
            seen += 1;
        }
        assert!(seen > 20);
    }
}

/// Every file is synced before it gets its name, and every name is
/// synced before the capture returns.
#[test]
fn files_and_their_names_are_synced() {
    if let Some(dir) = child_dir() {
        let captured = vault(&dir)
            .config()
            .capture(&request(&dir.join("src"), "/r"));
        assert!(captured.is_ok());
        return;
    }
    if !have("strace") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    one_file(dir.path(), &noise(100_000, 1));
    let file = dir.path().join("trace");
    let calls = "trace=fsync,syncfs,rename,renameat,renameat2";
    let out = file.to_str().unwrap();
    let strace = [
        "strace", "-f", "-y", "-qq", "-s", "4096", "-e", calls, "-o", out,
    ];
    let test = "pitfalls::files_and_their_names_are_synced";
    succeeded(&command_for(test, dir.path(), &strace).output().unwrap());
    let trace = fs::read_to_string(&file).unwrap();
    let lines: Vec<_> = trace.lines().collect();
    let synced = |lines: &[&str], path: &str| {
        let name = format!("<{path}>");
        lines.iter().any(|line| {
            // All of the file system, which is but one here.
            line.contains("syncfs(") || line.contains("fsync(") && line.contains(&name)
        })
    };
    let mut named = String::new();
    for (at, line) in lines
        .iter()
        .enumerate()
        .filter(|(_, line)| line.contains("rename(\""))
    {
        let parts: Vec<_> = line.split('"').collect();
        let (from, to) = (parts[1], Path::new(parts[3]));
        assert!(synced(&lines[..at], from), "{from} is not synced before");
        let parent = to.parent().unwrap().to_str().unwrap();
        assert!(synced(&lines[at..], parent), "{parent} is not synced after");
        named.push_str(to.strip_prefix(dir.path()).unwrap().to_str().unwrap());
        named.push('\n');
    }
    let expected = [
        "/keys/",
        "/config/config\n",
        "/data/",
        "/index/",
        "/snapshots/",
    ];
    for kind in expected.into_iter().chain(["vault\n"]) {
        assert!(named.contains(kind), "no {kind:?} in {named}");
    }
}

#[test]
fn the_plain_backend_is_open_to_others() {
    let dir = tempfile::tempdir().unwrap();
    let repo = dir.path().join("plain");
    let backends = rustic_backend::BackendOptions::default()
        .repository(repo.to_str().unwrap().to_owned())
        .to_backends()
        .unwrap();
    rustic_core::Repository::new(&Default::default(), &backends)
        .unwrap()
        .init(
            &Credentials::Masterkey(Default::default()),
            &KeyOptions::default(),
            &ConfigOptions::default(),
        )
        .unwrap();
    let mode = fs::metadata(repo.join("config"))
        .unwrap()
        .permissions()
        .mode();
    assert_ne!(mode & 0o7777, 0o600);
}

#[test]
fn a_flipped_bit_is_found_by_reading_the_data() {
    let dir = tempfile::tempdir().unwrap();
    let root = one_file(dir.path(), &noise(200_000, 5));
    let vault = vault(dir.path());
    let repo = vault.config();
    repo.capture(&request(&root, "/r")).unwrap();
    assert_eq!(repo.check(true).unwrap().problems, Vec::<String>::new());
    let packs = files(repo, "data");
    let large = packs
        .iter()
        .max_by_key(|path| fs::metadata(path).unwrap().len())
        .unwrap();
    flip(large, 100_000);
    assert!(
        naive(repo)
            .check(CheckOptions::default())
            .unwrap()
            .is_ok()
            .is_ok()
    );
    assert_eq!(repo.check(false).unwrap().problems, Vec::<String>::new());
    let problems = repo.check(true).unwrap().problems;
    let id = &large.file_name().unwrap().to_str().unwrap()[..8];
    assert!(
        problems.iter().any(|problem| problem.contains(id)),
        "{problems:?}"
    );
}

/// One snapshot whose trees are gone: the others are still checked.
#[test]
fn a_check_goes_on_after_a_lost_tree() {
    let dir = tempfile::tempdir().unwrap();
    let root = one_file(dir.path(), b"one");
    let vault = vault(dir.path());
    let repo = vault.config();
    let first = repo.capture(&request(&root, "/r")).unwrap();
    let of_first = files(repo, "data");
    fs::write(root.join("f"), noise(100_000, 2)).unwrap();
    repo.capture(&request(&root, "/r")).unwrap();
    let added: Vec<_> = files(repo, "data")
        .into_iter()
        .filter(|path| !of_first.contains(path))
        .collect();
    // The first capture's packs are gone, the second's data has a flipped bit.
    for pack in &of_first {
        fs::remove_file(pack).unwrap();
    }
    let large = added
        .iter()
        .max_by_key(|path| fs::metadata(path).unwrap().len())
        .unwrap();
    flip(large, 5_000);
    let report = repo.check(true).unwrap();
    let has = |text: &str| report.problems.iter().any(|problem| problem.contains(text));
    assert!(has(&first.snapshot), "{report:?}");
    assert!(
        has(&large.file_name().unwrap().to_str().unwrap()[..8]),
        "{report:?}"
    );
}
