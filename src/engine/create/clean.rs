//! Cleaning away what dead processes left of points they were taking, and
//! making good what they owed.

use crate::engine::{Engine, EngineError, quiet};
use crate::point::PointId;
use crate::system::lock::Lock;
use crate::system::{pins, points};
use crate::vault::{Vault, VaultDir};

/// Makes good what is owed for a point that a dead process was taking, and
/// removes everything of it when it has no document; gives what could not be
/// made good.
pub(in crate::engine) fn discard(
    engine: &Engine<'_>,
    vault: &VaultDir,
    id: PointId,
) -> Result<Vec<String>, EngineError> {
    let settled = quiet::settle(engine, id)?;
    remove_all(engine, Some(vault), id, settled.paid)?;
    Ok(settled.troubles)
}

/// Removes everything of a point that has no document. Its marker goes once
/// nothing is owed any more: until then the next run tries again.
fn remove_all(
    engine: &Engine<'_>,
    vault: Option<&VaultDir>,
    id: PointId,
    paid: bool,
) -> Result<(), EngineError> {
    if !points::exists(engine.layout, id) {
        points::remove(engine.layout, id)?;
        pins::unpin(engine.layout, id)?;
        if let Some(vault) = vault {
            forget(vault.config(), id)?;
            if let Some(state) = vault.existing_state()? {
                forget(&state, id)?;
            }
        }
    }
    if paid {
        points::end(engine.layout, id)?;
    }
    Ok(())
}

/// Removes the snapshots of a point from one repository.
fn forget(vault: &dyn Vault, id: PointId) -> Result<(), EngineError> {
    let tag = id.to_string();
    let snapshots = vault.snapshots()?.good;
    let ours: Vec<String> = snapshots
        .into_iter()
        .filter(|s| s.tag == tag)
        .map(|s| s.id)
        .collect();
    let ours: Vec<&str> = ours.iter().map(String::as_str).collect();
    match vault.forget(&ours).failed.into_iter().next() {
        Some((_, error)) => Err(error.into()),
        None => Ok(()),
    }
}

/// Cleans away what dead processes left, when nobody else is at work; what is
/// not cleaned now is cleaned another time. Gives what of their doing could
/// not be made good.
pub(in crate::engine) fn clean_after_crash(
    engine: &Engine<'_>,
) -> Result<Vec<String>, EngineError> {
    if points::inflight(engine.layout)?.is_empty() {
        return Ok(Vec::new());
    }
    match Lock::try_alone(engine.layout.state())? {
        Some(lock) => clean_locked(engine, &lock).map(|cleaned| cleaned.troubles),
        None => Ok(Vec::new()),
    }
}

/// What was cleaned away.
#[derive(Debug, Default)]
pub(in crate::engine) struct Cleaned {
    /// Whether there was anything.
    pub(in crate::engine) any: bool,
    /// What could not be made good.
    pub(in crate::engine) troubles: Vec<String>,
}

/// Cleans away what dead processes left. Nobody else holds the lock.
pub(in crate::engine) fn clean_locked(
    engine: &Engine<'_>,
    _alone: &Lock,
) -> Result<Cleaned, EngineError> {
    points::sweep(engine.layout)?;
    let left = points::inflight(engine.layout)?;
    let mut cleaned = Cleaned::default();
    if left.is_empty() {
        return Ok(cleaned);
    }
    cleaned.any = true;
    // First what others wait for: that needs no vault.
    let mut settled = Vec::new();
    let mut unread = None;
    for id in left {
        match quiet::settle(engine, id) {
            Ok(done) => {
                cleaned.troubles.extend(done.troubles);
                settled.push((id, done.paid));
            }
            Err(error) => unread = Some(error),
        }
    }
    if let Some(error) = unread {
        return Err(error.into());
    }
    // Cleaning up is not work that is stopped half way.
    let vault = engine.existing_vault_unwatched()?;
    for (id, paid) in settled {
        remove_all(engine, vault.as_ref(), id, paid)?;
    }
    // What was stored for them takes space until now. A vault too damaged to
    // be pruned must not keep new points from being taken.
    if let Some(vault) = vault {
        let _ = vault.config().prune();
        if let Ok(Some(state)) = vault.existing_state() {
            let _ = state.prune();
        }
    }
    Ok(cleaned)
}
