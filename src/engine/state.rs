//! State sets: which a point takes, and taking them.
//!
//! State is captured while it is held still ([`super::quiet`]), into a
//! repository of its own. A set that cannot be read whole never stops the rest
//! of a point: it makes it partial.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};

use super::create::own_state;
use super::quiet::{self, Quiet};
use super::{Engine, EngineError, Stores};
use crate::plan::capture::left_out;
use crate::point::document::{ConfigRoot, Missing, RootKind, StateSet};
use crate::point::{BytePath, Point, PointId};
use crate::system::follow::{self, EXCLUDED_PREFIXES, Sources};
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
pub(super) fn capture(
    engine: &Engine<'_>,
    vault: &VaultDir,
    sources: &[Source],
    id: PointId,
    time: DateTime<Utc>,
    hold: bool,
) -> Taken {
    let mut taken = Taken::default();
    if sources.is_empty() {
        return taken;
    }
    let parents = earlier(engine);
    let mut quiet = Quiet::new(engine, id, hold);
    for source in sources {
        let work = || one(engine, vault, source, &parents, id, time);
        let (captured, troubles) = quiet.during(source, work);
        let named = |t: String| format!("state {}: {t}", source.name);
        taken.troubles.extend(troubles.into_iter().map(named));
        let first = || source.paths.first().cloned().unwrap_or_default();
        match captured {
            Ok(Ok((set, missing))) => {
                taken.missing.extend(missing);
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
    taken
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

fn one(
    engine: &Engine<'_>,
    vault: &VaultDir,
    source: &Source,
    parents: &BTreeMap<String, String>,
    id: PointId,
    time: DateTime<Utc>,
) -> Result<(StateSet, Vec<Missing>), EngineError> {
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
    let excluded = resolved(engine.layout, &source.exclude)?;
    let set = StateSet {
        consistency: consistency(engine, source),
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
    let present = roots.iter().filter(|r| r.kind != RootKind::Absent);
    let present: Vec<CaptureRoot> = present
        .map(|r| CaptureRoot {
            disk: engine.layout.real(&r.path),
            logical: r.path.clone(),
        })
        .collect();
    if present.is_empty() {
        return Ok((set, missing));
    }
    let request = CaptureRequest {
        tag: id.to_string(),
        host: pointers::host(engine.layout),
        time,
        roots: present,
        exclude_names: Vec::new(),
        exclude_prefixes: EXCLUDED_PREFIXES.iter().map(Into::into).collect(),
        exclude_paths: excluded.into_iter().chain(own).collect(),
        on_unreadable: OnUnreadable::Record,
        parent: parents.get(&source.name).cloned(),
    };
    // Sockets are not missed: their servers make them again.
    let Captured {
        snapshot,
        tree,
        files,
        bytes,
        content_hash,
        unreadable,
        ..
    } = vault.state()?.capture(&request)?;
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

/// How a set is held still while it is captured, in words.
fn consistency(engine: &Engine<'_>, source: &Source) -> String {
    if !quiet::is_live(engine) {
        return "offline".to_owned();
    }
    let commands = source.before.is_some() || source.after.is_some();
    let stopped = !source.units.is_empty() && services::present(engine.layout);
    match (commands, stopped) {
        (true, true) => "commands run, units stopped",
        (true, false) => "commands run",
        (false, true) => "units stopped",
        (false, false) => "not held still",
    }
    .to_owned()
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
