//! Writing, changing, checking and printing policies.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;

use crate::support::{Machine, Run, System, exact, same};
use serde_json::{Value, json};
use tempfile::TempDir;

/// Runs `cairn policy` in a folder of its own; no machine is needed.
struct Desk(TempDir);

impl Desk {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn run(&self, args: &[&str]) -> Run {
        std::process::Command::new(env!("CARGO_BIN_EXE_cairn"))
            .env_remove("CAIRN_POLICY")
            .env("NO_COLOR", "1")
            .current_dir(self.path())
            .arg("policy")
            .args(args)
            .output()
            .unwrap()
            .into()
    }

    fn ok(&self, args: &[&str]) -> String {
        self.run(args).ends(0).out
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path().join(name)).unwrap()
    }

    fn value(&self, name: &str) -> Value {
        serde_json::from_str(&self.read(name)).unwrap()
    }
}

#[test]
fn a_policy_is_written_filled_and_emptied_again() {
    let desk = Desk::new();
    assert!(desk.ok(&["init"]).contains("wrote cairn.json"));
    let start = desk.read("cairn.json");
    assert!(
        desk.ok(&["check"])
            .contains("no fault in cairn.json: 1 point")
    );
    let pin = "/nix/store/00000000000000000000000000000000-a";
    let additions: [(&[&str], &str, Value); 7] = [
        (
            &[
                "state",
                "db",
                "/var/lib/db",
                "/srv",
                "--unit",
                "db.service",
                "--exclude",
                "/srv/x",
            ],
            "/state/db",
            json!({ "paths": ["/var/lib/db", "/srv"], "exclude": ["/srv/x"], "units": ["db.service"] }),
        ),
        (
            &[
                "point",
                "nightly",
                "--schedule",
                "03:00",
                "-r",
                "each night",
                "--state",
                "db",
                "--keep-daily",
                "7",
            ],
            "/points/nightly",
            json!({ "schedule": "03:00", "reason": "each night", "capture": { "state": ["db"] }, "keep": { "keepDaily": 7 } }),
        ),
        (
            &["point", "boot", "--trigger", "boot", "--no-config"],
            "/points/boot",
            json!({ "trigger": "boot", "capture": { "config": false } }),
        ),
        (
            &[
                "check",
                "web",
                "--wanted",
                "--timeout",
                "5s",
                "--",
                "curl",
                "-f",
                "x",
            ],
            "/health/checks/web",
            json!({ "command": ["curl", "-f", "x"], "timeout": "5s", "required": false }),
        ),
        (&["pin", "first", pin], "/pins/first", json!(pin)),
        (&["path", "/home/me"], "/configPaths/1", json!("/home/me")),
        (
            &[
                "remote",
                "disk",
                "/mnt",
                "--password-file",
                "/key",
                "--schedule",
                "daily",
            ],
            "/remotes/disk",
            json!({ "url": "/mnt", "passwordFile": "/key", "schedule": "daily" }),
        ),
    ];
    for (args, pointer, value) in &additions {
        let before = desk.read("cairn.json");
        let args = [&["add"][..], args].concat();
        let dry = [&["-n"], &args[..]].concat();
        let told = desk.ok(&dry);
        assert!(
            told.contains("+++ cairn.json") && told.contains("dry run"),
            "{told}"
        );
        assert_eq!(desk.read("cairn.json"), before);
        desk.ok(&args);
        assert_eq!(
            desk.value("cairn.json").pointer(pointer),
            Some(value),
            "{pointer}"
        );
        assert!(desk.ok(&args).contains("has that already"), "{args:?}");
    }
    desk.ok(&["check", "cairn.json"]);
    // A set that a point captures stays.
    desk.run(&["remove", "state", "db"])
        .fails(1, "unknown state set \"db\"", "cairn policy show");
    for (kind, name) in [
        ("point", "nightly"),
        ("point", "boot"),
        ("state", "db"),
        ("check", "web"),
        ("pin", "first"),
        ("path", "/home/me"),
        ("remote", "disk"),
    ] {
        let told = desk.ok(&["remove", kind, name]);
        assert_eq!(told, format!("removed {kind} {name} from cairn.json\n"));
        desk.run(&["remove", kind, name]).fails(
            1,
            &format!("has no {kind} {name}"),
            "cairn policy show",
        );
    }
    let mut left = desk.value("cairn.json");
    for empty in ["state", "health", "pins", "remotes"] {
        left.as_object_mut().unwrap().remove(empty);
    }
    assert_eq!(left, serde_json::from_str::<Value>(&start).unwrap());
    assert_eq!(
        fs::read_dir(desk.path()).unwrap().count(),
        1,
        "nothing else is left"
    );
}

