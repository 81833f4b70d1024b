//! S3's additional checksums: computed while bytes arrive, compared with what the client claims, and
//! combined over parts.
//!
//! The rules are those of
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity-upload.html>.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use crc_fast::{CrcAlgorithm, Digest};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// A checksum algorithm of S3. SHA-1 is left out: nothing here uses it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Algorithm {
    /// What S3 computes when nothing else was asked for.
    #[serde(rename = "CRC64NVME")]
    Crc64Nvme,
    /// CRC-32 of ISO-HDLC.
    #[serde(rename = "CRC32")]
    Crc32,
    /// CRC-32 of Castagnoli.
    #[serde(rename = "CRC32C")]
    Crc32c,
    /// SHA-256.
    #[serde(rename = "SHA256")]
    Sha256,
}

/// Whether a multipart object's checksum is of its bytes or of its parts' checksums.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Kind {
    /// Of all bytes.
    #[serde(rename = "FULL_OBJECT")]
    FullObject,
    /// Of the parts' checksums, with the number of parts behind it.
    #[serde(rename = "COMPOSITE")]
    Composite,
}

/// A checksum as S3 stores and prints it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checksum {
    /// How it was computed.
    pub algorithm: Algorithm,
    /// Of what it was computed.
    pub kind: Kind,
    /// Base64 of the big-endian value, with `-N` behind it when it is composite.
    pub value: String,
}

impl Algorithm {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Crc64Nvme, Self::Crc32, Self::Crc32c, Self::Sha256];

    /// S3's name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Crc64Nvme => "CRC64NVME",
            Self::Crc32 => "CRC32",
            Self::Crc32c => "CRC32C",
            Self::Sha256 => "SHA256",
        }
    }

    /// The header or trailer that carries a value.
    #[must_use]
    pub fn header(self) -> &'static str {
        match self {
            Self::Crc64Nvme => "x-amz-checksum-crc64nvme",
            Self::Crc32 => "x-amz-checksum-crc32",
            Self::Crc32c => "x-amz-checksum-crc32c",
            Self::Sha256 => "x-amz-checksum-sha256",
        }
    }

    /// By S3's name.
    #[must_use]
    pub fn by_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|algorithm| algorithm.name().eq_ignore_ascii_case(name))
    }

    /// The kinds that S3 offers for a multipart upload, its default first.
    #[must_use]
    pub fn kinds(self) -> &'static [Kind] {
        match self {
            Self::Crc64Nvme => &[Kind::FullObject],
            Self::Crc32 | Self::Crc32c => &[Kind::Composite, Kind::FullObject],
            Self::Sha256 => &[Kind::Composite],
        }
    }

    fn crc(self) -> Option<CrcAlgorithm> {
        match self {
            Self::Crc64Nvme => Some(CrcAlgorithm::Crc64Nvme),
            Self::Crc32 => Some(CrcAlgorithm::Crc32IsoHdlc),
            Self::Crc32c => Some(CrcAlgorithm::Crc32Iscsi),
            Self::Sha256 => None,
        }
    }

    /// Bytes of a value.
    fn width(self) -> usize {
        match self {
            Self::Crc64Nvme => 8,
            Self::Crc32 | Self::Crc32c => 4,
            Self::Sha256 => 32,
        }
    }
}

impl Kind {
    /// S3's name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::FullObject => "FULL_OBJECT",
            Self::Composite => "COMPOSITE",
        }
    }
}

/// Computes one checksum of bytes as they come.
pub(crate) enum Hasher {
    Crc { algorithm: Algorithm, digest: Digest },
    Sha256(Sha256),
}

impl Hasher {
    pub(crate) fn new(algorithm: Algorithm) -> Self {
        match algorithm.crc() {
            Some(crc) => Self::Crc { algorithm, digest: Digest::new(crc) },
            None => Self::Sha256(Sha256::new()),
        }
    }

