//! The hook before a switch, the watcher after it, and their history, on a
//! machine whose systemd is a script that says what it is told to.

use std::fs;

use crate::support::{Switching, System};
use serde_json::Value;

const POLICY: &str = r#"{"gate": {"window": "50ms"}}"#;

#[test]
fn a_good_switch_has_a_point_before_and_is_known_good_after() {
    let Some(m) = Switching::new(POLICY) else {
        return;
    };
    m.0.set(System::Three);
    let run = m.hook(System::Three, "switch").ends(0);
    assert!(run.err.contains("restore point"), "{}", run.err);
    assert_eq!(run.out, "");
    let ids = m.0.ids();
    assert_eq!(ids.len(), 1);
    let point = m.0.document(&ids[0]);
    assert_eq!(point["trigger"], "pre-switch");
    assert_eq!(
        point["system"]["incoming"]["toplevel"],
        m.0.path(System::Three)
    );
    assert_eq!(point["system"]["current"], m.0.path(System::Two));
    let started = fs::read_to_string(m.0.home().join("units.json.run")).unwrap();
    assert!(
        started.contains("--no-block") && started.contains("hook watch"),
        "{started}"
    );

    m.0.run_system(System::Three);
    let record = m.watch(0);
    let result = &record["result"];
    assert_eq!(
        (&result["reached"], &result["verdict"]),
        (&"switched".into(), &"good".into())
    );
    assert_eq!(result["done"], "nothing");
    // The next point of this system knows that it is good.
    let next = m.0.create("next");
    assert_eq!(m.0.document(&next)["knownGood"], true);
    let good = m.0.json(&["show", "latest-good"]);
    assert_eq!(good["point"]["id"], next);
}

#[test]
fn what_changes_nothing_takes_no_point() {
    let Some(m) = Switching::new(POLICY) else {
        return;
    };
    for action in ["check", "dry-activate", "anything"] {
        let run = m.hook(System::Three, action).ends(0);
        assert_eq!((run.out.as_str(), run.err.as_str()), ("", ""));
    }
    // An installer: nothing runs yet.
    fs::remove_file(m.0.root().join("run/current-system")).unwrap();
    let run = m.hook(System::Three, "boot").ends(0);
    assert_eq!((run.out.as_str(), run.err.as_str()), ("", ""));
    assert!(m.0.ids().is_empty() && m.history().is_empty());
}

#[test]
fn test_and_then_boot_of_one_system_share_a_point() {
    let Some(m) = Switching::new(POLICY) else {
        return;
    };
    m.hook(System::Three, "test").ends(0);
    m.0.run_system(System::Three);
    m.watch(0);
    m.0.set(System::Three);
    let run = m.hook(System::Three, "boot").ends(0);
    assert!(run.err.contains("for this change"), "{}", run.err);
    assert_eq!(m.0.ids().len(), 1);
    let history = m.history();
    assert_eq!(history.len(), 2);
    assert_eq!(history[0]["point"], history[1]["point"]);
    // Another system is another change.
    m.0.set(System::One);
    m.hook(System::One, "switch").ends(0);
    assert_eq!(m.0.ids().len(), 2);
}

#[test]
fn a_unit_that_the_switch_broke_takes_it_back_and_one_broken_before_does_not() {
    let Some(m) = Switching::new(POLICY) else {
        return;
    };
    let before = m.0.profile();
    let old = r#"{"unit":"old.service","active":"failed"}"#;
    m.units(&format!("[{old}]"));
    m.0.set(System::Three);
    m.hook(System::Three, "switch").ends(0);
    m.0.run_system(System::Three);
    assert_eq!(m.watch(0)["result"]["verdict"], "good");

    m.0.run_system(System::Two);
    m.0.nix_env(&["--switch-generation", "2"]);
    assert_eq!(m.0.profile(), before);
    m.0.nix_env(&["--switch-generation", "3"]);
    m.hook(System::Three, "switch").ends(0);
    m.0.run_system(System::Three);
    m.units(&format!(
        r#"[{old},{{"unit":"new.service","active":"failed"}}]"#
    ));
    let record = m.watch(21);
    let result = &record["result"];
    assert_eq!(
        (&result["verdict"], &result["done"]),
        (&"bad".into(), &"went-back".into())
    );
    assert_eq!(result["reasons"], serde_json::json!(["new.service failed"]));
    assert_eq!(m.0.profile(), before);
    // What it went back from is nothing to go back to, though it was good once.
    let undo = result["undo"].as_str().unwrap();
    let shown = m.0.json(&["show", undo]);
    assert_eq!(shown["point"]["system"]["current"], m.0.path(System::Three));
    assert_eq!(shown["point"]["marks"]["verdict"]["good"], false, "{shown}");
    let good = m.run(&["--json", "show", "latest-good"]);
    assert!(!good.out.contains(undo), "{}", good.out);
    let told = m.run(&["history"]).ends(0).out;
    assert!(
        told.contains("new.service failed") && told.contains("went back"),
        "{told}"
    );
}

