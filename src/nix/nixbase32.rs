//! Nix's base-32: 32 digits without `e`, `o`, `t` and `u`, the bytes read as
//! one little-endian number and written with the highest digit first.
//!
//! Strict both ways: `decode` accepts only what [`encode`] writes, so a value
//! has one spelling.

/// The digits, in order of value. They ascend in ASCII too, so encoded texts of
/// one length sort as the numbers they stand for.
pub const ALPHABET: &[u8; 32] = b"0123456789abcdfghijklmnpqrsvwxyz";

/// Why a text is not nix-base32.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// A byte outside [`ALPHABET`].
    #[error("byte {byte:#04x} at offset {offset} is no nix-base32 digit")]
    InvalidDigit {
        /// Where it stands, in bytes.
        offset: usize,
        /// The byte itself.
        byte: u8,
    },
    /// No number of whole bytes is written with this many digits.
    #[error("{digits} nix-base32 digits do not make whole bytes")]
    InvalidLength {
        /// Number of digits given.
        digits: usize,
    },
    /// The unused bits of the first digit are set.
    #[error("the unused bits of the first nix-base32 digit are not zero")]
    NonZeroTrailingBits,
    /// It decodes, to another number of bytes than was asked for.
    #[error("expected {expected} bytes ({} nix-base32 digits), found {actual} digits", encode_len(*.expected))]
    WrongSize {
        /// Bytes asked for.
        expected: usize,
        /// Digits given.
        actual: usize,
    },
}

/// Number of digits that `bytes` bytes take.
pub const fn encode_len(bytes: usize) -> usize {
    // (8n + 4) / 5, written so that it can't overflow.
    bytes + (bytes / 5) * 3 + ((bytes % 5) * 3).div_ceil(5)
}

/// Number of whole bytes in `digits` digits.
pub const fn decode_len(digits: usize) -> usize {
    (digits / 8) * 5 + (digits % 8) * 5 / 8
}

/// Writes `input` in nix-base32.
pub fn encode(input: &[u8]) -> String {
    (0..encode_len(input.len()))
        .rev()
        .map(|n| {
            let (byte, shift) = (n * 5 / 8, n * 5 % 8);
            let low = u16::from(input.get(byte).copied().unwrap_or(0));
            let high = u16::from(input.get(byte + 1).copied().unwrap_or(0));
            let digit = ((high << 8 | low) >> shift) & 0x1f;
            char::from(ALPHABET[usize::from(digit)])
        })
        .collect()
}

/// Reads nix-base32 of any length.
///
/// # Errors
/// [`DecodeError`], never `WrongSize`.
pub fn decode(input: impl AsRef<[u8]>) -> Result<Vec<u8>, DecodeError> {
    let input = input.as_ref();
    let mut output = vec![0; decode_len(input.len())];
    decode_into(input, &mut output)?;
    Ok(output)
}

/// Reads nix-base32 that must stand for exactly `N` bytes.
///
/// # Errors
/// [`DecodeError`]
pub fn decode_fixed<const N: usize>(input: impl AsRef<[u8]>) -> Result<[u8; N], DecodeError> {
    let input = input.as_ref();
    if input.len() != encode_len(N) {
        return Err(DecodeError::WrongSize {
            expected: N,
            actual: input.len(),
        });
    }
    let mut output = [0; N];
    decode_into(input, &mut output)?;
    Ok(output)
}

/// The value of each digit, 32 and more for what is none.
const VALUES: [u8; 256] = {
    let mut values = [u8::MAX; 256];
    let mut n = 0;
    while n < ALPHABET.len() {
        values[ALPHABET[n] as usize] = n as u8;
        n += 1;
    }
    values
};

/// `output` is zeroed and `decode_len(input.len())` long.
fn decode_into(input: &[u8], output: &mut [u8]) -> Result<(), DecodeError> {
    if encode_len(output.len()) != input.len() {
        return Err(DecodeError::InvalidLength {
            digits: input.len(),
        });
    }
    for (n, (offset, &byte)) in input.iter().enumerate().rev().enumerate() {
        let digit = VALUES[usize::from(byte)];
        if digit > 31 {
            return Err(DecodeError::InvalidDigit { offset, byte });
        }
        let (at, shift) = (n * 5 / 8, n * 5 % 8);
        let [low, high] = (u16::from(digit) << shift).to_le_bytes();
        output[at] |= low;
        match output.get_mut(at + 1) {
            Some(next) => *next |= high,
            None if high != 0 => return Err(DecodeError::NonZeroTrailingBits),
            None => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn known_values() {
        // `nix-hash --type sha256 --to-base32` of the digest of the empty text.
        let empty = hex::decode("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
        let text = "0mdqa9w1p6cmli6976v4wi0sw9r4p5prkj7lzfd1877wk11c9c73";
        assert_eq!(encode(&empty.clone().unwrap()), text);
        assert_eq!(decode(text), Ok(empty.unwrap()));
        assert_eq!(encode(&[]), "");
        assert_eq!(decode(""), Ok(vec![]));
        assert_eq!(encode(&[0x1f]), "0z");
        assert_eq!(encode(&[0xff]), "7z");
    }

    #[test]
    fn strict() {
        assert_eq!(decode("0"), Err(DecodeError::InvalidLength { digits: 1 }));
        assert_eq!(decode("000"), Err(DecodeError::InvalidLength { digits: 3 }));
        assert_eq!(decode("8z"), Err(DecodeError::NonZeroTrailingBits));
        assert_eq!(decode("zz"), Err(DecodeError::NonZeroTrailingBits));
        assert_eq!(
            decode("0e"),
            Err(DecodeError::InvalidDigit {
                offset: 1,
                byte: b'e'
            })
        );
        assert_eq!(
            decode("Z0"),
            Err(DecodeError::InvalidDigit {
                offset: 0,
                byte: b'Z'
            })
        );
        assert_eq!(
            decode_fixed::<2>("0z"),
            Err(DecodeError::WrongSize {
                expected: 2,
                actual: 2
            })
        );
        assert_eq!(decode_fixed::<1>("7z"), Ok([0xff]));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn round_trip(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
            let text = encode(&bytes);
            prop_assert_eq!(text.len(), encode_len(bytes.len()));
            prop_assert_eq!(decode_len(text.len()), bytes.len());
            prop_assert_eq!(decode(&text), Ok(bytes));
        }

        #[test]
        fn one_spelling(text in "[0-9a-df-np-sv-z]{0,40}") {
            if let Ok(bytes) = decode(&text) {
                prop_assert_eq!(encode(&bytes), text);
            }
        }

        #[test]
        fn hostile(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            if let Ok(value) = decode(&bytes) {
                prop_assert_eq!(encode(&value).into_bytes(), bytes.clone());
            }
            let _ = decode_fixed::<20>(&bytes);
        }
    }
}
