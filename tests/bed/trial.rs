//! `cairn try` on machines with real systemd: kept, taken back exactly, killed,
//! cut off.

use crate::support::{Bed, Pointers, told};

/// What a try must bring back: configuration, state, pointers, units.
fn picture(bed: &Bed) -> String {
    bed.sh(
        "cd /; find etc/nixos var/lib/app -printf '%p %m %u %s\\n' | sort; \
            find etc/nixos var/lib/app -type f -exec sha256sum {} + | sort; \
            readlink -f /run/current-system /nix/var/nix/profiles/system; \
            cat /boot/loader/loader.conf; systemctl is-active app.service",
    )
    .out
}

fn prepare(bed: &Bed) {
    bed.sh(
        "mkdir -p /etc/nixos /var/lib/app; echo '{ }' >/etc/nixos/configuration.nix; \
            echo one >/var/lib/app/data",
    )
    .ok();
}

#[test]
fn what_is_good_is_kept_with_its_exit_code_and_its_output() {
    let Some(bed) = Bed::with_cairn() else { return };
    prepare(&bed);
    let out = bed
        .sh("echo in | cairn try --may-fail -- sh -c 'cat; echo two >/var/lib/app/data; exit 7'");
    assert_eq!((out.code, out.out.as_str()), (7, "in\n"), "{out:?}");
    assert_eq!(bed.newest(), told("switched", 7, "good", "nothing"));
    assert_eq!(bed.sh("cat /var/lib/app/data").ok(), "two");

    // One that switches has one point and one gate.
    let path = bed.path("other-good");
    let out = bed
        .cairn(&format!("try -- nixos-rebuild switch {path}"))
        .ends(0);
    assert!(out.err.contains("part of a cairn try"), "{out:?}");
    let history = bed.history();
    assert_eq!(history.len(), 2, "{history:?}");
    assert_eq!(history[0]["action"], "try");
    assert_eq!(history[0]["to"], path);
    assert!(bed.points("pre-switch").is_empty());
    assert_eq!(bed.points("try").len(), 2);
    assert_eq!(bed.pointers().running, "other-good");
    // The next real switch is watched as ever.
    bed.switch("third-good").ends(0);
    assert_eq!(bed.newest(), told("switched", 0, "good", "nothing"));
}

#[test]
fn what_is_bad_is_taken_back_exactly() {
    let Some(bed) = Bed::with_cairn() else { return };
    prepare(&bed);
    let before = picture(&bed);
    let spoil = "echo bad >/etc/nixos/configuration.nix; touch /etc/nixos/new; \
                 echo spoilt >/var/lib/app/data; chmod 600 /var/lib/app/data";
    // The command fails.
    let out = bed
        .sh(&format!("cairn try --state app -- sh -c '{spoil}; exit 3'"))
        .ends(21);
    assert!(out.err.contains("ended with 3"), "{out:?}");
    assert_eq!(picture(&bed), before);
    assert_eq!(bed.newest(), told("switched", 3, "bad", "went-back"));
    // It ends well, and what it switched to is bad.
    for bad in ["net-broken", "late-crash"] {
        let path = bed.path(bad);
        let script =
            format!("cairn try --state app -- sh -c '{spoil}; nixos-rebuild switch {path}'");
        bed.sh(&script).ends(21);
        assert_eq!(picture(&bed), before, "{bad}");
        assert_eq!(bed.pointers(), Pointers::all("good"));
    }
    assert_eq!(bed.history().len(), 3);
    // What does not run is no try.
    let none = bed.cairn("try -- /nowhere/at/all").ends(1);
    assert!(none.err.contains("cannot run"), "{none:?}");
    bed.cairn("status").ends(0);
}

#[test]
fn a_try_that_is_killed_or_cut_off_goes_back() {
    let Some(mut bed) = Bed::with_cairn() else {
        return;
    };
    prepare(&bed);
    let before = picture(&bed);
    let script = "cairn try --state app -- sh -c \
                  'echo bad >/var/lib/app/data; touch /run/at-work; sleep 60' & \
                  echo $! >/run/try; wait";
    let mut trying = bed.command(script).spawn().unwrap();
    bed.wait_for("test -e /run/at-work");
    let second = bed.cairn("try -- true").ends(1);
    assert!(second.err.contains("another cairn try"), "{second:?}");
    bed.sh("kill -KILL $(cat /run/try)").ends(0);
    trying.wait().unwrap();
    assert_eq!(bed.newest().done, "went-back");
    assert!(bed.reasons().contains("killed"), "{}", bed.reasons());
    assert_eq!(picture(&bed), before);

    bed.sh("rm /run/at-work").ok();
    let mut trying = bed.command(script).spawn().unwrap();
    bed.wait_for("test -e /run/at-work");
    bed.power_cut();
    trying.wait().unwrap();
    assert_eq!(bed.newest().done, "went-back");
    assert_eq!(picture(&bed), before);
}

#[test]
fn a_try_to_be_confirmed_is_confirmed_or_goes_back() {
    let Some(bed) = Bed::with_cairn() else { return };
    prepare(&bed);
    let before = picture(&bed);
    let script =
        "cairn try --confirm-timeout 6s --state app -- sh -c 'echo new >/var/lib/app/data'";
    bed.sh(script).ends(21);
    assert_eq!(picture(&bed), before);
    assert!(bed.reasons().contains("nobody confirmed"));
    std::thread::scope(|scope| {
        let trying = scope.spawn(|| bed.sh(&script.replace("6s", "40s")));
        bed.wait_for("cairn history -l 1 | grep -q 'awaits cairn confirm'");
        bed.cairn("confirm").ends(0);
        trying.join().unwrap().ends(0);
    });
    assert_eq!(bed.sh("cat /var/lib/app/data").ok(), "new");
}

#[test]
fn signals_go_to_the_command() {
    let Some(bed) = Bed::with_cairn() else { return };
    prepare(&bed);
    let script = "cairn try --may-fail -- sh -c 'trap \"exit 42\" TERM; touch /run/at-work; sleep 60 & wait' & \
                  try=$!; while ! test -e /run/at-work; do sleep 0.1; done; \
                  kill -TERM $try; kill -HUP $try; wait $try";
    let code = bed.sh(script).code;
    // HUP, which it does not catch, may come first.
    assert!([42, 129].contains(&code), "{code}");
    assert_eq!(bed.newest().done, "nothing");
}
