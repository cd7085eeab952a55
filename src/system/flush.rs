//! Having much that was written reach the disk, together.
//!
//! Flushing thousands of files one by one has the disk wait for each. Beyond a
//! few, their file system is flushed as a whole instead (`syncfs`, which tells
//! of failed writes since Linux 5.8).

use std::collections::BTreeMap;
use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{Advice, fadvise, fstat, fsync, syncfs};
use rustix::io::Errno;

/// So many of one file system are flushed one by one.
const FEW: usize = 32;

/// Smaller files are left to the flush: writing them out one by one is slower.
const LARGE: u64 = 256 << 10;

/// Asks for a file that was written to be written out soon, if it is large;
/// waits for nothing.
pub fn begin(file: impl AsFd, size: u64) {
    if size >= LARGE {
        // Only a hint: flushing does it all.
        let _ = fadvise(file, 0, None, Advice::DontNeed);
    }
}

/// Files and folders that are not yet on disk for good.
#[derive(Debug, Default)]
pub struct Unflushed {
    /// By file system; beyond [`FEW`] only one stands for it.
    by_device: BTreeMap<u64, (usize, Vec<OwnedFd>)>,
}

impl Unflushed {
    /// Adds an open one; a file before it is written, where others may be
    /// written at the same time.
    ///
    /// # Errors
    /// When it cannot be told where it lies.
    pub fn add(&mut self, file: impl Into<OwnedFd>) -> Result<(), Errno> {
        let file = file.into();
        let (count, kept) = self.by_device.entry(fstat(&file)?.st_dev).or_default();
        *count += 1;
        if *count <= FEW {
            kept.push(file);
        } else {
            // The first was opened before all that followed was written, so it
            // hears of what went wrong since.
            kept.truncate(1);
        }
        Ok(())
    }

    /// Returns once all of it is on disk.
    ///
    /// # Errors
    /// When some of it did not get there.
    pub fn flush(self) -> Result<(), Errno> {
        for (count, kept) in self.by_device.into_values() {
            for file in &kept {
                if count > FEW {
                    syncfs(file)
                } else {
                    fsync(file)
                }?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods)]
mod tests {
    use super::*;
    use std::fs::File;

    #[test]
    fn few_are_held_one_by_one_and_many_by_one_of_them() {
        let dir = tempfile::tempdir().unwrap();
        let mut unflushed = Unflushed::default();
        for n in 1..=FEW + 3 {
            let file = File::create(dir.path().join(n.to_string())).unwrap();
            unflushed.add(file).unwrap();
            let (count, kept) = unflushed.by_device.values().next().unwrap();
            let held = if n > FEW { 1 } else { n };
            assert_eq!((*count, kept.len()), (n, held));
        }
        unflushed.flush().unwrap();
        Unflushed::default().flush().unwrap();
    }
}
