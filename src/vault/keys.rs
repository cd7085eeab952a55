//! The vault's master key and the password for the day it is lost.

use std::fmt;
use std::fs;
use std::path::Path;

use rustic_core::repofile::MasterKey;

use crate::vault::durable::write_synced;
use crate::vault::error::VaultError;

/// Digits of Crockford's base 32: no I, L, O or U to misread.
const DIGITS: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
const GROUPS: usize = 6;
const GROUP: usize = 5;

/// The password that opens the repositories with `restic` alone: six groups of
/// five characters, 150 bits; the dashes are part of it. Shown by `expose`
/// only, never by `Debug` or in an error.
#[derive(Clone, PartialEq, Eq)]
pub struct RecoveryPassword(String);

impl RecoveryPassword {
    /// A new random one. The randomness is that of the library's key
    /// generator: 32 fresh random bytes of a key nobody else sees.
    #[must_use]
    pub fn generate() -> Self {
        let random = MasterKey::new().encrypt;
        let digits: Vec<u8> = random
            .iter()
            .take(GROUPS * GROUP)
            .map(|byte| DIGITS[usize::from(byte & 31)])
            .collect();
        let groups: Vec<_> = digits.chunks(GROUP).map(String::from_utf8_lossy).collect();
        Self(groups.join("-"))
    }

    /// The password itself, to be shown once.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Stores it beside the key, mode 0600, ended by a line feed.
    pub(crate) fn save(&self, path: &Path) -> Result<(), VaultError> {
        let line = format!("{}\n", self.0);
        write_synced(path, line.as_bytes()).map_err(VaultError::io("write the file", path))
    }
}

impl fmt::Debug for RecoveryPassword {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RecoveryPassword(…)")
    }
}

/// Stores the master key as `rustic --key-file` reads it, mode 0600.
pub(crate) fn save_key(path: &Path, key: &MasterKey) -> Result<(), VaultError> {
    let unusable = |_| bad(path, "it cannot be encoded");
    let content = serde_json::to_vec(key).map_err(unusable)?;
    write_synced(path, &content).map_err(VaultError::io("write the file", path))
}

/// Reads the master key. No error shows any of it.
pub(crate) fn load_key(path: &Path) -> Result<MasterKey, VaultError> {
    let content = fs::read(path).map_err(|error| bad(path, &error.to_string()))?;
    // The parser's message may quote what it read: leave it out.
    let key: MasterKey =
        serde_json::from_slice(&content).map_err(|_| bad(path, "it holds no key"))?;
    // The library panics on other lengths.
    if (key.encrypt.len(), key.mac.k.len(), key.mac.r.len()) == (32, 16, 16) {
        Ok(key)
    } else {
        Err(bad(path, "the key in it is truncated"))
    }
}

fn bad(path: &Path, reason: &str) -> VaultError {
    VaultError::Key {
        path: path.to_owned(),
        reason: reason.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn passwords_are_easy_to_copy_and_differ() {
        let (one, two) = (RecoveryPassword::generate(), RecoveryPassword::generate());
        assert_ne!(one, two);
        let groups: Vec<_> = one.expose().split('-').collect();
        assert_eq!(groups.len(), 6);
        for group in groups {
            assert!(group.len() == 5 && group.bytes().all(|byte| DIGITS.contains(&byte)));
        }
        assert!(!format!("{one:?}").contains(one.expose()));
    }

    #[test]
    fn a_key_comes_back_as_it_was() {
        let dir = tempfile::tempdir().unwrap();
        let (path, key) = (dir.path().join("key.json"), MasterKey::new());
        save_key(&path, &key).unwrap();
        assert_eq!(load_key(&path).unwrap().encrypt, key.encrypt);
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o7777,
            0o600
        );
    }

    #[test]
    fn errors_show_nothing_of_a_damaged_key() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key.json");
        for content in [
            "\"c2VjcmV0\"",
            r#"{"mac":{"k":"c2VjcmV0","r":""},"encrypt":""}"#,
            "",
        ] {
            fs::write(&path, content).unwrap();
            let error = load_key(&path).unwrap_err();
            assert!(error.is_key());
            assert!(
                !format!("{error} {error:?}").contains("c2VjcmV0"),
                "{error:?}"
            );
        }
    }
}
