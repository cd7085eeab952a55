//! What is foretold of a switch, from what it changes and from what earlier
//! switches came to.

use std::time::Duration;

use chrono::{DateTime, Utc};

use super::{Engine, EngineError, chronicle};
use crate::learn::risk::{self, Assessment, Reason};
use crate::nix::store_path::StorePath;
use crate::plan::change::{self, Change};
use crate::point::Switch;
use crate::point::risk::{Features, Foretold};
use crate::system::side;
use crate::system::store::{self, StoreError};

/// How long a switch waits for the store to say what changes.
pub const HASTE: Duration = Duration::from_millis(40);
/// How long a person waits for it.
const PATIENCE: Duration = Duration::from_secs(10);

/// A switch, and what is foretold of it.
#[derive(Debug)]
pub struct Risked {
    /// The system that runs.
    pub from: StorePath,
    /// The one to switch to.
    pub to: StorePath,
    /// What it changes.
    pub change: Change,
    /// What that comes to.
    pub assessment: Assessment,
}

/// Foretells how a switch will go. `records` are those of earlier switches.
pub fn foretell(
    engine: &Engine<'_>,
    from: &StorePath,
    to: &StorePath,
    records: &[Switch],
    patience: Duration,
) -> Risked {
    let now = engine.clock.now();
    let (old, new) = side::both(engine.layout, from, to, patience);
    let mut change = change::compare(&old, &new);
    let (boot_free, store_free) = side::free(engine.layout);
    change.features = Features {
        boot_free,
        store_free,
        since_good: since_good(records, now),
        ..change.features
    };
    let cases = risk::cases(records);
    // Without a history the answer is only a little less sure.
    let others = chronicle::knowledge(engine).others;
    Risked {
        from: from.clone(),
        to: to.clone(),
        assessment: risk::assess(&change.features, &cases, &others, now),
        change,
    }
}

/// As [`foretell`], for a person who asks.
///
/// # Errors
/// When nothing would change, or the system is not in the store.
pub fn ask(
    engine: &Engine<'_>,
    from: &StorePath,
    to: &StorePath,
    records: &[Switch],
) -> Result<Risked, EngineError> {
    if from == to {
        return Err(EngineError::NoChange(to.clone()));
    }
    if !store::is_valid(engine.layout, to)? {
        return Err(StoreError::Missing(to.to_absolute_path()).into());
    }
    Ok(foretell(engine, from, to, records, PATIENCE))
}

impl Risked {
    /// As the record of the switch keeps it.
    pub fn foretold(&self) -> Foretold {
        let Assessment { score, chance, .. } = self.assessment;
        Foretold {
            features: self.change.features.clone(),
            score: (score.clamp(-1e6, 1e6) * 1000.0).round() as i32,
            chance: (chance.clamp(0.0, 1.0) * 1000.0).round() as u16,
        }
    }

    /// Whether the policy has more kept before such a switch.
    pub fn is_high(&self, engine: &Engine<'_>) -> bool {
        self.assessment.chance * 100.0 >= f64::from(engine.policy.risk.threshold)
    }

    /// In one line, with the heaviest reasons.
    pub fn line(&self) -> String {
        let reasons: Vec<&str> = self
            .assessment
            .reasons
            .iter()
            .filter(|r| r.points > 0)
            .take(3)
            .map(|Reason { what, .. }| what.as_str())
            .collect();
        let why = match reasons.as_slice() {
            [] => String::new(),
            reasons => format!(" ({})", reasons.join(", ")),
        };
        format!(
            "this switch may well fail: {:.0} %{why}",
            self.assessment.chance * 100.0
        )
    }
}

fn since_good(records: &[Switch], now: DateTime<Utc>) -> Option<u64> {
    let good = |switch: &&Switch| risk::failed(switch) == Some(false);
    let last = records.iter().rev().find(good)?.result.as_ref()?.at;
    Some(u64::try_from((now - last).num_seconds()).unwrap_or(0))
}
