//! Walks what is to be captured: sorted, anchored on directory descriptors,
//! never through a symlink.

use std::ffi::{OsStr, OsString};
use std::fs::{File, Metadata};
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{CWD, Dir, FileType, Mode, OFlags, openat, readlinkat};

use crate::vault::attributes;
use crate::vault::digest::{Line, LineKind, bytes, sha};
use crate::vault::error::VaultError;
use crate::vault::log::CaptureLog;
use crate::vault::reader::{CheckedReader, Stamp};
use crate::vault::types::{CaptureRequest, CaptureRoot, Xattr};

/// One thing to store.
#[derive(Debug)]
pub(crate) struct Walked {
    pub(crate) logical: PathBuf,
    pub(crate) metadata: Metadata,
    pub(crate) xattrs: Vec<Xattr>,
    pub(crate) kind: WalkedKind,
}

/// What it is, with what is needed to store it.
#[derive(Debug)]
pub(crate) enum WalkedKind {
    File(Box<CheckedReader>),
    Dir,
    Symlink(PathBuf),
    Fifo,
    Char(u64),
    Block(u64),
}

const LOOK: &str = "look at the entry";

/// How files are opened. `NONBLOCK`: should the name become a FIFO meanwhile, do
/// not hang.
const READ: OFlags = OFlags::RDONLY
    .union(OFlags::NOFOLLOW)
    .union(OFlags::NONBLOCK)
    .union(OFlags::NOCTTY)
    .union(OFlags::CLOEXEC);

/// The part of a request that the walk needs.
#[derive(Debug)]
pub(crate) struct WalkPlan {
    roots: Vec<CaptureRoot>,
    names: Vec<OsString>,
    named: fn(&OsStr) -> bool,
    paths: Vec<PathBuf>,
    /// Device and inode of a directory that is never captured: the vault.
    own: Option<(u64, u64)>,
}

impl WalkPlan {
    pub(crate) fn new(request: &CaptureRequest, own: Option<(u64, u64)>) -> Self {
        let mut roots = request.roots.clone();
        // Component by component: the order in which trees are stored.
        roots.sort_by(|a, b| a.logical.cmp(&b.logical));
        Self {
            roots,
            names: request.exclude_names.clone(),
            named: request.exclude_named,
            paths: request.exclude_paths.clone(),
            own,
        }
    }

    fn excludes(&self, name: &OsStr, logical: &Path) -> bool {
        self.names.iter().any(|other| other == name)
            || (self.named)(name)
            || self.paths.iter().any(|path| path == logical)
    }
}

/// A directory whose entries are being visited.
#[derive(Debug)]
struct Frame {
    dir: File,
    before: Stamp,
    names: std::vec::IntoIter<(OsString, FileType)>,
    logical: PathBuf,
    disk: PathBuf,
}

/// Where an entry is: its open parent, its name there, its two full paths.
struct Place<'a> {
    parent: &'a File,
    name: &'a OsStr,
    disk: PathBuf,
    logical: PathBuf,
    /// What the directory's listing says it is.
    listed: FileType,
    is_root: bool,
}

/// The iterator. It ends early once the log has a failure.
#[derive(Debug)]
pub(crate) struct Walker {
    plan: Arc<WalkPlan>,
    log: Arc<CaptureLog>,
    next_root: usize,
    stack: Vec<Frame>,
}

