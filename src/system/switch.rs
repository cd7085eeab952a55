//! Making a system run: `switch-to-configuration`, in a unit of its own.
//!
//! As `nixos-rebuild` does it: the switch must survive the loss of the session
//! that asked for it, and its caller may be a unit that the switch stops.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use super::error::optional;
use super::run::Call;
use super::{At, IoError, Layout, bus};
use crate::nix::store_path::StorePath;

/// Name of the transient unit a switch runs in.
pub const UNIT: &str = "cairn-switch-to-configuration";

/// Whether there is a running system that can be switched: the root is `/`,
/// and it runs NixOS.
pub fn is_running(layout: &Layout) -> bool {
    layout.is_live() && layout.real("/run/current-system").is_dir()
}

/// Whether `toplevel` has the tool that activates it. One that is yet to be
/// fetched counts as having it.
pub fn has_tool(layout: &Layout, toplevel: &StorePath) -> bool {
    let path = layout.store_path(toplevel);
    path.join("bin/switch-to-configuration").is_file() || !path.exists()
}

/// The call that switches to `toplevel` (or to its specialisation);
/// `bootloader` installs the boot loader itself as well.
///
/// `NIXOS_NO_CHECK`: going back must not be refused by the checks of the
/// system gone back to, nor take another restore point (nixos-facts: switch
/// inhibitors make a built-in check fail on a rollback).
pub fn call(
    layout: &Layout,
    toplevel: &StorePath,
    specialisation: Option<&str>,
    action: &str,
    bootloader: bool,
) -> Call {
    unit(layout, toplevel, specialisation, action, bootloader, false)
}

/// The call that makes `toplevel` (or its specialisation) the boot default, as
/// a person would: its checks are asked, and the hook hears of it.
pub fn boot_call(layout: &Layout, toplevel: &StorePath, specialisation: Option<&str>) -> Call {
    unit(layout, toplevel, specialisation, "boot", false, true)
}

fn unit(
    layout: &Layout,
    toplevel: &StorePath,
    specialisation: Option<&str>,
    action: &str,
    bootloader: bool,
    checks: bool,
) -> Call {
    let no_check = if checks {
        "NIXOS_NO_CHECK="
    } else {
        "NIXOS_NO_CHECK=1"
    };
    let mut tool = layout.store_path(toplevel);
    if let Some(specialisation) = specialisation {
        tool.push("specialisation");
        tool.push(specialisation);
    }
    tool.push("bin/switch-to-configuration");
    // Without a bus systemd-run cannot wait, and the tool itself still moves the
    // boot default.
    let mut call = if Path::new("/run/systemd/system").is_dir() && bus::listens(layout) {
        Call::new("systemd-run")
            .args(["-E", "LOCALE_ARCHIVE", "-E"])
            .arg(if bootloader {
                INSTALL
            } else {
                "NIXOS_INSTALL_BOOTLOADER"
            })
            .args(["-E", no_check, "--collect", "--no-ask-password", "--pipe"])
            .args(["--quiet", "--service-type=exec"])
            .arg(format!("--unit={UNIT}-{}", std::process::id()))
            .arg(tool)
            .arg(action)
    } else {
        let value = if checks { "" } else { "1" };
        let call = Call::new(tool).arg(action).env("NIXOS_NO_CHECK", value);
        match bootloader {
            true => call.env("NIXOS_INSTALL_BOOTLOADER", "1"),
            false => call,
        }
    };
    call.show = true;
    call
}

const INSTALL: &str = "NIXOS_INSTALL_BOOTLOADER=1";

/// Held alone by every `switch-to-configuration` from before its checks to its
/// end (nixos-facts: non-blocking, so a second switch gives up at once).
const LOCK: &str = "/run/nixos/switch-to-configuration.lock";

/// Where a switch keeps what it has yet to start; it removes them at its end.
const LISTS: [&str; 3] = [
    "/run/nixos/start-list",
    "/run/nixos/restart-list",
    "/run/nixos/reload-list",
];

/// Waits until no switch is under way, at most `patience` when there is one;
/// gives whether that is so. The lock is let go of at once: whoever holds it
/// makes switches fail.
///
/// # Errors
/// When the lock is there and cannot be used.
pub fn wait_until_free(layout: &Layout, patience: Option<Duration>) -> Result<bool, IoError> {
    let path = layout.real(LOCK);
    let Some(file) = optional(File::open(&path).at("open the lock", &path))? else {
        return Ok(true);
    };
    let Some(patience) = patience else {
        loop {
            match flock(&file, FlockOperation::LockShared) {
                Err(Errno::INTR) => {}
                other => return other.map(|()| true).at("lock", &path),
            }
        }
    };
    let begun = Instant::now();
    loop {
        match flock(&file, FlockOperation::NonBlockingLockShared) {
            Ok(()) => return Ok(true),
            Err(Errno::WOULDBLOCK | Errno::INTR) if begun.elapsed() < patience => {
                sleep(Duration::from_millis(20));
            }
            Err(Errno::WOULDBLOCK | Errno::INTR) => return Ok(false),
            Err(errno) => return Err(errno).at("lock", &path),
        }
    }
}

