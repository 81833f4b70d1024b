//! An image on its road: store, carry, restore, alias, and what was asked for after it.
//!
//! As a transfer, it is a loop over what is written down: each step does one thing and writes the fact, and
//! the next begins from there. A restart is the loop, entered in the middle.
//!
//! # Invariants
//! - EC2's creating requests have no client token. Before each, that it is asked is on disk; whoever finds it
//!   asked looks for what it may have made, and asks again only when that is not to be found.
//! - A new image carries the job's id as a tag, by which it is found whatever it is named.
//! - The image that was stored is not touched before the new one is available and its alias written.

mod alias;
mod ask;
mod begin;
mod chores;
mod describe;
mod repair;
mod restore;
mod store;

use std::time::Duration;

pub use alias::roll_back;
pub(super) use describe::{
    bucket_elsewhere, name_taken, no_such_image, unencrypted, unfit_snapshot, unfit_to_store,
};
pub(super) use store::stands_already;
use tokio::time::Instant;

use super::{Handle, Pipeline};
use crate::base::{CrashPoint, clock, crash_point};
use crate::blob::S3Target;
use crate::image::Images;
use crate::model::{
    Change, Failure, FailureClass, ImageFact, ImageState, ImageWork, Job, ObjectAddress, Receipt,
    RemoteName, RestoreSpec, Side, Step, StoreSpec, Timestamp,
};
use crate::transfer::{Fault, Record};

/// By which tag a new image is known to be a job's.
pub(super) const JOB_TAG: &str = "causeway:job";
/// How long something that EC2 was asked to make may not be found yet. EC2 is eventually consistent; its pages
/// speak of seconds.
const SEEN_AFTER: Duration = Duration::from_secs(30);
/// Between two looks at what EC2 does: a tenth of the time that it has taken so far, within these.
const LOOK_AFTER: Duration = Duration::from_millis(500);
const LOOK_EVERY: Duration = Duration::from_secs(30);

/// One image job, and who works on it.
struct Road<'a> {
    pipeline: &'a Pipeline,
    record: &'a Record,
    handle: &'a Handle,
}

/// Works on an image job until nothing is left to be done.
///
/// # Errors
/// As [`Fault`]; what was done stays recorded.
pub(super) async fn run(
    pipeline: &Pipeline,
    mut job: Job,
    record: &Record,
    handle: &Handle,
) -> Result<Receipt, Fault> {
    let road = Road { pipeline, record, handle };
    // What the ledger knew before this worker came may be older than what is there.
    let mut is_described = false;
    while let Some(step) = job.step() {
        // A job that is to stop begins nothing that EC2 would not stop.
        if step != Step::Done && handle.stop.is_stopping() {
            return Err(Fault::Stopped);
        }
        road.take_berth(&job)?;
        job = match step {
            Step::Store if !is_described && asked_nothing(&job) => road.describe(&job).await?,
            Step::Describe => road.describe(&job).await?,
            Step::Store => road.store(job).await?,
            Step::Carry => Box::pin(road.carry(job)).await?,
            Step::Restore => road.restore(job).await?,
            Step::Alias => road.alias(job).await?,
            Step::Chore(chore) => road.chore(&job, chore).await?,
            Step::Done => return road.receipt(&job),
        };
        is_described = true;
    }
    Err(unfit("it is about no image"))
}

fn asked_nothing(job: &Job) -> bool {
    job.image.as_ref().is_some_and(|image| image.progress.store_asked.is_none())
}

/// The job's record does not fit what it says it is.
fn unfit(why: &str) -> Fault {
    let reason = format!("the job's record is not one of an image job: {why}");
    Fault::failed(Failure::new(FailureClass::Permanent, reason, "report this as a bug"))
}

fn refused(reason: impl Into<String>, remedy: impl Into<String>) -> Failure {
    Failure::new(FailureClass::Permanent, reason, remedy)
}

