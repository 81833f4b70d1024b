//! How an object is cut into parts.

use std::fmt;
use std::num::NonZeroU16;

use serde::{Deserialize, Serialize};

use super::{ByteCount, PartDigest};

/// S3's limits on multipart uploads.
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html>
pub const PARTS_MAX: u16 = 10_000;
pub const PART_SIZE_MIN: u64 = 5 << 20;
pub const PART_SIZE_MAX: u64 = 5 << 30;
/// The largest object S3 takes: 50 TB, which 10,000 parts of 5 GiB exceed.
pub const OBJECT_SIZE_MAX: u64 = 50_000_000_000_000;

/// Every part begins at a multiple of this, so that it is a whole number of BLAKE3 subtrees.
pub const PART_ALIGNMENT: u64 = 1 << 20;
/// What the daemon prefers: enough parts to keep every slot busy, few enough requests.
const PART_SIZE_PREFERRED: (u64, u64) = (8 << 20, 64 << 20);
/// Above this a power of two would waste too much of S3's part size limit.
const PART_SIZE_COARSE: u64 = 512 << 20;
/// Objects up to this size are sent by one PutObject, from memory.
pub const PUT_OBJECT_MAX: u64 = 8 << 20;

/// The number of a part: 1 to 10,000.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PartNumber(NonZeroU16);

impl PartNumber {
    /// `None` outside 1 to 10,000.
    pub fn new(number: u32) -> Option<Self> {
        let number = u16::try_from(number).ok().filter(|number| *number <= PARTS_MAX)?;
        NonZeroU16::new(number).map(Self)
    }

    /// From 1.
    pub fn get(self) -> u16 {
        self.0.get()
    }

    fn index(self) -> u64 {
        u64::from(self.0.get()) - 1
    }
}

impl fmt::Display for PartNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for PartNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "part {}", self.0)
    }
}

/// A run of bytes in an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ByteRange {
    pub start: u64,
    pub len: u64,
}

impl ByteRange {
    /// The first byte after the run.
    pub fn end(self) -> u64 {
        self.start + self.len
    }

    /// What is left after the first `n` bytes.
    ///
    /// # Panics
    /// Never: `n` is cut to the length.
    #[must_use]
    pub fn skip(self, n: u64) -> Self {
        let n = n.min(self.len);
        Self { start: self.start + n, len: self.len - n }
    }

    /// The value of an HTTP `Range` header. The run must not be empty: HTTP has no empty range.
    pub fn header(self) -> String {
        debug_assert!(self.len > 0, "HTTP cannot name an empty range");
        format!("bytes={}-{}", self.start, self.end().saturating_sub(1))
    }
}

/// What the ledger keeps of a part that the target acknowledged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartFact {
    pub number: PartNumber,
    /// As S3 gives it, without quotes.
    pub etag: String,
    pub digest: PartDigest,
    /// Times it was sent, the last one included.
    pub attempts: u32,
    /// Bytes sent to the target for it, repeats included.
    pub bytes_sent: u64,
}

/// Why no legal plan exists.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoPlan {
    #[error("the object has {0}: S3 takes at most 50 TB")]
    ObjectTooLarge(ByteCount),
    #[error("a part size of {0} is not legal: expected a multiple of 1 MiB from 5 MiB to 5 GiB")]
    PartSize(ByteCount),
    #[error(
        "a part size of {asked} would need {parts} parts of {object}: S3 takes at most 10000, \
         so ask for at least {least}"
    )]
    TooManyParts { asked: ByteCount, object: ByteCount, parts: u64, least: ByteCount },
}

/// An object cut into parts of one size; the last may be smaller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Cut")]
pub struct PartPlan {
    object_size: u64,
    part_size: u64,
}

/// A plan as it is read, before it is known to be one: that of no parts, or of parts of no bytes, is none.
#[derive(Deserialize)]
struct Cut {
    object_size: u64,
    part_size: u64,
}

impl TryFrom<Cut> for PartPlan {
    type Error = NoPlan;

    fn try_from(Cut { object_size, part_size }: Cut) -> Result<Self, NoPlan> {
        if object_size > OBJECT_SIZE_MAX {
            return Err(NoPlan::ObjectTooLarge(ByteCount(object_size)));
        }
        let part_size = Self::checked(object_size, part_size, least_part_size(object_size))?;
        Ok(Self { object_size, part_size })
    }
}

impl PartPlan {
    /// Cuts an object of `object_size` bytes. `part_size` is what the user asked for; without it the
    /// parts are small enough that `slots` of them are in flight for most of the way.
    ///
    /// # Errors
    /// Where S3's limits cannot be met.
    pub fn new(object_size: u64, part_size: Option<u64>, slots: u32) -> Result<Self, NoPlan> {
        if object_size > OBJECT_SIZE_MAX {
            return Err(NoPlan::ObjectTooLarge(ByteCount(object_size)));
        }
        let least = least_part_size(object_size);
        let part_size = match part_size {
            None => preferred_part_size(object_size, slots).max(least),
            Some(asked) => Self::checked(object_size, asked, least)?,
        };
        Ok(Self { object_size, part_size })
    }

