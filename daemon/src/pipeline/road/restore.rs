//! An object becomes an image, by EC2. There is no task to describe: the image is the handle.

use std::time::Duration;

use tokio::time::Instant;

use super::super::quota::Kind;
use super::begin::Task;
use super::describe::name_taken;
use super::{JOB_TAG, Road, SEEN_AFTER, restore_of, seen_by, work};
use crate::image::{By, Images, Snapshot, SnapshotState};
use crate::model::{
    Failure, FailureClass, Fidelity, Image, ImageFact, ImageId, ImageState, ImageWork, Job,
    ObjectAddress, RestoreSpec, RestoredImage, Side, Tags,
};
use crate::transfer::Fault;
use crate::transfer::retry::Budget;

/// Requests whose answers may be lost, or say nothing: each is followed by a look that takes its time.
pub(super) const ASKED_MAX: u32 = 100;

impl Road<'_> {
    /// Has the image restored, or follows the restore that was begun before.
    pub(super) async fn restore(&self, job: Job) -> Result<Job, Fault> {
        let spec = restore_of(&job)?.clone();
        let images = self.images(&spec.object.remote, Side::Target)?;
        let progress = &work(&job)?.progress;
        if progress.repair_asked.is_some() {
            return self.repair(job).await;
        }
        match &progress.restoring {
            None => self.begin_restore(&job, &spec, &images).await,
            Some(id) => {
                let task = task(&job, &images);
                let _counted = self.count(&task);
                self.wait_for_image(&job, &spec, &images, id).await
            }
        }
    }

    async fn begin_restore(
        &self,
        job: &Job,
        spec: &RestoreSpec,
        images: &Images,
    ) -> Result<Job, Fault> {
        let work = work(job)?;
        let (name, tags) = (work.name(), own_tags(job)?);
        let (bucket, key) = (&spec.object.bucket, &spec.object.key);
        let remote = &spec.object.remote;
        let mut patience = work.progress.restore_asked.map(seen_by);
        let described;
        let mut job = job;
        if patience.is_none() && work.spec.store.is_none() {
            described = self.describe_restore(job).await?;
            job = &described;
        }
        let (task, mut budget) = (task(job, images), Budget::default());
        for _ in 0..ASKED_MAX {
            if let Some(id) = self.find_own(job, images, None, patience.unwrap_or_default()).await?
            {
                return self.note(ImageFact::Restoring(id)).await;
            }
            let ask = || images.restore(bucket, key, name, &tags);
            let (answer, counted) = self.begin(&task, ImageFact::RestoreAsked, ask).await?;
            patience = Some(SEEN_AFTER);
            let error = match answer {
                Ok(id) => {
                    let id: ImageId = id.parse().map_err(|_| Fault::failed(no_id(spec, &id)))?;
                    let job = self.note(ImageFact::Restoring(id.clone())).await?;
                    // Counted without a gap: the next in line asks as soon as it is given back.
                    let _counted = counted;
                    return self.wait_for_image(&job, spec, images, &id).await;
                }
                Err(error) => error,
            };
            drop(counted);
            match &error {
                error if error.answer_lost() => {}
                // It may be that of a request whose answer was lost; the next look tells.
                crate::image::Error::NameTaken(_) if !self.is_taken(job, images, name).await? => {
                    continue;
                }
                _ => {
                    self.note(ImageFact::RestoreFailed).await?;
                    patience = None;
                }
            }
            self.pause(&mut budget, Side::Target, remote, &error).await?;
        }
        let reason = "EC2 was asked again and again, and no image of this job is to be seen";
        Err(Fault::failed(of(spec, reason.to_owned(), "look at the target's images, and retry")))
    }

    /// Whether an image that is not the job's has the name.
    pub(super) async fn is_taken(
        &self,
        job: &Job,
        images: &Images,
        name: Option<&str>,
    ) -> Result<bool, Fault> {
        let Some(name) = name else { return Ok(true) };
        let (remote, own) = (images.remote().name(), job.id.to_string());
        let named = self.ask(Side::Target, remote, || images.find_images(By::Name(name))).await?;
        let foreign = named.iter().find(|image| image.tags.get(JOB_TAG) != Some(&own));
        match foreign {
            Some(image) => Err(Fault::failed(name_taken(remote, name, image))),
            None => Ok(false),
        }
    }

    /// The image that the job had made, by its tag, `but` for one. What was asked for may not be seen yet: then this looks
    /// until `patience` is over. One that failed is let go of.
    pub(super) async fn find_own(
        &self,
        job: &Job,
        images: &Images,
        but: Option<&ImageId>,
        patience: Duration,
    ) -> Result<Option<ImageId>, Fault> {
        let (remote, own) = (images.remote().name(), job.id.to_string());
        let by = By::Tag { key: JOB_TAG, value: &own };
        let since = Instant::now();
        loop {
            let found = self.ask(Side::Target, remote, || images.find_images(by)).await?;
            let is_alive = |image: &&Image| {
                !matches!(image.state, ImageState::Failed | ImageState::Deregistered)
            };
            let is_other = |image: &&Image| but != Some(&image.id);
            if let Some(image) = found.iter().filter(is_other).find(is_alive) {
                return Ok(Some(image.id.clone()));
            }
            if since.elapsed() >= patience {
                return Ok(None);
            }
            self.look_again(since).await?;
        }
    }

    /// Follows a restore until it ends.
    pub(super) async fn wait_for_image(
        &self,
        job: &Job,
        spec: &RestoreSpec,
        images: &Images,
        id: &ImageId,
    ) -> Result<Job, Fault> {
        let remote = &spec.object.remote;
        let (since, mut seen_at) = (Instant::now(), Instant::now());
        loop {
            let found = self.ask(Side::Target, remote, || images.image(id.as_str())).await?;
            match found {
                Some(image) if image.state == ImageState::Available => {
                    self.handle.live.at_percent(None);
                    return self.restored(job, spec, images, image).await;
                }
                Some(image) if is_over(&image.state) => {
                    return self.restore_failed(spec, images, &image).await;
                }
                Some(image) => {
                    seen_at = Instant::now();
                    let percent = self.percent(spec, images, &image).await?;
                    self.handle.live.at_percent(percent);
                }
                None if seen_at.elapsed() > 2 * SEEN_AFTER => {
                    self.note(ImageFact::RestoreFailed).await?;
                    let reason = format!("the new image {id} is gone");
                    return Err(Fault::failed(of(spec, reason, "retry: it is restored anew")));
                }
                None => {}
            }
            self.look_again(since).await?;
        }
    }

    /// How far the image's snapshots are, by their sizes. Told to people alone: what cannot be had is left.
    async fn percent(
        &self,
        spec: &RestoreSpec,
        images: &Images,
        image: &Image,
    ) -> Result<Option<u8>, Fault> {
        let ids: Vec<String> = image.snapshots().map(str::to_owned).collect();
        if ids.is_empty() {
            return Ok(Some(0));
        }
        let snapshots = self.handle.stop.or_soon(images.snapshots(&ids)).await?;
        let Ok(snapshots) = snapshots else {
            tracing::debug!(remote = %spec.object.remote, %image.id, "its snapshots are not seen");
            return Ok(None);
        };
        Ok(Some(percent_of(&snapshots)))
    }

    /// The image is available: how did it come out?
    async fn restored(
        &self,
        job: &Job,
        spec: &RestoreSpec,
        images: &Images,
        image: Image,
    ) -> Result<Job, Fault> {
        let work = work(job)?;
        let remote = &spec.object.remote;
        let ids: Vec<String> = image.snapshots().map(str::to_owned).collect();
        let snapshots = self.ask(Side::Target, remote, || images.snapshots(&ids)).await?;
        let open = snapshots.iter().find(|snapshot| !snapshot.encrypted);
        if let Some(open) = open.filter(|_| spec.require_encryption) {
            let reason = format!("encryption is required, and the restored {} has none", open.id);
            let remedy = format!(
                "turn on EBS encryption by default at {remote}, deregister {} and delete its \
                 snapshots, and submit anew",
                image.id
            );
            return Err(Fault::failed(of(spec, reason, &remedy)));
        }
        let source = work.progress.source.as_deref();
        let mut fidelity = match source {
            Some(source) => self.compare(job, source, images, &image).await?,
            None => Fidelity::default(),
        };
        fidelity.encrypted = open.is_none() && !snapshots.is_empty();
        fidelity.repaired = work.progress.repair_asked.is_some();
        if spec.repair && fidelity.needs_repair() && !fidelity.repaired {
            if image.is_billed() || source.is_some_and(Image::is_billed) {
                return Err(Fault::failed(billed(spec, &image)));
            }
            return self.note(ImageFact::RepairAsked(Box::new(image))).await;
        }
        let restored = RestoredImage { image, fidelity };
        self.note(ImageFact::Available(Box::new(restored))).await
    }

    /// The restore failed: what it left would keep the name.
    async fn restore_failed(
        &self,
        spec: &RestoreSpec,
        images: &Images,
        image: &Image,
    ) -> Result<Job, Fault> {
        self.handle.live.at_percent(None);
        let (remote, id) = (&spec.object.remote, image.id.as_str());
        let removed = self.ask(Side::Target, remote, || async {
            match images.deregister(id, true).await {
                Ok(_) | Err(crate::image::Error::NoSuchImage(_)) => Ok(()),
                Err(error) => Err(error),
            }
        });
        if let Err(fault) = removed.await {
            tracing::warn!(%remote, id, %fault, "the image that failed is left behind");
        }
        self.note(ImageFact::RestoreFailed).await?;
        let why = image.state_reason.as_deref().unwrap_or("EC2 gives no reason");
        let reason = format!("the restore failed: {why}");
        Err(Fault::failed(of(spec, reason, "see to the cause and retry: it is restored anew")))
    }
}

