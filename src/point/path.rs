//! A path inside a JSON document.
//!
//! Unix paths are bytes; JSON strings are Unicode. A path that is valid UTF-8
//! is a plain string, any other is `{"hex": "…"}`, so nothing is lost and the
//! usual case stays readable.

use std::ffi::OsString;
use std::fmt;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use serde::de::{IgnoredAny, MapAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A path that survives JSON, whatever its bytes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BytePath(pub PathBuf);

impl BytePath {
    /// The path itself.
    pub fn as_path(&self) -> &Path {
        &self.0
    }
}

impl<T: Into<PathBuf>> From<T> for BytePath {
    fn from(path: T) -> Self {
        Self(path.into())
    }
}

impl AsRef<Path> for BytePath {
    fn as_ref(&self) -> &Path {
        &self.0
    }
}

/// Shows a path on one line, whatever its bytes: control characters and
/// invalid UTF-8 are escaped, so a hostile name cannot break a listing.
pub fn printable(path: &Path) -> String {
    let bytes = path.as_os_str().as_bytes();
    if bytes.iter().all(|b| (b' '..=b'~').contains(b)) {
        return String::from_utf8_lossy(bytes).into_owned();
    }
    let mut out = String::new();
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            if c.is_control() || is_bidi_control(c) {
                out.extend(c.escape_default());
            } else {
                out.push(c);
            }
        }
        for byte in chunk.invalid() {
            out.push_str(&format!("\\x{byte:02x}"));
        }
    }
    out
}

/// Whether it turns the direction of what is shown after it.
pub(crate) fn is_bidi_control(c: char) -> bool {
    matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

impl fmt::Display for BytePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&printable(&self.0))
    }
}

impl Serialize for BytePath {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0.to_str() {
            Some(text) => serializer.serialize_str(text),
            None => {
                let mut map = serializer.serialize_map(Some(1))?;
                map.serialize_entry(HEX, &hex::encode(self.0.as_os_str().as_bytes()))?;
                map.end()
            }
        }
    }
}

/// The one field of a path that is no text.
const HEX: &str = "hex";

impl<'de> Deserialize<'de> for BytePath {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Either)
    }
}

/// Reads either form as it comes, without keeping a copy to look at twice.
struct Either;

impl<'de> Visitor<'de> for Either {
    type Value = BytePath;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a path, or {\"hex\": \"…\"}")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<BytePath, E> {
        Ok(BytePath(text.into()))
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<BytePath, M::Error> {
        let digits = match map.next_entry::<String, String>()? {
            Some((key, digits)) if key == HEX => digits,
            _ => return Err(serde::de::Error::missing_field(HEX)),
        };
        if map.next_key::<IgnoredAny>()?.is_some() {
            return Err(serde::de::Error::invalid_length(2, &"one field"));
        }
        let bytes = hex::decode(&digits).map_err(serde::de::Error::custom)?;
        Ok(BytePath(OsString::from_vec(bytes).into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn plain_paths_stay_readable() {
        let json = serde_json::to_string(&BytePath::from("/etc/nixos")).unwrap();
        assert_eq!(json, "\"/etc/nixos\"");
    }

    #[test]
    fn a_hostile_name_stays_on_its_line() {
        let name = OsString::from_vec(b"a\nb\xff\x1b[31m".to_vec());
        assert_eq!(printable(Path::new(&name)), "a\\nb\\xff\\u{1b}[31m");
    }

    #[test]
    fn other_forms_are_refused() {
        for text in [
            "1",
            "{}",
            r#"{"hex":"0g"}"#,
            r#"{"hex":"00","x":"y"}"#,
            r#"{"x":"00"}"#,
        ] {
            assert!(
                serde_json::from_str::<BytePath>(text).is_err(),
                "{text} was taken"
            );
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1000))]
        #[test]
        fn any_bytes_survive_json(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
            let path = BytePath(OsString::from_vec(bytes).into());
            let json = serde_json::to_string(&path).unwrap();
            prop_assert_eq!(serde_json::from_str::<BytePath>(&json).unwrap(), path);
        }
    }
}
