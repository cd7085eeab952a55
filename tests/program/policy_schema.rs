//! The published schema of policies.
use std::process::Command;

use cairn::point::{Policy, Span};
use serde_json::Value;

fn published() -> String {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/policy.schema.json");
    std::fs::read_to_string(path).unwrap()
}

#[test]
fn it_is_what_the_program_prints() {
    let output = Command::new(env!("CARGO_BIN_EXE_cairn"))
        .args(["policy", "schema"])
        .output()
        .unwrap();
    assert!(output.status.success());
    assert!(
        String::from_utf8(output.stdout).unwrap() == published(),
        "docs/policy.schema.json is not what the types say; make it anew: cargo run -- policy schema > docs/policy.schema.json"
    );
}

/// Every field is described, and no object takes fields it does not know.
#[test]
fn it_describes_every_field() {
    fn walk(value: &Value, at: &str, seen: &mut usize) {
        if let Some(fields) = value["properties"].as_object() {
            assert_eq!(value["additionalProperties"], false, "{at}");
            for (name, field) in fields {
                assert!(field["description"].is_string(), "{at}/{name}");
                *seen += 1;
            }
        }
        if let Some(map) = value.as_object() {
            for (name, value) in map {
                walk(value, &format!("{at}/{name}"), seen);
            }
        }
    }
    let mut seen = 0;
    walk(&serde_json::from_str(&published()).unwrap(), "", &mut seen);
    assert!(seen > 40, "{seen}");
}

/// A schema that is stricter than the program would mark good policies red.
#[test]
fn its_patterns_take_what_the_program_takes() {
    let schema: Value = serde_json::from_str(&published()).unwrap();
    let pattern = |pointer: &str| {
        let text = schema.pointer(pointer).unwrap().as_str().unwrap();
        regex::Regex::new(text).unwrap()
    };
    let span = pattern("/$defs/Span/pattern");
    for text in [
        "30s",
        "2min",
        "1h 30min",
        "1h30m",
        "1 day 2 hours",
        "5 minutes",
        "1.5h",
        "100ms",
        "3M",
        "2years",
        " 7s ",
        "1wk",
        "4d",
        "9us",
        "0s",
    ] {
        assert!(text.parse::<Span>().is_ok(), "{text}");
        assert!(span.is_match(text), "{text}");
    }
    for text in ["", "30", "soon", "-3s", "s", "3 lightyears", "1h30"] {
        assert!(text.parse::<Span>().is_err(), "{text}");
        assert!(!span.is_match(text), "{text}");
    }
    let name = pattern("/properties/points/propertyNames/pattern");
    let long = "a".repeat(65);
    for text in [
        "a",
        "A-1_b",
        "9",
        &long[1..],
        "",
        "-a",
        "a b",
        "a/b",
        "ü",
        "a.b",
        &long,
    ] {
        let policy = serde_json::json!({ "points": { text: { "schedule": "daily" } } });
        let takes = Policy::parse(&policy.to_string()).is_ok();
        assert_eq!(name.is_match(text), takes, "{text}");
    }
    let path = pattern("/$defs/StorePath/pattern");
    let within = pattern("/$defs/Keep/properties/keepWithin/pattern");
    let unit = pattern("/$defs/StateSet/properties/units/items/pattern");
    assert!(path.is_match("/nix/store/00000000000000000000000000000000-a.b_c+1?=-"));
    assert!(!path.is_match("/nix/store/00000000000000000000000000000000-a/bin"));
    assert!(within.is_match("1y2m3w4d5h") && !within.is_match("2weeks"));
    assert!(unit.is_match(r"dev-disk-by\x2dlabel-a@b.mount") && !unit.is_match("-a"));
}
