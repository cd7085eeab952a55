//! The policy on disk.

use std::fs;
use std::path::{Path, PathBuf};

use super::error::optional;
use super::{At, IoError, Layout};
use crate::point::Policy;
use crate::point::policy::PolicyError;

/// Why the policy on disk cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// It cannot be read.
    #[error(transparent)]
    Io(#[from] IoError),
    /// It is not a policy.
    #[error("the policy {} is unusable: {source}", path.display())]
    Policy {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: PolicyError,
    },
}

/// The policy the NixOS module writes, as a logical path.
const POLICY: &str = "/etc/cairn/policy.json";

/// The policy that stands for none at all.
const NONE: &str = "/dev/null";

/// Reads the policy of the machine; `None` when it has none. NixOS makes it a
/// link with an absolute target, which is followed inside the root.
///
/// # Errors
/// A file that cannot be read or is no policy, and a link that leads nowhere:
/// defaults never stand in for a policy that was written.
pub fn find(layout: &Layout) -> Result<Option<Policy>, LoadError> {
    let logical = Path::new(POLICY);
    let place = layout.real(logical);
    if optional(fs::symlink_metadata(&place).at("look at", &place))?.is_none() {
        return Ok(None);
    }
    let real = layout.real(layout.resolve(logical)?);
    let text = fs::read_to_string(&real).at("read the policy", &place)?;
    parse(&text, &place).map(Some)
}

/// Reads the policy that was named; `/dev/null` stands for none.
///
/// # Errors
/// A file that is not there, cannot be read or is no policy.
pub fn load(path: &Path) -> Result<Option<Policy>, LoadError> {
    if path == Path::new(NONE) {
        return Ok(None);
    }
    let text = fs::read_to_string(path).at("read the policy", path)?;
    parse(&text, path).map(Some)
}

fn parse(text: &str, path: &Path) -> Result<Policy, LoadError> {
    Policy::parse(text).map_err(|source| LoadError::Policy {
        path: path.to_owned(),
        source,
    })
}
