//! An object in S3, as a source.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;

use async_trait::async_trait;
use aws_sdk_s3::operation::get_object::GetObjectOutput;

use super::call::{Caller, Operation};
use super::frames::exactly;
use super::head::{Existing, head, quoted, unquoted};
use super::tags::{self, Tags};
use super::{Error, Exchange, Frames, Source};
use crate::base::Pace;
use crate::model::{ByteRange, ObjectAddress, ObjectRef, PinnedObject};
use crate::remote::Remote;

const GET: Operation = Operation::new("GetObject", "s3:GetObject");
const GET_VERSION: Operation = Operation::new("GetObject", "s3:GetObjectVersion");

/// One object in S3.
#[derive(Clone)]
pub struct S3Object {
    caller: Caller,
}

impl S3Object {
    /// The object at `address`, whose remote is `remote`.
    pub fn new(remote: Arc<Remote>, address: ObjectAddress) -> Self {
        Self { caller: Caller::new(remote, address) }
    }

    /// The object's tags. Whoever may not read them, or asks a server without tags, carries none and
    /// is told so: the object is worth more than its labels.
    async fn tags(&self, found: &Existing, warnings: &mut Vec<String>) -> Result<Tags, Error> {
        if found.tag_count == Some(0) {
            return Ok(Tags::new());
        }
        match tags::get(&self.caller, found.version_id.as_deref()).await {
            Ok(tags) => Ok(tags),
            Err(Error::Unsupported(_)) if found.tag_count.is_none() => Ok(Tags::new()),
            Err(
                error @ (Error::AccessDenied(_)
                | Error::Unsupported(_)
                | Error::Refused(_)
                | Error::NoSuchKey(_)),
            ) => {
                warnings.push(format!("the source's tags are not carried along: {error}"));
                Ok(Tags::new())
            }
            Err(error) => Err(error),
        }
    }

    /// Whether the answer is the pinned version's bytes of `range`: servers exist that ignore
    /// `If-Match`, and ones that ignore `Range`.
    fn check(
        &self,
        operation: Operation,
        answer: &GetObjectOutput,
        pinned: &PinnedObject,
        range: ByteRange,
    ) -> Result<(), Error> {
        let found = answer.e_tag.as_deref().map(unquoted).unwrap_or_default();
        if found != pinned.etag {
            return Err(changed(self.caller.asked(operation), &pinned.etag, &found));
        }
        check_range(answer.content_range.as_deref(), answer.content_length, pinned.size, range)
            .map_err(|message| self.caller.bad_answer(operation, message))
    }
}

/// The source is not what was pinned.
pub(super) fn changed(asked: Exchange, expected: &str, found: &str) -> Error {
    let message = match found {
        "" => format!("expected ETag {expected}, found none"),
        found => format!("expected ETag {expected}, found {found}"),
    };
    Error::SourceChanged(Box::new(Exchange { message, ..asked }))
}

/// Whether an answer is of `range`: by its Content-Range, or as the whole where that is the range.
pub(super) fn check_range(
    content_range: Option<&str>,
    length: Option<i64>,
    size: u64,
    range: ByteRange,
) -> Result<(), String> {
    match content_range {
        Some(found) => {
            let last = range.end().saturating_sub(1);
            let expected = format!("bytes {}-{last}/{size}", range.start);
            if found.trim() != expected {
                return Err(format!("expected Content-Range {expected}, found {found}"));
            }
        }
        None if range.start == 0 && range.len == size => {}
        None => return Err("the server ignores Range and sends the whole object".to_owned()),
    }
    match length {
        Some(length) if u64::try_from(length).ok() != Some(range.len) => {
            Err(format!("expected Content-Length {}, found {length}", range.len))
        }
        _ => Ok(()),
    }
}

#[async_trait]
impl Source for S3Object {
    fn name(&self) -> &str {
        self.caller.remote.name().as_str()
    }

    fn pace(&self) -> &Arc<Pace> {
        self.caller.remote.pace()
    }

    async fn pin(&self) -> Result<(PinnedObject, Vec<String>), Error> {
        let found = head(&self.caller, None).await?;
        let mut warnings = Vec::new();
        if found.metadata_missing > 0 {
            let missing = found.metadata_missing;
            warnings.push(format!("{missing} user metadata entries cannot be carried in headers"));
        }
        let tags = self.tags(&found, &mut warnings).await?;
        let pinned = PinnedObject {
            size: found.size,
            etag: found.etag,
            version_id: found.version_id,
            last_modified: found.last_modified,
            headers: found.headers,
            metadata: found.metadata,
            tags,
            crc64nvme: found.crc64nvme,
        };
        Ok((pinned, warnings))
    }

    async fn read(&self, pinned: &PinnedObject, range: ByteRange) -> Result<Frames, Error> {
        if range.len == 0 {
            return Ok(Box::pin(futures::stream::empty()));
        }
        let operation = if pinned.version_id.is_some() { GET_VERSION } else { GET };
        let request = self
            .caller
            .client
            .get_object()
            .bucket(&self.caller.address.bucket)
            .key(&self.caller.address.key)
            .set_version_id(pinned.version_id.clone())
            .if_match(quoted(&pinned.etag))
            .range(range.header())
            .send();
        let answer = self.caller.call(operation, request).await.map_err(|error| match error {
            // A range that the object no longer has: a server that ignores If-Match.
            Error::Refused(exchange) if exchange.status == Some(416) => {
                Error::SourceChanged(exchange)
            }
            Error::PreconditionFailed(exchange) => Error::SourceChanged(exchange),
            error => error,
        })?;
        self.check(operation, &answer, pinned, range)?;
        let mut body = answer.body;
        let frames = futures::stream::poll_fn(move |cx| Pin::new(&mut body).poll_next(cx));
        Ok(exactly(frames, range.len, self.caller.asked(operation)))
    }

    fn describe(&self, pinned: &PinnedObject) -> ObjectRef {
        describe(
            &self.caller.remote,
            &self.caller.address,
            &pinned.etag,
            pinned.version_id.clone(),
            pinned.size,
        )
    }
}

/// An object of `remote` as the receipt names it.
pub(super) fn describe(
    remote: &Remote,
    address: &ObjectAddress,
    etag: &str,
    version_id: Option<String>,
    size: u64,
) -> ObjectRef {
    ObjectRef {
        remote: remote.name().to_string(),
        partition: remote.partition().to_owned(),
        account: remote.identity().account,
        region: remote.region().to_owned(),
        bucket: address.bucket.clone(),
        key: address.key.clone(),
        version_id,
        etag: etag.to_owned(),
        size,
    }
}

impl fmt::Debug for S3Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "S3Object({})", self.caller.address)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Servers exist that answer a ranged GET with another range, or with everything.
    #[test]
    fn only_the_range_that_was_asked_for_is_taken() {
        let range = ByteRange { start: 5, len: 10 };
        assert!(check_range(Some("bytes 5-14/100"), Some(10), 100, range).is_ok());
        for (content_range, length) in [
            (Some("bytes 0-9/100"), Some(10)),
            (Some("bytes 5-14/90"), Some(10)),
            (Some("bytes 5-14/100"), Some(11)),
            (None, Some(100)),
            (None, None),
        ] {
            let checked = check_range(content_range, length, 100, range);
            assert!(checked.is_err(), "{content_range:?} {length:?}");
        }
        let whole = ByteRange { start: 0, len: 100 };
        assert!(check_range(None, Some(100), 100, whole).is_ok());
    }
}
