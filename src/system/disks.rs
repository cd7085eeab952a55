//! Whether a disk is there, by one of its lasting names.

use super::Layout;

/// Whether `/dev/disk/by-…` or another device of this name is there. Devices of
/// another root are not ours to look at: they count as there.
pub fn is_there(layout: &Layout, device: &str) -> bool {
    !layout.is_live() || std::fs::symlink_metadata(device).is_ok()
}
