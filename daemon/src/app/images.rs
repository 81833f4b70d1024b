//! What the control service asks of images.

use std::sync::Arc;
#[cfg(feature = "image")]
use std::time::Duration;

use crate::control::ImagesAsked;
use crate::model::{Failure, FailureClass, Image, Job, RemoteName, Submission};
use crate::pipeline::Remotes;
use crate::remote::Remote;

/// How long somebody waits for a list, or for an alias.
#[cfg(feature = "image")]
const PATIENCE: Duration = Duration::from_secs(240);
/// By what AWS's own endpoints end, in whichever partition.
/// <https://docs.aws.amazon.com/general/latest/gr/rande.html>
const OF_AWS: [&str; 6] = [
    ".amazonaws.com",
    ".amazonaws.com.cn",
    ".amazonaws.eu",
    ".c2s.ic.gov",
    ".sc2s.sgov.gov",
    ".api.aws",
];

/// Whether the remotes of an image job could do their part.
///
/// # Errors
/// One line for a person.
pub(super) fn check(remotes: &Remotes, submission: &Submission) -> Result<(), String> {
    let Some(image) = &submission.image else { return Ok(()) };
    if !cfg!(feature = "image") {
        return Err("this daemon is built without image jobs: run one that is built with the \
                    feature `image`"
            .into());
    }
    let aliased = image.restore.as_ref().filter(|restore| restore.alias.is_some());
    let aliased = aliased.map(|restore| &restore.object.remote);
    for name in [image.source_remote(), image.target_remote()].into_iter().flatten() {
        let Some(remote) = remotes.get(name) else { return Err(unknown(remotes, name)) };
        check_endpoint(remote, "ec2_endpoint", remote.ec2_endpoint())?;
        if aliased == Some(name) {
            check_endpoint(remote, "ssm_endpoint", remote.ssm_endpoint())?;
        }
    }
    Ok(())
}

/// A server that speaks S3 alone has no images, and AWS's EC2 is not to be asked for them instead.
fn check_endpoint(remote: &Remote, key: &str, endpoint: Option<&str>) -> Result<(), String> {
    let is_of_aws = |url: &str| {
        let url = url::Url::parse(url).ok();
        let host = url.as_ref().and_then(url::Url::host_str).unwrap_or_default();
        OF_AWS.iter().any(|suffix| host.ends_with(suffix))
    };
    match (remote.s3_endpoint(), endpoint) {
        (Some(s3), None) if !is_of_aws(s3) => Err(format!(
            "remote '{name}' has the s3_endpoint {s3} and no {key}: an image job would ask AWS \
             itself; set remotes.{name}.{key}",
            name = remote.name()
        )),
        _ => Ok(()),
    }
}

/// A remote that nobody configured.
pub(super) fn unknown(remotes: &Remotes, name: &RemoteName) -> String {
    let known: Vec<_> = remotes.keys().map(RemoteName::as_str).collect();
    format!("there is no remote '{name}': the daemon knows {}", known.join(", "))
}

fn remote<'a>(remotes: &'a Remotes, name: &RemoteName) -> Result<&'a Arc<Remote>, Failure> {
    remotes.get(name).ok_or_else(|| {
        let reason = unknown(remotes, name);
        Failure::new(FailureClass::Permanent, reason, "name a configured one")
    })
}

/// The account's own images that are asked for, newest first.
#[cfg(feature = "image")]
pub(super) async fn list(remotes: &Remotes, asked: &ImagesAsked) -> Result<Vec<Image>, Failure> {
    let images = crate::image::Images::new(Arc::clone(remote(remotes, &asked.remote)?));
    let found = images.matching(asked.name.as_deref(), &asked.tags);
    let found = tokio::time::timeout(PATIENCE, found).await.map_err(|_| too_long())?;
    let mut found = found.map_err(|error| error.to_failure(crate::model::Side::Source))?;
    found.sort_by(|a, b| b.created_at.cmp(&a.created_at).then_with(|| a.id.cmp(&b.id)));
    found.truncate(asked.latest);
    Ok(found)
}

/// Puts the value back that the job's alias had before.
#[cfg(feature = "image")]
pub(super) async fn roll_back_alias(remotes: &Remotes, job: &Job) -> Result<u64, Failure> {
    let restore = job.image.as_ref().and_then(|image| image.spec.restore.as_ref());
    let Some(restore) = restore else {
        return Err(Failure::new(FailureClass::Permanent, "the job has made no image", ""));
    };
    let remote = Arc::clone(remote(remotes, &restore.object.remote)?);
    let rolled_back = crate::pipeline::roll_back_alias(remote, job);
    tokio::time::timeout(PATIENCE, rolled_back).await.map_err(|_| too_long())?
}

#[cfg(feature = "image")]
fn too_long() -> Failure {
    let reason = "the remote does not answer in time";
    Failure::new(FailureClass::Transient, reason, "try again later")
}

#[cfg(not(feature = "image"))]
pub(super) async fn list(remotes: &Remotes, asked: &ImagesAsked) -> Result<Vec<Image>, Failure> {
    remote(remotes, &asked.remote)?;
    Err(without_images())
}

#[cfg(not(feature = "image"))]
pub(super) async fn roll_back_alias(_: &Remotes, _: &Job) -> Result<u64, Failure> {
    Err(without_images())
}

#[cfg(not(feature = "image"))]
fn without_images() -> Failure {
    let remedy = "run one that is built with the feature `image`";
    Failure::new(FailureClass::Permanent, "this daemon is built without image jobs", remedy)
}
