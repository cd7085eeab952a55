use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use proptest::prelude::*;

use super::*;

fn node(path: &str, kind: Kind) -> Node {
    let mode = if kind == Kind::Dir { 0o755 } else { 0o644 };
    Node {
        path: path.into(),
        kind,
        mode,
        uid: 0,
        gid: 0,
        xattrs: BTreeMap::new(),
    }
}

fn file(path: &str, digest: u8) -> Node {
    node(
        path,
        Kind::File {
            size: 1,
            digest: [digest; 32],
        },
    )
}

fn dir(path: &str) -> Node {
    node(path, Kind::Dir)
}

fn tree(nodes: &[Node]) -> Tree {
    Tree::new(nodes.to_vec()).unwrap()
}

fn brief(actions: &Actions) -> Vec<String> {
    let word = |action: &Action| match action {
        Action::Remove(_) => "rm",
        Action::RemoveDir(_) => "rmdir",
        Action::CreateDir(_) => "mkdir",
        Action::Write(_) => "write",
        Action::SetMeta(_) => "meta",
        Action::SetDirMeta(_) => "dirmeta",
    };
    actions
        .steps
        .iter()
        .map(|step| format!("{} {}", word(step), step.path().display()))
        .collect()
}

#[test]
fn a_listing_is_checked() {
    for path in [
        "", "/a", "../a", "a/../b", ".", "./a", "a/.", "a//b", "a/", "a\0",
    ] {
        assert_eq!(
            Tree::new([file(path, 1)]).unwrap_err(),
            TreeError::NotRelative { path: path.into() },
            "{path:?}"
        );
    }
    assert_eq!(
        Tree::new([file("a", 1), file("a", 2)]).unwrap_err(),
        TreeError::Twice { path: "a".into() }
    );
    for nodes in [vec![file("a/b", 1)], vec![file("a/b", 1), file("a", 1)]] {
        assert_eq!(
            Tree::new(nodes).unwrap_err(),
            TreeError::NoParent { path: "a/b".into() }
        );
    }
    let raw = PathBuf::from(OsStr::from_bytes(b"\xff"));
    assert!(
        Tree::new([Node {
            path: raw,
            ..file("a", 1)
        }])
        .is_ok()
    );
}

#[test]
fn below_goes_by_component() {
    let tree = tree(&[dir("a"), file("a/b", 1), file("a-c", 1), file("ab", 1)]);
    let below: Vec<&Path> = tree
        .below(Path::new("a"))
        .map(|node| node.path.as_path())
        .collect();
    assert_eq!(below, [Path::new("a/b")]);
}

#[test]
fn every_kind_of_change_is_told() {
    let then = tree(&[
        file("content", 1),
        file("gone", 1),
        dir("mode"),
        file("owner", 1),
        file("same", 1),
        node("swap", Kind::Symlink("x".into())),
        node("pipe", Kind::Other("fifo".into())),
    ]);
    let now = tree(&[
        file("content", 2),
        file("new", 1),
        Node {
            mode: 0o040700,
            ..dir("mode")
        },
        Node {
            gid: 5,
            xattrs: BTreeMap::from([(b"user.a".to_vec(), vec![1])]),
            ..file("owner", 1)
        },
        Node {
            mode: 0o100644,
            ..file("same", 1)
        },
        dir("swap"),
        node("pipe", Kind::Other("socket".into())),
    ]);
    let told = compare(&then, &now, &Scope::all());
    let told: Vec<(&str, What)> = told
        .iter()
        .map(|change| (change.path.to_str().unwrap(), change.what))
        .collect();
    let none = Modified::default();
    assert_eq!(
        told,
        [
            (
                "content",
                What::Modified(Modified {
                    content: true,
                    ..none
                })
            ),
            ("gone", What::Removed),
            ("mode", What::Modified(Modified { mode: true, ..none })),
            ("new", What::Added),
            (
                "owner",
                What::Modified(Modified {
                    owner: true,
                    xattrs: true,
                    ..none
                })
            ),
            (
                "pipe",
                What::TypeChanged {
                    from: Type::Other,
                    to: Type::Other
                }
            ),
            (
                "swap",
                What::TypeChanged {
                    from: Type::Symlink,
                    to: Type::Dir
                }
            ),
        ]
    );
    assert_eq!(
        Modified {
            content: true,
            owner: true,
            ..none
        }
        .to_string(),
        "content, owner"
    );
}

