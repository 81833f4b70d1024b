//! How a worker writes down what it did.
//!
//! While the ledger cannot write (the disk is full, say) the worker waits with its fact in hand: the
//! transfer stands still and nothing is lost. Nothing is done at S3 meanwhile.

use std::future::Future;
use std::sync::Arc;

use super::{Fault, LiveTransfer, Stop};
use crate::base::Backoff;
use crate::ledger::{self, Ledger};
use crate::model::{
    Change, Job, JobId, ObjectDigest, PartFact, PartPlan, PinnedObject, PublishedObject, UploadId,
    WaitReason,
};

/// One job's page in the ledger, open for writing while the lease holds.
#[derive(Debug, Clone)]
pub struct Record {
    pub ledger: Ledger,
    pub job: JobId,
    /// The lease's fencing token.
    pub token: u64,
    pub live: Arc<LiveTransfer>,
    pub stop: Stop,
}

impl Record {
    /// A record that nothing can be written to: for planning without a job. The ledger knows no job
    /// of this id, so whatever tried would be refused.
    pub fn of_no_job(ledger: Ledger, live: &Arc<LiveTransfer>, stop: &Stop) -> Self {
        let job = JobId::from_bytes([0; 16]);
        Self { ledger, job, token: 0, live: Arc::clone(live), stop: stop.clone() }
    }

    /// Writes one change.
    ///
    /// # Errors
    /// [`Fault::Ledger`] where the lease is lost or the change is not legal.
    pub async fn apply(&self, change: Change) -> Result<Job, Fault> {
        self.insist(|| self.ledger.apply(self.job, self.token, change.clone())).await
    }

    pub(super) async fn plan(
        &self,
        source: Box<PinnedObject>,
        plan: PartPlan,
        warnings: Vec<String>,
    ) -> Result<Job, Fault> {
        self.apply(Change::Plan { source, plan, warnings }).await
    }

    pub(super) async fn upload(&self, upload: UploadId) -> Result<Job, Fault> {
        self.apply(Change::Upload(upload)).await
    }

    pub(super) async fn seal(&self, digest: ObjectDigest) -> Result<Job, Fault> {
        self.apply(Change::Seal(digest)).await
    }

    pub(super) async fn publish(&self, target: PublishedObject) -> Result<Job, Fault> {
        self.apply(Change::Publish(target)).await
    }

    pub(super) async fn warn(&self, warning: String) -> Result<(), Fault> {
        tracing::warn!(job = %self.job, "{warning}");
        self.apply(Change::Warn(warning)).await.map(drop)
    }

    pub(super) async fn part(&self, fact: PartFact) -> Result<(), Fault> {
        self.insist(|| self.ledger.record_part(self.job, self.token, fact.clone())).await
    }

    /// Repeats `write` until the disk takes it, the worker is told to stop, or it is refused.
    async fn insist<T, F>(&self, mut write: impl FnMut() -> F) -> Result<T, Fault>
    where
        F: Future<Output = Result<T, ledger::Error>>,
    {
        let mut attempt = 0;
        loop {
            match write().await {
                Ok(written) => return Ok(written),
                Err(error) if error.may_pass() => {
                    attempt += 1;
                    tracing::error!(job = %self.job, %error, "the ledger cannot write: waiting");
                    let detail = format!("the ledger cannot write: {error}");
                    let _waiting = self.live.wait(WaitReason::Retry, detail);
                    self.stop.or_now(tokio::time::sleep(Backoff::REQUEST.delay(attempt))).await?;
                }
                Err(error) => return Err(error.into()),
            }
        }
    }
}
