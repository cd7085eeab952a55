//! Documents and marks on disk.
//!
//! A point is listed when its document is in `points/`, which happens in one
//! rename after everything it names is durable. `inflight/` holds a marker for
//! each point that is being taken; what is left there belongs to a crash.

mod inflight;

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::thread;

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use super::error::optional;
use super::{At, IoError, Layout, durable, fault};
use crate::point::document::{DocumentError, MAX_BYTES};
use crate::point::remnant::Remnant;
use crate::point::{Marks, Point, PointId, marks};

pub use inflight::{Owed, begin, end, inflight, owe, owed};

/// Every point that can be read, oldest first, and every file that cannot. A
/// point whose marks cannot be read counts as pinned.
#[derive(Debug, Default)]
pub struct Catalogue {
    /// Points with their marks, sorted by id.
    pub points: Vec<(Point, Marks)>,
    /// Files in `points/` that are no documents, and marks that are none; the
    /// rest is listed all the same.
    pub damaged: Vec<Damaged>,
}

/// A file that should be a document and is none.
#[derive(Debug)]
pub struct Damaged {
    /// Its name; with its folder when that is not `points/`.
    pub file: OsString,
    /// The id it is stored under, when its name has one.
    pub id: Option<PointId>,
    /// What is wrong with it.
    pub why: String,
    /// In which way.
    pub fault: Fault,
}

/// In which way a file is no document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Its name is not that of a restore point.
    Stray,
    /// It was read, and is no document: what it said is lost.
    Malformed,
    /// It could not be read, or another release wrote it: it may be well.
    Unread,
    /// It holds marks, not a document.
    Marks,
}

