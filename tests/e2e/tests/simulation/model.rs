//! What may be true of the jobs of one seed: the small model that the real thing is held against.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, bail, ensure};
use causewayd::ledger::{Filter, Ledger};
use causewayd::model::{Job, JobId, JobState};
use sandbox::{Endpoint, Synthetic};

/// A job as the one who submitted it knows it.
#[derive(Debug)]
pub struct Known {
    pub key: String,
    pub object: Synthetic,
    /// Whether a cancel was ever acknowledged, or may have been taken in a crash.
    pub cancelled: bool,
}

/// The jobs that were acknowledged, and what may have happened to them.
#[derive(Debug, Default)]
pub struct Model {
    pub jobs: BTreeMap<JobId, Known>,
    /// Whether a fault was injected that may end a job.
    pub may_fail: bool,
}

impl Model {
    /// Holds what is there at the end against what may be.
    pub async fn check(&self, ledger: &Ledger, gov: &Endpoint) -> Result<Vec<Job>> {
        let page = ledger.list(&Filter::default(), 1000, None)?;
        let listed: Vec<JobId> = page.jobs.iter().map(|job| job.id).rev().collect();
        let known: Vec<JobId> = self.jobs.keys().copied().collect();
        ensure!(listed == known, "the ledger has {listed:?}, acknowledged were {known:?}");
        for job in &page.jobs {
            let known = &self.jobs[&job.id];
            self.check_job(job, known, gov).await.with_context(|| format!("{job:#?}"))?;
        }
        for key in gov.keys("landing") {
            let ours = self.jobs.values().any(|known| known.key == key);
            ensure!(ours, "{key} was written, and nobody asked for it");
        }
        let uploads = gov.uploads();
        ensure!(uploads.is_empty(), "uploads are left over: {uploads:?}");
        Ok(page.jobs)
    }

    async fn check_job(&self, job: &Job, known: &Known, gov: &Endpoint) -> Result<()> {
        let object = gov.object("landing", &known.key);
        let landed = match &object {
            Some(object) => Some(object.bytes().await?),
            None => None,
        };
        let is_whole = landed.as_ref().is_some_and(|bytes| {
            bytes.len() as u64 == known.object.size() && known.object.matches(0, bytes)
        });
        match job.state {
            JobState::Succeeded => {
                ensure!(is_whole, "it succeeded, and other bytes are at the target");
                let receipt = job.receipt.as_ref().context("it succeeded without a receipt")?;
                let hash = blake3::hash(landed.as_deref().unwrap_or_default()).to_hex();
                ensure!(receipt.blake3 == hash.as_str(), "the receipt's BLAKE3 is another");
            }
            JobState::Cancelled => ensure!(known.cancelled, "nobody cancelled it"),
            JobState::Failed => ensure!(self.may_fail, "nothing happened that may end a job"),
            JobState::Queued | JobState::Running | JobState::Paused => bail!("it did not end"),
        }
        ensure!(is_whole || landed.is_none(), "a part of the object, or another, was published");
        ensure!(job.lease.is_none(), "it ended and is still leased");
        Ok(())
    }
}
