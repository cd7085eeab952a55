//! `verify --repair`: damage of one point never blocks the others, what is
//! sound is saved, what is lost is told, and restic agrees.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::{Machine, System, need, succeed};
use serde_json::Value;
use sha2::{Digest, Sha256};

/// A machine whose first point has two files, the second one of them and
/// another: `shared` lies in one pack with `first`.
struct Scene {
    machine: Machine,
    first: String,
    second: String,
}

/// Bytes without a pattern: they are stored at their full length.
fn noise(length: usize, mut state: u64) -> Vec<u8> {
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[3]
    };
    (0..length).map(|_| next()).collect()
}

fn scene() -> Option<Scene> {
    if !need(&["restic"]) {
        return None;
    }
    let machine = Machine::new()?;
    machine.write("etc/nixos/a-first.bin", noise(40_000, 7));
    machine.write("etc/nixos/shared.bin", noise(50_000, 9));
    let first = machine.create("first");
    fs::remove_file(machine.root().join("etc/nixos/a-first.bin")).unwrap();
    machine.write("etc/nixos/z-second.nix", "{ second = true; }\n");
    let second = machine.create("second");
    Some(Scene {
        machine,
        first,
        second,
    })
}

impl Scene {
    fn repository(&self) -> PathBuf {
        self.machine.state().join("vault/config")
    }

    fn files(&self, kind: &str) -> Vec<PathBuf> {
        let mut found = Vec::new();
        let mut left = vec![self.repository().join(kind)];
        while let Some(path) = left.pop() {
            match fs::read_dir(&path) {
                Ok(entries) => left.extend(entries.map(|e| e.unwrap().path())),
                Err(_) => found.push(path),
            }
        }
        found
    }

    /// The pack of the two large files.
    fn large_pack(&self) -> PathBuf {
        let packs = self.files("data").into_iter();
        packs.max_by_key(|p| p.metadata().unwrap().len()).unwrap()
    }

    fn snapshot(&self, id: &str) -> PathBuf {
        let document = self.machine.document(id);
        let snapshot = document["config"]["snapshot"].as_str().unwrap().to_owned();
        self.repository().join("snapshots").join(snapshot)
    }

    fn verify(&self, args: &[&str], code: i32) -> Value {
        let args: Vec<&str> = ["--json", "verify"].iter().chain(args).copied().collect();
        self.machine.cairn(&args).ends(code).json()["verify"].clone()
    }

    /// What is wrong, as (point, what).
    fn problems(&self, args: &[&str], code: i32) -> Said {
        said(&self.verify(args, code)["problems"])
    }

    fn repair(&self, args: &[&str], code: i32) -> (Said, Said) {
        let args: Vec<&str> = ["--repair"].iter().chain(args).copied().collect();
        let report = self.verify(&args, code);
        assert_eq!(report["repair"], true);
        (said(&report["repaired"]), said(&report["problems"]))
    }

    #[track_caller]
    fn restic(&self, args: &[&str]) -> String {
        let password = self.machine.state().join("vault/recovery-password");
        let mut command = Command::new("restic");
        command
            .env("HOME", self.machine.home())
            .args(["--no-cache", "--password-file"])
            .arg(password)
            .arg("--repo")
            .arg(self.repository())
            .args(args);
        succeed(&mut command)
    }

    #[track_caller]
    fn restic_agrees(&self) {
        let told = self.restic(&["check", "--read-data"]);
        assert!(told.contains("no errors were found"), "{told}");
    }

    /// Where the content of the first point's own file lies in its pack: files
    /// are read side by side, so either may come first.
    fn of_the_first(&self) -> usize {
        let wanted = hex::encode(Sha256::digest(noise(40_000, 7)));
        for index in self.files("index") {
            let id = index.file_name().unwrap().to_str().unwrap().to_owned();
            let index: Value = serde_json::from_str(&self.restic(&["cat", "index", &id])).unwrap();
            let packs = index["packs"].as_array().unwrap().iter();
            let mut blobs = packs.flat_map(|pack| pack["blobs"].as_array().unwrap());
            if let Some(blob) = blobs.find(|blob| blob["id"] == *wanted) {
                return usize::try_from(blob["offset"].as_u64().unwrap()).unwrap();
            }
        }
        panic!("no index has {wanted}");
    }

