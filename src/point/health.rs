//! How well a machine is: what each check saw, the score, the issues. These
//! are parts of a restore point's document; `crate::health` makes them.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Names of the checks, as the policy knows them; `crate::health::CHECKS` has
/// them all, in this order.
pub const NAMES: &[&str] = &[
    "units",
    "restarts",
    "disk",
    "inodes",
    "memory",
    "swap",
    "cpu",
    "load",
    "temperature",
    "time",
    "route",
    "resolve",
    "host",
    "store",
    "system",
    "configuration",
    "boot",
    "check",
    "file",
    "copies",
];

/// Names of the kinds of issues that this release knows.
pub const KINDS: &[&str] = &[
    "service-down",
    "cpu-high",
    "memory-high",
    "disk-full",
    "disk-read-only",
    "temperature-high",
    "config-invalid",
    "network-down",
    "clock-wrong",
    "boot-entries-stale",
    "store-damaged",
    "system-missing",
    "check-failed",
    "copies-old",
];

/// What a check says.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    /// There was nothing to see: not available on this machine, not asked for,
    /// or not waited for. It counts neither way.
    Unknown,
    /// As it should be.
    Ok,
    /// Not yet a fault, or none that must be.
    Warning,
    /// A fault.
    Failing,
}

impl Status {
    /// As JSON has it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Failing => "failing",
        }
    }
}

/// A measured number: finite, two decimals at most.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Number(f64);

impl Number {
    /// A number that is one.
    pub fn new(number: f64) -> Option<Self> {
        let rounded = (number * 100.0).round() / 100.0;
        rounded.is_finite().then_some(Self(rounded))
    }

    /// As the standard library has it.
    pub fn get(self) -> f64 {
        self.0
    }
}

impl PartialEq for Number {
    fn eq(&self, other: &Self) -> bool {
        self.0.to_bits() == other.0.to_bits()
    }
}

impl Eq for Number {}

/// What a measured number counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Unit {
    /// Hundredths of a whole.
    Percent,
    /// Degrees.
    Celsius,
    /// Processes that want a core, for each core.
    PerCore,
    /// Things: units, files, paths.
    Count,
    /// Time.
    Milliseconds,
    /// What a later release counts.
    #[serde(other)]
    Other,
}

/// A measured value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Value {
    /// The number.
    pub number: Number,
    /// What it counts.
    pub unit: Unit,
}

impl Value {
    /// So many of a unit; `None` for what is no number.
    pub fn new(number: f64, unit: Unit) -> Option<Self> {
        Number::new(number).map(|number| Self { number, unit })
    }

    /// So many things.
    pub fn count(n: usize) -> Option<Self> {
        Self::new(f64::from(u32::try_from(n).unwrap_or(u32::MAX)), Unit::Count)
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let n = self.number.get();
        match self.unit {
            Unit::Percent => write!(f, "{n:.0} %"),
            Unit::Celsius => write!(f, "{n:.0} °C"),
            Unit::PerCore => write!(f, "{n:.2}"),
            Unit::Count | Unit::Other => write!(f, "{n:.0}"),
            Unit::Milliseconds => write!(f, "{n:.0} ms"),
        }
    }
}

/// What one check said of one thing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Verdict {
    /// The check's name.
    pub name: String,
    /// What it looked at, where it looks at several things: a mount point, a
    /// host, the name of a command.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub of: Option<String>,
    /// Whether its failure makes the machine unhealthy.
    pub required: bool,
    /// What it says.
    pub status: Status,
    /// What it measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<Value>,
    /// What it saw, in one line.
    pub detail: String,
    /// What is at fault: units, paths.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub subjects: Vec<String>,
}

impl Verdict {
    /// The name and what it is of: "disk /nix", "units".
    pub fn label(&self) -> String {
        match &self.of {
            Some(of) => format!("{} {of}", self.name),
            None => self.name.clone(),
        }
    }
}

/// Health at the time a point was taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Health {
    /// 0 (broken) to 100 (well).
    pub score: u8,
    /// What each check said.
    pub checks: Vec<Verdict>,
}

/// What is wrong with a machine, in terms that something can be done about.
///
/// In JSON `{"kind": "disk-full", "subject": "/nix"}`. The kinds are stable; one
/// that this release does not know is kept as [`Issue::Other`].
#[derive(
    Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(from = "Told", into = "Told")]
pub enum Issue {
    /// A unit failed, or systemd starts it again and again.
    ServiceDown(String),
    /// The processors are the bottleneck.
    CpuHigh,
    /// Memory or swap runs out.
    MemoryHigh,
    /// A filesystem runs out of bytes or inodes; its mount point.
    DiskFull(String),
    /// A filesystem that must be written is mounted read-only; its mount point.
    DiskReadOnly(String),
    /// A sensor is at its limit.
    TemperatureHigh(String),
    /// A file of the configuration does not parse.
    ConfigInvalid(String),
    /// No route, a name that does not resolve, a host that does not answer;
    /// what was asked for.
    NetworkDown(Option<String>),
    /// The clock is not synchronised.
    ClockWrong,
    /// The boot loader does not start the profile's system.
    BootEntriesStale,
    /// The store or its database cannot be trusted.
    StoreDamaged,
    /// A system that is to run or boot is not valid in the store; its path.
    SystemMissing(String),
    /// A command of the policy, or an executable file, says no; its name.
    CheckFailed(String),
    /// The newest copy of the restore points on a remote is too old; its name.
    CopiesOld(String),
    /// A kind of a later release.
    Other {
        /// Its name.
        kind: String,
        /// What it is about.
        subject: Option<String>,
    },
}

