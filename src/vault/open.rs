//! Making the vault, and opening it.
//!
//! ```text
//! vault/key.json             the master key of both repositories, 0600
//! vault/recovery-password    opens them with restic alone, 0600
//! vault/config/              configuration: a restic repository
//! vault/state/               state: another one, made when first needed
//! ```
//!
//! Two repositories, so that damage or a prune of the large one never blocks a
//! restore point of the configuration. A new vault is built under a temporary
//! name, synced and renamed: it is there whole or not at all.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustic_core::repofile::{Chunker, MasterKey};
use rustic_core::{ConfigOptions, Credentials, FileType, KeyOptions};
use rustix::fs::{FlockOperation, flock};

use crate::vault::durable::{create_file, make_dir, siblings, sync_all_below, sync_dir};
use crate::vault::error::VaultError;
use crate::vault::keys::{RecoveryPassword, load_key, save_key};
use crate::vault::repo::Repo;
use crate::vault::watch::Watch;

/// Packs of this size keep a restore below some hundred MB of memory.
const PACK_SIZE: &str = "4 MiB";
/// A pack never grows beyond this.
const PACK_LIMIT: &str = "8 MiB";

/// Files are cut every so many bytes: databases change in place and logs grow at
/// their end, so what did not change stays in equal chunks. Looking for cuts by
/// content would find more that is equal in files into whose middle something is
/// put, and costs as much time again as all the rest of a capture.
///
/// Whatever way a repository cuts, smaller files are one chunk.
pub(crate) const CHUNK_SIZE: u64 = 512 << 10;

pub(crate) const KEY: &str = "key.json";
const PASSWORD: &str = "recovery-password";
const CONFIG: &str = "config";
const STATE: &str = "state";
/// What an interrupted build is called: `vault.tmp-…`.
const BUILDING: &str = ".tmp-";
const LOCK: &str = "init.lock";

/// The vault: two repositories under one key.
#[derive(Debug)]
pub struct VaultDir {
    dir: PathBuf,
    config: Repo,
}

/// A vault that was opened or made.
#[derive(Debug)]
pub struct Opened {
    /// The vault.
    pub vault: VaultDir,
    /// Only if it was made by this very call: the password to show once.
    pub recovery: Option<RecoveryPassword>,
}

impl VaultDir {
    /// Opens the vault at `dir`, or makes it. `dir`'s parent must exist. An
    /// empty directory is replaced; anything else that is no vault is refused.
    ///
    /// Processes that call this at once all end up with the same vault, and
    /// one of them gets the recovery password. Making takes about half a
    /// second (key derivation), opening under a millisecond.
    ///
    /// # Errors
    ///
    /// [`VaultError::NotAVault`], [`VaultError::Key`], or what the system says.
    pub fn init_or_open(dir: &Path) -> Result<Opened, VaultError> {
        if is_made(dir)? {
            return Ok(Opened {
                vault: Self::open(dir)?,
                recovery: None,
            });
        }
        let lock = beside(dir, LOCK);
        let _lock = wait_for(&lock)?;
        if is_made(dir)? {
            return Ok(Opened {
                vault: Self::open(dir)?,
                recovery: None,
            });
        }
        let recovery = RecoveryPassword::generate();
        build(dir, |building| {
            let key = MasterKey::new();
            save_key(&building.join(KEY), &key)?;
            recovery.save(&building.join(PASSWORD))?;
            let repo = Repo::new(building.join(CONFIG), key, None);
            repo.init(|repo, view| {
                let options = KeyOptions::default().with_created(true);
                repo.call_writing("add the recovery password", view.0, || {
                    view.1.add_key(recovery.expose(), &options).map(drop)
                })
            })
        })?;
        Ok(Opened {
            vault: Self::open(dir)?,
            recovery: Some(recovery),
        })
    }

