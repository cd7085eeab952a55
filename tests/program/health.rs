//! `cairn health`, what points and `status` say of it, and what a gate makes of
//! it: the real program, on a root whose `/proc`, `/sys` and systemd say what
//! they are told to, and on the machine itself.

use std::fs;
use std::net::TcpListener;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::support::{Machine, PATIENT_ZONE as ZONE, Patient, Run, System, executable};
use serde_json::{Value, json};

/// What a check says of something.
#[track_caller]
fn verdict<'r>(report: &'r Value, label: &str) -> &'r Value {
    let checks = report["checks"].as_array().unwrap();
    checks
        .iter()
        .find(|v| match v["of"].as_str() {
            Some(of) => label == format!("{} {of}", v["name"].as_str().unwrap()),
            None => v["name"] == label,
        })
        .unwrap_or_else(|| panic!("no {label} in {checks:#?}"))
}

#[track_caller]
fn says(report: &Value, label: &str, status: &str, words: &str) {
    let verdict = verdict(report, label);
    assert_eq!(verdict["status"], status, "{verdict}");
    let detail = verdict["detail"].as_str().unwrap();
    assert!(detail.contains(words), "{verdict}");
}

#[test]
fn a_machine_that_is_well_has_all_points() {
    let Some(m) = Patient::new() else { return };
    // The disk that the tests run on may be what it likes.
    m.policy(&json!({ "health": { "disabled": ["disk", "inodes"] } }));
    let report = m.health(0);
    assert_eq!(report["score"], 100, "{report:#}");
    assert_eq!(
        (&report["healthy"], &report["issues"]),
        (&json!(true), &json!([]))
    );
    says(&report, "units", "ok", "none failed");
    says(&report, "route", "ok", "by eth0");
    says(&report, "memory", "ok", "3.8 GiB of 7.6 GiB available");
    says(&report, "temperature", "ok", "acpitz 41 °C");
    says(&report, "time", "ok", "synchronised");
    says(&report, "store", "ok", "answers");
    says(&report, "system", "ok", "valid");
    says(&report, "configuration", "ok", "2 files parse");
    says(&report, "boot", "ok", "the profile's system");
    says(&report, "swap", "unknown", "no swap");
    assert_eq!(
        verdict(&report, "memory")["value"],
        json!({ "number": 50.0, "unit": "percent" })
    );
    let text = m.run(&["health"]).ends(0).out;
    assert!(
        text.contains("100 of 100, healthy") && text.contains("unknown here: swap"),
        "{text}"
    );
}

