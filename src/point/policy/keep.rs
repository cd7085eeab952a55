//! How long what there is stays.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::schema;
use crate::point::within;

/// How long points and generations are kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Retention {
    /// Restore points.
    pub points: Keep,
    /// Generations of the system profile.
    pub generations: Keep,
}

/// Keep rules, as restic's `forget` has them. All counts are of periods that
/// hold something; everything is UTC.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Keep {
    /// The newest so many.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keep_last: Option<u32>,
    /// The newest of each of so many hours.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keep_hourly: Option<u32>,
    /// … days.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keep_daily: Option<u32>,
    /// … ISO weeks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keep_weekly: Option<u32>,
    /// … months.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keep_monthly: Option<u32>,
    /// … years.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keep_yearly: Option<u32>,
    /// Everything younger than this, as `1y2m3w4d5h`.
    #[schemars(extend("pattern" = schema::WITHIN))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keep_within: Option<String>,
    /// Everything younger than this, even for space; as `keepWithin`.
    #[schemars(extend("pattern" = schema::WITHIN))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_age: Option<String>,
    /// Everything with one of these tags.
    pub keep_tags: Vec<String>,
}

impl Keep {
    /// Whether no rule keeps anything: a minimum age keeps nothing for good.
    pub fn keeps_nothing(&self) -> bool {
        let counts = [
            self.keep_last,
            self.keep_hourly,
            self.keep_daily,
            self.keep_weekly,
            self.keep_monthly,
            self.keep_yearly,
        ];
        let within = self.keep_within.as_deref().map(within::parse_duration);
        counts.iter().all(|count| count.unwrap_or(0) == 0)
            && !matches!(within, Some(Ok(span)) if span > chrono::Duration::zero())
            && self.keep_tags.iter().all(|tag| tag.trim().is_empty())
    }

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
