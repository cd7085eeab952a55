use std::path::PathBuf;

use serde_json::{Value, json};

use super::*;

#[test]
fn defaults_fill_what_is_not_said() {
    let policy = Policy::parse(r#"{"retention": {"points": {"keepDaily": 7}}}"#).unwrap();
    assert_eq!(policy.retention.points.keep_daily, Some(7));
    assert_eq!(policy.retention.generations, Keep::last(10));
    assert_eq!(policy.config_paths, [PathBuf::from("/etc/nixos")]);
    assert_eq!(Policy::parse("{}").unwrap(), Policy::default());
}

#[test]
fn a_policy_is_read_back_as_it_was_written() {
    let mut policy = Policy::parse(FULL).unwrap();
    let written = serde_json::to_string(&policy).unwrap();
    assert_eq!(Policy::parse(&written).unwrap(), policy);
    policy.retention.points = Keep::default();
    let written = serde_json::to_string(&policy).unwrap();
    assert_eq!(places(&written), ["/retention/points"]);
}

/// A policy with everything in it.
const FULL: &str = r#"{
  "version": 1,
  "stateDir": "/persist/cairn",
  "configPaths": ["/etc/nixos", "/home/a b/machines"],
  "points": {
    "daily": { "schedule": "daily", "reason": "each day", "keep": { "keepDaily": 7, "minAge": "1d" } },
    "switch": { "trigger": "preSwitch", "capture": { "state": ["db"] }, "keep": { "keepWithin": "2w" } },
    "boot": { "trigger": "boot", "capture": { "config": false, "state": ["*"] } },
    "heal": { "trigger": "preHeal" }
  },
  "retention": { "points": { "keepLast": 0, "keepTags": ["a"] }, "generations": { "keepWithin": "1y6m" } },
  "state": {
    "db": {
      "paths": ["/var/lib/db"], "exclude": ["/var/lib/db/tmp"], "before": ["dump", ""],
      "after": ["undump"], "units": ["db.service", "getty@tty1.service"]
    },
    "all": { "paths": ["/persist"], "exclude": ["/persist/cairn"] }
  },
  "preSwitch": { "enable": false, "required": true, "timeout": "2min" },
  "gate": { "window": "0s", "confirmTimeout": "1h 30min", "rollback": false },
  "bootGate": { "enable": true, "attempts": 1 },
  "health": { "checks": { "web": { "command": ["curl", "-f", "http://[::1]"], "required": false, "timeout": "5s" } } },
  "heal": { "enable": true, "interval": "5m" },
  "remotes": { "disk": { "url": "/mnt/copies", "passwordFile": "/run/key", "schedule": "daily" } },
  "caches": ["https://cache.example.org", "file:///mnt/cache"],
  "pins": { "known": "/nix/store/00000000000000000000000000000000-nixos-system" }
}"#;

fn faults(text: &str) -> Vec<Fault> {
    Policy::parse(text).unwrap_err().faults
}

fn places(text: &str) -> Vec<String> {
    faults(text).into_iter().map(|f| f.pointer).collect()
}

/// The full policy with one value put in, or taken out.
fn with(pointer: &str, value: Option<Value>) -> String {
    let mut policy: Value = serde_json::from_str(FULL).unwrap();
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    let parent = policy.pointer_mut(parent).unwrap();
    match (parent, value) {
        (Value::Array(items), Some(value)) => items[name.parse::<usize>().unwrap()] = value,
        (Value::Object(map), Some(value)) => drop(map.insert(name.to_owned(), value)),
        (Value::Object(map), None) => drop(map.remove(name).unwrap()),
        _ => panic!("{pointer}"),
    }
    serde_json::to_string_pretty(&policy).unwrap()
}

