//! How a bucket is set up: what is told of it, as AWS tells it. That a setting is not there is an answer of its
//! own, and not the same for each.

use s3s::dto::*;
use s3s::{S3Error, S3ErrorCode, S3Request, S3Response, S3Result, s3_error};

use super::Partition;
use crate::store::bucket::Lifecycle;

impl Partition {
    /// <https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetBucketEncryption.html>
    pub(super) async fn get_bucket_encryption(
        &self,
        request: S3Request<GetBucketEncryptionInput>,
    ) -> S3Result<S3Response<GetBucketEncryptionOutput>> {
        let bucket = &request.input.bucket;
        let key = self.store.bucket(bucket, |bucket| Ok(bucket.options.kms_key.clone()))?;
        // A bucket that nobody has set up is so, since January 2023.
        let algorithm = if key.is_some() { "aws:kms" } else { "AES256" };
        let default = ServerSideEncryptionByDefault {
            sse_algorithm: ServerSideEncryption::from(algorithm.to_owned()),
            kms_master_key_id: key,
        };
        let rule = ServerSideEncryptionRule {
            apply_server_side_encryption_by_default: Some(default),
            bucket_key_enabled: Some(false),
        };
        let rules = ServerSideEncryptionConfiguration { rules: vec![rule] };
        let server_side_encryption_configuration = Some(rules);
        Ok(S3Response::new(GetBucketEncryptionOutput { server_side_encryption_configuration }))
    }

    /// <https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetPublicAccessBlock.html>
    pub(super) async fn get_public_access_block(
        &self,
        request: S3Request<GetPublicAccessBlockInput>,
    ) -> S3Result<S3Response<GetPublicAccessBlockOutput>> {
        let bucket = &request.input.bucket;
        if self.store.bucket(bucket, |bucket| Ok(bucket.options.open_to_public))? {
            let code = "NoSuchPublicAccessBlockConfiguration";
            let mut refused = S3Error::new(S3ErrorCode::Custom(code.into()));
            refused.set_status_code(http::StatusCode::NOT_FOUND);
            refused.set_message("The public access block configuration was not found");
            return Err(refused);
        }
        let all = PublicAccessBlockConfiguration {
            block_public_acls: Some(true),
            block_public_policy: Some(true),
            ignore_public_acls: Some(true),
            restrict_public_buckets: Some(true),
        };
        let public_access_block_configuration = Some(all);
        Ok(S3Response::new(GetPublicAccessBlockOutput { public_access_block_configuration }))
    }

    /// <https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetBucketLifecycleConfiguration.html>
    pub(super) async fn get_bucket_lifecycle_configuration(
        &self,
        request: S3Request<GetBucketLifecycleConfigurationInput>,
    ) -> S3Result<S3Response<GetBucketLifecycleConfigurationOutput>> {
        let bucket = &request.input.bucket;
        let rules = self.store.bucket(bucket, |bucket| Ok(bucket.options.lifecycle.clone()))?;
        if rules.is_empty() {
            return Err(s3_error!(
                NoSuchLifecycleConfiguration,
                "The lifecycle configuration does not exist"
            ));
        }
        let rules = Some(rules.into_iter().map(shown).collect());
        let output = GetBucketLifecycleConfigurationOutput { rules, ..Default::default() };
        Ok(S3Response::new(output))
    }
}

fn shown(rule: Lifecycle) -> LifecycleRule {
    let aborts = rule
        .aborts_uploads
        .map(|days| AbortIncompleteMultipartUpload { days_after_initiation: Some(days) });
    let expires = rule
        .expires
        .map(|days| LifecycleExpiration { days: Some(days), ..LifecycleExpiration::default() });
    let filter = LifecycleRuleFilter { prefix: Some(rule.prefix), ..Default::default() };
    LifecycleRule {
        abort_incomplete_multipart_upload: aborts,
        expiration: expires,
        filter: Some(filter),
        id: Some(rule.id),
        noncurrent_version_expiration: None,
        noncurrent_version_transitions: None,
        prefix: None,
        status: ExpirationStatus::from_static(ExpirationStatus::ENABLED),
        transitions: None,
    }
}
