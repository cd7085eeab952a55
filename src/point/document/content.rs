//! What a document says of captured files: the configuration, and state sets.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::point::BytePath;

/// The captured configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Config {
    /// What was captured, each root apart.
    pub roots: Vec<ConfigRoot>,
    /// Regular files.
    pub files: u64,
    /// Sum of their sizes, in bytes.
    pub bytes: u64,
    /// SHA-256 over the sorted listing (path, kind, permissions, content): two
    /// points with the same hash hold the same configuration.
    pub hash: String,
    /// Tree id in the vault; empty when nothing was there.
    pub tree: String,
    /// Snapshot id in the vault; empty when nothing was there: see
    /// [`Config::snapshot`].
    pub snapshot: String,
    /// Imports that led outside the roots and were captured too.
    #[serde(default)]
    pub followed: Vec<BytePath>,
    /// Imports that could not be followed, and why.
    #[serde(default)]
    pub unfollowed: Vec<Unfollowed>,
    /// Entries left out on purpose (`.git`).
    #[serde(default)]
    pub excluded: Vec<BytePath>,
}

impl Config {
    /// The snapshot in the vault; `None` when no root was there to capture.
    pub fn snapshot(&self) -> Option<&str> {
        Some(self.snapshot.as_str()).filter(|id| !id.is_empty())
    }
}

/// One captured root, of the configuration or of a state set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ConfigRoot {
    /// Absolute path as the machine itself names it (without `--root`), free
    /// of symlinks.
    pub path: BytePath,
    /// What was there.
    pub kind: RootKind,
    /// The Git checkout it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub git: Option<GitFact>,
}

/// What was at a root.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum RootKind {
    /// A directory and all below it.
    Directory,
    /// One file.
    File,
    /// A symlink (what it leads to is a root of its own).
    Symlink,
    /// Nothing: bringing the point back removes what is there now.
    Absent,
}

/// The state of a Git checkout.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct GitFact {
    /// Top folder of the checkout.
    pub top: BytePath,
    /// Commit of `HEAD`; absent before the first commit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
    /// Whether files differed from that commit; absent when Git could not say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dirty: Option<bool>,
}

/// An import that could not be followed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Unfollowed {
    /// The file it stands in.
    pub file: BytePath,
    /// Its line, from 1.
    pub line: u32,
    /// Its text.
    pub text: String,
    /// Why not.
    pub why: String,
}

/// One captured state set.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StateSet {
    /// Snapshot id in the vault; empty when nothing was there: see
    /// [`StateSet::snapshot`].
    pub snapshot: String,
    /// Sum of the sizes of its files, in bytes.
    pub bytes: u64,
    /// How it was made consistent.
    pub consistency: String,
    /// Tree id in the vault; empty when nothing was there.
    #[serde(default)]
    pub tree: String,
    /// Regular files.
    #[serde(default)]
    pub files: u64,
    /// As the configuration's; empty when large files were taken unread from
    /// an earlier point.
    #[serde(default)]
    pub hash: String,
    /// What was captured, each root apart.
    #[serde(default)]
    pub roots: Vec<ConfigRoot>,
    /// What belongs to the roots and not to the set, whether it was there or
    /// not: bringing the set back leaves it alone.
    #[serde(default)]
    pub excluded: Vec<BytePath>,
    /// Units that own it.
    #[serde(default)]
    pub units: Vec<String>,
    /// What its version command said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
}

impl StateSet {
    /// The snapshot in the vault; `None` when no root was there to capture.
    pub fn snapshot(&self) -> Option<&str> {
        Some(self.snapshot.as_str()).filter(|id| !id.is_empty())
    }
}
