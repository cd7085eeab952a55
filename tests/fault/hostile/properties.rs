//! Any tree comes back exactly, over any other, whole or in part; and no path
//! whatsoever leads out of the folder that is written.
//!
//! Usually about a thousand trees; `CAIRN_PROPERTY_CASES=10000` runs each
//! property with that many.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::{FileExt as _, FileTypeExt as _, MetadataExt as _, lchown, symlink};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use crate::support::{Node, changed, is_root, listing, mode, odd, scratch};
use cairn::engine::create::{self, Request};
use cairn::engine::restore::{self, Goal};
use cairn::engine::{Engine, EngineError, prune, undo};
use cairn::point::policy::Keep;
use cairn::point::{Point, Policy};
use cairn::system::Layout;
use cairn::system::beneath::{Attributes, Beneath};
use cairn::system::clock::SystemClock;
use cairn::system::journal::Scope;
use cairn::system::run::Processes;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestCaseError, TestRunner};
use rustix::fs::{CWD, FileType, Mode, mknodat};

fn cases(usual: u32) -> u32 {
    let asked = std::env::var("CAIRN_PROPERTY_CASES");
    asked.ok().and_then(|n| n.parse().ok()).unwrap_or(usual)
}

fn runner(cases: u32) -> TestRunner {
    TestRunner::new(Config {
        failure_persistence: None,
        max_shrink_iters: 400,
        ..Config::with_cases(cases)
    })
}

/// Checks a property on machines of their own, as many at once as there are
/// processors.
fn property<S: Strategy>(
    usual: u32,
    strategy: impl Fn() -> S + Sync,
    run: impl Fn(&Here, u32, S::Value) -> Result<(), TestCaseError> + Sync,
) {
    let threads = std::thread::available_parallelism().map_or(2, |n| n.get() as u32);
    let each = cases(usual).div_ceil(threads);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                let here = Here::new();
                let round = std::cell::Cell::new(0);
                let one = |value| {
                    round.set(round.get() + 1);
                    run(&here, round.get(), value)?;
                    here.tidy(round.get());
                    Ok(())
                };
                runner(each).run(&strategy(), one).unwrap();
            });
        }
    });
    println!("{} cases", each * threads);
}

/// What is at one path.
#[derive(Clone, Debug)]
enum Kind {
    File {
        size: usize,
        seed: u8,
    },
    /// Nothing but a byte at the end.
    Sparse {
        size: usize,
    },
    /// Another name of a file that is there already, any of them.
    Name {
        of: usize,
    },
    Dir,
    Link(Vec<u8>),
    Pipe,
}

#[derive(Clone, Debug)]
struct Thing {
    kind: Kind,
    mode: u32,
    owner: u32,
    xattr: Option<Vec<u8>>,
}

/// A tree by path; what lies in something that is no folder is left out.
type Spec = BTreeMap<PathBuf, Thing>;

/// Few names, so that two trees often have something at the same path.
fn name() -> impl Strategy<Value = OsString> {
    let names: Vec<&[u8]> = vec![
        b"a",
        b"b",
        b"c.nix",
        b"-rf",
        b"..x",
        b"new\nline",
        b"\xff\xfe",
        b" ",
        b"\\x41",
        b"\xc3\xa9",
        b"\x1b[m",
        &[b'l'; 255],
    ];
    prop::sample::select(names).prop_map(odd)
}

fn path() -> impl Strategy<Value = PathBuf> {
    prop::collection::vec(name(), 1..5).prop_map(|parts| parts.iter().collect())
}

fn kind() -> impl Strategy<Value = Kind> {
    let size = prop_oneof![
        2 => Just(0_usize),
        80 => 1_usize..5000,
        1 => (1_usize << 20)..(3 << 20),
    ];
    prop_oneof![
        6 => (size, any::<u8>()).prop_map(|(size, seed)| Kind::File { size, seed }),
        1 => (1_usize << 14..1 << 20).prop_map(|size| Kind::Sparse { size }),
        2 => (0_usize..8).prop_map(|of| Kind::Name { of }),
        5 => Just(Kind::Dir),
        2 => prop_oneof![
            Just(b"../../../../outside".to_vec()),
            Just(b"/".to_vec()),
            Just(b".".to_vec()),
            prop::collection::vec(1_u8.., 1..60),
        ].prop_map(Kind::Link),
        1 => Just(Kind::Pipe),
    ]
}

