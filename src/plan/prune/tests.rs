use std::collections::BTreeSet;

use chrono::{DateTime, Duration, TimeDelta, Utc};
use proptest::prelude::*;

use super::*;

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

fn now() -> DateTime<Utc> {
    at("2026-11-23T12:00:00Z")
}

fn item(key: &str, created: &str) -> Item {
    Item {
        key: key.to_owned(),
        created: at(created),
        tags: BTreeSet::new(),
        trigger: "manual".to_owned(),
        protected: Vec::new(),
        pair: None,
        bytes: Some(100),
    }
}

fn nothing() -> Policy {
    Policy {
        keep_last: None,
        ..Policy::points()
    }
}

fn lines(plan: &PrunePlan) -> Vec<String> {
    plan.decisions
        .iter()
        .map(|line| format!("{} {line}", line.key))
        .collect()
}

#[test]
fn the_defaults_are_twenty_points_and_ten_generations() {
    assert_eq!(Policy::default(), Policy::points());
    let items: Vec<Item> = (1..=25)
        .map(|n| item(&n.to_string(), "2026-11-01T00:00:00Z"))
        .collect();
    let points = plan(&items, &Policy::points(), now(), None).unwrap();
    assert_eq!(points.kept().count(), 20);
    let generations = plan(&items, &Policy::generations(), now(), None).unwrap();
    assert_eq!(
        generations.kept().collect::<Vec<_>>(),
        ["25", "24", "23", "22", "21", "20", "19", "18", "17", "16"],
        "equal times go by number, not by text"
    );
    assert_eq!(generations.removed().last(), Some("1"));
}

#[test]
fn every_line_says_why() {
    let mut items = vec![
        item("f", "2026-11-23T10:00:00Z"),
        item("e", "2026-11-23T09:00:00Z"),
        item("d", "2026-11-22T09:00:00Z"),
        item("c", "2026-11-20T23:59:59Z"),
        item("b", "2026-11-20T00:00:00Z"),
        item("a", "2026-01-01T00:00:00Z"),
    ];
    items[4].protected.push(Protection::Pinned);
    let policy = Policy {
        keep_last: Some(1),
        keep_daily: Some(3),
        ..nothing()
    };
    assert_eq!(
        lines(&plan(&items, &policy, now(), None).unwrap()),
        [
            "f kept: last 1 of 1; daily 1 of 3 (2026-11-23)",
            "e removed: beyond keep-last 1, keep-daily 3",
            "d kept: daily 2 of 3 (2026-11-22)",
            "c kept: daily 3 of 3 (2026-11-20)",
            "b kept: pinned",
            "a removed: beyond keep-last 1, keep-daily 3",
        ]
    );
}

#[test]
fn weeks_are_iso_weeks_and_the_oldest_stays_while_a_rule_has_places() {
    let items = [
        item("d", "2027-01-04T00:00:00Z"),
        item("c", "2027-01-03T23:00:00Z"),
        item("b", "2026-12-31T00:00:00Z"),
        item("a", "2026-12-28T00:00:00Z"),
    ];
    let policy = Policy {
        keep_weekly: Some(3),
        ..nothing()
    };
    assert_eq!(
        lines(&plan(&items, &policy, at("2027-02-01T00:00:00Z"), None).unwrap()),
        [
            "d kept: weekly 1 of 3 (2027-W01)",
            "c kept: weekly 2 of 3 (2026-W53)",
            "b removed: beyond keep-weekly 3",
            "a kept: oldest, weekly is not yet full",
        ]
    );
    let full = Policy {
        keep_weekly: Some(2),
        ..nothing()
    };
    let full = plan(&items, &full, at("2027-02-01T00:00:00Z"), None).unwrap();
    assert_eq!(full.kept().collect::<Vec<_>>(), ["d", "c"]);
}

