//! `restore` without a point, on a terminal: a list to pick from.
use crate::support::pty::Terminal;
use crate::support::{Machine, need, same, short};

const QUESTION: &str = "Restore which point?";
const ENTER: &str = "\r";
const DOWN: &str = "\x1b[B";
const ESCAPE: &str = "\x1b";
const INTERRUPT: &str = "\x03";

/// A machine with three points and a change since; their ids, oldest first.
fn machine() -> Option<(Machine, Vec<String>)> {
    if !need(&["setsid"]) {
        return None;
    }
    let machine = Machine::new()?;
    let ids = [
        "the very first",
        "before the zzqq upgrade",
        "after the upgrade",
    ]
    .map(|reason| {
        machine.write("etc/nixos/now.nix", format!("# {reason}\n"));
        machine.create(reason)
    })
    .to_vec();
    machine.write("etc/nixos/now.nix", "# changed since\n");
    Some((machine, ids))
}

fn restore(machine: &Machine, args: &[&str], rows: u16, columns: u16) -> Terminal {
    let args = [&["restore"], args].concat();
    Terminal::run(&machine.command(&args), rows, columns)
}

fn now(machine: &Machine) -> String {
    machine.read("etc/nixos/now.nix")
}

#[test]
fn a_point_is_found_by_typing_shown_and_restored_after_one_question() {
    let Some((machine, ids)) = machine() else {
        return;
    };
    machine.ok(&["mark-good", &ids[1]]);
    machine.ok(&["pin", &ids[1]]);
    let mut terminal = restore(&machine, &[], 30, 100);
    let screen = terminal.wait("esc to leave");
    assert!(screen.contains(QUESTION), "{screen}");
    // Newest first, each with its id, age, system, marks and reason.
    let row = |n: usize| {
        let id = short(&ids[n]);
        let rows = screen.lines().map(|l| l.trim_start_matches(['>', ' ']));
        rows.enumerate().find(|(_, l)| l.starts_with(&id)).unwrap()
    };
    assert!(row(2).0 < row(1).0 && row(1).0 < row(0).0, "{screen}");
    for part in ["just now", "system 2", "good pinned", "before the zzqq"] {
        assert!(row(1).1.contains(part), "{screen}");
    }
    terminal.send("zzqq");
    terminal.wait_for("one row left", |s| {
        s.contains(&short(&ids[1])) && !s.contains(&short(&ids[2])) && !s.contains(&short(&ids[0]))
    });
    terminal.send(ENTER);
    let screen = terminal.wait("Go on? [y/N]");
    for part in [
        "~ /etc/nixos/now.nix content",
        "-# changed since",
        "+# before the zzqq upgrade",
    ] {
        assert!(screen.contains(part), "{screen}");
    }
    assert_eq!(now(&machine), "# changed since\n");
    terminal.send("y\n");
    let ended = terminal.ends(0);
    assert_eq!(now(&machine), "# before the zzqq upgrade\n");
    assert_eq!(ended.raw.matches("[y/N]").count(), 1);
    assert!(
        ended.screen.contains(&format!("done {}", short(&ids[1]))),
        "{}",
        ended.screen
    );
    // Where there is nothing to do, nothing is asked.
    let mut terminal = restore(&machine, &[], 30, 100);
    terminal.wait("esc to leave");
    terminal.send("zzqq");
    terminal.send(ENTER);
    let ended = terminal.ends(0);
    assert!(
        ended.screen.contains("everything is already as"),
        "{}",
        ended.screen
    );
    assert!(!ended.raw.contains("[y/N]"));
}

#[test]
fn the_list_begins_at_the_latest_and_moves() {
    let Some((machine, _)) = machine() else {
        return;
    };
    // The newest of all is what this takes to undo itself.
    machine.ok(&["restore", "latest~1", "--yes"]);
    let mut terminal = restore(&machine, &["--only", "config"], 30, 100);
    terminal.wait("esc to leave");
    terminal.send(ENTER);
    terminal.wait("+# after the upgrade");
    terminal.send("y\n");
    terminal.ends(0);
    assert_eq!(now(&machine), "# after the upgrade\n");
    // A dry run shows, and asks nothing.
    let mut terminal = restore(&machine, &["-n"], 30, 100);
    terminal.wait("esc to leave");
    terminal.send(DOWN);
    terminal.send(DOWN);
    terminal.send(ENTER);
    let ended = terminal.ends(0);
    assert!(
        ended.screen.contains("this is a dry run"),
        "{}",
        ended.screen
    );
    assert!(
        ended.screen.contains("+# the very first"),
        "{}",
        ended.screen
    );
    assert_eq!(now(&machine), "# after the upgrade\n");
}

