//! `cairn heal`: what it tries, in which order, what it takes back, when it
//! leaves things alone; on a root whose systemd is a script.
//! `heal_ways.rs` has the actions, `tests/bed/heal.rs` real machines.

use std::fs;

use crate::support::{Ailing, System};
use serde_json::{Value, json};

#[test]
fn a_unit_that_is_down_is_restarted_and_the_system_is_known_good() {
    let Some(m) = Ailing::new() else { return };
    m.unit("web.service", "failed");
    let healed = m.heal(0, &[]);
    assert_eq!(healed["healthy"], true, "{healed:#}");
    let issue = &healed["issues"][0];
    assert_eq!(
        (&issue["issue"], &issue["healed"]),
        (
            &json!({"kind": "service-down", "subject": "web.service"}),
            &json!(true)
        )
    );
    let tried = &issue["tries"][0];
    assert_eq!(tried["action"], "restart-unit");
    assert_eq!(tried["verdict"], "recovered");
    assert!(
        tried["before"].as_u64() < tried["after"].as_u64(),
        "{tried}"
    );
    assert_eq!(m.state("web.service"), "active");
    assert!(m.done().contains("restart -- web.service"), "{}", m.done());

    // The point was taken before, and holds a system that works.
    let id = issue["point"].as_str().unwrap();
    let point = m.document(id);
    assert_eq!(point["trigger"], "pre-heal");
    assert_eq!(point["issues"][0]["kind"], "service-down");
    let shown = m.json(&["show", "latest-good"]);
    assert_eq!(shown["point"]["id"], id);
    assert_eq!(healed["markedGood"], m.0.0.path(System::Two));
    let good = m.0.0.root().join("nix/var/nix/gcroots/cairn/known-good");
    assert_eq!(fs::read_dir(good).unwrap().count(), 1);

    // It is learned, listed, and told by `status`.
    let learned = &m.json(&["learn", "show"])["learned"]["heals"][0];
    assert_eq!(
        (
            &learned["action"],
            &learned["attempts"],
            &learned["successes"]
        ),
        (&json!("restart-unit"), &json!(1), &json!(1))
    );
    let history = m.run(&["history", "--kind", "heal"]).ends(0).out;
    assert!(
        history.contains("service-down web.service: restart-unit: recovered"),
        "{history}"
    );
    let status = m.run(&["status"]).ends(0).out;
    assert!(
        status.contains("restart-unit against service-down web.service: helped"),
        "{status}"
    );
    // There is nothing more to do, and nothing is done.
    let again = m.heal(0, &[]);
    assert_eq!(again["issues"], json!([]));
    assert_eq!(m.ids(), [id]);
}

#[test]
fn a_dry_run_says_what_it_would_do_and_why_and_changes_nothing() {
    let Some(m) = Ailing::new() else { return };
    m.unit("web.service", "failed");
    m.unit("db.service", "active");
    m.say("web.service.needs", "db.service");
    fs::create_dir(m.0.0.state()).unwrap();
    m.json(&["status"]);
    let before = m.0.0.exact();
    let plan = m.heal(0, &["-n"]);
    assert_eq!(m.0.0.exact(), before);
    assert_eq!(plan["dryRun"], true);
    let actions = plan["issues"][0]["actions"].as_array().unwrap();
    let names: Vec<&str> = actions
        .iter()
        .map(|a| a["action"].as_str().unwrap())
        .collect();
    assert_eq!(names.len(), 3, "{names:?}");
    let restart = actions
        .iter()
        .find(|a| a["action"] == "restart-unit")
        .unwrap();
    assert_eq!(restart["on"], "web.service");
    // The prior of this action against this issue, in priors.json.
    assert!((restart["estimate"].as_f64().unwrap() - 0.65).abs() < 1e-6);
    let reset = actions
        .iter()
        .find(|a| a["action"] == "reset-failed")
        .unwrap();
    assert!(
        reset["lacks"]
            .as_str()
            .unwrap()
            .contains("the unit is there")
    );
    assert_eq!(plan["issues"][0]["off"][0]["action"], "roll-back");
    let text = m.run(&["heal", "-n"]).ends(0).out;
    assert!(text.contains("never tried"), "{text}");
    assert!(
        text.contains("can break: what the unit does is away"),
        "{text}"
    );
    assert!(
        text.contains("roll-back: off, it is destructive here"),
        "{text}"
    );
    assert!(text.ends_with("  try: cairn heal\n"), "{text}");
    assert_eq!(m.done(), "");
    // What was shown is done: the same order, until something was tried.
    let order = |shown: &Value| {
        let actions = shown["issues"][0]["actions"].as_array().unwrap().clone();
        actions
            .iter()
            .map(|a| a["action"].clone())
            .collect::<Vec<_>>()
    };
    let healed = m.heal(0, &[]);
    assert_eq!(order(&healed), order(&plan));
}

