//! Capturing into a repository.

use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use chrono::{DateTime, Utc};
use rustic_core::jiff::{Timestamp, tz::TimeZone};
use rustic_core::repofile::{SnapshotFile, StringList};
use rustic_core::{BackupOptions, FileType, ParentOptions};

use crate::vault::digest::{Line, LineKind, bytes, content_hash, sha};
use crate::vault::error::VaultError;
use crate::vault::log::{CaptureLog, Seen};
use crate::vault::repo::Repo;
use crate::vault::source::StrictSource;
use crate::vault::store::parse_id;
use crate::vault::types::{CaptureRequest, Captured, Entry, EntryKind};
use crate::vault::view::View;
use crate::vault::walk::WalkPlan;
use crate::vault::words::one_line;

pub(crate) const OPERATION: &str = "capture";

/// A tree that changes while it is captured is tried this often in all.
const ATTEMPTS: u32 = 3;
const PAUSE: Duration = Duration::from_millis(20);

impl Repo {
    /// [`Vault::capture`](crate::vault::Vault::capture).
    pub(crate) fn capture_strictly(
        &self,
        request: &CaptureRequest,
    ) -> Result<Captured, VaultError> {
        validate(request)?;
        let mut attempt = 1;
        loop {
            match self.attempt(request) {
                Err(VaultError::Changed { .. }) if attempt < ATTEMPTS => {
                    thread::sleep(PAUSE * attempt);
                    attempt += 1;
                }
                result => return result,
            }
        }
    }

    fn attempt(&self, request: &CaptureRequest) -> Result<Captured, VaultError> {
        let parent = self.usable_parent(request);
        let log = CaptureLog::new(request.on_unreadable, parent.is_some());
        let log = Arc::new(log.watched(Arc::clone(&self.watch)));
        let view = Arc::new(View::gated(self.store.clone(), Arc::clone(&log)));
        #[cfg(test)]
        view.fail_after(*self.writes_left.lock().unwrap());
        let open = self.open(OPERATION, &view)?;
        let repo = self
            .call(OPERATION, &view, || open.to_indexed_ids())
            .map_err(|error| self.index_error(OPERATION, error))?;

        let plan = Arc::new(WalkPlan::new(request, self.own));
        let source = StrictSource {
            plan,
            log: Arc::clone(&log),
        };
        let snapshot = to_snapshot(&request.tag, &request.host, request.time)?;
        let mut parents = ParentOptions::default().force(parent.is_none());
        parents.parents.extend(parent.clone());
        let options = BackupOptions::default().no_scan(true).parent_opts(parents);
        let paths: Vec<_> = request
            .roots
            .iter()
            .map(|root| text_path(&root.logical))
            .collect();
        let archived = self.call_writing(OPERATION, &view, || {
            repo.archive(&options, &source, snapshot, &paths)
        });
        self.kept(&log, &view, archived)
    }

    /// What came of archiving. The source's own error is the cause of whatever
    /// the library said; a snapshot that is not as it was seen does not stay.
    pub(crate) fn kept(
        &self,
        log: &CaptureLog,
        view: &View,
        archived: Result<SnapshotFile, VaultError>,
    ) -> Result<Captured, VaultError> {
        if let Some(failure) = log.take_failure() {
            if let Ok(snapshot) = &archived {
                self.withdraw(snapshot);
            }
            return Err(failure);
        }
        let snapshot = archived?;
        let captured = self.verified(&snapshot, log.take(), view.written());
        if captured.is_err() {
            self.withdraw(&snapshot);
        }
        captured
    }

    /// The parent, if its snapshot can still be read.
    fn usable_parent(&self, request: &CaptureRequest) -> Option<String> {
        let id = request.parent.as_deref()?;
        let view = self.view();
        let existing = self.existing(id).ok()?;
        let repo = self.open(OPERATION, &view).ok()?;
        self.snapshot(OPERATION, &view, &repo, existing)
            .ok()
            .map(|_| id.to_owned())
    }

    /// Compares what the library says it stored with what was walked.
    fn verified(
        &self,
        snapshot: &SnapshotFile,
        mut seen: Seen,
        stored_bytes: u64,
    ) -> Result<Captured, VaultError> {
        let count = |is: fn(&LineKind) -> bool| {
            seen.lines.iter().filter(|line| is(&line.kind)).count() as u64
        };
        let files = count(|kind| matches!(kind, LineKind::File(_)));
        let dirs = count(|kind| matches!(kind, LineKind::Dir));
        let symlinks = count(|kind| matches!(kind, LineKind::Symlink(_)));
        let specials = seen.lines.len() as u64 - files - dirs - symlinks;
        let stored = snapshot.summary.as_ref();
        let stored = stored.map(|sum| (sum.total_files_processed, sum.total_bytes_processed));
        if stored != Some((files + symlinks + specials, seen.bytes)) {
            return Err(self.incomplete("fewer files arrived than were read".to_owned()));
        }
        let id = snapshot.id.to_hex().to_string();
        let unknown = |line: &Line| line.kind == LineKind::File(None);
        if seen.lines.iter().any(unknown) {
            self.fill_from(&id, &mut seen.lines)?;
        }
        Ok(Captured {
            snapshot: id,
            tree: snapshot.tree.to_hex().to_string(),
            files,
            dirs,
            symlinks,
            specials,
            bytes: seen.bytes,
            stored_bytes,
            content_hash: content_hash(&mut seen.lines),
            unreadable: seen.unreadable,
            excluded: seen.excluded,
            skipped: seen.skipped,
        })
    }

