//! Packs that are written and not yet on disk for good.
//!
//! Flushing each pack before the next is made has the processor wait for the
//! disk. Nothing refers to a pack before an index names it: so packs wait under
//! temporary names while the kernel already writes them out, and all get their
//! names, durably, before an index or a snapshot is written.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use rustix::fs::{Advice, fadvise, syncfs};

use crate::vault::durable::sync_dir;

/// Beyond so many, their file system is flushed as a whole.
const FEW: usize = 8;

/// One pack, whole, under a temporary name.
#[derive(Debug)]
struct Waiting {
    temporary: PathBuf,
    path: PathBuf,
}

/// See the module. What waits when it is dropped is removed.
#[derive(Debug, Default)]
pub(crate) struct Pending {
    waiting: Vec<Waiting>,
    /// The first pack's file, opened before all that followed was written: it
    /// hears of every write that failed since.
    first: Option<File>,
}

impl Pending {
    /// Takes a pack that was just written.
    pub(crate) fn add(&mut self, file: File, temporary: PathBuf, path: PathBuf) {
        // Asks for it to be written out now; waits for nothing. Where that is
        // not known, flushing does it all.
        let _ = fadvise(&file, 0, None, Advice::DontNeed);
        self.first.get_or_insert(file);
        self.waiting.push(Waiting { temporary, path });
    }

    /// Gives every pack its name, for good.
    ///
    /// # Errors
    /// The first that cannot be, with its path. What waits then is removed.
    pub(crate) fn settle(&mut self, ensure: impl Fn(&Path) -> io::Result<()>) -> Settled {
        let first = self.first.take();
        let packs = std::mem::take(self);
        let Some(path) = packs.waiting.first().map(|pack| pack.path.clone()) else {
            return Ok(());
        };
        let few = packs.waiting.len() <= FEW;
        if few {
            for pack in &packs.waiting {
                let flushed = File::open(&pack.temporary).and_then(|file| file.sync_all());
                flushed.map_err(|error| (pack.path.clone(), error))?;
            }
        } else if let Some(first) = &first {
            syncfs(first).map_err(|errno| (path, errno.into()))?;
        }
        let mut folders = BTreeSet::new();
        for pack in &packs.waiting {
            let named = fs::rename(&pack.temporary, &pack.path).or_else(|error| {
                let folder = pack.path.parent().unwrap_or(Path::new("."));
                match error.kind() {
                    // A copy of the repository may lack empty directories.
                    io::ErrorKind::NotFound => {
                        ensure(folder).and_then(|()| fs::rename(&pack.temporary, &pack.path))
                    }
                    _ => Err(error),
                }
            });
            named.map_err(|error| (pack.path.clone(), error))?;
            folders.extend(pack.path.parent());
        }
        match (few, &first, packs.waiting.first()) {
            (false, Some(first), Some(pack)) => {
                syncfs(first).map_err(|errno| (pack.path.clone(), errno.into()))
            }
            _ => folders
                .into_iter()
                .try_for_each(|folder| sync_dir(folder).map_err(|e| (folder.to_owned(), e))),
        }
    }
}

/// Whether all packs have their names; else which has not, and why.
pub(crate) type Settled = Result<(), (PathBuf, io::Error)>;

impl Drop for Pending {
    fn drop(&mut self) {
        for pack in &self.waiting {
            // Best effort: what stays is removed by the next prune. One that
            // has its name by now is not found.
            let _ = fs::remove_file(&pack.temporary);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vault::durable::create_temporary;
    use std::io::Write;

    fn wait(pending: &mut Pending, dir: &Path, name: &str) {
        let (mut file, temporary) = create_temporary(dir).unwrap();
        file.write_all(name.as_bytes()).unwrap();
        pending.add(file, temporary, dir.join(name));
    }

    #[test]
    fn packs_get_their_names_together() {
        for count in [0, 1, FEW, FEW + 5] {
            let dir = tempfile::tempdir().unwrap();
            let mut pending = Pending::default();
            for n in 0..count {
                wait(&mut pending, dir.path(), &format!("pack-{n}"));
                assert!(!dir.path().join(format!("pack-{n}")).exists());
            }
            pending.settle(|_| Ok(())).unwrap();
            for n in 0..count {
                let name = format!("pack-{n}");
                assert_eq!(fs::read(dir.path().join(&name)).unwrap(), name.as_bytes());
            }
            assert_eq!(fs::read_dir(dir.path()).unwrap().count(), count);
        }
    }

    #[test]
    fn what_is_given_up_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let mut pending = Pending::default();
        wait(&mut pending, dir.path(), "pack");
        drop(pending);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[test]
    fn what_stands_in_the_way_is_named_and_the_rest_removed() {
        let dir = tempfile::tempdir().unwrap();
        let mut pending = Pending::default();
        wait(&mut pending, dir.path(), "one");
        wait(&mut pending, dir.path(), "two");
        fs::create_dir(dir.path().join("two")).unwrap();
        let (path, _) = pending.settle(|_| Ok(())).unwrap_err();
        assert_eq!(path, dir.path().join("two"));
        drop(pending);
        let left: Vec<_> = fs::read_dir(dir.path()).unwrap().flatten().collect();
        assert_eq!(left.len(), 2, "{left:?}");
    }
}
