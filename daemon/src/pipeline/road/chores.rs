//! What is done once the new image is there: its deprecation, the objects that are of no use any more, and
//! what becomes of the image that was stored.
//!
//! Each can be repeated: a crash after one and before its record does it once more, and finds it done.

use tokio::time::Instant;

use super::{Road, SEEN_AFTER, refused, restore_of, store_of, unfit, work};
use crate::base::clock;
use crate::image::{Deletion, Error, Images};
use crate::model::{
    Chore, ImageFact, ImageState, Job, ObjectAddress, Retire, Side, StoreSpec, Timestamp,
};
use crate::transfer::Fault;

const MINUTE_MS: u64 = 60_000;

impl Road<'_> {
    /// Does one.
    pub(super) async fn chore(&self, job: &Job, chore: Chore) -> Result<Job, Fault> {
        let line = match chore {
            Chore::Deprecate => self.deprecate(job).await?,
            Chore::CleanUpStored => self.clean_up_stored(job).await?,
            Chore::CleanUpLanded => self.clean_up_landed(job).await?,
            Chore::RetireSource => self.retire_source(job).await?,
        };
        self.note(ImageFact::Done(chore, line)).await
    }

    async fn deprecate(&self, job: &Job) -> Result<String, Fault> {
        let spec = restore_of(job)?;
        let after = spec.deprecate_after.unwrap_or_default();
        let new = work(job)?.progress.available.as_ref();
        let new = new.ok_or_else(|| unfit("no image is available"))?;
        let at = deprecated_at(new.at, after, clock::now());
        let remote = &spec.object.remote;
        let images = self.images(remote, Side::Target)?;
        let id = new.fact.image.id.as_str();
        self.ask(Side::Target, remote, || images.deprecate(id, at)).await?;
        Ok(format!("{remote}:{id} is deprecated from {} on", clock::rfc3339(at)))
    }

    async fn clean_up_stored(&self, job: &Job) -> Result<String, Fault> {
        let stored = work(job)?.progress.stored.as_ref();
        let etag = stored.ok_or_else(|| unfit("nothing is stored"))?.fact.etag.clone();
        self.delete(&store_of(job)?.stored(), Side::Source, &etag).await
    }

    async fn clean_up_landed(&self, job: &Job) -> Result<String, Fault> {
        let address = &restore_of(job)?.object;
        let carried = work(job)?.progress.carried.as_ref();
        let landed = carried.and_then(|carried| carried.fact.target.as_ref());
        let etag = landed.ok_or_else(|| unfit("nothing was carried"))?.etag.clone();
        self.delete(address, Side::Target, &etag).await
    }

    /// Deletes an object, if it is the one that it was.
    async fn delete(
        &self,
        address: &ObjectAddress,
        side: Side,
        etag: &str,
    ) -> Result<String, Fault> {
        let object = self.object(address, side)?;
        let found = self.ask(side, &address.remote, || object.look()).await?;
        match found {
            None => return Ok(format!("{address} is gone")),
            Some(found) if found.etag != etag => {
                return Ok(format!("{address} is another object now, and is left"));
            }
            Some(_) => {}
        }
        let is_marker = self.ask(side, &address.remote, || object.delete()).await?;
        Ok(match is_marker {
            false => format!("{address} is deleted"),
            true => format!("{address} is deleted; its bucket keeps the version"),
        })
    }

    async fn retire_source(&self, job: &Job) -> Result<String, Fault> {
        let spec = store_of(job)?;
        let how = work(job)?.spec.retire_source.ok_or_else(|| unfit("nothing is to be retired"))?;
        let (remote, id) = (&spec.image.remote, spec.image.image.as_str());
        let images = self.images(remote, Side::Source)?;
        match how {
            Retire::Deprecate => {
                let at = soonest(clock::now());
                self.ask(Side::Source, remote, || images.deprecate(id, at)).await?;
                Ok(format!("{} is deprecated from {} on", spec.image, clock::rfc3339(at)))
            }
            Retire::Disable => {
                self.ask(Side::Source, remote, || images.disable(id)).await?;
                Ok(format!("{} is disabled", spec.image))
            }
            Retire::Deregister => self.deregister(spec, &images).await,
        }
    }

    async fn deregister(&self, spec: &StoreSpec, images: &Images) -> Result<String, Fault> {
        let (remote, id) = (&spec.image.remote, spec.image.image.as_str());
        let gone = self.ask(Side::Source, remote, || async {
            match images.deregister(id, true).await {
                Ok(deleted) => Ok(Some(deleted)),
                Err(Error::NoSuchImage(_)) => Ok(None),
                Err(error) => Err(error),
            }
        });
        let Some(deleted) = gone.await? else {
            self.see_gone(spec, images).await?;
            return Ok(format!("{} is gone", spec.image));
        };
        let mut line = format!("{} is deregistered", spec.image);
        for snapshot in deleted {
            line += &match snapshot.deletion {
                Deletion::Deleted => format!("; {} is deleted", snapshot.snapshot),
                Deletion::InUse => format!("; {} stays: another image has it", snapshot.snapshot),
                Deletion::NotPermitted => {
                    format!("; {} stays: ec2:DeleteSnapshot is not allowed", snapshot.snapshot)
                }
                Deletion::Failed(why) => format!("; {} stays: {why}", snapshot.snapshot),
            };
        }
        Ok(line)
    }

    /// EC2's word for an image that is gone may mean its state as well: so it is looked for, until what was deregistered a
    /// moment ago is not seen any more.
    async fn see_gone(&self, spec: &StoreSpec, images: &Images) -> Result<(), Fault> {
        let (remote, id) = (&spec.image.remote, spec.image.image.as_str());
        let since = Instant::now();
        loop {
            let found = self.ask(Side::Source, remote, || images.image(id)).await?;
            if found.is_none_or(|image| image.state == ImageState::Deregistered) {
                return Ok(());
            }
            if since.elapsed() >= SEEN_AFTER {
                let reason = "EC2 says that the image is not available, and it is there still";
                let failure = refused(reason, "look at the image's state, and retry");
                let failure = failure.on(Side::Source, Some(remote.clone()));
                return Err(Fault::failed(failure.at("ec2:DeregisterImage", id)));
            }
            self.look_again(since).await?;
        }
    }
}

