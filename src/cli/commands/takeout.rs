//! `restore --to`

use std::path::Path;

use serde_json::json;

use super::super::Exit;
use super::super::failure::Failure;
use super::super::session::Session;
use super::points::short;
use crate::engine::takeout::{self, TakenOut};
use crate::plan::humane::{bytes, were};
use crate::point::Point;
use crate::point::path::printable;
use crate::render::style::count;
use crate::system::journal::Scope;

/// Lost owners that are told one by one.
const TOLD: usize = 10;

/// `restore --to`
pub(super) fn take_out(
    s: &Session,
    point: &Point,
    scope: &Scope,
    to: &Path,
) -> Result<Exit, Failure> {
    // Without a slash at its end, and without `.` in it.
    let to: std::path::PathBuf = to.components().collect();
    let engine = s.engine();
    let out = match s.dry_run() {
        true => takeout::preview(&engine, point, scope, &to)?,
        false => takeout::take_out(&engine, point, scope, &to)?,
    };
    if !point.is_complete() {
        s.out.warn(format!(
            "the point is partial: {} not captured",
            were(point.completeness.missing().len())
        ));
    }
    tell(s, point, &out, &to)?;
    Ok(match out.lost.is_empty() {
        true => Exit::Ok,
        false => Exit::Partial,
    })
}

fn tell(s: &Session, point: &Point, out: &TakenOut, to: &Path) -> Result<(), Failure> {
    let lost: Vec<_> = out
        .lost
        .iter()
        .map(|l| json!({ "path": l.path, "what": l.what }))
        .collect();
    let value = json!({
        "goal": short(point.id), "to": crate::point::BytePath(to.to_owned()),
        "written": !s.dry_run(), "files": out.files, "folders": out.folders,
        "others": out.others, "bytes": out.bytes, "lost": lost,
    });
    for l in out.lost.iter().take(TOLD) {
        s.out.warn(format!("{} lost its {}", l.path, l.what));
    }
    if let Some(more) = out.lost.len().checked_sub(TOLD).filter(|n| *n > 0) {
        s.out.warn(format!("and {more} more (--json has them all)"));
    }
    s.out.result("takeOut", value, |style| {
        let (head, foot) = match s.dry_run() {
            true => ("would bring out", "nothing was written: this is a dry run"),
            false => (
                "brought out",
                "nothing was replaced, so no undo point was taken",
            ),
        };
        format!(
            "{head} {}: {}, {} in {}\n{}\n",
            style.cyan(short(point.id)),
            count(out.files, "file"),
            bytes(out.bytes),
            printable(to),
            style.dim(foot)
        )
        .into_bytes()
    })?;
    Ok(())
}
