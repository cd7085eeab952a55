//! Repositories that travel: made for one point, opened by a password alone,
//! and copied from and to the vault.

use std::path::Path;

use rustic_core::repofile::SnapshotId;
use rustic_core::{Credentials, KeyOptions};

use crate::vault::error::VaultError;
use crate::vault::repo::Repo;
use crate::vault::store::Store;

const COPY: &str = "copy the snapshot";

impl Repo {
    /// Makes a repository at `dir`, which is not there yet, with a key of its
    /// own; `password` opens it, for `restic` too.
    ///
    /// # Errors
    ///
    /// What the system says.
    pub fn create(dir: &Path, password: &str) -> Result<Self, VaultError> {
        let key = rustic_core::repofile::MasterKey::new();
        let repo = Self::new(dir.to_owned(), key, None);
        repo.init(|repo, (view, handle)| {
            let options = KeyOptions::default().with_created(true);
            repo.call_writing("add the password", view, || {
                handle.add_key(password, &options).map(drop)
            })
        })?;
        Ok(repo)
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
        let locked = Self::new(
            dir.to_owned(),
            rustic_core::repofile::MasterKey::new(),
            None,
        );
        let view = locked.view();
        let opened = locked.call("open the repository", &view, || {
            Self::handle(&view)?.open(&Credentials::password(password))
        });
        let key = match opened {
            Ok(opened) => opened.key(),
            Err(io @ VaultError::Io { .. }) => return Err(io),
            Err(_) => {
                return Err(VaultError::Key {
                    path: dir.join("keys"),
                    reason: "the password does not open it".to_owned(),
                });
            }
        };
        Ok(Self::new(dir.to_owned(), key, None))
    }

    /// Copies a snapshot, with all it holds, to another repository; gives its
    /// id there. What is there already is not stored again.
    ///
    /// # Errors
    ///
    /// Content that cannot be read here, or what the system says there.
    pub fn copy_to(&self, to: &Self, snapshot: &str) -> Result<String, VaultError> {
        let id: SnapshotId = self.existing(snapshot)?;
        let (from_view, to_view) = (self.view(), to.view());
        let from = self.open(COPY, &from_view)?;
        let file = self.snapshot(COPY, &from_view, &from, id)?;
        let from = self
            .call(COPY, &from_view, || from.to_indexed())
            .map_err(|error| self.index_error(COPY, error))?;
        let dest = to.open(COPY, &to_view)?;
        let dest = to
            .call(COPY, &to_view, || dest.to_indexed_ids())
            .map_err(|error| to.index_error(COPY, error))?;
        to.call_writing(COPY, &to_view, || from.copy(&dest, [&file]))
            .map_err(|error| match from_view.take_fault() {
                Some(fault) => self.fault(COPY, fault),
                None => error,
            })?;
        let (tag, tree) = (file.tags.to_string(), file.tree.to_hex().to_string());
        let copied = to.list_snapshots()?.good.into_iter();
        copied
            .rev()
            .find(|there| there.tag == tag && there.tree == tree)
            .map(|there| there.id)
            .ok_or_else(|| VaultError::Incomplete {
                operation: COPY,
                repository: to.path().to_owned(),
                detail: "it is not there after all".to_owned(),
            })
    }
}
