//! Parts in any size and order give what one pass over the whole gives.

use proptest::prelude::*;

use super::merge::merge_ranges;
use super::*;
use crate::model::plan::{OBJECT_SIZE_MAX, PART_ALIGNMENT};
use crate::model::{PartDigest, PartPlan};

const MIB: u64 = 1 << 20;

/// Bytes without a period that a border could hide in.
fn bytes(size: u64) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64 ^ size;
    let mut step = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let words = size.div_ceil(8);
    let mut bytes: Vec<u8> = (0..words).flat_map(|_| step().to_le_bytes()).collect();
    bytes.truncate(usize::try_from(size).expect("small"));
    bytes
}

fn slice(bytes: &[u8], range: ByteRange) -> &[u8] {
    let at = |n| usize::try_from(n).expect("small");
    &bytes[at(range.start)..at(range.end())]
}

/// Ranges of `part_size`; the empty object has one empty range.
fn ranges(object_size: u64, part_size: u64) -> Vec<ByteRange> {
    (0..object_size.div_ceil(part_size).max(1))
        .map(|i| i * part_size)
        .map(|start| ByteRange { start, len: part_size.min(object_size - start) })
        .collect()
}

fn hash(object_size: u64, range: ByteRange, bytes: &[u8], frame: usize) -> PartDigest {
    let mut hasher = PartHasher::new(object_size, range);
    for frame in bytes.chunks(frame) {
        hasher.update(frame);
    }
    assert_eq!(hasher.position(), range.len);
    hasher.finish().expect("exactly the part's bytes")
}

fn assert_equal_to_one_pass(size: u64, part_size: u64, frame: usize) {
    let object = bytes(size);
    let ranges = ranges(size, part_size);
    let hash = |range: &ByteRange| hash(size, *range, slice(&object, *range), frame);
    let parts: Vec<_> = ranges.iter().map(hash).collect();
    let merged = merge_ranges(size, &ranges, &parts).expect("whole and in order");
    assert_eq!(merged.blake3, *blake3::hash(&object).as_bytes(), "{size} in {part_size}");
    assert_eq!(merged.crc64nvme, crc64nvme(&object), "{size} in {part_size}");
    assert_eq!(merged, digest(&object));
}

/// Sizes around every border of the tree and of a part.
fn any_size() -> impl Strategy<Value = u64> {
    let around = (0..=40 * MIB, -2..=2_i64).prop_map(|(n, off)| {
        let border = if n % 2 == 0 { n.next_multiple_of(MIB) } else { n.next_power_of_two() };
        border.min(40 * MIB).saturating_add_signed(off)
    });
    prop_oneof![0..=40 * MIB, around, 0..5000_u64]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn parts_merge_to_the_standard_hash(
        size in any_size(),
        part_mib in 1..12_u64,
        frame in prop_oneof![1000..2000_usize, 16_000..70_000_usize, 300_000..3_000_000_usize],
    ) {
        assert_equal_to_one_pass(size, part_mib * MIB, frame);
    }

    #[test]
    fn a_legal_plan_merges_in_any_order_of_arrival(
        size in 0..40 * MIB,
        part_mib in 5..12_u64,
        backwards in any::<bool>(),
    ) {
        let plan = PartPlan::new(size, Some(part_mib * MIB), 4).expect("legal");
        let object = bytes(size);
        let mut ranges: Vec<_> = plan.numbers().filter_map(|n| plan.range(n)).collect();
        if ranges.is_empty() {
            ranges.push(plan.whole());
        }
        if backwards {
            ranges.reverse();
        }
        let hash = |range: &ByteRange| hash(size, *range, slice(&object, *range), 100_000);
        let mut parts: Vec<_> = ranges.iter().map(hash).collect();
        if backwards {
            parts.reverse();
        }
        prop_assert_eq!(merge(plan, &parts), Ok(digest(&object)));
    }

    #[test]
    fn a_part_of_any_plan_to_50_tb_is_tiled_by_a_few_subtrees(
        size in prop_oneof![1025..=OBJECT_SIZE_MAX, 1025..200 * MIB],
        mib in 5..=5120_u64,
        index in any::<u64>(),
    ) {
        let part_size = mib * PART_ALIGNMENT;
        let start = index % size.div_ceil(part_size) * part_size;
        let range = ByteRange { start, len: part_size.min(size - start) };
        let tiles = subtree::tiles(size, range).expect("a part begins and ends at borders");
        prop_assert!(tiles.len() <= 26, "{} subtrees", tiles.len());
        prop_assert_eq!(tiles.iter().sum::<u64>(), range.len);
        let mut at = start;
        for len in tiles {
            let most = blake3::hazmat::max_subtree_len(at);
            prop_assert!(most.is_none_or(|most| len <= most), "{len} at {at}");
            at += len;
        }
    }

    #[test]
    fn crcs_combine(a in any::<Vec<u8>>(), b in any::<Vec<u8>>()) {
        let both = [a.as_slice(), &b].concat();
        prop_assert_eq!(combine(crc64nvme(&a), crc64nvme(&b), b.len() as u64), crc64nvme(&both));
    }

    /// At lengths that no test can hash, another implementation is the witness.
    #[test]
    fn crcs_combine_at_any_length(a in any::<u64>(), b in any::<u64>(), len in 0..=OBJECT_SIZE_MAX) {
        let witness = crc_fast::checksum_combine(CrcAlgorithm::Crc64Nvme, a, b, len);
        prop_assert_eq!(combine(a, b, len), witness);
    }
}