#[test]
fn every_fault_is_found_at_its_place() {
    let cases = [
        // Types, fields, words, numbers.
        (
            "/version",
            json!(2),
            "version 2: this cairn reads version 1",
        ),
        ("/version", json!("1"), "version \"1\""),
        ("/stateDir", json!(["/a"]), "expected a text, found a list"),
        (
            "/configPaths",
            json!("/etc/nixos"),
            "expected a list, found the text \"/etc/nixos\"",
        ),
        ("/configPaths/1", json!(null), "expected a text, found null"),
        ("/points", json!([]), "expected an object, found a list"),
        (
            "/configPath",
            json!([]),
            "unknown field, did you mean configPaths?",
        ),
        (
            "/colour",
            json!(1),
            "unknown field, known here: version, stateDir, configPaths",
        ),
        (
            "/retention/points/keepDayly",
            json!(7),
            "did you mean keepDaily?",
        ),
        (
            "/points/daily/capture",
            json!(true),
            "expected an object, found true",
        ),
        (
            "/points/daily/trigger",
            json!("preswitch"),
            "did you mean preSwitch?",
        ),
        (
            "/points/daily/trigger",
            json!(1),
            "expected one of schedule, preSwitch, boot, preHeal",
        ),
        (
            "/gate/enable",
            json!("yes"),
            "expected true or false, found the text \"yes\"",
        ),
        (
            "/bootGate/attempts",
            json!(0),
            "0 is not a whole number from 1 to",
        ),
        (
            "/bootGate/attempts",
            json!(1.5),
            "expected a whole number, found the number 1.5",
        ),
        (
            "/retention/points/keepLast",
            json!(-1),
            "-1 is not a whole number from 0 to",
        ),
        (
            "/retention/points/keepLast",
            json!(4_294_967_296_u64),
            "to 4294967295",
        ),
        (
            "/retention/points/keepLast",
            json!("seven"),
            "expected a whole number, found the text",
        ),
        ("/pins/known", json!("/nix/store/short"), "not a store path"),
        ("/pins/known", json!("nixos"), "not a store path"),
        // Spans.
        (
            "/gate/window",
            json!("30"),
            "'30' is not a span of time such as 30s",
        ),
        ("/gate/confirmTimeout", json!("soon"), "not a span of time"),
        ("/preSwitch/timeout", json!("0s"), "no time at all"),
        ("/gate/confirmTimeout", json!("0min"), "no time at all"),
        ("/heal/interval", json!("0h"), "no time at all"),
        ("/health/checks/web/timeout", json!("0ms"), "no time at all"),
        (
            "/retention/points/keepWithin",
            json!("2weeks"),
            "character 3",
        ),
        (
            "/retention/generations/minAge",
            json!(""),
            "an empty duration",
        ),
        ("/points/daily/keep/keepWithin", json!("9"), "9 has no unit"),
        // Paths.
        (
            "/stateDir",
            json!("var/lib"),
            "'var/lib' is not an absolute path",
        ),
        (
            "/stateDir",
            json!("/nix/store/x"),
            "nothing can be written in the store",
        ),
        (
            "/configPaths/0",
            json!("etc/nixos"),
            "'etc/nixos' is not an absolute path",
        ),
        ("/configPaths/0", json!("/etc/../nixos"), "is not plain"),
        ("/configPaths/0", json!("/a\u{0}"), "is not plain"),
        (
            "/configPaths/0",
            json!("/nix/store/x"),
            "nothing can be restored to",
        ),
        (
            "/configPaths/0",
            json!("/persist"),
            "points would hold points",
        ),
        (
            "/configPaths/0",
            json!("/persist/cairn/x"),
            "points would hold points",
        ),
        ("/configPaths/0", json!("/"), "points would hold points"),
        ("/state/db/paths/0", json!("db"), "not an absolute path"),
        (
            "/state/db/paths/0",
            json!("/persist"),
            "or name it in exclude",
        ),
        ("/state/db/exclude/0", json!("tmp"), "not an absolute path"),
        (
            "/remotes/disk/passwordFile",
            json!("key"),
            "not an absolute path",
        ),
        (
            "/remotes/disk/passwordFile",
            json!("/nix/store/0c0a-key"),
            "everybody can read",
        ),
        // What is empty or does not go together.
        ("/points/daily/schedule", json!(" "), "it is empty"),
        (
            "/points/daily/schedule",
            json!("dayly"),
            "did you mean daily?",
        ),
        (
            "/points/switch/schedule",
            json!("daily"),
            "only points with the trigger schedule",
        ),
        ("/points/daily/reason", json!(""), "it is empty"),
        ("/points/boot/keep", json!({}), "no rule keeps anything"),
        (
            "/points/heal/capture",
            json!({"state": ["bd"]}),
            "unknown state set \"bd\", did you mean db?",
        ),
        ("/retention/points", json!({}), "no rule keeps anything"),
        (
            "/retention/generations",
            json!({"keepLast": 0, "minAge": "9y"}),
            "no rule keeps anything",
        ),
        (
            "/retention/points/keepTags",
            json!([" "]),
            "no rule keeps anything",
        ),
        ("/state/db/units/0", json!("a b"), "not the name of a unit"),
        (
            "/state/db/units/0",
            json!("--now"),
            "not the name of a unit",
        ),
        ("/state/db/before", json!([]), "the command is empty"),
        ("/state/db/after", json!([""]), "the command is empty"),
        (
            "/health/checks/web/command",
            json!([]),
            "the command is empty",
        ),
        ("/health/checks/web/command", json!(["a", "\u{0}"]), "a NUL"),
        ("/remotes/disk/url", json!(" "), "it is empty"),
        ("/remotes/disk/schedule", json!(""), "it is empty"),
        ("/remotes/disk/pruneSchedule", json!(""), "it is empty"),
        ("/remotes/disk/checkSchedule", json!(" "), "it is empty"),
        ("/caches/0", json!(" "), "it is empty"),
        // Health.
        (
            "/heal/ignore",
            json!(["service-dwon:web.service"]),
            "did you mean service-down?",
        ),
        (
            "/heal/destructive",
            json!(["rollback"]),
            "did you mean roll-back?",
        ),
        (
            "/heal/attempts",
            json!(0),
            "0 is not a whole number from 1 to",
        ),
        ("/health/dirs", json!(["check"]), "not an absolute path"),
        ("/health/hosts", json!(["example.org"]), "no host and port"),
        ("/health/hosts", json!(["a:0"]), "no host and port"),
        ("/health/resolve", json!([" "]), "it is empty"),
        ("/health/disabled", json!(["dsik"]), "did you mean"),
        ("/health/minScore", json!(101), "from 1 to 100"),
        ("/health/disk", json!({"minFree": 0}), "from 1 to 100"),
        // Names.
        (
            "/points/a b",
            json!({"schedule": "daily"}),
            "this cannot be a name",
        ),
        (
            "/points/-n",
            json!({"schedule": "daily"}),
            "this cannot be a name",
        ),
        (
            "/state/ü",
            json!({"paths": ["/a"]}),
            "this cannot be a name",
        ),
        (
            "/health/checks/a~1b",
            json!({"command": ["a"]}),
            "this cannot be a name",
        ),
        (
            "/pins/",
            json!("/nix/store/00000000000000000000000000000000-a"),
            "this cannot be a name",
        ),
    ];
    for (pointer, value, message) in cases {
        let found = faults(&with(pointer, Some(value.clone())));
        let told = format!("{pointer} = {value}: {found:?}");
        assert_eq!(found.len(), 1, "{told}");
        assert!(found[0].message.contains(message), "{told}");
        let at = found[0].pointer.replace("~0", "~");
        assert!(
            pointer.starts_with(&at) || at.starts_with(pointer),
            "{told}"
        );
        assert_ne!(at, "", "{told}");
    }
    for (pointer, at, message) in [
        (
            "/points/daily/schedule",
            "/points/daily",
            "schedule is missing",
        ),
        (
            "/health/checks/web/command",
            "/health/checks/web",
            "command is missing",
        ),
        ("/remotes/disk/url", "/remotes/disk", "url is missing"),
        ("/state/all/paths", "/state/all", "it names no paths"),
    ] {
        let found = faults(&with(pointer, None));
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(
            (
                found[0].pointer.as_str(),
                found[0].message.contains(message)
            ),
            (at, true)
        );
    }
}