#[test]
fn keep_within_counts_back_from_the_newest_item() {
    let items = [
        item("c", "2026-01-10T00:00:00Z"),
        item("b", "2026-01-08T00:00:01Z"),
        item("a", "2026-01-08T00:00:00Z"),
    ];
    let policy = Policy {
        keep_within: Some(Duration::days(2)),
        ..nothing()
    };
    let plan = plan(&items, &policy, now(), None).unwrap();
    assert_eq!(
        lines(&plan),
        [
            "c kept: within the time to keep",
            "b kept: within the time to keep",
            "a removed: beyond keep-within 2 d",
        ]
    );
}

#[test]
fn tags_match_any_entry_and_all_of_one_entry() {
    let mut items = ["d", "c", "b", "a"]
        .map(|key| item(key, "2026-01-10T00:00:00Z"))
        .to_vec();
    let tag = |item: &mut Item, tags: &[&str]| {
        item.tags = tags.iter().map(|tag| (*tag).to_owned()).collect();
    };
    tag(&mut items[1], &["x", "y"]);
    tag(&mut items[2], &["x"]);
    tag(&mut items[3], &["z"]);
    let policy = Policy {
        keep_tags: vec!["x,y".to_owned(), "z".to_owned()],
        ..nothing()
    };
    assert_eq!(
        lines(&plan(&items, &policy, now(), None).unwrap()),
        [
            "d kept: the newest",
            "c kept: tag x,y",
            "b removed: beyond keep-tag x,y, keep-tag z",
            "a kept: tag z",
        ]
    );
}

#[test]
fn a_policy_that_keeps_nothing_is_refused() {
    for policy in [
        nothing(),
        Policy {
            keep_last: Some(0),
            keep_daily: Some(0),
            ..nothing()
        },
        Policy {
            keep_within: Some(Duration::zero()),
            ..nothing()
        },
        Policy {
            keep_tags: vec![String::new()],
            ..nothing()
        },
    ] {
        let items = [item("a", "2026-01-10T00:00:00Z")];
        let refused = plan(&items, &policy, now(), None).unwrap_err();
        assert_eq!(refused, PruneError::EmptyPolicy { items: 1 });
    }
}

#[test]
fn triggers_with_rules_of_their_own_take_no_place_in_the_others() {
    let mut items = vec![
        item("h", "2026-11-23T10:00:00Z"),
        item("g", "2026-11-23T09:00:00Z"),
        item("f", "2026-11-23T08:00:00Z"),
        item("e", "2026-11-22T09:00:00Z"),
        item("d", "2026-11-22T08:00:00Z"),
        item("c", "2026-11-21T08:00:00Z"),
        item("b", "2026-11-20T08:00:00Z"),
        item("a", "2026-11-19T08:00:00Z"),
    ];
    for at in [1, 2, 3, 5, 6] {
        items[at].trigger = "schedule:daily".to_owned();
    }
    items[6].protected.push(Protection::Pinned);
    items[5].pair = Some("a".to_owned());
    items[7].tags.insert("old".to_owned());
    let common = Policy {
        keep_last: Some(1),
        keep_tags: vec!["old".to_owned()],
        ..nothing()
    };
    let daily = Policy {
        keep_daily: Some(2),
        ..nothing()
    };
    let own = BTreeMap::from([("schedule:daily".to_owned(), daily)]);
    assert_eq!(
        lines(&plan_by_trigger(&items, &common, &own, now(), None).unwrap()),
        [
            "h kept: last 1 of 1",
            "g kept: daily 1 of 2 (2026-11-23)",
            "f removed: beyond keep-daily 2",
            "e kept: daily 2 of 2 (2026-11-22)",
            "d removed: beyond keep-last 1, keep-tag old",
            "c kept: half of a pair with a",
            "b kept: pinned",
            "a kept: tag old",
        ]
    );
    // Rules that keep nothing are refused, though nothing goes by them yet.
    let own = BTreeMap::from([("boot".to_owned(), nothing())]);
    let refused = plan_by_trigger(&items, &common, &own, now(), None).unwrap_err();
    assert_eq!(refused, PruneError::EmptyPolicy { items: 0 });
}

