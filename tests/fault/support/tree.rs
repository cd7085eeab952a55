//! Everything that is in a folder, in a form that can be compared.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

/// One entry. Access times and the times of folders are no part of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    pub path: PathBuf,
    pub kind: &'static str,
    pub mode: u32,
    pub owner: (u32, u32),
    /// Content of a file, target of a link, number of a device.
    pub content: Vec<u8>,
    pub xattrs: Vec<(String, Vec<u8>)>,
    pub mtime: Option<(i64, i64)>,
    /// The first name of a file that has several here.
    pub first: Option<PathBuf>,
}

/// Everything at and below these paths of `base`, sorted.
pub fn listing(base: &Path, starts: &[&str]) -> Vec<Node> {
    let mut todo: Vec<PathBuf> = starts.iter().map(PathBuf::from).collect();
    let mut found = Vec::new();
    while let Some(path) = todo.pop() {
        let Some(node) = node(base, &path) else {
            continue;
        };
        if node.kind == "folder" {
            for entry in fs::read_dir(base.join(&path)).unwrap() {
                todo.push(path.join(entry.unwrap().file_name()));
            }
        }
        found.push(node);
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    let mut files: BTreeMap<(u64, u64), Vec<usize>> = BTreeMap::new();
    for (n, node) in found.iter().enumerate().filter(|(_, n)| n.kind == "file") {
        let meta = fs::symlink_metadata(base.join(&node.path)).unwrap();
        if meta.nlink() > 1 {
            files.entry((meta.dev(), meta.ino())).or_default().push(n);
        }
    }
    for names in files.into_values().filter(|names| names.len() > 1) {
        let first = found[names[0]].path.clone();
        for n in names {
            found[n].first = Some(first.clone());
        }
    }
    found
}

fn node(base: &Path, path: &Path) -> Option<Node> {
    use std::os::unix::ffi::OsStringExt as _;
    let real = base.join(path);
    let meta = fs::symlink_metadata(&real).ok()?;
    let kind = meta.file_type();
    let (kind, content) = if kind.is_dir() {
        ("folder", Vec::new())
    } else if kind.is_symlink() {
        let target = fs::read_link(&real).unwrap();
        ("link", target.into_os_string().into_vec())
    } else if kind.is_file() {
        ("file", fs::read(&real).unwrap())
    } else if kind.is_fifo() {
        ("pipe", Vec::new())
    } else if kind.is_socket() {
        ("socket", Vec::new())
    } else {
        ("device", meta.rdev().to_le_bytes().to_vec())
    };
    let mut xattrs: Vec<(String, Vec<u8>)> = Vec::new();
    if kind == "file" || kind == "folder" {
        for name in xattr::list(&real).unwrap() {
            let value = xattr::get(&real, &name).unwrap().unwrap_or_default();
            xattrs.push((name.into_string().unwrap(), value));
        }
        xattrs.sort();
    }
    let timed = kind == "file" || (kind == "link" && !path.starts_with("nix"));
    Some(Node {
        path: path.to_owned(),
        kind,
        mode: meta.mode() & 0o7777,
        owner: (meta.uid(), meta.gid()),
        content,
        xattrs,
        mtime: timed.then(|| (meta.mtime(), meta.mtime_nsec())),
        first: None,
    })
}

/// What differs, for a message.
pub fn changed(before: &[Node], after: &[Node]) -> Vec<String> {
    let missing = |one: &[Node], other: &[Node], word: &str| -> Vec<String> {
        one.iter()
            .filter(|n| !other.contains(n))
            .map(|n| {
                let text = String::from_utf8_lossy(&n.content).into_owned();
                let (mode, kind) = (n.mode, n.kind);
                format!(
                    "{word} {:?} {kind} {mode:o} {:?} {text:?} {:?} {:?} {:?}",
                    n.path, n.owner, n.xattrs, n.mtime, n.first
                )
            })
            .collect()
    };
    let mut lines = missing(before, after, "-");
    lines.extend(missing(after, before, "+"));
    lines
}