#[test]
fn what_does_not_help_is_taken_back_and_the_next_action_is_tried() {
    let Some(m) = Ailing::new() else { return };
    m.unit("web.service", "failed");
    m.unit("db.service", "active");
    m.unit("cache.service", "inactive");
    m.say("web.service.needs", "db.service cache.service");
    m.say("web.service.broken", "");
    let healed = m.heal(20, &[]);
    let issue = &healed["issues"][0];
    assert_eq!(issue["healed"], false);
    let tries = issue["tries"].as_array().unwrap();
    assert_eq!(tries.len(), 2, "{tries:#?}");
    let of = |action: &str| tries.iter().find(|t| t["action"] == action).unwrap();
    assert_eq!(of("restart-unit")["verdict"], "remains");
    assert_eq!(of("restart-dependencies")["verdict"], "taken-back");
    assert!(
        of("restart-unit")["said"]
            .as_str()
            .unwrap()
            .contains("web.service failed"),
        "{tries:#?}"
    );
    // Units are as before: what ran runs, what did not does not.
    assert_eq!(m.state("web.service"), "failed");
    assert_eq!(m.state("db.service"), "active");
    assert_eq!(m.state("cache.service"), "inactive");
    // One point for all of it; the system is not called good.
    assert_eq!(m.ids().len(), 1);
    assert!(healed.get("markedGood").is_none());
    let text = m
        .run(&["heal", "-n", "--issue", "service-down"])
        .ends(0)
        .out;
    assert!(text.contains("tried 1×"), "{text}");
}

#[test]
fn a_unit_that_fails_for_another_is_healed_with_it() {
    let Some(m) = Ailing::new() else { return };
    m.unit("web.service", "failed");
    m.unit("db.service", "active");
    m.say("web.service.needs", "db.service");
    m.say("web.service.until-db.service", "");
    let healed = m.heal(0, &[]);
    let tries = healed["issues"][0]["tries"].as_array().unwrap();
    let last = tries.last().unwrap();
    assert_eq!(
        (&last["action"], &last["verdict"]),
        (&json!("restart-dependencies"), &json!("recovered"))
    );
    assert_eq!(m.state("web.service"), "active");
}

#[test]
fn a_failure_of_a_unit_that_is_gone_is_forgotten() {
    let Some(m) = Ailing::new() else { return };
    m.unit("run-u7.service", "failed");
    m.say("run-u7.service.gone", "");
    let healed = m.heal(0, &[]);
    let issue = &healed["issues"][0];
    assert_eq!(issue["tries"][0]["action"], "reset-failed", "{issue:#}");
    assert_eq!(m.done(), "reset-failed -- run-u7.service\n");
}

