//! What a job would need, tried beforehand: nothing that lasts is changed.
//!
//! Each thing is tried by the very request that the job will send, where that changes nothing; else by EC2's
//! rehearsal, or by an upload of a few bytes that is aborted. What cannot be tried is said. Beside it stands the
//! least that both identities have to be allowed, whatever came of the checks.
//!
//! # Invariants
//! - Both sides are tried at once, and it ends within [`PATIENCE`] and the time of an abort.
//! - An upload that was begun is aborted, also when whoever asked is gone by then.
//! - A check that warns or failed says what to do.

mod bucket;
#[cfg(feature = "image")]
mod image;
mod object;
mod policy;
mod report;
mod side;

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use self::object::Reader;
use self::policy::Party;
use self::report::{Halted, Report};
use super::Pipeline;
use crate::blob::S3Target;
use crate::model::{
    Address, Check, Image, ImageSpec, ObjectAddress, Policy, PresignedUrl, RemoteName, RestoreSpec,
    Side, StoreSpec, Submission, TransferSpec,
};
use crate::remote::Remote;

/// From then on nothing is asked any more.
const PATIENCE: Duration = Duration::from_secs(45);
/// What a source without a remote is called.
const PRESIGNED: &str = "presigned";

/// What is tried of one side.
#[derive(Clone, Copy)]
struct Asked<'a> {
    submission: &'a Submission,
    /// The image that is stored, where it was found.
    image: Option<&'a Image>,
}

impl<'a> Asked<'a> {
    fn spec(&self) -> Option<&'a TransferSpec> {
        self.submission.spec.as_ref()
    }

    fn job(&self) -> Option<&'a ImageSpec> {
        self.submission.image.as_ref()
    }

    fn store(&self) -> Option<&'a StoreSpec> {
        self.job()?.store.as_ref()
    }

    fn restore(&self) -> Option<&'a RestoreSpec> {
        self.job()?.restore.as_ref()
    }

    /// What EC2 puts into an object is decrypted.
    fn holds_encrypted(&self) -> bool {
        let volumes = self.image.into_iter().flat_map(|image| &image.devices);
        volumes.filter_map(|device| device.volume.as_ref()).any(|v| v.encrypted == Some(true))
    }
}

impl Pipeline {
    /// Tries what the job would need on both sides, and tells the least that it has to be allowed.
    pub async fn preflight(&self, submission: &Submission) -> (Vec<Check>, Vec<Policy>) {
        let until = Instant::now() + PATIENCE;
        let image = self.stored_image(submission, until).await;
        let asked = Asked { submission, image: image.as_ref() };
        let (source, target) =
            Box::pin(async { tokio::join!(self.source(asked, until), self.target(asked, until)) })
                .await;
        let mut checks = Vec::new();
        let (mut from, mut to) = (None, None);
        for (report, found) in source.into_iter().chain(target) {
            match report.side() {
                Side::Source => from = self.party(found),
                Side::Target => to = self.party(found),
            }
            checks.extend(report.into_checks());
        }
        (checks, policy::of(submission, from.as_ref(), to.as_ref()))
    }

    fn party(&self, found: Found) -> Option<Party> {
        let remote = self.remotes.get(&found.remote?)?;
        Some(Party {
            remote: remote.name().clone(),
            partition: remote.partition().to_owned(),
            region: remote.region().to_owned(),
            account: remote.identity().account,
            bucket_keys: found.bucket_keys,
            snapshot_keys: found.snapshot_keys,
            default_key: found.default_key,
        })
    }

    /// The image that the job stores, which both sides are asked about.
    #[cfg(feature = "image")]
    async fn stored_image(&self, submission: &Submission, until: Instant) -> Option<Image> {
        let store = submission.image.as_ref()?.store.as_ref()?;
        let remote = self.remotes.get(&store.image.remote)?;
        if remote.barred().is_some() {
            // STS may have an answer by now. Whether it has, the check of the identity says.
            let _ = tokio::time::timeout_at(until, remote.check_identity()).await;
        }
        let images = crate::image::Images::new(Arc::clone(remote));
        let found = images.image(store.image.image.as_str());
        // Why it cannot be had, the check of the image says.
        tokio::time::timeout_at(until, found).await.ok()?.ok()?
    }

    #[cfg(not(feature = "image"))]
    async fn stored_image(&self, _: &Submission, _: Instant) -> Option<Image> {
        None
    }

    async fn source(&self, asked: Asked<'_>, until: Instant) -> Option<(Report, Found)> {
        if let Some(store) = asked.store() {
            let name = &store.image.remote;
            return Some(
                self.side(Side::Source, name, until, async |report, remote, found| {
                    self.try_store(report, remote, found, asked, store).await
                })
                .await,
            );
        }
        match &asked.spec()?.source {
            Address::Object(address) => {
                let name = &address.remote;
                Some(
                    self.side(Side::Source, name, until, async |report, remote, found| {
                        self.try_source(report, remote, found, address).await
                    })
                    .await,
                )
            }
            Address::Presigned(url) => self.presigned_source(url, until).await,
        }
    }