    /// Costs the first point its own file.
    fn damage_the_first(&self) {
        flip(&self.large_pack(), self.of_the_first() + 100);
    }

    /// A point's configuration comes back whole.
    #[track_caller]
    fn comes_back(&self, id: &str) {
        self.machine.write("etc/nixos/shared.bin", "changed");
        self.machine.ok(&["restore", id, "--only", "config", "-y"]);
        let back = fs::read(self.machine.root().join("etc/nixos/shared.bin")).unwrap();
        assert_eq!(back, noise(50_000, 9));
    }

    #[track_caller]
    fn does_not_come_back(&self, id: &str) {
        let run = self
            .machine
            .cairn(&["restore", id, "--only", "config", "-y"]);
        assert_eq!(run.code, 1, "{}", run.err);
        assert!(run.err.contains("nothing was changed"), "{}", run.err);
    }

    fn marks(&self, id: &str) -> String {
        let listed = self.machine.ok(&["list"]);
        let start: String = id.replace('-', "").chars().take(12).collect();
        let line = listed.lines().find(|l| l.starts_with(&start));
        line.unwrap_or_default().to_owned()
    }

    fn aside(&self, below: &str) -> usize {
        let dir = self.machine.state().join("damaged").join(below);
        fs::read_dir(dir).map_or(0, Iterator::count)
    }

    fn root_of(&self, id: &str) -> PathBuf {
        let roots = self.machine.root().join("nix/var/nix/gcroots/cairn");
        roots.join(format!("{id}-0"))
    }
}

/// What was said, each of a point or of none.
type Said = Vec<(String, String)>;

fn said(list: &Value) -> Said {
    let word = |v: &Value| v.as_str().unwrap_or_default().to_owned();
    let list = list.as_array().unwrap().iter();
    list.map(|p| (word(&p["point"]), word(&p["what"])))
        .collect()
}

fn flip(path: &Path, at: usize) {
    let mut content = fs::read(path).unwrap();
    content[at] ^= 1;
    fs::write(path, content).unwrap();
}

#[test]
fn what_is_well_is_left_alone() {
    let Some(scene) = scene() else { return };
    let before = scene.machine.exact();
    let (repaired, lost) = scene.repair(&["--read-data"], 0);
    assert_eq!(
        (repaired.len(), lost.len()),
        (0, 0),
        "{repaired:?} {lost:?}"
    );
    crate::support::same(&before, &scene.machine.exact(), "a repair of nothing");
    let text = scene.machine.ok(&["verify", "--repair"]);
    assert!(text.starts_with("all is well: 2 restore points"), "{text}");
}

