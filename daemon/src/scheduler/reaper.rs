//! Aborts uploads that no job holds any more: those that could not be aborted when their job let go of
//! them or was cancelled, those of jobs that failed and that nobody retried within the retention, and those that came to
//! be after their job had stopped listening.
//!
//! # Invariants
//! - Only uploads in the ledger are touched, and only while their job does not hold them; or what
//!   [`unrecorded`] proves to be ours.
//! - An upload leaves the ledger after the target was seen not to know it any more.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::base::clock;
use crate::blob::{self, S3Target};
use crate::ledger::{self, Actor, AskedUpload, BegunUpload, Filter, Ledger};
use crate::model::{Change, FailureClass, Job, JobState, ObjectAddress, RemoteName, UploadId};
use crate::pipeline::Remotes;
use crate::transfer::unrecorded;

const LOOK_EVERY: Duration = Duration::from_secs(600);
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
        let mut look = Look::default();
        self.reap(&mut look).await?;
        self.look_for_the_late(&mut look).await
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

    /// The target, unless it cannot be asked in this look.
    fn target(&self, address: &ObjectAddress, look: &Look) -> Option<S3Target> {
        let remote = self.remotes.get(&address.remote)?;
        let is_there = !look.down.contains(&address.remote);
        is_there.then(|| S3Target::new(Arc::clone(remote), address.clone()))
    }

    /// Aborts what no job holds.
    async fn reap(&self, look: &mut Look) -> Result<(), ledger::Error> {
        let mut last = None;
        loop {
            let orphans = self.ledger.orphans(PAGE, last.as_ref())?;
            for orphan in &orphans {
                self.reap_one(orphan, look).await?;
            }
            match orphans.into_iter().nth(PAGE - 1) {
                Some(orphan) => last = Some(orphan),
                None => return Ok(()),
            }
        }
    }

    async fn reap_one(&self, orphan: &BegunUpload, look: &mut Look) -> Result<(), ledger::Error> {
        if !self.remotes.contains_key(&orphan.target.remote) {
            look.unreachable += 1;
            if look.unreachable <= UNREACHABLE_TOLD {
                tracing::warn!(object = %orphan.target, upload = %orphan.upload.0, "an upload is \
                    left over at a remote that is not configured any more: abort it by hand, or \
                    configure the remote again");
            }
            return Ok(());
        }
        let Some(target) = self.target(&orphan.target, look) else { return Ok(()) };
        match is_gone(&target, &orphan.upload).await {
            Ok(true) => {
                self.ledger.forget_upload(orphan, &Actor::daemon()).await?;
                tracing::info!(job = %orphan.job, object = %orphan.target, "aborted an upload \
                    that no job holds");
            }
            Ok(false) => {}
            Err(error) => look.failed(&orphan.target, &error),
        }
        Ok(())
    }

    /// Looks for uploads that were asked for and whose answer nobody heard, once no request for one
    /// can land any more.
    async fn look_for_the_late(&self, look: &mut Look) -> Result<(), ledger::Error> {
        for asked in self.ledger.asked_uploads()? {
            let age = Duration::from_millis(clock::now().millis_since(asked.at));
            if age < self.landed_after || self.still_asks(&asked) {
                continue;
            }
            let Some(target) = self.target(&asked.target, look) else { continue };
            match unrecorded::abort_late(&self.ledger, &target, &asked).await? {
                Ok(true) => self.ledger.forget_asked(&asked)?,
                Ok(false) => {}
                Err(error) if will_never_tell(&error) => {
                    tracing::info!(%error, "cannot look for uploads that were not recorded");
                    self.ledger.forget_asked(&asked)?;
                }
                Err(error) => look.failed(&asked.target, &error),
            }
        }
        Ok(())
    }

    /// Whether the job's worker may send another request for an upload.
    fn still_asks(&self, asked: &AskedUpload) -> bool {
        let job = self.ledger.get(asked.job);
        job.is_ok_and(|job| job.state == JobState::Running && job.transfer.upload().is_none())
    }
}

/// What one look has met.
#[derive(Debug, Default)]
struct Look {
    /// Not asked again: each answer that does not come takes a minute.
    down: BTreeSet<RemoteName>,
    /// Uploads at remotes that are not configured.
    unreachable: usize,
}

impl Look {
    fn failed(&mut self, target: &ObjectAddress, error: &blob::Error) {
        tracing::warn!(%error, object = %target, "cannot clean up at the target; it is tried again \
            later");
        if error.class() != FailureClass::Permanent {
            self.down.insert(target.remote.clone());
        }
    }
}

/// The target does not know it, or the right to ask is not given.
fn will_never_tell(error: &blob::Error) -> bool {
    use blob::Error;
    matches!(error, Error::AccessDenied(_) | Error::Unsupported(_) | Error::NoSuchBucket(_))
}

/// Aborts the upload. Parts that were on their way may survive an abort: only a target that does not
/// know the upload has let go of it.
/// <https://docs.aws.amazon.com/AmazonS3/latest/API/API_AbortMultipartUpload.html>
async fn is_gone(target: &S3Target, upload: &UploadId) -> Result<bool, blob::Error> {
    match target.abort(upload).await {
        Err(blob::Error::NoSuchBucket(_)) => return Ok(true),
        aborted => aborted?,
    }
    match target.list_parts(upload).await {
        Ok(listed) => Ok(listed.is_none()),
        // moto's list cannot be read, and not everybody may list: the word on the abort has to do.
        Err(error) if error.is_unreadable() || will_never_tell(&error) => Ok(true),
        Err(error) => Err(error),
    }
}
