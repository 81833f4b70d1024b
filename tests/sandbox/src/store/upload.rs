//! An open multipart upload, and the rules by which it becomes an object.

use std::collections::BTreeMap;
use std::time::SystemTime;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use md5::{Digest as _, Md5};
use s3s::dto::CompletedPart;
use s3s::{S3Result, s3_error};

use super::object::{Attributes, ObjectPart};
use crate::checksum::{self, Algorithm, Checksum, Kind, Value};
use crate::content::Content;

/// S3's smallest part, the last one aside.
pub(crate) const PART_BYTES_MIN: u64 = 5 << 20;
/// S3's largest part number.
pub(crate) const PART_NUMBER_MAX: u32 = 10_000;

/// An upload between Create and Complete or Abort.
#[derive(Debug, Clone)]
pub struct Upload {
    /// Its id.
    pub upload_id: String,
    /// The key it is for.
    pub key: String,
    /// When it was created.
    pub initiated: SystemTime,
    /// What the object will have.
    pub attributes: Attributes,
    /// The checksum the object will have.
    pub checksum: ChecksumPlan,
    /// Parts that are there, by number.
    pub parts: BTreeMap<u32, StoredPart>,
}

/// Which checksum an upload keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChecksumPlan {
    /// By which algorithm.
    pub algorithm: Algorithm,
    /// Of what.
    pub kind: Kind,
    /// Asked for, rather than S3's default.
    pub explicit: bool,
}

/// One part that is there.
#[derive(Debug, Clone)]
pub struct StoredPart {
    /// 1 to 10,000.
    pub number: u32,
    /// Without quotes.
    pub etag: String,
    /// When it was stored.
    pub last_modified: SystemTime,
    /// Its bytes.
    pub content: Content,
    /// Where in the object a sink compares with the part says it starts.
    pub(crate) compared_at: Option<u64>,
    /// By the upload's algorithm; absent when the endpoint keeps none.
    pub(crate) checksum: Option<Value>,
}

impl StoredPart {
    /// Bytes.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.content.len()
    }
}

/// What is left of an upload that was completed.
#[derive(Debug, Clone)]
pub(crate) struct Completed {
    pub(crate) upload_id: String,
    pub(crate) key: String,
    pub(crate) etag: String,
    pub(crate) checksum: Option<Checksum>,
    pub(crate) version_id: Option<String>,
}

/// What CompleteMultipartUpload asks for.
#[derive(Debug)]
pub(crate) struct Completion {
    pub(crate) parts: Vec<CompletedPart>,
    /// The checksum the client claims for the whole.
    pub(crate) claim: Option<(Algorithm, String)>,
    pub(crate) kind: Option<String>,
    pub(crate) object_size: Option<u64>,
    pub(crate) every_part: bool,
}

/// The object that the parts make.
#[derive(Debug)]
pub(crate) struct Assembled {
    pub(crate) content: Content,
    pub(crate) etag: String,
    pub(crate) checksum: Option<Checksum>,
    pub(crate) parts: Vec<ObjectPart>,
}

impl Upload {
    /// Checks the list of parts by S3's rules and joins them. The upload stays as it is.
    ///
    /// # Errors
    /// `InvalidPartOrder`, `InvalidPart`, `EntityTooSmall`, `BadDigest`, `InvalidRequest`,
    /// `MalformedXML`.
    pub(crate) fn assemble(&self, completion: &Completion) -> S3Result<Assembled> {
        let parts = self.named_parts(completion)?;
        self.check_sizes(&parts, completion)?;
        check_seams(&parts)?;
        let checksum = self.check_checksum(&parts, completion)?;
        Ok(Assembled {
            content: Content::join(parts.iter().map(|part| part.content.clone()).collect()),
            etag: multipart_etag(&parts),
            checksum,
            parts: parts.iter().map(|part| object_part(part)).collect(),
        })
    }

    fn named_parts(&self, completion: &Completion) -> S3Result<Vec<&StoredPart>> {
        if completion.parts.is_empty() {
            return Err(s3_error!(MalformedXML, "You must specify at least one part"));
        }
        let mut named = Vec::with_capacity(completion.parts.len());
        let mut last = 0;
        for part in &completion.parts {
            let number = part.part_number.and_then(|n| u32::try_from(n).ok()).unwrap_or(0);
            if number <= last {
                return Err(s3_error!(
                    InvalidPartOrder,
                    "The list of parts was not in ascending order."
                ));
            }
            last = number;
            named.push(self.named_part(number, part)?);
        }
        if completion.every_part && named.len() != self.parts.len() {
            return Err(s3_error!(InvalidPart, "Every uploaded part has to be named."));
        }
        Ok(named)
    }

