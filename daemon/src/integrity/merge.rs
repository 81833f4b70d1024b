//! Makes the digest of the whole from the digests of its parts.

use std::iter::Peekable;
use std::vec;

use blake3::hazmat::{ChainingValue, Mode, merge_subtrees_non_root, merge_subtrees_root};

use super::crc::Append;
use super::{Error, subtree};
use crate::model::{ByteRange, ObjectDigest, PartDigest, PartPlan};

/// The digest of the object whose parts, in order, have the digests `parts`. A plan with a single
/// PutObject has one: that of [`PartPlan::whole`].
///
/// # Errors
/// Where the digests are not those of exactly this plan's parts.
pub fn merge(plan: PartPlan, parts: &[PartDigest]) -> Result<ObjectDigest, Error> {
    if plan.is_single_put() {
        return merge_ranges(plan.object_size(), &[plan.whole()], parts);
    }
    let ranges: Vec<_> = plan.numbers().filter_map(|number| plan.range(number)).collect();
    merge_ranges(plan.object_size(), &ranges, parts)
}

/// The same for any ranges that follow on each other from the object's first byte to its last.
pub(super) fn merge_ranges(
    object_size: u64,
    ranges: &[ByteRange],
    parts: &[PartDigest],
) -> Result<ObjectDigest, Error> {
    if ranges.len() != parts.len() {
        return Err(Error::Parts { expected: ranges.len(), found: parts.len() });
    }
    let mut nodes = Vec::with_capacity(parts.len());
    let mut crc64nvme = 0;
    let mut append = Append::new(0);
    for (index, (&range, part)) in ranges.iter().zip(parts).enumerate() {
        let tiles =
            subtree::tiles(object_size, range).ok_or(Error::Range { object_size, range })?;
        if part.len != range.len || part.subtrees.len() != tiles.len() {
            return Err(Error::Misfit { number: index + 1 });
        }
        if append.len() != part.len {
            append = Append::new(part.len);
        }
        crc64nvme = append.combine(crc64nvme, part.crc64nvme);
        nodes.extend(tiles.into_iter().zip(part.subtrees.iter().copied()));
    }
    let mut nodes = nodes.into_iter().peekable();
    let blake3 = root(object_size, &mut nodes)
        .ok_or(Error::Parts { expected: ranges.len(), found: parts.len() })?;
    Ok(ObjectDigest { blake3, crc64nvme })
}

/// The nodes that tile the object, in order: the length of each and its chaining value.
type Nodes = Peekable<vec::IntoIter<(u64, ChainingValue)>>;

/// The hash of the whole; `None` where `nodes` do not tile it.
fn root(object_size: u64, nodes: &mut Nodes) -> Option<[u8; 32]> {
    if subtree::is_one_chunk(object_size) {
        return nodes.next().map(|(_, hash)| hash);
    }
    let (left, right) = subtree::children(ByteRange { start: 0, len: object_size });
    let left = value(left, nodes)?;
    let right = value(right, nodes)?;
    Some(*merge_subtrees_root(&left, &right, Mode::Hash).as_bytes())
}

/// The chaining value of `node`: the next of `nodes` itself, or made from its children's.
fn value(node: ByteRange, nodes: &mut Nodes) -> Option<ChainingValue> {
    if let Some((_, value)) = nodes.next_if(|(len, _)| *len == node.len) {
        return Some(value);
    }
    // A next node that is not smaller belongs elsewhere: it must not be split, nor this one for ever.
    nodes.peek().filter(|(len, _)| *len < node.len)?;
    let (left, right) = subtree::children(node);
    let left = value(left, nodes)?;
    let right = value(right, nodes)?;
    Some(merge_subtrees_non_root(&left, &right, Mode::Hash))
}