#[test]
fn leaving_changes_nothing() {
    let Some((machine, _)) = machine() else {
        return;
    };
    let before = machine.exact();
    for key in [ESCAPE, INTERRUPT] {
        let mut terminal = restore(&machine, &[], 30, 100);
        terminal.wait("esc to leave");
        terminal.send(key);
        let ended = terminal.ends(130);
        let told = "cairn: no restore point was picked; nothing was changed";
        assert!(ended.screen.contains(told), "{key:?}: {}", ended.screen);
        same(&before, &machine.exact(), "left the list");
    }
    // And after the plan was seen.
    let mut terminal = restore(&machine, &[], 30, 100);
    terminal.wait("esc to leave");
    terminal.send(ENTER);
    terminal.wait("[y/N]");
    terminal.send("n\n");
    let ended = terminal.ends(130);
    assert!(
        ended.screen.contains("not confirmed; nothing was changed"),
        "{}",
        ended.screen
    );
    same(&before, &machine.exact(), "declined");
    // What matches nothing cannot be picked.
    let mut terminal = restore(&machine, &[], 30, 100);
    terminal.wait("esc to leave");
    terminal.send("zzzzqqq");
    terminal.wait("zzzzqqq");
    terminal.send(ENTER);
    terminal.send(ESCAPE);
    terminal.ends(130);
    same(&before, &machine.exact(), "picked nothing");
}

#[test]
fn hostile_reasons_and_small_terminals_keep_the_list_whole() {
    let Some((machine, ids)) = machine() else {
        return;
    };
    let hostile = format!(
        "\x1b]0;owned\x07\x1b[2J\x1b[5m\u{202e}evil {} needle",
        "日本".repeat(200)
    );
    let id = machine.create(&hostile);
    machine.write("etc/nixos/now.nix", "# later\n");
    let mut terminal = restore(&machine, &["-n"], 24, 120);
    terminal.wait("esc to leave");
    let whole = |screen: &str, ids: &[&String]| {
        ids.iter().all(|id| screen.contains(&short(id)))
            && screen.lines().filter(|l| l.contains("日本")).count() <= 1
    };
    let all = [&id, &ids[2], &ids[1], &ids[0]];
    terminal.wait_for("a row for each point", |s| whole(s, &all));
    // Narrower and lower, in the middle of it; the next key draws it anew.
    terminal.resize(12, 44);
    terminal.send(DOWN);
    terminal.wait_for("a row for each point", |s| {
        whole(s, &all) && s.contains(QUESTION)
    });
    terminal.resize(40, 160);
    terminal.send(DOWN);
    terminal.wait_for("a row for each point", |s| {
        whole(s, &all) && s.contains(QUESTION)
    });
    // What is cut off can be found all the same.
    terminal.send("evilneedle");
    terminal.wait_for("one row", |s| {
        s.contains(&short(&id)) && !s.contains(&short(&ids[0]))
    });
    terminal.send(ENTER);
    let ended = terminal.ends(0);
    for sequence in ["\x1b]0;", "\x1b[2J", "\x1b[5m", "\x07"] {
        assert!(!ended.raw.contains(sequence), "{sequence:?}");
    }
    // NO_COLOR is set: no colour, though the list is drawn and redrawn.
    assert!(!coloured(&ended.raw), "{}", ended.raw);
    let mut command = machine.command(&["restore"]);
    command.env_remove("NO_COLOR");
    let mut terminal = Terminal::run(&command, 24, 80);
    terminal.wait("esc to leave");
    terminal.send(ESCAPE);
    assert!(coloured(&terminal.ends(130).raw));
}

/// Whether a foreground colour was ever set.
fn coloured(raw: &str) -> bool {
    ["\x1b[38;5;", "\x1b[3"].iter().any(|start| {
        raw.match_indices(start).any(|(at, _)| {
            let rest = &raw[at + 2..];
            let end = rest.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(0);
            rest[end..].starts_with('m') && rest[..end] != *"39"
        })
    })
}

#[test]
fn without_a_person_or_a_choice_there_is_no_list() {
    let Some((machine, ids)) = machine() else {
        return;
    };
    // Said beforehand: the latest, and no question.
    let ended = restore(&machine, &["--yes"], 30, 100).ends(0);
    assert!(!ended.raw.contains(QUESTION) && !ended.raw.contains("[y/N]"));
    assert_eq!(now(&machine), "# after the upgrade\n");
    machine.write("etc/nixos/now.nix", "# changed since\n");
    // Named.
    let mut terminal = restore(&machine, &[&ids[0]], 30, 100);
    terminal.wait("[y/N]");
    terminal.send("y\n");
    assert!(!terminal.ends(0).raw.contains(QUESTION));
    assert_eq!(now(&machine), "# the very first\n");
    // For a program, a terminal that can do nothing, and one without room: the
    // latest is meant, as where there is no terminal at all.
    let ended = restore(&machine, &["--json"], 30, 100).ends(2);
    assert!(!ended.raw.contains(QUESTION));
    for (rows, columns) in [(0, 0), (3, 80), (30, 10)] {
        let mut terminal = restore(&machine, &[], rows, columns);
        let end = std::time::Instant::now() + std::time::Duration::from_secs(30);
        while !terminal.raw().contains("Go on?") {
            assert!(std::time::Instant::now() < end, "{}", terminal.raw());
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        terminal.send("n\n");
        assert!(!terminal.ends(130).raw.contains(QUESTION));
    }
    let run = machine.cairn(&["restore"]).ends(2);
    assert!(run.err.contains("no terminal to ask on"), "{}", run.err);
    assert!(run.out.contains("after the upgrade"), "{}", run.out);
    // Nothing to pick from.
    let Some(empty) = Machine::new() else {
        return;
    };
    let ended = restore(&empty, &[], 30, 100).ends(10);
    assert!(
        ended.screen.contains("try: cairn create"),
        "{}",
        ended.screen
    );
    assert!(!ended.raw.contains(QUESTION));
}
