//! An image that is stored: whether EC2 would, from what, and into what.

use std::sync::Arc;

use super::bucket::{self, Holds};
use super::object::{self, Upload};
use super::{
    Asked, Found, Halted, Images, Pipeline, QuotaKind, Report, blocks, not_deleted, rehearsed,
};
use crate::base::clock;
use crate::blob::{Attributes, S3Target};
use crate::image::StoreState;
use crate::model::{Failure, Image, Retire, Side, StoreSpec, Timestamp};
use crate::pipeline::road;
use crate::remote::Remote;

/// Images in progress whose sizes are asked for, one by one.
const SIZES_MAX: usize = 40;
/// EC2 deprecates in the future alone, to the minute.
const DEPRECATE_IN_MILLIS: u64 = 3600 * 1000;

impl Pipeline {
    /// An image that is stored, and the bucket that it is stored in.
    pub(in super::super) async fn try_store(
        &self,
        report: &mut Report,
        remote: &Arc<Remote>,
        found: &mut Found,
        asked: Asked<'_>,
        store: &StoreSpec,
    ) -> Result<(), Halted> {
        let images = Images::new(Arc::clone(remote));
        let (id, stored) = (store.image.image.as_str(), store.stored());
        bucket::region(report, remote, &stored, true).await?;
        self.describe(report, &images, found, store).await?;
        let may = || images.may_store(id, &store.bucket);
        rehearsed(report, "store", "EC2 would begin the task", may).await?;
        self.store_quota(report, &images).await?;
        let target = S3Target::new(Arc::clone(remote), stored.clone());
        copy(report, &images, &target, store).await?;
        let attributes = Attributes { tags: store.tags.clone(), ..Attributes::default() };
        // EC2 writes the object with the rights of who asks, and lists no parts.
        let upload = Upload { attributes, lists_parts: false, name: "stored object" };
        object::upload(report, &self.ledger, &target, upload).await?;
        let holds = Holds { decrypted: asked.holds_encrypted(), asked: None };
        bucket::settings(report, remote, &stored, holds, found).await?;
        blocks(report, "ebs:ListSnapshotBlocks, ebs:ListChangedBlocks and ebs:GetSnapshotBlock");
        if asked.job().is_some_and(|image| image.clean_up_stored) {
            not_deleted(report);
        }
        match asked.job().and_then(|image| image.retire_source) {
            Some(how) => retire(report, &images, id, how, asked.image).await,
            None => Ok(()),
        }
    }

    /// The image, and its snapshots.
    async fn describe(
        &self,
        report: &mut Report,
        images: &Images,
        found: &mut Found,
        store: &StoreSpec,
    ) -> Result<(), Halted> {
        const NAME: &str = "image";
        let id = store.image.image.as_str();
        let image = match report.ask(|| images.image(id)).await {
            Ok(Some(image)) => image,
            Ok(None) => return report.refused(NAME, &road::no_such_image(store)),
            Err(trouble) => return report.refused(NAME, &trouble.told(Side::Source)),
        };
        let remote = images.remote();
        let max = self.quotas.limits(remote.name()).map(|limits| limits.image_size_gb);
        let account = remote.identity().account;
        match road::unfit_to_store(&image, max, account.as_deref()) {
            Some((reason, remedy)) => report.failed(NAME, reason, remedy),
            None => report.passed(
                NAME,
                format!("'{}', {} GB in volumes, can be stored", image.name, image.gib()),
            ),
        }
        snapshots(report, images, found, store, &image).await
    }

    /// What is being stored already, whoever asked.
    async fn store_quota(&self, report: &mut Report, images: &Images) -> Result<(), Halted> {
        let tasks = match report.ask(|| images.store_tasks_in_progress()).await {
            Ok(tasks) => tasks,
            Err(trouble) => return report.refused("store quota", &trouble.told(Side::Source)),
        };
        let mut gb = 0;
        for task in tasks.iter().take(SIZES_MAX) {
            // One that is gone, or not to be seen, counts at EC2 alone.
            if let Ok(Some(image)) = report.ask(|| images.image(&task.image)).await {
                gb += image.gib();
            }
        }
        self.quota(report, images, QuotaKind::Store, gb);
        Ok(())
    }
}