/// Whether a switch was killed before it had started all it meant to.
pub fn lists_left(layout: &Layout) -> bool {
    LISTS
        .iter()
        .any(|list| fs::metadata(layout.real(list)).is_ok_and(|m| m.len() > 0))
}

/// Whether two systems have different init interfaces, so that one cannot be
/// switched to from the other. Unreadable ones count as equal.
pub fn init_differs(layout: &Layout, a: &StorePath, b: &StorePath) -> bool {
    let interface = |path: &StorePath| {
        fs::read_to_string(layout.store_path(path).join("init-interface-version")).ok()
    };
    match (interface(a), interface(b)) {
        (Some(a), Some(b)) => a.trim() != b.trim(),
        _ => false,
    }
}

/// What keeps a running system from being switched to another, by name:
/// `system.switch.inhibitors` that both have and that differ (NixOS: the check
/// `switchInhibitors`, from 26.05). Systems without them have none.
pub fn inhibitors(layout: &Layout, running: &StorePath, other: &StorePath) -> Vec<String> {
    let read = |path: &StorePath| -> BTreeMap<String, String> {
        let text = fs::read(layout.store_path(path).join("switch-inhibitors"));
        text.ok()
            .and_then(|text| serde_json::from_slice(&text).ok())
            .unwrap_or_default()
    };
    let new = read(other);
    let differs = |(name, value): &(String, String)| new.get(name).is_some_and(|n| n != value);
    let both = read(running).into_iter().filter(differs);
    both.map(|(name, _)| name).collect()
}

/// Why the running system cannot become another without a reboot, in words;
/// `None` when it can.
pub fn needs_reboot(layout: &Layout, running: &StorePath, other: &StorePath) -> Option<String> {
    if init_differs(layout, running, other) {
        return Some("the init interface differs".to_owned());
    }
    match inhibitors(layout, running, other) {
        names if names.is_empty() => None,
        names => Some(format!("switch inhibitors differ ({})", names.join(", "))),
    }
}

/// What an exit code of `switch-to-configuration` means.
pub fn meaning(code: i32) -> &'static str {
    match code {
        0 => "done",
        1 => "a check or the boot loader failed, or systemd could not be reached",
        2 => "the activation script failed, and the switch went on",
        4 => "a unit failed",
        11 => "another switch is running",
        100 => "the init system differs: a reboot is needed",
        _ => "it ended in an unknown way",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::system::run::{Recorder, Runner};

    #[test]
    fn inhibitors_that_both_have_and_that_differ_keep_a_system_from_another() {
        let root = tempfile::tempdir().unwrap();
        let layout = Layout::new(root.path(), root.path().join("state"));
        let system = |n: u8, inhibitors: Option<&str>| {
            let text = format!("/nix/store/{}-nixos-system-{n}", "0".repeat(32));
            let path = StorePath::from_absolute_path(text.as_bytes()).unwrap();
            fs::create_dir_all(layout.store_path(&path)).unwrap();
            if let Some(text) = inhibitors {
                fs::write(layout.store_path(&path).join("switch-inhibitors"), text).unwrap();
            }
            path
        };
        let old = system(1, Some(r#"{"dbus": "daemon", "gone": "1", "same": "1"}"#));
        let new = system(2, Some(r#"{"dbus": "broker", "same": "1", "new": "1"}"#));
        let bare = system(3, None);
        assert_eq!(inhibitors(&layout, &old, &new), ["dbus"]);
        let why = needs_reboot(&layout, &new, &old).unwrap();
        assert_eq!(why, "switch inhibitors differ (dbus)");
        for (a, b) in [(&old, &old), (&old, &bare), (&bare, &new)] {
            assert_eq!(needs_reboot(&layout, a, b), None);
        }
    }

    #[test]
    fn a_specialisation_is_switched_to_through_its_parent() {
        let text = format!("/nix/store/{}-nixos-system-x", "0".repeat(32));
        let parent = StorePath::from_absolute_path(text.as_bytes()).unwrap();
        let call = call(
            &Layout::new("/", "/s"),
            &parent,
            Some("safe"),
            "switch",
            true,
        );
        let line = call.line();
        assert!(
            line.contains(&format!(
                "{text}/specialisation/safe/bin/switch-to-configuration switch"
            )),
            "{line}"
        );
        let environment = format!("{line} {:?}", call.env);
        assert!(
            environment.contains("NIXOS_INSTALL_BOOTLOADER"),
            "{environment}"
        );
        let recorder = Recorder::default();
        assert_eq!(recorder.run(&call).unwrap().code, 0);
        assert_eq!(recorder.0.lock().unwrap().len(), 1);
    }
}
