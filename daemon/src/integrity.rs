//! The proof that bytes are the same: BLAKE3 and CRC64NVME of parts, and of the whole made from them.
//!
//! S3 parts arrive in any order and survive restarts one by one, so nothing can hash the object from
//! its first byte to its last. BLAKE3 is a tree: a part is hashed at its absolute offset into the
//! chaining values of the few [`subtree`]s that tile it, and all parts' values together give the
//! standard BLAKE3 of the object, the one `b3sum` prints. CRC64NVME is linear, so parts combine too.
//!
//! # Invariants
//! - A [`PartDigest`](crate::model::PartDigest) exists only for exactly the bytes of its range.
//! - [`merge`] takes only digests that fit the plan's ranges, so a digest of another plan is refused,
//!   never merged into a wrong hash.

mod crc;
mod merge;
mod part;
mod subtree;
#[cfg(test)]
mod tests;

use crc_fast::{CrcAlgorithm, Digest};

use crate::model::{ByteRange, ObjectDigest};

pub use merge::merge;
pub use part::PartHasher;

/// Why there is no digest. None of these passes with time: the caller starts the part again, or, with
/// digests from the ledger, the object.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error("{fed} bytes were hashed as a part of {expected}")]
    Length { expected: u64, fed: u64 },
    #[error("{} bytes at {} of an object of {object_size} are not whole subtrees", range.len, range.start)]
    Range { object_size: u64, range: ByteRange },
    #[error("{found} part digests were given for {expected} parts")]
    Parts { expected: usize, found: usize },
    #[error("the digest of part {number} does not fit the plan")]
    Misfit { number: usize },
}

/// The digest of bytes in memory.
pub fn digest(bytes: &[u8]) -> ObjectDigest {
    let mut hasher = ObjectHasher::new();
    hasher.update(bytes);
    hasher.finish()
}

/// BLAKE3 of bytes in memory.
pub fn blake3(bytes: &[u8]) -> [u8; 32] {
    *blake3::hash(bytes).as_bytes()
}

/// CRC64NVME of `bytes`.
pub fn crc64nvme(bytes: &[u8]) -> u64 {
    crc_fast::checksum(CrcAlgorithm::Crc64Nvme, bytes)
}

/// CRC64NVME of `a` followed by `b`, from the CRC of each and the length of `b` in bytes.
pub fn combine(a: u64, b: u64, len_b: u64) -> u64 {
    crc::Append::new(len_b).combine(a, b)
}

/// Hashes a whole object from its first byte to its last: for reading back.
#[derive(Debug, Clone)]
pub struct ObjectHasher {
    blake3: blake3::Hasher,
    crc: Digest,
}

impl ObjectHasher {
    /// Of no bytes yet.
    pub fn new() -> Self {
        Self { blake3: blake3::Hasher::new(), crc: Digest::new(CrcAlgorithm::Crc64Nvme) }
    }

    /// Takes the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.crc.update(bytes);
        self.blake3.update(bytes);
    }

    /// Bytes taken so far.
    pub fn position(&self) -> u64 {
        self.blake3.count()
    }

    /// The digest of all bytes taken.
    pub fn finish(self) -> ObjectDigest {
        ObjectDigest { blake3: *self.blake3.finalize().as_bytes(), crc64nvme: self.crc.finalize() }
    }
}

impl Default for ObjectHasher {
    fn default() -> Self {
        Self::new()
    }
}
