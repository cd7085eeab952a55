//! Making a point's document anew, when it is damaged and its content is not.
//!
//! The vault says which files the point holds, its roots say which systems, and
//! the damaged document itself says what can still be read of it. What none of
//! them says is lost, and the new document says so: it is partial.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};

use super::{Engine, EngineError};
use crate::nix::store_path::StorePath;
use crate::plan::capture::left_out;
use crate::point::document::{
    self, Completeness, Config, ConfigRoot, Imported, Kernel, Missing, Pin, Point, ProfileFact,
    RootKind, StateSet, System, Trigger,
};
use crate::point::remnant::Remnant;
use crate::point::{BytePath, PointId};
use crate::system::points::{self, Catalogue, Damaged, Fault};
use crate::system::toplevel::Reader;
use crate::system::{aside, pins, pointers};
use crate::vault::{Entry, EntryKind, Repo, SnapshotInfo, Vault, VaultDir};

/// What the reason of a point is called that nothing says any more.
const REASON: &str = "its document was damaged";

/// Sets every damaged document aside, and makes those anew of which the vault
/// or the roots still hold something. Gives what became of each.
///
/// # Errors
/// A vault that cannot be read; what cannot be moved or written.
pub(super) fn documents(
    engine: &Engine<'_>,
    vault: Option<&VaultDir>,
    catalogue: &Catalogue,
) -> Result<Vec<(PointId, String)>, EngineError> {
    let malformed = |d: &&Damaged| d.fault == Fault::Malformed;
    let mut done = Vec::new();
    for damaged in catalogue.damaged.iter().filter(malformed) {
        let Some(id) = damaged.id else { continue };
        let found = Found::of(engine, vault, damaged, id)?;
        let from = engine.layout.points().join(&damaged.file);
        let why = &damaged.why;
        if found.is_nothing() {
            let to = aside::file(engine.layout, &from, "points")?;
            let to = to.display();
            done.push((
                id,
                format!("{why}; nothing else is left of this point; it is now {to}"),
            ));
            continue;
        }
        let point = found.point(engine)?;
        let to = aside::keep(engine.layout, &from, "points")?;
        points::store(engine.layout, &point)?;
        let held = held(&point);
        let to = to.display();
        done.push((
            id,
            format!("{why}; made anew with {held}; the old one is now {to}"),
        ));
    }
    Ok(done)
}

/// What a point that was made anew holds, in words.
fn held(point: &Point) -> String {
    let config = point.config.iter().map(|_| "its configuration".to_owned());
    let state = point.state.keys().map(|name| format!("state {name}"));
    let system = match (point.system.target(), point.pins.len()) {
        (Some(_), _) => Some("its system".to_owned()),
        (None, 0) => None,
        (None, n) => Some(format!("{n} systems, of which any may be its own")),
    };
    let all: Vec<String> = config.chain(state).chain(system).collect();
    all.join(", ")
}

/// What is left of a point.
struct Found {
    id: PointId,
    /// Where its document lies.
    document: PathBuf,
    said: Remnant,
    /// Of the configuration: the newest snapshot, and what is in it.
    config: Option<(SnapshotInfo, Vec<Entry>, String)>,
    state: Vec<(SnapshotInfo, Vec<Entry>)>,
    pins: Vec<Pin>,
}

impl Found {
    fn of(
        engine: &Engine<'_>,
        vault: Option<&VaultDir>,
        damaged: &Damaged,
        id: PointId,
    ) -> Result<Self, EngineError> {
        let (mut config, mut state) = (None, Vec::new());
        if let Some(vault) = vault {
            if let Some((info, entries)) = stored(vault.config(), id)?.pop() {
                // Only a damaged one has none, and that is told as such.
                let hash = vault.config().content_hash(&info.id).unwrap_or_default();
                config = Some((info, entries, hash));
            }
            if let Some(repo) = vault.existing_state()? {
                state = stored(&repo, id)?;
            }
        }
        let links = pins::roots(engine.layout)?.into_iter();
        let mut held: Vec<Pin> = links
            .filter(|root| root.owner == Some(id))
            .filter_map(|root| {
                let name = root.link.file_name()?;
                let link = Path::new("/nix/var/nix/gcroots/cairn").join(name);
                Some(Pin {
                    link: link.into(),
                    path: root.target?,
                })
            })
            .collect();
        held.sort_by(|a, b| a.link.cmp(&b.link));
        Ok(Self {
            id,
            document: engine.layout.points().join(&damaged.file),
            said: points::remnant(engine.layout, &damaged.file),
            config,
            state,
            pins: held,
        })
    }

