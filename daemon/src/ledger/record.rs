//! One record on disk: `[format][first 8 bytes of BLAKE3 of the payload][JSON payload]`.
//!
//! # Invariants
//! - Decoding never panics, whatever the bytes are.
//! - A payload that is not what was written is told, never used: sled checks its own log, but not
//!   what became of a page in between.
//! - JSON, so that a field can be added without a migration; the format byte is there for the day
//!   when that is not enough.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Error;
use crate::integrity;

const FORMAT: u8 = 1;
const SUM_BYTES: usize = 8;
/// The format and the checksum, which stand before the payload.
pub(super) const HEAD_BYTES: usize = 1 + SUM_BYTES;

/// The bytes of `value`. `what` names it, for the error.
pub(super) fn encode<T: Serialize>(value: &T, what: impl Fn() -> String) -> Result<Vec<u8>, Error> {
    let mut bytes = vec![0; HEAD_BYTES];
    serde_json::to_writer(&mut bytes, value)
        .map_err(|error| Error::corrupt(format!("{} has no JSON: {error}", what())))?;
    Ok(headed(bytes))
}

/// The record of texts that are JSON already, as one list.
pub(super) fn list<'a>(texts: impl Iterator<Item = &'a [u8]>) -> Vec<u8> {
    let mut bytes = vec![0; HEAD_BYTES];
    for text in texts {
        bytes.push(if bytes.len() == HEAD_BYTES { b'[' } else { b',' });
        bytes.extend_from_slice(text);
    }
    bytes.extend_from_slice(if bytes.len() == HEAD_BYTES { b"[]" } else { b"]" });
    headed(bytes)
}

/// Fills the room that was left before the payload.
pub(super) fn headed(mut bytes: Vec<u8>) -> Vec<u8> {
    let sum = sum(&bytes[HEAD_BYTES..]);
    bytes[0] = FORMAT;
    bytes[1..HEAD_BYTES].copy_from_slice(&sum);
    bytes
}

/// The value that `bytes` were made of. `what` names it, for the error.
pub(super) fn decode<T: DeserializeOwned>(
    bytes: &[u8],
    what: impl Fn() -> String,
) -> Result<T, Error> {
    let payload = proven(bytes, &what)?;
    // The message of serde_json can quote the record, and a record can hold a presigned URL.
    serde_json::from_slice(payload)
        .map_err(|_| Error::corrupt(format!("{} does not fit this version", what())))
}

/// The payload, if it is what was written. `what` names it, for the error.
pub(super) fn proven(bytes: &[u8], what: impl Fn() -> String) -> Result<&[u8], Error> {
    let corrupt = |why: &str| Error::corrupt(format!("{} {why}", what()));
    let (&format, rest) = bytes.split_first().ok_or_else(|| corrupt("is empty"))?;
    if format != FORMAT {
        return Err(corrupt("is of an unknown format"));
    }
    let (expected, payload) =
        rest.split_first_chunk::<SUM_BYTES>().ok_or_else(|| corrupt("is cut short"))?;
    if *expected != sum(payload) {
        return Err(corrupt("does not match its checksum"));
    }
    Ok(payload)
}

fn sum(payload: &[u8]) -> [u8; SUM_BYTES] {
    let mut sum = [0; SUM_BYTES];
    sum.copy_from_slice(&integrity::blake3(payload)[..SUM_BYTES]);
    sum
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::{Job, PartFact};

    fn encoded(value: &str) -> Vec<u8> {
        encode(&value, || "a text".into()).expect("plain data")
    }

    #[test]
    fn a_flipped_bit_anywhere_is_told() {
        let good = encoded("golden image");
        assert_eq!(decode::<String>(&good, String::new).expect("as written"), "golden image");
        for at in 0..good.len() * 8 {
            let mut bad = good.clone();
            bad[at / 8] ^= 1 << (at % 8);
            let error = decode::<String>(&bad, || "the text".into()).expect_err("a flipped bit");
            assert!(error.to_string().contains("the text"), "{error}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_decoding_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            prop_assert!(decode::<Job>(&bytes, String::new).is_err());
        }

        /// A checksum proves who wrote it, not that this version can read it.
        #[test]
        fn no_well_summed_payload_makes_decoding_panic(text in "[\\PC]{0,80}") {
            let bytes = encoded(&text);
            prop_assert!(decode::<Job>(&bytes, String::new).is_err());
            prop_assert!(decode::<PartFact>(&bytes, String::new).is_err());
        }
    }
}
