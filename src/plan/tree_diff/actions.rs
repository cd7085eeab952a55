//! The steps that turn one tree into another, in an order that is safe.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use thiserror::Error;

use super::{Change, Node, Scope, Tree, What, compare};

/// One step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Remove something that is no directory.
    Remove(PathBuf),
    /// Remove a directory; it is empty by then, unless something came into it
    /// since the listing, and then it must stay.
    RemoveDir(PathBuf),
    /// Create a directory that is closed to others (0700); its own mode
    /// follows with [`Action::SetDirMeta`].
    CreateDir(PathBuf),
    /// Write a file, symlink or special file with its mode, owner and
    /// attributes, in place of one of the same type or of nothing.
    Write(Node),
    /// Give something that is no directory its mode, owner and attributes.
    SetMeta(Node),
    /// Give a directory its mode, owner and attributes.
    SetDirMeta(Node),
}

impl Action {
    /// The path it is about.
    pub fn path(&self) -> &Path {
        match self {
            Self::Remove(path) | Self::RemoveDir(path) | Self::CreateDir(path) => path,
            Self::Write(node) | Self::SetMeta(node) | Self::SetDirMeta(node) => &node.path,
        }
    }
}

/// The steps from the tree as it is to the one that is wanted.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Actions {
    /// Directories outside the scope which something in it needs and which are
    /// not there now, parents first. To be created, with what they were, before
    /// the steps.
    pub parents: Vec<Node>,
    /// The steps, all within the scope, in order.
    pub steps: Vec<Action>,
}

/// Why there is no safe way.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ActionError {
    /// Something outside the scope stands where a directory is needed.
    #[error(
        "{path:?} cannot be restored: {blocker:?} is no directory now; restore {blocker:?} too"
    )]
    Blocked {
        /// What was to be restored.
        path: PathBuf,
        /// What stands in the way.
        blocker: PathBuf,
    },
    /// A directory has to give way, but what was added in it is to be kept.
    #[error(
        "{path:?} was no directory then, but is one now, with {added:?} in it; \
         move that away, or restore without keeping what was added"
    )]
    InTheWay {
        /// The directory.
        path: PathBuf,
        /// Something in it that was added.
        added: PathBuf,
    },
}

/// The steps that turn `now` into `wanted` within the scope.
///
/// Order: remove files, then directories, deepest first; create directories,
/// parents first; write files and symlinks; last the modes of directories,
/// deepest first, so that a closed one shuts no step out. A type change is a
/// removal and a creation. With `keep_added`, what only `now` has stays.
///
/// # Errors
/// [`ActionError`] when something that is to stay stands in the way.
pub fn actions(
    now: &Tree,
    wanted: &Tree,
    scope: &Scope,
    keep_added: bool,
) -> Result<Actions, ActionError> {
    let (mut files, mut dirs) = (Vec::new(), Vec::new());
    let (mut create, mut write, mut modes) = (Vec::new(), Vec::new(), Vec::new());
    let mut parents = BTreeMap::new();

    for Change { path, what } in compare(wanted, now, scope) {
        let replaced = matches!(what, What::TypeChanged { .. });
        let goes = replaced || (what == What::Added && !keep_added);
        if replaced && keep_added {
            nothing_added(&path, now)?;
        }
        match now.get(&path).filter(|_| goes) {
            Some(node) if node.is_dir() => dirs.push(path.clone()),
            Some(_) => files.push(path.clone()),
            None => {}
        }
        let Some(node) = wanted.get(&path) else {
            continue;
        };
        let in_place = match what {
            What::Modified(modified) => !modified.content,
            _ => false,
        };
        if node.is_dir() {
            if !in_place {
                create.push(Action::CreateDir(path.clone()));
            }
            modes.push(node);
        } else if in_place {
            write.push(Action::SetMeta(node.clone()));
        } else {
            write.push(Action::Write(node.clone()));
        }
        if !in_place {
            for parent in missing_parents(node, now, wanted, scope)? {
                parents.insert(&parent.path, parent);
            }
        }
    }

    dirs.sort_unstable_by_key(|path| Reverse(depth(path)));
    modes.sort_by_key(|node| Reverse(depth(&node.path)));
    let steps = (files.into_iter().map(Action::Remove))
        .chain(dirs.into_iter().map(Action::RemoveDir))
        .chain(create)
        .chain(write)
        .chain(modes.into_iter().cloned().map(Action::SetDirMeta))
        .collect();
    Ok(Actions {
        parents: parents.into_values().cloned().collect(),
        steps,
    })
}

fn nothing_added(path: &Path, now: &Tree) -> Result<(), ActionError> {
    let added = now.below(path).next().map(|inside| inside.path.clone());
    added.map_or(Ok(()), |added| {
        Err(ActionError::InTheWay {
            path: path.to_owned(),
            added,
        })
    })
}

fn depth(path: &Path) -> usize {
    path.components().count()
}

/// The directories above a node, outside the scope, that `now` lacks.
fn missing_parents<'a>(
    node: &Node,
    now: &Tree,
    wanted: &'a Tree,
    scope: &Scope,
) -> Result<Vec<&'a Node>, ActionError> {
    let mut missing = Vec::new();
    for parent in node
        .path
        .ancestors()
        .skip(1)
        .filter(|parent| !scope.contains(parent))
    {
        match now.get(parent) {
            Some(there) if there.is_dir() => break,
            Some(there) => {
                return Err(ActionError::Blocked {
                    path: node.path.clone(),
                    blocker: there.path.clone(),
                });
            }
            // A tree lists the parents of all it lists; only the root is none.
            None => missing.extend(wanted.get(parent)),
        }
    }
    Ok(missing)
}
