//! Files in the state directory that are not what they should be: each is
//! named, none hides the others, nothing crashes.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::{Ended, Machine, have, skip};
use serde_json::{Value, json};

/// Done in part: something could not be read.
const PARTIAL: i32 = 3;

/// A machine without Nix and two points.
fn machine() -> (Machine, String, String) {
    let machine = Machine::plain();
    let one = machine.create("one");
    fs::write(machine.etc().join("configuration.nix"), "{ two = 2; }\n").unwrap();
    let two = machine.create("two");
    (machine, one, two)
}

fn document(machine: &Machine, id: &str) -> PathBuf {
    machine.state().join(format!("points/{id}.json"))
}

const SPARE: &str = "0190cccc-1111-7222-8333-444455556666";

/// No command panics, whatever it says.
#[track_caller]
fn sound(ended: &Ended) {
    assert!(
        !ended.err.contains("panicked") && ended.signal.is_none(),
        "{}",
        ended.told()
    );
}

#[test]
fn a_bad_document_hides_no_other() {
    let (machine, one, two) = machine();
    let good = fs::read(document(&machine, &one)).unwrap();
    let text = String::from_utf8(good.clone()).unwrap();
    let changed = |change: &dyn Fn(&mut Value)| -> Vec<u8> {
        let mut value: Value = serde_json::from_slice(&good).unwrap();
        value["id"] = SPARE.into();
        change(&mut value);
        serde_json::to_vec(&value).unwrap()
    };
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let bad: Vec<(&str, Vec<u8>)> = vec![
        ("empty", vec![]),
        ("cut off", good[..good.len() / 2].to_vec()),
        ("without its end", good[..good.len() - 3].to_vec()),
        ("no JSON", b"\x00\xff\x1b[31m garbage".to_vec()),
        ("deeply nested", deep.into_bytes()),
        ("of another point", good.clone()),
        ("of a newer cairn", changed(&|v| v["version"] = 2.into())),
        ("of no version", changed(&|v| v["version"] = Value::Null)),
        ("of the wrong type", changed(&|v| v["config"] = "x".into())),
        (
            "with another trigger",
            changed(&|v| v["trigger"] = "\x1b[2J".into()),
        ),
        ("an array", b"[]".to_vec()),
        ("appended to", format!("{text}x").into_bytes()),
        ("huge", vec![b' '; 17 << 20]),
    ];
    for (what, bytes) in bad {
        fs::write(document(&machine, SPARE), bytes).unwrap();
        let list = machine.run(["list"]).expect(PARTIAL);
        sound(&list);
        assert!(
            list.err.contains(SPARE) && !list.err.contains('\x1b'),
            "{what}: {}",
            list.told()
        );
        let json = machine.run(["list", "--json"]).expect(PARTIAL).json();
        assert_eq!(
            crate::support::ids(&json),
            [one.clone(), two.clone()],
            "{what}"
        );
        assert_eq!(
            json["points"]["damaged"].as_array().unwrap().len(),
            1,
            "{what}"
        );
        let verify = machine.run(["verify"]).expect(PARTIAL);
        assert!(verify.out.contains(SPARE), "{what}: {}", verify.told());
        machine.run(["status"]).expect(0);
        machine.run(["show", SPARE]).expect(10);
        machine.run(["restore", &one, "-y"]).expect(0);
        machine.run(["undo", "-y"]).expect(0);
        let left: Vec<_> = crate::support::ids(&machine.run(["list", "--json"]).json());
        for id in left.iter().filter(|id| **id != one && **id != two) {
            fs::remove_file(document(&machine, id)).unwrap();
        }
        let _ = fs::remove_dir_all(machine.state().join("journal"));
        fs::create_dir(machine.state().join("journal")).unwrap();
    }
}

