//! One shape for every failed file operation: what was tried, where, why.

use std::io;
use std::path::{Path, PathBuf};

use crate::point::path::printable;

/// A file operation that failed.
#[derive(Debug, thiserror::Error)]
#[error("cannot {operation} {}: {source}", printable(path))]
pub struct IoError {
    /// What was tried, as a verb: "read", "write".
    pub operation: &'static str,
    /// Where.
    pub path: PathBuf,
    /// Why it failed.
    #[source]
    pub source: io::Error,
}

impl IoError {
    /// The kind of the underlying error.
    pub fn kind(&self) -> io::ErrorKind {
        self.source.kind()
    }
}

/// Adds the operation and the path to an error.
pub trait At<T> {
    /// Names what was tried and where.
    ///
    /// # Errors
    /// The original error, with its place.
    fn at(self, operation: &'static str, path: impl AsRef<Path>) -> Result<T, IoError>;
}

impl<T, E: Into<io::Error>> At<T> for Result<T, E> {
    fn at(self, operation: &'static str, path: impl AsRef<Path>) -> Result<T, IoError> {
        self.map_err(|source| IoError {
            operation,
            path: path.as_ref().to_owned(),
            source: source.into(),
        })
    }
}

/// `None` for a file that is not there.
///
/// # Errors
/// Every other error.
pub fn optional<T>(result: Result<T, IoError>) -> Result<Option<T>, IoError> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(e)
            if matches!(
                e.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
            ) =>
        {
            Ok(None)
        }
        Err(e) => Err(e),
    }
}