fn thing() -> impl Strategy<Value = Thing> {
    let mode = prop_oneof![3 => Just(0o644_u32), 3 => Just(0o755), 2 => 0_u32..0o10000];
    let owner = prop_oneof![4 => Just(0_u32), 1 => 0_u32..70000];
    let value = prop::option::weighted(0.2, prop::collection::vec(any::<u8>(), 0..40));
    (kind(), mode, owner, value).prop_map(|(kind, mode, owner, xattr)| Thing {
        kind,
        mode,
        owner,
        xattr,
    })
}

fn spec() -> impl Strategy<Value = Spec> {
    prop::collection::btree_map(path(), thing(), 0..25)
}

fn content(size: usize, seed: u8) -> Vec<u8> {
    let mut state = u64::from(seed) + 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[2]
    };
    let part: Vec<u8> = (0..size.min(5003)).map(|_| next()).collect();
    part.iter().copied().cycle().take(size).collect()
}

/// Makes the tree at `root`, in place of what is there.
fn materialize(root: &Path, spec: &Spec) {
    if root.is_symlink() || root.is_file() {
        fs::remove_file(root).unwrap();
    } else if root.is_dir() {
        open_up(root);
        fs::remove_dir_all(root).unwrap();
    }
    fs::create_dir_all(root).unwrap();
    let mut made: Vec<(PathBuf, &Thing)> = Vec::new();
    let mut files: Vec<PathBuf> = Vec::new();
    for (path, thing) in spec {
        let place = root.join(path);
        let fits = folders(root, path.parent().unwrap());
        if !fits || place.symlink_metadata().is_ok() {
            continue;
        }
        match &thing.kind {
            Kind::File { size, seed } => {
                fs::write(&place, content(*size, *seed)).unwrap();
                files.push(place.clone());
            }
            Kind::Sparse { size } => {
                let file = fs::File::create(&place).unwrap();
                file.write_all_at(b"!", *size as u64).unwrap();
                files.push(place.clone());
            }
            Kind::Name { of } => match files.get(of % files.len().max(1)) {
                Some(other) => {
                    fs::hard_link(other, &place).unwrap();
                    continue;
                }
                None => continue,
            },
            Kind::Dir => fs::create_dir(&place).unwrap(),
            Kind::Link(target) => symlink(odd(target), &place).unwrap(),
            Kind::Pipe => {
                mknodat(CWD, &place, FileType::Fifo, Mode::RUSR, 0).unwrap();
            }
        }
        made.push((place, thing));
    }
    // Deepest first: a folder without rights shuts nobody out too early.
    for (place, thing) in made.iter().rev() {
        let is_link = matches!(thing.kind, Kind::Link(_));
        if is_root() {
            lchown(place, Some(thing.owner), Some(thing.owner / 2)).unwrap();
        }
        if let (Some(value), Kind::File { .. } | Kind::Sparse { .. } | Kind::Dir) =
            (&thing.xattr, &thing.kind)
        {
            xattr::set(place, "user.any", value).unwrap();
        }
        if !is_link {
            let own = if is_root() { 0 } else { 0o700 };
            mode(place, thing.mode | own);
        }
    }
}

/// Makes the folders of `path` below `root`; `false` when something else, such
/// as a link, is on the way.
fn folders(root: &Path, path: &Path) -> bool {
    let mut place = root.to_owned();
    path.components().all(|part| {
        place.push(part);
        match place.symlink_metadata() {
            Ok(meta) => meta.is_dir(),
            Err(_) => fs::create_dir(&place).is_ok(),
        }
    })
}

fn open_up(dir: &Path) {
    if is_root() {
        return;
    }
    mode(dir, 0o700);
    for entry in fs::read_dir(dir).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_dir() {
            open_up(&entry.path());
        }
    }
}

/// A machine in this process: the library, a real vault, real files.
struct Here {
    dir: tempfile::TempDir,
    layout: Layout,
    policy: Policy,
}

impl Here {
    fn new() -> Self {
        let dir = scratch();
        let root = dir.path().join("root");
        let state = root.join("var/lib/cairn");
        for folder in [root.join("etc"), state.clone(), dir.path().join("outside")] {
            fs::create_dir_all(folder).unwrap();
        }
        fs::write(dir.path().join("outside/victim"), "safe").unwrap();
        Self {
            layout: Layout::new(root, state),
            policy: Policy::default(),
            dir,
        }
    }

