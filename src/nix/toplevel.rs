//! The files of a built NixOS system (`config.system.build.toplevel`), as
//! nixpkgs' `nixos/modules/system/activation/top-level.nix` lays them out.
//! Paths are relative to the toplevel.

use std::path::Path;

use super::store_path::StorePathRef;
use super::version::parse_drv_name;

/// The version, `26.05.20260601.abcdef0`. nixos-rebuild takes a path for a
/// system if it has this file.
pub const NIXOS_VERSION: &str = "nixos-version";
/// The platform, `x86_64-linux`.
pub const SYSTEM: &str = "system";
/// Stage 2's start.
pub const INIT: &str = "init";
/// Version of the interface between switch-to-configuration and init, such as
/// `systemd 2`; another one needs a reboot.
pub const INIT_INTERFACE_VERSION: &str = "init-interface-version";
/// Link to the kernel image. Not in containers.
pub const KERNEL: &str = "kernel";
/// Directory whose one entry is named after the kernel's version. Not in
/// containers.
pub const KERNEL_MODULES: &str = "kernel-modules/lib/modules";
/// The kernel's command line, separated by blanks. Not in containers.
pub const KERNEL_PARAMS: &str = "kernel-params";
/// Link to the initial RAM disk. Not in containers.
pub const INITRD: &str = "initrd";
/// Link to the firmware. Not in containers.
pub const FIRMWARE: &str = "firmware";
/// The bootspec, see [`super::bootspec`]. Not in containers.
pub const BOOT_JSON: &str = "boot.json";
/// Directory of specialisations, each a toplevel.
pub const SPECIALISATION: &str = "specialisation";
/// The activation script.
pub const ACTIVATE: &str = "activate";
/// What the activation script would do.
pub const DRY_ACTIVATE: &str = "dry-activate";
/// Absent if `system.switch.enable` is off.
pub const SWITCH_TO_CONFIGURATION: &str = "bin/switch-to-configuration";
/// Values whose change makes a switch refuse. Newer systems only.
pub const SWITCH_INHIBITORS: &str = "switch-inhibitors";
/// The tree that `/etc` is made from.
pub const ETC: &str = "etc";
/// The tree of `/run/current-system/sw`.
pub const SW: &str = "sw";
/// Link to systemd.
pub const SYSTEMD: &str = "systemd";
/// A copy of the configuration, with `system.copySystemConfiguration` only.
pub const CONFIGURATION_NIX: &str = "configuration.nix";

/// What every system has.
pub const REQUIRED: [&str; 1] = [NIXOS_VERSION];
/// What a system needs that is to be switched to.
pub const REQUIRED_TO_SWITCH: [&str; 2] = [NIXOS_VERSION, SWITCH_TO_CONFIGURATION];

/// The kernel's version from the path of its image, for systems where
/// [`KERNEL_MODULES`] can't be read: `/nix/store/…-linux-6.12.30/bzImage` gives
/// `6.12.30`.
///
/// A fallback: a kernel may call itself otherwise (`6.6.30-rt30` comes from the
/// path too, a `localversion` does not). `None` if the path is in no store path
/// named `linux…` with a version.
pub fn kernel_version_from_path(path: &Path) -> Option<String> {
    let bytes = path.as_os_str().as_encoded_bytes();
    let (store_path, _) = StorePathRef::from_absolute_path_full(bytes).ok()?;
    let (name, version) = parse_drv_name(store_path.name());
    if name != "linux" && !name.starts_with("linux-") {
        return None;
    }
    // Outputs of the kernel's derivation other than its first.
    let version = ["-modules", "-dev"]
        .iter()
        .find_map(|output| version.strip_suffix(output))
        .unwrap_or(version);
    version
        .starts_with(|c: char| c.is_ascii_digit())
        .then(|| version.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kernel_versions() {
        let version = |rest: &str| {
            let path = format!("/nix/store/00bgd045z0d4icpbc2yyz4gx48ak44la-{rest}");
            kernel_version_from_path(Path::new(&path))
        };
        for (rest, expected) in [
            ("linux-6.12.30/bzImage", "6.12.30"),
            ("linux-6.12.30", "6.12.30"),
            ("linux-6.12.30-modules/lib/modules", "6.12.30"),
            ("linux-zen-6.9.1/bzImage", "6.9.1"),
            ("linux-rt-6.6.30-rt30/Image", "6.6.30-rt30"),
            ("linux-6.13-rc1/bzImage", "6.13-rc1"),
        ] {
            assert_eq!(version(rest).as_deref(), Some(expected), "{rest}");
        }
        for rest in [
            "linux/bzImage",
            "bash-5.2/bzImage",
            "linux--x",
            "linuxkit-1.0/x",
        ] {
            assert_eq!(version(rest), None, "{rest}");
        }
        assert_eq!(
            kernel_version_from_path(Path::new("/boot/linux-6.12.30/bzImage")),
            None
        );
    }
}
