//! The proof that the target holds the source's bytes. Without it a job does not succeed.

use std::sync::Arc;

use futures::{StreamExt as _, TryStreamExt as _};

use super::part::PART_MEMORY;
use super::plan::Draft;
use super::reader::{Origin, ReadError, Reader, Trace};
use super::retry::Budget;
use super::{Fault, Transfer};
use crate::base::{Measure, clock};
use crate::blob::{Existing, S3Object};
use crate::integrity;
use crate::model::digest::crc64nvme_to_base64;
use crate::model::{
    ByteRange, Failure, FailureClass, Job, ObjectDigest, PartDigest, PartPlan, PinnedObject,
    PublishedObject, Receipt, Side, VerifiedBy, Verify,
};

impl Transfer {
    /// Proves the object at the target and writes the receipt.
    pub(super) async fn prove(
        &self,
        job: &Job,
        source: &PinnedObject,
        plan: PartPlan,
        digest: ObjectDigest,
        target: &PublishedObject,
    ) -> Result<Receipt, Fault> {
        let version = target.version_id.as_deref();
        let existing = self.retrying(Side::Target, || self.target.head(version)).await?;
        let Some(existing) = existing else { return Err(self.unproven("it is not there")) };
        if existing.size != source.size {
            let reason = format!("it has {} bytes, the source {}", existing.size, source.size);
            return Err(self.unproven(&reason));
        }
        let verified_by = match (self.spec.verify, existing.crc64nvme) {
            (Verify::Auto | Verify::Checksum, Some(theirs)) => {
                self.compare(theirs, digest)?;
                VerifiedBy::S3Checksum
            }
            (Verify::Checksum, None) => {
                return Err(self.refused(
                    Side::Target,
                    "s3:GetObjectAttributes",
                    "the target gives no full-object CRC64NVME".into(),
                    "delete the target object, then submit again with --verify readback or auto",
                ));
            }
            (Verify::Readback, _) | (Verify::Auto, None) => {
                self.read_back(plan, digest, &existing).await?;
                VerifiedBy::Readback
            }
        };
        self.check_attributes(source, &existing, version).await?;
        Ok(self.receipt(job, source, plan, digest, target, verified_by))
    }

    fn compare(&self, theirs: u64, digest: ObjectDigest) -> Result<(), Fault> {
        if theirs == digest.crc64nvme {
            return Ok(());
        }
        let reason = format!(
            "its CRC64NVME is {}, not {}",
            crc64nvme_to_base64(theirs),
            digest.crc64nvme_base64()
        );
        Err(self.unproven(&reason))
    }

    /// Reads the target again, part by part, and merges what it hashes to.
    async fn read_back(
        &self,
        plan: PartPlan,
        digest: ObjectDigest,
        existing: &Existing,
    ) -> Result<(), Fault> {
        let address = self.target.address().clone();
        let object = S3Object::new(Arc::clone(self.target.remote()), address);
        let origin = Origin {
            side: Side::Target,
            object: Arc::new(object),
            pinned: Arc::new(existing.pinned()),
            resource: self.target.address().resource(),
        };
        let ranges: Vec<ByteRange> = match plan.parts() {
            0 => vec![plan.whole()],
            _ => plan.numbers().filter_map(|number| plan.range(number)).collect(),
        };
        let hashes =
            futures::stream::iter(ranges).map(|range| self.hash_back(origin.clone(), range));
        let parts: Vec<_> = hashes.buffered(self.parts_max).try_collect().await?;
        let found = integrity::merge(plan, &parts)?;
        if found == digest {
            return Ok(());
        }
        Err(self.unproven(&format!("it reads back as BLAKE3 {}", found.blake3_hex())))
    }

    async fn hash_back(&self, origin: Origin, range: ByteRange) -> Result<PartDigest, Fault> {
        let mut budget = Budget::default();
        loop {
            self.open().await?;
            let permit = self.stop.or_soon(self.seat.acquire()).await?;
            let memory = self.stop.or_soon(self.memory.reserve(PART_MEMORY)).await?;
            let error = match self.stop.or_now(self.hash_range(origin.clone(), range)).await? {
                Some(Ok(digest)) => return digest.map_err(Fault::from),
                Some(Err(error)) => error,
                None => continue,
            };
            drop((memory, permit));
            let failure = origin.failure(&error);
            match budget.spend(failure.class) {
                Some(pause) => self.pause(Side::Target, &failure, pause).await?,
                None => return Err(error.into_fault(Side::Target, failure)),
            }
        }
    }

