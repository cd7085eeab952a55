//! What is noted of a point beside its content: from then on it is there.

use std::collections::BTreeSet;

use chrono::{DateTime, TimeDelta, Utc};

use super::super::list::Listing;
use crate::engine::{Engine, EngineError, Stores};
use crate::point::document::RootKind;
use crate::point::parcel::{self, Owners, Parcel, There};
use crate::point::{Marks, Point};
use crate::system::{accounts, pointers, toplevel};
use crate::vault::{ComposeRequest, Composed, Entry, EntryKind, Note, Repo, Timestamp, Vault};

/// Notes points: from now on they are there.
pub(super) fn note(
    engine: &Engine<'_>,
    stores: Option<&Stores>,
    batch: &[(&Point, &Marks, bool)],
    repo: &Repo,
    there: &Listing,
) -> Result<(), EngineError> {
    let mut notes = Vec::new();
    for (point, marks, _) in batch {
        let tree = match tree_of(point) {
            Some(tree) => tree,
            // One that holds nothing but a system.
            None => nothing(repo, &point.id.to_string(), &point.host, point.created)?,
        };
        let parcel = Parcel {
            point: (*point).clone(),
            marks: (*marks).clone(),
            there: There {
                owners: owners(engine, stores, point)?,
                platform: toplevel::platform(engine.layout),
            },
        };
        let text = parcel.to_text();
        notes.push(Note {
            tag: parcel::TAG.to_owned(),
            host: point.host.clone(),
            time: after(engine.clock.now(), there.point(point.id).map(|k| k.time)),
            tree,
            text: text.map_err(|e| EngineError::Document(e.into()))?,
        });
    }
    Ok(repo.note(&notes)?)
}

/// Now, or just after what is there already and would else seem newer: a clock
/// that was ahead when it was sent.
pub(in crate::engine::remote) fn after(
    now: DateTime<Utc>,
    before: Option<DateTime<Utc>>,
) -> DateTime<Utc> {
    let next = before.and_then(|at| at.checked_add_signed(TimeDelta::milliseconds(1)));
    next.map_or(now, |next| next.max(now))
}

/// A tree of the point's that is there.
fn tree_of(point: &Point) -> Option<String> {
    let config = point.config.iter().filter(|c| c.snapshot().is_some());
    let state = point.state.values().filter(|s| s.snapshot().is_some());
    let mut trees = config.map(|c| &c.tree).chain(state.map(|s| &s.tree));
    trees.next().cloned()
}

/// Stores a tree that holds nothing.
pub(in crate::engine::remote) fn nothing(
    repo: &Repo,
    tag: &str,
    host: &str,
    time: DateTime<Utc>,
) -> Result<String, EngineError> {
    let entry = Entry {
        path: "/cairn".into(),
        kind: EntryKind::Dir,
        mode: 0o700,
        uid: 0,
        gid: 0,
        mtime: Timestamp::default(),
        xattrs: Vec::new(),
        hardlink: None,
    };
    let stored = repo.compose(&ComposeRequest {
        tag: tag.to_owned(),
        host: host.to_owned(),
        time,
        entries: vec![Composed { entry, bytes: None }],
    })?;
    Ok(stored.tree)
}

/// Stores the tree that holds nothing again, where notes rest on it and it is lost.
pub(super) fn nothing_again(
    engine: &Engine<'_>,
    ours: &[(Point, Marks)],
    repo: &Repo,
    there: &Listing,
) -> Result<(), EngineError> {
    let bare = ours.iter().filter(|(point, _)| tree_of(point).is_none());
    let tags = bare.map(|(point, _)| point.id.to_string());
    let tags = tags.chain([parcel::BARE.to_owned()]);
    let mut trees = tags.filter_map(|tag| there.content.get(&tag)?.first());
    let Some(known) = trees.next() else {
        return Ok(());
    };
    if !repo.holds_tree(&known.tree)? {
        let host = pointers::host(engine.layout);
        nothing(repo, parcel::BARE, &host, engine.clock.now())?;
    }
    Ok(())
}

/// The names of those who own the point's state here.
fn owners(
    engine: &Engine<'_>,
    stores: Option<&Stores>,
    point: &Point,
) -> Result<Owners, EngineError> {
    let mut owners = Owners::default();
    let held = point.state.values().filter(|set| {
        let present = set.roots.iter().any(|r| r.kind != RootKind::Absent);
        present && set.snapshot().is_some()
    });
    let (mut users, mut groups) = (BTreeSet::new(), BTreeSet::new());
    for set in held {
        let (Some(stores), Some(snapshot)) = (stores, set.snapshot()) else {
            continue;
        };
        for entry in stores.state()?.entries(snapshot)? {
            users.insert(entry.uid);
            groups.insert(entry.gid);
        }
    }
    if !users.is_empty() {
        let known = accounts::read(engine.layout);
        owners.users = known
            .users
            .into_iter()
            .filter(|(id, _)| users.contains(id))
            .collect();
        owners.groups = known
            .groups
            .into_iter()
            .filter(|(id, _)| groups.contains(id))
            .collect();
    }
    Ok(owners)
}
