use std::collections::BTreeMap;
use std::path::PathBuf;

use proptest::prelude::*;
use sha2::{Digest, Sha256};

use crate::plan::merge::*;
use crate::plan::tree_diff::tests::trees;
use crate::plan::tree_diff::{Kind, Modified, Node, Tree, TreeError, Type};

/// A tree of files with their contents, and the contents by path.
fn files(rows: &[(&str, &[u8])]) -> (Vec<Node>, BTreeMap<PathBuf, Vec<u8>>) {
    let nodes = rows.iter().map(|(path, text)| {
        let digest = Sha256::digest(text).into();
        node(
            path,
            Kind::File {
                size: text.len() as u64,
                digest,
            },
        )
    });
    let texts = rows
        .iter()
        .map(|(path, text)| (PathBuf::from(path), text.to_vec()));
    (nodes.collect(), texts.collect())
}

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

fn tree(nodes: &[Node]) -> Tree {
    Tree::new(nodes.to_vec()).unwrap()
}

fn no_content(_: Which, node: &Node) -> Result<Vec<u8>, TreeError> {
    panic!("asked for the content of {:?}", node.path)
}

/// The merge of trees whose contents are never looked at.
fn shape(base: &[Node], ours: &[Node], theirs: &[Node]) -> Merged {
    merge_trees(&tree(base), &tree(ours), &tree(theirs), None, no_content).unwrap()
}

fn conflicts(merged: &Merged) -> Vec<(&str, &[Conflict])> {
    merged
        .conflicts()
        .map(|path| (path.path.to_str().unwrap(), &path.conflicts[..]))
        .collect()
}

/// The merge of three sets of files.
fn texts(
    base: &[(&str, &[u8])],
    ours: &[(&str, &[u8])],
    theirs: &[(&str, &[u8])],
    markers: Option<&Labels>,
) -> Merged {
    let (base, ours, theirs) = (files(base), files(ours), files(theirs));
    merge_trees(
        &tree(&base.0),
        &tree(&ours.0),
        &tree(&theirs.0),
        markers,
        |which, node| {
            let of = match which {
                Which::Base => &base.1,
                Which::Ours => &ours.1,
                Which::Theirs => &theirs.1,
            };
            Ok::<_, TreeError>(of[&node.path].clone())
        },
    )
    .unwrap()
}

fn outcomes(merged: &Merged) -> Vec<(&str, Outcome)> {
    merged
        .paths
        .iter()
        .map(|path| (path.path.to_str().unwrap(), path.outcome))
        .collect()
}

#[test]
fn each_path_goes_its_own_way() {
    let merged = texts(
        &[
            ("both", b"1\n2\n3\n"),
            ("mine", b"1"),
            ("other", b"1"),
            ("same", b"1"),
            ("gone", b"1"),
        ],
        &[
            ("both", b"one\n2\n3\n"),
            ("mine", b"2"),
            ("other", b"1"),
            ("same", b"1"),
            ("gone", b"1"),
        ],
        &[
            ("both", b"1\n2\nthree\n"),
            ("mine", b"1"),
            ("other", b"2"),
            ("same", b"1"),
            ("new", b"1"),
        ],
        None,
    );
    assert_eq!(
        outcomes(&merged),
        [
            ("both", Outcome::Both),
            ("gone", Outcome::Theirs),
            ("mine", Outcome::Ours),
            ("new", Outcome::Theirs),
            ("other", Outcome::Theirs),
        ]
    );
    assert_eq!(merged.conflicts().count(), 0);
    let wanted: &[u8] = b"one\n2\nthree\n";
    assert_eq!(
        merged.contents,
        BTreeMap::from([("both".into(), wanted.to_vec())])
    );
    let rows = [
        ("both", wanted),
        ("mine", b"2"),
        ("new", b"1"),
        ("other", b"2"),
        ("same", b"1"),
    ];
    assert_eq!(merged.tree, tree(&files(&rows).0));
}

#[test]
fn a_text_conflict_stays_as_it_is_unless_markers_are_wanted() {
    let three = |markers| {
        texts(
            &[("a", b"1\n")],
            &[("a", b"2\n")],
            &[("a", b"3\n")],
            markers,
        )
    };
    let stays = three(None);
    assert_eq!(
        conflicts(&stays),
        [("a", &[Conflict::Text { places: 1 }][..])]
    );
    assert_eq!(stays.tree, tree(&files(&[("a", b"2\n")]).0));
    assert!(stays.contents.is_empty());

    let marked = three(Some(&Labels::for_point("0197")));
    assert_eq!(
        conflicts(&marked),
        [("a", &[Conflict::Text { places: 1 }][..])]
    );
    let text: &[u8] = b"<<<<<<< now\n2\n||||||| base\n1\n=======\n3\n>>>>>>> point 0197\n";
    assert_eq!(marked.contents[&PathBuf::from("a")], text);
    assert_eq!(marked.tree, tree(&files(&[("a", text)]).0));
}

#[test]
fn files_added_on_both_sides_have_no_common_lines() {
    let merged = texts(&[], &[("a", b"1\n")], &[("a", b"2\n")], None);
    assert_eq!(
        conflicts(&merged),
        [("a", &[Conflict::Text { places: 1 }][..])]
    );
    let merged = texts(&[], &[("a", b"1\n")], &[("a", b"1\n")], None);
    assert_eq!(merged.conflicts().count(), 0);
}

