//! Death before and after every step of `restore` and `undo`, of `resume` and
//! `abort`: going on ends as if nothing had happened, going back as if nothing
//! had begun. The steps are those that an undisturbed run takes.

use std::collections::BTreeSet;
use std::fs;

use crate::support::course::{
    Course, NEEDS_RESUME, Passage, each, end, end_thoroughly, endings, same,
};
use crate::support::{Machine, Node, changed};
use cairn::fault;

const RESTORE: &[&[&str]] = &[fault::RESTORE, fault::CONVERGE];
const END: &[&[&str]] = &[fault::END, fault::CONVERGE];

fn restore_of_a(test: &str) -> Option<Course> {
    Some(Course::new(
        Machine::lived_at(test)?,
        &["restore", "A", "-y"],
    ))
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
        assert!(ended.err.contains("cairn resume\n   or: cairn abort"));
    }
    same(&picture, &machine.picture(), at);
    assert_eq!(ids, machine.ids(), "{at}");
}

/// Every death from the moment that the journal stands, and both ends of it.
fn resume_and_abort(course: &Course) -> usize {
    let cases = course
        .begun(RESTORE)
        .flat_map(|p| endings(p).iter().map(move |verb| (p, *verb)));
    each(cases, |(passage, verb)| {
        let at = passage.at.as_str();
        let machine = course.dead(at);
        // The last step is the journal's own end.
        if at.starts_with("restore.ended") {
            same(&course.after, &machine.picture(), at);
            machine.run(["status"]).expect(0);
            return machine.nothing_left_over();
        }
        machine.run(["status"]).expect(NEEDS_RESUME);
        if passage.once {
            end_thoroughly(&machine, verb, course.expected(verb), at);
        } else {
            end(&machine, verb, course.expected(verb), at);
        }
    })
}

#[test]
fn a_restore_dies_at_every_step() {
    let Some(course) = restore_of_a("a_restore_dies_at_every_step") else {
        return;
    };
    assert!(changed(&course.before, &course.after).len() > 40);
    let deaths = resume_and_abort(&course);
    println!("{deaths} deaths, each resumed or aborted");
    assert!(deaths > 120, "{deaths}");
    // Refusals do not depend on where it died: asked for early and late.
    for at in ["restore.journalled", "restore.verified"] {
        is_unfinished(&course.dead(at), at);
    }
}

#[test]
fn an_undo_dies_at_every_step() {
    let Some(machine) = Machine::lived("an_undo_dies_at_every_step") else {
        return;
    };
    machine
        .run(["restore", &machine.point("A"), "-y"])
        .expect(0);
    let course = Course::new(machine.keep("restored"), &["undo", "-y"]);
    assert!(resume_and_abort(&course) > 120);
}

/// Death before the journal stands: nothing has begun, nothing is to be ended.
#[test]
fn a_restore_that_dies_early_changes_nothing() {
    let Some(course) = restore_of_a("a_restore_that_dies_early_changes_nothing") else {
        return;
    };
    let early: Vec<&Passage> = course
        .passages(&[fault::CREATE, fault::RESTORE])
        .take_while(|p| p.name != "restore.journalled" || p.before)
        .collect();
    let passed: BTreeSet<&str> = early.iter().map(|p| p.name.as_str()).collect();
    let missed: Vec<_> = fault::CREATE
        .iter()
        .filter(|p| !passed.contains(*p))
        .collect();
    assert!(missed.is_empty(), "never passed: {missed:?}");
    each(early, |passage| {
        let machine = course.dead(&passage.at);
        same(&course.before, &machine.picture(), &passage.at);
        machine.run(["status"]).expect(0);
        machine.verify();
        machine
            .run(["restore", &machine.point("A"), "-y"])
            .expect(0);
        same(&course.after, &machine.picture(), &passage.at);
        machine.nothing_left_over();
    });
}