#[test]
fn points_taken_as_one_have_one_set_of_rules() {
    let text = with(
        "/points/again",
        Some(json!({"trigger": "preSwitch", "keep": {"keepLast": 1}})),
    );
    let found = faults(&text);
    assert_eq!(found.len(), 1);
    assert!(
        found[0].message.contains("again has rules already"),
        "{found:?}"
    );
    assert_eq!(found[0].pointer, "/points/switch/keep");
}

#[test]
fn the_state_directory_is_never_captured_even_when_it_is_not_named() {
    assert_eq!(places(r#"{"configPaths": ["/var"]}"#), ["/configPaths/0"]);
    assert_eq!(
        places(r#"{"state": {"a": {"paths": ["/srv", "/var/lib"]}}}"#),
        ["/state/a/paths/1"]
    );
    Policy::parse(r#"{"stateDir": "/s", "configPaths": ["/var"]}"#).unwrap();
    Policy::parse(r#"{"configPaths": ["/var/lib/cairns"]}"#).unwrap();
}

#[test]
fn all_faults_are_told_at_once_each_with_line_and_column() {
    let text = r#"{
  "configPaths": ["etc"],
  "retention": {
    "points": { "keepDayly": 7, "minAge": "1x" }
  },
  "points": {
    "a": { "schedule": 5, "reason": "" },
    "b": { "trigger": "boot", "capture": { "state": ["gone"] } }
  },
  "health": { "checks": { "web": { "command": "curl", "timeout": "0s" } } },
  "gate": { "window": "x" },
  "gate": {}
}"#;
    let found: Vec<_> = faults(text)
        .into_iter()
        .map(|f| (f.line, f.column, f.pointer))
        .collect();
    let expected = [
        (2, 19, "/configPaths/0"),
        (4, 17, "/retention/points/keepDayly"),
        (4, 43, "/retention/points/minAge"),
        (7, 24, "/points/a/schedule"),
        (7, 37, "/points/a/reason"),
        (8, 54, "/points/b/capture/state/0"),
        (10, 47, "/health/checks/web/command"),
        (12, 3, "/gate"),
    ]
    .map(|(line, column, at)| (line, column, at.to_owned()));
    assert_eq!(found, expected);
    assert_eq!(
        faults(r#"{"retention": {"points": {"keepDayly": 7}}}"#)[0].to_string(),
        "line 1, /retention/points/keepDayly: unknown field, did you mean keepDaily?"
    );
}

#[test]
fn a_text_that_is_no_json_is_told_where_it_breaks() {
    for (text, line, column, pointer, message) in [
        ("", 1, 1, "", "the text ends too early"),
        ("not json", 1, 2, "", "expected ident"),
        ("{ \"version\": 1", 1, 14, "", "the text ends too early"),
        (
            "{\n \"points\": {\n  \"a\" 1\n }\n}",
            3,
            7,
            "/points/a",
            "expected :",
        ),
        (
            "{\"configPaths\": [\"/a\",]}",
            1,
            23,
            "/configPaths/1",
            "trailing comma",
        ),
        ("{} {}", 1, 4, "", "trailing characters"),
        ("// a\n{}", 1, 1, "", "expected value"),
        ("\u{feff}{}", 1, 1, "", "expected value"),
    ] {
        let found = faults(text);
        let [fault] = &found[..] else {
            panic!("{text}: {found:?}")
        };
        let place = (fault.line, fault.column, fault.pointer.as_str());
        assert_eq!(place, (line, column, pointer), "{text}: {fault:?}");
        assert!(fault.message.contains(message), "{text}: {fault:?}");
    }
    let deep = "[".repeat(100_000);
    assert!(
        faults(&deep)[0].message.contains("recursion"),
        "{:?}",
        faults(&deep)[0].message
    );
    for text in ["[]", "null", "7"] {
        assert!(
            faults(text)[0].message.starts_with("expected an object"),
            "{text}"
        );
    }
}

#[test]
fn hostile_names_do_not_reach_the_terminal() {
    let told = Policy::parse(r#"{"a\u001b[31m\n": 1}"#)
        .unwrap_err()
        .to_string();
    assert!(!told.contains(['\u{1b}', '\n']), "{told}");
}
