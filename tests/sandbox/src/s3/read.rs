//! Operations that read an object.

use std::ops::Range;
use std::sync::Arc;

use http::{HeaderMap, StatusCode, header};
use s3s::dto::{
    Checksum as ChecksumDto, ChecksumType, ETag, ETagCondition, GetObjectAttributesInput,
    GetObjectAttributesOutput, GetObjectAttributesParts, GetObjectInput, GetObjectOutput,
    GetObjectTaggingInput, GetObjectTaggingOutput, HeadObjectInput, HeadObjectOutput,
    ObjectPart as ObjectPartDto, StorageClass, StreamingBlob, Tag, Timestamp,
};
use s3s::{S3Request, S3Response, S3Result, s3_error};

use super::Partition;
use super::attributes::{ByAlgorithm, checksum_headers, object_headers};
use crate::content::reader::Blob;
use crate::refusal::refusal;
use crate::store::object::StoredObject;

/// What a read asks of the object before its bytes.
struct Preconditions<'a> {
    if_match: Option<&'a ETagCondition>,
    if_none_match: Option<&'a ETagCondition>,
    if_modified_since: Option<&'a Timestamp>,
    if_unmodified_since: Option<&'a Timestamp>,
}

/// Which bytes a read asks for.
struct Selection {
    range: Range<u64>,
    /// Present when it is a part of the object: the answer is 206.
    content_range: Option<String>,
    parts_count: Option<i32>,
}

impl Partition {
    /// # Errors
    /// `NoSuchBucket`, `NoSuchKey`, `NoSuchVersion`, `MethodNotAllowed`.
    pub(crate) fn find(
        &self,
        bucket: &str,
        key: &str,
        version_id: Option<&str>,
    ) -> S3Result<Arc<StoredObject>> {
        self.store.bucket(bucket, |bucket| bucket.get(key, version_id))
    }

    fn check(&self, object: &StoredObject, asked: &Preconditions<'_>) -> S3Result<()> {
        let same = |condition: &ETagCondition| match condition {
            ETagCondition::Any => true,
            ETagCondition::ETag(etag) => etag.value() == object.etag,
        };
        let modified = Timestamp::from(object.last_modified);
        let failed = || {
            s3_error!(
                PreconditionFailed,
                "At least one of the pre-conditions you specified did not hold"
            )
        };
        match asked.if_match.filter(|_| !self.habits().ignore_if_match_on_get) {
            Some(condition) if !same(condition) => return Err(failed()),
            None if asked.if_unmodified_since.is_some_and(|since| modified > *since) => {
                return Err(failed());
            }
            Some(_) | None => {}
        }
        match asked.if_none_match {
            Some(condition) if same(condition) => Err(s3_error!(NotModified)),
            None if asked.if_modified_since.is_some_and(|since| modified <= *since) => {
                Err(s3_error!(NotModified))
            }
            Some(_) | None => Ok(()),
        }
    }

    fn read_headers(&self, object: &StoredObject, whole: bool, checksum_mode: bool) -> HeaderMap {
        let mut headers = object_headers(object);
        // S3 gives an object's checksum only with all of its bytes.
        if checksum_mode && whole {
            headers.extend(checksum_headers(object.checksum.as_ref()));
        }
        headers
    }

