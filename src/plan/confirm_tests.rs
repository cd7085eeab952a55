use serde_json::json;

use super::*;

fn at(text: &str) -> DateTime<Utc> {
    format!("2026-11-23T{text}Z").parse().unwrap()
}

fn boot(boot: &str, millis: u64) -> SinceBoot {
    SinceBoot {
        boot: boot.to_owned(),
        millis,
    }
}

fn path(n: u8) -> String {
    format!("/nix/store/{}-nixos-system-{n}", "0".repeat(32))
}

/// Switch `n` from system `from` to system `to`, in boot "b".
fn switch(n: u8, from: u8, to: u8) -> Switch {
    serde_json::from_value(json!({
        "version": 1,
        "id": format!("0199d1a0-0000-7000-8000-0000000000{n:02}"),
        "started": at("07:00:00"),
        "action": "switch",
        "to": path(to),
        "before": { "current": path(from) },
        "point": format!("0199d1a0-1111-7000-8000-0000000000{n:02}"),
        "boot": "b",
        "confirm": { "timeout": "5m" },
    }))
    .unwrap()
}

fn ended(mut switch: Switch, reached: &str, verdict: &str) -> Switch {
    let result = json!({
        "at": at("07:01:00"), "reached": reached, "verdict": verdict, "done": "nothing",
    });
    switch.result = Some(serde_json::from_value(result).unwrap());
    switch
}

#[test]
fn in_one_boot_no_change_of_the_clock_counts() {
    let fresh = Confirm {
        timeout: Span::seconds(300),
        until: None,
        since_boot: None,
    };
    assert_eq!(left(&fresh, at("07:00:00"), &boot("b", 0)), None);
    let asked = asked(&fresh, at("07:00:00"), boot("b", 10_000));
    assert_eq!(asked.until, Some(at("07:05:00")));
    let left = |now, boot| left(&asked, at(now), &boot).map(|left| left.as_secs());
    assert_eq!(left("07:00:00", boot("b", 70_000)), Some(240));
    assert_eq!(left("23:00:00", boot("b", 70_000)), Some(240));
    assert_eq!(left("03:00:00", boot("b", 400_000)), Some(0));
    // Another boot: the time of day, and never more than there was at first.
    assert_eq!(left("07:04:00", boot("c", 5)), Some(60));
    assert_eq!(left("07:06:00", boot("c", 5)), Some(0));
    assert_eq!(left("03:00:00", boot("c", 5)), Some(300));
}

#[test]
fn asked_again_after_a_boot_the_end_stays() {
    let first = Confirm {
        timeout: Span::seconds(300),
        until: Some(at("07:05:00")),
        since_boot: Some(boot("b", 310_000)),
    };
    let again = asked(&first, at("07:03:00"), boot("c", 20_000));
    assert_eq!(again.until, Some(at("07:05:00")));
    assert_eq!(again.since_boot, Some(boot("c", 140_000)));
}

#[test]
fn what_was_never_confirmed_is_nothing_to_go_back_to() {
    let first = ended(switch(1, 1, 2), "superseded", "none");
    let second = ended(switch(2, 2, 3), "superseded", "none");
    let third = switch(3, 3, 4);
    let records = [first, second, third];
    assert_eq!(origin(&records, &records[2]).id, records[0].id);
    // A confirmed one is.
    let good = ended(switch(1, 1, 2), "switched", "good");
    let records = [good, records[1].clone(), records[2].clone()];
    assert_eq!(origin(&records, &records[2]).id, records[1].id);
    // So is one that somebody went away from by hand.
    let elsewhere = switch(3, 1, 4);
    let records = [records[0].clone(), records[1].clone(), elsewhere];
    assert_eq!(origin(&records, &records[2]).id, records[2].id);
}

#[test]
fn after_a_boot_only_the_newest_lasting_switch_is_asked_for() {
    let runs = |n| {
        let text = path(n);
        crate::nix::store_path::StorePath::from_absolute_path(text.as_bytes()).unwrap()
    };
    let mut later = ended(switch(2, 1, 2), "switched", "none");
    later.action = Action::Boot;
    let mut test = switch(3, 2, 3);
    test.action = Action::Test;
    let records = [switch(1, 1, 2), later.clone(), test];
    assert_eq!(owed_after_boot(&records, "c", &runs(2)), Some(&later));
    assert_eq!(owed_after_boot(&records, "b", &runs(2)), None);
    assert_eq!(owed_after_boot(&records, "c", &runs(1)), None);
    assert_eq!(open(&records, "b").unwrap().id, records[2].id);
    assert_eq!(open(&[later.clone()], "b"), None);
    assert_eq!(open(&[later.clone()], "c"), Some(&later));
    later.answer = Some(crate::point::switch::Answered {
        answer: Answer::Confirmed,
        at: at("07:02:00"),
    });
    assert_eq!(owed_after_boot(&[later], "c", &runs(2)), None);
}

#[test]
fn a_switch_is_named_by_its_id_or_its_point() {
    let records = [ended(switch(1, 1, 2), "refused", "bad"), switch(2, 1, 3)];
    assert_eq!(meant(&records, None).unwrap().id, records[1].id);
    let by = |id: &str| meant(&records, Some(id)).map(|switch| switch.id);
    assert_eq!(
        by("0199d1a0-0000-7000-8000-000000000001"),
        Ok(records[0].id)
    );
    assert_eq!(
        by("0199d1a011117000800000000000002"),
        Err(
            "no switch has the id 0199d1a011117000800000000000002, nor one with that restore point"
                .to_owned()
        )
    );
    assert_eq!(
        by("0199D1A0-1111-7000-8000-000000000002"),
        Ok(records[1].id)
    );
    assert!(by("0199d1a0").unwrap_err().contains("2 switches"));
    assert!(by("ffff").unwrap_err().contains("no switch"));
    assert!(meant(&records[..1], None).is_err());
}
