//! Eight processes create and prune at once: no point is lost that nobody
//! removed, and the vault stays whole.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use crate::support::{Ended, Machine, have, skip};

/// Another cairn held the lock for too long.
const LOCKED: i32 = 11;

#[derive(Default)]
struct Counts {
    created: Vec<String>,
    pinned: BTreeSet<String>,
    removed: BTreeSet<String>,
    prunes: usize,
    locked: usize,
}

/// What one process did, noted; anything but success and "locked" fails.
fn noted(ended: &Ended, counts: &Mutex<Counts>) -> Option<serde_json::Value> {
    if ended.code == Some(LOCKED) {
        counts.lock().unwrap().locked += 1;
        return None;
    }
    assert_eq!(ended.code, Some(0), "{}", ended.told());
    Some(ended.json())
}

fn work(machine: &Machine, worker: u64, until: Instant, counts: &Mutex<Counts>) {
    let mut round = worker;
    while Instant::now() < until {
        round += 1;
        if round.is_multiple_of(5) {
            let keep = (5 + (round * 7 + worker * 3) % 16).to_string();
            let args = ["prune", "--keep-last", &keep, "-y", "--json"];
            let ended = machine.run(args);
            let Some(told) = noted(&ended, counts) else {
                continue;
            };
            let pruned = &told["pruned"];
            assert_eq!(pruned["failed"].as_array().unwrap().len(), 0, "{told}");
            let mut counts = counts.lock().unwrap();
            counts.prunes += 1;
            for id in pruned["removed"].as_array().unwrap() {
                let id = id.as_str().unwrap().to_owned();
                assert!(counts.removed.insert(id.clone()), "{id} was removed twice");
            }
        } else {
            // Each captures a folder that nobody else writes, and one that all
            // share; content that is new, and content that was there before.
            let own = machine.root.join(format!("srv/worker-{worker}"));
            fs::create_dir_all(&own).unwrap();
            let content = vec![round as u8; 3000 * (round as usize % 7)];
            fs::write(own.join(format!("{}", round % 3)), content).unwrap();
            let policy = machine.dir.path().join(format!("policy-{worker}.json"));
            let paths = format!(r#"["/etc/nixos", "/srv/worker-{worker}"]"#);
            fs::write(
                &policy,
                format!(r#"{{ "version": 1, "configPaths": {paths} }}"#),
            )
            .unwrap();
            let policy = policy.to_str().unwrap();
            let reason = format!("worker {worker} round {round}");
            let mut args = vec!["create", "--json", "-r", &reason, "--policy", policy];
            if round.is_multiple_of(11) {
                args.push("--pin");
            }
            let ended = machine.run(&args);
            let Some(told) = noted(&ended, counts) else {
                continue;
            };
            let id = told["point"]["id"].as_str().unwrap().to_owned();
            let mut counts = counts.lock().unwrap();
            if args.contains(&"--pin") {
                counts.pinned.insert(id.clone());
            }
            counts.created.push(id);
        }
    }
}

#[test]
fn eight_processes_create_and_prune_at_once() {
    const NAME: &str = "eight_processes_create_and_prune_at_once";
    let Some(machine) = Machine::new(NAME) else {
        return;
    };
    let seconds = std::env::var("CAIRN_STRESS_SECONDS")
        .ok()
        .and_then(|s| s.parse().ok())
        .unwrap_or(30);
    let counts = Mutex::new(Counts::default());
    let until = Instant::now() + Duration::from_secs(seconds);
    std::thread::scope(|scope| {
        for worker in 0..8 {
            let (machine, counts) = (&machine, &counts);
            scope.spawn(move || work(machine, worker, until, counts));
        }
    });
    let counts = counts.into_inner().unwrap();
    let created: BTreeSet<String> = counts.created.iter().cloned().collect();
    assert_eq!(created.len(), counts.created.len(), "an id was given twice");
    let listed: BTreeSet<String> = machine.ids().into_iter().collect();
    let expected: BTreeSet<String> = created.difference(&counts.removed).cloned().collect();
    let lost: Vec<_> = expected.difference(&listed).collect();
    assert!(lost.is_empty(), "lost: {lost:?}");
    let unknown: Vec<_> = listed.difference(&expected).collect();
    assert!(unknown.is_empty(), "nobody created {unknown:?}");
    assert!(counts.pinned.is_subset(&listed), "a pinned point is lost");
    println!(
        "{seconds} s: {} created, {} pinned, {} removed by {} prunes, {} listed, {} times locked",
        created.len(),
        counts.pinned.len(),
        counts.removed.len(),
        counts.prunes,
        listed.len(),
        counts.locked
    );
    assert!(counts.prunes > 0 && created.len() > 20);
    machine.nothing_left_over();
    // What is left can be brought back, oldest and newest.
    for id in [listed.first(), listed.last()].into_iter().flatten() {
        machine.run(["restore", id, "-y"]).expect(0);
    }
    restic_agrees(&machine);
}

/// Debian's restic reads every byte and finds nothing wrong.
fn restic_agrees(machine: &Machine) {
    const NAME: &str = "eight_processes_create_and_prune_at_once";
    if !have("restic") {
        return skip(NAME, "restic is missing");
    }
    let vault = machine.state().join("vault");
    let output = Command::new("restic")
        .args(["--no-cache", "check", "--read-data", "--repo"])
        .arg(vault.join("config"))
        .arg("--password-file")
        .arg(vault.join("recovery-password"))
        .env("HOME", machine.dir.path())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && text.contains("no errors were found"),
        "{text}\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
}
