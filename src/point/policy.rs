//! The policy: what to capture and how long to keep it, as JSON.
//!
//! The NixOS module writes it to `/etc/cairn/policy.json`; without one, the
//! defaults here hold. Unknown fields are an error that names them: a typo in
//! a retention rule must not silently keep or lose points.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// The policy version this build reads.
pub const VERSION: u32 = 1;

/// The whole policy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Policy {
    /// Format version.
    pub version: u32,
    /// Where points and vault live; the command line and the environment win.
    pub state_dir: Option<PathBuf>,
    /// Files and folders captured as the configuration.
    pub config_paths: Vec<PathBuf>,
    /// Points taken by the clock, by name.
    pub points: BTreeMap<String, Schedule>,
    /// How long things are kept.
    pub retention: Retention,
}

/// A point taken by the clock. The NixOS module makes the timer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Schedule {
    /// When, as systemd's `OnCalendar` has it.
    pub schedule: String,
    /// Why, in one line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// How long points and generations are kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Retention {
    /// Restore points.
    pub points: Keep,
    /// Generations of the system profile.
    pub generations: Keep,
}

/// Keep rules, as restic's `forget` has them. All counts are of periods that
/// hold something; everything is UTC.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Keep {
    /// The newest so many.
    pub keep_last: Option<u32>,
    /// The newest of each of so many hours.
    pub keep_hourly: Option<u32>,
    /// … days.
    pub keep_daily: Option<u32>,
    /// … ISO weeks.
    pub keep_weekly: Option<u32>,
    /// … months.
    pub keep_monthly: Option<u32>,
    /// … years.
    pub keep_yearly: Option<u32>,
    /// Everything younger than this, as `1y2m3w4d5h`.
    pub keep_within: Option<String>,
    /// Everything younger than this, even for space; as `keepWithin`.
    pub min_age: Option<String>,
    /// Everything with one of these tags.
    pub keep_tags: Vec<String>,
}

impl Keep {
    /// Keeps the newest `n`.
    pub fn last(n: u32) -> Self {
        Self {
            keep_last: Some(n),
            ..Self::default()
        }
    }
}

impl Default for Retention {
    fn default() -> Self {
        Self {
            points: Keep::last(20),
            generations: Keep::last(10),
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
        }
    }
}

/// Why a policy cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PolicyError {
    /// Not JSON, or an unknown or missing field.
    #[error("{0}")]
    Syntax(#[from] serde_json::Error),
    /// Another version.
    #[error("it has version {0}, this cairn reads version {VERSION}")]
    Version(u32),
    /// A relative path.
    #[error("configPaths: '{0}' is not an absolute path")]
    Relative(PathBuf),
}

impl Policy {
    /// Parses a policy.
    ///
    /// # Errors
    /// Every [`PolicyError`].
    pub fn parse(text: &str) -> Result<Self, PolicyError> {
        let policy: Self = serde_json::from_str(text)?;
        if policy.version != VERSION {
            return Err(PolicyError::Version(policy.version));
        }
        match policy.config_paths.iter().find(|p| !p.is_absolute()) {
            Some(path) => Err(PolicyError::Relative(path.clone())),
            None => Ok(policy),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_fill_what_is_not_said() {
        let policy = Policy::parse(r#"{"retention": {"points": {"keepDaily": 7}}}"#).unwrap();
        assert_eq!(policy.retention.points.keep_daily, Some(7));
        assert_eq!(policy.retention.generations, Keep::last(10));
        assert_eq!(policy.config_paths, [PathBuf::from("/etc/nixos")]);
    }

    #[test]
    fn typos_versions_and_relative_paths_are_named() {
        let error = |text| Policy::parse(text).unwrap_err().to_string();
        assert!(error(r#"{"retention": {"points": {"keepDayly": 7}}}"#).contains("keepDayly"));
        assert!(error(r#"{"version": 2}"#).contains("version 2"));
        assert!(error(r#"{"configPaths": ["etc"]}"#).contains("'etc'"));
    }
}
