//! The system part of a document.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::nix::store_path::StorePath;

/// The system at the time: the four pointers, which can all differ, and facts
/// read from the running toplevel.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct System {
    /// The profile: what the next boot would use, unless the loader disagrees.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub profile: Option<ProfileFact>,
    /// `/run/current-system`: what runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub current: Option<StorePath>,
    /// `/run/booted-system`: what was booted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub booted: Option<StorePath>,
    /// What the boot loader would start.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub loader_default: Option<StorePath>,
    /// Set when the running system is a specialisation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub specialisation: Option<Specialisation>,
    /// The switch under way, for a point taken by its hook.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub incoming: Option<Incoming>,
    /// Kernels.
    pub kernel: Kernel,
    /// `nixos-version` of the running toplevel.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nixos_version: Option<String>,
    /// `system.configurationRevision`, when the configuration sets it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub configuration_revision: Option<String>,
}

impl System {
    /// The toplevel that restoring this point makes the boot default.
    ///
    /// As a rule that is where the profile pointed. When a switch has moved the
    /// profile already, as `nixos-rebuild` does before anything else, it is
    /// what the boot loader still started, else the running system; so it is
    /// when there was no profile.
    ///
    /// A running specialisation tells it better than the boot loader, whose
    /// default may be another generation, or the specialisation itself.
    pub fn boot_target(&self) -> Option<&StorePath> {
        let profile = self.profile.as_ref().map(|p| &p.toplevel);
        let parent = self.specialisation.as_ref().map(|s| &s.parent);
        let running = parent.or(self.current.as_ref());
        match &self.incoming {
            Some(to) if to.action != "test" && profile == Some(to.generation()) => {
                // From one specialisation to another, the profile stays.
                if to.specialisation.is_some() && running == profile {
                    return profile;
                }
                let of_loader = self
                    .loader_default
                    .as_ref()
                    .filter(|default| **default != to.toplevel && *default != to.generation());
                parent.or(of_loader).or(running).or(profile)
            }
            _ => profile.or(running),
        }
    }

    /// The toplevel that restoring this point makes run; absent when nothing
    /// ran, as in a root on a mounted disk.
    pub fn run_target(&self) -> Option<&StorePath> {
        self.current.as_ref()
    }

    /// The system that this point is about: the running one, else the boot
    /// default.
    pub fn target(&self) -> Option<&StorePath> {
        self.run_target().or_else(|| self.boot_target())
    }

    /// Every toplevel worth keeping alive, each once.
    pub fn toplevels(&self) -> BTreeSet<&StorePath> {
        [&self.current, &self.booted, &self.loader_default]
            .into_iter()
            .flatten()
            .chain(self.profile.as_ref().map(|p| &p.toplevel))
            .chain(self.specialisation.as_ref().map(|s| &s.parent))
            .collect()
    }
}

/// Where the profile pointed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ProfileFact {
    /// Profile name, `system` unless another was asked for.
    pub name: String,
    /// Generation number: a hint, it dies with its link.
    pub generation: u64,
    /// The store path: the truth.
    pub toplevel: StorePath,
}

/// A running specialisation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Specialisation {
    /// Its name.
    pub name: String,
    /// The toplevel it belongs to.
    pub parent: StorePath,
}

/// A switch under way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Incoming {
    /// The toplevel being switched to.
    pub toplevel: StorePath,
    /// `NIXOS_ACTION`: switch, boot or test.
    pub action: String,
    /// Set when that is a specialisation of the profile's system.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub specialisation: Option<Specialisation>,
}

impl Incoming {
    /// What the profile points to for it.
    pub fn generation(&self) -> &StorePath {
        let parent = self.specialisation.as_ref().map(|s| &s.parent);
        parent.unwrap_or(&self.toplevel)
    }
}

/// Kernel versions.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Kernel {
    /// The one that runs (`uname -r`); absent for another root than `/`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub running: Option<String>,
    /// The one the target toplevel boots.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
}
