//! A profile with the facts of all its generations, remembered between runs.
//!
//! Reading hundreds of toplevels takes thousands of system calls, and gives
//! the same answer every time: what is in the store never changes, and adding,
//! removing or renaming a link or a store path changes the modification time
//! of its folder. So a listing is good for as long as the profile's folder and
//! the store have the stamps they had when it was read. Only two things are
//! not noticed: a date put on a link by hand, and damage inside a store path.
//!
//! The memory is a cache in a compact form of its own, for this build alone:
//! whatever does not read as one is read anew.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::generations::{self, Profile};
use super::toplevel::Facts;
use super::{IoError, Layout};

/// Fewer generations are read faster than remembered.
const WORTH_IT: usize = 32;

/// A folder that changed this recently may change again within the clock's
/// tick, unseen (seconds).
const SETTLED: i64 = 2;

/// Changes with the layout of what is remembered.
const LAYOUT: &str = concat!("cairn ", env!("CARGO_PKG_VERSION"), " 1");

/// What tells one state of a folder from another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Stamp {
    device: u64,
    inode: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Stamp {
    fn of(dir: &Path) -> Option<Self> {
        let meta = fs::metadata(dir).ok()?;
        Some(Self {
            device: meta.dev(),
            inode: meta.ino(),
            modified: (meta.mtime(), meta.mtime_nsec()),
            changed: (meta.ctime(), meta.ctime_nsec()),
        })
    }

    fn settled(&self, now: DateTime<Utc>) -> bool {
        self.changed.0 + SETTLED < now.timestamp()
    }
}

#[derive(Serialize, Deserialize)]
struct Remembered {
    layout: String,
    root: PathBuf,
    stamps: [Stamp; 2],
    profile: Profile,
    facts: Vec<Facts>,
}

/// Reads the profile `name` and the facts of its generations, in order.
///
/// # Errors
/// When the profiles directory cannot be listed.
pub fn read(
    layout: &Layout,
    name: &str,
    now: DateTime<Utc>,
) -> Result<(Profile, Vec<Facts>), IoError> {
    let file = layout.state().join(format!("listing-{name}.cache"));
    let stamps = stamps(layout, name);
    if let Some(known) = stamps.and_then(|s| recall(&file, layout.root(), s)) {
        return Ok((known.profile, known.facts));
    }
    let profile = generations::read(layout, name)?;
    let facts = generations::facts(layout, &profile.generations);
    if let Some(stamps) = stamps.filter(|s| s.iter().all(|s| s.settled(now)))
        && profile.generations.len() >= WORTH_IT
    {
        let root = layout.root().to_owned();
        let known = Remembered {
            layout: LAYOUT.to_owned(),
            root,
            stamps,
            profile,
            facts,
        };
        remember(&file, &known);
        return Ok((known.profile, known.facts));
    }
    Ok((profile, facts))
}

fn stamps(layout: &Layout, name: &str) -> Option<[Stamp; 2]> {
    Some([
        Stamp::of(&layout.profile_dir(name))?,
        Stamp::of(&layout.real("/nix/store"))?,
    ])
}

fn recall(file: &Path, root: &Path, stamps: [Stamp; 2]) -> Option<Remembered> {
    let known: Remembered = postcard::from_bytes(&fs::read(file).ok()?).ok()?;
    let same = known.layout == LAYOUT && known.root == root && known.stamps == stamps;
    (same && known.profile.generations.len() == known.facts.len()).then_some(known)
}

/// Best effort: without it the next listing is slower, nothing else.
fn remember(file: &Path, known: &Remembered) {
    let temporary = file.with_extension(format!("tmp-{}", std::process::id()));
    let Ok(text) = postcard::to_allocvec(known) else {
        return;
    };
    if fs::write(&temporary, text)
        .and_then(|()| fs::rename(&temporary, file))
        .is_err()
    {
        let _ = fs::remove_file(&temporary);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    struct Machine(tempfile::TempDir);

    impl Machine {
        /// A profile of `count` generations.
        fn new(count: u64) -> Self {
            let machine = Self(tempfile::tempdir().unwrap());
            fs::create_dir_all(machine.profiles()).unwrap();
            fs::create_dir_all(machine.0.path().join("nix/store")).unwrap();
            fs::create_dir_all(machine.0.path().join("state")).unwrap();
            (1..=count).for_each(|n| machine.add(n));
            machine
        }

        fn profiles(&self) -> PathBuf {
            self.0.path().join("nix/var/nix/profiles")
        }

        fn add(&self, number: u64) {
            let path = format!("nix/store/{number:032}-nixos-system-x");
            fs::create_dir(self.0.path().join(&path)).unwrap();
            let version = self.0.path().join(&path).join("nixos-version");
            fs::write(version, number.to_string()).unwrap();
            let link = self.profiles().join(format!("system-{number}-link"));
            symlink(format!("/{path}"), link).unwrap();
        }

        fn layout(&self) -> Layout {
            Layout::new(self.0.path(), self.0.path().join("state"))
        }

        fn read(&self, seconds_from_now: i64) -> (Profile, Vec<Facts>) {
            let now = Utc::now() + chrono::Duration::seconds(seconds_from_now);
            read(&self.layout(), "system", now).unwrap()
        }

        fn remembers(&self) -> bool {
            self.0.path().join("state/listing-system.cache").exists()
        }
    }

    #[test]
    fn a_fresh_folder_is_not_remembered_a_settled_one_is() {
        let machine = Machine::new(40);
        machine.read(0);
        assert!(!machine.remembers());
        let first = machine.read(10);
        assert!(machine.remembers());
        assert_eq!(machine.read(10), first);
        assert_eq!(first.1[6].nixos_version.as_deref(), Some("7"));
    }

    #[test]
    fn every_change_of_links_or_store_is_seen() {
        let machine = Machine::new(40);
        machine.read(10);
        machine.add(41);
        assert_eq!(machine.read(10).0.generations.len(), 41);
        fs::remove_file(machine.profiles().join("system-3-link")).unwrap();
        assert_eq!(machine.read(10).0.generations.len(), 40);
        let gone = machine
            .0
            .path()
            .join(format!("nix/store/{:032}-nixos-system-x", 5));
        fs::remove_dir_all(gone).unwrap();
        assert_eq!(machine.read(10).0.broken.len(), 1);
    }

    #[test]
    fn a_damaged_memory_is_no_memory() {
        let machine = Machine::new(40);
        let first = machine.read(10);
        fs::write(machine.0.path().join("state/listing-system.cache"), "{").unwrap();
        assert_eq!(machine.read(10), first);
    }
}