#[test]
fn an_issue_cools_down_and_reaches_its_cap_unless_it_is_named() {
    let Some(m) = Ailing::new() else { return };
    m.unit("web.service", "failed");
    m.say("web.service.broken", "");
    m.heal(20, &[]);
    let waits = m.heal(20, &[]);
    let held = waits["issues"][0]["held"].as_str().unwrap();
    assert!(held.contains("it was acted upon a moment ago"), "{held}");
    assert!(waits["issues"][0]["until"].is_string());
    let status = m.run(&["status"]).ends(0).out;
    assert!(
        status.contains("service-down web.service: it was acted upon"),
        "{status}"
    );

    m.policy(&json!({ "heal": { "coolDown": "0s", "attempts": 3 } }));
    for tries in [1, 1] {
        let healed = m.heal(20, &[]);
        assert_eq!(
            healed["issues"][0]["tries"].as_array().unwrap().len(),
            tries
        );
    }
    let done = m.done();
    let capped = m.heal(20, &[]);
    let held = capped["issues"][0]["held"].as_str().unwrap();
    assert!(
        held.starts_with("3 actions were tried within a day"),
        "{held}"
    );
    assert_eq!(m.done(), done, "it was not left alone");

    // A person who names it does not wait.
    let asked = m.heal(20, &["--issue", "service-down:web.service"]);
    assert_eq!(asked["issues"][0]["tries"].as_array().unwrap().len(), 1);
    let other = m.heal(0, &["--issue", "service-down:db.service"]);
    let note = other["notes"][0].as_str().unwrap();
    assert!(note.contains("no check sees such an issue now"), "{note}");
}

#[test]
fn the_budget_of_a_boot_ends_a_run() {
    let Some(m) = Ailing::new() else { return };
    m.policy(&json!({ "heal": { "perBoot": 2 } }));
    for unit in ["a.service", "b.service", "c.service"] {
        m.unit(unit, "failed");
        m.say(&format!("{unit}.broken"), "");
    }
    let healed = m.heal(20, &[]);
    let issues = healed["issues"].as_array().unwrap();
    let tries = issues.iter().map(|i| i["tries"].as_array().unwrap().len());
    assert_eq!(tries.collect::<Vec<_>>(), [1, 1, 0]);
    let held = issues[2]["held"].as_str().unwrap();
    assert!(
        held.contains("2 actions were tried since the machine booted"),
        "{held}"
    );
}

#[test]
fn what_the_policy_ignores_or_disables_is_left_alone() {
    let Some(m) = Ailing::new() else { return };
    m.unit("backup-1.service", "failed");
    m.policy(&json!({ "heal": { "ignore": ["service-down:backup-*"] } }));
    let held = m.heal(20, &[])["issues"][0]["held"].clone();
    assert!(held.as_str().unwrap().contains("heal.ignore"), "{held}");
    let all = ["reset-failed", "restart-unit", "restart-dependencies"];
    m.policy(&json!({ "heal": { "disabled": all } }));
    let held = m.heal(20, &[])["issues"][0]["held"].clone();
    assert!(
        held.as_str().unwrap().contains("heal.destructive"),
        "{held}"
    );
    assert_eq!(m.done(), "");
    assert!(m.ids().is_empty());
}

#[test]
fn a_switch_that_is_judged_is_waited_for() {
    let Some(m) = Ailing::new() else { return };
    m.unit("web.service", "failed");
    m.0.0.set(System::Three);
    m.run(&["hook", "pre-switch", m.0.0.path(System::Three), "switch"])
        .ends(0);
    // The machine is not well, and that is all that is said of it.
    let healed = m.heal(20, &[]);
    let note = healed["notes"][0].as_str().unwrap();
    assert!(note.contains("a switch is being judged"), "{note}");
    // Even what was cut off waits.
    let cut_off = json!({ "version": 1, "turn": 1, "open": {
        "id": "019a0000-0000-7000-8000-000000000001", "at": "2026-11-20T12:00:00Z", "boot": "before",
        "issue": { "kind": "service-down", "subject": "web.service" }, "action": "roll-back",
        "undo": [{ "system": { "point": "019a0000-0000-7000-8000-000000000002" } }],
    } });
    fs::write(m.0.0.state().join("healing.json"), cut_off.to_string()).unwrap();
    let healed = m.heal(20, &[]);
    assert!(healed["finished"].is_null(), "{healed}");
    let note = healed["notes"][0].as_str().unwrap();
    assert!(note.contains("a switch is being judged"), "{note}");
    assert_eq!(m.book()["open"], cut_off["open"]);
    assert_eq!(m.done(), "");
}

