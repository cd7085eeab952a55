//! Where a repository that travels is made or opened: by a password alone, on
//! this machine or far away.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustic_backend::rest::RestBackend;
use rustic_core::repofile::MasterKey;
use rustic_core::{Credentials, FileType, Id, KeyOptions, WriteBackend};

use crate::point::address::Address;
use crate::vault::error::VaultError;
use crate::vault::far::Far;
use crate::vault::repo::Repo;
use crate::vault::store::Store;
use crate::vault::words::one_line;

/// Seconds that a server may take for one request.
const TIMEOUT: &str = "PT2M";
/// How often a request that failed is tried again: 1, 2 and 4 seconds later.
const RETRIES: &str = "3";

const OPEN: &str = "open the repository";

/// The library's code for a password that opens none of the keys.
const NO_KEY: &str = "C002";

/// What opens a server, by the names that its kind of server has for them
/// (`RESTIC_REST_PASSWORD`, `AWS_SECRET_ACCESS_KEY`); never shown.
#[derive(Clone, Default)]
pub struct Secrets(pub BTreeMap<String, String>);

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

impl Secrets {
    /// One of them.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }
}

/// A place for a repository.
#[derive(Debug)]
pub struct Place {
    store: Store,
    cache: Option<PathBuf>,
}

impl Place {
    /// A directory of this machine.
    #[must_use]
    pub fn directory(dir: &Path) -> Self {
        Self {
            store: Store::new(dir.to_owned()),
            cache: None,
        }
    }

    /// What an address says. Small files of a server are kept in `cache`.
    ///
    /// # Errors
    ///
    /// [`VaultError::Far`] when no such server can be spoken to,
    /// [`VaultError::Unset`] when what opens it is not known.
    pub fn at(address: &Address, secrets: &Secrets, cache: &Path) -> Result<Self, VaultError> {
        let backend: Arc<dyn WriteBackend> = match address {
            Address::Path(path) => return Ok(Self::directory(path)),
            Address::Rest(url) => {
                let mut url = url.clone();
                if let Some(user) = secrets.get("RESTIC_REST_USERNAME") {
                    let _ = url.set_username(user);
                }
                let _ = url.set_password(secrets.get("RESTIC_REST_PASSWORD"));
                let mut options = vec![
                    ("retry".to_owned(), RETRIES.to_owned()),
                    ("timeout".to_owned(), TIMEOUT.to_owned()),
                ];
                if let Some(file) = secrets.get("RESTIC_CACERT") {
                    options.push(("cacert".to_owned(), file.to_owned()));
                }
                let made = RestBackend::new(url.as_str(), options);
                // What the library says may repeat the address it was given.
                Arc::new(made.map_err(|_| {
                    far(
                        address,
                        "the server's address or certificate cannot be used",
                    )
                })?)
            }
            #[cfg(feature = "remote-s3")]
            Address::S3 { .. } | Address::Sftp { .. } => {
                let needed = match address {
                    Address::S3 { .. } => &["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"][..],
                    _ => &[],
                };
                if let Some(name) = needed.iter().find(|name| secrets.get(name).is_none()) {
                    let address = address.to_string().into();
                    return Err(VaultError::Unset { address, name });
                }
                let made = crate::vault::objects::Objects::new(address, secrets);
                Arc::new(made.map_err(|why| far(address, &why))?)
            }
            #[cfg(not(feature = "remote-s3"))]
            Address::S3 { .. } | Address::Sftp { .. } => {
                return Err(far(
                    address,
                    "this cairn was built without S3 and SFTP (the feature remote-s3)",
                ));
            }
        };
        Ok(Self {
            store: Store::Far(Far::new(backend, &address.to_string())),
            cache: Some(cache.to_owned()),
        })
    }

    /// Whether there is a repository.
    ///
    /// # Errors
    ///
    /// [`VaultError::Far`] when that cannot be found out.
    pub fn is_taken(&self) -> Result<bool, VaultError> {
        let far = |error: io::Error| VaultError::Far {
            address: self.store.root().to_owned(),
            why: error.to_string(),
        };
        if matches!(self.store.list(FileType::Config), Ok(found) if !found.is_empty()) {
            return Ok(true);
        }
        // A server that refuses us has no repository to tell of, either.
        match self.store.read(FileType::Config, &Id::default()) {
            Ok(_) => Ok(true),
            Err(error) if error.source.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(far(error.source)),
        }
    }

