//! Saying of a point that it is good, bad, or to be kept.

use super::{Engine, EngineError};
use crate::nix::store_path::StorePath;
use crate::point::marks::{Marks, Note, Verdict};
use crate::point::{Point, PointId, Selector};
use crate::system::lock::Mode;
use crate::system::{known_good, points};

/// What is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Say {
    /// Its system is known to work.
    Good,
    /// Its system is known not to.
    Bad,
    /// Prune never takes it.
    Pin,
    /// Prune may take it again.
    Unpin,
}

/// Marks a point; the mark is read back before this returns.
///
/// # Errors
/// No such point, or the mark cannot be written.
pub fn say(
    engine: &Engine<'_>,
    selector: &Selector,
    say: Say,
    reason: Option<String>,
) -> Result<(Point, Marks), EngineError> {
    let _lock = engine.lock(Mode::Exclusive)?;
    let point = engine.select(selector)?;
    let mut marks = points::read_marks(engine.layout, point.id)?;
    let note = Note {
        at: engine.clock.now(),
        reason,
    };
    match say {
        Say::Good => marks.verdict = Some(Verdict { good: true, note }),
        Say::Bad => marks.verdict = Some(Verdict { good: false, note }),
        Say::Pin => marks.pinned = Some(note),
        Say::Unpin => marks.pinned = None,
    }
    points::store_marks(engine.layout, point.id, &marks)?;
    Ok((point, marks))
}

/// Notes that a system failed its gate, and so did what the undo point of its
/// way back holds: neither is anything to go back to.
///
/// # Errors
/// When that cannot be written.
pub(super) fn distrust(
    engine: &Engine<'_>,
    system: &StorePath,
    undo: Option<PointId>,
    reasons: &[String],
) -> Result<(), EngineError> {
    known_good::unmark(engine.layout, system)?;
    let Some(undo) = undo else { return Ok(()) };
    let mut marks = points::read_marks(engine.layout, undo)?;
    let note = Note {
        at: engine.clock.now(),
        reason: Some(reasons.join("; ")).filter(|reason| !reason.is_empty()),
    };
    marks.verdict = Some(Verdict { good: false, note });
    Ok(points::store_marks(engine.layout, undo, &marks)?)
}