#[test]
fn a_switch_that_was_refused_has_its_profile_put_back() {
    let Some(m) = Switching::new(POLICY) else {
        return;
    };
    let before = m.0.profile();
    m.0.set(System::Three);
    m.hook(System::Three, "switch").ends(0);
    let record = m.watch(21);
    let result = &record["result"];
    assert_eq!(
        (&result["reached"], &result["done"]),
        (&"refused".into(), &"repaired".into())
    );
    assert_eq!(m.0.profile(), before);
    // The boot loader was told as well, as that of another root is.
    let told = fs::read_to_string(m.0.home().join("units.json.enter")).unwrap();
    assert!(told.contains("switch-to-configuration boot"), "{told}");
}

#[test]
fn a_required_check_decides_and_a_wanted_one_only_tells() {
    let policy = |required: bool| {
        format!(
            r#"{{"gate": {{"window": "50ms"}}, "health": {{"checks": {{"web": {{
                "command": ["sh", "-c", "test ! -e \"$UNITS.bad\" || exit 3"],
                "required": {required}}}}}}}}}"#
        )
    };
    for (required, code, verdict) in [(false, 0, "good"), (true, 21, "bad")] {
        let Some(m) = Switching::new(&policy(required)) else {
            return;
        };
        m.0.set(System::Three);
        m.hook(System::Three, "switch").ends(0);
        m.0.run_system(System::Three);
        fs::write(m.0.home().join("units.json.bad"), "").unwrap();
        let record = m.watch(code);
        assert_eq!(record["result"]["verdict"], verdict);
        let reasons = record["result"]["reasons"].to_string();
        assert!(
            reasons.contains("check web failed: exit code 3"),
            "{reasons}"
        );
    }
}

