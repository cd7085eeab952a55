//! Hashes in the spellings Nix uses: `sha256:<hex, nix-base32 or base64>` and
//! SRI, `sha256-<base64>`.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::nixbase32;

/// The hash functions that Nix knows in every release.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum HashAlgo {
    /// 16 bytes; broken, kept by old fixed-output derivations.
    Md5,
    /// 20 bytes; broken, kept by Git and old derivations.
    Sha1,
    /// 32 bytes; what Nix uses everywhere itself.
    Sha256,
    /// 64 bytes.
    Sha512,
}

impl HashAlgo {
    /// Bytes in a digest.
    pub const fn digest_length(self) -> usize {
        match self {
            Self::Md5 => 16,
            Self::Sha1 => 20,
            Self::Sha256 => 32,
            Self::Sha512 => 64,
        }
    }

    /// The name as Nix writes it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Md5 => "md5",
            Self::Sha1 => "sha1",
            Self::Sha256 => "sha256",
            Self::Sha512 => "sha512",
        }
    }
}

impl fmt::Display for HashAlgo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for HashAlgo {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        [Self::Md5, Self::Sha1, Self::Sha256, Self::Sha512]
            .into_iter()
            .find(|algo| algo.as_str() == text)
            .ok_or_else(|| Error::UnknownAlgo {
                name: text.chars().take(40).collect(),
            })
    }
}

/// Why a text is not a hash.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Error {
    /// Neither `algo:digest` nor `algo-digest`.
    #[error("a hash is written \"algo:digest\" or \"algo-base64\"")]
    MissingAlgo,
    /// Not one of [`HashAlgo`].
    #[error("unknown hash algorithm {name:?}")]
    UnknownAlgo {
        /// The name, cut to 40 characters.
        name: String,
    },
    /// The length fits none of the encodings.
    #[error("a {algo} digest does not have {length} characters in any encoding")]
    InvalidLength {
        /// The algorithm named.
        algo: HashAlgo,
        /// Bytes of text given, or of digest.
        length: usize,
    },
    /// Not hexadecimal, though as long as it would be.
    #[error("not a hexadecimal {algo} digest: {source}")]
    Hex {
        /// The algorithm named.
        algo: HashAlgo,
        /// What is wrong.
        source: hex::FromHexError,
    },
    /// Not nix-base32, though as long as it would be.
    #[error("not a nix-base32 {algo} digest: {source}")]
    NixBase32 {
        /// The algorithm named.
        algo: HashAlgo,
        /// What is wrong.
        source: nixbase32::DecodeError,
    },
    /// Not padded base64, though as long as it would be.
    #[error("not a base64 {algo} digest: {source}")]
    Base64 {
        /// The algorithm named.
        algo: HashAlgo,
        /// What is wrong.
        source: base64::DecodeError,
    },
}

/// A digest with its algorithm. Prints and serializes as SRI; reads any of the
/// spellings.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum NixHash {
    /// An MD5 digest.
    Md5([u8; 16]),
    /// A SHA-1 digest.
    Sha1([u8; 20]),
    /// A SHA-256 digest.
    Sha256([u8; 32]),
    /// A SHA-512 digest.
    Sha512(Box<[u8; 64]>),
}

impl NixHash {
    /// The algorithm.
    pub const fn algo(&self) -> HashAlgo {
        match self {
            Self::Md5(_) => HashAlgo::Md5,
            Self::Sha1(_) => HashAlgo::Sha1,
            Self::Sha256(_) => HashAlgo::Sha256,
            Self::Sha512(_) => HashAlgo::Sha512,
        }
    }

    /// The digest.
    pub fn digest_as_bytes(&self) -> &[u8] {
        match self {
            Self::Md5(digest) => digest,
            Self::Sha1(digest) => digest,
            Self::Sha256(digest) => digest,
            Self::Sha512(digest) => digest.as_slice(),
        }
    }

    /// Puts an algorithm and a digest together.
    ///
    /// # Errors
    /// [`Error::InvalidLength`]
    pub fn from_algo_and_digest(algo: HashAlgo, digest: &[u8]) -> Result<Self, Error> {
        let wrong = |_| Error::InvalidLength {
            algo,
            length: digest.len(),
        };
        Ok(match algo {
            HashAlgo::Md5 => Self::Md5(digest.try_into().map_err(wrong)?),
            HashAlgo::Sha1 => Self::Sha1(digest.try_into().map_err(wrong)?),
            HashAlgo::Sha256 => Self::Sha256(digest.try_into().map_err(wrong)?),
            HashAlgo::Sha512 => Self::Sha512(Box::new(digest.try_into().map_err(wrong)?)),
        })
    }

    /// Reads SRI, `sha256-<base64>`: one hash, without options.
    ///
    /// # Errors
    /// [`Error`]
    pub fn from_sri(text: &str) -> Result<Self, Error> {
        let (algo, digest) = text.split_once('-').ok_or(Error::MissingAlgo)?;
        let algo: HashAlgo = algo.parse()?;
        if digest.len() != base64_len(algo) {
            return Err(Error::InvalidLength {
                algo,
                length: digest.len(),
            });
        }
        Self::from_base64(algo, digest)
    }

