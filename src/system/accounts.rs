//! The names of users and groups, as the root's own files have them.

use std::collections::BTreeMap;
use std::fs;

use super::Layout;
use crate::point::parcel::Owners;

/// Names by number; nothing where the files cannot be read.
pub fn read(layout: &Layout) -> Owners {
    Owners {
        users: names(layout, "/etc/passwd"),
        groups: names(layout, "/etc/group"),
    }
}

/// Both files have the name first and the number third.
fn names(layout: &Layout, file: &str) -> BTreeMap<u32, String> {
    let text = fs::read_to_string(layout.follow(file)).unwrap_or_default();
    let mut found = BTreeMap::new();
    for line in text.lines() {
        let mut parts = line.split(':');
        if let (Some(name), Some(number)) = (parts.next(), parts.nth(1))
            && let Ok(number) = number.parse()
        {
            // The first name of a number is the one that is shown.
            found.entry(number).or_insert_with(|| name.to_owned());
        }
    }
    found
}
