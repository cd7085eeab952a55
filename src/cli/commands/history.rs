//! `history`

use serde_json::json;

use super::super::Exit;
use super::super::args::History;
use super::super::failure::Failure;
use super::super::out::Items;
use super::super::session::Session;
use crate::engine::history;
use crate::render;

/// `history`
pub(super) fn history(s: &Session, args: &History) -> Result<Exit, Failure> {
    let engine = s.engine();
    let (mut switches, damaged) = history::history(&engine)?;
    // One that nobody has written down yet.
    if let Some(gap) = history::gap(&engine, &switches) {
        switches.insert(0, gap);
    }
    switches.truncate(args.last.unwrap_or(usize::MAX));
    let items = Items {
        items: &switches,
        other: json!({ "damaged": damaged }),
    };
    s.out.result("history", items, |style| {
        render::switch::list(&switches, style).into_bytes()
    })?;
    for damaged in &damaged {
        s.out.warn(damaged);
    }
    Ok(if damaged.is_empty() {
        Exit::Ok
    } else {
        Exit::Partial
    })
}
