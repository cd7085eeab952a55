//! What is asked for when a point is taken, and what comes of it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use crate::engine::state::Source;
use crate::health::Report;
use crate::point::Marks;
use crate::point::document::{Incoming, Point, Trigger};
use crate::system::follow::Sources;
use crate::system::probe::Depth;
use crate::vault::RecoveryPassword;

/// Which state a point is to hold.
#[derive(Clone, Debug)]
pub enum AskState {
    /// What the policy says for what takes the point.
    Policy,
    /// These sets of the policy, by name; none at all when empty.
    Named(Vec<String>),
    /// These, whatever the policy says. The units that are stopped for them
    /// stay so, and are noted in the marker of the point, which stays too: who
    /// asked goes on with them.
    Held(Vec<Source>),
}

/// What to take.
#[derive(Clone, Debug)]
pub struct Request {
    /// Why, in one line.
    pub reason: String,
    /// More words.
    pub description: Option<String>,
    /// What takes it.
    pub trigger: Trigger,
    /// Labels.
    pub tags: BTreeSet<String>,
    /// Key–value pairs.
    pub userdata: BTreeMap<String, String>,
    /// Whether to capture the configuration.
    pub config: bool,
    /// Which state to capture.
    pub state: AskState,
    /// Whether it is pinned from the moment it is listed.
    pub pinned: bool,
    /// Captured beside what the policy names: logical paths.
    pub also: Vec<PathBuf>,
    /// The switch under way.
    pub incoming: Option<Incoming>,
    /// Which health checks are asked.
    pub health: Depth,
}

impl Request {
    /// A point by hand, of everything.
    pub fn manual(reason: impl Into<String>) -> Self {
        Self {
            reason: reason.into(),
            description: None,
            trigger: Trigger::Manual,
            tags: BTreeSet::new(),
            userdata: BTreeMap::new(),
            config: true,
            state: AskState::Policy,
            pinned: false,
            also: Vec::new(),
            incoming: None,
            health: Depth::Quick,
        }
    }
}

/// A point that was taken.
#[derive(Clone, Debug)]
pub struct Created {
    /// Its document.
    pub point: Point,
    /// Its marks.
    pub marks: Marks,
    /// What the health checks said.
    pub report: Report,
    /// The vault's recovery password, when the vault was made just now.
    pub recovery: Option<RecoveryPassword>,
    /// What is worth knowing and no reason to call the point partial.
    pub warnings: Vec<String>,
    /// Set when a configuration was asked for and nothing of one was there.
    pub without_config: bool,
    /// What was not made good after the capture, such as a unit that did not
    /// start again.
    pub troubles: Vec<String>,
}

/// What a point would capture.
#[derive(Clone, Debug)]
pub struct Preview {
    /// The configuration; absent when it would not be captured.
    pub config: Option<Sources>,
    /// State sets.
    pub state: Vec<Source>,
}
