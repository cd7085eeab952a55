//! What healing would do, and what it did.

use chrono::{DateTime, Utc};
use serde::Serialize;

use crate::learn::Harm;
use crate::point::event::HealVerdict;
use crate::point::heal::Action;
use crate::point::{Issue, PointId};

/// What healing came to; of a plan, what it would try.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Healed {
    /// Whether nothing was done, only planned.
    pub dry_run: bool,
    /// The health score before, 0 to 100.
    pub before: Option<u8>,
    /// The health score at the end.
    pub after: Option<u8>,
    /// Whether the machine is well at the end.
    pub healthy: bool,
    /// Whether an earlier run left an action under way, which is ended first.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub cut_off: bool,
    /// An action that an earlier run had left under way, and what became of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub finished: Option<Tried>,
    /// Each issue.
    pub issues: Vec<Treated>,
    /// What is to come, and was seen early enough.
    pub foreseen: Vec<Foreseen>,
    /// The running system, where it was marked known-good.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub marked_good: Option<String>,
    /// Whether somebody interrupted it after it had done something.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub interrupted: bool,
    /// Worth knowing, one line each.
    pub notes: Vec<String>,
}

impl Healed {
    /// Whether anything was done to the machine: an action, or ending one.
    pub fn has_acted(&self) -> bool {
        self.finished.is_some() || self.issues.iter().any(|treated| !treated.tries.is_empty())
    }

    /// Whether issues are left that were to be healed, or that nothing can be
    /// done about.
    pub fn remains(&self) -> bool {
        self.issues.iter().any(|treated| !treated.healed)
    }
}

/// One issue, and what is or was done about it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Treated {
    /// The issue.
    pub issue: Issue,
    /// What the check saw.
    pub detail: String,
    /// Why it is left alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub held: Option<String>,
    /// Until when, where that ends by itself (UTC).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<DateTime<Utc>>,
    /// The actions, in the order they are tried in.
    pub actions: Vec<Planned>,
    /// Actions that the policy leaves out.
    pub off: Vec<Off>,
    /// What was tried.
    pub tries: Vec<Tried>,
    /// Whether it is gone.
    pub healed: bool,
    /// The restore point taken before the first action.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub point: Option<PointId>,
}

/// An action in its place.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Planned {
    /// Which.
    pub action: Action,
    /// What it does.
    pub title: &'static str,
    /// What it is done to, where that is known beforehand.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub on: Option<String>,
    /// How bad what it can break is.
    pub harm: Harm,
    /// What it can break.
    pub breaks: &'static str,
    /// How likely it is to help, by what was learned.
    pub estimate: f64,
    /// Where that is with 90 % certainty.
    pub interval: (f64, f64),
    /// How often it was tried here.
    pub attempts: u64,
    /// How often others tried it.
    pub imported: u64,
    /// Seconds it takes when it helps.
    pub seconds: f64,
    /// What is not there that it needs: it is passed over.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lacks: Option<String>,
}

/// An action that the policy leaves out.
#[derive(Debug, Serialize)]
pub struct Off {
    /// Which.
    pub action: Action,
    /// Why.
    pub why: &'static str,
}

/// An action that was tried.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Tried {
    /// Against what.
    pub issue: Issue,
    /// Which.
    pub action: Action,
    /// What it came to.
    pub verdict: HealVerdict,
    /// The health score before.
    pub before: Option<u8>,
    /// The health score after.
    pub after: Option<u8>,
    /// How long it took, in milliseconds.
    pub millis: u64,
    /// Whether it was interrupted before its verdict, which is not learned from.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub interrupted: bool,
    /// What it or the check said, where it did not help; where it did and has
    /// no undo, what fails since.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub said: Option<String>,
    /// What could not be taken back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trouble: Option<String>,
}

/// Something that will be full soon.
#[derive(Debug, Serialize)]
pub struct Foreseen {
    /// What: "disk /", "memory".
    pub what: String,
    /// When: "full in 9 h".
    pub words: String,
    /// The best guess of when (UTC).
    pub at: DateTime<Utc>,
    /// The restore point taken for it now; absent when there is one already.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub point: Option<PointId>,
}

/// How healing stands.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Standing {
    /// When the last action ended (UTC).
    pub at: Option<DateTime<Utc>>,
    /// Against what it was.
    pub issue: Option<Issue>,
    /// What was done.
    pub action: Option<Action>,
    /// What it came to.
    pub verdict: Option<HealVerdict>,
    /// Whether it was interrupted before that.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub interrupted: bool,
    /// An action that was cut off and waits to be ended by `cairn heal`.
    pub cut_off: Option<String>,
    /// Issues that are there and left alone for a while.
    pub waiting: Vec<Waiting>,
}

/// An issue that is left alone for a while.
#[derive(Debug, Serialize)]
pub struct Waiting {
    /// The issue.
    pub issue: Issue,
    /// Until when (UTC).
    pub until: DateTime<Utc>,
    /// Why.
    pub why: String,
}
