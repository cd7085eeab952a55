//! What a failure tells: what was wrong, and commands that a shell takes. (That
//! they are such is checked of each run of every test, in `crate::support::told`.)

use std::fs;

use crate::support::{Machine, all_are_commands, commands};

#[test]
fn commands_are_told_apart_from_prose() {
    let told = "cairn: no; nothing was changed\n  try: cairn resume\n   or: ls -ld '/a b'\n";
    assert_eq!(commands(told), ["cairn resume", "ls -ld '/a b'"]);
    let json = r#"{"error": {"next": "cairn undo", "alternatives": ["cairn list"]}}"#;
    assert_eq!(commands(json), ["cairn undo", "cairn list"]);
    for prose in [
        "cairn resume (or: cairn abort)",
        "cairn list, then cairn mark-good ID",
        "the same command again",
        "cairn restore --no-such-option",
        "cairn restor 4",
    ] {
        let told = format!("  try: {prose}\n");
        let refused = std::panic::catch_unwind(|| all_are_commands(&told));
        assert!(refused.is_err(), "{prose}");
    }
}

#[test]
fn others_that_may_help_are_in_the_json_too() {
    let Some(machine) = Machine::new() else {
        return;
    };
    machine.create("one");
    let run = machine.cairn(&["--json", "show", "latest-good"]).ends(10);
    let told: serde_json::Value = serde_json::from_str(&run.err).unwrap();
    assert_eq!(told["error"]["next"], "cairn list");
    assert_eq!(told["error"]["alternatives"][0], "cairn mark-good ID");
}

#[test]
fn what_was_run_is_told_as_it_was_typed() {
    let Some(machine) = Machine::new() else {
        return;
    };
    machine.create("one");
    machine.write("etc/nixos/configuration.nix", "{ }\n");
    let run = machine.cairn(&["restore", "latest", "--only", "config"]);
    let run = run.ends(2);
    assert_eq!(
        commands(&run.err),
        [
            "cairn restore latest --only config --dry-run",
            "cairn restore latest --only config --yes"
        ]
    );
    machine.write("out of here/file", "mine\n");
    let to = machine.root().join("out of here");
    let to = to.to_str().unwrap();
    let run = machine.cairn(&["restore", "latest", "--to", to]).ends(1);
    assert_eq!(
        commands(&run.err),
        [format!("cairn restore latest --to '{to}-restored'")]
    );
}

#[test]
fn a_reason_is_one_line_s_worth() {
    let Some(machine) = Machine::new() else {
        return;
    };
    let long = "x".repeat(2001);
    machine.cairn(&["create", "-r", &long]).fails(
        2,
        "at most 2000 bytes, and this one has 2001",
        "cairn create --help",
    );
    machine.ok(&["create", "-r", &long[1..]]);
    let run = machine.cairn(&["mark-good", "-r", &long]);
    run.fails(2, "at most 2000 bytes", "cairn mark-good --help");
    let huge = "x".repeat(100_000);
    let run = machine.cairn(&["create", "--trigger", &huge]).ends(2);
    assert!(run.err.len() < 1000, "{}", run.err.len());
}

#[test]
fn a_point_that_is_not_found_may_be_one_that_cannot_be_read() {
    let Some(machine) = Machine::new() else {
        return;
    };
    let id = machine.create("one");
    machine.create("two");
    let document = machine.state().join("points").join(format!("{id}.json"));
    fs::write(&document, "{").unwrap();
    machine.cairn(&["show", &id]).fails(
        10,
        "the documents of 1 cannot be read, and it may be one of them",
        "cairn verify --repair",
    );
}

#[test]
fn a_damaged_journal_keeps_nobody_from_the_status() {
    let Some(machine) = Machine::new() else {
        return;
    };
    machine.create("one");
    fs::create_dir_all(machine.state().join("journal")).unwrap();
    fs::write(machine.state().join("journal/restore.json"), "{").unwrap();
    let text = machine.ok(&["status"]);
    assert!(text.contains("journal"), "{text}");
    assert!(text.contains("1 in "), "{text}");
}

#[test]
fn nothing_is_tried_on_a_machine_that_does_not_run() {
    let Some(machine) = Machine::new() else {
        return;
    };
    let run = machine.cairn(&["try", "--", "touch", "tried"]);
    run.fails(1, "only a machine that runs", "cairn health");
    assert!(!machine.root().join("tried").exists());
    assert!(machine.ids().is_empty());
}

#[test]
fn a_root_without_a_database_keeps_having_none() {
    let Some(machine) = Machine::new() else {
        return;
    };
    let db = machine.root().join("nix/var/nix/db");
    fs::rename(&db, machine.root().join("db")).unwrap();
    machine.create("one");
    machine
        .cairn(&["export", "latest", "one.cairn", "--closure"])
        .fails(1, "there is no Nix database", "cairn status");
    assert!(!db.exists(), "one was made");
}

#[test]
fn a_list_fits_a_narrow_terminal() {
    let Some(machine) = Machine::new() else {
        return;
    };
    machine.create("a reason that is longer than the line");
    for width in ["40", "60", "80"] {
        for verb in [
            &["list"][..],
            &["list", "--graph"],
            &["generations", "list"],
        ] {
            let run = machine
                .command(verb)
                .env("COLUMNS", width)
                .output()
                .unwrap();
            let text = String::from_utf8(run.stdout).unwrap();
            let widest = text.lines().map(|line| line.chars().count()).max().unwrap();
            assert!(
                widest <= width.parse().unwrap(),
                "{verb:?} {width}:\n{text}"
            );
        }
    }
}