#[test]
fn a_flipped_bit_costs_one_file_of_one_point_and_heals_with_the_next_capture() {
    let Some(scene) = scene() else { return };
    scene.damage_the_first();
    // Only reading finds it.
    assert_eq!(scene.problems(&[], 0), []);
    assert_eq!(scene.repair(&[], 0).0, []);
    assert!(!scene.problems(&["--read-data"], 3).is_empty());

    let (repaired, lost) = scene.repair(&["--read-data"], 3);
    let saved = repaired.iter().find(|(_, what)| what.starts_with("pack "));
    assert!(saved.unwrap().1.contains(" 1 lost"), "{repaired:?}");
    assert_eq!(
        lost,
        [(scene.first.clone(), "its configuration is lost".into())]
    );
    let named = repaired.iter().find(|(point, _)| *point == scene.first);
    assert!(
        named.unwrap().1.contains("/etc/nixos/a-first.bin"),
        "{repaired:?}"
    );
    assert_eq!(
        (
            scene.aside("vault/config/data"),
            scene.aside("vault/config/snapshots")
        ),
        (1, 1)
    );
    scene.restic_agrees();
    assert!(scene.marks(&scene.first).contains("damaged"));
    assert!(!scene.marks(&scene.second).contains("damaged"));
    scene.comes_back(&scene.second);
    scene.does_not_come_back(&scene.first);
    // It stays lost, and is said each time; nothing else is done.
    let (repaired, lost) = scene.repair(&["--read-data"], 3);
    assert_eq!((repaired.len(), lost.len()), (0, 1), "{repaired:?}");
    // The file is captured once more: what refers to it is whole again.
    scene
        .machine
        .write("etc/nixos/a-first.bin", noise(40_000, 7));
    scene.machine.create("again");
    let (repaired, _) = scene.repair(&["--read-data"], 0);
    assert_eq!(repaired.len(), 1, "{repaired:?}");
    assert_eq!(repaired[0].0, scene.first);
    assert!(!scene.marks(&scene.first).contains("damaged"));
    scene.comes_back(&scene.first);
    scene.restic_agrees();
}

#[test]
fn what_is_lost_keeps_neither_points_nor_prunes_from_their_work() {
    let Some(scene) = scene() else { return };
    scene.damage_the_first();
    scene.repair(&["--read-data"], 3);
    let third = scene.machine.create("goes on");
    scene
        .machine
        .ok(&["prune", "--keep-last", "2", "--only", "points", "-y"]);
    // The damaged one went as any other; what is left is well.
    assert_eq!(scene.problems(&["--read-data"], 0), []);
    scene.restic_agrees();
    scene.comes_back(&scene.second);
    scene.comes_back(&third);
}

#[test]
fn a_damaged_list_at_the_end_of_a_pack_costs_nothing() {
    let Some(scene) = scene() else { return };
    let pack = scene.large_pack();
    let length = pack.metadata().unwrap().len();
    flip(&pack, usize::try_from(length).unwrap() - 10);
    let (repaired, lost) = scene.repair(&["--read-data"], 0);
    assert!(repaired[0].1.contains(" 0 lost"), "{repaired:?}");
    assert_eq!(lost, []);
    scene.restic_agrees();
    scene.comes_back(&scene.first);
    scene.comes_back(&scene.second);
}

#[test]
fn a_pack_that_was_cut_off_is_found_without_reading_all() {
    let Some(scene) = scene() else { return };
    let pack = scene.large_pack();
    let content = fs::read(&pack).unwrap();
    // The list is gone, and of the larger file the end, wherever it lies.
    fs::write(&pack, &content[..45_000]).unwrap();
    let (repaired, lost) = scene.repair(&[], 3);
    assert!(
        repaired
            .iter()
            .any(|(_, what)| what.contains(" lost; it is now")),
        "{repaired:?}"
    );
    let points: Vec<&String> = lost.iter().map(|(point, _)| point).collect();
    assert_eq!(points, [&scene.first, &scene.second]);
    scene.restic_agrees();
    // A new point is whole all the same: the index forgot what is gone.
    let third = scene.machine.create("third");
    scene.comes_back(&third);
}

#[test]
fn a_missing_pack_costs_the_points_that_need_it() {
    let Some(scene) = scene() else { return };
    fs::remove_file(scene.large_pack()).unwrap();
    assert!(!scene.problems(&[], 3).is_empty());
    let (_, lost) = scene.repair(&[], 3);
    assert_eq!(lost.len(), 2, "{lost:?}");
    scene.restic_agrees();
    let third = scene.machine.create("third");
    scene.comes_back(&third);
    // What is there again heals what needs only that.
    let (repaired, lost) = scene.repair(&[], 3);
    assert_eq!(repaired.len(), 1, "{repaired:?}");
    assert_eq!(lost.len(), 1, "{lost:?}");
    scene.comes_back(&scene.second);
    scene.restic_agrees();
}

