//! Tests of what systemd-boot starts.

use super::*;
use proptest::prelude::*;

fn path(n: u32) -> StorePath {
    let path = format!("/nix/store/{}-nixos-system-x-{n}", "0".repeat(32));
    StorePath::from_absolute_path(path.as_bytes()).unwrap()
}

/// As NixOS up to 26.05 writes them.
fn plain(name: &str, n: u32) -> Entry {
    let init = path(n).to_absolute_path();
    let text = format!("title NixOS\nlinux /EFI/k\noptions init={init}/init loglevel=4\n");
    Entry::parse(name, &text).unwrap()
}

/// As NixOS from 26.11 on writes them: the name says nothing of the number.
fn keyed(name: &str, n: u32) -> Entry {
    let init = path(n).to_absolute_path();
    let text = format!(
        "title NixOS\nversion Generation {n} NixOS 26.11, built on 2026-11-25\nlinux /EFI/k\n\
         options init={init}/init\nmachine-id 0123\nsort-key nixos"
    );
    Entry::parse(name, &text).unwrap()
}

fn of(conf: &str, entries: &[Entry]) -> Option<StorePath> {
    with(conf, entries, &Variables::default())
}

fn with(conf: &str, entries: &[Entry], variables: &Variables) -> Option<StorePath> {
    default(conf, entries, variables)?.toplevel.clone()
}

/// What the builder writes with boot counting.
const COUNTED: &str = "timeout 5\npreferred nixos-bb.conf\ndefault nixos-*\nconsole-mode keep\n";

#[test]
fn the_default_line_is_followed() {
    let entries = [
        plain("nixos-generation-1.conf", 1),
        plain("nixos-generation-2+2-1.conf", 2),
        plain("nixos-generation-10.conf", 10),
    ];
    let named = "timeout 5\ndefault nixos-generation-1.conf\n";
    assert_eq!(of(named, &entries), Some(path(1)));
    assert_eq!(
        of("default nixos-generation-2.conf\n", &entries),
        Some(path(2))
    );
    assert_eq!(
        of("default nixos-generation-?.conf", &entries),
        Some(path(2))
    );
    assert_eq!(
        of("default NixOS-Generation-1.conf", &entries),
        Some(path(1))
    );
    let twice = "default nixos-generation-1.conf\ndefault nixos-generation-2.conf\n";
    assert_eq!(of(twice, &entries), Some(path(2)));
    // The newest comes first, by number and not by letter.
    for conf in ["default nixos-*\n", "timeout 5\n", ""] {
        assert_eq!(of(conf, &entries), Some(path(10)), "{conf}");
    }
    assert_eq!(of("default auto-windows\n", &entries), None);
    assert_eq!(of("default nixos-*\n", &[]), None);
    // Something else than NixOS is what it is.
    let other = Entry::parse("windows.conf", "title Windows\nefi /x.efi\n").unwrap();
    assert_eq!(
        of("default windows.conf", &[entries[0].clone(), other]),
        None
    );
}

#[test]
fn a_preferred_entry_is_passed_over_when_it_was_given_up() {
    let entries = |second: &str| {
        [
            keyed("nixos-ff.conf", 1),
            keyed(second, 2),
            keyed("nixos-aa.conf", 3),
        ]
    };
    for name in ["nixos-bb.conf", "nixos-bb+3.conf", "nixos-bb+1-2.conf"] {
        assert_eq!(of(COUNTED, &entries(name)), Some(path(2)), "{name}");
    }
    for name in ["nixos-bb+0.conf", "nixos-bb+0-3.conf"] {
        assert_eq!(of(COUNTED, &entries(name)), Some(path(3)), "{name}");
        // A default is not asked whether it was given up.
        assert_eq!(
            of("default nixos-bb.conf", &entries(name)),
            Some(path(2)),
            "{name}"
        );
    }
    let all = [keyed("nixos-bb+0-3.conf", 2), keyed("nixos-cc+0-1.conf", 1)];
    assert_eq!(of(COUNTED, &all), Some(path(2)));
}