/// The tags that the new image is made with: asked for, copied, and the one that it is found by.
pub(super) fn own_tags(job: &Job) -> Result<Tags, Fault> {
    let mut tags = work(job)?.tags();
    tags.insert(JOB_TAG.to_owned(), job.id.to_string());
    Ok(tags)
}

fn task<'a>(job: &'a Job, images: &'a Images) -> Task<'a> {
    let progress = job.image.as_deref().map(|image| &image.progress);
    let source = progress.and_then(|progress| progress.source.as_deref());
    // Of an object alone, its own size is the least that its volumes have.
    let stored = progress.and_then(|progress| progress.stored.as_ref());
    let stored = stored.map(|stored| stored.fact.size.div_ceil(1 << 30));
    let gib = source.map(|image| image.gib()).or(stored).unwrap_or(1);
    let object = job.image.as_deref().and_then(expected);
    Task { job: job.id, kind: Kind::Restore, side: Side::Target, images, name: "", gib, object }
}

/// The object that is to be restored, with the ETag of the one that was carried there, or found there.
fn expected(work: &ImageWork) -> Option<(&ObjectAddress, &str)> {
    let address = &work.spec.restore.as_ref()?.object;
    let etag = match &work.progress.carried {
        Some(carried) => &carried.fact.target.as_ref()?.etag,
        None => &work.progress.stored.as_ref()?.fact.etag,
    };
    Some((address, etag.as_str()))
}

