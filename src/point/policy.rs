//! The policy: what to capture and how long to keep it, as JSON.
//!
//! The NixOS module writes it to `/etc/cairn/policy.json`; without one, the
//! defaults here hold. Unknown fields are an error that names them: a typo in
//! a retention rule must not silently keep or lose points.
//!
//! The types are the format: the published schema is made from them, their
//! comments are its descriptions, and [`Policy::parse`] holds texts to it.

use std::collections::BTreeMap;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Span;
use crate::nix::store_path::StorePath;

mod calendar;
pub mod change;
mod check;
mod fault;
mod heal;
mod health;
mod keep;
mod locate;
pub mod nix;
mod notify;
mod parse;
mod remote;
mod schema;
mod shape;
#[cfg(test)]
mod tests;

pub use change::{Change, ChangeError, Kind};
pub use fault::{BadPolicy, Fault};
pub use heal::Heal;
pub use health::{CpuLimits, DiskLimits, Health, HealthCheck, MemoryLimits, TemperatureLimits};
pub use keep::{Keep, Retention};
pub use notify::{Notify, NotifyCommand};
pub use remote::Remote;
pub use schema::schema;

use locate::token;

/// The policy version this build reads.
pub const VERSION: u32 = 1;

/// The whole policy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Policy {
    /// Format version.
    #[schemars(extend("const" = VERSION))]
    pub version: u32,
    /// Where points and vault live; the command line and the environment win.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("pattern" = schema::PATH))]
    pub state_dir: Option<PathBuf>,
    /// Files and folders captured as the configuration.
    /// None says that this machine has none of its own.
    #[schemars(inner(regex(pattern = schema::PATH)))]
    pub config_paths: Vec<PathBuf>,
    /// Points that are taken without being asked for, by name.
    #[schemars(extend("propertyNames" = { "pattern": schema::NAME }))]
    pub points: BTreeMap<String, PointPolicy>,
    /// How long things are kept.
    pub retention: Retention,
    /// State to capture beside the configuration, by name of the set.
    #[schemars(extend("propertyNames" = { "pattern": schema::NAME }))]
    pub state: BTreeMap<String, StateSet>,
    /// The restore point before a switch.
    pub pre_switch: PreSwitch,
    /// The verdict after a switch.
    pub gate: Gate,
    /// The verdict after a boot.
    pub boot_gate: BootGate,
    /// What is done before a switch that may well fail.
    pub risk: Risk,
    /// What is looked at to tell whether the machine is well.
    pub health: Health,
    /// Healing.
    pub heal: Heal,
    /// Who is told what happened.
    pub notify: Notify,
    /// Other places that copies of the points go to, by name.
    #[schemars(extend("propertyNames" = { "pattern": schema::NAME }))]
    pub remotes: BTreeMap<String, Remote>,
    /// Nix stores, such as binary caches, from which a system comes back that
    /// is gone from this machine's store: `https://…`, `file:///…`, `ssh://…`
    /// or `s3://…`, tried in order. What nobody trusted has signed is refused.
    #[schemars(inner(regex(pattern = schema::TEXT)))]
    pub caches: Vec<String>,
    /// Store paths that are never collected, by name. The NixOS module makes
    /// the links; `cairn prune` removes those that are no longer declared.
    #[schemars(extend("propertyNames" = { "pattern": schema::NAME }))]
    pub pins: BTreeMap<String, StorePath>,
}

/// A point that is taken without being asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct PointPolicy {
    /// What makes it be taken.
    pub trigger: When,
    /// For the trigger `schedule`: when, as systemd's `OnCalendar` has it. The
    /// NixOS module makes the timer.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("pattern" = schema::TEXT))]
    pub schedule: Option<String>,
    /// Why, in one line.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("pattern" = schema::TEXT))]
    pub reason: Option<String>,
    /// What it captures beside the system.
    pub capture: Capture,
    /// Rules for the points of this name, instead of `retention.points`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keep: Option<Keep>,
}

/// What makes a point be taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum When {
    /// The clock.
    #[default]
    Schedule,
    /// A switch is about to change the system. All that such points capture
    /// goes into one point.
    PreSwitch,
    /// The machine has booted.
    Boot,
    /// A healing action is about to run.
    PreHeal,
}

/// What a point captures beside the system.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Capture {
    /// The configuration.
    pub config: bool,
    /// Names of state sets, or `*` for all. Absent: all of them for scheduled
    /// points, none for others, which something waits for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<Vec<String>>,
}

impl Default for Capture {
    fn default() -> Self {
        Self {
            config: true,
            state: None,
        }
    }
}

