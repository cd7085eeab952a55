//! Restore points as text.

use std::collections::BTreeMap;

use super::Style;
use super::style::{count, date, line, wrap};
use super::table::{Cell, Table};
use crate::plan::humane::bytes;
use crate::point::document::{Config, StateSet, System};
use crate::point::id::shorten_sorted;
use crate::point::{Marks, Point, PointId, Status};

/// The list of points, newest first.
pub fn list(points: &[(Point, Marks)], style: &Style) -> String {
    let ids: Vec<PointId> = points.iter().map(|(p, _)| p.id).collect();
    let mut table = Table::new([
        "ID", "WHEN", "TRIGGER", "SYSTEM", "CONFIG", "STATE", "HEALTH", "MARKS", "REASON",
    ])
    .may_drop([4, 5, 6, 2, 3, 1]);
    for ((point, marks), id) in points.iter().zip(shorten_sorted(&ids)).rev() {
        let paint: fn(&Style, &str) -> String =
            if marks.is_bad() || marks.damaged.is_some() || !point.is_complete() {
                |s, t| s.yellow(t)
            } else {
                |s, t| s.green(t)
            };
        table.row(vec![
            Cell::new(id, |s, t| s.cyan(t)),
            style.when(point.created).into(),
            point.trigger.to_string().into(),
            system_word(&point.system).into(),
            point
                .config
                .as_ref()
                .map_or_else(|| "–".to_owned(), config_word)
                .into(),
            state_word(&point.state).into(),
            super::health::score_cell(point.health.as_ref()),
            Cell::new(mark_words(point, marks), paint),
            line(&point.reason).into(),
        ]);
    }
    table.render(style)
}

/// A line for each point to pick from, newest first: uncoloured, of any width.
pub fn rows(points: &[(Point, Marks)], style: &Style) -> Vec<String> {
    let plain = Style {
        colour: false,
        width: None,
        ..*style
    };
    let ids: Vec<PointId> = points.iter().map(|(p, _)| p.id).collect();
    let mut table = Table::new(["", "", "", "", ""]);
    for ((point, marks), id) in points.iter().zip(shorten_sorted(&ids)).rev() {
        table.row(vec![
            id.into(),
            plain.when(point.created).into(),
            system_word(&point.system).into(),
            mark_words(point, marks).into(),
            line(&point.reason).into(),
        ]);
    }
    let table = table.render(&plain);
    table.lines().skip(1).map(str::to_owned).collect()
}

pub(super) fn system_word(system: &System) -> String {
    match (&system.profile, system.target()) {
        (Some(p), Some(t)) if p.toplevel == *t => format!("{} {}", line(&p.name), p.generation),
        (_, Some(_)) => system
            .nixos_version
            .as_deref()
            .map_or_else(|| "unlisted".to_owned(), line),
        (_, None) => "–".to_owned(),
    }
}

/// A captured configuration in two words: "4 files, 331 B".
pub fn config_word(config: &Config) -> String {
    let plural = if config.files == 1 { "file" } else { "files" };
    format!("{} {plural}, {}", config.files, bytes(config.bytes))
}

/// Captured state in two words: "2 sets, 1.2 MiB"; nothing when there is none.
pub fn state_word(sets: &BTreeMap<String, StateSet>) -> String {
    if sets.is_empty() {
        return String::new();
    }
    let size = sets.values().map(|s| s.bytes).sum();
    format!("{}, {}", count(sets.len(), "set"), bytes(size))
}

pub(super) fn mark_words(point: &Point, marks: &Marks) -> String {
    let words = [
        (marks.is_good(), "good"),
        (marks.is_bad(), "bad"),
        (marks.is_pinned(), "pinned"),
        (!point.is_complete(), "partial"),
        (point.imported.is_some(), "imported"),
        (marks.damaged.is_some(), "damaged"),
    ];
    words
        .iter()
        .filter(|(on, _)| *on)
        .map(|(_, w)| *w)
        .collect::<Vec<_>>()
        .join(" ")
}