#[test]
fn what_somebody_has_to_confirm_is_not_known_good_by_healing() {
    let Some(m) = Ailing::new() else { return };
    m.unit("web.service", "failed");
    m.run(&["hook", "pre-switch", m.0.0.path(System::Three), "switch"])
        .ends(0);
    let dir = m.0.0.state().join("switches");
    let records = fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let path = records
        .into_iter()
        .find(|path| path.extension().is_some_and(|ext| ext == "json"))
        .unwrap();
    let mut record: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    record["to"] = json!(m.0.0.path(System::Two));
    record["boot"] = json!("before");
    record["confirm"] = json!({ "timeout": "10min" });
    fs::write(&path, record.to_string()).unwrap();
    let healed = m.heal(0, &[]);
    assert_eq!(healed["issues"][0]["healed"], true, "{healed:#}");
    assert!(healed["markedGood"].is_null(), "{healed:#}");
    record["answer"] = json!({ "answer": "confirmed", "at": "2026-11-20T12:00:00Z" });
    fs::write(&path, record.to_string()).unwrap();
    m.unit("web.service", "failed");
    let healed = m.heal(0, &["--issue", "service-down"]);
    assert_eq!(healed["markedGood"], m.0.0.path(System::Two), "{healed:#}");
}

#[test]
fn what_is_interrupted_is_told_and_not_learned_from() {
    let Some(m) = Ailing::new() else { return };
    m.unit("web.service", "failed");
    m.unit("db.service", "active");
    m.say("web.service.needs", "db.service");
    m.say("web.service.broken", "");
    let interrupted = |at: &str| {
        let mut command = m.0.command(&["heal", "--yes"]);
        let ended = command.env("CAIRN_FAULT", format!("{at}=int")).output();
        crate::support::Run::from(ended.unwrap()).ends(130)
    };
    // Before anything is done there is nothing to tell.
    let ended = interrupted("create.captured");
    assert!(ended.err.contains("nothing was changed"), "{ended:?}");
    assert!(!ended.err.contains("no restore point"), "{ended:?}");
    assert_eq!(m.done(), "");

    let ended = interrupted("heal.opened");
    assert!(!ended.err.contains("nothing was changed"), "{ended:?}");
    assert!(!ended.out.contains("no help"), "{ended:?}");
    assert!(
        ended.out.contains("-unit interrupted") || ended.out.contains("-dependencies interrupted"),
        "{ended:?}"
    );
    assert!(ended.out.ends_with("  try: cairn heal\n"), "{ended:?}");
    let cases = m.book()["cases"].clone();
    assert_eq!(cases[0]["tries"].as_array().unwrap().len(), 1, "{cases:#}");
    assert_eq!(cases[0]["tries"][0]["interrupted"], true, "{cases:#}");
    assert!(m.book().get("open").is_none(), "{:#}", m.book());
    let learned = m.json(&["learn", "show"])["learned"]["heals"].clone();
    assert_eq!(learned, json!([]));
    let status = m.run(&["status"]).ends(0).out;
    assert!(status.contains("interrupted"), "{status}");
}

#[test]
fn what_fails_since_an_action_without_undo_is_told() {
    let Some(m) = Ailing::new() else { return };
    m.unit("web.service", "failed");
    m.say("web.service.gone", "");
    m.unit("db.service", "active");
    let script = "echo failed > \"$units/db.service\"\n";
    fs::write(m.0.0.home().join("units.json.after"), script).unwrap();
    let healed = m.heal(20, &["--issue", "service-down:web.service"]);
    let tried = &healed["issues"][0]["tries"][0];
    assert_eq!(tried["action"], "reset-failed", "{healed:#}");
    assert_eq!(tried["verdict"], "recovered");
    let said = tried["said"].as_str().unwrap();
    assert!(said.contains("units failed since"), "{said}");
}