#[test]
fn stray_files_beside_documents_do_no_harm() {
    let (machine, one, two) = machine();
    let points = machine.state().join("points");
    fs::create_dir(points.join(format!("{SPARE}.json"))).unwrap();
    symlink(
        "/dev/zero",
        points.join("0190cccc-1111-7222-8333-444455556667.json"),
    )
    .unwrap();
    symlink(
        document(&machine, &one),
        points.join("0190cccc-1111-7222-8333-444455556668.json"),
    )
    .unwrap();
    let pipe = points.join("0190cccc-1111-7222-8333-444455556669.json");
    let made = Command::new("mkfifo").arg(&pipe).status().unwrap();
    assert!(made.success());
    for name in [
        "README",
        "-rf",
        "..json",
        "new\nline.json",
        "\x1b[31m.json",
        ".tmp-1-x.json",
    ] {
        fs::write(points.join(name), "stray").unwrap();
    }
    let list = machine.run(["list"]).expect(PARTIAL);
    assert!(
        !list.err.contains('\x1b') && list.out.contains("two"),
        "{}",
        list.told()
    );
    let json = machine.run(["list", "--json"]).expect(PARTIAL).json();
    assert_eq!(crate::support::ids(&json), [one.clone(), two]);
    assert_eq!(
        json["points"]["damaged"].as_array().unwrap().len(),
        9,
        "{json}"
    );
    machine.run(["verify", "--read-data"]).expect(PARTIAL);
    machine.run(["create"]).expect(0);
    machine.run(["prune", "--keep-last", "1", "-y"]).expect(0);
    assert!(pipe.symlink_metadata().is_ok() && points.join("README").is_file());
}

#[test]
fn marks_that_cannot_be_read_keep_their_point() {
    let (machine, one, two) = machine();
    let marks = machine.state().join(format!("marks/{one}.json"));
    machine.create("three");
    for bad in [
        &b""[..],
        b"{",
        b"garbage \x1b[31m",
        br#"{"version": 99, "pinned": null, "future": true}"#,
        br#"{"version": 1, "pinned": "yes"}"#,
    ] {
        fs::write(&marks, bad).unwrap();
        let list = machine.run(["list"]).expect(PARTIAL);
        let warned = list
            .err
            .contains(&format!("marks/{one}.json cannot be read"));
        assert!(warned && list.out.contains("one"), "{}", list.told());
        let verify = machine.run(["verify"]).expect(PARTIAL);
        assert!(verify.out.contains("marks/"), "{}", verify.told());
        machine.run(["create", "-r", "beside"]).expect(0);
        machine.run(["status"]).expect(0);
        // It may have been pinned: prune leaves it alone, and what cannot be
        // read is not written over.
        machine.run(["prune", "--keep-last", "1", "-y"]).expect(0);
        let told = machine.run(["unpin", &one]).expect(1);
        assert!(
            told.err.contains("cannot read the marks"),
            "{}",
            told.told()
        );
        assert_eq!(fs::read(&marks).unwrap(), bad);
        let json = machine.run(["list", "--json"]).expect(PARTIAL).json();
        let left = crate::support::ids(&json);
        assert!(left.contains(&one) && !left.contains(&two), "{left:?}");
    }
    fs::remove_file(&marks).unwrap();
    machine.run(["prune", "--keep-last", "1", "-y"]).expect(0);
    assert_eq!(machine.ids().len(), 1);
}

#[test]
fn garbage_among_marks_journals_and_markers() {
    let (machine, one, two) = machine();
    let state = machine.state();
    for folder in ["marks", "inflight"] {
        fs::create_dir(state.join(folder).join(SPARE)).unwrap();
        fs::write(state.join(folder).join("garbage"), "x").unwrap();
        fs::write(state.join(folder).join("new\nline"), "x").unwrap();
        symlink("/etc/passwd", state.join(folder).join("link")).unwrap();
    }
    fs::write(state.join(format!("marks/{SPARE}.json")), "of no point").unwrap();
    // A marker of a point that is whole, and one of a point that never was.
    fs::write(state.join("inflight").join(&one), "").unwrap();
    fs::write(
        state.join("inflight/0190cccc-1111-7222-8333-444455556667"),
        "",
    )
    .unwrap();
    fs::write(state.join("journal/README"), "x").unwrap();
    machine.create("three");
    assert_eq!(machine.ids().len(), 3);
    assert!(!state.join("inflight").join(&one).exists());
    machine.run(["restore", &one, "-y"]).expect(0);
    machine.run(["prune", "--keep-last", "2", "-y"]).expect(0);
    assert!(!machine.ids().contains(&two));
    assert!(state.join("inflight/garbage").is_file() && Path::new("/etc/passwd").exists());
    machine.verify();
}

