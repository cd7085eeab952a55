//! The layer `nix` against the real Nix, in a private store.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::process::{Command, Stdio};

use cairn::nix::nar::{self, Event, Node, Reader, WriteError};
use cairn::nix::version::{compare_versions, parse_drv_name};
use cairn::nix::{
    ClosureEntry, HashAlgo, NixHash, StorePath, closure, generation, nixbase32, path_info,
};
use tempfile::TempDir;

/// A private store, or nothing where Nix is missing and may be.
fn store() -> Option<TempDir> {
    if Command::new("nix-store").arg("--version").output().is_ok() {
        return Some(tempfile::tempdir().unwrap());
    }
    let strict = ["CI", "CAIRN_TEST_STRICT"]
        .iter()
        .any(|name| std::env::var_os(name).is_some());
    assert!(!strict, "nix-store is not installed");
    eprintln!("SKIPPED: nix-store is missing");
    None
}

/// Runs a Nix program on the private store; gives its output.
fn nix<S: AsRef<OsStr>>(store: &TempDir, program: &str, args: &[S]) -> Vec<u8> {
    let mut command = Command::new(program);
    if program != "nix-hash" {
        command.arg("--store").arg(store.path().join("root"));
        // Nothing is fetched.
        command.args(["--option", "substituters", ""]);
    }
    if program == "nix" {
        command.args(["--extra-experimental-features", "nix-command"]);
    }
    // The local state of the user who runs the tests is not read or written.
    command
        .env("HOME", store.path())
        .env("NIX_STATE_DIR", store.path().join("state"));
    let output = command.args(args).output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program}: {errors}");
    output.stdout
}

fn text(output: Vec<u8>) -> String {
    String::from_utf8(output).unwrap().trim_end().to_owned()
}

/// Digests of many first and last bytes, deterministic.
fn digests(algo: HashAlgo) -> Vec<Vec<u8>> {
    let length = algo.digest_length();
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut random = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u8
    };
    let mut digests = vec![vec![0; length], vec![0xff; length]];
    digests.extend((0..6).map(|_| (0..length).map(|_| random()).collect()));
    digests
}

#[test]
fn hashes_convert_as_nix_converts_them() {
    let Some(store) = store() else { return };
    for algo in [
        HashAlgo::Md5,
        HashAlgo::Sha1,
        HashAlgo::Sha256,
        HashAlgo::Sha512,
    ] {
        let name = algo.as_str();
        for digest in digests(algo) {
            let hex = hex::encode(&digest);
            let base32 = text(nix(
                &store,
                "nix-hash",
                &["--type", name, "--to-base32", &hex],
            ));
            assert_eq!(nixbase32::encode(&digest), base32);
            assert_eq!(nixbase32::decode(&base32).unwrap(), digest);
            let back = text(nix(
                &store,
                "nix-hash",
                &["--type", name, "--to-base16", &base32],
            ));
            let hash: NixHash = format!("{name}:{base32}").parse().unwrap();
            assert_eq!(hash.to_nix_hex_string(), format!("{name}:{back}"));
            let sri = text(nix(
                &store,
                "nix",
                &["hash", "to-sri", "--type", name, &hex],
            ));
            assert_eq!(hash.to_sri_string(), sri);
            assert_eq!(sri.parse::<NixHash>().unwrap(), hash);
        }
    }
}

/// Writes what is at `path`, as `system/` will.
fn write(path: &Path, node: Node<'_>) -> Result<(), WriteError> {
    let metadata = fs::symlink_metadata(path).unwrap();
    if metadata.is_symlink() {
        return node.symlink(fs::read_link(path).unwrap().as_os_str().as_bytes());
    }
    if metadata.is_file() {
        let executable = nar::is_executable(metadata.permissions().mode());
        return node.file(executable, metadata.len(), &mut File::open(path).unwrap());
    }
    let names: BTreeMap<OsString, ()> = fs::read_dir(path)
        .unwrap()
        .map(|entry| (entry.unwrap().file_name(), ()))
        .collect();
    let mut directory = node.directory()?;
    for name in names.keys() {
        write(&path.join(name), directory.entry(name.as_bytes())?)?;
    }
    directory.close()
}

fn encode(path: &Path) -> Vec<u8> {
    let mut bytes = Vec::new();
    write(path, nar::writer::open(&mut bytes).unwrap()).unwrap();
    bytes
}

/// Reads one node and writes it again.
fn rewrite<R: std::io::Read>(reader: &mut Reader<R>, node: Node<'_>) {
    match reader.next_event().unwrap().unwrap() {
        Event::File { executable, size } => {
            node.file(executable, size, &mut reader.content()).unwrap();
        }
        Event::Symlink { target } => node.symlink(&target).unwrap(),
        Event::Directory => {
            let mut directory = node.directory().unwrap();
            loop {
                match reader.next_event().unwrap().unwrap() {
                    Event::Entry { name } => rewrite(reader, directory.entry(&name).unwrap()),
                    Event::DirectoryEnd => break directory.close().unwrap(),
                    other => panic!("{other:?} between entries"),
                }
            }
        }
        other => panic!("{other:?} in place of a node"),
    }
}

