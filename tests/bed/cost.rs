//! The hook is quick: `cargo bench --bench hook` measures it well, this sees
//! when it gets out of hand.

use crate::support::cost::{Pair, Took, median};

/// Milliseconds: twice what a release build may take; this is a debug build.
const BOUND: f64 = 300.0;

/// Where the machine is busy all takes longer, a switch without cairn too.
const RATIO: f64 = 1.6;

#[test]
fn the_hook_adds_little_to_a_switch() {
    let Some(mut pair) = Pair::new() else { return };
    let took: Vec<Took> = (0..3).map(|_| pair.switch()).collect();
    let added = median(took.iter().map(Took::added));
    let ratio = median(took.iter().map(Took::ratio));
    println!("the hook added {added:.0} ms = {ratio:.2} x; each: {took:?}");
    assert!(
        added < BOUND || ratio < RATIO,
        "{added:.0} ms = {ratio:.2} x; each: {took:?}"
    );
}
