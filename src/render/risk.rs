//! The risk of a switch as text.

use super::Style;
use super::style::line;
use crate::learn::risk::Assessment;

/// Reasons beyond these are too light to be worth a line.
const REASONS: usize = 8;

/// A probability in percent.
pub fn percent(chance: f64) -> String {
    match chance * 100.0 {
        small if small < 1.0 => "below 1 %".to_owned(),
        large => format!("{large:.0} %"),
    }
}

/// What is foretold of a switch, as `risk` prints it. `threshold` is the
/// policy's, in percent.
pub fn told(
    (from, to): (&str, &str),
    told: &Assessment,
    closure_known: bool,
    threshold: Option<u32>,
    style: &Style,
) -> String {
    let high = threshold.is_some_and(|t| told.chance * 100.0 >= f64::from(t));
    let chance = percent(told.chance);
    let chance = match high {
        true => style.red(chance),
        false => style.bold(chance),
    };
    let (low, top) = told.interval;
    let mut text = format!(
        "{} → {}\nlikely to fail  {chance} (between {} and {}); a usual switch: {}\n",
        line(from),
        line(to),
        percent(low),
        percent(top),
        percent(told.base)
    );
    if !told.reasons.is_empty() {
        text.push('\n');
    }
    for reason in told.reasons.iter().take(REASONS) {
        text.push_str(&format!("{:>+6}  {}\n", reason.points, line(&reason.what)));
    }
    let others = match told.imported.judged {
        0 => String::new(),
        judged => format!(
            " and {judged} of other machines ({} failed)",
            told.imported.failed
        ),
    };
    text.push_str(&style.dim(format!(
        "\n10 points double the odds. Switches of this machine that were learned from: {} ({} \
         failed){others}.\n",
        told.switches, told.failed
    )));
    if told.switches < 20 {
        text.push_str(
            &style.dim("So few teach little: most of this is what is believed beforehand.\n"),
        );
    }
    if !closure_known {
        text.push_str("The store did not say what the closures differ in.\n");
    }
    if let Some(threshold) = threshold.filter(|_| high) {
        text.push_str(&format!(
            "From {threshold} % on, the point before it holds all state, and is pinned.\n"
        ));
    }
    text
}
