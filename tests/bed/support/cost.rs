//! What the hook costs: the same switch on a machine without cairn and on one
//! with it, in turn, so that a machine whose speed drifts does not matter.

use std::time::{Duration, Instant};

use super::Bed;

/// Two machines that make the same switches.
pub struct Pair {
    without: Bed,
    with: Bed,
    round: usize,
}

/// How long one switch took on each.
#[derive(Clone, Copy, Debug)]
pub struct Took {
    pub without: Duration,
    pub with: Duration,
}

impl Took {
    /// What cairn added, in milliseconds.
    pub fn added(&self) -> f64 {
        (self.with.as_secs_f64() - self.without.as_secs_f64()) * 1000.0
    }

    /// How many times as long it took with cairn.
    pub fn ratio(&self) -> f64 {
        self.with.as_secs_f64() / self.without.as_secs_f64()
    }
}

impl Pair {
    /// Two machines that have made their first switch: cairn's makes its vault.
    pub fn new() -> Option<Self> {
        let mut pair = Self {
            without: Bed::plain()?,
            with: Bed::with_cairn()?,
            round: 0,
        };
        pair.switch();
        Some(pair)
    }

    /// One switch on each, every second time in the other order.
    pub fn switch(&mut self) -> Took {
        let to = ["other-good", "third-good"][self.round % 2];
        self.round += 1;
        let (without, with) = if self.round.is_multiple_of(2) {
            let without = time(&self.without, to);
            (without, time(&self.with, to))
        } else {
            let with = time(&self.with, to);
            (time(&self.without, to), with)
        };
        // What watches the switch has a time of its own.
        self.with.history();
        Took { without, with }
    }
}

fn time(bed: &Bed, to: &str) -> Duration {
    let begun = Instant::now();
    bed.switch(to).ends(0);
    begun.elapsed()
}

/// The middle one of some figures.
pub fn median(figures: impl IntoIterator<Item = f64>) -> f64 {
    let mut sorted: Vec<f64> = figures.into_iter().collect();
    sorted.sort_by(f64::total_cmp);
    let half = sorted.len() / 2;
    match sorted.len() % 2 {
        0 => f64::midpoint(sorted[half - 1], sorted[half]),
        _ => sorted[half],
    }
}
