//! Bringing files of a point out to a fresh folder elsewhere.
//!
//! They lie there below their full paths. All is written into a private folder
//! beside the one that is wanted, flushed, and then given its name in one
//! rename: it is there whole or not at all. Nothing that was there changes, so
//! there is nothing to undo.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};

use rustix::fs::FileType;

use super::{Engine, EngineError, Stores, config, put, state};
use crate::point::document::{ConfigRoot, RootKind};
use crate::point::{BytePath, Point};
use crate::system::beneath::{Attributes, Beneath};
use crate::system::flush::Unflushed;
use crate::system::journal::Scope;
use crate::system::scratch::Scratch;
use crate::system::sparse::Sparse;
use crate::system::{At, IoError, fault};
use crate::vault::{Entry, EntryKind, Vault};

/// What was brought out, or would be.
#[derive(Debug, Default)]
pub struct TakenOut {
    /// Regular files.
    pub files: usize,
    /// Folders.
    pub folders: usize,
    /// Links, pipes and devices.
    pub others: usize,
    /// Sizes of the files together.
    pub bytes: u64,
    /// What could not be kept, for want of rights.
    pub lost: Vec<Lost>,
}

/// Something that is not as it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lost {
    /// Absolute logical path.
    pub path: BytePath,
    /// What was lost of it.
    pub what: &'static str,
}

/// An entry, and where its content is.
struct Chosen<'s> {
    entry: Entry,
    vault: &'s dyn Vault,
}

/// What would be brought out. Nothing is changed.
///
/// # Errors
/// A folder that is not fresh; a path that the point does not hold.
pub fn preview(
    engine: &Engine<'_>,
    point: &Point,
    scope: &Scope,
    to: &Path,
) -> Result<TakenOut, EngineError> {
    fresh(to)?;
    let stores = engine.stores()?;
    Ok(count(&choose(&stores, point, scope)?))
}

/// Brings files out.
///
/// # Errors
/// As [`preview`]; what cannot be written. Nothing is left then.
pub fn take_out(
    engine: &Engine<'_>,
    point: &Point,
    scope: &Scope,
    to: &Path,
) -> Result<TakenOut, EngineError> {
    let there = fresh(to)?;
    let parent = match to.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    // A prune must not take away what is being read.
    let _lock = engine.lock_to_read()?;
    let stores = engine.stores()?;
    let chosen = choose(&stores, point, scope)?;
    let id = engine.clock.new_id(engine.clock.now());
    let scratch = Scratch::new(parent, "out", id)?;
    fault::point("takeout.begun");
    let mut out = count(&chosen);
    let mut writer = Writer {
        base: Beneath::open(scratch.path())?,
        links: BTreeMap::new(),
        lost: Vec::new(),
        unflushed: Unflushed::default(),
    };
    writer.write_all(&chosen)?;
    if let Some(wanted) = &there {
        // An empty folder that is there gives its owner and mode.
        writer.base.dress_kindly(Path::new(""), wanted)?;
    }
    writer.base.sync(Path::new(""))?;
    fault::point("takeout.written");
    out.lost = writer.lost;
    scratch
        .become_folder(to)
        .map_err(|error| match error.kind() {
            io::ErrorKind::DirectoryNotEmpty | io::ErrorKind::NotADirectory => {
                not_fresh(to, "is not empty")
            }
            _ => error.into(),
        })?;
    fault::point("takeout.placed");
    Ok(out)
}

fn not_fresh(path: &Path, why: &'static str) -> EngineError {
    EngineError::NotFresh {
        path: path.to_owned(),
        why,
    }
}

/// Refuses a folder that is not fresh. One that is there and empty gives its
/// attributes.
fn fresh(to: &Path) -> Result<Option<Attributes>, EngineError> {
    if to.file_name().is_none() {
        return Err(not_fresh(to, "has no name of its own"));
    }
    let stat = match rustix::fs::lstat(to) {
        Err(rustix::io::Errno::NOENT) => return Ok(None),
        other => other.at("look at", to)?,
    };
    if FileType::from_raw_mode(stat.st_mode) != FileType::Directory {
        return Err(not_fresh(to, "is there already, and no folder"));
    }
    let dir = Beneath::open(to)?;
    if !dir.entries(Path::new(""))?.is_empty() {
        return Err(not_fresh(to, "is not empty"));
    }
    let parent = rustix::fs::stat(to.join("..")).at("look at", to)?;
    if parent.st_dev != stat.st_dev {
        return Err(not_fresh(to, "is a mount point; name a folder in it"));
    }
    Ok(Some(Attributes {
        mode: stat.st_mode & 0o7777,
        owner: (stat.st_uid, stat.st_gid),
        mtime: None,
        xattrs: Vec::new(),
    }))
}

/// The entries a scope is about, with the folders that the point holds above
/// them, parents first.
fn choose<'s>(
    stores: &'s Stores,
    point: &Point,
    scope: &Scope,
) -> Result<Vec<Chosen<'s>>, EngineError> {
    let mut all: BTreeMap<PathBuf, Chosen<'s>> = BTreeMap::new();
    let mut add = |entries: Vec<Entry>, roots: &[ConfigRoot], vault: &'s dyn Vault| {
        let held = |entry: &Entry| {
            let present = roots.iter().filter(|r| r.kind != RootKind::Absent);
            present
                .into_iter()
                .any(|r| entry.path.starts_with(&r.path.0))
        };
        for entry in entries.into_iter().filter(held) {
            all.insert(entry.path.clone(), Chosen { entry, vault });
        }
    };
    if scope.config {
        let config = point.config.as_ref().ok_or_else(|| EngineError::NotHeld {
            point: point.id.short_among([]),
            what: "configuration",
        })?;
        add(
            config::stored(&stores.vault, config)?,
            &config.roots,
            stores.config(),
        );
    }
    for name in &scope.state {
        let set = state::set_of(point, name)?;
        if set.snapshot().is_some() {
            add(state::stored(stores, set)?, &set.roots, stores.state()?);
        }
    }
    if scope.paths.is_empty() {
        return Ok(all.into_values().collect());
    }
    let mut wanted: BTreeSet<PathBuf> = BTreeSet::new();
    for path in scope.paths.iter().map(BytePath::as_path) {
        let inside: Vec<&PathBuf> = all.keys().filter(|p| p.starts_with(path)).collect();
        if inside.is_empty() {
            return Err(EngineError::not_in_point(point, path, all.keys()));
        }
        wanted.extend(inside.into_iter().cloned());
        wanted.extend(path.ancestors().skip(1).map(Path::to_owned));
    }
    all.retain(|path, _| wanted.contains(path));
    Ok(all.into_values().collect())
}

