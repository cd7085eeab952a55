//! Death at every fault point of `restore` and `undo`, of `resume` and
//! `abort`: going on ends as if nothing had happened, going back as if nothing
//! had begun.
#![allow(clippy::disallowed_methods, clippy::unwrap_used, clippy::panic)]

mod fault_support;

use std::fs;

use cairn::system::fault;
use fault_support::{Machine, Node, changed};

/// What every changing verb answers while a restore is unfinished.
const NEEDS_RESUME: i32 = 22;

#[track_caller]
fn same(expected: &[Node], found: &[Node], what: &str) {
    let lines = changed(expected, found);
    assert!(lines.is_empty(), "{what}:\n{}", lines.join("\n"));
}

/// How a verb that is not disturbed leaves the machine, and how it was.
struct Course {
    args: Vec<String>,
    before: Vec<Node>,
    after: Vec<Node>,
    machine: Box<dyn Fn() -> Machine>,
}

impl Course {
    fn new(machine: impl Fn() -> Machine + 'static, args: &[&str]) -> Self {
        let whole = machine();
        let before = whole.picture();
        let args: Vec<String> = args
            .iter()
            .map(|a| match *a {
                "A" | "B" => whole.point(a),
                other => other.to_owned(),
            })
            .collect();
        whole.run(&args).expect(0);
        let after = whole.picture();
        assert!(!changed(&before, &after).is_empty(), "it changes nothing");
        whole.nothing_left_over();
        Self {
            args,
            before,
            after,
            machine: Box::new(machine),
        }
    }

    /// A machine on which this verb died at a fault point; nothing when the
    /// point is passed fewer times.
    fn dead(&self, at: &str) -> Option<Machine> {
        let machine = (self.machine)();
        let args: Vec<&str> = self.args.iter().map(String::as_str).collect();
        let ended = machine.struck(at, &args);
        if ended.killed() {
            return Some(machine);
        }
        ended.expect(0);
        None
    }

    /// Every passage of these points, with a look at the dead machine.
    fn walk(&self, points: &[&str], look: impl Fn(&Machine, &str)) -> usize {
        let mut deaths = 0;
        for point in points {
            for n in 1.. {
                let at = format!("{point}:{n}");
                let Some(machine) = self.dead(&at) else {
                    assert!(n > 1, "{point} is never passed");
                    break;
                };
                deaths += 1;
                look(&machine, &at);
            }
        }
        deaths
    }
}

/// An unfinished restore says so, and nothing that changes the machine or
/// takes points away goes on beside it.
fn is_unfinished(machine: &Machine, at: &str) {
    let status = machine.run(["status"]).expect(NEEDS_RESUME);
    assert!(status.out.contains("cairn resume"), "{}", status.told());
    let picture = machine.picture();
    let ids = machine.ids();
    let b = machine.point("B");
    for args in [
        &["restore", &b, "-y"][..],
        &["restore", &b, "--only", "config", "-y"],
        &["config", "restore", &b, "-y"],
        &["rollback", &b, "-y"],
        &["prune", "--keep-last", "1", "-y"],
        &["prune", "--keep-last", "100", "-y"],
        &["generations", "clean", "--keep-last", "1", "-y"],
        &["generations", "switch", "2", "-y"],
    ] {
        let ended = machine.run(args).expect(NEEDS_RESUME);
        assert!(ended.err.contains("cairn resume (or: cairn abort)"));
    }
    same(&picture, &machine.picture(), at);
    assert_eq!(ids, machine.ids(), "{at}");
}

fn end(machine: &Machine, verb: &str, expected: &[Node], at: &str) {
    machine.run([verb, "-y"]).expect(0);
    same(expected, &machine.picture(), &format!("{at}, then {verb}"));
    machine.run(["status"]).expect(0);
    // Leftovers of the point that was being taken are cleaned by the next run.
    machine.create("next");
    machine.nothing_left_over();
    let none = machine.run(["resume", "-y"]).expect(1);
    assert!(none.err.contains("there is no restore to resume"));
    assert!(
        machine.app_runs(),
        "{at}, then {verb}: a unit was left stopped"
    );
}

fn resume_and_abort(course: &Course) -> usize {
    let journalled: Vec<&str> = fault::RESTORE
        .iter()
        .copied()
        .filter(|p| *p != "restore.undo-point")
        .collect();
    let asked = std::cell::Cell::new(false);
    let deaths = course.walk(&journalled, |machine, at| {
        // Refusals do not depend on where it died: they are asked for once
        // early and once late.
        if !asked.get() || at.starts_with("restore.verified") {
            is_unfinished(machine, at);
            asked.set(true);
        }
        machine.run(["status"]).expect(NEEDS_RESUME);
        end(machine, "resume", &course.after, at);
    });
    course.walk(&journalled, |machine, at| {
        end(machine, "abort", &course.before, at);
    });
    deaths
}