/// Death during `resume` and `abort` themselves, then either of them again.
#[test]
fn resume_and_abort_die_at_every_step_too() {
    let Some(course) = restore_of_a("resume_and_abort_die_at_every_step_too") else {
        return;
    };
    let mut twice = 0;
    for (first, verb, every) in [
        // With all the work before them, they die each time a step is taken,
        ("restore.journalled", "resume", true),
        ("before restore.profile", "abort", true),
        // and with half of it or little, before and after each kind of step.
        ("before restore.profile", "resume", false),
        ("restore.journalled", "abort", false),
        ("restore.file:20", "resume", false),
        ("restore.file:20", "abort", false),
    ] {
        let place = format!("{first} {verb}").replace(['.', ' ', ':'], "-");
        let second = Course::new(course.dead(first).keep(&place), &[verb, "-y"]);
        same(course.expected(verb), &second.after, first);
        let chosen = second
            .passages(END)
            .filter(|p| every || p.once || p.nth == 3);
        twice += each(chosen.enumerate(), |(n, passage)| {
            let at = format!("{first}, {verb} at {}", passage.at);
            let machine = second.dead(&passage.at);
            if passage.at.starts_with("end.ended") {
                same(&second.after, &machine.picture(), &at);
                machine.run(["status"]).expect(0);
                return machine.nothing_left_over();
            }
            machine.run(["status"]).expect(NEEDS_RESUME);
            // Before a step one of them, after it the other one.
            let last = if n.is_multiple_of(2) {
                "resume"
            } else {
                "abort"
            };
            end(&machine, last, course.expected(last), &at);
        });
    }
    println!("{twice} died twice");
    assert!(twice > 250, "{twice}");
}

/// What is listed is taken: a restore with everything in it takes every step.
#[test]
fn no_step_is_listed_in_vain() {
    let Some(course) = restore_of_a("no_step_is_listed_in_vain") else {
        return;
    };
    let part = &["restore", "A", "/etc/nixos/modules/deep/only-in-a", "-y"];
    let part = Course::new(Machine::lived_at("").unwrap(), part);
    let dead = course.dead("restore.file:5").keep("for-the-list");
    let end = Course::new(dead, &["abort", "-y"]);
    let passed = |name: &str, before: bool| {
        let courses = [&course, &part, &end];
        let mut all = courses.iter().flat_map(|c| &c.passed);
        all.any(|p| p.name == name && p.before == before)
    };
    let whole = [fault::RESTORE, fault::CONVERGE, fault::END];
    for name in whole.concat() {
        assert!(
            passed(name, true) && passed(name, false),
            "{name} is never taken"
        );
    }
    for name in [fault::CREATE, fault::FILES].concat() {
        let name_is_passed = passed(name, false) || passed(name, true);
        assert!(name_is_passed, "{name} is never passed");
    }
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
    let course = Course::new(machine.keep("lost"), &["rollback", "A", "-y"]);
    let points = [
        "restore.journalled",
        "before restore.profile",
        "restore.profile",
        "restore.verified",
    ];
    let cases = ["resume", "abort"].map(|verb| points.map(|at| (verb, at)));
    each(cases.concat(), |(verb, at)| {
        let machine = course.dead(at);
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
    });
}

