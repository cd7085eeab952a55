//! One repository on the local disk: opening it, and the errors of doing so.

use std::collections::BTreeSet;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustic_core::repofile::{IndexFile, IndexId, MasterKey, SnapshotFile, SnapshotId};
use rustic_core::{
    Credentials, FileType, Id, IndexedFullStatus, OpenStatus, Repository, RepositoryBackends,
    RepositoryOptions, RusticResult, WriteBackend,
};

use crate::vault::error::VaultError;
use crate::vault::quiet::guarded;
use crate::vault::store::{Store, StoreError, parse_id};
use crate::vault::view::View;
use crate::vault::watch::{Watch, unwatched};
use crate::vault::words::one_line;

/// A repository of the vault. Its methods block; keep them off async workers.
/// Any number of threads and processes may capture and read at once;
/// [`prune`](crate::vault::Vault::prune) wants to be alone.
pub struct Repo {
    pub(crate) store: Store,
    pub(crate) key: MasterKey,
    /// Device and inode of the vault, which is never captured into itself.
    pub(crate) own: Option<(u64, u64)>,
    pub(crate) watch: Arc<dyn Watch>,
    /// Where small files of a server are kept.
    cache: Option<PathBuf>,
    /// Index files that cannot be read, and are done without: those of a
    /// repository elsewhere, where what they told of can be sent again.
    without: Option<Mutex<BTreeSet<Id>>>,
    reader: Mutex<Option<Arc<Reader>>>,
    #[cfg(test)]
    pub(crate) writes_left: Mutex<Option<u32>>,
}

/// An opened repository with its whole index, kept between reads.
pub(crate) struct Reader {
    pub(crate) view: Arc<View>,
    pub(crate) repo: Repository<IndexedFullStatus>,
}

impl fmt::Debug for Repo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Repo")
            .field("path", &self.store.root())
            .finish_non_exhaustive()
    }
}

impl Repo {
    pub(crate) fn new(root: PathBuf, key: MasterKey, own: Option<(u64, u64)>) -> Self {
        Self {
            own,
            ..Self::in_store(Store::new(root), key, None)
        }
    }

    /// One that lies anywhere.
    pub(crate) fn in_store(store: Store, key: MasterKey, cache: Option<PathBuf>) -> Self {
        Self {
            store,
            key,
            own: None,
            watch: unwatched(),
            cache,
            without: None,
            reader: Mutex::new(None),
            #[cfg(test)]
            writes_left: Mutex::new(None),
        }
    }

