//! Whether all of the road is open to an image, before anything is begun.
//!
//! What is refused here would be refused by EC2 hours later, or taken by it for something else.

use super::{Road, Side, refused, restore_of, store_of, work};
use crate::blob::{self, Existing};
use crate::image::{By, Images, Snapshot, SnapshotState};
use crate::model::{
    Failure, Image, ImageFact, ImageState, Job, ObjectAddress, RemoteName, RestoreSpec, StoreSpec,
    StoredObject,
};
use crate::transfer::Fault;

impl Road<'_> {
    /// Looks at the image and at both ends of its road.
    pub(super) async fn describe(&self, job: &Job) -> Result<Job, Fault> {
        let spec = store_of(job)?;
        let remote = &spec.image.remote;
        let images = self.images(remote, Side::Source)?;
        let id = spec.image.image.as_str();
        let found = self.ask(Side::Source, remote, || images.image(id)).await?;
        let image = found.ok_or_else(|| Fault::failed(no_such_image(spec)))?;
        self.check_image(spec, &image)?;
        self.check_snapshots(spec, &images, &image).await?;
        self.check_bucket(Side::Source, remote, &spec.bucket).await?;
        if let Some(restore) = &work(job)?.spec.restore {
            let remote = &restore.object.remote;
            self.check_bucket(Side::Target, remote, &restore.object.bucket).await?;
            let name = restore.name.as_deref().unwrap_or(&image.name);
            self.check_name(job, remote, name).await?;
            self.check_encryption(restore).await?;
        }
        self.note(ImageFact::Described(Box::new(image))).await
    }

    fn check_image(&self, spec: &StoreSpec, image: &Image) -> Result<(), Fault> {
        let remote = self.pipeline.remote(&spec.image.remote, Side::Source);
        let remote = remote.map_err(|failure| Fault::failed(*failure))?;
        let max = self.pipeline.quotas.limits(&spec.image.remote).map(|l| l.image_size_gb);
        let account = remote.identity().account;
        let why = unfit_to_store(image, max, account.as_deref());
        why.map_or(Ok(()), |(reason, remedy)| Err(Fault::failed(of(spec, reason, remedy))))
    }

    /// EC2 reads them for as long as the store takes.
    async fn check_snapshots(
        &self,
        spec: &StoreSpec,
        images: &Images,
        image: &Image,
    ) -> Result<(), Fault> {
        let ids: Vec<String> = image.snapshots().map(str::to_owned).collect();
        let remote = &spec.image.remote;
        let snapshots = self.ask(Side::Source, remote, || images.snapshots(&ids)).await?;
        for snapshot in &snapshots {
            if let Some((reason, remedy)) = unfit_snapshot(snapshot, spec.allow_decrypted) {
                return Err(Fault::failed(of(spec, reason, remedy)));
            }
        }
        Ok(())
    }

    /// EC2 stores in, and restores from, buckets of its own Region alone.
    async fn check_bucket(
        &self,
        side: Side,
        remote: &RemoteName,
        bucket: &str,
    ) -> Result<(), Fault> {
        let known =
            self.pipeline.remote(remote, side).map_err(|failure| Fault::failed(*failure))?;
        let known = known.of(&self.handle.share);
        let find = || blob::bucket_region(std::sync::Arc::clone(&known), bucket);
        let region = self.ask(side, remote, find).await?;
        if region.as_deref().is_none_or(|region| region == known.region()) {
            return Ok(());
        }
        let region = region.unwrap_or_default();
        let (reason, remedy) = bucket_elsewhere(bucket, &region, known.region());
        let failure = refused(reason, remedy);
        Err(Fault::failed(failure.on(side, Some(remote.clone())).at("s3:ListBucket", bucket)))
    }

    /// A name is an image's own in its account and Region.
    async fn check_name(&self, job: &Job, remote: &RemoteName, name: &str) -> Result<(), Fault> {
        let images = self.images(remote, Side::Target)?;
        let named = self.ask(Side::Target, remote, || images.find_images(By::Name(name))).await?;
        let own = job.id.to_string();
        let foreign = |image: &&Image| image.tags.get(super::JOB_TAG) != Some(&own);
        match named.iter().find(foreign) {
            None => Ok(()),
            Some(image) => Err(Fault::failed(name_taken(remote, name, image))),
        }
    }

    /// What the account's default would leave unencrypted is better not restored at all.
    async fn check_encryption(&self, spec: &RestoreSpec) -> Result<(), Fault> {
        if !spec.require_encryption {
            return Ok(());
        }
        let remote = &spec.object.remote;
        let images = self.images(remote, Side::Target)?;
        if self.ask(Side::Target, remote, || images.encrypts_by_default()).await? {
            return Ok(());
        }
        let at = unencrypted().at("ec2:GetEbsEncryptionByDefault", images.remote().region());
        Err(Fault::failed(at.on(Side::Target, Some(remote.clone()))))
    }

    /// What a restore alone can be told early.
    pub(super) async fn describe_restore(&self, job: &Job) -> Result<Job, Fault> {
        let spec = restore_of(job)?;
        let remote = &spec.object.remote;
        let object = self.object(&spec.object, Side::Target)?;
        let found = self.ask(Side::Target, remote, || object.look()).await?;
        let Some(found) = found else {
            let failure = refused("no such object", "name an object that EC2 stored");
            let failure = failure.on(Side::Target, Some(remote.clone()));
            return Err(Fault::failed(failure.at("s3:GetObject", spec.object.resource())));
        };
        self.check_bucket(Side::Target, remote, &spec.object.bucket).await?;
        if let Some(name) = &spec.name {
            self.check_name(job, remote, name).await?;
        }
        self.check_encryption(spec).await?;
        if let Some(stored) = &work(job)?.progress.stored {
            is_same(&spec.object, &stored.fact.etag, Some(&found))?;
            return Ok(job.clone());
        }
        let Existing { size, etag, version_id, .. } = found;
        let stored = StoredObject { size, etag, version_id, reused: true };
        self.note(ImageFact::Stored(stored)).await
    }

    /// Whether the object is the one yet that was looked at or proven, hours ago perhaps. EC2 takes a key and no
    /// version: right before each request this leaves the time of one request in which it may be replaced.
    pub(super) async fn check_object(
        &self,
        address: &ObjectAddress,
        etag: &str,
    ) -> Result<(), Fault> {
        let object = self.object(address, Side::Target)?;
        let found = self.ask(Side::Target, &address.remote, || object.look()).await?;
        is_same(address, etag, found.as_ref())
    }
}

