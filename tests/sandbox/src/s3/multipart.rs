//! Multipart uploads: create, upload a part, complete, abort.

use s3s::dto::{
    AbortMultipartUploadInput, AbortMultipartUploadOutput, ChecksumAlgorithm, ChecksumType,
    CompleteMultipartUploadInput, CompleteMultipartUploadOutput, CreateMultipartUploadInput,
    CreateMultipartUploadOutput, ETag, UploadPartInput, UploadPartOutput,
};
use s3s::{S3Request, S3Response, S3Result, s3_error};

use super::attributes::{ByAlgorithm, encryption_headers};
use super::{Partition, tamper};
use crate::checksum::{Algorithm, Kind};
use crate::habit::RepeatedComplete;
use crate::ingest::{Claims, take_in};
use crate::store::bucket::{Bucket, Conditions};
use crate::store::object::{StoredObject, now};
use crate::store::upload::{
    ChecksumPlan, Completed, Completion, PART_NUMBER_MAX, StoredPart, Upload,
};

/// S3's largest part.
const PART_BYTES_MAX: u64 = 5 << 30;

impl Partition {
    pub(super) async fn create_multipart_upload(
        &self,
        request: S3Request<CreateMultipartUploadInput>,
    ) -> S3Result<S3Response<CreateMultipartUploadOutput>> {
        let input = request.input;
        let habits = self.habits();
        let mut attributes = self.attributes(&request.headers)?;
        if habits.drop_tags_at_create {
            attributes.tags.clear();
        }
        let checksum = checksum_plan(
            input.checksum_algorithm.as_ref().map(ChecksumAlgorithm::as_str),
            input.checksum_type.as_ref().map(ChecksumType::as_str),
        )?;
        let full_object = input.checksum_type.is_some_and(|kind| kind.as_str() == "FULL_OBJECT");
        if habits.refuse_full_object && full_object {
            return Err(s3_error!(
                InvalidRequest,
                "The checksum type FULL_OBJECT is not supported"
            ));
        }
        let headers = encryption_headers(&attributes.encryption);
        let upload_id = self.store.unique_id();
        let upload = Upload {
            upload_id: upload_id.clone(),
            key: input.key.clone(),
            initiated: now(),
            attributes,
            checksum,
            parts: std::collections::BTreeMap::new(),
        };
        self.store.bucket(&input.bucket, |bucket| {
            bucket.uploads.insert(upload_id.clone(), upload);
            Ok(())
        })?;
        let named = checksum.explicit && !habits.no_checksums;
        let output = CreateMultipartUploadOutput {
            bucket: Some(input.bucket),
            key: Some(input.key),
            upload_id: Some(upload_id),
            checksum_algorithm: named
                .then(|| ChecksumAlgorithm::from_static(checksum.algorithm.name())),
            checksum_type: named.then(|| ChecksumType::from_static(checksum.kind.name())),
            ..Default::default()
        };
        Ok(S3Response::with_headers(output, headers))
    }

