//! Tests that reach into the middle: a change during a read, a full disk.

use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use super::*;
use crate::vault::hook::on_read;

struct Scene {
    dir: tempfile::TempDir,
    vault: VaultDir,
}

impl Scene {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("src");
        fs::create_dir(&root).unwrap();
        fs::write(root.join("a"), "first").unwrap();
        fs::write(root.join("f"), vec![b'x'; 300_000]).unwrap();
        fs::write(root.join("z"), "last").unwrap();
        let vault = VaultDir::init_or_open(&dir.path().join("vault"))
            .unwrap()
            .vault;
        Self { dir, vault }
    }

    fn file(&self) -> PathBuf {
        self.dir.path().join("src/f")
    }

    fn request(&self) -> CaptureRequest {
        CaptureRequest {
            tag: "point".into(),
            host: "box".into(),
            time: chrono::DateTime::from_timestamp(1_750_000_000, 0).unwrap(),
            roots: vec![CaptureRoot {
                disk: self.dir.path().join("src"),
                logical: "/r".into(),
            }],
            exclude_names: vec![],
            exclude_named: |_| false,
            exclude_paths: vec![],
            on_unreadable: OnUnreadable::Fail,
            parent: None,
        }
    }

    /// How often the file was begun before the capture ended, and how it ended.
    fn capture_while(
        &self,
        change: impl Fn(&Path, u32) + Send + Sync + 'static,
    ) -> (u32, Result<Captured, VaultError>) {
        let begun = Arc::new(AtomicU32::new(0));
        let (counter, path) = (Arc::clone(&begun), self.file());
        on_read(&self.file(), move |count| {
            if count == 0 {
                counter.fetch_add(1, Ordering::SeqCst);
            }
            if count > 0 {
                change(&path, counter.load(Ordering::SeqCst));
            }
        });
        let result = self.vault.config().capture(&self.request());
        (begun.load(Ordering::SeqCst), result)
    }

    fn snapshots(&self) -> usize {
        self.vault.config().snapshots().unwrap().good.len()
    }
}

/// Lets the file grow older than the kernel's clock tick.
fn settle() {
    std::thread::sleep(Duration::from_millis(60));
}

fn assert_changed(scene: &Scene, outcome: (u32, Result<Captured, VaultError>)) {
    let error = outcome.1.unwrap_err();
    assert!(
        matches!(&error, VaultError::Changed { path, .. } if *path == scene.file()),
        "{error}"
    );
    assert_eq!(outcome.0, 3, "it is tried three times");
    assert_eq!(scene.snapshots(), 0);
    let kept = fs::read_dir(scene.vault.config().path().join("snapshots"))
        .unwrap()
        .count();
    assert_eq!(kept, 0);
}

fn append(path: &Path, _attempt: u32) {
    File::options()
        .append(true)
        .open(path)
        .unwrap()
        .write_all(b"more")
        .unwrap();
}

fn overwrite(path: &Path, _attempt: u32) {
    File::options()
        .write(true)
        .open(path)
        .unwrap()
        .write_all_at(b"XX", 1)
        .unwrap();
}

#[test]
fn a_file_that_grows_while_it_is_read_is_refused() {
    let scene = Scene::new();
    assert_changed(&scene, scene.capture_while(append));
}

#[test]
fn a_file_that_shrinks_while_it_is_read_is_refused() {
    let scene = Scene::new();
    let cut = |path: &Path, _| {
        File::options()
            .write(true)
            .open(path)
            .unwrap()
            .set_len(10)
            .unwrap()
    };
    assert_changed(&scene, scene.capture_while(cut));
}

#[test]
fn a_file_that_is_rewritten_in_place_is_refused() {
    let scene = Scene::new();
    settle();
    assert_changed(&scene, scene.capture_while(overwrite));
}

#[test]
fn a_change_that_ends_is_captured_by_a_later_attempt() {
    let scene = Scene::new();
    settle();
    let once = |path: &Path, attempt: u32| {
        if attempt == 1 {
            overwrite(path, attempt);
        }
    };
    let (begun, result) = scene.capture_while(once);
    let captured = result.unwrap();
    assert_eq!((begun, scene.snapshots()), (2, 1));
    let entries = scene.vault.config().entries(&captured.snapshot).unwrap();
    let mut content = Vec::new();
    let entry = entries
        .iter()
        .find(|entry| entry.path == Path::new("/r/f"))
        .unwrap();
    scene.vault.config().read(entry, &mut content).unwrap();
    assert_eq!(content, fs::read(scene.file()).unwrap());
}

