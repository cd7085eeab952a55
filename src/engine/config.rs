//! The configuration on its own: browse what points hold of it.

use super::{Engine, EngineError};
use crate::point::Point;
use crate::point::document::Config;
use crate::vault::{Entry, Vault, VaultDir};

/// Everything a captured configuration holds; nothing when no root was there.
pub(super) fn stored(vault: &VaultDir, config: &Config) -> Result<Vec<Entry>, EngineError> {
    match config.snapshot() {
        Some(snapshot) => Ok(vault.config().entries(snapshot)?),
        None => Ok(Vec::new()),
    }
}

/// What a point holds of the configuration, by path.
///
/// # Errors
/// When it holds none, or the vault cannot be read.
pub fn entries(engine: &Engine<'_>, point: &Point) -> Result<Vec<Entry>, EngineError> {
    let config = point.config.as_ref().ok_or_else(|| EngineError::NotHeld {
        point: point.id.short_among([]),
        what: "configuration",
    })?;
    let roots: Vec<_> = config.roots.iter().map(|r| r.path.as_path()).collect();
    let mut entries = stored(&engine.vault()?, config)?;
    entries.retain(|e| roots.iter().any(|r| e.path.starts_with(r)));
    Ok(entries)
}
