//! A repository's own settings: the file `config`, 155 bytes, encrypted. It says
//! how contents are packed and cut, and holds nothing that is needed to read
//! them, so a damaged one is made anew.

use std::fs;
use std::path::Path;

use rustic_core::FileType;

use crate::vault::error::VaultError;
use crate::vault::open::{KEY, VaultDir};
use crate::vault::repair::{make_dirs, rename};
use crate::vault::repo::Repo;
use crate::vault::salvage::opens;
use crate::vault::types::Repaired;

const OPERATION: &str = "read the settings";

impl VaultDir {
    /// Makes settings anew that are damaged or gone; the old ones are moved to
    /// `aside`. Comes before any other repair: without settings nothing opens.
    ///
    /// # Errors
    /// [`VaultError::Key`] when the key is another vault's; what the system says.
    pub fn repair_settings(&self, aside: &Path) -> Result<Vec<Repaired>, VaultError> {
        let config = self.config().repair_settings(&aside.join("config"))?;
        let state = match self.existing_state()? {
            Some(state) => state.repair_settings(&aside.join("state"))?,
            None => None,
        };
        Ok(config.into_iter().chain(state).collect())
    }
}

impl Repo {
    /// Only where the key is the right one: with another key nothing else could be read either.
    fn repair_settings(&self, aside: &Path) -> Result<Option<Repaired>, VaultError> {
        let error = match self.open(OPERATION, &self.view()) {
            Ok(_) => return Ok(None),
            Err(error) => error,
        };
        if !error.is_damaged() {
            return Err(error);
        }
        if !self.key_fits()? {
            return Err(VaultError::Key {
                path: self.path().with_file_name(KEY),
                reason: format!("it opens nothing in {}", self.path().display()),
            });
        }
        let path = self.store.root().join("config");
        let mut what = "the settings were lost; made anew".to_owned();
        if path.exists() {
            make_dirs(aside).map_err(VaultError::io("make the directory", aside))?;
            let to = free(&aside.join("settings"));
            rename(&path, &to)?;
            what = format!(
                "the settings were damaged; made anew, the old ones are {}",
                to.display()
            );
        }
        self.init(|_, _| Ok(()))?;
        Ok(Some(Repaired::of_all(what)))
    }

    /// Whether the key opens a snapshot or an index; whatever opens them all is
    /// the right one where there is none and nothing is stored.
    fn key_fits(&self) -> Result<bool, VaultError> {
        let mut any = !self.list(FileType::Pack)?.is_empty();
        for tpe in [FileType::Snapshot, FileType::Index] {
            for id in self.list(tpe)? {
                any = true;
                let path = self.path_of(tpe, &id);
                let content = fs::read(&path).map_err(VaultError::io("read the file", &path))?;
                if opens(&self.key, &content) {
                    return Ok(true);
                }
            }
        }
        Ok(!any)
    }
}

/// `path`, or the first of `path.1`, `path.2` … that is free.
fn free(path: &Path) -> std::path::PathBuf {
    let numbered = (1..).map(|n| path.with_extension(n.to_string()));
    std::iter::once(path.to_owned())
        .chain(numbered)
        .find(|path| !path.exists())
        .unwrap_or_else(|| path.to_owned())
}
