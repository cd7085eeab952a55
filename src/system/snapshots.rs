//! Read-only snapshots of filesystems that make them in an instant: btrfs and
//! zfs, through their own programs.
//!
//! A snapshot ends at the border of its subvolume or dataset. What lies below
//! a path and is mounted there, or is a subvolume of its own, would be an
//! empty folder in it: such a path has no snapshot.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::error::optional;
use super::mounts::{self, Mount};
use super::run::{Call, RunError, Runner};
use super::{At, IoError, Layout, durable, ours};
use crate::point::{BytePath, PointId};

/// One snapshot: how it is found again to be deleted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Snapshot {
    /// A subvolume, by its path.
    Btrfs(BytePath),
    /// A snapshot of a dataset, by its name.
    Zfs(String),
}

/// Snapshots that hold all of a set of paths.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// The snapshots, in the order in which they are made.
    pub snapshots: Vec<Snapshot>,
    /// What each is made of: a subvolume's path; empty for a dataset.
    origins: Vec<PathBuf>,
    /// Where each path is found in them, in the order they were given.
    pub places: Vec<PathBuf>,
}

impl Plan {
    /// What makes the snapshots.
    pub fn kind(&self) -> &'static str {
        match self.snapshots.first() {
            Some(Snapshot::Zfs(_)) => "zfs",
            _ => "btrfs",
        }
    }
}

