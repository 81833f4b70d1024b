//! A part that the target has and the ledger does not know: after a crash between the two, or where the
//! ledger was made anew.
//!
//! The target's list gives a CRC64NVME; the whole's BLAKE3 needs the part's chaining values, which only
//! its bytes give. So the source's range is read again, for the hash alone, and with the same CRC64NVME
//! the part is taken for what it is: half of the work, and none of the target's bandwidth. An ETag that
//! looks like an MD5 proves nothing, since encryption changes what it is made of: without a checksum the
//! part is sent again.

use std::sync::Arc;

use super::part::{PART_MEMORY, Work};
use super::retry::Budget;
use super::{Fault, Transfer};
use crate::base::Permit;
use crate::blob::ListedPart;
use crate::model::{PartFact, Side};

impl Transfer {
    /// Takes the part up if the source's bytes are what the target has; whether it did. The permit is
    /// still there where it did not try.
    pub(super) async fn adopt(
        &self,
        work: &Work,
        found: &ListedPart,
        permit: &mut Option<Permit>,
    ) -> Result<bool, Fault> {
        let (Some(theirs), false) = (found.crc64nvme, found.etag.is_empty()) else {
            return Ok(false);
        };
        let mut budget = Budget::default();
        let digest = loop {
            if self.is_closed() {
                *permit = None;
                self.open().await?;
            }
            let held = match permit.take() {
                Some(held) => held,
                None => self.stop.or_soon(self.seat.acquire()).await?,
            };
            let memory = self.stop.or_soon(self.memory.reserve(PART_MEMORY)).await?;
            let origin = self.origin(Arc::clone(&work.source));
            let error = match self.stop.or_now(self.hash_range(origin, work.range)).await? {
                Some(Ok(digest)) => break digest?,
                Some(Err(error)) => error,
                None => continue,
            };
            drop((memory, held));
            let failure = self.origin(Arc::clone(&work.source)).failure(&error);
            match budget.spend(failure.class) {
                Some(pause) => self.pause(Side::Source, &failure, pause).await?,
                None => return Err(error.into_fault(Side::Source, failure)),
            }
        };
        if digest.crc64nvme != theirs {
            tracing::info!(part = %work.number, "what the target has is not the source's: sending it");
            return Ok(false);
        }
        let (number, etag) = (work.number, found.etag.clone());
        let fact = PartFact { number, etag, digest, attempts: 0, bytes_sent: 0 };
        self.record.part(fact).await?;
        self.live.acknowledge(work.range.len);
        tracing::debug!(part = %work.number, "adopted: the target had it already");
        Ok(true)
    }
}
