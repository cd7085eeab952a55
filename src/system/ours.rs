//! Names that cairn itself gives beside what others keep: what it stages, its
//! private folders, snapshots of a file system. A crash may leave them, so
//! captures and listings pass over them — and over nothing else: a file that
//! somebody called `.cairn-notes` is theirs.

use std::ffi::OsStr;

/// What all of them begin with.
pub const PREFIX: &str = ".cairn-";

/// What the name of a filesystem's snapshot goes on with.
pub const SNAPSHOT: &str = "snapshot-";

/// Whether a name is one that cairn gives: `.cairn-<id>-<what>`, or
/// `.cairn-snapshot-<id>-<number>`.
pub fn is_ours(name: &OsStr) -> bool {
    let Some(rest) = name.to_str().and_then(|name| name.strip_prefix(PREFIX)) else {
        return false;
    };
    match rest.strip_prefix(SNAPSHOT) {
        Some(rest) => of_id(rest).is_some_and(is_number),
        None => of_id(rest).is_some_and(|what| {
            !what.is_empty()
                && what
                    .bytes()
                    .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
        }),
    }
}

/// Whether a name is one that staging gives: `.cairn-<id>-<number>`, or
/// `.cairn-<id>-link`. Nothing else is ever swept away.
pub fn is_staged(name: &OsStr) -> bool {
    name.to_str()
        .and_then(|name| of_id(name.strip_prefix(PREFIX)?))
        .is_some_and(|what| is_number(what) || what == "link")
}

/// What follows the id and a dash.
fn of_id(text: &str) -> Option<&str> {
    let (id, what) = text.split_once('-')?;
    let hex = id.len() == 32 && id.bytes().all(|b| b.is_ascii_hexdigit());
    hex.then_some(what)
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_that_we_give_are_ours() {
        let id = "0198c0de".repeat(4);
        for staged in [format!(".cairn-{id}-0"), format!(".cairn-{id}-link")] {
            assert!(is_staged(OsStr::new(&staged)) && is_ours(OsStr::new(&staged)));
        }
        for ours in [
            format!(".cairn-{id}-export"),
            format!(".cairn-snapshot-{id}-12"),
        ] {
            assert!(is_ours(OsStr::new(&ours)), "{ours}");
            assert!(!is_staged(OsStr::new(&ours)), "{ours}");
        }
        for theirs in [
            ".cairn-notes".to_owned(),
            ".cairn-".to_owned(),
            ".cairn-0123-0".to_owned(),
            ".cairn-snapshot-mine".to_owned(),
            format!(".cairn-{id}"),
            format!(".cairn-{id}-"),
            format!(".cairn-{id}-0.bak"),
            format!(".cairn-snapshot-{id}-"),
            format!("x.cairn-{id}-0"),
        ] {
            let name = OsStr::new(&theirs);
            assert!(!is_staged(name) && !is_ours(name), "{theirs}");
        }
    }
}
