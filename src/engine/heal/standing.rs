//! How healing stands, for `status`: what was done last, what is waited for,
//! what was cut off. Read from the book alone.

use super::super::Engine;
use crate::heal::{Standing, Waiting, hold};
use crate::point::Issue;
use crate::system::{healing, switches};

/// How healing stands; `None` where nothing was healed in the last week.
///
/// # Errors
/// Why the book cannot be read, in one line.
pub fn standing(engine: &Engine<'_>, issues: &[Issue]) -> Result<Option<Standing>, String> {
    let (book, damaged) = healing::read(engine.layout).map_err(|error| error.to_string())?;
    if let Some(damaged) = damaged {
        return Err(damaged);
    }
    let last = book.last();
    let open = book.open.as_ref();
    if last.is_none() && open.is_none() {
        return Ok(None);
    }
    let (now, boot) = (engine.clock.now(), switches::boot_id());
    let waiting = issues.iter().filter_map(|issue| {
        let held = hold(issue, &book, &engine.policy.heal, &boot, false, now)?;
        Some(Waiting {
            issue: issue.clone(),
            until: held.until()?,
            why: held.words(now),
        })
    });
    let cut_off = open
        .filter(|_| !healing::is_busy(engine.layout))
        .map(|open| format!("{} against {}", open.action, open.issue));
    Ok(Some(Standing {
        at: last.and_then(|(_, one)| one.ended),
        issue: last.map(|(issue, _)| issue.clone()),
        action: last.map(|(_, one)| one.action),
        verdict: last.and_then(|(_, one)| one.verdict),
        interrupted: last.is_some_and(|(_, one)| one.interrupted),
        cut_off,
        waiting: waiting.collect(),
    }))
}
