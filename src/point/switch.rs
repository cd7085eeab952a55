//! The record of one switch: what there was before, what came of it, what was
//! done about it.
//!
//! The hook before the switch writes it, the watcher ends it. A switch that no
//! hook saw gets one afterwards, without a restore point.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::document::System;
use super::health::Status;
use super::risk::Foretold;
use super::{PointId, Span};
use crate::nix::store_path::StorePath;

/// The version of the record this build reads and writes.
pub const VERSION: u32 = 1;

/// One switch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Switch {
    /// Format version.
    #[schemars(extend("const" = VERSION))]
    pub version: u32,
    /// Its id; ids sort by time.
    pub id: PointId,
    /// When the hook ran, or the switch was noticed (UTC).
    pub started: DateTime<Utc>,
    /// `NIXOS_ACTION`: switch, boot or test; `unknown` for one only noticed.
    pub action: Action,
    /// The system switched to.
    pub to: StorePath,
    /// The pointers before: profile, running, booted, loader default. The
    /// profile may have moved already.
    pub before: System,
    /// The restore point that holds what was there before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub point: Option<PointId>,
    /// Why there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub no_point: Option<String>,
    /// Units that were not well before: they count against no switch.
    #[serde(default)]
    pub ailing: Vec<String>,
    /// What the health checks said before, by label: a check that was failing
    /// already counts against no switch.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub health: BTreeMap<String, Status>,
    /// The boot it happened in (`/proc/sys/kernel/random/boot_id`).
    pub boot: String,
    /// The transient unit the switch runs in, and its invocation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unit: Option<Invocation>,
    /// What was foretold of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub risk: Option<Foretold>,
    /// Whether somebody has to confirm it, or it is taken back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confirm: Option<Confirm>,
    /// Whether it was confirmed or is to be taken back: the first answer counts,
    /// and is never changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<Answered>,
    /// What the gate said, while an answer is awaited.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub judged: Option<Outcome>,
    /// The command that `cairn try` ran; absent for a real switch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tried: Option<Tried>,
    /// What came of it; absent while it is under way.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub result: Option<Outcome>,
    /// How often the record was changed: where it lies in two places, the higher
    /// one counts.
    #[serde(default)]
    pub revision: u64,
}

/// One run of a unit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Invocation {
    /// Its name.
    pub name: String,
    /// systemd's id of the run.
    pub id: String,
}

/// A confirmation that is owed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Confirm {
    /// How long there is for it, from the end of the switch; with `boot`, from
    /// the look at the boot.
    pub timeout: Span,
    /// Until when (UTC); absent as long as it is not asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<DateTime<Utc>>,
    /// The same on a clock that nobody sets: milliseconds since boot, sleep
    /// included, and the boot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since_boot: Option<SinceBoot>,
}

/// An instant of one boot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SinceBoot {
    /// The boot (`/proc/sys/kernel/random/boot_id`).
    pub boot: String,
    /// Milliseconds since it began, sleep included (`CLOCK_BOOTTIME`).
    pub millis: u64,
}

/// What was answered, and when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Answered {
    /// What.
    pub answer: Answer,
    /// When (UTC).
    pub at: DateTime<Utc>,
}

/// Whether a switch stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Answer {
    /// Somebody said so.
    Confirmed,
    /// Somebody wanted it back.
    Reverted,
    /// Nobody said anything in time.
    TimedOut,
}

/// A command run as a transaction.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Tried {
    /// It, as a person would type it.
    pub command: String,
    /// State sets that go back with it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub state: Vec<String>,
    /// Whether its failure alone is no reason to go back.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub may_fail: bool,
    /// Its exit code (128 and the signal where one ended it); absent while it
    /// runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit: Option<i32>,
}

/// What `switch-to-configuration` was asked to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// Now, and at every boot.
    Switch,
    /// From the next boot on.
    Boot,
    /// Now, not at boot.
    Test,
    /// Nobody saw it being asked for.
    Unknown,
    /// Whatever the command of `cairn try` did.
    Try,
}

