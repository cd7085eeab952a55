//! Between what was walked, the repository's nodes and our entries.

use std::ffi::OsStr;
use std::fs::Metadata as FileMetadata;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path};

use rustic_core::jiff;
use rustic_core::repofile::{Metadata, Node, NodeType};
use serde_json::{Value, json};

use crate::vault::types::{Entry, EntryKind, Timestamp, Xattr};
use crate::vault::walk::{Walked, WalkedKind};

// Mode bits of the repository format: those of Go's io/fs.FileMode.
const GO_DIR: u32 = 1 << 31;
const GO_SYMLINK: u32 = 1 << 27;
const GO_DEVICE: u32 = 1 << 26;
const GO_FIFO: u32 = 1 << 25;
const GO_SETUID: u32 = 1 << 23;
const GO_SETGID: u32 = 1 << 22;
const GO_CHAR: u32 = 1 << 21;
const GO_STICKY: u32 = 1 << 20;

const NANOS: i128 = 1_000_000_000;

/// The node to store. `None` if a time is beyond what the format holds.
pub(crate) fn to_node(walked: &Walked) -> Option<Node> {
    let meta = &walked.metadata;
    let (kind, type_bits) = match &walked.kind {
        WalkedKind::File(_) => (NodeType::File, 0),
        WalkedKind::Dir => (NodeType::Dir, GO_DIR),
        WalkedKind::Symlink(target) => (NodeType::from_link(target), GO_SYMLINK),
        WalkedKind::Fifo => (NodeType::Fifo, GO_FIFO),
        WalkedKind::Char(device) => (NodeType::Chardev { device: *device }, GO_DEVICE | GO_CHAR),
        WalkedKind::Block(device) => (NodeType::Dev { device: *device }, GO_DEVICE),
    };
    let is_dir = matches!(walked.kind, WalkedKind::Dir);
    let linked = !is_dir && meta.nlink() > 1;
    let mtime = time(meta.mtime(), meta.mtime_nsec())?;
    // A young file may change again without a trace in its times. Stored with
    // another ctime it never counts as unchanged, so it is read next time.
    let young = matches!(&walked.kind, WalkedKind::File(reader) if reader.is_young());
    let ctime = time(meta.ctime(), meta.ctime_nsec() - i64::from(young))?;
    let mut metadata = Metadata {
        mode: Some(go_mode(meta) | type_bits),
        mtime: Some(mtime),
        // Reading for a capture must not make trees differ.
        atime: Some(mtime),
        ctime: Some(ctime),
        uid: Some(meta.uid()),
        gid: Some(meta.gid()),
        inode: meta.ino(),
        device_id: if linked { meta.dev() } else { 0 },
        // That of a link is no content: a parent's would be counted as such.
        size: match walked.kind {
            WalkedKind::File(_) => meta.size(),
            _ => 0,
        },
        links: if is_dir { 0 } else { meta.nlink() },
        ..Metadata::default()
    };
    set_attributes(&mut metadata, &walked.xattrs)?;
    let name = walked.logical.file_name().unwrap_or(OsStr::new("/"));
    Some(Node::new_node(name, kind, metadata))
}

/// The node of an entry that comes from a repository. `None` if its time is
/// beyond what the format holds.
pub(crate) fn from_entry(entry: &Entry, size: u64) -> Option<Node> {
    let (kind, type_bits) = match &entry.kind {
        EntryKind::File { .. } => (NodeType::File, 0),
        EntryKind::Dir => (NodeType::Dir, GO_DIR),
        EntryKind::Symlink { target } => (NodeType::from_link(target), GO_SYMLINK),
        EntryKind::Fifo => (NodeType::Fifo, GO_FIFO),
        EntryKind::Socket => (NodeType::Socket, 0),
        EntryKind::Char { device } => (NodeType::Chardev { device: *device }, GO_DEVICE | GO_CHAR),
        EntryKind::Block { device } => (NodeType::Dev { device: *device }, GO_DEVICE),
    };
    let mtime = time(entry.mtime.seconds, i64::from(entry.mtime.nanos))?;
    let (device_id, inode) = entry.hardlink.unwrap_or_default();
    let mut metadata = Metadata {
        mode: Some(go_bits(entry.mode) | type_bits),
        mtime: Some(mtime),
        atime: Some(mtime),
        uid: Some(entry.uid),
        gid: Some(entry.gid),
        inode,
        device_id,
        size,
        links: match (&entry.kind, entry.hardlink) {
            (EntryKind::Dir, _) => 0,
            (_, Some(_)) => 2,
            (_, None) => 1,
        },
        ..Metadata::default()
    };
    set_attributes(&mut metadata, &entry.xattrs)?;
    let name = entry.path.file_name().unwrap_or(OsStr::new("/"));
    Some(Node::new_node(name, kind, metadata))
}

/// The library does not export the type of an attribute: blank ones are
/// decoded and then filled in.
fn set_attributes(metadata: &mut Metadata, xattrs: &[Xattr]) -> Option<()> {
    if xattrs.is_empty() {
        return Some(());
    }
    let blank = vec![json!({ "name": "", "value": null }); xattrs.len()];
    metadata.extended_attributes = serde_json::from_value(Value::Array(blank)).ok()?;
    for (attribute, xattr) in metadata.extended_attributes.iter_mut().zip(xattrs) {
        attribute.name.clone_from(&xattr.name);
        attribute.value = Some(xattr.value.clone());
    }
    Some(())
}

