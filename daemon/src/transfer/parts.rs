//! All parts of one upload, as many at once as the slots allow.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use tokio::task::JoinSet;
use tracing::Instrument as _;

use super::part::Work;
use super::{Fault, Transfer, peers};
use crate::base::{CrashPoint, Permit, crash_point};
use crate::blob::ListedPart;
use crate::integrity;
use crate::model::{
    Failure, FailureClass, Job, ObjectDigest, PartFact, PartNumber, PartPlan, PinnedObject, Side,
    UploadId,
};

/// What need not be sent, by what is known of it.
#[derive(Debug, Default)]
struct Standing {
    /// In the ledger, and at the target just so.
    done: BTreeSet<PartNumber>,
    /// At the target alone: ours, if the source's bytes have the same checksum.
    found: BTreeMap<PartNumber, ListedPart>,
}

impl Transfer {
    /// Begins the multipart upload; its id is on disk before the first part is sent.
    pub(super) async fn create_upload(&self, source: &PinnedObject) -> Result<Job, Fault> {
        let attributes = self.attributes(source);
        let create = || self.target.create_upload(&attributes);
        let (created, asked) = self.ask_for_upload(create).await?;
        crash_point(&self.observer, CrashPoint::UploadCreated).await;
        let job = self.record.upload(created.upload).await?;
        crash_point(&self.observer, CrashPoint::UploadRecorded).await;
        if let Some(at) = created.abort_at {
            let warning = format!(
                "a lifecycle rule of bucket {} aborts this upload at {}: finish before, or change \
                 its AbortIncompleteMultipartUpload rule",
                self.target.address().bucket,
                crate::base::clock::rfc3339(at),
            );
            self.record.warn(warning).await?;
        }
        self.settle_asked(asked, job.submitted_at).await?;
        Ok(job)
    }

    /// Brings every part to the target and to the ledger, then seals. A `resumed` upload may have parts
    /// that the ledger does not know.
    pub(super) async fn upload_parts(
        self: &Arc<Self>,
        source: &PinnedObject,
        plan: PartPlan,
        upload: &UploadId,
        resumed: bool,
    ) -> Result<Job, Fault> {
        let digest = self.fill(source, plan, upload, resumed).await?;
        self.check_before_publishing(source, &digest)?;
        self.record.seal(digest).await
    }

    /// Carries every part that the ledger and the target do not both have; the digest of the whole.
    pub(super) async fn fill(
        self: &Arc<Self>,
        source: &PinnedObject,
        plan: PartPlan,
        upload: &UploadId,
        resumed: bool,
    ) -> Result<ObjectDigest, Fault> {
        let mut standing = self.standing(plan, upload, resumed).await?;
        let source = Arc::new(source.clone());
        let work = plan.numbers().filter(|number| !standing.done.contains(number));
        let work: VecDeque<_> = work
            .filter_map(|number| {
                let range = plan.range(number)?;
                let found = standing.found.remove(&number).filter(|part| part.size == range.len);
                let (source, upload) = (Arc::clone(&source), upload.clone());
                Some(Work { source, upload, number, range, found })
            })
            .collect();
        self.carry_all(work).await?;
        let facts = self.record.ledger.parts(self.record.job)?;
        let digests: Vec<_> = facts.into_iter().map(|fact| fact.digest).collect();
        Ok(integrity::merge(plan, &digests)?)
    }

