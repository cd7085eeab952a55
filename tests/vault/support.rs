//! Shared by the vault's tests.
#![allow(dead_code, missing_docs, unreachable_pub)]
#![allow(clippy::disallowed_methods, clippy::unwrap_used, clippy::panic)]

use std::ffi::OsStr;
use std::fs::{self, Permissions};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use cairn::vault::{
    CaptureRequest, CaptureRoot, Entry, EntryKind, OnUnreadable, Repo, Vault, VaultDir,
};
use chrono::DateTime;
use rustic_core::{
    Credentials, OpenStatus, Repository, RepositoryBackends, RepositoryOptions, repofile::MasterKey,
};

pub fn request(disk: &Path, logical: &str) -> CaptureRequest {
    CaptureRequest {
        tag: "01890a5d-ac96-774b-bcce-b302099a8057".into(),
        host: "box".into(),
        time: DateTime::from_timestamp(1_750_000_000, 123_456_789).unwrap(),
        roots: vec![CaptureRoot {
            disk: disk.into(),
            logical: logical.into(),
        }],
        exclude_names: vec![],
        exclude_named: |_| false,
        exclude_paths: vec![],
        on_unreadable: OnUnreadable::Fail,
        parent: None,
    }
}

pub fn vault(dir: &Path) -> VaultDir {
    VaultDir::init_or_open(&dir.join("vault")).unwrap().vault
}

pub fn mode(path: &Path, bits: u32) {
    fs::set_permissions(path, Permissions::from_mode(bits)).unwrap();
}

pub fn content(repo: &dyn Vault, entry: &Entry) -> Vec<u8> {
    let mut out = Vec::new();
    repo.read(entry, &mut out).unwrap();
    out
}

pub fn find(entries: &[Entry], path: impl AsRef<Path>) -> &Entry {
    let path = path.as_ref();
    entries
        .iter()
        .find(|entry| entry.path == path)
        .unwrap_or_else(|| panic!("no {path:?}"))
}

pub fn link_target(entry: &Entry) -> &Path {
    match &entry.kind {
        EntryKind::Symlink { target } => target,
        other => panic!("{:?} is {other:?}", entry.path),
    }
}

/// Bytes that neither compress nor repeat.
pub fn noise(length: usize, seed: u64) -> Vec<u8> {
    let mut state = seed | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[3]
    };
    (0..length).map(|_| next()).collect()
}

/// A tree with everything that is easily lost.
pub fn odd_tree(root: &Path) {
    fs::create_dir(root).unwrap();
    fs::write(root.join("plain"), "one\n").unwrap();
    fs::write(root.join("empty"), "").unwrap();
    fs::write(root.join("private"), "secret").unwrap();
    mode(&root.join("private"), 0o600);
    fs::write(root.join("setuid"), "#!/bin/sh\n").unwrap();
    mode(&root.join("setuid"), 0o4755);
    fs::write(root.join("new\nline"), "2").unwrap();
    fs::write(
        root.join(OsStr::from_bytes(b"not\xffutf8 \\x41 \"q\"")),
        "3",
    )
    .unwrap();
    fs::write(root.join("large"), noise(3 << 20, 7)).unwrap();
    fs::create_dir_all(root.join("sub/deep")).unwrap();
    fs::create_dir(root.join("sub-sibling")).unwrap();
    fs::write(root.join("sub/deep/x"), "x").unwrap();
    mode(&root.join("sub/deep"), 0o2750);
    symlink("nowhere/at/all", root.join("dangling")).unwrap();
    symlink("/etc", root.join("absolute")).unwrap();
    symlink("../../../..", root.join("out")).unwrap();
    symlink(OsStr::from_bytes(b"t\xfe"), root.join("odd-target")).unwrap();
    fs::write(root.join("name1"), "shared").unwrap();
    fs::hard_link(root.join("name1"), root.join("sub/name2")).unwrap();
    xattr::set(root.join("plain"), "user.origin", b"\x00\xff").unwrap();
    xattr::set(root, "user.root", b"kept").unwrap();
    rustix::fs::mknodat(
        rustix::fs::CWD,
        root.join("pipe"),
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::from_raw_mode(0o640),
        0,
    )
    .unwrap();
    filetime(&root.join("plain"), 1_000_000_000, 987_654_321);
    mode(root, 0o700);
}

/// Sets the modification time.
pub fn filetime(path: &Path, seconds: u64, nanos: u32) {
    let time = std::time::UNIX_EPOCH + std::time::Duration::new(seconds, nanos);
    fs::File::options()
        .write(true)
        .open(path)
        .unwrap()
        .set_modified(time)
        .unwrap();
}

/// The library as one would use it without our layer.
pub fn naive(repo: &Repo) -> Repository<OpenStatus> {
    let options = rustic_backend::BackendOptions::default()
        .repository(repo.path().to_str().unwrap().to_owned());
    let backends: RepositoryBackends = options.to_backends().unwrap();
    let key = fs::read(repo.path().parent().unwrap().join("key.json")).unwrap();
    let key: MasterKey = serde_json::from_slice(&key).unwrap();
    Repository::new(&RepositoryOptions::default().no_cache(true), &backends)
        .unwrap()
        .open(&Credentials::Masterkey(key))
        .unwrap()
}

/// Files of one kind of a repository: "snapshots", "index", "data".
pub fn files(repo: &Repo, kind: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut left = vec![repo.path().join(kind)];
    while let Some(dir) = left.pop() {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                left.push(path)
            } else {
                found.push(path)
            }
        }
    }
    found.sort();
    found
}

/// Flips one bit.
pub fn flip(path: &Path, at: usize) {
    let mut content = fs::read(path).unwrap();
    content[at] ^= 0x10;
    fs::write(path, content).unwrap();
}

/// Whether the environment says that nothing may be skipped.
fn strict() -> bool {
    std::env::var_os("CI").is_some() || std::env::var_os("CAIRN_TEST_STRICT").is_some()
}

/// Whether a tool is there. Missing ones fail strict runs and skip others.
pub fn have(tool: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    if std::env::split_paths(&path).any(|dir| dir.join(tool).is_file()) {
        return true;
    }
    assert!(!strict(), "{tool} is missing");
    eprintln!("SKIPPED: {tool} is missing");
    false
}

/// Set in a child of [`command_for`]: the directory it works in.
pub fn child_dir() -> Option<PathBuf> {
    std::env::var_os("CAIRN_TEST_CHILD").map(PathBuf::from)
}

/// Runs one test of this binary again in another process, under `wrapper`.
pub fn command_for(test: &str, dir: &Path, wrapper: &[&str]) -> Command {
    let own = std::env::current_exe().unwrap();
    let mut words: Vec<&OsStr> = wrapper.iter().map(OsStr::new).collect();
    words.push(own.as_os_str());
    let mut command = Command::new(words[0]);
    command
        .args(&words[1..])
        .args(["--exact", test, "--nocapture", "--test-threads=1"]);
    command.env("CAIRN_TEST_CHILD", dir);
    command
}

pub fn succeeded(output: &Output) {
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{}\n{out}\n{err}", output.status);
    assert!(
        !out.contains("running 0 tests"),
        "the child ran nothing:\n{out}"
    );
}
