//! Plans as text: what would happen, before it does.

use super::Style;
use super::diff::change;
use super::style::line;
use crate::plan::humane;
use crate::plan::prune::PrunePlan;
use crate::plan::restore::{ProfileMove, SystemPlan};
use crate::plan::tree_diff::Change;
use crate::point::BytePath;

/// The system part of a restore.
pub fn system(plan: &SystemPlan, profile: &str, now: Option<u64>, style: &Style) -> String {
    let from = now.map_or_else(|| "no generation".to_owned(), |n| format!("generation {n}"));
    let name = match profile {
        "system" => String::new(),
        other => format!("{other} "),
    };
    let moved = match plan.profile {
        ProfileMove::Stay => format!("{name}{from} stays"),
        ProfileMove::SwitchGeneration(to) => format!("{name}{from} → {to}"),
        ProfileMove::Set => format!("{name}{from} → a new one: the old number is gone"),
    };
    let then: String = plan
        .activations
        .iter()
        .map(|a| format!(", then {}", a.action))
        .collect();
    format!(
        "{} {moved}{then}\n  {}\n",
        style.bold("system       "),
        style.dim(plan.boots.to_absolute_path())
    )
}

/// One root's changes.
pub fn config(base: &std::path::Path, changes: &[Change], style: &Style) -> String {
    let mut out = String::new();
    for c in changes {
        let path = BytePath(base.join(&c.path));
        out.push_str(&format!("  {}\n", change(&path, &c.what, style)));
    }
    out
}

/// A prune plan, each line with its reason. `name` says how a key is shown.
pub fn prune(plan: &PrunePlan, name: impl Fn(&str) -> String, style: &Style) -> String {
    let mut out = String::new();
    for decision in &plan.decisions {
        let (sign, name) = if decision.keep {
            (style.green("keep"), name(&decision.key))
        } else {
            (style.red("remove"), name(&decision.key))
        };
        let pad = if decision.keep { "   " } else { " " };
        let text = decision.to_string();
        let why = text.split_once(": ").map_or(text.as_str(), |(_, why)| why);
        out.push_str(&format!("{sign}{pad}{name}  {}\n", style.dim(line(why))));
    }
    if plan.missing_bytes > 0 {
        let missing = humane::bytes(plan.missing_bytes);
        out.push_str(&style.yellow(format!("{missing} more would have to be freed\n")));
    }
    out
}
