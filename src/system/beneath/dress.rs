//! Giving what was written its owner, mode, times and extended attributes.

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::Path;

use rustix::fs::{AtFlags, CWD, FileType, Gid, Mode, OFlags, Timespec, Timestamps, Uid};
use xattr::FileExt;

use super::super::error::{At, IoError};
use super::{Beneath, kind};

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

impl Beneath {
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

    /// Gives a folder its time; gives the folder if that was another, and
    /// nothing where there is no folder.
    ///
    /// # Errors
    /// As `openat` and `futimens`.
    pub fn set_folder_time(
        &self,
        relative: &Path,
        mtime: (i64, i64),
    ) -> Result<Option<OwnedFd>, IoError> {
        let Some(now) = self.stat(relative)? else {
            return Ok(None);
        };
        let there = (now.st_mtime, i64::try_from(now.st_mtime_nsec).unwrap_or(0));
        if kind(&now) != FileType::Directory || there == mtime {
            return Ok(None);
        }
        let folder = self.folder(relative)?;
        let set = rustix::fs::futimens(&folder, &times(mtime)).map_err(io::Error::from);
        set.at("set the time of", self.path.join(relative))?;
        Ok(Some(folder))
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
