//! What the repository library does wrong when it restores, each shown with
//! the plain call, and that `cairn restore` of the same snapshot over the same
//! files does it right. The table is in `pitfalls.rs`.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, symlink};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::process::Command;

use crate::fault_support::{Machine, namespaces};
use crate::support::{
    child_dir, command_for, filetime, have, naive, noise, request, succeeded, vault,
};
use cairn::vault::{Repo, Vault, VaultDir};
use rustic_core::{LocalDestination, LsOptions, RestoreOptions};

/// How the plain call ended.
#[derive(Debug, PartialEq, Eq)]
enum Plainly {
    Well,
    WithAnError,
    WithAPanic,
}

/// Restores as the library's documentation shows it.
fn restore_plainly(repo: &Repo, snapshot: &str, to: &Path) -> Plainly {
    let restored = catch_unwind(AssertUnwindSafe(|| {
        let repo = naive(repo).to_indexed()?;
        let snapshot = repo.get_snapshot_from_str(snapshot, |_| true)?;
        let node = repo.node_from_snapshot_and_path(&snapshot, "")?;
        let dest = LocalDestination::new(to.to_str().unwrap(), true, false)?;
        let options = RestoreOptions::default();
        let nodes = repo.ls(&node, &LsOptions::default())?;
        let plan = repo.prepare_restore(&options, nodes.clone(), &dest, false)?;
        repo.restore(plan, &options, nodes, &dest)
    }));
    match restored {
        Ok(Ok(())) => Plainly::Well,
        Ok(Err(_)) => Plainly::WithAnError,
        Err(_) => Plainly::WithAPanic,
    }
}

/// A machine with a point of `then`, made by `now` since; and the plain call
/// for it, which works on another copy of the root.
struct Case {
    machine: Machine,
    point: String,
    plain: tempfile::TempDir,
}

impl Case {
    fn new(then: impl Fn(&Path), now: impl Fn(&Path)) -> Self {
        let machine = Machine::plain();
        then(&machine.etc());
        let point = machine.create("then");
        now(&machine.etc());
        let plain = crate::fault_support::scratch();
        let copied = Command::new("cp")
            .args(["-a", "--"])
            .args([machine.root.join("etc"), machine.outside.clone()])
            .arg(plain.path())
            .output();
        assert!(copied.unwrap().status.success());
        Self {
            machine,
            point,
            plain,
        }
    }

    /// The copy's configuration, and the folder beside its root.
    fn copy(&self) -> (std::path::PathBuf, std::path::PathBuf) {
        let root = self.plain.path();
        (root.join("etc/nixos"), root.join("outside"))
    }

    fn plainly(&self) -> Plainly {
        let document = self.machine.state().join("points");
        let document = document.join(format!("{}.json", self.point));
        let text: serde_json::Value = serde_json::from_slice(&fs::read(document).unwrap()).unwrap();
        let snapshot = text["config"]["snapshot"].as_str().unwrap();
        let vault = VaultDir::open(&self.machine.state().join("vault")).unwrap();
        restore_plainly(vault.config(), snapshot, self.plain.path())
    }

    fn ours(&self) {
        let args = ["restore", &self.point, "-y"];
        self.machine.run(args).expect(0);
    }
}

/// 5: it writes through a link that leads out of what is restored.
#[test]
fn a_link_in_the_way_is_not_written_through() {
    let case = Case::new(
        |etc| fs::write(etc.join("file"), "restored").unwrap(),
        |etc| {
            fs::remove_file(etc.join("file")).unwrap();
            // The same way from both copies.
            symlink("../../outside/victim", etc.join("file")).unwrap();
        },
    );
    let victim = case.machine.root.join("outside");
    fs::create_dir(&victim).unwrap();
    fs::write(victim.join("victim"), "nobody writes here\n").unwrap();

    case.plainly();
    let (_, outside) = case.copy();
    assert_eq!(fs::read(outside.join("victim")).unwrap(), b"restored");

    case.ours();
    let kept = fs::read(victim.join("victim")).unwrap();
    assert_eq!(kept, b"nobody writes here\n");
    let file = case.machine.etc().join("file");
    assert!(file.symlink_metadata().unwrap().is_file());
    assert_eq!(fs::read(file).unwrap(), b"restored");
}

