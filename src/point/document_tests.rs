use super::*;
use proptest::prelude::*;

fn toplevel(n: u8) -> StorePath {
    let text = format!("/nix/store/{}-nixos-system-demo-{n}", "0".repeat(32));
    StorePath::from_absolute_path(text.as_bytes()).unwrap()
}

fn sample() -> Point {
    Point {
        version: VERSION,
        id: "0192f0c1-0000-7000-8000-000000000001".parse().unwrap(),
        created: "2026-11-23T07:00:00Z".parse().unwrap(),
        host: "demo".into(),
        machine_id: None,
        reason: "before the upgrade".into(),
        description: None,
        trigger: Trigger::Schedule("daily".into()),
        tags: ["a".to_owned()].into(),
        userdata: [("k".to_owned(), "v".to_owned())].into(),
        system: System {
            profile: Some(ProfileFact {
                name: "system".into(),
                generation: 7,
                toplevel: toplevel(2),
            }),
            current: Some(toplevel(1)),
            ..System::default()
        },
        health: None,
        issues: vec![],
        config: Some(Config {
            roots: vec![ConfigRoot {
                path: "/etc/nixos".into(),
                kind: RootKind::Directory,
                git: None,
            }],
            ..Config::default()
        }),
        state: BTreeMap::new(),
        markers: vec![Marker {
            path: "/var/lib/postgresql/16/PG_VERSION".into(),
            says: "16".to_owned(),
        }],
        pins: vec![],
        known_good: false,
        completeness: Completeness::Complete,
        imported: None,
    }
}

#[test]
fn a_document_survives_its_text() {
    let point = sample();
    assert_eq!(
        Point::parse(&point.to_json().unwrap(), point.id).unwrap(),
        point
    );
}

#[test]
fn health_and_issues_survive_and_a_document_without_them_is_read() {
    let mut point = sample();
    let old = String::from_utf8(point.to_json().unwrap()).unwrap();
    // As releases before health wrote it.
    assert!(
        !old.contains("\"health\"") && old.contains("\"issues\": []"),
        "{old}"
    );
    assert_eq!(Point::parse(old.as_bytes(), point.id).unwrap(), point);
    point.health = Some(Health {
        score: 49,
        checks: vec![crate::point::Verdict {
            name: "disk".into(),
            of: Some("/nix".into()),
            required: true,
            status: crate::point::Status::Failing,
            value: crate::point::health::Value::new(99.25, crate::point::health::Unit::Percent),
            detail: "1.0 GiB of 134.0 GiB free".into(),
            subjects: vec![],
        }],
    });
    point.issues = vec![Issue::DiskFull("/nix".into()), Issue::CpuHigh];
    let text = point.to_json().unwrap();
    assert_eq!(Point::parse(&text, point.id).unwrap(), point);
    // A later release may know issues that this one does not.
    let later = String::from_utf8(text)
        .unwrap()
        .replace("cpu-high", "cpu-odd");
    let read = Point::parse(later.as_bytes(), point.id).unwrap();
    assert_eq!(read.issues[1].kind(), "cpu-odd");
}

#[test]
fn a_state_set_of_the_first_release_is_still_read() {
    let old = r#"{"snapshot": "ab", "bytes": 3, "consistency": "none"}"#;
    let set: StateSet = serde_json::from_str(old).unwrap();
    assert_eq!((set.snapshot(), set.bytes), (Some("ab"), 3));
    assert_eq!(set.roots, []);
    assert_eq!(StateSet::default().snapshot(), None);
}

#[test]
fn during_a_switch_the_profile_has_already_moved() {
    let mut system = sample().system;
    assert_eq!(system.boot_target(), Some(&toplevel(2)));
    assert_eq!(system.run_target(), Some(&toplevel(1)));
    system.incoming = Some(Incoming {
        toplevel: toplevel(2),
        action: "switch".into(),
        specialisation: None,
    });
    assert_eq!(system.boot_target(), Some(&toplevel(1)));
    // What the loader still starts was the boot default, whatever ran.
    system.loader_default = Some(toplevel(3));
    assert_eq!(system.boot_target(), Some(&toplevel(3)));
    system.loader_default = Some(toplevel(2));
    assert_eq!(system.boot_target(), Some(&toplevel(1)));
    // `test` moves no profile, nor does a switch to another profile's system.
    for (to, action) in [(2, "test"), (4, "switch")] {
        system.incoming = Some(Incoming {
            toplevel: toplevel(to),
            action: action.into(),
            specialisation: None,
        });
        assert_eq!(system.boot_target(), Some(&toplevel(2)));
    }
    system.loader_default = None;
    system.current = None;
    system.incoming = None;
    assert_eq!(
        (system.boot_target(), system.run_target()),
        (Some(&toplevel(2)), None)
    );
}

