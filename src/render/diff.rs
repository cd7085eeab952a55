//! Differences as text.

use std::os::unix::ffi::OsStrExt;

use super::Style;
use super::style::{count, line};
use crate::nix::closure::ClosureDiff;
use crate::plan::comparison::{Diff, SystemDiff};
use crate::plan::humane::bytes;
use crate::plan::text_diff::{FileDiff, RenderOptions, render};
use crate::plan::tree_diff::What;
use crate::point::BytePath;
use crate::point::path::printable;

/// A whole comparison. The texts of files are bytes, as the files are.
pub fn diff(diff: &Diff, style: &Style) -> Vec<u8> {
    let (from, to) = &diff.labels;
    let mut out = Vec::new();
    let mut put = |text: &str| out.extend_from_slice(text.as_bytes());
    put(&format!(
        "{} {} → {}\n",
        style.bold("comparing"),
        style.cyan(from),
        style.cyan(to)
    ));
    if diff.is_empty() {
        put("nothing differs\n");
        return out;
    }
    if let Some(part) = diff.system.as_ref().filter(|s| s.from != s.to) {
        put(&system(part, style));
    }
    if !diff.config.is_empty() {
        put(&format!("\n{}\n", style.bold("configuration")));
        for file in &diff.config {
            put(&format!("  {}\n", change(&file.path, &file.what, style)));
        }
    }
    for file in &diff.config {
        if let Some(text) = &file.text {
            out.push(b'\n');
            out.extend(file_text(text, style));
        }
    }
    for (name, set) in &diff.state {
        let size = |held: &Option<u64>| held.map_or_else(|| "not captured".to_owned(), bytes);
        let sizes = match (set.before, set.after, set.changes.is_empty()) {
            // With now there is one size to tell.
            (Some(held), None, false) | (None, Some(held), false) => bytes(held),
            _ => format!("{} → {}", size(&set.before), size(&set.after)),
        };
        let title = style.bold(format!("state {}", line(name)));
        out.extend_from_slice(format!("\n{title} {}\n", style.dim(sizes)).as_bytes());
        out.extend_from_slice(state_changes(&set.changes, style).as_bytes());
    }
    out
}

/// A comparison in a few lines: each changed file with the lines that came and
/// went, and how much else differs.
pub fn stat(diff: &Diff, style: &Style) -> String {
    let (from, to) = &diff.labels;
    let mut out = format!("{} → {}\n", style.cyan(from), style.cyan(to));
    if diff.is_empty() {
        out.push_str("nothing differs\n");
        return out;
    }
    if let Some(part) = diff.system.as_ref().filter(|s| s.from != s.to) {
        let packages = part.closure.as_ref().map_or_else(String::new, |c| {
            let changed = c.added.len() + c.removed.len() + c.changed.len();
            format!(", {}", count(changed, "package"))
        });
        let (from, to) = (part.from.name(), part.to.name());
        out.push_str(&format!("  system {from} → {to}{packages}\n"));
    }
    let (mut added, mut removed) = (0, 0);
    for file in &diff.config {
        let lines = match file.text.as_ref().map(FileDiff::lines) {
            Some(Some((plus, minus))) => {
                (added, removed) = (added + plus, removed + minus);
                format!(
                    " {} {}",
                    style.green(format!("+{plus}")),
                    style.red(format!("-{minus}"))
                )
            }
            Some(None) => style.dim(" binary"),
            None => String::new(),
        };
        out.push_str(&format!(
            "  {}{lines}\n",
            change(&file.path, &file.what, style)
        ));
    }
    for (name, set) in &diff.state {
        let paths = count(set.changes.len(), "path");
        out.push_str(&format!("  state {}: {paths}\n", line(name)));
    }
    if !diff.config.is_empty() {
        let files = count(diff.config.len(), "file");
        out.push_str(&format!("{files} changed, +{added} -{removed}\n"));
    }
    out
}

/// Paths of a state set that are told one by one; the rest is counted.
const TOLD: usize = 20;

/// Changed paths of a state set.
pub fn state_changes(changes: &[(BytePath, What)], style: &Style) -> String {
    let mut out = String::new();
    for (path, what) in changes.iter().take(TOLD) {
        out.push_str(&format!("  {}\n", change(path, what, style)));
    }
    if let Some(more) = changes.len().checked_sub(TOLD).filter(|n| *n > 0) {
        out.push_str(&format!(
            "  {}\n",
            style.dim(format!("… and {} more", count(more, "path")))
        ));
    }
    out
}