    /// Opens the vault at `dir`; writes nothing.
    ///
    /// # Errors
    ///
    /// [`VaultError::NotAVault`], [`VaultError::Key`], or what the system says.
    pub fn open(dir: &Path) -> Result<Self, VaultError> {
        if !is_made(dir)? {
            let reason = "there is nothing yet".to_owned();
            return Err(VaultError::NotAVault {
                path: dir.to_owned(),
                reason,
            });
        }
        let key = load_key(&dir.join(KEY))?;
        let config = Repo::new(dir.join(CONFIG), key, identity(dir)?);
        if !is_repository(&dir.join(CONFIG))? {
            let reason = "its configuration repository is missing".to_owned();
            return Err(VaultError::NotAVault {
                path: dir.to_owned(),
                reason,
            });
        }
        Ok(Self {
            dir: dir.to_owned(),
            config,
        })
    }

    /// Somebody watches what is done with it from now on.
    #[must_use]
    pub fn watched(self, watch: Arc<dyn Watch>) -> Self {
        Self {
            config: self.config.watched(watch),
            ..self
        }
    }

    /// The vault's directory.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.dir
    }

    /// The repository of configurations.
    #[must_use]
    pub const fn config(&self) -> &Repo {
        &self.config
    }

    /// The repository of state, made on the first call. It has the same master
    /// key, and the same recovery password: the key file is copied.
    ///
    /// # Errors
    ///
    /// [`VaultError::Damaged`] if the configuration's key files cannot be
    /// read, or what the system says.
    pub fn state(&self) -> Result<Repo, VaultError> {
        if let Some(repo) = self.existing_state()? {
            return Ok(repo);
        }
        let _lock = wait_for(&self.dir.join(LOCK))?;
        if let Some(repo) = self.existing_state()? {
            return Ok(repo);
        }
        let from = &self.config;
        build(&self.state_path(), |building| {
            let repo = Repo::new(building.to_owned(), from.key.clone(), None);
            repo.init(|repo, _| {
                let operation = "copy the recovery key";
                for id in from.list(FileType::Key)? {
                    let content = from.store.read(FileType::Key, &id);
                    let content = content.map_err(|error| from.fault(operation, error))?;
                    let written =
                        repo.store
                            .write(FileType::Key, &id, bytes::Bytes::from(content).into());
                    written.map_err(|error| repo.fault(operation, error))?;
                }
                Ok(())
            })
        })?;
        self.existing_state()?.ok_or_else(|| VaultError::NotAVault {
            path: self.state_path(),
            reason: "it vanished while it was made".to_owned(),
        })
    }

    /// The repository of state, if state was ever captured.
    ///
    /// # Errors
    ///
    /// What the system says.
    pub fn existing_state(&self) -> Result<Option<Repo>, VaultError> {
        let path = self.state_path();
        if !is_repository(&path)? {
            return Ok(None);
        }
        let repo = Repo::new(path, self.config.key.clone(), identity(&self.dir)?);
        Ok(Some(repo.watched(Arc::clone(&self.config.watch))))
    }

    fn state_path(&self) -> PathBuf {
        self.dir.join(STATE)
    }
}

/// A view and the open repository on it, while it is made.
pub(crate) type Fresh<'a> = (
    &'a crate::vault::view::View,
    &'a rustic_core::Repository<rustic_core::OpenStatus>,
);