#[test]
fn the_mode_of_a_symlink_does_not_count() {
    let link = node("l", Kind::Symlink("x".into()));
    let other = Node {
        mode: 0o777,
        ..link.clone()
    };
    assert_eq!(compare(&tree(&[link]), &tree(&[other]), &Scope::all()), []);
}

#[test]
fn steps_come_in_a_safe_order() {
    let now = tree(&[
        dir("old"),
        dir("old/sub"),
        file("old/sub/f", 1),
        dir("becomes-file"),
        file("becomes-file/x", 1),
        file("becomes-dir", 1),
        file("keep", 1),
        dir("open"),
    ]);
    let wanted = tree(&[
        file("becomes-file", 1),
        dir("becomes-dir"),
        dir("becomes-dir/deep"),
        file("becomes-dir/deep/y", 1),
        Node {
            mode: 0o600,
            ..file("keep", 1)
        },
        Node {
            mode: 0o500,
            ..dir("open")
        },
        node("open/link", Kind::Symlink("../keep".into())),
    ]);
    assert_eq!(
        brief(&actions(&now, &wanted, &Scope::all(), false).unwrap()),
        [
            "rm becomes-dir",
            "rm becomes-file/x",
            "rm old/sub/f",
            "rmdir old/sub",
            "rmdir becomes-file",
            "rmdir old",
            "mkdir becomes-dir",
            "mkdir becomes-dir/deep",
            "write becomes-dir/deep/y",
            "write becomes-file",
            "meta keep",
            "write open/link",
            "dirmeta becomes-dir/deep",
            "dirmeta becomes-dir",
            "dirmeta open",
        ]
    );
}

#[test]
fn a_scope_goes_by_component_and_must_exist() {
    let now = tree(&[
        dir("etc"),
        dir("etc/nix"),
        file("etc/nix/a", 1),
        dir("etc/nixos"),
    ]);
    let wanted = tree(&[dir("etc"), dir("etc/nixos"), file("etc/nixos/a", 1)]);
    let scope = |path: &str| Scope::new(&[path.into()], &now, &wanted);
    let only = scope("./etc/nix/").unwrap();
    assert_eq!(
        brief(&actions(&now, &wanted, &only, false).unwrap()),
        ["rm etc/nix/a", "rmdir etc/nix"]
    );
    assert_eq!(
        scope("etc/ni").unwrap_err(),
        ScopeError::Nowhere {
            path: "etc/ni".into()
        }
    );
    for path in ["/etc", "etc/.."] {
        assert_eq!(
            scope(path).unwrap_err(),
            ScopeError::NotRelative { path: path.into() }
        );
    }
    assert_eq!(
        compare(&now, &wanted, &scope(".").unwrap()),
        compare(&now, &wanted, &Scope::all())
    );
    assert_eq!(Scope::new(&[], &now, &wanted), Ok(Scope::all()));
}

#[test]
fn what_is_needed_above_the_scope_is_named_apart() {
    let wanted = tree(&[dir("a"), dir("a/b"), file("a/b/c", 1), file("a/d", 1)]);
    let empty = Tree::default();
    let scope = Scope::new(&["a/b/c".into()], &empty, &wanted).unwrap();
    let plan = actions(&empty, &wanted, &scope, false).unwrap();
    assert_eq!(plan.parents, [dir("a"), dir("a/b")]);
    assert_eq!(brief(&plan), ["write a/b/c"]);

    let blocked = tree(&[file("a", 1)]);
    assert_eq!(
        actions(&blocked, &wanted, &scope, false).unwrap_err(),
        ActionError::Blocked {
            path: "a/b/c".into(),
            blocker: "a".into()
        }
    );
}