#[derive(Clone, Serialize, Deserialize, JsonSchema)]
struct Told {
    kind: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    subject: Option<String>,
}

impl Issue {
    /// The stable name.
    pub fn kind(&self) -> &str {
        match self {
            Self::ServiceDown(_) => "service-down",
            Self::CpuHigh => "cpu-high",
            Self::MemoryHigh => "memory-high",
            Self::DiskFull(_) => "disk-full",
            Self::DiskReadOnly(_) => "disk-read-only",
            Self::TemperatureHigh(_) => "temperature-high",
            Self::ConfigInvalid(_) => "config-invalid",
            Self::NetworkDown(_) => "network-down",
            Self::ClockWrong => "clock-wrong",
            Self::BootEntriesStale => "boot-entries-stale",
            Self::StoreDamaged => "store-damaged",
            Self::SystemMissing(_) => "system-missing",
            Self::CheckFailed(_) => "check-failed",
            Self::CopiesOld(_) => "copies-old",
            Self::Other { kind, .. } => kind,
        }
    }

    /// What it is about: a unit, a mount point, a path, a host.
    pub fn subject(&self) -> Option<&str> {
        match self {
            Self::ServiceDown(subject)
            | Self::DiskFull(subject)
            | Self::DiskReadOnly(subject)
            | Self::TemperatureHigh(subject)
            | Self::ConfigInvalid(subject)
            | Self::SystemMissing(subject)
            | Self::CheckFailed(subject)
            | Self::CopiesOld(subject) => Some(subject),
            Self::NetworkDown(subject) | Self::Other { subject, .. } => subject.as_deref(),
            Self::CpuHigh
            | Self::MemoryHigh
            | Self::ClockWrong
            | Self::BootEntriesStale
            | Self::StoreDamaged => None,
        }
    }
}

impl fmt::Display for Issue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.subject() {
            Some(subject) => write!(f, "{} {subject}", self.kind()),
            None => f.write_str(self.kind()),
        }
    }
}

impl From<Issue> for Told {
    fn from(issue: Issue) -> Self {
        Self {
            kind: issue.kind().to_owned(),
            subject: issue.subject().map(str::to_owned),
        }
    }
}

impl From<Told> for Issue {
    fn from(Told { kind, subject }: Told) -> Self {
        match (kind.as_str(), subject) {
            ("service-down", Some(unit)) => Self::ServiceDown(unit),
            ("cpu-high", None) => Self::CpuHigh,
            ("memory-high", None) => Self::MemoryHigh,
            ("disk-full", Some(mount)) => Self::DiskFull(mount),
            ("disk-read-only", Some(mount)) => Self::DiskReadOnly(mount),
            ("temperature-high", Some(sensor)) => Self::TemperatureHigh(sensor),
            ("config-invalid", Some(path)) => Self::ConfigInvalid(path),
            ("network-down", host) => Self::NetworkDown(host),
            ("clock-wrong", None) => Self::ClockWrong,
            ("boot-entries-stale", None) => Self::BootEntriesStale,
            ("store-damaged", None) => Self::StoreDamaged,
            ("system-missing", Some(path)) => Self::SystemMissing(path),
            ("check-failed", Some(name)) => Self::CheckFailed(name),
            ("copies-old", Some(name)) => Self::CopiesOld(name),
            (_, subject) => Self::Other { kind, subject },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn issues_have_stable_names_and_later_kinds_are_kept() {
        let all = [
            Issue::ServiceDown("a.service".into()),
            Issue::CpuHigh,
            Issue::MemoryHigh,
            Issue::DiskFull("/nix".into()),
            Issue::DiskReadOnly("/nix".into()),
            Issue::TemperatureHigh("acpitz".into()),
            Issue::ConfigInvalid("/etc/nixos/a.nix".into()),
            Issue::NetworkDown(None),
            Issue::NetworkDown(Some("example.org:443".into())),
            Issue::ClockWrong,
            Issue::BootEntriesStale,
            Issue::StoreDamaged,
            Issue::SystemMissing("/nix/store/x".into()),
            Issue::CheckFailed("web".into()),
            Issue::CopiesOld("office".into()),
        ];
        let text = serde_json::to_string(&all).unwrap();
        assert_eq!(serde_json::from_str::<Vec<Issue>>(&text).unwrap(), all);
        let kinds: std::collections::BTreeSet<&str> = all.iter().map(Issue::kind).collect();
        assert_eq!(kinds, KINDS.iter().copied().collect());
        assert!(
            text.contains(r#"{"kind":"disk-full","subject":"/nix"}"#),
            "{text}"
        );
        let later = r#"{"kind":"moon-full","subject":"tonight"}"#;
        let issue: Issue = serde_json::from_str(later).unwrap();
        assert_eq!(issue.kind(), "moon-full");
        assert_eq!(serde_json::to_string(&issue).unwrap(), later);
    }

    #[test]
    fn values_read_as_people_say_them() {
        let text = |n, unit| Value::new(n, unit).unwrap().to_string();
        assert_eq!(text(41.6, Unit::Percent), "42 %");
        assert_eq!(text(70.0, Unit::Celsius), "70 °C");
        assert_eq!(text(0.251, Unit::PerCore), "0.25");
        assert_eq!(text(3.0, Unit::Count), "3");
        assert_eq!(Value::new(f64::NAN, Unit::Percent), None);
        let value = Value::new(0.1 + 0.2, Unit::Percent).unwrap();
        let text = serde_json::to_string(&value).unwrap();
        assert_eq!(text, r#"{"number":0.3,"unit":"percent"}"#);
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), value);
    }
}
