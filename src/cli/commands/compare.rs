//! `diff`

use serde_json::{Value, json};

use super::super::Exit;
use super::super::args::Diff;
use super::super::failure::Failure;
use super::super::session::Session;
use crate::engine::diff;
use crate::nix::closure::ClosureDiff;
use crate::plan::comparison::{self, FileChange};
use crate::plan::text_diff::{RenderOptions, render as render_text};
use crate::plan::tree_diff::What;
use crate::point::Selector;
use crate::render;

/// `diff`
pub(super) fn diff(s: &Session, args: &Diff) -> Result<Exit, Failure> {
    let (from, to) = ends(args)?;
    let engine = s.engine();
    let from = diff::end(&engine, Some(&from))?;
    let to = diff::end(&engine, to.as_ref())?;
    let paths: Vec<_> = args
        .paths
        .iter()
        .map(|p| s.logical(p))
        .collect::<Result<_, _>>()?;
    let found = diff::diff(&engine, &from, &to, &paths)?;
    let mut value = as_json(&found);
    if args.stat {
        value["stat"] = stat_json(&found);
    }
    s.out.result("diff", value, |style| match args.stat {
        true => render::diff::stat(&found, style).into_bytes(),
        false => render::diff::diff(&found, style),
    })?;
    Ok(Exit::Ok)
}

fn ends(args: &Diff) -> Result<(Selector, Option<Selector>), Failure> {
    match (args.from.split_once(".."), &args.to) {
        (Some((a, b)), None) => Ok((a.parse()?, if b == "now" { None } else { Some(b.parse()?) })),
        (Some(_), Some(_)) => Err(Failure::Usage("give A..B or A B, not both".to_owned())),
        (None, to) => Ok((args.from.parse()?, to.clone())),
    }
}

/// A comparison as `--json` prints it.
pub(super) fn as_json(diff: &comparison::Diff) -> Value {
    let system = diff.system.as_ref().map(|s| {
        json!({
            "from": s.from, "to": s.to, "note": s.note,
            "closure": s.closure.as_ref().map(closure),
        })
    });
    let state: Vec<Value> = diff
        .state
        .iter()
        .map(|(name, set)| {
            let changes: Vec<Value> = set
                .changes
                .iter()
                .map(|(path, what)| json!({ "path": path, "change": change_json(what) }))
                .collect();
            json!({
                "name": name, "fromBytes": set.before, "toBytes": set.after, "changes": changes,
            })
        })
        .collect();
    json!({
        "from": diff.labels.0, "to": diff.labels.1,
        "same": diff.is_empty(),
        "system": system,
        "config": diff.config.iter().map(file).collect::<Vec<_>>(),
        "state": state,
    })
}

/// How many lines came and went, of each text and of all.
fn stat_json(diff: &comparison::Diff) -> Value {
    let one = |file: &FileChange| {
        let lines = file.text.as_ref().and_then(|t| t.lines());
        json!({
            "path": file.path, "added": lines.map(|(a, _)| a), "removed": lines.map(|(_, r)| r),
        })
    };
    let lines = diff.config.iter().filter_map(|f| f.text.as_ref()?.lines());
    let (added, removed) = lines.fold((0, 0), |(a, r), (x, y)| (a + x, r + y));
    json!({
        "files": diff.config.iter().map(one).collect::<Vec<_>>(),
        "added": added, "removed": removed,
    })
}

/// What happened to a path, as one word and the aspects.
pub(super) fn change_json(what: &What) -> Value {
    match what {
        What::Added => json!({ "kind": "added" }),
        What::Removed => json!({ "kind": "removed" }),
        What::Modified(m) => json!({
            "kind": "modified", "content": m.content, "mode": m.mode,
            "owner": m.owner, "xattrs": m.xattrs,
        }),
        What::TypeChanged { from, to } => json!({
            "kind": "type-changed", "from": from.to_string(), "to": to.to_string(),
        }),
    }
}

fn file(change: &FileChange) -> Value {
    let text = change
        .text
        .as_ref()
        .map(|t| String::from_utf8_lossy(&render_text(t, &RenderOptions::default())).into_owned());
    json!({ "path": change.path, "change": change_json(&change.what), "text": text })
}

fn closure(diff: &ClosureDiff) -> Value {
    let packages = |list: &[crate::nix::closure::Package]| -> Vec<Value> {
        list.iter()
            .map(|p| json!({ "name": p.name, "versions": p.versions, "bytes": p.size }))
            .collect()
    };
    let changed: Vec<Value> = diff
        .changed
        .iter()
        .map(|p| {
            json!({
                "name": p.name, "oldVersions": p.old_versions, "newVersions": p.new_versions,
                "oldBytes": p.old_size, "newBytes": p.new_size,
            })
        })
        .collect();
    json!({
        "added": packages(&diff.added), "removed": packages(&diff.removed), "changed": changed,
        "bytesBefore": diff.size_before, "bytesAfter": diff.size_after,
    })
}
