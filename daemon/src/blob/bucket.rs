//! What is asked about a bucket itself.

use std::sync::Arc;

use super::Error;
use super::call::{Caller, Operation};
use super::classify::is_region;
use crate::model::{FailureClass, ObjectAddress};
use crate::remote::Remote;

const HEAD: Operation = Operation::new("HeadBucket", "s3:ListBucket");
const LIST: Operation = Operation::new("ListObjectsV2", "s3:ListBucket");

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
        Ok(answer) => Ok(answer.bucket_region.filter(|region| is_region(region))),
        // One of another Region is answered with where it is.
        Err(error) => match error.exchange().region.clone() {
            Some(region) => Ok(Some(region)),
            None if is_final(&error) => explained(&caller).await,
            None => Err(error),
        },
    }
}

/// The server said so, and not that it may pass.
fn is_final(error: &Error) -> bool {
    let is_answer = error.exchange().status.is_some();
    is_answer && matches!(error.class(), FailureClass::Permanent | FailureClass::Credentials)
}

/// An answer to HEAD has no body, so that a 400 can be an expired token as well as a bad name. A listing is
/// allowed by the same action, and says which.
async fn explained(caller: &Caller) -> Result<Option<String>, Error> {
    let bucket = &caller.address.bucket;
    let request = caller.client.list_objects_v2().bucket(bucket).max_keys(1).send();
    match caller.call(LIST, request).await {
        // It is there, and where, nobody says.
        Ok(_) => Ok(None),
        Err(told) => match told.exchange().region.clone() {
            Some(region) => Ok(Some(region)),
            None => Err(told),
        },
    }
}
