//! Saying of a point that it is good, bad, or to be kept.

use super::{Engine, EngineError};
use crate::point::marks::{Marks, Note, Verdict};
use crate::point::{Point, Selector};
use crate::system::lock::Mode;
use crate::system::points;

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
