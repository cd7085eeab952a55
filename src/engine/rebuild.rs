//! Building a system again from the configuration that a point holds, when it
//! is gone from the store and nobody else has it.
//!
//! The configuration goes to a place of its own, so nothing that is there now
//! is touched. What comes out may be the very system of the point; where an
//! input of it has changed since, it is another one, and that is told.

use std::path::{Path, PathBuf};

use super::apply::{self, RootPlan};
use super::contents::Proven;
use super::restore::Goal;
use super::{Engine, EngineError, fetch, put};
use crate::next::quoted;
use crate::nix::store_path::StorePath;
use crate::point::document::{Pin, RootKind};
use crate::point::{BytePath, Point};
use crate::system::journal::Scope;
use crate::system::run::Call;
use crate::system::store::{self, StoreError};
use crate::system::workshop::Workshop;
use crate::system::{Layout, nixos_rebuild, pins};
use crate::vault::{Entry, EntryKind, Vault};

/// How a captured configuration is built.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Recipe {
    /// A flake in this folder.
    Flake(PathBuf),
    /// A NixOS configuration, this file.
    File(PathBuf),
}

/// What was built.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rebuilt {
    /// The system.
    pub toplevel: StorePath,
    /// Whether it is the one of the point.
    pub same: bool,
    /// Files that were kept out of the store, for only some may read them.
    pub left_out: usize,
}

impl Rebuilt {
    /// The system that takes the place of the point's, when it is another one.
    pub fn stand_in(self) -> Option<StorePath> {
        (!self.same).then_some(self.toplevel)
    }
}

/// Whether the point's system is gone from the store.
///
/// # Errors
/// When the store cannot be asked.
pub fn is_needed(engine: &Engine<'_>, point: &Point) -> Result<bool, EngineError> {
    Ok(!gone(engine, point)?.is_empty())
}

fn gone(engine: &Engine<'_>, point: &Point) -> Result<Vec<StorePath>, EngineError> {
    let system = &point.system;
    let wanted = [system.boot_target(), system.run_target()];
    fetch::gone(engine, wanted.into_iter().flatten())
}

/// The command that builds the captured configuration once it is back in
/// place, as a person would type it; `None` when the point holds none.
pub(super) fn by_hand(engine: &Engine<'_>, point: &Point) -> Result<Option<String>, EngineError> {
    let recipe = find(engine, point)?.map(|(recipe, _)| recipe);
    let line = |recipe| call(&recipe, point, "boot", Path::new("/")).line();
    // What is on another root is built and made the boot default within it.
    let within = |line| match engine.layout.is_live() {
        true => line,
        false => {
            let root = quoted(engine.layout.root());
            format!("nixos-enter --root {root} -- {line}")
        }
    };
    Ok(recipe.map(line).map(within))
}

/// The command that [`run`] would run.
///
/// # Errors
/// A point that holds nothing to build; a damaged vault.
pub fn command(engine: &Engine<'_>, point: &Point) -> Result<String, EngineError> {
    let (recipe, _) = recipe(engine, point)?;
    let place = Workshop::place(engine.layout, point.id);
    Ok(on(engine.layout, call(&recipe, point, "build", &place)).line())
}

/// Builds it. Only the store and the roots of the point are changed.
///
/// # Errors
/// A point that holds nothing to build; a build that fails.
pub fn run(engine: &Engine<'_>, point: &Point) -> Result<Rebuilt, EngineError> {
    let mut held = Vec::new();
    let gone = gone(engine, point)?;
    for path in &gone {
        held.extend(fetch::hold(
            engine,
            &Goal::Point(Box::new(point.clone())),
            path,
        )?);
    }
    let built = build(engine, point, &gone);
    if !built.as_ref().is_ok_and(|built| built.same) {
        // They would lead nowhere, as before.
        held.iter().try_for_each(|link| pins::release(link))?;
    }
    built
}