    pub(super) async fn upload_part(
        &self,
        request: S3Request<UploadPartInput>,
    ) -> S3Result<S3Response<UploadPartOutput>> {
        let tamper = tamper(&request);
        let input = request.input;
        let number = part_number(input.part_number)?;
        let (plan, encryption, sink) = self.store.bucket(&input.bucket, |bucket| {
            let upload = open_upload(bucket, &input.upload_id, &input.key)?;
            let encryption = upload.attributes.encryption.clone();
            Ok((upload.checksum, encryption, bucket.options.sink.clone()))
        })?;
        let claimed = Claims::of(&request.headers, None)?.algorithm();
        if let Some(claimed) = claimed.filter(|claimed| plan.explicit && *claimed != plan.algorithm)
        {
            return Err(s3_error!(
                InvalidRequest,
                "Checksum Type mismatch occurred, expected checksum Type: {}, actual checksum Type: {}",
                plan.algorithm.name().to_lowercase(),
                claimed.name().to_lowercase()
            ));
        }
        let intake = self.intake(
            &request.headers,
            request.trailing_headers,
            tamper,
            Some(plan.algorithm),
            sink.as_ref(),
        )?;
        let received = take_in(input.body, intake).await?;
        if received.content.len() > PART_BYTES_MAX {
            return Err(s3_error!(EntityTooLarge));
        }
        let checksum = received.checksum.as_ref().map(|value| value.base64());
        let part = StoredPart {
            number,
            etag: received.etag.clone(),
            last_modified: now(),
            content: received.content,
            compared_at: received.compared_at,
            checksum: received.checksum,
        };
        // The upload may have been completed or aborted while the bytes came in.
        self.store.bucket(&input.bucket, |bucket| {
            open_upload(bucket, &input.upload_id, &input.key)?;
            if let Some(upload) = bucket.uploads.get_mut(&input.upload_id) {
                upload.parts.insert(number, part);
            }
            Ok(())
        })?;
        let by = ByAlgorithm::of(plan.algorithm, checksum);
        let output = UploadPartOutput {
            e_tag: Some(ETag::Strong(received.etag)),
            checksum_crc64nvme: by.crc64nvme,
            checksum_crc32: by.crc32,
            checksum_crc32c: by.crc32c,
            checksum_sha256: by.sha256,
            ..Default::default()
        };
        Ok(S3Response::with_headers(output, encryption_headers(&encryption)))
    }

    pub(super) async fn complete_multipart_upload(
        &self,
        request: S3Request<CompleteMultipartUploadInput>,
    ) -> S3Result<S3Response<CompleteMultipartUploadOutput>> {
        let input = request.input;
        let habits = self.habits();
        let conditions = match habits.ignore_conditions_on_complete {
            true => Conditions::default(),
            false => Conditions { if_match: input.if_match, if_none_match: input.if_none_match },
        };
        let completion = Completion {
            parts: input.multipart_upload.and_then(|list| list.parts).unwrap_or_default(),
            claim: [
                (Algorithm::Crc64Nvme, input.checksum_crc64nvme),
                (Algorithm::Crc32, input.checksum_crc32),
                (Algorithm::Crc32c, input.checksum_crc32c),
                (Algorithm::Sha256, input.checksum_sha256),
            ]
            .into_iter()
            .find_map(|(algorithm, value)| Some((algorithm, value?))),
            kind: input.checksum_type.map(|kind| kind.as_str().to_owned()),
            object_size: input.mpu_object_size.and_then(|size| u64::try_from(size).ok()),
            every_part: habits.complete_wants_every_part,
        };
        let (bucket_name, key, upload_id) = (input.bucket, input.key, input.upload_id);
        let completed = self.store.bucket(&bucket_name, |bucket| {
            if let Some(completed) = bucket.completed(&upload_id, &key) {
                return repeated(completed, habits.repeated_complete);
            }
            self.complete(bucket, &key, &upload_id, &completion, &conditions)
        })?;
        let checksum = completed.checksum;
        let by = checksum.clone().map(|c| ByAlgorithm::of(c.algorithm, Some(c.value)));
        let by = by.unwrap_or_default();
        let output = CompleteMultipartUploadOutput {
            location: Some(format!("http://s3.{}.amazonaws.com/{bucket_name}/{key}", self.region)),
            bucket: Some(bucket_name),
            key: Some(key),
            e_tag: Some(ETag::Strong(completed.etag)),
            version_id: completed.version_id,
            checksum_crc64nvme: by.crc64nvme,
            checksum_crc32: by.crc32,
            checksum_crc32c: by.crc32c,
            checksum_sha256: by.sha256,
            checksum_type: checksum.map(|c| ChecksumType::from_static(c.kind.name())),
            ..Default::default()
        };
        Ok(S3Response::new(output))
    }

