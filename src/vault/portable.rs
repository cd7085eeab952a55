//! Repositories that travel: made for one point, opened by a password alone,
//! and copied from and to the vault.

use std::path::Path;

use crate::vault::error::VaultError;
use crate::vault::place::Place;
use crate::vault::repo::Repo;
use crate::vault::store::Store;

impl Repo {
    /// Makes a repository at `dir`, which is not there yet, with a key of its
    /// own; `password` opens it, for `restic` too.
    ///
    /// # Errors
    ///
    /// What the system says.
    pub fn create(dir: &Path, password: &str) -> Result<Self, VaultError> {
        Place::directory(dir).make(password)
    }

    /// Makes the folders of a repository whose files are to come.
    ///
    /// # Errors
    ///
    /// What the system says.
    pub fn skeleton(dir: &Path) -> Result<(), VaultError> {
        let store = Store::new(dir.to_owned());
        store.create().map_err(|error| VaultError::Io {
            operation: error.operation,
            path: error.path,
            source: error.source,
        })
    }

    /// Opens the repository at `dir` by its password.
    ///
    /// # Errors
    ///
    /// [`VaultError::Key`] when the password does not open it; a repository
    /// that cannot be read.
    pub fn open_with(dir: &Path, password: &str) -> Result<Self, VaultError> {
        Place::directory(dir).open(password)
    }

    /// Whether a snapshot is there.
    ///
    /// # Errors
    ///
    /// What the system or the server says.
    pub fn holds_snapshot(&self, snapshot: &str) -> Result<bool, VaultError> {
        match self.existing(snapshot) {
            Ok(_) => Ok(true),
            Err(VaultError::NoSuchSnapshot { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Copies a snapshot, with all it holds, to another repository; gives its
    /// id there. What is there already is not stored again.
    ///
    /// # Errors
    ///
    /// Content that cannot be read here, or what the system says there.
    pub fn copy_to(&self, to: &Self, snapshot: &str) -> Result<String, VaultError> {
        self.copy_all_to(to, &[snapshot])?;
        to.list_snapshots()?
            .good
            .into_iter()
            .find(|there| there.original.as_deref() == Some(snapshot))
            .map(|there| there.id)
            .ok_or_else(|| VaultError::Incomplete {
                operation: "copy the snapshot",
                repository: to.path().to_owned(),
                detail: "it is not there after all".to_owned(),
            })
    }
}
