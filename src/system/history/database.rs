//! The history in SQLite.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

use chrono::{DateTime, Utc};
use rusqlite::{
    Connection, OpenFlags, OptionalExtension, Transaction, TransactionBehavior, params,
};

use super::rows;
use super::{Ask, History, HistoryError, Imported, Total, counters, samples, totals};
use crate::learn::patterns::Tried;
use crate::learn::{Knowledge, Ledger, Origin};
use crate::point::event::{Event, HealAttempt, Item, Kind, Reading};
use crate::system::At;

/// Steps from one version of the schema to the next. A step is never changed;
/// what comes later is appended.
const STEPS: [&str; 3] = [
    include_str!("schema-1.sql"),
    include_str!("schema-2.sql"),
    include_str!("schema-3.sql"),
];

/// Events and attempts older than this are forgotten; what was counted of them
/// stays.
const KEEP_DAYS: i64 = 730;

/// The history in a file.
#[derive(Debug)]
pub struct Database {
    db: Connection,
}

impl Database {
    /// Opens it, or makes it. Nobody else is waited for longer than `patience`.
    ///
    /// # Errors
    /// [`HistoryError`]; a later version is left as it is.
    pub fn open(path: &Path, patience: Duration) -> Result<Self, HistoryError> {
        // SQLite would make it readable for all.
        OpenOptions::new()
            .append(true)
            .create(true)
            .mode(0o600)
            .open(path)
            .at("open the history", path)?;
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let db = Connection::open_with_flags(path, flags)?;
        db.busy_timeout(patience)?;
        // Readers and one writer side by side; what was put is on disk.
        db.query_row("pragma journal_mode = wal", [], |_| Ok(()))?;
        db.pragma_update(None, "synchronous", "full")?;
        Self::ready(db)
    }

    /// Opens one that is there, to read from only.
    ///
    /// # Errors
    /// When it is not there, or of another version.
    pub fn open_to_read(path: &Path, patience: Duration) -> Result<Self, HistoryError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let db = Connection::open_with_flags(path, flags)?;
        db.busy_timeout(patience)?;
        let found = version(&db)?;
        let known = known();
        if found == known {
            Ok(Self { db })
        } else {
            Err(HistoryError::Later { found, known })
        }
    }

    /// One that is nowhere on disk.
    ///
    /// # Errors
    /// When SQLite has no memory.
    pub fn in_memory() -> Result<Self, HistoryError> {
        Self::ready(Connection::open_in_memory()?)
    }

    fn ready(db: Connection) -> Result<Self, HistoryError> {
        let database = Self { db };
        if version(&database.db)? != known() {
            database.migrate()?;
        }
        Ok(database)
    }

    fn migrate(&self) -> Result<(), HistoryError> {
        let change = self.change()?;
        let (found, known) = (version(&change)?, known());
        if found > known {
            return Err(HistoryError::Later { found, known });
        }
        let done = usize::try_from(found).unwrap_or(0);
        for step in STEPS.iter().skip(done) {
            change.execute_batch(step)?;
        }
        change.pragma_update(None, "user_version", known)?;
        Ok(change.commit()?)
    }

    /// How many events there were, of each kind.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn totals(&self) -> Result<Vec<Total>, HistoryError> {
        totals::read(&self.db)
    }

    /// A change that has the right to write from its begin on: it waits there,
    /// not half way.
    fn change(&self) -> Result<Transaction<'_>, HistoryError> {
        let begin = TransactionBehavior::Immediate;
        Ok(Transaction::new_unchecked(&self.db, begin)?)
    }

    /// Has switches from before `now` not counted: a database that is gone did.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(super) fn begin_anew(&self, now: DateTime<Utc>) -> Result<(), HistoryError> {
        let born = params![now.timestamp()];
        self.db
            .execute("update facts set value = ?1 where name = 'born'", born)?;
        Ok(())
    }

    /// Whether it is whole, as far as SQLite can tell.
    ///
    /// # Errors
    /// [`HistoryError::Damaged`] when it is not.
    pub(super) fn check(&self) -> Result<(), HistoryError> {
        let found: String = self
            .db
            .query_row("pragma quick_check(1)", [], |row| row.get(0))?;
        if found == "ok" {
            return Ok(());
        }
        let code = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_CORRUPT);
        Err(HistoryError::Damaged(rusqlite::Error::SqliteFailure(
            code,
            Some(found),
        )))
    }

    /// The salt of this machine's name towards others; made with the database,
    /// so that what a new one counts has a new name.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn salt(&self) -> Result<Vec<u8>, HistoryError> {
        Ok(self
            .db
            .query_row("select value from facts where name = 'salt'", [], |row| {
                row.get(0)
            })?)
    }
}

fn known() -> i64 {
    i64::try_from(STEPS.len()).unwrap_or(i64::MAX)
}

fn version(db: &Connection) -> rusqlite::Result<i64> {
    db.query_row("pragma user_version", [], |row| row.get(0))
}