    /// Whether any file of a kind is there. A place that was never used has no
    /// folders yet.
    fn is_there(&self, repo: &Repo, tpe: FileType) -> Result<bool, VaultError> {
        match self.store.list(tpe) {
            Ok(found) => Ok(!found.is_empty()),
            Err(error) if error.source.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(repo.fault(OPEN, error)),
        }
    }

    /// Whether the making of a repository was cut off there: it has settings, and
    /// neither a key nor anything that one would open.
    ///
    /// # Errors
    ///
    /// What the system or the server says.
    pub fn is_half_made(&self) -> Result<bool, VaultError> {
        let repo = self.repo(MasterKey::new());
        for tpe in [FileType::Key, FileType::Pack, FileType::Snapshot] {
            if self.is_there(&repo, tpe)? {
                return Ok(false);
            }
        }
        self.is_there(&repo, FileType::Config)
    }

    /// What is there of a repository that has lost its settings, if it is one:
    /// they are not looked for.
    ///
    /// # Errors
    ///
    /// What the system or the server says.
    pub fn remains(&self) -> Result<Option<&'static str>, VaultError> {
        let repo = self.repo(MasterKey::new());
        for (tpe, what) in [(FileType::Key, "keys"), (FileType::Pack, "content")] {
            if self.is_there(&repo, tpe)? {
                return Ok(Some(what));
            }
        }
        Ok(None)
    }

    fn repo(&self, key: MasterKey) -> Repo {
        Repo::in_store(self.store.clone(), key, self.cache.clone()).lenient()
    }

    /// Makes a repository with a key of its own; `password` opens it, for
    /// `restic` too.
    ///
    /// # Errors
    ///
    /// [`VaultError::NotAVault`] where files of a repository are that has lost
    /// its settings: with a new key nobody could read them. What the system or
    /// the server says.
    pub fn make(&self, password: &str) -> Result<Repo, VaultError> {
        let repo = self.repo(MasterKey::new());
        if let Some(what) = self.remains()? {
            return Err(VaultError::NotAVault {
                path: self.store.root().to_owned(),
                reason: format!("it has {what} of a repository, and no settings"),
            });
        }
        if self.is_half_made()? {
            let settings = self.store.remove(FileType::Config, &Id::default());
            settings.map_err(|error| repo.fault("remove the settings of", error))?;
        }
        repo.init(|repo, (view, handle)| {
            let options = KeyOptions::default().with_created(true);
            repo.call_writing("add the password", view, || {
                handle.add_key(password, &options).map(drop)
            })
        })?;
        Ok(repo)
    }

    /// Opens the repository by its password.
    ///
    /// # Errors
    ///
    /// [`VaultError::Key`] when the password does not open it; a repository
    /// that cannot be read.
    pub fn open(&self, password: &str) -> Result<Repo, VaultError> {
        let locked = self.repo(MasterKey::new());
        let view = locked.view();
        let no_key = Cell::new(false);
        let opened = locked.call(OPEN, &view, || {
            let opened = locked.handle(&view)?.open(&Credentials::password(password));
            opened.inspect_err(|error| no_key.set(error.is_code(NO_KEY)))
        });
        match opened {
            Ok(opened) => Ok(self.repo(opened.key())),
            Err(other @ (VaultError::Io { .. } | VaultError::Far { .. })) => Err(other),
            Err(other) if !no_key.get() => Err(other),
            Err(_) if !self.is_there(&locked, FileType::Key)? => {
                let keys = vec![self.store.root().join("keys")];
                Err(locked.damaged(OPEN, keys, "there is no key".to_owned()))
            }
            Err(_) => Err(VaultError::Key {
                path: self.store.root().join("keys"),
                reason: "the password does not open it".to_owned(),
            }),
        }
    }
}

fn far(address: &Address, why: &str) -> VaultError {
    VaultError::Far {
        address: address.to_string().into(),
        why: one_line(why),
    }
}
