//! Times `cairn health` where nothing is slow, in the test-bed: whole processes,
//! on a machine with systemd, Nix, a network and a check of its own.
//!
//!     cargo bench --bench health [-- ROUNDS]
//!
//! Exits 1 when the median misses the target. Needs what the bed needs: root and
//! systemd-nspawn. `BED_CAIRN=/path` times another build of the program.
#![allow(clippy::disallowed_methods, clippy::unwrap_used, missing_docs)]

#[path = "../tests/bed/support/mod.rs"]
mod bed_support;

use std::process::ExitCode;

use bed_support::Bed;
use bed_support::cost::median;

/// Milliseconds that a look at the machine may take.
const TARGET: f64 = 100.0;

fn main() -> ExitCode {
    let rounds = std::env::args().find_map(|arg| arg.parse().ok());
    let rounds: usize = rounds.unwrap_or(15);
    let Some(bed) = Bed::with_cairn() else {
        return ExitCode::FAILURE;
    };
    bed.cairn("create").ends(0);
    let figures = bed
        .sh(&format!(
            "for n in $(seq {rounds}); do begun=$(date +%s%N); cairn health >/dev/null || exit; \
             echo $(($(date +%s%N) - begun)); done"
        ))
        .ok();
    let took = figures
        .lines()
        .map(|nanos| nanos.parse::<f64>().unwrap() / 1e6);
    let took = median(took);
    println!("cairn health   {took:7.1} ms   (median of {rounds})");
    let met = took <= TARGET;
    println!(
        "target         {TARGET:7.1} ms   {}",
        if met { "met" } else { "MISSED" }
    );
    if met {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
