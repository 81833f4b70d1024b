//! The SSM parameter that names the new image.
//!
//! SSM answers before it validates that the image exists and can be launched: an alias is written once a read
//! gives the value with the version that was answered.
//! <https://docs.aws.amazon.com/systems-manager/latest/userguide/parameter-store-ec2-aliases.html>

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::{Road, SEEN_AFTER, restore_of, seen_by, unfit, work};
use crate::base::Backoff;
use crate::image::{Error, Images, Parameter};
use crate::model::{AliasAsked, Failure, FailureClass, ImageFact, Job, RestoreSpec, Side};
use crate::remote::Remote;
use crate::transfer::Fault;
use crate::transfer::retry::Budget;

/// How long SSM may take to validate a value.
const VALIDATED_AFTER: Duration = Duration::from_secs(180);
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// Requests whose answers may be lost.
const ASKED_MAX: u32 = 100;

impl Road<'_> {
    /// Has the alias name the new image.
    pub(super) async fn alias(&self, job: Job) -> Result<Job, Fault> {
        let spec = restore_of(&job)?;
        let name = spec.alias.as_deref().ok_or_else(|| unfit("it has no alias"))?;
        let new = work(&job)?.progress.available.as_ref().map(|image| &image.fact.image.id);
        let new = new.ok_or_else(|| unfit("no image is available"))?.as_str();
        let remote = &spec.object.remote;
        let images = self.images(remote, Side::Target)?;
        let asked = work(&job)?.progress.alias_asked.as_ref();
        let mut patience = asked.map_or(Duration::ZERO, |asked| seen_by(asked.at));
        let mut budget = Budget::default();
        for _ in 0..ASKED_MAX {
            let now = self.look_at_alias(&images, name, new, patience).await?;
            let is_there = now.is_some();
            let previous = now.as_ref().map(|now| now.value.clone());
            let named = now.filter(|now| now.value == new);
            self.note(ImageFact::AliasAsked(AliasAsked { previous })).await?;
            if let Some(now) = named {
                // Written before a crash, or by somebody else: it names the image.
                return self.note(ImageFact::Aliased(now.version)).await;
            }
            let put = images.put_parameter(name, new, is_there);
            match self.handle.stop.or_now(put).await? {
                Ok(version) => return self.validated(spec, &images, name, new, version).await,
                Err(error) if error.answer_lost() => {
                    patience = SEEN_AFTER;
                    self.pause(&mut budget, Side::Target, remote, &error).await?;
                }
                // Made since it was looked for: the next look finds it.
                Err(Error::ParameterExists(_)) => patience = SEEN_AFTER,
                Err(error) => self.pause(&mut budget, Side::Target, remote, &error).await?,
            }
        }
        Err(Fault::failed(not_validated(spec, name, new)))
    }

    /// What the alias holds. A value that was asked for may not be seen yet: this looks for it until
    /// `patience` is over.
    async fn look_at_alias(
        &self,
        images: &Images,
        name: &str,
        new: &str,
        patience: Duration,
    ) -> Result<Option<Parameter>, Fault> {
        let (since, remote) = (Instant::now(), images.remote().name());
        loop {
            let now = self.ask(Side::Target, remote, || images.parameter(name)).await?;
            let is_named = now.as_ref().is_some_and(|now| now.value == new);
            if is_named || since.elapsed() >= patience {
                return Ok(now);
            }
            self.handle.stop.or_soon(tokio::time::sleep(LOOK_EVERY)).await?;
        }
    }

    /// Waits until SSM has validated the version that it answered.
    async fn validated(
        &self,
        spec: &RestoreSpec,
        images: &Images,
        name: &str,
        new: &str,
        version: u64,
    ) -> Result<Job, Fault> {
        let (since, remote) = (Instant::now(), images.remote().name());
        loop {
            let now = self.ask(Side::Target, remote, || images.parameter(name)).await?;
            match now {
                Some(now) if now.value == new && now.version >= version => {
                    return self.note(ImageFact::Aliased(now.version)).await;
                }
                Some(now) if now.version > version => {
                    return Err(Fault::failed(overtaken(spec, name, &now)));
                }
                _ if since.elapsed() > VALIDATED_AFTER => {
                    return Err(Fault::failed(not_validated(spec, name, new)));
                }
                _ => self.handle.stop.or_soon(tokio::time::sleep(LOOK_EVERY)).await?,
            }
        }
    }
}

