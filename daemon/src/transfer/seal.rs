//! The act that publishes: CompleteMultipartUpload, or PutObject for a small object.
//!
//! S3 can answer Complete with 200 and an error body, or do it and never answer. So before the act,
//! and after every answer that is not a clear yes, the target is asked what stands there: the act is
//! repeated only while it is known not to have happened.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::pulse::Pulse;
use super::retry::Budget;
use super::small::{Held, body};
use super::{Fault, Transfer};
use crate::base::{CrashPoint, Measure, clock, crash_point};
use crate::blob::{self, Existing, SealedPart};
use crate::model::{
    Failure, FailureClass, IfExists, Job, ObjectDigest, PartPlan, PinnedObject, PublishedObject,
    Side, Timestamp, TransferState, UploadId,
};

/// How long ago "just before the object is published" may be, for servers that ignore If-None-Match.
const STAYS_CLEAR: Duration = Duration::from_secs(2);

/// What stands at the target key, as far as this transfer is concerned.
enum Found {
    /// Our object: the act happened.
    Ours(PublishedObject),
    /// Nothing that stands in the way of the act.
    Clear,
}

impl Transfer {
    /// Refuses to publish bytes that the source, or the submitter, says are wrong.
    pub(super) fn check_before_publishing(
        &self,
        source: &PinnedObject,
        digest: &ObjectDigest,
    ) -> Result<(), Fault> {
        let corrupt = |reason: String, remedy: &str| {
            self.observer.record(Measure::VerificationFailure { stage: "sealing" });
            let failure = Failure::new(FailureClass::Corrupt, reason, remedy)
                .on(Side::Source, self.source.name().parse().ok())
                .at("s3:GetObject", self.spec.source.to_string());
            Err(Fault::useless(failure))
        };
        if source.crc64nvme.is_some_and(|theirs| theirs != digest.crc64nvme) {
            let reason = "the bytes that were read do not have the CRC64NVME that the source \
                          declares; nothing was published";
            return corrupt(reason.into(), "retry; if it stays, check this host and the source");
        }
        if self.spec.expect_blake3.is_some_and(|expected| expected != digest.blake3) {
            let reason = format!(
                "the object's BLAKE3 is {}, not the one expected; nothing was published",
                digest.blake3_hex()
            );
            return corrupt(
                reason,
                "check the source object, or the value given to --expect-blake3",
            );
        }
        Ok(())
    }

    /// Publishes what the ledger says is ready.
    pub(super) async fn publish(
        self: &Arc<Self>,
        source: &PinnedObject,
        plan: PartPlan,
        upload: Option<&UploadId>,
        digest: ObjectDigest,
    ) -> Result<Job, Fault> {
        match upload {
            Some(upload) => self.complete(source, plan, upload, digest).await,
            None => self.publish_held(source, digest, None, None).await,
        }
    }

    async fn complete(
        self: &Arc<Self>,
        source: &PinnedObject,
        plan: PartPlan,
        upload: &UploadId,
        digest: ObjectDigest,
    ) -> Result<Job, Fault> {
        let mut parts = Vec::new();
        let mut budget = Budget::default();
        let mut gone = false;
        loop {
            let upload_of = Some((upload, gone));
            if let Found::Ours(published) = self.look(source, upload_of, digest, &mut None).await? {
                return self.record.publish(published).await;
            }
            if parts.is_empty() {
                parts = self.sealed_parts(source, plan, upload, digest).await?;
            }
            crash_point(&self.observer, CrashPoint::BeforePublishing).await;
            let absent = self.only_if_absent();
            let size = plan.object_size();
            let act = self.target.complete(upload, &parts, digest.crc64nvme, size, absent);
            match self.stop.or_now(act).await? {
                Ok(published) => return self.published(published).await,
                Err(error) => {
                    gone |= error.is_no_such_upload();
                    self.after(error, &mut budget).await?;
                }
            }
        }
    }

    /// Writes down that the act was a success.
    async fn published(&self, published: PublishedObject) -> Result<Job, Fault> {
        crash_point(&self.observer, CrashPoint::Published).await;
        self.record.publish(published).await
    }

