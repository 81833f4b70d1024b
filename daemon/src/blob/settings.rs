//! How a bucket is set up, as far as it matters to what is put there: who may see it, what encrypts it, and what
//! its lifecycle rules do to it.
//!
//! A bucket without a setting is none that cannot be read: both are told apart.

use std::sync::Arc;

use aws_sdk_s3::types::{
    ExpirationStatus, LifecycleRule as Rule, PublicAccessBlockConfiguration, ServerSideEncryption,
};
use aws_smithy_types::DateTime;

use super::Error;
use super::call::{Caller, Operation};
use crate::model::{Encryption, ObjectAddress, Timestamp};
use crate::remote::{Remote, timestamp};

const ENCRYPTION: Operation =
    Operation::new("GetBucketEncryption", "s3:GetEncryptionConfiguration");
const PUBLIC_ACCESS: Operation =
    Operation::new("GetPublicAccessBlock", "s3:GetBucketPublicAccessBlock");
const LIFECYCLE: Operation =
    Operation::new("GetBucketLifecycleConfiguration", "s3:GetLifecycleConfiguration");

/// Which public access a bucket blocks.
/// <https://docs.aws.amazon.com/AmazonS3/latest/API/API_PublicAccessBlockConfiguration.html>
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PublicAccessBlock {
    pub block_public_acls: bool,
    pub ignore_public_acls: bool,
    pub block_public_policy: bool,
    pub restrict_public_buckets: bool,
}

/// A lifecycle rule that is in force.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LifecycleRule {
    /// Empty where it has none.
    pub id: String,
    /// Empty: every key.
    pub prefix: String,
    /// Tags or sizes narrow it further.
    pub is_narrowed: bool,
    /// Days after which an upload that is not completed is aborted.
    pub aborts_uploads: Option<u32>,
    /// When an object is deleted.
    pub expires: Option<When>,
    /// When an object goes into another storage class, and into which.
    pub moves: Vec<(When, String)>,
}

/// When a lifecycle rule acts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// So many days after the object was made.
    Days(u32),
    At(Timestamp),
}

/// One bucket.
#[derive(Clone)]
pub struct BucketSettings {
    caller: Caller,
}

impl BucketSettings {
    /// Those of `bucket` at `remote`. Nobody is asked anything yet.
    pub fn new(remote: Arc<Remote>, bucket: &str) -> Self {
        let remote_name = remote.name().clone();
        let address =
            ObjectAddress { remote: remote_name, bucket: bucket.to_owned(), key: String::new() };
        Self { caller: Caller::new(remote, address) }
    }

    /// What objects are encrypted by where a request does not say; `None` where nothing is set.
    ///
    /// # Errors
    /// `AccessDenied`; the other faults of a request.
    pub async fn encryption(&self) -> Result<Option<Encryption>, Error> {
        let request = self.caller.client.get_bucket_encryption().bucket(self.bucket()).send();
        let answer = self.caller.call(ENCRYPTION, request).await;
        let Some(answer) = set(answer, "ServerSideEncryptionConfigurationNotFoundError")? else {
            return Ok(None);
        };
        let rules = answer.server_side_encryption_configuration.map(|found| found.rules);
        let mut rules = rules.unwrap_or_default().into_iter();
        let default = rules.find_map(|rule| rule.apply_server_side_encryption_by_default);
        Ok(default.and_then(|found| encryption(&found.sse_algorithm, found.kms_master_key_id)))
    }

    /// Which public access is blocked; `None` where the bucket says nothing of it. The account may block more.
    ///
    /// # Errors
    /// `AccessDenied`; the other faults of a request.
    pub async fn public_access_block(&self) -> Result<Option<PublicAccessBlock>, Error> {
        let request = self.caller.client.get_public_access_block().bucket(self.bucket()).send();
        let answer = self.caller.call(PUBLIC_ACCESS, request).await;
        let answer = set(answer, "NoSuchPublicAccessBlockConfiguration")?;
        let found = answer.and_then(|answer| answer.public_access_block_configuration);
        Ok(found.as_ref().map(blocks))
    }