    fn engine(&self) -> Engine<'_> {
        Engine {
            layout: &self.layout,
            policy: &self.policy,
            clock: &SystemClock,
            runner: &Processes,
            patience: Duration::from_secs(10),
            profile: "system",
            progress: std::sync::Arc::new(cairn::vault::Unwatched),
        }
    }

    fn etc(&self) -> PathBuf {
        self.layout.root().join("etc/nixos")
    }

    /// Everything but times, which a comparison does not look at either.
    fn picture(&self) -> Vec<Node> {
        let mut nodes = listing(self.layout.root(), &["etc"]);
        for node in &mut nodes {
            node.mtime = None;
        }
        nodes
    }

    fn take(&self) -> Point {
        let created = create::create(&self.engine(), &Request::manual("case")).unwrap();
        assert!(
            created.point.is_complete(),
            "{:?}",
            created.point.completeness
        );
        created.point
    }

    fn restore(&self, point: &Point, scope: &Scope) -> Result<(), EngineError> {
        let goal = Goal::Point(Box::new(point.clone()));
        let plan = restore::plan_goal(&self.engine(), goal, scope)?;
        restore::execute(&self.engine(), plan, "restore").map(|_| ())
    }

    fn undo(&self) {
        let plan = undo::plan(&self.engine(), None).unwrap();
        restore::execute(&self.engine(), plan, "undo").unwrap();
    }

    fn tidy(&self, round: u32) {
        if round.is_multiple_of(40) {
            prune::prune(&self.engine(), &prune::Rules::given(Keep::last(2))).unwrap();
            let journal = self.layout.journal();
            for entry in fs::read_dir(journal).unwrap() {
                fs::remove_file(entry.unwrap().path()).unwrap();
            }
        }
        let outside = listing(self.dir.path(), &["outside"]);
        assert_eq!(outside.len(), 2);
        assert_eq!(outside[1].content, b"safe");
    }
}

fn same(expected: &[Node], found: &[Node], what: &str) -> Result<(), TestCaseError> {
    let lines = changed(expected, found);
    prop_assert!(lines.is_empty(), "{what}:\n{}", lines.join("\n"));
    Ok(())
}

fn whole() -> Scope {
    Scope {
        config: true,
        ..Scope::default()
    }
}

#[test]
fn any_tree_comes_back_over_any_other() {
    property(
        300,
        || (spec(), spec()),
        |here, round, (then, now)| {
            materialize(&here.etc(), &then);
            let wanted = here.picture();
            let point = here.take();
            materialize(&here.etc(), &now);
            let before = here.picture();
            here.restore(&point, &whole()).unwrap();
            same(&wanted, &here.picture(), "restore")?;
            // Going back is a restore as well: every other time.
            if before != wanted && round.is_multiple_of(2) {
                here.undo();
                same(&before, &here.picture(), "undo")?;
            }
            Ok(())
        },
    );
}

/// Which files are one is no part of it: others than those asked for may be
/// names of the same.
fn apart(mut nodes: Vec<Node>) -> Vec<Node> {
    for node in &mut nodes {
        node.first = None;
    }
    nodes
}

