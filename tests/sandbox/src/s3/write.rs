//! Operations that write or delete an object in one request.

use http::HeaderMap;
use s3s::dto::{
    CopyObjectInput, CopyObjectOutput, CopyObjectResult, CopySource, DeleteObjectInput,
    DeleteObjectOutput, DeleteObjectsInput, DeleteObjectsOutput, DeletedObject, ETag,
    PutObjectInput, PutObjectOutput, PutObjectTaggingInput, PutObjectTaggingOutput,
};
use s3s::{S3Request, S3Response, S3Result, TrailingHeaders, s3_error};

use super::attributes::{checked_tags, checksum_headers, encryption_headers};
use super::{Partition, tamper};
use crate::checksum::Algorithm;
use crate::fault::Tamper;
use crate::ingest::receiver::Receiver;
use crate::ingest::{Claims, Intake, take_in};
use crate::store::bucket::{Conditions, Sink};
use crate::store::object::{StoredObject, now};

/// S3's largest PutObject and copy.
const PUT_BYTES_MAX: u64 = 5 << 30;

impl Partition {
    /// Reads the claims of an upload and decides where its bytes go and which checksum is kept.
    pub(super) fn intake(
        &self,
        headers: &HeaderMap,
        trailers: Option<TrailingHeaders>,
        tamper: Tamper,
        keep: Option<Algorithm>,
        sink: Option<&Sink>,
    ) -> S3Result<Intake> {
        let mut claims = Claims::of(headers, trailers)?;
        let keep = if self.habits().no_checksums {
            claims = claims.without_checksums();
            None
        } else {
            keep.or(claims.algorithm()).or(Some(Algorithm::Crc64Nvme))
        };
        let name = self.store.unique_id();
        let receiver = Receiver::new(self.directory.as_deref(), sink, &name)?;
        Ok(Intake { claims, keep, etag: self.etags, opaque_etag: name, tamper, receiver })
    }

    pub(super) async fn put_object(
        &self,
        request: S3Request<PutObjectInput>,
    ) -> S3Result<S3Response<PutObjectOutput>> {
        let tamper = tamper(&request);
        let input = request.input;
        let attributes = self.attributes(&request.headers)?;
        let conditions = match self.habits().ignore_conditions_on_put {
            true => Conditions::default(),
            false => Conditions { if_match: input.if_match, if_none_match: input.if_none_match },
        };
        let sink = self.store.bucket(&input.bucket, |bucket| {
            bucket.check(&input.key, &conditions)?;
            Ok(bucket.options.sink.clone())
        })?;
        let intake =
            self.intake(&request.headers, request.trailing_headers, tamper, None, sink.as_ref())?;
        let received = take_in(input.body, intake).await?;
        if received.content.len() > PUT_BYTES_MAX {
            return Err(s3_error!(EntityTooLarge));
        }
        if received.compared_at.is_some_and(|at| at != 0) {
            return Err(s3_error!(BadDigest, "these are not the bytes the sink compares with"));
        }
        let object = StoredObject {
            key: input.key,
            version_id: None,
            content: received.content,
            etag: received.etag,
            last_modified: now(),
            attributes,
            checksum: received.checksum.map(|value| value.full_object()),
            parts: Vec::new(),
        };
        let object = self.store_object(&input.bucket, object, &conditions)?;
        let mut headers = checksum_headers(object.checksum.as_ref());
        headers.extend(encryption_headers(&object.attributes.encryption));
        let output = PutObjectOutput {
            e_tag: Some(ETag::Strong(object.etag.clone())),
            version_id: object.version_id.clone(),
            ..Default::default()
        };
        Ok(S3Response::with_headers(output, headers))
    }

    /// Checks the conditions once more and stores, under one lock: two writers cannot both be first.
    fn store_object(
        &self,
        bucket: &str,
        object: StoredObject,
        conditions: &Conditions,
    ) -> S3Result<std::sync::Arc<StoredObject>> {
        self.store.bucket(bucket, |bucket| {
            bucket.check(&object.key, conditions)?;
            let version_id = bucket.options.versioned.then(|| self.store.unique_id());
            Ok(bucket.put(StoredObject { version_id, ..object }))
        })
    }

