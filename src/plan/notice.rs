//! What is told of a switch or a boot.

use chrono::{DateTime, Utc};

use crate::heal::{Treated, Tried};
use crate::nix::store_path::StorePath;
use crate::point::notice::Notice;
use crate::point::occasion::Occasion;
use crate::point::switch::{Answer, Done, Outcome, Reached, Switch, Verdict};

/// What is told of a switch that has ended; nothing of one that did nothing
/// worth telling.
pub fn of_switch(switch: &Switch) -> Option<Notice> {
    let result = switch.result.as_ref()?;
    let name = match &switch.tried {
        Some(tried) => format!("what `{}` did", tried.command),
        None => switch.to.name().to_owned(),
    };
    let because = match result.reasons.is_empty() {
        true => String::new(),
        false => format!(": {}", result.reasons.join(", ")),
    };
    let say = |event, message: String| {
        let notice = Notice::new(event, result.at, message).about(switch);
        notice.because(&result.reasons)
    };
    let answer = switch.answer.as_ref().map(|answered| answered.answer);
    let asked = matches!(answer, Some(Answer::Reverted | Answer::TimedOut));
    let trouble = result.trouble.as_deref().unwrap_or("see cairn history");
    Some(match (result.done, result.verdict) {
        (Done::Stuck, _) => say(
            Occasion::Stuck,
            format!("{name} is bad and could not be taken back: {trouble}"),
        )
        .then("cairn status"),
        (Done::WentBackAtBoot, _) => say(
            Occasion::NeedsReboot,
            format!("{name} is taken back at the next boot{because}"),
        )
        .then("systemctl reboot"),
        (Done::Boots, _) => say(
            Occasion::NeedsReboot,
            format!("{name} runs after a reboot{because}"),
        )
        .then("systemctl reboot"),
        (Done::WentBack, _) if asked => say(
            Occasion::Reverted,
            format!("{name} was taken back{because}"),
        )
        .then("cairn history"),
        (Done::WentBack | Done::Repaired, _) => say(
            Occasion::WentBack,
            format!("{name} was taken back{because}"),
        )
        .then("cairn history"),
        (Done::Nothing, Verdict::Bad) => say(
            Occasion::SwitchBad,
            format!("{name} is bad{because}; {trouble}"),
        )
        .then("cairn rollback"),
        (Done::Nothing, Verdict::Good) => match answer {
            Some(Answer::Confirmed) => say(Occasion::Confirmed, format!("{name} was confirmed")),
            _ => say(Occasion::SwitchGood, format!("{name} is good")),
        },
        (Done::Nothing, Verdict::None) if result.reached == Reached::NeedsReboot => say(
            Occasion::NeedsReboot,
            format!("{name} runs after a reboot{because}"),
        )
        .then("systemctl reboot"),
        (Done::Nothing, Verdict::None) => return None,
    })
}

/// The request to confirm a switch; nothing where none is needed.
pub fn asks(switch: &Switch, at: DateTime<Utc>) -> Option<Notice> {
    let until = switch.confirm.as_ref()?.until?;
    let name = match &switch.tried {
        Some(tried) => format!("what `{}` did", tried.command),
        None => switch.to.name().to_owned(),
    };
    let message = format!(
        "{name} is taken back at {} unless it is confirmed, or at once by cairn revert",
        until.format("%H:%M:%S UTC")
    );
    let mut notice = Notice::new(Occasion::ConfirmAwaited, at, message).about(switch);
    notice.until = Some(until);
    Some(notice.then("cairn confirm"))
}

/// What is told of a boot that was judged bad and cost the system its place.
pub fn of_boot(outcome: &Outcome, system: &StorePath, instead: Option<&StorePath>) -> Notice {
    let name = system.name();
    let notice = match (outcome.done, instead) {
        (Done::WentBack | Done::Repaired, Some(instead)) => Notice::new(
            Occasion::BootWentBack,
            outcome.at,
            format!(
                "{name} does not boot well: {} took its place",
                instead.name()
            ),
        ),
        (Done::WentBack | Done::Repaired, None) => Notice::new(
            Occasion::BootWentBack,
            outcome.at,
            format!("{name} does not boot well: the known-good system took its place"),
        ),
        (Done::Nothing, Some(instead)) => Notice::new(
            Occasion::BootWentBack,
            outcome.at,
            format!(
                "{name} did not boot: the boot loader fell back to {}",
                instead.name()
            ),
        ),
        (Done::WentBackAtBoot, _) => Notice::new(
            Occasion::NeedsReboot,
            outcome.at,
            format!("{name} does not boot well: the known-good system is booted next"),
        ),
        _ => Notice::new(
            Occasion::BootStuck,
            outcome.at,
            format!(
                "{name} does not boot well, and it stays: {}",
                outcome.trouble.as_deref().unwrap_or("see cairn history")
            ),
        ),
    };
    let mut notice = notice.because(&outcome.reasons).then("cairn history");
    notice.system = Some(system.clone());
    notice
}

/// What is told of an issue that something was tried against.
pub fn of_treated(treated: &Treated, at: DateTime<Utc>) -> Option<Notice> {
    let last = treated.tries.last()?;
    let issue = &treated.issue;
    let mut notice = match treated.healed {
        true => Notice::new(
            Occasion::Healed,
            at,
            format!("{issue} is healed: {}", last.action),
        )
        .because(last.said.as_slice()),
        false => {
            let said = |tried: &Tried| {
                let trouble = (tried.trouble.as_ref())
                    .map(|trouble| format!("{}, not taken back: {trouble}", tried.action));
                let no_help = || format!("{}: no help", tried.action);
                trouble.unwrap_or_else(no_help)
            };
            let reasons: Vec<String> = treated.tries.iter().map(said).collect();
            Notice::new(
                Occasion::HealFailed,
                at,
                format!("{issue} is not healed: {}", treated.detail),
            )
            .because(&reasons)
            .then("cairn heal -n")
        }
    };
    notice.subject = issue.subject().map(str::to_owned);
    notice.point = treated.point;
    Some(notice)
}

#[cfg(test)]
#[path = "notice_tests.rs"]
mod tests;
