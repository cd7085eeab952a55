//! What one item comes to: the events it is, and how it counts.

use crate::learn::risk;
use crate::point::Switch;
use crate::point::event::{Event, HealAttempt, HealVerdict, Kind};
use crate::point::switch::{Done, Verdict};

/// The events of a switch: itself, its verdict, its way back.
pub(super) fn of_switch(switch: &Switch) -> Result<Vec<Event>, serde_json::Error> {
    let event = |name: &str, kind, at, what, good, data| Event {
        id: format!("{}{name}", switch.id),
        at,
        kind,
        what,
        good,
        data,
    };
    let result = switch.result.as_ref();
    let good = result.and_then(|r| match r.verdict {
        Verdict::Good => Some(true),
        Verdict::Bad => Some(false),
        Verdict::None => None,
    });
    let name = switch.to.name();
    let what = format!("{} to {name}", switch.action.as_str());
    let data = serde_json::to_value(switch)?;
    let mut events = vec![event("", Kind::Switch, switch.started, what, good, data)];
    let Some(result) = result else {
        return Ok(events);
    };
    let reasons = result.reasons.join(", ");
    let link = serde_json::json!({ "switch": switch.id });
    if let Some(good) = good {
        let what = match (good, reasons.is_empty()) {
            (true, _) => format!("{name} is good"),
            (false, true) => format!("{name} is bad"),
            (false, false) => format!("{name} is bad: {reasons}"),
        };
        events.push(event(
            "/verdict",
            Kind::Verdict,
            result.at,
            what,
            Some(good),
            link.clone(),
        ));
    }
    let back = match result.done {
        Done::Nothing | Done::Boots => None,
        Done::Repaired => Some(("profile and boot loader put back", true)),
        Done::WentBack => Some(("went back", true)),
        Done::WentBackAtBoot => Some(("goes back at the next boot", true)),
        Done::Stuck => Some(("could not go back", false)),
    };
    if let Some((how, good)) = back {
        let what = format!("{how} from {name}");
        events.push(event(
            "/rollback",
            Kind::Rollback,
            result.at,
            what,
            Some(good),
            link,
        ));
    }
    Ok(events)
}

/// Whether a switch counts as judged, and how.
pub(super) fn failed(switch: &Switch) -> Option<bool> {
    risk::failed(switch)
}

/// The event of an attempt to heal.
pub(super) fn of_heal(attempt: &HealAttempt) -> Result<Event, serde_json::Error> {
    let subject = attempt
        .subject
        .as_ref()
        .map_or_else(String::new, |subject| format!(" {subject}"));
    let came = match attempt.verdict {
        HealVerdict::Recovered => "recovered",
        HealVerdict::Remains => "no help",
        HealVerdict::TakenBack => "no help, taken back",
    };
    Ok(Event {
        id: attempt.id.to_string(),
        at: attempt.at,
        kind: Kind::Heal,
        what: format!("{}{subject}: {}: {came}", attempt.issue, attempt.action),
        good: Some(attempt.verdict == HealVerdict::Recovered),
        data: serde_json::to_value(attempt)?,
    })
}
