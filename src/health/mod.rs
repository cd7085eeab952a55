//! How well the machine is: a table of checks, each a pure function of what
//! was read; a score, the issues, and forecasts. `system::probe` reads.

mod checks;
pub mod forecast;
mod issue;
pub mod score;
pub mod seen;
pub mod table;

use serde::Serialize;

use crate::point::Policy;
use crate::point::health::{Health, Issue, Status, Value, Verdict};

pub(crate) use checks::units::is_ignored;
pub use issue::{issues, issues_from};
pub use table::{CHECKS, Check, check};

/// What one check says of one thing, before it carries the check's name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What it is of, where the check looks at several things.
    pub of: Option<String>,
    /// What it says.
    pub status: Status,
    /// What was measured.
    pub value: Option<Value>,
    /// What was seen, in one line.
    pub detail: String,
    /// What is at fault.
    pub subjects: Vec<String>,
    /// Whether its failure makes the machine unhealthy, where that is not the
    /// check's to say: commands of the policy.
    pub required: Option<bool>,
}

impl Finding {
    /// A finding with these words.
    pub fn new(status: Status, detail: impl Into<String>) -> Self {
        Self {
            of: None,
            status,
            value: None,
            detail: detail.into(),
            subjects: Vec::new(),
            required: None,
        }
    }

    /// There was nothing to see.
    pub fn unknown(detail: impl Into<String>) -> Self {
        Self::new(Status::Unknown, detail)
    }

    /// … of one thing among several.
    #[must_use]
    pub fn of(mut self, of: impl Into<String>) -> Self {
        self.of = Some(of.into());
        self
    }

    /// … with what was measured.
    #[must_use]
    pub fn value(mut self, value: Option<Value>) -> Self {
        self.value = value;
        self
    }

    /// … with what is at fault.
    #[must_use]
    pub fn subjects(mut self, subjects: impl IntoIterator<Item = String>) -> Self {
        self.subjects = subjects.into_iter().collect();
        self
    }

    /// As the verdict of a check.
    pub fn verdict(self, check: &Check) -> Verdict {
        Verdict {
            name: check.name.to_owned(),
            of: self.of,
            required: self.required.unwrap_or(check.required),
            status: self.status,
            value: self.value,
            detail: self.detail,
            subjects: self.subjects,
        }
    }
}

/// What a look at the machine came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// 0 to 100; absent when nothing could be looked at.
    pub score: Option<u8>,
    /// Whether the score is not below the policy's least.
    pub healthy: bool,
    /// What each check said, in the order of the table.
    pub checks: Vec<Verdict>,
    /// What is wrong, in terms that something can be done about.
    pub issues: Vec<Issue>,
    /// How long the look took, in milliseconds.
    pub took_ms: u64,
}

impl Report {
    /// The report of these verdicts.
    pub fn new(checks: Vec<Verdict>, policy: &Policy) -> Self {
        let least = u8::try_from(policy.health.min_score).unwrap_or(100);
        let score = score::score(&checks, least);
        Self {
            score,
            healthy: score.is_none_or(|score| score >= least),
            issues: issues(&checks),
            checks,
            took_ms: 0,
        }
    }

    /// As a restore point's document has it.
    pub fn document(&self) -> Option<Health> {
        self.score.map(|score| Health {
            score,
            checks: self.checks.clone(),
        })
    }

    /// What is required and fails.
    pub fn broken(&self) -> impl Iterator<Item = &Verdict> {
        let broken = |v: &&Verdict| v.required && v.status == Status::Failing;
        self.checks.iter().filter(broken)
    }

    /// What the check `name` found to be at fault.
    pub fn subjects_of(&self, name: &str) -> impl Iterator<Item = &String> {
        let ours = self.checks.iter().filter(move |v| v.name == name);
        ours.flat_map(|v| &v.subjects)
    }
}
