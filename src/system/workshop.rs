//! A private folder to build a configuration in, below the state directory. It
//! goes when it is dropped; what a crash left goes when the next is made.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::error::optional;
use super::{At, IoError, Layout, durable};
use crate::nix::store_path::StorePath;
use crate::point::PointId;

/// See the module.
#[derive(Debug)]
pub struct Workshop(PathBuf);

impl Workshop {
    /// Where that of a point would be.
    pub fn place(layout: &Layout, id: PointId) -> PathBuf {
        layout.state().join("rebuild").join(id.to_string())
    }

    /// Makes that of a point, empty.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn make(layout: &Layout, id: PointId) -> Result<Self, IoError> {
        let place = Self::place(layout, id);
        if let Some(parent) = place.parent() {
            optional(fs::remove_dir_all(parent).at("remove", parent))?;
            durable::create_private_dir(parent)?;
        }
        durable::create_private_dir(&place)?;
        Ok(Self(place))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Takes a file out, by its logical path.
    ///
    /// # Errors
    /// When it cannot be removed.
    pub fn remove(&self, logical: &Path) -> Result<(), IoError> {
        durable::remove(&self.0.join(logical.strip_prefix("/").unwrap_or(logical)))
    }

    /// What was built in it: where the link `result` leads.
    ///
    /// # Errors
    /// When there is no such link, or it leads to no store path.
    pub fn result(&self) -> Result<StorePath, IoError> {
        let link = self.0.join("result");
        let target = fs::read_link(&link).at("read the link", &link)?;
        let text = target.to_string_lossy();
        StorePath::from_absolute_path(text.as_bytes())
            .map_err(|e| io::Error::other(format!("{text} is no store path: {e}")))
            .at("read the link", &link)
    }
}

impl Drop for Workshop {
    fn drop(&mut self) {
        // What stays is removed when the next is made.
        if let Some(parent) = self.0.parent() {
            let _ = fs::remove_dir_all(parent);
        }
    }
}
