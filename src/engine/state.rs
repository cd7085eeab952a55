//! State sets: which a point takes, and taking them.
//!
//! State is captured while it is held still ([`super::quiet`]), into a
//! repository of its own. A set that cannot be read whole never stops the rest
//! of a point: it makes it partial.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use chrono::{DateTime, Utc};

use super::create::own_state;
use super::progress::Task;
use super::quiet::{self, Quiet, Reach};
use super::{Engine, EngineError, Stores, versions};
use crate::plan::capture::left_out;
use crate::point::document::{ConfigRoot, Missing, RootKind, StateSet};
use crate::point::{BytePath, Point, PointId, policy};
use crate::system::follow::{self, Root, Sources};
use crate::system::ours::is_ours;
use crate::system::{Layout, pointers, services};
use crate::vault::{
    CaptureRequest, CaptureRoot, Captured, Entry, OnUnreadable, Vault, VaultDir, VaultError,
};

/// One set to be captured.
#[derive(Clone, Debug, Default)]
pub struct Source {
    /// Its name.
    pub name: String,
    /// Files and folders: logical paths.
    pub paths: Vec<PathBuf>,
    /// What of them is left out.
    pub exclude: Vec<PathBuf>,
    /// What runs before the capture.
    pub before: Option<Vec<String>>,
    /// What runs after it.
    pub after: Option<Vec<String>>,
    /// Units that own it.
    pub units: Vec<String>,
    /// Whether it is read from a snapshot of its filesystem.
    pub snapshot: policy::Snapshot,
    /// What says the version of its program.
    pub version: Option<Vec<String>>,
    /// How long each of its commands may take.
    pub timeout: Duration,
}

impl Source {
    /// As the policy has it; `None` when the policy has no set of this name.
    pub fn of_policy(engine: &Engine<'_>, name: &str) -> Option<Self> {
        let set = engine.policy.state.get(name)?;
        Some(Self {
            name: name.to_owned(),
            paths: set.paths.clone(),
            exclude: left_out(engine.policy, name),
            before: set.before.clone().filter(|c| !c.is_empty()),
            after: set.after.clone().filter(|c| !c.is_empty()),
            units: set.units.clone(),
            snapshot: set.snapshot,
            version: set.version.clone().filter(|c| !c.is_empty()),
            timeout: set.timeout.duration(),
        })
    }

    /// As a point has it, so that what it will bring back is all captured; how
    /// it is held still is the policy's of today, and the point's.
    pub(super) fn of_point(engine: &Engine<'_>, name: &str, set: &StateSet) -> Self {
        let today = Self::of_policy(engine, name).unwrap_or_default();
        let paths = |paths: &[BytePath]| paths.iter().map(|p| p.0.clone()).collect();
        Self {
            name: name.to_owned(),
            paths: set.roots.iter().map(|r| r.path.0.clone()).collect(),
            exclude: paths(&set.excluded),
            units: owners(engine, name, set),
            ..today
        }
    }
}

/// Units that own a captured set: those of today, and those of then.
pub(super) fn owners(engine: &Engine<'_>, name: &str, set: &StateSet) -> Vec<String> {
    let today = engine.policy.state.get(name).map(|s| s.units.as_slice());
    let mut units = today.unwrap_or_default().to_vec();
    for unit in &set.units {
        if !units.contains(unit) {
            units.push(unit.clone());
        }
    }
    units
}

/// What was captured of the sets that were asked for.
#[derive(Debug, Default)]
pub(super) struct Taken {
    /// The sets, by name.
    pub(super) sets: BTreeMap<String, StateSet>,
    /// What could not be captured.
    pub(super) missing: Vec<Missing>,
    /// Worth knowing.
    pub(super) warnings: Vec<String>,
    /// What was not made good after a capture.
    pub(super) troubles: Vec<String>,
    /// Whether a capture may have left content behind that no snapshot names.
    pub(super) leftovers: bool,
}

