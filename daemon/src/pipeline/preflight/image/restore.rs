//! An object that becomes an image: whether EC2 would, under which name, and what SSM says of its alias.

use std::sync::Arc;

use super::{
    Asked, Found, Halted, Images, Pipeline, QuotaKind, Report, blocks, bucket, not_deleted, object,
    rehearsed,
};
use crate::image::{self, By, Registration};
use crate::model::{Device, Failure, Image, ImageWork, RestoreSpec, Side, Tags, Volume};
use crate::pipeline::preflight::object::Reader;
use crate::pipeline::preflight::report::Trouble;
use crate::pipeline::road;
use crate::remote::Remote;

/// What an identity needs on the key that new snapshots are encrypted by.
const KEY_RIGHTS: &str = "kms:CreateGrant, kms:Decrypt, kms:DescribeKey, kms:GenerateDataKeyWithoutPlaintext and \
                          kms:ReEncrypt*";

impl Pipeline {
    /// An object that becomes an image, its name and its alias.
    pub(in super::super) async fn try_restore(
        &self,
        report: &mut Report,
        remote: &Arc<Remote>,
        found: &mut Found,
        asked: Asked<'_>,
        restore: &RestoreSpec,
    ) -> Result<(), Halted> {
        let images = Images::new(Arc::clone(remote));
        let object = &restore.object;
        if asked.spec().is_none() {
            bucket::region(report, remote, object, true).await?;
            object::read(report, remote, object, Reader::Ec2).await?;
            bucket::encryption_key(report, remote, object, found).await?;
        }
        let name = restore.name.as_deref().or(asked.image.map(|image| image.name.as_str()));
        name_free(report, &images, name).await?;
        let tags = tags(asked);
        let may = || images.may_restore(&object.bucket, &object.key, name, &tags);
        rehearsed(report, "restore", "EC2 would begin it, with the tags", may).await?;
        encryption_by_default(report, &images, found, asked, restore).await?;
        self.quota(report, &images, QuotaKind::Restore, 0);
        blocks(report, "ebs:StartSnapshot, ebs:PutSnapshotBlock and ebs:CompleteSnapshot");
        if let Some(image) = asked.image.filter(|_| restore.repair) {
            repair(report, &images, image, name).await?;
        }
        if let Some(name) = &restore.alias {
            alias(report, &images, name).await?;
        }
        if restore.deprecate_after.is_some() {
            let detail = "it cannot be tried before there is the new image";
            report.skipped("deprecate", detail, "see that ec2:EnableImageDeprecation is allowed");
        }
        if asked.job().is_some_and(|image| image.clean_up_landed) {
            not_deleted(report);
        }
        Ok(())
    }
}

async fn name_free(report: &mut Report, images: &Images, name: Option<&str>) -> Result<(), Halted> {
    const NAME: &str = "name";
    let Some(name) = name else {
        let detail = "it is that of the image that was stored, which EC2 alone reads of the object";
        report.skipped(NAME, detail, "give a --name to have it looked for");
        return Ok(());
    };
    match report.ask(|| images.find_images(By::Name(name))).await {
        Ok(named) => match named.first() {
            None => report.passed(NAME, format!("no image is named '{name}'")),
            Some(image) => {
                let taken = road::name_taken(images.remote().name(), name, image);
                report.failed(NAME, taken.reason, taken.remedy);
            }
        },
        Err(trouble) => report.refused(NAME, &trouble.told(Side::Target))?,
    }
    Ok(())
}

/// Those that the new image will be made with.
fn tags(asked: Asked<'_>) -> Tags {
    let Some(spec) = asked.job() else { return Tags::new() };
    let mut work = ImageWork::new(spec.clone());
    work.progress.source = asked.image.cloned().map(Box::new);
    let mut tags = work.tags();
    tags.insert(road::JOB_TAG.to_owned(), "preflight".to_owned());
    tags
}

