//! Hashes one part, frame by frame, as it passes.

use std::vec;

use blake3::Hasher;
use blake3::hazmat::HasherExt as _;
use crc_fast::{CrcAlgorithm, Digest};

use super::{Error, subtree};
use crate::model::{ByteRange, PartDigest};

/// Hashes the bytes of one part at its place in the object.
///
/// Frames may have any size and straddle the borders of subtrees. Nothing is buffered.
#[derive(Debug, Clone)]
pub struct PartHasher {
    object_size: u64,
    range: ByteRange,
    position: u64,
    crc: Digest,
    /// The subtree being hashed; none where the range has no tiling.
    open: Option<Open>,
    /// The lengths of the subtrees that follow it.
    ahead: vec::IntoIter<u64>,
    done: Vec<[u8; 32]>,
}

#[derive(Debug, Clone)]
struct Open {
    hasher: Hasher,
    /// Bytes until it is whole.
    missing: u64,
    /// Where the next one begins in the object.
    end: u64,
}

impl PartHasher {
    /// `range` begins at a multiple of 1 KiB and ends at one or at the object's end, as every range of
    /// a [`PartPlan`](crate::model::PartPlan) does; for another, [`PartHasher::finish`] fails.
    pub fn new(object_size: u64, range: ByteRange) -> Self {
        let tiles = subtree::tiles(object_size, range).unwrap_or_default();
        let mut hasher = Self {
            object_size,
            range,
            position: 0,
            crc: Digest::new(CrcAlgorithm::Crc64Nvme),
            open: None,
            done: Vec::with_capacity(tiles.len()),
            ahead: tiles.into_iter(),
        };
        hasher.advance();
        hasher
    }

    /// Takes the next bytes of the part. Bytes beyond its end make [`PartHasher::finish`] fail.
    pub fn update(&mut self, mut bytes: &[u8]) {
        self.crc.update(bytes);
        self.position += bytes.len() as u64;
        while let Some(open) = self.open.as_mut().filter(|_| !bytes.is_empty()) {
            let fits = usize::try_from(open.missing).unwrap_or(usize::MAX).min(bytes.len());
            let (now, rest) = bytes.split_at(fits);
            open.hasher.update(now);
            open.missing -= now.len() as u64;
            bytes = rest;
            if !bytes.is_empty() {
                self.advance();
            }
        }
    }

    /// Bytes taken so far, from the part's own start.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// CRC64NVME of the bytes taken so far.
    pub fn crc64nvme(&self) -> u64 {
        self.crc.finalize()
    }

    /// The digest of the part.
    ///
    /// # Errors
    /// [`Error::Length`] unless exactly the part's bytes were taken, [`Error::Range`] where the range
    /// is not whole subtrees of the object.
    pub fn finish(mut self) -> Result<PartDigest, Error> {
        let Self { object_size, range, .. } = self;
        if self.position != range.len {
            return Err(Error::Length { expected: range.len, fed: self.position });
        }
        self.advance();
        if self.done.is_empty() {
            return Err(Error::Range { object_size, range });
        }
        Ok(PartDigest { len: range.len, crc64nvme: self.crc.finalize(), subtrees: self.done })
    }

    /// Closes the subtree being hashed, which is whole, and opens the one after it.
    fn advance(&mut self) {
        let start = self.open.as_ref().map_or(self.range.start, |open| open.end);
        if let Some(Open { hasher, .. }) = self.open.take() {
            self.done.push(if subtree::is_one_chunk(self.object_size) {
                *hasher.finalize().as_bytes()
            } else {
                hasher.finalize_non_root()
            });
        }
        self.open = self.ahead.next().map(|len| {
            let mut hasher = Hasher::new();
            hasher.set_input_offset(start);
            Open { hasher, missing: len, end: start + len }
        });
    }
}
