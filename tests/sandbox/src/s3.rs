//! One partition's S3 behind s3s: the operations, each in the file of its kind. s3s has checked the
//! signature and read the request before anything here is called.

mod attributes;
mod buckets;
mod listing;
mod multipart;
mod place;
mod read;
mod settings;
mod write;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use s3s::dto::*;
use s3s::{S3, S3Request, S3Response, S3Result};

use crate::fault::Tamper;
use crate::habit::Habits;
use crate::ingest::EtagStyle;
use crate::lock::lock;
use crate::store::Store;

/// One partition's S3.
#[derive(Debug)]
pub(crate) struct Partition {
    pub(crate) region: String,
    pub(crate) account: String,
    pub(crate) store: Store,
    /// ARNs of the KMS keys that exist.
    pub(crate) kms_keys: Mutex<BTreeSet<String>>,
    pub(crate) habits: Mutex<Habits>,
    /// Where uploads are written; memory without one.
    pub(crate) directory: Option<PathBuf>,
    pub(crate) etags: EtagStyle,
}

impl Partition {
    pub(crate) fn habits(&self) -> Habits {
        lock(&self.habits).clone()
    }

    /// The name that AWS gives this region's partition in ARNs.
    pub(crate) fn arn_partition(&self) -> &'static str {
        match self.region.split('-').collect::<Vec<_>>()[..] {
            ["us", "gov", ..] => "aws-us-gov",
            ["cn", ..] => "aws-cn",
            ["eusc", ..] => "aws-eusc",
            ["us", "iso", ..] => "aws-iso",
            ["us", "isob", ..] => "aws-iso-b",
            ["eu", "isoe", ..] => "aws-iso-e",
            ["us", "isof", ..] => "aws-iso-f",
            _ => "aws",
        }
    }
}

fn tamper<T>(request: &S3Request<T>) -> Tamper {
    request.extensions.get::<Tamper>().cloned().unwrap_or_default()
}

/// The handle that s3s owns.
#[derive(Debug, Clone)]
pub(crate) struct Service(pub(crate) Arc<Partition>);

/// Forwards each operation to the partition's method of the same name.
macro_rules! forward {
    ($($operation:ident($input:ident) -> $output:ident;)*) => {
        #[async_trait::async_trait]
        impl S3 for Service {
            $(async fn $operation(
                &self,
                request: S3Request<$input>,
            ) -> S3Result<S3Response<$output>> {
                self.0.$operation(request).await
            })*
        }
    };
}

forward! {
    create_bucket(CreateBucketInput) -> CreateBucketOutput;
    head_bucket(HeadBucketInput) -> HeadBucketOutput;
    delete_bucket(DeleteBucketInput) -> DeleteBucketOutput;
    list_buckets(ListBucketsInput) -> ListBucketsOutput;
    get_bucket_location(GetBucketLocationInput) -> GetBucketLocationOutput;
    get_bucket_versioning(GetBucketVersioningInput) -> GetBucketVersioningOutput;
    get_bucket_encryption(GetBucketEncryptionInput) -> GetBucketEncryptionOutput;
    get_public_access_block(GetPublicAccessBlockInput) -> GetPublicAccessBlockOutput;
    get_bucket_lifecycle_configuration(GetBucketLifecycleConfigurationInput) -> GetBucketLifecycleConfigurationOutput;
    list_objects_v2(ListObjectsV2Input) -> ListObjectsV2Output;
    get_object(GetObjectInput) -> GetObjectOutput;
    head_object(HeadObjectInput) -> HeadObjectOutput;
    get_object_attributes(GetObjectAttributesInput) -> GetObjectAttributesOutput;
    get_object_tagging(GetObjectTaggingInput) -> GetObjectTaggingOutput;
    put_object(PutObjectInput) -> PutObjectOutput;
    copy_object(CopyObjectInput) -> CopyObjectOutput;
    put_object_tagging(PutObjectTaggingInput) -> PutObjectTaggingOutput;
    delete_object(DeleteObjectInput) -> DeleteObjectOutput;
    delete_objects(DeleteObjectsInput) -> DeleteObjectsOutput;
    create_multipart_upload(CreateMultipartUploadInput) -> CreateMultipartUploadOutput;
    upload_part(UploadPartInput) -> UploadPartOutput;
    complete_multipart_upload(CompleteMultipartUploadInput) -> CompleteMultipartUploadOutput;
    abort_multipart_upload(AbortMultipartUploadInput) -> AbortMultipartUploadOutput;
    list_parts(ListPartsInput) -> ListPartsOutput;
    list_multipart_uploads(ListMultipartUploadsInput) -> ListMultipartUploadsOutput;
}
