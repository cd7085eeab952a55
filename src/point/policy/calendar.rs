//! Calendar events of systemd (`systemd.time(7)`), as far as a slip in one can
//! be told without asking systemd.
//!
//! A policy that holds one must load wherever cairn runs, so only what systemd
//! surely refuses is refused here: unknown words, numbers that no clock or
//! calendar has. `cairn policy check` asks systemd as well, where it is.

use crate::point::near::hint;

const WORDS: [&str; 9] = [
    "minutely",
    "hourly",
    "daily",
    "weekly",
    "monthly",
    "quarterly",
    "semiannually",
    "yearly",
    "annually",
];

const DAYS: [&str; 7] = [
    "monday",
    "tuesday",
    "wednesday",
    "thursday",
    "friday",
    "saturday",
    "sunday",
];

const SHORT: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];

/// Others that systemd takes, and that are no suggestions.
const SELDOM: [&str; 4] = ["biannually", "bi-annually", "semi-annually", "anually"];

/// Why a text is surely no calendar event; `None` when it may be one.
pub(super) fn wrong(text: &str) -> Option<String> {
    let mut parts = text.split_whitespace();
    let first = parts.next()?;
    let rest: Vec<&str> = parts.collect();
    let word = first.to_ascii_lowercase();
    if WORDS.contains(&&*word) || SELDOM.contains(&&*word) {
        return rest.first().and_then(|zone| {
            (rest.len() > 1 || !is_zone(zone))
                .then(|| format!("'{first}' stands alone, or before a time zone such as UTC"))
        });
    }
    let mut times = rest.as_slice();
    if first.starts_with(|c: char| c.is_ascii_alphabetic()) {
        if let Some(why) = wrong_days(first, rest.is_empty()) {
            return Some(why);
        }
    } else if let Some(why) = wrong_numbers(first) {
        return Some(why);
    }
    let most = match first.starts_with(|c: char| c.is_ascii_alphabetic()) {
        true => 2,
        false => 1,
    };
    // The last one may name a time zone.
    if let [before @ .., last] = times
        && is_zone(last)
    {
        times = before;
    }
    if times.len() > most {
        return Some("it has more parts than days, a date, a time and a time zone".to_owned());
    }
    times.iter().find_map(|part| wrong_numbers(part))
}

/// Days of the week: `Mon`, `Mon,Thu`, `Mon..Fri`.
fn wrong_days(text: &str, alone: bool) -> Option<String> {
    let names = text.trim_end_matches(',').split(',').flat_map(|part| {
        // Both `..` and `-` between days are read.
        part.split("..").flat_map(|part| part.split('-'))
    });
    let is_day = |name: &str| {
        let name = name.to_ascii_lowercase();
        DAYS.iter().any(|day| *day == name || day[..3] == *name)
    };
    let bad = names.into_iter().find(|name| !is_day(name))?;
    let known: Vec<&str> = match alone {
        true => WORDS.iter().chain(&DAYS).copied().collect(),
        false => SHORT.to_vec(),
    };
    Some(format!(
        "'{bad}' is no calendar event of systemd, such as daily or \"Mon 07:00\": {}",
        hint(bad, &known)
    ))
}

/// A date or a time: numbers, `*`, `/`, `,`, `..`, `~`, and `:` or `-`.
fn wrong_numbers(text: &str) -> Option<String> {
    let plain = |c: char| c.is_ascii_digit() || "*/,.~:-@".contains(c);
    if let Some(bad) = text.chars().find(|c| !plain(*c)) {
        return Some(format!(
            "'{text}' has '{}', which no date or time has; write such as daily or \"Mon 07:00\"",
            bad.escape_default()
        ));
    }
    if !text.contains(':') {
        return None;
    }
    let most = [23, 59, 59];
    let fields: Vec<&str> = text.split(':').collect();
    if fields.len() > most.len() {
        return Some(format!("'{text}' is no time: hours, minutes and seconds"));
    }
    for (field, most) in fields.iter().zip(most) {
        // What follows a slash is a step, not a time.
        let starts = field
            .split(',')
            .map(|one| one.split('/').next().unwrap_or(one));
        for number in starts.flat_map(|one| one.split("..")) {
            let whole = number.split('.').next().unwrap_or(number);
            if whole.parse::<u32>().is_ok_and(|n| n > most) {
                return Some(format!("'{text}' is no time of a day"));
            }
        }
    }
    None
}

/// Whether a word may name a time zone, such as UTC or Europe/Berlin.
fn is_zone(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "/_+-".contains(c))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_systemd_takes_is_taken() {
        for text in [
            "daily",
            "Weekly",
            "hourly UTC",
            "Mon",
            "Mon..Fri 07:30",
            "Mon,Thu *-*-* 03:00:00 Europe/Berlin",
            "Sat,Thu,Mon..Wed,Sat..Sun",
            "wednesday",
            "*-*-* 02,14:00",
            "*:0/15",
            "*-*~03",
            "Mon-Fri 07:30",
            "weekly Europe/Berlin",
            "*:*:0/30",
            "12-31",
            "2003-03-05 05:40",
            "05:40:23.420",
            "@1395716396",
            "Sun *-*-1..7 04:00 UTC",
            "00..23/2:00",
            "03:00",
            "Thu,Fri 2012-*-1,5 11:12:13",
            "*-*-* 4:00 Etc/GMT+5",
            "semi-annually",
        ] {
            assert_eq!(wrong(text), None, "{text}");
        }
    }

    #[test]
    fn slips_are_told() {
        for (text, told) in [
            ("dayly", "did you mean daily?"),
            ("every day", "'every' is no calendar event"),
            ("Mon..Fir 07:30", "did you mean Fri?"),
            ("25:00", "no time of a day"),
            ("daily 07:00", "stands alone"),
            ("*-*-* 07:60", "no time of a day"),
            ("Mon 7h30", "has 'h'"),
            ("1:2:3:4", "is no time"),
            ("Mon 1-1 2:00 3:00 UTC", "more parts"),
            ("0 3 * * *", "more parts"),
        ] {
            let found = wrong(text).unwrap_or_default();
            assert!(found.contains(told), "{text}: {found}");
        }
    }
}