/// One file, or a folder that is gone, is all that comes back, and all that
/// goes again.
#[test]
fn a_part_is_resumed_and_aborted_as_a_part() {
    const NAME: &str = "a_part_is_resumed_and_aborted_as_a_part";
    if Machine::lived_at(NAME).is_none() {
        return;
    }
    let paths = [
        // Gone since A, with the folder it was in.
        "/etc/nixos/modules/deep/only-in-a",
        // Added since A: it goes.
        "/etc/nixos/new",
        // Changed, and became something else.
        "/etc/nixos/configuration.nix",
        "/etc/nixos/turns",
        "/etc/nixos/turned",
        // One name of a file with two.
        "/etc/nixos/twin",
        // A root of its own, one with the folders above it gone.
        "/srv/shared.nix",
        "/srv/deep/down/shared.nix",
        // State: changed, gone and added.
        "/var/lib/app/data",
        "/var/lib/app/tables",
        "/var/lib/app/new",
    ];
    each(paths, |path| {
        let template = Machine::lived_at(NAME).unwrap();
        let course = Course::new(template, &["restore", "A", path, "-y"]);
        assert!(!changed(&course.before, &course.after).is_empty(), "{path}");
        let files = [
            "restore.content",
            "restore.parent",
            "restore.file",
            "restore.config",
        ];
        for (n, passage) in course.begun(&[&files]).enumerate() {
            let verb = if n.is_multiple_of(2) {
                "abort"
            } else {
                "resume"
            };
            let at = format!("{path} at {}", passage.at);
            end(&course.dead(&passage.at), verb, course.expected(verb), &at);
        }
        let (whole, ended) = course.struck("");
        ended.expect(0);
        whole.run(["undo", "-y"]).expect(0);
        same(&course.before, &whole.picture(), &format!("{path}, undone"));
    });
}

/// State alone, held still by its unit: it is stopped once, and started when
/// all is done.
#[test]
fn a_state_set_alone_dies_at_every_step() {
    const NAME: &str = "a_state_set_alone_dies_at_every_step";
    let Some(template) = Machine::lived_at(NAME) else {
        return;
    };
    let course = Course::new(template, &["restore", "A", "--only", "state", "-y"]);
    let config = course.after.iter().filter(|n| n.path.starts_with("etc"));
    let before = course.before.iter().filter(|n| n.path.starts_with("etc"));
    assert!(config.eq(before), "it is about state alone");
    assert!(resume_and_abort(&course) > 40);
}

/// What a merge arrives at is stored before anything changes: dying before the
/// journal stands changes nothing, and after it going on arrives at the same.
#[test]
fn a_merge_dies_at_every_step() {
    const NAME: &str = "a_merge_dies_at_every_step";
    let Some(template) = Machine::lived_at(NAME) else {
        return;
    };
    let args = ["restore", "A", "--merge", "--merge-base", "B", "-y"];
    let course = Course::new(template, &args);
    let since = |nodes: &[Node]| {
        let is_it = |n: &&Node| n.path.ends_with("since.nix");
        nodes.iter().filter(is_it).count()
    };
    assert_eq!(since(&course.after), 1, "what was added since B stays");
    let early = course.passages(&[fault::MERGE]);
    let deaths = each(early, |passage| {
        let machine = course.dead(&passage.at);
        same(&course.before, &machine.picture(), &passage.at);
        machine.run(["status"]).expect(0);
        machine.verify();
        machine.run(&course.args).expect(0);
        same(&course.after, &machine.picture(), &passage.at);
        machine.nothing_left_over();
    });
    assert_eq!(deaths, fault::MERGE.len());
    assert!(resume_and_abort(&course) > 40);
}

/// A point may be taken beside an unfinished restore: it takes nothing away,
/// and the hook before a switch must not be stopped. It says what it holds.
#[test]
fn create_goes_on_beside_an_unfinished_restore_and_says_so() {
    let Some(course) = restore_of_a("create_goes_on_beside_an_unfinished_restore_and_says_so")
    else {
        return;
    };
    for verb in ["resume", "abort"] {
        let machine = course.dead("restore.file:7");
        let mut half = machine.picture();
        let created = machine.run(["create", "-r", "halfway"]).expect(0);
        assert!(created.err.contains("unfinished"), "{}", created.told());
        same(&half, &machine.picture(), "create");
        half.retain(|n| !n.path.to_string_lossy().contains("/.cairn-"));
        end_thoroughly(&machine, verb, course.expected(verb), "create beside it");
        machine
            .run(["restore", &machine.point("halfway"), "-y"])
            .expect(0);
        // What it did not hold is left alone.
        let held = |n: &Node| !n.path.starts_with("srv/deep");
        let kept = |nodes: Vec<Node>| -> Vec<Node> { nodes.into_iter().filter(held).collect() };
        same(&kept(half), &kept(machine.picture()), "the halfway point");
    }
}