    /// Files may have been taken from a parent unread, and small ones are not
    /// hashed twice: reads the new snapshot back, proves that it holds the walk,
    /// and fills in digests.
    fn fill_from(&self, id: &str, lines: &mut [Line]) -> Result<(), VaultError> {
        let entries = self.stored_entries(id)?;
        lines.sort_by(|a, b| bytes(&a.path).cmp(bytes(&b.path)));
        let paths = |line: &Line, entry: &Entry| line.path == entry.path;
        if lines.len() != entries.len() || !lines.iter().zip(&entries).all(|(l, e)| paths(l, e)) {
            return Err(self.incomplete("the snapshot holds other paths than the walk".to_owned()));
        }
        for (line, entry) in lines.iter_mut().zip(&entries) {
            if let (LineKind::File(None), EntryKind::File { content, .. }) =
                (&line.kind, &entry.kind)
            {
                line.kind = LineKind::File(cheap_digest(content));
            }
        }
        Ok(())
    }

    fn incomplete(&self, detail: String) -> VaultError {
        VaultError::Incomplete {
            operation: OPERATION,
            repository: self.path().to_owned(),
            detail,
        }
    }

    /// Removes the snapshot of a capture that must not be kept. Should even
    /// that fail, no document refers to it and the next `forget` takes it.
    pub(crate) fn withdraw(&self, snapshot: &SnapshotFile) {
        let _ = self.store.remove(FileType::Snapshot, &snapshot.id);
    }
}

/// SHA-256 of the content, where the chunk ids tell it: an id is the SHA-256
/// of its chunk, so a file of one chunk has its chunk's.
pub(crate) fn cheap_digest(content: &[String]) -> Option<crate::vault::digest::Sha> {
    match content {
        [] => Some(sha(b"")),
        [only] => hex::decode(only).ok()?.try_into().ok(),
        _ => None,
    }
}

pub(crate) fn to_snapshot(
    tag: &str,
    host: &str,
    time: DateTime<Utc>,
) -> Result<SnapshotFile, VaultError> {
    let nanos = time.timestamp_subsec_nanos().min(999_999_999);
    let whole = i128::from(time.timestamp()) * 1_000_000_000 + i128::from(nanos);
    let time = Timestamp::from_nanosecond(whole)
        .map_err(|error| invalid(format!("the time: {}", one_line(&error.to_string()))))?;
    let mut tags = StringList::default();
    tags.add(tag.to_owned());
    Ok(SnapshotFile {
        time: time.to_zoned(TimeZone::UTC),
        hostname: host.to_owned(),
        program_version: concat!("cairn ", env!("CARGO_PKG_VERSION")).to_owned(),
        tags,
        ..SnapshotFile::default()
    })
}

fn text_path(path: &Path) -> PathBuf {
    PathBuf::from(path.to_string_lossy().into_owned())
}

fn invalid(reason: String) -> VaultError {
    VaultError::InvalidRequest { reason }
}

/// A request that can be carried out as it stands.
pub(crate) fn validate(request: &CaptureRequest) -> Result<(), VaultError> {
    if request.tag.is_empty() || request.tag.contains(',') {
        return Err(invalid(format!(
            "the tag {:?} is empty or has a comma",
            request.tag
        )));
    }
    if request.roots.is_empty() {
        return Err(invalid("there is no root".to_owned()));
    }
    if let Some(parent) = &request.parent
        && parse_id(parent).is_none()
    {
        return Err(invalid(format!("the parent {parent:?} is no snapshot id")));
    }
    let mut logical: Vec<_> = request
        .roots
        .iter()
        .map(|root| root.logical.as_path())
        .collect();
    for path in &logical {
        let mut components = path.components();
        let absolute = components.next() == Some(Component::RootDir);
        let plain = components
            .clone()
            .all(|part| matches!(part, Component::Normal(_)));
        if !absolute || !plain || components.next().is_none() {
            return Err(invalid(format!("{path:?} is not an absolute path below /")));
        }
    }
    logical.sort();
    match logical.windows(2).find(|pair| pair[1].starts_with(pair[0])) {
        Some(pair) => Err(invalid(format!(
            "the root {:?} lies in the root {:?}",
            pair[1], pair[0]
        ))),
        None => Ok(()),
    }
}