#[test]
fn binary_files_and_removals_are_for_a_person() {
    let merged = texts(
        &[("bin", b"\0"), ("mine", b"1"), ("other", b"1")],
        &[("bin", b"\x001"), ("mine", b"2")],
        &[("bin", b"\x002"), ("other", b"2")],
        Some(&Labels::for_point("0197")),
    );
    assert_eq!(
        conflicts(&merged),
        [
            ("bin", &[Conflict::Binary][..]),
            ("mine", &[Conflict::DeletedTheirs][..]),
            ("other", &[Conflict::DeletedOurs][..]),
        ]
    );
    assert_eq!(
        merged.tree,
        tree(&files(&[("bin", b"\x001"), ("mine", b"2")]).0)
    );
}

#[test]
fn mode_owner_and_attributes_merge_each_by_itself() {
    let base = node("a", Kind::Symlink("x".into()));
    let file = node(
        "f",
        Kind::File {
            size: 0,
            digest: [0; 32],
        },
    );
    let merged = shape(
        &[base.clone(), file.clone()],
        &[
            Node {
                kind: Kind::Symlink("y".into()),
                ..base.clone()
            },
            Node {
                mode: 0o600,
                ..file.clone()
            },
        ],
        &[
            Node {
                uid: 7,
                ..base.clone()
            },
            Node {
                mode: 0o640,
                gid: 5,
                ..file.clone()
            },
        ],
    );
    let mode = Modified {
        mode: true,
        ..Modified::default()
    };
    assert_eq!(
        conflicts(&merged),
        [("f", &[Conflict::Metadata { what: mode }][..])]
    );
    assert_eq!(
        outcomes(&merged),
        [("a", Outcome::Both), ("f", Outcome::Both)]
    );
    assert_eq!(
        merged.tree,
        tree(&[
            Node {
                kind: Kind::Symlink("y".into()),
                uid: 7,
                ..base
            },
            Node {
                mode: 0o600,
                gid: 5,
                ..file
            },
        ])
    );
}

#[test]
fn different_things_in_one_place_stay_as_they_are() {
    let link = |target: &str| node("a", Kind::Symlink(target.into()));
    let merged = shape(&[link("x")], &[link("y")], &[link("z")]);
    assert_eq!(conflicts(&merged), [("a", &[Conflict::Target][..])]);
    let merged = shape(
        &[],
        &[link("y")],
        &[node("a", Kind::Dir), node("a/b", Kind::Dir)],
    );
    let types = Conflict::Type {
        ours: Type::Symlink,
        theirs: Type::Dir,
    };
    assert_eq!(
        conflicts(&merged),
        [("a", &[types, Conflict::FileInTheWay][..])]
    );
    assert_eq!(merged.tree, tree(&[link("y")]));
}

#[test]
fn a_removed_directory_stays_for_what_was_added_in_it() {
    let (dir, old, new) = (
        node("d", Kind::Dir),
        node("d/old", Kind::Dir),
        node("d/new", Kind::Dir),
    );
    let merged = shape(
        &[dir.clone(), old.clone()],
        &[dir.clone(), old, new.clone()],
        &[],
    );
    assert_eq!(merged.conflicts().count(), 0);
    assert_eq!(merged.tree, tree(&[dir, new]));
}

#[test]
fn a_file_does_not_push_out_what_was_added_in_its_directory() {
    let (dir, new) = (node("d", Kind::Dir), node("d/new", Kind::Dir));
    let file = node("d", Kind::Other("fifo".into()));
    let merged = shape(
        std::slice::from_ref(&dir),
        &[dir.clone(), new.clone()],
        &[file],
    );
    assert_eq!(conflicts(&merged), [("d", &[Conflict::FileInTheWay][..])]);
    assert_eq!(merged.tree, tree(&[dir, new]));
}

/// The content of generated files: one line that is the digest's first byte.
fn content(_: Which, node: &Node) -> Result<Vec<u8>, TreeError> {
    match node.kind {
        Kind::File { digest, .. } => Ok(format!("{}\n", digest[0]).into_bytes()),
        _ => panic!("asked for the content of {:?}", node.path),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn one_sided_changes_are_taken_whole(base in trees(), side in trees()) {
        for (ours, theirs) in [(&base, &side), (&side, &base), (&side, &side)] {
            let merged = merge_trees(&base, ours, theirs, None, no_content).unwrap();
            prop_assert_eq!(merged.conflicts().count(), 0);
            prop_assert_eq!(&merged.tree, &side);
        }
    }

    #[test]
    fn any_three_trees_merge_into_one(base in trees(), ours in trees(), theirs in trees()) {
        let merged = merge_trees(&base, &ours, &theirs, None, content).unwrap();
        let swapped = merge_trees(&base, &theirs, &ours, None, content).unwrap();
        if merged.conflicts().count() == 0 {
            prop_assert_eq!(&merged.tree, &swapped.tree);
            prop_assert_eq!(&merged.contents, &swapped.contents);
        }
        prop_assert_eq!(merged.conflicts().count() == 0, swapped.conflicts().count() == 0);
        let told: BTreeMap<_, _> = merged.paths.iter().map(|path| (&path.path, path)).collect();
        for path in [&base, &ours, &theirs].into_iter().flat_map(Tree::nodes).map(|n| &n.path) {
            let now = merged.tree.get(path);
            match told.get(path).map(|path| path.outcome) {
                None | Some(Outcome::Ours) => prop_assert_eq!(now, ours.get(path)),
                Some(Outcome::Theirs) => prop_assert_eq!(now, theirs.get(path)),
                Some(Outcome::Both) => prop_assert!(now.is_some()),
            }
            if !told.contains_key(path) {
                prop_assert_eq!(ours.get(path), theirs.get(path));
            }
        }
    }
}
