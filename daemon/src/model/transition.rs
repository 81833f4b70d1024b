//! The legal changes of a job. Pure: the ledger applies them, and refuses what is not legal here.

use super::job::Progress;
use super::{
    Failure, ImageFact, ImageWork, Intent, Job, JobState, Lease, ObjectDigest, PartPlan,
    PinnedObject, PublishedObject, Receipt, Timestamp, TransferState, UploadId,
};

/// One change. The first group is asked for by people (the
/// last of it by the reaper), the second is reported by the job's worker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    Pause,
    Resume,
    Cancel,
    Retry,
    Reprioritize(i32),
    /// The alias of a job that succeeded has the value of before again.
    RollBackAlias,
    /// A failed job lets go of what it uploaded: nobody retried it for too long.
    Expire,

    /// A worker took the job up.
    Claim(Lease),
    /// The lease was extended. The only change that is not counted as a revision.
    Renew(Lease),
    Plan {
        source: Box<PinnedObject>,
        plan: PartPlan,
        warnings: Vec<String>,
    },
    /// The upload exists at the target.
    Upload(UploadId),
    /// The digest is known; the act that publishes comes next.
    Seal(ObjectDigest),
    /// S3 said yes.
    Publish(PublishedObject),
    /// An image job came a step further.
    Image(ImageFact),
    Warn(String),
    /// The proof holds.
    Succeed(Box<Receipt>),
    /// `restart` says that what was uploaded is of no use (and was aborted): a retry begins anew.
    Fail {
        failure: Failure,
        restart: bool,
    },
    /// What was uploaded is gone or of no use (and was aborted): the worker begins anew.
    Restart,
    /// The worker saw the intent and stopped; with a cancel, the job lets go of its upload, which is gone
    /// or else aborted by the reaper.
    Stop,
    /// The worker gives the job back unfinished: the daemon drains, or the job waits for its lane.
    Release,
}

impl Change {
    /// The word used in the audit log and in errors.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Pause => "pause",
            Self::Resume => "resume",
            Self::Cancel => "cancel",
            Self::Retry => "retry",
            Self::Reprioritize(_) => "reprioritize",
            Self::RollBackAlias => "roll back the alias of",
            Self::Expire => "expire",
            Self::Claim(_) => "claim",
            Self::Renew(_) => "renew",
            Self::Plan { .. } => "plan",
            Self::Upload(_) => "upload",
            Self::Seal(_) => "seal",
            Self::Publish(_) => "publish",
            Self::Image(fact) => fact.as_str(),
            Self::Warn(_) => "warn",
            Self::Succeed(_) => "succeed",
            Self::Fail { .. } => "fail",
            Self::Restart => "restart",
            Self::Stop => "stop",
            Self::Release => "release",
        }
    }
}

/// A change that this job cannot make now.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("cannot {change} a job that {why}")]
pub struct Illegal {
    pub change: &'static str,
    pub why: &'static str,
}

impl Job {
    /// The job after `change` at the moment `now`.
    ///
    /// # Errors
    /// Where the change is not legal in this state; the job is as it was.
    pub fn apply(&self, change: Change, now: Timestamp) -> Result<Self, Illegal> {
        let name = change.as_str();
        let counted = !matches!(change, Change::Renew(_));
        let mut next = self.clone();
        next.change(change, now).map_err(|why| Illegal { change: name, why })?;
        next.revision = next.revision.saturating_add(u64::from(counted));
        let stays_ended = self.state.is_terminal() && next.state == self.state;
        next.ended_revision = stays_ended.then(|| self.ended_revision.unwrap_or(self.revision));
        // Whoever comes into the queue begins to wait, whatever it did before.
        next.queued_at = match (self.is_claimable(), next.is_claimable()) {
            (true, true) => self.queued_at,
            (false, true) => Some(now),
            (_, false) => None,
        };
        Ok(next)
    }