fn go_mode(meta: &FileMetadata) -> u32 {
    go_bits(meta.mode())
}

fn go_bits(mode: u32) -> u32 {
    let bit = |unix: u32, go: u32| if mode & unix != 0 { go } else { 0 };
    (mode & 0o777) | bit(0o4000, GO_SETUID) | bit(0o2000, GO_SETGID) | bit(0o1000, GO_STICKY)
}

fn unix_mode(go: u32) -> u32 {
    let bit = |go_bit: u32, unix: u32| if go & go_bit != 0 { unix } else { 0 };
    (go & 0o777) | bit(GO_SETUID, 0o4000) | bit(GO_SETGID, 0o2000) | bit(GO_STICKY, 0o1000)
}

fn time(seconds: i64, nanos: i64) -> Option<jiff::Timestamp> {
    jiff::Timestamp::from_nanosecond(i128::from(seconds) * NANOS + i128::from(nanos)).ok()
}

fn timestamp(time: jiff::Timestamp) -> Timestamp {
    let whole = time.as_nanosecond();
    let seconds = i64::try_from(whole.div_euclid(NANOS)).unwrap_or_default();
    let nanos = u32::try_from(whole.rem_euclid(NANOS)).unwrap_or_default();
    Timestamp { seconds, nanos }
}

/// Whether a directory stands only for the way to a root: it was never
/// captured, has no owner and no times, and is no entry.
pub(crate) fn is_placeholder(node: &Node) -> bool {
    node.is_dir() && node.meta.uid.is_none() && node.meta.mtime.is_none()
}

/// The node's name, if it is one plain path component. A name such as `..` or
/// `a/b` would lead a restore out of its destination.
pub(crate) fn plain_name(node: &Node) -> Option<std::ffi::OsString> {
    let name = node.name();
    let mut components = Path::new(&*name).components();
    match (components.next(), components.next()) {
        (Some(Component::Normal(only)), None)
            if only == &*name && !name.as_encoded_bytes().contains(&0) =>
        {
            Some(name.into_owned())
        }
        _ => None,
    }
}

/// The entry for a stored node.
pub(crate) fn to_entry(path: &Path, node: &Node) -> Entry {
    let meta = &node.meta;
    let kind = match &node.node_type {
        NodeType::File => EntryKind::File {
            size: meta.size,
            content: node
                .content
                .iter()
                .flatten()
                .map(|id| id.to_hex().to_string())
                .collect(),
        },
        NodeType::Dir => EntryKind::Dir,
        link @ NodeType::Symlink { .. } => EntryKind::Symlink {
            target: link.to_link().to_owned(),
        },
        NodeType::Fifo => EntryKind::Fifo,
        NodeType::Socket => EntryKind::Socket,
        NodeType::Chardev { device } => EntryKind::Char { device: *device },
        NodeType::Dev { device } => EntryKind::Block { device: *device },
    };
    let linked = !node.is_dir() && meta.links > 1;
    let attributes = meta.extended_attributes.iter();
    let xattrs = attributes.map(|attribute| Xattr {
        name: attribute.name.clone(),
        value: attribute.value.clone().unwrap_or_default(),
    });
    Entry {
        path: path.to_owned(),
        kind,
        mode: unix_mode(meta.mode.unwrap_or(0)),
        uid: meta.uid.unwrap_or(0),
        gid: meta.gid.unwrap_or(0),
        mtime: meta.mtime.map(timestamp).unwrap_or_default(),
        xattrs: xattrs.collect(),
        hardlink: linked.then_some((meta.device_id, meta.inode)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_before_1970_keep_their_nanoseconds() {
        let stored = time(-2, 999_999_999).unwrap();
        assert_eq!(
            timestamp(stored),
            Timestamp {
                seconds: -2,
                nanos: 999_999_999
            }
        );
    }

    #[test]
    fn names_that_lead_elsewhere_are_refused() {
        let node = |name: &str| {
            let mut node = Node::new_node(OsStr::new("x"), NodeType::File, Metadata::default());
            node.name = name.to_owned();
            node
        };
        for bad in [
            "..",
            ".",
            "",
            "/",
            "a/b",
            "/etc",
            "a/",
            "./a",
            "\\x2e\\x2e",
            "a\\x00b",
        ] {
            assert_eq!(plain_name(&node(bad)), None, "{bad:?}");
        }
        for good in ["a", "..a", "a b", "-", "\\xff", "a\\nb"] {
            assert!(plain_name(&node(good)).is_some(), "{good:?}");
        }
    }

    #[test]
    fn special_bits_survive() {
        for mode in [0o4755, 0o2755, 0o1777, 0o600, 0o7777] {
            let bit = |unix: u32, go: u32| if mode & unix != 0 { go } else { 0 };
            let go = (mode & 0o777)
                | bit(0o4000, GO_SETUID)
                | bit(0o2000, GO_SETGID)
                | bit(0o1000, GO_STICKY);
            assert_eq!(unix_mode(go | GO_DIR), mode);
        }
    }
}
