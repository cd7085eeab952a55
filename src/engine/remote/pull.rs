//! Taking points in from a remote.
//!
//! What comes is somebody else's until it is whole: it is stored as an import
//! is, and what it holds is hashed here before the document is written.

use std::collections::BTreeMap;

use super::super::import::{self, Incoming};
use super::super::{Engine, EngineError, create};
use super::error::UNNAMED;
use super::list::{Kept, Listing, read};
use super::{Access, Remote, RemoteError, find, knowledge};
use crate::point::selector::{Here, SelectError};
use crate::point::{Marks, Point, PointId, Selector};
use crate::system::lock::Mode;
use crate::system::points;
use crate::vault::{RecoveryPassword, Repo, VaultError};

/// Which points to take in.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// The machine that took them; this one, when absent.
    pub host: Option<String>,
    /// What names them, as on this machine: starts of their ids, `latest~N`,
    /// `latest-good`; the newest point, when there is none.
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
    /// Whether it was, and what of it was lost is there again.
    pub mended: bool,
}

/// What a pull came to.
#[derive(Debug, Default)]
pub struct Taken {
    /// Points that are here now, oldest first.
    pub points: Vec<Pulled>,
    /// Points that could not be taken in, and why.
    pub failed: BTreeMap<PointId, String>,
    /// The vault's recovery password, when the vault was made just now.
    pub recovery: Option<RecoveryPassword>,
}

/// Takes points in, oldest first, and what other machines learned. Only looks
/// when `dry`.
///
/// # Errors
/// A remote that cannot be used; no such machine or point there; the only point
/// that is asked for is not whole: it is not taken in then.
pub fn pull(
    engine: &Engine<'_>,
    access: &Access,
    wanted: &Wanted,
    dry: bool,
) -> Result<Taken, EngineError> {
    let remote = find(engine, access)?;
    let repo = remote.open(engine)?;
    let there = read(&repo)?;
    let chosen = choose(engine, &remote, &there, wanted)?;
    if dry {
        let pulled = chosen.into_iter().map(|kept| Pulled {
            known: points::exists(engine.layout, kept.parcel.point.id),
            mended: false,
            point: kept.parcel.point.clone(),
        });
        return Ok(Taken {
            points: pulled.collect(),
            ..Taken::default()
        });
    }
    points::prepare(engine.layout)?;
    create::clean_after_crash(engine)?;
    let _lock = engine.lock(Mode::Shared)?;
    let mut taken = Taken::default();
    let many = chosen.len() > 1;
    for kept in chosen {
        match take(engine, &remote, &repo, &there, kept) {
            Ok((point, made)) => {
                taken.points.push(point);
                taken.recovery = taken.recovery.or(made);
            }
            // One that is not whole keeps no other away.
            Err(error @ EngineError::Remote(_)) if many => {
                taken.failed.insert(kept.parcel.point.id, error.to_string());
            }
            Err(error) => return Err(error),
        }
    }
    // That is only of use: a history that cannot be written keeps no point away.
    if remote.terms.knowledge {
        let _ = knowledge::take(engine, &there);
    }
    Ok(taken)
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
        let own = || crate::system::pointers::host(engine.layout);
        let host = wanted.host.clone().unwrap_or_else(own);
        return Err(there.no_such_host(Some(&remote.name), &host).into());
    }
    if wanted.all {
        return Ok(of_host);
    }
    let points: Vec<(Point, Marks)> = of_host
        .iter()
        .map(|kept| (kept.parcel.point.clone(), kept.parcel.marks.clone()))
        .collect();
    // What that machine once pulled back is its own there, too.
    let machine = points.last().and_then(|(p, _)| p.machine_id.clone());
    let find = |selector: &Selector| {
        let here = Here {
            machine: machine.as_deref(),
            ..Here::default()
        };
        let found = selector.resolve(&points, here)?;
        let kept = of_host.iter().find(|k| k.parcel.point.id == found.id);
        kept.copied()
            .ok_or_else(|| SelectError::NoSuch(selector.clone()))
    };
    if wanted.ids.is_empty() {
        // The newest that somebody meant to take, as everywhere.
        let newest = find(&Selector::Latest(0)).ok();
        return Ok(newest.or(of_host.last().copied()).into_iter().collect());
    }
    let no_such = |point: &str| -> EngineError {
        RemoteError::NoSuchPoint {
            name: remote.name.clone(),
            host: of_host[0].parcel.point.host.clone(),
            point: point.to_owned(),
        }
        .into()
    };
    let mut chosen = Vec::new();
    for id in &wanted.ids {
        let selector: Selector = id.parse().map_err(|_| no_such(id))?;
        chosen.push(find(&selector).map_err(|error| match error {
            SelectError::NoSuch(_) => no_such(id),
            other => other.into(),
        })?);
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
    let content = there.content.get(&id.to_string());
    let incoming = Incoming {
        repo,
        point,
        marks: &kept.parcel.marks,
        there: Some(kept.parcel.there.clone()),
        snapshots: content.map_or(&[], Vec::as_slice),
    };
    let mine = import::known(engine, point, &from)?;
    if mine.is_none()
        && let Some(what) = incoming.missing()
    {
        return Err(not_whole(remote, &short, format!("{what} is not there")));
    }
    let why = |error| match error {
        EngineError::NoWay(why) => not_whole(remote, &short, why),
        EngineError::Vault(VaultError::Damaged {
            repository, detail, ..
        }) if repository == repo.path() => not_whole(remote, &short, detail),
        other => other,
    };
    if let Some(mine) = mine {
        import::pin(engine, &mine)?;
        let (mended, recovery) = import::lost::bring_back(engine, &mine, &incoming).map_err(why)?;
        let pulled = Pulled {
            known: true,
            mended: mended.is_some(),
            point: mended.unwrap_or(mine),
        };
        return Ok((pulled, recovery));
    }
    let (point, recovery) = import::take_in(engine, &incoming).map_err(why)?;
    let pulled = Pulled {
        point,
        known: false,
        mended: false,
    };
    Ok((pulled, recovery))
}
