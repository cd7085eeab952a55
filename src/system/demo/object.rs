//! A store object of the demo: one folder of files and links.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

use crate::nix::nar::NarDigest;
use crate::nix::store_path::{self, DIGEST_SIZE, StorePath};

/// What an entry of the folder is.
#[derive(Clone, Debug)]
pub(super) enum Leaf {
    /// A file.
    File(String),
    /// A symlink.
    Link(String),
}

/// One store object.
#[derive(Clone, Debug)]
pub(super) struct Object {
    /// Its path.
    pub path: StorePath,
    /// Its content, by name.
    pub entries: BTreeMap<String, Leaf>,
    /// What it needs, itself not among them.
    pub references: Vec<StorePath>,
}

impl Object {
    /// An object of this name; its hash follows from name and content, though
    /// not as Nix would compute it.
    ///
    /// # Errors
    /// A name that Nix does not allow.
    pub(super) fn new(
        name: &str,
        entries: BTreeMap<String, Leaf>,
        references: Vec<StorePath>,
    ) -> Result<Self, store_path::Error> {
        let hash = Sha256::digest(format!("cairn demo {name} {entries:?}"));
        let mut digest = [0; DIGEST_SIZE];
        digest.copy_from_slice(&hash[..DIGEST_SIZE]);
        Ok(Self {
            path: StorePath::from_name_and_digest(name, digest)?,
            entries,
            references,
        })
    }

    /// What `nix path-info --json` prints of it.
    pub(super) fn info(&self, nar: &NarDigest) -> crate::nix::path_info::ExportedPathInfo {
        crate::nix::path_info::ExportedPathInfo {
            path: self.path.clone(),
            nar_hash: nar.nar_hash(),
            nar_size: nar.size,
            references: self.references.clone(),
            deriver: None,
            signatures: Vec::new(),
            ca: None,
            registration_time: None,
            closure_size: None,
        }
    }
}
