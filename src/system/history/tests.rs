//! What both histories hold to, and what only the one on disk can do.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use chrono::TimeDelta;

use super::*;
use crate::learn::{Judged, Month};
use crate::point::PointId;
use crate::point::event::{HealVerdict, Sample, Traits};
use crate::point::switch::Switch;
use crate::system::Layout;
use crate::system::clock::{Clock, SystemClock};

fn now() -> DateTime<Utc> {
    "2026-11-15T12:00:00Z".parse().unwrap()
}

fn id(n: i64) -> PointId {
    SystemClock.new_id(now() + TimeDelta::seconds(n))
}

fn boot(n: i64) -> Event {
    Event {
        id: format!("boot-{n}"),
        at: now() + TimeDelta::seconds(n),
        kind: Kind::Boot,
        what: "booted".to_owned(),
        good: None,
        data: serde_json::Value::Null,
    }
}

fn heal(n: i64, verdict: HealVerdict) -> HealAttempt {
    HealAttempt {
        id: id(n),
        at: now() + TimeDelta::seconds(n),
        issue: "service-down".to_owned(),
        action: "restart-unit".to_owned(),
        subject: Some("web.service".to_owned()),
        before: Some(60),
        after: Some(95),
        verdict,
        millis: 1500,
        point: None,
    }
}

fn switch(id: PointId, verdict: &str, done: &str) -> Box<Switch> {
    let json = serde_json::json!({
        "version": 1, "id": id, "started": now(), "action": "switch",
        "to": "/nix/store/00000000000000000000000000000000-nixos-system-web-2",
        "before": crate::point::document::System::default(), "boot": "b",
        "result": {"at": now(), "reached": "switched", "verdict": verdict,
                   "reasons": ["web.service failed"], "done": done},
    });
    Box::new(serde_json::from_value(json).unwrap())
}

fn hold(history: &dyn History) {
    let bad = id(5);
    let traits = Traits::from(["unit:web.service".to_owned()]);
    let items = [
        Item::Event(boot(1)),
        Item::Event(boot(2)),
        Item::Heal(heal(3, HealVerdict::Recovered)),
        Item::Heal(heal(4, HealVerdict::Remains)),
        Item::Switch(switch(bad, "bad", "went-back")),
        Item::Switch(switch(id(6), "none", "nothing")),
        Item::Traits {
            switch: bad,
            traits: traits.clone(),
        },
    ];
    history.put(&items).unwrap();
    // Recording it all again changes nothing.
    history.put(&items).unwrap();

    let all = history.events(&Ask::default()).unwrap();
    assert_eq!(all.len(), 8, "{all:#?}");
    assert!(all.is_sorted_by(|a, b| a.at >= b.at));
    let of = |kinds: &[Kind], last| {
        let kinds = kinds.to_vec();
        history.events(&Ask { kinds, last }).unwrap()
    };
    let boots = of(&[Kind::Boot], Some(1));
    assert_eq!(boots, [boot(2)]);
    let verdict = &of(&[Kind::Verdict], None)[0];
    assert_eq!(verdict.good, Some(false));
    assert!(
        verdict.what.ends_with("is bad: web.service failed"),
        "{verdict:?}"
    );
    assert_eq!(of(&[Kind::Rollback], None).len(), 1);
    assert_eq!(
        of(&[Kind::Switch], None)[1].data["result"]["done"],
        "went-back"
    );

    let heals = history.heals(now() + TimeDelta::seconds(4)).unwrap();
    assert_eq!(heals, [heal_as(&heals[0], HealVerdict::Remains)]);
    let knowledge = history.knowledge().unwrap();
    let (key, tally) = knowledge.own.heals.first_key_value().unwrap();
    assert_eq!(
        (key.1.as_str(), key.2.as_str()),
        ("service-down", "restart-unit")
    );
    assert_eq!((tally.attempts, tally.successes), (2, 1));
    assert_eq!((tally.seconds, tally.gain), (2, 70));
    let judged = Judged {
        judged: 1,
        failed: 1,
    };
    assert_eq!(knowledge.own.switches[&Month::of(now())], judged);
    let tried = history.tried().unwrap();
    assert_eq!(
        (tried.len(), tried[0].failed, &tried[0].traits),
        (1, true, &traits)
    );

    let own = Origin::of("me", b"");
    let told = BTreeMap::from([
        (Origin::of("you", b""), knowledge.own.clone()),
        (own.clone(), knowledge.own.clone()),
    ]);
    let imported = |machines, news| Imported { machines, news };
    assert_eq!(history.import(&told, &own).unwrap(), imported(2, 1));
    assert_eq!(history.import(&told, &own).unwrap(), imported(2, 0));
    let again = history.knowledge().unwrap();
    assert_eq!(again.own, knowledge.own);
    assert_eq!(again.others.len(), 1);
    assert_eq!(again.others.values().next(), Some(&knowledge.own));

    let sample = |n: i64, score: f64| {
        Item::Sample(Sample {
            at: now() + TimeDelta::minutes(n),
            figures: BTreeMap::from([("score".to_owned(), score), ("bad".to_owned(), f64::NAN)]),
        })
    };
    history.put(&[sample(0, 90.0), sample(5, 80.0)]).unwrap();
    let readings = history
        .readings("score", now() + TimeDelta::minutes(1))
        .unwrap();
    assert_eq!(readings.len(), 1);
    assert_eq!((readings[0].mean, readings[0].span), (80.0, 0));
    assert!(history.readings("bad", now()).unwrap().is_empty());
}