#[test]
fn a_loader_that_knows_no_preferred_entry_takes_the_default() {
    let entries = [keyed("nixos-bb.conf", 2), keyed("nixos-aa.conf", 3)];
    let features = |bits| Variables {
        features: Some(bits),
        ..Variables::default()
    };
    assert_eq!(with(COUNTED, &entries, &features(PREFERS)), Some(path(2)));
    assert_eq!(with(COUNTED, &entries, &features(!PREFERS)), Some(path(3)));
}

#[test]
fn entries_with_a_sort_key_come_first_and_the_given_up_last() {
    let entries = [
        plain("zzz.conf", 1),
        keyed("nixos-aa.conf", 9),
        keyed("nixos-bb.conf", 10),
        keyed("nixos-cc+0-2.conf", 11),
    ];
    let menu = menu(&entries);
    let ids: Vec<&str> = menu.iter().map(|entry| entry.id.as_str()).collect();
    assert_eq!(
        ids,
        [
            "nixos-bb.conf",
            "nixos-aa.conf",
            "zzz.conf",
            "nixos-cc.conf"
        ]
    );
}

#[test]
fn the_firmware_has_the_last_word() {
    let entries = [1, 2, 3].map(|n| plain(&format!("nixos-generation-{n}.conf"), n));
    let id = |n: u32| Some(format!("nixos-generation-{n}.conf"));
    let conf = "preferred nixos-generation-3.conf\ndefault nixos-generation-3.conf\n";
    let mut variables = Variables {
        default: id(2),
        ..Variables::default()
    };
    assert_eq!(
        with("default nixos-generation-3.conf", &entries, &variables),
        Some(path(2))
    );
    assert_eq!(with(conf, &entries, &variables), Some(path(3)));
    variables.preferred = id(1);
    assert_eq!(with(conf, &entries, &variables), Some(path(1)));

    variables.one_shot = id(2);
    assert_eq!(with(conf, &entries, &variables), Some(path(1)));
    let chosen = once(&entries, &variables).unwrap();
    assert_eq!(chosen.toplevel, Some(path(2)));
    assert_eq!(once(&entries, &Variables::default()), None);

    let saved = Variables {
        last_booted: id(1),
        ..Variables::default()
    };
    assert_eq!(with("default @saved", &entries, &saved), Some(path(1)));
    assert_eq!(
        with("default @saved", &entries, &Variables::default()),
        Some(path(3))
    );
}

#[test]
fn counters_are_told_from_names() {
    let parse = |name: &str| {
        let entry = Entry::parse(name, "").unwrap();
        (entry.id, entry.tries)
    };
    assert_eq!(parse("a+3.conf"), ("a.conf".into(), Some((3, 0))));
    assert_eq!(parse("a+2-1.conf"), ("a.conf".into(), Some((2, 1))));
    assert_eq!(parse("A+x.conf"), ("a+x.conf".into(), None));
    for name in [
        "a+.conf",
        "a+-1.conf",
        "a+1-.conf",
        "a+1-2-3.conf",
        "a+99999999999.conf",
    ] {
        assert_eq!(parse(name), (name.to_owned(), None));
    }
    assert_eq!(Entry::parse("a.efi", ""), None);
}

#[test]
fn an_entry_without_tries_left_is_given_up() {
    let gone = |names: &[&str]| {
        let entries: Vec<Entry> = names.iter().map(|name| plain(name, 2)).collect();
        gave_up(&path(2), &entries)
    };
    assert!(gone(&["nixos-generation-2+0-2.conf"]));
    assert!(gone(&["nixos-generation-2+0.conf"]));
    assert!(!gone(&["nixos-generation-2+1-1.conf"]));
    assert!(!gone(&["nixos-generation-2.conf"]));
    assert!(!gone(&[
        "nixos-generation-2+0-2.conf",
        "nixos-generation-7.conf"
    ]));
    assert!(!gone(&[]));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]
    #[test]
    fn hostile_files_never_panic(text in "\\PC{0,200}", name in "[a-z+*?.0-9-]{0,20}") {
        let entries: Vec<Entry> = Entry::parse(&format!("{name}.conf"), &text).into_iter().collect();
        let _ = of(&text, &entries);
        let _ = of(&format!("default {name}"), &entries);
    }
}