#[test]
fn with_specialisations_the_generation_is_what_boots() {
    let mut system = sample().system;
    let of = |parent| {
        Some(Specialisation {
            name: "safe".into(),
            parent: toplevel(parent),
        })
    };
    // From 1 into a specialisation of 2, which the profile points to already.
    system.incoming = Some(Incoming {
        toplevel: toplevel(9),
        action: "switch".into(),
        specialisation: of(2),
    });
    assert_eq!(system.boot_target(), Some(&toplevel(1)));
    system.loader_default = Some(toplevel(2));
    assert_eq!(system.boot_target(), Some(&toplevel(1)));
    // From one specialisation of 2 to another: the loader never followed.
    system.current = Some(toplevel(8));
    system.specialisation = of(2);
    system.loader_default = Some(toplevel(1));
    assert_eq!(system.boot_target(), Some(&toplevel(2)));
    // From a specialisation of 3 to 2.
    system.specialisation = of(3);
    system.incoming = Some(Incoming {
        toplevel: toplevel(2),
        action: "switch".into(),
        specialisation: None,
    });
    assert_eq!(system.boot_target(), Some(&toplevel(3)));
}

#[test]
fn empty_truncated_newer_and_swapped_documents_are_told_apart() {
    let point = sample();
    let text = point.to_json().unwrap();
    assert!(matches!(
        Point::parse(b"", point.id),
        Err(DocumentError::Empty)
    ));
    for cut in 1..text.len() - 2 {
        assert!(
            Point::parse(&text[..cut], point.id).is_err(),
            "cut at {cut} was taken"
        );
    }
    let newer = r#"{"version": 9, "shape": "unknown"}"#;
    assert!(matches!(
        Point::parse(newer.as_bytes(), point.id),
        Err(DocumentError::Version { found: 9 })
    ));
    let other = "0192f0c1-0000-7000-8000-000000000002".parse().unwrap();
    assert!(matches!(
        Point::parse(&text, other),
        Err(DocumentError::WrongId { .. })
    ));
    let huge = vec![b' '; MAX_BYTES + 1];
    assert!(matches!(
        Point::parse(&huge, point.id),
        Err(DocumentError::TooLarge(_))
    ));
    let deep = "[".repeat(100_000);
    assert!(Point::parse(deep.as_bytes(), point.id).is_err());
}

#[test]
fn triggers_have_one_spelling() {
    for text in [
        "manual",
        "schedule:nightly-2",
        "pre-switch",
        "boot",
        "pre-heal",
        "pre-restore",
        "try",
    ] {
        assert_eq!(text.parse::<Trigger>().unwrap().to_string(), text);
    }
    for text in [
        "",
        "schedule:",
        "schedule:a/b",
        "schedule:a b",
        "Manual",
        "pre-switch\n",
    ] {
        assert!(text.parse::<Trigger>().is_err(), "{text:?} was taken");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn any_bytes_are_a_document_or_a_clean_error(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        prop_assert!(Point::parse(&bytes, sample().id).is_err());
    }

    #[test]
    fn a_damaged_document_is_whole_or_refused(at in 0usize..2000, byte in any::<u8>()) {
        let point = sample();
        let mut text = point.to_json().unwrap();
        let at = at % text.len();
        text[at] = byte;
        // Whatever is taken must say again exactly what it was read as.
        if let Ok(read) = Point::parse(&text, point.id) {
            prop_assert_eq!(Point::parse(&read.to_json().unwrap(), point.id).unwrap(), read);
        }
    }

    #[test]
    fn hostile_words_survive(reason in "\\PC{0,60}", key in any::<String>(), value in any::<String>()) {
        let mut point = sample();
        point.reason = reason;
        point.userdata.insert(key, value);
        prop_assert_eq!(Point::parse(&point.to_json().unwrap(), point.id).unwrap(), point);
    }
}
