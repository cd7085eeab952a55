use std::fs;
use std::process::Command;

use proptest::prelude::*;

use crate::plan::merge::*;
use crate::plan::text_diff::tests::{have, small_text};

fn labels() -> Labels {
    Labels::for_point("0197a3")
}

fn merged(base: &str, ours: &str, theirs: &str) -> (usize, String) {
    let merge = merge_text(base.as_bytes(), ours.as_bytes(), theirs.as_bytes()).unwrap();
    (
        merge.conflicts(),
        String::from_utf8(merge.render(&labels())).unwrap(),
    )
}

#[test]
fn changes_in_different_places_are_both_taken() {
    assert_eq!(
        merged("a\nb\nc\nd\n", "A\nb\nc\nd\n", "a\nb\nc\nd\ne\n"),
        (0, "A\nb\nc\nd\ne\n".to_owned())
    );
}

#[test]
fn a_conflict_stands_between_markers() {
    assert_eq!(
        merged("a\nb\nc\n", "a\nours\nc\n", "a\ntheirs\nc\n"),
        (
            1,
            "a\n<<<<<<< now\nours\n||||||| base\nb\n=======\ntheirs\n>>>>>>> point 0197a3\nc\n"
                .to_owned()
        )
    );
    let merge = merge_text(b"b\n", b"ours\n", b"theirs\n").unwrap();
    let [Region::Conflict { ours, base, theirs }] = merge.regions.as_slice() else {
        panic!("{merge:?}");
    };
    assert_eq!(
        (&ours[..], &base[..], &theirs[..]),
        (&b"ours\n"[..], &b"b\n"[..], &b"theirs\n"[..])
    );
}

#[test]
fn markers_start_their_line_and_end_it_as_the_text_does() {
    assert_eq!(
        merged("a\r\nb", "a\r\nx", "a\r\ny").1,
        "a\r\n<<<<<<< now\r\nx\r\n||||||| base\r\nb\r\n=======\r\ny\r\n>>>>>>> point 0197a3\r\n"
    );
    assert!(
        merged("a\nb", "a\nx", "a\ny")
            .1
            .ends_with("=======\ny\n>>>>>>> point 0197a3\n")
    );
    let odd = Labels {
        ours: "x\n>>>>>>> y".to_owned(),
        ..labels()
    };
    let shown = merge_text(b"b", b"x", b"y").unwrap().render(&odd);
    assert!(shown.starts_with(b"<<<<<<< x >>>>>>> y\nx\n"));
}

#[test]
fn the_same_on_both_sides_is_no_conflict() {
    assert_eq!(
        merged("a\nb\n", "a\nx\n", "a\nx\n"),
        (0, "a\nx\n".to_owned())
    );
    assert_eq!(merged("a\n", "", ""), (0, String::new()));
}

#[test]
fn binary_is_not_merged() {
    assert_eq!(merge_text(b"a\n", b"b\n", b"\0"), None);
    assert_eq!(merge_text(b"\0", b"b\n", b"c"), None);
}

/// The exit code and result of `git merge-file --diff3`.
fn git(base: &[u8], ours: &[u8], theirs: &[u8]) -> (usize, Vec<u8>) {
    let dir = tempfile::tempdir().unwrap();
    for (name, text) in [("base", base), ("ours", ours), ("theirs", theirs)] {
        fs::write(dir.path().join(name), text).unwrap();
    }
    let out = Command::new("git")
        .args([
            "merge-file",
            "-p",
            "--diff3",
            "-L",
            "now",
            "-L",
            "base",
            "-L",
            "point 0197a3",
        ])
        .args(["ours", "base", "theirs"])
        .current_dir(dir.path())
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_SYSTEM", "/dev/null")
        .output()
        .unwrap();
    let code = out.status.code().unwrap();
    assert!(code < 128, "{}", String::from_utf8_lossy(&out.stderr));
    (usize::try_from(code).unwrap(), out.stdout)
}

