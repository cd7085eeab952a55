//! Comparing the systems of points with the hashes that Nix has of them. Nix's
//! own tool reads every byte of every closure, so this is done on request only.

use std::collections::{BTreeMap, BTreeSet};

use super::verify::Problem;
use super::{Engine, EngineError};
use crate::nix::store_path::StorePath;
use crate::plan::humane::count;
use crate::system::points::Catalogue;
use crate::system::{nix_cli, store};

/// Paths that are given to the tool at once.
const BATCH: usize = 100;

/// How many paths were compared, and the points whose system is not what Nix
/// built.
pub(super) fn check(
    engine: &Engine<'_>,
    catalogue: &Catalogue,
) -> Result<(usize, Vec<Problem>), EngineError> {
    let mut closures: BTreeMap<&StorePath, BTreeSet<StorePath>> = BTreeMap::new();
    for (point, _) in &catalogue.points {
        for toplevel in point.system.toplevels() {
            // One that is gone is told already.
            if closures.contains_key(toplevel) || !store::is_valid(engine.layout, toplevel)? {
                continue;
            }
            let closure = store::closure(engine.layout, engine.runner, toplevel)?;
            let paths = closure.into_iter().map(|entry| entry.path);
            closures.insert(toplevel, paths.collect());
        }
    }
    let all: BTreeSet<&StorePath> = closures.values().flatten().collect();
    let all: Vec<StorePath> = all.into_iter().cloned().collect();
    let bad = damaged(engine, &all)?;
    let mut problems = Vec::new();
    for (point, _) in catalogue.points.iter().filter(|_| !bad.is_empty()) {
        let toplevels = point.system.toplevels();
        let closures = toplevels.iter().filter_map(|path| closures.get(path));
        let hit: BTreeSet<&StorePath> = closures.flatten().filter(|p| bad.contains(p)).collect();
        if let Some(first) = hit.first() {
            let (n, path) = (hit.len(), first.to_absolute_path());
            problems.push(Problem {
                point: Some(point.id),
                what: format!(
                    "{} of its system {}, the first is {path} (nix-store --repair-path {path} \
                     mends it)",
                    count(n, "store path"),
                    if n == 1 { "is damaged" } else { "are damaged" }
                ),
            });
        }
    }
    Ok((all.len(), problems))
}

/// The paths among these that are not what Nix has in its database.
fn damaged(engine: &Engine<'_>, paths: &[StorePath]) -> Result<Vec<StorePath>, EngineError> {
    let is_bad = |paths: &[StorePath]| -> Result<bool, EngineError> {
        let call = nix_cli::verify_paths(engine.layout, paths);
        Ok(engine.runner.run(&call)?.code != 0)
    };
    let mut bad = Vec::new();
    for batch in paths.chunks(BATCH) {
        if !is_bad(batch)? {
            continue;
        }
        // The tool ends at a path that it cannot read: which it is, and which
        // others there are, is asked one by one.
        for path in batch {
            if is_bad(std::slice::from_ref(path))? {
                bad.push(path.clone());
            }
        }
    }
    Ok(bad)
}
