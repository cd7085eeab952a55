//! What takes a point.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// What took a point.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Trigger {
    /// A person.
    Manual,
    /// A timer, by name.
    Schedule(String),
    /// The hook that runs before a switch.
    PreSwitch,
    /// The machine has booted.
    Boot,
    /// A healing action was about to run.
    PreHeal,
    /// A restore was about to run; this point undoes it.
    PreRestore,
    /// A merge: this point holds what it arrives at.
    Merge,
    /// `cairn try`.
    Try,
}

impl Trigger {
    /// Every kind, by its name without that of a timer.
    pub const KINDS: [&'static str; 8] = [
        "manual",
        "schedule",
        "pre-switch",
        "boot",
        "pre-heal",
        "pre-restore",
        "merge",
        "try",
    ];

    /// Whether somebody meant to have the point: not one that a restore or a
    /// merge takes for itself.
    pub fn is_meant(&self) -> bool {
        !matches!(self, Self::PreRestore | Self::Merge)
    }
}

/// Why a text is not a trigger.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error(
    "'{0}' is not a trigger (manual, schedule:<name>, pre-switch, boot, pre-heal, pre-restore, \
     merge, try)"
)]
pub struct BadTrigger(String);

impl FromStr for Trigger {
    type Err = BadTrigger;

    fn from_str(text: &str) -> Result<Self, BadTrigger> {
        let named = |name: &str| {
            let ok = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
            (!name.is_empty() && name.len() <= 64 && name.chars().all(ok)).then(|| name.to_owned())
        };
        match text {
            "manual" => Ok(Self::Manual),
            "pre-switch" => Ok(Self::PreSwitch),
            "boot" => Ok(Self::Boot),
            "pre-heal" => Ok(Self::PreHeal),
            "pre-restore" => Ok(Self::PreRestore),
            "merge" => Ok(Self::Merge),
            "try" => Ok(Self::Try),
            _ => text
                .strip_prefix("schedule:")
                .and_then(named)
                .map(Self::Schedule)
                .ok_or_else(|| BadTrigger(text.chars().take(80).collect())),
        }
    }
}

impl fmt::Display for Trigger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Manual => f.write_str("manual"),
            Self::Schedule(name) => write!(f, "schedule:{name}"),
            Self::PreSwitch => f.write_str("pre-switch"),
            Self::Boot => f.write_str("boot"),
            Self::PreHeal => f.write_str("pre-heal"),
            Self::PreRestore => f.write_str("pre-restore"),
            Self::Merge => f.write_str("merge"),
            Self::Try => f.write_str("try"),
        }
    }
}

impl Serialize for Trigger {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Trigger {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}