/// The borders that random sizes may miss: of a leaf, of a part, of the first level.
#[test]
fn the_smallest_objects_and_the_borders_are_right() {
    for size in [0, 1, 1023, 1024, 1025, 2048, 2049, MIB - 1, MIB, MIB + 1, 2 * MIB, 2 * MIB + 1] {
        assert_equal_to_one_pass(size, MIB, 777);
        assert_equal_to_one_pass(size, 16 * MIB, 4096);
    }
}

#[test]
fn anything_but_the_parts_own_bytes_is_refused() {
    let size = 3 * MIB;
    let range = ByteRange { start: MIB, len: MIB };
    for fed in [0, MIB - 1, MIB + 1, 2 * MIB] {
        let mut hasher = PartHasher::new(size, range);
        hasher.update(&bytes(fed));
        assert_eq!(hasher.finish(), Err(Error::Length { expected: MIB, fed }));
    }
    for range in [
        ByteRange { start: 1, len: MIB },
        ByteRange { start: MIB, len: 1000 },
        ByteRange { start: 2 * MIB, len: MIB + 1 },
        ByteRange { start: u64::MAX, len: 1 },
        ByteRange { start: MIB, len: 0 },
    ] {
        let mut hasher = PartHasher::new(size, range);
        hasher.update(&bytes(range.len));
        assert_eq!(hasher.finish(), Err(Error::Range { object_size: size, range }));
    }
}

/// A digest of another plan, an older one from the ledger say, must not become a wrong hash.
#[test]
fn digests_of_another_plan_are_refused() {
    let size = 24 * MIB;
    let object = bytes(size);
    let parts = |part_size| -> Vec<_> {
        let hash = |range: &ByteRange| hash(size, *range, slice(&object, *range), 1 << 16);
        ranges(size, part_size).iter().map(hash).collect()
    };
    let plan = PartPlan::new(size, Some(8 * MIB), 4).expect("legal");
    let eights = parts(8 * MIB);
    assert_eq!(merge(plan, &eights), Ok(digest(&object)));
    assert_eq!(merge(plan, &eights[..2]), Err(Error::Parts { expected: 3, found: 2 }));
    assert_eq!(merge(plan, &parts(6 * MIB)[..3]), Err(Error::Misfit { number: 1 }));
    let mut short = eights;
    short[1].subtrees.clear();
    assert_eq!(merge(plan, &short), Err(Error::Misfit { number: 2 }));
}

#[test]
fn reading_back_gives_the_same_digest_and_counts_its_bytes() {
    let object = bytes(3 * MIB + 17);
    let mut hasher = ObjectHasher::default();
    object.chunks(1001).for_each(|frame| hasher.update(frame));
    assert_eq!(hasher.position(), 3 * MIB + 17);
    assert_eq!(hasher.finish(), digest(&object));
    // The CRC catalogue's check value, and the hash `b3sum` prints of nothing.
    assert_eq!(crc64nvme(b"123456789"), 0xae8b_1486_0a79_9888);
    assert_eq!(
        digest(b"").blake3_hex(),
        "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262"
    );
}