    fn is_nothing(&self) -> bool {
        self.config.is_none() && self.state.is_empty() && self.pins.is_empty()
    }

    fn point(self, engine: &Engine<'_>) -> Result<Point, EngineError> {
        let said = &self.said;
        let infos = self.config.iter().map(|(info, ..)| info);
        let info = infos.chain(self.state.iter().map(|(info, _)| info)).next();
        let here = pointers::host(engine.layout);
        let host = said
            .one(&["host"])
            .or_else(|| info.map(|info| info.host.clone()))
            .unwrap_or_else(|| here.clone());
        let created = info.map(|info| info.time);
        let created: DateTime<Utc> = said
            .one(&["created"])
            .or(created)
            .unwrap_or_else(|| engine.clock.now());
        // A point that came in a file says so; one of another host must have.
        let came = !said.names(&["imported"]).is_empty() || host != here;
        let machine_id = match (said.one(&["machineId"]), came) {
            (Some(id), _) => Some(id),
            (None, true) => None,
            (None, false) => pointers::machine_id(engine.layout),
        };
        let system = system(engine, said, &self.pins);
        let mut missing = vec![Missing {
            what: self.document.clone().into(),
            why: "it was damaged: what it said beyond this is lost".to_owned(),
        }];
        if system.target().is_none() && !self.pins.is_empty() {
            missing.extend(self.pins.iter().map(|pin| Missing {
                what: PathBuf::from(pin.path.to_absolute_path()).into(),
                why: "whether this was its system is lost; it is kept".to_owned(),
            }));
        }
        let mut state = BTreeMap::new();
        for (info, entries) in &self.state {
            let set = state_set(info, entries);
            let name = name_of(engine, said, &set, &state);
            state.insert(name.clone(), with_rest(engine, said, &name, set));
        }
        Ok(Point {
            version: document::VERSION,
            id: self.id,
            created,
            host,
            machine_id,
            reason: said.one(&["reason"]).unwrap_or_else(|| REASON.to_owned()),
            description: said.one(&["description"]),
            trigger: said.one(&["trigger"]).unwrap_or(Trigger::Manual),
            tags: said.all(&["tags"]).into_iter().collect(),
            userdata: said
                .names(&["userdata"])
                .into_iter()
                .filter_map(|key| Some((key.to_owned(), said.one(&["userdata", key])?)))
                .collect(),
            system,
            health: None,
            issues: Vec::new(),
            config: self.config.map(|(info, entries, hash)| Config {
                roots: roots(&entries),
                files: files(&entries),
                bytes: bytes(&entries),
                hash,
                tree: info.tree,
                snapshot: info.id,
                excluded: said.all(&["config", "excluded"]),
                followed: said.all(&["config", "followed"]),
                unfollowed: Vec::new(),
            }),
            state,
            markers: Vec::new(),
            pins: self.pins,
            known_good: said.one(&["knownGood"]).unwrap_or(false),
            completeness: Completeness::from_missing(missing),
            imported: came.then(|| Imported {
                there: None,
                at: engine.clock.now(),
            }),
        })
    }
}

/// The snapshots of a point in one repository, oldest first. One that cannot
/// be read was set aside before.
fn stored(repo: &Repo, id: PointId) -> Result<Vec<(SnapshotInfo, Vec<Entry>)>, EngineError> {
    let tag = id.to_string();
    let mut found = Vec::new();
    for info in repo.snapshots()?.good {
        if info.tag == tag {
            let entries = repo.entries(&info.id)?;
            found.push((info, entries));
        }
    }
    Ok(found)
}

