//! The socket file: made where nothing is, and taken away again.

use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::super::{At, IoError};

/// A socket file that was made here. It is removed with this, unless another
/// took its place meanwhile.
#[derive(Debug)]
pub(super) struct SocketFile {
    path: PathBuf,
    is: Identity,
}

/// Device, inode, and birth where the file system knows it: numbers of inodes
/// are given again.
type Identity = (u64, u64, Option<SystemTime>);

impl SocketFile {
    /// Listens there. A socket that nobody listens on is what a run that was
    /// killed left, and makes way; nothing else does.
    ///
    /// # Errors
    /// When something else is there, or somebody listens.
    pub(super) fn make(path: &Path) -> Result<(UnixListener, Self), IoError> {
        if is_left_over(path).at("listen on", path)? {
            fs::remove_file(path).at("remove", path)?;
        }
        let listener = UnixListener::bind(path).at("listen on", path)?;
        listener.set_nonblocking(true).at("listen on", path)?;
        let is = identity(path).at("look at", path)?;
        let path = path.to_owned();
        Ok((listener, Self { path, is }))
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if identity(&self.path).is_ok_and(|is| is == self.is) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn identity(path: &Path) -> io::Result<Identity> {
    let found = fs::symlink_metadata(path)?;
    Ok((found.dev(), found.ino(), found.created().ok()))
}

/// Whether a socket is there that nobody listens on. To connect does not tell:
/// any file refuses that as such a socket does.
fn is_left_over(path: &Path) -> io::Result<bool> {
    let taken = |why| Err(io::Error::new(io::ErrorKind::AlreadyExists, why));
    match fs::symlink_metadata(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(e) => return Err(e),
        Ok(found) if !found.file_type().is_socket() => return taken("what is there is no socket"),
        Ok(_) => {}
    }
    match UnixStream::connect(path) {
        Ok(_) => taken("another server listens there"),
        Err(e) if e.kind() == io::ErrorKind::ConnectionRefused => Ok(true),
        Err(e) => Err(e),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_socket_that_nobody_listens_on_makes_way() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        fs::write(at("file"), "precious").unwrap();
        std::os::unix::fs::symlink(at("file"), at("link")).unwrap();
        std::os::unix::fs::symlink(at("none"), at("loose")).unwrap();
        fs::create_dir(at("folder")).unwrap();
        for name in ["file", "link", "loose", "folder"] {
            let error = SocketFile::make(&at(name)).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::AlreadyExists, "{error}");
            assert!(fs::symlink_metadata(at(name)).is_ok(), "{name} is there");
        }
        assert_eq!(fs::read(at("file")).unwrap(), b"precious");

        let (listening, first) = SocketFile::make(&at("socket")).unwrap();
        let error = SocketFile::make(&at("socket")).unwrap_err();
        assert!(error.to_string().contains("another server"), "{error}");
        // Killed: nobody listens, and the file stays.
        drop(listening);
        // Births are told apart by the kernel's clock, which ticks every few ms.
        std::thread::sleep(std::time::Duration::from_millis(20));
        let (_second, place) = SocketFile::make(&at("socket")).unwrap();
        drop(first);
        assert!(at("socket").exists(), "it is another's by now");
        drop(place);
        assert!(!at("socket").exists());
    }
}