fn overtaken(spec: &RestoreSpec, name: &str, now: &Parameter) -> Failure {
    let reason = format!("somebody else has set it to {} (version {})", now.value, now.version);
    of(spec, name, reason, "retry to have it name the new image, or leave it")
}

fn not_validated(spec: &RestoreSpec, name: &str, image: &str) -> Failure {
    let reason = format!("SSM took {image} and has not validated it");
    of(spec, name, reason, "check that the parameter's data type is aws:ec2:image, and retry")
}

fn of(spec: &RestoreSpec, name: &str, reason: String, remedy: &str) -> Failure {
    let failure = Failure::new(FailureClass::Permanent, reason, remedy);
    failure.on(Side::Target, Some(spec.object.remote.clone())).at("ssm:PutParameter", name)
}

/// Puts the value back that the alias of `job` had before; gives its version. Where it has that value already,
/// nothing is changed.
///
/// # Errors
/// Where it names neither the job's image nor what it had before, or had no value before, or SSM refuses.
pub async fn roll_back(remote: Arc<Remote>, job: &Job) -> Result<u64, Failure> {
    let refused =
        |reason: String, remedy: &str| Failure::new(FailureClass::Permanent, reason, remedy);
    let image = job.image.as_deref();
    let spec = image.and_then(|image| image.spec.restore.as_ref());
    let (Some(image), Some(spec)) = (image, spec) else {
        return Err(refused("the job has made no image".to_owned(), ""));
    };
    let progress = &image.progress;
    let (Some(name), Some(_), Some(asked)) = (&spec.alias, progress.aliased, &progress.alias_asked)
    else {
        return Err(refused("the job has written no alias".to_owned(), ""));
    };
    let new = progress.restoring.as_ref().map(|id| id.as_str()).unwrap_or_default();
    let Some(previous) = &asked.fact.previous else {
        let reason = format!("there was no {name} before the job");
        let remedy = format!("delete it: aws ssm delete-parameter --name {name}");
        return Err(of(spec, name, reason, &remedy));
    };
    let images = Images::new(remote);
    let told = |error: Error| error.to_failure(Side::Target);
    let now = images.parameter(name).await.map_err(told)?;
    let (holds, held) = now.map(|now| (now.value, now.version)).unwrap_or_default();
    if holds == *previous {
        // Put back before, by a request whose end was not seen, or by somebody else.
        return Ok(held);
    }
    if holds != *new {
        let reason = format!("it names {holds} now, and not the job's image {new}");
        return Err(of(
            spec,
            name,
            reason,
            "nothing is changed: set it by hand where that is meant",
        ));
    }
    let version = images.put_parameter(name, previous, true).await.map_err(told)?;
    if is_seen(&images, name, previous, version).await.map_err(told)? {
        return Ok(version);
    }
    Err(not_validated(spec, name, previous))
}

/// Whether a read gives `value`, with this version or a later one, in the time that SSM has to validate it. A
/// read that fails for now is not the end: what was put may hold all the same.
async fn is_seen(images: &Images, name: &str, value: &str, version: u64) -> Result<bool, Error> {
    let (since, mut failures) = (Instant::now(), 0);
    while since.elapsed() < VALIDATED_AFTER {
        let pause = match images.parameter(name).await {
            Ok(Some(now)) if now.value == value && now.version >= version => return Ok(true),
            Ok(_) => LOOK_EVERY,
            Err(error) => match error.class() {
                FailureClass::Transient | FailureClass::Throttled => {
                    tracing::info!(%error, name, "looking at the alias again");
                    failures += 1;
                    Backoff::REQUEST.delay(failures).max(LOOK_EVERY)
                }
                FailureClass::Permanent | FailureClass::Credentials | FailureClass::Corrupt => {
                    return Err(error);
                }
            },
        };
        tokio::time::sleep(pause).await;
    }
    Ok(false)
}