    /// The repository's directory or address, as `restic -r` takes it.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.store.root()
    }

    /// Somebody watches from now on.
    #[must_use]
    pub fn watched(self, watch: Arc<dyn Watch>) -> Self {
        Self { watch, ..self }
    }

    /// Index files that cannot be read are done without from now on.
    #[must_use]
    pub(crate) fn lenient(self) -> Self {
        let without = Some(Mutex::default());
        Self { without, ..self }
    }

    /// The index files that were done without, until now.
    #[must_use]
    pub fn indexes_done_without(&self) -> Vec<PathBuf> {
        let Some(without) = &self.without else {
            return Vec::new();
        };
        let ids = without.lock().unwrap_or_else(PoisonError::into_inner);
        ids.iter()
            .map(|id| self.path_of(FileType::Index, id))
            .collect()
    }

    /// Opens with the index, which `read` reads. A repository elsewhere is
    /// opened without the index files that cannot be read: what only these told
    /// of is not there then.
    pub(crate) fn with_index<T>(
        &self,
        operation: &'static str,
        read: impl Fn(Repository<OpenStatus>) -> RusticResult<T>,
    ) -> Result<(Arc<View>, T), VaultError> {
        let view = self.view();
        let open = self.open(operation, &view)?;
        let error = match self.call(operation, &view, || read(open)) {
            Ok(indexed) => return Ok((view, indexed)),
            Err(error) => error,
        };
        let Some(without) = self.without.as_ref().filter(|_| error.is_damaged()) else {
            return Err(self.index_error(operation, error));
        };
        let damaged: BTreeSet<Id> = self.damaged_indexes()?.into_iter().map(|d| d.0).collect();
        if damaged.is_empty() {
            return Err(error);
        }
        without
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .extend(damaged.iter().copied());
        let view = Arc::new(View::hiding(self.store.clone(), damaged));
        let open = self.open(operation, &view)?;
        let indexed = self.call(operation, &view, || read(open))?;
        Ok((view, indexed))
    }

    /// Stops here when that was asked for.
    pub(crate) fn check_stop(&self) -> Result<(), VaultError> {
        if self.watch.stops() {
            return Err(VaultError::Stopped);
        }
        Ok(())
    }

    pub(crate) fn view(&self) -> Arc<View> {
        Arc::new(View::new(self.store.clone()))
    }

    /// The library's handle, without the key applied.
    pub(crate) fn handle(&self, view: &Arc<View>) -> RusticResult<Repository<()>> {
        let backend: Arc<dyn WriteBackend> = Arc::clone(view) as Arc<dyn WriteBackend>;
        let backends = RepositoryBackends::new(backend, None);
        let mut options = RepositoryOptions::default().no_cache(self.cache.is_none());
        options.cache_dir.clone_from(&self.cache);
        Repository::new(&options, &backends)
    }

    /// Opens with the master key: no key derivation, one small file read.
    pub(crate) fn open(
        &self,
        operation: &'static str,
        view: &Arc<View>,
    ) -> Result<Repository<OpenStatus>, VaultError> {
        let credentials = Credentials::Masterkey(self.key.clone());
        self.call(operation, view, || self.handle(view)?.open(&credentials))
            .map_err(|error| match error {
                VaultError::Damaged {
                    operation,
                    repository,
                    files,
                    detail,
                } => {
                    let detail = format!("{detail} (or key.json is not this vault's key)");
                    VaultError::Damaged {
                        operation,
                        repository,
                        files,
                        detail,
                    }
                }
                other => other,
            })
    }

    /// Calls the library to write: its errors are its own refusals.
    pub(crate) fn call_writing<T>(
        &self,
        operation: &'static str,
        view: &View,
        work: impl FnOnce() -> RusticResult<T>,
    ) -> Result<T, VaultError> {
        let repository = self.path().to_owned();
        self.attempt_call(operation, view, work)
            .map_err(|failure| match failure {
                Ok(error) => error,
                Err(detail) => VaultError::Repository {
                    operation,
                    repository,
                    detail,
                },
            })
    }

    /// Calls the library to read: if its content is the trouble, the file that
    /// was read last is named.
    pub(crate) fn call<T>(
        &self,
        operation: &'static str,
        view: &View,
        work: impl FnOnce() -> RusticResult<T>,
    ) -> Result<T, VaultError> {
        self.attempt_call(operation, view, work)
            .map_err(|failure| match failure {
                Ok(error) => error,
                Err(detail) => {
                    self.damaged(operation, view.last_read().into_iter().collect(), detail)
                }
            })
    }

    /// The error is the system's, with its path, where a file operation
    /// failed; otherwise what the library said, in a panic or not.
    fn attempt_call<T>(
        &self,
        operation: &'static str,
        view: &View,
        work: impl FnOnce() -> RusticResult<T>,
    ) -> Result<T, Result<VaultError, String>> {
        let detail = match guarded(work) {
            Ok(Ok(value)) => return Ok(value),
            Ok(Err(error)) => error.display_log(),
            Err(panic) => panic,
        };
        Err(match view.take_fault() {
            Some(fault) => Ok(self.fault(operation, fault)),
            None => Err(one_line(&detail)),
        })
    }

    /// A repository file that is gone or too short is damage; the rest is the
    /// system's.
    pub(crate) fn fault(&self, operation: &'static str, fault: StoreError) -> VaultError {
        use io::ErrorKind::{NotFound, UnexpectedEof};
        let StoreError {
            operation: step,
            path,
            source,
        } = fault;
        if matches!(self.store, Store::Far(_)) && !matches!(source.kind(), NotFound | UnexpectedEof)
        {
            return VaultError::Far {
                address: path,
                why: format!("could not {step}: {source}"),
            };
        }
        if step == "read the file" && matches!(source.kind(), NotFound | UnexpectedEof) {
            let detail = format!("it cannot be read: {source}");
            return self.damaged(operation, vec![path], detail);
        }
        VaultError::Io {
            operation: step,
            path,
            source,
        }
    }

    pub(crate) fn damaged(
        &self,
        operation: &'static str,
        files: Vec<PathBuf>,
        detail: String,
    ) -> VaultError {
        VaultError::Damaged {
            operation,
            repository: self.path().to_owned(),
            files,
            detail,
        }
    }

    /// Loading the index failed: name every index file that cannot be read.
    pub(crate) fn index_error(&self, operation: &'static str, error: VaultError) -> VaultError {
        match self.damaged_indexes() {
            Ok(damaged) if !damaged.is_empty() => {
                let detail = damaged[0].1.clone();
                let files = damaged
                    .into_iter()
                    .map(|(id, _)| self.path_of(FileType::Index, &id));
                self.damaged(operation, files.collect(), detail)
            }
            _ => error,
        }
    }

    /// Index files that cannot be read, and why.
    pub(crate) fn damaged_indexes(&self) -> Result<Vec<(Id, String)>, VaultError> {
        let operation = "read the index";
        let view = self.view();
        let repo = self.open(operation, &view)?;
        let mut damaged = Vec::new();
        for id in self.list(FileType::Index)? {
            let index = IndexId::from(id);
            match self.call(operation, &view, || {
                repo.get_file::<IndexFile>(&index).map(drop)
            }) {
                Ok(()) => {}
                Err(error @ VaultError::Far { .. }) => return Err(error),
                // A prune beside us writes the index anew.
                Err(_) if !self.is_there(FileType::Index, &id)? => {}
                Err(error) => damaged.push((id, reason(error))),
            }
        }
        Ok(damaged)
    }

    pub(crate) fn path_of(&self, tpe: FileType, id: &Id) -> PathBuf {
        self.store.path(tpe, id)
    }

    pub(crate) fn list(&self, tpe: FileType) -> Result<Vec<Id>, VaultError> {
        let listed = self
            .store
            .list(tpe)
            .map_err(|error| self.fault("list files", error))?;
        Ok(listed.into_keys().collect())
    }

    /// The id, if there is such a snapshot file.
    pub(crate) fn existing(&self, snapshot: &str) -> Result<SnapshotId, VaultError> {
        let missing = || VaultError::NoSuchSnapshot {
            repository: self.path().to_owned(),
            id: snapshot.to_owned(),
        };
        let id = parse_id(snapshot).ok_or_else(missing)?;
        match self.is_there(FileType::Snapshot, &id)? {
            true => Ok(SnapshotId::from(id)),
            false => Err(missing()),
        }
    }

    /// Whether a file is there.
    pub(crate) fn is_there(&self, tpe: FileType, id: &Id) -> Result<bool, VaultError> {
        let held = self.store.holds(tpe, id);
        held.map_err(|error| self.fault("look for the file", error))
    }

    /// Reads one snapshot file.
    pub(crate) fn snapshot(
        &self,
        operation: &'static str,
        view: &View,
        repo: &Repository<impl rustic_core::Open>,
        id: SnapshotId,
    ) -> Result<SnapshotFile, VaultError> {
        self.call(operation, view, || repo.get_file::<SnapshotFile>(&id))
    }

    fn load_reader(&self, operation: &'static str) -> Result<Reader, VaultError> {
        let (view, repo) = self.with_index(operation, |open| open.to_indexed())?;
        Ok(Reader { view, repo })
    }

    /// Runs `work` on the kept reader. If that fails, another process may have
    /// captured or pruned since: it runs once more on a fresh one. Several
    /// threads may read at once.
    pub(crate) fn with_reader<T>(
        &self,
        operation: &'static str,
        work: impl Fn(&Reader) -> Result<T, VaultError>,
    ) -> Result<T, VaultError> {
        let stale = self.kept_reader().clone();
        if let Some(reader) = &stale
            && let Ok(value) = work(reader)
        {
            return Ok(value);
        }
        let mut kept = self.kept_reader();
        let fresh = match (&stale, kept.as_ref()) {
            // Another thread was here first.
            (stale, Some(other)) if !stale.as_ref().is_some_and(|s| Arc::ptr_eq(s, other)) => {
                Arc::clone(other)
            }
            _ => {
                *kept = None;
                Arc::clone(kept.insert(Arc::new(self.load_reader(operation)?)))
            }
        };
        drop(kept);
        work(&fresh)
    }

    fn kept_reader(&self) -> MutexGuard<'_, Option<Arc<Reader>>> {
        self.reader.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Forgets the kept index.
    pub(crate) fn drop_reader(&self) {
        *self.kept_reader() = None;
    }
}

/// The part of an error that tells why.
pub(crate) fn reason(error: VaultError) -> String {
    match error {
        VaultError::Damaged { detail, .. } | VaultError::Repository { detail, .. } => detail,
        other => other.to_string(),
    }
}