#[test]
fn a_point_that_cannot_be_taken_stops_only_who_requires_it() {
    for (required, code) in [(false, 0), (true, 1)] {
        let policy =
            format!(r#"{{"gate": {{"window": "50ms"}}, "preSwitch": {{"required": {required}}}}}"#);
        let Some(m) = Switching::new(&policy) else {
            return;
        };
        m.0.create("the vault is made");
        fs::rename(m.0.state().join("vault"), m.0.state().join("elsewhere")).unwrap();
        fs::write(m.0.state().join("vault"), "no vault").unwrap();
        m.0.set(System::Three);
        let run = m.hook(System::Three, "switch").ends(code);
        assert!(
            run.err.contains("no restore point was taken"),
            "{}",
            run.err
        );
        // It is watched all the same.
        let record = &m.history()[0];
        assert!(
            record["noPoint"].is_string() && record["point"].is_null(),
            "{record}"
        );
        assert!(m.0.home().join("units.json.run").exists());
    }
}

#[test]
fn a_switch_behind_our_back_is_noticed_once() {
    let Some(m) = Switching::new(POLICY) else {
        return;
    };
    // The first look only learns what runs.
    m.run(&["hook", "switched"]).ends(0);
    assert!(m.history().is_empty());
    m.0.run_system(System::Three);
    let run = m.run(&["hook", "switched"]).ends(0);
    assert!(
        run.err.contains("no restore point was taken before"),
        "{}",
        run.err
    );
    assert_eq!(m.run(&["hook", "switched"]).ends(0).err, "");
    let history = m.history();
    assert_eq!(history.len(), 1);
    assert_eq!(history[0]["to"], m.0.path(System::Three));
    assert_eq!(history[0]["before"]["current"], m.0.path(System::Two));
    assert!(history[0]["point"].is_null());
}

#[test]
fn what_a_power_cut_left_open_is_ended_at_boot() {
    let Some(m) = Switching::new(POLICY) else {
        return;
    };
    m.0.set(System::Three);
    m.hook(System::Three, "switch").ends(0);
    let id = m.history()[0]["id"].as_str().unwrap().to_owned();
    let path = m.0.state().join("switches").join(format!("{id}.json"));
    let mut record: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    record["boot"] = "the boot before".into();
    fs::write(&path, record.to_string()).unwrap();
    let run = m.run(&["hook", "boot"]).ends(0);
    assert!(run.err.contains("went down"), "{}", run.err);
    assert_eq!(m.history()[0]["result"]["reached"], "cut-off");
    assert_eq!(m.run(&["hook", "boot"]).ends(0).err, "");
}

#[test]
fn a_damaged_record_hides_no_other() {
    let Some(m) = Switching::new(POLICY) else {
        return;
    };
    m.0.set(System::Three);
    m.hook(System::Three, "switch").ends(0);
    let bad = "0199d1a0-0000-7000-8000-000000000001.json";
    fs::write(m.0.state().join("switches").join(bad), "{").unwrap();
    let told = m.run(&["--json", "history"]).ends(3).json();
    assert_eq!(told["history"]["items"].as_array().unwrap().len(), 1);
    assert_eq!(told["history"]["damaged"].as_array().unwrap().len(), 1);
}

#[test]
fn a_policy_that_cannot_be_used_bars_no_way_back() {
    let Some(m) = Switching::new(POLICY) else {
        return;
    };
    let before = m.0.profile();
    m.0.set(System::Three);
    m.hook(System::Three, "switch").ends(0);
    let id = m.history()[0]["id"].as_str().unwrap().to_owned();
    for broken in ["{ \"gate\": ", r#"{"gaet": {}}"#] {
        m.0.policy(broken);
        let refused = m.run(&["create"]);
        assert!(refused.code != 0, "{}", refused.err);
        assert!(refused.err.contains("unusable"), "{}", refused.err);
        // They get as far as finding out what there is to do.
        for way in ["confirm", "revert", "resume", "abort"] {
            let run = m.run(&[way, "-n"]);
            assert!(
                !run.err.contains("nothing was changed\n  try: cairn policy"),
                "{}",
                run.err
            );
            assert!(run.err.contains("its defaults hold"), "{way}: {}", run.err);
        }
        let run = m.run(&["hook", "boot"]).ends(0);
        assert!(run.err.contains("its defaults hold"), "{}", run.err);
    }
    let run = m.run(&["hook", "watch", &id]).ends(21);
    assert!(run.err.contains("cairn policy check"), "{}", run.err);
    assert_eq!(m.0.profile(), before);
    // The point of before the switch holds it as well; and that is undone.
    m.0.set(System::Three);
    let after = m.0.profile();
    let run = m.run(&["rollback", "latest", "--yes"]);
    assert!(run.err.contains("its defaults hold"), "{}", run.err);
    assert_eq!(m.0.profile(), before);
    let run = m.run(&["undo", "--yes"]);
    assert!(run.err.contains("its defaults hold"), "{}", run.err);
    assert_eq!(m.0.profile(), after);
}

#[test]
fn a_damaged_journal_keeps_no_switch_and_no_boot_from_its_way_back() {
    let Some(m) = Switching::new(POLICY) else {
        return;
    };
    let before = m.0.profile();
    let damage = || {
        let journal = m.0.state().join("journal");
        fs::create_dir_all(&journal).unwrap();
        let path = journal.join("0199d1a0-0000-7000-8000-000000000001.json");
        fs::write(&path, "{").unwrap();
        path
    };
    m.0.set(System::Three);
    m.hook(System::Three, "switch").ends(0);
    let journal = damage();
    let told = m.run(&["verify"]).ends(3).out;
    assert!(told.contains("the journal"), "{told}");
    let record = m.watch(21);
    assert_eq!(record["result"]["done"], "repaired", "{record}");
    assert_eq!(m.0.profile(), before);
    assert!(!journal.exists());

    let journal = damage();
    let run = m.run(&["hook", "boot"]).ends(0);
    assert!(
        run.err.contains("the journal of a restore is damaged"),
        "{}",
        run.err
    );
    assert!(!journal.exists());
    m.run(&["verify"]).ends(0);
}
