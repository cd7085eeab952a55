//! Bringing back what a point that is here has lost, from a copy of it.

use super::Incoming;
use super::content::{same, whole};
use crate::engine::{Engine, EngineError};
use crate::point::Point;
use crate::system::points;
use crate::vault::{Opened, RecoveryPassword, Repo};

/// Copies what `point` has lost of its content from what comes; gives the point
/// as it is then, or nothing where it had lost nothing, and the vault's recovery
/// password, when the vault was made just now. What it has is left alone.
///
/// # Errors
/// [`EngineError::NoWay`] when what was lost did not come, or as something else;
/// what the system says. The point is as it was then.
pub(in crate::engine) fn bring_back(
    engine: &Engine<'_>,
    point: &Point,
    incoming: &Incoming<'_>,
) -> Result<(Option<Point>, Option<RecoveryPassword>), EngineError> {
    let mut marks = points::read_marks(engine.layout, point.id)?;
    let doubted = marks.damaged.is_some();
    let Opened { vault, recovery } = engine.open_or_make_vault()?;
    let mut mended = point.clone();
    let mend = |to: &Repo, snapshot: &mut String, tree: &str, hash: &str, what: &str| {
        if is_lost(to, snapshot, doubted.then_some(hash))? {
            let copied = incoming.copy(to, tree, hash, what)?;
            *snapshot =
                copied.ok_or_else(|| EngineError::NoWay(format!("{what} is not there either")))?;
        }
        Ok::<_, EngineError>(())
    };
    if let Some(config) = &mut mended.config {
        let what = "the configuration";
        let to = vault.config();
        mend(to, &mut config.snapshot, &config.tree, &config.hash, what)?;
    }
    if !mended.state.is_empty() {
        let to = vault.state()?;
        for (name, set) in &mut mended.state {
            let what = format!("state {}", name.escape_default());
            mend(&to, &mut set.snapshot, &set.tree, &set.hash, &what)?;
        }
    }
    if mended == *point && !doubted {
        return Ok((None, recovery));
    }
    points::store(engine.layout, &mended)?;
    marks.damaged = None;
    points::store_marks(engine.layout, point.id, &marks)?;
    Ok((Some(mended), recovery))
}

/// Whether a part that was held is there no more; or, where that is doubted, is
/// not what its `hash` says.
fn is_lost(repo: &Repo, snapshot: &str, hash: Option<&str>) -> Result<bool, EngineError> {
    if snapshot.is_empty() {
        return Ok(false);
    }
    let spoilt =
        |hash| whole(repo, snapshot, "it").is_err() || same(repo, snapshot, hash, "it").is_err();
    Ok(!repo.holds_snapshot(snapshot)? || hash.is_some_and(spoilt))
}
