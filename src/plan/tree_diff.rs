//! What differs between two listings of a tree, and how to get from one to the
//! other.
//!
//! Paths are relative to the root of the listing and kept as raw bytes. They
//! are always compared by component: `etc/nix` is no part of `etc/nixos`.

mod actions;
mod scope;
#[cfg(test)]
pub(super) mod tests;
mod tree;

use std::fmt;
use std::path::PathBuf;

pub use actions::{Action, ActionError, Actions, actions};
pub use scope::{Scope, ScopeError};
pub use tree::{Kind, Node, Tree, TreeError, Type};

/// A difference at one path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Where.
    pub path: PathBuf,
    /// What.
    pub what: What,
}

/// What happened at a path from then to now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// Only the later tree has it.
    Added,
    /// Only the earlier tree has it.
    Removed,
    /// Both have it, of one type; at least one of these is true.
    Modified(Modified),
    /// Both have it, but it became something else.
    TypeChanged {
        /// What it was.
        from: Type,
        /// What it is.
        to: Type,
    },
}

/// Which aspects of a node differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Modified {
    /// A file's bytes, a symlink's target, what a special file stands for.
    pub content: bool,
    /// The permission bits. Symlinks have none that count.
    pub mode: bool,
    /// User or group.
    pub owner: bool,
    /// Extended attributes.
    pub xattrs: bool,
    /// Which other names the file has. Two trees alone do not say it.
    pub links: bool,
}

impl Modified {
    /// Compares two nodes of one type.
    pub(crate) fn between(then: &Node, now: &Node) -> Self {
        Self {
            content: then.kind != now.kind,
            mode: then.permissions() != now.permissions(),
            owner: (then.uid, then.gid) != (now.uid, now.gid),
            xattrs: then.xattrs != now.xattrs,
            links: false,
        }
    }

    /// Whether anything differs.
    pub fn any(self) -> bool {
        self != Self::default()
    }
}

/// "content, mode".
impl fmt::Display for Modified {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = [
            (self.content, "content"),
            (self.mode, "mode"),
            (self.owner, "owner"),
            (self.xattrs, "attributes"),
            (self.links, "hard links"),
        ];
        let mut separator = "";
        for (_, name) in names.into_iter().filter(|(differs, _)| *differs) {
            write!(f, "{separator}{name}")?;
            separator = ", ";
        }
        Ok(())
    }
}

/// What changed from `then` to `now` within the scope, by path. Empty exactly
/// when the trees are equal there.
pub fn compare(then: &Tree, now: &Tree, scope: &Scope) -> Vec<Change> {
    let gone = then.nodes().filter(|node| now.get(&node.path).is_none());
    let gone = gone.map(|node| Change {
        path: node.path.clone(),
        what: What::Removed,
    });
    let present = now.nodes().filter_map(|node| {
        let what = what(then.get(&node.path), node)?;
        Some(Change {
            path: node.path.clone(),
            what,
        })
    });
    let mut changes: Vec<Change> = gone
        .chain(present)
        .filter(|change| scope.contains(&change.path))
        .collect();
    changes.sort_by(|a, b| a.path.cmp(&b.path));
    changes
}

fn what(then: Option<&Node>, now: &Node) -> Option<What> {
    let Some(then) = then else {
        return Some(What::Added);
    };
    let (from, to) = (then.kind.type_of(), now.kind.type_of());
    // One special file for another (a pipe for a socket) is a type change too:
    // it cannot be turned into the other in place.
    if from != to || (from == Type::Other && then.kind != now.kind) {
        return Some(What::TypeChanged { from, to });
    }
    let modified = Modified::between(then, now);
    modified.any().then_some(What::Modified(modified))
}
