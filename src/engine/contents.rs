//! Whether files hold what is stored of them, without reading what is stored.
//!
//! A chunk's id is the SHA-256 of its content, and the index tells its length:
//! a file is held against the ids piece by piece.

use std::collections::BTreeMap;
use std::fs::Metadata;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::EngineError;
use crate::nix::nar::HashingWriter;
use crate::parallel::each;
use crate::point::tree::{Kind, Node};
use crate::system::{At, tree};
use crate::vault::{Entry, EntryKind, Vault};

/// Files that were read back and held what is stored of them, by what identifies
/// them since: writing to one changes its time. What they are stored as.
#[derive(Debug, Default)]
pub(super) struct Proven(BTreeMap<Identity, [u8; 32]>);

/// Device, inode, size, and modification time in seconds and nanoseconds.
type Identity = (u64, u64, u64, i64, i64);

impl Proven {
    /// This open file holds what is stored of the entry.
    pub(super) fn add(&mut self, file: &Metadata, entry: &Entry) {
        self.0.insert(identity(file), stored_as(entry));
    }

    /// Takes over what others have proven.
    pub(super) fn extend(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    fn holds(&self, file: &Metadata, entry: &Entry) -> bool {
        self.0.get(&identity(file)) == Some(&stored_as(entry))
    }
}

fn identity(file: &Metadata) -> Identity {
    (
        file.dev(),
        file.ino(),
        file.size(),
        file.mtime(),
        file.mtime_nsec(),
    )
}

/// A digest that stands for a captured file's content: equal ones mean equal
/// contents. That of a single chunk is the SHA-256 of the content; zeros where
/// the entry is no file.
pub(super) fn stored_as(entry: &Entry) -> [u8; 32] {
    let EntryKind::File { content, .. } = &entry.kind else {
        return [0; 32];
    };
    let mut only = [0; 32];
    if let [chunk] = content.as_slice()
        && hex::decode_to_slice(chunk, &mut only).is_ok()
    {
        return only;
    }
    let mut all = Sha256::new();
    for chunk in content {
        all.update(chunk.as_bytes());
    }
    all.finalize().into()
}

/// The SHA-256 of a captured file's content; one of a single chunk need not be
/// read. Zeros where the entry is no file.
///
/// # Errors
/// When the content cannot be read.
pub(super) fn digest(vault: &dyn Vault, entry: &Entry) -> Result<[u8; 32], EngineError> {
    match &entry.kind {
        EntryKind::File { content, .. } if content.len() > 1 => {
            let mut hashing = HashingWriter::new(io::sink());
            vault.read(entry, &mut hashing)?;
            Ok(hashing.finish().0.sha256)
        }
        _ => Ok(stored_as(entry)),
    }
}

/// Gives the files of a listing whose contents were left unread the digest of
/// what is stored of them ([`stored_as`]), where they hold it. `nodes` lie below
/// `base`, `stored` has the same paths. Files of other sizes are not read, nor
/// those that are proven.
///
/// # Errors
/// When a file cannot be read, or what is stored of one is not known.
pub(super) fn recognise(
    nodes: &mut [Node],
    stored: &BTreeMap<PathBuf, Entry>,
    vault: &dyn Vault,
    base: &Path,
    proven: &Proven,
) -> Result<(), EngineError> {
    let mut fitting: Vec<(&Path, &Entry, &mut [u8; 32])> = Vec::new();
    for node in nodes {
        if let (Kind::File { size, digest }, Some(entry)) = (&mut node.kind, stored.get(&node.path))
            && matches!(&entry.kind, EntryKind::File { size: then, .. } if then == size)
        {
            fitting.push((&node.path, entry, digest));
        }
    }
    let same = each(&fitting, |(path, entry, _)| {
        let path = base.join(path);
        let mut file = tree::open(&path)?;
        let proven = proven.holds(&file.metadata().at("look at", &path)?, entry);
        Ok::<_, EngineError>(proven || vault.holds(entry, &mut file)?)
    })?;
    for ((_, entry, digest), same) in fitting.into_iter().zip(same) {
        if same {
            *digest = stored_as(entry);
        }
    }
    Ok(())
}