/// # Errors
/// Where the object is gone, or has another ETag than this one. An empty one tells nothing.
fn is_same(address: &ObjectAddress, etag: &str, found: Option<&Existing>) -> Result<(), Fault> {
    let reason = match found {
        Some(found) if etag.is_empty() || found.etag == etag => return Ok(()),
        Some(found) => {
            format!("the object is another one now: its ETag was {etag}, and is {}", found.etag)
        }
        None => "the object is gone".to_owned(),
    };
    let failure = refused(reason, "submit it anew where what stands there is meant");
    let failure = failure.on(Side::Target, Some(address.remote.clone()));
    Err(Fault::failed(failure.at("s3:GetObject", address.resource())))
}

/// EC2 in `own` and a bucket in `region`: why that is none for it, and what to do.
pub(in crate::pipeline) fn bucket_elsewhere(
    bucket: &str,
    region: &str,
    own: &str,
) -> (String, String) {
    let reason = format!(
        "the bucket {bucket} is in {region}, and EC2 in {own} reaches buckets of its own Region alone"
    );
    (reason, format!("name a bucket in {own}"))
}

/// Encryption is required, and would not be had.
pub(in crate::pipeline) fn unencrypted() -> Failure {
    refused(
        "encryption is required, and the account does not encrypt new snapshots by default",
        "turn on EBS encryption by default in the target's account and Region, and retry",
    )
}

/// The name is another image's.
pub(in crate::pipeline) fn name_taken(remote: &RemoteName, name: &str, image: &Image) -> Failure {
    let reason = format!("{} has the name '{name}' there already", image.id);
    let failure = refused(reason, "give another --name, or rename or deregister that image");
    failure.on(Side::Target, Some(remote.clone())).at("ec2:CreateRestoreImageTask", name)
}

pub(in crate::pipeline) fn no_such_image(spec: &StoreSpec) -> Failure {
    let remedy =
        "check the id, and that it is of the remote's Region and account or shared with it";
    of(spec, "the account sees no such image".to_owned(), remedy)
}

fn of(spec: &StoreSpec, reason: String, remedy: &str) -> Failure {
    let failure = refused(reason, remedy);
    failure
        .on(Side::Source, Some(spec.image.remote.clone()))
        .at("ec2:CreateStoreImageTask", spec.image.image.as_str())
}

