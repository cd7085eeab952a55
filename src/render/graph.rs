//! Restore points as a graph: what each came from, newest first.

use std::collections::BTreeMap;

use super::Style;
use super::point::{mark_words, system_word};
use super::style::line;
use super::table::{Cell, Table};
use crate::plan::graph;
use crate::point::id::shorten_sorted;
use crate::point::{Marks, Point, PointId};

/// The graph of points, oldest first as they are given, by what each comes from.
pub fn graph(
    points: &[(Point, Marks)],
    from: &BTreeMap<PointId, PointId>,
    style: &Style,
) -> String {
    let ids: Vec<PointId> = points.iter().map(|(point, _)| point.id).collect();
    let short = shorten_sorted(&ids);
    let last = points.len().saturating_sub(1);
    let place = |id: &PointId| ids.binary_search(id).ok().map(|at| last - at);
    let origins: Vec<Option<usize>> = ids
        .iter()
        .rev()
        .map(|id| from.get(id).and_then(place))
        .collect();
    let mut table = Table::new(["", "ID", "WHEN", "SYSTEM", "MARKS", "REASON"]).may_drop([3, 4]);
    for row in graph::lines(&origins) {
        let Some((point, marks)) = row.point.and_then(|at| points.get(last - at)) else {
            table.row(vec![row.lanes.into()]);
            continue;
        };
        let paint: fn(&Style, &str) -> String = match () {
            () if marks.is_bad() || marks.damaged.is_some() => |s, t| s.yellow(t),
            () if marks.is_good() => |s, t| s.green(t),
            () => |_, t| t.to_owned(),
        };
        let id = row.point.and_then(|at| short.get(last - at));
        table.row(vec![
            Cell::new(row.lanes, paint),
            Cell::new(id.cloned().unwrap_or_default(), |s, t| s.cyan(t)),
            style.when(point.created).into(),
            system_word(&point.system).into(),
            Cell::new(mark_words(point, marks), paint),
            line(&point.reason).into(),
        ]);
    }
    table.render(style)
}
