//! Shell globs as systemd-boot takes them: `*`, `?`, `[a-z]`, `[!a]`, and `\`
//! before what is meant as it is.

/// Whether a pattern matches a whole text.
pub(crate) fn matches(pattern: &str, text: &str) -> bool {
    let pattern: Vec<char> = pattern.chars().collect();
    let text: Vec<char> = text.chars().collect();
    let (mut p, mut t) = (0, 0);
    // Where to go on from when a `*` takes one more.
    let mut star: Option<(usize, usize)> = None;
    loop {
        let step = pattern.get(p..).and_then(|rest| one(rest, text.get(t)));
        match (pattern.get(p), step) {
            (Some('*'), _) => {
                p += 1;
                star = Some((p, t));
            }
            (None, _) if t == text.len() => return true,
            (_, Some(length)) => {
                p += length;
                t += 1;
            }
            _ => match star {
                Some((after, taken)) if taken < text.len() => {
                    p = after;
                    t = taken + 1;
                    star = Some((after, t));
                }
                _ => return false,
            },
        }
    }
}

/// How much of the pattern matches this one character.
fn one(pattern: &[char], c: Option<&char>) -> Option<usize> {
    let c = c?;
    match pattern {
        ['?', ..] => Some(1),
        ['[', rest @ ..] => set(rest, *c).map(|length| length + 1),
        ['\\', meant, ..] => (meant == c).then_some(2),
        [meant, ..] => (meant == c).then_some(1),
        [] => None,
    }
}

/// A set, after its `[`: its length with the `]` when the character is in it.
fn set(pattern: &[char], c: char) -> Option<usize> {
    let not = matches!(pattern.first(), Some('!' | '^'));
    let from = usize::from(not);
    // A `]` that comes first is a member.
    let end = (from + 1..pattern.len()).find(|i| pattern[*i] == ']')?;
    let mut members = &pattern[from..end];
    let mut inside = false;
    while let [first, rest @ ..] = members {
        members = rest;
        if let ['-', last, rest @ ..] = members {
            inside |= (*first..=*last).contains(&c);
            members = rest;
        } else {
            inside |= *first == c;
        }
    }
    (inside != not).then_some(end + 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn patterns_match_whole_texts() {
        let yes = [
            ("", ""),
            ("*", ""),
            ("nixos-*", "nixos-1.conf"),
            ("*-1.conf", "nixos-1-1.conf"),
            ("nixos-?.conf", "nixos-1.conf"),
            ("nixos-[0-9].conf", "nixos-1.conf"),
            ("[!a]", "b"),
            ("[]a]", "]"),
            ("a\\*", "a*"),
            ("**a*", "bab"),
        ];
        for (pattern, text) in yes {
            assert!(matches(pattern, text), "{pattern} and {text}");
        }
        let no = [
            ("", "a"),
            ("nixos-*.conf", "nixos-1"),
            ("nixos-?.conf", "nixos-12.conf"),
            ("[!a]", "a"),
            ("[a", "a"),
            ("a\\*", "ab"),
            ("nixos", "nixos-1"),
        ];
        for (pattern, text) in no {
            assert!(!matches(pattern, text), "{pattern} and {text}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1000))]
        #[test]
        fn a_text_matches_itself_and_any_start_with_a_star(text in "[a-c.0-9-]{0,12}", at in 0usize..12) {
            prop_assert!(matches(&text, &text));
            let start: String = text.chars().take(at).collect();
            let pattern = format!("{start}*");
            prop_assert!(matches(&pattern, &text));
        }

        #[test]
        fn hostile_patterns_end(pattern in "[ab*?\\[\\]!\\\\-]{0,20}", text in "[ab\\[-]{0,20}") {
            let _ = matches(&pattern, &text);
        }
    }
}
