//! Which entry systemd-boot starts: its `loader.conf`, its entries with their
//! counters and order, and the firmware's variables that have a say.
//!
//! In this order, the first that names an entry: chosen for once; preferred,
//! which passes over entries that were given up; default; the first of all
//! when nothing is named.

use std::cmp::Ordering;

use super::{glob, init_of, value, version_order};
use crate::nix::store_path::StorePath;

/// An entry (Boot Loader Specification, type 1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its file's name in lower case, without the counter: what patterns match.
    pub id: String,
    /// Tries left and done, when its boots are counted.
    pub tries: Option<(u32, u32)>,
    /// What it starts, when that is a NixOS system.
    pub toplevel: Option<StorePath>,
    sort_key: Option<String>,
    machine_id: Option<String>,
    version: Option<String>,
}

/// What the firmware remembers for systemd-boot.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Variables {
    /// `LoaderEntryOneShot`: for the next boot only.
    pub one_shot: Option<String>,
    /// `LoaderEntryPreferred`.
    pub preferred: Option<String>,
    /// `LoaderEntryDefault`.
    pub default: Option<String>,
    /// `LoaderEntryLastBooted`, which `@saved` stands for.
    pub last_booted: Option<String>,
    /// `LoaderFeatures`: what the loader that started this boot can do.
    pub features: Option<u64>,
}

/// The bit of `LoaderFeatures` for preferred entries (systemd 260).
const PREFERS: u64 = 1 << 19;

impl Entry {
    /// The entry of a file; `None` when its name is not that of one.
    pub fn parse(file: &str, text: &str) -> Option<Self> {
        let stem = file.strip_suffix(".conf")?;
        let (bare, tries) = uncounted(stem);
        let field = |key: &str| value(text, key).map(str::to_owned);
        Some(Self {
            id: format!("{}.conf", bare.to_lowercase()),
            tries,
            toplevel: text
                .lines()
                .filter_map(|line| value(line, "options"))
                .find_map(init_of),
            sort_key: field("sort-key"),
            machine_id: field("machine-id"),
            version: field("version"),
        })
    }

    /// Whether every try was used up.
    pub fn is_given_up(&self) -> bool {
        matches!(self.tries, Some((0, _)))
    }

    /// The order in the menu.
    fn order(&self, other: &Self) -> Ordering {
        let (a, b) = (self, other);
        let old_style = a.sort_key.is_none().cmp(&b.sort_key.is_none());
        let by_key = || {
            let newest = version_order::compare(text(&b.version), text(&a.version));
            let key = a.sort_key.cmp(&b.sort_key);
            key.then_with(|| a.machine_id.cmp(&b.machine_id))
                .then(newest)
        };
        let tries = || match (a.tries, b.tries) {
            (Some(a), Some(b)) => b.0.cmp(&a.0).then(a.1.cmp(&b.1)),
            _ => Ordering::Equal,
        };
        (a.is_given_up().cmp(&b.is_given_up()))
            .then(old_style)
            .then_with(|| match a.sort_key.is_some() && b.sort_key.is_some() {
                true => by_key(),
                false => Ordering::Equal,
            })
            .then_with(|| version_order::compare(&b.id, &a.id))
            .then_with(tries)
    }
}

fn text(field: &Option<String>) -> &str {
    field.as_deref().unwrap_or_default()
}

/// A name without the counter that boot assessment put at its end: `+left` or
/// `+left-done`.
fn uncounted(stem: &str) -> (&str, Option<(u32, u32)>) {
    let counted = stem.rsplit_once('+').and_then(|(bare, count)| {
        let (left, done) = count.split_once('-').unwrap_or((count, "0"));
        let number = |text: &str| {
            let digits = text.bytes().all(|c| c.is_ascii_digit());
            digits.then(|| text.parse().ok()).flatten()
        };
        Some((bare, Some((number(left)?, number(done)?))))
    });
    counted.unwrap_or((stem, None))
}

/// The entry that starts by default, boot after boot.
///
/// `None` when something is named that is not among these entries: a unified
/// kernel image, or another system that the loader finds by itself.
pub fn default<'e>(conf: &str, entries: &'e [Entry], variables: &Variables) -> Option<&'e Entry> {
    let menu = menu(entries);
    let patterns = |variable: &Option<String>, key: &str| -> Vec<String> {
        let named = [variable.clone(), last(conf, key)];
        let saved = |pattern: String| match pattern.as_str() {
            "@saved" => variables.last_booted.clone(),
            _ => Some(pattern),
        };
        named.into_iter().flatten().filter_map(saved).collect()
    };
    let mut preferred = patterns(&variables.preferred, "preferred");
    if variables.features.is_some_and(|bits| bits & PREFERS == 0) {
        preferred.clear();
    }
    let default = patterns(&variables.default, "default");
    let good = |pattern: &String| find(&menu, pattern, |entry| !entry.is_given_up());
    let any = |pattern: &String| find(&menu, pattern, |_| true);
    let named = (preferred.iter().find_map(good)).or_else(|| default.iter().find_map(any));
    let nothing_named = preferred.is_empty() && default.is_empty();
    named.or_else(|| menu.first().copied().filter(|_| nothing_named))
}

/// The entry that was chosen for the next boot, and for that alone.
pub fn once<'e>(entries: &'e [Entry], variables: &Variables) -> Option<&'e Entry> {
    find(&menu(entries), variables.one_shot.as_ref()?, |_| true)
}

/// The entries in the order of the menu.
fn menu(entries: &[Entry]) -> Vec<&Entry> {
    let mut menu: Vec<&Entry> = entries.iter().collect();
    menu.sort_by(|a, b| a.order(b));
    menu
}

/// Whether boot counting gave a toplevel up: it has entries, and each of them
/// used up its tries.
pub fn gave_up(toplevel: &StorePath, entries: &[Entry]) -> bool {
    let mut ours = entries
        .iter()
        .filter(|entry| entry.toplevel.as_ref() == Some(toplevel))
        .peekable();
    ours.peek().is_some() && ours.all(Entry::is_given_up)
}

fn find<'e>(menu: &[&'e Entry], pattern: &str, fit: impl Fn(&Entry) -> bool) -> Option<&'e Entry> {
    let pattern = pattern.to_lowercase();
    let mut hits = menu.iter().copied();
    hits.find(|entry| glob::matches(&pattern, &entry.id) && fit(entry))
}

/// The value of a key of `loader.conf`; of several lines the last one counts.
fn last(conf: &str, key: &str) -> Option<String> {
    conf.lines()
        .filter_map(|line| value(line, key))
        .next_back()
        .map(str::to_owned)
}

#[cfg(test)]
#[path = "systemd_boot_tests.rs"]
mod tests;
