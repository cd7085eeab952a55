//! Version markers of databases in state that would change.
//!
//! Going back to older programs does not take the migrations of their data
//! back, and the other way round: a database whose format is another release's
//! may not be opened by the program that comes with it.

use super::apply::{Part, RootPlan};
use super::{Engine, EngineError, Stores};
use crate::point::path::printable;
use crate::system::tree;
use crate::vault::{Entry, EntryKind};

/// Files that name the format of what they lie beside.
const MARKERS: &[&str] = &["PG_VERSION"];

/// Longest marker that is read, in bytes.
const MAX_BYTES: u64 = 256;

/// One line for each marker at the top of a root that says something else now
/// than in the point.
pub(super) fn warnings(
    engine: &Engine<'_>,
    stores: &Stores,
    roots: &[RootPlan],
) -> Result<Vec<String>, EngineError> {
    let mut warnings = Vec::new();
    for root in roots.iter().filter(|r| r.part != Part::Config) {
        for change in &root.changes {
            let is_marker = |name: &str| change.path.ends_with(name);
            let at_top = change.path.components().count() == 2;
            if !at_top || !MARKERS.iter().any(|name| is_marker(name)) {
                continue;
            }
            let path = root.base.join(&change.path);
            let then = match root.entry(&change.path) {
                Some(entry) => stored(stores, entry)?,
                None => None,
            };
            let now = tree::read_small(&engine.layout.real(&path), MAX_BYTES)?;
            if then != now {
                warnings.push(format!(
                    "{} says {} now and {} in the point: the program that opens it must be \
                     of that release",
                    printable(&path),
                    said(now),
                    said(then)
                ));
            }
        }
    }
    Ok(warnings)
}

fn said(text: Option<Vec<u8>>) -> String {
    text.map_or_else(
        || "nothing".to_owned(),
        |text| String::from_utf8_lossy(&text).trim().to_owned(),
    )
}

fn stored(stores: &Stores, entry: &Entry) -> Result<Option<Vec<u8>>, EngineError> {
    match entry.kind {
        EntryKind::File { size, .. } if size <= MAX_BYTES => {
            let mut text = Vec::new();
            stores.state()?.read(entry, &mut text)?;
            Ok(Some(text))
        }
        _ => Ok(None),
    }
}