/// When an image is deprecated that became available at `available`: `after` seconds later, or as soon as EC2
/// takes it where that is past. An alias that waits, or a retry days later, is no reason never to end.
fn deprecated_at(available: Timestamp, after: u64, now: Timestamp) -> Timestamp {
    available.plus_millis(after.saturating_mul(1000)).max(soonest(now))
}

/// The first whole minute that is surely in the future: EC2 refuses what is past, and rounds to the minute.
fn soonest(now: Timestamp) -> Timestamp {
    let minutes = (now.0 / MINUTE_MS).saturating_add(2);
    Timestamp(minutes.saturating_mul(MINUTE_MS))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// EC2 rounds to the nearest minute, and refuses what is then past.
    fn is_taken(at: Timestamp, now: Timestamp) -> bool {
        (at.0 + MINUTE_MS / 2) / MINUTE_MS * MINUTE_MS > now.0
    }

    #[test]
    fn a_deprecation_whose_moment_is_past_is_asked_for_as_soon_as_ec2_takes_it() {
        let available = Timestamp(1_760_000_010_000);
        for late in [0, 29_999, 45_000, 60_000, 95_000, 3_600_000, 9 * 86_400_000] {
            let now = available.plus_millis(late);
            let at = deprecated_at(available, 60, now);
            assert!(is_taken(at, now), "{late} ms later: {at:?} at {now:?}");
            assert!(at.millis_since(now) <= 2 * MINUTE_MS, "{late} ms later: {at:?} at {now:?}");
        }
        let day = deprecated_at(available, 86_400, available.plus_millis(95_000));
        assert_eq!(day, available.plus_millis(86_400_000), "not past, and left as it is");
        let never = deprecated_at(available, u64::MAX, Timestamp(u64::MAX));
        assert!(never >= available, "{never:?}");
    }
}
