//! A machine that does not boot any more is repaired from beside it, as from a
//! rescue system that has its disk mounted, and boots what was restored.

use std::path::Path;

use crate::support::{Bed, Pointers};
use serde_json::Value;

const CONFIG: &str = "/etc/nixos/configuration.nix";
const DATA: &str = "/var/lib/app/data";

/// A machine that is off and does not boot: profile and boot loader are on a
/// generation without an init. A point holds it as it was when it was well.
fn dead() -> Option<(Bed, String)> {
    let mut bed = Bed::with_cairn()?;
    let taken = bed.json("create --reason 'all is well'");
    let id = taken["point"]["id"].as_str().unwrap().to_owned();
    bed.sh(&format!(
        "echo '{{ broken = true; }}' >{CONFIG}; echo lost >{DATA}; touch /var/lib/app/new"
    ))
    .ok();
    bed.rebuild("boot", "other-good").ends(0);
    bed.shut_down();
    bed.off(&format!("rm {}/init", bed.path("other-good"))).ok();
    assert!(bed.try_start().is_err(), "{}", bed.console());
    // What the real tool finds in the store of the machine.
    let guest = Path::new(env!("CARGO_MANIFEST_DIR")).join("nixos-tests/bed/guest");
    let tool = std::env::var("BED_STC").unwrap_or_else(|_| {
        let tool = guest.join("switch-to-configuration.py");
        tool.display().to_string()
    });
    bed.beside(&format!(
        "cp {tool} $ROOT/opt/bed/stc; chmod 755 $ROOT/opt/bed/stc"
    ))
    .ok();
    Some((bed, id))
}

/// What the boot loader of the machine that is off starts.
fn loader(bed: &Bed) -> String {
    let text = bed.off(
        "cd /boot/loader; sed -n 's/^options .*init=\\([^ ]*\\)\\/init.*/\\1/p' \
         entries/$(sed -n 's/^default //p' loader.conf)",
    );
    bed.name(&text.ok())
}

fn profile(bed: &Bed) -> String {
    bed.name(&bed.off("readlink -f /nix/var/nix/profiles/system").ok())
}

#[test]
fn a_machine_that_does_not_boot_is_restored_from_beside_it_and_boots() {
    let Some((mut bed, id)) = dead() else { return };
    let list = bed.beside("cairn --root $ROOT list").ok();
    assert!(list.contains("all is well"), "{list}");
    let diff = bed.beside(&format!("cairn --root $ROOT diff {id}")).ok();
    assert!(diff.contains("+{ broken = true; }"), "{diff}");
    assert!(diff.contains("/var/lib/app/new"), "{diff}");

    // Looking changes nothing, and says what the boot step would be.
    let restore = format!("cairn --root $ROOT restore {id}");
    let step = "-- /nix/var/nix/profiles/system/bin/switch-to-configuration boot";
    let plan = bed.beside(&format!("{restore} -n")).ends(0);
    assert!(
        plan.text().replace("\n      ", " ").contains(step),
        "{plan:?}"
    );
    assert_eq!(profile(&bed), "other-good");

    let out = bed.beside(&format!("{restore} --boot -y")).ends(0);
    assert!(out.out.contains("boots next"), "{out:?}");
    assert_eq!(
        (profile(&bed), loader(&bed)),
        ("good".into(), "good".into())
    );
    // The mounts went with the step.
    bed.beside("! grep -q $ROOT/proc /proc/self/mountinfo && ! ls $ROOT/run/nixos")
        .ends(0);

    bed.start();
    assert_eq!(bed.pointers(), Pointers::all("good"));
    assert_eq!(bed.app(), "good");
    assert!(
        bed.sh(&format!("cat {CONFIG}"))
            .ok()
            .contains("services.cairn")
    );
    assert_eq!(
        bed.sh(&format!("cat {DATA}; ls /var/lib/app")).ok(),
        "rows\ndata"
    );
    assert_eq!(
        bed.json("status")["status"]["unfinished"],
        Value::Bool(false)
    );
}

#[test]
fn without_the_boot_step_it_is_told_and_comes_later_and_undo_takes_all_back() {
    let Some((mut bed, id)) = dead() else { return };
    let restore = format!("cairn --root $ROOT restore {id} -y");
    let out = bed.beside(&restore).ends(0);
    let step = "/nix/var/nix/profiles/system/bin/switch-to-configuration boot";
    assert!(out.out.contains("  try: nixos-enter --root "), "{out:?}");
    assert!(out.out.contains(step), "{out:?}");
    // Restored, but what boots is still the old one.
    assert_eq!(
        (profile(&bed), loader(&bed)),
        ("good".into(), "other-good".into())
    );
    // The step alone, as often as one likes.
    let again = format!("cairn --json --root $ROOT restore {id} --install-bootloader -y");
    for _ in 0..2 {
        bed.beside(&again).ends(0);
    }
    assert_eq!(loader(&bed), "good");
    bed.start();
    assert_eq!(bed.pointers(), Pointers::all("good"));
    bed.shut_down();

    // The restore is undone from beside, with its boot step: dead again.
    let list = bed.beside("cairn --json --root $ROOT list").ok();
    let list: Value = serde_json::from_str(&list).unwrap();
    let undo = list["points"]["items"]
        .as_array()
        .unwrap()
        .iter()
        .find(|p| p["trigger"] == "pre-restore" && p["system"]["profile"]["generation"] == 2)
        .unwrap()["id"]
        .as_str()
        .unwrap()
        .to_owned();
    bed.beside(&format!("cairn --root $ROOT undo {undo} --boot -y"))
        .ends(0);
    assert_eq!(
        (profile(&bed), loader(&bed)),
        ("other-good".into(), "other-good".into())
    );
    assert_eq!(bed.off(&format!("cat {DATA}")).ok(), "lost");
    assert!(bed.try_start().is_err());
}

#[test]
fn a_boot_step_that_fails_leaves_a_restore_to_resume() {
    let Some((mut bed, id)) = dead() else { return };
    // No room for the boot loader's files.
    bed.off("mv /boot/loader/entries /boot/loader/gone; touch /boot/loader/entries")
        .ok();
    let out = bed
        .beside(&format!("cairn --root $ROOT restore {id} --boot -y"))
        .ends(22);
    assert!(
        out.err.contains("the boot step failed with exit code 1"),
        "{out:?}"
    );
    // Pasted, it is for that machine.
    assert!(out.err.contains("try: cairn --root /"), "{out:?}");
    assert!(out.err.contains(" resume\n   or: "), "{out:?}");
    bed.off("rm /boot/loader/entries; mv /boot/loader/gone /boot/loader/entries")
        .ok();
    bed.beside("cairn --root $ROOT resume -y").ends(0);
    assert_eq!(
        (profile(&bed), loader(&bed)),
        ("good".into(), "good".into())
    );
    bed.start();
    assert_eq!(bed.pointers(), Pointers::all("good"));
}
