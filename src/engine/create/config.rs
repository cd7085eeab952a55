//! The configuration of a point: where it is, and what is captured of it.

use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};

use super::Request;
use crate::engine::progress::Task;
use crate::engine::{Engine, EngineError};
use crate::point::document::{Config, ConfigRoot, Missing, RootKind};
use crate::point::{BytePath, PointId};
use crate::system::follow::{self, EXCLUDED_NAMES, Sources};
use crate::system::ours::is_ours;
use crate::system::{IoError, git, pointers};
use crate::vault::{CaptureRequest, CaptureRoot, Captured, OnUnreadable, Vault, VaultDir};

pub(super) fn find_sources(engine: &Engine<'_>, request: &Request) -> Result<Sources, IoError> {
    let mut paths = engine.policy.config_paths.clone();
    paths.extend(request.also.iter().cloned());
    follow::sources(engine.layout, &paths)
}

pub(super) fn describe_roots(engine: &Engine<'_>, sources: &Sources) -> Vec<ConfigRoot> {
    let describe = |root: &follow::Root| {
        let dir = match root.kind {
            RootKind::Directory => Some(root.path.as_path()),
            RootKind::File => root.path.parent(),
            RootKind::Symlink | RootKind::Absent => None,
        };
        ConfigRoot {
            path: BytePath(root.path.clone()),
            kind: root.kind,
            git: dir.and_then(|dir| git::fact(engine.layout, engine.runner, dir)),
        }
    };
    sources.roots.iter().map(describe).collect()
}

pub(super) fn capture(
    engine: &Engine<'_>,
    vault: &VaultDir,
    sources: &Sources,
    id: PointId,
    time: DateTime<Utc>,
) -> Result<Option<Captured>, EngineError> {
    let present = || sources.roots.iter().filter(|r| r.kind != RootKind::Absent);
    // A machine that is deployed from elsewhere has no configuration of its
    // own; a point of it is whole all the same.
    if present().next().is_none() {
        return Ok(None);
    }
    let request = CaptureRequest {
        tag: id.to_string(),
        host: pointers::host(engine.layout),
        time,
        roots: present()
            .map(|r| CaptureRoot {
                disk: engine.layout.real(&r.path),
                logical: r.path.clone(),
            })
            .collect(),
        exclude_names: EXCLUDED_NAMES.iter().map(Into::into).collect(),
        exclude_named: is_ours,
        exclude_paths: own_state(engine).into_iter().collect(),
        on_unreadable: OnUnreadable::Record,
        parent: None,
    };
    let places: Vec<PathBuf> = request.roots.iter().map(|r| r.disk.clone()).collect();
    let captured = engine.measured(&Task::CaptureConfig, &places, &[], || {
        vault.config().capture(&request)
    });
    Ok(Some(captured?))
}

/// The state directory as a logical path, when it lies under the root: it
/// never captures itself.
pub(in crate::engine) fn own_state(engine: &Engine<'_>) -> Option<PathBuf> {
    let inside = engine
        .layout
        .state()
        .strip_prefix(engine.layout.root())
        .ok()?;
    Some(Path::new("/").join(inside))
}

/// The configuration but for what the vault holds of it.
pub(super) fn config_part(
    sources: Sources,
    roots: Vec<ConfigRoot>,
    missing: &mut Vec<Missing>,
) -> Config {
    missing.extend(sources.missing);
    Config {
        roots,
        followed: sources.followed.into_iter().map(BytePath).collect(),
        unfollowed: sources.unfollowed,
        ..Config::default()
    }
}

/// The configuration with what was captured of it.
pub(super) fn with_content(
    config: Config,
    captured: Captured,
    missing: &mut Vec<Missing>,
) -> Config {
    missing.extend(captured.unreadable.into_iter().map(|u| Missing {
        what: BytePath(u.path),
        why: u.reason,
    }));
    missing.extend(captured.skipped.into_iter().map(|s| Missing {
        what: BytePath(s.path),
        why: s.reason,
    }));
    Config {
        files: captured.files,
        bytes: captured.bytes,
        hash: captured.content_hash.unwrap_or_default(),
        tree: captured.tree,
        snapshot: captured.snapshot,
        excluded: captured.excluded.into_iter().map(BytePath).collect(),
        ..config
    }
}