/// Everything a tree can hold that could be written wrongly.
fn make_tree(root: &Path) {
    fs::create_dir_all(root.join("sub/empty-dir")).unwrap();
    let file = |name: &OsStr, mode: u32, content: &[u8]| {
        let path = root.join(name);
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    };
    for (name, mode) in [
        ("plain", 0o644),
        ("executable", 0o755),
        ("owner-only", 0o700),
        ("group-and-other-only", 0o654),
        ("other-only", 0o645),
        ("setuid", 0o4755),
        ("readable", 0o444),
    ] {
        file(name.as_ref(), mode, name.as_bytes());
    }
    for size in [0, 1, 7, 8, 9, 15, 16, 65_535, 65_536, 65_537, 300_000] {
        file(
            format!("sub/size-{size}").as_ref(),
            0o644,
            &vec![b'x'; size],
        );
    }
    for name in [
        &b" "[..],
        b"-",
        b"--",
        b"...",
        b".hidden",
        b"a b",
        b"a\nb",
        b"a.b",
        b"a-b",
        b"ab",
        b"A",
        b"\"quoted\"",
        b"$x",
        b"~",
        b"\xff\xfe",
        "ä".as_bytes(),
        "日本".as_bytes(),
        b"\x01",
        b"(",
        b")",
        &[b'n'; 255],
    ] {
        file(&OsString::from_vec(name.to_vec()), 0o644, name);
    }
    symlink("plain", root.join("link")).unwrap();
    symlink("/nowhere/at/all", root.join("sub/dangling")).unwrap();
    symlink(OsStr::from_bytes(b"\xff ../x"), root.join("sub/odd-target")).unwrap();
    symlink("t".repeat(4095), root.join("sub/long-target")).unwrap();
    symlink("empty-dir", root.join("sub/to-dir")).unwrap();
}

#[test]
fn nar_is_equal_byte_for_byte() {
    let Some(store) = store() else { return };
    let tree = store.path().join("tree-1.0");
    make_tree(&tree);
    for path in [
        tree.clone(),
        tree.join("plain"),
        tree.join("executable"),
        tree.join("group-and-other-only"),
        tree.join("other-only"),
        tree.join("sub/size-0"),
        tree.join("sub/empty-dir"),
        tree.join("link"),
    ] {
        let theirs = nix(
            &store,
            "nix-store",
            &[OsStr::new("--dump"), path.as_os_str()],
        );
        assert!(
            encode(&path) == theirs,
            "the NAR of {} differs",
            path.display()
        );

        let mut reader = Reader::new(theirs.as_slice());
        let mut again = Vec::new();
        rewrite(&mut reader, nar::writer::open(&mut again).unwrap());
        reader.finish().unwrap();
        assert!(
            again == theirs,
            "{} is not read as it was written",
            path.display()
        );
    }
}

