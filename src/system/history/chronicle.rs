//! The history where it lies: opened when it is needed, never in the way.

use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::time::Duration;

use chrono::{DateTime, Utc};
use rustix::fs::{FlockOperation, flock};

use super::{Database, History, HistoryError, queue};
use crate::point::event::Item;
use crate::system::{At, IoError, Layout, durable};

/// How long what goes on anyway waits for another writer.
const SHORT: Duration = Duration::from_millis(200);
/// How long a person who asked for something waits.
const LONG: Duration = Duration::from_secs(5);

/// What became of items to keep.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kept {
    /// They are in the history.
    Stored,
    /// They wait in the queue, and why.
    Queued(String),
    /// They are lost, and why.
    Dropped(String),
}

/// The history of a state directory.
#[derive(Clone, Copy, Debug)]
pub struct Chronicle<'l> {
    layout: &'l Layout,
}

impl<'l> Chronicle<'l> {
    /// The history of this state directory. Nothing is opened yet.
    pub fn new(layout: &'l Layout) -> Self {
        Self { layout }
    }

    /// Keeps items. Never fails and never waits long: what cannot be put in now
    /// is queued. Notes say what is worth knowing, one line each.
    pub fn keep(&self, items: &[Item], now: DateTime<Utc>) -> (Kept, Vec<String>) {
        match self.with(SHORT, now, |db| db.put(items)) {
            Ok(((), notes)) => (Kept::Stored, notes),
            Err(error) => {
                let why = error.to_string();
                match queue::push(self.layout, items, now) {
                    Ok(()) => (Kept::Queued(why), Vec::new()),
                    Err(error) => (Kept::Dropped(format!("{why}; {error}")), Vec::new()),
                }
            }
        }
    }

    /// Works with the history, and says what is worth knowing of it. One that
    /// turns out damaged is set aside, and the work is done with a new one.
    ///
    /// # Errors
    /// As the work; when the history cannot be opened.
    pub fn work<T>(
        &self,
        now: DateTime<Utc>,
        work: impl Fn(&Database) -> Result<T, HistoryError>,
    ) -> Result<(T, Vec<String>), HistoryError> {
        self.with(LONG, now, work)
    }

    /// Reads from a history that is there, for who must not wait; nothing is
    /// made, changed or set aside.
    ///
    /// # Errors
    /// Whatever is in the way.
    pub fn glance<T>(
        &self,
        work: impl FnOnce(&Database) -> Result<T, HistoryError>,
    ) -> Result<T, HistoryError> {
        let patience = Duration::from_millis(20);
        work(&Database::open_to_read(&self.layout.history(), patience)?)
    }

    fn with<T>(
        &self,
        patience: Duration,
        now: DateTime<Utc>,
        work: impl Fn(&Database) -> Result<T, HistoryError>,
    ) -> Result<(T, Vec<String>), HistoryError> {
        let mut notes = Vec::new();
        let once = |notes: &mut Vec<String>| {
            let db = Database::open(&self.layout.history(), patience)?;
            self.drain(&db, notes)?;
            work(&db)
        };
        match once(&mut notes) {
            Err(HistoryError::Damaged(why)) => {
                notes.push(self.set_aside(now, &why.to_string())?);
                once(&mut notes).map(|done| (done, notes))
            }
            other => other.map(|done| (done, notes)),
        }
    }

    /// Puts what waits in the queue into the database.
    fn drain(&self, db: &Database, notes: &mut Vec<String>) -> Result<(), HistoryError> {
        let waiting = queue::read(self.layout)?;
        if waiting.files.is_empty() {
            return Ok(());
        }
        db.put(&waiting.items)?;
        for file in &waiting.files {
            durable::remove(file)?;
        }
        let lost = waiting.damaged.into_iter();
        notes.extend(lost.map(|why| format!("an entry of the history is lost: {why}")));
        Ok(())
    }

    /// Moves a damaged database out of the way and begins a new one; gives the
    /// line that says so.
    fn set_aside(&self, now: DateTime<Utc>, why: &str) -> Result<String, HistoryError> {
        let path = self.layout.history();
        let lock = path.with_extension("db.lock");
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&lock)
            .at("open", &lock)?;
        flock(&file, FlockOperation::LockExclusive).at("lock", &lock)?;
        // Somebody else may have done it meanwhile.
        let whole = Database::open(&path, SHORT).and_then(|db| db.check());
        if whole.is_ok() {
            return Ok("the history was damaged and begins anew".to_owned());
        }
        let aside = path.with_extension(format!("db.damaged-{}", now.format("%Y%m%dT%H%M%SZ")));
        for suffix in ["", "-wal", "-shm"] {
            let with = |path: &std::path::Path| {
                let mut name = path.as_os_str().to_owned();
                name.push(suffix);
                std::path::PathBuf::from(name)
            };
            match fs::rename(with(&path), with(&aside)) {
                Err(e) if e.kind() != io::ErrorKind::NotFound => {
                    return Err(IoError {
                        operation: "set aside",
                        path: with(&path),
                        source: e,
                    }
                    .into());
                }
                _ => {}
            }
        }
        durable::sync_parent(&path)?;
        Database::open(&path, SHORT)?.begin_anew(now)?;
        Ok(format!(
            "the history was damaged ({why}); it is set aside as {} and begins anew",
            aside.display()
        ))
    }
}
