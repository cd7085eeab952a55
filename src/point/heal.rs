//! Names of what healing does. They are part of the policy, of the history and
//! of what machines tell each other; [`crate::heal`] says what each does.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One thing that can be done about an issue.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// Forget that a unit failed which is no longer there.
    ResetFailed,
    /// Restart a unit.
    RestartUnit,
    /// Restart what a unit needs, then the unit.
    RestartDependencies,
    /// Collect the garbage of the Nix store.
    CollectGarbage,
    /// Remove the oldest of the journal.
    VacuumJournal,
    /// Remove temporary files that are old enough.
    CleanTemporaryFiles,
    /// Give the unit that takes most a smaller share of the processors.
    ReniceUnit,
    /// Stop the unit that takes most.
    StopUnit,
    /// Make the processors faster, or cooler.
    SetGovernor,
    /// Bring back the file as the last restore point had it in which it parses.
    RestoreConfiguration,
    /// Restart the units that make the network.
    RestartNetwork,
    /// Switch to the last known-good system.
    RollBack,
}

impl Action {
    /// Every action.
    pub const ALL: [Self; 12] = [
        Self::ResetFailed,
        Self::RestartUnit,
        Self::RestartDependencies,
        Self::CollectGarbage,
        Self::VacuumJournal,
        Self::CleanTemporaryFiles,
        Self::ReniceUnit,
        Self::StopUnit,
        Self::SetGovernor,
        Self::RestoreConfiguration,
        Self::RestartNetwork,
        Self::RollBack,
    ];

    /// Its name, as the policy, JSON and the history have it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ResetFailed => "reset-failed",
            Self::RestartUnit => "restart-unit",
            Self::RestartDependencies => "restart-dependencies",
            Self::CollectGarbage => "collect-garbage",
            Self::VacuumJournal => "vacuum-journal",
            Self::CleanTemporaryFiles => "clean-temporary-files",
            Self::ReniceUnit => "renice-unit",
            Self::StopUnit => "stop-unit",
            Self::SetGovernor => "set-governor",
            Self::RestoreConfiguration => "restore-configuration",
            Self::RestartNetwork => "restart-network",
            Self::RollBack => "roll-back",
        }
    }

    /// The action of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|action| action.as_str() == name)
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_has_the_names_of_the_table() {
        for action in Action::ALL {
            let text = serde_json::to_string(&action).unwrap();
            assert_eq!(text, format!("\"{action}\""));
            assert_eq!(Action::named(action.as_str()), Some(action));
        }
        assert_eq!(Action::named("pray"), None);
    }
}
