//! Who is told what happened.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::schema;
use crate::point::Span;
use crate::point::occasion::Occasion;

/// Who is told what happened, beside the journal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Notify {
    /// Whether those who are logged in are told on their terminals what needs
    /// somebody's attention.
    pub wall: bool,
    /// Commands that are run when something happens, by name.
    #[schemars(extend("propertyNames" = { "pattern": schema::NAME }))]
    pub commands: BTreeMap<String, NotifyCommand>,
}

impl Default for Notify {
    fn default() -> Self {
        Self {
            wall: true,
            commands: BTreeMap::new(),
        }
    }
}

/// A command that is told what happened: as JSON on its standard input, and in
/// variables that begin with `CAIRN_`. Whatever comes of it, what told it goes
/// on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NotifyCommand {
    /// Program and arguments; no shell reads them.
    #[schemars(extend("minItems" = 1))]
    pub command: Vec<String>,
    /// What it is told of; everything when empty.
    #[serde(default)]
    pub events: Vec<Occasion>,
    /// After this long it is killed.
    #[serde(default = "timeout")]
    pub timeout: Span,
}

const fn timeout() -> Span {
    Span::seconds(10)
}

impl NotifyCommand {
    /// Whether it is told of this.
    pub fn hears(&self, occasion: Occasion) -> bool {
        self.events.is_empty() || self.events.contains(&occasion)
    }
}
