//! Which nodes of BLAKE3's tree tile a part.
//!
//! The tree of an object is decided by its size alone: the left child of every node is the largest
//! power of two of chunks that leaves something to the right. A part is tiled by the largest nodes
//! that lie wholly inside it. With parts that begin at multiples of 1 MiB there are at most 26 of them
//! for any object to 50 TB, and one for most parts whose size is a power of two.
//!
//! The root is the exception: its value is finalised with a flag of its own, so it is no tile. A part
//! that is the whole object is tiled by the root's two children. An object of at most one chunk has no
//! children; its only tile is the root, and the value kept for it is the hash itself.

use blake3::CHUNK_LEN;
use blake3::hazmat::left_subtree_len;

use crate::model::ByteRange;

/// Bytes of a leaf.
const CHUNK: u64 = CHUNK_LEN as u64;

/// Whether an object is a single leaf, which is then the root.
pub(super) fn is_one_chunk(object_size: u64) -> bool {
    object_size <= CHUNK
}

/// The lengths of the nodes that tile `range`, in order. `None` where the range does not begin and end
/// at borders of the tree, or reaches beyond the object.
pub(super) fn tiles(object_size: u64, range: ByteRange) -> Option<Vec<u64>> {
    let end = range.start.checked_add(range.len).filter(|end| *end <= object_size)?;
    let whole = ByteRange { start: 0, len: object_size };
    if is_one_chunk(object_size) {
        return (range == whole).then(|| vec![object_size]);
    }
    let mut tiles = Vec::new();
    let (left, right) = children(whole);
    let tiled =
        collect(left, range.start, end, &mut tiles) && collect(right, range.start, end, &mut tiles);
    (tiled && range.len > 0).then_some(tiles)
}

/// The two children of a node of more than one chunk.
pub(super) fn children(node: ByteRange) -> (ByteRange, ByteRange) {
    let left = left_subtree_len(node.len);
    (ByteRange { start: node.start, len: left }, node.skip(left))
}

/// Adds the largest nodes below `node` that lie in `start..end`; false where a leaf straddles a border.
fn collect(node: ByteRange, start: u64, end: u64, tiles: &mut Vec<u64>) -> bool {
    if node.end() <= start || node.start >= end {
        return true;
    }
    if start <= node.start && node.end() <= end {
        tiles.push(node.len);
        return true;
    }
    if node.len <= CHUNK {
        return false;
    }
    let (left, right) = children(node);
    collect(left, start, end, tiles) && collect(right, start, end, tiles)
}
