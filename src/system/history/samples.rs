//! Samples of health: all of them for two weeks, then the mean of each hour,
//! later of each day, with the lowest and the highest.

use chrono::{DateTime, Duration, Utc};
use rusqlite::{Connection, OptionalExtension, Transaction, params};

use super::HistoryError;
use crate::point::event::{Item, Reading, Sample};

const HOUR: i64 = 3600;
const DAY: i64 = 86_400;
/// Days for which all samples are kept, then hourly means, then daily ones.
pub(super) const KEEP: [i64; 3] = [14, 90, 730];

pub(super) fn put(change: &Transaction<'_>, sample: &Sample) -> Result<(), HistoryError> {
    let mut insert = change
        .prepare_cached("insert or replace into samples values (0, ?1, ?2, 1, ?3, ?3, ?3)")?;
    for (figure, value) in sample.figures.iter().filter(|(_, v)| v.is_finite()) {
        insert.execute(params![figure, sample.at.timestamp(), value])?;
    }
    Ok(())
}

pub(super) fn read(
    db: &Connection,
    figure: &str,
    since: DateTime<Utc>,
) -> Result<Vec<Reading>, HistoryError> {
    let mut query = db.prepare_cached(
        "select at, span, n, mean, low, high from samples
         where figure = ?1 and at + span >= ?2 order by at, span",
    )?;
    let rows = query.query_map(params![figure, since.timestamp()], |row| {
        Ok(Reading {
            at: DateTime::from_timestamp(row.get(0)?, 0).unwrap_or_default(),
            span: row.get(1)?,
            samples: row.get(2)?,
            mean: row.get(3)?,
            low: row.get(4)?,
            high: row.get(5)?,
        })
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// Thins out when a sample comes that is a day after the last time.
pub(super) fn thin_daily(change: &Transaction<'_>, items: &[Item]) -> Result<(), HistoryError> {
    let newest = items.iter().filter_map(|item| match item {
        Item::Sample(sample) => Some(sample.at),
        _ => None,
    });
    let Some(now) = newest.max() else {
        return Ok(());
    };
    let last: Option<i64> = change
        .prepare_cached("select value from facts where name = 'thinned'")?
        .query_row([], |row| row.get(0))
        .optional()?;
    if last.is_some_and(|last| (now.timestamp() - last).abs() < DAY) {
        return Ok(());
    }
    thin(change, now)
}

pub(super) fn thin(change: &Transaction<'_>, now: DateTime<Utc>) -> Result<(), HistoryError> {
    let before = |days, unit: i64| {
        let at = (now - Duration::days(days)).timestamp();
        // Whole hours and days only.
        at - at.rem_euclid(unit)
    };
    merge(change, 0, HOUR, before(KEEP[0], HOUR))?;
    merge(change, HOUR, DAY, before(KEEP[1], DAY))?;
    change.execute(
        "delete from samples where span = ?1 and at < ?2",
        params![DAY, before(KEEP[2], DAY)],
    )?;
    change.execute(
        "insert or replace into facts values ('thinned', ?1)",
        params![now.timestamp()],
    )?;
    Ok(())
}

/// Replaces readings of the span `from` by means over `to`.
fn merge(change: &Transaction<'_>, from: i64, to: i64, before: i64) -> Result<(), HistoryError> {
    change.execute(
        "insert into samples
         select ?2, figure, at / ?2 * ?2, sum(n), sum(mean * n) / sum(n), min(low), max(high)
         from samples where span = ?1 and at < ?3 group by figure, at / ?2
         on conflict do update set
            mean = (mean * n + excluded.mean * excluded.n) / (n + excluded.n),
            low = min(low, excluded.low), high = max(high, excluded.high), n = n + excluded.n",
        params![from, to, before],
    )?;
    change.execute(
        "delete from samples where span = ?1 and at < ?2",
        params![from, before],
    )?;
    Ok(())
}
