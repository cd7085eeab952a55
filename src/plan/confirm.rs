//! Confirmations that are owed: how long there is left, whose turn it is, what
//! an unconfirmed switch goes back to.

use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::point::Span;
use crate::point::switch::{Action, Answer, Confirm, Reached, SinceBoot, Switch};

/// How long there is left to answer; `None` while nobody was asked.
///
/// In the boot in which it was asked, the clock that nobody sets decides. In a
/// later one the time of day does, for at most the whole span: a machine that
/// woke up in 1970 waits no longer than one that was just asked.
pub fn left(confirm: &Confirm, now: DateTime<Utc>, boot: &SinceBoot) -> Option<Duration> {
    let until = confirm.until?;
    let whole = confirm.timeout.duration();
    if let Some(end) = confirm.since_boot.as_ref().filter(|e| e.boot == boot.boot) {
        let left = end.millis.saturating_sub(boot.millis);
        return Some(Duration::from_millis(left).min(whole));
    }
    Some((until - now).to_std().unwrap_or_default().min(whole))
}

/// The same confirmation, asked for: with both of its ends.
pub fn asked(confirm: &Confirm, now: DateTime<Utc>, boot: SinceBoot) -> Confirm {
    let left = left(confirm, now, &boot).unwrap_or(confirm.timeout.duration());
    let millis = u64::try_from(left.as_millis()).unwrap_or(u64::MAX);
    Confirm {
        timeout: confirm.timeout,
        until: chrono::TimeDelta::from_std(left)
            .ok()
            .and_then(|left| now.checked_add_signed(left)),
        since_boot: Some(SinceBoot {
            millis: boot.millis.saturating_add(millis),
            ..boot
        }),
    }
}

/// Why a switch was taken back that nobody kept.
pub fn reason(answer: Answer, timeout: Option<Span>) -> String {
    match (answer, timeout) {
        (Answer::Confirmed, _) => "it was confirmed".to_owned(),
        (Answer::Reverted, _) => "it was taken back by hand (cairn revert)".to_owned(),
        (Answer::TimedOut, Some(timeout)) => format!("nobody confirmed it within {timeout}"),
        (Answer::TimedOut, None) => "nobody confirmed it in time".to_owned(),
    }
}

/// The switch that is awaited, or waits to be: the newest that nobody has
/// answered. One that runs only after a reboot counts from the next boot on.
pub fn open<'r>(records: &'r [Switch], boot: &str) -> Option<&'r Switch> {
    let asks = |s: &&Switch| s.is_unanswered() && (s.is_pending() || s.boot != boot);
    records.iter().rev().find(asks)
}

/// The switch whose system this boot runs and that was never confirmed: it is
/// asked for now. Only the newest that was to survive a reboot can be it.
pub fn owed_after_boot<'r>(
    records: &'r [Switch],
    boot: &str,
    runs: &crate::nix::store_path::StorePath,
) -> Option<&'r Switch> {
    let lasting = |s: &&Switch| !matches!(s.action, Action::Test | Action::Unknown);
    let newest = records.iter().rev().find(lasting)?;
    (newest.boot != boot && newest.to == *runs && newest.is_unanswered()).then_some(newest)
}

/// Where a switch goes back to: what ran before it, unless that had come just
/// before and was never confirmed, for then it is no better; so on, from one
/// unconfirmed switch to the next.
pub fn origin<'r>(records: &'r [Switch], switch: &'r Switch) -> &'r Switch {
    let mut origin = switch;
    for older in records.iter().rev().filter(|older| older.id < switch.id) {
        let unconfirmed = older.confirm.is_some()
            && older.answer.is_none()
            && (older.result.as_ref()).is_none_or(|r| r.reached == Reached::Superseded);
        if unconfirmed && origin.before.current.as_ref() == Some(&older.to) {
            origin = older;
        }
    }
    origin
}

/// The switch that a person means: by the start of its id, or of that of its
/// restore point; without one the newest whose system is there still.
///
/// # Errors
/// What to say when there is none, or there are several.
pub fn meant<'r>(records: &'r [Switch], id: Option<&str>) -> Result<&'r Switch, String> {
    let Some(id) = id else {
        let newest = records.iter().rev().find(|switch| switch.is_left());
        return newest.ok_or_else(|| "there is no switch that could be taken back".to_owned());
    };
    let wanted: String = id.chars().filter(|c| *c != '-').collect();
    let wanted = wanted.to_ascii_lowercase();
    let is = |switch: &&Switch| {
        let point = switch.point.map(|id| id.hex());
        switch.id.hex().starts_with(&wanted) || point.is_some_and(|p| p.starts_with(&wanted))
    };
    let mut found: Vec<&Switch> = records.iter().filter(is).collect();
    // `test` and then `boot` share a point: the newer one stands for both.
    found.dedup_by_key(|switch| (switch.point, switch.to.clone()));
    let newest = |of: &Switch| {
        let same = |s: &&Switch| s.point == of.point && s.to == of.to;
        records.iter().rev().find(same)
    };
    match found.as_slice() {
        [one] => newest(one).ok_or_else(|| format!("no switch has the id {id}")),
        [] => Err(format!(
            "no switch has the id {id}, nor one with that restore point"
        )),
        many => Err(format!("{} switches begin with {id}", many.len())),
    }
}

#[cfg(test)]
#[path = "confirm_tests.rs"]
mod tests;
