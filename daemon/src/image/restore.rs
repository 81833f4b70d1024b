//! Restore tasks: an image is made of an object. There is no task to describe: the image is the handle.
//!
//! <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateRestoreImageTask.html>

use aws_sdk_ec2::operation::create_restore_image_task::builders::CreateRestoreImageTaskFluentBuilder;
use aws_sdk_ec2::types::{ResourceType, TagSpecification};

use super::{Error, Images, Tags, tags};
use crate::remote::Operation;

const CREATE: Operation = Operation::new("CreateRestoreImageTask", "ec2:CreateRestoreImageTask");
const ENCRYPTION: Operation =
    Operation::new("GetEbsEncryptionByDefault", "ec2:GetEbsEncryptionByDefault");
const KEY: Operation = Operation::new("GetEbsDefaultKmsKeyId", "ec2:GetEbsDefaultKmsKeyId");
/// The account's own key of EBS, which everybody in it may use by EBS.
const OWN_KEY: &str = "alias/aws/ebs";

impl Images {
    /// Begins to restore an image named `name`, or as the stored one was, from the object; gives the image's id, which may not be
    /// found for a moment. The image and its snapshots get these tags.
    ///
    /// # Errors
    /// `Quota`: ask again later. `NameTaken`: it may be that of a restore whose answer was lost. After an
    /// error whose [`Error::answer_lost`] holds, the image may be in the making.
    pub async fn restore(
        &self,
        bucket: &str,
        key: &str,
        name: Option<&str>,
        tags: &Tags,
    ) -> Result<String, Error> {
        let specified = specified(tags);
        let request =
            self.restore_request(bucket, key, name).set_tag_specifications(specified).send();
        let about = format!("{bucket}/{key}");
        let answer = self.call(CREATE, &about, request).await?;
        self.created(CREATE, &about, answer.image_id)
    }

    /// Whether [`Images::restore`] would be permitted, its tags among it. Whether the object may be read, EC2 does not say.
    ///
    /// # Errors
    /// As that.
    pub async fn may_restore(
        &self,
        bucket: &str,
        key: &str,
        name: Option<&str>,
        tags: &Tags,
    ) -> Result<(), Error> {
        let specified = specified(tags);
        let request = self.restore_request(bucket, key, name).dry_run(true);
        let request = request.set_tag_specifications(specified).send();
        self.rehearse(CREATE, &format!("{bucket}/{key}"), request).await
    }

    fn restore_request(
        &self,
        bucket: &str,
        key: &str,
        name: Option<&str>,
    ) -> CreateRestoreImageTaskFluentBuilder {
        let request = self.ec2.create_restore_image_task().bucket(bucket).object_key(key);
        request.set_name(name.map(str::to_owned))
    }

    /// Whether new snapshots of the account and Region are encrypted, restored ones among them.
    ///
    /// # Errors
    /// The faults of a request.
    pub async fn encrypts_by_default(&self) -> Result<bool, Error> {
        let about = self.remote.region();
        let request = self.ec2.get_ebs_encryption_by_default().send();
        let answer = self.call(ENCRYPTION, about, request).await?;
        answer
            .ebs_encryption_by_default
            .ok_or_else(|| self.bad_answer(ENCRYPTION, about, "the answer says neither yes nor no"))
    }

    /// The key that new snapshots are encrypted by, where that is on: its ARN, id or alias; `None` for the
    /// account's own key of EBS.
    /// <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_GetEbsDefaultKmsKeyId.html>
    ///
    /// # Errors
    /// The faults of a request.
    pub async fn default_key(&self) -> Result<Option<String>, Error> {
        let about = self.remote.region();
        let request = self.ec2.get_ebs_default_kms_key_id().send();
        let answer = self.call(KEY, about, request).await?;
        let key = answer.kms_key_id.filter(|key| !key.is_empty());
        let key = key.ok_or_else(|| self.bad_answer(KEY, about, "the answer names no key"))?;
        Ok((!key.ends_with(OWN_KEY)).then_some(key))
    }
}

/// The image and its snapshots get the same.
fn specified(tags: &Tags) -> Option<Vec<TagSpecification>> {
    tags::specified(tags, &[ResourceType::Image, ResourceType::Snapshot])
}
