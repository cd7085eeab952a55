//! The Nix store: what is valid, closures and sizes.
//!
//! Reads Nix's database directly (read-only, waiting for writers), which takes
//! milliseconds for a whole system. Where it may not be opened — another user,
//! no permission on the WAL files — Nix is asked instead.

use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension, params};

use super::Layout;
use super::nix_cli;
use super::run::{RunError, Runner};
use crate::nix::closure::ClosureEntry;
use crate::nix::path_info::{ParseError, parse_path_infos};
use crate::nix::store_path::StorePath;

/// Why the store could not be asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A root whose store has none.
    #[error("there is no Nix database")]
    NoDatabase,
    /// The database answered with an error.
    #[error("cannot read Nix's database {path}: {source}")]
    Database {
        /// The database.
        path: String,
        /// Why.
        source: rusqlite::Error,
    },
    /// Nix itself failed.
    #[error(transparent)]
    Nix(#[from] RunError),
    /// Nix printed what it should not.
    #[error("cannot read what `nix path-info` printed: {0}")]
    Answer(ParseError),
    /// A path is not there, or not registered.
    #[error("{0} is not in the store")]
    Missing(String),
}

/// Whether a store path is registered and on disk.
///
/// # Errors
/// When the database can be opened but not read.
pub fn is_valid(layout: &Layout, path: &StorePath) -> Result<bool, StoreError> {
    if std::fs::symlink_metadata(layout.store_path(path)).is_err() {
        return Ok(false);
    }
    match open(&layout.nix_db()) {
        // A store without a readable database: what is on disk is all we know.
        Err(_) => Ok(true),
        Ok(db) => id_of(&db, path)
            .map(|id| id.is_some())
            .map_err(|e| database(layout, e)),
    }
}

/// Whether the database knows any path; `None` where this user may not read
/// it.
pub fn has_rows(layout: &Layout) -> Option<Result<bool, StoreError>> {
    let asked = open(&layout.nix_db()).and_then(|db| {
        db.query_row("select exists (select 1 from ValidPaths)", [], |row| {
            row.get(0)
        })
    });
    match asked {
        // Without the files of the write-ahead log only root can read it.
        Err(rusqlite::Error::SqliteFailure(error, _))
            if !rustix::process::geteuid().is_root()
                && matches!(
                    error.code,
                    ErrorCode::CannotOpen | ErrorCode::PermissionDenied | ErrorCode::ReadOnly
                ) =>
        {
            None
        }
        other => Some(other.map_err(|e| database(layout, e))),
    }
}

fn open(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let db = Connection::open_with_flags(path, flags)?;
    db.busy_timeout(Duration::from_secs(5))?;
    // Opening is lazy: touch the schema now, so that a database that may not
    // be read is found out here.
    db.query_row("select count(*) from sqlite_master", [], |_| Ok(()))?;
    Ok(db)
}

fn id_of(db: &Connection, path: &StorePath) -> rusqlite::Result<Option<i64>> {
    db.query_row(
        "select id from ValidPaths where path = ?1",
        params![path.to_absolute_path()],
        |row| row.get(0),
    )
    .optional()
}

fn database(layout: &Layout, source: rusqlite::Error) -> StoreError {
    StoreError::Database {
        path: layout.nix_db().display().to_string(),
        source,
    }
}

/// The closure of a store path: every path it needs, with its NAR size.
///
/// # Errors
/// [`StoreError::Missing`] when the path is not valid; [`StoreError::NoDatabase`]
/// where another root has none; else when neither the
/// database nor Nix can answer.
pub fn closure(
    layout: &Layout,
    runner: &dyn Runner,
    path: &StorePath,
) -> Result<Vec<ClosureEntry>, StoreError> {
    let elsewhere = !layout.is_live();
    match open(&layout.nix_db()) {
        // Asked of a root without a database, Nix would make an empty one there:
        // from then on, nothing of that store would count as there.
        Err(_) if elsewhere && std::fs::symlink_metadata(layout.nix_db()).is_err() => {
            Err(StoreError::NoDatabase)
        }
        Ok(db) => closure_in(&db, path)
            .map_err(|e| database(layout, e))?
            .ok_or_else(|| StoreError::Missing(path.to_absolute_path())),
        Err(_) => closure_from_nix(layout, runner, path),
    }
}

/// As [`closure`], without asking Nix, which takes its time: `None` where the
/// database may not be opened, or the path is not valid.
///
/// # Errors
/// When the database can be opened but not read.
pub fn closure_of_database(
    layout: &Layout,
    path: &StorePath,
) -> Result<Option<Vec<ClosureEntry>>, StoreError> {
    match open(&layout.nix_db()) {
        Ok(db) => closure_in(&db, path).map_err(|e| database(layout, e)),
        Err(_) => Ok(None),
    }
}

const CLOSURE: &str = "
    with recursive closure(id) as (
        select ?1
        union
        select Refs.reference from Refs join closure on Refs.referrer = closure.id
    )
    select path, coalesce(narSize, 0), ValidPaths.id in (select reference from Refs where referrer = ?1)
    from ValidPaths join closure using (id)";

fn closure_in(db: &Connection, path: &StorePath) -> rusqlite::Result<Option<Vec<ClosureEntry>>> {
    let Some(id) = id_of(db, path)? else {
        return Ok(None);
    };
    let mut statement = db.prepare(CLOSURE)?;
    let rows = statement.query_map(params![id], |row| {
        Ok((
            row.get::<_, String>(0)?,
            row.get::<_, i64>(1)?,
            row.get::<_, bool>(2)?,
        ))
    })?;
    let mut entries = Vec::new();
    for row in rows {
        let (path, size, direct) = row?;
        if let Ok(path) = StorePath::from_absolute_path(path.as_bytes()) {
            let nar_size = u64::try_from(size).unwrap_or(0);
            entries.push(ClosureEntry {
                path,
                nar_size,
                direct,
            });
        }
    }
    Ok(Some(entries))
}

fn closure_from_nix(
    layout: &Layout,
    runner: &dyn Runner,
    path: &StorePath,
) -> Result<Vec<ClosureEntry>, StoreError> {
    let ended = runner.check(&nix_cli::path_info(layout, path))?;
    let text = String::from_utf8_lossy(&ended.stdout);
    let infos = parse_path_infos(&text).map_err(StoreError::Answer)?.valid;
    let direct: Vec<String> = infos
        .iter()
        .find(|i| i.path == *path)
        .map(|i| {
            i.references
                .iter()
                .map(StorePath::to_absolute_path)
                .collect()
        })
        .unwrap_or_default();
    Ok(infos
        .into_iter()
        .map(|info| ClosureEntry {
            direct: direct.contains(&info.path.to_absolute_path()),
            nar_size: info.nar_size,
            path: info.path,
        })
        .collect())
}
