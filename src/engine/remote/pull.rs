//! Taking points in from a remote.
//!
//! What comes is somebody else's until it is whole: it is stored as an import
//! is, and what it holds is hashed here before the document is written.

use super::super::import::{self, Incoming};
use super::super::{Engine, EngineError, create};
use super::error::UNNAMED;
use super::list::{Kept, Listing, read};
use super::{Access, Remote, RemoteError, find, knowledge};
use crate::point::{Point, PointId};
use crate::system::lock::Mode;
use crate::system::points;
use crate::vault::{RecoveryPassword, Repo};

/// Which points to take in.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// The machine that took them; this one, when absent.
    pub host: Option<String>,
    /// The starts of their ids; the newest point, when there is none.
    pub ids: Vec<String>,
    /// All of that machine.
    pub all: bool,
}

/// A point that is here now.
#[derive(Debug)]
pub struct Pulled {
    /// The point, as it is kept here.
    pub point: Point,
    /// Whether it was here before.
    pub known: bool,
}

/// Takes points in, oldest first, and what other machines learned. Only looks
/// when `dry`.
///
/// # Errors
/// A remote that cannot be used; no such machine or point there; content that
/// is not whole: that point is not taken in then.
pub fn pull(
    engine: &Engine<'_>,
    access: &Access,
    wanted: &Wanted,
    dry: bool,
) -> Result<(Vec<Pulled>, Option<RecoveryPassword>), EngineError> {
    let remote = find(engine, access)?;
    let repo = remote.open(engine)?;
    let there = read(&repo)?;
    let chosen = choose(engine, &remote, &there, wanted)?;
    if dry {
        let pulled = chosen.into_iter().map(|kept| Pulled {
            known: points::exists(engine.layout, kept.parcel.point.id),
            point: kept.parcel.point.clone(),
        });
        return Ok((pulled.collect(), None));
    }
    points::prepare(engine.layout)?;
    create::clean_after_crash(engine)?;
    let _lock = engine.lock(Mode::Shared)?;
    let (mut pulled, mut recovery) = (Vec::new(), None);
    for kept in chosen {
        let (taken, made) = take(engine, &remote, &repo, &there, kept)?;
        pulled.push(taken);
        recovery = recovery.or(made);
    }
    // That is only of use: a history that cannot be written keeps no point away.
    if remote.terms.knowledge {
        let _ = knowledge::take(engine, &there);
    }
    Ok((pulled, recovery))
}

/// The points that are meant.
fn choose<'l>(
    engine: &Engine<'_>,
    remote: &Remote,
    there: &'l Listing,
    wanted: &Wanted,
) -> Result<Vec<&'l Kept>, EngineError> {
    let machine = crate::system::pointers::machine_id(engine.layout);
    let of_host: Vec<&Kept> = there
        .points
        .iter()
        .filter(|kept| match &wanted.host {
            Some(host) => kept.parcel.point.host == *host,
            None => super::rules::is_of(&kept.parcel.point, machine.as_deref(), engine),
        })
        .collect();
    if of_host.is_empty() {
        let mut known: Vec<String> = there
            .points
            .iter()
            .map(|kept| kept.parcel.point.host.clone())
            .collect();
        known.sort();
        known.dedup();
        return Err(RemoteError::NoSuchHost {
            name: remote.name.clone(),
            host: wanted
                .host
                .clone()
                .unwrap_or_else(|| crate::system::pointers::host(engine.layout)),
            known,
        }
        .into());
    }
    if wanted.all {
        return Ok(of_host);
    }
    if wanted.ids.is_empty() {
        return Ok(of_host.last().copied().into_iter().collect());
    }
    let no_such = |point: String| -> EngineError {
        RemoteError::NoSuchPoint {
            name: remote.name.clone(),
            host: of_host[0].parcel.point.host.clone(),
            point,
        }
        .into()
    };
    let mut chosen = Vec::new();
    for id in &wanted.ids {
        let mut named = of_host.iter().filter(|kept| {
            kept.parcel
                .point
                .id
                .to_string()
                .replace('-', "")
                .starts_with(&id.replace('-', ""))
        });
        match (named.next(), named.next()) {
            (Some(kept), None) => chosen.push(*kept),
            (None, _) => return Err(no_such(id.clone())),
            (Some(_), Some(_)) => return Err(no_such(format!("{id} (several begin so)"))),
        }
    }
    chosen.sort_by_key(|kept| kept.parcel.point.id);
    Ok(chosen)
}

fn not_whole(remote: &Remote, point: &str, what: String) -> EngineError {
    RemoteError::NotWhole {
        name: remote.name.clone(),
        point: point.to_owned(),
        what,
    }
    .into()
}

/// Takes one in.
fn take(
    engine: &Engine<'_>,
    remote: &Remote,
    repo: &Repo,
    there: &Listing,
    kept: &Kept,
) -> Result<(Pulled, Option<RecoveryPassword>), EngineError> {
    let point = &kept.parcel.point;
    let id: PointId = point.id;
    let short = id.short_among([]);
    import::plausible(point).map_err(|why| not_whole(remote, &short, why))?;
    let from = match &*remote.name {
        UNNAMED => remote.address.to_string(),
        name => format!("remote {name}"),
    };
    if let Some(known) = import::known(engine, point, &from)? {
        import::pin(engine, &known)?;
        return Ok((
            Pulled {
                point: known,
                known: true,
            },
            None,
        ));
    }
    let content = there.content.get(&id.to_string());
    let incoming = Incoming {
        repo,
        point,
        marks: &kept.parcel.marks,
        there: Some(kept.parcel.there.clone()),
        snapshots: content.map_or(&[], Vec::as_slice),
    };
    if let Some(what) = incoming.missing() {
        return Err(not_whole(remote, &short, format!("{what} is not there")));
    }
    let (point, recovery) = import::take_in(engine, &incoming).map_err(|error| match error {
        EngineError::NoWay(why) => not_whole(remote, &short, why),
        other => other,
    })?;
    Ok((
        Pulled {
            point,
            known: false,
        },
        recovery,
    ))
}