#[test]
fn init_never_writes_over_anything() {
    let desk = Desk::new();
    fs::write(desk.path().join("mine.json"), "mine").unwrap();
    symlink("nowhere", desk.path().join("link.json")).unwrap();
    for name in ["mine.json", "link.json"] {
        let before = exact(desk.path());
        for args in [
            &["init", name][..],
            &["-n", "init", name],
            &["init", "--file", name],
        ] {
            desk.run(args).fails(
                1,
                "never written over",
                &format!("cairn policy check {name}"),
            );
        }
        same(&before, &exact(desk.path()), name);
    }
    desk.ok(&["-n", "init"]);
    assert!(!desk.path().join("cairn.json").exists());
}

#[test]
fn owner_mode_and_links_stay() {
    let desk = Desk::new();
    let file = desk.path().join("real.json");
    desk.ok(&["init", "real.json"]);
    symlink("real.json", desk.path().join("cairn.json")).unwrap();
    fs::set_permissions(&file, Permissions::from_mode(0o640)).unwrap();
    let root = rustix::process::geteuid().is_root();
    if root {
        std::os::unix::fs::chown(&file, Some(1234), Some(4321)).unwrap();
    }
    let before = fs::metadata(&file).unwrap();
    desk.ok(&["add", "path", "/home/me"]);
    let after = fs::metadata(&file).unwrap();
    assert_eq!(desk.value("real.json")["configPaths"][1], "/home/me");
    assert_eq!(
        (before.mode(), before.uid(), before.gid()),
        (after.mode(), after.uid(), after.gid())
    );
    assert!(desk.path().join("cairn.json").is_symlink());
}

#[test]
fn changes_at_the_same_time_all_arrive() {
    let desk = Desk::new();
    desk.ok(&["init"]);
    std::thread::scope(|scope| {
        for n in 0..12 {
            let desk = &desk;
            scope.spawn(move || desk.ok(&["add", "path", &format!("/srv/{n}")]));
        }
    });
    let paths = desk.value("cairn.json")["configPaths"]
        .as_array()
        .unwrap()
        .len();
    assert_eq!(paths, 13);
}

#[test]
fn all_faults_are_told_as_lines_and_as_json() {
    let desk = Desk::new();
    let text =
        "{\n  \"points\": {\n    \"a\": { \"schedul\": \"daily\" },\n    \"b\": {}\n  }\n}\n";
    fs::write(desk.path().join("cairn.json"), text).unwrap();
    let run = desk.run(&["check"]).ends(1);
    assert_eq!(
        run.err,
        "cairn: the policy cairn.json is unusable: 2 faults; nothing was changed\n  \
         line 3, /points/a/schedul: unknown field, did you mean schedule?\n  \
         line 4, /points/b: schedule is missing; say when, such as \"daily\", or name another trigger\n  \
         try: cairn policy schema\n"
    );
    let run = desk.run(&["check", "--json"]).ends(1);
    let told: Value = serde_json::from_str(&run.err).unwrap();
    let faults = told["error"]["faults"].as_array().unwrap();
    assert_eq!(faults.len(), 2);
    assert_eq!(
        (
            &faults[0]["line"],
            &faults[0]["column"],
            &faults[0]["pointer"]
        ),
        (&json!(3), &json!(12), &json!("/points/a/schedul"))
    );
    // A policy with faults is not changed either.
    for args in [&["add", "path", "/a"][..], &["remove", "point", "b"]] {
        let run = desk.run(args).ends(1);
        assert!(run.err.contains("is unusable: 2 faults"), "{}", run.err);
        assert_eq!(desk.read("cairn.json"), text);
    }
    desk.run(&["add", "path", "/a", "--file", "none.json"])
        .fails(
            1,
            "there is no policy none.json",
            "cairn policy init none.json",
        );
    desk.run(&["check", "none.json"])
        .fails(1, "none.json", "cairn");
    for usage in [
        &["add", "point", "x"][..],
        &["add", "check", "x"],
        &["remove", "thing", "x"],
    ] {
        desk.run(usage).ends(2);
    }
}

#[test]
fn show_fills_the_defaults_in() {
    let desk = Desk::new();
    fs::write(
        desk.path().join("p.json"),
        r#"{"gate": {"window": "1min"}}"#,
    )
    .unwrap();
    let shown = desk.ok(&["show", "--policy", "p.json"]);
    let value: Value = serde_json::from_str(&shown).unwrap();
    assert_eq!(
        value["gate"],
        json!({ "enable": true, "window": "1m", "rollback": true })
    );
    assert_eq!(
        value["retention"]["points"],
        json!({ "keepLast": 20, "keepTags": [] })
    );
    // What is shown is a policy, and the same one.
    fs::write(desk.path().join("q.json"), &shown).unwrap();
    assert_eq!(desk.ok(&["show", "--policy", "q.json"]), shown);
    let root = desk.path().to_str().unwrap();
    let run = desk.run(&["show", "--root", root, "--json"]).ends(0);
    assert_eq!(run.json()["policy"]["version"], 1);
    let run = desk.run(&["show", "--root", root]).ends(0);
    assert!(run.err.contains("no policy"), "{}", run.err);
}