#[test]
fn a_system_that_somebody_switched_to_outlives_a_roll_back_that_was_cut_off() {
    let Some(m) = Ailing::new() else { return };
    m.unit("web.service", "failed");
    m.heal(0, &[]);
    m.policy(&json!({ "heal": {
        "coolDown": "0s", "destructive": ["roll-back"],
        "disabled": ["restart-unit", "restart-dependencies", "reset-failed"],
    } }));
    let switched = |system| {
        m.0.0.set(system);
        m.0.0.run_system(system);
        m.0.0.loader_default(system);
    };
    switched(System::Three);
    m.unit("web.service", "failed");
    let mut command = m.0.command(&["heal", "--yes"]);
    let ended = command.env("CAIRN_FAULT", "restore.profile").output();
    assert_eq!(ended.as_ref().unwrap().status.code(), None, "{ended:?}");
    switched(System::One);
    let profile = || m.0.0.profile();
    let chosen = profile();
    let ended = m.run(&["heal", "--yes"]).ends(22);
    assert!(ended.err.contains("was switched since"), "{ended:?}");
    assert_eq!(profile(), chosen);
    assert!(m.book().get("open").is_none(), "{:#}", m.book());
}

#[test]
fn a_notify_command_is_waited_for_no_longer_than_its_timeout() {
    let Some(m) = Ailing::new() else { return };
    m.policy(&json!({ "notify": { "wall": false, "commands": {
        "slow": { "command": ["sleep", "600"], "timeout": "200ms" },
        "slower": { "command": ["sleep", "600"], "timeout": "300ms" },
    } } }));
    m.unit("web.service", "failed");
    let begun = std::time::Instant::now();
    let ended = m.run(&["heal", "--yes"]).ends(0);
    assert!(begun.elapsed().as_secs() < 60, "{ended:?}");
    for name in ["slow", "slower"] {
        let told = format!("notify command {name}: `sleep 600` did not end");
        assert!(ended.err.contains(&told), "{ended:?}");
    }
}

#[test]
fn bad_calls_are_refused_in_two_lines() {
    let Some(m) = Ailing::new() else { return };
    // A root that does not run.
    m.0.0
        .cairn(&["heal", "-y"])
        .fails(1, "only a machine that runs can be healed", "cairn health");
    m.unit("web.service", "failed");
    m.run(&["heal"])
        .ends(2)
        .err
        .lines()
        .find(|line| line.contains("heal needs a yes"))
        .unwrap();
    let bad = m
        .run(&["heal", "-y", "--issue", "service-dwon"])
        .ends(2)
        .err;
    assert!(bad.contains("did you mean service-down?"), "{bad}");
    // Another run is at it.
    let lock = m.0.0.root().join("run/cairn/healing");
    fs::create_dir_all(&lock).unwrap();
    let file = fs::File::create(lock.join("lock")).unwrap();
    file.lock().unwrap();
    m.run(&["heal", "-y", "--lock-timeout", "0"]).fails(
        11,
        "locked by another cairn",
        "cairn status",
    );
    drop(file);
    // A book that a later release wrote.
    fs::create_dir_all(m.0.0.state()).unwrap();
    fs::write(
        m.0.0.state().join("healing.json"),
        r#"{"version": 9, "turn": 1}"#,
    )
    .unwrap();
    m.run(&["heal", "-y"]).fails(1, "version 9", "cairn status");
    assert_eq!(m.done(), "");
}

#[test]
fn a_damaged_book_is_told_and_healing_goes_on() {
    let Some(m) = Ailing::new() else { return };
    m.unit("web.service", "failed");
    fs::create_dir_all(m.0.0.state()).unwrap();
    fs::write(m.0.0.state().join("healing.json"), "{").unwrap();
    let healed = m.heal(0, &[]);
    let note = healed["notes"][0].as_str().unwrap();
    assert!(note.contains("is damaged"), "{note}");
    assert_eq!(m.state("web.service"), "active");
}

#[test]
fn the_documentation_has_the_tables() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/healing.md");
    let document = fs::read_to_string(path).unwrap_or_default();
    let table = cairn::heal::ladder::markdown();
    assert!(
        document.contains(&table),
        "docs/healing.md has not these tables:\n{table}"
    );
}
