//! A diff as plain text.

use std::os::unix::ffi::OsStrExt;

use super::{Body, FileDiff, Header, Hunk, Line, Tag};
use crate::plan::humane;

/// How a diff is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RenderOptions {
    /// Put `a/` and `b/` before the paths, as git does (`patch -p1`).
    pub prefixes: bool,
    /// Stop after this many lines below the header and say how many are left
    /// out. What is cut short is for reading, not for `patch`.
    pub max_lines: Option<usize>,
}

/// Writes a diff as text, in the bytes of the files. Nothing differs: nothing
/// is written.
pub fn render(diff: &FileDiff, options: &RenderOptions) -> Vec<u8> {
    let old = name(&diff.old, options.prefixes.then_some("a/"));
    let new = name(&diff.new, options.prefixes.then_some("b/"));
    let mut out = Vec::new();
    match &diff.body {
        Body::Same => match (&diff.old.path, &diff.new.path) {
            (None, Some(_)) => put(&mut out, &[b"Empty file ", &new, b" added\n"]),
            (Some(_), None) => put(&mut out, &[b"Empty file ", &old, b" removed\n"]),
            _ => {}
        },
        Body::Binary {
            old: before,
            new: after,
        } => {
            let sizes = match (&diff.old.path, &diff.new.path) {
                (None, _) => humane::bytes(*after),
                (_, None) => humane::bytes(*before),
                _ => format!("{} → {}", humane::bytes(*before), humane::bytes(*after)),
            };
            put(
                &mut out,
                &[b"Binary files ", &old, b" and ", &new, b" differ ("],
            );
            put(&mut out, &[sizes.as_bytes(), b")\n"]);
        }
        Body::Text(hunks) => {
            put(&mut out, &[b"--- ", &old, &suffix(&diff.old, &old), b"\n"]);
            put(&mut out, &[b"+++ ", &new, &suffix(&diff.new, &new), b"\n"]);
            let lines = hunks.iter().flat_map(hunk_lines);
            let limit = options.max_lines.unwrap_or(usize::MAX);
            let mut left_out = 0usize;
            for (place, line) in lines.enumerate() {
                if place < limit {
                    put(&mut out, &[&line]);
                } else {
                    left_out += 1;
                }
            }
            if left_out > 0 {
                let lines = if left_out == 1 { "line" } else { "lines" };
                put(
                    &mut out,
                    &[format!("… {left_out} more {lines}\n").as_bytes()],
                );
            }
        }
    }
    out
}

fn put(out: &mut Vec<u8>, parts: &[&[u8]]) {
    for part in parts {
        out.extend_from_slice(part);
    }
}

fn hunk_lines(hunk: &Hunk) -> impl Iterator<Item = Vec<u8>> {
    let old = range(hunk.old_start, hunk.old_len);
    let new = range(hunk.new_start, hunk.new_len);
    std::iter::once(format!("@@ -{old} +{new} @@\n").into_bytes())
        .chain(hunk.lines.iter().flat_map(line))
}

/// The line, and git's remark when its newline is missing.
fn line(line: &Line) -> impl Iterator<Item = Vec<u8>> {
    let sign = match line.tag {
        Tag::Context => b' ',
        Tag::Removed => b'-',
        Tag::Added => b'+',
    };
    let text = [&[sign], line.text.as_slice(), b"\n"].concat();
    let remark = (!line.newline).then(|| b"\\ No newline at end of file\n".to_vec());
    std::iter::once(text).chain(remark)
}

fn range(start: usize, len: usize) -> String {
    if len == 1 {
        start.to_string()
    } else {
        format!("{start},{len}")
    }
}

/// The path as the header shows it, or `/dev/null`. Quoted as git and GNU
/// patch quote where a bare name would be misread.
fn name(header: &Header, prefix: Option<&str>) -> Vec<u8> {
    let Some(path) = &header.path else {
        return b"/dev/null".to_vec();
    };
    let bytes = path.as_os_str().as_bytes();
    let bare = bytes
        .iter()
        .position(|byte| *byte != b'/')
        .map_or(&[][..], |at| &bytes[at..]);
    let full = [prefix.unwrap_or_default().as_bytes(), bare].concat();
    let text = std::str::from_utf8(&full);
    let plain = text.is_ok_and(|text| !text.chars().any(|c| c.is_control() || "\"\\".contains(c)));
    if plain {
        full
    } else {
        quoted(&full, text.is_ok())
    }
}

fn quoted(path: &[u8], utf8: bool) -> Vec<u8> {
    let mut out = vec![b'"'];
    for &byte in path {
        match byte {
            b'"' | b'\\' => out.extend([b'\\', byte]),
            b'\n' => out.extend(b"\\n"),
            b'\t' => out.extend(b"\\t"),
            b'\r' => out.extend(b"\\r"),
            0x20..=0x7e => out.push(byte),
            0x80.. if utf8 => out.push(byte),
            _ => out.extend(format!("\\{byte:03o}").into_bytes()),
        }
    }
    out.push(b'"');
    out
}

/// The label after a tab, where `diff` puts the time. A name with blanks needs
/// the tab in any case.
fn suffix(header: &Header, name: &[u8]) -> Vec<u8> {
    let label: String = header
        .label
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    if label.is_empty() && !name.contains(&b' ') {
        Vec::new()
    } else {
        format!("\t{label}").into_bytes()
    }
}
