//! Bringing a point back: plan → undo point → journal → execute → verify.
//!
//! Executing is convergent: it makes the machine like the point, whatever it
//! is like now. So an interrupted restore is resumed by running it again, and
//! aborted by restoring the undo point in the same way.

mod before;
mod execute;
mod planning;
mod system;

use super::apply::RootPlan;
use super::fetch::Fetch;
use super::merge;
use crate::nix::store_path::StorePath;
use crate::plan::restore::SystemPlan;
use crate::point::document::System;
use crate::point::{BytePath, Point, PointId};
use crate::system::journal::{self, Scope};

pub(super) use before::undo_point;
pub use execute::execute;
pub(super) use execute::{converge, halfway, release};
pub(super) use planning::{changes, foreign_warning, plan_again};
pub use planning::{plan, plan_from, plan_goal};
pub(super) use system::{await_switch, execute_bare};

/// What is to be brought back.
#[derive(Clone, Debug)]
pub enum Goal {
    /// A restore point.
    Point(Box<Point>),
    /// A system alone, by its store path: no point need hold it.
    Toplevel(StorePath),
}

impl Goal {
    /// How people call it.
    pub fn label(&self) -> String {
        match self {
            Self::Point(point) => point.id.short_among([]),
            Self::Toplevel(path) => path.name().to_owned(),
        }
    }

    /// The restore point, when it is one.
    pub fn point(&self) -> Option<&Point> {
        match self {
            Self::Point(point) => Some(point),
            Self::Toplevel(_) => None,
        }
    }

    /// The system to bring back: the goal's, unless another stands in for it.
    pub(super) fn system(&self, stand_in: Option<&StorePath>) -> System {
        let alone = |path: &StorePath| System {
            current: Some(path.clone()),
            ..System::default()
        };
        match (stand_in, self) {
            (Some(path), _) | (None, Self::Toplevel(path)) => alone(path),
            (None, Self::Point(point)) => point.system.clone(),
        }
    }

    fn journalled(&self) -> journal::Goal {
        match self {
            Self::Point(point) => journal::Goal::Point(point.id),
            Self::Toplevel(path) => journal::Goal::Toplevel(path.clone()),
        }
    }
}

/// What a restore would do. Making one changes nothing.
pub struct Plan {
    /// What to bring back.
    pub goal: Goal,
    /// What of it.
    pub scope: Scope,
    /// What has to be fetched first.
    pub fetch: Option<Fetch>,
    /// The system part; absent when not asked for.
    pub system: Option<SystemPlan>,
    /// What tells the boot loader of another root of the system, when it will
    /// have to be told and the plan leaves it to the user.
    pub boot_step: Option<String>,
    /// The files, root by root: of the configuration, then of state.
    pub roots: Vec<RootPlan>,
    /// Units that own state which changes: they are stopped, and started again
    /// if they ran.
    pub units: Vec<String>,
    /// Folders above the roots that go if they are empty then: what is taken
    /// back had made them.
    pub emptied: Vec<BytePath>,
    /// Worth knowing before saying yes.
    pub warnings: Vec<String>,
    /// Set when the point is merged into what is there.
    pub merge: Option<Box<merge::Merge>>,
}

impl Plan {
    /// Whether everything is already as the point has it.
    pub fn is_empty(&self) -> bool {
        self.system.as_ref().is_none_or(SystemPlan::is_empty)
            && self.roots.iter().all(|r| r.changes.is_empty())
    }
}

/// What a restore did.
#[derive(Debug)]
pub struct Restored {
    /// What was brought back.
    pub goal: Goal,
    /// The point that undoes it.
    pub undo: Point,
    /// The point taken before an interrupted restore was ended, if it had
    /// anything left to change.
    pub before: Option<PointId>,
    /// Files, folders and links changed.
    pub changed: usize,
    /// The generation the profile points to now.
    pub generation: Option<u64>,
    /// Whether the profile moved.
    pub moved: bool,
    /// Whether a system was activated.
    pub activated: bool,
    /// Whether it runs now, or only boots next.
    pub runs: bool,
    /// What the user is left to run, for the machine to boot what was restored.
    pub boot_step: Option<String>,
    /// The exit code of `switch-to-configuration`, when the switch went on but
    /// not all of it worked (2 or 4).
    pub switch_code: Option<i32>,
    /// Files that a merge left with conflicts.
    pub conflicts: usize,
    /// What the plan warned of.
    pub warnings: Vec<String>,
    /// What is known only now.
    pub notes: Vec<String>,
}