#[test]
fn damaged_index_files_are_made_anew_and_nothing_is_lost() {
    let Some(scene) = scene() else { return };
    let index = scene.files("index");
    assert_eq!(index.len(), 2);
    flip(&index[0], 30);
    fs::write(&index[1], "").unwrap();
    // They block everything, new points included.
    scene.machine.cairn(&["create"]).ends(1);
    let (mut repaired, lost) = scene.repair(&[], 0);
    repaired.retain(|(_, what)| what.starts_with("index "));
    assert_eq!(
        (repaired.len(), lost.len()),
        (2, 0),
        "{repaired:?} {lost:?}"
    );
    assert_eq!(scene.aside("vault/config/index"), 2);
    scene.restic_agrees();
    scene.comes_back(&scene.first);
    scene.comes_back(&scene.second);
    scene.machine.create("third");
    assert_eq!(scene.problems(&["--read-data"], 0), []);
}

#[test]
fn a_damaged_snapshot_is_set_aside_and_its_point_stays_listed() {
    let Some(scene) = scene() else { return };
    flip(&scene.snapshot(&scene.first), 20);
    scene
        .machine
        .cairn(&["prune", "--keep-last", "1", "-n"])
        .ends(0);
    let (repaired, lost) = scene.repair(&[], 3);
    assert_eq!(repaired.len(), 1, "{repaired:?}");
    assert!(
        repaired[0].1.contains("its file is damaged"),
        "{repaired:?}"
    );
    assert_eq!(
        lost,
        [(scene.first.clone(), "its configuration is lost".into())]
    );
    scene.restic_agrees();
    scene.does_not_come_back(&scene.first);
    scene.comes_back(&scene.second);
    assert!(scene.marks(&scene.first).contains("damaged"));
    let text = scene.machine.cairn(&["verify", "--repair"]).ends(3).out;
    assert!(
        text.contains("lost ") && text.contains("1 lost: "),
        "{text}"
    );
    // It goes as other points go; then all is well.
    scene.machine.ok(&["prune", "--keep-last", "1", "-y"]);
    assert_eq!(scene.problems(&[], 0), []);
}

#[test]
fn roots_are_made_anew_and_those_of_no_point_stay() {
    let Some(scene) = scene() else { return };
    let machine = &scene.machine;
    fs::remove_file(scene.root_of(&scene.first)).unwrap();
    fs::remove_file(scene.root_of(&scene.second)).unwrap();
    symlink(machine.path(System::One), scene.root_of(&scene.second)).unwrap();
    let nobody = "01890a5d-ac96-774b-bcce-b302099a8057";
    symlink(machine.path(System::One), scene.root_of(nobody)).unwrap();
    let foreign = scene.root_of("x").with_file_name("somebody-elses");
    symlink(machine.path(System::One), &foreign).unwrap();
    assert_eq!(scene.problems(&[], 3).len(), 2);
    let (repaired, lost) = scene.repair(&[], 0);
    assert_eq!(
        (repaired.len(), lost.len()),
        (2, 0),
        "{repaired:?} {lost:?}"
    );
    for id in [&scene.first, &scene.second] {
        let target = fs::read_link(scene.root_of(id)).unwrap();
        assert_eq!(target.to_str(), Some(machine.path(System::Two)));
    }
    // Another state directory may have its point.
    assert!(fs::symlink_metadata(scene.root_of(nobody)).is_ok());
    assert!(fs::symlink_metadata(foreign).is_ok());
    // The one that led elsewhere is kept beside.
    assert_eq!(scene.aside("roots"), 1);
    // A root whose system is gone cannot be made anew.
    fs::remove_dir_all(machine.root().join("nix/var/nix/gcroots/cairn")).unwrap();
    machine.set(System::Three);
    machine.run_system(System::Three);
    machine.boot_system(System::Three);
    machine.nix_env(&["--delete-generations", "1", "2"]);
    machine.gc();
    let (repaired, lost) = scene.repair(&[], 3);
    assert_eq!(repaired, []);
    assert!(
        lost.iter()
            .any(|(_, what)| what.contains("gone from the store")),
        "{lost:?}"
    );
}