/// 6: a tree with hard links cannot be restored over itself.
#[test]
fn hard_links_are_restored_over_themselves() {
    let case = Case::new(
        |etc| {
            fs::write(etc.join("one"), "two names").unwrap();
            fs::hard_link(etc.join("one"), etc.join("two")).unwrap();
        },
        |etc| fs::write(etc.join("one"), "changed").unwrap(),
    );
    let copied = case.copy().0;
    assert_eq!(copied.join("one").metadata().unwrap().nlink(), 2);
    assert_eq!(case.plainly(), Plainly::WithAnError);

    case.ours();
    let one = case.machine.etc().join("one").metadata().unwrap();
    let two = case.machine.etc().join("two").metadata().unwrap();
    assert_eq!(one.ino(), two.ino());
    assert_eq!(
        fs::read(case.machine.etc().join("two")).unwrap(),
        b"two names"
    );
}

/// 7: a full disk is a panic, with half of the files there.
#[test]
fn a_full_disk_is_an_error_and_leaves_nothing() {
    const NAME: &str = "pitfalls_restore::a_full_disk_is_an_error_and_leaves_nothing";
    if let Some(dir) = child_dir() {
        // In a mount namespace of its own.
        let source = dir.join("src");
        fs::create_dir(&source).unwrap();
        for n in 0..8 {
            fs::write(source.join(format!("f{n}")), noise(100_000, n)).unwrap();
        }
        let vault = vault(&dir);
        let captured = vault.config().capture(&request(&source, "/r")).unwrap();
        let small = dir.join("small");
        fs::create_dir(&small).unwrap();
        let mount = ["-t", "tmpfs", "-o", "size=300k", "none"];
        let mounted = Command::new("mount").args(mount).arg(&small).output();
        assert!(mounted.unwrap().status.success());
        let ended = restore_plainly(vault.config(), &captured.snapshot, &small);
        assert_eq!(ended, Plainly::WithAPanic);
        assert!(small.join("r").read_dir().unwrap().count() > 0);
        return;
    }
    if !namespaces(NAME) {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let output = command_for(NAME, dir.path(), &["unshare", "-m"]).output();
    succeeded(&output.unwrap());
    // Ours: `a_full_target_stops_a_restore_before_it_changes_anything` and all
    // of `tests/fault/full.rs`, and here once more, the same files.
    let machine = Machine::plain();
    for n in 0..8 {
        fs::write(machine.etc().join(format!("f{n}")), noise(100_000, n)).unwrap();
    }
    let point = machine.create("then");
    for n in 0..8 {
        fs::write(machine.etc().join(format!("f{n}")), "now").unwrap();
    }
    let before = machine.picture();
    let script = r#"
        cp -a "$ROOT/etc/nixos" "$ROOT/copy"
        mount -t tmpfs -o size=300k,mode=755 none "$ROOT/etc/nixos"
        cp -a "$ROOT/copy/." "$ROOT/etc/nixos"
        code=0; "$@" || code=$?
        diff -r "$ROOT/copy" "$ROOT/etc/nixos" >&2 || code=99
        rm -r "$ROOT/copy"
        exit $code
    "#;
    let ended = machine
        .wrapped(script, &["restore", &point, "-y"])
        .expect(1);
    let told = ended.err.contains("No space left") && ended.err.contains("nothing was changed");
    assert!(told, "{}", ended.told());
    assert_eq!(before, machine.picture());
}

/// 8: a file of the same size and time is taken for the same.
#[test]
fn a_file_is_compared_by_its_content() {
    let at = |etc: &Path, text: &str| {
        fs::write(etc.join("file"), text).unwrap();
        filetime(&etc.join("file"), 1_700_000_000, 5);
    };
    let case = Case::new(|etc| at(etc, "then"), |etc| at(etc, "now!"));
    assert_eq!(case.plainly(), Plainly::Well);
    assert_eq!(fs::read(case.copy().0.join("file")).unwrap(), b"now!");

    case.ours();
    let found = fs::read(case.machine.etc().join("file")).unwrap();
    assert_eq!(found, b"then");
}

/// 8: a file is changed in place: whoever has it open, or looks at the wrong
/// moment, sees a mixture, and a crash leaves one.
#[test]
fn a_file_is_replaced_at_once() {
    let case = Case::new(
        |etc| fs::write(etc.join("file"), "what was there then").unwrap(),
        |etc| fs::write(etc.join("file"), "now").unwrap(),
    );
    let (copy, ours) = (case.copy().0.join("file"), case.machine.etc().join("file"));
    let inode = |path: &Path| path.metadata().unwrap().ino();
    let (was, open) = (inode(&copy), fs::File::open(&ours).unwrap());
    assert_eq!(case.plainly(), Plainly::Well);
    assert_eq!(inode(&copy), was);

    case.ours();
    assert_eq!(std::io::read_to_string(open).unwrap(), "now");
    assert_eq!(fs::read(&ours).unwrap(), b"what was there then");
}

/// 8: nothing is flushed.
#[test]
fn what_is_restored_is_flushed() {
    const NAME: &str = "pitfalls_restore::what_is_restored_is_flushed";
    let strace = |out: &Path| {
        let calls = "trace=fsync,fdatasync,syncfs,sync_file_range,renameat,renameat2";
        let words = ["strace", "-f", "-y", "-qq", "-s", "4096", "-e", calls, "-o"];
        let mut words: Vec<String> = words.map(str::to_owned).into();
        words.push(out.to_str().unwrap().to_owned());
        words
    };
    if let Some(dir) = child_dir() {
        let opened = VaultDir::open(&dir.join("vault")).unwrap();
        let snapshot = fs::read_to_string(dir.join("snapshot")).unwrap();
        let ended = restore_plainly(opened.config(), &snapshot, &dir.join("to"));
        return assert_eq!(ended, Plainly::Well);
    }
    if !have("strace") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let source = dir.path().join("src");
    fs::create_dir(&source).unwrap();
    fs::write(source.join("file"), noise(100_000, 1)).unwrap();
    let made = vault(dir.path());
    let captured = made.config().capture(&request(&source, "/r")).unwrap();
    fs::write(dir.path().join("snapshot"), captured.snapshot).unwrap();
    let trace = dir.path().join("trace");
    let words = strace(&trace);
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    succeeded(&command_for(NAME, dir.path(), &words).output().unwrap());
    let to = dir.path().join("to/r/file");
    assert_eq!(fs::read(&to).unwrap(), noise(100_000, 1));
    let plain = fs::read_to_string(&trace).unwrap();
    assert!(!plain.contains("sync"), "it flushes now: {plain}");

    let machine = Machine::plain();
    fs::write(machine.etc().join("file"), "then").unwrap();
    let point = machine.create("then");
    fs::write(machine.etc().join("file"), "now").unwrap();
    let command = machine.command(["restore", &point, "-y"]);
    let mut outer = Command::new("strace");
    outer.args(&strace(&trace)[1..]);
    outer.arg(command.get_program()).args(command.get_args());
    outer.env("CAIRN_ROOT", &machine.root);
    assert!(
        outer
            .env("HOME", dir.path())
            .output()
            .unwrap()
            .status
            .success()
    );
    let ours = fs::read_to_string(&trace).unwrap();
    let lines: Vec<&str> = ours.lines().collect();
    let place = |what: &dyn Fn(&str) -> bool| lines.iter().position(|l| what(l));
    let etc = machine.etc().display().to_string();
    let put = place(&|l| l.contains("rename") && l.contains("\"file\"")).unwrap();
    let staged = place(&|l| l.contains("fsync") && l.contains(&format!("<{etc}/.cairn-")));
    assert!(staged.unwrap() < put, "{ours}");
    let flushed = lines[put..]
        .iter()
        .any(|l| l.contains("fsync") && l.contains(&format!("<{etc}>")));
    assert!(flushed, "{ours}");
}
