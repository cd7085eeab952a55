//! Bringing back what a point that is here has lost, from a copy of it.

use std::collections::BTreeSet;

use super::Incoming;
use super::content::same;
use crate::engine::{Engine, EngineError};
use crate::point::Point;
use crate::system::points;
use crate::vault::{Repo, Vault};

/// Copies what `point` has lost of its content from what comes; gives the point
/// as it is then, or nothing where it had lost nothing. What it has is left alone.
///
/// # Errors
/// [`EngineError::NoWay`] when what comes is not what was lost; what the system
/// says. The point is as it was then.
pub(in crate::engine) fn bring_back(
    engine: &Engine<'_>,
    point: &Point,
    incoming: &Incoming<'_>,
) -> Result<Option<Point>, EngineError> {
    let mut marks = points::read_marks(engine.layout, point.id)?;
    let doubted = marks.damaged.is_some();
    let vault = engine.open_or_make_vault()?.vault;
    let mut whole = point.clone();
    if let Some(config) = &mut whole.config {
        let to = vault.config();
        let what = "the configuration";
        if is_lost(to, &config.snapshot, doubted.then_some(&config.hash))? {
            config.snapshot = incoming.copy(to, &config.tree, &config.hash, what)?;
        }
    }
    if !whole.state.is_empty() {
        let state = vault.state()?;
        for (name, set) in &mut whole.state {
            if is_lost(&state, &set.snapshot, doubted.then_some(&set.hash))? {
                let what = format!("state {}", name.escape_default());
                set.snapshot = incoming.copy(&state, &set.tree, &set.hash, &what)?;
            }
        }
    }
    if whole == *point && !doubted {
        return Ok(None);
    }
    points::store(engine.layout, &whole)?;
    marks.damaged = None;
    points::store_marks(engine.layout, point.id, &marks)?;
    Ok(Some(whole))
}

/// Whether a part that was held is there no more; or, where that is doubted, is
/// not what its `hash` says.
fn is_lost(repo: &Repo, snapshot: &str, hash: Option<&String>) -> Result<bool, EngineError> {
    if snapshot.is_empty() {
        return Ok(false);
    }
    let there = repo.snapshots()?.good;
    let there: BTreeSet<&str> = there.iter().map(|found| found.id.as_str()).collect();
    let spoilt = |hash| same(repo, snapshot, hash, "it").is_err();
    Ok(!there.contains(snapshot) || hash.is_some_and(|hash| spoilt(hash)))
}
