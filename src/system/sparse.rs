//! Writing a new file so that it keeps its holes.

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::FileExt;

/// What file systems allocate by; a hole is never smaller.
const BLOCK: usize = 4096;
static ZEROS: [u8; BLOCK] = [0; BLOCK];

/// A new, empty file. Zeros are not written: what a file was never given
/// reads as zeros and takes no room.
#[derive(Debug)]
pub struct Sparse<'f> {
    file: &'f File,
    size: u64,
}

impl<'f> Sparse<'f> {
    /// For a file that is empty.
    pub fn new(file: &'f File) -> Self {
        Self { file, size: 0 }
    }

    /// Gives the file its size.
    ///
    /// # Errors
    /// When it cannot be made so large.
    pub fn finish(self) -> io::Result<()> {
        self.file.set_len(self.size)
    }
}

impl Write for Sparse<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut from = 0;
        let mut at = 0;
        while at < bytes.len() {
            let into = usize::try_from(self.size + at as u64).unwrap_or(0) % BLOCK;
            let end = bytes.len().min(at + BLOCK - into);
            if bytes[at..end] == ZEROS[..end - at] {
                self.file
                    .write_all_at(&bytes[from..at], self.size + from as u64)?;
                from = end;
            }
            at = end;
        }
        self.file
            .write_all_at(&bytes[from..], self.size + from as u64)?;
        self.size += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::MetadataExt;

    fn written(pieces: &[&[u8]]) -> (Vec<u8>, u64) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        let file = File::create(&path).unwrap();
        let mut sparse = Sparse::new(&file);
        for piece in pieces {
            sparse.write_all(piece).unwrap();
        }
        sparse.finish().unwrap();
        (
            std::fs::read(&path).unwrap(),
            file.metadata().unwrap().blocks(),
        )
    }

    #[test]
    fn content_is_exact_wherever_the_pieces_end() {
        let mut data = vec![0; 3 * BLOCK];
        data[5] = 1;
        data[BLOCK] = 2;
        data[3 * BLOCK - 1] = 3;
        for cut in [0, 1, 6, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK] {
            let (found, _) = written(&[&data[..cut], &data[cut..], &[0, 0]]);
            assert_eq!(found[..data.len()], data);
            assert_eq!(found[data.len()..], [0, 0]);
        }
        assert_eq!(written(&[]).0, Vec::<u8>::new());
    }

    #[test]
    fn holes_take_no_room() {
        let hole = vec![0; 1 << 20];
        // The hole starts and ends within a block.
        let (found, blocks) = written(&[b"start", &hole, &hole, b"end"]);
        assert_eq!(found.len(), (2 << 20) + 8);
        assert!(blocks <= 4 * BLOCK as u64 / 512, "{blocks}");
    }
}
