//! Names of one file: which of a root's files are hard links to each other,
//! and what it takes to make them so again.
//!
//! Only names within one root, and within what is asked for, count. A file
//! that also has names elsewhere is replaced, so those keep what they had.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use crate::plan::tree_diff::{Action, Actions, Change, Modified, Tree, What};

/// A file, by device and inode.
pub(super) type FileId = (u64, u64);

/// Each name that has others, with the first of them all.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Names(BTreeMap<PathBuf, PathBuf>);

impl Names {
    /// Groups names by the file they are of.
    pub(super) fn new<'p>(named: impl Iterator<Item = (&'p Path, FileId)>) -> Self {
        let mut files: BTreeMap<FileId, BTreeSet<&Path>> = BTreeMap::new();
        for (path, id) in named {
            files.entry(id).or_default().insert(path);
        }
        let groups = files.into_values().filter(|names| names.len() > 1);
        let pairs = groups.flat_map(|names| {
            let first = names.first().copied().unwrap_or(Path::new(""));
            names
                .into_iter()
                .map(move |n| (n.to_owned(), first.to_owned()))
        });
        Self(pairs.collect())
    }

    /// The first name of the file that `path` is a name of, when it has several.
    pub(super) fn first(&self, path: &Path) -> Option<&Path> {
        self.0.get(path).map(PathBuf::as_path)
    }
}

/// Adds what it takes to give files the names they had: all names of a file
/// are written anew when one of them is. `within` says which paths are asked
/// for.
pub(super) fn relink(
    then: &Names,
    now: &Names,
    wanted: &Tree,
    within: impl Fn(&Path) -> bool,
    changes: &mut Vec<Change>,
    actions: &mut Actions,
) {
    let paths = then.0.keys().chain(now.0.keys());
    // What is gone, or is only there now, has its change already.
    let differ = paths.filter(|p| within(p) && wanted.get(p).is_some());
    let mut anew: BTreeSet<&Path> = differ
        .filter(|p| then.first(p) != now.first(p))
        .map(PathBuf::as_path)
        .collect();
    let changed = changes.iter().map(|c| c.path.as_path());
    let files: BTreeSet<&Path> = changed
        .chain(anew.iter().copied())
        .filter_map(|p| then.first(p))
        .collect();
    anew.extend(
        then.0
            .iter()
            .filter(|(_, first)| files.contains(first.as_path()))
            .map(|(path, _)| path.as_path()),
    );
    for path in anew {
        let Some(node) = wanted.get(path) else {
            continue;
        };
        let place = changes.partition_point(|c| c.path.as_path() < path);
        let is_there = changes.get(place).is_some_and(|c| c.path == path);
        if !is_there {
            let what = What::Modified(Modified {
                links: true,
                ..Modified::default()
            });
            let path = path.to_owned();
            changes.insert(place, Change { path, what });
        }
        let steps = &mut actions.steps;
        let written = |a: &Action| matches!(a, Action::Write(n) if n.path == path);
        if steps.iter().any(written) {
            continue;
        }
        steps.retain(|a| !matches!(a, Action::SetMeta(n) if n.path == path));
        let modes = |a: &Action| matches!(a, Action::SetDirMeta(_));
        let end = steps.iter().position(modes).unwrap_or(steps.len());
        steps.insert(end, Action::Write(node.clone()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::tree_diff::{Kind, Node, Scope, actions, compare};

    fn tree(paths: &[&str]) -> Tree {
        let node = |path: &&str| Node {
            path: path.into(),
            kind: Kind::File {
                size: 1,
                digest: [1; 32],
            },
            mode: 0o644,
            uid: 0,
            gid: 0,
            xattrs: BTreeMap::new(),
        };
        Tree::new(paths.iter().map(node)).unwrap()
    }

    fn names(groups: &[&[&'static str]]) -> Names {
        let of = |(n, group): (usize, &&[&'static str])| -> Vec<(&'static Path, FileId)> {
            group
                .iter()
                .map(|p| (Path::new(*p), (1, n as u64)))
                .collect()
        };
        Names::new(groups.iter().enumerate().flat_map(of))
    }

    fn written(then: &Names, now: &Names, both: &[&str]) -> Vec<String> {
        let tree = tree(both);
        let mut changes = compare(&tree, &tree, &Scope::all());
        let mut steps = actions(&tree, &tree, &Scope::all(), false).unwrap();
        relink(then, now, &tree, |_| true, &mut changes, &mut steps);
        assert_eq!(changes.len(), steps.steps.len());
        let path = |a: &Action| a.path().display().to_string();
        steps.steps.iter().map(path).collect()
    }

    #[test]
    fn a_name_alone_is_no_group() {
        assert_eq!(names(&[&["a"], &["b"]]), Names::default());
    }

    #[test]
    fn all_names_of_a_file_are_written_when_one_differs() {
        let (then, now) = (names(&[&["a", "b", "c"]]), names(&[&["a", "b"]]));
        assert_eq!(written(&then, &now, &["a", "b", "c", "d"]), ["a", "b", "c"]);
        assert_eq!(written(&then, &then, &["a", "b", "c", "d"]), [""; 0]);
    }

    #[test]
    fn files_that_became_one_are_parted() {
        let now = names(&[&["a", "b"]]);
        assert_eq!(written(&Names::default(), &now, &["a", "b"]), ["a", "b"]);
    }
}
