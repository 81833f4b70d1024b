//! What the objects hold: one block of pseudo-random bytes, over and over. Its length is a prime, so a
//! part that lands at the wrong offset has other bytes there and shows; each object begins elsewhere in
//! it, so one object in another's place shows, too. No byte is computed when it is read.

use causewayd::integrity;

/// Bytes of the block: a prime just above 1 MiB.
const BLOCK: usize = 1_048_583;
/// A piece may run so far over the block's end, so that it is never cut there.
pub const PIECE_MAX: usize = 240 << 10;
/// How much further in the block each object begins.
const STRIDE: u64 = 517_619;

/// The block.
pub struct Content {
    /// The block, and its beginning once more.
    bytes: Vec<u8>,
}

impl Content {
    pub fn new() -> Self {
        let mut bytes = Vec::with_capacity(BLOCK + PIECE_MAX + 8);
        let mut state = 0_u64;
        while bytes.len() < BLOCK {
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            bytes.extend_from_slice(&mixed(state).to_le_bytes());
        }
        bytes.truncate(BLOCK);
        bytes.extend_from_within(..PIECE_MAX);
        Self { bytes }
    }

    /// The bytes of object `index` at `offset`: at least one, at most `max`.
    pub fn piece(&self, index: u64, offset: u64, max: u64) -> &[u8] {
        let at = (index.wrapping_mul(STRIDE) + offset) % BLOCK as u64;
        let at = usize::try_from(at).unwrap_or_default();
        let len = usize::try_from(max).unwrap_or(usize::MAX).min(PIECE_MAX);
        &self.bytes[at..at + len]
    }

    /// CRC64NVME of object `index` of `size` bytes, without reading more than the block.
    pub fn crc64nvme(&self, index: u64, size: u64) -> u64 {
        let start = usize::try_from(index.wrapping_mul(STRIDE) % BLOCK as u64).unwrap_or_default();
        let block = &self.bytes[..BLOCK];
        let rotated = [&block[start..], &block[..start]].concat();
        let (mut times, tail) = (size / BLOCK as u64, size % BLOCK as u64);
        let tail = &rotated[..usize::try_from(tail).unwrap_or_default()];

        // As in exponentiation: the block's CRC is doubled, and added where the count has a bit.
        let (mut power, mut power_len) = (integrity::crc64nvme(&rotated), BLOCK as u64);
        let mut crc = integrity::crc64nvme(b"");
        while times > 0 {
            if times % 2 == 1 {
                crc = integrity::combine(crc, power, power_len);
            }
            power = integrity::combine(power, power, power_len);
            power_len *= 2;
            times /= 2;
        }
        integrity::combine(crc, integrity::crc64nvme(tail), tail.len() as u64)
    }
}

/// The finalizer of SplitMix64: <https://prng.di.unimi.it/splitmix64.c>.
fn mixed(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(content: &Content, index: u64, mut offset: u64, end: u64, step: u64) -> Vec<u8> {
        let mut bytes = Vec::new();
        while offset < end {
            let piece = content.piece(index, offset, step.min(end - offset));
            bytes.extend_from_slice(piece);
            offset += piece.len() as u64;
        }
        bytes
    }

    #[test]
    fn any_offset_reads_the_same_bytes_as_reading_from_the_start() {
        let (content, size) = (Content::new(), 3 * BLOCK as u64 + 12_345);
        let whole = read(&content, 5, 0, size, u64::MAX);
        for (from, to) in [(0, 1), (BLOCK - 1, BLOCK + 1), (1_000_000, 2_500_000)] {
            assert_eq!(read(&content, 5, from as u64, to as u64, 100_003), whole[from..to]);
        }
    }

    #[test]
    fn the_crc_is_that_of_the_bytes() {
        let content = Content::new();
        for (index, size) in [(0, 0), (0, 10), (3, BLOCK as u64), (7, 5 * BLOCK as u64 + 999)] {
            let whole = read(&content, index, 0, size, u64::MAX);
            assert_eq!(content.crc64nvme(index, size), integrity::crc64nvme(&whole));
        }
    }

    /// Parts that change places, or objects that do, have to show in the CRC: of a large object, of many
    /// small ones, and of some large ones together.
    #[test]
    fn no_part_and_no_object_is_like_another() {
        let content = Content::new();
        for (objects, parts) in [(1, 10_000), (2_000, 1), (8, 128)] {
            let places = (0..objects).flat_map(|index| (0..parts).map(move |part| (index, part)));
            let head = |(index, part)| content.piece(index, part * (8 << 20), 64);
            let heads: std::collections::HashSet<_> = places.map(head).collect();
            assert_eq!(heads.len() as u64, objects * parts);
        }
    }
}