/// Captures sets into the state repository.
///
/// # Errors
/// Only when it is to stop; what cannot be captured is told in [`Taken`].
pub(super) fn capture(
    engine: &Engine<'_>,
    vault: &VaultDir,
    sources: &[Source],
    id: PointId,
    time: DateTime<Utc>,
    hold: bool,
) -> Result<Taken, EngineError> {
    let mut taken = Taken::default();
    if sources.is_empty() {
        return Ok(taken);
    }
    let parents = earlier(engine);
    let mut quiet = Quiet::new(engine, id, hold);
    for source in sources {
        let named = |t: String| format!("state {}: {t}", source.name);
        let version = versions::asked(engine, source).unwrap_or_else(|why| {
            taken.warnings.push(named(why));
            None
        });
        let reading = Reading {
            vault,
            id,
            time,
            parent: parents.get(&source.name),
        };
        let (captured, held) = one(engine, &mut quiet, source, &reading);
        taken.troubles.extend(held.troubles.into_iter().map(named));
        taken.warnings.extend(held.warnings.into_iter().map(named));
        taken.leftovers |= held.leftovers;
        // Whatever it says is then of no interest.
        engine.check_stop()?;
        let first = || source.paths.first().cloned().unwrap_or_default();
        match captured {
            Ok(Ok((set, missing))) => {
                taken.missing.extend(missing);
                let consistency = held.how;
                let set = StateSet {
                    consistency,
                    version,
                    ..set
                };
                taken.sets.insert(source.name.clone(), set);
            }
            Ok(Err(error)) => {
                taken.leftovers |= matches!(&error, EngineError::Vault(e) if e.is_no_space());
                taken.missing.push(Missing {
                    what: culprit(engine.layout, &error).unwrap_or_else(first).into(),
                    why: named(error.to_string()),
                });
            }
            Err(why) => taken.missing.push(Missing {
                what: first().into(),
                why: named(why),
            }),
        }
        if quiet::is_live(engine) && !source.units.is_empty() && !services::present(engine.layout) {
            taken.warnings.push(format!(
                "state {}: its units were not stopped: there is no systemd here",
                source.name
            ));
        }
    }
    Ok(taken)
}

/// The file that stopped a capture, as a logical path.
fn culprit(layout: &Layout, error: &EngineError) -> Option<PathBuf> {
    let path = match error {
        EngineError::Vault(VaultError::Changed { path, .. }) => path,
        EngineError::Vault(VaultError::Unsupported { path, .. }) => path,
        _ => return None,
    };
    let below = path.strip_prefix(layout.root()).ok()?;
    Some(Path::new("/").join(below))
}

/// The newest snapshot of each set: files that have not changed since are not
/// read again.
fn earlier(engine: &Engine<'_>) -> BTreeMap<String, String> {
    let mut newest = BTreeMap::new();
    // Without it a capture takes longer, and that is all.
    for (point, _) in engine.catalogue().unwrap_or_default().points {
        if point.imported.is_some() {
            continue;
        }
        for (name, set) in point.state {
            if !set.snapshot.is_empty() {
                newest.insert(name, set.snapshot);
            }
        }
    }
    newest
}

/// Where captured state goes.
struct Reading<'a> {
    vault: &'a VaultDir,
    id: PointId,
    time: DateTime<Utc>,
    parent: Option<&'a String>,
}

/// What is there of a set.
struct Found {
    roots: Vec<Root>,
    missing: Vec<Missing>,
    excluded: Vec<PathBuf>,
    own: Option<PathBuf>,
    /// Where each root is read that is there; real paths.
    places: Vec<PathBuf>,
}

impl Found {
    fn of(engine: &Engine<'_>, source: &Source) -> Result<Self, EngineError> {
        let Sources { roots, missing, .. } = follow::roots(engine.layout, &source.paths)?;
        let mut missing: Vec<Missing> = missing;
        let own = own_state(engine);
        let (roots, ours): (Vec<_>, Vec<_>) = roots
            .into_iter()
            .partition(|r| own.as_ref().is_none_or(|own| !r.path.starts_with(own)));
        missing.extend(ours.into_iter().map(|root| Missing {
            what: root.path.into(),
            why: "restore points never hold themselves".to_owned(),
        }));
        let mut found = Self {
            places: Vec::new(),
            excluded: resolved(engine.layout, &source.exclude)?,
            roots,
            missing,
            own,
        };
        found.places = found
            .present()
            .map(|r| engine.layout.real(&r.path))
            .collect();
        Ok(found)
    }

    fn present(&self) -> impl Iterator<Item = &Root> {
        self.roots.iter().filter(|r| r.kind != RootKind::Absent)
    }

    /// Real paths that are no part of it.
    fn leave(&self, engine: &Engine<'_>) -> Vec<PathBuf> {
        let all = self.excluded.iter().chain(&self.own);
        all.map(|path| engine.layout.real(path)).collect()
    }

