//! Remotes and what is on them, as text.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};

use super::point;
use super::style::Style;
use super::style::line;
use super::table::{Cell, Table};
use crate::point::id::shorten;
use crate::point::{Marks, Point, PointId};

/// A remote and what is known of it here.
#[derive(Clone, Debug)]
pub struct Line {
    /// Its name.
    pub name: String,
    /// Its address.
    pub address: String,
    /// When the newest copy of this machine's points was taken.
    pub newest: Option<DateTime<Utc>>,
    /// Why the last try failed.
    pub trouble: Option<String>,
}

/// The remotes there are.
pub fn remotes(lines: &[Line], style: &Style) -> String {
    let mut table = Table::new(["remote", "newest copy", "address"]).may_drop([1]);
    for remote in lines {
        let newest = match (&remote.newest, &remote.trouble) {
            (Some(at), _) => style.when(*at),
            (None, _) => "none yet".to_owned(),
        };
        table.row(vec![
            Cell::new(&remote.name, |s, t| s.cyan(t)),
            newest.into(),
            line(&remote.address).into(),
        ]);
    }
    let mut text = table.render(style);
    for remote in lines {
        if let Some(trouble) = &remote.trouble {
            let what = format!("  {}: {}", remote.name, line(trouble));
            text.push_str(&format!("{}\n", style.yellow(what)));
        }
    }
    text
}

/// The machines that have points on a remote.
pub fn hosts(points: &[(&Point, &Marks)], style: &Style) -> String {
    let mut hosts: BTreeMap<&str, Vec<&Point>> = BTreeMap::new();
    for (point, _) in points {
        hosts.entry(&point.host).or_default().push(point);
    }
    let mut table = Table::new(["machine", "points", "newest", "its reason"]);
    for (host, points) in hosts {
        let newest = points.iter().max_by_key(|p| p.id);
        table.row(vec![
            Cell::new(line(host), |s, t| s.cyan(t)),
            points.len().to_string().into(),
            newest
                .map_or_else(String::new, |p| style.when(p.created))
                .into(),
            newest.map_or_else(String::new, |p| line(&p.reason)).into(),
        ]);
    }
    table.render(style)
}

/// Points on a remote, newest first.
pub fn points(points: &[(&Point, &Marks)], style: &Style) -> String {
    let mut table = Table::new(["id", "machine", "taken", "holds", "reason"]).may_drop([3, 1]);
    let ids: Vec<PointId> = points.iter().map(|(point, _)| point.id).collect();
    for ((one, marks), id) in points.iter().zip(shorten(&ids)).rev() {
        let mut holds = Vec::new();
        if let Some(config) = &one.config {
            holds.push(point::config_word(config));
        }
        if !one.state.is_empty() {
            holds.push(point::state_word(&one.state));
        }
        let mut reason = line(&one.reason);
        if marks.is_pinned() {
            reason = format!("pinned · {reason}");
        }
        table.row(vec![
            Cell::new(id, |s, t| s.cyan(t)),
            line(&one.host).into(),
            style.when(one.created).into(),
            holds.join(", ").into(),
            reason.into(),
        ]);
    }
    table.render(style)
}
