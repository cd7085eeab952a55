//! Running a system's own programs in another root: the boot step of a rescue.
//!
//! `nixos-enter` does it where it is there. Where it is not — a rescue system
//! that is no NixOS — its steps are done here: a mount namespace of its own, so
//! that the mounts go with the process, the kernel's file systems in it, then
//! `chroot`. The system is not activated for it: its boot loader needs no more
//! than the store and the profile.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::Layout;
use super::run::Call;

const ENTER: &str = "nixos-enter";

/// Mounts what programs expect, and goes in. `/run` is empty and its own:
/// nothing is left there.
const SCRIPT: &str = r#"
root=$1 path=$2
shift 2
chroot=$(command -v chroot)
mkdir -p "$root/dev" "$root/proc" "$root/run" "$root/sys"
for from in dev proc sys; do mount --rbind "/$from" "$root/$from"; done
mount -t tmpfs -o mode=755 run "$root/run"
unset TMPDIR
PATH=$path exec "$chroot" "$root" "$@"
"#;

/// The profile as the other root names it.
fn profile(layout: &Layout, name: &str) -> PathBuf {
    let real = layout.profile(name);
    let inside = real.strip_prefix(layout.root()).unwrap_or(&real);
    Path::new("/").join(inside)
}

/// The boot step as a person would type it: the boot loader of the root learns
/// of the profile's system.
pub fn boot_step(layout: &Layout, name: &str) -> Call {
    let profile = profile(layout, name);
    let call = Call::new(ENTER).arg("--root").arg(layout.root());
    let call = match name {
        "system" => call,
        _ => call.arg("--system").arg(&profile),
    };
    call.arg("--")
        .arg(profile.join("bin/switch-to-configuration"))
        .arg("boot")
}

/// The call that does the boot step; `bootloader` installs the boot loader
/// itself as well. As in a switch, no check of the system may refuse it.
pub fn call(layout: &Layout, name: &str, bootloader: bool) -> Call {
    let mut call = match is_installed(ENTER) {
        true => boot_step(layout, name),
        false => own_step(layout, name),
    };
    if bootloader {
        call = call.env("NIXOS_INSTALL_BOOTLOADER", "1");
    }
    call = call.env("NIXOS_NO_CHECK", "1");
    call.show = true;
    call
}

fn own_step(layout: &Layout, name: &str) -> Call {
    let profile = profile(layout, name);
    let mut path = OsString::from(profile.join("sw/bin"));
    path.push(":/usr/bin:/bin");
    Call::new("unshare")
        .args(["--mount", "--propagation", "private", "--"])
        .args(["sh", "-euc", SCRIPT, "sh"])
        .arg(layout.root())
        .arg(path)
        .arg(profile.join("bin/switch-to-configuration"))
        .arg("boot")
}

/// Whether a program of this name is on the path.
fn is_installed(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|dir| dir.join(program).is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_is_what_a_person_types() {
        let layout = Layout::new("/mnt", "/s");
        assert_eq!(
            boot_step(&layout, "system").line(),
            "nixos-enter --root /mnt -- \
             /nix/var/nix/profiles/system/bin/switch-to-configuration boot"
        );
        let work = "/nix/var/nix/profiles/system-profiles/work";
        assert_eq!(
            boot_step(&layout, "work").line(),
            format!(
                "nixos-enter --root /mnt --system {work} -- \
                 {work}/bin/switch-to-configuration boot"
            )
        );
    }
}
