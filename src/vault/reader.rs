//! Reads one file for a capture and proves that it did not change meanwhile.

use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use sha2::{Digest, Sha256};

use crate::vault::digest::Sha;
use crate::vault::error::VaultError;
use crate::vault::log::CaptureLog;
use crate::vault::open::CHUNK_SIZE;

/// Kernels stamp files with a clock that ticks every 1 to 10 ms: a second
/// write within the same tick leaves mtime and ctime as they were. A file that
/// young is read twice.
const CLOCK_TICK: Duration = Duration::from_millis(25);

/// What must be the same before and after reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stamp {
    size: u64,
    mtime: (i64, i64),
    ctime: (i64, i64),
}

impl Stamp {
    pub(crate) fn of(metadata: &Metadata) -> Self {
        Self {
            size: metadata.size(),
            mtime: (metadata.mtime(), metadata.mtime_nsec()),
            ctime: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }

    /// Changed so recently that a further change may not show.
    fn is_young(&self) -> bool {
        let Ok(now) = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH) else {
            return true;
        };
        let seconds = u64::try_from(self.ctime.0).unwrap_or(0);
        let nanos = u32::try_from(self.ctime.1).unwrap_or(0);
        now < Duration::new(seconds, nanos) + CLOCK_TICK
    }
}

/// A reader that hashes, counts and verifies.
///
/// It was opened before its metadata was taken, so both belong to one inode
/// even if the name is replaced. It reports its end with `Ok(0)` only if size,
/// mtime and ctime are still those, and as many bytes came as the size says.
#[derive(Debug)]
pub(crate) struct CheckedReader {
    file: File,
    disk: PathBuf,
    before: Stamp,
    young: bool,
    count: u64,
    /// Absent where the content's digest is that of its only chunk.
    hasher: Option<Sha256>,
    finished: bool,
    number: usize,
    log: Arc<CaptureLog>,
}

impl CheckedReader {
    /// `number` is the file's entry in the log.
    pub(crate) fn new(
        file: File,
        metadata: &Metadata,
        disk: PathBuf,
        number: usize,
        log: Arc<CaptureLog>,
    ) -> Self {
        let before = Stamp::of(metadata);
        let young = before.is_young();
        let hasher = (young || before.size >= CHUNK_SIZE).then(Sha256::new);
        Self {
            file,
            disk,
            before,
            young,
            count: 0,
            hasher,
            finished: false,
            number,
            log,
        }
    }

    /// Whether a later change might leave the file's times as they are.
    pub(crate) const fn is_young(&self) -> bool {
        self.young
    }

    fn changed(&self, what: &'static str) -> io::Error {
        self.log.fail(VaultError::Changed {
            path: self.disk.clone(),
            what,
        });
        io::Error::other(format!("the file {what} while it was read"))
    }

    fn failed(&self, error: io::Error) -> io::Error {
        let copy = io::Error::from(error.kind());
        self.log
            .fail(VaultError::io("read the file", &self.disk)(error));
        copy
    }

    fn finish(&mut self) -> io::Result<()> {
        let after = Stamp::of(&self.file.metadata().map_err(|error| self.failed(error))?);
        if self.count < self.before.size {
            return Err(self.changed("shrank"));
        }
        if after != self.before {
            return Err(self.changed("was written"));
        }
        let digest: Option<Sha> = self.hasher.take().map(|hasher| hasher.finalize().into());
        if self.young && Some(self.read_again()?) != digest {
            return Err(self.changed("was written"));
        }
        self.log.content(self.number, digest);
        self.finished = true;
        Ok(())
    }

    fn read_again(&self) -> io::Result<Sha> {
        let mut hasher = Sha256::new();
        let mut buffer = vec![0; 128 * 1024];
        let mut offset = 0;
        loop {
            match self.file.read_at(&mut buffer, offset) {
                Ok(0) => return Ok(hasher.finalize().into()),
                Ok(count) => {
                    hasher.update(&buffer[..count]);
                    offset += count as u64;
                    if offset > self.before.size {
                        return Err(self.changed("grew"));
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(self.failed(error)),
            }
        }
    }
}

impl Read for CheckedReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.finished || buffer.is_empty() {
            return Ok(0);
        }
        if self.log.failed() {
            return Err(io::Error::other("the capture has failed already"));
        }
        #[cfg(test)]
        crate::vault::hook::call(&self.disk, self.count);
        let count = match self.file.read(buffer) {
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Err(error),
            Err(error) => return Err(self.failed(error)),
        };
        if count == 0 {
            self.finish()?;
            return Ok(0);
        }
        self.count += count as u64;
        self.log.advance(count as u64);
        if self.count > self.before.size {
            return Err(self.changed("grew"));
        }
        if let Some(hasher) = &mut self.hasher {
            hasher.update(&buffer[..count]);
        }
        Ok(count)
    }
}

/// A file that was taken unread from an earlier snapshot is done as well.
impl Drop for CheckedReader {
    fn drop(&mut self) {
        self.log
            .advance(self.before.size.saturating_sub(self.count));
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::vault::digest::{Line, LineKind};
    use crate::vault::types::OnUnreadable;

    /// Writes `change` amid reading 1,000 bytes; what the stamp says stays as
    /// it was, as if the kernel's clock had not ticked.
    fn read_over(young: bool, change: Option<u64>) -> (io::Result<usize>, Arc<CaptureLog>) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        fs::write(&path, vec![b'x'; 1000]).unwrap();
        let log = Arc::new(CaptureLog::new(OnUnreadable::Fail, false));
        let line = Line {
            path: "/f".into(),
            kind: LineKind::File(None),
            mode: 0,
        };
        let number = log.entry(line, 1000);
        let file = File::open(&path).unwrap();
        let metadata = file.metadata().unwrap();
        let mut reader = CheckedReader::new(file, &metadata, path.clone(), number, log.clone());
        assert!(reader.young, "it was written just now");
        reader.read_exact(&mut [0; 500]).unwrap();
        if let Some(at) = change {
            let writer = File::options().write(true).open(&path).unwrap();
            writer.write_all_at(b"torn", at).unwrap();
        }
        reader.young = young;
        reader.before = Stamp::of(&fs::metadata(&path).unwrap());
        (reader.read_to_end(&mut Vec::new()), log)
    }

    #[test]
    fn a_young_file_is_read_twice() {
        let (result, log) = read_over(true, Some(0));
        assert!(result.is_err());
        assert!(matches!(
            log.take_failure(),
            Some(VaultError::Changed { .. })
        ));
    }

    #[test]
    fn an_unchanged_file_is_read_to_its_end() {
        let (result, log) = read_over(true, None);
        assert_eq!(result.unwrap(), 500);
        log.finish_walk();
        assert_eq!(log.is_whole(), Ok(()));
    }

    #[test]
    fn a_file_of_yesterday_is_not_young() {
        let now = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap();
        let seconds = i64::try_from(now.as_secs()).unwrap();
        let at = |seconds| Stamp {
            size: 0,
            mtime: (0, 0),
            ctime: (seconds, 0),
        };
        assert!(!at(seconds - 86_400).is_young());
        assert!(at(seconds + 5).is_young());
    }
}