impl Repo {
    /// Makes the directories and the repository's own settings, then adds keys.
    pub(crate) fn init(
        &self,
        add_keys: impl FnOnce(&Self, Fresh<'_>) -> Result<(), VaultError>,
    ) -> Result<(), VaultError> {
        let operation = "make the repository";
        let view = self.view();
        let mut options = ConfigOptions::default();
        options.set_datapack_size = PACK_SIZE.parse().ok();
        options.set_treepack_size = PACK_SIZE.parse().ok();
        options.set_datapack_size_limit = PACK_LIMIT.parse().ok();
        options.set_treepack_size_limit = PACK_LIMIT.parse().ok();
        options.set_chunker = Some(Chunker::FixedSize);
        options.set_chunk_size = CHUNK_SIZE.to_string().parse().ok();
        let credentials = Credentials::Masterkey(self.key.clone());
        let repo = self.call_writing(operation, &view, || {
            self.handle(&view)?
                .init(&credentials, &KeyOptions::default(), &options)
        })?;
        add_keys(self, (&view, &repo))
    }
}

/// Fills a directory under a temporary name and gives it its own. The caller
/// holds the lock, so what bears such a name is of a process that died.
fn build(dir: &Path, fill: impl FnOnce(&Path) -> Result<(), VaultError>) -> Result<(), VaultError> {
    let parent = dir.parent().unwrap_or(Path::new("."));
    for leftover in siblings(dir, BUILDING).map_err(VaultError::io("list the directory", parent))? {
        fs::remove_dir_all(&leftover).map_err(VaultError::io("remove the directory", &leftover))?;
    }
    let building = beside(dir, &format!("tmp-{}", std::process::id()));
    make_dir(&building).map_err(VaultError::io("make the directory", &building))?;
    let finish = || {
        sync_all_below(&building)?;
        // Replaces an empty directory, never a full one.
        fs::rename(&building, dir)?;
        sync_dir(parent)
    };
    let result = fill(&building)
        .and_then(|()| finish().map_err(VaultError::io("put the vault in place at", dir)));
    if result.is_err() {
        // Best effort: the next call removes it otherwise.
        let _ = fs::remove_dir_all(&building);
    }
    result
}

/// `dir` with `.suffix` after its name.
fn beside(dir: &Path, suffix: &str) -> PathBuf {
    let mut name = dir.as_os_str().to_owned();
    name.push(".");
    name.push(suffix);
    PathBuf::from(name)
}

/// Waits until no other process makes the same thing. The lock ends with the
/// file; the empty file itself stays.
fn wait_for(path: &Path) -> Result<File, VaultError> {
    let opened = match create_file(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            File::options().write(true).open(path)
        }
        other => other,
    };
    let file = opened.map_err(VaultError::io("open the lock", path))?;
    flock(&file, FlockOperation::LockExclusive)
        .map_err(|errno| VaultError::io("lock", path)(errno.into()))?;
    Ok(file)
}

/// Whether there is a vault. An absent or empty directory is none yet;
/// something else under that name is an error.
fn is_made(dir: &Path) -> Result<bool, VaultError> {
    let no_vault = |reason: &str| VaultError::NotAVault {
        path: dir.to_owned(),
        reason: reason.to_owned(),
    };
    let mut entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => {
            return Err(no_vault("it is no directory"));
        }
        Err(error) => return Err(VaultError::io("list the directory", dir)(error)),
    };
    if is_file(&dir.join(KEY))? {
        return Ok(true);
    }
    match entries.next() {
        None => Ok(false),
        Some(_) if is_repository(&dir.join(CONFIG))? => Err(VaultError::Key {
            path: dir.join(KEY),
            reason: format!(
                "it is gone; what {PASSWORD} beside it says opens the repositories with restic"
            ),
        }),
        Some(_) => Err(no_vault("it has no key.json")),
    }
}

fn is_file(path: &Path) -> Result<bool, VaultError> {
    match fs::metadata(path) {
        Ok(metadata) => Ok(metadata.is_file()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(VaultError::io("look at the file", path)(error)),
    }
}

/// Whether there is a repository, if only one whose settings are lost.
fn is_repository(path: &Path) -> Result<bool, VaultError> {
    if is_file(&path.join("config"))? {
        return Ok(true);
    }
    let data = path.join("data");
    match fs::metadata(&data) {
        Ok(metadata) => Ok(metadata.is_dir()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(VaultError::io("look at the directory", &data)(error)),
    }
}

fn identity(dir: &Path) -> Result<Option<(u64, u64)>, VaultError> {
    let metadata = fs::metadata(dir).map_err(VaultError::io("look at the directory", dir))?;
    Ok(Some((metadata.dev(), metadata.ino())))
}
