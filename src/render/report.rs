//! The page about a machine, and the same as Markdown.
//!
//! Every value goes through the template engine's escaping: reasons, names and
//! versions are somebody else's text.

mod chart;

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use serde::Serialize;
use tera::{Context, Tera, Value};

use super::style::date;
use crate::plan::report::{EventLine, Report};
use crate::point::event::Kind;
use crate::point::humane::{bytes, relative};
use chart::{Chart, Timeline};

const HTML: &str = include_str!("../../templates/report/page.html");
const CSS: &str = include_str!("../../templates/report/page.css");
const MARKDOWN: &str = include_str!("../../templates/report/page.md");

#[derive(Serialize)]
struct Event {
    date: String,
    kind: &'static str,
    what: String,
    how: &'static str,
}

#[derive(Serialize)]
struct Point<'r> {
    id: &'r str,
    when: String,
    date: String,
    reason: &'r str,
    trigger: &'r str,
    holds: &'r str,
    marks: &'r [&'static str],
    whole: bool,
}

#[derive(Serialize)]
struct Generation<'r> {
    number: u64,
    date: String,
    nixos: &'r str,
    kernel: &'r str,
    size: String,
    is: &'r [&'static str],
    changes: Vec<Change<'r>>,
    more: usize,
}

#[derive(Serialize)]
struct Change<'r> {
    sign: char,
    word: &'static str,
    text: &'r str,
}

#[derive(Serialize)]
struct Remote<'r> {
    name: &'r str,
    newest: String,
}

fn context(report: &Report) -> Context {
    let when = |at: DateTime<Utc>| relative(report.at, at);
    let mut context = Context::new();
    context.insert("css", CSS);
    context.insert("host", &report.host);
    context.insert("version", &report.version);
    context.insert("at", &date(report.at));
    context.insert("score", &report.score);
    context.insert("healthy", &report.healthy);
    context.insert("issues", &report.issues);
    context.insert("notes", &report.notes);
    context.insert("vault", &bytes(report.vault_bytes));
    let points: Vec<Point<'_>> = report
        .points
        .iter()
        .rev()
        .map(|p| Point {
            id: &p.id,
            when: when(p.at),
            date: date(p.at),
            reason: &p.reason,
            trigger: &p.trigger,
            holds: &p.holds,
            marks: &p.marks,
            whole: p.whole,
        })
        .collect();
    context.insert("points", &points);
    let generations: Vec<Generation<'_>> = report
        .generations
        .iter()
        .rev()
        .map(|g| Generation {
            number: g.number,
            date: date(g.at),
            nixos: &g.nixos,
            kernel: &g.kernel,
            size: g.bytes.map(bytes).unwrap_or_default(),
            is: &g.is,
            changes: g
                .changes
                .iter()
                .map(|(sign, text)| Change {
                    sign: *sign,
                    word: match sign {
                        '+' => "added",
                        '-' => "removed",
                        _ => "changed",
                    },
                    text,
                })
                .collect(),
            more: g.more,
        })
        .collect();
    context.insert("generations", &generations);
    let events: Vec<Event> = report.events.iter().rev().map(event).collect();
    context.insert("events", &events);
    let remotes: Vec<Remote<'_>> = report
        .remotes
        .iter()
        .map(|(name, newest)| Remote {
            name,
            newest: newest.map_or_else(|| "none yet".to_owned(), when),
        })
        .collect();
    context.insert("remotes", &remotes);
    context.insert("timeline", &Timeline::of(report));
    context.insert("health", &Chart::health(report));
    context.insert("sizes", &Chart::sizes(report));
    context
}

fn event(event: &EventLine) -> Event {
    Event {
        date: date(event.at),
        kind: event.kind.as_str(),
        what: event.what.clone(),
        how: how(event.kind, event.good),
    }
}

/// How something went, in a word.
fn how(kind: Kind, good: Option<bool>) -> &'static str {
    match (kind, good) {
        (_, Some(true)) => "well",
        (Kind::Point, Some(false)) => "partial",
        (_, Some(false)) => "bad",
        (_, None) => "",
    }
}

/// The page: one file, which asks nothing of any other place.
///
/// # Errors
/// When a template is wrong.
pub fn html(report: &Report) -> Result<String, tera::Error> {
    let mut tera = Tera::default();
    tera.set_escape_fn(escaped);
    tera.add_raw_template("page.html", HTML)?;
    tera.render("page.html", &context(report))
}

/// Text that is nothing but text in HTML, and does nothing to a terminal.
fn escaped(text: &str) -> String {
    let shown: String = text
        .chars()
        .map(|c| match is_seen(c) {
            true => c,
            false => '\u{fffd}',
        })
        .collect();
    tera::escape_html(&shown)
}

/// Whether a character neither controls a terminal nor turns the line around.
fn is_seen(c: char) -> bool {
    let turns =
        matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    !c.is_control() && !turns
}

/// The same as Markdown, without pictures.
///
/// # Errors
/// When a template is wrong.
pub fn markdown(report: &Report) -> Result<String, tera::Error> {
    let mut tera = Tera::default();
    tera.register_filter("md", |value: &Value, _: &HashMap<String, Value>| {
        let text = match value {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        Ok(Value::String(plain(&text)))
    });
    tera.add_raw_template("page.md", MARKDOWN)?;
    tera.render("page.md", &context(report))
}

/// Text that means nothing to a reader of Markdown, and stays on its line.
fn plain(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        match c {
            c if !is_seen(c) => out.push(' '),
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '\\' | '`' | '*' | '_' | '{' | '}' | '[' | ']' | '(' | ')' | '#' | '!' | '|' | '~' => {
                out.push('\\');
                out.push(c);
            }
            c => out.push(c),
        }
    }
    out
}
