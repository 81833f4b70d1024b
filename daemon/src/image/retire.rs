//! How an image ends: deprecated, disabled, deregistered, and its snapshots deleted along.
//!
//! <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_EnableImageDeprecation.html>,
//! <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DisableImage.html>,
//! <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DeregisterImage.html>

use aws_sdk_ec2::types::{DeleteSnapshotReturnCode, SnapshotReturnCodes};
use aws_smithy_types::DateTime;

use super::{Error, Images};
use crate::model::Timestamp;
use crate::remote::Operation;

const DEPRECATE: Operation = Operation::new("EnableImageDeprecation", "ec2:EnableImageDeprecation");
const DISABLE: Operation = Operation::new("DisableImage", "ec2:DisableImage");
const DEREGISTER: Operation = Operation::new("DeregisterImage", "ec2:DeregisterImage");

/// What EC2 says of one snapshot of a deregistered image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeletedSnapshot {
    /// `snap-…`
    pub snapshot: String,
    pub deletion: Deletion,
}

/// Whether a snapshot was deleted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Deletion {
    Deleted,
    /// Another image stands on it.
    InUse,
    /// `ec2:DeleteSnapshot` is missing.
    NotPermitted,
    /// EC2's word for anything else.
    Failed(String),
}

impl Images {
    /// Deprecates the image from `at` on, in the future; EC2 rounds to the minute.
    ///
    /// # Errors
    /// `NoSuchImage`; the other faults of a request. It can be repeated.
    pub async fn deprecate(&self, image: &str, at: Timestamp) -> Result<(), Error> {
        let at = DateTime::from_millis(i64::try_from(at.0).unwrap_or(i64::MAX));
        let request = self.ec2.enable_image_deprecation().image_id(image).deprecate_at(at).send();
        let answer = self.call(DEPRECATE, image, request).await?;
        self.confirmed(DEPRECATE, image, answer.r#return)
    }

    /// Whether [`Images::deprecate`] would be permitted.
    ///
    /// # Errors
    /// As that.
    pub async fn may_deprecate(&self, image: &str, at: Timestamp) -> Result<(), Error> {
        let at = DateTime::from_millis(i64::try_from(at.0).unwrap_or(i64::MAX));
        let request = self.ec2.enable_image_deprecation().image_id(image).deprecate_at(at);
        self.rehearse(DEPRECATE, image, request.dry_run(true).send()).await
    }

    /// Disables the image: nobody can launch it, and it is shared with nobody any more.
    ///
    /// # Errors
    /// `NoSuchImage`, `WrongState`; the other faults of a request. It can be repeated.
    pub async fn disable(&self, image: &str) -> Result<(), Error> {
        let request = self.ec2.disable_image().image_id(image).send();
        let answer = self.call(DISABLE, image, request).await?;
        self.confirmed(DISABLE, image, answer.r#return)
    }

    /// Whether [`Images::disable`] would be permitted.
    ///
    /// # Errors
    /// As that.
    pub async fn may_disable(&self, image: &str) -> Result<(), Error> {
        let request = self.ec2.disable_image().image_id(image).dry_run(true).send();
        self.rehearse(DISABLE, image, request).await
    }

    /// Deregisters the image, and deletes its snapshots along where `delete_snapshots`; gives what became of
    /// each. The image is gone even where a snapshot is not.
    ///
    /// # Errors
    /// `NoSuchImage`, also where it was done before. After an error whose [`Error::answer_lost`] holds, it may
    /// be gone: what became of its snapshots, they have to be asked themselves.
    pub async fn deregister(
        &self,
        image: &str,
        delete_snapshots: bool,
    ) -> Result<Vec<DeletedSnapshot>, Error> {
        let request = self.ec2.deregister_image().image_id(image);
        let request = request.delete_associated_snapshots(delete_snapshots).send();
        let answer = self.call(DEREGISTER, image, request).await?;
        self.confirmed(DEREGISTER, image, answer.r#return)?;
        let results = answer.delete_snapshot_results.unwrap_or_default();
        Ok(results.into_iter().filter_map(read).collect())
    }

    /// Whether [`Images::deregister`] would be permitted.
    ///
    /// # Errors
    /// As that.
    pub async fn may_deregister(&self, image: &str, delete_snapshots: bool) -> Result<(), Error> {
        let request = self.ec2.deregister_image().image_id(image);
        let request = request.delete_associated_snapshots(delete_snapshots).dry_run(true).send();
        self.rehearse(DEREGISTER, image, request).await
    }
}

fn read(result: DeleteSnapshotReturnCode) -> Option<DeletedSnapshot> {
    let deletion = match result.return_code {
        Some(SnapshotReturnCodes::Success) => Deletion::Deleted,
        Some(SnapshotReturnCodes::WarnSkipped) => Deletion::InUse,
        Some(SnapshotReturnCodes::ErrorMissingPermissions) => Deletion::NotPermitted,
        Some(word) => Deletion::Failed(word.as_str().to_owned()),
        None => Deletion::Failed("no reason given".to_owned()),
    };
    Some(DeletedSnapshot { snapshot: result.snapshot_id?, deletion })
}