/// The system: as the document still says, as far as the roots hold it; else
/// the one that the only root holds.
fn system(engine: &Engine<'_>, said: &Remnant, pins: &[Pin]) -> System {
    let kept = |path: &StorePath| pins.iter().any(|pin| pin.path == *path);
    let pointer = |place: &[&str]| said.one::<StorePath>(place).filter(kept);
    let profile = || {
        Some(ProfileFact {
            name: said.one(&["system", "profile", "name"])?,
            generation: said.one(&["system", "profile", "generation"])?,
            toplevel: pointer(&["system", "profile", "toplevel"])?,
        })
    };
    let mut system = System {
        profile: profile(),
        current: pointer(&["system", "current"]),
        booted: pointer(&["system", "booted"]),
        loader_default: pointer(&["system", "loaderDefault"]),
        ..System::default()
    };
    let mut paths: Vec<&StorePath> = pins.iter().map(|pin| &pin.path).collect();
    paths.dedup();
    if let ([only], None) = (paths.as_slice(), system.target()) {
        system.current = Some((*only).clone());
    }
    if let Some(target) = system.target() {
        let facts = Reader::new(engine.layout).facts(target);
        system.nixos_version = facts.nixos_version;
        system.configuration_revision = facts.configuration_revision;
        system.kernel = Kernel {
            running: said.one(&["system", "kernel", "running"]),
            target: facts.kernel_version,
        };
    }
    system
}

fn state_set(info: &SnapshotInfo, entries: &[Entry]) -> StateSet {
    StateSet {
        snapshot: info.id.clone(),
        tree: info.tree.clone(),
        files: files(entries),
        bytes: bytes(entries),
        roots: roots(entries),
        consistency: "not known: its document was damaged".to_owned(),
        ..StateSet::default()
    }
}

/// The set's name: the document's, else that of the policy's set with such a
/// root, else one of its own.
fn name_of(
    engine: &Engine<'_>,
    said: &Remnant,
    set: &StateSet,
    taken: &BTreeMap<String, StateSet>,
) -> String {
    let is_it = |name: &&str| {
        let snapshot: Option<String> = said.one(&["state", name, "snapshot"]);
        snapshot.as_deref() == Some(&set.snapshot)
    };
    let of_document = said.names(&["state"]).into_iter().find(is_it);
    let has_root = |path: &PathBuf| {
        let resolved = engine.layout.resolve(path);
        resolved.is_ok_and(|path| set.roots.iter().any(|root| root.path.0 == path))
    };
    let mut of_policy = engine.policy.state.iter();
    let of_policy = of_policy.find(|(_, declared)| declared.paths.iter().any(has_root));
    let name = of_document
        .map(str::to_owned)
        .or_else(|| of_policy.map(|(name, _)| name.clone()))
        .unwrap_or_else(|| "recovered".to_owned());
    let mut numbered = name.clone();
    let mut number = 1;
    while taken.contains_key(&numbered) {
        number += 1;
        numbered = format!("{name}-{number}");
    }
    numbered
}

/// What of a set is not in its snapshot: as the document says, else the policy.
fn with_rest(engine: &Engine<'_>, said: &Remnant, name: &str, set: StateSet) -> StateSet {
    let mut excluded: Vec<BytePath> = said.all(&["state", name, "excluded"]);
    let mut units: Vec<String> = said.all(&["state", name, "units"]);
    if let Some(declared) = engine.policy.state.get(name) {
        let more = left_out(engine.policy, name).into_iter();
        let more = more.filter_map(|path| engine.layout.resolve(&path).ok());
        excluded.extend(more.map(BytePath));
        units.extend(declared.units.iter().cloned());
    }
    excluded.sort();
    excluded.dedup();
    units.sort();
    units.dedup();
    StateSet {
        excluded,
        units,
        version: said.one(&["state", name, "version"]),
        ..set
    }
}

/// The topmost entries: a snapshot holds nothing of the folders above roots.
fn roots(entries: &[Entry]) -> Vec<ConfigRoot> {
    let mut roots: Vec<ConfigRoot> = Vec::new();
    // Sorted by bytes, so that a folder comes before what it holds.
    for entry in entries {
        let inside = |root: &ConfigRoot| entry.path.starts_with(&root.path.0);
        if roots.iter().any(inside) {
            continue;
        }
        roots.push(ConfigRoot {
            path: entry.path.clone().into(),
            kind: match entry.kind {
                EntryKind::Dir => RootKind::Directory,
                EntryKind::Symlink { .. } => RootKind::Symlink,
                _ => RootKind::File,
            },
            git: None,
        });
    }
    roots
}

fn sizes(entries: &[Entry]) -> impl Iterator<Item = u64> {
    entries.iter().filter_map(|entry| match entry.kind {
        EntryKind::File { size, .. } => Some(size),
        _ => None,
    })
}

fn files(entries: &[Entry]) -> u64 {
    sizes(entries).count() as u64
}

fn bytes(entries: &[Entry]) -> u64 {
    sizes(entries).sum()
}
