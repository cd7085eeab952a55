//! Conflicts of a merge as text.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use crate::plan::merge::FileConflict;
use crate::point::path::printable;

/// One block for each file: what is wrong with it, and where. The files' own
/// control characters are escaped.
pub fn conflicts(found: &[FileConflict]) -> String {
    let mut out = String::new();
    for conflict in found {
        let kinds: Vec<String> = conflict.kinds.iter().map(ToString::to_string).collect();
        let path = printable(&conflict.path.0);
        out.push_str(&format!("conflict {path}: {}\n", kinds.join("; ")));
        for place in &conflict.places {
            let parts = [
                ("<<<<<<< now", &place.ours),
                ("||||||| base", &place.base),
                ("=======", &place.theirs),
            ];
            for (marker, text) in parts {
                out.push_str(&format!("  {marker}\n"));
                for row in text.split_inclusive(|b| *b == b'\n') {
                    let row = row.strip_suffix(b"\n").unwrap_or(row);
                    let row = printable(Path::new(OsStr::from_bytes(row)));
                    out.push_str(&format!("  {}\n", row.replace("\\t", "\t")));
                }
            }
            out.push_str("  >>>>>>> point\n");
        }
    }
    out
}
