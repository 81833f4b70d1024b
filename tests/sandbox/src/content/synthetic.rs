//! Objects that are computed, so that a 50 TB source costs no disk and next to no CPU.
//!
//! A block of 1 MiB is 64 bytes of its own (magic, seed, block index, and words mixed of both) and
//! then a window into 2 MiB of pseudo-random bytes that all objects of a seed share; where the window
//! starts depends on the block. So every block differs from every other, any offset is reached at
//! once, and reading is handing out slices: the only cost is the socket. The block index at the
//! head of a block also lets a sink tell which range of the object a part claims to be.

use std::collections::HashMap;
use std::sync::{LazyLock, Mutex};

use bytes::Bytes;
use crc_fast::{CrcAlgorithm, Digest};

use crate::lock::lock;

/// Bytes a block.
pub const BLOCK_BYTES: u64 = 1 << 20;
const BLOCK: usize = 1 << 20;
const HEAD: usize = 64;
const MAGIC: [u8; 8] = *b"CAUSEWAY";

/// One shared window for each seed: 2 MiB each, and tests use a handful of seeds.
static WINDOWS: LazyLock<Mutex<HashMap<u64, Bytes>>> = LazyLock::new(Mutex::default);

/// An object of `size` bytes that is computed of its seed.
#[derive(Clone)]
pub struct Synthetic {
    seed: u64,
    size: u64,
    window: Bytes,
}

impl std::fmt::Debug for Synthetic {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Synthetic").field("seed", &self.seed).field("size", &self.size).finish()
    }
}

impl Synthetic {
    /// An object of `size` bytes. The same seed gives the same bytes, whatever the size.
    #[must_use]
    pub fn new(seed: u64, size: u64) -> Self {
        let window = lock(&WINDOWS).entry(seed).or_insert_with(|| window(seed)).clone();
        Self { seed, size, window }
    }

    /// Bytes.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Some of the bytes at `offset`: at least one and at most `max`, as few as suits the layout.
    /// No bound on `size` is checked: a content's range does that.
    pub(crate) fn piece(&self, offset: u64, max: u64) -> Bytes {
        let index = offset / BLOCK_BYTES;
        // Less than a block: it fits.
        let within = usize::try_from(offset % BLOCK_BYTES).unwrap_or(0);
        let max = usize::try_from(max).unwrap_or(usize::MAX);
        if within < HEAD {
            let head = Bytes::copy_from_slice(&self.head(index));
            return head.slice(within..HEAD.min(within.saturating_add(max)));
        }
        let start = self.window_start(index) + within - HEAD;
        let len = (BLOCK - within).min(max);
        self.window.slice(start..start + len)
    }

    /// Whether `bytes` are those at `offset`.
    #[must_use]
    pub fn matches(&self, mut offset: u64, mut bytes: &[u8]) -> bool {
        if offset.saturating_add(bytes.len() as u64) > self.size {
            return false;
        }
        while !bytes.is_empty() {
            let piece = self.piece(offset, bytes.len() as u64);
            let (head, tail) = bytes.split_at(piece.len());
            if head != piece {
                return false;
            }
            offset += piece.len() as u64;
            bytes = tail;
        }
        true
    }

    /// The offset that a range says it starts at, when it starts at a block of this object.
    pub(crate) fn offset_of(&self, start: &[u8]) -> Option<u64> {
        let index = start.get(16..24)?.try_into().ok().map(u64::from_le_bytes)?;
        (start.get(..HEAD)? == self.head(index)).then(|| index.saturating_mul(BLOCK_BYTES))
    }

    /// The object's CRC64NVME, by computing all of it: about 0.1 s a GiB.
    #[must_use]
    pub fn crc64nvme(&self) -> u64 {
        let mut digest = Digest::new(CrcAlgorithm::Crc64Nvme);
        let mut offset = 0;
        while offset < self.size {
            let piece = self.piece(offset, self.size - offset);
            digest.update(&piece);
            offset += piece.len() as u64;
        }
        digest.finalize()
    }

    fn head(&self, index: u64) -> [u8; HEAD] {
        let mut head = [0; HEAD];
        head[..8].copy_from_slice(&MAGIC);
        head[8..16].copy_from_slice(&self.seed.to_le_bytes());
        head[16..24].copy_from_slice(&index.to_le_bytes());
        let mut state = mix(self.seed ^ index.rotate_left(32));
        for word in head[24..].chunks_exact_mut(8) {
            state = mix(state);
            word.copy_from_slice(&state.to_le_bytes());
        }
        head
    }

    fn window_start(&self, index: u64) -> usize {
        // Less than a block: it fits.
        usize::try_from(mix(self.seed.wrapping_add(index)) % BLOCK_BYTES).unwrap_or(0)
    }
}

fn window(seed: u64) -> Bytes {
    let mut bytes = Vec::with_capacity(2 * BLOCK);
    let mut state = seed;
    while bytes.len() < 2 * BLOCK {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        bytes.extend_from_slice(&mix(state).to_le_bytes());
    }
    bytes.into()
}

/// The finalizer of SplitMix64: <https://prng.di.unimi.it/splitmix64.c>.
pub(crate) fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(object: &Synthetic, mut offset: u64, end: u64) -> Vec<u8> {
        let mut bytes = Vec::new();
        while offset < end {
            let piece = object.piece(offset, end - offset);
            offset += piece.len() as u64;
            bytes.extend_from_slice(&piece);
        }
        bytes
    }

    #[test]
    fn any_offset_reads_the_same_bytes_as_reading_from_the_start() {
        let object = Synthetic::new(7, 5 * BLOCK_BYTES);
        let all = read(&object, 0, object.size());
        for (from, to) in [(0, 1), (63, 65), (BLOCK_BYTES - 1, BLOCK_BYTES + 70), (1234, 4_567_890)]
        {
            let expected = &all[usize::try_from(from).unwrap()..usize::try_from(to).unwrap()];
            assert_eq!(read(&object, from, to), expected, "{from}..{to}");
            assert!(object.matches(from, expected));
        }
    }

    #[test]
    fn no_two_blocks_are_the_same() {
        let object = Synthetic::new(1, 64 * BLOCK_BYTES);
        let blocks: std::collections::HashSet<Vec<u8>> =
            (0..64).map(|i| read(&object, i * BLOCK_BYTES, (i + 1) * BLOCK_BYTES)).collect();
        assert_eq!(blocks.len(), 64);
    }

    #[test]
    fn a_block_tells_its_offset_even_at_50_tb() {
        let object = Synthetic::new(3, 50 * 1000 * 1000 * 1000 * 1000);
        let offset = object.size() / BLOCK_BYTES * BLOCK_BYTES;
        let start = read(&object, offset, offset + 64);
        assert_eq!(object.offset_of(&start), Some(offset));
        assert_eq!(Synthetic::new(4, 1 << 40).offset_of(&start), None);
    }

    #[test]
    fn one_wrong_byte_is_seen() {
        let object = Synthetic::new(9, 3 * BLOCK_BYTES);
        let mut bytes = read(&object, 0, object.size());
        bytes[2_000_000] ^= 1;
        assert!(!object.matches(0, &bytes));
    }

    #[test]
    fn crc64nvme_is_that_of_the_bytes() {
        let object = Synthetic::new(5, 2 * BLOCK_BYTES + 17);
        let bytes = read(&object, 0, object.size());
        assert_eq!(object.crc64nvme(), crc_fast::checksum(CrcAlgorithm::Crc64Nvme, &bytes));
    }
}
