//! What was lost on the way, and an image registered anew to have it back.
//!
//! The new image stands on the restored one's snapshots and has its name, so the restored one goes first.
//! Between the two, what is to be registered is in the job's record.

use super::restore::{ASKED_MAX, own_tags};
use super::{Road, SEEN_AFTER, refused, restore_of, seen_by, unfit, work};
use crate::image::{Error, Images, Registration};
use crate::model::{
    Change, Failure, Fidelity, Image, ImageAddress, ImageFact, Job, RestoreSpec, Side,
};
use crate::transfer::Fault;
use crate::transfer::retry::Budget;

const NOT_COMPARED: &str = "the UEFI variables were not compared: ec2:DescribeImageAttribute is not allowed, \
                            or the image is somebody else's, or it is gone";

impl Road<'_> {
    /// The restored image beside the one that was stored.
    pub(super) async fn compare(
        &self,
        job: &Job,
        source: &Image,
        images: &Images,
        restored: &Image,
    ) -> Result<Fidelity, Fault> {
        let mut fidelity = Fidelity::of(source, restored);
        if !boots_by_uefi(source) {
            return Ok(fidelity);
        }
        let spec = work(job)?.spec.store.as_ref().ok_or_else(|| unfit("it stores nothing"))?;
        let stored_at = self.images(&spec.image.remote, Side::Source)?;
        let was = self.uefi_data(Side::Source, &stored_at, source).await?;
        let is = self.uefi_data(Side::Target, images, restored).await?;
        let (Some(was), Some(is)) = (was, is) else {
            self.record.apply(Change::Warn(NOT_COMPARED.to_owned())).await?;
            return Ok(fidelity);
        };
        // It is kibibytes of base64: that it differs is what a person needs to know.
        let shown =
            |data: &Option<String>| data.as_ref().map(|data| format!("{} bytes", data.len()));
        if was != is {
            fidelity.compare("UefiData", shown(&was).as_deref(), shown(&is).as_deref());
        }
        Ok(fidelity)
    }

    /// The variables that an image boots with; `None` where they are not to be had: of somebody else's
    /// image, they are not, nor of a source that somebody deregistered since it was stored.
    async fn uefi_data(
        &self,
        side: Side,
        images: &Images,
        image: &Image,
    ) -> Result<Option<Option<String>>, Fault> {
        let (remote, id) = (images.remote().name(), image.id.as_str());
        self.ask(side, remote, || async {
            match images.uefi_data(id).await {
                Err(Error::AccessDenied(_) | Error::Unsupported(_)) => Ok(None),
                Err(Error::NoSuchImage(_)) if side == Side::Source => Ok(None),
                data => data.map(Some),
            }
        })
        .await
    }

    /// Registers the image anew, or follows that.
    pub(super) async fn repair(&self, job: Job) -> Result<Job, Fault> {
        let spec = restore_of(&job)?.clone();
        let progress = &work(&job)?.progress;
        let restored =
            progress.repair_asked.as_deref().ok_or_else(|| unfit("no repair is asked"))?;
        let images = self.images(&spec.object.remote, Side::Target)?;
        match progress.restoring.as_ref().filter(|id| **id != restored.id) {
            Some(id) => self.wait_for_image(&job, &spec, &images, id).await,
            None => self.register(&job, &spec, &images, restored).await,
        }
    }

    async fn register(
        &self,
        job: &Job,
        spec: &RestoreSpec,
        images: &Images,
        restored: &Image,
    ) -> Result<Job, Fault> {
        let remote = &spec.object.remote;
        // What it takes is at hand before the restored one is given up.
        let registration = self.registration(job, images, restored).await?;
        let old = restored.id.as_str();
        self.ask(Side::Target, remote, || async {
            match images.deregister(old, false).await {
                Ok(_) | Err(Error::NoSuchImage(_)) => Ok(()),
                Err(error) => Err(error),
            }
        })
        .await?;
        let (name, mut budget) = (Some(registration.name.as_str()), Budget::default());
        let mut patience = work(job)?.progress.register_asked.map(seen_by);
        for _ in 0..ASKED_MAX {
            // The restored one may be seen for a moment after it is gone.
            let found = match patience {
                Some(patience) => self.find_own(job, images, Some(&restored.id), patience).await?,
                None => None,
            };
            if let Some(id) = found {
                return self.note(ImageFact::Restoring(id)).await;
            }
            self.note(ImageFact::RegisterAsked).await?;
            patience = Some(SEEN_AFTER);
            match self.handle.stop.or_now(images.register(&registration)).await? {
                Ok(id) => {
                    let id = id.parse().map_err(|_| unfit("EC2's answer names no image"))?;
                    return self.note(ImageFact::Restoring(id)).await;
                }
                // It may be that of a request whose answer was lost, or of the one that is gone.
                Err(Error::NameTaken(_)) if !self.is_taken(job, images, name).await? => {}
                Err(error) => self.pause(&mut budget, Side::Target, remote, &error).await?,
            }
        }
        Err(unfit("EC2 was asked again and again to register it, and it is not to be seen"))
    }

    /// The image as it was stored, on the snapshots as they were restored.
    async fn registration(
        &self,
        job: &Job,
        images: &Images,
        restored: &Image,
    ) -> Result<Registration, Fault> {
        let work = work(job)?;
        let source = work.progress.source.as_deref().ok_or_else(|| unfit("it has no source"))?;
        let spec = work.spec.store.as_ref().ok_or_else(|| unfit("it stores nothing"))?;
        let stored_at = self.images(&spec.image.remote, Side::Source)?;
        let uefi_data = self.uefi_data(Side::Source, &stored_at, source).await?;
        // Once the restored one is gone, an image without them is better than none. A crash may have come
        // between that and the record.
        if uefi_data.is_none()
            && boots_by_uefi(source)
            && work.progress.register_asked.is_none()
            && !self.is_gone(Side::Target, images, restored.id.as_str()).await?
        {
            return Err(Fault::failed(not_to_be_had(&spec.image, restored)));
        }
        let mut tags = restored.tags.clone();
        tags.retain(|key, _| !key.starts_with("aws:"));
        tags.extend(own_tags(job)?);
        Ok(Registration {
            name: restored.name.clone(),
            description: source.description.clone(),
            traits: source.traits.clone(),
            uefi_data: uefi_data.flatten(),
            devices: restored.devices.clone(),
            tags,
        })
    }
}

fn boots_by_uefi(image: &Image) -> bool {
    image.traits.boot_mode.as_deref().is_some_and(|mode| mode.starts_with("uefi"))
}

/// The image would be registered without what the source boots with.
fn not_to_be_had(source: &ImageAddress, restored: &Image) -> Failure {
    let reason = format!(
        "{source} boots by UEFI, and its UEFI variables are not to be had: \
         ec2:DescribeImageAttribute is not allowed, or the image is somebody else's, or it is gone"
    );
    let remedy = format!(
        "allow it, and retry; or take {0} as it was restored; or deregister {0} and submit without \
         --repair",
        restored.id
    );
    let failure = refused(reason, remedy).on(Side::Source, Some(source.remote.clone()));
    failure.at("ec2:DescribeImageAttribute", source.image.as_str())
}
