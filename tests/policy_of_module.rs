//! The policy the NixOS module writes is one the program reads.
//!
//! `fixtures/policy-*.json` are `services.cairn.settings` as evaluated for the
//! cases of the same names in `nix/module-cases.nix`; the flake's checks
//! compare them with the module of today.
#![allow(clippy::unwrap_used, clippy::panic, clippy::disallowed_methods)]

use cairn::point::Policy;
use cairn::point::policy::Keep;

fn policy(name: &str) -> Policy {
    let path = format!(
        "{}/tests/fixtures/policy-{name}.json",
        env!("CARGO_MANIFEST_DIR")
    );
    let text = std::fs::read_to_string(path).unwrap();
    Policy::parse(&text).unwrap_or_else(|e| panic!("{name}: {e}"))
}

#[test]
fn the_defaults_of_module_and_program_agree() {
    let module = policy("minimal");
    let program = Policy::default();
    assert_eq!(module.config_paths, program.config_paths);
    assert_eq!(
        module.retention.points.keep_last,
        program.retention.points.keep_last
    );
    assert_eq!(
        module.retention.generations.keep_last,
        program.retention.generations.keep_last
    );
    assert_eq!(module.state_dir.as_deref(), Some("/var/lib/cairn".as_ref()));
}

#[test]
fn every_option_arrives() {
    let full = policy("full");
    assert_eq!(
        full.points["before-work"].reason.as_deref(),
        Some("50% of \"all\" $work starts")
    );
    assert_eq!(
        full.retention.points,
        Keep {
            keep_last: Some(5),
            keep_hourly: Some(24),
            keep_daily: Some(7),
            keep_weekly: Some(4),
            keep_monthly: Some(12),
            keep_yearly: Some(3),
            keep_within: Some("1m14d".into()),
            min_age: Some("12h".into()),
            keep_tags: vec!["release".into()],
        }
    );
    assert!(policy("nothing-by-the-clock").points.is_empty());
}
