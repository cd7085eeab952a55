//! What is on a remote.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};

use super::super::{Engine, EngineError};
use super::error::UNNAMED;
use super::{Access, RemoteError, find};
use crate::point::PointId;
use crate::point::parcel::{self, Parcel};
use crate::vault::{Repo, SnapshotInfo, Vault};

/// A point on a remote.
#[derive(Clone, Debug)]
pub struct Kept {
    /// What is known of it.
    pub parcel: Parcel,
    /// The snapshot that is its newest parcel.
    pub snapshot: String,
    /// When that was sent, by the clock of the machine that sent it.
    pub time: DateTime<Utc>,
    /// The parcels before that.
    pub older: Vec<String>,
}

/// All that is on a remote.
#[derive(Debug, Default)]
pub struct Listing {
    /// Points, oldest first.
    pub points: Vec<Kept>,
    /// The snapshots of content, by the point they are of.
    pub content: BTreeMap<String, Vec<SnapshotInfo>>,
    /// What machines learned: the newest of each.
    pub knowledge: Vec<SnapshotInfo>,
    /// What they had learned before that.
    pub outdated: Vec<SnapshotInfo>,
    /// Parcels and snapshots that cannot be read, one line each.
    pub damaged: Vec<String>,
    /// The originals of all content that is there.
    originals: BTreeSet<String>,
}

impl Listing {
    /// Whether the content of a snapshot, by its id where it was made, is there.
    pub fn holds(&self, snapshot: &str) -> bool {
        self.originals.contains(snapshot)
    }

    /// Told where nothing is of a machine.
    pub fn no_such_host(&self, remote: Option<&str>, host: &str) -> RemoteError {
        let hosts = self.points.iter().map(|kept| &kept.parcel.point.host);
        let known: BTreeSet<&String> = hosts.collect();
        RemoteError::NoSuchHost {
            name: remote.unwrap_or(UNNAMED).to_owned(),
            host: host.to_owned(),
            known: known.into_iter().cloned().collect(),
        }
    }

    /// A point of these.
    pub fn point(&self, id: PointId) -> Option<&Kept> {
        let place = |kept: &Kept| kept.parcel.point.id;
        let at = self.points.binary_search_by_key(&id, place).ok()?;
        self.points.get(at)
    }
}

/// Reads what is on a remote. Small files that were read before are not read
/// again.
pub(super) fn read(repo: &Repo) -> Result<Listing, EngineError> {
    let found = repo.snapshots()?;
    let mut listing = Listing::default();
    for damaged in found.damaged {
        listing
            .damaged
            .push(format!("snapshot {}: {}", &damaged.id[..8], damaged.reason));
    }
    let mut newest: BTreeMap<PointId, Kept> = BTreeMap::new();
    let mut learned: BTreeMap<String, SnapshotInfo> = BTreeMap::new();
    // Oldest first: what comes later is newer.
    for snapshot in found.good {
        match snapshot.tag.as_str() {
            parcel::TAG => match Parcel::parse(snapshot.description.as_deref().unwrap_or("")) {
                Ok(parcel) => {
                    let kept = newest.entry(parcel.point.id).or_insert_with(|| Kept {
                        parcel: parcel.clone(),
                        snapshot: String::new(),
                        time: snapshot.time,
                        older: Vec::new(),
                    });
                    let before = std::mem::replace(&mut kept.snapshot, snapshot.id);
                    kept.older.extend(Some(before).filter(|id| !id.is_empty()));
                    kept.time = snapshot.time;
                    kept.parcel = parcel;
                }
                Err(error) => {
                    let line = format!("snapshot {}: {error}", &snapshot.id[..8]);
                    listing.damaged.push(line);
                }
            },
            parcel::KNOWLEDGE => {
                let before = learned.insert(snapshot.host.clone(), snapshot);
                listing.outdated.extend(before);
            }
            tag => {
                listing.originals.extend(snapshot.original.clone());
                let of_point = listing.content.entry(tag.to_owned()).or_default();
                of_point.push(snapshot);
            }
        }
    }
    listing.points = newest.into_values().collect();
    listing.points.sort_by_key(|kept| kept.parcel.point.id);
    listing.knowledge = learned.into_values().collect();
    Ok(listing)
}

/// What is on a remote.
///
/// # Errors
/// When it cannot be reached, opened or listed.
pub fn list(engine: &Engine<'_>, access: &Access) -> Result<Listing, EngineError> {
    let repo = find(engine, access)?.open(engine)?;
    read(&repo)
}