    pub(crate) fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Crc { digest, .. } => digest.update(bytes),
            Self::Sha256(digest) => digest.update(bytes),
        }
    }

    pub(crate) fn finish(self) -> Value {
        match self {
            Self::Crc { algorithm, digest } => Value::of_crc(algorithm, digest.finalize()),
            Self::Sha256(digest) => {
                Value { algorithm: Algorithm::Sha256, bytes: digest.finalize().to_vec() }
            }
        }
    }
}

/// A computed checksum of some bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Value {
    pub(crate) algorithm: Algorithm,
    /// Big-endian.
    pub(crate) bytes: Vec<u8>,
}

impl Value {
    fn of_crc(algorithm: Algorithm, crc: u64) -> Self {
        let bytes = crc.to_be_bytes()[8 - algorithm.width()..].to_vec();
        Self { algorithm, bytes }
    }

    /// As S3 prints it.
    pub(crate) fn base64(&self) -> String {
        BASE64.encode(&self.bytes)
    }

    pub(crate) fn full_object(&self) -> Checksum {
        Checksum { algorithm: self.algorithm, kind: Kind::FullObject, value: self.base64() }
    }

    fn crc(&self) -> u64 {
        self.bytes.iter().fold(0, |crc, byte| crc << 8 | u64::from(*byte))
    }
}

/// Whether `claim` can be a value of this algorithm at all.
pub(crate) fn is_well_formed(algorithm: Algorithm, claim: &str) -> bool {
    BASE64.decode(claim).is_ok_and(|bytes| bytes.len() == algorithm.width())
}

/// The checksum of a whole of parts, from each part's checksum and length. `None` without parts.
pub(crate) fn combine(kind: Kind, parts: &[(&Value, u64)]) -> Option<Checksum> {
    let (first, rest) = parts.split_first()?;
    let algorithm = first.0.algorithm;
    match (kind, algorithm.crc()) {
        (Kind::FullObject, Some(crc)) => {
            let whole = rest.iter().fold(first.0.crc(), |whole, (part, len)| {
                crc_fast::checksum_combine(crc, whole, part.crc(), *len)
            });
            Some(Value::of_crc(algorithm, whole).full_object())
        }
        (Kind::FullObject, None) => None,
        (Kind::Composite, _) => {
            let mut hasher = Hasher::new(algorithm);
            for (part, _) in parts {
                hasher.update(&part.bytes);
            }
            let value = format!("{}-{}", hasher.finish().base64(), parts.len());
            Some(Checksum { algorithm, kind, value })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(algorithm: Algorithm, bytes: &[u8]) -> Value {
        let mut hasher = Hasher::new(algorithm);
        hasher.update(bytes);
        hasher.finish()
    }

    /// The check values of the catalogue of CRCs: <https://reveng.sourceforge.io/crc-catalogue/>.
    #[test]
    fn check_values_are_those_of_the_catalogue() {
        let check = |algorithm| hex::encode(value(algorithm, b"123456789").bytes);
        assert_eq!(check(Algorithm::Crc64Nvme), "ae8b14860a799888");
        assert_eq!(check(Algorithm::Crc32), "cbf43926");
        assert_eq!(check(Algorithm::Crc32c), "e3069283");
    }

    #[test]
    fn combined_crcs_are_those_of_the_whole() {
        for algorithm in [Algorithm::Crc64Nvme, Algorithm::Crc32, Algorithm::Crc32c] {
            let (a, b, c) =
                (value(algorithm, b"one"), value(algorithm, b""), value(algorithm, b"two3"));
            let combined = combine(Kind::FullObject, &[(&a, 3), (&b, 0), (&c, 4)]).unwrap();
            assert_eq!(combined, value(algorithm, b"onetwo3").full_object());
        }
    }

    #[test]
    fn a_composite_is_the_checksum_of_checksums() {
        let (a, b) = (value(Algorithm::Sha256, b"one"), value(Algorithm::Sha256, b"two"));
        let whole = value(Algorithm::Sha256, &[a.bytes.clone(), b.bytes.clone()].concat());
        let composite = combine(Kind::Composite, &[(&a, 3), (&b, 3)]).unwrap();
        assert_eq!(composite.value, format!("{}-2", whole.base64()));
    }
}
