//! The policy file that the NixOS module writes.

use std::fs;

use crate::support::{Machine, Run, System, exact, same};
use serde_json::json;

/// Runs the program with the root alone: state directory and policy are found.
fn plain(machine: &Machine, args: &[&str]) -> Run {
    let mut command = machine.program();
    command
        .arg("--root")
        .arg(machine.root())
        .args(args)
        .output()
        .unwrap()
        .into()
}

fn policy(machine: &Machine, text: &str) {
    machine.write("etc/cairn/policy.json", text);
}

#[test]
fn the_configuration_is_what_the_policy_names() {
    let Some(machine) = Machine::new() else {
        return;
    };
    policy(
        &machine,
        r#"{ "version": 1, "configPaths": ["/etc/nixos/hardware.nix", "/srv/own"] }"#,
    );
    machine.write("srv/own/a.conf", "a\n");
    let id = machine.create("named");
    let roots = &machine.document(&id)["config"]["roots"];
    let told: Vec<(&str, &str)> = roots
        .as_array()
        .unwrap()
        .iter()
        .map(|r| (r["path"].as_str().unwrap(), r["kind"].as_str().unwrap()))
        .collect();
    assert_eq!(
        told,
        [
            ("/etc/nixos/hardware.nix", "file"),
            ("/srv/own", "directory")
        ]
    );
    machine.write("srv/own/a.conf", "b\n");
    machine.write("etc/nixos/hardware.nix", "{ changed = 1; }\n");
    machine.write("etc/nixos/configuration.nix", "{ not = \"captured\"; }\n");
    machine.ok(&["restore", "--only", "config", "--yes"]);
    assert_eq!(machine.read("srv/own/a.conf"), "a\n");
    assert_eq!(machine.read("etc/nixos/hardware.nix"), "{ }\n");
    assert!(
        machine
            .read("etc/nixos/configuration.nix")
            .contains("captured")
    );
}

