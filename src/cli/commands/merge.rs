//! `restore --merge`: show the plan and the conflicts, refuse those that were
//! not allowed, carry the rest out as any restore.

use serde_json::{Value, json};

use super::super::Exit;
use super::super::failure::Failure;
use super::super::session::Session;
use super::restore::{carry_out, plan_json};
use crate::engine::merge::{self, Ask, Merge};
use crate::plan::merge::FileConflict;
use crate::point::path::printable;
use crate::point::{BytePath, Point};
use crate::render;
use crate::system::journal::Scope;

/// `restore --merge`
pub(super) fn merge(
    s: &Session,
    point: Point,
    paths: Vec<BytePath>,
    keep_added: bool,
    ask: Ask,
) -> Result<Exit, Failure> {
    let scope = Scope {
        config: true,
        paths,
        keep_added,
        ..Scope::default()
    };
    let plan = merge::plan(&s.engine(), point, &scope, ask)?;
    let Some(found) = &plan.merge else {
        return carry_out(s, plan, "merge");
    };
    merge::check(&plan)?;
    if !found.conflicts.is_empty() {
        s.out
            .say(render::merge::conflicts(&found.conflicts).trim_end())?;
    }
    if plan.is_empty() && !found.conflicts.is_empty() {
        // What cannot be written into a text stays as it is now.
        s.out.result("merge", plan_json(&plan), |_| {
            b"what is there now stays: there is nothing to write\n".to_vec()
        })?;
        return Ok(Exit::Partial);
    }
    carry_out(s, plan, "merge")
}

/// A merge as `--json` prints it, in its plan.
pub(super) fn as_json(merge: &Merge) -> Value {
    json!({
        "bases": merge.bases,
        "conflicts": merge.conflicts.iter().map(conflict).collect::<Vec<_>>(),
        "allowConflicts": merge.ask.allow_conflicts,
    })
}

/// One file's conflicts, for programs.
pub(in crate::cli) fn conflict(found: &FileConflict) -> Value {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let places: Vec<Value> = found
        .places
        .iter()
        .map(|p| json!({ "ours": text(&p.ours), "base": text(&p.base), "theirs": text(&p.theirs) }))
        .collect();
    let kinds: Vec<Value> = found
        .kinds
        .iter()
        .map(|kind| json!({ "kind": kind.name(), "text": kind.to_string() }))
        .collect();
    json!({ "path": found.path, "file": printable(&found.path.0), "kinds": kinds, "places": places })
}