/// Why paths have no snapshot.
#[derive(Debug, thiserror::Error)]
pub enum NoSnapshot {
    /// Their filesystem makes none.
    #[error("{} is neither on btrfs nor on zfs", path.display())]
    Elsewhere {
        /// The path.
        path: PathBuf,
    },
    /// Something below them has a filesystem of its own.
    #[error("{} is a filesystem or subvolume of its own", path.display())]
    Nested {
        /// What is below.
        path: PathBuf,
    },
    /// The border of its filesystem cannot be reached from here.
    #[error("the subvolume or dataset of {} is not mounted whole", path.display())]
    Unreachable {
        /// The path.
        path: PathBuf,
    },
    /// Snapshots belong to root.
    #[error("only root makes snapshots")]
    NotRoot,
    /// They could not be looked at.
    #[error(transparent)]
    Io(#[from] IoError),
    /// The program could not be run, or said no.
    #[error(transparent)]
    Run(#[from] RunError),
}

/// The inode of every subvolume's top folder.
const SUBVOLUME: u64 = 256;

/// Which snapshots hold all of `paths` (real ones) but for what is left out.
/// `number` sets those of one point apart. Nothing is made yet.
///
/// # Errors
/// Why there can be none.
pub fn plan(
    layout: &Layout,
    paths: &[PathBuf],
    leave: &[PathBuf],
    id: PointId,
    number: usize,
) -> Result<Plan, NoSnapshot> {
    plan_on(&mounts::read()?, layout, paths, leave, id, number)
}

fn plan_on(
    mounts: &[Mount],
    layout: &Layout,
    paths: &[PathBuf],
    leave: &[PathBuf],
    id: PointId,
    number: usize,
) -> Result<Plan, NoSnapshot> {
    let leave: Vec<PathBuf> = leave
        .iter()
        .map(|path| canonical(path).unwrap_or_else(|_| path.clone()))
        .collect();
    let mut plan = Plan::default();
    let mut seen: BTreeMap<PathBuf, usize> = BTreeMap::new();
    for path in paths {
        let path = &canonical(path)?;
        let elsewhere = || NoSnapshot::Elsewhere { path: path.clone() };
        let mount = mounts::of(mounts, path).ok_or_else(elsewhere)?;
        let top = match mount.kind.as_str() {
            "btrfs" => subvolume(path)?,
            "zfs" if mount.root == Path::new("/") => mount.point.clone(),
            "zfs" => return Err(NoSnapshot::Unreachable { path: path.clone() }),
            _ => return Err(elsewhere()),
        };
        if !rustix::process::geteuid().is_root() {
            return Err(NoSnapshot::NotRoot);
        }
        one_filesystem(path, &leave)?;
        let next = number + plan.snapshots.len();
        let at = *seen.entry(top.clone()).or_insert(plan.snapshots.len());
        if at == plan.snapshots.len() {
            let btrfs = mount.kind == "btrfs";
            plan.snapshots.push(match btrfs {
                true => Snapshot::Btrfs(place(layout, mounts, mount, &top, id, next).into()),
                false => Snapshot::Zfs(format!("{}@cairn-{}-{number}", mount.source, id.hex())),
            });
            plan.origins.push(top.clone());
        }
        let relative = path.strip_prefix(&top).unwrap_or(path);
        let inside = match &plan.snapshots[at] {
            Snapshot::Btrfs(snapshot) => snapshot.0.clone(),
            Snapshot::Zfs(name) => {
                let name = name.split_once('@').map_or("", |(_, name)| name);
                top.join(".zfs/snapshot").join(name)
            }
        };
        plan.places.push(match relative.as_os_str().is_empty() {
            true => inside,
            false => inside.join(relative),
        });
    }
    Ok(plan)
}

/// The path with the links above it followed, the last part as it is.
fn canonical(path: &Path) -> Result<PathBuf, IoError> {
    let (Some(above), Some(name)) = (path.parent(), path.file_name()) else {
        return Ok(path.to_owned());
    };
    let above = fs::canonicalize(above).at("follow", above)?;
    Ok(above.join(name))
}

/// The top folder of the subvolume that holds a path.
fn subvolume(path: &Path) -> Result<PathBuf, NoSnapshot> {
    let device = fs::symlink_metadata(path).at("look at", path)?.dev();
    for above in path.ancestors() {
        let meta = fs::symlink_metadata(above).at("look at", above)?;
        // A file's device is that of its subvolume too.
        if meta.dev() != device {
            break;
        }
        if meta.is_dir() && meta.ino() == SUBVOLUME {
            return Ok(above.to_owned());
        }
    }
    let path = path.to_owned();
    Err(NoSnapshot::Unreachable { path })
}

/// Where a snapshot goes: into the state directory, which is nobody else's,
/// when that is on the same filesystem; else into the subvolume itself.
fn place(
    layout: &Layout,
    mounts: &[Mount],
    mount: &Mount,
    top: &Path,
    id: PointId,
    number: usize,
) -> PathBuf {
    let own = layout.snapshots();
    let name = format!("{}-{number}", id.hex());
    let same = |own: &Path| {
        let there = mounts::of(mounts, own);
        there.is_some_and(|there| there.kind == mount.kind && there.source == mount.source)
    };
    match canonical(layout.state()) {
        Ok(state) if same(&state) => own.join(name),
        _ => top.join(format!("{}{}{name}", ours::PREFIX, ours::SNAPSHOT)),
    }
}

/// Whether all of `path` is on one filesystem, as far as it is captured.
fn one_filesystem(path: &Path, leave: &[PathBuf]) -> Result<(), NoSnapshot> {
    let device = fs::symlink_metadata(path).at("look at", path)?.dev();
    let mut todo = vec![path.to_owned()];
    while let Some(dir) = todo.pop() {
        if leave.contains(&dir) {
            continue;
        }
        // Programs are at work here: things come and go.
        match optional(fs::symlink_metadata(&dir).at("look at", &dir))? {
            Some(meta) if meta.dev() != device => return Err(NoSnapshot::Nested { path: dir }),
            Some(meta) if meta.is_dir() => {}
            _ => continue,
        }
        let entries = optional(fs::read_dir(&dir).at("list", &dir))?;
        for entry in entries.into_iter().flatten() {
            let entry = entry.at("list", &dir)?;
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                todo.push(entry.path());
            }
        }
    }
    Ok(())
}

/// Makes the snapshots. Those of one pool are of one moment.
///
/// # Errors
/// When a program is missing or says no; some may be there then.
pub fn make(layout: &Layout, runner: &dyn Runner, plan: &Plan) -> Result<(), NoSnapshot> {
    let mut pools: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (snapshot, origin) in plan.snapshots.iter().zip(&plan.origins) {
        match snapshot {
            Snapshot::Btrfs(path) => {
                if path.0.starts_with(layout.snapshots()) {
                    durable::create_private_dir(&layout.snapshots())?;
                }
                let call = Call::new("btrfs").args(["subvolume", "snapshot", "-r"]);
                runner.check(&call.arg(origin).arg(&path.0))?;
            }
            Snapshot::Zfs(name) => {
                let pool = name.split(['/', '@']).next().unwrap_or_default();
                pools.entry(pool).or_default().push(name);
            }
        }
    }
    for names in pools.into_values() {
        runner.check(&Call::new("zfs").arg("snapshot").args(names))?;
    }
    Ok(())
}

/// Deletes a snapshot; one that is gone is fine.
///
/// # Errors
/// When the program is missing or says no.
pub fn remove(runner: &dyn Runner, snapshot: &Snapshot) -> Result<(), NoSnapshot> {
    match snapshot {
        Snapshot::Btrfs(path) => match fs::symlink_metadata(&path.0) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
            _ => {
                let call = Call::new("btrfs").args(["subvolume", "delete"]);
                runner.check(&call.arg(&path.0))?;
                Ok(())
            }
        },
        Snapshot::Zfs(name) => {
            let list = ["list", "-H", "-t", "snapshot", "-o", "name"];
            let there = runner.run(&Call::new("zfs").args(list).arg(name))?;
            if there.code != 0 && there.stderr.contains("does not exist") {
                return Ok(());
            }
            runner.check(&Call::new("zfs").arg("destroy").arg(name))?;
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;
    use std::sync::Mutex;

    use super::*;
    use crate::system::run::Ended;

    /// A `zfs` of a few lines that really copies: a dataset is a folder of the
    /// same path below `pools`, its snapshots lie in `.zfs/snapshot`.
    struct Zfs {
        pools: PathBuf,
        calls: Mutex<Vec<String>>,
    }

    impl Zfs {
        fn at(&self, name: &str) -> PathBuf {
            let (dataset, snapshot) = name.split_once('@').unwrap();
            self.pools
                .join(dataset)
                .join(".zfs/snapshot")
                .join(snapshot)
        }
    }

    impl Runner for Zfs {
        fn run(&self, call: &Call) -> Result<Ended, RunError> {
            self.calls.lock().unwrap().push(call.line());
            let mut ended = Ended::default();
            let args: Vec<_> = call.args.iter().map(|a| a.to_str().unwrap()).collect();
            match args[0] {
                "snapshot" => {
                    for name in &args[1..] {
                        let to = self.at(name);
                        fs::create_dir_all(to.parent().unwrap()).unwrap();
                        let from = self.pools.join(name.split_once('@').unwrap().0);
                        let copied = Command::new("sh")
                            .arg("-c")
                            .arg("mkdir \"$2\" && cd \"$1\" && cp -a data \"$2\"")
                            .args(["sh".as_ref(), from.as_os_str(), to.as_os_str()])
                            .status();
                        assert!(copied.unwrap().success());
                    }
                }
                "list" if !self.at(args[6]).exists() => {
                    ended.code = 1;
                    ended.stderr = format!("cannot open '{}': dataset does not exist", args[6]);
                }
                "destroy" => fs::remove_dir_all(self.at(args[1])).unwrap(),
                _ => {}
            }
            Ok(ended)
        }
    }

    fn mount(point: &Path, source: &str) -> Mount {
        Mount {
            root: "/".into(),
            point: point.to_owned(),
            kind: "zfs".to_owned(),
            source: source.to_owned(),
        }
    }

    fn id() -> PointId {
        "01a20b53-3356-734a-aeaa-1e6aa0d2051c".parse().unwrap()
    }

    #[test]
    fn datasets_are_read_from_snapshots_of_one_moment_each_pool() {
        if !rustix::process::geteuid().is_root() {
            return;
        }
        let dir = tempfile::tempdir().unwrap();
        let pools = fs::canonicalize(dir.path()).unwrap();
        let zfs = Zfs {
            pools: pools.clone(),
            calls: Mutex::default(),
        };
        let (a, b) = (pools.join("tank/a"), pools.join("tank/b"));
        for dataset in [&a, &b] {
            fs::create_dir_all(dataset.join("data/deep")).unwrap();
            fs::write(dataset.join("data/deep/file"), "then").unwrap();
        }
        let mounts = [mount(&a, "tank/a"), mount(&b, "tank/b")];
        let paths = [
            a.join("data/deep"),
            b.join("data"),
            a.join("data/deep/file"),
        ];
        let layout = Layout::new("/", dir.path().join("state"));
        let plan = plan_on(&mounts, &layout, &paths, &[], id(), 0).unwrap();
        assert_eq!(plan.kind(), "zfs");
        make(&layout, &zfs, &plan).unwrap();
        let name = format!("cairn-{}-0", id().hex());
        assert_eq!(
            *zfs.calls.lock().unwrap(),
            [format!("zfs snapshot tank/a@{name} tank/b@{name}")]
        );
        fs::write(a.join("data/deep/file"), "now").unwrap();
        let read = |place: &Path| fs::read_to_string(place).unwrap();
        assert_eq!(read(&plan.places[0].join("file")), "then");
        assert_eq!(read(&plan.places[1].join("deep/file")), "then");
        assert_eq!(read(&plan.places[2]), "then");
        for snapshot in plan.snapshots.iter().chain(&plan.snapshots) {
            // The second time it is gone already.
            remove(&zfs, snapshot).unwrap();
        }
        assert!(!a.join(".zfs/snapshot").join(&name).exists());
    }

    #[test]
    fn a_dataset_that_is_not_mounted_whole_has_no_snapshot() {
        let dir = tempfile::tempdir().unwrap();
        let top = fs::canonicalize(dir.path()).unwrap();
        let mut mounts = [mount(&top, "tank/a")];
        mounts[0].root = "/sub".into();
        let layout = Layout::new("/", "/state");
        let plan = |mounts: &[Mount]| plan_on(mounts, &layout, &[top.join("data")], &[], id(), 0);
        let refused = plan(&mounts).unwrap_err();
        assert!(
            matches!(refused, NoSnapshot::Unreachable { .. }),
            "{refused}"
        );
        mounts[0].kind = "ext4".to_owned();
        let refused = plan(&mounts).unwrap_err();
        assert!(matches!(refused, NoSnapshot::Elsewhere { .. }), "{refused}");
    }
}
