//! Conflicts of a merge as text.

use super::Style;
use super::diff::plain_line;
use crate::plan::merge::FileConflict;
use crate::point::path::printable;

/// One block for each file: what is wrong with it, and where.
pub fn conflicts(found: &[FileConflict], style: &Style) -> Vec<u8> {
    let mut out = Vec::new();
    for conflict in found {
        let kinds: Vec<String> = conflict.kinds.iter().map(ToString::to_string).collect();
        let head = format!(
            "{} {}: {}\n",
            style.red("conflict"),
            style.bold(printable(&conflict.path.0)),
            kinds.join("; ")
        );
        out.extend(head.bytes());
        for place in &conflict.places {
            let parts = [
                ("<<<<<<< now", &place.ours),
                ("||||||| base", &place.base),
                ("=======", &place.theirs),
            ];
            for (marker, text) in parts {
                out.extend(format!("  {}\n", style.dim(marker)).bytes());
                for row in text.split_inclusive(|b| *b == b'\n') {
                    out.extend(b"  ");
                    out.extend(plain_line(row.strip_suffix(b"\n").unwrap_or(row), style));
                    out.push(b'\n');
                }
            }
            out.extend(format!("  {}\n", style.dim(">>>>>>> point")).bytes());
        }
    }
    out
}
