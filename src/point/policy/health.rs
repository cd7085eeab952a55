//! What is looked at to tell whether the machine is well, and where its limits
//! are.

use std::collections::BTreeMap;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::schema;
use crate::point::Span;

/// What is looked at to tell whether the machine is well.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Health {
    /// Commands that tell whether the machine does its work, by name.
    #[schemars(extend("propertyNames" = { "pattern": schema::NAME }))]
    pub checks: BTreeMap<String, HealthCheck>,
    /// Folders with executable files to run: a failure of one in `required.d`
    /// makes the machine unhealthy, of one in `wanted.d` it is only told.
    #[schemars(inner(regex(pattern = schema::PATH)))]
    pub dirs: Vec<PathBuf>,
    /// Host names that must resolve.
    #[schemars(inner(regex(pattern = schema::TEXT)))]
    pub resolve: Vec<String>,
    /// Hosts that must take connections, as `host:port`.
    #[schemars(inner(regex(pattern = schema::HOST)))]
    pub hosts: Vec<String>,
    /// Names of checks that are left out, also at gates; `cairn health` has
    /// them.
    #[schemars(inner(regex(pattern = schema::TEXT)))]
    pub disabled: Vec<String>,
    /// Units that count neither for health nor at a gate; `*` stands for any
    /// text.
    #[schemars(inner(regex(pattern = schema::TEXT)))]
    pub ignore_units: Vec<String>,
    /// The machine is unhealthy below this score.
    #[schemars(range(min = 1, max = 100))]
    pub min_score: u32,
    /// Room on disks.
    pub disk: DiskLimits,
    /// Memory.
    pub memory: MemoryLimits,
    /// Processors.
    pub cpu: CpuLimits,
    /// Temperatures.
    pub temperature: TemperatureLimits,
}

impl Default for Health {
    fn default() -> Self {
        Self {
            checks: BTreeMap::new(),
            dirs: vec!["/etc/cairn/check".into()],
            resolve: Vec::new(),
            hosts: Vec::new(),
            disabled: Vec::new(),
            ignore_units: Vec::new(),
            min_score: 50,
            disk: DiskLimits::default(),
            memory: MemoryLimits::default(),
            cpu: CpuLimits::default(),
            temperature: TemperatureLimits::default(),
        }
    }
}

/// A command that exits with 0 when all is well.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HealthCheck {
    /// Program and arguments; no shell reads them.
    #[schemars(extend("minItems" = 1))]
    pub command: Vec<String>,
    /// Whether its failure makes the machine unhealthy; otherwise it is only
    /// told.
    #[serde(default = "yes")]
    pub required: bool,
    /// After this long it counts as failed.
    #[serde(default = "check_timeout")]
    pub timeout: Span,
}

const fn yes() -> bool {
    true
}

const fn check_timeout() -> Span {
    Span::seconds(10)
}

/// Limits of disks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct DiskLimits {
    /// Free bytes and inodes, in percent: with less the check warns, with less
    /// than a fifth of it, it fails.
    #[schemars(range(min = 1, max = 100))]
    pub min_free: u32,
}

impl Default for DiskLimits {
    fn default() -> Self {
        Self { min_free: 10 }
    }
}

/// Limits of memory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct MemoryLimits {
    /// Share of a minute, in percent, in which something waits for memory:
    /// with more the check warns. It fails when everything waits for so long.
    #[schemars(range(min = 1, max = 100))]
    pub max_pressure: u32,
    /// Memory that is available, and swap that is free, in percent: with less
    /// the check warns. Where the kernel tells no pressure, it fails with less
    /// than a fifth of it.
    #[schemars(range(min = 1, max = 100))]
    pub min_free: u32,
}

impl Default for MemoryLimits {
    fn default() -> Self {
        Self {
            max_pressure: 20,
            min_free: 5,
        }
    }
}

/// Limits of processors.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct CpuLimits {
    /// Share of a minute, in percent, in which something waits for a
    /// processor: with more the check warns, and fails when it was so for five
    /// minutes.
    #[schemars(range(min = 1, max = 100))]
    pub max_pressure: u32,
    /// Load for each core: with more in the last minute the check warns, and
    /// fails when it was so for a quarter of an hour.
    #[schemars(range(min = 1))]
    pub max_load: u32,
}

impl Default for CpuLimits {
    fn default() -> Self {
        Self {
            max_pressure: 80,
            max_load: 4,
        }
    }
}

/// Limits of temperatures.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct TemperatureLimits {
    /// Degrees Celsius at which a sensor is too hot that names no critical
    /// temperature itself. Ten degrees below, the check warns.
    #[schemars(range(min = 1))]
    pub max: u32,
}

impl Default for TemperatureLimits {
    fn default() -> Self {
        Self { max: 95 }
    }
}
