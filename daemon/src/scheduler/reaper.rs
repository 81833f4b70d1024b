//! Aborts uploads that no job holds any more: those that could not be aborted when their job let go of
//! them, and those of jobs that failed and that nobody retried within the retention.
//!
//! # Invariants
//! - Only uploads in the ledger are touched, and only while their job does not hold them.
//! - An upload leaves the ledger after the target was seen not to know it any more.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::base::clock;
use crate::blob::{self, S3Target};
use crate::ledger::{self, Actor, BegunUpload, Filter, Ledger};
use crate::model::{Change, Job, JobState};
use crate::pipeline::Remotes;

const LOOK_EVERY: Duration = Duration::from_secs(600);
/// Uploads in one look. The next look goes on.
const ORPHANS_MAX: usize = 256;
const PAGE: usize = 256;

/// Cleans up after jobs.
#[derive(Debug)]
pub struct Reaper {
    pub ledger: Ledger,
    pub remotes: Arc<Remotes>,
    /// How long a failed job keeps what it uploaded, for a retry.
    pub retention: Duration,
}

impl Reaper {
    /// Looks at once, and then every ten minutes, until `shutdown`.
    pub async fn run(self, shutdown: CancellationToken) {
        let mut looks = tokio::time::interval(LOOK_EVERY);
        loop {
            tokio::select! {
                _ = looks.tick() => {}
                () = shutdown.cancelled() => return,
            }
            tokio::select! {
                looked = self.look() => if let Err(error) = looked {
                    tracing::error!(%error, "cannot clean up; it is tried again later");
                },
                // An abort that is cut off here is made again after the next start.
                () = shutdown.cancelled() => return,
            }
        }
    }

    /// Cleans up once.
    ///
    /// # Errors
    /// The ledger's. What a target refuses is reported and left for the next look.
    pub async fn look(&self) -> Result<(), ledger::Error> {
        self.expire().await?;
        self.reap().await
    }

    /// Takes the uploads of jobs that failed too long ago from them.
    async fn expire(&self) -> Result<(), ledger::Error> {
        let failed = Filter { states: vec![JobState::Failed], ..Filter::default() };
        let mut after = None;
        loop {
            let page = self.ledger.list(&failed, PAGE, after)?;
            for job in page.jobs.iter().filter(|job| self.has_expired(job)) {
                match self.ledger.control(job.id, Change::Expire, &Actor::daemon()).await {
                    Ok(_) => tracing::info!(job = %job.id, "what the failed job uploaded expired"),
                    // Somebody retried it this moment.
                    Err(ledger::Error::Illegal { .. }) => {}
                    Err(error) => return Err(error),
                }
            }
            match page.next {
                Some(next) => after = Some(next),
                None => return Ok(()),
            }
        }
    }

    fn has_expired(&self, job: &Job) -> bool {
        let age = job.finished_at.map(|at| Duration::from_millis(clock::now().millis_since(at)));
        job.transfer.upload().is_some() && age.is_some_and(|age| age >= self.retention)
    }

    /// Aborts what no job holds.
    async fn reap(&self) -> Result<(), ledger::Error> {
        for orphan in self.ledger.orphans(ORPHANS_MAX)? {
            let Some(remote) = self.remotes.get(&orphan.target.remote) else {
                tracing::warn!(object = %orphan.target, "an upload is left over at a remote that is \
                    not configured any more: abort it by hand, or configure the remote again");
                continue;
            };
            let target = S3Target::new(Arc::clone(remote), orphan.target.clone());
            match is_gone(&target, &orphan).await {
                Ok(true) => {
                    self.ledger.forget_upload(&orphan, &Actor::daemon()).await?;
                    tracing::info!(job = %orphan.job, object = %orphan.target, "aborted an upload \
                        that no job holds");
                }
                Ok(false) => {}
                Err(error) => {
                    tracing::warn!(%error, object = %orphan.target, "an upload cannot be aborted; \
                        it is tried again later");
                }
            }
        }
        Ok(())
    }
}

/// Aborts the upload. Parts that were on their way may survive an abort: only a target that does not
/// know the upload has let go of it.
/// <https://docs.aws.amazon.com/AmazonS3/latest/API/API_AbortMultipartUpload.html>
async fn is_gone(target: &S3Target, orphan: &BegunUpload) -> Result<bool, blob::Error> {
    target.abort(&orphan.upload).await?;
    match target.list_parts(&orphan.upload).await {
        Ok(listed) => Ok(listed.is_none()),
        // moto's list cannot be read: its word on the abort has to do.
        Err(error) if error.is_unreadable() => Ok(true),
        Err(error) => Err(error),
    }
}