impl Action {
    /// The action a hook was called with; `None` for those that change
    /// nothing, such as `check` and `dry-activate`.
    pub fn of_hook(text: &str) -> Option<Self> {
        match text {
            "switch" => Some(Self::Switch),
            "boot" => Some(Self::Boot),
            "test" => Some(Self::Test),
            _ => None,
        }
    }

    /// As `NIXOS_ACTION` has it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Switch => "switch",
            Self::Boot => "boot",
            Self::Test => "test",
            Self::Unknown => "unknown",
            Self::Try => "try",
        }
    }

    /// Whether it changes the running system.
    pub fn runs(self) -> bool {
        self != Self::Boot
    }
}

/// How a switch ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Outcome {
    /// When (UTC).
    pub at: DateTime<Utc>,
    /// How far it came.
    pub reached: Reached,
    /// The exit code of `switch-to-configuration`, where systemd told it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exit: Option<i32>,
    /// What the gate says of the system.
    pub verdict: Verdict,
    /// Why, one line each.
    #[serde(default)]
    pub reasons: Vec<String>,
    /// What was done about it.
    pub done: Done,
    /// How that went, when it did not go well.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trouble: Option<String>,
    /// What was worth knowing of going back, such as state that is newer than
    /// its program.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    /// The restore point that undoes what was done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub undo: Option<PointId>,
}

/// How far a switch came, seen when it let go of its lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Reached {
    /// The system runs, or with `boot`: is the boot default.
    Switched,
    /// The running system is untouched: a check or the boot loader failed.
    Refused,
    /// The boot default changed, the running system waits for a reboot: the
    /// init interface differs.
    NeedsReboot,
    /// It was killed in the middle.
    Interrupted,
    /// Another switch took its place.
    Superseded,
    /// The machine went down before anybody could look.
    CutOff,
}

/// What the gate says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// It passed.
    Good,
    /// It broke something.
    Bad,
    /// Nobody judged it.
    None,
}

/// What was done about a switch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Done {
    /// Nothing: all is well, or nothing may be done.
    Nothing,
    /// The profile and the boot loader are back where they were.
    Repaired,
    /// The system is back where it was.
    WentBack,
    /// The profile and the loader are back; the running system needs a reboot.
    WentBackAtBoot,
    /// It could not run at once, and is the boot default now: it runs after a
    /// reboot.
    Boots,
    /// Going back was tried and did not work.
    Stuck,
}

impl Switch {
    /// Whether it is still under way or being judged.
    pub fn is_pending(&self) -> bool {
        self.result.is_none()
    }

    /// What the gate says, as far as it has.
    pub fn verdict(&self) -> Verdict {
        self.result.as_ref().map_or(Verdict::None, |r| r.verdict)
    }

    /// Whether it is to be confirmed and nobody has answered yet, now or, where
    /// it runs only then, after the next boot.
    pub fn is_unanswered(&self) -> bool {
        self.confirm.is_some() && self.answer.is_none() && (self.is_pending() || self.runs_later())
    }

    /// Whether it has ended well and runs only after a reboot: it is judged
    /// and confirmed then.
    pub fn runs_later(&self) -> bool {
        self.result.as_ref().is_some_and(|r| {
            let waits = match r.reached {
                Reached::Switched => self.action == Action::Boot && r.done == Done::Nothing,
                Reached::NeedsReboot => r.done == Done::Nothing,
                _ => r.done == Done::Boots,
            };
            waits && r.verdict == Verdict::None
        })
    }

    /// Whether the command of `cairn try` is still at work.
    pub fn is_trying(&self) -> bool {
        self.is_pending()
            && self
                .tried
                .as_ref()
                .is_some_and(|tried| tried.exit.is_none())
    }

    /// Whether this switch left `to` behind as the running system's successor
    /// and nothing took it back.
    pub fn stands(&self) -> bool {
        self.result.as_ref().is_none_or(|r| {
            r.reached == Reached::Switched && r.done == Done::Nothing && r.verdict != Verdict::Bad
        })
    }

    /// Whether its system is there still, whatever was said of it: nothing took
    /// it back, or what tried to could not.
    pub fn is_left(&self) -> bool {
        self.result.as_ref().is_none_or(|r| {
            r.reached == Reached::Switched && matches!(r.done, Done::Nothing | Done::Stuck)
        })
    }
}