#[test]
fn what_nixos_declares_is_changed_there() {
    let desk = Desk::new();
    let root = desk.path();
    let store = root.join("nix/store/abc-policy.json");
    for folder in ["nix/store", "etc/cairn", "etc/static/cairn"] {
        fs::create_dir_all(root.join(folder)).unwrap();
    }
    fs::write(&store, "{\"configPaths\": [\"/etc/nixos\", \"/srv\"]}").unwrap();
    symlink(
        "/nix/store/abc-policy.json",
        root.join("etc/static/cairn/policy.json"),
    )
    .unwrap();
    symlink(
        "/etc/static/cairn/policy.json",
        root.join("etc/cairn/policy.json"),
    )
    .unwrap();
    let before = exact(root);
    let root = root.to_str().unwrap();
    let file = format!("{root}/etc/cairn/policy.json");
    for (args, instead) in [
        (
            &["add", "point", "night", "--schedule", "daily"][..],
            "set services.cairn.points.night = { schedule = \"daily\"; };",
        ),
        (
            &["add", "path", "/home"],
            "set services.cairn.configPaths = [ \"/etc/nixos\" \"/srv\" \"/home\" ];",
        ),
        (
            &["remove", "path", "/srv"],
            "set services.cairn.configPaths = [ \"/etc/nixos\" ];",
        ),
        (&["remove", "pin", "x"], "remove services.cairn.pins.x"),
    ] {
        let all = [args, &["--root", root, "--file", &file]].concat();
        let run = desk.run(&all).fails(
            1,
            "is declared in the NixOS configuration",
            "nixos-rebuild switch",
        );
        assert!(run.err.contains(instead), "{}", run.err);
    }
    same(&before, &exact(desk.path()), "a declared policy");
}

#[test]
fn a_pin_is_a_path_a_generation_or_a_point() {
    let Some(machine) = Machine::new() else {
        return;
    };
    let id = machine.create("before");
    let file = machine.home().join("p.json");
    let file = file.to_str().unwrap();
    machine.ok(&["policy", "init", file]);
    for (name, what, path) in [
        ("number", "1", machine.path(System::One)),
        ("point", id.as_str(), machine.path(System::Two)),
        ("latest", "latest", machine.path(System::Two)),
        ("path", machine.path(System::One), machine.path(System::One)),
    ] {
        machine.ok(&["policy", "add", "pin", name, what, "--file", file]);
        let text: Value = serde_json::from_str(&fs::read_to_string(file).unwrap()).unwrap();
        assert_eq!(text["pins"][name], path);
    }
    let add = |what| machine.cairn(&["policy", "add", "pin", "x", what, "--file", file]);
    add("77").fails(1, "generation 77", "cairn generations list");
    add("ffffffff").fails(10, "ffffffff", "cairn list");
    add("/etc/nixos").ends(2);
}

#[test]
fn check_looks_at_the_policy_in_force_and_init_says_where_one_is() {
    let desk = Desk::new();
    let root = desk.path().join("root");
    fs::create_dir_all(root.join("etc/cairn")).unwrap();
    let rooted = |args: &[&str]| {
        let args = [args, &["--root", root.to_str().unwrap()]].concat();
        desk.run(&args)
    };
    rooted(&["check"]).fails(1, "this machine has no policy", " policy init");
    let told = desk.ok(&["init"]);
    assert!(
        told.contains("sudo install -D -m 644 cairn.json /etc/cairn/policy.json")
            && told.contains("services.cairn.policyFile"),
        "{told}"
    );
    // The one here, until there is one in force.
    assert!(
        rooted(&["check"])
            .ends(0)
            .out
            .contains("no fault in cairn.json")
    );
    let file = root.join("etc/cairn/policy.json");
    let told = rooted(&["init", file.to_str().unwrap()]).ends(0).out;
    assert!(!told.contains("install"), "{told}");
    fs::write(&file, "{ \"pionts\": {} }").unwrap();
    let told = rooted(&["check"]).ends(1);
    assert!(
        told.err.contains("etc/cairn/policy.json") && told.err.contains("did you mean points?"),
        "{}",
        told.err
    );
    rooted(&["check", "cairn.json"]).ends(0);
}

#[test]
fn a_schedule_that_no_clock_keeps_is_a_fault() {
    let desk = Desk::new();
    desk.ok(&["init"]);
    let before = desk.read("cairn.json");
    for (schedule, told) in [
        ("dayly", "did you mean daily?"),
        ("25:00", "no time of a day"),
    ] {
        desk.run(&["add", "point", "x", "--schedule", schedule])
            .fails(1, told, "cairn policy");
    }
    assert_eq!(desk.read("cairn.json"), before);
    // What only systemd knows to be wrong is found where it can be asked.
    desk.ok(&["add", "point", "x", "--schedule", "*-*~03/7 00:00"]);
    let told = desk.run(&["check"]);
    if crate::support::need(&["systemd-analyze"]) {
        let told = told.ends(1);
        let at = told.err.contains("/points/x/schedule") && told.err.contains("systemd takes this");
        assert!(at, "{}", told.err);
    }
}
