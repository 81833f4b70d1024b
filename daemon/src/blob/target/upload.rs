//! Multipart uploads: begun, filled part by part, listed, published or thrown away.

use std::convert::Infallible;
use std::fmt;
use std::pin::Pin;

use aws_sdk_s3::primitives::{ByteStream, SdkBody};
use aws_sdk_s3::types::{ChecksumAlgorithm, ChecksumType, CompletedMultipartUpload, CompletedPart};
use bytes::Bytes;
use futures::Stream;

use super::attributes::{self, Attributes};
use super::{Error, S3Target};
use crate::blob::PartChecksum;
pub(super) use crate::blob::call::Operation;
use crate::blob::call::{ANSWER_PATIENCE, COMPLETE_PATIENCE, Caller};
use crate::blob::chunked::Announce;
use crate::blob::frames::PartBody;
use crate::blob::head::{quoted, unquoted};
use crate::blob::settings;
use crate::model::digest::{crc64nvme_from_base64, crc64nvme_to_base64};
use crate::model::{Encryption, PartNumber, PublishedObject, Timestamp, UploadId};
use crate::remote::timestamp;

pub(super) const CREATE: Operation = Operation::new("CreateMultipartUpload", "s3:PutObject");
pub(super) const UPLOAD_PART: Operation = Operation::new("UploadPart", "s3:PutObject");
pub(super) const LIST_PARTS: Operation = Operation::new("ListParts", "s3:ListMultipartUploadParts");
const LIST_UPLOADS: Operation =
    Operation::new("ListMultipartUploads", "s3:ListBucketMultipartUploads");
const COMPLETE: Operation = Operation::new("CompleteMultipartUpload", "s3:PutObject");
pub(super) const ABORT: Operation =
    Operation::new("AbortMultipartUpload", "s3:AbortMultipartUpload");

/// S3's are less than 200 bytes long. It goes into the ledger, the audit log, and each part's URL.
const UPLOAD_ID_BYTES_MAX: usize = 2048;
/// Pages of a list read before it counts as endless: 10,000 parts come in 10.
const PAGES_MAX: usize = 100;

/// A multipart upload that was begun.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreatedUpload {
    pub upload: UploadId,
    /// When a lifecycle rule of the bucket aborts it, where one will.
    pub abort_at: Option<Timestamp>,
    /// Whether the server said that it will keep a full-object CRC64NVME.
    pub full_object: bool,
    /// What the server said that it will encrypt the object by.
    pub encryption: Option<Encryption>,
}

/// The target has the part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartAck {
    /// Without quotes.
    pub etag: String,
    /// As the target computed it, where it says.
    pub crc64nvme: Option<u64>,
}

/// A part as ListParts tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedPart {
    pub number: PartNumber,
    /// Bytes.
    pub size: u64,
    /// Without quotes; empty where the server does not say.
    pub etag: String,
    pub crc64nvme: Option<u64>,
}

/// An upload as ListMultipartUploads tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedUpload {
    pub upload: UploadId,
    pub initiated: Option<Timestamp>,
}

/// A part as CompleteMultipartUpload names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedPart {
    pub number: PartNumber,
    /// Without quotes.
    pub etag: String,
    pub crc64nvme: u64,
}

/// The frames of a part to send, with the sender's own error. They end with the last byte: an error
/// that comes after it is not heard.
pub type PartFrames<E> = Pin<Box<dyn Stream<Item = Result<Bytes, E>> + Send>>;

/// Gives the CRC64NVME of what has passed.
pub type Checksum = Box<dyn FnOnce() -> u64 + Send>;

/// The bytes of one part, or of a whole object.
pub struct PartBytes<E> {
    /// How many there are.
    pub len: u64,
    pub frames: PartFrames<E>,
    /// Asked once the last frame was taken.
    pub crc64nvme: Checksum,
}

impl<E> fmt::Debug for PartBytes<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PartBytes").field("len", &self.len).finish_non_exhaustive()
    }
}

