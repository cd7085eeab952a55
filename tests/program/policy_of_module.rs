//! The policy the NixOS module writes is one the program reads.
//!
//! `fixtures/policy-*.json` are `services.cairn.settings` as evaluated for the
//! cases of the same names in `nix/module-cases.nix`; the flake's checks
//! compare them with the module of today, and `nix/render` writes them.
use std::path::PathBuf;

use cairn::point::heal::Action;
use cairn::point::policy::{Gate, Heal, Keep, PointPolicy, PreSwitch, When};
use cairn::point::{Policy, Span};

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
    let mut module = policy("minimal");
    assert_eq!(
        module.state_dir.take().as_deref(),
        Some("/var/lib/cairn".as_ref())
    );
    // The program takes no points by itself; the module has it take one a day.
    let daily = std::mem::take(&mut module.points);
    assert_eq!(daily.len(), 1);
    assert_eq!(
        daily["daily"],
        PointPolicy {
            schedule: Some("daily".into()),
            ..PointPolicy::default()
        }
    );
    // A rule of 0 is as good as none.
    for keep in [
        &mut module.retention.points,
        &mut module.retention.generations,
    ] {
        *keep = without_zeros(keep.clone());
    }
    assert_eq!(module, Policy::default());
}

fn without_zeros(keep: Keep) -> Keep {
    let some = |count: Option<u32>| count.filter(|&n| n != 0);
    Keep {
        keep_last: some(keep.keep_last),
        keep_hourly: some(keep.keep_hourly),
        keep_daily: some(keep.keep_daily),
        keep_weekly: some(keep.keep_weekly),
        keep_monthly: some(keep.keep_monthly),
        keep_yearly: some(keep.keep_yearly),
        ..keep
    }
}

#[test]
fn every_option_arrives() {
    let full = policy("full");
    let work = &full.points["before-work"];
    assert_eq!(work.reason.as_deref(), Some("50% of \"all\" $work starts"));
    assert_eq!(work.capture.state, Some(vec!["shop".into()]));
    assert_eq!(work.keep.as_ref().unwrap().keep_weekly, Some(8));
    assert_eq!(full.points["before-switch"].trigger, When::PreSwitch);
    assert_eq!(full.points["before-healing"].trigger, When::PreHeal);
    let boot = &full.points["after-boot"];
    assert_eq!((boot.trigger, boot.capture.config), (When::Boot, false));
    assert_eq!(boot.schedule, None);
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
    let database = &full.state["database"];
    assert_eq!(database.paths, [PathBuf::from("/var/lib/postgresql")]);
    assert_eq!(database.exclude, [PathBuf::from("/var/lib/postgresql/tmp")]);
    assert_eq!(
        database.before.as_deref().unwrap(),
        ["/run/current-system/sw/bin/dump", "all of it"]
    );
    assert_eq!(
        database.after.as_deref().unwrap(),
        ["/run/current-system/sw/bin/tidy"]
    );
    assert_eq!(full.state["shop"].units, ["shop.service", "shop@1.service"]);
    assert_eq!(
        full.pre_switch,
        PreSwitch {
            enable: true,
            required: true,
            timeout: Span::seconds(45),
        }
    );
    assert_eq!(
        full.gate,
        Gate {
            enable: true,
            window: Span::seconds(90),
            confirm_timeout: Some(Span::seconds(600)),
            rollback: true,
        }
    );
    assert_eq!((full.boot_gate.enable, full.boot_gate.attempts), (true, 2));
    assert_eq!((full.risk.enable, full.risk.threshold), (true, 20));
    let network = &full.health.checks["network"];
    assert_eq!(
        (network.required, network.timeout),
        (true, Span::seconds(5))
    );
    assert_eq!(network.command[1..], ["-c1", "192.0.2.1"]);
    assert!(!full.health.checks["disk"].required);
    assert_eq!(
        full.heal,
        Heal {
            enable: true,
            interval: Span::seconds(3600),
            destructive: vec![Action::RestartUnit, Action::RollBack],
            disabled: vec![Action::VacuumJournal],
            ignore: vec!["service-down:backup-*.service".into()],
            cool_down: Span::seconds(1800),
            attempts: 3,
            per_boot: 10,
            settle: Span::seconds(10),
            foresee: Span::seconds(2 * 86_400),
        }
    );
    let office = &full.remotes["office"];
    assert_eq!(office.url, "rest:https://backup.example.org/machine");
    assert_eq!(office.schedule.as_deref(), Some("daily"));
    assert_eq!(
        office.password_file.as_deref(),
        Some("/run/secrets/backup".as_ref())
    );
    assert_eq!(
        full.pins["last-year"].to_absolute_path(),
        "/nix/store/00000000000000000000000000000000-nixos-system-machine-25.11"
    );
    assert!(policy("nothing-by-the-clock").points.is_empty());
}

/// `services.cairn.policyFile` is `nix/cases/cairn.json` there.
#[test]
fn a_policy_file_counts_before_the_options_and_after_the_settings() {
    let policy = policy("from-a-file");
    assert_eq!(policy.state_dir.as_deref(), Some("/srv/cairn".as_ref()));
    assert_eq!(
        policy.points.keys().collect::<Vec<_>>(),
        ["boot", "nightly"]
    );
    assert_eq!(policy.gate.window, Span::seconds(60));
    assert!(!policy.gate.rollback);
    assert_eq!(policy.pre_switch.timeout, Span::seconds(90));
    assert!(policy.pre_switch.required);
}
