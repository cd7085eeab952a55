//! The boot loader's files on this machine.

use std::fs;
use std::path::Path;

use super::Layout;
use crate::nix::loader;
use crate::nix::store_path::StorePath;

/// Where the EFI system partition is mounted, most usual first.
const ESPS: &[&str] = &["/boot", "/efi", "/boot/efi"];

/// The toplevel the boot loader starts by default; `None` when there is no
/// loader (containers) or it cannot be read.
pub fn default(layout: &Layout) -> Option<StorePath> {
    let text = |path: &str| fs::read_to_string(layout.follow(path)).ok();
    ESPS.iter()
        .find_map(|esp| {
            let conf = text(&format!("{esp}/loader/loader.conf"))?;
            loader::systemd_boot(
                &conf,
                &entries(&layout.follow(&format!("{esp}/loader/entries"))),
            )
        })
        .or_else(|| text("/boot/grub/grub.cfg").and_then(|t| loader::grub(&t)))
        .or_else(|| text("/boot/extlinux/extlinux.conf").and_then(|t| loader::extlinux(&t)))
}

/// Whether boot counting gave a toplevel up; `false` without systemd-boot.
pub fn gave_up(layout: &Layout, toplevel: &StorePath) -> bool {
    ESPS.iter().any(|esp| {
        let dir = layout.follow(&format!("{esp}/loader/entries"));
        loader::gave_up(toplevel, &entries(&dir))
    })
}

fn entries(dir: &Path) -> Vec<(String, String)> {
    let files = fs::read_dir(dir).into_iter().flatten().flatten();
    files
        .filter_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            let text = fs::read_to_string(entry.path()).ok()?;
            name.ends_with(".conf").then_some((name, text))
        })
        .collect()
}
