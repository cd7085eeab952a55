//! What the history keeps: events, samples of health, attempts to heal.
//!
//! Plain records with names as text, so that what heals and what checks health
//! fill them in without the history knowing their kinds.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{PointId, Switch};

/// What kind of thing happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A restore point was taken.
    Point,
    /// A switch began.
    Switch,
    /// The gate judged a switch.
    Verdict,
    /// A switch was taken back.
    Rollback,
    /// A restore began.
    Restore,
    /// The machine booted.
    Boot,
    /// A healing action was tried.
    Heal,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 7] = [
        Self::Point,
        Self::Switch,
        Self::Verdict,
        Self::Rollback,
        Self::Restore,
        Self::Boot,
        Self::Heal,
    ];

    /// Its name, as the command line and JSON have it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Point => "point",
            Self::Switch => "switch",
            Self::Verdict => "verdict",
            Self::Rollback => "rollback",
            Self::Restore => "restore",
            Self::Boot => "boot",
            Self::Heal => "heal",
        }
    }

    /// The kind of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }
}

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// Its name: recording the same one again replaces it.
    pub id: String,
    /// When (UTC).
    pub at: DateTime<Utc>,
    /// What kind.
    pub kind: Kind,
    /// In one line.
    pub what: String,
    /// Whether it went well, where that can be said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub good: Option<bool>,
    /// What else is known of it.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub data: Value,
}

/// How the machine was at one moment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    /// When (UTC).
    pub at: DateTime<Utc>,
    /// Figures by name, such as `score`, `disk./.free`, `memory.available`.
    pub figures: BTreeMap<String, f64>,
}

/// A figure over a span of time: one sample, or the mean of several.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Reading {
    /// When the span begins (UTC).
    pub at: DateTime<Utc>,
    /// How long it is, in seconds; 0 for one sample.
    pub span: u32,
    /// How many samples.
    pub samples: u32,
    /// Their mean.
    pub mean: f64,
    /// The lowest.
    pub low: f64,
    /// The highest.
    pub high: f64,
}

/// What a healing action came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HealVerdict {
    /// The issue is gone: the same check passes.
    Recovered,
    /// It is still there.
    Remains,
    /// It did not help, or made something else worse, and what it had changed
    /// was taken back.
    TakenBack,
}

/// One action that was tried against one issue.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HealAttempt {
    /// Its id; ids sort by time.
    pub id: PointId,
    /// When it began (UTC).
    pub at: DateTime<Utc>,
    /// The kind of issue, such as `service-down`.
    pub issue: String,
    /// The action, such as `restart-unit`.
    pub action: String,
    /// What it was about, such as a unit. Never leaves this machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// The health score before, 0 to 100.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<u8>,
    /// The health score after, 0 to 100.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<u8>,
    /// What it came to.
    pub verdict: HealVerdict,
    /// From its begin to the verdict, in milliseconds.
    pub millis: u64,
    /// The restore point taken before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub point: Option<PointId>,
}

/// What one switch changed, by name: `unit:nginx.service`, `package:openssl`,
/// `kernel:6.18.1`. For finding what bad switches share.
pub type Traits = BTreeSet<String>;

/// One thing to keep.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Item {
    /// An event.
    Event(Event),
    /// A sample of health.
    Sample(Sample),
    /// An attempt to heal.
    Heal(HealAttempt),
    /// A switch, or what came of it.
    Switch(Box<Switch>),
    /// What a switch changed.
    Traits {
        /// The switch.
        switch: PointId,
        /// Names.
        traits: Traits,
    },
}
