//! Changes below one folder, and nowhere else.
//!
//! Every step is relative to an open directory and refuses symlinks on the way
//! (`openat2` with `RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS`), so a link that
//! leads out of the tree is never written through, even when it is put there
//! between the plan and the write.

mod dress;
mod place;

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{
    AtFlags, CWD, FileType, Mode, OFlags, ResolveFlags, Stat, StatxAttributes, StatxFlags,
};

use super::error::{At, IoError, optional};

pub use dress::{Attributes, dress_fd};
pub use place::Put;

/// An open folder; all paths given to it are relative and stay below it.
#[derive(Debug)]
pub struct Beneath {
    dir: OwnedFd,
    path: PathBuf,
}

const HOW: ResolveFlags = ResolveFlags::BENEATH
    .union(ResolveFlags::NO_SYMLINKS)
    .union(ResolveFlags::NO_MAGICLINKS);

impl Beneath {
    /// Opens the folder at `path` (a real path, itself not a symlink).
    ///
    /// # Errors
    /// When it is not a folder, or may not be opened.
    pub fn open(path: &Path) -> Result<Self, IoError> {
        let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::RDONLY;
        let dir =
            rustix::fs::openat(CWD, path, flags, Mode::empty()).at("open the folder", path)?;
        Ok(Self {
            dir,
            path: path.to_owned(),
        })
    }

    /// Opens a folder below this one.
    ///
    /// # Errors
    /// When it is no folder, or a symlink is on the way.
    pub fn below(&self, relative: &Path) -> Result<Self, IoError> {
        let path = self.path.join(relative);
        let dir = self
            .open_at(relative, OFlags::DIRECTORY | OFlags::RDONLY, Mode::empty())
            .at("open the folder", &path)?;
        Ok(Self { dir, path })
    }

