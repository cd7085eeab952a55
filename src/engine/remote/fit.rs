//! What of another machine's point does not fit this one.

use std::path::Path;

use super::super::Stores;
use super::super::{Engine, EngineError};
use crate::nix::hardware;
use crate::point::BytePath;
use crate::point::Point;
use crate::point::parcel::There;
use crate::system::journal::Scope;
use crate::system::{accounts, disks, secret, toplevel};

/// What `nixos-generate-config` writes.
const NAME: &str = "hardware-configuration.nix";

/// What does not fit, one line each, before a restore of a point that another
/// machine took.
///
/// # Errors
/// When the point's configuration cannot be read.
pub(in crate::engine) fn report(
    engine: &Engine<'_>,
    stores: Option<&Stores>,
    point: &Point,
    scope: &Scope,
) -> Result<Vec<String>, EngineError> {
    let mut lines = Vec::new();
    if scope.generation {
        lines.extend(platform(engine, point));
    }
    if let Some(stores) = stores.filter(|_| scope.config) {
        lines.extend(hardware_of(engine, stores, point, &scope.paths)?);
    }
    if !scope.state.is_empty() {
        lines.extend(owners(engine, point));
    }
    Ok(lines)
}

/// What is known of the machine that took a point.
fn there(point: &Point) -> Option<&There> {
    point.imported.as_ref()?.there.as_ref()
}

/// A system that this machine cannot run.
fn platform(engine: &Engine<'_>, point: &Point) -> Option<String> {
    let theirs = there(point)?.platform.as_deref()?;
    let ours = toplevel::platform(engine.layout)?;
    (theirs != ours).then(|| format!("its system is for {theirs}, this machine runs {ours}"))
}

/// Disks that its hardware configuration names and that are not here.
fn hardware_of(
    engine: &Engine<'_>,
    stores: &Stores,
    point: &Point,
    paths: &[BytePath],
) -> Result<Option<String>, EngineError> {
    let Some(snapshot) = point.config.as_ref().and_then(|c| c.snapshot()) else {
        return Ok(None);
    };
    let vault = stores.config();
    let entries = vault.entries(snapshot)?;
    let meant = |path: &Path| paths.is_empty() || paths.iter().any(|p| path.starts_with(&p.0));
    let found = entries
        .iter()
        .find(|e| e.path.ends_with(NAME) && meant(&e.path));
    let Some(file) = found else {
        return Ok(None);
    };
    let mut text = Vec::new();
    vault.read(file, &mut text)?;
    let here = secret::content(&engine.layout.real(&file.path));
    if here.as_deref() == Some(&*text) {
        return Ok(None);
    }
    let named = hardware::disks(&String::from_utf8_lossy(&text));
    let missing: Vec<String> = named
        .into_iter()
        .filter(|disk| !disks::is_there(engine.layout, disk))
        .collect();
    let path = file.path.display();
    let disks = match &missing[..] {
        [] => String::new(),
        [one] => format!(", and names a disk that is not here: {one}"),
        many => format!(
            ", and names {} disks that are not here: {}",
            many.len(),
            many.join(", ")
        ),
    };
    Ok(Some(format!(
        "{path} is of other hardware{disks}; cairn restore ID PATH … brings back only what you \
         name, and nixos-generate-config writes this file anew"
    )))
}

/// Owners of its state who are others here.
fn owners(engine: &Engine<'_>, point: &Point) -> Vec<String> {
    let Some(theirs) = there(point).map(|there| &there.owners) else {
        return Vec::new();
    };
    let ours = accounts::read(engine.layout);
    let kinds = [
        ("user", &theirs.users, &ours.users),
        ("group", &theirs.groups, &ours.groups),
    ];
    let mut lines = Vec::new();
    for (kind, theirs, ours) in kinds {
        for (id, name) in theirs {
            let line = match ours.get(id) {
                Some(here) if here == name => continue,
                Some(here) => format!("{kind} {id} was {name} there, and is {here} here"),
                None => format!("{kind} {id} was {name} there, and is nobody here"),
            };
            let elsewhere = ours.iter().find(|(_, here)| *here == name);
            let elsewhere = elsewhere.map(|(id, _)| format!(" ({name} is {id} here)"));
            lines.push(format!("{line}{}", elsewhere.unwrap_or_default()));
        }
    }
    lines
}
