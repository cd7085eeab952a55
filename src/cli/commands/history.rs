//! `history`

use serde_json::{Value, json};

use super::super::Exit;
use super::super::args::{History, Kinds};
use super::super::failure::Failure;
use super::super::out::Items;
use super::super::session::Session;
use crate::engine::{chronicle, history};
use crate::point::Switch;
use crate::point::event::{Event, Kind};
use crate::render;
use crate::system::history::Ask;
use crate::system::switches::KEPT;

/// `history`
pub(super) fn history(s: &Session, args: &History) -> Result<Exit, Failure> {
    if args.kinds == [Kinds::One(Kind::Switch)] {
        switches(s, args.last)
    } else {
        events(s, args)
    }
}

/// Switches, from their records, and those whose records are gone by now.
fn switches(s: &Session, last: Option<usize>) -> Result<Exit, Failure> {
    let engine = s.engine();
    let (mut switches, damaged) = history::history(&engine)?;
    let wanted = last.unwrap_or(usize::MAX);
    if switches.len() >= KEPT && wanted > switches.len() {
        let ask = Ask {
            kinds: vec![Kind::Switch],
            last,
        };
        let (events, notes) = chronicle::events(&engine, &ask)?;
        notes.iter().for_each(|note| s.out.warn(note));
        let oldest = switches.last().map(|s| s.id);
        let older = events.into_iter().filter_map(|event| {
            let switch: Switch = serde_json::from_value(event.data).ok()?;
            oldest
                .is_none_or(|oldest| switch.id < oldest)
                .then_some(switch)
        });
        switches.extend(older);
    }
    // One that nobody has written down yet.
    if let Some(gap) = history::gap(&engine, &switches) {
        switches.insert(0, gap);
    }
    switches.truncate(wanted);
    let items = Items {
        items: &switches,
        other: json!({ "damaged": damaged }),
    };
    s.out.result("history", items, |style| {
        render::switch::list(&switches, style).into_bytes()
    })?;
    ended(s, &damaged)
}

fn events(s: &Session, args: &History) -> Result<Exit, Failure> {
    let engine = s.engine();
    let mut kinds = Vec::new();
    for kind in &args.kinds {
        match kind {
            Kinds::One(kind) => kinds.push(*kind),
            Kinds::All => kinds.extend(Kind::ALL),
        }
    }
    let ask = Ask {
        kinds,
        last: args.last,
    };
    let (events, notes) = chronicle::events(&engine, &ask)?;
    let (_, damaged) = history::history(&engine)?;
    let items = Items {
        items: events.iter().map(item).collect::<Vec<_>>(),
        other: json!({ "damaged": damaged }),
    };
    s.out.result("history", items, |style| {
        render::event::list(&events, style).into_bytes()
    })?;
    notes.iter().for_each(|note| s.out.warn(note));
    ended(s, &damaged)
}

/// An event as `--json` prints it: a switch is its record, as it is among
/// switches alone.
fn item(event: &Event) -> Value {
    let mut item = match event.kind {
        Kind::Switch => event.data.clone(),
        _ => json!(event),
    };
    item["kind"] = event.kind.as_str().into();
    item
}

fn ended(s: &Session, damaged: &[String]) -> Result<Exit, Failure> {
    for damaged in damaged {
        s.out.warn(damaged);
    }
    Ok(if damaged.is_empty() {
        Exit::Ok
    } else {
        Exit::Partial
    })
}
