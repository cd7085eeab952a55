//! The history, what is learned from it, and the risk that is foretold, with
//! the real program on a machine whose systemd is a script.

use std::fs;

use crate::support::{Run, Scripted, System};
use serde_json::{Value, json};

struct Learning(Scripted);

const POLICY: &str = r#"{"gate": {"window": "50ms"}}"#;

impl Learning {
    fn new(policy: &str) -> Option<Self> {
        let machine = Self(Scripted::new(policy)?);
        machine
            .0
            .write("etc/machine-id", "0123456789abcdef0123456789abcdef\n");
        Some(machine)
    }

    fn units(&self, json: &str) {
        self.0.units(json);
    }

    fn run(&self, args: &[&str]) -> Run {
        self.0.run(args)
    }

    fn json(&self, args: &[&str]) -> Value {
        self.0.json(args)
    }

    fn items(&self, args: &[&str]) -> Vec<Value> {
        let args: Vec<&str> = ["history"].iter().chain(args).copied().collect();
        self.json(&args)["history"]["items"]
            .as_array()
            .unwrap()
            .clone()
    }

    /// A switch from the running system, judged.
    fn switch(&self, to: System, fails: bool) -> Value {
        self.units("[]");
        self.0.set(to);
        self.run(&["hook", "pre-switch", self.0.path(to), "switch"])
            .ends(0);
        self.0.run_system(to);
        if fails {
            self.units(r#"[{"unit":"web.service","active":"failed"}]"#);
        }
        let id = self.items(&["-l", "1"])[0]["id"]
            .as_str()
            .unwrap()
            .to_owned();
        self.run(&["hook", "watch", &id])
            .ends(if fails { 21 } else { 0 });
        let record = self.items(&["-l", "1"])[0].clone();
        // Nothing is activated under another root: what went back runs again.
        self.0.run_system(if fails { System::Two } else { to });
        record
    }

    fn db(&self) -> std::path::PathBuf {
        self.0.state().join("history.db")
    }
}

fn kinds(items: &[Value]) -> Vec<&str> {
    items.iter().map(|i| i["kind"].as_str().unwrap()).collect()
}

#[test]
fn everything_that_happens_is_in_the_history() {
    let Some(m) = Learning::new(POLICY) else {
        return;
    };
    m.switch(System::Three, true);
    m.run(&["hook", "boot"]).ends(0);
    let all = m.items(&["--kind", "all"]);
    let of = |kind| kinds(&all).into_iter().filter(|k| *k == kind).count();
    assert_eq!(of("switch"), 1, "{all:#?}");
    assert_eq!((of("verdict"), of("rollback"), of("boot")), (1, 1, 1));
    assert_eq!((of("restore"), of("point")), (1, 2));
    let switch = all.iter().find(|i| i["kind"] == "switch").unwrap();
    assert_eq!(switch["result"]["done"], "went-back");
    assert_eq!(
        m.items(&["--kind", "boot", "-k", "verdict", "-l", "1"])
            .len(),
        1
    );
    // What was pruned is still told.
    m.run(&["prune", "--keep-last", "1", "-y"]).ends(0);
    assert_eq!(kinds(&m.items(&["-k", "point"])).len(), 2);
    let told = m.run(&["history", "-k", "all"]).ends(0).out;
    assert!(told.contains("is bad: web.service failed"), "{told}");
    m.run(&["history", "-k", "nonsense"]).ends(2);
}

#[test]
fn a_history_that_is_damaged_or_locked_stops_no_switch() {
    let Some(m) = Learning::new(POLICY) else {
        return;
    };
    m.switch(System::Three, false);
    fs::write(m.db(), vec![7; 5000]).unwrap();
    let record = m.switch(System::Two, false);
    assert_eq!(record["result"]["verdict"], "good");
    let aside = fs::read_dir(m.0.state()).unwrap().filter(|entry| {
        let name = entry.as_ref().unwrap().file_name();
        name.to_string_lossy().starts_with("history.db.damaged-")
    });
    assert!(aside.count() >= 1);
    assert_eq!(m.items(&["-k", "switch", "-k", "verdict"]).len(), 4);

    let other = rusqlite::Connection::open(m.db()).unwrap();
    other.execute_batch("begin immediate").unwrap();
    let record = m.switch(System::Three, false);
    assert_eq!(record["result"]["verdict"], "good");
    let queue = m.0.state().join("history.queue");
    assert_eq!(fs::read_dir(&queue).unwrap().count(), 1);
    other.execute_batch("rollback").unwrap();
    m.run(&["learn", "show"]).ends(0);
    assert_eq!(fs::read_dir(&queue).unwrap().count(), 0);
}

#[test]
fn a_switch_is_foretold_and_learned_from() {
    let Some(m) = Learning::new(POLICY) else {
        return;
    };
    let path = m.0.path(System::Three);
    let before = m.json(&["risk", path])["risk"].clone();
    assert_eq!(before["to"], path);
    assert_eq!(
        (&before["switches"], &before["high"]),
        (&json!(0), &json!(false))
    );
    let chance = |risk: &Value| risk["chance"].as_f64().unwrap();
    assert!(chance(&before) > 0.0 && chance(&before) < 0.5, "{before}");
    assert_eq!(before["features"]["packages"].as_u64(), Some(4), "{before}");

    for _ in 0..3 {
        let record = m.switch(System::Three, true);
        let foretold = &record["risk"];
        assert!(foretold["chance"].is_u64(), "{record}");
        // A switch does not wait for a store that is slow to answer.
        let packages = &foretold["features"]["packages"];
        assert!(packages.is_null() || packages == 4, "{record}");
    }
    let after = m.json(&["risk", path])["risk"].clone();
    assert_eq!(
        (&after["switches"], &after["failed"]),
        (&json!(3), &json!(3))
    );
    assert!(chance(&after) > 2.0 * chance(&before), "{before} {after}");

    let learned = m.json(&["learn", "show"])["learned"].clone();
    assert_eq!(learned["switches"], json!({"judged": 3, "failed": 3}));
    let names = learned["patterns"][0]["names"].to_string();
    assert!(names.contains("package:newcomer"), "{learned}");
    let text = m.run(&["risk", path]).ends(0).out;
    assert!(
        text.contains("likely to fail") && text.contains("3 failed"),
        "{text}"
    );
}

#[test]
fn a_command_builds_what_is_judged() {
    let Some(m) = Learning::new(POLICY) else {
        return;
    };
    let path = m.0.path(System::Three);
    let build = format!("echo building >&2; echo {path}");
    let risk = m.json(&["risk", "--", "sh", "-c", &build])["risk"].clone();
    assert_eq!(risk["to"], path);
    m.run(&["risk"])
        .fails(1, "no switch to judge", "nixos-rebuild build");
    m.run(&["risk", "--", "sh", "-c", "exit 3"]).ends(1);
    m.run(&["risk", "--", "true"]).ends(1);
    m.run(&["risk", "/etc/nixos"]).ends(1);
    let gone = "/nix/store/00000000000000000000000000000000-nixos-system-gone-1";
    assert!(
        m.run(&["risk", gone])
            .ends(1)
            .err
            .contains("not in the store")
    );
    m.0.set(System::Three);
    assert_eq!(m.json(&["risk"])["risk"]["to"], path);
}

#[test]
fn above_the_threshold_the_point_holds_state_and_is_pinned() {
    let policy = |threshold| {
        format!(
            r#"{{"gate": {{"window": "50ms"}}, "risk": {{"threshold": {threshold}}},
                "state": {{"app": {{"paths": ["/var/lib/app"]}}}}}}"#
        )
    };
    for (threshold, high) in [(1, true), (100, false)] {
        let Some(m) = Learning::new(&policy(threshold)) else {
            return;
        };
        m.0.write("var/lib/app/data", "x");
        m.0.set(System::Three);
        let run = m
            .run(&["hook", "pre-switch", m.0.path(System::Three), "switch"])
            .ends(0);
        let ids = m.0.ids();
        let point = m.0.document(&ids[0]);
        assert_eq!(point["state"]["app"].is_object(), high, "{point:#}");
        let shown = m.0.json(&["show", &ids[0]]);
        assert_eq!(
            shown["point"]["marks"]["pinned"].is_object(),
            high,
            "{shown:#}"
        );
        assert_eq!(run.err.contains("may well fail"), high, "{}", run.err);
    }
}