    /// The parts that need not be sent again.
    async fn standing(
        &self,
        plan: PartPlan,
        upload: &UploadId,
        resumed: bool,
    ) -> Result<Standing, Fault> {
        let facts = self.record.ledger.parts(self.record.job)?;
        if facts.is_empty() && !resumed {
            return Ok(Standing::default());
        }
        if !self.target.habits().lists_parts {
            let done = facts.iter().map(|fact| fact.number).collect();
            return Ok(Standing { done, ..Standing::default() });
        }
        let listed = self.retrying(Side::Target, || self.target.list_parts(upload)).await?;
        let Some(listed) = listed else { return Err(self.upload_is_gone()) };
        let mut listed: BTreeMap<_, _> =
            listed.into_iter().map(|part| (part.number, part)).collect();
        let same = |fact: &&PartFact| {
            listed.get(&fact.number).is_some_and(|part| {
                part.etag == fact.etag
                    && part.size == fact.digest.len
                    && plan.range(fact.number).is_some_and(|range| range.len == part.size)
                    && part.crc64nvme.is_none_or(|crc| crc == fact.digest.crc64nvme)
            })
        };
        let done: BTreeSet<_> = facts.iter().filter(same).map(|fact| fact.number).collect();
        // A part that the ledger knows otherwise is not one to adopt: it is sent again.
        facts.iter().for_each(|fact| drop(listed.remove(&fact.number)));
        if done.len() < facts.len() {
            let lost = facts.len() - done.len();
            self.record
                .warn(format!("{lost} parts that were acknowledged are not at the target as they were sent: sent again"))
                .await?;
        }
        Ok(Standing { done, found: listed })
    }

    pub(super) fn upload_is_gone(&self) -> Fault {
        let reason = "the multipart upload is gone from the target";
        let remedy = "check the bucket's AbortIncompleteMultipartUpload rule";
        let failure = Failure::new(FailureClass::Transient, reason, remedy)
            .on(Side::Target, self.target.name().parse().ok())
            .at("s3:ListMultipartUploadParts", self.target.address().resource());
        Fault::BeginAnew { failure: Box::new(failure) }
    }

    /// Runs the work until it is done, one part fails for good, or the transfer is told to stop: then
    /// it starts no more and waits for those in flight.
    async fn carry_all(self: &Arc<Self>, mut work: VecDeque<Work>) -> Result<(), Fault> {
        let mut running: JoinSet<Result<(), Fault>> = JoinSet::new();
        let mut stopped = false;
        let mut acquiring: Option<futures::future::BoxFuture<'static, Permit>> = None;
        let mut look = tokio::time::interval(peers::LOOK_EVERY);
        loop {
            let stopping = self.stop.is_stopping();
            if !stopping && !work.is_empty() && running.is_empty() && self.is_closed() {
                acquiring = None;
                self.open().await?;
            }
            let starting = !stopping && !self.is_closed();
            if starting && !work.is_empty() && running.len() < self.parts_max {
                let transfer = Arc::clone(self);
                let acquire = || Box::pin(async move { transfer.seat.acquire().await }) as _;
                acquiring.get_or_insert_with(acquire);
            } else {
                acquiring = None;
                if running.is_empty() && (starting || stopping || work.is_empty()) {
                    let whole = work.is_empty() && !stopped;
                    return if whole { Ok(()) } else { Err(Fault::Stopped) };
                }
            }
            tokio::select! {
                Some(ended) = running.join_next() => match ended {
                    Ok(Err(Fault::Stopped)) => stopped = true,
                    Ok(Ok(())) => {}
                    // Nobody may record a part any more once this has ended.
                    Ok(Err(fault)) => {
                        running.shutdown().await;
                        return Err(fault);
                    }
                    Err(panic) => {
                        running.shutdown().await;
                        return Err(Fault::failed(bug(&panic)));
                    }
                },
                permit = async { acquiring.as_mut().unwrap_or(&mut never()).await } => {
                    acquiring = None;
                    if let Some(part) = work.pop_front() {
                        self.spawn(&mut running, part, permit);
                    }
                }
                _ = look.tick() => self.live.compare_parts(),
                () = self.stop.stopping(), if !stopping => {}
            }
        }
    }

    fn spawn(
        self: &Arc<Self>,
        running: &mut JoinSet<Result<(), Fault>>,
        part: Work,
        permit: Permit,
    ) {
        let transfer = Arc::clone(self);
        let span = tracing::info_span!("part", number = %part.number);
        running.spawn(async move { transfer.carry(part, permit).await }.instrument(span));
    }
}

fn never() -> futures::future::BoxFuture<'static, Permit> {
    Box::pin(std::future::pending())
}

fn bug(panic: &tokio::task::JoinError) -> Failure {
    Failure::new(
        FailureClass::Permanent,
        format!("a part's task ended: {panic}"),
        "report this as a bug",
    )
}
