//! The content hash: what a captured tree holds, apart from when, by whom and
//! where on the disk it was written.

use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

/// A SHA-256 digest.
pub(crate) type Sha = [u8; 32];

/// One line of the listing that is hashed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Line {
    /// Logical path.
    pub(crate) path: PathBuf,
    /// What it is.
    pub(crate) kind: LineKind,
    /// Permission bits (`0o7777`).
    pub(crate) mode: u32,
}

/// What a line of the listing stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum LineKind {
    /// A regular file; the digest of its content, once it is known.
    File(Option<Sha>),
    Dir,
    /// A symlink; the digest of its target.
    Symlink(Sha),
    Fifo,
    Char(u64),
    Block(u64),
}

/// The content hash over `lines`, in hex; `None` if a digest is not known.
///
/// The listing is sorted by path bytes. Each line is: length of the path
/// (u64, little-endian), path, one byte for the kind, permission bits (u32,
/// little-endian), 32 bytes for the content (zeros where there is none).
pub(crate) fn content_hash(lines: &mut [Line]) -> Option<String> {
    lines.sort_by(|a, b| bytes(&a.path).cmp(bytes(&b.path)));
    let mut whole = Sha256::new();
    for line in lines.iter() {
        let path = bytes(&line.path);
        let (kind, content) = line.kind.encode()?;
        whole.update((path.len() as u64).to_le_bytes());
        whole.update(path);
        whole.update([kind]);
        whole.update(line.mode.to_le_bytes());
        whole.update(content);
    }
    Some(hex::encode(whole.finalize()))
}

impl LineKind {
    fn encode(&self) -> Option<(u8, Sha)> {
        Some(match self {
            Self::File(digest) => (b'f', (*digest)?),
            Self::Dir => (b'd', [0; 32]),
            Self::Symlink(digest) => (b'l', *digest),
            Self::Fifo => (b'p', [0; 32]),
            Self::Char(device) => (b'c', number(*device)),
            Self::Block(device) => (b'b', number(*device)),
        })
    }
}

/// SHA-256 of `content`.
pub(crate) fn sha(content: &[u8]) -> Sha {
    Sha256::digest(content).into()
}

/// Path bytes: the order of every listing of the vault.
pub(crate) fn bytes(path: &Path) -> &[u8] {
    path.as_os_str().as_bytes()
}

fn number(value: u64) -> Sha {
    let mut digest = [0; 32];
    digest[..8].copy_from_slice(&value.to_le_bytes());
    digest
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, content: &str, mode: u32) -> Line {
        let kind = LineKind::File(Some(sha(content.as_bytes())));
        Line {
            path: PathBuf::from(path),
            kind,
            mode,
        }
    }

    #[test]
    fn the_order_of_the_walk_does_not_matter() {
        let mut one = [file("/a", "1", 0o644), file("/b", "2", 0o644)];
        let mut two = [file("/b", "2", 0o644), file("/a", "1", 0o644)];
        assert_eq!(content_hash(&mut one), content_hash(&mut two));
    }

    #[test]
    fn path_content_mode_and_kind_each_count() {
        let base = content_hash(&mut [file("/a", "1", 0o644)]);
        let link = LineKind::Symlink(sha(b"1"));
        let others = [
            content_hash(&mut [file("/b", "1", 0o644)]),
            content_hash(&mut [file("/a", "2", 0o644)]),
            content_hash(&mut [file("/a", "1", 0o600)]),
            content_hash(&mut [Line {
                path: "/a".into(),
                kind: link,
                mode: 0o644,
            }]),
        ];
        for other in others {
            assert!(other.is_some() && other != base);
        }
    }

    #[test]
    fn an_unknown_digest_gives_no_hash() {
        let line = Line {
            path: "/a".into(),
            kind: LineKind::File(None),
            mode: 0,
        };
        assert_eq!(content_hash(&mut [line]), None);
    }

    /// A fixed value: the hash is stored in documents and must never drift.
    #[test]
    fn the_encoding_is_fixed() {
        let mut lines = [
            Line {
                path: "/etc/nixos".into(),
                kind: LineKind::Dir,
                mode: 0o755,
            },
            file("/etc/nixos/a.nix", "{}\n", 0o644),
        ];
        let mut plain = Vec::new();
        plain.extend(10u64.to_le_bytes());
        plain.extend(b"/etc/nixos");
        plain.push(b'd');
        plain.extend(0o755u32.to_le_bytes());
        plain.extend([0u8; 32]);
        plain.extend(16u64.to_le_bytes());
        plain.extend(b"/etc/nixos/a.nix");
        plain.push(b'f');
        plain.extend(0o644u32.to_le_bytes());
        plain.extend(Sha256::digest(b"{}\n"));
        assert_eq!(
            content_hash(&mut lines).unwrap(),
            hex::encode(Sha256::digest(&plain))
        );
    }
}