#[test]
fn a_directory_that_changes_while_it_is_walked_is_refused() {
    let scene = Scene::new();
    let log = Arc::new(log::CaptureLog::new(OnUnreadable::Fail, true));
    let plan = Arc::new(walk::WalkPlan::new(&scene.request(), None));
    let mut walker = walk::Walker::new(plan, Arc::clone(&log));
    assert_eq!(walker.next().unwrap().logical, Path::new("/r"));
    settle();
    fs::write(scene.dir.path().join("src/late"), "").unwrap();
    assert_eq!(walker.by_ref().count(), 3);
    let root = scene.dir.path().join("src");
    let failure = log.take_failure();
    assert!(matches!(failure, Some(VaultError::Changed { path, .. }) if path == root));
}

/// A name that is replaced while its old file is read: what is stored is the
/// file that was opened, with its own metadata.
#[test]
fn a_replaced_name_gives_one_whole_file() {
    let scene = Scene::new();
    let other = scene.dir.path().join("other");
    fs::write(&other, "short").unwrap();
    settle();
    let (_, result) = scene.capture_while(move |path, attempt| {
        if attempt == 1 && other.exists() {
            fs::rename(&other, path).unwrap();
        }
    });
    let captured = result.unwrap();
    let entries = scene.vault.config().entries(&captured.snapshot).unwrap();
    let entry = entries
        .iter()
        .find(|entry| entry.path == Path::new("/r/f"))
        .unwrap();
    let mut content = Vec::new();
    scene.vault.config().read(entry, &mut content).unwrap();
    assert!(content == b"short" || content == vec![b'x'; 300_000]);
}

/// At whatever write the disk is full, the capture is
/// an error that says so, no snapshot and no temporary is left, and the next
/// capture is fine.
#[test]
fn a_full_disk_is_an_error_at_every_write() {
    let scene = Scene::new();
    let repo = scene.vault.config();
    let mut failures = 0;
    for writes in 0.. {
        *repo.writes_left.lock().unwrap() = Some(writes);
        match repo.capture(&scene.request()) {
            Ok(_) => break,
            Err(error) => {
                assert!(error.is_no_space(), "{error:?}");
                failures += 1;
            }
        }
        assert_eq!(scene.snapshots(), 0);
        // A thread of the library may still be ending.
        let begun = std::time::Instant::now();
        while fs::read_dir(repo.path().join("tmp")).unwrap().count() > 0 {
            assert!(begun.elapsed() < std::time::Duration::from_secs(10));
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        // New content, so that the next one has as much to write.
        fs::write(scene.file(), format!("{writes}").repeat(100_000)).unwrap();
    }
    assert!(
        failures >= 4,
        "data, trees, index and snapshot are four writes: {failures}"
    );
    *repo.writes_left.lock().unwrap() = None;
    assert_eq!(repo.check(true).unwrap().problems, Vec::<String>::new());
}

/// The same with several packs of data in the library's queues.
#[test]
fn a_full_disk_is_an_error_amid_many_packs() {
    let scene = Scene::new();
    let repo = scene.vault.config();
    let mut state = 1_u64;
    let mut noise = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (state >> 33) as u8
    };
    for number in 0..24 {
        let content: Vec<u8> = (0..1 << 20).map(|_| noise()).collect();
        fs::write(scene.dir.path().join(format!("src/big{number}")), content).unwrap();
    }
    for writes in 0..3 {
        *repo.writes_left.lock().unwrap() = Some(writes);
        let error = repo.capture(&scene.request()).unwrap_err();
        assert!(error.is_no_space(), "{error:?}");
        assert_eq!(scene.snapshots(), 0);
    }
    *repo.writes_left.lock().unwrap() = None;
    let captured = repo.capture(&scene.request()).unwrap();
    assert_eq!(captured.files, 27);
    assert_eq!(repo.check(true).unwrap().problems, Vec::<String>::new());
}

/// A parent's file is taken over unread only if its times can be trusted.
#[test]
fn a_young_file_never_counts_as_unchanged() {
    let scene = Scene::new();
    let mut request = scene.request();
    request.roots[0].disk = scene.file();
    let stored = || {
        let log = Arc::new(log::CaptureLog::new(OnUnreadable::Fail, true));
        let plan = Arc::new(walk::WalkPlan::new(&request, None));
        let walked = walk::Walker::new(plan, log).next().unwrap();
        let real = std::os::unix::fs::MetadataExt::ctime_nsec(&walked.metadata);
        let node = node::to_node(&walked).unwrap();
        let walk::WalkedKind::File(reader) = walked.kind else {
            panic!("no file")
        };
        (
            reader.is_young(),
            i64::from(node.meta.ctime.unwrap().subsec_nanosecond()) == real,
        )
    };
    let young = || {
        fs::write(scene.file(), "just now").unwrap();
        stored()
    };
    // On a busy machine a file may be old before it is looked at.
    assert!((0..100).any(|_| young() == (true, false)));
    settle();
    assert_eq!(stored(), (false, true));
}