#[test]
fn each_thing_that_breaks_is_told_with_its_issue() {
    let Some(m) = Patient::new() else { return };
    m.policy(&json!({ "health": { "disabled": ["disk", "inodes"] } }));
    m.units(r#"[{"unit":"app.service","active":"failed"}]"#);
    fs::write(
        m.0.home().join("units.json.show"),
        "Id=loop.service\nSubState=auto-restart\nNRestarts=9\nStateChangeTimestampMonotonic=0\n",
    )
    .unwrap();
    m.0.write(
        "proc/pressure/memory",
        "some avg10=0 avg60=60.00 avg300=0 total=0\nfull avg10=0 avg60=50.00 avg300=0 total=0\n",
    );
    m.0.write(
        "proc/pressure/cpu",
        "some avg10=0 avg60=95.00 avg300=91.00 total=0\n",
    );
    m.0.write("proc/net/route", "Iface\tDestination\n");
    m.0.write(format!("{ZONE}/temp"), "99000\n");
    m.0.write("etc/nixos/broken.nix", "{ x = ; }\n");
    m.0.loader_default(System::One);
    let report = m.health(20);
    assert_eq!(report["healthy"], false);
    let issues: Vec<String> = report["issues"]
        .as_array()
        .unwrap()
        .iter()
        .map(|i| match i["subject"].as_str() {
            Some(subject) => format!("{} {subject}", i["kind"].as_str().unwrap()),
            None => i["kind"].as_str().unwrap().to_owned(),
        })
        .collect();
    assert_eq!(
        issues,
        [
            "service-down app.service",
            "service-down loop.service",
            "memory-high",
            "cpu-high",
            "temperature-high acpitz",
            "network-down",
            "config-invalid /etc/nixos/broken.nix",
            "boot-entries-stale",
        ]
    );
    let text = m.run(&["health"]).ends(20).out;
    assert!(text.contains("unhealthy"), "{text}");
    assert!(
        text.ends_with("try: systemctl status app.service\n"),
        "{text}"
    );
    // A unit of the policy's choice counts nowhere.
    m.policy(&json!({ "health": { "disabled": ["disk", "inodes"], "ignoreUnits": ["app.*"] } }));
    let report = m.health(20);
    assert_eq!(verdict(&report, "units")["status"], "ok");
}

#[test]
fn a_damaged_store_and_a_system_that_is_gone_are_found() {
    let Some(m) = Patient::new() else { return };
    m.0.set(System::Three);
    fs::remove_dir_all(m.0.real(System::Three)).unwrap();
    let report = m.health(20);
    says(
        &report,
        "system",
        "failing",
        "the profile's system is not valid",
    );
    assert_eq!(
        verdict(&report, "system")["subjects"],
        json!([m.0.path(System::Three)])
    );
    m.0.write(
        "nix/var/nix/db/db.sqlite",
        "this is no database, and it is longer than a header",
    );
    let report = m.health(20);
    says(&report, "store", "failing", "not a database");
}

#[test]
fn hosts_commands_and_files_of_the_policy_are_tried() {
    let Some(m) = Patient::new() else { return };
    let open = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = open.local_addr().unwrap().port();
    let closed = TcpListener::bind("127.0.0.1:0").unwrap();
    let shut = closed.local_addr().unwrap().port();
    drop(closed);
    let checks = m.0.root().join("etc/cairn/check");
    executable(&checks.join("required.d/10-good"), "exit 0");
    executable(&checks.join("required.d/20-bad"), "exit 4");
    executable(&checks.join("wanted.d/10-sad"), "exit 5");
    fs::write(checks.join("required.d/README"), "no check").unwrap();
    m.policy(&json!({ "health": {
        "resolve": ["localhost", "name.invalid"],
        "hosts": [format!("127.0.0.1:{port}"), format!("127.0.0.1:{shut}")],
        "checks": {
            "web": { "command": ["sh", "-c", "exit 0"] },
            "shop": { "command": ["sh", "-c", "exit 3"], "required": false },
            "gone": { "command": ["/nowhere/at/all"] },
        },
    } }));
    let report = m.health(20);
    says(&report, "resolve localhost", "ok", "");
    says(&report, "resolve name.invalid", "failing", "");
    says(&report, &format!("host 127.0.0.1:{port}"), "ok", "answers");
    says(
        &report,
        &format!("host 127.0.0.1:{shut}"),
        "failing",
        "refused",
    );
    says(&report, "check web", "ok", "answers");
    says(&report, "check shop", "failing", "exit code 3");
    says(&report, "check gone", "failing", "cannot run");
    says(&report, "file 10-good", "ok", "");
    says(&report, "file 20-bad", "failing", "exit code 4");
    says(&report, "file 10-sad", "failing", "exit code 5");
    assert_eq!(verdict(&report, "file 10-sad")["required"], false);
    assert_eq!(verdict(&report, "check shop")["required"], false);
    assert_eq!(verdict(&report, "file 20-bad")["required"], true);
    // By name: one check, one command, one file.
    let only = |names: &[&str], code| {
        let args: Vec<&str> = ["--json", "health"].iter().chain(names).copied().collect();
        m.run(&args).ends(code).json()["health"]["checks"]
            .as_array()
            .unwrap()
            .len()
    };
    assert_eq!(only(&["web"], 0), 1);
    assert_eq!(only(&["check"], 20), 3);
    assert_eq!(only(&["20-bad", "memory"], 20), 2);
    let run = m.run(&["health", "wbe"]).ends(2);
    assert!(run.err.contains("there is no check 'wbe'"), "{}", run.err);
}

#[test]
fn a_check_that_hangs_fails_in_its_time_and_holds_up_no_other() {
    let Some(m) = Patient::new() else { return };
    m.tool("systemctl", "exec sleep 600");
    m.policy(&json!({ "health": { "checks": {
        "slow": { "command": ["sh", "-c", "sleep 600 & sleep 600"], "timeout": "1s" },
        "quick": { "command": ["true"] },
    } } }));
    let begun = Instant::now();
    let report = m.health(20);
    // systemd has five seconds.
    assert!(
        begun.elapsed() < Duration::from_secs(30),
        "{:?}",
        begun.elapsed()
    );
    says(&report, "check slow", "failing", "no answer within 1.0 s");
    says(&report, "check quick", "ok", "");
    says(&report, "units", "failing", "");
    says(&report, "memory", "ok", "");
    let left = Command::new("pgrep").args(["-f", "^sleep 600$"]).output();
    let left = left.map(|o| String::from_utf8_lossy(&o.stdout).into_owned());
    assert!(
        left.is_err() || left.is_ok_and(|ids| ids.is_empty()),
        "something still sleeps"
    );
}

#[test]
fn a_look_that_nothing_holds_up_is_quick() {
    let Some(m) = Patient::new() else { return };
    let took = |args: &[&str]| {
        let mut all: Vec<Duration> = (0..9)
            .map(|_| {
                let begun = Instant::now();
                m.run(args);
                begun.elapsed()
            })
            .collect();
        all.sort();
        all[4]
    };
    let (look, nothing) = (took(&["health"]), took(&["list"]));
    eprintln!("health {look:?}, list {nothing:?}");
    // A debug build, on whatever machine: what matters is that nothing sleeps.
    assert!(
        look < nothing + Duration::from_millis(400),
        "{look:?} {nothing:?}"
    );
}

#[test]
fn points_carry_their_health_and_lists_show_it() {
    let Some(m) = Patient::new() else { return };
    m.policy(
        &json!({ "health": { "disabled": ["disk", "inodes"], "checks": {
        "web": { "command": ["sh", "-c", "touch ran"] } } } }),
    );
    m.run(&["create", "-r", "well"]).ends(0);
    m.units(r#"[{"unit":"app.service","active":"failed"}]"#);
    m.run(&["create", "-r", "ill"]).ends(0);
    let listed = m.run(&["--json", "list"]).ends(0).json();
    let items = listed["points"]["items"].as_array().unwrap().clone();
    assert_eq!(items[0]["health"]["score"], 100, "{:#}", items[0]["health"]);
    assert!(items[1]["health"]["score"].as_u64().unwrap() < 50);
    assert_eq!(
        items[1]["issues"],
        json!([{ "kind": "service-down", "subject": "app.service" }])
    );
    says(
        &items[1]["health"],
        "units",
        "failing",
        "app.service failed",
    );
    // Commands are for gates and for who asks: a point waits for none.
    let names: Vec<&Value> = items[1]["health"]["checks"]
        .as_array()
        .unwrap()
        .iter()
        .map(|v| &v["name"])
        .collect();
    assert!(!names.contains(&&json!("check")), "{names:?}");
    let text = m.run(&["list"]).ends(0).out;
    assert!(text.contains("HEALTH") && text.contains("100"), "{text}");
    let text = m.run(&["show", "latest"]).ends(0).out;
    assert!(text.contains("failing units: app.service failed"), "{text}");
    let text = m.run(&["status"]).ends(0).out;
    assert!(text.contains("service-down app.service"), "{text}");
    let status = m.run(&["--json", "status"]).ends(0).json();
    assert_eq!(status["status"]["health"]["healthy"], false);
}

#[test]
fn a_point_of_another_root_asks_nothing_of_this_machine() {
    let Some(m) = Patient::new() else { return };
    let home = m.0.home();
    m.tool("systemctl", "touch \"$UNITS.asked\"; echo '[]'");
    let mut command = m.0.command(&["--json", "health"]);
    let path = format!("{}:{}", home.display(), std::env::var("PATH").unwrap());
    command
        .env("PATH", path)
        .env("UNITS", home.join("units.json"));
    let report = Run::from(command.output().unwrap()).json()["health"].clone();
    says(&report, "units", "unknown", "only on the running machine");
    says(&report, "store", "ok", "");
    assert!(!home.join("units.json.asked").exists());
}

/// A switch to the third system: the hook, then what `change` does, then the
/// watcher; its record.
fn switched(m: &Patient, code: i32, change: impl FnOnce()) -> Value {
    m.0.set(System::Three);
    m.run(&["hook", "pre-switch", m.0.path(System::Three), "switch"])
        .ends(0);
    m.0.run_system(System::Three);
    change();
    let history = || m.run(&["--json", "history"]).ends(0).json()["history"]["items"][0].clone();
    let id = history()["id"].as_str().unwrap().to_owned();
    m.run(&["hook", "watch", &id]).ends(code);
    history()
}

#[test]
fn a_required_check_that_failed_before_takes_no_switch_back() {
    let Some(m) = Patient::new() else { return };
    m.policy(
        &json!({ "gate": { "window": "50ms" }, "health": { "checks": {
        "web": { "command": ["sh", "-c", "exit 3"] } } } }),
    );
    let record = switched(&m, 0, || ());
    assert_eq!(record["health"]["check web"], "failing");
    assert_eq!(record["result"]["verdict"], "good");
    let reasons = record["result"]["reasons"].to_string();
    assert!(
        reasons.contains("check web fails as it did before: exit code 3"),
        "{reasons}"
    );
}

#[test]
fn a_default_route_that_the_switch_took_away_takes_it_back() {
    let Some(m) = Patient::new() else { return };
    let record = switched(&m, 21, || m.0.write("proc/net/route", "Iface\n"));
    assert_eq!(record["health"]["route"], "ok");
    assert_eq!(
        record["result"]["reasons"],
        json!(["route failed: there is none"])
    );
    assert_eq!(record["result"]["done"], "went-back");
}

#[test]
fn a_route_that_was_missing_before_and_a_hot_processor_take_nothing_back() {
    let Some(m) = Patient::new() else { return };
    m.0.write("proc/net/route", "Iface\n");
    let record = switched(&m, 0, || {
        m.0.write(
            "proc/pressure/cpu",
            "some avg10=0 avg60=95.00 avg300=91.00 total=0\n",
        );
    });
    assert_eq!(record["result"]["verdict"], "good", "{record:#}");
}

#[test]
fn the_hook_waits_for_no_slow_check() {
    let Some(m) = Patient::new() else { return };
    let web = |seconds: u32| {
        json!({ "gate": { "window": "50ms" }, "health": { "checks": {
            "web": { "command": ["sleep", seconds.to_string()], "timeout": "60s" } } } })
    };
    let hook = |seconds| {
        m.policy(&web(seconds));
        let begun = Instant::now();
        m.0.set(System::Three);
        m.run(&["hook", "pre-switch", m.0.path(System::Three), "switch"])
            .ends(0);
        begun.elapsed()
    };
    hook(0);
    let (fast, slow) = (hook(0), hook(30));
    assert!(slow < fast + Duration::from_secs(5), "{fast:?} {slow:?}");
    let records = m.run(&["--json", "history"]).ends(0).json();
    let newest = &records["history"]["items"][0];
    assert_eq!(newest["health"]["check web"], "unknown", "{newest:#}");
}

#[test]
fn this_machine_is_looked_at() {
    let Some(m) = Machine::new() else { return };
    let mut command = m.program();
    let state = m.state();
    command
        .args(["--json", "--state-dir"])
        .arg(&state)
        .arg("health");
    let run = Run::from(command.output().unwrap());
    assert!([0, 20].contains(&run.code), "{run:?}");
    let report = run.json()["health"].clone();
    for name in ["memory", "load"] {
        let verdict = verdict(&report, name);
        assert_ne!(verdict["status"], "unknown", "{verdict}");
        assert!(verdict["value"]["number"].is_number(), "{verdict}");
    }
    let disk = report["checks"]
        .as_array()
        .unwrap()
        .iter()
        .find(|v| v["name"] == "disk")
        .unwrap();
    assert_ne!(disk["status"], "unknown", "{disk}");
}

#[test]
fn a_watch_looks_again_and_again() {
    let Some(m) = Patient::new() else { return };
    let path = m.0.home().join("out");
    let mut command =
        m.0.command(&["--json", "health", "--watch=100ms", "memory"]);
    let mut child = command
        .stdout(fs::File::create(&path).unwrap())
        .spawn()
        .unwrap();
    let begun = Instant::now();
    let looks = || {
        fs::read_to_string(&path)
            .unwrap()
            .matches("\"score\"")
            .count()
    };
    while looks() < 3 && begun.elapsed() < Duration::from_secs(30) {
        std::thread::sleep(Duration::from_millis(50));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(looks() >= 3);
}

#[test]
fn the_module_knows_every_check() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/modules/options/health.nix");
    let text = fs::read_to_string(path).unwrap();
    let list = text
        .split("names = [")
        .nth(1)
        .unwrap()
        .split("];")
        .next()
        .unwrap();
    let names: Vec<&str> = list.split('"').skip(1).step_by(2).collect();
    assert_eq!(names, cairn::point::health::NAMES);
}

#[test]
fn the_documentation_has_the_table_of_the_checks() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/health.md");
    let (text, table) = (
        fs::read_to_string(path).unwrap(),
        cairn::health::table::markdown(),
    );
    assert!(
        text.contains(&table),
        "docs/health.md has not this table:\n{table}"
    );
}
