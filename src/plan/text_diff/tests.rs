#![allow(
    clippy::disallowed_methods,
    reason = "runs the real patch on real files"
)]

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::process::Command;

use proptest::prelude::*;

use super::*;

/// Whether a program of another project can be run here. Where tests are held
/// to be complete (CI or CAIRN_TEST_STRICT is set) a missing one is a failure.
pub(in crate::plan) fn have(program: &str) -> bool {
    if Command::new(program)
        .arg("--version")
        .output()
        .is_ok_and(|out| out.status.success())
    {
        return true;
    }
    let strict = ["CI", "CAIRN_TEST_STRICT"]
        .iter()
        .any(|name| std::env::var_os(name).is_some());
    assert!(!strict, "{program} is missing");
    println!("SKIPPED: {program} is missing");
    false
}

fn side<'a>(path: &'a str, label: &'a str, content: Option<&'a [u8]>) -> Side<'a> {
    Side {
        path: Path::new(path),
        label,
        content,
    }
}

fn text(old: Option<&[u8]>, new: Option<&[u8]>, options: RenderOptions) -> String {
    let diff = diff(
        side("/etc/a.nix", "point 0197", old),
        side("/etc/a.nix", "now", new),
        3,
    );
    String::from_utf8(render(&diff, &options)).unwrap()
}

#[test]
fn a_change_reads_as_a_unified_diff() {
    let shown = text(
        Some(b"1\n2\n3\n4\n5\n6\n7\n8\n9\n"),
        Some(b"1\n2\n3\n4\nfive\n6\n7\n8\n9\n"),
        RenderOptions::default(),
    );
    assert_eq!(
        shown,
        "--- etc/a.nix\tpoint 0197\n+++ etc/a.nix\tnow\n\
         @@ -2,7 +2,7 @@\n 2\n 3\n 4\n-5\n+five\n 6\n 7\n 8\n"
    );
}

#[test]
fn creation_and_removal_name_dev_null() {
    let git = RenderOptions {
        prefixes: true,
        ..RenderOptions::default()
    };
    assert_eq!(
        text(None, Some(b"x\n"), git),
        "--- /dev/null\tpoint 0197\n+++ b/etc/a.nix\tnow\n@@ -0,0 +1 @@\n+x\n"
    );
    assert_eq!(
        text(Some(b"x\ny\n"), None, git),
        "--- a/etc/a.nix\tpoint 0197\n+++ /dev/null\tnow\n@@ -1,2 +0,0 @@\n-x\n-y\n"
    );
    assert_eq!(text(None, Some(b""), git), "Empty file b/etc/a.nix added\n");
    assert_eq!(
        text(Some(b""), None, git),
        "Empty file a/etc/a.nix removed\n"
    );
    assert_eq!(text(Some(b"x"), Some(b"x"), git), "");
    assert_eq!(text(None, None, git), "");
}

#[test]
fn a_missing_newline_is_shown_as_git_does() {
    assert_eq!(
        text(Some(b"a\nb"), Some(b"a\nb\n"), RenderOptions::default()),
        "--- etc/a.nix\tpoint 0197\n+++ etc/a.nix\tnow\n\
         @@ -1,2 +1,2 @@\n a\n-b\n\\ No newline at end of file\n+b\n"
    );
}

#[test]
fn carriage_returns_are_part_of_the_line() {
    let crlf = diff(
        side("a", "", Some(b"x\r\ny\rz\r\n")),
        side("a", "", Some(b"x\ny\rz\r\n")),
        3,
    );
    let Body::Text(hunks) = &crlf.body else {
        panic!("{:?}", crlf.body)
    };
    assert_eq!(hunks.len(), 1);
    assert_eq!(
        hunks[0].lines,
        [
            Line {
                tag: Tag::Removed,
                text: b"x\r".to_vec(),
                newline: true
            },
            Line {
                tag: Tag::Added,
                text: b"x".to_vec(),
                newline: true
            },
            Line {
                tag: Tag::Context,
                text: b"y\rz\r".to_vec(),
                newline: true
            },
        ]
    );
}

#[test]
fn binary_files_show_their_sizes_only() {
    let mut late = vec![b'x'; 8_000];
    late.push(0);
    assert!(!is_binary(&late), "git looks at the first 8,000 bytes");
    let plain = RenderOptions::default();
    assert_eq!(
        text(Some(b"\0"), Some(&[0; 2_048]), plain),
        "Binary files etc/a.nix and etc/a.nix differ (1 B → 2.0 KiB)\n"
    );
    assert_eq!(
        text(None, Some(b"\0\0"), plain),
        "Binary files /dev/null and etc/a.nix differ (2 B)\n"
    );
}

#[test]
fn a_limit_says_what_it_leaves_out() {
    let limit = |lines| RenderOptions {
        max_lines: Some(lines),
        ..RenderOptions::default()
    };
    let shown = text(Some(b"a\nb\n"), Some(b"c\n"), limit(2));
    assert!(
        shown.ends_with("@@ -1,2 +1 @@\n-a\n… 2 more lines\n"),
        "{shown}"
    );
    let shown = text(Some(b"a\nb\n"), Some(b"c\n"), limit(3));
    assert!(shown.ends_with("-b\n… 1 more line\n"), "{shown}");
    let shown = text(Some(b"a\nb\n"), Some(b"c\n"), limit(4));
    assert!(shown.ends_with("-b\n+c\n"), "{shown}");
}

