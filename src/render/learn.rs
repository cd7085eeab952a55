//! What was learned, as text.

use super::Style;
use super::risk::percent;
use super::style::line;
use super::table::{Cell, Table};
use crate::learn::{Judged, Learned};

/// Patterns beyond these are not listed.
const PATTERNS: usize = 10;
/// Names of one pattern beyond these are only counted.
const NAMES: usize = 4;

/// What was learned, as `learn show` prints it.
pub fn learned(learned: &Learned, style: &Style) -> String {
    let mut text = String::new();
    if learned.heals.is_empty() {
        text.push_str("nothing was healed yet\n");
    } else {
        let mut table = Table::new([
            "issue",
            "action",
            "tried",
            "helped",
            "others",
            "takes",
            "health",
            "likely to help",
        ])
        .may_drop([4, 6, 5]);
        for one in &learned.heals {
            let (low, high) = one.interval;
            let health = one
                .gain
                .map_or_else(String::new, |gain| format!("{gain:+.0}"));
            table.row(vec![
                line(&one.issue).into(),
                Cell::new(line(&one.action), |style, text| style.bold(text)),
                one.attempts.to_string().into(),
                one.successes.to_string().into(),
                one.imported.to_string().into(),
                format!("{:.0} s", one.seconds).into(),
                health.into(),
                format!(
                    "{} ({} to {})",
                    percent(one.estimate),
                    percent(low),
                    percent(high)
                )
                .into(),
            ]);
        }
        text.push_str(&table.render(style));
    }
    let switches = |judged: Judged| format!("{} judged, {} failed", judged.judged, judged.failed);
    text.push_str(&format!(
        "\nswitches        {}\n",
        switches(learned.switches)
    ));
    if learned.machines > 0 {
        text.push_str(&format!(
            "other machines  {}: {}\n",
            learned.machines,
            switches(learned.imported)
        ));
    }
    if learned.patterns.is_empty() {
        return text;
    }
    text.push_str("\nfailed switches share\n");
    for pattern in learned.patterns.iter().take(PATTERNS) {
        let shown: Vec<String> = pattern.names.iter().take(NAMES).map(|n| line(n)).collect();
        let more = pattern.names.len().saturating_sub(NAMES);
        let more = match more {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        let (low, high) = pattern.interval;
        let doubt = match pattern.telling {
            true => String::new(),
            false => style.dim(", which may be chance"),
        };
        text.push_str(&format!(
            "  {}{more}: {} of {} failed ({} to {}){doubt}\n",
            shown.join(", "),
            pattern.failed,
            pattern.switches,
            percent(low),
            percent(high)
        ));
    }
    text
}
