//! Looking into a point: a file, what is in a folder, where a link leads.

use std::io::Write;
use std::path::{Path, PathBuf};

use super::{Engine, EngineError, Stores, config, state};
use crate::point::Point;
use crate::point::document::StateSet;
use crate::vault::Entry;

/// What a point holds at a path.
pub struct Found {
    /// The entry itself; absent for a folder that only leads to a root.
    pub entry: Option<Entry>,
    /// What is in it, when it is a folder: names, and whether each is a
    /// folder itself.
    pub inside: Vec<(PathBuf, bool)>,
    stores: Stores,
    of_state: bool,
}

impl Found {
    /// Writes the content of a file out.
    ///
    /// # Errors
    /// When it cannot be read, or is no file.
    pub fn read(&self, out: &mut dyn Write) -> Result<(), EngineError> {
        let Some(entry) = &self.entry else {
            return Ok(());
        };
        match self.of_state {
            true => Ok(self.stores.state()?.read(entry, out)?),
            false => Ok(self.stores.config().read(entry, out)?),
        }
    }
}

/// Finds a path in the configuration or the state of a point.
///
/// # Errors
/// When the point has no such path, or the vault cannot be read.
pub fn find(engine: &Engine<'_>, point: &Point, path: &Path) -> Result<Found, EngineError> {
    if point.config.is_none() && point.state.is_empty() {
        return Err(EngineError::NotHeld {
            point: point.id.short_among([]),
            what: "files",
        });
    }
    let stores = engine.stores()?;
    let mut all: Vec<PathBuf> = Vec::new();
    let mut look = |entries: Vec<Entry>| {
        let is_it = |e: &&Entry| e.path == path;
        let entry = entries.iter().find(is_it).cloned();
        let below = entries.iter().filter(|e| e.path.starts_with(path));
        let mut inside: Vec<(PathBuf, bool)> = below
            .filter_map(|e| {
                let rest = e.path.strip_prefix(path).ok()?;
                let mut parts = rest.components();
                let name = Path::new(parts.next()?.as_os_str()).to_owned();
                let deeper = parts.next().is_some();
                Some((name, deeper || e.kind == crate::vault::EntryKind::Dir))
            })
            .collect();
        inside.sort();
        inside.dedup();
        all.extend(entries.into_iter().map(|e| e.path));
        (entry, inside)
    };
    let mut found = None;
    let mut leads = Vec::new();
    if let Some(config) = &point.config {
        let (entry, inside) = look(config::stored(&stores.vault, config)?);
        match entry {
            Some(entry) => found = Some((entry, inside, false)),
            None => leads.extend(inside),
        }
    }
    let near = |set: &&StateSet| {
        let roots = set.roots.iter().map(|r| &r.path.0);
        roots
            .into_iter()
            .any(|r| path.starts_with(r) || r.starts_with(path))
    };
    if found.is_none() {
        for set in point.state.values().filter(near) {
            let (entry, inside) = look(state::stored(&stores, set)?);
            match entry {
                Some(entry) => found = Some((entry, inside, true)),
                None => leads.extend(inside),
            }
        }
    }
    leads.sort();
    leads.dedup();
    match found {
        Some((entry, inside, of_state)) => Ok(Found {
            entry: Some(entry),
            inside,
            stores,
            of_state,
        }),
        None if !leads.is_empty() => Ok(Found {
            entry: None,
            inside: leads,
            stores,
            of_state: false,
        }),
        None => Err(EngineError::not_in_point(point, path, all.iter())),
    }
}
