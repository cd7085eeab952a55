//! The systems of points, in a Nix store beside a remote.

use std::collections::BTreeSet;

use super::super::{Engine, EngineError};
use super::{Remote, RemoteError};
use crate::nix::store_path::StorePath;
use crate::point::Point;
use crate::system::{nix_cli, store};

/// Sends the systems of points that are in the store here, with all they need;
/// Nix sends what is not there yet. Gives how many systems are there.
pub(super) fn send<'p>(
    engine: &Engine<'_>,
    remote: &Remote,
    points: impl Iterator<Item = &'p Point>,
    troubles: &mut Vec<String>,
) -> Result<usize, EngineError> {
    let url = remote.terms.closures.as_deref();
    let url = url.ok_or_else(|| RemoteError::NoClosures(remote.name.clone()))?;
    let mut there = BTreeSet::new();
    for toplevel in points.flat_map(|point| point.system.toplevels()) {
        if store::is_valid(engine.layout, toplevel)? {
            there.insert(toplevel.clone());
        }
    }
    if there.is_empty() {
        return Ok(0);
    }
    let all: Vec<StorePath> = there.into_iter().collect();
    let call = nix_cli::copy_to(engine.layout, url, &all);
    match engine.runner.check(&call) {
        Ok(_) => Ok(all.len()),
        Err(error) => {
            troubles.push(format!("the systems were not sent to {url}: {error}"));
            Ok(0)
        }
    }
}