#[test]
fn points_live_where_the_policy_says_unless_the_command_line_does() {
    let Some(machine) = Machine::new() else {
        return;
    };
    let state = |run: Run| -> String {
        run.ends(0).json()["status"]["stateDir"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    let below = |path: &str| {
        machine
            .root()
            .canonicalize()
            .unwrap()
            .join(path)
            .display()
            .to_string()
    };
    assert_eq!(
        state(plain(&machine, &["--json", "status"])),
        below("var/lib/cairn")
    );
    policy(&machine, r#"{ "stateDir": "/persist/cairn" }"#);
    assert_eq!(
        state(plain(&machine, &["--json", "status"])),
        below("persist/cairn")
    );
    let variable = machine.home().join("variable");
    let mut command = machine.program();
    command
        .env("CAIRN_STATE_DIR", &variable)
        .arg("--root")
        .arg(machine.root());
    let run: Run = command.args(["--json", "status"]).output().unwrap().into();
    let home = machine.home().canonicalize().unwrap();
    assert_eq!(state(run), home.join("variable").display().to_string());
    assert!(!variable.exists(), "nothing was put there");
    assert_eq!(
        state(machine.cairn(&["--json", "status"])),
        machine.state().display().to_string()
    );
}

#[test]
fn retention_is_the_policys_unless_the_command_line_says_otherwise() {
    let Some(machine) = Machine::new() else {
        return;
    };
    policy(
        &machine,
        r#"{ "retention": { "points": { "keepLast": 2, "keepTags": ["precious"] } } }"#,
    );
    machine.ok(&["create", "--tag", "precious"]);
    for _ in 0..3 {
        machine.create("plain");
    }
    let gone = |args: &[&str]| -> usize {
        let plan = machine.json(args)["plan"]["points"].clone();
        let decisions = plan["decisions"].as_array().unwrap();
        decisions.iter().filter(|d| d["keep"] == false).count()
    };
    assert_eq!(gone(&["prune", "-n"]), 1);
    assert_eq!(gone(&["prune", "-n", "--keep-last", "1"]), 3);
    // A backup prunes by it.
    machine.ok(&["config", "backup", "--no-prune"]);
    assert_eq!(machine.ids().len(), 5);
    machine.ok(&["config", "backup"]);
    assert_eq!(machine.ids().len(), 3);
}

#[test]
fn points_with_rules_of_their_own_are_pruned_by_those() {
    let Some(machine) = Machine::new() else {
        return;
    };
    policy(
        &machine,
        r#"{
          "points": {
            "hourly": { "schedule": "hourly", "keep": { "keepLast": 3 } },
            "daily": { "schedule": "daily" },
            "boot": { "trigger": "boot", "keep": { "keepLast": 1 } }
          },
          "retention": { "points": { "keepLast": 2 } }
        }"#,
    );
    let take = |trigger: &str| {
        let taken = machine.json(&["create", "--trigger", trigger]);
        taken["point"]["id"].as_str().unwrap().to_owned()
    };
    let first = take("schedule:hourly");
    let mut hourly: Vec<String> = (0..4).map(|_| take("schedule:hourly")).collect();
    let mut boots: Vec<String> = (0..2).map(|_| take("boot")).collect();
    let mut others: Vec<String> = ["manual", "schedule:daily", "schedule:gone"]
        .map(take)
        .to_vec();
    machine.ok(&["pin", &first]);
    let plan = machine.ok(&["prune", "-n"]);
    assert!(plan.contains("beyond keep-last 3"), "{plan}");
    // Rules by hand are for all points.
    let by_hand = machine.json(&["prune", "-n", "--keep-last", "20"]);
    let decisions = by_hand["plan"]["points"]["decisions"].clone();
    assert!(
        decisions
            .as_array()
            .unwrap()
            .iter()
            .all(|d| d["keep"] == true)
    );
    machine.ok(&["prune", "--yes"]);
    let mut left = vec![first];
    left.extend(hourly.split_off(1));
    left.extend(boots.split_off(1));
    left.extend(others.split_off(1));
    assert_eq!(machine.ids(), left);
    // A backup prunes in the same way.
    let more = take("schedule:hourly");
    machine.ok(&["config", "backup"]);
    let ids = machine.ids();
    assert!(ids.contains(&more) && !ids.contains(&left[1]), "{ids:?}");
    assert_eq!(ids.len(), left.len());
}

#[test]
fn declared_pins_stay_until_they_are_no_longer_declared() {
    let Some(machine) = Machine::new() else {
        return;
    };
    machine.create("a point");
    let (one, two) = (machine.path(System::One), machine.path(System::Two));
    let folder = "nix/var/nix/gcroots/cairn/declared";
    let link = |name: &str, to: &str| machine.link(to, format!("{folder}/{name}"));
    let links = || {
        let mut names: Vec<String> = fs::read_dir(machine.root().join(folder))
            .unwrap()
            .map(|e| e.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    };
    for (name, to) in [
        ("kept", one),
        ("stale", two),
        (".#new", two),
        ("old", "/gone"),
    ] {
        link(name, to);
    }
    machine.write(format!("{folder}/note"), "no link");
    let all = [".#new", "kept", "note", "old", "stale"];
    // They are nobody's leftovers.
    assert!(machine.ok(&["verify"]).contains("all is well"));
    // No policy of this machine: it says nothing about pins.
    machine.ok(&["prune", "--yes"]);
    assert_eq!(links(), all);
    let text = format!(r#"{{ "pins": {{ "kept": "{one}", "later": "{two}" }} }}"#);
    machine.write("named.json", &text);
    let named = machine.root().join("named.json");
    machine.ok(&["--policy", named.to_str().unwrap(), "prune", "--yes"]);
    assert_eq!(links(), all);
    policy(&machine, &text);
    let dry = machine.ok(&["prune", "-n"]);
    assert!(
        dry.contains("remove pin stale  no longer declared"),
        "{dry}"
    );
    assert!(!dry.contains("nothing to remove"), "{dry}");
    assert_eq!(
        machine.json(&["prune", "-n"])["plan"]["pins"],
        json!(["old", "stale"])
    );
    assert_eq!(links(), all);
    let told = machine.ok(&["prune", "--yes"]);
    assert!(told.contains("removed the pin stale"), "{told}");
    assert_eq!(links(), [".#new", "kept", "note"]);
    assert!(
        machine
            .ok(&["prune", "--yes"])
            .contains("nothing to remove")
    );
    // The collector sees what is left.
    machine.nix_env(&["--delete-generations", "1"]);
    for id in machine.ids() {
        machine.ok(&["unpin", &id]);
    }
    machine.gc();
    assert!(machine.is_valid(System::One));
}

#[test]
fn a_policy_that_cannot_be_used_is_an_error_that_names_what_is_wrong() {
    let Some(machine) = Machine::new() else {
        return;
    };
    machine.create("before");
    for (text, what) in [
        (
            r#"{ "retention": { "points": { "keepDayly": 7 } } }"#,
            "keepDayly",
        ),
        (r#"{ "configPath": ["/etc/nixos"] }"#, "configPath"),
        (
            "{\n  \"retention\": {\n    \"points\": { \"keepLast\": \"seven\" }\n  }\n}",
            "line 3",
        ),
        ("{ \"version\": 1", "line 1"),
        ("", "line 1"),
        (r#"{ "version": 99 }"#, "version 99"),
        (
            r#"{ "configPaths": ["etc/nixos"] }"#,
            "'etc/nixos' is not an absolute path",
        ),
        ("not json", "line 1"),
    ] {
        policy(&machine, text);
        let before = exact(&machine.state());
        for args in [
            &["create"][..],
            &["list"],
            &["prune", "--yes"],
            &["restore", "--yes"],
        ] {
            let run = machine.cairn(args).fails(1, what, "--policy /dev/null");
            assert!(run.err.contains("etc/cairn/policy.json"), "{}", run.err);
        }
        same(
            &before,
            &exact(&machine.state()),
            "a policy that cannot be used",
        );
    }
    // The way out that is named is one.
    machine.ok(&["--policy", "/dev/null", "status"]);
}

#[test]
fn a_policy_that_cannot_be_read_is_an_error_and_never_the_defaults() {
    let Some(machine) = Machine::new() else {
        return;
    };
    // A folder cannot be read by anybody, root included.
    fs::create_dir_all(machine.root().join("etc/cairn/policy.json")).unwrap();
    machine
        .cairn(&["create"])
        .fails(1, "cannot read the policy", "cairn");
    fs::remove_dir(machine.root().join("etc/cairn/policy.json")).unwrap();
    machine.link("/nowhere/policy.json", "etc/cairn/policy.json");
    machine
        .cairn(&["create"])
        .fails(1, "cannot read the policy", "cairn");
    fs::remove_file(machine.root().join("etc/cairn/policy.json")).unwrap();
    fs::write(
        machine.root().join("etc/cairn/policy.json"),
        b"{ \"stateDir\": \"/\xff\" }",
    )
    .unwrap();
    machine
        .cairn(&["create"])
        .fails(1, "cannot read the policy", "cairn");
    let named = machine.home().join("no-such-policy.json");
    machine
        .cairn(&["--policy", named.to_str().unwrap(), "create"])
        .fails(1, "no-such-policy.json", "cairn");
    assert!(!machine.state().join("points").exists());
}

#[test]
fn links_of_nixos_in_etc_are_followed_inside_the_root() {
    let Some(machine) = Machine::new() else {
        return;
    };
    let text = r#"{ "configPaths": ["/etc/nixos/hardware.nix"] }"#;
    machine.write("etc/static/cairn/policy.json", text);
    machine.link("/etc/static/cairn/policy.json", "etc/cairn/policy.json");
    machine.write("etc/static/hostname", "rescued\n");
    machine.link("/etc/static/hostname", "etc/hostname");
    machine.write("persist/machine-id", "0123456789abcdef0123456789abcdef\n");
    machine.link("../persist/machine-id", "etc/machine-id");
    let document = machine.document(&machine.create("rescue"));
    assert_eq!(document["host"], "rescued");
    assert_eq!(document["machineId"], "0123456789abcdef0123456789abcdef");
    assert_eq!(
        document["config"]["roots"][0]["path"],
        "/etc/nixos/hardware.nix"
    );
}

#[test]
fn a_configuration_that_is_nowhere_is_told_and_a_machine_without_one_says_so() {
    let Some(machine) = Machine::new() else {
        return;
    };
    let etc = machine.root().join("etc/nixos");
    fs::rename(&etc, machine.root().join("etc/away")).unwrap();
    let told = machine.cairn(&["create"]).ends(3);
    let words = told.err.split_whitespace().collect::<Vec<_>>().join(" ");
    for part in [
        "no configuration was captured: there is nothing at /etc/nixos",
        "services.cairn.configPaths",
        "cairn policy init",
    ] {
        assert!(words.contains(part), "{words}");
    }
    let status = machine.ok(&["status"]);
    assert!(status.contains("nothing is at /etc/nixos"), "{status}");
    // It is a point of the system all the same, and takes nothing from others.
    machine.ok(&["verify"]);
    machine.cairn(&["create", "--no-config"]).ends(0);
    fs::rename(machine.root().join("etc/away"), &etc).unwrap();
    let id = machine.create("with");
    fs::remove_dir_all(&etc).unwrap();
    // The undo point finds nothing there, and is whole.
    machine.ok(&["restore", &id, "--only", "config", "-y"]);
    assert!(etc.join("configuration.nix").is_file());
    // Deployed from elsewhere, and declared so.
    fs::remove_dir_all(&etc).unwrap();
    policy(&machine, r#"{ "configPaths": [] }"#);
    let told = machine.cairn(&["create"]).ends(0);
    assert!(!told.err.contains("configuration"), "{}", told.err);
    assert!(!machine.ok(&["status"]).contains("nothing is at"));
}
