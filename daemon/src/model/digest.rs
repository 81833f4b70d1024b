//! What the bytes hash to: of one part, and of the whole.

use std::fmt;

use base64::Engine as _;
use serde::{Deserialize, Serialize};

/// The digest of one part, enough to make the whole's from all parts in any order.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartDigest {
    /// Bytes hashed.
    pub len: u64,
    /// CRC64NVME of the part alone.
    pub crc64nvme: u64,
    /// BLAKE3 chaining values of the subtrees that tile the part, in order.
    #[serde(with = "hex_list")]
    pub subtrees: Vec<[u8; 32]>,
}

impl fmt::Debug for PartDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PartDigest({} bytes, crc {:016x})", self.len, self.crc64nvme)
    }
}

/// The digest of a whole object.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObjectDigest {
    /// The standard BLAKE3: what `b3sum` prints.
    #[serde(with = "hex::serde")]
    pub blake3: [u8; 32],
    pub crc64nvme: u64,
}

impl ObjectDigest {
    /// Lower-case hexadecimal.
    pub fn blake3_hex(&self) -> String {
        hex::encode(self.blake3)
    }

    /// As S3 writes it.
    pub fn crc64nvme_base64(&self) -> String {
        crc64nvme_to_base64(self.crc64nvme)
    }
}

impl fmt::Debug for ObjectDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ObjectDigest(blake3 {}, crc {:016x})", self.blake3_hex(), self.crc64nvme)
    }
}

/// Base64 of the big-endian value, as S3 writes `x-amz-checksum-crc64nvme`.
pub fn crc64nvme_to_base64(crc: u64) -> String {
    base64::engine::general_purpose::STANDARD.encode(crc.to_be_bytes())
}

/// The reverse of [`crc64nvme_to_base64`]; `None` for anything else, a composite checksum among it.
pub fn crc64nvme_from_base64(text: &str) -> Option<u64> {
    let bytes = base64::engine::general_purpose::STANDARD.decode(text).ok()?;
    Some(u64::from_be_bytes(bytes.try_into().ok()?))
}

mod hex_list {
    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};

    pub fn serialize<S: Serializer>(list: &[[u8; 32]], to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&hex::encode(list.concat()))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<[u8; 32]>, D::Error> {
        let bytes = hex::decode(String::deserialize(from)?).map_err(D::Error::custom)?;
        let (chunks, rest) = bytes.as_chunks::<32>();
        if rest.is_empty() {
            Ok(chunks.to_vec())
        } else {
            Err(D::Error::custom("not a whole number of chaining values"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The value that S3 gives for the nine bytes `123456789`: the CRC's check value.
    #[test]
    fn crc_text_is_big_endian_base64() {
        let check = 0xae8b_1486_0a79_9888;
        let text = crc64nvme_to_base64(check);
        assert_eq!(text, "rosUhgp5mIg=");
        assert_eq!(crc64nvme_from_base64(&text), Some(check));
        assert_eq!(crc64nvme_from_base64("rosUhgp5mIg=-3"), None);
        assert_eq!(crc64nvme_from_base64("AAAA"), None);
    }

    #[test]
    fn digests_survive_their_text() {
        let digest = PartDigest { len: 5, crc64nvme: u64::MAX, subtrees: vec![[1; 32], [255; 32]] };
        let text = serde_json::to_string(&digest).expect("plain data");
        assert_eq!(serde_json::from_str::<PartDigest>(&text).expect("its own text"), digest);
        assert!(serde_json::from_str::<PartDigest>(&text.replace("ff\"", "\"")).is_err());
    }
}
