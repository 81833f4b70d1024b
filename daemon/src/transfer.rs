//! Moves one object between remotes, part by part. A crash costs at most the parts in flight.
//!
//! [`Transfer::run`] is a loop over the job's durable [`TransferState`]: each step does one thing at
//! S3 and writes the fact, and the next step begins from what was written. A restart is therefore not
//! a special case: it is the loop, entered in the middle.
//!
//! ```text
//! plan ─▶ Planned ─▶ upload parts ─▶ Sealing ─▶ publish ─▶ Sealed ─▶ prove ─▶ receipt
//!            └─────── small: hash in memory ──────▲
//! ```
//!
//! # Invariants
//! - A part enters the ledger only after the target acknowledged it.
//! - The source is pinned by ETag; two versions are never mixed.
//! - The digest is known, and agrees with what the source and the submitter say of it, before the act
//!   that publishes: a corrupt object is never published.
//! - Retrying belongs to this layer alone; see [`retry`].
//! - Dropping the future aborts nothing at S3. Only a recorded cancel does, by [`Transfer::abort`].

mod adopt;
mod fault;
mod habits;
mod hours;
mod live;
mod part;
mod parts;
mod peers;
mod plan;
mod proof;
mod pulse;
mod reader;
mod record;
pub mod retry;
mod seal;
mod small;
mod stop;
pub mod unrecorded;

use std::sync::Arc;

pub use fault::Fault;
pub use habits::Probes;
pub use live::LiveTransfer;
pub use plan::Draft;
pub use record::Record;
pub use stop::Stop;
use tokio::time::Instant;

use crate::base::{Berth, MemoryBudget, Seat, SharedObserver};
use crate::blob::{Attributes, S3Target, Source};
use crate::model::{Job, PinnedObject, Receipt, Side, TransferSpec, TransferState};
use plan::Planned;
use retry::Budget;

/// What one transfer works with.
#[derive(Debug)]
pub struct Transfer {
    pub source: Arc<dyn Source>,
    pub target: S3Target,
    pub spec: TransferSpec,
    pub record: Record,
    pub seat: Seat,
    pub memory: MemoryBudget,
    pub observer: SharedObserver,
    pub live: Arc<LiveTransfer>,
    pub stop: Stop,
    /// Its berth among the active jobs.
    pub berth: Arc<Berth>,
    pub probes: Probes,
    /// Parts that one job may have in flight at the most.
    pub parts_max: usize,
}

impl Transfer {
    /// Carries the object from wherever the job stands to its proof.
    ///
    /// # Errors
    /// [`Fault::Failed`] where it cannot be carried, [`Fault::Stopped`] where it was asked to stop:
    /// what was done stays recorded.
    pub async fn run(mut self, mut job: Job) -> Result<Receipt, Fault> {
        self.open().await?;
        self.abort_what_was_begun(&job).await?;
        let habits = self.find_habits(job.submitted_at).await?;
        self.target = self.target.with_habits(habits);
        let transfer = Arc::new(self);
        // An upload that this run did not begin may have parts that the ledger does not know.
        let resumed = job.transfer.upload().is_some();
        let mut planned_at = None;
        loop {
            transfer.live.at(&job);
            let now = Instant::now();
            job = match (&job.transfer, planned_at) {
                // Where nothing exists at the target, the pin may be hours old: pin again.
                (TransferState::Unplanned, _) | (TransferState::Planned { .. }, None) => {
                    transfer.begin(&job).await?
                }
                (TransferState::Planned { source, plan }, Some(at)) if plan.is_single_put() => {
                    transfer.seal_small(source, at).await?
                }
                (TransferState::Planned { source, .. }, _) => {
                    transfer.create_upload(source).await?
                }
                (TransferState::Uploading { source, plan, upload }, _) => {
                    transfer.upload_parts(source, *plan, upload, resumed).await?
                }
                (TransferState::Sealing { source, plan, upload, digest }, _) => {
                    transfer.publish(source, *plan, upload.as_ref(), *digest).await?
                }
                (TransferState::Sealed { source, plan, digest, target }, _) => {
                    return transfer.prove(&job, source, *plan, *digest, target).await;
                }
            };
            planned_at.get_or_insert(now);
            if let Some(receipt) = &job.receipt {
                return Ok(receipt.clone());
            }
        }
    }

    async fn begin(&self, job: &Job) -> Result<Job, Fault> {
        match self.plan().await? {
            Planned::Carry(draft) => {
                let source = Box::new(draft.source);
                let job = self.record.plan(source, draft.plan, draft.warnings).await?;
                // Back into the queue, to wait there among its like.
                let has_berth = self.berth.grow(job.weight());
                has_berth.then_some(job).ok_or(Fault::Stopped)
            }
            Planned::Same { draft, existing } => {
                let receipt = self.receipt_of_same(job, &draft, &existing);
                Ok(Job { receipt: Some(receipt), ..job.clone() })
            }
        }
    }

    /// Throws away what was uploaded, as a cancel asks: credentials that do not work are not waited for.
    ///
    /// # Errors
    /// [`Fault::Failed`] where the target does not let go of it.
    pub async fn abort(&self, job: &Job) -> Result<(), Fault> {
        let budget = Budget::of_cancel();
        let Some(upload) = job.transfer.upload() else {
            // Its worker may have been stopped in the middle of beginning one.
            return self.abort_unrecorded(job.submitted_at, budget).await;
        };
        self.retrying_within(budget, Side::Target, || self.target.abort(upload)).await
    }

    /// What the target object is to carry besides its bytes.
    fn attributes(&self, source: &PinnedObject) -> Attributes {
        let mut tags = source.tags.clone();
        tags.extend(self.spec.tags.clone());
        Attributes {
            headers: source.headers.clone(),
            metadata: source.metadata.clone(),
            tags,
            storage_class: self.spec.storage_class.clone(),
            encryption: self.spec.encryption.clone(),
        }
    }
}