fn count(chosen: &[Chosen<'_>]) -> TakenOut {
    let mut out = TakenOut::default();
    for Chosen { entry, .. } in chosen {
        match entry.kind {
            EntryKind::File { size, .. } => {
                out.files += 1;
                out.bytes += size;
            }
            EntryKind::Dir => out.folders += 1,
            _ => out.others += 1,
        }
    }
    out
}

/// Writes entries into a fresh folder.
struct Writer {
    base: Beneath,
    /// Where the first name of a file with several is.
    links: BTreeMap<(u64, u64), (PathBuf, EntryKind)>,
    lost: Vec<Lost>,
    unflushed: Unflushed,
}

impl Writer {
    fn write_all(&mut self, chosen: &[Chosen<'_>]) -> Result<(), EngineError> {
        let mut above = Vec::new();
        let relative = |entry: &Entry| put::relative(&entry.path).to_owned();
        for Chosen { entry, vault } in chosen {
            let path = relative(entry);
            let parent = path.parent().unwrap_or(Path::new(""));
            self.base.create_dirs(parent, &mut above)?;
            self.write(&path, entry, *vault)?;
        }
        // Last, and deepest first: what is written into a folder changes its
        // time, and a closed one shuts its owner out.
        for Chosen { entry, .. } in chosen.iter().rev() {
            if entry.kind == EntryKind::Dir {
                let path = relative(entry);
                self.flush_later(&path)?;
                let lost = self.base.dress_kindly(&path, &put::attributes(entry))?;
                self.note(entry, lost);
            }
        }
        for dir in above.iter().rev() {
            self.flush_later(dir)?;
        }
        put::flush_all(&self.base, std::mem::take(&mut self.unflushed))
    }

    fn flush_later(&mut self, dir: &Path) -> Result<(), EngineError> {
        let added = self.unflushed.add(self.base.folder(dir)?);
        let place = self.base.path().join(dir);
        Ok(added.map_err(std::io::Error::from).at("look at", place)?)
    }

    fn note(&mut self, entry: &Entry, lost: Vec<&'static str>) {
        let path = BytePath(entry.path.clone());
        self.lost.extend(lost.into_iter().map(|what| Lost {
            path: path.clone(),
            what,
        }));
    }

    fn write(&mut self, path: &Path, entry: &Entry, vault: &dyn Vault) -> Result<(), EngineError> {
        if let Some(link) = entry.hardlink.filter(|_| entry.kind != EntryKind::Dir) {
            match self.links.get(&link) {
                // What says it is one file, but is not, stays two.
                Some((first, kind)) if *kind == entry.kind => {
                    return Ok(self.base.hard_link(first, path)?);
                }
                Some(_) => {}
                None => {
                    self.links
                        .insert(link, (path.to_owned(), entry.kind.clone()));
                }
            }
        }
        let wanted = put::attributes(entry);
        let lost = match &entry.kind {
            EntryKind::Dir => {
                self.base.create_dir(path)?;
                return Ok(());
            }
            EntryKind::File { .. } => {
                let file = self.base.create(path)?;
                let mut sparse = Sparse::new(&file);
                vault.read(entry, &mut sparse)?;
                let place = self.base.path().join(path);
                sparse.finish().at("write", &place)?;
                let lost = self.base.dress_kindly(path, &wanted)?;
                self.unflushed
                    .add(file)
                    .map_err(std::io::Error::from)
                    .at("look at", &place)?;
                lost
            }
            EntryKind::Symlink { target } => {
                self.base.symlink(target, path)?;
                match self.base.dress_symlink(path, &wanted) {
                    Err(e) if is_forbidden(&e) => vec!["owner"],
                    other => other.map(|()| Vec::new())?,
                }
            }
            EntryKind::Fifo => self.node(path, FileType::Fifo, 0, &wanted)?,
            EntryKind::Char { device } => {
                self.node(path, FileType::CharacterDevice, *device, &wanted)?
            }
            EntryKind::Block { device } => {
                self.node(path, FileType::BlockDevice, *device, &wanted)?
            }
            EntryKind::Socket => vec!["socket"],
        };
        self.note(entry, lost);
        Ok(())
    }

    fn node(
        &self,
        path: &Path,
        kind: FileType,
        device: u64,
        wanted: &Attributes,
    ) -> Result<Vec<&'static str>, EngineError> {
        match self.base.make_node(path, kind, device) {
            Err(e) if is_forbidden(&e) => return Ok(vec!["device"]),
            other => other?,
        }
        match self.base.dress_node(path, wanted) {
            Err(e) if is_forbidden(&e) => Ok(vec!["owner"]),
            other => Ok(other.map(|()| Vec::new())?),
        }
    }
}

fn is_forbidden(error: &IoError) -> bool {
    error.kind() == io::ErrorKind::PermissionDenied
}