#[test]
fn what_was_added_stays_if_asked_and_is_never_overrun() {
    let now = tree(&[dir("a"), file("a/new", 1), file("b", 2)]);
    let wanted = tree(&[dir("a"), file("b", 1)]);
    assert_eq!(
        brief(&actions(&now, &wanted, &Scope::all(), true).unwrap()),
        ["write b"]
    );
    let wanted = tree(&[file("a", 1)]);
    assert_eq!(
        actions(&now, &wanted, &Scope::all(), true).unwrap_err(),
        ActionError::InTheWay {
            path: "a".into(),
            added: "a/new".into()
        }
    );
}

/// Applies a plan in memory, as strictly as a file system would.
fn apply(now: &Tree, plan: &Actions) -> BTreeMap<PathBuf, Node> {
    let mut tree: BTreeMap<PathBuf, Node> = now
        .nodes()
        .map(|node| (node.path.clone(), node.clone()))
        .collect();
    let parent_is_dir = |tree: &BTreeMap<PathBuf, Node>, path: &Path| {
        let parent = path.parent().unwrap();
        parent.as_os_str().is_empty() || tree.get(parent).is_some_and(Node::is_dir)
    };
    for node in &plan.parents {
        assert!(parent_is_dir(&tree, &node.path));
        assert!(node.is_dir() && tree.insert(node.path.clone(), node.clone()).is_none());
    }
    let mut modes_set = false;
    for step in &plan.steps {
        let path = step.path();
        let there = tree.get(path).cloned();
        assert!(
            !modes_set || matches!(step, Action::SetDirMeta(_)),
            "{step:?} after modes"
        );
        match step {
            Action::Remove(_) => assert!(!there.unwrap().is_dir(), "{step:?}"),
            Action::RemoveDir(_) => {
                assert!(there.unwrap().is_dir(), "{step:?}");
                let inside = |other: &&PathBuf| *other != path && other.starts_with(path);
                assert_eq!(tree.keys().find(inside), None, "{step:?}");
            }
            Action::CreateDir(_) => assert!(there.is_none() && parent_is_dir(&tree, path)),
            Action::Write(node) => {
                assert!(!node.is_dir() && parent_is_dir(&tree, path), "{step:?}");
                assert!(there.is_none_or(|there| there.kind.type_of() == node.kind.type_of()));
            }
            Action::SetMeta(node) => assert_eq!(there.unwrap().kind, node.kind, "{step:?}"),
            Action::SetDirMeta(_) => {
                assert!(there.unwrap().is_dir());
                modes_set = true;
            }
        }
        match step {
            Action::Remove(_) | Action::RemoveDir(_) => {
                tree.remove(path);
            }
            Action::CreateDir(_) => {
                let made = Node {
                    path: path.into(),
                    mode: 0o700,
                    ..dir("")
                };
                tree.insert(path.into(), made);
            }
            Action::Write(node) | Action::SetMeta(node) | Action::SetDirMeta(node) => {
                tree.insert(path.into(), node.clone());
            }
        }
    }
    tree
}

/// Small trees over few names, so that paths meet and types clash.
pub(in crate::plan) fn trees() -> impl Strategy<Value = Tree> {
    let kind = prop_oneof![
        3 => Just(Kind::Dir),
        3 => (0u8..3).prop_map(|byte| Kind::File { size: 1, digest: [byte; 32] }),
        1 => "[xy]".prop_map(|target| Kind::Symlink(target.into())),
        1 => "[fs]".prop_map(Kind::Other),
    ];
    let path = prop::collection::vec(prop::sample::select(&["a", "b", "ab", "a-"][..]), 1..4);
    let meta = (
        prop::sample::select(&[0o755, 0o700][..]),
        0u32..2,
        prop::option::of(0u8..2),
    );
    prop::collection::vec((path, kind, meta), 0..12).prop_map(|rows| {
        let mut nodes: BTreeMap<PathBuf, Node> = BTreeMap::new();
        for (path, kind, (mode, uid, xattr)) in rows {
            let path: PathBuf = path.iter().collect();
            let mode = if matches!(kind, Kind::Symlink(_)) {
                0o777
            } else {
                mode
            };
            let above: Vec<&Path> = path.ancestors().skip(1).collect();
            let blocked = above
                .iter()
                .any(|above| nodes.get(*above).is_some_and(|n| !n.is_dir()));
            if blocked || nodes.contains_key(&path) {
                continue;
            }
            for above in above.iter().filter(|above| !above.as_os_str().is_empty()) {
                nodes.entry(above.to_path_buf()).or_insert_with(|| Node {
                    path: above.to_path_buf(),
                    ..dir("")
                });
            }
            let xattrs = xattr
                .map(|value| (b"user.x".to_vec(), vec![value]))
                .into_iter()
                .collect();
            nodes.insert(
                path.clone(),
                Node {
                    path,
                    kind,
                    mode,
                    uid,
                    gid: 0,
                    xattrs,
                },
            );
        }
        Tree::new(nodes.into_values()).unwrap()
    })
}