/// A named part comes back alone: inside it is as it was then, outside as it
/// is now, but for folders on the way that were gone.
#[test]
fn any_part_comes_back_alone() {
    let (all, parts) = (AtomicU32::new(0), AtomicU32::new(0));
    let run = |here: &Here, _, (then, now, pick): (Spec, Spec, prop::sample::Index)| {
        all.fetch_add(1, Ordering::Relaxed);
        materialize(&here.etc(), &then);
        let wanted = apart(here.picture());
        let point = here.take();
        materialize(&here.etc(), &now);
        let before = apart(here.picture());
        let all: BTreeSet<&PathBuf> = wanted.iter().chain(&before).map(|n| &n.path).collect();
        let below: Vec<&&PathBuf> = all.iter().filter(|p| p.starts_with("etc/nixos")).collect();
        let part = (**below[pick.index(below.len())]).clone();
        let scope = Scope {
            paths: vec![Path::new("/").join(&part).into()],
            ..whole()
        };
        match here.restore(&point, &scope) {
            Ok(()) => {}
            Err(EngineError::NoWay(_)) => {
                same(&before, &apart(here.picture()), "refused")?;
                return Ok(());
            }
            Err(e) => return Err(TestCaseError::fail(format!("{part:?}: {e}"))),
        }
        parts.fetch_add(1, Ordering::Relaxed);
        let after = apart(here.picture());
        let split = |nodes: &[Node], inside: bool| -> Vec<Node> {
            let there = |n: &&Node| n.path.starts_with(&part) == inside;
            nodes.iter().filter(there).cloned().collect()
        };
        same(&split(&wanted, true), &split(&after, true), "inside")?;
        let mut outside = split(&before, false);
        for above in part.ancestors().skip(1) {
            if !outside.iter().any(|n| n.path == above) {
                outside.extend(wanted.iter().filter(|n| n.path == above).cloned());
            }
        }
        outside.sort_by(|a, b| a.path.cmp(&b.path));
        let made = part
            .ancestors()
            .any(|p| wanted.iter().any(|n| n.path == p) && !before.iter().any(|n| n.path == p));
        if wanted.iter().any(|n| n.path == part) || !made {
            same(&outside, &split(&after, false), "outside")?;
        }
        if after != before {
            here.undo();
            same(&before, &apart(here.picture()), "undo")?;
        }
        Ok(())
    };
    let strategy = || (spec(), spec(), any::<prop::sample::Index>());
    property(150, strategy, run);
    let (all, parts) = (all.into_inner(), parts.into_inner());
    println!("{all} trees, {parts} parts");
    assert!(parts > all / 2);
}

/// With what was added kept, all of the point is there, and all that only now
/// has; or it is refused and nothing changes.
#[test]
fn what_was_added_is_kept() {
    let (all, kept) = (AtomicU32::new(0), AtomicU32::new(0));
    let run = |here: &Here, _, (then, now): (Spec, Spec)| {
        all.fetch_add(1, Ordering::Relaxed);
        materialize(&here.etc(), &then);
        let wanted = apart(here.picture());
        let point = here.take();
        materialize(&here.etc(), &now);
        let before = apart(here.picture());
        let scope = Scope {
            keep_added: true,
            ..whole()
        };
        match here.restore(&point, &scope) {
            Ok(()) => {}
            Err(EngineError::NoWay(_)) => {
                same(&before, &apart(here.picture()), "refused")?;
                return Ok(());
            }
            Err(e) => return Err(TestCaseError::fail(e.to_string())),
        }
        kept.fetch_add(1, Ordering::Relaxed);
        let after = apart(here.picture());
        let has = |nodes: &[Node], path: &Path| nodes.iter().any(|n| n.path == path);
        for node in &wanted {
            prop_assert!(after.contains(node), "{:?} is not as it was", node.path);
        }
        for node in before.iter().filter(|n| !has(&wanted, &n.path)) {
            prop_assert!(
                after.contains(node),
                "{:?} was added and is gone",
                node.path
            );
        }
        prop_assert!(
            after
                .iter()
                .all(|n| has(&wanted, &n.path) || has(&before, &n.path))
        );
        Ok(())
    };
    property(100, || (spec(), spec()), run);
    let (all, kept) = (all.into_inner(), kept.into_inner());
    println!("{all} trees, {kept} kept");
    assert!(kept > all / 4);
}

/// One step of a writer that does not know what it does.
#[derive(Clone, Debug)]
enum Step {
    Create,
    CreateDir,
    CreateDirs,
    Symlink(PathBuf),
    Pipe,
    Rename(PathBuf),
    RemoveFile,
    RemoveDir,
    Dress(u32),
    DressLink,
    DressNode(u32),
    Read,
    Entries,
    Sync,
    Below,
}

/// Paths that try to get out, and some that do not.
fn any_path() -> impl Strategy<Value = PathBuf> {
    let parts = prop::sample::select(vec!["..", ".", "a", "b", "out", "file-out", "up", "/", ""]);
    prop_oneof![
        5 => prop::collection::vec(parts, 0..5).prop_map(|p| p.iter().collect::<PathBuf>()),
        1 => Just(PathBuf::from("out/victim")),
        1 => Just(PathBuf::from("up/outside/victim")),
        1 => Just(PathBuf::from("/proc/self/root/tmp")),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        Just(Step::Create),
        Just(Step::CreateDir),
        Just(Step::CreateDirs),
        any_path().prop_map(Step::Symlink),
        Just(Step::Pipe),
        any_path().prop_map(Step::Rename),
        Just(Step::RemoveFile),
        Just(Step::RemoveDir),
        (0_u32..0o10000).prop_map(Step::Dress),
        Just(Step::DressLink),
        (0_u32..0o10000).prop_map(Step::DressNode),
        Just(Step::Read),
        Just(Step::Entries),
        Just(Step::Sync),
        Just(Step::Below),
    ]
}

