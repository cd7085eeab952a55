//! The actions of `cairn heal`, one by one, on a root whose `/proc`, `/sys` and
//! systemd say what they are told to; and what is foreseen. Disks that are
//! full, and systems that are gone back to, are in `tests/bed/heal.rs`.

use std::collections::BTreeMap;
use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use crate::support::{Ailing, PATIENT_ZONE as ZONE};
use cairn::point::event::{Item, Sample};
use cairn::system::Layout;
use cairn::system::history::{Chronicle, History};
use chrono::{TimeDelta, Utc};
use serde_json::{Value, json};

const FILE: &str = "etc/nixos/hardware.nix";

/// The machine's configuration is broken since a point was taken; nobody has
/// touched it for a while.
fn with_broken_file(policy: &Value) -> Option<Ailing> {
    let m = Ailing::new()?;
    m.policy(policy);
    m.0.0.create("all is well");
    m.0.0.write(FILE, "{ broken = ; }\n");
    age(&m, Duration::from_secs(3600));
    Some(m)
}

fn age(m: &Ailing, by: Duration) {
    let file = fs::File::options()
        .append(true)
        .open(m.0.0.root().join(FILE))
        .unwrap();
    file.set_modified(SystemTime::now() - by).unwrap();
}

#[test]
fn a_file_that_does_not_parse_comes_back_only_where_the_policy_says_so() {
    let off = json!({});
    let Some(m) = with_broken_file(&off) else {
        return;
    };
    let held = m.heal(20, &[])["issues"][0].clone();
    assert_eq!(held["issue"]["kind"], "config-invalid");
    assert!(
        held["held"].as_str().unwrap().contains("destructive"),
        "{held}"
    );
    assert_eq!(m.0.0.read(FILE), "{ broken = ; }\n");

    m.policy(&json!({ "heal": { "destructive": ["restore-configuration"] } }));
    // Somebody is at it.
    age(&m, Duration::from_secs(60));
    let edited = m.heal(20, &[])["issues"][0].clone();
    let lacks = edited["actions"][0]["lacks"].as_str().unwrap();
    assert!(lacks.contains("within the last ten minutes"), "{lacks}");
    age(&m, Duration::from_secs(3600));
    let healed = m.heal(0, &[])["issues"][0].clone();
    assert_eq!(healed["tries"][0]["action"], "restore-configuration");
    assert_eq!(m.0.0.read(FILE), "{ }\n");
    // The broken edit is not lost.
    let before = healed["point"].as_str().unwrap();
    let kept = m.run(&["show", before, "--cat", "/etc/nixos/hardware.nix"]);
    assert_eq!(kept.ends(0).out, "{ broken = ; }\n");
    // A point that holds what was broken is not called good.
    let good = m.run(&["show", "latest-good"]);
    assert_eq!(good.code, 10, "{good:?}");
}

#[test]
fn a_restored_file_that_makes_things_worse_is_taken_back_byte_by_byte() {
    // Someone relies on the broken text.
    let policy = json!({ "heal": { "destructive": ["restore-configuration"] } });
    let Some(m) = with_broken_file(&policy) else {
        return;
    };
    let file = m.0.0.root().join(FILE);
    let command = ["/bin/grep", "-q", "broken", file.to_str().unwrap()];
    m.policy(&json!({
        "heal": { "destructive": ["restore-configuration"] },
        "health": { "checks": { "relies": { "command": command } } },
    }));
    let before = crate::support::contents(&m.0.0.root().join("etc"));
    let issue = m.heal(20, &[])["issues"][0].clone();
    let tried = &issue["tries"][0];
    assert_eq!(tried["verdict"], "taken-back", "{issue:#}");
    assert!(
        tried["said"]
            .as_str()
            .unwrap()
            .contains("check relies failed since"),
        "{tried}"
    );
    assert_eq!(crate::support::contents(&m.0.0.root().join("etc")), before);
}

#[test]
fn without_a_point_in_which_it_parses_the_file_is_left_alone() {
    let Some(m) = Ailing::new() else { return };
    m.policy(&json!({ "heal": { "destructive": ["restore-configuration"] } }));
    m.0.0.write(FILE, "{ broken = ; }\n");
    m.0.0.create("broken already");
    age(&m, Duration::from_secs(3600));
    let issue = m.heal(20, &[])["issues"][0].clone();
    let lacks = issue["actions"][0]["lacks"].as_str().unwrap();
    assert!(
        lacks.contains("no restore point in which it parses"),
        "{lacks}"
    );
    assert_eq!(issue["tries"], json!([]));
}