    pub(super) async fn get_object(
        &self,
        request: S3Request<GetObjectInput>,
    ) -> S3Result<S3Response<GetObjectOutput>> {
        let input = request.input;
        let object = self.find(&input.bucket, &input.key, input.version_id.as_deref())?;
        let asked = Preconditions {
            if_match: input.if_match.as_ref(),
            if_none_match: input.if_none_match.as_ref(),
            if_modified_since: input.if_modified_since.as_ref(),
            if_unmodified_since: input.if_unmodified_since.as_ref(),
        };
        self.check(&object, &asked)?;
        let selection = select(&object, input.range.as_ref(), input.part_number)?;
        if !object.content.is_readable() {
            return Err(s3_error!(NotImplemented, "the sink dropped the bytes of this object"));
        }
        let whole = selection.content_range.is_none();
        let mut headers = self.read_headers(&object, whole, input.checksum_mode.is_some());
        for (overridden, name) in [
            (input.response_content_type.is_some(), header::CONTENT_TYPE),
            (input.response_content_encoding.is_some(), header::CONTENT_ENCODING),
            (input.response_content_language.is_some(), header::CONTENT_LANGUAGE),
            (input.response_content_disposition.is_some(), header::CONTENT_DISPOSITION),
            (input.response_cache_control.is_some(), header::CACHE_CONTROL),
            (input.response_expires.is_some(), header::EXPIRES),
        ] {
            if overridden {
                headers.remove(name);
            }
        }
        let length = selection.range.end - selection.range.start;
        let output = GetObjectOutput {
            accept_ranges: Some("bytes".into()),
            content_length: i64::try_from(length).ok(),
            content_range: selection.content_range,
            parts_count: selection.parts_count,
            e_tag: Some(ETag::Strong(object.etag.clone())),
            last_modified: Some(object.last_modified.into()),
            version_id: object.version_id.clone(),
            body: Some(StreamingBlob::new(Blob(object.content.read(selection.range)))),
            ..Default::default()
        };
        Ok(S3Response::with_headers(output, headers))
    }

    pub(super) async fn head_object(
        &self,
        request: S3Request<HeadObjectInput>,
    ) -> S3Result<S3Response<HeadObjectOutput>> {
        let input = request.input;
        let object = self.find(&input.bucket, &input.key, input.version_id.as_deref())?;
        let asked = Preconditions {
            if_match: input.if_match.as_ref(),
            if_none_match: input.if_none_match.as_ref(),
            if_modified_since: input.if_modified_since.as_ref(),
            if_unmodified_since: input.if_unmodified_since.as_ref(),
        };
        self.check(&object, &asked)?;
        let selection = select(&object, input.range.as_ref(), input.part_number)?;
        let whole = selection.content_range.is_none();
        let headers = self.read_headers(&object, whole, input.checksum_mode.is_some());
        let output = HeadObjectOutput {
            accept_ranges: Some("bytes".into()),
            content_length: i64::try_from(selection.range.end - selection.range.start).ok(),
            content_range: selection.content_range,
            parts_count: selection.parts_count,
            e_tag: Some(ETag::Strong(object.etag.clone())),
            last_modified: Some(object.last_modified.into()),
            version_id: object.version_id.clone(),
            ..Default::default()
        };
        Ok(S3Response::with_headers(output, headers))
    }

    pub(super) async fn get_object_attributes(
        &self,
        request: S3Request<GetObjectAttributesInput>,
    ) -> S3Result<S3Response<GetObjectAttributesOutput>> {
        let input = request.input;
        let object = self.find(&input.bucket, &input.key, input.version_id.as_deref())?;
        // Several clients send one header with all the names.
        let names = input.object_attributes.iter().flat_map(|names| names.as_str().split(','));
        let names: Vec<&str> = names.map(str::trim).collect();
        let asked = |name: &str| names.contains(&name);
        let parts = asked("ObjectParts") && !object.parts.is_empty();
        let after = input.part_number_marker.unwrap_or(0);
        let output = GetObjectAttributesOutput {
            e_tag: asked("ETag").then(|| ETag::Strong(object.etag.clone())),
            object_size: asked("ObjectSize").then(|| signed(object.size())),
            storage_class: asked("StorageClass")
                .then(|| StorageClass::from(object.attributes.storage_class.clone())),
            checksum: asked("Checksum").then(|| checksum_dto(&object)).flatten(),
            object_parts: parts.then(|| parts_dto(&object, after, input.max_parts)),
            last_modified: Some(object.last_modified.into()),
            version_id: object.version_id.clone(),
            ..Default::default()
        };
        Ok(S3Response::new(output))
    }

    pub(super) async fn get_object_tagging(
        &self,
        request: S3Request<GetObjectTaggingInput>,
    ) -> S3Result<S3Response<GetObjectTaggingOutput>> {
        let input = request.input;
        let object = self.find(&input.bucket, &input.key, input.version_id.as_deref())?;
        let tag = |(key, value): (&String, &String)| Tag {
            key: Some(key.clone()),
            value: Some(value.clone()),
        };
        Ok(S3Response::new(GetObjectTaggingOutput {
            tag_set: object.attributes.tags.iter().map(tag).collect(),
            version_id: object.version_id.clone(),
        }))
    }
}

