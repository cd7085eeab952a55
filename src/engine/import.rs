//! Taking a point in from a file.
//!
//! The file is somebody else's: all of it is read and checked in a folder of
//! its own before anything is stored. What is stored then is whole or gone, as
//! a point that is taken here: marker, content, roots, document.

mod content;
pub(super) mod lost;

use std::io::Read;
use std::path::Path;

use super::export::{CLOSURE, DOCUMENT, FOLDER, MARKS, TAG};
use super::{Engine, EngineError, create};
use crate::next::Next;
use crate::nix::store_path::StorePath;
use crate::point::document::{Imported, MAX_BYTES, Pin};
use crate::point::parcel::There;
use crate::point::{Marks, Point};
use crate::system::container::{self, ContainerError};
use crate::system::lock::Mode;
use crate::system::scratch::Scratch;
use crate::system::{At, fault, nix_cli, pins, points, store};
use crate::vault::{
    Entry, EntryKind, Opened, RecoveryPassword, Repo, SnapshotInfo, Vault, VaultDir,
};

pub(super) use content::plausible;
use content::{find, held, parts, same, whole};

/// Longest marks.
const MAX_MARKS: u64 = 64 << 10;

/// What to take in.
pub struct Request<'r> {
    /// The file.
    pub from: &'r mut dyn Read,
    /// What it is called in messages.
    pub name: String,
    /// The system in it too.
    pub closure: bool,
    /// What opens it, unless anybody may.
    pub password: Option<String>,
    /// Only check it.
    pub dry_run: bool,
}

/// What was taken in.
#[derive(Debug)]
pub struct Taken {
    /// The point, as it is kept here.
    pub point: Point,
    /// Its marks.
    pub marks: Marks,
    /// Whether it was here before.
    pub known: bool,
    /// Whether it was, and what of it was lost is there again.
    pub mended: bool,
    /// Whether it was taken by another machine.
    pub foreign: bool,
    /// Whether the file has the system.
    pub has_closure: bool,
    /// The vault's recovery password, when the vault was made just now.
    pub recovery: Option<RecoveryPassword>,
}

/// A file that was read and found to be whole.
struct Checked {
    repo: Repo,
    point: Point,
    marks: Marks,
    snapshots: Vec<SnapshotInfo>,
    closure: Option<Entry>,
}

/// Imports a point.
///
/// # Errors
/// A file that is not what was exported, in any way; a wrong password; another
/// point of the same id. Nothing was changed then.
pub fn import(engine: &Engine<'_>, request: Request<'_>) -> Result<Taken, EngineError> {
    points::prepare(engine.layout)?;
    create::clean_after_crash(engine)?;
    let _lock = engine.lock(Mode::Shared)?;
    let scratch = Scratch::new(
        engine.layout.state(),
        "import",
        engine.clock.new_id(engine.clock.now()),
    )?;
    let name = request.name.clone();
    let checked = check(request.from, request.password, &name, &scratch)?;
    let foreign = {
        let mut seen = checked.point.clone();
        seen.imported = Some(Imported {
            at: seen.created,
            there: None,
        });
        engine.is_foreign(&seen)
    };
    let known = known(engine, &checked.point, &name)?;
    if request.closure && checked.closure.is_none() {
        return Err(refused(
            &name,
            "it has no system in it",
            Next::again().without("--closure", false),
        ));
    }
    // What this machine took and still has is its own, whatever came.
    let foreign = known
        .as_ref()
        .map_or(foreign, |known| engine.is_foreign(known));
    let taken = |point, marks, recovery| Taken {
        point,
        marks,
        known: known.is_some(),
        mended: false,
        foreign,
        has_closure: checked.closure.is_some(),
        recovery,
    };
    if request.dry_run {
        return Ok(taken(checked.point.clone(), checked.marks.clone(), None));
    }
    if request.closure {
        import_closure(engine, &checked, &scratch)?;
    }
    let incoming = Incoming {
        repo: &checked.repo,
        point: &checked.point,
        marks: &checked.marks,
        there: None,
        snapshots: &checked.snapshots,
    };
    if let Some(point) = &known {
        // Another import of the same file may bring the system it lacked, or
        // what was lost of it.
        if request.closure {
            pin(engine, point)?;
        }
        let (mended, recovery) = lost::bring_back(engine, point, &incoming)?;
        let marks = points::read_marks(engine.layout, point.id)?;
        let is_mended = mended.is_some();
        let point = mended.unwrap_or_else(|| point.clone());
        return Ok(Taken {
            mended: is_mended,
            ..taken(point, marks, recovery)
        });
    }
    let (point, recovery) = take_in(engine, &incoming)?;
    Ok(taken(point, checked.marks.clone(), recovery))
}

