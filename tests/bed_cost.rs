//! The hook is quick: `cargo bench --bench hook` measures it well, this sees
//! when it gets out of hand.
#![allow(clippy::disallowed_methods, clippy::unwrap_used, clippy::panic)]

mod bed_support;

use bed_support::cost::{Pair, Took, median};

/// Milliseconds: several times what a debug build takes on a machine at rest.
const BOUND: f64 = 1000.0;

#[test]
fn the_hook_adds_little_to_a_switch() {
    let Some(mut pair) = Pair::new() else { return };
    let took: Vec<Took> = (0..3).map(|_| pair.switch()).collect();
    let added = median(took.iter().map(Took::added));
    println!("the hook added {added:.0} ms; each: {took:?}");
    assert!(added < BOUND, "{added:.0} ms; each: {took:?}");
}
