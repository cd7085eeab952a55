//! Picking a restore point from a list.

use super::super::failure::Failure;
use super::super::session::Session;
use crate::point::{Point, Selector};
use crate::render;
use crate::render::style::line;
use crate::render::table::cut;
use crate::system::picker::{self, Choice};

/// The point a person picks, beginning at the latest; `None` when there is
/// none to pick from.
pub(super) fn point(s: &Session) -> Result<Option<Point>, Failure> {
    let engine = s.engine();
    if !s.dry_run() {
        engine.check_finished()?;
    }
    let mut catalogue = engine.catalogue()?;
    for d in &catalogue.damaged {
        let file = line(&d.file.to_string_lossy());
        s.out
            .warn(format!("{file} cannot be read: {}", line(&d.why)));
    }
    let latest = engine
        .select_in(&catalogue, &Selector::Latest(0))
        .ok()
        .map(|point| point.id);
    let rows = render::point::rows(&catalogue.points, &s.out.style);
    if rows.is_empty() {
        return Ok(None);
    }
    let choices = rows.into_iter().map(|line| Choice { line, cut }).collect();
    // The list is newest first.
    catalogue.points.reverse();
    let mut points = catalogue.points.into_iter().map(|(point, _)| point);
    let start = points.clone().position(|p| Some(p.id) == latest);
    let colour = s.out.style.colour;
    let picked = picker::pick("Restore which point?", choices, start.unwrap_or(0), colour)?;
    match picked.and_then(|n| points.nth(n)) {
        Some(point) => Ok(Some(point)),
        None => Err(Failure::NotPicked),
    }
}
