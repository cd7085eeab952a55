use super::*;
use proptest::prelude::*;

const PATH: &str = "/nix/store/00bgd045z0d4icpbc2yyz4gx48ak44la-net-tools-1.60_p20170221182432";

#[test]
fn reads_and_prints() {
    let path: StorePath = PATH.parse().unwrap();
    assert_eq!(path.name(), "net-tools-1.60_p20170221182432");
    assert_eq!(
        path.name_and_version(),
        ("net-tools", "1.60_p20170221182432")
    );
    assert_eq!(path.to_absolute_path(), PATH);
    assert_eq!(path.to_string(), &PATH[11..]);
    assert_eq!(path.to_string().parse::<StorePath>().unwrap(), path);
    assert_eq!(
        hex::encode(path.digest()),
        "8a12321522fd91efbd60ebb2481af88580f61600" // as in nix-compat's tests
    );
    assert_eq!(serde_json::to_string(&path).unwrap(), format!("{PATH:?}"));
    assert_eq!(
        serde_json::from_str::<StorePath>(&format!("{PATH:?}")).unwrap(),
        path
    );
    assert!(serde_json::from_str::<StorePath>(&format!("{:?}", &PATH[11..])).is_err());
}

#[test]
fn sub_paths() {
    let full = |rest: &str| StorePath::from_absolute_path_full(format!("{PATH}{rest}").as_bytes());
    for (rest, sub) in [
        ("", ""),
        ("/", ""),
        ("/bin/arp", "bin/arp"),
        ("//bin/./arp/", "bin/arp"),
        ("/...", "..."),
    ] {
        let (path, found) = full(rest).unwrap();
        assert_eq!(
            (path.to_absolute_path().as_str(), found.as_path()),
            (PATH, Path::new(sub))
        );
    }
    assert!(matches!(
        full("/bin/../../x"),
        Err(Error::ParentComponent { .. })
    ));
    assert!(matches!(full("x/y"), Ok((path, _)) if path.name().ends_with("432x")));
    assert!(matches!(
        StorePath::from_absolute_path(format!("{PATH}/").as_bytes()),
        Err(Error::TrailingPath { .. })
    ));
    assert!(matches!(
        StorePath::from_path_full(Path::new("/nix/storefront/x")),
        Err(Error::NotInStore { .. })
    ));
}

#[test]
fn names() {
    let digest = [7; DIGEST_SIZE];
    let make = |name: &str| StorePath::from_name_and_digest(name, digest);
    let longest = "a".repeat(MAX_NAME_LEN);
    for good in [
        "a",
        ".a",
        "..a",
        "...",
        "...-a",
        ".a-b",
        "a+b-c.d_e?f=g",
        "A9",
        "-",
        &longest,
    ] {
        let path = make(good).unwrap();
        assert_eq!(
            StorePath::from_bytes(path.to_string().as_bytes()).unwrap(),
            path,
            "{good}"
        );
    }
    let problem = |name: &str| match make(name) {
        Err(Error::InvalidName { reason, .. }) => reason,
        other => panic!("{name:?}: {other:?}"),
    };
    assert_eq!(problem(""), NameProblem::Empty);
    assert_eq!(problem(&format!("{longest}a")), NameProblem::TooLong(212));
    for dots in [".", "..", ".-", "..-", ".-a", "..-a"] {
        assert_eq!(problem(dots), NameProblem::DotComponent, "{dots}");
    }
    assert_eq!(
        problem("a b"),
        NameProblem::Character {
            offset: 1,
            byte: b' '
        }
    );
    assert_eq!(
        problem("ab/"),
        NameProblem::Character {
            offset: 2,
            byte: b'/'
        }
    );
    assert_eq!(
        problem("é"),
        NameProblem::Character {
            offset: 0,
            byte: 0xc3
        }
    );
    assert_eq!(
        problem("a\0"),
        NameProblem::Character { offset: 1, byte: 0 }
    );
}

#[test]
fn digests() {
    let dash = StorePath::from_bytes(b"00bgd045z0d4icpbc2yyz4gx48ak44l-net-tools");
    assert!(matches!(dash, Err(Error::MissingDash { .. })));
    assert!(matches!(
        StorePath::from_bytes(b""),
        Err(Error::MissingDash { .. })
    ));
    let letter = StorePath::from_bytes(b"00bgd045z0d4icpbc2yyz4gx48ak44lE-net-tools");
    assert!(matches!(letter, Err(Error::InvalidDigest { .. })));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn round_trip(digest in any::<[u8; 20]>(), name in "[a-zA-Z0-9+._?=-]{1,211}") {
        if let Ok(path) = StorePath::from_name_and_digest(&name, digest) {
            let text = path.to_absolute_path();
            prop_assert_eq!(StorePath::from_absolute_path(text.as_bytes()).unwrap(), path.clone());
            prop_assert_eq!(path.as_ref().to_owned(), path);
        } else {
            prop_assert!(name.starts_with('.'));
        }
    }

    #[test]
    fn sorts_as_text(a in any::<[u8; 20]>(), b in any::<[u8; 20]>(), same in any::<bool>()) {
        let b = if same { a } else { b };
        let a = StorePath::from_name_and_digest("a-b", a).unwrap();
        let b = StorePath::from_name_and_digest("a", b).unwrap();
        prop_assert_eq!(a.cmp(&b), a.to_string().cmp(&b.to_string()));
    }

    #[test]
    fn hostile(tail in prop::collection::vec(any::<u8>(), 0..60), keep in 0..PATH.len()) {
        let mut bytes = PATH.as_bytes()[..keep].to_vec();
        bytes.extend(tail);
        if let Ok(path) = StorePath::from_absolute_path(&bytes) {
            prop_assert_eq!(path.to_absolute_path().into_bytes(), bytes.clone());
        }
        if let Ok((path, sub)) = StorePath::from_absolute_path_full(&bytes) {
            prop_assert!(bytes.starts_with(path.to_absolute_path().as_bytes()));
            prop_assert!(sub.components().all(|c| matches!(c, Component::Normal(_))));
        }
        let _ = StorePath::from_bytes(&bytes);
    }
}