/// Why a part was not taken: the target's fault, or that of the frames it was made from.
#[derive(Debug, thiserror::Error)]
pub enum PartError<E> {
    /// The body ended with its own error, unchanged.
    #[error("the part's bytes could not be had")]
    Body(E),
    /// The body gave more or fewer bytes than were announced.
    #[error("the part's body gave {found} bytes, not {expected}")]
    Length { expected: u64, found: u64 },
    /// The target refused it, or was not reached.
    #[error(transparent)]
    Target(#[from] Error),
}

impl PartError<Infallible> {
    /// The fault of bytes that are at hand, which cannot fail to be had.
    pub(super) fn of_target(self, caller: &Caller, operation: Operation) -> Error {
        match self {
            Self::Body(never) => match never {},
            Self::Target(error) => error,
            fault @ Self::Length { .. } => caller.bad_answer(operation, fault.to_string()),
        }
    }
}

impl S3Target {
    /// Begins a multipart upload.
    ///
    /// # Errors
    /// After an error whose [`Error::answer_lost`] holds, an upload that nobody knows may exist: the
    /// bucket's lifecycle rule is what ends it.
    pub async fn create_upload(&self, attributes: &Attributes) -> Result<CreatedUpload, Error> {
        let full_object = self.habits.full_object;
        let request = self
            .caller
            .client
            .create_multipart_upload()
            .bucket(&self.caller.address.bucket)
            .key(&self.caller.address.key)
            .set_checksum_algorithm(full_object.then_some(ChecksumAlgorithm::Crc64Nvme))
            .set_checksum_type(full_object.then_some(ChecksumType::FullObject));
        let request = attributes::carried!(request, attributes).customize();
        let request = request.mutate_request(attributes::expires(attributes)).send();
        let answer = self.caller.call(CREATE, request).await?;
        let upload = answer.upload_id.filter(|id| (1..=UPLOAD_ID_BYTES_MAX).contains(&id.len()));
        let upload = upload.ok_or_else(|| {
            self.caller.bad_answer(CREATE, "the answer gives no upload id, or none that is sane")
        })?;
        let sse = answer.server_side_encryption.as_ref();
        Ok(CreatedUpload {
            upload: UploadId(upload),
            encryption: sse.and_then(|sse| settings::encryption(sse, answer.ssekms_key_id)),
            abort_at: answer.abort_date.and_then(timestamp),
            full_object: answer.checksum_type == Some(ChecksumType::FullObject),
        })
    }

    /// Sends one part, frame by frame as they come. Nothing of it is kept: to try again takes the frames
    /// again. Dropping the future breaks the connection off.
    ///
    /// # Errors
    /// The body's own, its length, or the target's. A part whose checksum the target computed
    /// otherwise than we did is refused by it: `Corrupt`.
    pub async fn upload_part<E: Send + 'static>(
        &self,
        upload: &UploadId,
        number: PartNumber,
        part: PartBytes<E>,
    ) -> Result<PartAck, PartError<E>> {
        let with_checksum = self.habits.part_checksum == PartChecksum::Trailer;
        let announce = with_checksum.then_some(Announce { len: part.len });
        let (body, mut watch) = PartBody::new(part, with_checksum);
        let request = self
            .caller
            .client
            .upload_part()
            .bucket(&self.caller.address.bucket)
            .key(&self.caller.address.key)
            .upload_id(&upload.0)
            .part_number(i32::from(number.get()))
            .content_length(i64::try_from(body.wire_len()).unwrap_or(i64::MAX))
            .body(ByteStream::new(SdkBody::from_body_1_x(body)))
            .customize();
        let request = match announce {
            Some(announce) => request.interceptor(announce),
            None => request,
        };
        let sent = watch.sent();
        let request = request.send();
        let answer = self.caller.call_within(UPLOAD_PART, ANSWER_PATIENCE, sent, request).await;
        if let Some(fault) = watch.fault() {
            return Err(fault);
        }
        let answer = answer?;
        let etag = answer.e_tag.as_deref().map(unquoted).filter(|etag| !etag.is_empty());
        let etag =
            etag.ok_or_else(|| self.caller.bad_answer(UPLOAD_PART, "the answer gives no ETag"))?;
        let crc64nvme = answer.checksum_crc64_nvme.as_deref().and_then(crc64nvme_from_base64);
        Ok(PartAck { etag, crc64nvme })
    }

    /// Publishes the object of `size` bytes, whose CRC64NVME the server compares. `only_if_absent`
    /// asks for `If-None-Match: *`, which some servers ignore.
    ///
    /// # Errors
    /// `PreconditionFailed` where the key exists and must not; `Corrupt` where the server computed
    /// another checksum. After an error whose [`Error::answer_lost`] holds, and after `NoSuchUpload`
    /// to a repeated call, the object may stand there: ask by [`S3Target::head`].
    pub async fn complete(
        &self,
        upload: &UploadId,
        parts: &[SealedPart],
        crc64nvme: u64,
        size: u64,
        only_if_absent: bool,
    ) -> Result<PublishedObject, Error> {
        let full_object = self.habits.full_object;
        let checked = full_object && self.habits.part_checksum == PartChecksum::Trailer;
        let part = |part: &SealedPart| {
            CompletedPart::builder()
                .part_number(i32::from(part.number.get()))
                .e_tag(quoted(&part.etag))
                .set_checksum_crc64_nvme(checked.then(|| crc64nvme_to_base64(part.crc64nvme)))
                .build()
        };
        let parts = parts.iter().map(part).collect();
        let request = self
            .caller
            .client
            .complete_multipart_upload()
            .bucket(&self.caller.address.bucket)
            .key(&self.caller.address.key)
            .upload_id(&upload.0)
            .multipart_upload(CompletedMultipartUpload::builder().set_parts(Some(parts)).build())
            .set_checksum_crc64_nvme(full_object.then(|| crc64nvme_to_base64(crc64nvme)))
            .set_checksum_type(full_object.then_some(ChecksumType::FullObject))
            .mpu_object_size(i64::try_from(size).unwrap_or(i64::MAX))
            .set_if_none_match(only_if_absent.then(|| "*".to_owned()))
            .send();
        let answer =
            self.caller.call_within(COMPLETE, COMPLETE_PATIENCE, async {}, request).await?;
        self.published(COMPLETE, answer.e_tag.as_deref(), answer.version_id)
    }

