//! The objects below a prefix.

use std::sync::Arc;

use aws_sdk_s3::types::EncodingType;
use percent_encoding::percent_decode_str;

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
/// Where the request fails, or the answer names no size or a key that is not UTF-8.
pub async fn list(
    remote: Arc<Remote>,
    prefix: &ObjectAddress,
    continuation: Option<&str>,
) -> Result<Page, Error> {
    let caller = Caller::new(remote, prefix.clone());
    // Keys may hold what XML cannot.
    let request = caller
        .client
        .list_objects_v2()
        .bucket(&prefix.bucket)
        .prefix(&prefix.key)
        .set_continuation_token(continuation.map(str::to_owned))
        .encoding_type(EncodingType::Url)
        .send();
    let answer = caller.call(LIST, request).await?;
    let encoded = answer.encoding_type == Some(EncodingType::Url);
    let listed = |object: aws_sdk_s3::types::Object| {
        let key = object.key?;
        let key = if encoded { decoded(&key)? } else { key };
        let size = u64::try_from(object.size?).ok()?;
        let etag = object.e_tag.as_deref().map(unquoted).unwrap_or_default();
        Some(ListedObject { key, size, etag })
    };
    let objects = answer.contents.unwrap_or_default().into_iter().map(listed);
    let objects = objects.collect::<Option<Vec<_>>>().ok_or_else(|| {
        let message = "an entry has no size, or a key that is not UTF-8".to_owned();
        Error::BadAnswer(Box::new(Exchange { message, ..caller.asked(LIST) }))
    })?;
    let next = answer.next_continuation_token.filter(|_| answer.is_truncated == Some(true));
    Ok(Page { objects, next })
}

/// S3 writes a space as `+` there.
fn decoded(key: &str) -> Option<String> {
    let spaced = key.replace('+', " ");
    percent_decode_str(&spaced).decode_utf8().ok().map(std::borrow::Cow::into_owned)
}
