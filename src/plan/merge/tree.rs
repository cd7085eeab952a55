//! Merging whole trees: which paths are taken, merged, or in conflict.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Path, PathBuf};

use super::Labels;
use super::path::Three;
use crate::plan::tree_diff::{Modified, Node, Tree, TreeError, Type};
use crate::point::BytePath;

/// One of the three trees.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Which {
    /// What both sides started from.
    Base,
    /// What is there now.
    Ours,
    /// What the point has.
    Theirs,
}

/// The result for one path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PathMerge {
    /// Where.
    pub path: PathBuf,
    /// What the merged tree has there.
    pub outcome: Outcome,
    /// What a person has to decide; empty when the merge is clean.
    pub conflicts: Vec<Conflict>,
}

/// What the merged tree has at a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Outcome {
    /// What is there now (perhaps nothing).
    #[default]
    Ours,
    /// What the point has (perhaps nothing).
    Theirs,
    /// Something of both: merged text, or the content of one side with the
    /// mode, owner or attributes of the other.
    Both,
}

/// Why a path needs a person. Unless said otherwise, what is there now stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Conflict {
    /// Both sides changed the same lines, in this many places. With markers
    /// asked for, the merged tree has the text with its markers.
    Text {
        /// How many places.
        places: usize,
    },
    /// Both sides changed a binary file.
    Binary,
    /// Both sides changed a symlink's target, or made different special files.
    Target,
    /// Removed now, but changed at the point.
    DeletedOurs,
    /// Changed now, but removed at the point.
    DeletedTheirs,
    /// The two sides have different things there.
    Type {
        /// What is there now.
        ours: Type,
        /// What the point has.
        theirs: Type,
    },
    /// Both changed the mode, owner or attributes in different ways.
    Metadata {
        /// Which; `content` is never set.
        what: Modified,
    },
    /// One side has a directory with changes where the other has none.
    FileInTheWay,
}

/// A file both sides changed in ways that do not go together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileConflict {
    /// Absolute logical path.
    pub path: BytePath,
    /// In which ways.
    pub kinds: Vec<Conflict>,
    /// The places in its text.
    pub places: Vec<Place>,
}

/// A place in a text that both sides changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// What is there now.
    pub ours: Vec<u8>,
    /// What both started from.
    pub base: Vec<u8>,
    /// What the point has.
    pub theirs: Vec<u8>,
}

impl Conflict {
    /// One word for programs.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Text { .. } => "text",
            Self::Binary => "binary",
            Self::Target => "target",
            Self::DeletedOurs => "deleted-ours",
            Self::DeletedTheirs => "deleted-theirs",
            Self::Type { .. } => "type",
            Self::Metadata { .. } => "metadata",
            Self::FileInTheWay => "file-in-the-way",
        }
    }
}

impl fmt::Display for Conflict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text { places: 1 } => f.write_str("both sides changed the same lines"),
            Self::Text { places } => write!(f, "both sides changed the same lines, {places} times"),
            Self::Binary => f.write_str("both sides changed this binary file"),
            Self::Target => f.write_str("both sides changed where it leads"),
            Self::DeletedOurs => f.write_str("removed now, but changed at the point"),
            Self::DeletedTheirs => f.write_str("changed now, but removed at the point"),
            Self::Type { ours, theirs } => write!(f, "a {ours} now, a {theirs} at the point"),
            Self::Metadata { what } => write!(f, "both sides changed its {what}"),
            Self::FileInTheWay => f.write_str("a directory with changes on one side only"),
        }
    }
}

/// A merge of trees.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Merged {
    /// What the merge arrives at; with conflicts, what is there now at those.
    pub tree: Tree,
    /// Every path where the three are not all alike, in order.
    pub paths: Vec<PathMerge>,
    /// The bytes of the files in `tree` that are in none of the three.
    pub contents: BTreeMap<PathBuf, Vec<u8>>,
}

impl Merged {
    /// The paths a person has to decide on.
    pub fn conflicts(&self) -> impl Iterator<Item = &PathMerge> {
        self.paths.iter().filter(|path| !path.conflicts.is_empty())
    }
}

