//! Everything of a folder, so that two states can be compared.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

/// What a restore brings back, by path: kind, permissions, owner, attributes,
/// content. Times are left out: those of a folder change with its entries.
pub fn contents(dir: &Path) -> BTreeMap<PathBuf, String> {
    walk(dir, &|_, path| describe(path))
}

/// Everything but the access time, by path.
pub type Exact = BTreeMap<PathBuf, String>;

/// Every trace that a write leaves: also inode, times and link count.
pub fn exact(dir: &Path) -> Exact {
    walk(dir, &|meta, path| {
        format!(
            "{} inode {} links {} mtime {}.{} ctime {}.{}",
            describe(path),
            meta.ino(),
            meta.nlink(),
            meta.mtime(),
            meta.mtime_nsec(),
            meta.ctime(),
            meta.ctime_nsec()
        )
    })
}

/// Asserts that two listings are the same; says where they are not.
#[track_caller]
pub fn same(before: &BTreeMap<PathBuf, String>, after: &BTreeMap<PathBuf, String>, what: &str) {
    let paths: BTreeSet<&PathBuf> = before.keys().chain(after.keys()).collect();
    let differ: Vec<String> = paths
        .into_iter()
        .filter(|path| before.get(*path) != after.get(*path))
        .map(|path| {
            format!(
                "{path:?}\n  {:?}\n  {:?}",
                before.get(path),
                after.get(path)
            )
        })
        .collect();
    assert!(differ.is_empty(), "{what}:\n{}", differ.join("\n"));
}

fn walk(
    dir: &Path,
    describe: &dyn Fn(&fs::Metadata, &Path) -> String,
) -> BTreeMap<PathBuf, String> {
    let mut found = BTreeMap::new();
    let mut todo = vec![dir.to_owned()];
    while let Some(path) = todo.pop() {
        let meta = fs::symlink_metadata(&path).unwrap();
        if meta.is_dir() {
            todo.extend(fs::read_dir(&path).unwrap().map(|e| e.unwrap().path()));
        }
        found.insert(
            path.strip_prefix(dir).unwrap().to_owned(),
            describe(&meta, &path),
        );
    }
    found
}

fn describe(path: &Path) -> String {
    let meta = fs::symlink_metadata(path).unwrap();
    let kind = meta.file_type();
    let what = if kind.is_symlink() {
        format!("link to {}", fs::read_link(path).unwrap().display())
    } else if kind.is_file() {
        let bytes = fs::read(path).unwrap();
        format!(
            "file {} {}",
            bytes.len(),
            hex::encode(Sha256::digest(&bytes))
        )
    } else if kind.is_dir() {
        "folder".to_owned()
    } else if kind.is_fifo() {
        "pipe".to_owned()
    } else {
        format!("other {}", meta.rdev())
    };
    let mut attributes = BTreeMap::new();
    if !kind.is_symlink() {
        for name in xattr::list(path).unwrap() {
            let value = xattr::get(path, &name).unwrap();
            attributes.insert(name, value);
        }
    }
    let (mode, uid, gid) = (meta.mode() & 0o7777, meta.uid(), meta.gid());
    format!("{what} {mode:o} {uid}:{gid} {attributes:?}")
}
