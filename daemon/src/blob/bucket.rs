//! What is asked about a bucket itself.

use std::sync::Arc;

use super::Error;
use super::call::{Caller, Operation};
use crate::model::ObjectAddress;
use crate::remote::Remote;

const HEAD: Operation = Operation::new("HeadBucket", "s3:ListBucket");

/// The Region that the bucket is in; `None` where the server does not say.
///
/// # Errors
/// `NoSuchBucket`, `AccessDenied`; the other faults of a request.
pub async fn bucket_region(remote: Arc<Remote>, bucket: &str) -> Result<Option<String>, Error> {
    let address = ObjectAddress {
        remote: remote.name().clone(),
        bucket: bucket.to_owned(),
        key: String::new(),
    };
    let caller = Caller::new(remote, address);
    let request = caller.client.head_bucket().bucket(bucket).send();
    match caller.call(HEAD, request).await {
        Ok(answer) => Ok(answer.bucket_region.filter(|region| !region.is_empty())),
        // One of another Region is answered with where it is.
        Err(error) => match error.exchange().region.clone() {
            Some(region) => Ok(Some(region)),
            None => Err(error),
        },
    }
}
