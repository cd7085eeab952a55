//! A path inside a JSON document.
//!
//! Unix paths are bytes; JSON strings are Unicode. A path that is valid UTF-8
//! is a plain string, any other is `{"hex": "…"}`, so nothing is lost and the
//! usual case stays readable.

use std::ffi::OsString;
use std::fmt;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A path that survives JSON, whatever its bytes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BytePath(pub PathBuf);

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Form {
    Text(String),
    Bytes { hex: String },
}

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
    let mut out = String::new();
    for chunk in path.as_os_str().as_bytes().utf8_chunks() {
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

fn is_bidi_control(c: char) -> bool {
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
            Some(text) => Form::Text(text.to_owned()),
            None => Form::Bytes {
                hex: hex::encode(self.0.as_os_str().as_bytes()),
            },
        }
        .serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for BytePath {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Form::deserialize(deserializer)? {
            Form::Text(text) => Ok(Self(text.into())),
            Form::Bytes { hex: digits } => {
                let bytes = hex::decode(&digits).map_err(serde::de::Error::custom)?;
                Ok(Self(OsString::from_vec(bytes).into()))
            }
        }
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
