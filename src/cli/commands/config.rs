//! `config backup|list|restore`: the configuration on its own.

use serde_json::json;

use super::super::Exit;
use super::super::args::{Config, Part, Restore};
use super::super::failure::Failure;
use super::super::out::Items;
use super::super::session::Session;
use super::super::usage::hint;
use super::points::{self, Entry, short};
use super::{keep, restore};
use crate::engine::config;
use crate::engine::create::{self, AskState, Request};
use crate::plan::humane::bytes;
use crate::point::{BytePath, Marks, Selector};
use crate::render::Style;
use crate::render::style::{count, date, line};
use crate::render::table::{Cell, Table};
use crate::vault::EntryKind;

/// Runs one of them.
pub(super) fn run(s: &Session, args: Config) -> Result<Exit, Failure> {
    match args {
        Config::Backup { reason, no_prune } => backup(s, reason, no_prune),
        Config::List { point: None } => list(s),
        Config::List { point: Some(point) } => files(s, &point),
        Config::Restore {
            point,
            paths,
            keep_added,
            to,
            merge,
            merge_base,
            allow_conflicts,
        } => restore::restore(
            s,
            Restore {
                point: Some(point),
                paths,
                only: Some(Part::Config),
                keep_added,
                to,
                merge,
                merge_base,
                allow_conflicts,
                ..Restore::default()
            },
        ),
    }
}

fn backup(s: &Session, reason: String, no_prune: bool) -> Result<Exit, Failure> {
    let mut request = Request::manual(points::short_enough(reason)?);
    request.state = AskState::Named(Vec::new());
    if s.dry_run() {
        return points::preview(s, &request);
    }
    s.begin_work();
    let created = create::create(&s.engine(), &request)?;
    let exit = points::tell_created(&s.out, &created, &Marks::default())?;
    if !no_prune {
        let pruned = keep::automatic(s)?;
        if !pruned.removed.is_empty() {
            s.out.say(format!(
                "{} removed",
                count(pruned.removed.len(), "old point")
            ))?;
        }
    }
    Ok(exit)
}

fn list(s: &Session) -> Result<Exit, Failure> {
    let mut catalogue = s.engine().catalogue()?;
    catalogue.points.retain(|(p, _)| p.config.is_some());
    let entries: Vec<Entry<'_>> = catalogue
        .points
        .iter()
        .map(|(p, m)| Entry::new(p, m))
        .collect();
    s.out.result(
        "points",
        Items {
            items: &entries,
            other: json!({}),
        },
        |style| {
            let mut table =
                Table::new(["ID", "TAKEN", "FILES", "SIZE", "HASH", "REASON"]).may_drop([4, 2]);
            for (point, _) in catalogue.points.iter().rev() {
                let Some(config) = &point.config else {
                    continue;
                };
                table.row(vec![
                    Cell::new(short(point.id), |s, t| s.cyan(t)),
                    date(point.created).into(),
                    config.files.to_string().into(),
                    bytes(config.bytes).into(),
                    line(config.hash.get(..12).unwrap_or(&config.hash)).into(),
                    line(&point.reason).into(),
                ]);
            }
            if catalogue.points.is_empty() {
                let next = hint(&"cairn config backup".into());
                return format!("no configuration was captured yet\n{next}").into_bytes();
            }
            table.render(style).into_bytes()
        },
    )?;
    Ok(Exit::Ok)
}

fn files(s: &Session, selector: &Selector) -> Result<Exit, Failure> {
    let engine = s.engine();
    let point = engine.select(selector)?;
    let entries = config::entries(&engine, &point)?;
    let value: Vec<_> = entries
        .iter()
        .map(|e| {
            let (kind, size) = describe(&e.kind);
            json!({
                "path": BytePath(e.path.clone()), "kind": kind, "bytes": size,
                "mode": format!("{:04o}", e.mode), "uid": e.uid, "gid": e.gid,
            })
        })
        .collect();
    s.out.result("files", value, |style: &Style| {
        let mut table = Table::new(["MODE", "OWNER", "SIZE", "PATH"]);
        for e in &entries {
            let (kind, size) = describe(&e.kind);
            table.row(vec![
                format!("{:04o}", e.mode).into(),
                format!("{}:{}", e.uid, e.gid).into(),
                size.map_or_else(|| kind.to_owned(), bytes).into(),
                BytePath(e.path.clone()).to_string().into(),
            ]);
        }
        table.render(style).into_bytes()
    })?;
    Ok(Exit::Ok)
}

/// An entry's kind in a word, and the size of a file.
pub(super) fn describe(kind: &EntryKind) -> (&'static str, Option<u64>) {
    match kind {
        EntryKind::File { size, .. } => ("file", Some(*size)),
        EntryKind::Dir => ("folder", None),
        EntryKind::Symlink { .. } => ("link", None),
        EntryKind::Fifo => ("pipe", None),
        EntryKind::Socket => ("socket", None),
        EntryKind::Char { .. } | EntryKind::Block { .. } => ("device", None),
    }
}
