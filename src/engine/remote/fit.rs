//! What of another machine's point does not fit this one.

use std::path::{Path, PathBuf};

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
        let others = hardware_of(engine, stores, point, &scope.paths)?;
        let stays = |file: &Hardware| scope.leave.iter().any(|path| path.0 == file.path);
        lines.extend(others.iter().map(|file| told(file, stays(file))));
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

/// A hardware configuration that the point holds and that is another here.
struct Hardware {
    path: PathBuf,
    /// Whether there is one here.
    here: bool,
    /// Disks it names that are not here.
    missing: Vec<String>,
}

/// Those of a point, where it matters.
fn hardware_of(
    engine: &Engine<'_>,
    stores: &Stores,
    point: &Point,
    paths: &[BytePath],
) -> Result<Vec<Hardware>, EngineError> {
    let Some(snapshot) = point.config.as_ref().and_then(|c| c.snapshot()) else {
        return Ok(Vec::new());
    };
    let vault = stores.config();
    let meant = |path: &Path| paths.is_empty() || paths.iter().any(|p| path.starts_with(&p.0));
    let mut found = Vec::new();
    for file in vault.entries(snapshot)? {
        if !file.path.ends_with(NAME) || !meant(&file.path) {
            continue;
        }
        let mut text = Vec::new();
        vault.read(&file, &mut text)?;
        let here = secret::content(&engine.layout.real(&file.path));
        if here.as_deref() == Some(&*text) {
            continue;
        }
        let named = hardware::disks(&String::from_utf8_lossy(&text));
        let missing = named.into_iter();
        let missing = missing.filter(|disk| !disks::is_there(engine.layout, disk));
        found.push(Hardware {
            here: here.is_some(),
            missing: missing.collect(),
            path: file.path,
        });
    }
    Ok(found)
}

/// The files of another machine's point that stay as they are here, unless they
/// are asked for by name: they say what hardware this machine has.
///
/// # Errors
/// When the point's configuration cannot be read.
pub fn hardware_that_stays(
    engine: &Engine<'_>,
    point: &Point,
    scope: &Scope,
) -> Result<Vec<BytePath>, EngineError> {
    if !scope.config || !engine.is_foreign(point) {
        return Ok(Vec::new());
    }
    let others = hardware_of(engine, &engine.stores()?, point, &scope.paths)?;
    let stay = others.into_iter().filter(|file| file.here);
    let stay = stay.map(|file| BytePath(file.path));
    Ok(stay.filter(|path| !scope.paths.contains(path)).collect())
}

fn told(file: &Hardware, stays: bool) -> String {
    let path = file.path.display();
    let disks = match &file.missing[..] {
        [] => String::new(),
        [one] => format!(", and names a disk that is not here: {one}"),
        many => format!(
            ", and names {} disks that are not here: {}",
            many.len(),
            many.join(", ")
        ),
    };
    match stays {
        true => format!(
            "{path} stays as it is here: the point's is of other hardware{disks}; --hardware \
             brings it back too"
        ),
        false => format!(
            "{path} is of other hardware{disks}; nixos-generate-config writes it anew for this \
             machine"
        ),
    }
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
