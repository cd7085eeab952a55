//! What may be done about issues without asking, and how often.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::schema;
use crate::point::Span;
use crate::point::heal::Action;

/// Healing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Heal {
    /// Whether issues are looked for and healed by the clock. The NixOS module
    /// makes the timer; `cairn heal` works either way.
    pub enable: bool,
    /// How often.
    pub interval: Span,
    /// Actions that are also tried where they are destructive, and off
    /// otherwise: docs/healing.md says where that is.
    pub destructive: Vec<Action>,
    /// Actions that are never tried.
    pub disabled: Vec<Action>,
    /// Issues that are left alone: a kind, or a kind and what it is about, as
    /// in `service-down:backup-*.service`; `*` stands for any text.
    #[schemars(inner(regex(pattern = schema::TEXT)))]
    pub ignore: Vec<String>,
    /// How long an issue is left alone after an action was tried against it.
    pub cool_down: Span,
    /// How many actions are tried against one issue within a day.
    #[schemars(range(min = 1))]
    pub attempts: u32,
    /// How many actions are tried in all before the machine boots again.
    #[schemars(range(min = 1))]
    pub per_boot: u32,
    /// How long an issue must stay away to count as healed.
    pub settle: Span,
    /// A disk or memory that is foreseen to be full within this time has a
    /// restore point taken beforehand, at most one in such a time.
    pub foresee: Span,
}

impl Default for Heal {
    fn default() -> Self {
        Self {
            enable: false,
            interval: Span::seconds(300),
            destructive: Vec::new(),
            disabled: Vec::new(),
            ignore: Vec::new(),
            cool_down: Span::seconds(900),
            attempts: 6,
            per_boot: 30,
            settle: Span::seconds(5),
            foresee: Span::seconds(12 * 3600),
        }
    }
}