    pub(super) async fn copy_object(
        &self,
        request: S3Request<CopyObjectInput>,
    ) -> S3Result<S3Response<CopyObjectOutput>> {
        let input = request.input;
        let CopySource::Bucket { bucket, key, version_id } = &input.copy_source else {
            return Err(s3_error!(NotImplemented, "the sandbox has no access points"));
        };
        let source = self.find(bucket, key, version_id.as_deref())?;
        if source.size() > PUT_BYTES_MAX {
            return Err(s3_error!(
                InvalidRequest,
                "The specified copy source is larger than the maximum allowable size for a copy \
                 source: 5368709120"
            ));
        }
        let replace = input.metadata_directive.is_some_and(|d| d.as_str() == "REPLACE");
        let mut attributes = self.attributes(&request.headers)?;
        if !replace {
            attributes.headers.clone_from(&source.attributes.headers);
            attributes.metadata.clone_from(&source.attributes.metadata);
        }
        if input.tagging_directive.is_none_or(|d| d.as_str() != "REPLACE") {
            attributes.tags.clone_from(&source.attributes.tags);
        }
        let copy = StoredObject {
            key: input.key,
            last_modified: now(),
            attributes,
            parts: Vec::new(),
            ..StoredObject::clone(&source)
        };
        let copy = self.store_object(&input.bucket, copy, &Conditions::default())?;
        let result = CopyObjectResult {
            e_tag: Some(ETag::Strong(copy.etag.clone())),
            last_modified: Some(copy.last_modified.into()),
            ..Default::default()
        };
        Ok(S3Response::new(CopyObjectOutput {
            copy_object_result: Some(result),
            version_id: copy.version_id.clone(),
            ..Default::default()
        }))
    }

    pub(super) async fn put_object_tagging(
        &self,
        request: S3Request<PutObjectTaggingInput>,
    ) -> S3Result<S3Response<PutObjectTaggingOutput>> {
        let input = request.input;
        let pairs = input.tagging.tag_set.into_iter();
        let tags = checked_tags(
            pairs.map(|tag| (tag.key.unwrap_or_default(), tag.value.unwrap_or_default())),
        )?;
        let version_id = self.store.bucket(&input.bucket, |bucket| {
            let object = bucket.get(&input.key, input.version_id.as_deref())?;
            let mut object = StoredObject::clone(&object);
            object.attributes.tags = tags;
            let version_id = object.version_id.clone();
            bucket.replace(object);
            Ok(version_id)
        })?;
        Ok(S3Response::new(PutObjectTaggingOutput { version_id }))
    }

    pub(super) async fn delete_object(
        &self,
        request: S3Request<DeleteObjectInput>,
    ) -> S3Result<S3Response<DeleteObjectOutput>> {
        let input = request.input;
        let marker_id = self.store.unique_id();
        let deleted = self.store.bucket(&input.bucket, |bucket| {
            Ok(bucket.delete(&input.key, input.version_id.as_deref(), marker_id))
        })?;
        let (version_id, marker) = deleted.map_or((None, false), |(id, marker)| (Some(id), marker));
        Ok(S3Response::new(DeleteObjectOutput {
            delete_marker: marker.then_some(true),
            version_id,
            ..Default::default()
        }))
    }

    pub(super) async fn delete_objects(
        &self,
        request: S3Request<DeleteObjectsInput>,
    ) -> S3Result<S3Response<DeleteObjectsOutput>> {
        let input = request.input;
        let mut deleted = Vec::new();
        for object in input.delete.objects {
            let marker_id = self.store.unique_id();
            self.store.bucket(&input.bucket, |bucket| {
                Ok(bucket.delete(&object.key, object.version_id.as_deref(), marker_id))
            })?;
            deleted.push(DeletedObject {
                key: Some(object.key),
                version_id: object.version_id,
                ..Default::default()
            });
        }
        let quiet = input.delete.quiet == Some(true);
        Ok(S3Response::new(DeleteObjectsOutput {
            deleted: (!quiet).then_some(deleted),
            ..Default::default()
        }))
    }
}