/// Ids hold random bits: compare all else.
fn heal_as(like: &HealAttempt, verdict: HealVerdict) -> HealAttempt {
    HealAttempt {
        id: like.id,
        ..heal(4, verdict)
    }
}

#[test]
fn the_database_and_its_fake_hold_to_the_same() {
    hold(&Memory::default());
    hold(&Database::in_memory().unwrap());
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("history.db");
    hold(&Database::open(&path, Duration::ZERO).unwrap());
    let mode = fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    // It is all there for the next one.
    let again = Database::open(&path, Duration::ZERO).unwrap();
    assert_eq!(again.events(&Ask::default()).unwrap().len(), 8);
}

#[test]
fn samples_become_hourly_then_daily_means_then_go() {
    let db = Database::in_memory().unwrap();
    let begin = now() - TimeDelta::days(800);
    // Two a day at 00:10 and 00:50, for 800 days and today.
    for day in 0..=800 {
        let samples = [(10, 40.0), (50, 60.0)].map(|(minute, value)| {
            let midnight = (begin + TimeDelta::days(day)).date_naive();
            Item::Sample(Sample {
                at: midnight.and_hms_opt(0, minute, 0).unwrap().and_utc(),
                figures: BTreeMap::from([("score".to_owned(), value)]),
            })
        });
        db.put(&samples).unwrap();
    }
    db.retain(now()).unwrap();
    db.retain(now()).unwrap();
    let all = db.readings("score", begin - TimeDelta::days(9)).unwrap();
    let spans = |span| all.iter().filter(|r| r.span == span).count();
    let [full, hourly, daily] = super::samples::KEEP;
    assert_eq!(spans(0), 2 * usize::try_from(full).unwrap());
    assert_eq!(spans(3600), usize::try_from(hourly - full + 1).unwrap());
    assert_eq!(spans(86_400), usize::try_from(daily - hourly).unwrap());
    for reading in all.iter().filter(|r| r.span > 0) {
        assert_eq!(
            (reading.mean, reading.low, reading.high),
            (50.0, 40.0, 60.0)
        );
        assert_eq!(reading.samples, 2);
    }
}

#[test]
fn a_locked_history_has_its_items_queued_and_loses_none() {
    let dir = tempfile::tempdir().unwrap();
    let layout = Layout::new(dir.path(), dir.path());
    let chronicle = Chronicle::new(&layout);
    let keep = |n| chronicle.keep(&[Item::Event(boot(n))], now()).0;
    assert_eq!(keep(1), Kept::Stored);
    let other = rusqlite::Connection::open(layout.history()).unwrap();
    other.execute_batch("begin immediate").unwrap();
    let begun = std::time::Instant::now();
    let kept = keep(2);
    assert!(
        matches!(&kept, Kept::Queued(why) if why.contains("in use")),
        "{kept:?}"
    );
    assert!(
        begun.elapsed() < Duration::from_secs(3),
        "{:?}",
        begun.elapsed()
    );
    // Reading goes on meanwhile.
    let seen = chronicle.glance(|db| db.events(&Ask::default())).unwrap();
    assert_eq!(seen.len(), 1);
    other.execute_batch("rollback").unwrap();
    assert_eq!(keep(3), Kept::Stored);
    let (all, _) = chronicle
        .work(now(), |db| db.events(&Ask::default()))
        .unwrap();
    assert_eq!(all.len(), 3);
    assert_eq!(fs::read_dir(layout.history_queue()).unwrap().count(), 0);
}