#[test]
fn damaged_marks_journals_and_strays_are_moved_aside() {
    let Some(scene) = scene() else { return };
    let machine = &scene.machine;
    machine.ok(&["mark-good", &scene.first]);
    machine.write("etc/nixos/shared.bin", "changed");
    machine.ok(&["restore", &scene.second, "--only", "config", "-y"]);
    let state = machine.state();
    fs::write(state.join(format!("marks/{}.json", scene.first)), "{\"vers").unwrap();
    fs::write(state.join("points/notes.txt"), "mine").unwrap();
    let journal = fs::read_dir(state.join("journal")).unwrap().next();
    fs::write(journal.unwrap().unwrap().path(), "").unwrap();
    machine.cairn(&["prune", "-y"]).ends(1);
    let (repaired, lost) = scene.repair(&[], 0);
    assert_eq!(
        (repaired.len(), lost.len()),
        (3, 0),
        "{repaired:?} {lost:?}"
    );
    assert_eq!(
        (
            scene.aside("marks"),
            scene.aside("points"),
            scene.aside("journal")
        ),
        (1, 1, 1)
    );
    // It may have been pinned.
    assert!(scene.marks(&scene.first).contains("pinned"));
    machine.ok(&["prune", "-y"]);
    // What a newer cairn wrote is no damage.
    let newer = state.join(format!("marks/{}.json", scene.second));
    fs::write(&newer, "{\"version\":9}").unwrap();
    let (repaired, lost) = scene.repair(&[], 3);
    assert_eq!(
        (repaired.len(), lost.len()),
        (0, 1),
        "{repaired:?} {lost:?}"
    );
    assert!(newer.exists());
}

#[test]
fn another_state_directory_takes_no_roots_away() {
    let Some(scene) = scene() else { return };
    let machine = &scene.machine;
    let roots = machine.root().join("nix/var/nix/gcroots/cairn");
    let count = || fs::read_dir(&roots).unwrap().count();
    let before = count();
    assert!(before > 0);
    let empty = machine.home().join("empty");
    let empty = empty.to_str().unwrap();
    let told = machine.cairn(&["verify", "--repair", "--state-dir", empty]);
    assert_eq!(count(), before, "{}", told.out);
    // Nor does one with points of its own.
    machine.ok(&["create", "--state-dir", empty, "-r", "of another"]);
    let both = count();
    machine.ok(&["verify", "--repair", "--state-dir", empty]);
    assert_eq!(count(), both);
    machine.ok(&["verify"]);
}

#[test]
fn leftovers_of_crashes_are_swept() {
    let Some(scene) = scene() else { return };
    let state = scene.machine.state();
    fs::write(scene.repository().join("tmp/77-0"), "half").unwrap();
    fs::write(state.join("points/.tmp-77-x.json"), "half").unwrap();
    fs::write(
        state.join("inflight/01890a5d-ac96-774b-bcce-b302099a8057"),
        "",
    )
    .unwrap();
    scene.repair(&[], 0);
    assert!(!scene.repository().join("tmp/77-0").exists());
    assert!(!state.join("points/.tmp-77-x.json").exists());
    assert_eq!(fs::read_dir(state.join("inflight")).unwrap().count(), 0);
}

/// The file of a point's document.
fn document(scene: &Scene, id: &str) -> PathBuf {
    scene.machine.state().join(format!("points/{id}.json"))
}

