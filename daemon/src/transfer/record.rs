//! How a worker writes down what it did.
//!
//! While the ledger cannot write (the disk is full, say) the worker waits with its fact in hand: the
//! transfer stands still and nothing is lost. Nothing is done at S3 meanwhile.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use super::{Fault, LiveTransfer, Stop};
use crate::base::{Backoff, chain};
use crate::ledger::{self, AskedUpload, Ledger};
use crate::model::{
    Change, Job, JobId, ObjectDigest, PartFact, PartPlan, PinnedObject, PublishedObject, UploadId,
    WaitReason,
};

/// A write that takes longer is told to whoever watches.
const PATIENCE: Duration = Duration::from_secs(2);

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
        // Nothing exists at the target before a later change is on disk, and this with it.
        self.note(Change::Plan { source, plan, warnings }).await
    }

    /// An upload is about to be asked for. Gives what [`Record::forget_asked`] takes.
    pub(super) async fn ask_upload(&self) -> Result<Option<AskedUpload>, Fault> {
        self.insist(|| self.ledger.ask_upload(self.job, self.token)).await
    }

    /// What was asked for is known. Where this is not written, it is looked for once more.
    pub(super) fn forget_asked(&self, asked: &AskedUpload) {
        if let Err(error) = self.ledger.forget_asked(asked) {
            tracing::debug!(%error, "an upload that was asked for stays in the ledger");
        }
    }

    pub(super) async fn setting(&self, key: &str, value: String) -> Result<(), Fault> {
        let put = || self.ledger.put_setting(key, Some(value.clone()), "causewayd");
        self.insist(put).await
    }

    pub(super) async fn upload(&self, upload: UploadId) -> Result<Job, Fault> {
        self.apply(Change::Upload(upload)).await
    }

    pub(super) async fn seal(&self, digest: ObjectDigest) -> Result<Job, Fault> {
        self.apply(Change::Seal(digest)).await
    }

    pub(super) async fn publish(&self, target: PublishedObject) -> Result<Job, Fault> {
        // The proof ends the job or fails it; before that is on disk, the target is asked again.
        self.note(Change::Publish(target)).await
    }

    /// Writes one change that the worker may lose in a crash: see [`Ledger::note`].
    async fn note(&self, change: Change) -> Result<Job, Fault> {
        self.insist(|| std::future::ready(self.ledger.note(self.job, self.token, change.clone())))
            .await
    }

    pub(super) async fn warn(&self, warning: String) -> Result<(), Fault> {
        tracing::warn!(job = %self.job, "{warning}");
        self.apply(Change::Warn(warning)).await.map(drop)
    }

    pub(super) async fn part(&self, fact: PartFact) -> Result<(), Fault> {
        self.insist(|| self.ledger.record_part(self.job, self.token, fact.clone())).await
    }

    /// Repeats `write` until the disk takes it, the worker is told to stop, or it is refused. A worker
    /// on a database that failed waits for its end: nothing it does can be written down any more.
    async fn insist<T, F>(&self, mut write: impl FnMut() -> F) -> Result<T, Fault>
    where
        F: Future<Output = Result<T, ledger::Error>>,
    {
        let mut attempt = 0;
        loop {
            let error = match self.patiently(write()).await? {
                Ok(written) => return Ok(written),
                Err(error) => error,
            };
            let pause = match &error {
                error if error.may_pass() => Backoff::REQUEST.delay(attempt),
                error if error.is_of_storage() => Duration::MAX,
                _ => return Err(error.into()),
            };
            tracing::error!(job = %self.job, %error, "the ledger cannot write: waiting");
            let _waiting = self.live.wait(WaitReason::Retry, cannot_write(&error));
            self.stop.or_now(tokio::time::sleep(pause)).await?;
            attempt += 1;
        }
    }

    /// Waits for one write; where that takes long, everybody can see why.
    async fn patiently<T>(
        &self,
        write: impl Future<Output = Result<T, ledger::Error>>,
    ) -> Result<Result<T, ledger::Error>, Fault> {
        let mut write = std::pin::pin!(write);
        if let Ok(outcome) = tokio::time::timeout(PATIENCE, &mut write).await {
            return Ok(outcome);
        }
        let detail = match self.ledger.writable().await {
            Ok(()) => "the ledger's disk is slow".to_owned(),
            Err(error) => cannot_write(&error),
        };
        let _waiting = self.live.wait(WaitReason::Retry, detail);
        self.stop.or_now(write).await
    }
}

fn cannot_write(error: &ledger::Error) -> String {
    let remedy = match error {
        // It says what to do itself.
        ledger::Error::NoSpace { .. } => "",
        error if error.is_of_storage() => {
            "; check the disk: once it takes writes, the daemon leaves to be started anew"
        }
        _ => "; check the disk under data_dir: it is tried again",
    };
    format!("the ledger cannot write: {}{remedy}", chain(error))
}