fn map(tree: &Tree) -> BTreeMap<PathBuf, Node> {
    tree.nodes()
        .map(|node| (node.path.clone(), node.clone()))
        .collect()
}

fn scope_of(now: &Tree, wanted: &Tree, picks: &[prop::sample::Index]) -> Scope {
    let paths: Vec<PathBuf> = now
        .nodes()
        .chain(wanted.nodes())
        .map(|node| node.path.clone())
        .collect();
    let picked: Vec<PathBuf> = if paths.is_empty() {
        Vec::new()
    } else {
        picks.iter().map(|pick| pick.get(&paths).clone()).collect()
    };
    Scope::new(&picked, now, wanted).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn the_steps_lead_exactly_there(now in trees(), wanted in trees()) {
        let plan = actions(&now, &wanted, &Scope::all(), false).unwrap();
        prop_assert!(plan.parents.is_empty());
        prop_assert_eq!(apply(&now, &plan), map(&wanted));
    }

    #[test]
    fn no_difference_means_equal(now in trees(), wanted in trees()) {
        let equal = now == wanted;
        prop_assert_eq!(compare(&wanted, &now, &Scope::all()).is_empty(), equal);
        prop_assert_eq!(
            actions(&now, &wanted, &Scope::all(), false).unwrap().steps.is_empty(), equal
        );
        prop_assert!(compare(&now, &now, &Scope::all()).is_empty());
    }

    #[test]
    fn keeping_what_was_added_adds_it_to_what_is_wanted(now in trees(), wanted in trees()) {
        let mut union = map(&wanted);
        for node in now.nodes() {
            union.entry(node.path.clone()).or_insert_with(|| node.clone());
        }
        match actions(&now, &wanted, &Scope::all(), true) {
            Ok(plan) => prop_assert_eq!(apply(&now, &plan), union),
            Err(_) => prop_assert!(Tree::new(union.into_values()).is_err(), "refused for nothing"),
        }
    }

    #[test]
    fn a_scope_bounds_every_step(
        now in trees(), wanted in trees(),
        picks in prop::collection::vec(any::<prop::sample::Index>(), 1..3),
        keep in any::<bool>(),
    ) {
        let scope = scope_of(&now, &wanted, &picks);
        let Ok(plan) = actions(&now, &wanted, &scope, keep) else { return Ok(()) };
        for step in &plan.steps {
            prop_assert!(scope.contains(step.path()), "{:?}", step);
        }
        let after = apply(&now, &plan);
        let mut outside = map(&now);
        outside.extend(plan.parents.iter().map(|node| (node.path.clone(), node.clone())));
        for (path, node) in after.iter().chain(&outside) {
            if !scope.contains(path) {
                prop_assert_eq!(after.get(path), outside.get(path));
            } else if wanted.get(path).is_some() || !keep {
                prop_assert_eq!(after.get(path), wanted.get(path));
            } else {
                prop_assert_eq!(now.get(path), Some(node));
            }
        }
        for node in wanted.nodes().filter(|node| scope.contains(&node.path)) {
            prop_assert_eq!(after.get(&node.path), Some(node));
        }
    }
}
