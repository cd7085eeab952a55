//! Times what the hook adds to a switch, in the test-bed.
//!
//!     cargo bench --bench hook [-- ROUNDS]
//!
//! The same switch runs on a machine without cairn and on one with it, in turn;
//! medians count, and differences and ratios are taken pair by pair. Exits 1
//! when the target is missed. Needs what the bed needs: root and systemd-nspawn.
#![allow(clippy::disallowed_methods, clippy::unwrap_used, missing_docs)]

#[path = "../tests/bed/support/mod.rs"]
mod bed_support;

use std::process::ExitCode;

use bed_support::cost::{Pair, Took, median};

/// Milliseconds that the hook may add to a switch.
const TARGET: f64 = 150.0;

fn main() -> ExitCode {
    let rounds = std::env::args().find_map(|arg| arg.parse().ok());
    let rounds: usize = rounds.unwrap_or(15);
    let Some(mut pair) = Pair::new() else {
        return ExitCode::FAILURE;
    };
    let took: Vec<Took> = (0..rounds).map(|_| pair.switch()).collect();
    let ms = |f: fn(&Took) -> f64| median(took.iter().map(f));
    let without = ms(|t| t.without.as_secs_f64() * 1000.0);
    let with = ms(|t| t.with.as_secs_f64() * 1000.0);
    let added = ms(Took::added);
    println!("a switch without cairn  {without:7.1} ms   (median of {rounds})");
    println!("the same with cairn     {with:7.1} ms");
    println!(
        "the hook adds           {added:7.1} ms   = {:.2} x",
        ms(Took::ratio)
    );
    if added <= TARGET {
        println!("target                  {TARGET:7.1} ms   met");
        return ExitCode::SUCCESS;
    }
    println!("target                  {TARGET:7.1} ms   MISSED");
    ExitCode::FAILURE
}
