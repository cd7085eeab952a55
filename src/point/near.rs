//! The name somebody meant.

/// The known name that is nearest to a wrong one, if one is near.
pub(crate) fn nearest<'k>(wrong: &str, known: &[&'k str]) -> Option<&'k str> {
    let lower = wrong.to_lowercase();
    let (distance, name) = known
        .iter()
        .map(|name| (distance(&lower, &name.to_lowercase()), *name))
        .min()?;
    let most = (lower.chars().count().max(name.chars().count()) / 3).max(1);
    (distance <= most).then_some(name)
}

/// Changes from one to the other; the beginning of a name is one change.
fn distance(wrong: &str, name: &str) -> usize {
    if wrong.len() >= 3 && name.starts_with(wrong) {
        return 1;
    }
    strsim::damerau_levenshtein(wrong, name)
}

/// How a wrong name is answered: with the one that was meant, else with all.
pub(crate) fn hint(wrong: &str, known: &[&str]) -> String {
    match nearest(wrong, known) {
        Some(name) => format!("did you mean {name}?"),
        None => format!("known here: {}", known.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_are_near_and_other_words_are_not() {
        let known = ["keepLast", "keepDaily", "keepTags", "minAge"];
        for (wrong, meant) in [
            ("keepDayly", Some("keepDaily")),
            ("keeplast", Some("keepLast")),
            ("keep_last", Some("keepLast")),
            ("min", Some("minAge")),
            ("colour", None),
            ("", None),
        ] {
            assert_eq!(nearest(wrong, &known), meant, "{wrong}");
        }
        assert_eq!(nearest("x", &[]), None);
    }
}