    /// The digest of a range, read for that alone; `None` where a side's schedule has let nothing pass for too
    /// long.
    pub(super) async fn hash_range(
        &self,
        origin: Origin,
        range: ByteRange,
    ) -> Option<Result<Result<PartDigest, integrity::Error>, ReadError>> {
        let trace = Trace::new(origin.pinned.size, range, Arc::default());
        let mut reader = Reader::new(self, origin, range, None, Arc::clone(&trace));
        let read = async {
            while let Some(frame) = reader.next().await {
                frame?;
            }
            Ok(trace.digest())
        };
        tokio::select! {
            read = read => Some(read),
            () = self.closed_for_long() => None,
        }
    }

    /// Tags and metadata that a server dropped without a word are set again, or reported.
    async fn check_attributes(
        &self,
        source: &PinnedObject,
        existing: &Existing,
        version: Option<&str>,
    ) -> Result<(), Fault> {
        let wanted = self.attributes(source);
        if existing.metadata != wanted.metadata {
            let warning = "the target did not keep the user metadata as it was sent";
            self.record.warn(warning.into()).await?;
        }
        if wanted.tags.is_empty() {
            return Ok(());
        }
        // The object is proven already: what cannot be learned of its tags is a warning, no failure.
        let put = match self.stop.or_now(self.target.tags(version)).await? {
            Ok(tags) if tags == wanted.tags => return Ok(()),
            Ok(_) => self.stop.or_now(self.target.put_tags(&wanted.tags, version)).await?,
            Err(error) => {
                let failure = error.to_failure(Side::Target);
                let warning = format!("whether the tags are on the target is not known: {failure}");
                return self.record.warn(warning).await;
            }
        };
        match put {
            Ok(()) => Ok(()),
            Err(error) => {
                let failure = error.to_failure(Side::Target);
                self.record.warn(format!("the tags are not on the target: {failure}")).await
            }
        }
    }

    fn unproven(&self, reason: &str) -> Fault {
        self.observer.record(Measure::VerificationFailure { stage: "verifying" });
        let reason = format!("the target object is not proven: {reason}");
        let remedy = "do not use the target object: delete it, then retry";
        let failure = Failure::new(FailureClass::Corrupt, reason, remedy)
            .on(Side::Target, self.target.name().parse().ok())
            .at("s3:GetObject", self.target.address().resource());
        Fault::useless(failure)
    }

    fn receipt(
        &self,
        job: &Job,
        source: &PinnedObject,
        plan: PartPlan,
        digest: ObjectDigest,
        target: &PublishedObject,
        verified_by: VerifiedBy,
    ) -> Receipt {
        let small = if plan.is_single_put() { source.size } else { 0 };
        Receipt {
            blake3: digest.blake3_hex(),
            crc64nvme: digest.crc64nvme_base64(),
            target: Some(self.target.describe(target, source.size)),
            parts: plan.parts(),
            part_size: plan.part_size(),
            bytes_sent: job.progress.bytes_sent + small,
            ..self.blank_receipt(job, source, verified_by)
        }
    }

    /// The receipt of a job that found its object at the target and moved nothing.
    pub(super) fn receipt_of_same(&self, job: &Job, draft: &Draft, existing: &Existing) -> Receipt {
        let source = &draft.source;
        Receipt {
            crc64nvme: source.crc64nvme.map(crc64nvme_to_base64).unwrap_or_default(),
            target: Some(self.target.describe(&existing.published(), existing.size)),
            ..self.blank_receipt(job, source, VerifiedBy::S3Checksum)
        }
    }

    fn blank_receipt(&self, job: &Job, source: &PinnedObject, verified_by: VerifiedBy) -> Receipt {
        Receipt {
            source: Some(self.source.describe(source)),
            verified_by: Some(verified_by),
            ..Receipt::blank(job, clock::now(), env!("CARGO_PKG_VERSION"))
        }
    }
}
