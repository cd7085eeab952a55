//! One thing to tell: a line for people, fields for programs.

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::Serialize;

use super::occasion::Occasion;
use super::{PointId, Switch};
use crate::nix::store_path::StorePath;

/// The version of a notice as JSON.
pub const VERSION: u32 = 1;

/// One thing to tell.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Notice {
    /// Format version.
    #[schemars(extend("const" = VERSION))]
    pub version: u32,
    /// What happened.
    pub event: Occasion,
    /// When (UTC).
    pub at: DateTime<Utc>,
    /// In one line, for people.
    pub message: String,
    /// Why, one line each.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub reasons: Vec<String>,
    /// What it was about, such as a unit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// The record of the switch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub switch: Option<PointId>,
    /// The restore point of before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub point: Option<PointId>,
    /// The system it was about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub system: Option<StorePath>,
    /// Until when something has to be done (UTC).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<DateTime<Utc>>,
    /// A command that a person may want to run now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

impl Notice {
    /// A notice that says no more than this; the other fields are filled in by
    /// who knows them.
    pub fn new(event: Occasion, at: DateTime<Utc>, message: impl Into<String>) -> Self {
        Self {
            version: VERSION,
            event,
            at,
            message: one_line(&message.into()),
            reasons: Vec::new(),
            subject: None,
            switch: None,
            point: None,
            system: None,
            until: None,
            next: None,
        }
    }

    /// The same notice, about a switch.
    #[must_use]
    pub fn about(mut self, switch: &Switch) -> Self {
        self.switch = Some(switch.id);
        self.point = switch.point;
        self.system = Some(switch.to.clone());
        self
    }

    /// The same notice, with a command to run next.
    #[must_use]
    pub fn then(mut self, next: &str) -> Self {
        self.next = Some(next.to_owned());
        self
    }

    /// The same notice, with reasons.
    #[must_use]
    pub fn because(mut self, reasons: &[String]) -> Self {
        self.reasons = reasons.iter().map(|reason| one_line(reason)).collect();
        self
    }

    /// Its fields by name, for the journal and for the environment of hook
    /// commands. None has a line break but the reasons, one on each line.
    pub fn fields(&self) -> Vec<(&'static str, String)> {
        let mut fields = vec![
            ("CAIRN_EVENT", self.event.name().to_owned()),
            ("CAIRN_MESSAGE", self.message.clone()),
        ];
        let mut put = |name, value: Option<String>| fields.extend(value.map(|v| (name, v)));
        let reasons = self.reasons.join("\n");
        put("CAIRN_REASONS", (!reasons.is_empty()).then_some(reasons));
        put("CAIRN_SUBJECT", self.subject.as_deref().map(one_line));
        put("CAIRN_SWITCH", self.switch.map(|id| id.to_string()));
        put("CAIRN_POINT", self.point.map(|id| id.to_string()));
        let system = self.system.as_ref().map(StorePath::to_absolute_path);
        put("CAIRN_SYSTEM", system);
        let until = self.until.map(|at| at.to_rfc3339());
        put("CAIRN_UNTIL", until);
        put("CAIRN_NEXT", self.next.clone());
        fields
    }

    /// As terminals show it: a line, its reasons, what to do.
    pub fn text(&self) -> String {
        let mut text = format!("cairn: {}\n", self.message);
        for reason in self.reasons.iter().filter(|r| !self.message.contains(*r)) {
            text.push_str(&format!("  {reason}\n"));
        }
        if let Some(next) = &self.next {
            text.push_str(&format!("  try: {next}\n"));
        }
        text
    }
}

/// A text without what breaks lines or moves cursors.
fn one_line(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_breaks_a_line_or_moves_a_cursor() {
        let at = "2026-11-23T07:00:00Z".parse().unwrap();
        let sly = Notice::new(Occasion::Healed, at, "one\ntwo\x1b[2J")
            .because(&["three\r\nfour".to_owned()])
            .then("cairn status");
        assert!(!sly.message.contains(char::is_control), "{sly:?}");
        assert!(!sly.reasons[0].contains(char::is_control), "{sly:?}");
        assert_eq!(sly.text().lines().count(), 3);
        let fields = sly.fields();
        assert_eq!(fields[0], ("CAIRN_EVENT", "healed".to_owned()));
        assert!(
            fields
                .iter()
                .any(|field| *field == ("CAIRN_NEXT", "cairn status".to_owned()))
        );
        assert!(!fields.iter().any(|(name, _)| *name == "CAIRN_POINT"));
    }
}