#[test]
fn no_step_leads_out() {
    let dir = scratch();
    let outside = dir.path().join("outside");
    let inside = dir.path().join("inside");
    fs::create_dir_all(outside.join("folder")).unwrap();
    fs::write(outside.join("victim"), "safe").unwrap();
    fs::write(outside.join("folder/victim"), "safe").unwrap();
    let inode = |file: &Path| fs::symlink_metadata(file).unwrap().ino();
    let victims = [
        inode(&outside.join("victim")),
        inode(&outside.join("folder/victim")),
    ];
    let before = listing(dir.path(), &["outside"]);
    let taken = std::cell::Cell::new(0);
    let run = |steps: Vec<(PathBuf, Step)>| {
        if inside.is_dir() {
            fs::remove_dir_all(&inside).unwrap();
        }
        fs::create_dir_all(inside.join("a")).unwrap();
        symlink(&outside, inside.join("out")).unwrap();
        symlink(outside.join("victim"), inside.join("file-out")).unwrap();
        symlink("..", inside.join("up")).unwrap();
        let beneath = Beneath::open(&inside).unwrap();
        for (path, step) in &steps {
            let attributes = |mode| Attributes {
                mode,
                owner: (
                    if is_root() {
                        7
                    } else {
                        rustix::process::geteuid().as_raw()
                    },
                    rustix::process::getegid().as_raw(),
                ),
                mtime: Some((1, 2)),
                xattrs: vec![("user.x".into(), b"y".to_vec())],
            };
            let done = match step {
                Step::Create => beneath.create(path).map(|mut file| {
                    std::io::Write::write_all(&mut file, b"written").unwrap();
                }),
                Step::CreateDir => beneath.create_dir(path),
                Step::CreateDirs => beneath.create_dirs(path, &mut Vec::new()),
                Step::Symlink(target) => beneath.symlink(target, path),
                Step::Pipe => beneath.make_node(path, FileType::Fifo, 0),
                Step::Rename(to) => beneath.rename(path, to),
                Step::RemoveFile => beneath.remove_file(path),
                Step::RemoveDir => beneath.remove_dir(path),
                Step::Dress(mode) => beneath.dress(path, &attributes(*mode | 0o700)),
                Step::DressLink => beneath.dress_symlink(path, &attributes(0)),
                Step::DressNode(mode) => beneath.dress_node(path, &attributes(*mode | 0o700)),
                Step::Read => beneath.read(path).map(|file| {
                    let kind = file.metadata().unwrap().file_type();
                    if kind.is_file() {
                        let text = std::io::read_to_string(file).unwrap();
                        assert!(!text.contains("safe"), "read through {path:?}");
                    } else {
                        assert!(kind.is_dir() || kind.is_fifo());
                    }
                }),
                Step::Entries => beneath.entries(path).map(|found| {
                    // A file of this name may have been made inside.
                    if found.iter().any(|(name, _)| name == "victim") {
                        let listed = inode(&inside.join(path).join("victim"));
                        assert!(!victims.contains(&listed), "{path:?}");
                    }
                }),
                Step::Sync => beneath.sync(path),
                Step::Below => beneath.below(path).map(|below| {
                    let _ = below.create(Path::new("from-below"));
                }),
            };
            taken.set(taken.get() + u32::from(done.is_ok()));
        }
        let after = listing(dir.path(), &["outside"]);
        let lines = changed(&before, &after);
        prop_assert!(lines.is_empty(), "{}", lines.join("\n"));
        let around = crate::support::names(dir.path());
        prop_assert_eq!(around.len(), 2, "{:?}", around);
        Ok(())
    };
    let strategy = prop::collection::vec((any_path(), step()), 1..40);
    runner(cases(1500).max(1500)).run(&strategy, run).unwrap();
    println!("{} steps were taken", taken.get());
    assert!(taken.get() > 1500);
}