fn put_event(change: &Transaction<'_>, event: &Event) -> Result<(), HistoryError> {
    let data = match event.data.is_null() {
        true => None,
        false => Some(serde_json::to_string(&event.data)?),
    };
    change
        .prepare_cached(
            "insert into events (id, at, kind, what, good, data) values (?1, ?2, ?3, ?4, ?5, ?6)
             on conflict (id) do update set at = excluded.at, kind = excluded.kind,
                what = excluded.what, good = excluded.good, data = excluded.data
             where what <> excluded.what or good is not excluded.good
                or data is not excluded.data",
        )?
        .execute(params![
            event.id,
            event.at.timestamp_millis(),
            event.kind.as_str(),
            event.what,
            event.good,
            data
        ])?;
    Ok(())
}

fn put_one(change: &Transaction<'_>, item: &Item) -> Result<(), HistoryError> {
    match item {
        Item::Event(event) => put_event(change, event),
        Item::Sample(sample) => samples::put(change, sample),
        Item::Heal(attempt) => {
            let event = rows::of_heal(attempt)?;
            let is_new = change
                .prepare_cached("select 1 from events where id = ?1")?
                .query_row(params![event.id], |_| Ok(()))
                .optional()?
                .is_none();
            if is_new {
                counters::count_heal(change, attempt)?;
            }
            put_event(change, &event)
        }
        Item::Switch(switch) => {
            for event in rows::of_switch(switch)? {
                put_event(change, &event)?;
            }
            match rows::failed(switch) {
                Some(failed) => counters::count_switch(change, switch, failed),
                None => Ok(()),
            }
        }
        Item::Traits { switch, traits } => {
            let mut insert = change.prepare_cached(
                "insert into traits (switch, name) values (?1, ?2) on conflict do nothing",
            )?;
            for name in traits {
                insert.execute(params![switch.to_string(), name])?;
            }
            Ok(())
        }
    }
}

fn moment(millis: i64) -> DateTime<Utc> {
    DateTime::from_timestamp_millis(millis).unwrap_or_default()
}

impl History for Database {
    fn put(&self, items: &[Item]) -> Result<(), HistoryError> {
        let change = self.change()?;
        for item in items {
            put_one(&change, item)?;
        }
        samples::thin_daily(&change, items)?;
        Ok(change.commit()?)
    }

    fn events(&self, ask: &Ask) -> Result<Vec<Event>, HistoryError> {
        let mut query = self.db.prepare_cached(
            "select id, at, kind, what, good, data from events order by at desc, id desc",
        )?;
        let mut rows = query.query([])?;
        let mut events = Vec::new();
        while let Some(row) = rows.next()? {
            if ask.last.is_some_and(|last| events.len() >= last) {
                break;
            }
            let kind = Kind::named(row.get_ref(2)?.as_str().unwrap_or_default());
            let Some(kind) = kind.filter(|k| ask.kinds.is_empty() || ask.kinds.contains(k)) else {
                continue;
            };
            let data: Option<String> = row.get(5)?;
            events.push(Event {
                id: row.get(0)?,
                at: moment(row.get(1)?),
                kind,
                what: row.get(3)?,
                good: row.get(4)?,
                data: data.map_or(Ok(serde_json::Value::Null), |d| serde_json::from_str(&d))?,
            });
        }
        Ok(events)
    }

    fn heals(&self, since: DateTime<Utc>) -> Result<Vec<HealAttempt>, HistoryError> {
        let mut query = self.db.prepare_cached(
            "select data from events where kind = 'heal' and at >= ?1 order by at, id",
        )?;
        let rows = query.query_map(params![since.timestamp_millis()], |row| {
            row.get::<_, String>(0)
        })?;
        rows.map(|text| Ok(serde_json::from_str(&text?)?)).collect()
    }

    fn readings(&self, figure: &str, since: DateTime<Utc>) -> Result<Vec<Reading>, HistoryError> {
        samples::read(&self.db, figure, since)
    }

    fn tried(&self) -> Result<Vec<Tried>, HistoryError> {
        let mut query = self.db.prepare_cached(
            "select id, failed from judged where exists (select 1 from traits where switch = id)
             order by id",
        )?;
        let mut names = self
            .db
            .prepare_cached("select name from traits where switch = ?1")?;
        let judged = query.query_map([], |row| Ok((row.get::<_, String>(0)?, row.get(1)?)))?;
        judged
            .map(|one| {
                let (id, failed) = one?;
                let traits = names.query_map(params![id], |row| row.get(0))?;
                let traits = traits.collect::<rusqlite::Result<_>>()?;
                Ok(Tried { failed, traits })
            })
            .collect()
    }

    fn knowledge(&self) -> Result<Knowledge, HistoryError> {
        counters::read(&self.db)
    }

    fn import(
        &self,
        told: &BTreeMap<Origin, Ledger>,
        own: &Origin,
    ) -> Result<Imported, HistoryError> {
        let change = self.change()?;
        let imported = counters::import(&change, told, own)?;
        change.commit()?;
        Ok(imported)
    }

    fn retain(&self, now: DateTime<Utc>) -> Result<(), HistoryError> {
        let change = self.change()?;
        samples::thin(&change, now)?;
        let before = (now - chrono::Duration::days(KEEP_DAYS)).timestamp_millis();
        totals::forget(&change, before)?;
        change.execute("delete from events where at < ?1", params![before])?;
        change.execute(
            "delete from traits where switch not in (select id from events where kind = 'switch')",
            [],
        )?;
        counters::forget(&change, now)?;
        Ok(change.commit()?)
    }
}