/// Why a document could not be stored.
#[derive(Debug, thiserror::Error)]
pub enum StoreDocumentError {
    /// The file could not be written.
    #[error(transparent)]
    Io(#[from] IoError),
    /// The document has no JSON form.
    #[error("cannot encode the document: {0}")]
    Encode(#[from] serde_json::Error),
}

/// Makes the folders of a state directory.
///
/// # Errors
/// When one cannot be made.
pub fn prepare(layout: &Layout) -> Result<(), IoError> {
    for dir in [
        layout.points(),
        layout.marks(),
        layout.inflight(),
        layout.journal(),
    ] {
        durable::create_private_dir(&dir)?;
    }
    Ok(())
}

/// Reads all points.
///
/// # Errors
/// Only when the folder itself cannot be listed.
pub fn catalogue(layout: &Layout) -> Result<Catalogue, IoError> {
    let dir = layout.points();
    let Some(entries) = optional(fs::read_dir(&dir).at("list the points in", &dir))? else {
        return Ok(Catalogue::default());
    };
    let mut names: Vec<OsString> = Vec::new();
    for entry in entries {
        names.push(entry.at("list the points in", &dir)?.file_name());
    }
    names.retain(|n| !n.to_string_lossy().starts_with(durable::TEMPORARY));
    names.sort();
    let marked = marked(layout)?;
    let mut catalogue = Catalogue::default();
    for (file, read) in read_all(&open_dir(&dir)?, names) {
        match read {
            Ok(point) => {
                let marks = match marked
                    .contains(&point.id)
                    .then(|| read_marks(layout, point.id))
                {
                    None => Marks::default(),
                    Some(Ok(marks)) => marks,
                    Some(Err(e)) => {
                        let file = format!("marks/{}.json", point.id).into();
                        let (id, why) = (Some(point.id), e.source.to_string());
                        let kept = unreadable_marks(&point, &why);
                        let fault = Fault::Marks;
                        catalogue.damaged.push(Damaged {
                            file,
                            id,
                            why,
                            fault,
                        });
                        kept
                    }
                };
                catalogue.points.push((point, marks));
            }
            Err(none) => catalogue.damaged.push(Damaged {
                file,
                id: none.id,
                why: none.why,
                fault: none.fault,
            }),
        }
    }
    catalogue.points.sort_by_key(|(p, _)| p.id);
    Ok(catalogue)
}

/// What stands in for marks that cannot be read: the point may have been
/// pinned, so prune must not take it.
fn unreadable_marks(point: &Point, why: &str) -> Marks {
    Marks {
        version: marks::VERSION,
        pinned: Some(marks::Note {
            at: point.created,
            reason: Some(format!("its marks cannot be read: {why}")),
        }),
        verdict: None,
        damaged: None,
    }
}

/// A document, or what is wrong with the file.
type Outcome = Result<Point, NoDocument>;

/// What is wrong with a file that is no document.
struct NoDocument {
    /// The id it is stored under.
    id: Option<PointId>,
    why: String,
    fault: Fault,
}

/// Reads documents, on two threads when there are many.
fn read_all(dir: &OwnedFd, mut names: Vec<OsString>) -> Vec<(OsString, Outcome)> {
    let read = |names: Vec<OsString>| -> Vec<(OsString, Outcome)> {
        let mut buffer = vec![0; USUAL_BYTES];
        let one = |name: OsString| {
            let read = read_document(dir, &name, &mut buffer);
            (name, read)
        };
        names.into_iter().map(one).collect()
    };
    if names.len() < 64 {
        return read(names);
    }
    let right = names.split_off(names.len() / 2);
    thread::scope(|scope| {
        let right = scope.spawn(|| read(right));
        let mut all = read(names);
        // A thread that died must not hide half of the points.
        match right.join() {
            Ok(right) => all.extend(right),
            Err(panic) => std::panic::resume_unwind(panic),
        }
        all
    })
}

/// Room for the documents of nearly all configurations.
const USUAL_BYTES: usize = 32 << 10;

fn open_dir(dir: &Path) -> Result<OwnedFd, IoError> {
    let flags = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC;
    rustix::fs::open(dir, flags, Mode::empty()).at("list the points in", dir)
}

fn read_document(dir: &OwnedFd, file: &OsStr, buffer: &mut Vec<u8>) -> Outcome {
    let id: PointId = file
        .to_str()
        .and_then(|name| name.strip_suffix(".json"))
        .and_then(|stem| stem.parse().ok())
        .ok_or_else(|| NoDocument {
            id: None,
            why: "its name is not that of a restore point".to_owned(),
            fault: Fault::Stray,
        })?;
    let size = read_limited(dir, file, buffer).map_err(|e| NoDocument {
        id: Some(id),
        why: e.to_string(),
        fault: match Errno::from_io_error(&e) {
            // A link or a folder is read by nobody, at no time.
            Some(Errno::LOOP | Errno::ISDIR) => Fault::Malformed,
            _ => Fault::Unread,
        },
    })?;
    Point::parse(&buffer[..size], id).map_err(|e| NoDocument {
        id: Some(id),
        why: e.to_string(),
        fault: match e {
            DocumentError::Version { .. } => Fault::Unread,
            _ => Fault::Malformed,
        },
    })
}

/// What is left of a file that is no document: nothing of one that cannot be
/// read.
pub fn remnant(layout: &Layout, file: &OsStr) -> Remnant {
    let mut buffer = vec![0; USUAL_BYTES];
    let read = open_dir(&layout.points())
        .map_err(|e| e.source)
        .and_then(|dir| read_limited(&dir, file, &mut buffer));
    Remnant::of(&buffer[..read.unwrap_or(0)])
}

/// Reads a file below the open folder `dir`; a file that ends within the buffer
/// takes a single read, since only the end of a file makes one short.
fn read_limited(dir: &OwnedFd, name: &OsStr, buffer: &mut Vec<u8>) -> io::Result<usize> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = rustix::fs::openat(dir, name, flags, Mode::empty())?;
    let mut filled = 0;
    loop {
        let read = rustix::io::read(&file, &mut buffer[filled..])?;
        filled += read;
        if read == 0 || filled < buffer.len() || filled > MAX_BYTES {
            return Ok(filled);
        }
        buffer.resize(buffer.len() * 2, 0);
    }
}

fn document_path(layout: &Layout, id: PointId) -> PathBuf {
    layout.points().join(format!("{id}.json"))
}

/// Stores a document: from this moment the point exists.
///
/// # Errors
/// When it cannot be written durably; nothing is listed then.
pub fn store(layout: &Layout, point: &Point) -> Result<(), StoreDocumentError> {
    Ok(durable::write(
        &document_path(layout, point.id),
        &point.to_json()?,
    )?)
}

/// Removes a document and its marks: from this moment the point is gone.
///
/// # Errors
/// When they cannot be removed.
pub fn remove(layout: &Layout, id: PointId) -> Result<(), IoError> {
    durable::remove(&document_path(layout, id))?;
    fault::point("prune.document-removed");
    durable::remove(&marks_path(layout, id))
}

fn marks_path(layout: &Layout, id: PointId) -> PathBuf {
    layout.marks().join(format!("{id}.json"))
}

fn marked(layout: &Layout) -> Result<std::collections::HashSet<PointId>, IoError> {
    let dir = layout.marks();
    let entries = optional(fs::read_dir(&dir).at("list the marks in", &dir))?;
    Ok(entries
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|e| e.file_name().to_str()?.strip_suffix(".json")?.parse().ok())
        .collect())
}

