//! NAR, Nix's archive of one file tree: names in order, contents, symlink
//! targets and the owner's executable bit; no times, owners or other modes.
//!
//! The format, from Nix's `archive.cc`; every string is a little-endian u64
//! length, the bytes, and zeros up to a multiple of eight:
//!
//! ```text
//! nar       = "nix-archive-1" node
//! node      = "(" "type" ( regular | symlink | directory ) ")"
//! regular   = "regular" [ "executable" "" ] "contents" bytes
//! symlink   = "symlink" "target" bytes
//! directory = "directory" { "entry" "(" "name" bytes "node" node ")" }
//! ```

mod hash;
pub mod reader;
pub mod writer;

pub use hash::{HashingWriter, NarDigest, hash_nar};
pub use reader::{Event, ReadError, Reader};
pub use writer::{Directory, Node, WriteError};

/// First string of every NAR.
const MAGIC: &[u8] = b"nix-archive-1";

/// Longest entry name in bytes: Linux's `NAME_MAX`, as in nix-compat.
pub const MAX_NAME_LEN: usize = 255;
/// Longest symlink target in bytes: Linux's `PATH_MAX` less the NUL.
pub const MAX_TARGET_LEN: usize = 4095;
/// Deepest nesting of directories that is written or read.
pub const MAX_DEPTH: usize = 1024;

/// Whether Nix calls a file of this mode executable: the owner's bit alone
/// decides (`S_IXUSR` in `archive.cc`), so 0654 is not.
pub const fn is_executable(mode: u32) -> bool {
    mode & 0o100 != 0
}

/// The rule that an entry's name or a symlink's target breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NameProblem {
    /// No bytes.
    #[error("it is empty")]
    Empty,
    /// `.` or `..`.
    #[error("it is \".\" or \"..\"")]
    Dots,
    /// It holds a slash or a NUL.
    #[error("it holds a slash or a NUL")]
    Forbidden,
    /// Longer than [`MAX_NAME_LEN`] or [`MAX_TARGET_LEN`].
    #[error("it has {0} bytes, more than a file system allows")]
    TooLong(u64),
}

fn check_entry_name(name: &[u8]) -> Result<(), NameProblem> {
    if name.is_empty() {
        Err(NameProblem::Empty)
    } else if name.len() > MAX_NAME_LEN {
        Err(NameProblem::TooLong(name.len() as u64))
    } else if name == b"." || name == b".." {
        Err(NameProblem::Dots)
    } else if name.iter().any(|b| matches!(b, b'/' | 0)) {
        Err(NameProblem::Forbidden)
    } else {
        Ok(())
    }
}

fn check_target(target: &[u8]) -> Result<(), NameProblem> {
    if target.is_empty() {
        Err(NameProblem::Empty)
    } else if target.len() > MAX_TARGET_LEN {
        Err(NameProblem::TooLong(target.len() as u64))
    } else if target.contains(&0) {
        Err(NameProblem::Forbidden)
    } else {
        Ok(())
    }
}

/// Zeros that follow a string of this length.
const fn padding(length: u64) -> usize {
    (8 - (length % 8) as usize) % 8
}

#[cfg(test)]
mod tests;