#[test]
fn two_items_of_one_key_are_refused() {
    let items = [
        item("a", "2026-01-10T00:00:00Z"),
        item("a", "2026-01-11T00:00:00Z"),
    ];
    let refused = plan(&items, &Policy::points(), now(), None).unwrap_err();
    assert_eq!(
        refused,
        PruneError::DuplicateKey {
            key: "a".to_owned()
        }
    );
}

#[test]
fn the_future_stays_takes_no_place_and_ends() {
    let items = [
        item("c", "2099-01-01T00:00:00Z"),
        item("b", "2026-11-22T00:00:00Z"),
        item("a", "2026-11-21T00:00:00Z"),
    ];
    let policy = Policy {
        keep_last: Some(1),
        ..nothing()
    };
    assert_eq!(
        lines(&plan(&items, &policy, now(), None).unwrap()),
        [
            "c kept: dated in the future (2099-01-01 00:00 UTC), counted as now",
            "b kept: last 1 of 1",
            "a removed: beyond keep-last 1",
        ]
    );
    let mut later = items.to_vec();
    later.push(item("d", "2099-01-02T00:00:00Z"));
    let later = plan(&later, &policy, at("2099-01-03T00:00:00Z"), None).unwrap();
    assert_eq!(
        later.kept().collect::<Vec<_>>(),
        ["d"],
        "once its date has passed it ages"
    );
}

#[test]
fn the_young_stay() {
    let items = [
        item("c", "2026-11-23T11:59:00Z"),
        item("b", "2026-11-23T11:00:01Z"),
        item("a", "2026-11-23T11:00:00Z"),
    ];
    let policy = Policy {
        keep_last: Some(1),
        min_age: Duration::hours(1),
        ..nothing()
    };
    let plan = plan(&items, &policy, now(), None).unwrap();
    assert_eq!(
        lines(&plan)[1..],
        [
            "b kept: younger than the minimum age",
            "a removed: beyond keep-last 1"
        ]
    );
}

#[test]
fn a_pair_goes_or_stays_as_one() {
    let mut items = vec![
        item("e", "2026-11-05T00:00:00Z"),
        item("d", "2026-11-04T00:00:00Z"),
        item("c", "2026-11-03T00:00:00Z"),
        item("b", "2026-11-02T00:00:00Z"),
        item("a", "2026-11-01T00:00:00Z"),
    ];
    items[1].pair = Some("e".to_owned());
    items[2].pair = Some("b".to_owned());
    items[4].pair = Some("gone".to_owned());
    let policy = Policy {
        keep_last: Some(1),
        ..nothing()
    };
    assert_eq!(
        lines(&plan(&items, &policy, now(), None).unwrap()),
        [
            "e kept: last 1 of 1",
            "d kept: half of a pair with e",
            "c removed: beyond keep-last 1",
            "b removed: beyond keep-last 1",
            "a removed: beyond keep-last 1",
        ]
    );
    items[3].protected.push(Protection::LatestGood);
    let kept = plan(&items, &policy, now(), None).unwrap();
    assert_eq!(kept.kept().collect::<Vec<_>>(), ["e", "d", "c", "b"]);
}

