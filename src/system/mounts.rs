//! What is mounted where, as the kernel tells this process.

use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use super::{At, IoError};

/// One mount.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount {
    /// Which folder of the filesystem is seen: `/` when it is all of it.
    pub root: PathBuf,
    /// Where it is seen.
    pub point: PathBuf,
    /// The filesystem's type.
    pub kind: String,
    /// Its device, or its dataset.
    pub source: String,
}

const TABLE: &str = "/proc/self/mountinfo";

/// All mounts of this process; later ones hide earlier ones.
///
/// # Errors
/// When the kernel does not tell them.
pub fn read() -> Result<Vec<Mount>, IoError> {
    let table = Path::new(TABLE);
    Ok(parse(&fs::read(table).at("read", table)?))
}

/// The mount that a path without links is on.
pub fn of<'m>(mounts: &'m [Mount], path: &Path) -> Option<&'m Mount> {
    let above = mounts.iter().filter(|m| path.starts_with(&m.point));
    above.max_by_key(|m| m.point.components().count())
}

fn parse(table: &[u8]) -> Vec<Mount> {
    table.split(|b| *b == b'\n').filter_map(mount).collect()
}

/// `36 35 98:0 /root /point options [optional…] - type source super`
fn mount(line: &[u8]) -> Option<Mount> {
    let mut words = line.split(|b| *b == b' ');
    let root = words.nth(3)?;
    let point = words.next()?;
    let mut after = words.skip_while(|word| *word != b"-").skip(1);
    let (kind, source) = (after.next()?, after.next()?);
    let text = |word: &[u8]| String::from_utf8_lossy(&plain(word)).into_owned();
    let path = |word: &[u8]| PathBuf::from(OsString::from_vec(plain(word)));
    Some(Mount {
        root: path(root),
        point: path(point),
        kind: text(kind),
        source: text(source),
    })
}

/// Spaces and the like are written as `\040`.
fn plain(word: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(word.len());
    let mut rest = word;
    while let Some((first, more)) = rest.split_first() {
        let octal = more.get(..3).filter(|_| *first == b'\\');
        let code = octal
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .and_then(|digits| u8::from_str_radix(digits, 8).ok());
        match code {
            Some(code) => {
                out.push(code);
                rest = &more[3..];
            }
            None => {
                out.push(*first);
                rest = more;
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_mount_is_found_and_the_last_of_several() {
        let table = b"22 1 0:20 / / rw - btrfs /dev/a rw\n\
            23 22 0:21 / /var rw shared:1 - tmpfs none rw\n\
            24 22 0:22 /sub /var rw shared:2 master:1 - zfs tank/var rw\n\
            25 24 0:23 / /var/a\\040b rw - ext4 /dev/c rw\n\
            broken\n";
        let mounts = parse(table);
        assert_eq!(mounts.len(), 4);
        let kind = |path: &str| of(&mounts, Path::new(path)).unwrap().source.clone();
        assert_eq!(kind("/etc"), "/dev/a");
        assert_eq!(kind("/var/lib"), "tank/var");
        assert_eq!(kind("/var/a b/c"), "/dev/c");
        assert_eq!(
            of(&mounts, Path::new("/var")).unwrap().root,
            Path::new("/sub")
        );
    }
}
