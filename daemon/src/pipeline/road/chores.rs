//! What is done once the new image is there: its deprecation, the objects that are of no use any more, and
//! what becomes of the image that was stored.
//!
//! Each can be repeated: a crash after one and before its record does it once more, and finds it done. What was
//! to be done to a source that is gone, whoever deregistered it, needs no doing.

use tokio::time::Instant;

use super::{Road, SEEN_AFTER, refused, restore_of, store_of, unfit, work};
use crate::base::clock;
use crate::image::{DeletedSnapshot, Deletion, Error, Images};
use crate::model::{
    Chore, ImageFact, Job, ObjectAddress, RemoteName, Retire, Side, StoreSpec, Timestamp,
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
        let remote = &spec.object.remote;
        let images = self.images(remote, Side::Target)?;
        let id = new.fact.image.id.as_str();
        let when = || deprecated_at(new.at, after, clock::now());
        let at = self.deprecate_from(Side::Target, &images, id, when).await?;
        let at = at.map_err(|error| Fault::failed(error.to_failure(Side::Target)))?;
        Ok(format!("{remote}:{id} is deprecated from {} on", clock::rfc3339(at)))
    }

    /// Has an image deprecated from the moment that `when` gives, for each try anew: EC2 refuses what is past by
    /// then. Gives the moment that was taken; where the image is gone, or may be, EC2's word for that.
    async fn deprecate_from(
        &self,
        side: Side,
        images: &Images,
        id: &str,
        when: impl Fn() -> Timestamp,
    ) -> Result<Result<Timestamp, Error>, Fault> {
        let deprecate = || async {
            let at = when();
            images.deprecate(id, at).await.map(|()| at)
        };
        self.ask_of_image(side, images.remote().name(), deprecate).await
    }

    /// As [`Road::ask`]; EC2's word for an image that is gone, or that may be, is an answer.
    async fn ask_of_image<T, F>(
        &self,
        side: Side,
        remote: &RemoteName,
        ask: impl Fn() -> F,
    ) -> Result<Result<T, Error>, Fault>
    where
        F: Future<Output = Result<T, Error>>,
    {
        let ask = || async {
            match ask().await {
                Err(error @ (Error::NoSuchImage(_) | Error::WrongState(_))) => Ok(Err(error)),
                answer => answer.map(Ok),
            }
        };
        self.ask(side, remote, ask).await
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
        let done = match how {
            Retire::Deprecate => {
                let when = || soonest(clock::now());
                let at = self.deprecate_from(Side::Source, &images, id, when).await?;
                at.map(|at| format!("{} is deprecated from {} on", spec.image, clock::rfc3339(at)))
            }
            Retire::Disable => {
                let disabled = self.ask_of_image(Side::Source, remote, || images.disable(id));
                disabled.await?.map(|()| format!("{} is disabled", spec.image))
            }
            Retire::Deregister => {
                let deregister = || images.deregister(id, true);
                let deleted = self.ask_of_image(Side::Source, remote, deregister).await?;
                deleted.map(|deleted| deregistered(spec, deleted))
            }
        };
        match done {
            Ok(line) => Ok(line),
            Err(error) => {
                self.see_gone(spec, &images, &error).await?;
                Ok(format!("{} is gone", spec.image))
            }
        }
    }

    /// EC2's word for an image that is gone, this `error`, may mean its state as well: so it is looked for, until what was
    /// deregistered a moment ago is not seen any more.
    async fn see_gone(
        &self,
        spec: &StoreSpec,
        images: &Images,
        error: &Error,
    ) -> Result<(), Fault> {
        let (remote, id) = (&spec.image.remote, spec.image.image.as_str());
        let since = Instant::now();
        while !self.is_gone(Side::Source, images, id).await? {
            if since.elapsed() >= SEEN_AFTER {
                let told = error.exchange();
                let reason = format!("the image is there still, and EC2 says {}", told.reason());
                let failure = refused(reason, "look at the image's state, and retry");
                let failure = failure.on(Side::Source, Some(remote.clone()));
                return Err(Fault::failed(failure.at(told.operation, id)));
            }
            self.look_again(since).await?;
        }
        Ok(())
    }
}

fn deregistered(spec: &StoreSpec, deleted: Vec<DeletedSnapshot>) -> String {
    let mut line = format!("{} is deregistered", spec.image);
    for DeletedSnapshot { snapshot, deletion } in deleted {
        line += &match deletion {
            Deletion::Deleted => format!("; {snapshot} is deleted"),
            Deletion::InUse => format!("; {snapshot} stays: another image has it"),
            Deletion::NotPermitted => {
                format!("; {snapshot} stays: ec2:DeleteSnapshot is not allowed")
            }
            Deletion::Failed(why) => format!("; {snapshot} stays: {why}"),
        };
    }
    line
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
    use std::sync::Mutex;

    use super::super::tests::World;
    use super::*;
    use crate::blob::tests::server::{http, scripted};

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

    /// A side that asks for patience may do so for longer than a moment stays in the future.
    #[tokio::test]
    async fn each_try_of_a_deprecation_has_a_moment_of_its_own() {
        let slow = "<Response><Errors><Error><Code>RequestLimitExceeded</Code></Error></Errors></Response>";
        let yes = "<EnableImageDeprecationResponse><return>true</return></EnableImageDeprecationResponse>";
        let answers = Mutex::new(vec![
            http("200 OK", &[], yes),
            http("503 Service Unavailable", &[], slow),
            http("503 Service Unavailable", &[], slow),
        ]);
        let next = move |_: &str| answers.lock().expect("not poisoned").pop().expect("three");
        let (endpoint, _) = scripted(None, next).await;
        let world = World::at(&endpoint).await;
        let record = world.record();
        let now = Mutex::new(Timestamp(1_760_000_000_000));
        let when = || {
            let mut now = now.lock().expect("not poisoned");
            *now = now.plus_millis(MINUTE_MS);
            *now
        };
        let road = world.road(&record);
        let at = road.deprecate_from(Side::Target, &world.images, "ami-00000001", when).await;
        let at = at.expect("not stopped").expect("it is there");
        assert_eq!(at, Timestamp(1_760_000_000_000 + 3 * MINUTE_MS));
    }
}
