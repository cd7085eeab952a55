//! Which part of a tree a comparison or a restore is about.

use std::path::{Component, Path, PathBuf};

use thiserror::Error;

use super::Tree;

/// Why a scope was refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ScopeError {
    /// Neither tree has the path, so it is more likely a slip than a wish.
    #[error("{path:?} is in neither of the two trees")]
    Nowhere {
        /// The path as it was named.
        path: PathBuf,
    },
    /// A path that could lead out of the root.
    #[error("{path:?} is no plain relative path")]
    NotRelative {
        /// The path as it was named.
        path: PathBuf,
    },
}

/// Everything, or all that lies at or below some paths.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Scope {
    prefixes: Option<Vec<PathBuf>>,
}

impl Scope {
    /// Everything.
    pub fn all() -> Self {
        Self::default()
    }

    /// Only what lies at or below `paths`; everything if there are none. `.`
    /// and slashes at the end do not matter.
    ///
    /// # Errors
    /// [`ScopeError`] for a path that is in neither tree, absolute, or has
    /// `..` in it.
    pub fn new(paths: &[PathBuf], one: &Tree, other: &Tree) -> Result<Self, ScopeError> {
        let mut prefixes = Vec::new();
        for path in paths {
            let mut plain = PathBuf::new();
            for part in path.components() {
                match part {
                    Component::Normal(name) => plain.push(name),
                    Component::CurDir => {}
                    _ => return Err(ScopeError::NotRelative { path: path.clone() }),
                }
            }
            let is_root = plain.as_os_str().is_empty();
            if !is_root && one.get(&plain).is_none() && other.get(&plain).is_none() {
                return Err(ScopeError::Nowhere { path: path.clone() });
            }
            prefixes.push(plain);
        }
        Ok(Self {
            prefixes: (!prefixes.is_empty()).then_some(prefixes),
        })
    }

    /// Whether a path is part of it.
    pub fn contains(&self, path: &Path) -> bool {
        let Some(prefixes) = &self.prefixes else {
            return true;
        };
        prefixes.iter().any(|prefix| path.starts_with(prefix))
    }
}
