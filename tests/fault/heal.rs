//! `cairn heal` killed before and after each of its steps: `status` says so,
//! the next run ends what was cut off, nothing counts twice, and units and
//! files are healed or as before.

use std::collections::BTreeSet;
use std::fs;
use std::time::{Duration, SystemTime};

use crate::common::{Ailing, contents};
use cairn::fault::HEAL;
use serde_json::json;

/// What is to be healed, and what it comes to.
struct Course {
    /// Makes a machine with an issue.
    make: fn() -> Option<Ailing>,
    /// The exit code of a run that nobody disturbs.
    code: i32,
    /// Holds what must be so at the end.
    hold: fn(&Ailing, &str),
}

fn policy(m: &Ailing) {
    m.policy(&json!({ "heal": {
        "coolDown": "0s", "attempts": 100, "destructive": ["restore-configuration"],
    } }));
}

fn down() -> Option<Ailing> {
    let m = Ailing::new()?;
    policy(&m);
    m.unit("web.service", "failed");
    m.unit("db.service", "active");
    m.say("web.service.needs", "db.service");
    Some(m)
}

fn broken() -> Option<Ailing> {
    let m = down()?;
    m.say("web.service.broken", "");
    Some(m)
}

const FILE: &str = "etc/nixos/hardware.nix";

fn unparsable() -> Option<Ailing> {
    let m = Ailing::new()?;
    policy(&m);
    m.0.0.create("all is well");
    m.0.0.write(FILE, "{ broken = ; }\n");
    let file = fs::File::options()
        .append(true)
        .open(m.0.0.root().join(FILE));
    let long_ago = SystemTime::now() - Duration::from_secs(3600);
    file.unwrap().set_modified(long_ago).unwrap();
    Some(m)
}

/// One that the restored file makes worse.
fn relied_upon() -> Option<Ailing> {
    let m = unparsable()?;
    let file = m.0.0.root().join(FILE);
    let command = ["/bin/grep", "-q", "broken", file.to_str().unwrap()];
    m.policy(&json!({
        "heal": { "coolDown": "0s", "attempts": 100, "destructive": ["restore-configuration"] },
        "health": { "checks": { "relies": { "command": command } } },
    }));
    Some(m)
}

const COURSES: &[Course] = &[
    Course {
        make: down,
        code: 0,
        hold: |m, at| {
            assert_eq!(m.state("web.service"), "active", "{at}");
            assert_eq!(m.state("db.service"), "active", "{at}");
        },
    },
    Course {
        make: broken,
        code: 20,
        hold: |m, at| {
            assert_eq!(m.state("web.service"), "failed", "{at}");
            assert_eq!(m.state("db.service"), "active", "{at}");
        },
    },
    Course {
        make: unparsable,
        code: 0,
        hold: |m, at| assert_eq!(m.0.0.read(FILE), "{ }\n", "{at}"),
    },
    Course {
        make: relied_upon,
        code: 20,
        hold: |m, at| assert_eq!(m.0.0.read(FILE), "{ broken = ; }\n", "{at}"),
    },
];

/// The steps of healing, and of the restores it makes, that a run passes, each
/// with how often it was passed before.
fn passed(course: &Course) -> Option<Vec<String>> {
    let m = (course.make)()?;
    let log = m.0.0.home().join("passed");
    let mut command = m.0.command(&["heal", "--yes"]);
    let ended = command.env("CAIRN_FAULT_LOG", &log).output().unwrap();
    assert_eq!(ended.status.code(), Some(course.code), "{ended:?}");
    (course.hold)(&m, "undisturbed");
    let text = fs::read_to_string(log).unwrap();
    let mut seen: Vec<&str> = Vec::new();
    let mut steps = Vec::new();
    for name in text.lines() {
        let bare = name.trim_start_matches("before ");
        // Before a step of a restore is after the last one.
        let counts = bare.starts_with("heal.") || name.starts_with("restore.");
        if !counts {
            continue;
        }
        seen.push(name);
        let nth = seen.iter().filter(|other| **other == name).count();
        steps.push(format!("{name}:{nth}"));
    }
    Some(steps)
}

fn walk(course: &Course) {
    let Some(steps) = passed(course) else { return };
    assert!(steps.len() >= 6, "{steps:?}");
    for at in &steps {
        let Some(m) = (course.make)() else { return };
        let etc = m.0.0.root().join("etc");
        let before = contents(&etc);
        let mut command = m.0.command(&["heal", "--yes"]);
        let ended = command.env("CAIRN_FAULT", at).output().unwrap();
        assert_eq!(ended.status.code(), None, "{at} did not kill it: {ended:?}");
        // Who looks is told, unless nothing had begun or all was done.
        let open =
            m.0.0
                .state()
                .join("healing.json")
                .exists()
                .then(|| m.book()["open"].is_object());
        if open == Some(true) {
            let status = m.run(&["status"]);
            assert!(status.out.contains("was cut off"), "{at}: {status:?}");
        }
        let tries = |m: &Ailing| {
            let cases = m.book()["cases"].as_array().unwrap().clone();
            let of = |case: &serde_json::Value| case["tries"].as_array().unwrap().clone();
            cases.iter().flat_map(of).collect::<Vec<_>>()
        };
        let counted = if open.is_some() { tries(&m).len() } else { 0 };
        // The next run ends it, whatever else it does.
        m.run(&["heal", "--yes"]).ends(course.code);
        (course.hold)(&m, at);
        assert!(m.book().get("open").is_none(), "{at}: {:#}", m.book());
        let all = tries(&m);
        assert!(all.len() >= counted, "{at}: a try was forgotten");
        assert!(
            all.iter().all(|t| t["verdict"].is_string()),
            "{at}: {all:#?}"
        );
        let ids: BTreeSet<&str> = all.iter().map(|t| t["id"].as_str().unwrap()).collect();
        assert_eq!(ids.len(), all.len(), "{at}: a try counts twice");
        // Nothing else is left open, and what is not healed is as before.
        m.run(&["status"]).ends(0);
        if course.code != 0 {
            assert_eq!(contents(&etc), before, "{at}");
        }
    }
}

#[test]
fn killed_at_any_step_a_unit_is_healed_by_the_next_run() {
    walk(&COURSES[0]);
}

#[test]
fn killed_at_any_step_a_unit_that_cannot_be_healed_leaves_others_as_before() {
    walk(&COURSES[1]);
}

#[test]
fn killed_at_any_step_a_file_is_whole() {
    walk(&COURSES[2]);
}

#[test]
fn killed_at_any_step_a_file_that_is_taken_back_is_as_before() {
    walk(&COURSES[3]);
}

#[test]
fn every_step_of_healing_is_walked() {
    let mut walked = BTreeSet::new();
    for course in COURSES {
        let Some(steps) = passed(course) else { return };
        for step in steps {
            let name = step
                .trim_start_matches("before ")
                .split(':')
                .next()
                .unwrap();
            walked.insert(name.to_owned());
        }
    }
    for name in HEAL {
        assert!(walked.contains(*name), "{name} is never passed");
    }
}
