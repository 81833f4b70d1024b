//! Uploads that were begun and whose id was never written: the daemon was killed, or the answer was
//! lost, between CreateMultipartUpload's yes and the ledger's fact.
//!
//! S3 lets nothing of ours stand on an upload's entry in a list, so the evidence is put together: an
//! upload of exactly this key, that no job of this ledger began or is just beginning, that holds no part
//! but a probe's (parts are sent only once the id is on disk), and that is no older than the job. Whoever
//! else begins an upload of the very key that a job is about to write races with it anyway.
//!
//! A request may land long after its sender is gone. So that an upload is asked for is written down
//! before, and looked for once more when nothing can land any more ([`LANDED_AFTER`]).

use std::future::Future;
use std::time::Duration;

use super::retry::Budget;
use super::{Fault, Transfer};
use crate::blob::{self, ListedPart, ListedUpload, S3Target};
use crate::ledger::{self, AskedUpload, Ledger};
use crate::model::{Job, JobId, Side, Timestamp, TransferState};

/// Clocks here and at S3 differ by less: past it S3 refuses every request.
/// <https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html> (RequestTimeTooSkewed)
const SKEW: Duration = Duration::from_secs(15 * 60);
/// S3 refuses a request that is older than 15 minutes by a clock that may be 15 minutes ahead of its own;
/// and all tries of one request take less than another half an hour.
pub const LANDED_AFTER: Duration = Duration::from_secs(3600);

/// How an upload was asked for.
#[derive(Debug)]
pub(super) struct Asked {
    /// What may be forgotten once the answer is written down.
    first: Option<AskedUpload>,
    tries: u32,
}

impl Transfer {
    /// Aborts what an earlier worker may have begun for this job without a word in the ledger.
    pub(super) async fn abort_what_was_begun(&self, job: &Job) -> Result<(), Fault> {
        let records_none =
            matches!(job.transfer, TransferState::Unplanned | TransferState::Planned { .. });
        if job.attempts > 1 && records_none {
            self.abort_unrecorded(job.submitted_at, Budget::default()).await?;
        }
        Ok(())
    }

    /// Asks the target for an upload until it is answered. Every try is written down before.
    pub(super) async fn ask_for_upload<T, F>(
        &self,
        ask: impl Fn() -> F,
    ) -> Result<(T, Asked), Fault>
    where
        F: Future<Output = Result<T, blob::Error>>,
    {
        let first = self.record.ask_upload().await?;
        let mut tries = 0;
        let answer = self.retrying(Side::Target, || {
            tries += 1;
            let (is_first, asked) = (tries == 1, ask());
            async move {
                // A lease that was lost shows with the next fact.
                if !is_first && let Err(error) = self.record.ask_upload().await {
                    tracing::debug!(%error, "a try is not written down");
                }
                asked.await
            }
        });
        let answer = answer.await?;
        Ok((answer, Asked { first, tries }))
    }

    /// The answer is written down. Where one was lost, an upload may be lost with it: it is looked for
    /// now, and once more later.
    pub(super) async fn settle_asked(&self, asked: Asked, since: Timestamp) -> Result<(), Fault> {
        if asked.tries > 1 {
            return self.abort_unrecorded(since, Budget::default()).await;
        }
        asked.first.iter().for_each(|first| self.record.forget_asked(first));
        Ok(())
    }

    /// Aborts what this job may have begun since `since` and has no record of. Each request has `budget`.
    pub(super) async fn abort_unrecorded(
        &self,
        since: Timestamp,
        budget: Budget,
    ) -> Result<(), Fault> {
        let list = || self.target.list_uploads();
        let uploads = match self.retrying_within(budget, Side::Target, list).await {
            Ok(uploads) => uploads,
            // It takes a right of its own, s3:ListBucketMultipartUploads, that many do not have.
            Err(Fault::Failed { failure, .. }) => {
                tracing::info!(%failure, "cannot look for uploads that were not recorded");
                return Ok(());
            }
            Err(fault) => return Err(fault),
        };
        let (ledger, job) = (&self.record.ledger, self.record.job);
        for found in uploads {
            let is_ours = may_be_ours(ledger, &self.target, job, (since, None), &found)?;
            if is_ours == Some(true) {
                let abort = || abort_if_unused(&self.target, &found);
                self.retrying_within(budget, Side::Target, abort).await?;
            }
        }
        Ok(())
    }
}

/// Looks once more for what a job asked for, and aborts it where no job has it. `false` where another job
/// asks for the same key, so that it cannot be told whose an upload is.
///
/// # Errors
/// The ledger's. What the target refuses is the inner one.
pub async fn abort_late(
    ledger: &Ledger,
    target: &S3Target,
    asked: &AskedUpload,
) -> Result<Result<bool, blob::Error>, ledger::Error> {
    let uploads = match target.list_uploads().await {
        Ok(uploads) => uploads,
        Err(error) => return Ok(Err(error)),
    };
    let until = Timestamp(asked.at.0.saturating_add(millis(LANDED_AFTER)));
    let mut is_decided = true;
    for found in uploads {
        match may_be_ours(ledger, target, asked.job, (asked.at, Some(until)), &found)? {
            Some(true) => {
                if let Err(error) = abort_if_unused(target, &found).await {
                    return Ok(Err(error));
                }
            }
            Some(false) => {}
            None => is_decided = false,
        }
    }
    Ok(Ok(is_decided))
}

/// Whether the upload may be one that this job asked for since, and until, these moments; `None` where it
/// may also be another job's.
fn may_be_ours(
    ledger: &Ledger,
    target: &S3Target,
    job: JobId,
    (since, until): (Timestamp, Option<Timestamp>),
    found: &ListedUpload,
) -> Result<Option<bool>, ledger::Error> {
    let earliest = Timestamp(since.0.saturating_sub(millis(SKEW)));
    let is_in_time = |at| at >= earliest && until.is_none_or(|until| at <= until);
    if !found.initiated.is_some_and(is_in_time) {
        return Ok(Some(false));
    }
    // The order matters: a job that is beginning one has asked before, and records it before it forgets.
    let others_ask = ledger.others_ask(job, target.address())?;
    if ledger.has_begun(target.address(), &found.upload)? {
        return Ok(Some(false));
    }
    Ok((!others_ask).then_some(true))
}

fn millis(length: Duration) -> u64 {
    u64::try_from(length.as_millis()).unwrap_or(u64::MAX)
}

async fn abort_if_unused(target: &S3Target, found: &ListedUpload) -> Result<(), blob::Error> {
    let parts = match target.list_parts(&found.upload).await {
        // What cannot be seen to be ours is left alone.
        Err(error) if error.is_unreadable() => None,
        listed => listed?,
    };
    if parts.is_some_and(|parts| parts.iter().all(ListedPart::is_of_probe)) {
        target.abort(&found.upload).await?;
        tracing::info!(upload = %found.upload.0, "aborted an upload that was not recorded");
    }
    Ok(())
}