    fn named_part(&self, number: u32, claim: &CompletedPart) -> S3Result<&StoredPart> {
        let invalid = || {
            s3_error!(
                InvalidPart,
                "One or more of the specified parts could not be found. The part may not have been \
                 uploaded, or the specified entity tag may not match the part's entity tag. (part \
                 {number})"
            )
        };
        let part = self.parts.get(&number).ok_or_else(invalid)?;
        if claim.e_tag.as_ref().map(s3s::dto::ETag::value) != Some(part.etag.as_str()) {
            return Err(invalid());
        }
        let claimed = match self.checksum.algorithm {
            Algorithm::Crc64Nvme => &claim.checksum_crc64nvme,
            Algorithm::Crc32 => &claim.checksum_crc32,
            Algorithm::Crc32c => &claim.checksum_crc32c,
            Algorithm::Sha256 => &claim.checksum_sha256,
        };
        match (claimed, &part.checksum) {
            (Some(claimed), Some(value)) if *claimed != value.base64() => Err(invalid()),
            (None, Some(_)) if self.checksum.explicit && self.checksum.kind == Kind::Composite => {
                Err(s3_error!(
                    InvalidRequest,
                    "The upload was created using a {} checksum. The complete request must include \
                     the checksum for each part. It was missing for part {number} in the request.",
                    self.checksum.algorithm.name().to_lowercase()
                ))
            }
            _ => Ok(part),
        }
    }

    fn check_sizes(&self, parts: &[&StoredPart], completion: &Completion) -> S3Result<()> {
        let all_but_last = &parts[..parts.len() - 1];
        if let Some(small) = all_but_last.iter().find(|part| part.size() < PART_BYTES_MIN) {
            return Err(s3_error!(
                EntityTooSmall,
                "Your proposed upload is smaller than the minimum allowed size (part {} has {} bytes)",
                small.number,
                small.size()
            ));
        }
        let size: u64 = parts.iter().map(|part| part.size()).sum();
        match completion.object_size {
            Some(claimed) if claimed != size => Err(s3_error!(
                InvalidRequest,
                "The provided 'x-amz-mp-object-size' header value {claimed} does not match what was \
                 computed: {size}"
            )),
            Some(_) | None => Ok(()),
        }
    }

    fn check_checksum(
        &self,
        parts: &[&StoredPart],
        completion: &Completion,
    ) -> S3Result<Option<Checksum>> {
        let values: Option<Vec<(&Value, u64)>> =
            parts.iter().map(|part| Some((part.checksum.as_ref()?, part.size()))).collect();
        let Some(values) = values else { return Ok(None) };
        let kind = self.checksum.kind;
        if let Some(claimed) = &completion.kind
            && claimed != kind.name()
        {
            return Err(s3_error!(
                InvalidRequest,
                "The upload was created using the {} checksum mode. The complete request must use \
                 the same checksum mode.",
                kind.name()
            ));
        }
        let whole = checksum::combine(kind, &values);
        if let (Some((algorithm, claimed)), Some(whole)) = (&completion.claim, &whole) {
            // A composite may be claimed with or without the number of parts.
            let computed = whole.value.split('-').next().unwrap_or_default();
            let claimed = claimed.split('-').next().unwrap_or_default();
            if *algorithm != whole.algorithm || claimed != computed {
                return Err(s3_error!(
                    BadDigest,
                    "The {} you specified did not match the calculated checksum.",
                    algorithm.name()
                ));
            }
        }
        Ok(whole)
    }
}

/// Parts that a sink compared with an object have to stand where that object has them.
fn check_seams(parts: &[&StoredPart]) -> S3Result<()> {
    let mut at = 0;
    for part in parts {
        if part.compared_at.is_some_and(|offset| offset != at) {
            return Err(s3_error!(
                BadDigest,
                "part {} holds the bytes of another place of the object",
                part.number
            ));
        }
        at += part.size();
    }
    Ok(())
}

/// The MD5 of the parts' MD5s, and how many they are.
fn multipart_etag(parts: &[&StoredPart]) -> String {
    let mut md5 = Md5::new();
    for part in parts {
        // An ETag that is no MD5 still counts with all its characters.
        let digest = hex::decode(&part.etag).unwrap_or_else(|_| part.etag.as_bytes().to_vec());
        md5.update(digest);
    }
    format!("{}-{}", hex::encode(md5.finalize()), parts.len())
}

fn object_part(part: &StoredPart) -> ObjectPart {
    ObjectPart {
        number: part.number,
        size: part.size(),
        checksum: part.checksum.as_ref().map(|value| BASE64.encode(&value.bytes)),
    }
}