    /// What a person has to know of the target when the job is cancelled. Asked once, after the upload
    /// was aborted or left to the reaper: nobody publishes it later. Nothing is ever deleted there, since what stands at the
    /// key may be somebody's already.
    ///
    /// # Errors
    /// [`Fault::Stopped`] alone.
    pub async fn warning_of_cancel(&self, job: &Job) -> Result<Option<String>, Fault> {
        let stands = "the cancel came after the object was published: it stands at the target, and is \
                      not proven; delete it if it is not wanted";
        let look = self.stop.or_now(self.target.head(None));
        Ok(match &job.transfer {
            TransferState::Sealing { source, digest, .. } => match look.await? {
                Ok(Some(existing)) if may_be_ours(&existing, source, *digest) => {
                    Some(stands.to_owned())
                }
                Ok(_) => None,
                Err(error) => Some(format!(
                    "whether the object was published before the cancel is not known: {}",
                    error.to_failure(Side::Target)
                )),
            },
            TransferState::Sealed { .. } => Some(stands.to_owned()),
            TransferState::Unplanned
            | TransferState::Planned { .. }
            | TransferState::Uploading { .. } => None,
        })
    }

    /// Sends a small object; without the bytes at hand they are read again, and must be the same. That the
    /// key was clear at some moment before spares a look, where nothing was sent since.
    pub(super) async fn publish_held(
        &self,
        source: &PinnedObject,
        digest: ObjectDigest,
        mut held: Option<Held>,
        mut seen_clear: Option<Instant>,
    ) -> Result<Job, Fault> {
        let mut budget = Budget::default();
        // Since when an object may stand there that was not acknowledged.
        let mut sent_at = None;
        loop {
            let is_clear = seen_clear.take().is_some_and(|at| at.elapsed() < STAYS_CLEAR);
            // With `replace`, sending it again is harmless and looking would mistake an old equal
            // object, with other metadata, for ours.
            if self.only_if_absent()
                && !is_clear
                && let Found::Ours(published) = self.look(source, None, digest, &mut held).await?
            {
                return self.record.publish(published).await;
            }
            // Hours may pass: others need what it holds.
            let object = match held.take().filter(|_| !self.is_closed()) {
                Some(object) => object,
                None => match (self.hold(source).await, sent_at) {
                    (Err(fault @ Fault::Failed { .. }), Some(since)) => {
                        return self.without_source(source, digest, since, fault).await;
                    }
                    (object, _) => object?,
                },
            };
            if object.digest != digest {
                return Err(Fault::useless(self.source_differs()));
            }
            let now = clock::now();
            let put = self.put(source, &object).await?;
            drop(object);
            match put {
                Some(Ok(published)) => return self.published(published).await,
                Some(Err(error)) => {
                    if error.answer_lost() {
                        sent_at.get_or_insert(now);
                    }
                    self.after(error, &mut budget).await?;
                }
                None => {
                    sent_at.get_or_insert(now);
                }
            }
        }
    }

    /// The source is not to be had for another try, and one that was made at `since` or later may have been taken:
    /// then its object stands at the target, and all is well.
    ///
    /// # Errors
    /// Else `fault`, after a warning of what may stand there.
    async fn without_source(
        &self,
        source: &PinnedObject,
        digest: ObjectDigest,
        since: Timestamp,
        fault: Fault,
    ) -> Result<Job, Fault> {
        // An older one that was to be replaced may have the same bytes, and other metadata.
        let ahead = self.target.remote().clock_ahead_millis();
        let since = ahead.map(|ahead| by_their_clock(since, ahead));
        if let Ok(Some(existing)) = self.stop.or_now(self.target.look()).await?
            && may_be_ours(&existing, source, digest)
            && existing.last_modified.zip(since).is_some_and(|(at, since)| at >= since)
        {
            return self.record.publish(existing.published()).await;
        }
        let warning = "the object was sent and not acknowledged, and the source cannot be read again: it may \
                       stand at the target, unproven";
        self.record.warn(warning.to_owned()).await?;
        Err(fault)
    }

    /// Sends a small object; `None` where a side's schedule has let nothing pass for too long.
    async fn put(
        &self,
        source: &PinnedObject,
        object: &Held,
    ) -> Result<Option<Result<PublishedObject, blob::Error>>, Fault> {
        if self.stop.is_stopping() {
            return Err(Fault::Stopped);
        }
        let attributes = self.attributes(source);
        let crc64nvme = object.digest.crc64nvme;
        let pulse = Arc::new(Pulse::new());
        let body = body(object.bytes.clone(), crc64nvme, self.target.pace(), &pulse);
        let act = async {
            tokio::select! {
                answer = self.target.put(body, crc64nvme, &attributes, self.only_if_absent()) => {
                    Some(answer)
                }
                how = pulse.stalled() => Some(Err(self.target.put_stalled(how))),
                () = self.closed_for_long() => None,
            }
        };
        self.stop.or_now(act).await
    }

