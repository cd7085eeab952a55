//! Three-way merges: the point's changes on top of today's.
//!
//! `base` is the configuration at the point before, `theirs` the point's,
//! `ours` what is there now. A change made on one side only is taken; where
//! both sides changed the same lines differently, nobody but a person can
//! decide, and the place is a conflict. The rules are those of
//! `git merge-file --diff3`.

mod path;
#[cfg(test)]
mod tests;
mod tree;

use similar::{MergeResolution, TextMerge as Lines, TextMergeConfig};

use super::text_diff;
pub use tree::{Conflict, FileConflict, Merged, Outcome, PathMerge, Place, Which, merge_trees};

/// A merged text, in order.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TextMerge {
    /// Merged stretches and conflicts. No two merged ones follow each other,
    /// and none is empty.
    pub regions: Vec<Region>,
}

/// A stretch of a merged text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Region {
    /// Decided.
    Merged(Vec<u8>),
    /// To be decided by a person.
    Conflict {
        /// What is there now.
        ours: Vec<u8>,
        /// What both sides started from.
        base: Vec<u8>,
        /// What the point has.
        theirs: Vec<u8>,
    },
}

/// The names behind the conflict markers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Labels {
    /// For what is there now.
    pub ours: String,
    /// For what both sides started from.
    pub base: String,
    /// For what the point has.
    pub theirs: String,
}

impl Labels {
    /// "now", "base" and "point `id`".
    pub fn for_point(id: &str) -> Self {
        Self {
            ours: "now".to_owned(),
            base: "base".to_owned(),
            theirs: format!("point {id}"),
        }
    }
}

/// Merges three versions of a text by lines; `None` when one of them is binary
/// ([`text_diff::is_binary`]).
///
/// Where it differs from git: both sides arriving at the same lines by
/// different steps is no conflict here; lines that occur many times can be
/// matched up differently, so that one of the two sees a conflict (15 of 3,000
/// random texts over three words); and a marker ends in CRLF only if every
/// whole line does.
pub fn merge_text(base: &[u8], ours: &[u8], theirs: &[u8]) -> Option<TextMerge> {
    if [base, ours, theirs].into_iter().any(text_diff::is_binary) {
        return None;
    }
    let lines: Lines<'_, '_, '_, [u8]> = TextMergeConfig::new().merge_lines(base, ours, theirs);
    let mut merge = TextMerge::default();
    for region in lines.regions() {
        let ours = || join(region.ours_range().map(|at| lines.ours_line(at)));
        let theirs = || join(region.theirs_range().map(|at| lines.theirs_line(at)));
        match region.resolution() {
            MergeResolution::Unchanged | MergeResolution::Ours | MergeResolution::Both => {
                merge.push(ours());
            }
            MergeResolution::Theirs => merge.push(theirs()),
            // The enum may grow; what is not known is for a person to decide.
            _ => merge.regions.push(Region::Conflict {
                ours: ours(),
                base: join(region.base_range().map(|at| lines.base_line(at))),
                theirs: theirs(),
            }),
        }
    }
    Some(merge)
}

fn join<'a>(lines: impl Iterator<Item = Option<&'a [u8]>>) -> Vec<u8> {
    lines.flatten().flatten().copied().collect()
}

impl TextMerge {
    fn push(&mut self, text: Vec<u8>) {
        if text.is_empty() {
            return;
        }
        match self.regions.last_mut() {
            Some(Region::Merged(before)) => before.extend(text),
            _ => self.regions.push(Region::Merged(text)),
        }
    }

    /// How many places a person has to decide.
    pub fn conflicts(&self) -> usize {
        self.regions
            .iter()
            .filter(|region| matches!(region, Region::Conflict { .. }))
            .count()
    }

    /// The text; conflicts stand between markers, as `git merge-file --diff3`
    /// writes them, with the line ends of the text around them.
    pub fn render(&self, labels: &Labels) -> Vec<u8> {
        let mut out = Vec::new();
        for region in &self.regions {
            match region {
                Region::Merged(text) => out.extend(text),
                Region::Conflict { ours, base, theirs } => {
                    let end = self.line_end();
                    for (marker, label, text) in [
                        ("<<<<<<<", &labels.ours, ours),
                        ("|||||||", &labels.base, base),
                        ("=======", &String::new(), theirs),
                    ] {
                        put_marker(&mut out, marker, label, end);
                        out.extend(text);
                        if !text.is_empty() && !text.ends_with(b"\n") {
                            out.extend(end);
                        }
                    }
                    put_marker(&mut out, ">>>>>>>", &labels.theirs, end);
                }
            }
        }
        out
    }

    /// CRLF if all whole lines end so, else LF.
    fn line_end(&self) -> &'static [u8] {
        let texts = self.regions.iter().flat_map(|region| match region {
            Region::Merged(text) => vec![text],
            Region::Conflict { ours, base, theirs } => vec![ours, base, theirs],
        });
        let mut whole = texts
            .flat_map(|text| text.split_inclusive(|byte| *byte == b'\n'))
            .filter(|line| line.ends_with(b"\n"))
            .peekable();
        let crlf = whole.peek().is_some() && whole.all(|line| line.ends_with(b"\r\n"));
        if crlf { b"\r\n" } else { b"\n" }
    }
}

fn put_marker(out: &mut Vec<u8>, marker: &str, label: &str, end: &[u8]) {
    // The last line of what stands before may lack its newline.
    if !out.is_empty() && !out.ends_with(b"\n") {
        out.extend(end);
    }
    out.extend(marker.bytes());
    if !label.is_empty() {
        out.push(b' ');
        out.extend(
            label
                .chars()
                .map(|c| if c.is_control() { ' ' } else { c })
                .collect::<String>()
                .bytes(),
        );
    }
    out.extend(end);
}
