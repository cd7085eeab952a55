//! What of a system says how a switch from it, or to it, will go.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::closure::ClosureEntry;

/// One of two systems that are compared.
#[derive(Clone, Debug, Default)]
pub struct Side {
    /// Where its kernel is.
    pub kernel: Option<PathBuf>,
    /// Its kernel's version.
    pub kernel_version: Option<String>,
    /// Where its initial RAM disk is.
    pub initrd: Option<PathBuf>,
    /// Where its systemd is.
    pub systemd: Option<PathBuf>,
    /// Its interface between switch and init.
    pub init_interface: Option<String>,
    /// Values that may not change while the system runs.
    pub inhibitors: BTreeMap<String, String>,
    /// Its units, each with what defines it.
    pub units: BTreeMap<String, String>,
    /// Bytes of kernel and initial RAM disk.
    pub boot_bytes: u64,
    /// Its closure; absent when the store did not say.
    pub closure: Option<Vec<ClosureEntry>>,
}
