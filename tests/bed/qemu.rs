//! Boots through real firmware and systemd-boot: what the boot gate is worth
//! where a boot loader counts and falls back by itself.

use crate::support::{Machine, Pointers};
use serde_json::Value;

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

#[test]
#[ignore = "./test --boot"]
fn the_boot_loader_falls_back_and_the_profile_follows() {
    let Some(mut machine) = Machine::of("counted", "good") else {
        return;
    };

    // The first boot is counted, well, and blessed for it.
    machine.settled();
    machine
        .sh("systemctl is-active boot-complete.target systemd-bless-boot.service")
        .ok();
    assert_eq!(machine.pointers(), Pointers::all("good"));
    assert_eq!(entries(&mut machine), of(&[("good", "")]));
    let known_good = machine.leads("/nix/var/nix/gcroots/cairn/known-good/*");
    assert_eq!(known_good, "good");

    // The next system has nothing that the kernel could start.
    let path = machine.path("no-init");
    machine.sh(&format!("nixos-rebuild boot {path}")).ends(0);
    machine.wait_for("! systemctl --quiet is-active 'cairn-gate-*'");
    assert_eq!(entries(&mut machine), of(&[("good", ""), ("no-init", "2")]));
    let chosen = Pointers {
        profile: "no-init".to_owned(),
        loader: "no-init".to_owned(),
        ..Pointers::all("good")
    };
    assert_eq!(machine.pointers(), chosen);
    let panics = |machine: &Machine| machine.serial().matches("Kernel panic").count();
    assert_eq!((machine.starts(), panics(&machine)), (1, 0));
    machine.reboot();

    // It was tried as often as it may be, and the boot loader went back.
    assert_eq!((machine.starts(), panics(&machine)), (4, 2));
    assert_eq!(machine.leads("/run/booted-system"), "good");
    machine.settled();

    // cairn saw it, says so, and had the profile and the loader follow.
    let fallen = newest(&mut machine);
    assert_eq!(fallen["to"], path, "{fallen}");
    assert_eq!(fallen["result"]["verdict"], "bad", "{fallen}");
    assert_eq!(fallen["result"]["done"], "repaired", "{fallen}");
    for verb in ["history", "status"] {
        let told = machine.cairn(verb).ok();
        assert!(told.contains("the boot loader fell back"), "{told}");
    }
    assert_eq!(machine.pointers(), Pointers::all("good"));
    let given_up = of(&[("good", ""), ("no-init", "0-2")]);
    assert_eq!(entries(&mut machine), given_up);
    machine
        .sh("file=$(grep -l 'Generation 1 ' /boot/loader/entries/*); \
             grep -qx \"preferred ${file##*/}\" /boot/loader/loader.conf")
        .ok();

    // From here on boots are as they were.
    machine.reboot();
    assert_eq!((machine.starts(), panics(&machine)), (5, 2));
    machine.settled();
    assert_eq!(machine.pointers(), Pointers::all("good"));
    assert_eq!(entries(&mut machine), given_up);
    assert_eq!(newest(&mut machine), fallen);
}

/// The newest of what happened.
fn newest(machine: &mut Machine) -> Value {
    let history = machine.cairn("--json history").json();
    history["history"]["items"][0].clone()
}