    /// Decides whether to look and try again after an answer that was not a yes.
    async fn after(&self, error: blob::Error, budget: &mut Budget) -> Result<(), Fault> {
        // What these say may be the echo of an act whose answer was lost: the next look tells, and
        // ends the loop where it is not. A budget bounds a server that contradicts itself.
        let echo = error.is_precondition_failed() || error.is_no_such_upload();
        let class = if echo { FailureClass::Corrupt } else { error.class() };
        match budget.spend(class) {
            Some(pause) => self.pause(Side::Target, &error.to_failure(Side::Target), pause).await,
            None if error.is_of_parts() => {
                // The same parts would be refused for ever: the next beginning sends them anew.
                Err(Fault::BeginAnew { failure: Box::new(error.to_failure(Side::Target)) })
            }
            None => Err(Fault::of_request(&error, Side::Target)),
        }
    }

    /// Looks at what stands at the target. Of an `upload` it is known whether Complete was answered that
    /// it is gone. An object that is `held` is let go of where one look does not do.
    async fn look(
        &self,
        source: &PinnedObject,
        upload: Option<(&UploadId, bool)>,
        digest: ObjectDigest,
        held: &mut Option<Held>,
    ) -> Result<Found, Fault> {
        let first = match held {
            Some(_) => self.stop.or_now(self.target.look()).await?.ok(),
            None => None,
        };
        let existing = match first {
            Some(existing) => existing,
            None => {
                *held = None;
                self.retrying(Side::Target, || self.target.look()).await?
            }
        };
        let Some(existing) = existing else { return Ok(Found::Clear) };
        // An upload that still stands was not completed, whatever the object there looks like.
        let may_be_done = match upload {
            Some((upload, _)) if self.target.habits().lists_parts => {
                self.retrying(Side::Target, || self.target.list_parts(upload)).await?.is_none()
            }
            // What is to be replaced may look the same: then Complete itself has to say it.
            Some((_, gone)) => gone || self.only_if_absent(),
            None => true,
        };
        if may_be_done && may_be_ours(&existing, source, digest) {
            return Ok(Found::Ours(existing.published()));
        }
        if self.only_if_absent() {
            let reason = "an object appeared at the target key meanwhile".into();
            let remedy = "choose another key, or submit with --if-exists replace";
            return Err(self.refused(Side::Target, "s3:PutObject", reason, remedy));
        }
        Ok(Found::Clear)
    }

    /// The parts to publish. A ledger that was made anew knows the digest and not the parts: then they
    /// are adopted, and have to be of the same whole.
    async fn sealed_parts(
        self: &Arc<Self>,
        source: &PinnedObject,
        plan: PartPlan,
        upload: &UploadId,
        digest: ObjectDigest,
    ) -> Result<Vec<SealedPart>, Fault> {
        let mut facts = self.record.ledger.parts(self.record.job)?;
        if facts.len() != usize::from(plan.parts()) {
            if self.fill(source, plan, upload, true).await? != digest {
                return Err(Fault::useless(self.source_differs()));
            }
            facts = self.record.ledger.parts(self.record.job)?;
        }
        let sealed = facts.into_iter().map(|fact| SealedPart {
            number: fact.number,
            etag: fact.etag,
            crc64nvme: fact.digest.crc64nvme,
        });
        Ok(sealed.collect())
    }

    fn source_differs(&self) -> Failure {
        let reason = "the source gave other bytes under the same ETag";
        Failure::new(FailureClass::Corrupt, reason, "check the source object")
            .on(Side::Source, self.source.name().parse().ok())
            .at("s3:GetObject", self.spec.source.to_string())
    }

    /// Whether the target must not exist yet. `skip` got here because it did not.
    pub(super) fn only_if_absent(&self) -> bool {
        match self.spec.if_exists {
            IfExists::Fail | IfExists::Skip => true,
            IfExists::Replace => false,
        }
    }
}

/// Where the server gives no checksum of the whole, the proof that follows decides.
/// A moment here by a clock that this machine's is so many milliseconds ahead of, as far as that is known: to a
/// second, as the times of objects are.
fn by_their_clock(at: Timestamp, ahead_millis: i64) -> Timestamp {
    const SLACK_MILLIS: u64 = 2_000;
    Timestamp(
        at.0.saturating_add_signed(ahead_millis.saturating_neg()).saturating_sub(SLACK_MILLIS),
    )
}

fn may_be_ours(existing: &Existing, source: &PinnedObject, digest: ObjectDigest) -> bool {
    existing.size == source.size && existing.crc64nvme.is_none_or(|crc| crc == digest.crc64nvme)
}