#[test]
fn the_floor_takes_the_oldest_that_help_and_says_what_is_missing() {
    let mut items: Vec<Item> = (1..=6)
        .map(|day| item(&format!("p{day}"), &format!("2026-11-0{day}T00:00:00Z")))
        .collect();
    items[0].protected.push(Protection::Booted);
    items[2].bytes = None;
    items[3].pair = Some("p5".to_owned());
    let policy = Policy {
        keep_last: Some(6),
        ..nothing()
    };
    let unknown = |_: &str| None;
    let floor = |wanted_bytes| Floor {
        free_bytes: 0,
        wanted_bytes,
        min_keep: 1,
        freeable: &unknown,
    };

    let one = plan(&items, &policy, now(), Some(&floor(100))).unwrap();
    assert_eq!(one.removed().collect::<Vec<_>>(), ["p2"]);
    assert_eq!(one.missing_bytes, 0);
    assert_eq!(lines(&one)[4], "p2 removed: to free space (100 B missing)");

    let pair = plan(&items, &policy, now(), Some(&floor(101))).unwrap();
    assert_eq!(
        pair.removed().collect::<Vec<_>>(),
        ["p5", "p4", "p2"],
        "p3 frees nothing known"
    );

    let all = plan(&items, &policy, now(), Some(&floor(1_000))).unwrap();
    assert_eq!(all.kept().collect::<Vec<_>>(), ["p6", "p3", "p1"]);
    assert_eq!(all.missing_bytes, 700);

    let half = Floor {
        min_keep: 2,
        ..floor(1_000)
    };
    let half = plan(&items, &policy, now(), Some(&half)).unwrap();
    assert_eq!(
        half.removed().collect::<Vec<_>>(),
        ["p2"],
        "p5 is safe, and so p4"
    );
}

#[test]
fn what_the_rules_remove_counts_towards_the_floor() {
    let items: Vec<Item> = (1..=4)
        .map(|day| item(&format!("p{day}"), &format!("2026-11-0{day}T00:00:00Z")))
        .collect();
    let policy = Policy {
        keep_last: Some(2),
        ..nothing()
    };
    let known = |_: &str| Some(40);
    let floor = Floor {
        free_bytes: 20,
        wanted_bytes: 100,
        min_keep: 1,
        freeable: &known,
    };
    let plan = plan(&items, &policy, now(), Some(&floor)).unwrap();
    assert_eq!(
        plan.kept().count(),
        2,
        "20 free and 2 × 40 freed are enough"
    );
}

#[test]
fn durations_read_as_restic_writes_them() {
    for (text, hours) in [
        ("1y2m3w4d5h", 366 * 24 + 62 * 24 + 21 * 24 + 96 + 5),
        ("5h1y", 366 * 24 + 5),
        ("30d", 720),
        ("0h", 0),
    ] {
        assert_eq!(parse_duration(text), Ok(Duration::hours(hours)), "{text}");
    }
}

#[test]
fn bad_durations_say_where_and_what() {
    for (text, message) in [
        ("", "an empty duration; write for example 30d, 2w or 1y6m"),
        (
            "-1d",
            "in the duration \"-1d\": expected a digit at character 1, found '-'",
        ),
        (
            "1dd",
            "in the duration \"1dd\": expected a digit at character 3, found 'd'",
        ),
        (
            "1d 2h",
            "in the duration \"1d 2h\": expected a digit at character 3, found ' '",
        ),
        (
            "3d12",
            "in the duration \"3d12\": 12 has no unit; add y, m, w, d or h",
        ),
        (
            "5min",
            "in the duration \"5min\": expected a digit at character 3, found 'i'",
        ),
        (
            "5s",
            "in the duration \"5s\": unknown unit 's' at character 2; use y (years), m (months), \
             w (weeks), d (days) or h (hours)",
        ),
        ("1d2d", "in the duration \"1d2d\": the unit d occurs twice"),
        (
            "9999999999999999999h",
            "the duration \"9999999999999999999h\" is too long",
        ),
        (
            "999999999999999999y",
            "the duration \"999999999999999999y\" is too long",
        ),
        (
            "9999999999999999h",
            "the duration \"9999999999999999h\" is too long",
        ),
    ] {
        assert_eq!(
            parse_duration(text).unwrap_err().to_string(),
            message,
            "{text}"
        );
    }
}

const PROTECTIONS: [Protection; 9] = [
    Protection::Pinned,
    Protection::Booted,
    Protection::Current,
    Protection::Default,
    Protection::ProfileCurrent,
    Protection::LatestGood,
    Protection::PairHalf,
    Protection::OnlyPoint,
    Protection::Running,
];

