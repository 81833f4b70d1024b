//! An image becomes an object, by EC2.

use tokio::time::Instant;

use super::super::quota::Kind;
use super::begin::{Task, stored_name};
use super::{Road, SEEN_AFTER, refused, seen_by, store_of, work};
use crate::blob::Existing;
use crate::image::{Images, StoreState, StoreTask};
use crate::model::{
    Failure, FailureClass, ImageFact, Job, Side, StoreAsked, StoreSpec, StoredObject, Timestamp,
};
use crate::transfer::Fault;
use crate::transfer::retry::Budget;

/// What there is of a store.
enum Found {
    Nothing,
    /// EC2 works on it, whoever asked.
    InProgress(StoreTask),
    Failed(String),
    Object(Existing),
}

impl Road<'_> {
    /// Has the image stored, or takes the store that was begun before.
    pub(super) async fn store(&self, job: Job) -> Result<Job, Fault> {
        let spec = store_of(&job)?;
        let images = self.images(&spec.image.remote, Side::Source)?;
        let source = work(&job)?.progress.source.as_deref();
        let stored_name = stored_name(spec.image.image.as_str(), &spec.bucket);
        let task = Task {
            job: job.id,
            kind: Kind::Store,
            side: Side::Source,
            images: &images,
            name: &stored_name,
            gib: source.map_or(0, |image| image.gib()),
            object: None,
        };
        let mut asked = work(&job)?.progress.store_asked;
        let mut patience = asked.map_or(SEEN_AFTER, |asked| seen_by(asked.at));
        let mut budget = Budget::default();
        loop {
            let newest = match self.look_for_store(spec, &images, asked, patience).await? {
                (Found::InProgress(_), _) if asked.is_none() && !spec.reuse_stored => {
                    return Err(Fault::failed(stands_already(spec, "is being stored in")));
                }
                (Found::InProgress(_), _) => {
                    let _counted = self.count(&task);
                    return self.wait_for_store(spec, &images, asked).await;
                }
                (Found::Object(object), _) => return self.take_object(spec, object, asked).await,
                (Found::Failed(reason), _) => return self.store_failed(spec, &reason).await,
                (Found::Nothing, newest) => newest,
            };
            let ask = || images.store(spec.image.image.as_str(), &spec.bucket, &spec.tags);
            let (answer, counted) =
                self.begin(&task, ImageFact::StoreAsked { newest }, ask).await?;
            asked = self.store_asked()?;
            patience = SEEN_AFTER;
            match answer {
                Ok(_) => return self.wait_for_store(spec, &images, asked).await,
                // It may have been begun: the next look tells.
                Err(error) if error.answer_lost() => {
                    self.pause(&mut budget, Side::Source, &spec.image.remote, &error).await?;
                }
                Err(error) => {
                    drop(counted);
                    self.note(ImageFact::StoreFailed).await?;
                    asked = None;
                    self.pause(&mut budget, Side::Source, &spec.image.remote, &error).await?;
                }
            }
        }
    }

    fn store_asked(&self) -> Result<Option<StoreAsked>, Fault> {
        let job = self.pipeline.ledger.get(self.record.job)?;
        Ok(work(&job)?.progress.store_asked)
    }

    /// What there is, and when the newest task was begun. What was asked for may not be seen yet: then this
    /// looks until `patience` is over.
    async fn look_for_store(
        &self,
        spec: &StoreSpec,
        images: &Images,
        asked: Option<StoreAsked>,
        patience: std::time::Duration,
    ) -> Result<(Found, Option<Timestamp>), Fault> {
        let since = Instant::now();
        loop {
            let (found, newest) = self.find_store(spec, images, asked).await?;
            let is_sure = asked.is_none() || since.elapsed() >= patience;
            if is_sure || !matches!(found, Found::Nothing) {
                return Ok((found, newest));
            }
            self.look_again(since).await?;
        }
    }

    async fn find_store(
        &self,
        spec: &StoreSpec,
        images: &Images,
        asked: Option<StoreAsked>,
    ) -> Result<(Found, Option<Timestamp>), Fault> {
        let ids = [spec.image.image.as_str().to_owned()];
        let remote = &spec.image.remote;
        let tasks = self.ask(Side::Source, remote, || images.store_tasks(&ids)).await?;
        let here = |task: &StoreTask| task.bucket == spec.bucket;
        let mut tasks: Vec<_> = tasks.into_iter().filter(here).collect();
        tasks.sort_by_key(|task| std::cmp::Reverse(task.started_at));
        let newest = tasks.first().and_then(|task| task.started_at);
        let is_later = |task: &StoreTask| {
            asked.is_some_and(|asked| {
                asked.newest.is_none_or(|before| task.started_at > Some(before))
            })
        };
        let found = match tasks.into_iter().next() {
            Some(task) if task.state == StoreState::InProgress => Found::InProgress(task),
            Some(task) if is_later(&task) => match task.state {
                StoreState::Failed { reason } => Found::Failed(reason),
                _ => self.find_object(spec).await?,
            },
            _ => self.find_object(spec).await?,
        };
        Ok((found, newest))
    }

    async fn find_object(&self, spec: &StoreSpec) -> Result<Found, Fault> {
        let object = self.object(&spec.stored(), Side::Source)?;
        let found = self.ask(Side::Source, &spec.image.remote, || object.look()).await?;
        Ok(found.map_or(Found::Nothing, Found::Object))
    }

    /// Follows a store until it ends.
    async fn wait_for_store(
        &self,
        spec: &StoreSpec,
        images: &Images,
        asked: Option<StoreAsked>,
    ) -> Result<Job, Fault> {
        let (since, mut seen_at) = (Instant::now(), Instant::now());
        loop {
            match self.find_store(spec, images, asked).await? {
                (Found::InProgress(task), _) => {
                    seen_at = Instant::now();
                    self.handle.live.at_percent(Some(task.percent));
                }
                (Found::Object(object), _) => return self.take_object(spec, object, asked).await,
                (Found::Failed(reason), _) => return self.store_failed(spec, &reason).await,
                (Found::Nothing, _) if seen_at.elapsed() > 2 * SEEN_AFTER => {
                    let reason =
                        "EC2 took the request, and neither its task nor its object is seen";
                    return Err(Fault::failed(of(spec, FailureClass::Transient, reason, "retry")));
                }
                (Found::Nothing, _) => {}
            }
            self.look_again(since).await?;
        }
    }

    /// The object is there: what EC2 wrote for this job, or what it may use.
    async fn take_object(
        &self,
        spec: &StoreSpec,
        object: Existing,
        asked: Option<StoreAsked>,
    ) -> Result<Job, Fault> {
        let reused = asked.is_none();
        if reused && !spec.reuse_stored {
            return Err(Fault::failed(stands_already(spec, "stands in")));
        }
        self.handle.live.at_percent(None);
        let Existing { size, etag, version_id, .. } = object;
        self.note(ImageFact::Stored(StoredObject { size, etag, version_id, reused })).await
    }

    async fn store_failed(&self, spec: &StoreSpec, reason: &str) -> Result<Job, Fault> {
        self.handle.live.at_percent(None);
        self.note(ImageFact::StoreFailed).await?;
        let reason = if reason.is_empty() { "EC2 gives no reason" } else { reason };
        let reason = format!("the store task failed: {reason}");
        let remedy = "see to the cause and retry: it is stored anew";
        Err(Fault::failed(of(spec, FailureClass::Permanent, &reason, remedy)))
    }
}

/// A copy of the image is there, or is about to be, and was not to be taken.
pub(in crate::pipeline) fn stands_already(spec: &StoreSpec, stands: &str) -> Failure {
    let reason = format!("a copy of it {stands} {} already", spec.stored());
    at(spec, refused(reason, "submit it with --reuse-stored to take that, or delete it"))
}

fn of(spec: &StoreSpec, class: FailureClass, reason: &str, remedy: &str) -> Failure {
    at(spec, Failure::new(class, reason, remedy))
}

fn at(spec: &StoreSpec, failure: Failure) -> Failure {
    let failure = failure.on(Side::Source, Some(spec.image.remote.clone()));
    failure.at("ec2:CreateStoreImageTask", spec.image.image.as_str())
}