/// State that is captured together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct StateSet {
    /// Files and folders.
    #[schemars(extend("minItems" = 1), inner(regex(pattern = schema::PATH)))]
    pub paths: Vec<PathBuf>,
    /// Files and folders below them that are left out.
    #[schemars(inner(regex(pattern = schema::PATH)))]
    pub exclude: Vec<PathBuf>,
    /// A command that runs before the capture: program and arguments.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("minItems" = 1))]
    pub before: Option<Vec<String>>,
    /// A command that runs after the capture, also when it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("minItems" = 1))]
    pub after: Option<Vec<String>>,
    /// systemd units that own the state: stopped while it is captured or
    /// restored, and started again if they ran.
    #[schemars(inner(regex(pattern = schema::UNIT)))]
    pub units: Vec<String>,
    /// Whether the set is read from a read-only snapshot of its filesystem, so
    /// that its units are stopped only for an instant.
    pub snapshot: Snapshot,
    /// A command whose first line of output is the version of the program that
    /// owns the state: program and arguments. It changes nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("minItems" = 1))]
    pub version: Option<Vec<String>>,
    /// What a restore does that would leave the state to a program of another
    /// version.
    pub version_change: VersionChange,
    /// After this long `before` counts as failed, and so do `after` and
    /// `version`.
    pub timeout: Span,
}

impl Default for StateSet {
    fn default() -> Self {
        Self {
            paths: Vec::new(),
            exclude: Vec::new(),
            before: None,
            after: None,
            units: Vec::new(),
            snapshot: Snapshot::default(),
            version: None,
            version_change: VersionChange::default(),
            timeout: Span::seconds(600),
        }
    }
}

/// Whether state is read from a snapshot of its filesystem.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Snapshot {
    /// Where all its paths are on btrfs or zfs and the tool is there.
    #[default]
    Auto,
    /// Never: units stay stopped until everything is read.
    Never,
    /// Always: without a snapshot the set is not captured.
    Required,
}

/// What a restore does that would leave state to a program of another version.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum VersionChange {
    /// It says so, and asks as ever.
    #[default]
    Warn,
    /// It refuses, before anything is changed.
    Refuse,
}

/// The restore point before a switch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct PreSwitch {
    /// Whether one is taken.
    pub enable: bool,
    /// Whether a switch is refused when none could be taken.
    pub required: bool,
    /// How long a switch may be held up.
    pub timeout: Span,
}

impl Default for PreSwitch {
    fn default() -> Self {
        Self {
            enable: true,
            required: false,
            timeout: Span::seconds(120),
        }
    }
}

/// The verdict after a switch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Gate {
    /// Whether switches are judged.
    pub enable: bool,
    /// How long after a switch the system is watched before it is called good.
    pub window: Span,
    /// Go back unless `cairn confirm` comes within this time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub confirm_timeout: Option<Span>,
    /// Whether a bad switch is taken back; otherwise it is only told.
    pub rollback: bool,
}

impl Default for Gate {
    fn default() -> Self {
        Self {
            enable: true,
            window: Span::seconds(30),
            confirm_timeout: None,
            rollback: true,
        }
    }
}

/// The verdict after a boot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct BootGate {
    /// Whether boots are judged.
    pub enable: bool,
    /// How many boots of a system may fail before the last known-good one
    /// takes its place.
    #[schemars(range(min = 1))]
    pub attempts: u32,
}

impl Default for BootGate {
    fn default() -> Self {
        Self {
            enable: false,
            attempts: 3,
        }
    }
}

/// What is done before a switch that may well fail.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Risk {
    /// Whether it is foretold how a switch will go.
    pub enable: bool,
    /// From this probability of failing on, in percent, the point before the
    /// switch also captures all state sets, and is pinned. A hundred is never
    /// reached.
    #[schemars(range(min = 1, max = 100))]
    pub threshold: u32,
}

impl Default for Risk {
    fn default() -> Self {
        Self {
            enable: true,
            threshold: 50,
        }
    }
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            version: VERSION,
            state_dir: None,
            config_paths: vec!["/etc/nixos".into()],
            points: BTreeMap::new(),
            retention: Retention::default(),
            state: BTreeMap::new(),
            pre_switch: PreSwitch::default(),
            gate: Gate::default(),
            boot_gate: BootGate::default(),
            risk: Risk::default(),
            health: Health::default(),
            heal: Heal::default(),
            notify: Notify::default(),
            remotes: BTreeMap::new(),
            caches: Vec::new(),
            pins: BTreeMap::new(),
        }
    }
}

impl Policy {
    /// Parses a policy.
    ///
    /// # Errors
    /// Every fault that can be found at once, each with its place.
    pub fn parse(text: &str) -> Result<Self, BadPolicy> {
        parse::parse(text)
    }

    /// Every calendar event in it, each with its JSON pointer.
    pub fn schedules(&self) -> Vec<(String, &str)> {
        let points = self.points.iter();
        let points = points.filter_map(|(name, point)| {
            let schedule = point.schedule.as_deref()?;
            Some((format!("/points/{}/schedule", token(name)), schedule))
        });
        let remotes = self.remotes.iter().flat_map(|(name, remote)| {
            let at = format!("/remotes/{}", token(name));
            let schedules = remote.schedules();
            schedules.map(move |(field, schedule)| (format!("{at}/{field}"), schedule.as_str()))
        });
        points.chain(remotes).collect()
    }
}

/// What is wrong with a value of a policy, where its text has it.
pub fn fault_at(text: &str, pointer: &str, message: String) -> Fault {
    parse::fault_at(text, pointer, message)
}