#[test]
fn what_no_point_holds_any_longer_is_told_once_and_healing_goes_on() {
    let Some(m) = with_broken_file(&json!({})) else {
        return;
    };
    let book = json!({ "version": 1, "turn": 1, "open": {
        "id": "019a0000-0000-7000-8000-000000000001", "at": Utc::now(), "boot": "before",
        "issue": { "kind": "config-invalid", "subject": "/etc/nixos/hardware.nix" },
        "action": "restore-configuration",
        "undo": [{ "files": {
            "point": "019a0000-0000-7000-8000-000000000002", "paths": ["/etc/nixos/hardware.nix"],
        } }],
    } });
    fs::write(m.0.0.state().join("healing.json"), book.to_string()).unwrap();
    m.unit("web.service", "failed");
    let healed = m.heal(3, &[]);
    let trouble = healed["finished"]["trouble"].as_str().unwrap();
    assert!(trouble.contains("is gone"), "{trouble}");
    assert_eq!(m.state("web.service"), "active");
    assert_eq!(m.0.0.read(FILE), "{ broken = ; }\n");
    let again = m.heal(20, &[]);
    assert!(again["finished"].is_null(), "{again}");
}

/// What the script does after systemd did something.
fn then(m: &Ailing, script: &str) {
    let root = m.0.0.root();
    let script = script.replace("$ROOT", root.to_str().unwrap());
    fs::write(m.0.0.home().join("units.json.after"), script).unwrap();
}

/// A process of a unit.
fn process(m: &Ailing, pid: u32, unit: &str, pages: u64) {
    let dir = format!("proc/{pid}");
    m.0.0.write(
        format!("{dir}/cgroup"),
        format!("0::/system.slice/{unit}\n"),
    );
    m.0.0
        .write(format!("{dir}/statm"), format!("9 {pages} 1 1 0 1 0\n"));
}

#[test]
fn the_unit_that_takes_most_memory_is_stopped_only_where_the_policy_says_so() {
    let Some(m) = Ailing::new() else { return };
    m.unit("leak.service", "active");
    m.unit("db.service", "active");
    process(&m, 7, "leak.service", 900);
    process(&m, 8, "db.service", 100);
    m.0.0.write(
        "proc/pressure/memory",
        "some avg10=90.00 avg60=90.00 avg300=0.00 total=0\nfull avg10=90.00 avg60=90.00 avg300=0.00 total=0\n",
    );
    let cooler = "printf 'some avg10=0 avg60=0.00 avg300=0 total=0\\nfull avg10=0 avg60=0.00 \
                  avg300=0 total=0\\n' >$ROOT/proc/pressure/memory";
    then(&m, cooler);
    m.policy(&json!({ "heal": { "disabled": ["clean-temporary-files"] } }));
    m.heal(20, &[]);
    assert_eq!(m.done(), "");
    m.policy(&json!({ "heal": {
        "disabled": ["clean-temporary-files", "restart-unit"], "destructive": ["stop-unit"],
    } }));
    let plan = m.heal(0, &["-n"])["issues"][0]["actions"][0].clone();
    assert_eq!(plan["on"], "leak.service", "{plan}");
    m.heal(0, &[]);
    assert_eq!(m.done(), "stop -- leak.service\n");
    assert_eq!(m.state("db.service"), "active");
}

#[test]
fn the_unit_that_takes_most_processor_time_gets_a_smaller_share() {
    let Some(m) = Ailing::new() else { return };
    m.unit("busy.service", "active");
    process(&m, 7, "busy.service", 1);
    m.0.0.write(
        "proc/pressure/cpu",
        "some avg10=99.00 avg60=99.00 avg300=99.00 total=0\n",
    );
    then(
        &m,
        "printf 'some avg10=0.00 avg60=0.00 avg300=0.00 total=0\\n' >$ROOT/proc/pressure/cpu",
    );
    let done = AtomicBool::new(false);
    let healed = std::thread::scope(|scope| {
        scope.spawn(|| {
            // It works and works.
            for ticks in 0.. {
                let stat = format!("7 (x) R 1 7 7 0 -1 0 0 0 0 0 {ticks} 0 0 0 20 0 1 0 5 6 7\n");
                let path = m.0.0.root().join("proc/7/stat");
                fs::write(path.with_extension("new"), stat).unwrap();
                fs::rename(path.with_extension("new"), &path).unwrap();
                if done.load(Ordering::Relaxed) {
                    return;
                }
                std::thread::sleep(Duration::from_millis(20));
            }
        });
        let healed = m.run(&["--json", "heal", "--yes"]);
        done.store(true, Ordering::Relaxed);
        healed
    });
    let healed = healed.ends(0).json()["heal"]["issues"][0].clone();
    assert_eq!(healed["tries"][0]["action"], "renice-unit", "{healed:#}");
    assert_eq!(
        m.done(),
        "set-property --runtime -- busy.service CPUWeight=20\n"
    );
}