/// A point that comes from elsewhere, in a repository that holds its content.
pub(super) struct Incoming<'i> {
    pub(super) repo: &'i Repo,
    pub(super) point: &'i Point,
    pub(super) marks: &'i Marks,
    /// What is known of the machine that took it.
    pub(super) there: Option<There>,
    pub(super) snapshots: &'i [SnapshotInfo],
}

impl Incoming<'_> {
    /// What the document says and the repository does not hold.
    pub(super) fn missing(&self) -> Option<String> {
        let parts = parts(self.point).into_iter();
        let mut lost = parts
            .filter(|part| part.is_held() && find(self.snapshots, self.point, part.tree).is_none());
        lost.next().map(|part| part.what)
    }

    /// Copies a part to a repository of this machine, where it is read again;
    /// gives its snapshot there, or nothing where none of it came.
    fn copy(
        &self,
        to: &Repo,
        tree: &str,
        hash: &str,
        what: &str,
    ) -> Result<Option<String>, EngineError> {
        let Some(found) = find(self.snapshots, self.point, tree) else {
            return Ok(None);
        };
        let copied = self.repo.copy_to(to, &found.id)?;
        whole(to, &copied, what)?;
        same(to, &copied, hash, what)?;
        Ok(Some(copied))
    }
}

/// Stores a point and all it holds; gives it as it is kept here, and the
/// vault's recovery password, when the vault was made just now. Either all of
/// it is there then, or nothing.
///
/// # Errors
/// [`EngineError::NoWay`] when content is not what the document says; what the
/// system says.
pub(super) fn take_in(
    engine: &Engine<'_>,
    incoming: &Incoming<'_>,
) -> Result<(Point, Option<RecoveryPassword>), EngineError> {
    let Opened { vault, recovery } = engine.open_or_make_vault()?;
    let id = incoming.point.id;
    points::begin(engine.layout, id)?;
    fault::point("import.begun");
    match store_all(engine, &vault, incoming) {
        Ok(point) => {
            points::end(engine.layout, id)?;
            Ok((point, recovery))
        }
        Err(error) => {
            // What cannot be cleaned away now is by the next run.
            let _ = create::discard(engine, &vault, id);
            if matches!(error, EngineError::Vault(_)) {
                let _ = points::begin(engine.layout, id);
            }
            Err(error)
        }
    }
}

fn refused(file: &str, why: impl Into<String>, next: impl Into<Next>) -> EngineError {
    EngineError::Import {
        file: file.to_owned(),
        why: why.into(),
        next: next.into(),
    }
}

/// Reads the file and checks all of it.
fn check(
    from: &mut dyn Read,
    password: Option<String>,
    name: &str,
    scratch: &Scratch,
) -> Result<Checked, EngineError> {
    let bad = |why: String| {
        let why = format!("{why}; copy it again, or export the point anew");
        refused(name, why, "cairn export --help")
    };
    let place = scratch.path().join("repository");
    Repo::skeleton(&place)?;
    let header = container::unpack(from, &place).map_err(|error| match error {
        ContainerError::Io(error) => EngineError::Io(error),
        ContainerError::Version { .. } => refused(name, error.to_string(), "cairn --version"),
        other => bad(other.to_string()),
    })?;
    let open = header.password.is_some();
    let password = match (header.password, password) {
        (Some(told), _) => told,
        (None, Some(given)) => given,
        (None, None) => {
            let next = Next::again_with("--password-file", Some("FILE"));
            return Err(refused(name, "it is encrypted", next));
        }
    };
    let repo =
        Repo::open_with(&place, &password).map_err(|error| match (error.is_key(), open) {
            (true, false) => EngineError::WrongPassword(name.to_owned()),
            (true, true) => bad("its own password does not open it".to_owned()),
            (false, _) => bad(error.to_string()),
        })?;
    let report = repo.check(true)?;
    if let Some(problem) = report.problems.first() {
        return Err(bad(format!("its content is damaged: {problem}")));
    }
    let snapshots = repo.snapshots()?.good;
    let [own] = &snapshots
        .iter()
        .filter(|s| s.tag == TAG)
        .collect::<Vec<_>>()[..]
    else {
        return Err(bad("it does not hold one point".to_owned()));
    };
    let entries = repo.entries(&own.id)?;
    let file = |wanted: &str| {
        let path = Path::new(FOLDER).join(wanted);
        entries.iter().find(|e| e.path == path).cloned()
    };
    let read = |wanted: &str, most: u64| -> Result<Vec<u8>, EngineError> {
        let entry = file(wanted).ok_or_else(|| bad(format!("it has no {wanted}")))?;
        if !matches!(entry.kind, EntryKind::File { size, .. } if size <= most) {
            return Err(bad(format!("its {wanted} is none")));
        }
        let mut text = Vec::new();
        repo.read(&entry, &mut text)?;
        Ok(text)
    };
    let point =
        Point::parse_loose(&read(DOCUMENT, MAX_BYTES as u64)?).map_err(|e| bad(e.to_string()))?;
    let marks: Marks = serde_json::from_slice(&read(MARKS, MAX_MARKS)?)
        .map_err(|e| bad(format!("its marks: {e}")))?;
    plausible(&point).map_err(bad)?;
    held(&repo, &snapshots, &point).map_err(|e| match e {
        EngineError::NoWay(why) => bad(why),
        other => other,
    })?;
    let closure = file(CLOSURE).filter(|e| matches!(e.kind, EntryKind::File { .. }));
    Ok(Checked {
        repo,
        point,
        marks,
        snapshots,
        closure,
    })
}