    fn complete(
        &self,
        bucket: &mut Bucket,
        key: &str,
        upload_id: &str,
        completion: &Completion,
        conditions: &Conditions,
    ) -> S3Result<Completed> {
        let upload = open_upload(bucket, upload_id, key)?;
        let assembled = upload.assemble(completion)?;
        let attributes = upload.attributes.clone();
        bucket.check(key, conditions)?;
        let version_id = bucket.options.versioned.then(|| self.store.unique_id());
        let object = bucket.put(StoredObject {
            key: key.to_owned(),
            version_id,
            content: assembled.content,
            etag: assembled.etag,
            last_modified: now(),
            attributes,
            checksum: assembled.checksum,
            parts: assembled.parts,
        });
        let completed = Completed {
            upload_id: upload_id.to_owned(),
            key: key.to_owned(),
            etag: object.etag.clone(),
            checksum: object.checksum.clone(),
            version_id: object.version_id.clone(),
        };
        bucket.close(completed.clone());
        Ok(completed)
    }

    pub(super) async fn abort_multipart_upload(
        &self,
        request: S3Request<AbortMultipartUploadInput>,
    ) -> S3Result<S3Response<AbortMultipartUploadOutput>> {
        let input = request.input;
        self.store.bucket(&input.bucket, |bucket| {
            open_upload(bucket, &input.upload_id, &input.key)?;
            bucket.uploads.remove(&input.upload_id);
            Ok(())
        })?;
        Ok(S3Response::new(AbortMultipartUploadOutput::default()))
    }
}

/// # Errors
/// `NoSuchUpload`.
pub(super) fn open_upload<'a>(
    bucket: &'a Bucket,
    upload_id: &str,
    key: &str,
) -> S3Result<&'a Upload> {
    bucket.uploads.get(upload_id).filter(|upload| upload.key == key).ok_or_else(|| {
        s3_error!(
            NoSuchUpload,
            "The specified upload does not exist. The upload ID may be invalid, or the upload may \
             have been aborted or completed."
        )
    })
}

fn part_number(number: i32) -> S3Result<u32> {
    let number = u32::try_from(number).unwrap_or(0);
    if (1..=PART_NUMBER_MAX).contains(&number) {
        return Ok(number);
    }
    Err(s3_error!(
        InvalidArgument,
        "Part number must be an integer between 1 and {PART_NUMBER_MAX}, inclusive"
    ))
}

fn checksum_plan(algorithm: Option<&str>, kind: Option<&str>) -> S3Result<ChecksumPlan> {
    let Some(name) = algorithm else {
        if kind.is_some() {
            return Err(s3_error!(
                InvalidRequest,
                "The x-amz-checksum-type header can only be used with the x-amz-checksum-algorithm \
                 header."
            ));
        }
        let (algorithm, kind) = (Algorithm::Crc64Nvme, Kind::FullObject);
        return Ok(ChecksumPlan { algorithm, kind, explicit: false });
    };
    let Some(algorithm) = Algorithm::by_name(name) else {
        return Err(s3_error!(
            InvalidRequest,
            "Checksum algorithm provided is unsupported: {name}"
        ));
    };
    let offered = algorithm.kinds();
    let wanted = |offer: &&Kind| kind.is_none_or(|kind| kind == offer.name());
    match offered.iter().find(wanted) {
        Some(kind) => Ok(ChecksumPlan { algorithm, kind: *kind, explicit: true }),
        None => Err(s3_error!(
            InvalidRequest,
            "The {} checksum type cannot be used with the {} checksum algorithm.",
            kind.unwrap_or_default(),
            name.to_lowercase()
        )),
    }
}

fn repeated(completed: &Completed, habit: RepeatedComplete) -> S3Result<Completed> {
    match habit {
        RepeatedComplete::SameResult => Ok(completed.clone()),
        RepeatedComplete::NoSuchUpload => Err(s3_error!(NoSuchUpload)),
        RepeatedComplete::AccessDenied => Err(s3_error!(AccessDenied)),
    }
}
