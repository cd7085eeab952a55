//! What people and gates say of a point after it was taken.
//!
//! A point's document never changes; its marks do. They live beside it, in
//! `marks/<id>.json`, and are written whole.

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The version of the marks file this build reads and writes.
pub const VERSION: u32 = 1;

/// Everything said of one point.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Marks {
    /// Format version.
    #[schemars(extend("const" = VERSION))]
    pub version: u32,
    /// Set while the point is pinned: prune never takes it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pinned: Option<Note>,
    /// The verdict on the system the point holds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verdict: Option<Verdict>,
    /// What of the point a repair found to be lost.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub damaged: Option<Note>,
}

/// When and why a mark was set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Note {
    /// When (UTC).
    pub at: DateTime<Utc>,
    /// Why, in the words of who set it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// Whether the system a point holds is known to work.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Verdict {
    /// `true`: known-good; `false`: known-bad.
    pub good: bool,
    /// When and why.
    #[serde(flatten)]
    pub note: Note,
}

impl Marks {
    /// Whether the point was marked good.
    pub fn is_good(&self) -> bool {
        self.verdict.as_ref().is_some_and(|v| v.good)
    }

    /// Whether the point was marked bad.
    pub fn is_bad(&self) -> bool {
        self.verdict.as_ref().is_some_and(|v| !v.good)
    }

    /// Whether prune must leave the point alone.
    pub fn is_pinned(&self) -> bool {
        self.pinned.is_some()
    }
}
