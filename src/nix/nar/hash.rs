//! The SHA-256 and the size of a NAR, as Nix registers them.

use std::io::{self, Write};

use sha2::{Digest as _, Sha256};

use super::writer::{self, Node, WriteError};
use crate::nix::nixhash::NixHash;

/// What Nix registers about a NAR.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NarDigest {
    /// SHA-256 of all its bytes.
    pub sha256: [u8; 32],
    /// Number of bytes.
    pub size: u64,
}

impl NarDigest {
    /// The digest as a [`NixHash`].
    pub fn nar_hash(&self) -> NixHash {
        NixHash::Sha256(self.sha256)
    }
}

/// Passes bytes on and hashes those that were accepted.
#[derive(Debug)]
pub struct HashingWriter<W> {
    inner: W,
    hasher: Sha256,
    size: u64,
}

impl<W: Write> HashingWriter<W> {
    /// Hashes what goes to `inner`; `io::sink()` to hash alone.
    pub fn new(inner: W) -> Self {
        Self {
            inner,
            hasher: Sha256::new(),
            size: 0,
        }
    }

    /// The digest so far, and the writer inside.
    pub fn finish(self) -> (NarDigest, W) {
        (
            NarDigest {
                sha256: self.hasher.finalize().into(),
                size: self.size,
            },
            self.inner,
        )
    }
}

impl<W: Write> Write for HashingWriter<W> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(buf)?;
        self.hasher.update(&buf[..written]);
        self.size += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// Digest of the NAR that `build` writes, which is kept nowhere.
///
/// # Errors
/// Those of `build`.
pub fn hash_nar<E: From<WriteError>>(
    build: impl FnOnce(Node<'_>) -> Result<(), E>,
) -> Result<NarDigest, E> {
    let mut hasher = HashingWriter::new(io::sink());
    build(writer::open(&mut hasher)?)?;
    Ok(hasher.finish().0)
}