#[test]
fn a_damaged_document_is_made_anew_from_the_vault_and_the_roots() {
    let Some(scene) = scene() else { return };
    let machine = &scene.machine;
    let path = document(&scene, &scene.first);
    let before = machine.document(&scene.first);
    // Nothing can be read of it, half of it, or all but one line.
    let text = fs::read_to_string(&path).unwrap();
    let flipped = text.replace("\"trigger\": \"manual\"", "\"trigger\": \"man\u{1}al\"");
    assert_ne!(flipped, text);
    for (number, damage) in ["", &text[..text.len() / 2], &flipped].iter().enumerate() {
        fs::write(&path, damage).unwrap();
        let told = scene.problems(&[], 3);
        assert_eq!(told.len(), 1, "{told:?}");
        let (repaired, lost) = scene.repair(&[], 0);
        assert_eq!(
            (repaired.len(), lost.len()),
            (1, 0),
            "{repaired:?} {lost:?}"
        );
        assert_eq!(repaired[0].0, scene.first);
        assert!(
            repaired[0].1.contains("its configuration, its system"),
            "{repaired:?}"
        );
        assert_eq!(scene.aside("points"), number + 1);
        let after = machine.document(&scene.first);
        for same in ["id", "created", "host", "machineId", "pins"] {
            assert_eq!(after[same], before[same], "{same} after {damage:?}");
        }
        for same in ["snapshot", "tree", "hash", "files", "bytes"] {
            assert_eq!(after["config"][same], before["config"][same], "{same}");
        }
        assert_eq!(after["system"]["current"], before["system"]["current"]);
        assert_eq!(after["config"]["roots"][0]["path"], "/etc/nixos");
        assert_eq!(after["completeness"]["status"], "partial");
        scene.comes_back(&scene.first);
        assert!(machine.root().join("etc/nixos/a-first.bin").exists());
        fs::remove_file(machine.root().join("etc/nixos/a-first.bin")).unwrap();
    }
    // What the last one still said is said again.
    assert_eq!(machine.document(&scene.first)["reason"], "first");
    // It is a point as any other: nothing is wrong, and it can go.
    assert_eq!(scene.problems(&["--read-data"], 0), []);
    machine.ok(&["prune", "--keep-last", "1", "--only", "points", "-y"]);
    assert!(!path.exists());
    scene.restic_agrees();
}

#[test]
fn a_document_of_which_nothing_is_left_is_set_aside_and_one_of_a_newer_cairn_stays() {
    let Some(scene) = scene() else { return };
    let nobody = document(&scene, "01890a5d-ac96-774b-bcce-b302099a8057");
    fs::write(&nobody, "{").unwrap();
    let folder = document(&scene, "01890a5d-ac96-774b-bcce-b302099a8058");
    fs::create_dir(&folder).unwrap();
    let newer = document(&scene, "01890a5d-ac96-774b-bcce-b302099a8059");
    fs::write(&newer, "{\"version\":9}").unwrap();
    assert_eq!(scene.problems(&[], 3).len(), 3);
    let (repaired, lost) = scene.repair(&[], 3);
    assert_eq!(
        (repaired.len(), lost.len()),
        (2, 1),
        "{repaired:?} {lost:?}"
    );
    for (_, what) in &repaired {
        assert!(what.contains("nothing else is left"), "{what}");
    }
    assert!(lost[0].1.contains("version 9"), "{lost:?}");
    assert!(!nobody.exists() && !folder.exists() && newer.exists());
    assert_eq!(scene.aside("points"), 2);
    fs::remove_file(newer).unwrap();
    assert_eq!(scene.problems(&[], 0), []);
    scene.comes_back(&scene.second);
}

