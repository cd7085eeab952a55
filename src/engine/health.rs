//! A look at the machine: the checks asked, judged and summed up.

use std::collections::BTreeSet;
use std::sync::OnceLock;
use std::time::Instant;

use super::{Engine, quiet};
use crate::health::Report;
use crate::point::document::Incoming;
use crate::system::probe::{self, Depth, Machine};

/// What to look at.
#[derive(Clone, Debug)]
pub struct Ask {
    /// Which checks.
    pub depth: Depth,
    /// Of them only these, by name or label; all when absent.
    pub only: Option<BTreeSet<String>>,
    /// The switch under way.
    pub incoming: Option<Incoming>,
}

impl Ask {
    /// All checks of a depth.
    pub fn of(depth: Depth) -> Self {
        Self {
            depth,
            only: None,
            incoming: None,
        }
    }
}

/// Looks. Nothing is changed, and nothing can fail but the checks.
pub fn look(engine: &Engine<'_>, ask: &Ask) -> Report {
    let begun = Instant::now();
    let machine = machine(engine, ask);
    let verdicts = probe::look(&machine, ask.depth, ask.only.as_ref());
    let mut report = Report::new(verdicts, engine.policy);
    report.took_ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
    report
}

/// Names of what the policy has looked at, beside those of the checks.
pub fn names(engine: &Engine<'_>) -> Vec<String> {
    probe::names(&machine(engine, &Ask::of(Depth::All)))
}

fn machine<'a>(engine: &'a Engine<'_>, ask: &Ask) -> Machine<'a> {
    Machine {
        layout: engine.layout,
        health: &engine.policy.health,
        remotes: &engine.policy.remotes,
        now: engine.clock.now(),
        config_paths: &engine.policy.config_paths,
        runner: engine.runner,
        profile: engine.profile,
        // Hooks and gates are there for a machine that runs.
        live: matches!(ask.depth, Depth::Hook | Depth::Gate) || quiet::is_live(engine),
        incoming: ask.incoming.clone(),
        ailing: OnceLock::new(),
    }
}
