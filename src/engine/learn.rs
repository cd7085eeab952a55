//! What was learned: shown, written for other machines, taken from them.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Serialize;

use super::{Engine, EngineError, chronicle};
use crate::learn::{Learned, Ledger, Origin, share};
use crate::system::history::{Chronicle, Database, History, HistoryError, Imported};
use crate::system::{knowledge_file, pointers};

/// What was learned, and what is worth knowing, one line each.
///
/// # Errors
/// When the history cannot be read.
pub fn show(engine: &Engine<'_>) -> Result<(Learned, Vec<String>), EngineError> {
    let mut notes = chronicle::index(engine);
    let ((knowledge, tried, origin), more) = with(engine, |db| {
        Ok((db.knowledge()?, db.tried()?, origin(engine, db)?))
    })?;
    notes.extend(more);
    let learned = Learned::of(origin, &knowledge, &tried, engine.clock.now());
    Ok((learned, notes))
}

/// What writing knowledge came to.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Exported {
    /// Machines it tells of.
    pub machines: usize,
    /// Entries left out, because their names could say more than they should.
    pub left_out: usize,
}

/// Writes what was learned for other machines, never over a file.
///
/// # Errors
/// When the history cannot be read, or the file is there or cannot be written.
pub fn export(engine: &Engine<'_>, file: &Path) -> Result<(Exported, Vec<String>), EngineError> {
    let mut notes = chronicle::index(engine);
    let ((knowledge, own), more) = with(engine, |db| Ok((db.knowledge()?, origin(engine, db)?)))?;
    notes.extend(more);
    let (text, left_out) =
        share::write(&knowledge, &own, engine.clock.now()).map_err(HistoryError::from)?;
    knowledge_file::write(file, &text)?;
    let machines = share::read(&text, engine.clock.now())?.len();
    Ok((Exported { machines, left_out }, notes))
}

/// Takes what other machines learned; only looks at it when `dry`.
///
/// # Errors
/// When the file cannot be believed; nothing of it is taken then.
pub fn import(
    engine: &Engine<'_>,
    file: &Path,
    dry: bool,
) -> Result<(Imported, Vec<String>), EngineError> {
    let text = knowledge_file::read(file)?;
    let told: BTreeMap<Origin, Ledger> = share::read(&text, engine.clock.now())?;
    if dry {
        let machines = told.len();
        return Ok((Imported { machines, news: 0 }, Vec::new()));
    }
    with(engine, |db| db.import(&told, &origin(engine, db)?))
}

/// What is told to other machines, as a text.
///
/// # Errors
/// When the history cannot be read.
pub(super) fn told(engine: &Engine<'_>) -> Result<String, EngineError> {
    let ((knowledge, own), _) = with(engine, |db| Ok((db.knowledge()?, origin(engine, db)?)))?;
    let now = engine.clock.now();
    let (text, _) = share::write(&knowledge, &own, now).map_err(HistoryError::from)?;
    Ok(text)
}

/// Takes what others told; gives how many entries were news.
///
/// # Errors
/// When the history cannot be written.
pub(super) fn take(
    engine: &Engine<'_>,
    told: &BTreeMap<Origin, Ledger>,
) -> Result<usize, EngineError> {
    let (imported, _) = with(engine, |db| db.import(told, &origin(engine, db)?))?;
    Ok(imported.news)
}

fn with<T>(
    engine: &Engine<'_>,
    work: impl Fn(&Database) -> Result<T, HistoryError>,
) -> Result<(T, Vec<String>), EngineError> {
    Ok(Chronicle::new(engine.layout).work(engine.clock.now(), work)?)
}

/// This machine's name towards others.
fn origin(engine: &Engine<'_>, db: &Database) -> Result<Origin, HistoryError> {
    let id = pointers::machine_id(engine.layout).unwrap_or_default();
    Ok(Origin::of(&id, &db.salt()?))
}