#[test]
fn names_that_would_be_misread_are_quoted() {
    for (path, shown) in [
        (&b"a b"[..], &b"a b\t"[..]),
        (b"a\"\\b", b"\"a\\\"\\\\b\""),
        (b"a\tb\nc", b"\"a\\tb\\nc\""),
        (b"\xff\xc3\xa9", b"\"\\377\\303\\251\""),
        ("é".as_bytes(), "é".as_bytes()),
        ("é\n".as_bytes(), "\"é\\n\"".as_bytes()),
    ] {
        let path = Path::new(std::ffi::OsStr::from_bytes(path));
        let one = Side {
            path,
            label: "",
            content: Some(b"1\n"),
        };
        let two = Side {
            content: Some(b"2\n"),
            ..one
        };
        let out = render(&diff(one, two, 3), &RenderOptions::default());
        assert!(
            out.starts_with(&[b"--- ", shown, b"\n"].concat()),
            "{path:?}"
        );
    }
}

#[test]
fn a_label_cannot_break_the_header() {
    let out = render(
        &diff(
            side("a", "x\n+++ b", Some(b"1\n")),
            side("a", "", Some(b"2\n")),
            3,
        ),
        &RenderOptions::default(),
    );
    assert!(out.starts_with(b"--- a\tx +++ b\n+++ a\n"));
}

/// Applies the diff to the old content with the real `patch`.
fn patched(path: &[u8], old: Option<&[u8]>, new: Option<&[u8]>, prefixes: bool) -> Option<Vec<u8>> {
    let dir = tempfile::tempdir().unwrap();
    let path = Path::new(std::ffi::OsStr::from_bytes(path));
    let target = dir.path().join(path);
    fs::create_dir_all(target.parent().unwrap()).unwrap();
    if let Some(old) = old {
        fs::write(&target, old).unwrap();
    }
    let diff = diff(
        Side {
            path,
            label: "point 0197",
            content: old,
        },
        Side {
            path,
            label: "now",
            content: new,
        },
        3,
    );
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(
        file.path(),
        render(
            &diff,
            &RenderOptions {
                prefixes,
                max_lines: None,
            },
        ),
    )
    .unwrap();
    let out = Command::new("patch")
        .args([
            "--batch",
            "--fuzz=0",
            "--binary",
            if prefixes { "-p1" } else { "-p0" },
            "-i",
        ])
        .arg(file.path())
        .current_dir(dir.path())
        .output()
        .unwrap();
    assert!(
        out.status.success(),
        "{}\n{}",
        String::from_utf8_lossy(&out.stdout),
        String::from_utf8_lossy(&fs::read(file.path()).unwrap())
    );
    fs::read(&target).ok()
}

#[test]
fn patch_creates_removes_and_finds_odd_names() {
    if !have("patch") {
        return;
    }
    for path in [
        &b"plain"[..],
        b"etc/nixos/configuration.nix",
        b"with blank/and  two",
        b"qu\"ote\\back",
        "dé/jà".as_bytes(),
        b"raw\xff\x01",
        b"tab\tname",
    ] {
        for prefixes in [false, true] {
            let old = Some(&b"1\n2\n"[..]);
            let new = Some(&b"1\nzwei\n"[..]);
            assert_eq!(
                patched(path, old, new, prefixes).as_deref(),
                new,
                "{path:?}"
            );
            assert_eq!(
                patched(path, None, new, prefixes).as_deref(),
                new,
                "{path:?}"
            );
            assert_eq!(patched(path, old, None, prefixes), None, "{path:?}");
        }
    }
}

/// Texts of few distinct lines, some with CR, some without the last newline.
pub(in crate::plan) fn small_text() -> impl Strategy<Value = Vec<u8>> {
    let line = prop::sample::select(&["a", "b", "c", "", "x\r", "-- q", "++ q", "\\ n", "\r"][..]);
    (prop::collection::vec(line, 0..24), any::<bool>()).prop_map(|(lines, newline)| {
        let mut text = lines.join("\n").into_bytes();
        if newline && !lines.is_empty() {
            text.push(b'\n');
        }
        text
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn patch_turns_old_into_new(old in small_text(), new in small_text(), git in any::<bool>()) {
        if have("patch") && old != new {
            let result = patched(b"dir/file", Some(&old), Some(&new), git);
            // patch removes a file whose new content is empty only for /dev/null.
            prop_assert_eq!(result.unwrap_or_default(), new);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn hunks_say_what_is_in_the_files(
        old in small_text(), new in small_text(), context in 0usize..4,
    ) {
        let body = diff(side("a", "", Some(&old)), side("a", "", Some(&new)), context).body;
        let Body::Text(hunks) = body else {
            prop_assert_eq!(&old, &new);
            return Ok(());
        };
        prop_assert!(!hunks.is_empty());
        let (old, new) = (lines(&old), lines(&new));
        for hunk in hunks {
            let from = |tag| -> Vec<Vec<u8>> {
                let on = hunk.lines.iter().filter(|line| line.tag == tag || line.tag == Tag::Context);
                on.map(|line| [line.text.as_slice(), if line.newline { b"\n" } else { b"" }].concat())
                    .collect()
            };
            let place = |start: usize, len: usize| start - usize::from(len > 0);
            let old_at = place(hunk.old_start, hunk.old_len);
            let new_at = place(hunk.new_start, hunk.new_len);
            prop_assert_eq!(from(Tag::Removed), &old[old_at..old_at + hunk.old_len]);
            prop_assert_eq!(from(Tag::Added), &new[new_at..new_at + hunk.new_len]);
            prop_assert!(hunk.lines.iter().any(|line| line.tag != Tag::Context));
        }
    }
}
