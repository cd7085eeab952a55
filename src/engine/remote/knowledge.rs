//! What machines learned, through a remote.

use std::collections::BTreeMap;

use super::super::{Engine, EngineError, learn};
use super::list::Listing;
use super::push::{after, nothing};
use crate::learn::{Ledger, Origin, share};
use crate::point::parcel;
use crate::system::pointers;
use crate::vault::{Note, Repo};

/// Sends what this machine learned, where that is news, and takes what others
/// have told.
pub(super) fn tell(engine: &Engine<'_>, repo: &Repo, there: &Listing) -> Result<(), EngineError> {
    take(engine, there)?;
    let text = learn::told(engine)?;
    let host = pointers::host(engine.layout);
    let known = there.knowledge.iter().find(|s| s.host == host);
    if known.and_then(|s| s.description.as_deref()) == Some(&*text) {
        return Ok(());
    }
    let now = engine.clock.now();
    let bare = there.content.get(parcel::BARE);
    let tree = match bare.and_then(|bare| bare.first()) {
        Some(bare) => bare.tree.clone(),
        None => nothing(repo, parcel::BARE, &host, now)?,
    };
    repo.note(&[Note {
        tag: parcel::KNOWLEDGE.to_owned(),
        host,
        time: after(now, known.map(|s| s.time)),
        tree,
        text,
    }])?;
    Ok(())
}

/// Takes what the machines of a remote learned; what cannot be believed is
/// passed over.
pub(super) fn take(engine: &Engine<'_>, there: &Listing) -> Result<usize, EngineError> {
    let now = engine.clock.now();
    let mut all: BTreeMap<Origin, Ledger> = BTreeMap::new();
    // One of our own name is perhaps another's; our own is passed over anyway.
    for snapshot in &there.knowledge {
        if let Some(text) = &snapshot.description
            && let Ok(told) = share::read(text, now)
        {
            all.extend(told);
        }
    }
    match all.is_empty() {
        true => Ok(0),
        false => learn::take(engine, &all),
    }
}
