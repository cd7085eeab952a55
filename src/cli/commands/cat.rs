//! `show --cat`

use std::io::Write;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::super::Exit;
use super::super::failure::Failure;
use super::super::session::Session;
use super::super::usage::placed;
use super::config::describe;
use super::points::short;
use crate::engine::cat::{self, Found};
use crate::next::quoted;
use crate::plan::humane::bytes;
use crate::plan::text_diff::is_binary;
use crate::point::path::printable;
use crate::point::{BytePath, Point};
use crate::render::style::line;
use crate::system::terminal;
use crate::vault::EntryKind;

/// `show --cat`
pub(super) fn cat(s: &Session, point: &Point, path: &Path) -> Result<Exit, Failure> {
    let found = cat::find(&s.engine(), point, path)?;
    if s.out.json {
        s.out
            .result("entry", as_json(&found, path)?, |_| Vec::new())?;
        return Ok(Exit::Ok);
    }
    let mut out = std::io::stdout().lock();
    let Some(entry) = &found.entry else {
        out.write_all(&names(&found))?;
        return Ok(Exit::Ok);
    };
    match &entry.kind {
        EntryKind::File { size, .. } if terminal::is_output() => {
            let mut content = Vec::new();
            found.read(&mut content)?;
            if is_binary(&content) {
                return Err(Failure::Usage(format!(
                    "{} is binary ({}): send it into a file with >",
                    line(&printable(path)),
                    bytes(*size)
                )));
            }
            out.write_all(&content)?;
        }
        EntryKind::File { .. } => found.read(&mut out)?,
        EntryKind::Dir => out.write_all(&names(&found))?,
        EntryKind::Symlink { target } => {
            let to = printable(target);
            writeln!(out, "{} is a symlink to {to}", printable(path))?;
            let place = path.parent().unwrap_or(path).join(target);
            let id = short(point.id);
            if cat::find(&s.engine(), point, &plain(&place)).is_ok() {
                let next = format!("cairn show {id} --cat {}", quoted(plain(&place)));
                s.out
                    .warn(format!("{} shows what it leads to", placed(&next)));
            }
        }
        other => writeln!(out, "{} is a {}", printable(path), describe(other).0)?,
    }
    out.flush()?;
    Ok(Exit::Ok)
}

/// A path without `.` and `..`.
fn plain(path: &Path) -> std::path::PathBuf {
    let mut done = std::path::PathBuf::from("/");
    for part in path.components() {
        match part {
            std::path::Component::Normal(name) => done.push(name),
            std::path::Component::ParentDir => {
                done.pop();
            }
            _ => {}
        }
    }
    done
}

/// What is in a folder, one to a line; folders end in a slash.
fn names(found: &Found) -> Vec<u8> {
    let mut text = String::new();
    for (name, is_folder) in &found.inside {
        let slash = if *is_folder { "/" } else { "" };
        text.push_str(&format!("{}{slash}\n", printable(name)));
    }
    text.into_bytes()
}

fn as_json(found: &Found, path: &Path) -> Result<Value, Failure> {
    let inside: Vec<BytePath> = found
        .inside
        .iter()
        .map(|(n, _)| BytePath(n.clone()))
        .collect();
    let mut value = json!({ "path": BytePath(path.to_owned()), "kind": "folder" });
    let Some(entry) = &found.entry else {
        value["entries"] = json!(inside);
        return Ok(value);
    };
    let (kind, size) = describe(&entry.kind);
    value["kind"] = json!(kind);
    value["mode"] = json!(format!("{:04o}", entry.mode));
    value["uid"] = json!(entry.uid);
    value["gid"] = json!(entry.gid);
    match &entry.kind {
        EntryKind::File { .. } => {
            let mut content = Vec::new();
            found.read(&mut content)?;
            value["bytes"] = json!(size);
            match String::from_utf8(content) {
                Ok(text) => value["text"] = json!(text),
                Err(e) => value["base64"] = json!(STANDARD.encode(e.as_bytes())),
            }
        }
        EntryKind::Dir => value["entries"] = json!(inside),
        EntryKind::Symlink { target } => value["target"] = json!(BytePath(target.clone())),
        _ => {}
    }
    Ok(value)
}
