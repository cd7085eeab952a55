//! Having a system back that the store has lost: from another store.
//!
//! A restore fetches before it changes anything, and holds what it fetched by
//! the roots of the restore point, so that no collector takes it again.

use std::path::PathBuf;

use super::restore::Goal;
use super::{Engine, EngineError, rebuild};
use crate::nix::store_path::StorePath;
use crate::point::Policy;
use crate::system::{fault, nix_cli, pins, store};

/// Where systems can be had from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sources {
    /// Nix stores, tried in order: `https://…`, `file:///…`, `ssh://…`, `s3://…`.
    pub urls: Vec<String>,
    /// Take paths that nobody trusted has signed.
    pub unsigned: bool,
}

impl Sources {
    /// Those of the policy.
    pub fn of(policy: &Policy) -> Self {
        Self {
            urls: policy.caches.clone(),
            unsigned: false,
        }
    }
}

/// What is to be fetched before a restore.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetch {
    /// Systems that are gone from the store.
    pub gone: Vec<StorePath>,
    /// Where they may be had.
    pub sources: Sources,
}

/// The systems among these that the store has lost.
///
/// # Errors
/// When the store cannot be asked.
pub(super) fn gone<'a>(
    engine: &Engine<'_>,
    wanted: impl IntoIterator<Item = &'a StorePath>,
) -> Result<Vec<StorePath>, EngineError> {
    let mut gone = Vec::new();
    for path in wanted {
        if !gone.contains(path) && !store::is_valid(engine.layout, path)? {
            gone.push(path.clone());
        }
    }
    Ok(gone)
}

/// The error of a system that is gone, with the way to build it again.
pub(super) fn is_gone(engine: &Engine<'_>, goal: &Goal, gone: &StorePath) -> EngineError {
    let recipe = goal.point().map(|point| rebuild::by_hand(engine, point));
    EngineError::ToplevelGone {
        point: goal.label(),
        toplevel: gone.clone(),
        recipe: recipe.and_then(Result::ok).flatten(),
    }
}

/// Fetches what a plan needs; nothing but the store and the roots of the point
/// is changed.
///
/// # Errors
/// When a system can be had from nowhere; what each place said.
pub(super) fn run(engine: &Engine<'_>, goal: &Goal, fetch: &Fetch) -> Result<(), EngineError> {
    for path in &fetch.gone {
        let held = hold(engine, goal, path)?;
        fault::point("fetch.held");
        if let Err(error) = from_any(engine, path, &fetch.sources) {
            if let Some(link) = held {
                pins::release(&link)?;
            }
            return Err(error);
        }
    }
    fault::point("fetch.done");
    Ok(())
}

fn from_any(engine: &Engine<'_>, path: &StorePath, sources: &Sources) -> Result<(), EngineError> {
    let mut tried = Vec::new();
    for url in &sources.urls {
        let call = nix_cli::copy_from(engine.layout, url, path, sources.unsigned);
        let why = match engine.runner.check(&call) {
            Ok(_) if store::is_valid(engine.layout, path)? => return Ok(()),
            Ok(_) => "it said that it copied, and did not".to_owned(),
            Err(error) => error.to_string(),
        };
        tried.push(format!("{url}: {why}"));
    }
    Err(EngineError::NotFetched {
        toplevel: path.clone(),
        tried,
        unsigned: sources.unsigned,
    })
}

/// Makes the root that the point has for this path, as its document names it,
/// before the path is there. Gives the link if it was not there before.
pub(super) fn hold(
    engine: &Engine<'_>,
    goal: &Goal,
    path: &StorePath,
) -> Result<Option<PathBuf>, EngineError> {
    let pin = goal
        .point()
        .and_then(|point| point.pins.iter().find(|pin| pin.path == *path));
    match pin {
        Some(pin) => Ok(pins::hold(engine.layout, pin)?),
        None => Ok(None),
    }
}