async fn encryption_by_default(
    report: &mut Report,
    images: &Images,
    found: &mut Found,
    asked: Asked<'_>,
    restore: &RestoreSpec,
) -> Result<(), Halted> {
    const NAME: &str = "EBS encryption";
    let is_on = match report.ask(|| images.encrypts_by_default()).await {
        Ok(is_on) => is_on,
        Err(trouble) => return report.refused(NAME, &trouble.told(Side::Target)),
    };
    match (is_on, restore.require_encryption) {
        (true, _) => {
            report.passed(NAME, "the account encrypts new snapshots by default");
            return default_key(report, images, found).await;
        }
        (false, true) => {
            let Failure { reason, remedy, .. } = road::unencrypted();
            report.failed(NAME, reason, remedy);
        }
        (false, false) if asked.holds_encrypted() => report.warning(
            NAME,
            "the image's snapshots are encrypted, and the restored ones would not be",
            "turn on EBS encryption by default in the target's account and Region",
        ),
        (false, false) => {
            report.passed(NAME, "the account does not encrypt new snapshots by default");
        }
    }
    Ok(())
}

/// EC2 encrypts by the account's choice with the rights of who asks, and rehearses none of it.
async fn default_key(
    report: &mut Report,
    images: &Images,
    found: &mut Found,
) -> Result<(), Halted> {
    const NAME: &str = "EBS key";
    match report.ask(|| images.default_key()).await {
        Ok(None) => {
            report.passed(NAME, "new snapshots are encrypted by the account's own key of EBS");
        }
        Ok(Some(key)) => {
            let detail = format!("new snapshots are encrypted by {key}, which cannot be tried");
            let remedy = format!(
                "see that {KEY_RIGHTS} on it are allowed, by its own policy as well: without them the \
                 restore fails at its end"
            );
            report.skipped(NAME, detail, remedy);
            found.default_key = Some(key);
        }
        Err(trouble) => {
            let mut failure = trouble.told(Side::Target);
            if let Trouble::Refused(image::Error::AccessDenied(_)) = &trouble {
                failure.remedy = format!(
                    "{}; where the key is one of yours, also {KEY_RIGHTS} on it, which the printed policy \
                     leaves out",
                    failure.remedy
                );
            }
            return report.unknown(NAME, &failure);
        }
    }
    Ok(())
}

/// A registration cannot be tried on snapshots that are not there yet: on empty volumes it is the same right.
async fn repair(
    report: &mut Report,
    images: &Images,
    image: &Image,
    name: Option<&str>,
) -> Result<(), Halted> {
    const NAME: &str = "repair";
    if image.is_billed() {
        report.warning(
            NAME,
            "registering the image anew would lose what it is billed as: where what it boots by is \
             lost, the job fails",
            "leave --repair out, or make the image anew of an instance",
        );
        return Ok(());
    }
    let empty = |volume: &Volume| Volume { snapshot: None, encrypted: None, ..volume.clone() };
    let devices = image.devices.iter();
    let registration = Registration {
        name: name.unwrap_or(&image.name).to_owned(),
        traits: image.traits.clone(),
        devices: devices
            .map(|device| Device { volume: device.volume.as_ref().map(empty), ..device.clone() })
            .collect(),
        ..Registration::default()
    };
    match report.ask(|| images.may_register(&registration)).await {
        Ok(()) => report.passed(NAME, "EC2 would register the image anew"),
        Err(trouble) => {
            let failure = trouble.told(Side::Target);
            match &trouble {
                Trouble::Refused(image::Error::Refused(_)) => report.skipped(
                    NAME,
                    format!(
                        "it cannot be tried before the snapshots are there: {}",
                        failure.reason
                    ),
                    "see that ec2:RegisterImage is allowed",
                ),
                _ => report.refused(NAME, &failure)?,
            }
        }
    }
    Ok(())
}

async fn alias(report: &mut Report, images: &Images, name: &str) -> Result<(), Halted> {
    const NAME: &str = "alias";
    const IMAGE: &str = "aws:ec2:image";
    match report.ask(|| images.parameter(name)).await {
        Ok(None) => report.passed(NAME, format!("there is no {name} yet: it is to be made")),
        Ok(Some(now)) if now.data_type.is_empty() || now.data_type == IMAGE => {
            report.passed(NAME, format!("{name} holds {}, version {}", now.value, now.version));
        }
        Ok(Some(now)) => report.warning(
            NAME,
            format!("{name} is of the data type {}, which SSM does not validate", now.data_type),
            format!("make it anew with the data type {IMAGE}"),
        ),
        Err(trouble) => report.refused(NAME, &trouble.told(Side::Target))?,
    }
    let detail = "to write it cannot be tried: SSM has no rehearsal";
    report.skipped(
        "alias write",
        detail,
        format!("see that ssm:PutParameter on {name} is allowed"),
    );
    Ok(())
}
