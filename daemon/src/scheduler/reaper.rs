//! Aborts uploads that no job holds any more: those that could not be aborted when their job let go of
//! them, those of jobs that failed and that nobody retried within the retention, and those that came to
//! be after their job had stopped listening.
//!
//! # Invariants
//! - Only uploads in the ledger are touched, and only while their job does not hold them; or what
//!   [`unrecorded`] proves to be ours.
//! - An upload leaves the ledger after the target was seen not to know it any more.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::base::clock;
use crate::blob::{self, S3Target};
use crate::ledger::{self, Actor, BegunUpload, Filter, Ledger};
use crate::model::{Change, FailureClass, Job, JobState, ObjectAddress};
use crate::pipeline::Remotes;
use crate::transfer::unrecorded;

const LOOK_EVERY: Duration = Duration::from_secs(600);
/// Uploads in one look. The next look goes on.
const ORPHANS_MAX: usize = 256;
/// Uploads at remotes that are gone, named in one look.
const UNREACHABLE_TOLD: usize = 8;
const PAGE: usize = 256;

/// Cleans up after jobs.
#[derive(Debug)]
pub struct Reaper {
    pub ledger: Ledger,
    pub remotes: Arc<Remotes>,
    /// How long a failed job keeps what it uploaded, for a retry.
    pub retention: Duration,
    /// After how long no request can land any more: [`unrecorded::LANDED_AFTER`].
    pub landed_after: Duration,
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
        self.tell_the_unreachable()?;
        self.look_for_the_late().await?;
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

    fn target(&self, address: &ObjectAddress) -> Option<S3Target> {
        let remote = self.remotes.get(&address.remote)?;
        Some(S3Target::new(Arc::clone(remote), address.clone()))
    }

    fn tell_the_unreachable(&self) -> Result<(), ledger::Error> {
        let is_lost = |orphan: &BegunUpload| !self.remotes.contains_key(&orphan.target.remote);
        for orphan in self.ledger.orphans(UNREACHABLE_TOLD, is_lost)? {
            tracing::warn!(object = %orphan.target, upload = %orphan.upload.0, "an upload is left \
                over at a remote that is not configured any more: abort it by hand, or configure the \
                remote again");
        }
        Ok(())
    }

    /// Looks for uploads that were asked for and whose answer nobody heard, once no request for one
    /// can land any more.
    async fn look_for_the_late(&self) -> Result<(), ledger::Error> {
        for asked in self.ledger.asked_uploads()? {
            let age = Duration::from_millis(clock::now().millis_since(asked.at));
            let job = self.ledger.get(asked.job)?;
            let still_asks = job.state == JobState::Running && job.transfer.upload().is_none();
            if age < self.landed_after || still_asks {
                continue;
            }
            let Some(target) = self.target(&asked.target) else { continue };
            match unrecorded::abort_late(&self.ledger, &target, &asked).await? {
                Ok(()) => self.ledger.forget_asked(asked.job)?,
                // It takes a right of its own, s3:ListBucketMultipartUploads, that many do not have.
                Err(error) if error.class() == FailureClass::Permanent => {
                    tracing::info!(%error, "cannot look for uploads that were not recorded");
                    self.ledger.forget_asked(asked.job)?;
                }
                Err(error) => {
                    tracing::warn!(%error, object = %asked.target, "cannot look for an upload that \
                        was asked for; it is tried again later");
                }
            }
        }
        Ok(())
    }

    /// Aborts what no job holds.
    async fn reap(&self) -> Result<(), ledger::Error> {
        let is_reachable = |orphan: &BegunUpload| self.remotes.contains_key(&orphan.target.remote);
        for orphan in self.ledger.orphans(ORPHANS_MAX, is_reachable)? {
            let Some(target) = self.target(&orphan.target) else { continue };
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