    /// Where the folder is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn open_at(&self, relative: &Path, flags: OFlags, mode: Mode) -> io::Result<OwnedFd> {
        let relative = if relative.as_os_str().is_empty() {
            Path::new(".")
        } else {
            relative
        };
        let fd = rustix::fs::openat2(&self.dir, relative, flags | OFlags::CLOEXEC, mode, HOW)?;
        Ok(fd)
    }

    /// Opens the parent of `relative` and gives its last part.
    fn parent<'p>(&self, relative: &'p Path) -> io::Result<(OwnedFd, &'p Path)> {
        let name = relative
            .file_name()
            .ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
        let above = relative.parent().unwrap_or(Path::new(""));
        Ok((
            self.open_at(above, OFlags::DIRECTORY | OFlags::PATH, Mode::empty())?,
            Path::new(name),
        ))
    }

    fn at_parent<T>(
        &self,
        operation: &'static str,
        relative: &Path,
        run: impl FnOnce(BorrowedFd<'_>, &Path) -> rustix::io::Result<T>,
    ) -> Result<T, IoError> {
        self.parent(relative)
            .and_then(|(dir, name)| Ok(run(dir.as_fd(), name)?))
            .at(operation, self.path.join(relative))
    }

    /// What is at `relative`, links not followed; `None` when nothing is.
    ///
    /// # Errors
    /// Anything but "not there".
    pub fn stat(&self, relative: &Path) -> Result<Option<Stat>, IoError> {
        if relative.as_os_str().is_empty() {
            return rustix::fs::fstat(&self.dir)
                .at("look at", &self.path)
                .map(Some);
        }
        optional(self.at_parent("look at", relative, |dir, name| {
            rustix::fs::statat(dir, name, AtFlags::SYMLINK_NOFOLLOW)
        }))
    }

    /// Opens a file for reading.
    ///
    /// # Errors
    /// When it is not there, is behind a symlink, or may not be read.
    pub fn read(&self, relative: &Path) -> Result<File, IoError> {
        self.open_at(
            relative,
            OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK,
            Mode::empty(),
        )
        .map(File::from)
        .at("read", self.path.join(relative))
    }

    /// Creates a new 0600 file; fails when the name is taken.
    ///
    /// # Errors
    /// When the name is taken or the folder may not be written.
    pub fn create(&self, relative: &Path) -> Result<File, IoError> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW;
        self.open_at(relative, flags, Mode::from_raw_mode(0o600))
            .map(File::from)
            .at("create", self.path.join(relative))
    }

    /// Creates a 0700 folder; one that is there is fine.
    ///
    /// # Errors
    /// When the name is taken by something else, or may not be written.
    pub fn create_dir(&self, relative: &Path) -> Result<(), IoError> {
        let made = self.at_parent("create the folder", relative, |dir, name| {
            rustix::fs::mkdirat(dir, name, Mode::from_raw_mode(0o700))
        });
        match made {
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {
                match self.stat(relative)?.map(|s| kind(&s)) {
                    Some(FileType::Directory) => Ok(()),
                    _ => Err(e),
                }
            }
            other => other,
        }
    }

    /// Creates the folder `relative` and those above it that are not there,
    /// with the usual mode; adds what it made to `made`, parents first.
    ///
    /// # Errors
    /// When something else is in the way, or the folder may not be written.
    pub fn create_dirs(&self, relative: &Path, made: &mut Vec<PathBuf>) -> Result<(), IoError> {
        let mut above: Vec<&Path> = relative.ancestors().collect();
        above.pop();
        for dir in above.into_iter().rev() {
            if self.stat(dir)?.is_some() {
                continue;
            }
            self.at_parent("create the folder", dir, |parent, name| {
                rustix::fs::mkdirat(parent, name, Mode::from_raw_mode(0o755))
            })?;
            made.push(dir.to_owned());
            self.sync(dir.parent().unwrap_or(Path::new("")))?;
        }
        Ok(())
    }

    /// The names in a folder, with what they are; none when it is no folder or
    /// not there.
    ///
    /// # Errors
    /// When it may not be read, or is behind a symlink.
    pub fn entries(&self, relative: &Path) -> Result<Vec<(OsString, FileType)>, IoError> {
        let place = self.path.join(relative);
        match self.stat(relative)?.map(|s| kind(&s)) {
            Some(FileType::Directory) => {}
            _ => return Ok(Vec::new()),
        }
        let list = || -> io::Result<Vec<(OsString, FileType)>> {
            let flags = OFlags::DIRECTORY | OFlags::RDONLY;
            let fd = self.open_at(relative, flags, Mode::empty())?;
            let mut found = Vec::new();
            for entry in rustix::fs::Dir::read_from(&fd)? {
                let entry = entry?;
                let name = OsStr::from_bytes(entry.file_name().to_bytes());
                if name == "." || name == ".." {
                    continue;
                }
                let kind = match entry.file_type() {
                    FileType::Unknown => {
                        kind(&rustix::fs::statat(&fd, name, AtFlags::SYMLINK_NOFOLLOW)?)
                    }
                    kind => kind,
                };
                found.push((name.to_owned(), kind));
            }
            Ok(found)
        };
        list().at("list", &place)
    }

    /// Creates a symlink.
    ///
    /// # Errors
    /// When the name is taken or may not be written.
    pub fn symlink(&self, target: &Path, relative: &Path) -> Result<(), IoError> {
        self.at_parent("create the link", relative, |dir, name| {
            rustix::fs::symlinkat(target, dir, name)
        })
    }

    /// Creates a named pipe or device node; `mode` has the type bits.
    ///
    /// # Errors
    /// When the name is taken, or the caller may not make devices.
    pub fn make_node(&self, relative: &Path, kind: FileType, device: u64) -> Result<(), IoError> {
        self.at_parent("create", relative, |dir, name| {
            rustix::fs::mknodat(dir, name, kind, Mode::from_raw_mode(0o600), device)
        })
    }

    /// Gives a file a second name.
    ///
    /// # Errors
    /// As `linkat`.
    pub fn hard_link(&self, from: &Path, to: &Path) -> Result<(), IoError> {
        let (from_dir, from_name) = self.parent(from).at("open", self.path.join(from))?;
        self.at_parent("link", to, |dir, name| {
            rustix::fs::linkat(&from_dir, from_name, dir, name, AtFlags::empty())
        })
    }

    /// Gives a file another name.
    ///
    /// # Errors
    /// When the name is taken, or on another file system.
    pub fn link(&self, from: &Path, to: &Path) -> Result<(), IoError> {
        let (from_dir, from_name) = self.parent(from).at("open", self.path.join(from))?;
        self.at_parent("link", to, |dir, name| {
            rustix::fs::linkat(&from_dir, from_name, dir, name, AtFlags::empty())
        })
    }

    /// Whether a file system is mounted at `relative`, over a folder or a file.
    ///
    /// # Errors
    /// As `statx`; what is not there is no mount point.
    pub fn is_mount_point(&self, relative: &Path) -> Result<bool, IoError> {
        let found = optional(self.at_parent("look at", relative, |dir, name| {
            let flags = AtFlags::SYMLINK_NOFOLLOW | AtFlags::NO_AUTOMOUNT;
            rustix::fs::statx(dir, name, flags, StatxFlags::empty())
        }))?;
        let root = StatxAttributes::MOUNT_ROOT;
        Ok(found.is_some_and(|f| f.stx_attributes.contains(root)))
    }

    /// Flushes the folder at `relative`, so that renames in it are durable.
    ///
    /// # Errors
    /// When it cannot be opened or flushed.
    pub fn sync(&self, relative: &Path) -> Result<(), IoError> {
        rustix::fs::fsync(self.folder(relative)?)
            .map_err(io::Error::from)
            .at("flush", self.path.join(relative))
    }

    /// Opens a folder, to have it flushed.
    ///
    /// # Errors
    /// When it is none, or is not there.
    pub fn folder(&self, relative: &Path) -> Result<OwnedFd, IoError> {
        self.open_at(relative, OFlags::DIRECTORY | OFlags::RDONLY, Mode::empty())
            .at("open the folder", self.path.join(relative))
    }
}