/// Why EC2 does not store this image, and what to do; `None` where it does.
/// <https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/ami-store-restore.html>
pub(in crate::pipeline) fn unfit_to_store(
    image: &Image,
    size_max: Option<u64>,
    account: Option<&str>,
) -> Option<(String, &'static str)> {
    let gib = image.gib();
    if image.root_device_type.as_deref().is_some_and(|kind| kind != "ebs") {
        return Some((
            "it is backed by an instance store: EC2 stores EBS-backed images alone".to_owned(),
            "make an EBS-backed image of it first",
        ));
    }
    if image.traits.virtualization.as_deref() == Some("paravirtual") {
        return Some((
            "it is paravirtual: EC2 stores HVM images alone".to_owned(),
            "make an HVM image of it first",
        ));
    }
    if image.state != ImageState::Available {
        return Some((
            format!("it is not available: {}", told(image)),
            "wait until it is, or enable it, and retry",
        ));
    }
    if image.is_public && account.is_some_and(|account| account != image.owner) {
        return Some((
            format!("it is public and belongs to {}, not to this account", image.owner),
            "copy it into the account first, or have its owner share it directly",
        ));
    }
    if size_max.is_some_and(|max| gib > max) {
        let max = size_max.unwrap_or_default();
        return Some((
            format!("its volumes have {gib} GB together, and image_size_gb is {max}"),
            "make it smaller, or raise image_size_gb where AWS has raised the quota",
        ));
    }
    None
}

fn told(image: &Image) -> String {
    let state = match &image.state {
        ImageState::Pending => "pending",
        ImageState::Available => "available",
        ImageState::Disabled => "disabled",
        ImageState::Deregistered => "deregistered",
        ImageState::Failed => "failed",
        ImageState::Other(word) => word,
    };
    match &image.state_reason {
        Some(reason) => format!("{state} ({reason})"),
        None => state.to_owned(),
    }
}

/// Why the image is not to be stored for this snapshot of it, and what to do; `None` where it may be.
pub(in crate::pipeline) fn unfit_snapshot(
    snapshot: &Snapshot,
    allow_decrypted: bool,
) -> Option<(String, &'static str)> {
    let id = &snapshot.id;
    match &snapshot.state {
        SnapshotState::Completed => {}
        SnapshotState::Pending => {
            return Some((format!("its snapshot {id} is pending"), "wait until it is, and retry"));
        }
        SnapshotState::Failed => {
            return Some((format!("its snapshot {id} has failed"), "make the image anew"));
        }
        SnapshotState::Other(word) => {
            return Some((
                format!("its snapshot {id} is {word}"),
                "get it back from the Recycle Bin, and retry",
            ));
        }
    }
    (snapshot.encrypted && !allow_decrypted).then(|| {
        (
            format!(
                "its snapshot {id} is encrypted, and the object that EC2 stores holds it decrypted: \
                 the buckets' own encryption is then all that protects it"
            ),
            "submit it with --allow-decrypted where that is meant",
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::image::tests::image as example;

    fn image() -> Image {
        example("ami-0123456789abcdef0")
    }

    #[test]
    fn what_ec2_would_not_store_is_refused_with_a_reason() {
        let why = |image: &Image| {
            unfit_to_store(image, Some(8), Some("111122223333")).map(|(reason, _)| reason)
        };
        assert_eq!(why(&image()), None);
        let of = |change: fn(&mut Image)| {
            let mut image = image();
            change(&mut image);
            why(&image).unwrap_or_default()
        };
        for (change, reason) in [
            (
                (|i| i.root_device_type = Some("instance-store".into())) as fn(&mut Image),
                "instance",
            ),
            (|i| i.traits.virtualization = Some("paravirtual".into()), "paravirtual"),
            (|i| i.state = ImageState::Disabled, "not available: disabled"),
            (|i| (i.is_public, i.owner) = (true, "999988887777".into()), "999988887777"),
            (|i| i.devices.push(i.devices[0].clone()), "16 GB together"),
        ] {
            assert!(of(change).contains(reason), "{reason}: {}", of(change));
        }
        let mut shared = image();
        shared.owner = "999988887777".into();
        assert_eq!(why(&shared), None, "shared directly");
    }

    #[test]
    fn an_encrypted_snapshot_needs_a_word_that_it_may_be_decrypted() {
        let snapshot = Snapshot {
            id: "snap-1".to_owned(),
            state: SnapshotState::Completed,
            state_message: None,
            percent: None,
            gib: None,
            encrypted: true,
            kms_key: None,
            owner: "111122223333".to_owned(),
            description: None,
            started_at: None,
            tags: Default::default(),
        };
        assert!(unfit_snapshot(&snapshot, true).is_none());
        let (reason, remedy) = unfit_snapshot(&snapshot, false).expect("refused");
        assert!(reason.contains("decrypted") && remedy.contains("--allow-decrypted"), "{reason}");
        let recycled = Snapshot { state: SnapshotState::Other("recoverable".into()), ..snapshot };
        assert!(unfit_snapshot(&recycled, true).is_some());
    }
}
