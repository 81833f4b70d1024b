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

use std::time::Duration;

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

impl Transfer {
    /// Aborts what an earlier worker may have begun for this job without a word in the ledger.
    pub(super) async fn abort_what_was_begun(&self, job: &Job) -> Result<(), Fault> {
        let records_none =
            matches!(job.transfer, TransferState::Unplanned | TransferState::Planned { .. });
        if job.attempts > 1 && records_none {
            self.abort_unrecorded(job.submitted_at).await?;
        }
        Ok(())
    }

    /// An upload was asked for `tries` times, and answered at last. Where an answer was lost, an upload
    /// may be lost with it: it is looked for now, and once more later.
    pub(super) async fn settle_asked(&self, tries: u32, since: Timestamp) -> Result<(), Fault> {
        if tries == 1 {
            self.record.forget_asked();
            return Ok(());
        }
        self.record.ask_upload().await?;
        self.abort_unrecorded(since).await
    }

    /// Aborts what this job may have begun since `since` and has no record of.
    pub(super) async fn abort_unrecorded(&self, since: Timestamp) -> Result<(), Fault> {
        let uploads = match self.retrying(Side::Target, || self.target.list_uploads()).await {
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
            if may_be_ours(ledger, &self.target, job, since, &found)? {
                let abort = || abort_if_unused(&self.target, &found);
                self.retrying(Side::Target, abort).await?;
            }
        }
        Ok(())
    }
}

/// Looks once more for what a job asked for, and aborts it where no job has it.
///
/// # Errors
/// The ledger's. What the target refuses is the inner one.
pub async fn abort_late(
    ledger: &Ledger,
    target: &S3Target,
    asked: &AskedUpload,
) -> Result<Result<(), blob::Error>, ledger::Error> {
    let uploads = match target.list_uploads().await {
        Ok(uploads) => uploads,
        Err(error) => return Ok(Err(error)),
    };
    for found in uploads {
        if may_be_ours(ledger, target, asked.job, asked.at, &found)?
            && let Err(error) = abort_if_unused(target, &found).await
        {
            return Ok(Err(error));
        }
    }
    Ok(Ok(()))
}

fn may_be_ours(
    ledger: &Ledger,
    target: &S3Target,
    job: JobId,
    since: Timestamp,
    found: &ListedUpload,
) -> Result<bool, ledger::Error> {
    let skew = u64::try_from(SKEW.as_millis()).unwrap_or(u64::MAX);
    let earliest = Timestamp(since.0.saturating_sub(skew));
    let is_in_time = found.initiated.is_some_and(|at| at >= earliest);
    Ok(is_in_time && !ledger.may_not_abort(job, target.address(), &found.upload)?)
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