/// The kind of entry a stat describes.
pub fn kind(stat: &Stat) -> FileType {
    FileType::from_raw_mode(stat.st_mode)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;

    #[test]
    fn nothing_is_written_through_a_link_that_leads_out() {
        let outside = tempfile::tempdir().unwrap();
        let inside = tempfile::tempdir().unwrap();
        symlink(outside.path(), inside.path().join("out")).unwrap();
        fs::write(outside.path().join("victim"), "safe").unwrap();
        symlink(outside.path().join("victim"), inside.path().join("file")).unwrap();
        let dir = Beneath::open(inside.path()).unwrap();
        assert!(dir.create(Path::new("out/x")).is_err());
        assert!(dir.create(Path::new("../x")).is_err());
        assert!(dir.create(Path::new("file")).is_err());
        assert!(dir.create_dir(Path::new("out")).is_err());
        assert!(dir.read(Path::new("file")).is_err());
        assert!(dir.remove_file(Path::new("out/victim")).is_err());
        assert!(
            dir.dress(Path::new("file"), &Attributes::default())
                .is_err()
        );
        let link = inside.path().join("link-root");
        symlink(outside.path(), &link).unwrap();
        assert!(Beneath::open(&link).is_err());
        assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 1);
        assert_eq!(
            fs::read_to_string(outside.path().join("victim")).unwrap(),
            "safe"
        );
    }

    #[test]
    fn attributes_are_given_exactly() {
        use std::os::unix::fs::MetadataExt;
        let dir = tempfile::tempdir().unwrap();
        let beneath = Beneath::open(dir.path()).unwrap();
        drop(beneath.create(Path::new("f")).unwrap());
        let me = fs::metadata(dir.path().join("f")).unwrap();
        let wanted = Attributes {
            mode: 0o4750,
            owner: (me.uid(), me.gid()),
            mtime: Some((1_000_000_000, 5)),
            xattrs: vec![],
        };
        beneath.dress(Path::new("f"), &wanted).unwrap();
        let meta = fs::metadata(dir.path().join("f")).unwrap();
        assert_eq!(meta.mode() & 0o7777, 0o4750);
        assert_eq!((meta.mtime(), meta.mtime_nsec()), (1_000_000_000, 5));
    }
}
