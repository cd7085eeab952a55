//! Boots through real firmware and systemd-boot: what the boot gate is worth
//! where a boot loader counts and falls back by itself.
#![allow(clippy::disallowed_methods, clippy::unwrap_used, clippy::panic)]

mod bed_support;

use bed_support::Machine;
use serde_json::Value;

const PROFILE: &str = "/nix/var/nix/profiles/system";

/// The boot loader's entries, each as the generation it starts and the counter
/// in its name; in the order of generations.
fn entries(machine: &mut Machine) -> Vec<(String, String)> {
    let listed = machine.sh("cd /boot/loader/entries; for file in nixos-*.conf; do \
         echo \"$(sed -n 's/^version Generation \\([0-9]*\\).*/\\1/p' $file) $file \
         $(sed -n 's/^options .*init=\\([^ ]*\\)\\/init.*/\\1/p' $file)\"; done | sort -n");
    let entry = |line: &str| {
        let [_, file, path] = *line.split(' ').collect::<Vec<_>>() else {
            panic!("{line}");
        };
        let stem = file.strip_suffix(".conf").unwrap();
        let count = stem.split_once('+').map_or("", |(_, count)| count);
        (machine.name(path), count.to_owned())
    };
    let text = listed.ok();
    text.lines().map(entry).collect()
}

fn of(entries: &[(&str, &str)]) -> Vec<(String, String)> {
    let owned = |(name, count): &(&str, &str)| ((*name).to_owned(), (*count).to_owned());
    entries.iter().map(owned).collect()
}

/// What cairn takes for the boot loader's default.
fn default(machine: &mut Machine) -> String {
    let status = machine.cairn("--json status").json();
    let path = &status["status"]["system"]["loaderDefault"];
    machine.name(path.as_str().unwrap())
}

/// Waits until the gate of this boot has spoken and boot assessment has acted.
fn assessed(machine: &mut Machine) {
    let blessed = "systemctl is-active --quiet systemd-bless-boot.service";
    machine.wait_for(&format!(
        "{blessed} || systemctl is-failed --quiet cairn-boot.service"
    ));
    let told = machine.sh("journalctl --no-pager -b -u cairn-boot.service");
    assert_eq!(machine.sh(blessed).code, 0, "{}", told.text());
}

#[test]
#[ignore = "./test --boot"]
fn the_boot_loader_falls_back_and_the_profile_follows() {
    let Some(mut machine) = Machine::of("counted", "good") else {
        return;
    };

    // The first boot is counted, well, and blessed for it.
    assessed(&mut machine);
    machine.sh("systemctl is-active boot-complete.target").ok();
    assert_eq!(machine.leads("/run/booted-system"), "good");
    assert_eq!(entries(&mut machine), of(&[("good", "")]));
    assert_eq!(
        machine.leads("/nix/var/nix/gcroots/cairn/known-good/*"),
        "good"
    );
    assert_eq!(default(&mut machine), "good");

    // The next system has nothing that the kernel could start.
    let path = machine.path("no-init");
    machine.sh(&format!("nixos-rebuild boot {path}")).ends(0);
    machine.wait_for("! systemctl --quiet is-active 'cairn-gate-*'");
    assert_eq!(entries(&mut machine), of(&[("good", ""), ("no-init", "2")]));
    assert_eq!(default(&mut machine), "no-init");
    assert_eq!(machine.leads(PROFILE), "no-init");
    let panics = |machine: &Machine| machine.serial().matches("Kernel panic").count();
    assert_eq!(panics(&machine), 0);
    machine.reboot();

    // It was tried as often as it may be, and the boot loader went back.
    assert_eq!(panics(&machine), 2);
    assert_eq!(machine.leads("/run/booted-system"), "good");
    machine.wait_for(&format!(
        "test $(readlink -f {PROFILE}) = $(readlink /run/booted-system)"
    ));
    machine
        .wait_for("systemctl show --value -p ActiveState cairn-boot.service | grep -qx inactive");

    // cairn saw it, says so, and had the profile and the loader follow.
    let history = machine.cairn("--json history").json();
    let newest: &Value = &history["history"]["items"][0];
    assert_eq!(newest["to"], path, "{newest}");
    let result = &newest["result"];
    assert_eq!(result["verdict"], "bad", "{newest}");
    assert_eq!(result["done"], "repaired", "{newest}");
    let told = machine.cairn("history").ok();
    assert!(told.contains("the boot loader fell back"), "{told}");
    let status = machine.cairn("status").ok();
    assert!(status.contains("the boot loader fell back"), "{status}");
    assert_eq!(default(&mut machine), "good");
    assert_eq!(
        entries(&mut machine),
        of(&[("good", ""), ("no-init", "0-2")])
    );
    machine
        .sh("file=$(grep -l 'Generation 1 ' /boot/loader/entries/*); \
             grep -qx \"preferred ${file##*/}\" /boot/loader/loader.conf")
        .ok();
    assert_eq!(machine.sh("systemctl --failed --no-legend").ok(), "");
}
