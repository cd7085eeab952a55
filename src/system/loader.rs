//! The boot loader's files on this machine, and what the firmware remembers.

use std::fs;

use super::Layout;
use crate::nix::loader;
use crate::nix::loader::systemd_boot::{self, Entry, Variables};
use crate::nix::store_path::StorePath;

/// Where the EFI system partition, or the one that holds its larger files, is
/// mounted; most usual first.
const ESPS: [&str; 3] = ["/boot", "/efi", "/boot/efi"];

/// The firmware's variables, as the kernel shows them, and whose they are.
const VARIABLES: &str = "/sys/firmware/efi/efivars";
const VENDOR: &str = "4a67b082-0a4c-41cf-b6c7-440b29bb8c4f";

/// The toplevel the boot loader starts by default; `None` when there is no
/// loader (containers) or it cannot be read.
pub fn default(layout: &Layout) -> Option<StorePath> {
    let text = |path: &str| fs::read_to_string(layout.follow(path)).ok();
    systemd_boot_conf(layout)
        .and_then(|conf| {
            let entries = entries(layout);
            systemd_boot::default(&conf, &entries, &variables(layout))?
                .toplevel
                .clone()
        })
        .or_else(|| text("/boot/grub/grub.cfg").and_then(|t| loader::grub(&t)))
        .or_else(|| text("/boot/extlinux/extlinux.conf").and_then(|t| loader::extlinux(&t)))
}

/// The toplevel that was chosen for the next boot alone, as `bootctl
/// set-oneshot` does.
pub fn once(layout: &Layout) -> Option<StorePath> {
    systemd_boot_conf(layout)?;
    let variables = variables(layout);
    systemd_boot::once(&entries(layout), &variables)?
        .toplevel
        .clone()
}

/// Whether boot counting gave a toplevel up; `false` without systemd-boot.
pub fn gave_up(layout: &Layout, toplevel: &StorePath) -> bool {
    systemd_boot::gave_up(toplevel, &entries(layout))
}

fn systemd_boot_conf(layout: &Layout) -> Option<String> {
    ESPS.iter().find_map(|esp| {
        let path = layout.follow(&format!("{esp}/loader/loader.conf"));
        fs::read_to_string(path).ok()
    })
}

/// The entries of all partitions, as the loader shows them in one menu.
fn entries(layout: &Layout) -> Vec<Entry> {
    let mut dirs = ESPS.map(|esp| layout.follow(&format!("{esp}/loader/entries")));
    dirs.sort();
    dirs.iter()
        .enumerate()
        .filter(|(i, dir)| *i == 0 || dirs[i - 1] != **dir)
        .flat_map(|(_, dir)| fs::read_dir(dir).into_iter().flatten().flatten())
        .filter_map(|file| {
            let name = file.file_name().into_string().ok()?;
            Entry::parse(&name, &fs::read_to_string(file.path()).ok()?)
        })
        .collect()
}

fn variables(layout: &Layout) -> Variables {
    let read = |name: &str| {
        let file = fs::read(layout.real(format!("{VARIABLES}/{name}-{VENDOR}"))).ok()?;
        // The first four bytes are attributes.
        file.get(4..).map(<[u8]>::to_vec)
    };
    let text = |name: &str| {
        let bytes = read(name)?;
        let units: Vec<u16> = bytes
            .chunks_exact(2)
            .map(|pair| u16::from_le_bytes([pair[0], pair[1]]))
            .collect();
        let text = String::from_utf16(&units).ok()?;
        let text = text.trim_end_matches('\0');
        (!text.is_empty()).then(|| text.to_owned())
    };
    Variables {
        one_shot: text("LoaderEntryOneShot"),
        preferred: text("LoaderEntryPreferred"),
        default: text("LoaderEntryDefault"),
        last_booted: text("LoaderEntryLastBooted"),
        features: read("LoaderFeatures")
            .and_then(|bytes| bytes.try_into().ok())
            .map(u64::from_le_bytes),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn path(n: u32) -> StorePath {
        let path = format!("/nix/store/{}-nixos-system-x-{n}", "0".repeat(32));
        StorePath::from_absolute_path(path.as_bytes()).unwrap()
    }

    fn write(root: &Path, name: &str, content: &[u8]) {
        let file = root.join(name);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, content).unwrap();
    }

    fn variable(root: &Path, name: &str, content: &[u8]) {
        let file = format!("sys/firmware/efi/efivars/{name}-{VENDOR}");
        write(root, &file, &[&[7, 0, 0, 0], content].concat());
    }

    fn utf16(text: &str) -> Vec<u8> {
        let units = text.encode_utf16().chain([0]);
        units.flat_map(u16::to_le_bytes).collect()
    }

    fn entry(root: &Path, file: &str, n: u32) {
        let init = path(n).to_absolute_path();
        let text = format!("version {n}\noptions init={init}/init\nsort-key nixos");
        write(root, file, text.as_bytes());
    }

    #[test]
    fn files_of_two_partitions_and_the_firmware_are_read_together() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        let layout = Layout::new(root, root.join("state"));
        assert_eq!(default(&layout), None);
        // The loader's own file on one, the larger ones on the other.
        let conf = b"preferred nixos-a.conf\ndefault nixos-*\n";
        write(root, "efi/loader/loader.conf", conf);
        entry(root, "boot/loader/entries/nixos-a.conf", 1);
        entry(root, "efi/loader/entries/nixos-b+2.conf", 2);
        assert_eq!(default(&layout), Some(path(1)));
        assert_eq!(once(&layout), None);

        variable(root, "LoaderEntryOneShot", &utf16("nixos-b.conf"));
        assert_eq!(once(&layout), Some(path(2)));
        assert_eq!(default(&layout), Some(path(1)));
        // A loader that knows nothing of preferred entries.
        variable(root, "LoaderFeatures", &0x7ffff_u64.to_le_bytes());
        assert_eq!(default(&layout), Some(path(2)));
        variable(root, "LoaderEntryDefault", &utf16("nixos-a.conf"));
        assert_eq!(default(&layout), Some(path(1)));
        // What is not as it should be says nothing.
        variable(root, "LoaderEntryDefault", &[0xd8]);
        variable(root, "LoaderFeatures", &[1]);
        assert_eq!(default(&layout), Some(path(1)));
    }

    #[test]
    fn an_entry_without_tries_left_gives_its_system_up() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::new(dir.path(), dir.path().join("state"));
        entry(dir.path(), "boot/loader/entries/nixos-a+0-2.conf", 1);
        entry(dir.path(), "boot/loader/entries/nixos-b.conf", 2);
        assert!(gave_up(&layout, &path(1)));
        assert!(!gave_up(&layout, &path(2)));
    }
}
