//! Switches as text.

use super::Style;
use super::style::line;
use super::table::{Cell, Table};
use crate::point::switch::{Done, Outcome, Reached, Switch, Verdict};

/// Records, newest first, as `history` prints them.
pub fn list(switches: &[Switch], style: &Style) -> String {
    if switches.is_empty() {
        return "no switch was seen yet; the NixOS module writes this history\n".to_owned();
    }
    let mut table =
        Table::new(["when", "action", "system", "point", "what came of it"]).may_drop([3, 1]);
    for switch in switches {
        let point = switch
            .point
            .map_or_else(|| "none".to_owned(), |id| id.short_among([]));
        let paint: fn(&Style, &str) -> String = match (switch.verdict(), &switch.point) {
            (Verdict::Bad, _) => |style, text| style.red(text),
            (Verdict::Good, Some(_)) => |style, text| style.green(text),
            (_, None) => |style, text| style.yellow(text),
            _ => |_, text| text.to_owned(),
        };
        table.row(vec![
            style.when(switch.started).into(),
            switch.action.as_str().into(),
            Cell::new(line(&short_name(switch)), |style, text| style.bold(text)),
            Cell::new(point, |style, text| style.cyan(text)),
            Cell::new(line(&words(switch)), paint),
        ]);
    }
    table.render(style)
}

/// What a system is called without what all systems are called, and which
/// specialisation it is.
fn short_name(switch: &Switch) -> String {
    let name = switch.to.name();
    let name = name.strip_prefix("nixos-system-").unwrap_or(name);
    let incoming = switch.before.incoming.as_ref();
    match incoming.and_then(|to| to.specialisation.as_ref()) {
        Some(special) => format!("{name} ({})", special.name),
        None => name.to_owned(),
    }
}

/// What came of a switch, and whether it had a restore point.
pub fn words(switch: &Switch) -> String {
    match (&switch.result, &switch.no_point) {
        (None, _) if switch.is_unanswered() && switch.judged.is_some() => {
            "good so far; awaits cairn confirm".to_owned()
        }
        (None, _) => "under way".to_owned(),
        (Some(result), Some(_)) => format!("{}; no restore point", told(result)),
        (Some(result), None) => told(result),
    }
}

/// How a switch ended, in one line.
pub fn told(outcome: &Outcome) -> String {
    let reached = match (outcome.reached, outcome.verdict) {
        (Reached::Switched, Verdict::Good) => "good",
        (Reached::Switched, Verdict::Bad) => "bad",
        (Reached::Switched, Verdict::None) => "done, not judged",
        (Reached::Refused, _) => "refused",
        (Reached::NeedsReboot, _) => "runs after a reboot",
        (Reached::Interrupted, _) => "stopped half way",
        (Reached::Superseded, _) => "overtaken by another switch",
        (Reached::CutOff, _) => "cut off",
    };
    let done = match outcome.done {
        Done::Nothing => "",
        Done::Repaired => "; profile and boot loader put back",
        Done::WentBack => "; went back",
        Done::WentBackAtBoot => "; goes back at the next boot",
        Done::Boots => "; runs after a reboot",
        Done::Stuck => "; could not go back",
    };
    let why = if outcome.reasons.is_empty() {
        String::new()
    } else {
        format!(" ({})", outcome.reasons.join(", "))
    };
    let trouble = outcome
        .trouble
        .as_ref()
        .map_or_else(String::new, |trouble| format!("; {trouble}"));
    format!("{reached}{why}{done}{trouble}")
}
