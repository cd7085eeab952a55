//! The systems of points, in a Nix store beside a remote.

use std::collections::BTreeSet;

use super::super::{Engine, EngineError};
use super::{Remote, RemoteError};
use crate::nix::store_path::StorePath;
use crate::point::Point;
use crate::system::{nix_cli, store};

/// What opens an object store, for Nix too.
const KEYS: [&str; 3] = [
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
];

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
    let mut call = nix_cli::copy_to(engine.layout, url, &all);
    // An object store is opened by the same keys as the remote beside it.
    for name in KEYS {
        if let Some(value) = remote.secrets.get(name) {
            call = call.env(name, value);
        }
    }
    // A machine that is reached by ssh likewise.
    if url.starts_with("ssh")
        && let Some(key) = remote.secrets.get("CAIRN_SSH_KEY")
    {
        call = nix_cli::with_ssh_key(call, key);
    }
    match engine.runner.check(&call) {
        Ok(_) => Ok(all.len()),
        Err(error) => {
            troubles.push(format!("the systems were not sent to {url}: {error}"));
            Ok(0)
        }
    }
}
