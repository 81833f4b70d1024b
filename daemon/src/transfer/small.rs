//! Objects small enough to hold: read whole and hashed before anything is sent.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use tokio::time::Instant;

use super::reader::{ReadError, Reader, Trace};
use super::retry::Budget;
use super::{Fault, Transfer};
use crate::base::Reservation;
use crate::integrity;
use crate::model::{ByteRange, Job, ObjectDigest, PinnedObject, Side};

/// A small object, held, with the memory that it takes.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) bytes: Bytes,
    pub(super) digest: ObjectDigest,
    _memory: Reservation,
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
        self.open().await?;
        let memory = self.stop.or_soon(self.memory.reserve(source.size)).await?;
        let pinned = Arc::new(source.clone());
        let mut budget = Budget::default();
        loop {
            let permit = self.stop.or_soon(self.seat.acquire()).await?;
            let error = match self.stop.or_now(self.read_whole(&pinned)).await? {
                Ok(bytes) => {
                    let digest = integrity::digest(&bytes);
                    return Ok(Held { bytes, digest, _memory: memory });
                }
                Err(error) => error,
            };
            drop(permit);
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