#[test]
fn a_restore_dies_at_every_point() {
    const NAME: &str = "a_restore_dies_at_every_point";
    if Machine::lived(NAME).is_none() {
        return;
    }
    let course = Course::new(|| Machine::lived(NAME).unwrap(), &["restore", "A", "-y"]);
    let deaths = resume_and_abort(&course);
    println!("{deaths} deaths, each resumed and aborted");
    assert!(deaths > 20, "{deaths}");
}

#[test]
fn an_undo_dies_at_every_point() {
    const NAME: &str = "an_undo_dies_at_every_point";
    let Some(machine) = Machine::lived(NAME) else {
        return;
    };
    machine
        .run(["restore", &machine.point("A"), "-y"])
        .expect(0);
    let template = machine.keep("restored");
    let course = Course::new(move || Machine::copy_of(&template), &["undo", "-y"]);
    resume_and_abort(&course);
}

/// Death before the journal stands: nothing has begun, nothing is to be ended.
#[test]
fn a_restore_that_dies_early_changes_nothing() {
    const NAME: &str = "a_restore_that_dies_early_changes_nothing";
    if Machine::lived(NAME).is_none() {
        return;
    }
    let course = Course::new(|| Machine::lived(NAME).unwrap(), &["restore", "A", "-y"]);
    let mut early: Vec<&str> = fault::CREATE.to_vec();
    early.push("restore.undo-point");
    course.walk(&early, |machine, at| {
        same(&course.before, &machine.picture(), at);
        machine.run(["status"]).expect(0);
        machine.verify();
        machine
            .run(["restore", &machine.point("A"), "-y"])
            .expect(0);
        same(&course.after, &machine.picture(), at);
        machine.nothing_left_over();
    });
}

/// Death during `resume` and `abort` themselves, then either of them again.
#[test]
fn resume_and_abort_die_too() {
    const NAME: &str = "resume_and_abort_die_too";
    if Machine::lived(NAME).is_none() {
        return;
    }
    let course = Course::new(|| Machine::lived(NAME).unwrap(), &["restore", "A", "-y"]);
    let mut twice = 0;
    for first in [
        "restore.journalled",
        "restore.staged",
        "restore.file:7",
        "restore.config",
        "restore.activated",
    ] {
        let template = course.dead(first).unwrap().keep(first);
        for verb in ["resume", "abort"] {
            for second in [
                "restore.staged",
                "restore.file:3",
                "restore.file:12",
                "restore.config",
                "restore.profile",
                "restore.activated",
                "restore.started",
                "restore.verified",
                // Of the point that is taken first, of what is there then.
                "create.owed",
                "create.stopped",
                "create.documented",
            ] {
                for last in ["resume", "abort"] {
                    let machine = Machine::copy_of(&template);
                    let struck = machine.struck(second, &[verb, "-y"]);
                    if !struck.killed() {
                        // There was less to do than that.
                        let steps = ["restore.file", "create."];
                        let step = steps.iter().any(|s| second.starts_with(s));
                        assert!(step, "{}", struck.told());
                        struck.expect(0);
                        assert!(machine.app_runs(), "{first}, {verb}");
                        continue;
                    }
                    twice += 1;
                    let expected = if last == "resume" {
                        &course.after
                    } else {
                        &course.before
                    };
                    let at = format!("{first}, {verb} at {second}");
                    machine.run(["status"]).expect(NEEDS_RESUME);
                    end(&machine, last, expected, &at);
                }
            }
        }
    }
    println!("{twice} died twice");
    assert!(twice > 60, "{twice}");
}

/// A generation whose link is gone comes back under a new number, once.
#[test]
fn a_lost_generation_comes_back_once() {
    const NAME: &str = "a_lost_generation_comes_back_once";
    let Some(machine) = Machine::lived(NAME) else {
        return;
    };
    let link = machine.root.join("nix/var/nix/profiles/system-1-link");
    let toplevel = fs::read_link(&link).unwrap();
    fs::remove_file(&link).unwrap();
    let template = machine.keep("lost");
    let course = Course::new(
        move || Machine::copy_of(&template),
        &["rollback", "A", "-y"],
    );
    for verb in ["resume", "abort"] {
        for at in ["restore.journalled", "restore.profile", "restore.verified"] {
            let machine = course.dead(at).unwrap();
            let before = machine.profile();
            machine.run([verb, "-y"]).expect(0);
            if verb == "resume" {
                assert_eq!(machine.profile(), toplevel);
                let generations = machine.run(["generations", "list", "--json"]).expect(0);
                let items = generations.json()["generations"]["items"].clone();
                assert_eq!(items.as_array().unwrap().len(), 3, "{items}");
            } else {
                assert_ne!(machine.profile(), toplevel, "{at}: {before:?}");
            }
        }
    }
}