    /// Throws the upload away. One that is gone already is fine.
    ///
    /// # Errors
    /// Where S3 did not say that it is gone.
    pub async fn abort(&self, upload: &UploadId) -> Result<(), Error> {
        let request = self
            .caller
            .client
            .abort_multipart_upload()
            .bucket(&self.caller.address.bucket)
            .key(&self.caller.address.key)
            .upload_id(&upload.0)
            .send();
        match self.caller.call(ABORT, request).await {
            Ok(_) | Err(Error::NoSuchUpload(_)) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// The uploads of exactly this key that are neither completed nor aborted.
    ///
    /// # Errors
    /// Where the request fails, or pages do not end.
    pub async fn list_uploads(&self) -> Result<Vec<ListedUpload>, Error> {
        let mut uploads = Vec::new();
        let (mut key_marker, mut id_marker) = (None, None);
        for _ in 0..PAGES_MAX {
            let request = self
                .caller
                .client
                .list_multipart_uploads()
                .bucket(&self.caller.address.bucket)
                .prefix(&self.caller.address.key)
                .set_key_marker(key_marker)
                .set_upload_id_marker(id_marker)
                .send();
            let answer = self.caller.call(LIST_UPLOADS, request).await?;
            let ours = answer.uploads.unwrap_or_default().into_iter();
            let ours =
                ours.filter(|upload| upload.key.as_deref() == Some(&self.caller.address.key));
            uploads.extend(ours.filter_map(|upload| {
                let initiated = upload.initiated.and_then(timestamp);
                Some(ListedUpload { upload: UploadId(upload.upload_id?), initiated })
            }));
            if answer.is_truncated != Some(true) {
                return Ok(uploads);
            }
            (key_marker, id_marker) = (answer.next_key_marker, answer.next_upload_id_marker);
        }
        Err(self.caller.bad_answer(LIST_UPLOADS, "the list of uploads does not end"))
    }

    /// The parts that the target has, in order; `None` where it does not know the upload.
    ///
    /// # Errors
    /// Where the request fails, or pages do not end.
    pub async fn list_parts(&self, upload: &UploadId) -> Result<Option<Vec<ListedPart>>, Error> {
        let mut parts = Vec::new();
        let mut marker = None;
        for _ in 0..PAGES_MAX {
            let request = self
                .caller
                .client
                .list_parts()
                .bucket(&self.caller.address.bucket)
                .key(&self.caller.address.key)
                .upload_id(&upload.0)
                .set_part_number_marker(marker.clone())
                .send();
            let answer = match self.caller.call(LIST_PARTS, request).await {
                Ok(answer) => answer,
                Err(Error::NoSuchUpload(_)) => return Ok(None),
                Err(error) => return Err(error),
            };
            for part in answer.parts.unwrap_or_default() {
                parts.push(listed(&part).ok_or_else(|| {
                    self.caller.bad_answer(LIST_PARTS, "a part has no number or no size")
                })?);
            }
            if answer.is_truncated != Some(true) {
                // Servers exist that list them in the order of a directory.
                parts.sort_by_key(|part| part.number);
                return Ok(Some(parts));
            }
            marker = answer.next_part_number_marker;
        }
        Err(self.caller.bad_answer(LIST_PARTS, "the list of parts does not end"))
    }
}

fn listed(part: &aws_sdk_s3::types::Part) -> Option<ListedPart> {
    Some(ListedPart {
        number: PartNumber::new(u32::try_from(part.part_number?).ok()?)?,
        size: u64::try_from(part.size?).ok()?,
        etag: part.e_tag.as_deref().map(unquoted).unwrap_or_default(),
        crc64nvme: part.checksum_crc64_nvme.as_deref().and_then(crc64nvme_from_base64),
    })
}
