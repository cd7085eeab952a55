//! What people, the journal and hook commands are told of.
//!
//! Every occasion has a name and a message id for good: journals are searched
//! by it (`journalctl MESSAGE_ID=…`), long after the machine that wrote them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What happened.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Occasion {
    /// A switch passed its gate.
    SwitchGood,
    /// A switch failed its gate, and stays.
    SwitchBad,
    /// A switch was taken back.
    WentBack,
    /// A switch was to be taken back, and could not be.
    Stuck,
    /// What was switched to, or gone back to, runs only after a reboot.
    NeedsReboot,
    /// A switch is taken back unless somebody confirms it.
    ConfirmAwaited,
    /// Somebody confirmed a switch.
    Confirmed,
    /// A switch was taken back because somebody said so, or nobody confirmed
    /// it.
    Reverted,
    /// After bad boots the known-good system took over, or the boot loader
    /// fell back by itself.
    BootWentBack,
    /// The machine does not boot well, and there is nothing to go back to.
    BootStuck,
    /// An issue was healed.
    Healed,
    /// An issue could not be healed.
    HealFailed,
    /// A switch was refused: no restore point could be taken before it.
    PointFailed,
}

impl Occasion {
    /// Every one.
    pub const ALL: [Self; 13] = [
        Self::SwitchGood,
        Self::SwitchBad,
        Self::WentBack,
        Self::Stuck,
        Self::NeedsReboot,
        Self::ConfirmAwaited,
        Self::Confirmed,
        Self::Reverted,
        Self::BootWentBack,
        Self::BootStuck,
        Self::Healed,
        Self::HealFailed,
        Self::PointFailed,
    ];

    /// Its name in the policy, in `CAIRN_EVENT` and in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::SwitchGood => "switch-good",
            Self::SwitchBad => "switch-bad",
            Self::WentBack => "went-back",
            Self::Stuck => "stuck",
            Self::NeedsReboot => "needs-reboot",
            Self::ConfirmAwaited => "confirm-awaited",
            Self::Confirmed => "confirmed",
            Self::Reverted => "reverted",
            Self::BootWentBack => "boot-went-back",
            Self::BootStuck => "boot-stuck",
            Self::Healed => "healed",
            Self::HealFailed => "heal-failed",
            Self::PointFailed => "point-failed",
        }
    }

    /// Its id in the journal; never changed, never used for anything else.
    pub fn message_id(self) -> &'static str {
        match self {
            Self::SwitchGood => "8742be43425f4b18a40f74a95f6b3da6",
            Self::SwitchBad => "99de73ac578c4500a4f3e4de5e793a22",
            Self::WentBack => "980382bd372e4f69a813e8db77eb806e",
            Self::Stuck => "21111e51ab00481684a50fdc8f0ba5c2",
            Self::NeedsReboot => "c050db295afb45d0b0682bd5c1f3875e",
            Self::ConfirmAwaited => "11454ae61c7c4a27b56af19f8739eca1",
            Self::Confirmed => "c59d0ca0771a4ee39d9c76086dd96677",
            Self::Reverted => "f2fc8350255840c58fbcf21a7a0614bc",
            Self::BootWentBack => "3cd6608bd0384831b7e844519da7034e",
            Self::BootStuck => "5e2328ddd4564d3996186f187f92c6ac",
            Self::Healed => "3b915c99785a4056abd028b22c2d43ba",
            Self::HealFailed => "b09a78e51a9e4410b8712f6d854d2c4b",
            Self::PointFailed => "48ccb0b6230e4b3aa58fd6233d549a27",
        }
    }

    /// How bad it is, as syslog counts: 2 is critical, 3 an error, 4 a warning,
    /// 5 worth noting, 6 for the record.
    pub fn priority(self) -> u8 {
        match self {
            Self::Stuck | Self::BootStuck => 2,
            Self::HealFailed | Self::PointFailed => 3,
            Self::SwitchBad
            | Self::WentBack
            | Self::ConfirmAwaited
            | Self::Reverted
            | Self::BootWentBack => 4,
            Self::NeedsReboot | Self::Healed => 5,
            Self::SwitchGood | Self::Confirmed => 6,
        }
    }

    /// Whether those who are logged in are told on their terminals: the rest is
    /// only worth reading when somebody looks for it.
    pub fn interrupts(self) -> bool {
        self.priority() <= 4 || self == Self::NeedsReboot
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_and_ids_are_told_apart_and_names_are_those_of_the_policy() {
        let ids: BTreeSet<&str> = Occasion::ALL.map(Occasion::message_id).into();
        assert_eq!(ids.len(), Occasion::ALL.len());
        for occasion in Occasion::ALL {
            assert_eq!(
                serde_json::to_value(occasion).unwrap(),
                serde_json::json!(occasion.name())
            );
            let id = occasion.message_id();
            assert!(id.len() == 32 && id.bytes().all(|b| b"0123456789abcdef".contains(&b)));
        }
    }

    #[test]
    fn the_document_lists_every_id() {
        let document = include_str!("../../docs/notify.md");
        for occasion in Occasion::ALL {
            let row = document
                .lines()
                .find(|line| line.starts_with(&format!("| `{}` |", occasion.name())))
                .unwrap_or_else(|| panic!("no row for {}", occasion.name()));
            assert!(row.contains(occasion.message_id()), "{row}");
            assert!(
                row.contains(&format!("| {} |", occasion.priority())),
                "{row}"
            );
        }
    }
}
