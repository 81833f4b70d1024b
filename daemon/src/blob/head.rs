//! HEAD, for the source that is pinned and for what stands at the target.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use aws_sdk_s3::operation::head_object::HeadObjectOutput;
use aws_sdk_s3::types::{ChecksumMode, ChecksumType};
use aws_smithy_runtime_api::http::Response;
use futures::TryFutureExt as _;

use super::call::{Caller, Operation};
use super::{Error, Exchange};
use crate::model::digest::crc64nvme_from_base64;
use crate::model::{FailureClass, ObjectHeaders, Timestamp};
use crate::remote::timestamp;

const HEAD: Operation = Operation::new("HeadObject", "s3:GetObject");
const HEAD_VERSION: Operation = Operation::new("HeadObject", "s3:GetObjectVersion");
const GET: Operation = Operation::new("GetObject", "s3:GetObject");

const METADATA: &str = "x-amz-meta-";
/// Of a name that whoever wrote the object chose.
const NAME_CHARS_MAX: usize = 100;

/// What stands at a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Existing {
    /// Bytes.
    pub size: u64,
    /// Without quotes.
    pub etag: String,
    pub version_id: Option<String>,
    pub last_modified: Option<Timestamp>,
    /// The server's own checksum of the whole object, never one of its parts' checksums.
    pub crc64nvme: Option<u64>,
    pub headers: ObjectHeaders,
    /// Names in lower case without `x-amz-meta-`.
    pub metadata: BTreeMap<String, String>,
    /// User metadata that the server keeps and cannot give as headers.
    pub metadata_missing: u32,
    /// `None`: the server says STANDARD, or nothing.
    pub storage_class: Option<String>,
    /// `None`: the server does not say; that can mean 0.
    pub tag_count: Option<u32>,
}

/// What stands at the caller's key now, or at one of its versions.
///
/// # Errors
/// `NoSuchKey` where nothing does; the other faults of a request.
pub(super) async fn head(caller: &Caller, version: Option<&str>) -> Result<Existing, Error> {
    match ask(caller, version).await {
        Err(error) => Err(explained(caller, version, error).await),
        found => found,
    }
}

/// What stands at the caller's key now; `None` where nothing does, be it that there is no bucket.
///
/// # Errors
/// The other faults of a request.
pub(super) async fn look(caller: &Caller) -> Result<Option<Existing>, Error> {
    let is_absent = |error: &Error| error.exchange().status == Some(404);
    match ask(caller, None).await {
        Ok(found) => Ok(Some(found)),
        Err(error) if is_absent(&error) => Ok(None),
        // What refused the HEAD may have passed, and the GET that explains it says so.
        Err(error) => match explained(caller, None, error).await {
            told if is_absent(&told) => Ok(None),
            told => Err(told),
        },
    }
}

async fn ask(caller: &Caller, version: Option<&str>) -> Result<Existing, Error> {
    let operation = if version.is_some() { HEAD_VERSION } else { HEAD };
    let request = caller
        .client
        .head_object()
        .bucket(&caller.address.bucket)
        .key(&caller.address.key)
        .set_version_id(version.map(str::to_owned))
        .checksum_mode(ChecksumMode::Enabled)
        .send();
    let illegible = OnceLock::new();
    let request = request.inspect_err(|error| {
        if let Some(name) = error.raw_response().and_then(illegible_metadata) {
            illegible.get_or_init(|| name);
        }
    });
    let answer = caller.call(operation, request).await;
    let answer = answer.map_err(|error| match illegible.get() {
        Some(name) => {
            let message = format!("the user metadata {name} is no text");
            Error::Illegible(Box::new(Exchange { message, ..error.exchange().clone() }))
        }
        None => error,
    })?;
    let size = answer.content_length.and_then(|length| u64::try_from(length).ok());
    let size = size.ok_or_else(|| caller.bad_answer(operation, "the answer gives no size"))?;
    let etag = answer.e_tag.as_deref().map(unquoted).filter(|etag| !etag.is_empty());
    let etag = etag.ok_or_else(|| caller.bad_answer(operation, "the answer gives no ETag"))?;
    Ok(existing(size, etag, answer))
}

