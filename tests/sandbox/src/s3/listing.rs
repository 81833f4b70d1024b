//! Operations that list: objects, uploads, parts; a page at a time.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use s3s::dto::{
    ChecksumAlgorithm, ChecksumType, CommonPrefix, ETag, ListMultipartUploadsInput,
    ListMultipartUploadsOutput, ListObjectsV2Input, ListObjectsV2Output, ListPartsInput,
    ListPartsOutput, MultipartUpload, Object, ObjectStorageClass, Part, StorageClass, Timestamp,
};
use s3s::{S3Request, S3Response, S3Result, s3_error};

use super::Partition;
use super::attributes::ByAlgorithm;
use super::multipart::open_upload;
use super::read::signed;
use crate::store::bucket::Bucket;
use crate::store::object::StoredObject;
use crate::store::upload::{StoredPart, Upload};

/// S3's longest page of objects, uploads and parts.
const PAGE_MAX: i32 = 1000;

/// One page of keys below a prefix, grouped at the delimiter.
struct Page {
    objects: Vec<std::sync::Arc<StoredObject>>,
    prefixes: Vec<String>,
    /// The last key or prefix of the page when there are more.
    next: Option<String>,
}

fn page_size(asked: Option<i32>) -> S3Result<usize> {
    match usize::try_from(asked.unwrap_or(PAGE_MAX).min(PAGE_MAX)) {
        Ok(size) => Ok(size),
        Err(_) => Err(s3_error!(InvalidArgument, "a page cannot have a negative size")),
    }
}

fn page(bucket: &Bucket, prefix: &str, delimiter: &str, after: &str, max: usize) -> Page {
    let mut page = Page { objects: Vec::new(), prefixes: Vec::new(), next: None };
    let mut last = after.to_owned();
    for object in bucket.keys_after(after) {
        let Some(rest) = object.key.strip_prefix(prefix) else { continue };
        let group = rest
            .find(delimiter)
            .filter(|_| !delimiter.is_empty())
            .map(|at| &object.key[..prefix.len() + at + delimiter.len()]);
        // A group was listed on this page, or is what the page before ended with.
        if group.is_some_and(|group| group == last) {
            continue;
        }
        if page.objects.len() + page.prefixes.len() == max {
            page.next = (max > 0).then_some(last);
            break;
        }
        match group {
            Some(group) => {
                group.clone_into(&mut last);
                page.prefixes.push(group.to_owned());
            }
            None => {
                object.key.clone_into(&mut last);
                page.objects.push(object);
            }
        }
    }
    page
}

impl Partition {
    pub(super) async fn list_objects_v2(
        &self,
        request: S3Request<ListObjectsV2Input>,
    ) -> S3Result<S3Response<ListObjectsV2Output>> {
        let input = request.input;
        let max = page_size(input.max_keys)?;
        let after = match &input.continuation_token {
            Some(token) => decode_token(token)?,
            None => input.start_after.clone().unwrap_or_default(),
        };
        let prefix = input.prefix.clone().unwrap_or_default();
        let delimiter = input.delimiter.clone().unwrap_or_default();
        let page = self
            .store
            .bucket(&input.bucket, |bucket| Ok(page(bucket, &prefix, &delimiter, &after, max)))?;
        let count = page.objects.len() + page.prefixes.len();
        let contents = page.objects.iter().map(|object| listed(object)).collect();
        let prefixes =
            page.prefixes.into_iter().map(|prefix| CommonPrefix { prefix: Some(prefix) });
        Ok(S3Response::new(ListObjectsV2Output {
            name: Some(input.bucket),
            prefix: Some(prefix),
            delimiter: input.delimiter,
            start_after: input.start_after,
            continuation_token: input.continuation_token,
            max_keys: i32::try_from(max).ok(),
            key_count: i32::try_from(count).ok(),
            is_truncated: Some(page.next.is_some()),
            next_continuation_token: page.next.map(|key| BASE64.encode(key)),
            contents: Some(contents),
            common_prefixes: Some(prefixes.collect()),
            ..Default::default()
        }))
    }

