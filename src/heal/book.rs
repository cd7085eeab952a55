//! What was tried against which issue, as it is kept on disk: the caps must
//! survive a crash and a reboot, and so must the knowledge of an action that
//! was under way. `docs/format.md` has the fields.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use crate::nix::store_path::StorePath;
use crate::point::event::HealVerdict;
use crate::point::heal::Action;
use crate::point::{BytePath, Issue, PointId};

/// The version this build reads and writes.
pub const VERSION: u32 = 1;

/// How long tries are remembered: for `status`, and longer than any cap asks.
const REMEMBERED: TimeDelta = TimeDelta::days(7);

/// The book of healing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Book {
    /// Format version.
    pub version: u32,
    /// How often it was written: of two copies the further one counts.
    pub turn: u64,
    /// The boot that the budget is of.
    #[serde(default)]
    pub boot: String,
    /// Actions tried in that boot.
    #[serde(default)]
    pub spent: u32,
    /// Issues with what was tried against them.
    #[serde(default)]
    pub cases: Vec<Case>,
    /// The action that is under way, or was when its process died.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub open: Option<Open>,
    /// When a restore point was taken for what is foreseen, by figure (UTC).
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub foreseen: BTreeMap<String, DateTime<Utc>>,
}

/// An issue with what was tried against it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Case {
    /// The issue.
    pub issue: Issue,
    /// What was tried, oldest first.
    pub tries: Vec<Try>,
}

/// One action that was tried. It counts from before it began.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Try {
    /// Its id, as the history has it.
    pub id: PointId,
    /// When it began (UTC).
    pub at: DateTime<Utc>,
    /// When it ended (UTC).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<DateTime<Utc>>,
    /// What was done.
    pub action: Action,
    /// What it came to; absent while it is under way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verdict: Option<HealVerdict>,
    /// Whether it was interrupted before that.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub interrupted: bool,
}

/// An action under way, with all that whoever finds it needs to end it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Open {
    /// Its id.
    pub id: PointId,
    /// When it began (UTC).
    pub at: DateTime<Utc>,
    /// The boot it began in.
    pub boot: String,
    /// Against what.
    pub issue: Issue,
    /// What is done.
    pub action: Action,
    /// The health score before, 0 to 100.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<u8>,
    /// Checks that are required and failed before, by label.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub failing: Vec<String>,
    /// Units that failed or did not stay up before; absent where an earlier
    /// release wrote the book.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub units: Option<Vec<String>>,
    /// Where the action changes the system: what it changes to, and what ran
    /// and was the profile's before. Any other is somebody else's doing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub systems: Vec<StorePath>,
    /// The restore point taken before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub point: Option<PointId>,
    /// What takes it back, in this order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub undo: Vec<Undo>,
}

/// One thing that takes an action back. Each may be done again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Undo {
    /// Start these units, where they do not run.
    Start(Vec<String>),
    /// Stop these units, where they run.
    Stop(Vec<String>),
    /// Set a unit's share of the processors; empty: as the unit's file has it.
    Share {
        /// The unit.
        unit: String,
        /// Its `CPUWeight`.
        weight: String,
    },
    /// Set frequency governors, by the file that holds each.
    Governors(BTreeMap<String, String>),
    /// Bring these files back from a restore point.
    Files {
        /// The point.
        point: PointId,
        /// The files.
        paths: Vec<BytePath>,
    },
    /// Bring profile, boot loader and running system back from a point.
    System {
        /// The point.
        point: PointId,
    },
}

impl Undo {
    /// The restore point it brings something back from.
    pub fn point(&self) -> Option<PointId> {
        match self {
            Self::Files { point, .. } | Self::System { point } => Some(*point),
            _ => None,
        }
    }

    /// Whether a reboot does the same: units, shares and governors are then
    /// what the system says.
    pub fn ends_with_the_boot(&self) -> bool {
        !matches!(self, Self::Files { .. } | Self::System { .. })
    }
}

impl Default for Book {
    fn default() -> Self {
        Self {
            version: VERSION,
            turn: 0,
            boot: String::new(),
            spent: 0,
            cases: Vec::new(),
            open: None,
            foreseen: BTreeMap::new(),
        }
    }
}

impl Book {
    /// The case of an issue.
    pub fn case(&self, issue: &Issue) -> Option<&Case> {
        self.cases.iter().find(|case| case.issue == *issue)
    }

    /// Actions tried in this boot.
    pub fn spent_in(&self, boot: &str) -> u32 {
        if self.boot == boot { self.spent } else { 0 }
    }

