//! What a hardware configuration names, as `nixos-generate-config` writes it.

use std::collections::BTreeSet;

/// The devices in it, sorted: `device = "/dev/disk/by-uuid/…";` of file
/// systems, swap and encrypted disks.
pub fn disks(text: &str) -> BTreeSet<String> {
    let code = text
        .lines()
        .map(|line| line.split('#').next().unwrap_or(""));
    let mut found = BTreeSet::new();
    for line in code {
        for part in line.split('"').skip(1).step_by(2) {
            if part.starts_with("/dev/disk/") || part.starts_with("/dev/mapper/") {
                found.insert(part.to_owned());
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_are_found_and_comments_are_none() {
        let text = r#"
          fileSystems."/" = { device = "/dev/disk/by-uuid/aa-1"; fsType = "ext4"; };
          # device = "/dev/disk/by-uuid/old";
          swapDevices = [ { device = "/dev/disk/by-uuid/bb"; } ];
          boot.initrd.luks.devices."x".device = "/dev/mapper/y";
          fileSystems."/tmp" = { device = "tmpfs"; };
        "#;
        let found: Vec<_> = disks(text).into_iter().collect();
        assert_eq!(
            found,
            [
                "/dev/disk/by-uuid/aa-1",
                "/dev/disk/by-uuid/bb",
                "/dev/mapper/y"
            ]
        );
    }
}
