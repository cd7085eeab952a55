//! The reasons of a prune plan, and how they read.

use std::fmt;

use chrono::{DateTime, Utc};
use serde::Serialize;

use super::Decision;
use crate::plan::humane;

/// Why an item must stay whatever the rules say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Protection {
    /// A person pinned it.
    Pinned,
    /// The machine was booted into it.
    Booted,
    /// It is the running system (`/run/current-system`).
    Current,
    /// The boot loader starts it by default.
    Default,
    /// The boot loader was told to start it at the next boot, and only then.
    NextBoot,
    /// The system profile points at it.
    ProfileCurrent,
    /// It is the newest known-good one.
    LatestGood,
    /// The other half of its pair is kept somewhere the planner does not see.
    PairHalf,
    /// It is the only restore point.
    OnlyPoint,
    /// It is the newest that was not taken by a restore to undo itself.
    NewestMeant,
    /// A restore, a gate or a try that is under way needs it.
    Running,
}

impl fmt::Display for Protection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pinned => "pinned",
            Self::Booted => "booted",
            Self::Current => "current system",
            Self::Default => "boot default",
            Self::NextBoot => "chosen for the next boot",
            Self::ProfileCurrent => "current in the profile",
            Self::LatestGood => "latest known-good",
            Self::PairHalf => "half of a pair whose other half is kept",
            Self::OnlyPoint => "the only one",
            Self::NewestMeant => "the newest not taken by a restore",
            Self::Running => "needed to go back to",
        })
    }
}

/// A keep rule that counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
#[expect(missing_docs, reason = "the names are the rules")]
pub enum Rule {
    Last,
    Hourly,
    Daily,
    Weekly,
    Monthly,
    Yearly,
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Last => "last",
            Self::Hourly => "hourly",
            Self::Daily => "daily",
            Self::Weekly => "weekly",
            Self::Monthly => "monthly",
            Self::Yearly => "yearly",
        })
    }
}

/// Why an item stays or goes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "why", rename_all = "kebab-case")]
pub enum Reason {
    /// Stays: protected.
    Protected {
        /// By what.
        by: Protection,
    },
    /// Stays: a counting rule wants it.
    Kept {
        /// The rule.
        rule: Rule,
        /// Its place, from 1.
        nth: u32,
        /// The rule's count.
        of: u32,
        /// The hour, day, week, month or year; none for keep-last.
        period: Option<String>,
    },
    /// Stays: the oldest of all, while a rule still has places left.
    Oldest {
        /// The rule that is not yet full.
        rule: Rule,
    },
    /// Stays: newer than keep-within.
    Within,
    /// Stays: has a tag to keep.
    Tagged {
        /// The entry of the policy that matched.
        tag: String,
    },
    /// Stays: younger than the minimum age.
    Young,
    /// Stays: the newest always does.
    Newest,
    /// Stays: its date lies ahead, so the clock was or is wrong. It counts as
    /// now until its date has passed, and then as any other.
    FutureDated {
        /// The date it bears.
        created: DateTime<Utc>,
    },
    /// Stays: the other half of its pair does.
    PairOf {
        /// The key of an item of the pair that is kept.
        partner: String,
    },
    /// Goes: no rule keeps it.
    Beyond {
        /// The rules it is beyond, for example `keep-last 20`.
        rules: Vec<String>,
    },
    /// Goes: free space is below the floor.
    ForSpace {
        /// Bytes that were missing before this removal.
        missing: u64,
    },
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Protected { by } => by.fmt(f),
            Self::Kept {
                rule,
                nth,
                of,
                period: None,
            } => write!(f, "{rule} {nth} of {of}"),
            Self::Kept {
                rule,
                nth,
                of,
                period: Some(period),
            } => {
                write!(f, "{rule} {nth} of {of} ({period})")
            }
            Self::Oldest { rule } => write!(f, "oldest, {rule} is not yet full"),
            Self::Within => f.write_str("within the time to keep"),
            Self::Tagged { tag } => write!(f, "tag {tag}"),
            Self::Young => f.write_str("younger than the minimum age"),
            Self::Newest => f.write_str("the newest"),
            Self::FutureDated { created } => write!(
                f,
                "dated in the future ({}), counted as now",
                created.format("%Y-%m-%d %H:%M UTC")
            ),
            Self::PairOf { partner } => write!(f, "half of a pair with {partner}"),
            Self::Beyond { rules } => write!(f, "beyond {}", rules.join(", ")),
            Self::ForSpace { missing } => {
                write!(f, "to free space ({} missing)", humane::bytes(*missing))
            }
        }
    }
}

/// "kept: pinned; daily 3 of 7 (2026-11-20)" or "removed: beyond keep-last 20".
impl fmt::Display for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.keep { "kept: " } else { "removed: " })?;
        for (place, reason) in self.reasons.iter().enumerate() {
            if place > 0 {
                f.write_str("; ")?;
            }
            reason.fmt(f)?;
        }
        Ok(())
    }
}