/// The marks of a point; none are the default.
///
/// # Errors
/// When the file is there and cannot be read: a pin must not be overlooked.
pub fn read_marks(layout: &Layout, id: PointId) -> Result<Marks, IoError> {
    let path = marks_path(layout, id);
    let Some(text) = optional(fs::read(&path).at("read the marks", &path))? else {
        return Ok(Marks::default());
    };
    parse_marks(&text).at("read the marks", &path)
}

/// Whether the marks of a point are there and are none, rather than unreadable
/// or those of a newer cairn.
pub fn has_damaged_marks(layout: &Layout, id: PointId) -> bool {
    read_marks(layout, id).is_err_and(|e| is_malformed(&e.source))
}

/// Whether a file was read and is not what it should be.
pub(super) fn is_malformed(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof
    )
}

fn parse_marks(text: &[u8]) -> io::Result<Marks> {
    let marks: Marks = serde_json::from_slice(text)?;
    // Writing them back would lose what a newer cairn put there.
    if marks.version > marks::VERSION {
        let (found, known) = (marks.version, marks::VERSION);
        return Err(io::Error::other(format!(
            "they have version {found}, this cairn reads version {known}"
        )));
    }
    Ok(marks)
}

/// Stores the marks of a point and reads them back.
///
/// # Errors
/// When they cannot be written, or do not read back as written.
pub fn store_marks(layout: &Layout, id: PointId, new: &Marks) -> Result<(), IoError> {
    let path = marks_path(layout, id);
    let new = Marks {
        version: marks::VERSION,
        ..new.clone()
    };
    let text = serde_json::to_vec(&new)
        .map_err(io::Error::from)
        .at("encode", &path)?;
    durable::write(&path, &text)?;
    if read_marks(layout, id)? == new {
        return Ok(());
    }
    Err(io::Error::other("it does not read back as written")).at("verify", &path)
}

/// The points that have marks, with them. A document that cannot be read is
/// left out, and so are marks that cannot.
///
/// # Errors
/// When the folder cannot be listed.
pub fn marked_points(layout: &Layout) -> Result<Vec<(Point, Marks)>, IoError> {
    let marked = marked(layout)?;
    let mut found = Vec::new();
    if marked.is_empty() {
        return Ok(found);
    }
    let dir = open_dir(&layout.points())?;
    let mut buffer = vec![0; USUAL_BYTES];
    for id in marked {
        if let Ok(point) = read_document(&dir, format!("{id}.json").as_ref(), &mut buffer) {
            // Marks that cannot be read say nothing good of a point.
            if let Ok(marks) = read_marks(layout, id) {
                found.push((point, marks));
            }
        }
    }
    Ok(found)
}

/// Removes temporary files that a crash left in the state directory. The
/// caller holds the lock alone.
///
/// # Errors
/// When one cannot be removed.
pub fn sweep(layout: &Layout) -> Result<(), IoError> {
    for dir in [
        layout.points(),
        layout.marks(),
        layout.journal(),
        layout.inflight(),
    ] {
        for entry in fs::read_dir(&dir).at("list", &dir)?.flatten() {
            if entry
                .file_name()
                .to_string_lossy()
                .starts_with(durable::TEMPORARY)
            {
                durable::remove(&entry.path())?;
            }
        }
    }
    Ok(())
}

/// Whether a document with this id is stored.
pub fn exists(layout: &Layout, id: PointId) -> bool {
    fs::symlink_metadata(document_path(layout, id)).is_ok()
}