#[test]
fn processors_that_are_too_hot_get_a_governor_that_saves_power() {
    let Some(m) = Ailing::new() else { return };
    m.0.0.write(format!("{ZONE}/temp"), "99000\n");
    let cpu = "sys/devices/system/cpu/cpu0/cpufreq";
    m.0.0.write(
        format!("{cpu}/scaling_available_governors"),
        "performance powersave\n",
    );
    m.0.0
        .write(format!("{cpu}/scaling_governor"), "performance\n");
    let healed = std::thread::scope(|scope| {
        scope.spawn(|| {
            let end = SystemTime::now() + Duration::from_secs(60);
            while m.0.0.read(format!("{cpu}/scaling_governor")) != "powersave"
                && SystemTime::now() < end
            {
                std::thread::sleep(Duration::from_millis(20));
            }
            m.0.0.write(format!("{ZONE}/temp"), "50000\n");
        });
        m.heal(0, &[])
    });
    let tried = &healed["issues"][0]["tries"][0];
    assert_eq!(
        (&tried["action"], &tried["verdict"]),
        (&json!("set-governor"), &json!("recovered"))
    );
}

#[test]
fn a_network_that_is_down_has_its_units_restarted() {
    let Some(m) = Ailing::new() else { return };
    m.unit("dhcpcd.service", "active");
    m.0.0.write("proc/net/route", "Iface\tDestination\n");
    then(
        &m,
        "printf 'Iface\\tDestination\\tGateway\\tFlags\\tRefCnt\\tUse\\tMetric\\tMask\\tMTU\\t\
         Window\\tIRTT\\neth0\\t00000000\\t0100000A\\t0003\\t0\\t0\\t100\\t00000000\\t0\\t0\\t0\\n' \
         >$ROOT/proc/net/route",
    );
    let healed = m.heal(0, &[]);
    let issue = &healed["issues"][0];
    assert_eq!(issue["issue"]["kind"], "network-down", "{healed:#}");
    assert_eq!(issue["tries"][0]["action"], "restart-network");
    assert!(
        m.done().contains("restart -- dhcpcd.service"),
        "{}",
        m.done()
    );
}

/// Memory that grew by a percent each hour until now.
fn fill_history(m: &Ailing, percent_now: f64) {
    let layout = Layout::new(m.0.0.root(), m.0.0.state());
    let now = Utc::now();
    let samples: Vec<Item> = (0..24_i32)
        .map(|hours| {
            let used = percent_now - f64::from(hours);
            Item::Sample(Sample {
                at: now - TimeDelta::hours(i64::from(hours)) - TimeDelta::minutes(5),
                figures: BTreeMap::from([("memory.used".to_owned(), used)]),
            })
        })
        .collect();
    Chronicle::new(&layout).keep(&samples, now);
}

#[test]
fn what_will_be_full_soon_has_one_point_taken_while_there_is_room() {
    let Some(m) = Ailing::new() else { return };
    m.json(&["status"]);
    fs::create_dir_all(m.0.0.state()).unwrap();
    m.0.0.write(
        "proc/meminfo",
        "MemTotal: 1000000 kB\nMemAvailable: 80000 kB\nSwapTotal: 0 kB\nSwapFree: 0 kB\n",
    );
    fill_history(&m, 92.0);
    let plan = m.heal(0, &["-n"]);
    let words = plan["foreseen"][0]["words"].as_str().unwrap();
    assert!(
        words.starts_with("full in ") && words.ends_with(" h"),
        "{words}"
    );
    assert!(m.ids().is_empty());
    let healed = m.heal(0, &[]);
    let foreseen = &healed["foreseen"][0];
    assert_eq!(foreseen["what"], "memory");
    let point = m.document(foreseen["point"].as_str().unwrap());
    let reason = point["reason"].as_str().unwrap();
    assert!(reason.starts_with("memory is full in "), "{reason}");
    // One in such a time.
    let again = m.heal(0, &[]);
    assert_eq!(again["foreseen"][0]["what"], "memory");
    assert!(again["foreseen"][0].get("point").is_none());
    assert_eq!(m.ids().len(), 1);
    // Nothing is foreseen beyond the policy's span.
    m.policy(&json!({ "heal": { "foresee": "1min" } }));
    assert_eq!(m.heal(0, &[])["foreseen"], json!([]));
}

#[test]
fn samples_are_kept_by_healing_and_where_it_is_asked_for() {
    let Some(m) = Ailing::new() else { return };
    m.run(&["health", "memory"]).ends(0);
    m.run(&["health", "--record"]).ends(0);
    // Samples are of seconds.
    std::thread::sleep(Duration::from_millis(1100));
    m.heal(0, &[]);
    m.heal(0, &["-n"]);
    let layout = Layout::new(m.0.0.root(), m.0.0.state());
    let since = Utc::now() - TimeDelta::hours(1);
    let read = |figure: &str| {
        let chronicle = Chronicle::new(&layout);
        chronicle
            .work(Utc::now(), |db| db.readings(figure, since))
            .unwrap()
            .0
    };
    assert_eq!(read("score").len(), 2);
    assert_eq!(read("memory.used").len(), 2);
    assert!((read("memory.used")[0].mean - 50.0).abs() < 0.1);
    m.run(&["health", "--record", "memory"]).ends(2);
}
