//! What was known of a change before it was switched to, as its record keeps
//! it: the risk is learned from this and from what came of it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a change is made of. What could not be found out is absent, or as if
/// it stayed the same.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Features {
    /// Another kernel.
    pub kernel: bool,
    /// Another initial RAM disk.
    pub initrd: bool,
    /// Another systemd.
    pub systemd: bool,
    /// Another C library.
    pub glibc: bool,
    /// Another boot loader, or another way to install it.
    pub bootloader: bool,
    /// Another interface between switch and init: needs a reboot.
    pub init_interface: bool,
    /// Other drivers or libraries of a graphics card.
    pub gpu: bool,
    /// Values that changed and forbid switching while the system runs.
    pub inhibitors: u32,
    /// Units that are defined otherwise, or new.
    pub units_changed: u32,
    /// Units that are gone.
    pub units_removed: u32,
    /// Packages that came, went or changed; absent when the store did not say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub packages: Option<u32>,
    /// Bytes of what came or changed, likewise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
    /// Bytes free where the boot loader keeps kernels.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub boot_free: Option<u64>,
    /// Bytes that a new kernel and initial RAM disk need there.
    pub boot_needs: u64,
    /// Bytes free where the store is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub store_free: Option<u64>,
    /// Seconds since a switch was last found good; absent when none was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since_good: Option<u64>,
}

/// What was foretold of a switch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Foretold {
    /// What the change is made of.
    pub features: Features,
    /// The log-odds that it fails, in thousandths, before calibration.
    pub score: i32,
    /// The probability that it fails, in thousandths, as it was told.
    pub chance: u16,
}
