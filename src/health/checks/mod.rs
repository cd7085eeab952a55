//! The judges, one for each kind of thing that is read.

pub(super) mod boot;
pub(super) mod clock;
pub(super) mod config;
pub(super) mod copies;
pub(super) mod memory;
pub(super) mod network;
pub(super) mod nix;
pub(super) mod processors;
pub(super) mod restarts;
pub(super) mod space;
pub(super) mod temperature;
pub(super) mod tried;
pub(super) mod units;

use crate::point::health::Status;

/// Names that are told; the rest is counted.
const TOLD: usize = 3;

/// A list in one line: "a, b, c and 4 more".
fn listed<S: AsRef<str>>(names: &[S]) -> String {
    let told: Vec<&str> = names.iter().take(TOLD).map(AsRef::as_ref).collect();
    match names.len().checked_sub(TOLD).filter(|more| *more > 0) {
        Some(more) => format!("{} and {more} more", told.join(", ")),
        None => told.join(", "),
    }
}

/// How full what has `free` percent left is, by the least that should be.
fn by_room(free: f64, least: u32) -> Status {
    let least = f64::from(least);
    if free < least / 5.0 {
        Status::Failing
    } else if free < least {
        Status::Warning
    } else {
        Status::Ok
    }
}

/// What share `part` is of `whole`, in percent; 100 of nothing.
fn percent(part: u64, whole: u64) -> f64 {
    if whole == 0 {
        return 100.0;
    }
    // Both lose their last digits alike.
    #[allow(clippy::cast_precision_loss)]
    let share = part as f64 / whole as f64;
    share * 100.0
}

/// Pressure stall information: `some avg10=0.00 avg60=0.00 avg300=0.00 total=0`.
fn pressure(text: &str, kind: &str, span: &str) -> Option<f64> {
    let line = text.lines().find(|line| line.starts_with(kind))?;
    line.split_ascii_whitespace()
        .find_map(|word| word.strip_prefix(span)?.strip_prefix('='))?
        .parse()
        .ok()
        .filter(|n: &f64| n.is_finite())
}

/// The words for what the kernel of this machine does not tell.
const NOT_HERE: &str = "not available here";