    pub(super) async fn list_multipart_uploads(
        &self,
        request: S3Request<ListMultipartUploadsInput>,
    ) -> S3Result<S3Response<ListMultipartUploadsOutput>> {
        let input = request.input;
        let max = page_size(input.max_uploads)?;
        let prefix = input.prefix.clone().unwrap_or_default();
        // S3's order: by key, then by the time of initiation; ids stand in for equal times.
        let after = input
            .key_marker
            .clone()
            .map(|key| (key, input.upload_id_marker.clone().unwrap_or_else(|| "~".to_owned())));
        let mut uploads: Vec<Upload> = self.store.bucket(&input.bucket, |bucket| {
            let below = bucket.uploads.values().filter(|upload| upload.key.starts_with(&prefix));
            Ok(below.cloned().collect())
        })?;
        uploads.sort_by(|a, b| (&a.key, &a.upload_id).cmp(&(&b.key, &b.upload_id)));
        uploads.retain(|upload| {
            after.as_ref().is_none_or(|(key, id)| (&upload.key, &upload.upload_id) > (key, id))
        });
        let truncated = uploads.len() > max;
        uploads.truncate(max);
        let last = uploads.last().filter(|_| truncated);
        Ok(S3Response::new(ListMultipartUploadsOutput {
            bucket: Some(input.bucket),
            prefix: Some(prefix),
            key_marker: input.key_marker,
            upload_id_marker: input.upload_id_marker,
            max_uploads: i32::try_from(max).ok(),
            is_truncated: Some(truncated),
            next_key_marker: last.map(|upload| upload.key.clone()),
            next_upload_id_marker: last.map(|upload| upload.upload_id.clone()),
            uploads: Some(uploads.iter().map(listed_upload).collect()),
            ..Default::default()
        }))
    }

    pub(super) async fn list_parts(
        &self,
        request: S3Request<ListPartsInput>,
    ) -> S3Result<S3Response<ListPartsOutput>> {
        let input = request.input;
        let max = page_size(input.max_parts)?;
        let marker = input.part_number_marker.unwrap_or(0);
        let upload = self.store.bucket(&input.bucket, |bucket| {
            open_upload(bucket, &input.upload_id, &input.key).cloned()
        })?;
        let named = upload.checksum.explicit;
        let mut after =
            upload.parts.values().filter(|part| i64::from(part.number) > i64::from(marker));
        let parts: Vec<Part> =
            after.by_ref().take(max).map(|part| listed_part(part, &upload)).collect();
        Ok(S3Response::new(ListPartsOutput {
            bucket: Some(input.bucket),
            key: Some(input.key),
            upload_id: Some(input.upload_id),
            part_number_marker: Some(marker),
            max_parts: i32::try_from(max).ok(),
            is_truncated: Some(after.next().is_some()),
            next_part_number_marker: parts.last().and_then(|part| part.part_number),
            parts: Some(parts),
            storage_class: Some(StorageClass::from(upload.attributes.storage_class.clone())),
            checksum_algorithm: named
                .then(|| ChecksumAlgorithm::from_static(upload.checksum.algorithm.name())),
            checksum_type: named.then(|| ChecksumType::from_static(upload.checksum.kind.name())),
            ..Default::default()
        }))
    }
}

fn decode_token(token: &str) -> S3Result<String> {
    let key = BASE64.decode(token).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    key.ok_or_else(|| s3_error!(InvalidArgument, "The continuation token provided is incorrect"))
}

fn listed(object: &StoredObject) -> Object {
    let checksum = object.checksum.as_ref();
    Object {
        key: Some(object.key.clone()),
        size: Some(signed(object.size())),
        e_tag: Some(ETag::Strong(object.etag.clone())),
        last_modified: Some(object.last_modified.into()),
        storage_class: Some(ObjectStorageClass::from(object.attributes.storage_class.clone())),
        checksum_algorithm: checksum
            .map(|checksum| vec![ChecksumAlgorithm::from_static(checksum.algorithm.name())]),
        checksum_type: checksum.map(|checksum| ChecksumType::from_static(checksum.kind.name())),
        ..Default::default()
    }
}

fn listed_upload(upload: &Upload) -> MultipartUpload {
    MultipartUpload {
        key: Some(upload.key.clone()),
        upload_id: Some(upload.upload_id.clone()),
        initiated: Some(Timestamp::from(upload.initiated)),
        storage_class: Some(StorageClass::from(upload.attributes.storage_class.clone())),
        ..Default::default()
    }
}

/// S3 lists a part's checksum only when the upload was created with an algorithm.
fn listed_part(part: &StoredPart, upload: &Upload) -> Part {
    let value = part.checksum.as_ref().filter(|_| upload.checksum.explicit);
    let by = ByAlgorithm::of(upload.checksum.algorithm, value.map(|value| value.base64()));
    Part {
        part_number: i32::try_from(part.number).ok(),
        size: Some(signed(part.size())),
        e_tag: Some(ETag::Strong(part.etag.clone())),
        last_modified: Some(part.last_modified.into()),
        checksum_crc64nvme: by.crc64nvme,
        checksum_crc32: by.crc32,
        checksum_crc32c: by.crc32c,
        checksum_sha256: by.sha256,
        checksum_sha1: None,
    }
}
