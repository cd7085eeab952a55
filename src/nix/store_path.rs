//! Store paths: `/nix/store/<32 base-32 digits>-<name>`.

use std::cmp::Ordering;
use std::ffi::OsStr;
use std::fmt;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};
use std::str::FromStr;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::nixbase32;
use super::version::parse_drv_name;

/// The store of every NixOS system.
pub const STORE_DIR: &str = "/nix/store";
/// [`STORE_DIR`] with the slash that a store path begins with.
pub const STORE_DIR_WITH_SLASH: &str = "/nix/store/";
/// Bytes in a store path's digest.
pub const DIGEST_SIZE: usize = 20;
/// Digits of that digest in nix-base32.
pub const ENCODED_DIGEST_SIZE: usize = 32;
/// Longest name, in bytes (Nix's `StorePath::MaxPathLen`): 255, a file name's
/// limit, less the digest, the dash and room for `.drv` and a lock's suffix.
pub const MAX_NAME_LEN: usize = 211;

/// Why something is not a store path.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// It doesn't begin with `/nix/store/`.
    #[error("{path:?} is not below {STORE_DIR}")]
    NotInStore {
        /// The text as given, made readable.
        path: String,
    },
    /// No dash after 32 digits.
    #[error("{path:?} is not <digest>-<name>")]
    MissingDash {
        /// The text as given, made readable.
        path: String,
    },
    /// The digest can't be read.
    #[error("the digest of {path:?} is not valid: {source}")]
    InvalidDigest {
        /// The text as given, made readable.
        path: String,
        /// What is wrong with it.
        source: nixbase32::DecodeError,
    },
    /// The name breaks one of Nix's rules.
    #[error("the store path name {name:?} is not valid: {reason}")]
    InvalidName {
        /// The name, made readable.
        name: String,
        /// The rule.
        reason: NameProblem,
    },
    /// A store path alone was asked for and more follows it.
    #[error("{path:?} is a path inside a store path, not a store path")]
    TrailingPath {
        /// The text as given, made readable.
        path: String,
    },
    /// A `..` after the store path could lead out of it.
    #[error("{path:?} has a \"..\" after the store path")]
    ParentComponent {
        /// The text as given, made readable.
        path: String,
    },
}

/// The rule of Nix's `checkName` that a name breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NameProblem {
    /// No name at all.
    #[error("it is empty")]
    Empty,
    /// Longer than [`MAX_NAME_LEN`].
    #[error("it has {0} bytes, at most {MAX_NAME_LEN} are allowed")]
    TooLong(usize),
    /// `.`, `..`, `.-…` or `..-…`.
    #[error("its part before the first dash is \".\" or \"..\"")]
    DotComponent,
    /// A byte other than ASCII letters, digits and `+-._?=`.
    #[error("byte {byte:#04x} at offset {offset} is not allowed")]
    Character {
        /// Where it stands, in bytes.
        offset: usize,
        /// The byte itself.
        byte: u8,
    },
}

/// A store path that borrows its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct StorePathRef<'a> {
    digest: [u8; DIGEST_SIZE],
    name: &'a str,
}

/// A store path that owns its name. It sorts as its text does.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct StorePath {
    digest: [u8; DIGEST_SIZE],
    name: String,
}

impl<'a> StorePathRef<'a> {
    /// Reads `<digest>-<name>`.
    ///
    /// # Errors
    /// [`Error`]
    pub fn from_bytes(base: &'a [u8]) -> Result<Self, Error> {
        if base.get(ENCODED_DIGEST_SIZE) != Some(&b'-') {
            return Err(Error::MissingDash { path: lossy(base) });
        }
        let (digest, name) = base.split_at(ENCODED_DIGEST_SIZE);
        let digest = nixbase32::decode_fixed(digest).map_err(|source| Error::InvalidDigest {
            path: lossy(base),
            source,
        })?;
        let name = check_name(&name[1..])?;
        Ok(Self { digest, name })
    }

    /// Reads `/nix/store/<digest>-<name>`; nothing may follow.
    ///
    /// # Errors
    /// [`Error`]
    pub fn from_absolute_path(path: &'a [u8]) -> Result<Self, Error> {
        let base = strip_store_dir(path)?;
        if base.contains(&b'/') {
            return Err(Error::TrailingPath { path: lossy(path) });
        }
        Self::from_bytes(base)
    }

    /// Reads a path at or below a store path: gives the store path and the rest,
    /// relative and without `.` (empty for the store path itself).
    ///
    /// # Errors
    /// [`Error`], `ParentComponent` where the rest has a `..`.
    pub fn from_absolute_path_full(path: &'a [u8]) -> Result<(Self, PathBuf), Error> {
        let base = strip_store_dir(path)?;
        let end = base.iter().position(|&b| b == b'/').unwrap_or(base.len());
        let (base, rest) = base.split_at(end);
        let store_path = Self::from_bytes(base)?;
        let mut sub = PathBuf::new();
        for component in Path::new(OsStr::from_bytes(rest)).components() {
            match component {
                Component::Normal(part) => sub.push(part),
                Component::ParentDir => {
                    return Err(Error::ParentComponent { path: lossy(path) });
                }
                Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
            }
        }
        Ok((store_path, sub))
    }

    /// The 20 bytes of the digest.
    pub fn digest(&self) -> &[u8; DIGEST_SIZE] {
        &self.digest
    }

