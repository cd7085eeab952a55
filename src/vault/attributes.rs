//! Extended attributes: ACLs, capabilities and labels are among them.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::path::Path;

use xattr::FileExt as _;

use crate::vault::types::Xattr;
use crate::vault::walk::Stop;

/// The file system keeps no extended attributes.
const NO_XATTRS: rustix::io::Errno = rustix::io::Errno::OPNOTSUPP;

/// Of an open file or directory.
pub(crate) fn of_open(file: &File) -> Result<Vec<Xattr>, Stop> {
    collect_xattrs(|| file.list_xattr(), |name| file.get_xattr(name))
}

/// Of what cannot be opened for reading. The path goes through our own
/// descriptor of the parent, and the last component is not followed.
pub(crate) fn of_name(parent: &File, name: &OsStr) -> Result<Vec<Xattr>, Stop> {
    let anchor = format!("/proc/self/fd/{}", parent.as_raw_fd());
    let path = Path::new(&anchor).join(name);
    collect_xattrs(|| xattr::list(&path), |name| xattr::get(&path, name))
}

fn collect_xattrs<N: Iterator<Item = OsString>>(
    list: impl Fn() -> io::Result<N>,
    get: impl Fn(&OsStr) -> io::Result<Option<Vec<u8>>>,
) -> Result<Vec<Xattr>, Stop> {
    let failed = |error| Stop::System("read the extended attributes", error);
    let names = match list() {
        Ok(names) => names,
        Err(error) if error.raw_os_error() == Some(NO_XATTRS.raw_os_error()) => {
            return Ok(Vec::new());
        }
        Err(error) => return Err(failed(error)),
    };
    let mut xattrs = Vec::new();
    for name in names {
        let Some(value) = get(&name).map_err(failed)? else {
            return Err(Stop::Changed("lost an extended attribute"));
        };
        let name = name.into_string().map_err(|name| {
            Stop::Unsupported(format!("the attribute name {name:?} is not UTF-8"))
        })?;
        xattrs.push(Xattr { name, value });
    }
    xattrs.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(xattrs)
}