    /// The newest try that has ended, with its issue.
    pub fn last(&self) -> Option<(&Issue, &Try)> {
        let each = |case: &'_ Case| -> Option<(DateTime<Utc>, usize)> {
            let (n, one) = case
                .tries
                .iter()
                .enumerate()
                .rfind(|(_, t)| t.ended.is_some())?;
            Some((one.ended?, n))
        };
        let newest = self
            .cases
            .iter()
            .filter_map(|case| Some((each(case)?, case)));
        let ((_, n), case) = newest.max_by_key(|((at, _), _)| *at)?;
        Some((&case.issue, case.tries.get(n)?))
    }

    /// Writes down that an action begins: it counts from now on.
    pub fn begin(&mut self, open: Open) {
        if self.boot != open.boot {
            self.boot.clone_from(&open.boot);
            self.spent = 0;
        }
        self.spent += 1;
        let one = Try {
            id: open.id,
            at: open.at,
            ended: None,
            action: open.action,
            verdict: None,
            interrupted: false,
        };
        match self.cases.iter_mut().find(|case| case.issue == open.issue) {
            Some(case) => case.tries.push(one),
            None => self.cases.push(Case {
                issue: open.issue.clone(),
                tries: vec![one],
            }),
        }
        self.open = Some(open);
    }

    /// Writes down what the action under way came to, and whether it was
    /// interrupted before that; what is older than a
    /// week is forgotten.
    pub fn end(&mut self, verdict: HealVerdict, interrupted: bool, now: DateTime<Utc>) {
        let Some(open) = self.open.take() else {
            return;
        };
        for one in self.cases.iter_mut().flat_map(|case| &mut case.tries) {
            if one.id == open.id {
                one.verdict = Some(verdict);
                one.interrupted = interrupted;
                one.ended = Some(now);
            }
        }
        for case in &mut self.cases {
            case.tries.retain(|one| one.at + REMEMBERED > now);
        }
        self.cases.retain(|case| !case.tries.is_empty());
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in crate::heal) fn at(minutes: i64) -> DateTime<Utc> {
        let begin: DateTime<Utc> = "2026-11-20T12:00:00Z".parse().unwrap();
        begin + TimeDelta::minutes(minutes)
    }

    fn id(minutes: i64) -> PointId {
        let text = format!("019a0000-0000-7000-8000-{minutes:012x}");
        text.parse().unwrap()
    }

    pub(in crate::heal) fn open(issue: &Issue, action: Action, minutes: i64, boot: &str) -> Open {
        Open {
            id: id(minutes),
            at: at(minutes),
            boot: boot.to_owned(),
            issue: issue.clone(),
            action,
            before: Some(60),
            failing: Vec::new(),
            units: None,
            systems: Vec::new(),
            point: None,
            undo: vec![Undo::Start(vec!["a.service".into()])],
        }
    }

    #[test]
    fn an_action_counts_from_before_it_begins_and_once() {
        let issue = Issue::ServiceDown("a.service".into());
        let mut book = Book::default();
        book.begin(open(&issue, Action::RestartUnit, 0, "b1"));
        assert_eq!((book.spent_in("b1"), book.spent_in("b2")), (1, 0));
        assert_eq!(book.case(&issue).unwrap().tries.len(), 1);
        assert_eq!(book.last(), None);
        // What a crash leaves is what was written.
        let text = serde_json::to_string(&book).unwrap();
        let mut book: Book = serde_json::from_str(&text).unwrap();
        assert!(book.open.is_some());
        book.end(HealVerdict::Remains, false, at(1));
        assert_eq!(book.open, None);
        let (last, one) = book.last().unwrap();
        assert_eq!((last, one.verdict), (&issue, Some(HealVerdict::Remains)));
        book.begin(open(&Issue::CpuHigh, Action::ReniceUnit, 2, "b2"));
        assert_eq!((book.spent_in("b1"), book.spent_in("b2")), (0, 1));
        book.end(HealVerdict::Recovered, false, at(3));
        assert_eq!(book.last().unwrap().0, &Issue::CpuHigh);
    }

    #[test]
    fn what_is_older_than_a_week_is_forgotten() {
        let issue = Issue::ServiceDown("a.service".into());
        let mut book = Book::default();
        book.begin(open(&issue, Action::RestartUnit, 0, "b"));
        book.end(HealVerdict::Remains, false, at(1));
        book.begin(open(&Issue::CpuHigh, Action::ReniceUnit, 8 * 24 * 60, "b"));
        book.end(HealVerdict::Remains, false, at(8 * 24 * 60 + 1));
        assert_eq!(book.case(&issue), None);
        assert_eq!(book.cases.len(), 1);
    }

    #[test]
    fn only_files_and_systems_outlive_a_boot() {
        let id = id(0);
        assert!(Undo::Start(Vec::new()).ends_with_the_boot());
        assert!(Undo::Governors(BTreeMap::new()).ends_with_the_boot());
        assert!(!Undo::System { point: id }.ends_with_the_boot());
        let files = Undo::Files {
            point: id,
            paths: Vec::new(),
        };
        assert!(!files.ends_with_the_boot());
    }
}