    fn change(&mut self, change: Change, now: Timestamp) -> Result<(), &'static str> {
        match change {
            Change::Pause => self.pause(),
            Change::Resume => self.resume(),
            Change::Cancel => self.cancel(now),
            Change::Retry => self.retry(),
            Change::Reprioritize(priority) => {
                self.must_not_have_ended()?;
                self.priority = priority;
                Ok(())
            }
            Change::RollBackAlias => self.roll_back_alias(),
            Change::Expire => self.expire(),
            Change::Claim(lease) => self.claim(lease, now),
            worker => {
                if self.state != JobState::Running {
                    return Err("is not running");
                }
                self.work(worker, now)
            }
        }
    }

    fn pause(&mut self) -> Result<(), &'static str> {
        match (self.state, self.intent) {
            (_, Intent::Cancel) => Err("is being cancelled"),
            (JobState::Queued, _) => {
                self.state = JobState::Paused;
                Ok(())
            }
            (JobState::Running, _) => {
                self.intent = Intent::Pause;
                Ok(())
            }
            (JobState::Paused, _) => Err("is paused already"),
            _ => self.must_not_have_ended(),
        }
    }

    fn resume(&mut self) -> Result<(), &'static str> {
        match (self.state, self.intent) {
            (JobState::Paused, _) => {
                self.state = JobState::Queued;
                Ok(())
            }
            (JobState::Running, Intent::Pause) => {
                self.intent = Intent::Run;
                Ok(())
            }
            _ => Err("is not paused"),
        }
    }

    fn cancel(&mut self, now: Timestamp) -> Result<(), &'static str> {
        let holds_upload = self.transfer.upload().is_some();
        match self.state {
            JobState::Succeeded => Err("has succeeded"),
            JobState::Cancelled => Err("is cancelled already"),
            JobState::Failed if !holds_upload => Err("has failed and holds nothing at the target"),
            JobState::Running => {
                self.intent = Intent::Cancel;
                Ok(())
            }
            // What exists at the target has to be aborted first: by a worker, as everything there.
            JobState::Queued | JobState::Paused if self.may_have_begun() => {
                self.state = JobState::Queued;
                self.intent = Intent::Cancel;
                Ok(())
            }
            JobState::Queued | JobState::Paused | JobState::Failed if holds_upload => {
                self.state = JobState::Queued;
                self.intent = Intent::Cancel;
                self.finished_at = None;
                Ok(())
            }
            JobState::Queued | JobState::Paused | JobState::Failed => {
                self.end(JobState::Cancelled, now);
                Ok(())
            }
        }
    }

    /// Whether a worker may have begun an upload, or published, and been killed before it wrote that
    /// down.
    fn may_have_begun(&self) -> bool {
        match self.transfer {
            TransferState::Unplanned | TransferState::Planned { .. } => self.attempts > 0,
            TransferState::Sealing { .. } | TransferState::Sealed { .. } => true,
            TransferState::Uploading { .. } => false,
        }
    }

    fn retry(&mut self) -> Result<(), &'static str> {
        match self.state {
            JobState::Failed => {}
            JobState::Cancelled => self.restart(),
            JobState::Succeeded => return Err("has succeeded"),
            JobState::Queued | JobState::Running | JobState::Paused => return Err("has not ended"),
        }
        self.state = JobState::Queued;
        self.intent = Intent::Run;
        self.failure = None;
        self.finished_at = None;
        Ok(())
    }

    fn expire(&mut self) -> Result<(), &'static str> {
        if self.state != JobState::Failed || self.transfer.upload().is_none() {
            return Err("has not failed with an upload at the target");
        }
        self.restart();
        self.warn("what was uploaded has expired and is aborted: a retry begins anew".into());
        Ok(())
    }

    fn claim(&mut self, lease: Lease, now: Timestamp) -> Result<(), &'static str> {
        if !self.is_claimable() {
            return Err("is not queued");
        }
        self.state = JobState::Running;
        self.attempts = self.attempts.saturating_add(1);
        self.started_at.get_or_insert(now);
        self.lease = Some(lease);
        Ok(())
    }

    /// What a worker reports of a running job.
    fn work(&mut self, change: Change, now: Timestamp) -> Result<(), &'static str> {
        match change {
            Change::Renew(lease) => self.lease = Some(lease),
            Change::Image(fact) => {
                let image = self.image.as_mut().ok_or("is about no image")?;
                return image.progress.take(fact, now);
            }
            Change::Warn(warning) => self.warn(warning),
            Change::Succeed(receipt) => {
                self.failure = None;
                self.receipt = Some(*receipt);
                self.end(JobState::Succeeded, now);
            }
            // A cancel that was acknowledged is not forgotten over a failure: a retry of all that failed would
            // publish against a person's word.
            Change::Fail { failure, .. } if self.intent == Intent::Cancel => {
                self.warn(failure.to_string());
                return self.stop(now);
            }
            Change::Fail { failure, restart } => {
                if restart {
                    self.restart();
                }
                self.failure = Some(failure);
                self.end(JobState::Failed, now);
            }
            Change::Restart => self.restart(),
            Change::Stop => return self.stop(now),
            Change::Release => {
                // A pause that its worker did not come to is done by giving the job back.
                let paused = self.intent == Intent::Pause;
                self.state = if paused { JobState::Paused } else { JobState::Queued };
                self.intent = if paused { Intent::Run } else { self.intent };
                self.lease = None;
            }
            transfer => return self.advance(transfer),
        }
        Ok(())
    }

    fn stop(&mut self, now: Timestamp) -> Result<(), &'static str> {
        match self.intent {
            Intent::Run => return Err("was not asked to stop"),
            Intent::Pause => {
                self.state = JobState::Paused;
                self.intent = Intent::Run;
                self.lease = None;
            }
            Intent::Cancel => {
                self.restart();
                self.end(JobState::Cancelled, now);
            }
        }
        Ok(())
    }

    /// Moves the transfer on; it never goes back but by [`Job::restart`].
    fn advance(&mut self, change: Change) -> Result<(), &'static str> {
        let transfer = std::mem::take(&mut self.transfer);
        self.transfer = match (transfer, change) {
            // A plan is made again while nothing exists at the target: the source is pinned anew.
            (
                TransferState::Unplanned | TransferState::Planned { .. },
                Change::Plan { source, plan, warnings },
            ) => {
                warnings.into_iter().for_each(|warning| self.warn(warning));
                TransferState::Planned { source: *source, plan }
            }
            (TransferState::Planned { source, plan }, Change::Upload(upload)) => {
                TransferState::Uploading { source, plan, upload }
            }
            (TransferState::Planned { source, plan }, Change::Seal(digest)) => {
                TransferState::Sealing { source, plan, upload: None, digest }
            }
            (TransferState::Uploading { source, plan, upload }, Change::Seal(digest)) => {
                TransferState::Sealing { source, plan, upload: Some(upload), digest }
            }
            (TransferState::Sealing { source, plan, digest, .. }, Change::Publish(target)) => {
                TransferState::Sealed { source, plan, digest, target }
            }
            _ => return Err("has not come to that step, or is past it"),
        };
        Ok(())
    }

    fn roll_back_alias(&mut self) -> Result<(), &'static str> {
        let progress = self.image.as_mut().map(|image| &mut image.progress);
        match progress.filter(|progress| progress.aliased.is_some()) {
            None => Err("has written no alias"),
            Some(_) if self.state != JobState::Succeeded => Err("has not succeeded"),
            Some(progress) if progress.alias_rolled_back => {
                Err("has its alias rolled back already")
            }
            Some(progress) => {
                progress.alias_rolled_back = true;
                Ok(())
            }
        }
    }

    /// The transfer begins anew; one that an image job is done with is not made again.
    fn restart(&mut self) {
        let is_carried = |image: &ImageWork| image.progress.carried.is_some();
        if self.image.as_deref().is_some_and(is_carried) {
            return;
        }
        self.transfer = TransferState::Unplanned;
        self.progress = Progress { bytes_sent: self.progress.bytes_sent, ..Progress::default() };
    }

    fn end(&mut self, state: JobState, now: Timestamp) {
        self.state = state;
        self.intent = Intent::Run;
        self.lease = None;
        self.finished_at = Some(now);
    }

    fn warn(&mut self, warning: String) {
        /// A limit, so that a job that stumbles for days does not grow without bound.
        const WARNINGS_MAX: usize = 32;
        if self.warnings.len() < WARNINGS_MAX && !self.warnings.contains(&warning) {
            self.warnings.push(warning);
        }
    }

    fn must_not_have_ended(&self) -> Result<(), &'static str> {
        match self.state {
            JobState::Queued | JobState::Running | JobState::Paused => Ok(()),
            JobState::Succeeded => Err("has succeeded"),
            JobState::Failed => Err("has failed"),
            JobState::Cancelled => Err("is cancelled"),
        }
    }
}

#[cfg(test)]
mod tests;