/// An edit: at this line, replace so many lines with these words.
type Edit = (usize, usize, Vec<&'static str>);

fn edits() -> impl Strategy<Value = Vec<Edit>> {
    let words = prop::collection::vec(prop::sample::select(&["x", "y", "z"][..]), 0..3);
    prop::collection::vec((0usize..12, 0usize..3, words), 0..3)
}

/// Applies edits to lines; each added line is told apart by its place.
fn edit(base: &[String], edits: &[Edit]) -> Vec<String> {
    let mut out = base.to_vec();
    for (at, remove, words) in edits {
        let at = (*at).min(out.len());
        let end = (at + remove).min(out.len());
        let new: Vec<String> = words
            .iter()
            .enumerate()
            .map(|(place, word)| format!("{word} {at} {place}"))
            .collect();
        out.splice(at..end, new);
    }
    out
}

/// Base, ours and theirs, with lines that are all different but for what both
/// sides may add alike; with LF or CRLF; at times without the last newline.
fn edited() -> impl Strategy<Value = [Vec<u8>; 3]> {
    (
        0usize..12,
        edits(),
        edits(),
        any::<bool>(),
        prop::array::uniform3(0u8..8),
    )
        .prop_map(|(count, ours, theirs, crlf, cut)| {
            let end = if crlf { "\r\n" } else { "\n" };
            let base: Vec<String> = (0..count).map(|n| format!("line {n}")).collect();
            let (ours, theirs) = (edit(&base, &ours), edit(&base, &theirs));
            let mut sides = [base, ours, theirs].map(|lines| {
                lines
                    .iter()
                    .flat_map(|line| [line.as_str(), end])
                    .collect::<String>()
            });
            for (side, cut) in sides.iter_mut().zip(cut) {
                if cut == 0 {
                    side.truncate(side.len().saturating_sub(end.len()));
                }
            }
            sides.map(String::into_bytes)
        })
}

proptest! {
    #![proptest_config(ProptestConfig { max_shrink_iters: 400, ..ProptestConfig::with_cases(600) })]

    #[test]
    fn git_arrives_at_the_same([base, ours, theirs] in edited()) {
        if have("git") {
            let merge = merge_text(&base, &ours, &theirs).unwrap();
            let (conflicts, text) = git(&base, &ours, &theirs);
            // The line ends of the markers are chosen differently where a side
            // has no whole line; in a clean result every byte counts.
            let show = |text: &[u8]| {
                let text = String::from_utf8_lossy(text).into_owned();
                if conflicts == 0 { text } else { text.replace("\r\n", "\n") }
            };
            prop_assert_eq!(
                (merge.conflicts(), show(&merge.render(&labels()))),
                (conflicts, show(&text))
            );
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn one_sided_changes_are_taken_whole(base in small_text(), side in small_text()) {
        for (ours, theirs) in [(&side, &base), (&base, &side), (&side, &side)] {
            let merge = merge_text(&base, ours, theirs).unwrap();
            prop_assert_eq!(merge.conflicts(), 0);
            prop_assert_eq!(&merge.render(&labels()), &side);
        }
    }

    #[test]
    fn the_sides_can_be_swapped(
        base in small_text(), ours in small_text(), theirs in small_text(),
    ) {
        let one = merge_text(&base, &ours, &theirs).unwrap();
        let mut other = merge_text(&base, &theirs, &ours).unwrap();
        for region in &mut other.regions {
            if let Region::Conflict { ours, theirs, .. } = region {
                std::mem::swap(ours, theirs);
            }
        }
        prop_assert_eq!(one, other);
    }

    #[test]
    fn nothing_comes_from_nowhere(
        base in small_text(), ours in small_text(), theirs in small_text(),
    ) {
        let merge = merge_text(&base, &ours, &theirs).unwrap();
        let lines = |text: &[u8]| -> Vec<Vec<u8>> {
            text.split_inclusive(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect()
        };
        for region in &merge.regions {
            if let Region::Conflict { ours: mine, theirs: other, .. } = region {
                prop_assert!(mine != other);
                prop_assert!(ours.windows(mine.len().max(1)).any(|w| w == &mine[..]) || mine.is_empty());
                prop_assert!(theirs.windows(other.len().max(1)).any(|w| w == &other[..]) || other.is_empty());
            }
            if let Region::Merged(text) = region {
                for line in lines(text) {
                    prop_assert!(
                        lines(&ours).contains(&line) || lines(&theirs).contains(&line)
                    );
                }
            }
        }
    }
}
