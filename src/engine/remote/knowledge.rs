//! What machines learned, through a remote.

use std::collections::BTreeMap;

use super::super::{Engine, EngineError, learn};
use super::list::Listing;
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
    // It needs a tree to hang on; any that is there will do.
    let tree = there.content.values().flatten().map(|s| &s.tree).next();
    let Some(tree) = tree else {
        return Ok(());
    };
    repo.note(&[Note {
        tag: parcel::KNOWLEDGE.to_owned(),
        host,
        time: engine.clock.now(),
        tree: tree.clone(),
        text,
    }])?;
    Ok(())
}

/// Takes what the machines of a remote learned; what cannot be believed is
/// passed over.
pub(super) fn take(engine: &Engine<'_>, there: &Listing) -> Result<usize, EngineError> {
    let now = engine.clock.now();
    let mut all: BTreeMap<Origin, Ledger> = BTreeMap::new();
    let own = pointers::host(engine.layout);
    for snapshot in there.knowledge.iter().filter(|s| s.host != own) {
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
