//! What differs between two restore points, or a point and now.

use std::collections::BTreeMap;

use super::text_diff::FileDiff;
use super::tree_diff::What;
use crate::nix::closure::ClosureDiff;
use crate::nix::store_path::StorePath;
use crate::point::BytePath;

/// What differs between two ends.
#[derive(Debug)]
pub struct Diff {
    /// Names of the ends.
    pub labels: (String, String),
    /// The systems; absent when one end has none.
    pub system: Option<SystemDiff>,
    /// Changed configuration files, by path.
    pub config: Vec<FileChange>,
    /// State sets that differ, by name.
    pub state: BTreeMap<String, StateDiff>,
}

impl Diff {
    /// Whether nothing differs.
    pub fn is_empty(&self) -> bool {
        self.system.as_ref().is_none_or(|s| s.from == s.to)
            && self.config.is_empty()
            && self.state.is_empty()
    }
}

/// How two systems differ.
#[derive(Debug)]
pub struct SystemDiff {
    /// Toplevel before.
    pub from: StorePath,
    /// Toplevel after.
    pub to: StorePath,
    /// Packages; absent when the store cannot say, see `note`.
    pub closure: Option<ClosureDiff>,
    /// Why there is no package list.
    pub note: Option<String>,
}

/// How a state set differs.
#[derive(Debug)]
pub struct StateDiff {
    /// Bytes before; absent when the set was not captured then.
    pub before: Option<u64>,
    /// Bytes after, likewise.
    pub after: Option<u64>,
    /// Changed paths, when both ends hold it.
    pub changes: Vec<(BytePath, What)>,
}

/// A changed configuration file.
#[derive(Debug)]
pub struct FileChange {
    /// Absolute logical path.
    pub path: BytePath,
    /// What changed.
    pub what: What,
    /// The text difference, for files whose content differs.
    pub text: Option<FileDiff>,
}
