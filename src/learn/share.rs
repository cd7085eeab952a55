//! Knowledge as a file, to carry from machine to machine.
//!
//! It holds kinds of issues, names of actions, counts, months and rounded
//! times. No names of units, hosts or paths, no ids of machines: a name that
//! could be one is left out. What is read is believed only within bounds.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{Judged, Knowledge, Ledger, Month, Origin, Tally};

/// The version of the file this build reads and writes.
pub const VERSION: u32 = 1;
/// The longest file that is read, in bytes.
pub const MAX_BYTES: usize = 16 << 20;
/// The most machines one file tells of, and the most that are remembered.
pub const MAX_ORIGINS: usize = 4096;
/// The most entries of one machine.
const MAX_ENTRIES: usize = 20_000;
/// The most that one machine does in a month.
const MAX_COUNT: u64 = 10_000;
/// The longest an action takes, in seconds.
const MAX_SECONDS: u64 = 86_400;
/// Nothing was counted before.
const FIRST: i32 = 2024 * 12;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    format: String,
    version: u32,
    origins: Vec<Told>,
}

const FORMAT: &str = "cairn-knowledge";

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Told {
    origin: Origin,
    heals: Vec<Heal>,
    switches: Vec<Switches>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Heal {
    month: Month,
    issue: String,
    action: String,
    attempts: u64,
    successes: u64,
    seconds: u64,
    gain: i64,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Switches {
    month: Month,
    judged: u64,
    failed: u64,
}

/// Why a file of knowledge is not believed.
#[derive(Debug, thiserror::Error)]
pub enum ShareError {
    /// Not JSON, or not of this shape.
    #[error("it is no knowledge of cairn: {0}")]
    Shape(String),
    /// Of another version.
    #[error("it has version {found}, this cairn reads version {VERSION}")]
    Version {
        /// Its version.
        found: u64,
    },
    /// Out of bounds.
    #[error("it says what cannot be: {0}")]
    Bounds(String),
}

/// The file, and how many entries were left out because their names could say
/// more than they should. What a clock that was wrong had counted is left out
/// too: nobody would believe it.
///
/// # Errors
/// When it has no JSON form.
pub fn write(
    knowledge: &Knowledge,
    own: &Origin,
    now: DateTime<Utc>,
) -> Result<(String, usize), serde_json::Error> {
    let mut left_out = 0;
    let mine = std::iter::once((own, &knowledge.own));
    let origins = mine
        .chain(knowledge.others.iter().filter(|(origin, _)| *origin != own))
        .map(|(origin, ledger)| {
            let (told, out) = tell(origin, ledger, now);
            left_out += out;
            told
        })
        .filter(|told| !told.heals.is_empty() || !told.switches.is_empty())
        .collect();
    let file = File {
        format: FORMAT.to_owned(),
        version: VERSION,
        origins,
    };
    let mut text = serde_json::to_string_pretty(&file)?;
    text.push('\n');
    Ok((text, left_out))
}

fn tell(origin: &Origin, ledger: &Ledger, now: DateTime<Utc>) -> (Told, usize) {
    let mut left_out = 0;
    let heals: Vec<Heal> = ledger
        .heals
        .iter()
        .filter(|((month, ..), _)| is_sane(*month, now))
        .filter(|((_, issue, action), _)| {
            let plain = is_plain(issue) && is_plain(action);
            left_out += usize::from(!plain);
            plain
        })
        .map(|((month, issue, action), tally)| Heal {
            month: *month,
            issue: issue.clone(),
            action: action.clone(),
            attempts: tally.attempts,
            successes: tally.successes,
            // Rounded up to full fives: grows with what it is made from.
            seconds: tally.seconds.div_ceil(5) * 5,
            gain: tally.gain,
        })
        .collect();
    let switches = ledger
        .switches
        .iter()
        .filter(|(month, _)| is_sane(**month, now))
        .map(|(month, judged)| Switches {
            month: *month,
            judged: judged.judged,
            failed: judged.failed,
        });
    let told = Told {
        origin: origin.clone(),
        heals,
        switches: switches.collect(),
    };
    (told, left_out)
}

/// Whether something can have been counted in a month.
fn is_sane(month: Month, now: DateTime<Utc>) -> bool {
    month >= Month::from_number(FIRST) && month <= Month::of(now).plus(1)
}

/// Whether a name is that of a kind of issue or action: no dot, no `@`, no
/// slash, so neither a unit nor a host nor a path.
fn is_plain(name: &str) -> bool {
    (1..=40).contains(&name.len())
        && name.starts_with(|c: char| c.is_ascii_lowercase())
        && name
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

/// Reads a file.
///
/// # Errors
/// One line that says why it is not believed; nothing of it is.
pub fn read(text: &str, now: DateTime<Utc>) -> Result<BTreeMap<Origin, Ledger>, ShareError> {
    if text.len() > MAX_BYTES {
        let message = format!("it is longer than {} MiB", MAX_BYTES >> 20);
        return Err(ShareError::Bounds(message));
    }
    let shape = |e: serde_json::Error| ShareError::Shape(e.to_string());
    // The version first: another one may have another shape.
    #[derive(Deserialize)]
    struct Head {
        format: String,
        version: u64,
    }
    let head: Head = serde_json::from_str(text).map_err(shape)?;
    if head.format != FORMAT {
        let message = format!("its format is not \"{FORMAT}\"");
        return Err(ShareError::Shape(message));
    }
    if head.version != u64::from(VERSION) {
        return Err(ShareError::Version {
            found: head.version,
        });
    }
    let file: File = serde_json::from_str(text).map_err(shape)?;
    if file.origins.len() > MAX_ORIGINS {
        let message = format!("more than {MAX_ORIGINS} machines");
        return Err(ShareError::Bounds(message));
    }
    let mut origins = BTreeSet::new();
    let mut all = BTreeMap::new();
    for told in file.origins {
        if !origins.insert(told.origin.clone()) {
            return Err(bounds(format!("the machine {} twice", told.origin)));
        }
        let ledger = believe(&told, now)?;
        all.insert(told.origin, ledger);
    }
    Ok(all)
}

fn bounds(message: impl Into<String>) -> ShareError {
    ShareError::Bounds(message.into())
}

fn believe(told: &Told, now: DateTime<Utc>) -> Result<Ledger, ShareError> {
    if told.heals.len() + told.switches.len() > MAX_ENTRIES {
        return Err(bounds(format!(
            "more than {MAX_ENTRIES} entries of a machine"
        )));
    }
    let when = |month: Month| match is_sane(month, now) {
        true => Ok(month),
        false => Err(bounds(format!("something of {month}"))),
    };
    let mut ledger = Ledger::default();
    for heal in &told.heals {
        if !is_plain(&heal.issue) || !is_plain(&heal.action) {
            return Err(bounds(
                "a name of an issue or action that has more than small letters, digits and -",
            ));
        }
        let n = heal.attempts;
        let sane = (1..=MAX_COUNT).contains(&n)
            && heal.successes <= n
            && heal.seconds <= heal.successes.saturating_mul(MAX_SECONDS).saturating_add(5)
            && heal.gain.unsigned_abs() <= 100 * n;
        if !sane {
            return Err(bounds(format!(
                "{} of {n} attempts at {} helped, in {} s, for {} points of health",
                heal.successes, heal.issue, heal.seconds, heal.gain
            )));
        }
        let tally = Tally {
            attempts: n,
            successes: heal.successes,
            seconds: heal.seconds,
            gain: heal.gain,
        };
        let key = (when(heal.month)?, heal.issue.clone(), heal.action.clone());
        if ledger.heals.insert(key, tally).is_some() {
            return Err(bounds(format!("{} in {} twice", heal.issue, heal.month)));
        }
    }
    for switches in &told.switches {
        if switches.failed > switches.judged || !(1..=MAX_COUNT).contains(&switches.judged) {
            return Err(bounds(format!(
                "{} of {} switches failed",
                switches.failed, switches.judged
            )));
        }
        let judged = Judged {
            judged: switches.judged,
            failed: switches.failed,
        };
        if ledger
            .switches
            .insert(when(switches.month)?, judged)
            .is_some()
        {
            return Err(bounds(format!("the switches of {} twice", switches.month)));
        }
    }
    Ok(ledger)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn now() -> DateTime<Utc> {
        "2026-11-15T00:00:00Z".parse().unwrap()
    }

    fn some() -> (Knowledge, Origin) {
        let mut knowledge = Knowledge::default();
        let month = Month::of(now());
        let tally = Tally {
            attempts: 3,
            successes: 2,
            seconds: 15,
            gain: -4,
        };
        let mut put = |issue: &str| {
            let key = (month, issue.to_owned(), "restart-unit".to_owned());
            knowledge.own.heals.insert(key, tally);
        };
        put("service-down");
        put("secret-db.service");
        put("host.example.org");
        let wrong = (Month::from_number(0), "cpu".to_owned(), "renice".to_owned());
        knowledge.own.heals.insert(wrong, tally);
        let judged = Judged {
            judged: 9,
            failed: 1,
        };
        knowledge.own.switches.insert(month, judged);
        let me = Origin::of("0123", b"salt");
        (knowledge, me)
    }

    #[test]
    fn what_is_written_reads_back_without_what_is_private() {
        let (knowledge, me) = some();
        let (text, left_out) = write(&knowledge, &me, now()).unwrap();
        assert_eq!(left_out, 2);
        assert!(
            !text.contains("secret") && !text.contains("example"),
            "{text}"
        );
        let read = read(&text, now()).unwrap();
        let ledger = &read[&me];
        assert_eq!(ledger.heals.len(), 1);
        assert_eq!(ledger.heals.values().next().unwrap().seconds, 15);
        assert_eq!(ledger.switches, knowledge.own.switches);
    }

    #[test]
    fn hostile_files_are_refused_in_one_line() {
        let (knowledge, me) = some();
        let (text, _) = write(&knowledge, &me, now()).unwrap();
        let good: Value = serde_json::from_str(&text).unwrap();
        let heal = "/origins/0/heals/0";
        let bad = |pointer: &str, value: Value| {
            let mut file = good.clone();
            *file.pointer_mut(pointer).unwrap() = value;
            let error = read(&file.to_string(), now()).unwrap_err().to_string();
            assert!(!error.contains('\n') && error.len() < 200, "{error}");
            error
        };
        assert!(bad("/version", json!(2)).contains("version 2"));
        assert!(bad("/format", json!("x")).contains("format"));
        assert!(bad("/origins/0/origin", json!("../etc")).contains("origin"));
        assert!(bad(&format!("{heal}/attempts"), json!(0)).contains("cannot be"));
        assert!(bad(&format!("{heal}/attempts"), json!(u64::MAX)).contains("cannot be"));
        assert!(bad(&format!("{heal}/attempts"), json!(-1)).contains("no knowledge"));
        assert!(bad(&format!("{heal}/successes"), json!(4)).contains("cannot be"));
        assert!(bad(&format!("{heal}/seconds"), json!(999_999_999)).contains("cannot be"));
        assert!(bad(&format!("{heal}/gain"), json!(i64::MIN)).contains("cannot be"));
        assert!(bad(&format!("{heal}/month"), json!("2031-01")).contains("2031-01"));
        assert!(bad(&format!("{heal}/month"), json!("1999-01")).contains("1999-01"));
        assert!(bad(&format!("{heal}/issue"), json!("a.service")).contains("name"));
        assert!(bad(&format!("{heal}/issue"), json!("\u{1b}[31m")).contains("name"));
        assert!(bad("/origins/0/switches/0/failed", json!(10)).contains("10 of 9"));
        let twice = json!([good["origins"][0], good["origins"][0]]);
        assert!(bad("/origins", twice).contains("twice"));
        assert!(
            bad(
                "/origins/0/heals",
                json!([
                    good["origins"][0]["heals"][0].clone(),
                    good["origins"][0]["heals"][0].clone()
                ])
            )
            .contains("twice")
        );
        let mut more = good.clone();
        more["surprise"] = json!(1);
        assert!(read(&more.to_string(), now()).is_err());
        for text in ["", "[]", "{", "null", "\u{0}"] {
            assert!(read(text, now()).is_err(), "{text}");
        }
        let deep = "[".repeat(100_000);
        assert!(read(&deep, now()).is_err());
    }
}