#[test]
fn a_journal_that_cannot_be_read_stops_what_changes_and_only_that() {
    let (machine, one, _) = machine();
    let entry = machine.state().join(format!("journal/{SPARE}.json"));
    machine.run(["restore", &one, "-y"]).expect(0);
    let real = fs::read_dir(machine.state().join("journal"))
        .unwrap()
        .next()
        .unwrap()
        .unwrap();
    let text = fs::read(real.path()).unwrap();
    let mut newer: Value = serde_json::from_slice(&text).unwrap();
    newer["version"] = 2.into();
    newer["id"] = SPARE.into();
    for bad in [
        vec![],
        text[..text.len() / 2].to_vec(),
        b"garbage \x1b[31m".to_vec(),
        serde_json::to_vec(&newer).unwrap(),
        serde_json::to_vec(&json!({ "version": 1 })).unwrap(),
    ] {
        fs::write(&entry, bad).unwrap();
        let before = machine.picture();
        for args in [
            &["restore", &one, "-y"][..],
            &["undo", "-y"],
            &["resume", "-y"],
            &["abort", "-y"],
            &["prune", "--keep-last", "1", "-y"],
        ] {
            let ended = machine.run(args).expect(1);
            assert!(
                ended.err.contains(&format!("journal/{SPARE}.json")),
                "{}",
                ended.told()
            );
            assert!(!ended.err.contains('\x1b'));
        }
        assert_eq!(before, machine.picture());
        machine.run(["list"]).expect(0);
        let verified = machine.run(["verify"]).expect(3);
        let named = format!("journal/{SPARE}.json");
        assert!(verified.out.contains(&named), "{}", verified.told());
        let created = machine.run(["create"]).expect(0);
        assert!(created.err.contains("is not known"), "{}", created.told());
    }
}

/// Words that would move the cursor, set the title or change colours.
const EVIL: &str = "\x1b]0;owned\x07\x1b[2J\x1b[31mred\r\x08\u{9b}31m\u{202e}";

#[track_caller]
fn harmless(ended: &Ended) {
    sound(ended);
    for bad in ['\x1b', '\x07', '\r', '\x08', '\u{9b}', '\u{202e}'] {
        let text = String::from_utf8_lossy(&ended.raw);
        assert!(!text.contains(bad), "{bad:?} in {}", text.escape_debug());
    }
}

