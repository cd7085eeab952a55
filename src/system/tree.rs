//! Listing a folder as it is now.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};
use sha2::{Digest, Sha256};

use super::error::optional;
use super::ours::is_ours;
use super::{At, IoError};
use crate::point::tree::{Kind, Node};

/// What a socket is called.
const SOCKET: &str = "socket";

/// What a listing leaves out.
#[derive(Clone, Copy, Debug, Default)]
pub struct Leave<'a> {
    /// Entries of these names.
    pub names: &'a [&'a str],
    /// What we gave a name to ourselves.
    pub ours: bool,
    /// These real paths.
    pub paths: &'a [PathBuf],
    /// Sockets, which live only as long as their servers.
    pub sockets: bool,
    /// The contents of files: their digests are zeros then.
    pub contents: bool,
}

impl Leave<'_> {
    fn leaves(&self, path: &Path) -> bool {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        self.names.contains(&&*name)
            || (self.ours && path.file_name().is_some_and(is_ours))
            || self.paths.iter().any(|p| p == path)
    }
}

/// A listing, and what was left out of it.
#[derive(Debug, Default)]
pub struct Listing {
    /// Everything found, by path.
    pub nodes: Vec<Node>,
    /// What is there and was left out, relative to the same base.
    pub left: Vec<PathBuf>,
    /// Files that have other names, here or elsewhere: device and inode.
    pub linked: BTreeMap<PathBuf, (u64, u64)>,
}

/// Lists `start` (relative to `base`) and all below it, by path relative to
/// `base`; nothing when it is not there. Symlinks are listed, never followed.
///
/// # Errors
/// The first thing that may not be read.
pub fn list(base: &Path, start: &Path, leave: Leave<'_>) -> Result<Listing, IoError> {
    let mut listing = Listing::default();
    let mut todo = vec![start.to_owned()];
    while let Some(relative) = todo.pop() {
        let real = base.join(&relative);
        if leave.leaves(&real) && relative != start {
            listing.left.push(relative);
            continue;
        }
        let Some((node, meta)) = node(&real, relative.clone(), !leave.contents)? else {
            continue;
        };
        if meta.is_file() && meta.nlink() > 1 {
            let id = (meta.dev(), meta.ino());
            listing.linked.insert(relative.clone(), id);
        }
        if leave.sockets && matches!(&node.kind, Kind::Other(name) if name == SOCKET) {
            listing.left.push(relative);
            continue;
        }
        if node.kind == Kind::Dir {
            for entry in fs::read_dir(&real).at("list", &real)? {
                todo.push(relative.join(entry.at("list", &real)?.file_name()));
            }
        }
        listing.nodes.push(node);
    }
    listing.nodes.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(listing)
}

fn node(
    real: &Path,
    path: PathBuf,
    contents: bool,
) -> Result<Option<(Node, fs::Metadata)>, IoError> {
    let Some(meta) = optional(fs::symlink_metadata(real).at("look at", real))? else {
        return Ok(None);
    };
    let file_type = meta.file_type();
    let (kind, mode) = if file_type.is_dir() {
        (Kind::Dir, meta.mode() & 0o7777)
    } else if file_type.is_symlink() {
        (
            Kind::Symlink(fs::read_link(real).at("read the link", real)?),
            0,
        )
    } else if file_type.is_file() {
        let (size, digest) = match contents {
            true => digest_of(&mut open(real)?).at("read", real)?,
            false => (meta.len(), [0; 32]),
        };
        (Kind::File { size, digest }, meta.mode() & 0o7777)
    } else {
        let name = if file_type.is_fifo() {
            "fifo".to_owned()
        } else if file_type.is_socket() {
            SOCKET.to_owned()
        } else if file_type.is_char_device() {
            format!("char {}", meta.rdev())
        } else {
            format!("block {}", meta.rdev())
        };
        (Kind::Other(name), meta.mode() & 0o7777)
    };
    let xattrs = match kind {
        Kind::File { .. } | Kind::Dir => xattrs(real).at("read the attributes of", real)?,
        _ => BTreeMap::new(),
    };
    let node = Node {
        path,
        kind,
        mode,
        uid: meta.uid(),
        gid: meta.gid(),
        xattrs,
    };
    Ok(Some((node, meta)))
}

/// Bytes of all files at and below these paths, but for what is left out; a
/// file that is gone or may not be read counts nothing. `None` once `goes_on`
/// says no.
pub fn measure(paths: &[PathBuf], leave: &[PathBuf], goes_on: &dyn Fn() -> bool) -> Option<u64> {
    let mut bytes = 0;
    let mut todo = paths.to_vec();
    while let Some(path) = todo.pop() {
        if !goes_on() {
            return None;
        }
        let Ok(meta) = fs::symlink_metadata(&path) else {
            continue;
        };
        if leave.contains(&path) {
            continue;
        } else if meta.is_file() {
            bytes += meta.len();
        } else if meta.is_dir() {
            let entries = fs::read_dir(&path).into_iter().flatten().flatten();
            todo.extend(entries.map(|entry| entry.path()));
        }
    }
    Some(bytes)
}

/// Names of at most `most` folders right below a path, sorted; none where it
/// is no folder or may not be listed. Links are no folders.
pub fn folders(path: &Path, most: usize) -> Vec<OsString> {
    let is_folder = |meta: fs::Metadata| meta.is_dir();
    if !fs::symlink_metadata(path).is_ok_and(is_folder) {
        return Vec::new();
    }
    let entries = fs::read_dir(path).into_iter().flatten().flatten();
    let mut names: Vec<OsString> = entries
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .map(|entry| entry.file_name())
        .take(most)
        .collect();
    names.sort();
    names
}

/// Opens a file to read it; a link is not followed.
///
/// # Errors
/// When it may not be read.
pub fn open(path: &Path) -> Result<File, IoError> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let opened = rustix::fs::open(path, flags, Mode::empty());
    opened
        .map(File::from)
        .map_err(io::Error::from)
        .at("read", path)
}

/// The content of a file.
///
/// # Errors
/// When it may not be read.
pub fn read(path: &Path) -> Result<Vec<u8>, IoError> {
    fs::read(path).at("read", path)
}

/// The content of a regular file of at most `max` bytes; `None` when there is
/// nothing, something else, or more.
///
/// # Errors
/// When it may not be read.
pub fn read_small(path: &Path, max: u64) -> Result<Option<Vec<u8>>, IoError> {
    match optional(fs::symlink_metadata(path).at("look at", path))? {
        Some(meta) if meta.is_file() && meta.len() <= max => read(path).map(Some),
        _ => Ok(None),
    }
}

/// The number of bytes that are left to read, and their SHA-256.
///
/// # Errors
/// When they cannot be read.
pub fn digest_of(file: &mut impl Read) -> io::Result<(u64, [u8; 32])> {
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 64 << 10];
    let mut size = 0;
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok((size, hasher.finalize().into())),
            n => {
                hasher.update(&buffer[..n]);
                size += n as u64;
            }
        }
    }
}

fn xattrs(path: &Path) -> io::Result<BTreeMap<Vec<u8>, Vec<u8>>> {
    let names: Vec<OsString> = match xattr::list(path) {
        Ok(names) => names.collect(),
        Err(e) if e.kind() == io::ErrorKind::Unsupported => return Ok(BTreeMap::new()),
        Err(e) => return Err(e),
    };
    let mut all = BTreeMap::new();
    for name in names {
        if let Some(value) = xattr::get(path, &name)? {
            all.insert(name.into_vec(), value);
        }
    }
    Ok(all)
}