/// One changed path in one line: `+` added, `-` removed, `~` changed.
pub fn change(path: &BytePath, what: &What, style: &Style) -> String {
    let path = printable(path.as_path());
    match what {
        What::Added => style.green(format!("+ {path}")),
        What::Removed => style.red(format!("- {path}")),
        What::Modified(aspects) => {
            format!(
                "{} {}",
                style.yellow(format!("~ {path}")),
                style.dim(aspects)
            )
        }
        What::TypeChanged { from, to } => {
            format!(
                "{} {}",
                style.yellow(format!("~ {path}")),
                style.dim(format!("{from} → {to}"))
            )
        }
    }
}

/// A unified diff, coloured by line.
pub fn file_text(diff: &FileDiff, style: &Style) -> Vec<u8> {
    let plain = render(diff, &RenderOptions::default());
    // Elsewhere than on a terminal the bytes of the file stay what they are.
    if !style.colour && style.width.is_none() {
        return plain;
    }
    let mut out = Vec::new();
    for row in plain.split_inclusive(|b| *b == b'\n') {
        let (body, end) = match row.strip_suffix(b"\n") {
            Some(body) => (body, "\n"),
            None => (row, ""),
        };
        let code = match body {
            b if b.starts_with(b"---") || b.starts_with(b"+++") => "1",
            b if b.starts_with(b"@@") => "36",
            b if b.starts_with(b"+") => "32",
            b if b.starts_with(b"-") => "31",
            _ => "",
        };
        let body = plain_line(body, style);
        match code {
            code if style.colour && !code.is_empty() => {
                out.extend(format!("\x1b[{code}m").bytes());
                out.extend(body);
                out.extend(b"\x1b[0m");
            }
            _ => out.extend(body),
        }
        out.extend(end.bytes());
    }
    out
}

/// A line of a file. Its own control characters must not reach a terminal;
/// elsewhere its bytes stay what they are.
pub(super) fn plain_line(line: &[u8], style: &Style) -> Vec<u8> {
    if !style.colour && style.width.is_none() {
        return line.to_vec();
    }
    let text = printable(std::path::Path::new(std::ffi::OsStr::from_bytes(line)));
    text.replace("\\t", "\t").into_bytes()
}

fn system(diff: &SystemDiff, style: &Style) -> String {
    let mut out = format!(
        "\n{}\n  {}\n  {}\n",
        style.bold("system"),
        style.red(format!("- {}", diff.from.to_absolute_path())),
        style.green(format!("+ {}", diff.to.to_absolute_path()))
    );
    match (&diff.closure, &diff.note) {
        (Some(closure), _) => out.push_str(&packages(closure, style)),
        (None, Some(note)) => out.push_str(&format!("  {}\n", style.dim(note))),
        (None, None) => {}
    }
    out
}

fn packages(diff: &ClosureDiff, style: &Style) -> String {
    let mut out = String::new();
    let versions = |v: &[String]| match v.join(", ") {
        text if text.is_empty() => "∅".to_owned(),
        text => text,
    };
    for package in &diff.added {
        let text = format!("+ {} {}", package.name, versions(&package.versions));
        out.push_str(&format!(
            "  {} {}\n",
            style.green(text),
            style.dim(format!("({})", bytes(package.size)))
        ));
    }
    for package in &diff.removed {
        let text = format!("- {} {}", package.name, versions(&package.versions));
        out.push_str(&format!(
            "  {} {}\n",
            style.red(text),
            style.dim(format!("({})", bytes(package.size)))
        ));
    }
    for p in &diff.changed {
        let (old, new) = (versions(&p.old_versions), versions(&p.new_versions));
        let sizes = match (bytes(p.old_size), bytes(p.new_size)) {
            (old, new) if old == new => format!("({old})"),
            (old, new) => format!("({old} → {new})"),
        };
        let name = style.yellow(format!("~ {}", p.name));
        let versions = if old == new {
            old
        } else {
            format!("{old} → {new}")
        };
        out.push_str(&format!("  {name} {versions} {}\n", style.dim(sizes)));
    }
    out.push_str(&format!(
        "  closure {} → {}\n",
        bytes(diff.size_before),
        bytes(diff.size_after)
    ));
    out
}