#[test]
fn nix_unpacks_what_we_pack() {
    let Some(store) = store() else { return };
    let tree = store.path().join("tree-1.0");
    make_tree(&tree);
    let ours = encode(&tree);
    let restored = store.path().join("restored");
    let mut child = Command::new("nix-store")
        .arg("--restore")
        .arg(&restored)
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(&ours).unwrap();
    assert!(child.wait().unwrap().success());
    assert!(encode(&restored) == ours);
    let mode = fs::metadata(restored.join("group-and-other-only"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o111, 0);
}

#[test]
fn added_paths_are_registered_with_our_hash() {
    let Some(store) = store() else { return };
    let tree = store.path().join("tree-1.0");
    make_tree(&tree);
    let mut expected = BTreeMap::new();
    for (path, name) in [
        (tree.clone(), "tree-1.0"),
        (tree.join("group-and-other-only"), "group-and-other-only"),
    ] {
        let added = text(nix(
            &store,
            "nix-store",
            &[OsStr::new("--add"), path.as_os_str()],
        ));
        let store_path: StorePath = added.parse().unwrap();
        assert_eq!(
            (store_path.name(), store_path.to_absolute_path()),
            (name, added.clone())
        );
        let digest = nar::hash_nar(|node| write(&path, node)).unwrap();
        let hash = text(nix(&store, "nix-store", &["--query", "--hash", &added]));
        assert_eq!(digest.nar_hash().to_nix_nixbase32_string(), hash);
        assert_eq!(hash.parse::<NixHash>().unwrap(), digest.nar_hash());
        let size = text(nix(&store, "nix-store", &["--query", "--size", &added]));
        assert_eq!(digest.size.to_string(), size);
        expected.insert(store_path, digest);
    }
    let mut args = vec!["path-info".to_owned(), "--json".to_owned()];
    args.extend(expected.keys().map(StorePath::to_absolute_path));
    let json = text(nix(&store, "nix", &args));
    let infos = path_info::parse_path_infos(&json).unwrap();
    assert_eq!(infos.invalid, []);
    let found: BTreeMap<_, _> = infos
        .valid
        .into_iter()
        .map(|info| {
            assert!(info.ca.is_some() && info.references.is_empty());
            (info.path, (info.nar_hash, info.nar_size))
        })
        .collect();
    let expected: BTreeMap<_, _> = expected
        .into_iter()
        .map(|(path, d)| (path, (d.nar_hash(), d.size)))
        .collect();
    assert_eq!(found, expected);
}

#[test]
fn names_that_nix_accepts_or_refuses() {
    let Some(store) = store() else { return };
    let file = store.path().join("x");
    File::create(&file).unwrap();
    // Names with a first dot are left out: releases differ on them.
    for name in [
        "a",
        "-",
        "A+b-c.d_e?f=1",
        "a b",
        "a~",
        "é",
        "a@b",
        &"n".repeat(211),
        &"n".repeat(212),
    ] {
        let expression = format!(
            "builtins.path {{ path = {}; name = \"{name}\"; }}",
            file.display()
        );
        let accepted = Command::new("nix-instantiate")
            .arg("--store")
            .arg(store.path().join("root"))
            .args(["--eval", "-E", &expression])
            .output()
            .unwrap()
            .status
            .success();
        let ours = StorePath::from_name_and_digest(name, [0; 20]);
        assert_eq!(ours.is_ok(), accepted, "{name:?}: {ours:?}");
    }
}

#[test]
fn versions_compare_as_nix_compares_them() {
    let Some(store) = store() else { return };
    let versions = [
        "", "1", "1.0", "1.0.1", "1-0", "01", "1pre", "1.pre2", "1.0-rc1", "1.0a", "1.0b", "2.3",
        "2.3pre1", "2.3.1", "2.3a", "10", "9", "a", "pre", "alpha1", "20240529", "1..2", "1.x.2",
        "-",
    ];
    let list: String = versions
        .iter()
        .map(|version| format!("\"{version}\" "))
        .collect();
    let expression =
        format!("let l = [ {list} ]; in map (a: map (b: builtins.compareVersions a b) l) l");
    let json = text(nix(
        &store,
        "nix-instantiate",
        &["--eval", "--strict", "--json", "-E", &expression],
    ));
    let theirs: Vec<Vec<i64>> = serde_json::from_str(&json).unwrap();
    for (a, row) in versions.iter().zip(theirs) {
        for (b, expected) in versions.iter().zip(row) {
            assert_eq!(compare_versions(a, b) as i64, expected, "{a:?} {b:?}");
        }
    }

    let names = [
        "firefox-128.0.1",
        "nix-env",
        "a-",
        "a--b",
        "-1",
        "glibc-2.40-66-bin",
        "linux-zen-6.9",
        "a-_b",
        "a-=1",
        "x",
    ];
    let list: String = names.iter().map(|name| format!("\"{name}\" ")).collect();
    let expression = format!("map builtins.parseDrvName [ {list} ]");
    let json = text(nix(
        &store,
        "nix-instantiate",
        &["--eval", "--strict", "--json", "-E", &expression],
    ));
    let theirs: Vec<BTreeMap<String, String>> = serde_json::from_str(&json).unwrap();
    for (name, expected) in names.iter().zip(theirs) {
        assert_eq!(
            parse_drv_name(name),
            (&*expected["name"], &*expected["version"]),
            "{name}"
        );
    }
}

#[test]
fn link_names_are_read_as_nix_env_reads_them() {
    let Some(store) = store() else { return };
    let profiles = store.path().join("profiles");
    fs::create_dir(&profiles).unwrap();
    let names = [
        "system-7-link",
        "system-0-link",
        "system-007-link",
        "system-+9-link",
        "system-0x-link",
        "system-12-linkfoo",
        "system-13-link-link",
        "system--1-link",
        "system- 5-link",
        "system-8-LINK",
        "system-8",
        "other-3-link",
        "system-x-4-link",
        "system--link",
    ];
    for name in names {
        symlink("/nix/store/x", profiles.join(name)).unwrap();
    }
    symlink("system-7-link", profiles.join("system")).unwrap();
    let profile = profiles.join("system").into_os_string();
    let listed = text(nix(
        &store,
        "nix-env",
        &["-p".into(), profile, "--list-generations".into()],
    ));
    let mut theirs: Vec<u64> = listed
        .lines()
        .map(|line| line.split_whitespace().next().unwrap().parse().unwrap())
        .collect();
    theirs.sort_unstable();
    let mut ours: Vec<u64> = names
        .iter()
        .filter_map(|name| generation::parse_link_name("system", name).map(|number| number.0))
        .collect();
    ours.sort_unstable();
    assert_eq!(ours, theirs);
    assert_eq!(ours, [0, 7, 7, 9, 12, 13]);
}

#[test]
fn closures_differ_as_nix_says() {
    let Some(store) = store() else { return };
    let system = |packages: &[(&str, usize)]| {
        let parts: String = packages
            .iter()
            .map(|(name, size)| {
                format!("${{builtins.toFile \"{name}\" \"{}\"}} ", "x".repeat(*size))
            })
            .collect();
        let expression = format!("builtins.toFile \"nixos-system-host-1\" \"{parts}\"");
        let quoted = text(nix(
            &store,
            "nix-instantiate",
            &["--eval", "--read-write-mode", "-E", &expression],
        ));
        let path: String = serde_json::from_str(&quoted).unwrap();
        let json = text(nix(&store, "nix", &["path-info", "-r", "--json", &path]));
        let infos = path_info::parse_path_infos(&json).unwrap();
        assert_eq!(infos.valid.len(), packages.len() + 1);
        let entry = |info: path_info::ExportedPathInfo| ClosureEntry {
            path: info.path,
            nar_size: info.nar_size,
            direct: false,
        };
        (path, infos.valid.into_iter().map(entry).collect::<Vec<_>>())
    };
    let (old, before) = system(&[
        ("firefox-1.9", 100),
        ("glibc-2.39", 10),
        ("glibc-2.39-bin", 20),
        ("gone-1", 5),
        ("grows-1", 100),
        ("same-1", 1),
        ("jitters-1", 100),
    ]);
    let (new, after) = system(&[
        ("firefox-1.10", 30_000),
        ("glibc-2.40", 10),
        ("glibc-2.40-bin", 20),
        ("come-2", 5),
        ("grows-1", 20_000),
        ("same-1", 1),
        ("jitters-1", 900),
    ]);
    let diff = closure::diff(&before, &after);

    let output = nix(&store, "nix", &["store", "diff-closures", &old, &new]);
    let theirs: BTreeMap<String, String> = text(output)
        .lines()
        .map(|line| line.split_once(": ").unwrap())
        .map(|(name, change)| (name.to_owned(), without_colours(change)))
        .collect();
    let names = |list: &mut dyn Iterator<Item = &String>| list.cloned().collect::<Vec<_>>();
    assert_eq!(names(&mut diff.added.iter().map(|p| &p.name)), ["come"]);
    assert_eq!(names(&mut diff.removed.iter().map(|p| &p.name)), ["gone"]);
    assert_eq!(
        names(&mut diff.changed.iter().map(|c| &c.name)),
        ["firefox", "glibc", "grows"]
    );
    let mut ours: Vec<_> = names(&mut diff.changed.iter().map(|c| &c.name));
    ours.extend(["come".to_owned(), "gone".to_owned()]);
    ours.sort();
    assert_eq!(ours, theirs.keys().cloned().collect::<Vec<_>>());
    for change in &diff.changed {
        let mut expected = Vec::new();
        if change.old_versions != change.new_versions {
            let (old, new) = (
                change.old_versions.join(", "),
                change.new_versions.join(", "),
            );
            expected.push(format!("{old} → {new}"));
        }
        if change.old_size.abs_diff(change.new_size) >= closure::SIZE_THRESHOLD {
            let delta = (change.new_size as f64 - change.old_size as f64) / 1024.0;
            expected.push(format!("{delta:+.1} KiB"));
        }
        assert_eq!(theirs[&change.name], expected.join(", "), "{}", change.name);
    }
    assert_eq!(theirs["come"], "∅ → 2");
    assert_eq!(theirs["gone"], "1 → ∅");
}

/// Without the terminal's colours.
fn without_colours(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((plain, coloured)) = rest.split_once('\u{1b}') {
        out.push_str(plain);
        rest = coloured.split_once('m').map_or("", |(_, rest)| rest);
    }
    out + rest
}

#[test]
fn a_nar_of_another_file_is_not_taken_for_the_same() {
    let Some(store) = store() else { return };
    let file = store.path().join("x");
    fs::write(&file, "one").unwrap();
    let theirs = nix(
        &store,
        "nix-store",
        &[OsStr::new("--dump"), file.as_os_str()],
    );
    fs::write(&file, "two").unwrap();
    assert_ne!(encode(&file), theirs);
    let mut content = String::new();
    let mut reader = Reader::new(theirs.as_slice());
    reader.next_event().unwrap();
    reader.content().read_to_string(&mut content).unwrap();
    assert_eq!(content, "one");
}
