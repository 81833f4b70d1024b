//! The objects below a prefix.

use std::sync::Arc;

use super::call::{Caller, Operation};
use super::head::unquoted;
use super::{Error, Exchange};
use crate::model::ObjectAddress;
use crate::remote::Remote;

const LIST: Operation = Operation::new("ListObjectsV2", "s3:ListBucket");

/// An object as ListObjectsV2 tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedObject {
    pub key: String,
    /// Bytes.
    pub size: u64,
    /// Without quotes.
    pub etag: String,
}

/// One page of a listing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Page {
    pub objects: Vec<ListedObject>,
    /// What to ask the next page with; `None` on the last.
    pub next: Option<String>,
}

/// The page of keys below `prefix` that follows `continuation`: at most 1,000.
///
/// # Errors
/// Where the request fails, or an entry of the answer has no key or no size.
pub async fn list(
    remote: Arc<Remote>,
    prefix: &ObjectAddress,
    continuation: Option<&str>,
) -> Result<Page, Error> {
    let caller = Caller::new(remote, prefix.clone());
    // Not `encoding-type=url`: servers exist that repeat the word and encode nothing, and then `a+b`
    // would be taken for `a b`.
    let request = caller
        .client
        .list_objects_v2()
        .bucket(&prefix.bucket)
        .prefix(&prefix.key)
        .set_continuation_token(continuation.map(str::to_owned))
        .send();
    let answer = caller.call(LIST, request).await?;
    let listed = |object: aws_sdk_s3::types::Object| {
        let size = u64::try_from(object.size?).ok()?;
        let etag = object.e_tag.as_deref().map(unquoted).unwrap_or_default();
        Some(ListedObject { key: object.key?, size, etag })
    };
    let objects = answer.contents.unwrap_or_default().into_iter().map(listed);
    let objects = objects.collect::<Option<Vec<_>>>().ok_or_else(|| {
        let message = "an entry has no key or no size".to_owned();
        Error::BadAnswer(Box::new(Exchange { message, ..caller.asked(LIST) }))
    })?;
    let next = answer.next_continuation_token.filter(|_| answer.is_truncated == Some(true));
    Ok(Page { objects, next })
}