/// Why an entry is not emitted.
pub(crate) enum Stop {
    System(&'static str, io::Error),
    Changed(&'static str),
    Unsupported(String),
    LeftOut,
}

fn system(operation: &'static str) -> impl Fn(rustix::io::Errno) -> Stop {
    move |errno| Stop::System(operation, errno.into())
}

impl Walker {
    pub(crate) fn new(plan: Arc<WalkPlan>, log: Arc<CaptureLog>) -> Self {
        Self {
            plan,
            log,
            next_root: 0,
            stack: Vec::new(),
        }
    }

    /// Notes why an entry is missing; the walk goes on only where that is safe.
    fn note(&self, stop: Stop, place: &Place<'_>) {
        use io::ErrorKind::{NotADirectory, NotFound, PermissionDenied};
        let path = place.disk.clone();
        match stop {
            Stop::LeftOut => {}
            Stop::Changed(what) => self.log.fail(VaultError::Changed { path, what }),
            Stop::Unsupported(what) => self.log.fail(VaultError::Unsupported { path, what }),
            Stop::System(operation, source) => match source.kind() {
                PermissionDenied => {
                    self.log
                        .unreadable(&path, &place.logical, format!("{operation}: {source}"));
                }
                NotFound | NotADirectory if !place.is_root => {
                    self.log.fail(VaultError::Changed {
                        path,
                        what: "was replaced",
                    });
                }
                _ => self.log.fail(VaultError::io(operation, path)(source)),
            },
        }
    }

    fn root(&mut self, root: &CaptureRoot) -> Option<Walked> {
        let (above, name) = match (root.disk.parent(), root.disk.file_name()) {
            (Some(above), Some(name)) if above.as_os_str().is_empty() => (Path::new("."), name),
            (Some(above), Some(name)) => (above, name),
            // "/" or a path that ends in "..".
            _ => (root.disk.as_path(), OsStr::new(".")),
        };
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let opened = openat(CWD, above, flags, Mode::empty());
        let (disk, logical) = (root.disk.clone(), root.logical.clone());
        let parent = match opened {
            Ok(parent) => File::from(parent),
            Err(errno) => {
                let error = io::Error::from(errno);
                if error.kind() == io::ErrorKind::PermissionDenied {
                    self.log
                        .unreadable(&disk, &logical, format!("open its directory: {error}"));
                } else {
                    self.log
                        .fail(VaultError::io("open the directory", above)(error));
                }
                return None;
            }
        };
        let place = Place {
            parent: &parent,
            name,
            disk,
            logical,
            listed: FileType::Unknown,
            is_root: true,
        };
        self.visit(place)
    }

    fn visit(&mut self, place: Place<'_>) -> Option<Walked> {
        match self.examine(&place) {
            Ok(walked) => Some(walked),
            Err(stop) => {
                self.note(stop, &place);
                None
            }
        }
    }

    fn examine(&mut self, place: &Place<'_>) -> Result<Walked, Stop> {
        // Most are files, and opened at once. Where that cannot be, looking
        // closer tells why; a file that became a FIFO or a device is not waited
        // for.
        if place.listed == FileType::RegularFile
            && let Ok(file) = openat(place.parent, place.name, READ, Mode::empty())
        {
            let file = File::from(file);
            let metadata = file.metadata().map_err(|e| Stop::System(LOOK, e))?;
            if metadata.is_file() {
                return self.file(place, file, metadata);
            }
        }
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let handle = openat(place.parent, place.name, flags, Mode::empty())
            .map(File::from)
            .map_err(system(LOOK))?;
        let metadata = handle.metadata().map_err(|e| Stop::System(LOOK, e))?;
        let kind = metadata.file_type();
        if kind.is_file() {
            let (file, metadata) = reopen(place, READ, &metadata)?;
            return self.file(place, file, metadata);
        }
        if kind.is_dir() {
            return self.directory(place, &metadata);
        }
        let (kind, line) = if kind.is_symlink() {
            let target = readlinkat(&handle, "", Vec::new()).map_err(system("read the link"))?;
            let target = PathBuf::from(OsString::from_vec(target.into_bytes()));
            let line = LineKind::Symlink(sha(bytes(&target)));
            (WalkedKind::Symlink(target), line)
        } else if kind.is_fifo() {
            (WalkedKind::Fifo, LineKind::Fifo)
        } else if kind.is_char_device() {
            (
                WalkedKind::Char(metadata.rdev()),
                LineKind::Char(metadata.rdev()),
            )
        } else if kind.is_block_device() {
            (
                WalkedKind::Block(metadata.rdev()),
                LineKind::Block(metadata.rdev()),
            )
        } else {
            let reason = "a socket lives only as long as its server";
            self.log.skip(place.logical.clone(), reason);
            return Err(Stop::LeftOut);
        };
        let xattrs = attributes::of_name(place.parent, place.name)?;
        self.log.entry(line_of(place, line, &metadata), 0);
        Ok(Walked {
            logical: place.logical.clone(),
            metadata,
            xattrs,
            kind,
        })
    }

    fn file(&self, place: &Place<'_>, file: File, metadata: Metadata) -> Result<Walked, Stop> {
        let xattrs = attributes::of_open(&file)?;
        let size = metadata.size();
        let number = self
            .log
            .entry(line_of(place, LineKind::File(None), &metadata), size);
        let (disk, log) = (place.disk.clone(), Arc::clone(&self.log));
        let reader = CheckedReader::new(file, &metadata, disk, number, log);
        let kind = WalkedKind::File(Box::new(reader));
        Ok(Walked {
            logical: place.logical.clone(),
            metadata,
            xattrs,
            kind,
        })
    }

    fn directory(&mut self, place: &Place<'_>, seen: &Metadata) -> Result<Walked, Stop> {
        if self.plan.own == Some((seen.dev(), seen.ino())) {
            self.log.exclude(place.logical.clone());
            return Err(Stop::LeftOut);
        }
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let (dir, metadata) = reopen(place, flags, seen)?;
        let xattrs = attributes::of_open(&dir)?;
        let names = list(&dir).map_err(system("list the directory"))?;
        self.log.entry(line_of(place, LineKind::Dir, &metadata), 0);
        self.stack.push(Frame {
            dir,
            before: Stamp::of(&metadata),
            names: names.into_iter(),
            logical: place.logical.clone(),
            disk: place.disk.clone(),
        });
        let kind = WalkedKind::Dir;
        Ok(Walked {
            logical: place.logical.clone(),
            metadata,
            xattrs,
            kind,
        })
    }

    /// A directory is done: names must not have come or gone meanwhile.
    fn leave(&self, frame: &Frame) {
        match frame.dir.metadata() {
            Ok(metadata) if Stamp::of(&metadata) == frame.before => {}
            Ok(_) => {
                let what = "gained or lost entries";
                self.log.fail(VaultError::Changed {
                    path: frame.disk.clone(),
                    what,
                });
            }
            Err(error) => {
                self.log
                    .fail(VaultError::io("look at the directory", &frame.disk)(error));
            }
        }
    }
}

impl Iterator for Walker {
    type Item = Walked;

    fn next(&mut self) -> Option<Walked> {
        loop {
            if self.log.failed() {
                return None;
            }
            let Some(mut frame) = self.stack.pop() else {
                let plan = Arc::clone(&self.plan);
                let Some(root) = plan.roots.get(self.next_root) else {
                    self.log.finish_walk();
                    return None;
                };
                self.next_root += 1;
                match self.root(root) {
                    Some(walked) => return Some(walked),
                    None => continue,
                }
            };
            let Some((name, listed)) = frame.names.next() else {
                self.leave(&frame);
                continue;
            };
            let (disk, logical) = (frame.disk.join(&name), frame.logical.join(&name));
            if self.plan.excludes(&name, &logical) {
                self.log.exclude(logical);
                self.stack.push(frame);
                continue;
            }
            // The frame goes back below the one a directory adds.
            let depth = self.stack.len();
            let place = Place {
                parent: &frame.dir,
                name: &name,
                disk,
                logical,
                listed,
                is_root: false,
            };
            let walked = self.visit(place);
            self.stack.insert(depth, frame);
            if walked.is_some() {
                return walked;
            }
        }
    }
}

/// Opens the entry for real and makes sure it is the one that was looked at.
fn reopen(place: &Place<'_>, flags: OFlags, seen: &Metadata) -> Result<(File, Metadata), Stop> {
    let opened = openat(place.parent, place.name, flags, Mode::empty());
    let file = File::from(opened.map_err(|errno| match errno {
        rustix::io::Errno::LOOP | rustix::io::Errno::NXIO => Stop::Changed("was replaced"),
        errno => Stop::System("open", errno.into()),
    })?);
    let metadata = file.metadata().map_err(|error| Stop::System(LOOK, error))?;
    let same = (metadata.dev(), metadata.ino()) == (seen.dev(), seen.ino());
    if same && metadata.file_type() == seen.file_type() {
        Ok((file, metadata))
    } else {
        Err(Stop::Changed("was replaced"))
    }
}

/// Names in byte order, and what they are said to be.
fn list(dir: &File) -> rustix::io::Result<Vec<(OsString, FileType)>> {
    let mut names = Vec::new();
    // Not `read_from`: it opens "." anew, which needs the right to search.
    let dir = rustix::io::fcntl_dupfd_cloexec(dir, 0)?;
    for entry in Dir::new(dir)? {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        if name != b"." && name != b".." {
            names.push((OsStr::from_bytes(name).to_owned(), entry.file_type()));
        }
    }
    names.sort_by(|a, b| a.0.cmp(&b.0));
    Ok(names)
}

fn line_of(place: &Place<'_>, kind: LineKind, metadata: &Metadata) -> Line {
    Line {
        path: place.logical.clone(),
        kind,
        mode: metadata.mode() & 0o7777,
    }
}
