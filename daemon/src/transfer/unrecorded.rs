//! Uploads that were begun and whose id was never written: the daemon was killed, or the answer was
//! lost, between CreateMultipartUpload's yes and the ledger's fact.
//!
//! S3 lets nothing of ours stand on an upload's entry in a list, so the evidence is put together: an
//! upload of exactly this key, that no job of this ledger began, that holds no part but a probe's (parts
//! are sent only once the id is on disk), and that is no older than the job. Whoever else begins an upload of
//! the very key that a job is about to write races with it anyway.

use super::{Fault, Transfer};
use crate::blob::ListedPart;
use crate::model::{Job, Side, Timestamp, TransferState};

/// Clocks here and at S3 differ by less: past it S3 refuses every request.
/// <https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html> (RequestTimeTooSkewed)
const SKEW_MILLIS: u64 = 15 * 60 * 1000;

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
        let earliest = Timestamp(since.0.saturating_sub(SKEW_MILLIS));
        for found in uploads {
            let recorded = self.record.ledger.has_begun(self.target.address(), &found.upload)?;
            if recorded || found.initiated.is_none_or(|at| at < earliest) {
                continue;
            }
            let list = || async {
                match self.target.list_parts(&found.upload).await {
                    // What cannot be seen to be ours is left alone.
                    Err(error) if error.is_unreadable() => Ok(None),
                    listed => listed,
                }
            };
            let parts = self.retrying(Side::Target, list).await?;
            if parts.is_some_and(|parts| parts.iter().all(ListedPart::is_of_probe)) {
                self.retrying(Side::Target, || self.target.abort(&found.upload)).await?;
                tracing::info!(upload = %found.upload.0, "aborted an upload that was not recorded");
            }
        }
        Ok(())
    }
}
