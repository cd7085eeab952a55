//! The policy on disk.

use std::fs;
use std::path::{Path, PathBuf};

use super::error::optional;
use super::{At, IoError};
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

/// Reads a policy; `None` when there is no such file.
///
/// # Errors
/// A file that cannot be read or is no policy: defaults never stand in for a
/// policy that was written.
pub fn load(path: &Path) -> Result<Option<Policy>, LoadError> {
    let Some(text) = optional(fs::read_to_string(path).at("read the policy", path))? else {
        return Ok(None);
    };
    Policy::parse(&text)
        .map(Some)
        .map_err(|source| LoadError::Policy {
            path: path.to_owned(),
            source,
        })
}
