//! Saving what is sound in a damaged pack.
//!
//! A pack is many pieces, each encrypted and sealed on its own, and a list of
//! them at its end. A flipped bit costs the piece it is in, or the list, never
//! the others: the sound ones go into a new pack, byte for byte as they are.

use aes256ctr_poly1305aes::aead::{Aead, AeadInPlace};
use aes256ctr_poly1305aes::{Aes256CtrPoly1305Aes, Key, Nonce};
use rustic_core::Id;
use rustic_core::repofile::{BlobType, IndexBlob, IndexPack, MasterKey};
use serde::de::IgnoredAny;
use sha2::{Digest, Sha256};

/// Bytes of the nonce before what is sealed, and of the seal after it.
const SEAL: usize = 16;

/// A new pack of what is sound.
pub(crate) struct Salvaged {
    /// Its id; `None` when nothing is sound.
    pub(crate) pack: Option<(Id, Vec<u8>)>,
    /// Pieces that were saved.
    pub(crate) saved: usize,
    /// Pieces that are lost.
    pub(crate) lost: usize,
}

/// Saves what is sound in `content`, where `index` says what it should hold.
pub(crate) fn salvage(key: &MasterKey, index: &IndexPack, content: &[u8]) -> Option<Salvaged> {
    let cipher = cipher(key)?;
    let (mut pack, mut list) = (Vec::new(), Vec::new());
    let mut saved = 0;
    for blob in &index.blobs {
        let Some(piece) = piece(blob, content).filter(|piece| is_sound(&cipher, piece)) else {
            continue;
        };
        pack.extend_from_slice(piece);
        list.extend(entry(blob));
        saved += 1;
    }
    let lost = index.blobs.len() - saved;
    if saved == 0 {
        return Some(Salvaged {
            pack: None,
            saved,
            lost,
        });
    }
    let sealed = seal(&cipher, list)?;
    let length = u32::try_from(sealed.len()).ok()?;
    pack.extend(sealed);
    pack.extend(length.to_le_bytes());
    let id = Id::new(Sha256::digest(&pack).into());
    Some(Salvaged {
        pack: Some((id, pack)),
        saved,
        lost,
    })
}

/// What a file is compressed with begins with: restic's version 2, then zstd.
const COMPRESSED: [u8; 5] = [2, 0x28, 0xb5, 0x2f, 0xfd];

/// Whether the key opens a whole sealed file, an index or a snapshot. The seal
/// alone tells only of one half of the key.
pub(crate) fn opens(key: &MasterKey, content: &[u8]) -> bool {
    let opened = cipher(key).filter(|_| content.len() > 2 * SEAL);
    let opened = opened.and_then(|cipher| {
        let (nonce, sealed) = content.split_at(SEAL);
        cipher.decrypt(Nonce::from_slice(nonce), sealed).ok()
    });
    opened.is_some_and(|plain| {
        plain.starts_with(&COMPRESSED) || serde_json::from_slice::<IgnoredAny>(&plain).is_ok()
    })
}

fn cipher(key: &MasterKey) -> Option<Aes256CtrPoly1305Aes> {
    let all = [&key.encrypt[..], &key.mac.k, &key.mac.r].concat();
    (all.len() == 64).then(|| Aes256CtrPoly1305Aes::new(Key::from_slice(&all)))
}

fn piece<'c>(blob: &IndexBlob, content: &'c [u8]) -> Option<&'c [u8]> {
    let start = usize::try_from(blob.location.offset).ok()?;
    let length = usize::try_from(blob.location.length).ok()?;
    content.get(start..start.checked_add(length)?)
}

fn is_sound(cipher: &Aes256CtrPoly1305Aes, piece: &[u8]) -> bool {
    piece.len() > 2 * SEAL
        && cipher
            .decrypt(Nonce::from_slice(&piece[..SEAL]), &piece[SEAL..])
            .is_ok()
}

/// A piece in the list: kind, length, length of the content when that is
/// compressed, id.
fn entry(blob: &IndexBlob) -> Vec<u8> {
    let compressed = blob.location.uncompressed_length;
    let kind = match (blob.tpe, compressed.is_some()) {
        (BlobType::Data, false) => 0,
        (BlobType::Tree, false) => 1,
        (BlobType::Data, true) => 2,
        (BlobType::Tree, true) => 3,
    };
    let mut entry = vec![kind];
    entry.extend(blob.location.length.to_le_bytes());
    if let Some(length) = compressed {
        entry.extend(length.get().to_le_bytes());
    }
    let id: &Id = &blob.id;
    entry.extend(hex::decode(id.to_hex().as_str()).unwrap_or_default());
    entry
}

fn seal(cipher: &Aes256CtrPoly1305Aes, mut content: Vec<u8>) -> Option<Vec<u8>> {
    // The randomness is that of the library's key generator.
    let random = MasterKey::new().encrypt;
    let nonce = random.get(..SEAL)?;
    let tag = cipher
        .encrypt_in_place_detached(Nonce::from_slice(nonce), &[], &mut content)
        .ok()?;
    Some([nonce, &content, &tag].concat())
}
