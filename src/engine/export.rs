//! One point as one file.
//!
//! What the point needs of the vault is copied into a small restic repository
//! with a key of its own, its document and marks beside it; the repository is
//! packed into one file. So the file is checked, compressed and, with a
//! password, encrypted as the vault is, and `restic` reads it too.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::{Path, PathBuf};

use super::restore::Goal;
use super::{Engine, EngineError, Stores, fetch};
use crate::nix::store_path::StorePath;
use crate::point::{Point, Selector};
use crate::system::container::{self, Header};
use crate::system::scratch::Scratch;
use crate::system::whereabouts::folder_of;
use crate::system::{At, durable, nix_cli, points, store};
use crate::vault::{CaptureRequest, CaptureRoot, OnUnreadable, RecoveryPassword, Repo, Vault};

/// The tag of the snapshot that holds the document.
pub(super) const TAG: &str = "cairn-export";
/// Where that snapshot has its files.
pub(super) const FOLDER: &str = "/cairn";
/// The document's name there.
pub(super) const DOCUMENT: &str = "point.json";
/// The marks' name there.
pub(super) const MARKS: &str = "marks.json";
/// The name of the system there, as `nix-store --export` writes it.
pub(super) const CLOSURE: &str = "closure.nix-export";

/// What to put into the file, and where to put it.
pub struct Request<'r> {
    /// The file to make, or where to write it to.
    pub to: Target<'r>,
    /// The system too, with all it needs.
    pub closure: bool,
    /// What opens it; anybody may when there is none.
    pub password: Option<String>,
}

/// Where an export goes.
pub enum Target<'r> {
    /// A file that is not there yet: a real path.
    File(PathBuf),
    /// A stream.
    Stream(&'r mut dyn Write),
}

/// What was exported.
#[derive(Debug)]
pub struct Exported {
    /// The point.
    pub point: Point,
    /// Bytes of the file.
    pub bytes: u64,
    /// Store paths in it.
    pub paths: usize,
}

/// Exports a point.
///
/// # Errors
/// No such point; a file of that name; content that cannot be read; a system
/// that is gone, when it was asked for. Nothing is left of the file then.
pub fn export(
    engine: &Engine<'_>,
    selector: &Selector,
    request: Request<'_>,
) -> Result<Exported, EngineError> {
    let _lock = engine.lock_to_read()?;
    let point = engine.select(selector)?;
    let id = engine.clock.new_id(engine.clock.now());
    if let Target::File(path) = &request.to {
        refuse_taken(path)?;
    }
    let beside = match &request.to {
        Target::File(path) => Some(folder_of(path)),
        Target::Stream(_) => None,
    };
    // The files of points may lie on a disk that is mounted read-only.
    let scratch = Scratch::anywhere(engine.layout.state(), beside, "export", id)?;
    let files = scratch.path().join("files");
    durable::create_private_dir(&files)?;
    durable::write(
        &files.join(DOCUMENT),
        &point
            .to_json()
            .map_err(|e| EngineError::Document(e.into()))?,
    )?;
    let marks = points::read_marks(engine.layout, point.id)?;
    let marks = serde_json::to_vec(&marks).map_err(|e| EngineError::Document(e.into()))?;
    durable::write(&files.join(MARKS), &marks)?;
    let mut paths = 0;
    if request.closure {
        paths = export_closure(engine, &point, &files.join(CLOSURE))?;
    }
    let place = scratch.path().join("repository");
    let generated = RecoveryPassword::generate();
    let password = request.password.as_deref().unwrap_or(generated.expose());
    let repo = Repo::create(&place, password)?;
    if point.snapshots().next().is_some() {
        copy_content(&engine.stores()?, &point, &repo)?;
    }
    repo.capture(&CaptureRequest {
        tag: TAG.to_owned(),
        host: point.host.clone(),
        time: point.created,
        roots: vec![CaptureRoot {
            disk: files,
            logical: FOLDER.into(),
        }],
        exclude_names: Vec::new(),
        exclude_named: |_| false,
        exclude_paths: Vec::new(),
        on_unreadable: OnUnreadable::Fail,
        parent: None,
    })?;
    let open = request.password.is_none();
    let header = Header::new(open.then(|| generated.expose().to_owned()));
    let bytes = match request.to {
        Target::Stream(out) => container::pack(&place, &header, out)?,
        Target::File(path) => write_file(engine, &path, &place, &header)?,
    };
    Ok(Exported {
        point,
        bytes,
        paths,
    })
}

fn refuse_taken(path: &Path) -> Result<(), EngineError> {
    match rustix::fs::lstat(path) {
        Ok(_) => Err(EngineError::Taken(path.to_owned())),
        Err(_) => Ok(()),
    }
}

/// Writes beside the file first, so that it is there whole or not at all.
fn write_file(
    engine: &Engine<'_>,
    path: &Path,
    repository: &Path,
    header: &Header,
) -> Result<u64, EngineError> {
    let id = engine.clock.new_id(engine.clock.now());
    let beside = Scratch::new(folder_of(path), "export", id)?;
    let mut file = beside.create("point")?;
    let bytes = container::pack(repository, header, &mut file)?;
    file.sync_all().at("flush", path)?;
    match beside.place_new("point", path) {
        Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => {
            Err(EngineError::Taken(path.to_owned()))
        }
        other => Ok(other.map(|()| bytes)?),
    }
}

/// Copies what a point holds of both repositories.
fn copy_content(stores: &Stores, point: &Point, to: &Repo) -> Result<(), EngineError> {
    if let Some(snapshot) = point.config.as_ref().and_then(|c| c.snapshot()) {
        stores.vault.config().copy_to(to, snapshot)?;
    }
    for snapshot in point.state.values().filter_map(|set| set.snapshot()) {
        let state = stores.state.as_ref().ok_or(EngineError::NoStateVault)?;
        state.copy_to(to, snapshot)?;
    }
    Ok(())
}

/// Writes the system with all it needs; gives the number of store paths.
fn export_closure(engine: &Engine<'_>, point: &Point, file: &Path) -> Result<usize, EngineError> {
    let wanted = [point.system.boot_target(), point.system.run_target()];
    let mut paths: BTreeSet<StorePath> = BTreeSet::new();
    for toplevel in wanted.into_iter().flatten() {
        if !store::is_valid(engine.layout, toplevel)? {
            let goal = Goal::Point(Box::new(point.clone()));
            return Err(fetch::is_gone(engine, &goal, toplevel));
        }
        let closure = store::closure(engine.layout, engine.runner, toplevel)?;
        paths.extend(closure.into_iter().map(|entry| entry.path));
    }
    if paths.is_empty() {
        return Err(EngineError::NotHeld {
            point: point.id.short_among([]),
            what: "system",
        });
    }
    engine
        .runner
        .check(&nix_cli::export(engine.layout, &paths).output(file))?;
    Ok(paths.len())
}