/// The name of user metadata that is no text. The SDK fails on it, and says so in the words that it has for any
/// answer that it cannot read; but a head is whole or is none, so that another answer would be the same.
fn illegible_metadata(answer: &Response) -> Option<String> {
    let mut headers = answer.headers().iter_bytes().filter(|_| answer.status().is_success());
    let (name, _) = headers
        .find(|(name, value)| name.starts_with(METADATA) && std::str::from_utf8(value).is_err())?;
    Some(name.chars().take(NAME_CHARS_MAX).collect())
}

/// An answer to HEAD has no body, so that a 400 can be an expired token as well as a bad name. A GET
/// of one byte is refused for the same reason, and says which.
async fn explained(caller: &Caller, version: Option<&str>, error: Error) -> Error {
    let silent = match error.exchange().status {
        Some(301 | 307 | 400 | 401 | 403) => error.exchange().region.is_none(),
        // A bucket that does not exist is a 404 just as a key.
        Some(404) => true,
        _ => false,
    };
    if !silent {
        return error;
    }
    let request = caller
        .client
        .get_object()
        .bucket(&caller.address.bucket)
        .key(&caller.address.key)
        .set_version_id(version.map(str::to_owned))
        .range("bytes=0-0")
        .send();
    let absent = error.exchange().status == Some(404);
    match caller.call(GET, request).await {
        // 416: there is an object, and it is empty. Whatever refused the HEAD has passed, as when
        // credentials are renewed between the two: it is to be asked again.
        Err(told) if told.exchange().status == Some(416) && !absent => contradicted(&error),
        Ok(_) if !absent => contradicted(&error),
        // Without a code it explains nothing; but a GET that broke off does not make the HEAD final.
        Err(told) if told.code().is_some() || told.class() != FailureClass::Permanent => told,
        _ => error,
    }
}

fn contradicted(error: &Error) -> Error {
    let message = "HEAD was refused, and GET just after it was not".to_owned();
    Error::ServerFault(Box::new(Exchange { message, ..error.exchange().clone() }))
}

fn existing(size: u64, etag: String, answer: HeadObjectOutput) -> Existing {
    let whole = answer.checksum_type() != Some(&ChecksumType::Composite);
    let crc64nvme = answer.checksum_crc64_nvme().filter(|_| whole).and_then(crc64nvme_from_base64);
    let metadata = answer.metadata.unwrap_or_default().into_iter();
    Existing {
        size,
        etag,
        version_id: real_version(answer.version_id),
        last_modified: answer.last_modified.and_then(timestamp),
        crc64nvme,
        headers: ObjectHeaders {
            content_type: answer.content_type,
            content_encoding: answer.content_encoding,
            content_language: answer.content_language,
            content_disposition: answer.content_disposition,
            cache_control: answer.cache_control,
            expires: answer.expires_string,
            website_redirect_location: answer.website_redirect_location,
        },
        metadata: metadata.map(|(name, value)| (name.to_ascii_lowercase(), value)).collect(),
        metadata_missing: answer.missing_meta.map_or(0, i32::unsigned_abs),
        storage_class: answer.storage_class.map(|class| class.as_str().to_owned()),
        tag_count: answer.tag_count.map(i32::unsigned_abs),
    }
}

/// No server's is longer than some dozen bytes; one of megabytes would be on disk for ever, and in a line of the
/// audit log that is then taken for somebody else's.
const ETAG_BYTES_MAX: usize = 1024;

/// An ETag as we keep it: without quotes. Empty where it is none.
pub(super) fn unquoted(etag: &str) -> String {
    let etag = etag.trim().trim_matches('"');
    if etag.len() > ETAG_BYTES_MAX { String::new() } else { etag.to_owned() }
}

/// An ETag as a header wants it.
pub(super) fn quoted(etag: &str) -> String {
    format!("\"{etag}\"")
}

/// A version id that names one version for good. `null` is what a bucket without versioning has: S3
/// takes it back, others do not, and the ETag pins the object as well.
pub(super) fn real_version(version_id: Option<String>) -> Option<String> {
    version_id.filter(|id| !id.is_empty() && id != "null")
}
