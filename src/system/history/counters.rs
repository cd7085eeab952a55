//! The counters that learning reads: this machine's, and those of others.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use rusqlite::{Connection, Transaction, params};

use super::{HistoryError, Imported};
use crate::learn::share::MAX_ORIGINS;
use crate::learn::{Judged, Knowledge, Ledger, Month, Origin, Tally};
use crate::point::Switch;
use crate::point::event::HealAttempt;

/// What was counted this long ago weighs nothing any more.
const KEEP_MONTHS: i32 = 60;

/// This machine, in the tables.
const OWN: &str = "";

fn big(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

fn unsigned(n: i64) -> u64 {
    u64::try_from(n).unwrap_or(0)
}

pub(super) fn count_heal(
    change: &Transaction<'_>,
    attempt: &HealAttempt,
) -> Result<(), HistoryError> {
    let mut tally = Tally::default();
    tally.add(attempt);
    change
        .prepare_cached(
            "insert into heals values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
             on conflict do update set attempts = attempts + excluded.attempts,
                successes = successes + excluded.successes,
                seconds = seconds + excluded.seconds, gain = gain + excluded.gain",
        )?
        .execute(params![
            OWN,
            Month::of(attempt.at).number(),
            attempt.issue,
            attempt.action,
            big(tally.attempts),
            big(tally.successes),
            big(tally.seconds),
            tally.gain
        ])?;
    Ok(())
}

/// Counts a judged switch, the first time it is seen so.
pub(super) fn count_switch(
    change: &Transaction<'_>,
    switch: &Switch,
    failed: bool,
) -> Result<(), HistoryError> {
    let is_new = change
        .prepare_cached("insert into judged values (?1, ?2) on conflict do nothing")?
        .execute(params![switch.id.to_string(), failed])?;
    let born: i64 = change
        .prepare_cached("select value from facts where name = 'born'")?
        .query_row([], |row| row.get(0))?;
    if is_new == 1 && switch.started.timestamp() >= born {
        change
            .prepare_cached(
                "insert into switches values (?1, ?2, 1, ?3)
                 on conflict do update set judged = judged + 1, failed = failed + excluded.failed",
            )?
            .execute(params![OWN, Month::of(switch.started).number(), failed])?;
    }
    Ok(())
}

pub(super) fn read(db: &Connection) -> Result<Knowledge, HistoryError> {
    let mut all: BTreeMap<String, Ledger> = BTreeMap::new();
    let mut query = db.prepare_cached(
        "select origin, month, issue, action, attempts, successes, seconds, gain from heals",
    )?;
    let mut rows = query.query([])?;
    while let Some(row) = rows.next()? {
        let tally = Tally {
            attempts: unsigned(row.get(4)?),
            successes: unsigned(row.get(5)?),
            seconds: unsigned(row.get(6)?),
            gain: row.get(7)?,
        };
        let key = (Month::from_number(row.get(1)?), row.get(2)?, row.get(3)?);
        all.entry(row.get(0)?).or_default().heals.insert(key, tally);
    }
    let mut query = db.prepare_cached("select origin, month, judged, failed from switches")?;
    let mut rows = query.query([])?;
    while let Some(row) = rows.next()? {
        let judged = Judged {
            judged: unsigned(row.get(2)?),
            failed: unsigned(row.get(3)?),
        };
        let month = Month::from_number(row.get(1)?);
        all.entry(row.get(0)?)
            .or_default()
            .switches
            .insert(month, judged);
    }
    let own = all.remove(OWN).unwrap_or_default();
    let others = all
        .into_iter()
        .filter_map(|(origin, ledger)| Some((origin.parse().ok()?, ledger)))
        .collect();
    Ok(Knowledge { own, others })
}

pub(super) fn import(
    change: &Transaction<'_>,
    told: &BTreeMap<Origin, Ledger>,
    own: &Origin,
) -> Result<Imported, HistoryError> {
    let before = read(change)?.others;
    let mut known = crate::learn::Knowledge {
        others: before.clone(),
        ..Knowledge::default()
    };
    known.learn(told, own);
    if known.others.len() > MAX_ORIGINS {
        return Err(HistoryError::TooMany(MAX_ORIGINS));
    }
    let news: BTreeSet<&Origin> = known
        .others
        .iter()
        .filter(|(origin, ledger)| before.get(*origin) != Some(*ledger))
        .map(|(origin, _)| origin)
        .collect();
    for origin in &news {
        write(change, origin, &known.others[*origin])?;
    }
    Ok(Imported {
        machines: told.len(),
        news: news.len(),
    })
}

fn write(change: &Transaction<'_>, origin: &Origin, ledger: &Ledger) -> Result<(), HistoryError> {
    let mut heals = change
        .prepare_cached("insert or replace into heals values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)")?;
    for ((month, issue, action), tally) in &ledger.heals {
        heals.execute(params![
            origin.as_str(),
            month.number(),
            issue,
            action,
            big(tally.attempts),
            big(tally.successes),
            big(tally.seconds),
            tally.gain
        ])?;
    }
    let mut switches =
        change.prepare_cached("insert or replace into switches values (?1, ?2, ?3, ?4)")?;
    for (month, judged) in &ledger.switches {
        switches.execute(params![
            origin.as_str(),
            month.number(),
            big(judged.judged),
            big(judged.failed)
        ])?;
    }
    Ok(())
}

pub(super) fn forget(change: &Transaction<'_>, now: DateTime<Utc>) -> Result<(), HistoryError> {
    let before = Month::of(now).plus(-KEEP_MONTHS).number();
    change.execute("delete from heals where month < ?1", params![before])?;
    change.execute("delete from switches where month < ?1", params![before])?;
    Ok(())
}
