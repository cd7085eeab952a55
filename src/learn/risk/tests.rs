use super::*;
use crate::learn::Month;

fn now() -> DateTime<Utc> {
    "2026-11-15T00:00:00Z".parse().unwrap()
}

/// A change that is nothing special.
fn usual() -> Features {
    Features {
        units_changed: 3,
        packages: Some(15),
        bytes: Some(31 << 20),
        since_good: Some(7 * 86_400),
        store_free: Some(50 << 30),
        boot_free: Some(400 << 20),
        ..Features::default()
    }
}

fn upgrade() -> Features {
    Features {
        kernel: true,
        initrd: true,
        systemd: true,
        glibc: true,
        units_changed: 127,
        packages: Some(1023),
        boot_needs: 60 << 20,
        ..usual()
    }
}

fn case(features: Features, failed: bool) -> Case {
    Case {
        at: now(),
        features,
        failed,
        score: None,
    }
}

fn told(judged: u64, failed: u64) -> BTreeMap<Origin, Ledger> {
    let mut ledger = Ledger::default();
    let switches = Judged { judged, failed };
    ledger.switches.insert(Month::of(now()), switches);
    BTreeMap::from([(Origin::of("other", b""), ledger)])
}

fn alone(features: &Features) -> Assessment {
    assess(features, &[], &BTreeMap::new(), now())
}

#[test]
fn what_is_nothing_special_has_the_base_rate_and_no_reason() {
    let calm = alone(&usual());
    assert!((calm.chance - 0.05).abs() < 1e-9, "{calm:?}");
    assert_eq!(calm.chance, calm.base);
    assert!(calm.reasons.is_empty(), "{calm:?}");
    assert!(calm.interval.0 < 0.02 && calm.interval.1 > 0.12, "{calm:?}");
    // What the store did not say is no reason either.
    let silent = Features {
        packages: None,
        bytes: None,
        ..usual()
    };
    assert!((alone(&silent).chance - 0.05).abs() < 1e-9);
}

#[test]
fn an_upgrade_is_riskier_and_says_why() {
    let told = alone(&upgrade());
    assert!(told.chance > 0.2 && told.chance < 0.6, "{told:?}");
    let names: Vec<&str> = told.reasons.iter().map(|r| r.feature).collect();
    assert_eq!(names[0], "unitsChanged", "{told:?}");
    assert!(names.contains(&"systemd") && names.contains(&"kernel"));
    // The reasons come to what sets it apart.
    let sum: f64 = told.reasons.iter().map(|r| r.log_odds).sum();
    assert!(
        (logit(told.base) + sum - told.score).abs() < 0.05,
        "{told:?}"
    );
}

#[test]
fn what_forbids_a_switch_or_fills_the_boot_partition_is_above_the_default_threshold() {
    let forbidden = Features {
        inhibitors: 1,
        ..usual()
    };
    assert!(alone(&forbidden).chance > 0.5, "{:?}", alone(&forbidden));
    let full = Features {
        boot_free: Some(1 << 20),
        ..upgrade()
    };
    assert!(alone(&full).chance > 0.7, "{:?}", alone(&full));
    let reason = &alone(&full).reasons[0];
    assert_eq!(reason.feature, "bootSpace");
    assert!(reason.what.contains("1 MiB free"), "{reason:?}");
    assert!(reason.points > 20);
}

#[test]
fn it_learns_from_this_machine() {
    let mut cases: Vec<Case> = (0..40).map(|_| case(usual(), false)).collect();
    let calm = assess(&usual(), &cases, &BTreeMap::new(), now());
    assert!(calm.chance < 0.035, "{calm:?}");
    assert_eq!((calm.switches, calm.failed), (40, 0));
    // Here kernels fail.
    let kernel = Features {
        kernel: true,
        ..usual()
    };
    let before = assess(&kernel, &cases, &BTreeMap::new(), now()).chance;
    cases.extend((0..10).map(|_| case(kernel.clone(), true)));
    let after = assess(&kernel, &cases, &BTreeMap::new(), now()).chance;
    let other = assess(&usual(), &cases, &BTreeMap::new(), now()).chance;
    assert!(
        after > 2.0 * before && after > 2.0 * other,
        "{before} {after} {other}"
    );
    // Long ago, it would count less.
    for case in &mut cases {
        case.at = now() - chrono::Duration::days(4 * 365);
    }
    let faded = assess(&kernel, &cases, &BTreeMap::new(), now()).chance;
    assert!(faded < after, "{faded} {after}");
}

#[test]
fn others_move_the_base_rate_only_so_far() {
    let of = |judged, failed| assess(&usual(), &[], &told(judged, failed), now());
    assert!(of(40, 20).chance > 0.1);
    assert_eq!(
        of(40, 20).imported,
        Judged {
            judged: 40,
            failed: 20
        }
    );
    assert!(of(40, 0).chance < 0.05);
    // A liar cannot make everything fail.
    assert!(of(10_000, 10_000).chance < 0.75);
    assert!(of(10_000, 0).chance > 0.01);
}

#[test]
fn forecasts_that_were_too_high_are_set_right_when_there_are_enough() {
    let score = logit(0.5);
    let all = |n: usize, bad: usize| -> Vec<Case> {
        (0..n)
            .map(|i| Case {
                score: Some(score),
                ..case(usual(), i < bad)
            })
            .collect()
    };
    assert!(calibration(&all(99, 12)).is_none());
    assert!(calibration(&all(120, 9)).is_none());
    let (offset, slope) = calibration(&all(120, 12)).unwrap();
    assert!(sigmoid(offset + slope * score) < 0.2, "{offset} {slope}");
    let learned = assess(&usual(), &all(120, 12), &BTreeMap::new(), now());
    assert!(learned.calibrated);
}

#[test]
fn what_nobody_confirmed_and_what_a_try_ran_say_nothing_of_systems() {
    let with = |more: serde_json::Value| {
        let mut switch = serde_json::json!({
            "version": 1,
            "id": "0199d1a0-0000-7000-8000-000000000001",
            "started": now(),
            "action": "switch",
            "to": format!("/nix/store/{}-nixos-system-2", "0".repeat(32)),
            "before": {},
            "boot": "b",
            "result": { "at": now(), "reached": "switched", "verdict": "bad", "done": "went-back" },
        });
        let more = more.as_object().unwrap().clone();
        switch.as_object_mut().unwrap().extend(more);
        failed(&serde_json::from_value(switch).unwrap())
    };
    let answer = |answer: &str| serde_json::json!({ "answer": { "answer": answer, "at": now() } });
    assert_eq!(with(serde_json::json!({})), Some(true));
    assert_eq!(with(answer("reverted")), Some(true));
    assert_eq!(with(answer("timed-out")), None);
    assert_eq!(
        with(serde_json::json!({ "tried": { "command": "false" } })),
        None
    );
}