/// The point of this id that is here; refuses another one.
pub(super) fn known(
    engine: &Engine<'_>,
    point: &Point,
    name: &str,
) -> Result<Option<Point>, EngineError> {
    if !points::exists(engine.layout, point.id) {
        return Ok(None);
    }
    let catalogue = engine.catalogue()?;
    let here = catalogue.points.into_iter().map(|(p, _)| p);
    match here.into_iter().find(|p| p.id == point.id) {
        Some(here) if here.is_same_as(point) => Ok(Some(here)),
        _ => {
            let short = point.id.short_among([]);
            let why = format!("another restore point {short} is here");
            Err(refused(name, why, format!("cairn show {short}")))
        }
    }
}

/// Copies the content, pins what is in the store, and writes the document.
fn store_all(
    engine: &Engine<'_>,
    vault: &VaultDir,
    incoming: &Incoming<'_>,
) -> Result<Point, EngineError> {
    let mut point = incoming.point.clone();
    if let Some(config) = &mut point.config {
        let to = vault.config();
        let copied = incoming.copy(to, &config.tree, &config.hash, "the configuration")?;
        config.snapshot = copied.unwrap_or_default();
    }
    if !point.state.is_empty() {
        let state = vault.state()?;
        for (name, set) in &mut point.state {
            let what = format!("state {}", name.escape_default());
            let copied = incoming.copy(&state, &set.tree, &set.hash, &what)?;
            set.snapshot = copied.unwrap_or_default();
        }
    }
    fault::point("import.copied");
    point.pins = pin(engine, &point)?;
    fault::point("import.pinned");
    point.imported = Some(Imported {
        at: engine.clock.now(),
        there: incoming.there.clone(),
    });
    if *incoming.marks != Marks::default() {
        points::store_marks(engine.layout, point.id, incoming.marks)?;
    }
    points::store(engine.layout, &point)?;
    fault::point("import.documented");
    Ok(point)
}

/// Holds those of a point's systems that are in the store. A user who may not
/// add roots has the point all the same.
pub(super) fn pin(engine: &Engine<'_>, point: &Point) -> Result<Vec<Pin>, EngineError> {
    let mut there: Vec<&StorePath> = Vec::new();
    for toplevel in point.system.toplevels() {
        if store::is_valid(engine.layout, toplevel)? {
            there.push(toplevel);
        }
    }
    if there.is_empty() {
        return Ok(Vec::new());
    }
    match pins::pin(engine.layout, point.id, there) {
        Ok(pinned) => Ok(pinned.pins),
        Err(e) if e.kind() == std::io::ErrorKind::PermissionDenied => Ok(Vec::new()),
        Err(e) => Err(e.into()),
    }
}

/// Gives the system in the file to Nix.
fn import_closure(
    engine: &Engine<'_>,
    checked: &Checked,
    scratch: &Scratch,
) -> Result<(), EngineError> {
    let Some(entry) = &checked.closure else {
        return Ok(());
    };
    let mut file = scratch.create("closure")?;
    checked.repo.read(entry, &mut file)?;
    let path = scratch.path().join("closure");
    file.sync_all().at("flush", &path)?;
    engine
        .runner
        .check(&nix_cli::import(engine.layout).input(path))?;
    Ok(())
}