/// One file, or a folder that is gone, is all that comes back, and all that
/// goes again.
#[test]
fn a_part_is_resumed_and_aborted_as_a_part() {
    const NAME: &str = "a_part_is_resumed_and_aborted_as_a_part";
    if Machine::lived(NAME).is_none() {
        return;
    }
    for path in [
        // Gone since A, with the folder it was in.
        "/etc/nixos/modules/deep/only-in-a",
        // Added since A: it goes.
        "/etc/nixos/since.nix",
        "/etc/nixos/new",
        // Changed, and became something else.
        "/etc/nixos/configuration.nix",
        "/etc/nixos/turns",
        "/etc/nixos/turned",
        // A root of its own.
        "/srv/shared.nix",
        // State: changed, gone and added.
        "/var/lib/app/data",
        "/var/lib/app/tables",
        "/var/lib/app/new",
    ] {
        let args = ["restore", "A", path, "-y"];
        let course = Course::new(|| Machine::lived(NAME).unwrap(), &args);
        let points = [
            "restore.journalled",
            "restore.staged",
            "restore.file",
            "restore.config",
        ];
        course.walk(&points, |machine, at| {
            end(machine, "resume", &course.after, &format!("{path} at {at}"));
        });
        course.walk(&points, |machine, at| {
            end(machine, "abort", &course.before, &format!("{path} at {at}"));
        });
        let whole = (course.machine)();
        whole.run(&course.args).expect(0);
        whole.run(["undo", "-y"]).expect(0);
        same(
            &course.before,
            &whole.picture(),
            &format!("{path}, then undo"),
        );
    }
}

/// What a merge arrives at is stored before anything changes: dying before the
/// journal stands changes nothing, and after it going on arrives at the same.
#[test]
fn a_merge_dies_at_every_point() {
    const NAME: &str = "a_merge_dies_at_every_point";
    if Machine::lived(NAME).is_none() {
        return;
    }
    let args = ["restore", "A", "--merge", "--merge-base", "B", "-y"];
    let course = Course::new(|| Machine::lived(NAME).unwrap(), &args);
    let since = |nodes: &[Node]| {
        let is_it = |n: &&Node| n.path.ends_with("since.nix");
        nodes.iter().filter(is_it).count()
    };
    assert_eq!(since(&course.after), 1, "what was added since B stays");
    let early: Vec<&str> = [&["restore.undo-point"], fault::MERGE].concat();
    course.walk(&early, |machine, at| {
        same(&course.before, &machine.picture(), at);
        machine.run(["status"]).expect(0);
        machine.verify();
        machine.run(&course.args).expect(0);
        same(&course.after, &machine.picture(), at);
        machine.nothing_left_over();
    });
    // The system is no part of a merge.
    let late: Vec<&str> = fault::RESTORE
        .iter()
        .copied()
        .filter(|p| !early.contains(p) && !["restore.profile", "restore.activated"].contains(p))
        .collect();
    course.walk(&late, |machine, at| {
        machine.run(["status"]).expect(NEEDS_RESUME);
        end(machine, "resume", &course.after, at);
    });
    course.walk(&late, |machine, at| {
        end(machine, "abort", &course.before, at);
    });
}

/// A point may be taken beside an unfinished restore: it takes nothing away,
/// and the hook before a switch must not be stopped. It says what it holds.
#[test]
fn create_goes_on_beside_an_unfinished_restore_and_says_so() {
    const NAME: &str = "create_goes_on_beside_an_unfinished_restore_and_says_so";
    if Machine::lived(NAME).is_none() {
        return;
    }
    let course = Course::new(|| Machine::lived(NAME).unwrap(), &["restore", "A", "-y"]);
    for (verb, expected) in [("resume", &course.after), ("abort", &course.before)] {
        let machine = course.dead("restore.file:7").unwrap();
        let mut half = machine.picture();
        let created = machine.run(["create", "-r", "halfway"]).expect(0);
        assert!(created.err.contains("unfinished"), "{}", created.told());
        same(&half, &machine.picture(), "create");
        half.retain(|n| !n.path.to_string_lossy().contains("/.cairn-"));
        end(&machine, verb, expected, "create beside it");
        machine
            .run(["restore", &machine.point("halfway"), "-y"])
            .expect(0);
        same(&half, &machine.picture(), "the halfway point");
    }
}