#[test]
fn a_damaged_history_is_set_aside_and_begins_anew() {
    let dir = tempfile::tempdir().unwrap();
    let layout = Layout::new(dir.path(), dir.path());
    let chronicle = Chronicle::new(&layout);
    chronicle.keep(&[Item::Event(boot(1))], now());
    let salt = chronicle.glance(Database::salt).unwrap();
    let garbage = vec![b'x'; 8192];
    fs::write(layout.history(), &garbage).unwrap();
    let (kept, notes) = chronicle.keep(&[Item::Event(boot(2))], now());
    assert_eq!(kept, Kept::Stored);
    assert!(notes[0].contains("set aside as"), "{notes:?}");
    let aside = dir.path().join("history.db.damaged-20261115T120000Z");
    assert_eq!(fs::read(aside).unwrap(), garbage);
    let (all, notes) = chronicle
        .work(now(), |db| db.events(&Ask::default()))
        .unwrap();
    assert_eq!((all.len(), notes.len()), (1, 0));
    // What it counts has a new name, and leaves out what the old one counted.
    assert_ne!(chronicle.glance(Database::salt).unwrap(), salt);
    let mut before = switch(id(1), "bad", "nothing");
    before.started = now() - TimeDelta::days(1);
    chronicle.keep(&[Item::Switch(before)], now());
    let (knowledge, _) = chronicle.work(now(), |db| db.knowledge()).unwrap();
    assert!(knowledge.own.switches.is_empty());
}

#[test]
fn a_later_history_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let layout = Layout::new(dir.path(), dir.path());
    let chronicle = Chronicle::new(&layout);
    chronicle.keep(&[Item::Event(boot(1))], now());
    let later = rusqlite::Connection::open(layout.history()).unwrap();
    later.pragma_update(None, "user_version", 9).unwrap();
    drop(later);
    let (kept, _) = chronicle.keep(&[Item::Event(boot(2))], now());
    assert!(
        matches!(&kept, Kept::Queued(why) if why.contains("version 9")),
        "{kept:?}"
    );
    assert!(chronicle.work(now(), |db| db.knowledge()).is_err());
}

#[test]
fn what_was_said_of_a_switch_stays_counted_when_it_is_said_otherwise() {
    let dir = tempfile::tempdir().unwrap();
    let db = Database::open(&dir.path().join("h.db"), Duration::from_secs(1)).unwrap();
    let rollback = |good: bool| {
        Item::Event(Event {
            id: "x/rollback".to_owned(),
            at: now(),
            kind: Kind::Rollback,
            what: format!("went back: {good}"),
            good: Some(good),
            data: serde_json::Value::Null,
        })
    };
    let counted = || -> Vec<(Option<bool>, u64)> {
        let totals = db.totals().unwrap().into_iter();
        totals.map(|t| (t.good, t.count)).collect()
    };
    db.put(&[rollback(false)]).unwrap();
    assert_eq!(counted(), [(Some(false), 1)]);
    for _ in 0..2 {
        db.put(&[rollback(true)]).unwrap();
        assert_eq!(counted(), [(Some(false), 1), (Some(true), 1)]);
    }
    db.retain(now() + TimeDelta::days(1000)).unwrap();
    assert_eq!(counted(), [(Some(false), 1), (Some(true), 1)]);
}

#[test]
fn points_of_other_machines_are_not_counted() {
    let db = Database::in_memory().unwrap();
    let point = |n: i64, imported: bool| {
        Item::Event(Event {
            id: id(n).to_string(),
            at: now(),
            kind: Kind::Point,
            what: "a point".to_owned(),
            good: Some(true),
            data: serde_json::json!({ "trigger": "manual", "imported": imported }),
        })
    };
    db.put(&[point(1, false), point(2, true)]).unwrap();
    assert_eq!(db.totals().unwrap()[0].count, 1);
    db.retain(now() + TimeDelta::days(1000)).unwrap();
    assert_eq!(db.totals().unwrap()[0].count, 1);
}

#[test]
fn what_is_counted_never_shrinks_and_counts_once() {
    let dir = tempfile::tempdir().unwrap();
    let db = Database::open(&dir.path().join("h.db"), Duration::from_secs(1)).unwrap();
    let point = |n: i64, trigger: &str, good| {
        Item::Event(Event {
            id: id(n).to_string(),
            at: now() + TimeDelta::seconds(n),
            kind: Kind::Point,
            what: "a point".to_owned(),
            good: Some(good),
            data: serde_json::json!({ "trigger": trigger }),
        })
    };
    let items = [
        point(1, "schedule:nightly", true),
        point(2, "schedule:hourly", true),
        point(3, "manual", false),
        Item::Event(boot(4)),
    ];
    let counted = || -> Vec<(String, String, Option<bool>, u64)> {
        let totals = db.totals().unwrap().into_iter();
        totals.map(|t| (t.kind, t.of, t.good, t.count)).collect()
    };
    let all = [
        ("boot".to_owned(), String::new(), None, 1),
        ("point".to_owned(), "manual".to_owned(), Some(false), 1),
        ("point".to_owned(), "schedule".to_owned(), Some(true), 2),
    ];
    db.put(&items).unwrap();
    assert_eq!(counted(), all);
    let later = now() + TimeDelta::days(1000);
    for _ in 0..2 {
        db.retain(later).unwrap();
        assert!(db.events(&Ask::default()).unwrap().is_empty());
        assert_eq!(counted(), all);
        // Their files are there still.
        db.put(&items).unwrap();
        assert_eq!(counted(), all);
    }
}
