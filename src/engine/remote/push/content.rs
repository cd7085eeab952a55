//! The content of points: copied, and looked for afterwards.

use super::super::list::Listing;
use crate::engine::{Engine, EngineError, Stores};
use crate::point::Point;
use crate::vault::{Repo, VaultError};

/// How often what is lacking is sent again, where somebody prunes meanwhile.
const ATTEMPTS: usize = 3;

/// Whether all content of a point is there, as far as snapshots tell.
pub(super) fn has_content(point: &Point, there: &Listing) -> bool {
    point.snapshots().all(|snapshot| there.holds(snapshot))
}

/// Copies the content of points, and looks that it is there.
pub(super) fn copy(
    engine: &Engine<'_>,
    stores: Option<&Stores>,
    points: &[&Point],
    to: &Repo,
    there: &Listing,
) -> Result<(), EngineError> {
    let config = points.iter().filter_map(|p| p.config.as_ref()?.snapshot());
    let state = points.iter().flat_map(|p| p.state.values());
    let state = state.filter_map(|set| set.snapshot());
    let (config, state): (Vec<&str>, Vec<&str>) = (config.collect(), state.collect());
    if config.is_empty() && state.is_empty() {
        return Ok(());
    }
    let stores = stores.ok_or(EngineError::NoStateVault)?;
    send_all(engine, stores.vault.config(), &config, to, there)?;
    if !state.is_empty() {
        let from = stores.state.as_ref().ok_or(EngineError::NoStateVault)?;
        send_all(engine, from, &state, to, there)?;
    }
    Ok(())
}

/// Sends snapshots until all of each is there. What an earlier push has sent,
/// and somebody has not removed since, is not sent again.
fn send_all(
    engine: &Engine<'_>,
    from: &Repo,
    snapshots: &[&str],
    to: &Repo,
    there: &Listing,
) -> Result<(), EngineError> {
    let (known, fresh): (Vec<&str>, Vec<&str>) = snapshots.iter().partition(|id| there.holds(id));
    let mut lacking: Vec<String> = fresh.into_iter().map(str::to_owned).collect();
    if !known.is_empty() {
        lacking.extend(from.lacks(to, &known)?);
    }
    for _ in 0..ATTEMPTS {
        if lacking.is_empty() {
            return Ok(());
        }
        engine.check_stop()?;
        let names: Vec<&str> = lacking.iter().map(String::as_str).collect();
        from.copy_all_to(to, &names)?;
        // Somebody may have pruned what the copies relied upon.
        lacking = from.lacks(to, &names)?;
    }
    match lacking.is_empty() {
        true => Ok(()),
        false => Err(EngineError::Vault(VaultError::Incomplete {
            operation: "copy the snapshots",
            repository: to.path().to_owned(),
            detail: "somebody else removes what is sent".to_owned(),
        })),
    }
}