/// Up to 40 items around `now`, crowded in time, some from the future.
fn items() -> impl Strategy<Value = Vec<Item>> {
    let one = (
        prop_oneof![-3i64..200, 0i64..20_000],
        prop::collection::btree_set("[abc]", 0..3),
        prop::option::weighted(0.1, 0usize..PROTECTIONS.len()),
        prop::option::weighted(0.3, 0usize..40),
        prop::option::of(0u64..1_000),
    );
    prop::collection::vec(one, 0..40).prop_map(|rows| {
        rows.into_iter()
            .enumerate()
            .map(|(number, (hours, tags, protection, pair, bytes))| Item {
                key: format!("{number:02}"),
                created: now() - TimeDelta::hours(hours),
                tags,
                trigger: String::new(),
                protected: protection
                    .map(|which| PROTECTIONS[which])
                    .into_iter()
                    .collect(),
                pair: pair.map(|partner| format!("{partner:02}")),
                bytes,
            })
            .collect()
    })
}

fn policy() -> impl Strategy<Value = Policy> {
    let count = || prop::option::of(0u32..12);
    (
        [count(), count(), count(), count(), count(), count()],
        prop::option::of(0i64..400),
        prop::collection::vec("[abc](,[abc])?", 0..2),
        0i64..48,
    )
        .prop_map(|(counts, within, keep_tags, age)| Policy {
            keep_last: counts[0],
            keep_hourly: counts[1],
            keep_daily: counts[2],
            keep_weekly: counts[3],
            keep_monthly: counts[4],
            keep_yearly: counts[5],
            keep_within: within.map(Duration::hours),
            keep_tags,
            min_age: Duration::hours(age),
        })
        .prop_filter("keeps something", |policy| !rules::names(policy).is_empty())
}

