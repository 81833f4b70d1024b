//! Operations on buckets.

use http::{HeaderMap, HeaderName, HeaderValue};
use s3s::dto::{
    Bucket as ListedBucket, BucketLocationConstraint, BucketVersioningStatus, CreateBucketInput,
    CreateBucketOutput, DeleteBucketInput, DeleteBucketOutput, GetBucketLocationInput,
    GetBucketLocationOutput, GetBucketVersioningInput, GetBucketVersioningOutput, HeadBucketInput,
    HeadBucketOutput, ListBucketsInput, ListBucketsOutput, Owner, Timestamp,
};
use s3s::{S3Error, S3Request, S3Response, S3Result, s3_error};

use super::Partition;
use crate::store::bucket::BucketOptions;

const BUCKET_REGION: HeaderName = HeaderName::from_static("x-amz-bucket-region");

impl Partition {
    pub(super) async fn create_bucket(
        &self,
        request: S3Request<CreateBucketInput>,
    ) -> S3Result<S3Response<CreateBucketOutput>> {
        let input = request.input;
        let constraint = input.create_bucket_configuration.and_then(|c| c.location_constraint);
        // Outside us-east-1 S3 wants the region named; a wrong one is refused everywhere.
        if constraint.is_some_and(|region| region.as_str() != self.region) {
            return Err(s3_error!(
                IllegalLocationConstraintException,
                "The specified location constraint is incompatible for the region specific endpoint \
                 this request was sent to."
            ));
        }
        self.store.create_bucket(&input.bucket, BucketOptions::default())?;
        let location = Some(format!("/{}", input.bucket));
        Ok(S3Response::new(CreateBucketOutput { location }))
    }

    pub(super) async fn head_bucket(
        &self,
        request: S3Request<HeadBucketInput>,
    ) -> S3Result<S3Response<HeadBucketOutput>> {
        let elsewhere =
            self.store.bucket(&request.input.bucket, |b| Ok(b.options.region.clone()))?;
        if let Some(region) = elsewhere {
            return Err(moved(&region));
        }
        let bucket_region = Some(self.region.clone());
        Ok(S3Response::new(HeadBucketOutput { bucket_region, ..Default::default() }))
    }

    pub(super) async fn delete_bucket(
        &self,
        request: S3Request<DeleteBucketInput>,
    ) -> S3Result<S3Response<DeleteBucketOutput>> {
        self.store.delete_bucket(&request.input.bucket)?;
        Ok(S3Response::new(DeleteBucketOutput::default()))
    }

    pub(super) async fn list_buckets(
        &self,
        _request: S3Request<ListBucketsInput>,
    ) -> S3Result<S3Response<ListBucketsOutput>> {
        let buckets = self.store.each_bucket(|name, bucket| ListedBucket {
            name: Some(name.to_owned()),
            creation_date: Some(Timestamp::from(bucket.created)),
            bucket_region: Some(self.region.clone()),
        });
        let owner = Owner { id: Some(self.account.clone()), display_name: None };
        Ok(S3Response::new(ListBucketsOutput {
            buckets: Some(buckets),
            owner: Some(owner),
            ..Default::default()
        }))
    }

    pub(super) async fn get_bucket_location(
        &self,
        request: S3Request<GetBucketLocationInput>,
    ) -> S3Result<S3Response<GetBucketLocationOutput>> {
        self.store.bucket(&request.input.bucket, |_| Ok(()))?;
        // S3 says nothing for us-east-1: https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetBucketLocation.html
        let named = self.region != "us-east-1";
        let location_constraint =
            named.then(|| BucketLocationConstraint::from(self.region.clone()));
        Ok(S3Response::new(GetBucketLocationOutput { location_constraint }))
    }

    pub(super) async fn get_bucket_versioning(
        &self,
        request: S3Request<GetBucketVersioningInput>,
    ) -> S3Result<S3Response<GetBucketVersioningOutput>> {
        let versioned =
            self.store.bucket(&request.input.bucket, |bucket| Ok(bucket.options.versioned))?;
        let status =
            versioned.then(|| BucketVersioningStatus::from_static(BucketVersioningStatus::ENABLED));
        Ok(S3Response::new(GetBucketVersioningOutput { status, ..Default::default() }))
    }
}

/// How S3 answers for a bucket of another Region.
/// <https://docs.aws.amazon.com/AmazonS3/latest/API/API_HeadBucket.html>
fn moved(region: &str) -> S3Error {
    let mut moved = s3_error!(
        PermanentRedirect,
        "The bucket you are attempting to access must be addressed using the specified endpoint."
    );
    if let Ok(region) = HeaderValue::from_str(region) {
        moved.set_headers(HeaderMap::from_iter([(BUCKET_REGION, region)]));
    }
    moved
}