    /// As it is in snapshots, where its roots have these places; programs may
    /// have changed what is there before they were made.
    fn frozen(mut self, places: &[PathBuf]) -> Result<Self, EngineError> {
        let present = self.roots.iter_mut().filter(|r| r.kind != RootKind::Absent);
        self.places.clear();
        for (root, place) in present.zip(places) {
            root.kind = follow::kind(place)?;
            if root.kind != RootKind::Absent {
                self.places.push(place.clone());
            }
        }
        Ok(self)
    }
}

/// Captures one set, while it is held still.
fn one(
    engine: &Engine<'_>,
    quiet: &mut Quiet<'_>,
    source: &Source,
    reading: &Reading<'_>,
) -> (Result<Captures, String>, quiet::Held) {
    let planned = RefCell::new(None);
    let reach = || {
        let found = Found::of(engine, source)?;
        let reach = Reach {
            paths: found.places.clone(),
            leave: found.leave(engine),
        };
        *planned.borrow_mut() = Some(found);
        Ok(reach)
    };
    quiet.during(source, reach, |places| {
        engine.check_stop()?;
        let found = match (places, planned.take()) {
            (Some(places), Some(found)) => found.frozen(places)?,
            _ => Found::of(engine, source)?,
        };
        read(engine, source, found, reading)
    })
}

/// A captured set, and what of it could not be.
type Captures = Result<(StateSet, Vec<Missing>), EngineError>;

fn read(engine: &Engine<'_>, source: &Source, found: Found, reading: &Reading<'_>) -> Captures {
    let leave = found.leave(engine);
    let present: Vec<CaptureRoot> = found
        .present()
        .zip(&found.places)
        .map(|(root, disk)| CaptureRoot {
            disk: disk.clone(),
            logical: root.path.clone(),
        })
        .collect();
    let Found {
        roots,
        mut missing,
        excluded,
        own,
        places,
    } = found;
    let set = StateSet {
        roots: roots
            .iter()
            .map(|r| ConfigRoot {
                path: BytePath(r.path.clone()),
                kind: r.kind,
                git: None,
            })
            .collect(),
        excluded: excluded.iter().cloned().map(BytePath).collect(),
        units: source.units.clone(),
        ..StateSet::default()
    };
    if present.is_empty() {
        return Ok((set, missing));
    }
    let request = CaptureRequest {
        tag: reading.id.to_string(),
        host: pointers::host(engine.layout),
        time: reading.time,
        roots: present,
        exclude_names: Vec::new(),
        exclude_named: is_ours,
        exclude_paths: excluded.into_iter().chain(own).collect(),
        on_unreadable: OnUnreadable::Record,
        parent: reading.parent.cloned(),
    };
    let task = Task::CaptureState(source.name.clone());
    // Sockets are not missed: their servers make them again.
    let Captured {
        snapshot,
        tree,
        files,
        bytes,
        content_hash,
        unreadable,
        ..
    } = engine.measured(&task, &places, &leave, || {
        Ok::<_, EngineError>(reading.vault.state()?.capture(&request)?)
    })?;
    missing.extend(unreadable.into_iter().map(|u| Missing {
        what: BytePath(u.path),
        why: u.reason,
    }));
    let set = StateSet {
        snapshot,
        tree,
        files,
        bytes,
        hash: content_hash.unwrap_or_default(),
        ..set
    };
    Ok((set, missing))
}

/// Paths with the links above them followed, as roots are found.
fn resolved(layout: &Layout, paths: &[PathBuf]) -> Result<Vec<PathBuf>, EngineError> {
    let mut all = Vec::new();
    for path in paths {
        let place = match (path.parent(), path.file_name()) {
            (Some(above), Some(name)) => layout.resolve(above)?.join(name),
            _ => path.clone(),
        };
        all.push(place);
    }
    Ok(all)
}

/// Everything a captured set holds; nothing when no root was there.
pub(super) fn stored(stores: &Stores, set: &StateSet) -> Result<Vec<Entry>, EngineError> {
    match set.snapshot() {
        Some(snapshot) => Ok(stores.state()?.entries(snapshot)?),
        None => Ok(Vec::new()),
    }
}

/// The set `name` of a point.
pub(super) fn set_of<'p>(point: &'p Point, name: &str) -> Result<&'p StateSet, EngineError> {
    point.state.get(name).ok_or_else(|| EngineError::NoSuchSet {
        point: point.id.short_among([]),
        set: name.to_owned(),
    })
}