fn floor(wanted: Option<u64>, run: impl FnOnce(Option<&Floor<'_>>)) {
    let unknown = |_: &str| None;
    let floor = wanted.map(|wanted_bytes| Floor {
        free_bytes: 0,
        wanted_bytes,
        min_keep: 3,
        freeable: &unknown,
    });
    run(floor.as_ref());
}

fn removed(items: &[Item], policy: &Policy) -> BTreeSet<String> {
    plan(items, policy, now(), None)
        .unwrap()
        .removed()
        .map(str::to_owned)
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn never_removes_what_must_stay(
        items in items(), policy in policy(), wanted in prop::option::of(0u64..20_000),
    ) {
        let mut made = None;
        floor(wanted, |floor| made = Some(plan(&items, &policy, now(), floor).unwrap()));
        let made = made.unwrap();
        let removed: BTreeSet<&str> = made.removed().collect();
        prop_assert_eq!(made.decisions.len(), items.len());
        for item in &items {
            if removed.contains(item.key.as_str()) {
                prop_assert!(item.protected.is_empty(), "{} is protected", item.key);
                prop_assert!(item.created <= now(), "{} is from the future", item.key);
                prop_assert!(now() - item.created >= policy.min_age, "{} is young", item.key);
            }
            if let Some(partner) = &item.pair
                && items.iter().any(|other| other.key == *partner)
            {
                prop_assert_eq!(
                    removed.contains(item.key.as_str()),
                    removed.contains(partner.as_str()),
                    "half of the pair {} {}", item.key, partner
                );
            }
        }
        for line in &made.decisions {
            prop_assert!(!line.reasons.is_empty());
            let goes = line.reasons.iter().any(|reason| {
                matches!(reason, Reason::Beyond { .. } | Reason::ForSpace { .. })
            });
            prop_assert_eq!(goes, !line.keep, "{}", line);
        }
        let last = if wanted.is_some() { 3 } else { policy.keep_last.unwrap_or(0).max(1) };
        let least = items.len().min(usize::try_from(last).unwrap());
        if wanted.is_none() {
            prop_assert!(made.kept().count() >= least);
        } else {
            let rules = plan(&items, &policy, now(), None).unwrap();
            prop_assert!(made.kept().count() >= rules.kept().count().min(least));
        }
    }

    #[test]
    fn planning_again_removes_nothing(
        items in items(), policy in policy(), wanted in prop::option::of(0u64..20_000),
    ) {
        let mut kept = None;
        let mut free = 0;
        floor(wanted, |floor| {
            let first = plan(&items, &policy, now(), floor).unwrap();
            let removed: BTreeSet<&str> = first.removed().collect();
            let (gone, stays): (Vec<Item>, Vec<Item>) = items
                .iter().cloned().partition(|item| removed.contains(item.key.as_str()));
            free = gone.iter().filter_map(|item| item.bytes).sum();
            kept = Some(stays);
        });
        let kept = kept.unwrap();
        floor(wanted, |again| {
            let again = again.map(|floor| Floor { free_bytes: free, ..*floor });
            let again = plan(&kept, &policy, now(), again.as_ref()).unwrap();
            assert_eq!(again.removed().collect::<Vec<_>>(), Vec::<&str>::new());
        });
    }

    #[test]
    fn each_trigger_goes_by_its_own_rules_alone(
        mut items in items(), common in policy(), daily in policy(),
        which in prop::collection::vec(any::<bool>(), 40),
    ) {
        for (item, own) in items.iter_mut().zip(which) {
            item.pair = None;
            item.trigger = if own { "schedule:daily" } else { "manual" }.to_owned();
        }
        let own = BTreeMap::from([("schedule:daily".to_owned(), daily.clone())]);
        let both = plan_by_trigger(&items, &common, &own, now(), None).unwrap();
        let mut alone = BTreeMap::new();
        for (trigger, policy) in [("manual", &common), ("schedule:daily", &daily)] {
            let some: Vec<Item> =
                items.iter().filter(|item| item.trigger == trigger).cloned().collect();
            for line in plan(&some, policy, now(), None).unwrap().decisions {
                alone.insert(line.key.clone(), line);
            }
        }
        for line in both.decisions {
            let other = &alone[&line.key];
            // The newest of a trigger stays by its rules, or as the newest of all.
            if other.reasons == [Reason::Newest] {
                continue;
            }
            prop_assert_eq!(&line, other);
        }
    }

    #[test]
    fn the_order_of_input_does_not_matter(
        (items, shuffled) in items().prop_flat_map(|items| {
            (Just(items.clone()), Just(items).prop_shuffle())
        }),
        policy in policy(),
    ) {
        let first = plan(&items, &policy, now(), None).unwrap();
        let second = plan(&shuffled, &policy, now(), None).unwrap();
        let keys = |plan: &PrunePlan| {
            plan.decisions.iter().map(|line| (line.key.clone(), line.keep)).collect::<Vec<_>>()
        };
        prop_assert_eq!(keys(&first), keys(&second));
        prop_assert_eq!(first, second);
    }

    #[test]
    fn more_rules_never_remove_more(items in items(), small in policy(), more in policy()) {
        let most = |a: Option<u32>, b: Option<u32>| a.max(b);
        let mut tags = small.keep_tags.clone();
        tags.extend(more.keep_tags.clone());
        let large = Policy {
            keep_last: most(small.keep_last, more.keep_last),
            keep_hourly: most(small.keep_hourly, more.keep_hourly),
            keep_daily: most(small.keep_daily, more.keep_daily),
            keep_weekly: most(small.keep_weekly, more.keep_weekly),
            keep_monthly: most(small.keep_monthly, more.keep_monthly),
            keep_yearly: most(small.keep_yearly, more.keep_yearly),
            keep_within: small.keep_within.max(more.keep_within),
            keep_tags: tags,
            min_age: small.min_age,
        };
        let few = removed(&items, &large);
        let many = removed(&items, &small);
        prop_assert!(few.is_subset(&many), "{few:?} is not within {many:?}");
    }
}
