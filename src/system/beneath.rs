//! Changes below one folder, and nowhere else.
//!
//! Every step is relative to an open directory and refuses symlinks on the way
//! (`openat2` with `RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS`), so a link that
//! leads out of the tree is never written through, even when it is put there
//! between the plan and the write.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{
    AtFlags, CWD, FileType, Gid, Mode, OFlags, RenameFlags, ResolveFlags, Stat, StatxAttributes,
    StatxFlags, Timespec, Timestamps, Uid,
};
use xattr::FileExt;

use super::error::{At, IoError, optional};

/// An open folder; all paths given to it are relative and stay below it.
#[derive(Debug)]
pub struct Beneath {
    dir: OwnedFd,
    path: PathBuf,
}

/// How something came to its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Put {
    /// At once: whoever looks sees the old or the new.
    Whole,
    /// A file system is mounted over just that file, so its content was
    /// written anew. Its attributes are still the old ones.
    Within,
}

/// Owner, mode, times and extended attributes to give an entry.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attributes {
    /// Permission bits, setuid, setgid and sticky included.
    pub mode: u32,
    /// Owner and group.
    pub owner: (u32, u32),
    /// Modification time: seconds and nanoseconds since 1970.
    pub mtime: Option<(i64, i64)>,
    /// Extended attributes; others are removed.
    pub xattrs: Vec<(std::ffi::OsString, Vec<u8>)>,
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

    /// Renames within the folder, replacing what is at `to` if both are not
    /// folders.
    ///
    /// # Errors
    /// As `renameat`.
    pub fn rename(&self, from: &Path, to: &Path) -> Result<(), IoError> {
        let (from_dir, from_name) = self.parent(from).at("open", self.path.join(from))?;
        self.at_parent("put in place", to, |dir, name| {
            rustix::fs::renameat(&from_dir, from_name, dir, name)
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

    /// Puts what is at `from` in place of whatever is at `to`. Of the two, a
    /// folder has to be empty; one that is not stays where it is.
    ///
    /// A file replaces a file, and a folder nothing, by a rename. A file and a
    /// folder change places (`RENAME_EXCHANGE`), then what was there goes; on a
    /// file system that cannot do that, what was there goes first.
    ///
    /// # Errors
    /// What was at `to` is still there, except where the file system cannot
    /// exchange.
    pub fn put(&self, from: &Path, to: &Path) -> Result<Put, IoError> {
        let folder = |stat: Option<Stat>| stat.map(|s| kind(&s) == FileType::Directory);
        let (comes, there) = (folder(self.stat(from)?), folder(self.stat(to)?));
        if there.is_some() && comes.is_some() && comes != there {
            return self.change_places(from, to).map(|()| Put::Whole);
        }
        match self.rename(from, to) {
            Err(e) if e.kind() == io::ErrorKind::ResourceBusy && there == Some(false) => {
                self.overwrite(from, to).map(|()| Put::Within)
            }
            other => other.map(|()| Put::Whole),
        }
    }

    fn change_places(&self, from: &Path, to: &Path) -> Result<(), IoError> {
        match self.exchange(from, to) {
            Ok(()) => {}
            Err(e) if cannot_exchange(&e) => {
                self.remove(to)?;
                return self.rename(from, to);
            }
            Err(e) => return Err(e),
        }
        let Err(e) = self.remove(from) else {
            return Ok(());
        };
        // Something came into the folder since it was emptied: it stays.
        self.exchange(from, to)?;
        Err(e.source).at("replace", self.path.join(to))
    }

    fn exchange(&self, from: &Path, to: &Path) -> Result<(), IoError> {
        let (from_dir, from_name) = self.parent(from).at("open", self.path.join(from))?;
        self.at_parent("put in place", to, |dir, name| {
            rustix::fs::renameat_with(&from_dir, from_name, dir, name, RenameFlags::EXCHANGE)
        })
    }

    fn remove(&self, relative: &Path) -> Result<(), IoError> {
        match self.stat(relative)?.map(|s| kind(&s)) {
            Some(FileType::Directory) => self.remove_dir(relative),
            _ => self.remove_file(relative),
        }
    }

    /// Writes the content of `from` into the file at `to`; `from` goes.
    fn overwrite(&self, from: &Path, to: &Path) -> Result<(), IoError> {
        let place = self.path.join(to);
        let mut source = self.read(from)?;
        let mut copy = || -> io::Result<()> {
            let flags = OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK;
            let mut target = File::from(self.open_at(to, flags, Mode::empty())?);
            let size = io::copy(&mut source, &mut target)?;
            target.set_len(size)?;
            target.sync_all()
        };
        copy().at("write into", &place)?;
        self.remove_file(from)
    }

    /// Removes a file or symlink.
    ///
    /// # Errors
    /// As `unlinkat`; one that is gone is fine.
    pub fn remove_file(&self, relative: &Path) -> Result<(), IoError> {
        optional(self.at_parent("remove", relative, |dir, name| {
            rustix::fs::unlinkat(dir, name, AtFlags::empty())
        }))
        .map(|_| ())
    }

    /// Removes an empty folder.
    ///
    /// # Errors
    /// As `unlinkat`; one that is gone is fine.
    pub fn remove_dir(&self, relative: &Path) -> Result<(), IoError> {
        optional(self.at_parent("remove the folder", relative, |dir, name| {
            rustix::fs::unlinkat(dir, name, AtFlags::REMOVEDIR)
        }))
        .map(|_| ())
    }

    /// Gives a file or folder its attributes.
    ///
    /// # Errors
    /// As `fchown`, `fchmod`, `futimens` and `fsetxattr`. Extended attributes
    /// the file system does not know are an error: a restore is exact or says
    /// that it is not.
    pub fn dress(&self, relative: &Path, wanted: &Attributes) -> Result<(), IoError> {
        let place = self.path.join(relative);
        let fd = self
            .open_at(
                relative,
                OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK,
                Mode::empty(),
            )
            .at("open", &place)?;
        dress_fd(&File::from(fd), wanted).at("set owner and mode of", &place)
    }

    /// Gives a file or folder its attributes as far as this user may, and tells
    /// what it could not be given. Without its owner it runs as nobody else.
    ///
    /// # Errors
    /// Anything but lacking rights, or a file system without attributes.
    pub fn dress_kindly(
        &self,
        relative: &Path,
        wanted: &Attributes,
    ) -> Result<Vec<&'static str>, IoError> {
        let place = self.path.join(relative);
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK;
        let fd = self.open_at(relative, flags, Mode::empty());
        let file = File::from(fd.at("open", &place)?);
        dress_as_allowed(&file, wanted).at("set owner and mode of", &place)
    }

    /// Gives a symlink its owner and time; links have no mode.
    ///
    /// # Errors
    /// As `fchownat` and `utimensat`.
    pub fn dress_symlink(&self, relative: &Path, wanted: &Attributes) -> Result<(), IoError> {
        self.at_parent("set the owner of", relative, |dir, name| {
            let now = rustix::fs::statat(dir, name, AtFlags::SYMLINK_NOFOLLOW)?;
            if (now.st_uid, now.st_gid) != wanted.owner {
                let (uid, gid) = wanted.owner;
                rustix::fs::chownat(
                    dir,
                    name,
                    Some(Uid::from_raw(uid)),
                    Some(Gid::from_raw(gid)),
                    AtFlags::SYMLINK_NOFOLLOW,
                )?;
            }
            match wanted.mtime {
                Some(mtime) => {
                    rustix::fs::utimensat(dir, name, &times(mtime), AtFlags::SYMLINK_NOFOLLOW)
                }
                None => Ok(()),
            }
        })
    }

    /// Gives a named pipe or device its owner, mode and time. It is not
    /// opened: opening a device can do things.
    ///
    /// # Errors
    /// As `fchownat`, `fchmodat` and `utimensat`.
    pub fn dress_node(&self, relative: &Path, wanted: &Attributes) -> Result<(), IoError> {
        let dress = || -> io::Result<()> {
            let fd = self.open_at(relative, OFlags::PATH | OFlags::NOFOLLOW, Mode::empty())?;
            let now = rustix::fs::fstat(&fd)?;
            // The way to the inode at hand, whatever has its name by now.
            let itself = format!("/proc/self/fd/{}", fd.as_raw_fd());
            if (now.st_uid, now.st_gid) != wanted.owner {
                let (uid, gid) = (Uid::from_raw(wanted.owner.0), Gid::from_raw(wanted.owner.1));
                rustix::fs::chownat(CWD, &itself, Some(uid), Some(gid), AtFlags::empty())?;
            }
            let mode = Mode::from_raw_mode(wanted.mode & 0o7777);
            rustix::fs::chmodat(CWD, &itself, mode, AtFlags::empty())?;
            if let Some(mtime) = wanted.mtime {
                rustix::fs::utimensat(CWD, &itself, &times(mtime), AtFlags::empty())?;
            }
            Ok(())
        };
        dress().at("set owner and mode of", self.path.join(relative))
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

/// Whether it is the file system that does not know how: some know no
/// exchange at all, an overlay does none with a folder of a lower layer.
fn cannot_exchange(error: &IoError) -> bool {
    use rustix::io::Errno;
    [Errno::INVAL, Errno::NOSYS, Errno::OPNOTSUPP, Errno::XDEV]
        .iter()
        .any(|e| error.source.raw_os_error() == Some(e.raw_os_error()))
}

/// Gives an open file its attributes: owner first, because changing it clears
/// setuid, then extended attributes, mode, and times last.
///
/// # Errors
/// As `fchown`, `fchmod`, `futimens` and `fsetxattr`.
pub fn dress_fd(file: &File, wanted: &Attributes) -> io::Result<()> {
    let now = rustix::fs::fstat(file)?;
    if (now.st_uid, now.st_gid) != wanted.owner {
        let (uid, gid) = wanted.owner;
        rustix::fs::fchown(file, Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)))?;
    }
    for name in file.list_xattr().into_iter().flatten() {
        if !wanted.xattrs.iter().any(|(n, _)| *n == name) {
            file.remove_xattr(&name)?;
        }
    }
    for (name, value) in &wanted.xattrs {
        if file.get_xattr(name)?.as_ref() != Some(value) {
            file.set_xattr(name, value)?;
        }
    }
    rustix::fs::fchmod(file, Mode::from_raw_mode(wanted.mode & 0o7777))?;
    if let Some(mtime) = wanted.mtime {
        rustix::fs::futimens(file, &times(mtime))?;
    }
    Ok(())
}

fn dress_as_allowed(file: &File, wanted: &Attributes) -> io::Result<Vec<&'static str>> {
    use io::ErrorKind::{PermissionDenied, Unsupported};
    let mut lost = Vec::new();
    let mut mode = wanted.mode & 0o7777;
    let now = rustix::fs::fstat(file)?;
    let (uid, gid) = wanted.owner;
    if (now.st_uid, now.st_gid) != wanted.owner {
        match rustix::fs::fchown(file, Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid))) {
            Err(rustix::io::Errno::PERM) => {
                lost.push("owner");
                mode &= 0o1777;
                // One's own groups may be given.
                let _ = rustix::fs::fchown(file, None, Some(Gid::from_raw(gid)));
            }
            other => other?,
        }
    }
    let mut kept = true;
    for (name, value) in &wanted.xattrs {
        match file.set_xattr(name, value) {
            Err(e) if matches!(e.kind(), PermissionDenied | Unsupported) => kept = false,
            other => other?,
        }
    }
    if !kept {
        lost.push("attributes");
    }
    rustix::fs::fchmod(file, Mode::from_raw_mode(mode))?;
    if let Some(mtime) = wanted.mtime {
        rustix::fs::futimens(file, &times(mtime))?;
    }
    Ok(lost)
}

fn times((seconds, nanoseconds): (i64, i64)) -> Timestamps {
    let mtime = Timespec {
        tv_sec: seconds,
        tv_nsec: nanoseconds,
    };
    Timestamps {
        last_access: Timespec {
            tv_sec: 0,
            tv_nsec: rustix::fs::UTIME_OMIT,
        },
        last_modification: mtime,
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