    async fn target(&self, asked: Asked<'_>, until: Instant) -> Option<(Report, Found)> {
        let carried = asked.spec().map(|spec| &spec.target.remote);
        let name = carried.or_else(|| asked.restore().map(|restore| &restore.object.remote))?;
        Some(
            self.side(Side::Target, name, until, async |report, remote, found| {
                if let Some(spec) = asked.spec() {
                    self.try_target(report, remote, found, asked, spec).await?;
                }
                match asked.restore() {
                    Some(restore) => self.try_restore(report, remote, found, asked, restore).await,
                    None => Ok(()),
                }
            })
            .await,
        )
    }

    /// Who the remote is, then `rest`, then its clock.
    async fn side(
        &self,
        side: Side,
        name: &RemoteName,
        until: Instant,
        rest: impl AsyncFnOnce(&mut Report, &Arc<Remote>, &mut Found) -> Result<(), Halted>,
    ) -> (Report, Found) {
        let mut report = Report::new(side, name.clone(), until);
        let mut found = Found { remote: Some(name.clone()), ..Found::default() };
        let remote = match self.remote(name, side) {
            Ok(remote) => remote,
            Err(failure) => {
                report.failed("identity", failure.reason, failure.remedy);
                return (report, found);
            }
        };
        let tried = match side::identity(&mut report, remote).await {
            Ok(()) => rest(&mut report, remote, &mut found).await,
            halted => halted,
        };
        if tried.is_err() {
            report.skipped("the rest", "not tried, for what failed above", "");
        }
        side::clock(&mut report, remote);
        (report, found)
    }

    /// An object that is read at a remote.
    async fn try_source(
        &self,
        report: &mut Report,
        remote: &Arc<Remote>,
        found: &mut Found,
        address: &ObjectAddress,
    ) -> Result<(), Halted> {
        bucket::region(report, remote, address, false).await?;
        object::read(report, remote, address, Reader::Transfer).await?;
        bucket::encryption_key(report, remote, address, found).await
    }

    async fn presigned_source(
        &self,
        url: &PresignedUrl,
        until: Instant,
    ) -> Option<(Report, Found)> {
        let mut report = Report::new(Side::Source, PRESIGNED.parse().ok()?, until);
        let (pace, observer) = (Arc::clone(&self.presigned), Arc::clone(&self.observer));
        let read = object::read_presigned(&mut report, url, pace, observer, &self.egress);
        if read.await.is_err() {
            report.skipped("the rest", "not tried, for what failed above", "");
        }
        Some((report, Found::default()))
    }

    /// A key that is written, and the bucket around it.
    async fn try_target(
        &self,
        report: &mut Report,
        remote: &Arc<Remote>,
        found: &mut Found,
        asked: Asked<'_>,
        spec: &TransferSpec,
    ) -> Result<(), Halted> {
        let address = &spec.target;
        let target = S3Target::new(Arc::clone(remote), address.clone());
        bucket::region(report, remote, address, asked.restore().is_some()).await?;
        object::look(report, &target, spec).await?;
        object::list_uploads(report, &target).await?;
        let attributes = object::attributes(spec);
        let upload = object::Upload { attributes, lists_parts: true, name: "upload" };
        object::upload(report, &self.ledger, &target, upload).await?;
        bucket::settings(report, remote, address, bucket::Holds::of(asked, spec), found).await
    }
}

/// What a side was found to be, for its policy.
#[derive(Debug, Default)]
struct Found {
    /// `None` for a presigned source.
    remote: Option<RemoteName>,
    /// The ARNs of the keys that its buckets encrypt by.
    bucket_keys: Vec<String>,
    /// The ARNs of the keys of the snapshots that are stored.
    snapshot_keys: Vec<String>,
    /// The key that restored snapshots are encrypted by, where the account chose one.
    default_key: Option<String>,
}

#[cfg(not(feature = "image"))]
impl Pipeline {
    async fn try_store(
        &self,
        report: &mut Report,
        _: &Arc<Remote>,
        _: &mut Found,
        _: Asked<'_>,
        _: &StoreSpec,
    ) -> Result<(), Halted> {
        without_images(report)
    }

    async fn try_restore(
        &self,
        report: &mut Report,
        _: &Arc<Remote>,
        _: &mut Found,
        _: Asked<'_>,
        _: &RestoreSpec,
    ) -> Result<(), Halted> {
        without_images(report)
    }
}

#[cfg(not(feature = "image"))]
fn without_images(report: &mut Report) -> Result<(), Halted> {
    let remedy = "run one that is built with the feature `image`";
    report.failed("image jobs", "this daemon is built without image jobs", remedy);
    Ok(())
}
