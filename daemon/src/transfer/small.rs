//! Objects small enough to hold: read whole and hashed before anything is sent.
//!
//! # Invariants
//! - What is held has a slot, from before it is read until it is sent, and the slot is granted with the room
//!   for it (see [`crate::base::slots`]): of memory, as of slots, an object has what it needs or nothing.
//!   Whoever had a slot and waited for memory would keep the slot from a large job's parts; whoever had the
//!   memory and waited for a slot would keep it from the objects of other sides.
//! - Whoever waits for a side, or before another try, holds nothing: the object is read again.

use std::convert::Infallible;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use tokio::time::Instant;

use super::pulse::{Phase, Pulse};
use super::reader::{ReadError, Reader, Trace};
use super::retry::Budget;
use super::{Fault, Transfer};
use crate::base::{Direction, Pace, Permit, Reservation};
use crate::blob::PartBytes;
use crate::integrity;
use crate::model::{ByteRange, Job, ObjectDigest, PinnedObject, Side};

/// A small object, held, with the slot and the memory that it takes.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) bytes: Bytes,
    pub(super) digest: ObjectDigest,
    _memory: Reservation,
    _slot: Permit,
}

/// As much is handed on at once as a frame of a larger object has.
const PIECE: usize = 256 << 10;

/// `bytes` as the body of a request, no faster than `pace` lets them pass. `pulse` tells whether they are
/// taken.
pub(super) fn body(
    bytes: Bytes,
    crc64nvme: u64,
    pace: &Arc<Pace>,
    pulse: &Arc<Pulse>,
) -> PartBytes<Infallible> {
    let len = bytes.len() as u64;
    let rest = (bytes, Arc::clone(pace), Arc::clone(pulse));
    let frames = futures::stream::unfold(rest, |(mut rest, pace, pulse)| async move {
        if rest.is_empty() {
            return None;
        }
        pulse.beat(Phase::Reading);
        let piece = pace.piece(Direction::Write).map(usize::try_from);
        let piece = piece.and_then(Result::ok).unwrap_or(PIECE).clamp(1, PIECE);
        let frame = rest.split_to(piece.min(rest.len()));
        pace.bytes(Direction::Write, frame.len() as u64).await;
        pulse.beat(if rest.is_empty() { Phase::Answer } else { Phase::Writing });
        Some((Ok(frame), (rest, pace, pulse)))
    });
    PartBytes { len, frames: Box::pin(frames), crc64nvme: Box::new(move || crc64nvme) }
}

impl Transfer {
    /// Learns the digest of a small object, writes it down, and publishes. At `planned_at` nothing stood in
    /// the way of that.
    pub(super) async fn seal_small(
        &self,
        source: &PinnedObject,
        planned_at: Instant,
    ) -> Result<Job, Fault> {
        let held = self.hold(source).await?;
        let digest = held.digest;
        self.check_before_publishing(source, &digest)?;
        self.record.seal(digest).await?;
        self.publish_held(source, digest, Some(held), Some(planned_at)).await
    }

    /// Reads a small object whole.
    pub(super) async fn hold(&self, source: &PinnedObject) -> Result<Held, Fault> {
        let pinned = Arc::new(source.clone());
        let mut budget = Budget::default();
        loop {
            self.open().await?;
            let slot = self.stop.or_soon(self.seat.acquire_holding(source.size)).await?;
            // It is free: the slot was granted with it.
            let memory = self.stop.or_soon(self.memory.reserve(source.size)).await?;
            let error = match self.stop.or_now(self.read_whole(&pinned)).await? {
                Ok(bytes) => {
                    let digest = integrity::digest(&bytes);
                    return Ok(Held { bytes, digest, _memory: memory, _slot: slot });
                }
                Err(error) => error,
            };
            drop((memory, slot));
            let failure = self.origin(Arc::clone(&pinned)).failure(&error);
            match budget.spend(error.class()) {
                Some(pause) => self.pause(Side::Source, &failure, pause).await?,
                None => return Err(error.into_fault(Side::Source, failure)),
            }
        }
    }

    async fn read_whole(&self, pinned: &Arc<PinnedObject>) -> Result<Bytes, ReadError> {
        let range = ByteRange { start: 0, len: pinned.size };
        let trace = Trace::new(pinned.size, range, Arc::default());
        let mut reader = Reader::new(self, self.origin(Arc::clone(pinned)), range, None, trace);
        let mut bytes = BytesMut::with_capacity(usize::try_from(pinned.size).unwrap_or_default());
        while let Some(frame) = reader.next().await {
            bytes.extend_from_slice(&frame?);
        }
        Ok(bytes.freeze())
    }
}

#[cfg(test)]
mod tests {
    use futures::StreamExt as _;

    use super::*;
    use crate::base::{Limits, NoObserver};
    use crate::model::Bandwidth;

    /// Paid for as a whole and then sent at once, two small objects would be twice the limit.
    #[tokio::test(start_paused = true)]
    async fn a_small_object_passes_no_faster_than_the_limit() {
        let rate = 1 << 20;
        let limits = Limits { write_bandwidth: Some(Bandwidth(rate)), ..Limits::default() };
        let pace = Pace::new("gov", limits, Arc::new(NoObserver));
        let bytes = Bytes::from(vec![7; 8 << 20]);
        let (begun, mut sent) = (Instant::now(), 0);
        let mut frames = body(bytes, 0, &pace, &Arc::new(Pulse::new())).frames;
        while let Some(frame) = frames.next().await {
            let Ok(frame) = frame;
            sent += frame.len() as u64;
            // 0.9 % of what ten seconds let pass may come at once.
            let due = rate as f64 * (begun.elapsed().as_secs_f64() + 0.091);
            assert!(sent as f64 <= due, "{sent} bytes after {:?}", begun.elapsed());
        }
        assert_eq!(sent, 8 << 20);
        assert!(begun.elapsed().as_secs_f64() <= 8.0 * 1.03, "{:?}", begun.elapsed());
    }
}