/// Everything a person wants to know of one point.
pub fn show(point: &Point, marks: &Marks, verbose: bool, style: &Style) -> String {
    let mut out = format!(
        "{} {}\n{}\n\n",
        style.bold("restore point"),
        style.cyan(point.id),
        wrap(&line(&point.reason), style.width.unwrap_or(usize::MAX)).join("\n")
    );
    let mut put = |name: &str, value: String| {
        out.push_str(&format!("{} {value}\n", style.dim(format!("{name:<15}"))));
    };
    if let Some(description) = &point.description {
        put("description", line(description));
    }
    put(
        "taken",
        format!("{} ({})", date(point.created), style.when(point.created)),
    );
    put("by", format!("{} on {}", point.trigger, line(&point.host)));
    if let Some(imported) = &point.imported {
        put("imported", date(imported.at));
    }
    let marks_text = mark_words(point, marks);
    put(
        "marks",
        if marks_text.is_empty() {
            "none".into()
        } else {
            marks_text
        },
    );
    if !point.tags.is_empty() {
        put(
            "tags",
            line(&point.tags.iter().cloned().collect::<Vec<_>>().join(", ")),
        );
    }
    for (key, value) in &point.userdata {
        put("userdata", line(&format!("{key}={value}")));
    }
    system(&point.system, &mut put);
    if let Some(health) = &point.health {
        put("health", super::health::score_words(health, style));
        let not_well = health.checks.iter().filter(|v| v.status > Status::Ok);
        for verdict in not_well {
            put("", super::health::verdict_words(verdict, style));
        }
    }
    for pin in &point.pins {
        put("held by", pin.link.to_string());
    }
    if let Some(config) = &point.config {
        config_part(config, verbose, &mut put);
    }
    for (name, set) in &point.state {
        state_part(name, set, &mut put);
    }
    for missing in point.completeness.missing() {
        put(
            "missing",
            style.yellow(format!("{}: {}", missing.what, line(&missing.why))),
        );
    }
    out
}

fn system(system: &System, put: &mut impl FnMut(&str, String)) {
    if let Some(profile) = &system.profile {
        put(
            "profile",
            format!("{}, generation {}", line(&profile.name), profile.generation),
        );
        put("toplevel", profile.toplevel.to_absolute_path());
    }
    let pointers = [
        ("running", &system.current),
        ("booted", &system.booted),
        ("boot default", &system.loader_default),
    ];
    for (name, path) in pointers {
        if let Some(path) = path {
            put(name, path.to_absolute_path());
        }
    }
    if let Some(specialisation) = &system.specialisation {
        put(
            "specialisation",
            format!(
                "{} of {}",
                line(&specialisation.name),
                specialisation.parent
            ),
        );
    }
    if let Some(incoming) = &system.incoming {
        put(
            "incoming",
            format!(
                "{} ({})",
                incoming.toplevel.to_absolute_path(),
                line(&incoming.action)
            ),
        );
    }
    let facts = [
        ("NixOS", &system.nixos_version),
        ("kernel", &system.kernel.target),
        ("running kernel", &system.kernel.running),
        ("revision", &system.configuration_revision),
    ];
    for (name, fact) in facts {
        if let Some(fact) = fact {
            put(name, line(fact));
        }
    }
}

fn config_part(config: &Config, verbose: bool, put: &mut impl FnMut(&str, String)) {
    put(
        "configuration",
        format!(
            "{}, hash {}",
            config_word(config),
            line(short_hash(&config.hash))
        ),
    );
    for root in &config.roots {
        let git = root.git.as_ref().map_or_else(String::new, |git| {
            let commit = git
                .commit
                .as_deref()
                .map_or_else(|| "no commit".to_owned(), |c| line(short_hash(c)));
            let dirt = match git.dirty {
                Some(true) => ", dirty",
                Some(false) => ", clean",
                None => "",
            };
            format!(" (git {commit}{dirt})")
        });
        let kind = format!("{:?}", root.kind).to_lowercase();
        put("root", format!("{} {kind}{git}", root.path));
    }
    for path in &config.followed {
        put("followed", path.to_string());
    }
    for path in &config.excluded {
        put("left out", path.to_string());
    }
    if verbose {
        for u in &config.unfollowed {
            let text = line(&u.text);
            put(
                "not followed",
                format!("{}:{} {text} ({})", u.file, u.line, line(&u.why)),
            );
        }
    } else if !config.unfollowed.is_empty() {
        put(
            "not followed",
            format!(
                "{}, shown with -v",
                count(config.unfollowed.len(), "import")
            ),
        );
    }
}

fn state_part(name: &str, set: &StateSet, put: &mut impl FnMut(&str, String)) {
    let files = usize::try_from(set.files).unwrap_or(usize::MAX);
    put(
        &line(&format!("state {name}")),
        format!(
            "{}, {}, {}",
            count(files, "file"),
            bytes(set.bytes),
            line(&set.consistency)
        ),
    );
    for root in &set.roots {
        let kind = format!("{:?}", root.kind).to_lowercase();
        put("root", format!("{} {kind}", root.path));
    }
    for path in &set.excluded {
        put("left out", path.to_string());
    }
    if !set.units.is_empty() {
        put("units", line(&set.units.join(", ")));
    }
}

fn short_hash(hash: &str) -> &str {
    hash.get(..12).unwrap_or(hash)
}
