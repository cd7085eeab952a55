//! A policy as somebody typed it, read and changed.
#![no_main]

use cairn::point::Policy;
use cairn::point::policy::{Change, Kind};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let Ok(policy) = Policy::parse(text) else { return };
    let written = serde_json_text(&policy);
    assert_eq!(Policy::parse(&written).unwrap(), policy);
    let change = Change {
        kind: Kind::Path,
        name: "/etc/added".to_owned(),
        add: Some("/etc/added".into()),
    };
    if let Ok(changed) = change.apply(text) {
        Policy::parse(&changed).unwrap();
    }
});

fn serde_json_text(policy: &Policy) -> String {
    serde_json::to_string(policy).unwrap()
}