/// Merges three trees. `content` gives the bytes of a file of one of them and
/// is asked only for files whose content both sides changed. With `markers`,
/// texts in conflict are merged with markers in them; without, they stay as
/// they are now.
///
/// # Errors
/// Whatever `content` fails with; a [`TreeError`] made into `E` cannot come
/// from trees that were checked, but is passed on rather than assumed away.
pub fn merge_trees<E: From<TreeError>>(
    base: &Tree,
    ours: &Tree,
    theirs: &Tree,
    markers: Option<&Labels>,
    mut content: impl FnMut(Which, &Node) -> Result<Vec<u8>, E>,
) -> Result<Merged, E> {
    let paths: BTreeSet<&Path> = [base, ours, theirs]
        .into_iter()
        .flat_map(Tree::nodes)
        .map(|n| n.path.as_path())
        .collect();
    let mut nodes = BTreeMap::new();
    let mut done = BTreeMap::new();
    let mut contents = BTreeMap::new();
    for path in paths {
        let three = Three {
            base: base.get(path),
            ours: ours.get(path),
            theirs: theirs.get(path),
        };
        let mut step = three.merge(markers, &mut content)?;
        if let Some(text) = step.text.take() {
            contents.insert(path.to_owned(), text);
        }
        if let Some(node) = step.node {
            nodes.insert(path.to_owned(), node);
        }
        done.insert(path.to_owned(), (step.outcome, step.conflicts));
    }
    settle(&mut nodes, &mut done, ours, theirs);
    contents.retain(|path, _| {
        done.get(path)
            .is_some_and(|(outcome, _)| *outcome == Outcome::Both)
    });
    let alike =
        |path: &Path| base.get(path) == ours.get(path) && base.get(path) == theirs.get(path);
    let paths = done
        .into_iter()
        .filter(|(path, (_, conflicts))| !conflicts.is_empty() || !alike(path))
        .map(|(path, (outcome, conflicts))| PathMerge {
            path,
            outcome,
            conflicts,
        })
        .collect();
    Ok(Merged {
        tree: Tree::new(nodes.into_values())?,
        paths,
        contents,
    })
}

type Done = BTreeMap<PathBuf, (Outcome, Vec<Conflict>)>;

/// Makes the merged paths a tree again: a directory stays while anything in it
/// does; where a file and the inside of a directory meet, it all stays as it
/// is now.
fn settle(nodes: &mut BTreeMap<PathBuf, Node>, done: &mut Done, ours: &Tree, theirs: &Tree) {
    loop {
        let missing = nodes.keys().find_map(|path| {
            let parent = path
                .parent()
                .filter(|parent| !parent.as_os_str().is_empty())?;
            (!nodes.get(parent).is_some_and(Node::is_dir)).then(|| parent.to_owned())
        });
        let Some(dir) = missing else {
            return;
        };
        if nodes.contains_key(&dir) {
            back_to_ours(&dir, nodes, done, ours);
            continue;
        }
        // At most one side has it: what both have is never dropped.
        let sides = [(ours, Outcome::Ours), (theirs, Outcome::Theirs)];
        let kept = sides.into_iter().find_map(|(tree, outcome)| {
            tree.get(&dir)
                .filter(|node| node.is_dir())
                .map(|node| (node.clone(), outcome))
        });
        if let Some((node, outcome)) = kept {
            done.entry(dir.clone()).or_default().0 = outcome;
            nodes.insert(dir, node);
        } else {
            back_to_ours(&dir, nodes, done, ours);
        }
    }
}

fn back_to_ours(root: &Path, nodes: &mut BTreeMap<PathBuf, Node>, done: &mut Done, ours: &Tree) {
    nodes.retain(|path, _| !path.starts_with(root));
    let inside = ours.get(root).into_iter().chain(ours.below(root));
    nodes.extend(inside.map(|node| (node.path.clone(), node.clone())));
    for (path, (outcome, conflicts)) in done.iter_mut().filter(|(path, _)| path.starts_with(root)) {
        *outcome = Outcome::Ours;
        if path == root && !conflicts.contains(&Conflict::FileInTheWay) {
            conflicts.push(Conflict::FileInTheWay);
        }
    }
}