    /// The lifecycle rules that are in force.
    ///
    /// # Errors
    /// `AccessDenied`; the other faults of a request.
    pub async fn lifecycle(&self) -> Result<Vec<LifecycleRule>, Error> {
        let client = &self.caller.client;
        let request = client.get_bucket_lifecycle_configuration().bucket(self.bucket()).send();
        let answer = self.caller.call(LIFECYCLE, request).await;
        let answer = set(answer, "NoSuchLifecycleConfiguration")?;
        let rules = answer.and_then(|answer| answer.rules).unwrap_or_default().into_iter();
        Ok(rules.filter(|rule| rule.status == ExpirationStatus::Enabled).map(rule).collect())
    }

    fn bucket(&self) -> &str {
        &self.caller.address.bucket
    }
}

impl std::fmt::Debug for BucketSettings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "BucketSettings({})", self.caller.address)
    }
}

/// An answer, or `None` where by this code there is no such setting.
fn set<T>(answer: Result<T, Error>, unset: &str) -> Result<Option<T>, Error> {
    match answer {
        Ok(answer) => Ok(Some(answer)),
        Err(error) if error.code() == Some(unset) => Ok(None),
        Err(error) => Err(error),
    }
}

/// `None` for what is not known here.
pub(super) fn encryption(
    algorithm: &ServerSideEncryption,
    key_id: Option<String>,
) -> Option<Encryption> {
    match algorithm {
        ServerSideEncryption::Aes256 => Some(Encryption::Aes256),
        ServerSideEncryption::AwsKms => Some(Encryption::Kms { key_id }),
        ServerSideEncryption::AwsKmsDsse => Some(Encryption::KmsDsse { key_id }),
        _ => None,
    }
}

fn blocks(found: &PublicAccessBlockConfiguration) -> PublicAccessBlock {
    PublicAccessBlock {
        block_public_acls: found.block_public_acls.unwrap_or_default(),
        ignore_public_acls: found.ignore_public_acls.unwrap_or_default(),
        block_public_policy: found.block_public_policy.unwrap_or_default(),
        restrict_public_buckets: found.restrict_public_buckets.unwrap_or_default(),
    }
}

fn rule(rule: Rule) -> LifecycleRule {
    // Rules of before 2017 have their prefix beside the filter.
    #[expect(deprecated)]
    let mut prefix = rule.prefix.unwrap_or_default();
    let mut is_narrowed = false;
    if let Some(filter) = rule.filter {
        is_narrowed = filter.tag.is_some()
            || filter.object_size_greater_than.is_some()
            || filter.object_size_less_than.is_some();
        let (mut named, both) = (filter.prefix, filter.and);
        if let Some(both) = both {
            is_narrowed = true;
            named = both.prefix;
        }
        prefix = named.unwrap_or(prefix);
    }
    let aborts = rule.abort_incomplete_multipart_upload;
    let moves = rule.transitions.unwrap_or_default().into_iter();
    LifecycleRule {
        id: rule.id.unwrap_or_default(),
        prefix,
        is_narrowed,
        aborts_uploads: aborts.and_then(|aborts| days(aborts.days_after_initiation)),
        expires: rule.expiration.and_then(|expiry| when(expiry.days, expiry.date)),
        moves: moves
            .filter_map(|to| {
                let class = to.storage_class.map(|class| class.as_str().to_owned());
                Some((when(to.days, to.date)?, class.unwrap_or_default()))
            })
            .collect(),
    }
}

fn when(after: Option<i32>, at: Option<DateTime>) -> Option<When> {
    days(after).map(When::Days).or_else(|| at.and_then(timestamp).map(When::At))
}

fn days(count: Option<i32>) -> Option<u32> {
    count.and_then(|count| u32::try_from(count).ok())
}