    /// Reads a digest whose algorithm is known; its length tells the encoding.
    ///
    /// # Errors
    /// [`Error`]
    pub fn from_algo_and_text(algo: HashAlgo, digest: &str) -> Result<Self, Error> {
        let length = digest.len();
        if length == algo.digest_length() * 2 {
            let bytes = hex::decode(digest).map_err(|source| Error::Hex { algo, source })?;
            Self::from_algo_and_digest(algo, &bytes)
        } else if length == nixbase32::encode_len(algo.digest_length()) {
            let bytes =
                nixbase32::decode(digest).map_err(|source| Error::NixBase32 { algo, source })?;
            Self::from_algo_and_digest(algo, &bytes)
        } else if length == base64_len(algo) {
            Self::from_base64(algo, digest)
        } else {
            Err(Error::InvalidLength { algo, length })
        }
    }

    fn from_base64(algo: HashAlgo, digest: &str) -> Result<Self, Error> {
        let bytes = BASE64
            .decode(digest)
            .map_err(|source| Error::Base64 { algo, source })?;
        Self::from_algo_and_digest(algo, &bytes)
    }

    /// `sha256:<nix-base32>`, as in registrations and `nix-store --query --hash`.
    pub fn to_nix_nixbase32_string(&self) -> String {
        format!(
            "{}:{}",
            self.algo(),
            nixbase32::encode(self.digest_as_bytes())
        )
    }

    /// `sha256:<hex>`.
    pub fn to_nix_hex_string(&self) -> String {
        format!("{}:{}", self.algo(), hex::encode(self.digest_as_bytes()))
    }

    /// `sha256-<base64>`.
    pub fn to_sri_string(&self) -> String {
        format!("{}-{}", self.algo(), BASE64.encode(self.digest_as_bytes()))
    }
}

/// Characters of a digest in padded base64.
const fn base64_len(algo: HashAlgo) -> usize {
    algo.digest_length().div_ceil(3) * 4
}

impl fmt::Display for NixHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_sri_string())
    }
}

impl FromStr for NixHash {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        match text.split_once(':') {
            Some((algo, digest)) => Self::from_algo_and_text(algo.parse()?, digest),
            None => Self::from_sri(text),
        }
    }
}

impl Serialize for NixHash {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.to_sri_string())
    }
}

impl<'de> Deserialize<'de> for NixHash {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const HEX: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    const BASE32: &str = "sha256:0mdqa9w1p6cmli6976v4wi0sw9r4p5prkj7lzfd1877wk11c9c73";
    const SRI: &str = "sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";

    #[test]
    fn every_spelling() {
        let hash: NixHash = HEX.parse().unwrap();
        for text in [
            BASE32,
            SRI,
            &SRI.replacen('-', ":", 1),
            &HEX.to_uppercase().replace("SHA", "sha"),
        ] {
            assert_eq!(text.parse::<NixHash>().as_ref(), Ok(&hash), "{text}");
        }
        assert_eq!(hash.to_nix_hex_string(), HEX);
        assert_eq!(hash.to_nix_nixbase32_string(), BASE32);
        assert_eq!(hash.to_string(), SRI);
        assert_eq!(serde_json::to_string(&hash).unwrap(), format!("{SRI:?}"));
        assert_eq!(
            serde_json::from_str::<NixHash>(&format!("{BASE32:?}")).unwrap(),
            hash
        );
    }

    #[test]
    fn refusals() {
        let parse = |text: &str| text.parse::<NixHash>();
        assert_eq!(parse(""), Err(Error::MissingAlgo));
        assert!(matches!(parse("sha3-47DE"), Err(Error::UnknownAlgo { .. })));
        assert!(matches!(
            parse(&SRI.replace("256", "512")),
            Err(Error::InvalidLength { .. })
        ));
        assert!(matches!(
            parse(SRI.trim_end_matches('=')),
            Err(Error::InvalidLength { .. })
        ));
        assert!(matches!(
            parse(&format!("{SRI}?x")),
            Err(Error::InvalidLength { .. })
        ));
        // Non-zero bits behind the last byte.
        assert!(matches!(
            parse(&SRI.replace("FU=", "FV=")),
            Err(Error::Base64 { .. })
        ));
        assert!(matches!(
            parse(&HEX.replace("e3b0", "g3b0")),
            Err(Error::Hex { .. })
        ));
        assert!(matches!(
            parse(&BASE32.replace("0mdq", "zmdq")),
            Err(Error::NixBase32 { .. })
        ));
        assert!(matches!(
            parse(&BASE32.replace(':', "-")),
            Err(Error::InvalidLength { .. })
        ));
    }

    fn algo() -> impl Strategy<Value = HashAlgo> {
        prop_oneof![
            Just(HashAlgo::Md5),
            Just(HashAlgo::Sha1),
            Just(HashAlgo::Sha256),
            Just(HashAlgo::Sha512)
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn round_trip(algo in algo(), bytes in prop::collection::vec(any::<u8>(), 64)) {
            let hash =
                NixHash::from_algo_and_digest(algo, &bytes[..algo.digest_length()]).unwrap();
            for text in
                [hash.to_nix_hex_string(), hash.to_nix_nixbase32_string(), hash.to_sri_string()]
            {
                prop_assert_eq!(text.parse::<NixHash>(), Ok(hash.clone()));
            }
        }

        #[test]
        fn hostile(algo in algo(), sign in "[:-]", digest in "\\PC{0,130}", exact in "[0-9a-z+/=]{52}") {
            for digest in [digest, exact] {
                let text = format!("{algo}{sign}{digest}");
                if let Ok(hash) = text.parse::<NixHash>() {
                    prop_assert_eq!(hash.algo(), algo);
                }
                let _ = digest.parse::<NixHash>();
            }
        }
    }
}