    /// The name, `firefox-128.0.1`.
    pub fn name(&self) -> &'a str {
        self.name
    }

    /// An owned copy.
    pub fn to_owned(&self) -> StorePath {
        StorePath {
            digest: self.digest,
            name: self.name.to_owned(),
        }
    }

    /// The path with `/nix/store/` before it.
    pub fn to_absolute_path(&self) -> String {
        format!("{STORE_DIR_WITH_SLASH}{self}")
    }
}

impl StorePath {
    /// Reads `<digest>-<name>`. See [`StorePathRef::from_bytes`].
    ///
    /// # Errors
    /// [`Error`]
    pub fn from_bytes(base: &[u8]) -> Result<Self, Error> {
        StorePathRef::from_bytes(base).map(|path| path.to_owned())
    }

    /// Reads a store path. See [`StorePathRef::from_absolute_path`].
    ///
    /// # Errors
    /// [`Error`]
    pub fn from_absolute_path(path: &[u8]) -> Result<Self, Error> {
        StorePathRef::from_absolute_path(path).map(|path| path.to_owned())
    }

    /// Reads a path at or below a store path. See
    /// [`StorePathRef::from_absolute_path_full`].
    ///
    /// # Errors
    /// [`Error`]
    pub fn from_absolute_path_full(path: &[u8]) -> Result<(Self, PathBuf), Error> {
        StorePathRef::from_absolute_path_full(path).map(|(path, sub)| (path.to_owned(), sub))
    }

    /// [`StorePath::from_absolute_path`] for a [`Path`].
    ///
    /// # Errors
    /// [`Error`]
    pub fn from_path(path: &Path) -> Result<Self, Error> {
        Self::from_absolute_path(path.as_os_str().as_bytes())
    }

    /// [`StorePath::from_absolute_path_full`] for a [`Path`].
    ///
    /// # Errors
    /// [`Error`]
    pub fn from_path_full(path: &Path) -> Result<(Self, PathBuf), Error> {
        Self::from_absolute_path_full(path.as_os_str().as_bytes())
    }

    /// Puts a digest and a name together.
    ///
    /// # Errors
    /// [`Error::InvalidName`]
    pub fn from_name_and_digest(name: &str, digest: [u8; DIGEST_SIZE]) -> Result<Self, Error> {
        let name = check_name(name.as_bytes())?.to_owned();
        Ok(Self { digest, name })
    }

    /// The same path, borrowed.
    pub fn as_ref(&self) -> StorePathRef<'_> {
        StorePathRef {
            digest: self.digest,
            name: &self.name,
        }
    }

    /// The 20 bytes of the digest.
    pub fn digest(&self) -> &[u8; DIGEST_SIZE] {
        &self.digest
    }

    /// The name, `firefox-128.0.1`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The name cut into package and version, as `builtins.parseDrvName` does:
    /// `("firefox", "128.0.1")`; the version is empty if there is none.
    pub fn name_and_version(&self) -> (&str, &str) {
        parse_drv_name(&self.name)
    }

    /// The path with `/nix/store/` before it.
    pub fn to_absolute_path(&self) -> String {
        self.as_ref().to_absolute_path()
    }

    /// `<digest>-<name>`, the entry's name in the store directory.
    pub fn to_base_name(&self) -> String {
        self.to_string()
    }
}

fn strip_store_dir(path: &[u8]) -> Result<&[u8], Error> {
    path.strip_prefix(STORE_DIR_WITH_SLASH.as_bytes())
        .ok_or_else(|| Error::NotInStore { path: lossy(path) })
}

/// Checks a name by Nix's rules and gives it back as text.
fn check_name(name: &[u8]) -> Result<&str, Error> {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"+-._?=".contains(&b);
    let first = name.split(|&b| b == b'-').next().unwrap_or(name);
    let reason = if name.is_empty() {
        NameProblem::Empty
    } else if name.len() > MAX_NAME_LEN {
        NameProblem::TooLong(name.len())
    } else if first == b"." || first == b".." {
        NameProblem::DotComponent
    } else if let Some(offset) = name.iter().position(|&b| !allowed(b)) {
        NameProblem::Character {
            offset,
            byte: name[offset],
        }
    } else if let Ok(text) = std::str::from_utf8(name) {
        return Ok(text);
    } else {
        // Only ASCII gets this far.
        NameProblem::Empty
    };
    Err(Error::InvalidName {
        name: lossy(name),
        reason,
    })
}

/// At most 300 bytes of hostile text for a message.
fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(&bytes[..bytes.len().min(300)]).into_owned()
}

/// `<digest>-<name>`, without the store directory, as in nix-compat.
impl fmt::Display for StorePathRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", nixbase32::encode(&self.digest), self.name)
    }
}

/// `<digest>-<name>`, without the store directory, as in nix-compat.
impl fmt::Display for StorePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_ref().fmt(f)
    }
}

impl Ord for StorePathRef<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        // The last byte of a digest makes its first digits.
        let ours = self.digest.iter().rev();
        ours.cmp(other.digest.iter().rev())
            .then_with(|| self.name.cmp(other.name))
    }
}

impl PartialOrd for StorePathRef<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for StorePath {
    fn cmp(&self, other: &Self) -> Ordering {
        self.as_ref().cmp(&other.as_ref())
    }
}

impl PartialOrd for StorePath {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// The absolute path, or the base name alone.
impl FromStr for StorePath {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        if text.starts_with('/') {
            Self::from_absolute_path(text.as_bytes())
        } else {
            Self::from_bytes(text.as_bytes())
        }
    }
}

impl Serialize for StorePath {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.to_absolute_path())
    }
}

impl<'de> Deserialize<'de> for StorePath {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::from_absolute_path(text.as_bytes()).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests;
