//! What may be true of the jobs of one seed: the small model that the real thing is held against.
//!
//! Each job has a [`Case`]: what was asked for, what stands at both ends, and what was done to it. A
//! job may fail only of what was done to itself, or of what it was asked.

mod kept;

pub use kept::check_kept;

use anyhow::{Context as _, Result, bail, ensure};
use causewayd::model::{Change, Failure, FailureClass, IfExists, Job, JobState, Side, Verify};
use sandbox::{Endpoint, StoredObject, Synthetic};

/// What was done to one job's objects and requests.
#[derive(Debug, Default)]
pub struct Met {
    /// Requests that were failed in a way that passes.
    pub passing: u32,
    /// Bodies with a wrong bit.
    pub flips: u32,
    /// Uploads that somebody aborted.
    pub vanished: u32,
    /// The source was written over, or deleted.
    pub source_changed: bool,
}

/// What stood at the target before anything was asked.
#[derive(Debug)]
pub struct Prior {
    pub etag: String,
    pub object: Synthetic,
}

/// One object to carry, and its job once that is acknowledged.
#[derive(Debug)]
pub struct Case {
    pub key: String,
    pub if_exists: IfExists,
    pub verify: Verify,
    pub priority: i32,
    /// What the source has been, one after the other.
    pub versions: Vec<Synthetic>,
    /// The source is deleted.
    pub source_gone: bool,
    pub prior: Option<Prior>,
    pub met: Met,
    /// The job as it was last acknowledged.
    pub told: Option<Job>,
    /// What was asked since, and never answered: it may have been taken.
    pub unanswered: Vec<Change>,
    /// Whether a cancel was ever acknowledged, or may have been taken.
    pub cancelled: bool,
}

impl Case {
    /// Whether `if_exists` may refuse the job: an object stood at the target before, or its own was
    /// published just before a cancel was heard, and a retry finds that.
    pub fn target_may_refuse(&self) -> bool {
        self.prior_may_refuse() || (self.cancelled && self.if_exists != IfExists::Replace)
    }

    fn prior_may_refuse(&self) -> bool {
        let Some(prior) = &self.prior else { return false };
        match self.if_exists {
            IfExists::Replace => false,
            IfExists::Fail => true,
            IfExists::Skip => {
                let other = |version: &Synthetic| !is_same(version, &prior.object);
                self.verify == Verify::Readback || self.versions.iter().any(other)
            }
        }
    }

    /// Whether nothing but a failure or a cancel may be this job's end.
    fn prior_must_refuse(&self) -> bool {
        let Some(prior) = &self.prior else { return false };
        let same = self.versions.iter().any(|version| is_same(version, &prior.object));
        match self.if_exists {
            IfExists::Replace => false,
            IfExists::Fail => true,
            IfExists::Skip => self.verify == Verify::Readback || !same,
        }
    }

    /// Whether a job that failed has to succeed once it is retried with nothing in its way.
    pub fn is_worth_a_retry(&self) -> bool {
        !self.source_gone && !self.target_may_refuse()
    }

    /// A failure has to be explained by what was done to this very job.
    pub fn explain(&self, failure: &Failure) -> Result<()> {
        let explained = match (failure.class, failure.side) {
            (FailureClass::Corrupt, _) => self.met.flips > 0,
            (FailureClass::Permanent, Some(Side::Source)) => self.met.source_changed,
            (FailureClass::Permanent, Some(Side::Target)) => {
                self.target_may_refuse() && failure.reason.contains("the target exists")
            }
            // Faults that pass are fewer than the tries, and credentials are waited for.
            _ => false,
        };
        ensure!(explained, "nothing that happened to it explains: {failure}\n{self:#?}");
        Ok(())
    }

    /// Holds the job's end against what may be.
    async fn check(&self, job: &Job, gov: &Endpoint) -> Result<()> {
        let object = gov.object("landing", &self.key);
        match job.state {
            JobState::Succeeded => self.check_success(job, object.as_deref()).await?,
            JobState::Cancelled => ensure!(self.cancelled, "nobody cancelled it"),
            JobState::Failed => {
                self.explain(job.failure.as_ref().context("it failed of nothing")?)?;
                ensure!(!self.is_worth_a_retry(), "a retry does not mend it");
            }
            JobState::Queued | JobState::Running | JobState::Paused => bail!("it did not end"),
        }
        self.check_landed(object.as_deref()).await?;
        ensure!(job.transfer.upload().is_none(), "it ended and still holds an upload");
        Ok(())
    }

    async fn check_success(&self, job: &Job, object: Option<&StoredObject>) -> Result<()> {
        ensure!(!self.prior_must_refuse(), "it succeeded over what stood at the target");
        let receipt = job.receipt.as_ref().context("it succeeded without a receipt")?;
        let object = object.context("it succeeded, and nothing is at the target")?;
        let target = receipt.target.as_ref().context("a receipt without a target")?;
        ensure!(target.etag == object.etag, "the receipt is of another object");
        if receipt.blake3.is_empty() {
            ensure!(self.if_exists == IfExists::Skip, "it moved nothing, and was not to skip");
            return Ok(());
        }
        let hash = blake3::hash(&object.bytes().await?).to_hex();
        ensure!(receipt.blake3 == hash.as_str(), "the receipt's BLAKE3 is another");
        Ok(())
    }

    /// Whatever became of the job: a whole version of the source stands at the target, or what stood
    /// there before, and that is replaced only where this was asked for.
    async fn check_landed(&self, object: Option<&StoredObject>) -> Result<()> {
        let Some(object) = object else {
            ensure!(self.prior.is_none(), "what stood at the target is gone");
            return Ok(());
        };
        if self.prior.as_ref().is_some_and(|prior| prior.etag == object.etag) {
            return Ok(());
        }
        let may_write = self.prior.is_none() || self.if_exists == IfExists::Replace;
        ensure!(may_write, "what stood at the target was replaced");
        let bytes = object.bytes().await?;
        let whole = |version: &Synthetic| {
            bytes.len() as u64 == version.size() && version.matches(0, &bytes)
        };
        ensure!(self.versions.iter().any(whole), "what is at the target is no version of it");
        Ok(())
    }
}

fn is_same(one: &Synthetic, other: &Synthetic) -> bool {
    one.size() == other.size() && one.crc64nvme() == other.crc64nvme()
}

/// Holds all there is at the end against what may be.
pub async fn check(cases: &[Case], jobs: &[Job], gov: &Endpoint) -> Result<()> {
    ensure!(jobs.len() == cases.len(), "{} jobs of {}: {jobs:#?}", jobs.len(), cases.len());
    for case in cases {
        let told = case.told.as_ref().context("it was acknowledged")?;
        let job =
            jobs.iter().find(|job| job.id == told.id).context("an acknowledged job is lost")?;
        case.check(job, gov).await.with_context(|| format!("{job:#?}\n{case:#?}"))?;
    }
    for key in gov.keys("landing") {
        let ours = cases.iter().any(|case| case.key == key);
        ensure!(ours, "{key} was written, and nobody asked for it");
    }
    let uploads = gov.uploads();
    ensure!(uploads.is_empty(), "uploads are left over: {uploads:#?}");
    Ok(())
}
