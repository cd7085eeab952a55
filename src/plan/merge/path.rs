//! Merging one path: its type, its metadata aspect by aspect, its content.

use sha2::{Digest, Sha256};

use super::{Conflict, Labels, Outcome, TextMerge, Which, merge_text};
use crate::plan::tree_diff::{Kind, Modified, Node, Type};

/// One path in the three trees.
pub(super) struct Three<'a> {
    pub(super) base: Option<&'a Node>,
    pub(super) ours: Option<&'a Node>,
    pub(super) theirs: Option<&'a Node>,
}

/// What became of one path.
pub(super) struct Step {
    pub(super) node: Option<Node>,
    pub(super) outcome: Outcome,
    pub(super) conflicts: Vec<Conflict>,
    /// The bytes of a merged file that is none of the three.
    pub(super) text: Option<Vec<u8>>,
}

impl Three<'_> {
    pub(super) fn merge<E>(
        &self,
        markers: Option<&Labels>,
        content: &mut impl FnMut(Which, &Node) -> Result<Vec<u8>, E>,
    ) -> Result<Step, E> {
        let Self { base, ours, theirs } = *self;
        let take = |node: Option<&Node>, outcome, conflicts| {
            Ok(Step {
                node: node.cloned(),
                outcome,
                conflicts,
                text: None,
            })
        };
        if same(ours, theirs) || same(base, theirs) {
            return take(ours, Outcome::Ours, vec![]);
        }
        if same(base, ours) {
            return take(theirs, Outcome::Theirs, vec![]);
        }
        let (Some(mine), Some(other)) = (ours, theirs) else {
            let deleted = if ours.is_none() {
                Conflict::DeletedOurs
            } else {
                Conflict::DeletedTheirs
            };
            return take(ours, Outcome::Ours, vec![deleted]);
        };
        if mine.kind.type_of() != other.kind.type_of() {
            let conflict = Conflict::Type {
                ours: mine.kind.type_of(),
                theirs: other.kind.type_of(),
            };
            return take(ours, Outcome::Ours, vec![conflict]);
        }
        let mut step = Step {
            node: None,
            outcome: Outcome::Both,
            conflicts: vec![],
            text: None,
        };
        let mut node = self.metadata(mine, other, &mut step.conflicts);
        node.kind = match pick(base.map(|node| &node.kind), &mine.kind, &other.kind) {
            Some(kind) => kind.clone(),
            None => self.content(mine, other, markers, content, &mut step)?,
        };
        if same(Some(&node), ours) {
            step.outcome = Outcome::Ours;
        } else if same(Some(&node), theirs) {
            step.outcome = Outcome::Theirs;
        }
        step.node = Some(node);
        Ok(step)
    }

    /// `mine` with its metadata merged; each aspect goes by itself.
    fn metadata(&self, mine: &Node, other: &Node, conflicts: &mut Vec<Conflict>) -> Node {
        let base = self.base;
        let mut node = mine.clone();
        let mut what = Modified::default();
        let mode = base.map(Node::permissions);
        match pick(mode.as_ref(), &mine.permissions(), &other.permissions()) {
            Some(mode) if *mode != mine.permissions() => node.mode = other.mode,
            Some(_) => {}
            None => what.mode = true,
        }
        let owner = |node: &Node| (node.uid, node.gid);
        match pick(base.map(owner).as_ref(), &owner(mine), &owner(other)) {
            Some(owner) => (node.uid, node.gid) = *owner,
            None => what.owner = true,
        }
        match pick(base.map(|node| &node.xattrs), &mine.xattrs, &other.xattrs) {
            Some(xattrs) => node.xattrs.clone_from(xattrs),
            None => what.xattrs = true,
        }
        if what.any() {
            conflicts.push(Conflict::Metadata { what });
        }
        node
    }

    /// The content when both sides changed it: text is merged by lines.
    fn content<E>(
        &self,
        mine: &Node,
        other: &Node,
        markers: Option<&Labels>,
        content: &mut impl FnMut(Which, &Node) -> Result<Vec<u8>, E>,
        step: &mut Step,
    ) -> Result<Kind, E> {
        if !matches!(mine.kind, Kind::File { .. }) {
            step.conflicts.push(Conflict::Target);
            return Ok(mine.kind.clone());
        }
        // Added on both sides, or something else before: no common lines.
        let before = match self.base.filter(|node| node.kind.type_of() == Type::File) {
            Some(node) => content(Which::Base, node)?,
            None => Vec::new(),
        };
        let merge = merge_text(
            &before,
            &content(Which::Ours, mine)?,
            &content(Which::Theirs, other)?,
        );
        let text = match merge {
            None => {
                step.conflicts.push(Conflict::Binary);
                None
            }
            Some(merge) => merged_text(&merge, markers, &mut step.conflicts),
        };
        let Some(text) = text else {
            return Ok(mine.kind.clone());
        };
        let kind = Kind::File {
            size: text.len() as u64,
            digest: Sha256::digest(&text).into(),
        };
        if kind != mine.kind && kind != other.kind {
            step.text = Some(text);
        }
        Ok(kind)
    }
}

fn merged_text(
    merge: &TextMerge,
    markers: Option<&Labels>,
    conflicts: &mut Vec<Conflict>,
) -> Option<Vec<u8>> {
    let places = merge.conflicts();
    if places > 0 {
        conflicts.push(Conflict::Text { places });
    }
    match markers {
        Some(labels) => Some(merge.render(labels)),
        None if places == 0 => Some(merge.render(&Labels::for_point(""))),
        None => None,
    }
}

/// The side that changed; ours when both did the same; none when they differ.
fn pick<'a, T: PartialEq>(base: Option<&T>, ours: &'a T, theirs: &'a T) -> Option<&'a T> {
    if ours == theirs || base == Some(theirs) {
        Some(ours)
    } else if base == Some(ours) {
        Some(theirs)
    } else {
        None
    }
}

/// Whether two nodes are equal in all that can be restored.
fn same(one: Option<&Node>, other: Option<&Node>) -> bool {
    match (one, other) {
        (Some(one), Some(other)) => !Modified::between(one, other).any(),
        (None, None) => true,
        _ => false,
    }
}