    fn checked(object_size: u64, asked: u64, least: u64) -> Result<u64, NoPlan> {
        let legal = (PART_SIZE_MIN..=PART_SIZE_MAX).contains(&asked)
            && asked.is_multiple_of(PART_ALIGNMENT);
        if !legal {
            return Err(NoPlan::PartSize(ByteCount(asked)));
        }
        let parts = object_size.div_ceil(asked);
        if parts > u64::from(PARTS_MAX) {
            return Err(NoPlan::TooManyParts {
                asked: ByteCount(asked),
                object: ByteCount(object_size),
                parts,
                least: ByteCount(least),
            });
        }
        Ok(asked)
    }

    /// Bytes of the whole.
    pub fn object_size(self) -> u64 {
        self.object_size
    }

    /// Bytes of every part but the last.
    pub fn part_size(self) -> u64 {
        self.part_size
    }

    /// Whether one PutObject does it: small enough to hold, and to hash before anything is sent.
    pub fn is_single_put(self) -> bool {
        self.object_size <= PUT_OBJECT_MAX.min(self.part_size)
    }

    /// The number of parts of the multipart upload; 0 with a single PutObject.
    pub fn parts(self) -> u16 {
        if self.is_single_put() {
            return 0;
        }
        u16::try_from(self.object_size.div_ceil(self.part_size)).unwrap_or(PARTS_MAX)
    }

    /// The bytes of one part; `None` beyond the last.
    pub fn range(self, number: PartNumber) -> Option<ByteRange> {
        if number.get() > self.parts() {
            return None;
        }
        let start = number.index() * self.part_size;
        Some(ByteRange { start, len: self.part_size.min(self.object_size - start) })
    }

    /// All part numbers, in order.
    pub fn numbers(self) -> impl Iterator<Item = PartNumber> {
        (1..=u32::from(self.parts())).filter_map(PartNumber::new)
    }

    /// The whole object as one range.
    pub fn whole(self) -> ByteRange {
        ByteRange { start: 0, len: self.object_size }
    }
}

/// The smallest part size that stays within 10,000 parts.
fn least_part_size(object_size: u64) -> u64 {
    let least = object_size.div_ceil(u64::from(PARTS_MAX)).max(PART_SIZE_MIN);
    if least <= PART_SIZE_COARSE {
        least.next_multiple_of(PART_ALIGNMENT).next_power_of_two()
    } else {
        least.next_multiple_of(PART_SIZE_COARSE / 2).min(PART_SIZE_MAX)
    }
}

/// About four parts a slot, within bounds that the data path does not feel.
fn preferred_part_size(object_size: u64, slots: u32) -> u64 {
    let (small, large) = PART_SIZE_PREFERRED;
    let even = object_size.div_ceil(u64::from(slots.max(1)) * 4).max(1);
    even.next_power_of_two().clamp(small, large)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn assert_legal(plan: PartPlan) {
        assert!((PART_SIZE_MIN..=PART_SIZE_MAX).contains(&plan.part_size()));
        assert!(plan.part_size().is_multiple_of(PART_ALIGNMENT));
        assert!(plan.parts() <= PARTS_MAX);
        let mut at = 0;
        for number in plan.numbers() {
            let range = plan.range(number).expect("numbers() stays within the plan");
            assert_eq!(range.start, at);
            assert!(range.len > 0);
            at = range.end();
        }
        if !plan.is_single_put() {
            assert_eq!(at, plan.object_size());
        }
    }

    proptest! {
        #[test]
        fn every_size_to_50_tb_has_a_legal_plan(
            size in prop_oneof![0..OBJECT_SIZE_MAX + 1, 0..200_000_000_u64],
            slots in 1..1024_u32,
        ) {
            assert_legal(PartPlan::new(size, None, slots).expect("within S3's limit"));
        }

        #[test]
        fn a_part_size_that_was_asked_for_is_kept_or_refused(
            size in 0..OBJECT_SIZE_MAX + 1,
            mib in 1..6000_u64,
        ) {
            if let Ok(plan) = PartPlan::new(size, Some(mib << 20), 64) {
                prop_assert_eq!(plan.part_size(), mib << 20);
                assert_legal(plan);
            }
        }
    }

    #[test]
    fn the_edges_of_s3_are_met() {
        let five_thousand_gb = PartPlan::new(5_000_000_000_000, None, 64).expect("legal");
        assert_eq!(five_thousand_gb.part_size(), 512 << 20);
        assert_eq!(five_thousand_gb.parts(), 9314);
        assert_legal(PartPlan::new(OBJECT_SIZE_MAX, None, 64).expect("legal"));
        assert!(PartPlan::new(OBJECT_SIZE_MAX + 1, None, 64).is_err());
        assert!(PartPlan::new(0, None, 64).expect("legal").is_single_put());
        assert!(matches!(
            PartPlan::new(5_000_000_000_000, Some(8 << 20), 64),
            Err(NoPlan::TooManyParts { .. })
        ));
        assert!(matches!(PartPlan::new(1, Some(5 << 20 | 1), 64), Err(NoPlan::PartSize(_))));
    }

    #[test]
    fn a_range_is_written_as_http_has_it() {
        assert_eq!(ByteRange { start: 5, len: 10 }.header(), "bytes=5-14");
        assert_eq!(ByteRange { start: 5, len: 10 }.skip(4), ByteRange { start: 9, len: 6 });
        assert_eq!(ByteRange { start: 5, len: 10 }.skip(99), ByteRange { start: 15, len: 0 });
    }
}