async fn snapshots(
    report: &mut Report,
    images: &Images,
    found: &mut Found,
    store: &StoreSpec,
    image: &Image,
) -> Result<(), Halted> {
    const NAME: &str = "snapshots";
    let ids: Vec<String> = image.snapshots().map(str::to_owned).collect();
    if ids.is_empty() {
        report.skipped(NAME, "the image stands on none", "");
        return Ok(());
    }
    let snapshots = match report.ask(|| images.snapshots(&ids)).await {
        Ok(snapshots) => snapshots,
        Err(trouble) => return report.refused(NAME, &trouble.told(Side::Source)),
    };
    let encrypted = snapshots.iter().filter(|snapshot| snapshot.encrypted);
    let keys = encrypted.clone().filter_map(|snapshot| snapshot.kms_key.clone());
    found.snapshot_keys.extend(keys.filter(|key| key.starts_with("arn:")));
    let unfit = |snapshot| road::unfit_snapshot(snapshot, store.allow_decrypted);
    match snapshots.iter().find_map(unfit) {
        Some((reason, remedy)) => report.failed(NAME, reason, remedy),
        None => report.passed(
            NAME,
            format!("{} are complete, {} of them encrypted", snapshots.len(), encrypted.count()),
        ),
    }
    Ok(())
}

/// A copy of the image that stands in the bucket, or is being made there.
async fn copy(
    report: &mut Report,
    images: &Images,
    target: &S3Target,
    store: &StoreSpec,
) -> Result<(), Halted> {
    const NAME: &str = "stored copy";
    let ids = [store.image.image.as_str().to_owned()];
    let tasks = match report.ask(|| images.store_tasks(&ids)).await {
        Ok(tasks) => tasks,
        Err(trouble) => return report.refused(NAME, &trouble.told(Side::Source)),
    };
    let object = match report.ask(|| target.look()).await {
        Ok(object) => object,
        Err(trouble) => return report.refused(NAME, &trouble.told(Side::Source)),
    };
    let is_begun = tasks
        .iter()
        .any(|task| task.bucket == store.bucket && task.state == StoreState::InProgress);
    let stands = match (is_begun, object.is_some()) {
        (true, _) => "is being stored in",
        (false, true) => "stands in",
        (false, false) => {
            report.passed(NAME, format!("none stands at {}", target.address()));
            return Ok(());
        }
    };
    if store.reuse_stored {
        report.passed(
            NAME,
            format!("a copy of it {stands} {} already, and is taken", target.address()),
        );
        return Ok(());
    }
    let Failure { reason, remedy, .. } = road::stands_already(store, stands);
    report.failed(NAME, reason, remedy);
    Ok(())
}

async fn retire(
    report: &mut Report,
    images: &Images,
    id: &str,
    how: Retire,
    image: Option<&Image>,
) -> Result<(), Halted> {
    const NAME: &str = "retire source";
    let at = Timestamp(clock::now().0.saturating_add(DEPRECATE_IN_MILLIS));
    let protection = image.and_then(|image| image.deregistration_protection.as_deref());
    match how {
        Retire::Deprecate => {
            rehearsed(report, NAME, "EC2 would deprecate it", || images.may_deprecate(id, at)).await
        }
        Retire::Disable => {
            rehearsed(report, NAME, "EC2 would disable it", || images.may_disable(id)).await
        }
        Retire::Deregister if protection.is_some_and(|word| word != "disabled") => {
            let detail = "the image has deregistration protection";
            report.failed(NAME, detail, "lift it, or have the image disabled instead");
            Ok(())
        }
        Retire::Deregister => {
            let detail = "EC2 would deregister it and delete its snapshots";
            rehearsed(report, NAME, detail, || images.may_deregister(id, true)).await
        }
    }
}
