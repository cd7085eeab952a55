//! Putting something in the place of something else, at once, and removing.

use std::fs::File;
use std::io;
use std::path::Path;

use rustix::fs::{AtFlags, FileType, Mode, OFlags, RenameFlags, Stat};

use super::super::error::{At, IoError, optional};
use super::{Beneath, kind};

/// How something came to its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Put {
    /// At once: whoever looks sees the old or the new.
    Whole,
    /// A file system is mounted over just that file, so its content was
    /// written anew. Its attributes are still the old ones.
    Within,
}

impl Beneath {
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
}

/// Whether it is the file system that does not know how: some know no
/// exchange at all, an overlay does none with a folder of a lower layer.
fn cannot_exchange(error: &IoError) -> bool {
    use rustix::io::Errno;
    [Errno::INVAL, Errno::NOSYS, Errno::OPNOTSUPP, Errno::XDEV]
        .iter()
        .any(|e| error.source.raw_os_error() == Some(e.raw_os_error()))
}
