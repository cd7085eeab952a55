//! Garbage-collector roots of restore points.
//!
//! A root is a symlink into the store under `/nix/var/nix/gcroots/cairn`,
//! named after its point. `nix-store --add-root` would do two more things:
//! register links that lie elsewhere, and tell a running collector of a path
//! that nothing held when it began. Neither is needed here — the link is in
//! the roots directory itself, and what a point pins (profile, running and
//! booted system) is held by those pointers while the link is made — and
//! starting Nix costs more than all the rest of a restore point. So the link
//! is made natively, durably, and read back: it must lead to a valid path.

use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use super::store::{self, StoreError};
use super::{At, IoError, Layout, durable};
use crate::nix::store_path::StorePath;
use crate::point::PointId;
use crate::point::document::Pin;

/// Why a path could not be pinned.
#[derive(Debug, thiserror::Error)]
pub enum PinError {
    /// The link could not be made.
    #[error(transparent)]
    Io(#[from] IoError),
    /// The store could not be asked, or no longer has the path.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What became of the paths to pin.
#[derive(Debug, Default)]
pub struct Pinned {
    /// Roots made, in order.
    pub pins: Vec<Pin>,
    /// Paths that could not be pinned; the others are.
    pub failed: Vec<(StorePath, PinError)>,
}

/// Pins `paths` for a point. A path that cannot be pinned never stops the
/// others.
///
/// # Errors
/// When the roots directory cannot be made or flushed.
pub fn pin<'p>(
    layout: &Layout,
    id: PointId,
    paths: impl IntoIterator<Item = &'p StorePath>,
) -> Result<Pinned, IoError> {
    let dir = layout.gcroots();
    make_dir(&dir)?;
    let mut pinned = Pinned::default();
    for (n, path) in paths.into_iter().enumerate() {
        match pin_one(layout, &dir, &format!("{id}-{n}"), path) {
            Ok(pin) => pinned.pins.push(pin),
            Err(e) => pinned.failed.push((path.clone(), e)),
        }
    }
    durable::sync_dir(&dir)?;
    Ok(pinned)
}

fn pin_one(layout: &Layout, dir: &Path, name: &str, path: &StorePath) -> Result<Pin, PinError> {
    let link = dir.join(name);
    let temporary = dir.join(format!("{}{name}", durable::TEMPORARY));
    let _ = fs::remove_file(&temporary);
    symlink(path.to_absolute_path(), &temporary).at("create the root", &temporary)?;
    fs::rename(&temporary, &link).at("put the root in place", &link)?;
    if !store::is_valid(layout, path)? {
        let _ = fs::remove_file(&link);
        return Err(StoreError::Missing(path.to_absolute_path()).into());
    }
    let logical = Path::new("/nix/var/nix/gcroots/cairn").join(name);
    Ok(Pin {
        link: logical.into(),
        path: path.clone(),
    })
}

/// Makes the root of a pin as its document has it, whether or not its path is
/// there: a collector keeps what comes while the link is there. Gives the real
/// link when there was none.
///
/// # Errors
/// When the link cannot be made.
pub fn hold(layout: &Layout, pin: &Pin) -> Result<Option<PathBuf>, IoError> {
    let dir = layout.gcroots();
    make_dir(&dir)?;
    let name = pin.link.as_path().file_name().unwrap_or_default();
    let link = dir.join(name);
    let target = pin.path.to_absolute_path();
    if fs::read_link(&link).is_ok_and(|t| t == Path::new(&target)) {
        return Ok(None);
    }
    let new = fs::symlink_metadata(&link).is_err();
    let temporary = dir.join(format!("{}{}", durable::TEMPORARY, name.to_string_lossy()));
    let _ = fs::remove_file(&temporary);
    symlink(target, &temporary).at("create the root", &temporary)?;
    fs::rename(&temporary, &link).at("put the root in place", &link)?;
    durable::sync_dir(&dir)?;
    Ok(new.then_some(link))
}

/// Removes a root again.
///
/// # Errors
/// When it cannot be removed.
pub fn release(link: &Path) -> Result<(), IoError> {
    durable::remove(link)
}

/// The roots directory is Nix's and world-readable; so is ours in it.
fn make_dir(dir: &Path) -> Result<(), IoError> {
    match fs::create_dir(dir) {
        Ok(()) => durable::sync_parent(dir),
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {
            // Never through a link: the roots would be made elsewhere.
            if fs::symlink_metadata(dir).at("look at", dir)?.is_dir() {
                return Ok(());
            }
            Err(io::Error::from(io::ErrorKind::NotADirectory)).at("use the folder", dir)
        }
        Err(e) => Err(e).at("create the folder", dir),
    }
}

/// Removes every root of a point. Gone ones are fine.
///
/// # Errors
/// The first root that cannot be removed.
pub fn unpin(layout: &Layout, id: PointId) -> Result<(), IoError> {
    let mut removed = false;
    for link in roots(layout)? {
        if link.owner == Some(id) {
            fs::remove_file(&link.link).at("remove the root", &link.link)?;
            removed = true;
        }
    }
    if removed {
        durable::sync_dir(&layout.gcroots())
    } else {
        Ok(())
    }
}

/// One link in cairn's roots directory.
#[derive(Clone, Debug)]
pub struct Root {
    /// Its real path.
    pub link: PathBuf,
    /// The point it belongs to, by its name.
    pub owner: Option<PointId>,
    /// What it holds.
    pub target: Option<StorePath>,
}

/// What a root holds, if it is there and leads into the store.
pub fn target(link: &Path) -> Option<StorePath> {
    let target = fs::read_link(link).ok()?;
    StorePath::from_absolute_path(target.to_str()?.as_bytes()).ok()
}

/// All of cairn's roots.
///
/// # Errors
/// When the directory exists and cannot be listed.
pub fn roots(layout: &Layout) -> Result<Vec<Root>, IoError> {
    let dir = layout.gcroots();
    let entries = match fs::read_dir(&dir) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other.at("list", &dir)?,
    };
    let mut roots = Vec::new();
    for entry in entries {
        let entry = entry.at("list", &dir)?;
        // Folders hold roots that belong to no point.
        if entry.file_type().at("look at", entry.path())?.is_dir() {
            continue;
        }
        let link = entry.path();
        let name = link
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let name = name.strip_prefix(durable::TEMPORARY).unwrap_or(&name);
        let owner = name.rsplit_once('-').and_then(|(id, _)| id.parse().ok());
        let target = target(&link);
        roots.push(Root {
            link,
            owner,
            target,
        });
    }
    Ok(roots)
}

/// Names of the links in the folder of declared pins. Hidden ones are links
/// being made.
///
/// # Errors
/// When the folder exists and cannot be listed.
pub fn declared(layout: &Layout) -> Result<Vec<String>, IoError> {
    let dir = layout.declared_pins();
    let entries = match fs::read_dir(&dir) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other.at("list", &dir)?,
    };
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry.at("list", &dir)?;
        let is_link = entry.file_type().at("look at", entry.path())?.is_symlink();
        if let Ok(name) = entry.file_name().into_string()
            && is_link
            && !name.starts_with('.')
        {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}

/// Removes links of declared pins by name.
///
/// # Errors
/// The first link that cannot be removed.
pub fn remove_declared(layout: &Layout, names: &[String]) -> Result<(), IoError> {
    let dir = layout.declared_pins();
    for name in names {
        durable::remove(&dir.join(name))?;
    }
    Ok(())
}