#[test]
fn a_store_path_that_changed_is_found_on_request() {
    let Some(scene) = scene() else { return };
    let machine = &scene.machine;
    let well = scene.verify(&["--store"], 0);
    assert!(well["storePaths"].as_u64().unwrap() > 3, "{well}");
    let version = machine.real(System::Two).join("nixos-version");
    let mut permissions = fs::metadata(&version).unwrap().permissions();
    std::os::unix::fs::PermissionsExt::set_mode(&mut permissions, 0o644);
    fs::set_permissions(&version, permissions).unwrap();
    fs::write(&version, "26.05.9").unwrap();
    // And one that cannot be read at all, deeper in the closure.
    let kernel = fs::read_link(machine.real(System::Two).join("kernel")).unwrap();
    let kernel = kernel
        .parent()
        .unwrap()
        .strip_prefix("/")
        .unwrap()
        .to_owned();
    fs::remove_dir_all(machine.root().join(kernel)).unwrap();
    assert_eq!(scene.problems(&[], 0), []);
    let found = scene.problems(&["--store"], 3);
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(
        found[0]
            .1
            .starts_with("2 store paths of its system are damaged"),
        "{found:?}"
    );
    assert!(found[0].1.contains("nix-store --repair-path"), "{found:?}");
}

#[test]
fn a_repair_waits_for_the_end_of_a_restore() {
    let Some(scene) = scene() else { return };
    scene.machine.write("etc/nixos/shared.bin", "changed");
    let killed = scene
        .machine
        .command(&["restore", &scene.second, "--only", "config", "-y"])
        .env("CAIRN_FAULT", "restore.journalled")
        .output()
        .unwrap();
    assert!(!killed.status.success());
    let run = scene.machine.cairn(&["verify", "--repair"]).ends(22);
    assert!(run.err.contains("cairn resume"), "{}", run.err);
    scene.machine.ok(&["resume", "-y"]);
    scene.repair(&[], 0);
}

#[test]
fn settings_that_are_damaged_or_gone_are_made_anew() {
    let Some(scene) = scene() else { return };
    let settings = scene.repository().join("config");
    for gone in [false, true] {
        if gone {
            fs::remove_file(&settings).unwrap();
        } else {
            flip(&settings, 40);
        }
        let problems = scene.problems(&[], 3);
        let told = |(_, what): &(String, String)| what.contains("vault/config");
        assert!(problems.iter().any(told), "{problems:?}");
        let run = scene.machine.cairn(&["create"]);
        assert_eq!(run.code, 1, "{}", run.err);
        assert!(run.err.contains("cairn verify"), "{}", run.err);

        let (repaired, lost) = scene.repair(&["--read-data"], 0);
        assert_eq!(lost, [], "{repaired:?}");
        assert!(
            repaired[0].1.starts_with("the settings were"),
            "{repaired:?}"
        );
        scene.restic_agrees();
        scene.comes_back(&scene.first);
        scene.machine.create("after it");
    }
    assert_eq!(scene.aside("vault/config"), 1);
}

#[test]
fn with_another_key_nothing_is_repaired() {
    let Some(scene) = scene() else { return };
    let key = scene.machine.state().join("vault/key.json");
    let mut parsed: Value = serde_json::from_slice(&fs::read(&key).unwrap()).unwrap();
    parsed["encrypt"] = format!("{}=", "A".repeat(43)).into();
    fs::write(&key, parsed.to_string()).unwrap();
    let before = scene.machine.exact();
    let run = scene.machine.cairn(&["verify", "--repair"]).ends(12);
    assert!(run.err.contains("key.json"), "{}", run.err);
    crate::support::same(&before, &scene.machine.exact(), "a repair with another key");
}

#[test]
fn without_a_key_of_its_own_the_vault_opens_with_restic() {
    let Some(scene) = scene() else { return };
    let key = scene.machine.state().join("vault/key.json");
    fs::remove_file(&key).unwrap();
    for spoilt in [None, Some("{")] {
        spoilt
            .into_iter()
            .for_each(|text| fs::write(&key, text).unwrap());
        let run = scene.machine.cairn(&["create"]).ends(12);
        let next = crate::support::commands(&run.err);
        let shown = Command::new("sh").args(["-c", &next[0]]).output().unwrap();
        let text = String::from_utf8_lossy(&shown.stdout).into_owned();
        assert!(
            shown.status.success() && text.contains("snapshots"),
            "{next:?}: {text}"
        );
    }
}