fn build(engine: &Engine<'_>, point: &Point, gone: &[StorePath]) -> Result<Rebuilt, EngineError> {
    let (recipe, entries) = recipe(engine, point)?;
    let place = Workshop::make(engine.layout, point.id)?;
    fill(engine, point, place.path())?;
    let left_out = private(&recipe, &entries);
    for path in &left_out {
        place.remove(path)?;
    }
    let mut call = on(engine.layout, call(&recipe, point, "build", place.path()));
    call.dir = Some(place.path().to_owned());
    engine.runner.check(&call)?;
    let toplevel = place.result()?;
    if !store::is_valid(engine.layout, &toplevel)? {
        return Err(StoreError::Missing(toplevel.to_absolute_path()).into());
    }
    let same = fetch::gone(engine, gone)?.is_empty();
    if !same {
        // Held until the point goes.
        let link = format!("/nix/var/nix/gcroots/cairn/{}-rebuilt", point.id);
        let pin = Pin {
            link: BytePath(link.into()),
            path: toplevel.clone(),
        };
        pins::hold(engine.layout, &pin)?;
    }
    Ok(Rebuilt {
        toplevel,
        same,
        left_out: left_out.len(),
    })
}

/// Brings the captured configuration to below `place`.
fn fill(engine: &Engine<'_>, point: &Point, place: &Path) -> Result<(), EngineError> {
    let layout = Layout::new(place, engine.layout.state());
    let there = Engine {
        layout: &layout,
        progress: engine.progress.clone(),
        ..*engine
    };
    let scope = Scope {
        config: true,
        ..Scope::default()
    };
    let stores = engine.stores()?;
    let plans: Vec<RootPlan> =
        apply::plan(&there, &stores, point, &scope, &Proven::default())?.roots;
    for staged in put::stage(&there, &stores, &plans, point.id, || Ok(()))? {
        staged.put_in_place(&there)?;
    }
    Ok(())
}

fn recipe(engine: &Engine<'_>, point: &Point) -> Result<(Recipe, Vec<Entry>), EngineError> {
    find(engine, point)?.ok_or_else(|| EngineError::NoRecipe {
        point: point.id.short_among([]),
    })
}

/// How the point's configuration is built, and what is captured of it.
fn find(engine: &Engine<'_>, point: &Point) -> Result<Option<(Recipe, Vec<Entry>)>, EngineError> {
    let Some(config) = &point.config else {
        return Ok(None);
    };
    let Some(snapshot) = config.snapshot() else {
        return Ok(None);
    };
    let entries = engine.vault()?.config().entries(snapshot)?;
    let holds = |path: &Path| entries.iter().any(|e| e.path == path);
    let found = config.roots.iter().find_map(|root| {
        let path = root.path.as_path();
        match root.kind {
            RootKind::Directory if holds(&path.join("flake.nix")) => {
                Some(Recipe::Flake(path.to_owned()))
            }
            RootKind::Directory => {
                let file = path.join("configuration.nix");
                holds(&file).then_some(Recipe::File(file))
            }
            RootKind::File if path.ends_with("flake.nix") => {
                path.parent().map(|dir| Recipe::Flake(dir.to_owned()))
            }
            RootKind::File if path.extension().is_some_and(|e| e == "nix") => {
                Some(Recipe::File(path.to_owned()))
            }
            _ => None,
        }
    });
    Ok(found.map(|recipe| (recipe, entries)))
}

fn call(recipe: &Recipe, point: &Point, action: &str, below: &Path) -> Call {
    let at = |path: &Path| below.join(path.strip_prefix("/").unwrap_or(path));
    match recipe {
        Recipe::Flake(dir) => nixos_rebuild::flake(action, &at(dir), &point.host),
        Recipe::File(file) => nixos_rebuild::file(action, &at(file)),
    }
}

/// The call on the store of another root.
fn on(layout: &Layout, call: Call) -> Call {
    match layout.is_live() {
        true => call,
        false => nixos_rebuild::in_store_of(call, layout.root()),
    }
}

/// Files that a flake would bring into the store, where everybody may read
/// them: those that not everybody may read now. Where `flake.nix` itself is
/// such a file, that says nothing.
fn private(recipe: &Recipe, entries: &[Entry]) -> Vec<PathBuf> {
    let Recipe::Flake(dir) = recipe else {
        return Vec::new();
    };
    let open = |entry: &Entry| entry.mode & 0o004 != 0;
    let flake = dir.join("flake.nix");
    if !entries.iter().any(|e| e.path == flake && open(e)) {
        return Vec::new();
    }
    let files = entries
        .iter()
        .filter(|e| matches!(e.kind, EntryKind::File { .. }) && e.path.starts_with(dir));
    files.filter(|e| !open(e)).map(|e| e.path.clone()).collect()
}
