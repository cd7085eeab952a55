//! Unified diffs of two versions of a file.
//!
//! Lines end at `\n` and nowhere else, as `patch` sees them: a `\r` is part of
//! its line, so files with CRLF or mixed ends come through unchanged. Hunks are
//! data for a renderer with colour; [`render()`] is the plain one, and what it
//! writes is accepted by `patch` unless a line limit cut it short.

mod render;
#[cfg(test)]
pub(super) mod tests;

use std::path::{Path, PathBuf};

use similar::{Algorithm, DiffOp, capture_diff_slices, group_diff_ops};

pub use render::{RenderOptions, render};

/// One version of a file.
#[derive(Debug, Clone, Copy)]
pub struct Side<'a> {
    /// Its path, as the header shows it. A leading `/` is left out there, as
    /// `patch` refuses absolute names.
    pub path: &'a Path,
    /// Which version this is, for example `point 0197a3` or `now`.
    pub label: &'a str,
    /// Its bytes; `None` when the file does not exist on this side.
    pub content: Option<&'a [u8]>,
}

/// What the header says of one side.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// The file's path; `None` when it does not exist on this side.
    pub path: Option<PathBuf>,
    /// Which version this is.
    pub label: String,
}

/// The difference between two versions of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileDiff {
    /// The side of the removed lines.
    pub old: Header,
    /// The side of the added lines.
    pub new: Header,
    /// What differs.
    pub body: Body,
}

impl FileDiff {
    /// How many lines were added and removed; `None` for what is no text.
    pub fn lines(&self) -> Option<(usize, usize)> {
        let Body::Text(hunks) = &self.body else {
            return matches!(self.body, Body::Same).then_some((0, 0));
        };
        let lines = hunks.iter().flat_map(|hunk| &hunk.lines);
        let count = |tag| lines.clone().filter(|line| line.tag == tag).count();
        Some((count(Tag::Added), count(Tag::Removed)))
    }
}

/// What differs between two versions of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Body {
    /// Nothing in the content. The file may still exist on one side only.
    Same,
    /// They differ, and at least one is not text.
    Binary {
        /// Bytes of the old version, 0 when it does not exist.
        old: u64,
        /// Bytes of the new version, 0 when it does not exist.
        new: u64,
    },
    /// They differ in these places, in order.
    Text(Vec<Hunk>),
}

/// One place of difference with its surroundings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hunk {
    /// First line on the old side, counted from 1; where there is none, the
    /// line before (so 0 at the very start).
    pub old_start: usize,
    /// Lines on the old side.
    pub old_len: usize,
    /// First line on the new side, as for the old.
    pub new_start: usize,
    /// Lines on the new side.
    pub new_len: usize,
    /// The lines, removed before added.
    pub lines: Vec<Line>,
}

/// A line of a hunk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Whether it was there, is there, or both.
    pub tag: Tag,
    /// Its bytes without the final `\n`.
    pub text: Vec<u8>,
    /// Whether it ends in `\n`; false only for the last line of a file.
    pub newline: bool,
}

/// Which sides a line is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tag {
    /// Both.
    Context,
    /// Only the old one.
    Removed,
    /// Only the new one.
    Added,
}

/// Whether content counts as binary: a zero byte among the first 8,000, the
/// rule of git.
pub fn is_binary(content: &[u8]) -> bool {
    content.iter().take(8_000).any(|byte| *byte == 0)
}

/// Compares two versions of a file, with `context` unchanged lines around each
/// difference (3 is usual).
pub fn diff(old: Side<'_>, new: Side<'_>, context: usize) -> FileDiff {
    let (before, after) = (
        old.content.unwrap_or_default(),
        new.content.unwrap_or_default(),
    );
    let body = if before == after {
        Body::Same
    } else if is_binary(before) || is_binary(after) {
        Body::Binary {
            old: before.len() as u64,
            new: after.len() as u64,
        }
    } else {
        Body::Text(hunks(&lines(before), &lines(after), context))
    };
    FileDiff {
        old: header(old),
        new: header(new),
        body,
    }
}

fn header(side: Side<'_>) -> Header {
    Header {
        path: side.content.map(|_| side.path.to_owned()),
        label: side.label.to_owned(),
    }
}

fn lines(content: &[u8]) -> Vec<&[u8]> {
    content.split_inclusive(|byte| *byte == b'\n').collect()
}

fn hunks(old: &[&[u8]], new: &[&[u8]], context: usize) -> Vec<Hunk> {
    let ops = capture_diff_slices(Algorithm::Myers, old, new);
    group_diff_ops(ops, context)
        .iter()
        .map(|group| hunk(group, old, new))
        .collect()
}

fn hunk(group: &[DiffOp], old: &[&[u8]], new: &[&[u8]]) -> Hunk {
    let mut lines = Vec::new();
    let (mut old_len, mut new_len) = (0, 0);
    for op in group {
        let (before, after) = (op.old_range(), op.new_range());
        old_len += before.len();
        new_len += after.len();
        if let DiffOp::Equal { .. } = op {
            lines.extend(old[before].iter().map(|line| Line::new(Tag::Context, line)));
        } else {
            lines.extend(old[before].iter().map(|line| Line::new(Tag::Removed, line)));
            lines.extend(new[after].iter().map(|line| Line::new(Tag::Added, line)));
        }
    }
    let (old_at, new_at) = group
        .first()
        .map_or((0, 0), |op| (op.old_range().start, op.new_range().start));
    Hunk {
        old_start: old_at + usize::from(old_len > 0),
        old_len,
        new_start: new_at + usize::from(new_len > 0),
        new_len,
        lines,
    }
}

impl Line {
    fn new(tag: Tag, line: &[u8]) -> Self {
        let text = line.strip_suffix(b"\n");
        Self {
            tag,
            text: text.unwrap_or(line).to_vec(),
            newline: text.is_some(),
        }
    }
}