#[test]
fn knowledge_travels_without_being_counted_twice() {
    let (Some(a), Some(b)) = (Learning::new(POLICY), Learning::new(POLICY)) else {
        return;
    };
    b.0.write("etc/machine-id", "fedcba9876543210fedcba9876543210\n");
    a.switch(System::Three, true);
    let file = a.0.home().join("knowledge.json");
    let file = file.to_str().unwrap();
    a.run(&["learn", "export", file]).ends(0);
    let text = fs::read_to_string(file).unwrap();
    for secret in ["0123456789abcdef", "web.service", "mini", "newcomer"] {
        assert!(!text.contains(secret), "{secret} in {text}");
    }
    // Never over a file.
    a.run(&["learn", "export", file]).ends(1);

    let imported = |m: &Learning| m.json(&["learn", "show"])["learned"]["imported"].clone();
    b.run(&["-n", "learn", "import", file]).ends(0);
    assert_eq!(imported(&b), json!({"judged": 0, "failed": 0}));
    for _ in 0..3 {
        b.run(&["learn", "import", file]).ends(0);
        assert_eq!(imported(&b), json!({"judged": 1, "failed": 1}));
    }
    // Through another machine and back: a knows its own better.
    let back = b.0.home().join("back.json");
    b.run(&["learn", "export", back.to_str().unwrap()]).ends(0);
    a.run(&["learn", "import", back.to_str().unwrap()]).ends(0);
    assert_eq!(imported(&a), json!({"judged": 0, "failed": 0}));
    // It moves what b foretells.
    let risk = b.json(&["risk", b.0.path(System::Three)])["risk"].clone();
    assert_eq!(risk["imported"], json!({"judged": 1, "failed": 1}));

    let hostile = text.replace("\"judged\": 1", "\"judged\": 99999999");
    fs::write(back, hostile).unwrap();
    let told = b.0.home().join("back.json");
    let run = b.run(&["learn", "import", told.to_str().unwrap()]);
    run.fails(1, "not learned from", "cairn learn export");
    assert_eq!(imported(&b), json!({"judged": 1, "failed": 1}));
}
