//! Names with versions, as `builtins.parseDrvName` and
//! `builtins.compareVersions` understand them (Nix's `names.cc`).

use std::cmp::Ordering;

/// Splits `firefox-128.0.1` into `("firefox", "128.0.1")`.
///
/// The version begins after the first dash that is followed by something else
/// than an ASCII letter. Without one, or with a dash at the very end, the
/// version is empty.
pub fn parse_drv_name(text: &str) -> (&str, &str) {
    let bytes = text.as_bytes();
    let cut = bytes
        .windows(2)
        .position(|pair| pair[0] == b'-' && !pair[1].is_ascii_alphabetic());
    match cut {
        // A dash is ASCII, so both cuts fall on character boundaries.
        Some(at) => (&text[..at], &text[at + 1..]),
        None => (text, ""),
    }
}

/// Orders two versions the way Nix does: `2.3` < `2.3.1`, `2.3pre1` < `2.3`,
/// `2.10` > `2.9`.
///
/// Versions may compare equal and differ in spelling (`1.0` and `1-0`).
pub fn compare_versions(left: &str, right: &str) -> Ordering {
    let (mut left, mut right) = (Components(left), Components(right));
    loop {
        let (a, b) = (left.next(), right.next());
        if a.is_none() && b.is_none() {
            return Ordering::Equal;
        }
        match compare_components(a.unwrap_or(""), b.unwrap_or("")) {
            Ordering::Equal => {}
            decided => return decided,
        }
    }
}

/// The runs of digits, and of everything else, between dots and dashes.
struct Components<'a>(&'a str);

impl<'a> Iterator for Components<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        let text = self.0.trim_start_matches(['.', '-']);
        let first = text.chars().next()?;
        let digits = first.is_ascii_digit();
        let end = text
            .find(|c: char| matches!(c, '.' | '-') || c.is_ascii_digit() != digits)
            .unwrap_or(text.len());
        let (component, rest) = text.split_at(end);
        self.0 = rest;
        Some(component)
    }
}

fn compare_components(a: &str, b: &str) -> Ordering {
    if a == b {
        return Ordering::Equal;
    }
    match (number(a), number(b)) {
        (Some(a), Some(b)) => a.cmp(&b),
        (None, Some(_)) if a.is_empty() => Ordering::Less,
        (Some(_), None) if b.is_empty() => Ordering::Greater,
        _ if a == "pre" => Ordering::Less,
        _ if b == "pre" => Ordering::Greater,
        (None, Some(_)) => Ordering::Less,
        (Some(_), None) => Ordering::Greater,
        (None, None) => a.cmp(b),
    }
}

/// A component's number, comparable at any length: no leading zeros, shorter
/// is smaller. (Nix reads a 32-bit number and treats a longer one as text; dates
/// with a time, such as `20240529120000`, then lose to every number.)
fn number(component: &str) -> Option<(usize, &str)> {
    if component.is_empty() || !component.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let digits = component.trim_start_matches('0');
    Some((digits.len(), digits))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names() {
        for (text, name, version) in [
            ("firefox-128.0.1", "firefox", "128.0.1"),
            ("nix-env", "nix-env", ""),
            ("linux-zen-6.9.1", "linux-zen", "6.9.1"),
            ("a-", "a-", ""),
            ("a--b", "a", "-b"),
            ("glibc-2.40-66-bin", "glibc", "2.40-66-bin"),
            ("-1", "", "1"),
            ("", "", ""),
            ("x-ünter", "x", "ünter"),
        ] {
            assert_eq!(parse_drv_name(text), (name, version), "{text}");
        }
    }

    #[test]
    fn order() {
        // The examples of the Nix manual's `nix-env --upgrade`.
        for (a, b, expected) in [
            ("1.0", "2.3", Ordering::Less),
            ("2.1", "2.3", Ordering::Less),
            ("2.3", "2.3", Ordering::Equal),
            ("2.5", "2.3", Ordering::Greater),
            ("3.1", "2.3", Ordering::Greater),
            ("2.3.1", "2.3", Ordering::Greater),
            ("2.3.1", "2.3a", Ordering::Greater),
            ("2.3pre1", "2.3", Ordering::Less),
            ("2.3pre3", "2.3pre12", Ordering::Less),
            ("2.3a", "2.3c", Ordering::Less),
            ("2.3pre1", "2.3c", Ordering::Less),
            ("2.3pre1", "2.3q", Ordering::Less),
            ("1.0", "1-0", Ordering::Equal),
            ("1.007", "1.7", Ordering::Equal),
            ("", "1", Ordering::Less),
            ("", "pre", Ordering::Greater),
            ("20240529120000", "20240529120001", Ordering::Less),
        ] {
            assert_eq!(compare_versions(a, b), expected, "{a} {b}");
            assert_eq!(compare_versions(b, a), expected.reverse(), "{b} {a}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn hostile(a in "\\PC{0,20}", b in "[0-9a-c.pre-]{0,12}") {
            let (name, version) = parse_drv_name(&a);
            if !version.is_empty() {
                prop_assert_eq!(format!("{name}-{version}"), a.clone());
            }
            prop_assert_eq!(compare_versions(&a, &b), compare_versions(&b, &a).reverse());
            prop_assert_eq!(compare_versions(&b, &b), Ordering::Equal);
        }
    }
}