#[test]
fn hostile_words_do_not_reach_the_terminal() {
    let machine = Machine::plain();
    fs::write(machine.root.join("etc/hostname"), format!("host{EVIL}")).unwrap();
    fs::write(machine.etc().join(format!("name{EVIL}.nix")), "{ }").unwrap();
    fs::write(
        machine.etc().join("configuration.nix"),
        format!("{{ imports = [ <{EVIL}> (x + \"{EVIL}\") ./gone{EVIL}.nix ]; }}"),
    )
    .unwrap();
    let user = format!("key{EVIL}=value{EVIL}");
    let create = ["create", "-r", EVIL, "-d", EVIL, "-u", &user];
    harmless(&machine.run(create).expect(0));
    let id = machine.ids()[0].clone();
    machine.run(["pin", &id, "-r", EVIL]).expect(0);
    fs::write(machine.etc().join(format!("more{EVIL}.nix")), "{ }").unwrap();
    let point = serde_json::from_slice::<Value>(&fs::read(document(&machine, &id)).unwrap());
    let mut point = point.unwrap();
    // What no cairn writes, a hostile disk may hold.
    point["id"] = SPARE.into();
    point["machineId"] = EVIL.into();
    point["tags"] = json!([EVIL]);
    point["config"]["hash"] = format!("a{}", "é".repeat(40)).into();
    point["config"]["roots"][0]["git"] =
        json!({ "top": EVIL, "commit": format!("a{}{EVIL}", "é".repeat(9)), "dirty": true });
    let toplevel = format!("/nix/store/{}-nixos-system-x", "0".repeat(32));
    point["system"]["profile"] = json!({ "name": EVIL, "generation": 7, "toplevel": toplevel });
    point["system"]["current"] = toplevel.clone().into();
    point["system"]["nixosVersion"] = EVIL.into();
    point["system"]["configurationRevision"] = EVIL.into();
    point["system"]["kernel"] = json!({ "running": EVIL, "target": EVIL });
    point["system"]["specialisation"] = json!({ "name": EVIL, "parent": toplevel });
    point["system"]["incoming"] = json!({ "toplevel": toplevel, "action": EVIL });
    point["completeness"] =
        json!({ "status": "partial", "missing": [{ "what": EVIL, "why": EVIL }] });
    fs::write(
        document(&machine, SPARE),
        serde_json::to_vec(&point).unwrap(),
    )
    .unwrap();
    let shown = machine.run(["show", SPARE, "-v"]).expect(0);
    assert!(shown.out.matches("owned").count() > 10, "{}", shown.told());
    for args in [
        &["list"][..],
        &["list", "--tag", EVIL],
        &["show", SPARE],
        &["show", SPARE, "-v"],
        &["show", &id, "-v"],
        &["status"],
        &["diff", &id],
        &["diff", SPARE, &id],
        &["config", "list"],
        &["config", "list", &id],
        &["verify"],
        &["generations", "list"],
        &["restore", &id, "-n"],
        &["restore", &id, "-y"],
        &["restore", SPARE, "-y"],
        &["restore", &id, "/etc/nixos/\x1b[31m", "-y"],
        &["restore", "\x1b[31m"],
        &["show", "\x1b[31m"],
        &["prune", "--keep-last", "1", "-n"],
        &["list", "--json"],
        &["show", SPARE, "--json"],
        &["status", "--json"],
    ] {
        let ended = machine.run(args);
        // JSON escapes what is below U+0020; the rest is data. Differences of
        // texts are data too, when they go elsewhere than to a terminal.
        if args[0] == "diff" || args.contains(&"-n") {
            sound(&ended);
        } else if args.contains(&"--json") {
            assert!(!ended.raw.contains(&0x1b), "{args:?}");
            sound(&ended);
        } else {
            harmless(&ended);
        }
    }
}

/// A difference shows what the files hold, but on a terminal not as commands.
#[test]
fn a_difference_on_a_terminal_is_harmless() {
    const NAME: &str = "a_difference_on_a_terminal_is_harmless";
    if !have("script") {
        return skip(NAME, "script is missing");
    }
    let (machine, _, _) = machine();
    fs::write(machine.etc().join("configuration.nix"), format!("{EVIL}\n")).unwrap();
    for (colour, args) in [
        ("", ["diff", "latest"]),
        ("1", ["diff", "latest"]),
        ("1", ["restore", "-n"]),
    ] {
        let command = machine.command(args);
        let words: Vec<_> = std::iter::once(command.get_program())
            .chain(command.get_args())
            .map(|w| format!("'{}'", w.to_str().unwrap()))
            .collect();
        let output = Command::new("script")
            .args(["-qec", &words.join(" "), "/dev/null"])
            .env("CAIRN_ROOT", &machine.root)
            .env("NO_COLOR", colour)
            .env("TERM", "xterm")
            .stdin(std::process::Stdio::null())
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(text.contains("owned"), "{text}");
        for bad in ["\x1b]", "\x1b[2J", "\x07", "\x08", "\u{9b}", "\u{202e}"] {
            assert!(!text.contains(bad), "{bad:?} in {}", text.escape_debug());
        }
        assert_eq!(text.contains("\x1b[31m"), colour.is_empty());
    }
    // Elsewhere the bytes are those of the file.
    assert!(machine.run(["diff", "latest"]).raw.contains(&0x1b));
}