impl Road<'_> {
    /// While EC2 works, the job takes no place from those that carry; where there is none for what comes
    /// now, it goes back into the queue, to wait there among its like.
    fn take_berth(&self, job: &Job) -> Result<(), Fault> {
        match self.handle.berth.exchange(job.weight()) {
            true => Ok(()),
            false => Err(Fault::Stopped),
        }
    }

    async fn note(&self, fact: ImageFact) -> Result<Job, Fault> {
        self.record.apply(Change::Image(fact)).await
    }

    fn images(&self, remote: &RemoteName, side: Side) -> Result<Images, Fault> {
        let remote =
            self.pipeline.remote(remote, side).map_err(|failure| Fault::failed(*failure))?;
        Ok(Images::new(remote.of(&self.handle.share)))
    }

    fn object(&self, address: &ObjectAddress, side: Side) -> Result<S3Target, Fault> {
        let remote = self.pipeline.remote(&address.remote, side);
        let remote = remote.map_err(|failure| Fault::failed(*failure))?.of(&self.handle.share);
        Ok(S3Target::new(remote, address.clone()))
    }

    async fn carry(&self, job: Job) -> Result<Job, Fault> {
        let receipt = self.pipeline.transfer(&job, self.record, self.handle)?.run(job).await?;
        crash_point(&self.pipeline.observer, CrashPoint::Proven).await;
        self.note(ImageFact::Carried(Box::new(receipt))).await
    }

    fn receipt(&self, job: &Job) -> Result<Receipt, Fault> {
        let image = work(job)?;
        let blank = Receipt::blank(job, clock::now(), env!("CARGO_PKG_VERSION"));
        if let Some(carried) = &image.progress.carried {
            let Receipt { attempts, started_at, finished_at, .. } = blank;
            return Ok(Receipt { attempts, started_at, finished_at, ..(*carried.fact).clone() });
        }
        let mut receipt = blank;
        if let (Some(spec), Some(stored)) = (&image.spec.store, &image.progress.stored) {
            let object = self.object(&spec.stored(), Side::Source)?;
            let published = stored.fact.published();
            receipt.target = Some(object.describe(&published, stored.fact.size));
        }
        if let Some(spec) = &image.spec.restore {
            let object = self.object(&spec.object, Side::Source)?;
            receipt.source = image
                .progress
                .stored
                .as_ref()
                .map(|stored| object.describe(&stored.fact.published(), stored.fact.size));
        }
        Ok(receipt)
    }

    /// Whether an image is not to be seen any more, or as one that was.
    async fn is_gone(&self, side: Side, images: &Images, id: &str) -> Result<bool, Fault> {
        let found = self.ask(side, images.remote().name(), || images.image(id)).await?;
        Ok(found.is_none_or(|image| image.state == ImageState::Deregistered))
    }

    /// Waits before the next look at what EC2 began at `since`.
    async fn look_again(&self, since: Instant) -> Result<(), Fault> {
        let pause = (since.elapsed() / 10).clamp(LOOK_AFTER, LOOK_EVERY);
        self.handle.stop.or_soon(tokio::time::sleep(pause)).await
    }
}

/// The image part of an image job.
fn work(job: &Job) -> Result<&ImageWork, Fault> {
    job.image.as_deref().ok_or_else(|| unfit("it has no image"))
}

fn store_of(job: &Job) -> Result<&StoreSpec, Fault> {
    work(job)?.spec.store.as_ref().ok_or_else(|| unfit("it stores nothing"))
}

fn restore_of(job: &Job) -> Result<&RestoreSpec, Fault> {
    work(job)?.spec.restore.as_ref().ok_or_else(|| unfit("it restores nothing"))
}

/// Until when what was asked for at this moment may not be found although it is there.
fn seen_by(asked: Timestamp) -> Duration {
    let gone = Duration::from_millis(clock::now().millis_since(asked));
    SEEN_AFTER.saturating_sub(gone)
}

#[cfg(test)]
mod tests;