fn is_over(state: &ImageState) -> bool {
    match state {
        ImageState::Failed | ImageState::Deregistered | ImageState::Disabled => true,
        ImageState::Pending | ImageState::Available | ImageState::Other(_) => false,
    }
}

fn percent_of(snapshots: &[Snapshot]) -> u8 {
    let (mut whole, mut done) = (0, 0);
    for snapshot in snapshots {
        let gib = u64::from(snapshot.gib.unwrap_or(1));
        let percent = match snapshot.state {
            SnapshotState::Completed => 100,
            _ => snapshot.percent.unwrap_or_default(),
        };
        whole += gib;
        done += gib * u64::from(percent);
    }
    u8::try_from(done / whole.max(1)).unwrap_or(100)
}

fn of(spec: &RestoreSpec, reason: String, remedy: &str) -> Failure {
    let failure = Failure::new(FailureClass::Permanent, reason, remedy);
    let failure = failure.on(Side::Target, Some(spec.object.remote.clone()));
    failure.at("ec2:CreateRestoreImageTask", spec.object.resource())
}

/// It is not registered anew: the restored image has what it is billed as, and the new one would not.
fn billed(spec: &RestoreSpec, image: &Image) -> Failure {
    let reason = format!(
        "what {} boots by was lost, and registering it anew would lose what it is billed as",
        image.id
    );
    let remedy = format!(
        "take {0} as it is, or deregister {0} and submit without --repair, or make the image anew \
         of an instance",
        image.id
    );
    let failure = Failure::new(FailureClass::Permanent, reason, remedy);
    let failure = failure.on(Side::Target, Some(spec.object.remote.clone()));
    failure.at("ec2:RegisterImage", image.id.as_str())
}

fn no_id(spec: &RestoreSpec, id: &str) -> Failure {
    of(spec, format!("EC2 named the new image '{id}', which is no image's id"), "report this")
}