/// # Errors
/// `InvalidRange`, `InvalidPartNumber`, `InvalidRequest`.
fn select(
    object: &StoredObject,
    range: Option<&s3s::dto::Range>,
    part_number: Option<i32>,
) -> S3Result<Selection> {
    let size = object.size();
    let partial = |range: Range<u64>, parts_count| Selection {
        content_range: Some(format!("bytes {}-{}/{size}", range.start, range.end - 1)),
        range,
        parts_count,
    };
    match (range, part_number) {
        (None, None) => Ok(Selection { range: 0..size, content_range: None, parts_count: None }),
        (Some(_), Some(_)) => {
            Err(s3_error!(InvalidRequest, "Cannot specify both Range header and partNumber"))
        }
        (Some(range), None) => match range.check(size) {
            Ok(range) if range.is_empty() => Err(s3_error!(InvalidRange)),
            Ok(range) => Ok(partial(range, None)),
            Err(_) => Err(s3_error!(InvalidRange, "The requested range is not satisfiable")),
        },
        (None, Some(1)) if object.parts.is_empty() => {
            Ok(Selection { range: 0..size, content_range: None, parts_count: None })
        }
        (None, Some(number)) => {
            let mut start = 0;
            for (ordinal, part) in (1i32..).zip(&object.parts) {
                if ordinal == number && part.size > 0 {
                    let count = i32::try_from(object.parts.len()).ok();
                    return Ok(partial(start..start + part.size, count));
                }
                start += part.size;
            }
            let message = "The requested partnumber is not satisfiable";
            Err(refusal(StatusCode::RANGE_NOT_SATISFIABLE, "InvalidPartNumber", message))
        }
    }
}

/// Sizes are far below 2^63: the largest object has 50 TB.
pub(super) fn signed(size: u64) -> i64 {
    i64::try_from(size).unwrap_or(i64::MAX)
}

fn checksum_dto(object: &StoredObject) -> Option<ChecksumDto> {
    let checksum = object.checksum.as_ref()?;
    let by = ByAlgorithm::of(checksum.algorithm, Some(checksum.value.clone()));
    Some(ChecksumDto {
        checksum_crc64nvme: by.crc64nvme,
        checksum_crc32: by.crc32,
        checksum_crc32c: by.crc32c,
        checksum_sha256: by.sha256,
        checksum_sha1: None,
        checksum_type: Some(ChecksumType::from_static(checksum.kind.name())),
    })
}

/// S3 lists the parts one by one only when they have checksums of their own, which is when the whole
/// has a composite one.
fn parts_dto(object: &StoredObject, after: i32, max: Option<i32>) -> GetObjectAttributesParts {
    let composite = object.checksum.as_ref().filter(|c| c.kind.name() == "COMPOSITE");
    let max = max.filter(|max| (1..=1000).contains(max)).unwrap_or(1000);
    let total = i32::try_from(object.parts.len()).ok();
    let mut listed: Vec<ObjectPartDto> = Vec::new();
    let mut truncated = false;
    if let Some(checksum) = composite {
        for part in object.parts.iter().filter(|part| i64::from(part.number) > i64::from(after)) {
            if listed.len() as u64 == u64::from(max.unsigned_abs()) {
                truncated = true;
                break;
            }
            let by = ByAlgorithm::of(checksum.algorithm, part.checksum.clone());
            listed.push(ObjectPartDto {
                part_number: i32::try_from(part.number).ok(),
                size: Some(signed(part.size)),
                checksum_crc64nvme: by.crc64nvme,
                checksum_crc32: by.crc32,
                checksum_crc32c: by.crc32c,
                checksum_sha256: by.sha256,
                checksum_sha1: None,
            });
        }
    }
    GetObjectAttributesParts {
        total_parts_count: total,
        max_parts: composite.map(|_| max),
        is_truncated: composite.map(|_| truncated),
        part_number_marker: composite.map(|_| after),
        next_part_number_marker: listed.last().and_then(|part| part.part_number),
        parts: composite.map(|_| listed),
    }
}
