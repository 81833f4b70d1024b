//! What a request says of an object besides its bytes, by S3's limits, and how it is said back.

use std::collections::BTreeMap;

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use percent_encoding::percent_decode_str;
use s3s::{S3Result, s3_error};

use super::Partition;
use crate::checksum::{Algorithm, Checksum};
use crate::lock::lock;
use crate::refusal::refusal;
use crate::store::object::{Attributes, Encryption, StoredObject};

/// Headers that S3 keeps with an object.
const KEPT: [&str; 7] = [
    "content-type",
    "content-encoding",
    "content-language",
    "content-disposition",
    "cache-control",
    "expires",
    "x-amz-website-redirect-location",
];
const METADATA: &str = "x-amz-meta-";
/// Bytes of user metadata: <https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingMetadata.html>.
const METADATA_BYTES_MAX: usize = 2048;
const TAGS_MAX: usize = 10;
const TAG_KEY_MAX: usize = 128;
const TAG_VALUE_MAX: usize = 256;

impl Partition {
    /// Reads an object's attributes off the headers of PutObject or CreateMultipartUpload.
    ///
    /// # Errors
    /// `MetadataTooLarge`, `InvalidTag`, `BadRequest`, `InvalidArgument`, `NotImplemented`,
    /// `KMS.NotFoundException`.
    pub(super) fn attributes(&self, headers: &HeaderMap) -> S3Result<Attributes> {
        Ok(Attributes {
            headers: kept_headers(headers),
            metadata: metadata(headers)?,
            tags: header(headers, "x-amz-tagging")
                .map_or_else(|| Ok(BTreeMap::new()), parse_tags)?,
            storage_class: storage_class(headers)?,
            encryption: self.encryption(headers)?,
        })
    }

    fn encryption(&self, headers: &HeaderMap) -> S3Result<Encryption> {
        if header(headers, "x-amz-server-side-encryption-customer-algorithm").is_some() {
            return Err(s3_error!(NotImplemented, "the sandbox has no SSE-C"));
        }
        let key = header(headers, "x-amz-server-side-encryption-aws-kms-key-id");
        let algorithm = header(headers, "x-amz-server-side-encryption").unwrap_or("AES256");
        let bucket_key_enabled =
            header(headers, "x-amz-server-side-encryption-bucket-key-enabled").map(|v| v == "true");
        let kms_key_id = match algorithm {
            "AES256" if key.is_some() => {
                return Err(s3_error!(
                    InvalidArgument,
                    "Server Side Encryption with KMS managed key requires HTTP header \
                     x-amz-server-side-encryption : aws:kms"
                ));
            }
            "AES256" => None,
            "aws:kms" | "aws:kms:dsse" => Some(self.kms_key(key)?),
            other => {
                return Err(s3_error!(InvalidArgument, "The encryption method {other} is unknown"));
            }
        };
        Ok(Encryption { algorithm: algorithm.to_owned(), kms_key_id, bucket_key_enabled })
    }

    /// A key's ARN, by its ARN, its id or its alias; the account's own key for S3 without any.
    fn kms_key(&self, asked: Option<&str>) -> S3Result<String> {
        let home = format!("arn:{}:kms:{}:{}", self.arn_partition(), self.region, self.account);
        let Some(asked) = asked else { return Ok(format!("{home}:key/aws-s3")) };
        let keys = lock(&self.kms_keys);
        let is_asked = |arn: &&String| {
            *arn == asked
                || arn
                    .rsplit(':')
                    .next()
                    .is_some_and(|name| name == asked || name.strip_prefix("key/") == Some(asked))
        };
        keys.iter().find(is_asked).cloned().ok_or_else(|| {
            let message = format!("Key '{asked}' does not exist");
            refusal(StatusCode::BAD_REQUEST, "KMS.NotFoundException", message)
        })
    }
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

fn kept_headers(headers: &HeaderMap) -> Vec<(HeaderName, HeaderValue)> {
    let mut kept: Vec<(HeaderName, HeaderValue)> = Vec::new();
    for name in KEPT {
        let Some(value) = headers.get(name) else { continue };
        let value =
            if name == "content-encoding" { without_chunking(value) } else { Some(value.clone()) };
        kept.extend(value.map(|value| (HeaderName::from_static(name), value)));
    }
    if !headers.contains_key("content-type") {
        let default = HeaderValue::from_static("binary/octet-stream");
        kept.push((http::header::CONTENT_TYPE, default));
    }
    kept
}

/// `aws-chunked` is about the request and no part of the object.
fn without_chunking(value: &HeaderValue) -> Option<HeaderValue> {
    let encodings: Vec<&str> = value.to_str().ok()?.split(',').map(str::trim).collect();
    let kept: Vec<&str> = encodings.into_iter().filter(|e| *e != "aws-chunked").collect();
    if kept.is_empty() { None } else { HeaderValue::from_str(&kept.join(",")).ok() }
}

fn metadata(headers: &HeaderMap) -> S3Result<BTreeMap<String, String>> {
    let mut metadata = BTreeMap::new();
    for (name, value) in headers {
        let Some(name) = name.as_str().strip_prefix(METADATA) else { continue };
        let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
        metadata.insert(name.to_owned(), value);
    }
    let bytes: usize = metadata.iter().map(|(name, value)| name.len() + value.len()).sum();
    if bytes > METADATA_BYTES_MAX {
        return Err(s3_error!(
            MetadataTooLarge,
            "Your metadata headers exceed the maximum allowed metadata size"
        ));
    }
    Ok(metadata)
}

fn storage_class(headers: &HeaderMap) -> S3Result<String> {
    let class = header(headers, "x-amz-storage-class").unwrap_or("STANDARD");
    let known = [
        "STANDARD",
        "REDUCED_REDUNDANCY",
        "STANDARD_IA",
        "ONEZONE_IA",
        "INTELLIGENT_TIERING",
        "GLACIER",
        "DEEP_ARCHIVE",
        "GLACIER_IR",
    ];
    if !known.contains(&class) {
        return Err(s3_error!(InvalidStorageClass, "The storage class you specified is not valid"));
    }
    Ok(class.to_owned())
}

fn parse_tags(header: &str) -> S3Result<BTreeMap<String, String>> {
    let decode = |text: &str| {
        let text = text.replace('+', " ");
        percent_decode_str(&text).decode_utf8_lossy().into_owned()
    };
    let pairs = header.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        (decode(key), decode(value))
    });
    checked_tags(pairs)
}

/// # Errors
/// `BadRequest` for more than ten, `InvalidTag` for one too long or given twice.
pub(super) fn checked_tags(
    pairs: impl Iterator<Item = (String, String)>,
) -> S3Result<BTreeMap<String, String>> {
    let mut tags = BTreeMap::new();
    for (key, value) in pairs {
        if key.is_empty() || key.chars().count() > TAG_KEY_MAX {
            return Err(s3_error!(InvalidTag, "The TagKey you have provided is invalid"));
        }
        if value.chars().count() > TAG_VALUE_MAX {
            return Err(s3_error!(InvalidTag, "The TagValue you have provided is invalid"));
        }
        if tags.insert(key, value).is_some() {
            return Err(s3_error!(InvalidTag, "Cannot provide multiple Tags with the same key"));
        }
    }
    if tags.len() > TAGS_MAX {
        let message = "Object tags cannot be greater than 10";
        return Err(refusal(StatusCode::BAD_REQUEST, "BadRequest", message));
    }
    Ok(tags)
}

/// The headers of GetObject and HeadObject that s3s leaves to us, because it would reshape them.
pub(super) fn object_headers(object: &StoredObject) -> HeaderMap {
    let mut headers: HeaderMap = object.attributes.headers.iter().cloned().collect();
    for (name, value) in &object.attributes.metadata {
        let name = HeaderName::from_bytes(format!("{METADATA}{name}").as_bytes());
        if let (Ok(name), Ok(value)) = (name, HeaderValue::from_bytes(value.as_bytes())) {
            headers.insert(name, value);
        }
    }
    headers.extend(encryption_headers(&object.attributes.encryption));
    // S3 names the storage class only when it is another than the default.
    if object.attributes.storage_class != "STANDARD"
        && let Ok(class) = HeaderValue::from_str(&object.attributes.storage_class)
    {
        headers.insert("x-amz-storage-class", class);
    }
    if !object.attributes.tags.is_empty() {
        headers.insert("x-amz-tagging-count", object.attributes.tags.len().into());
    }
    headers
}

/// What S3 says of encryption with every answer about an object.
pub(super) fn encryption_headers(encryption: &Encryption) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let mut add = |name: &'static str, value: Option<&str>| {
        if let Some(value) = value.and_then(|value| HeaderValue::from_str(value).ok()) {
            headers.insert(name, value);
        }
    };
    add("x-amz-server-side-encryption", Some(&encryption.algorithm));
    add("x-amz-server-side-encryption-aws-kms-key-id", encryption.kms_key_id.as_deref());
    let bucket_key = encryption.bucket_key_enabled.map(|on| if on { "true" } else { "false" });
    add("x-amz-server-side-encryption-bucket-key-enabled", bucket_key);
    headers
}

/// A checksum as headers, its type included.
pub(super) fn checksum_headers(checksum: Option<&Checksum>) -> HeaderMap {
    let mut headers = HeaderMap::new();
    if let Some(checksum) = checksum
        && let Ok(value) = HeaderValue::from_str(&checksum.value)
    {
        headers.insert(checksum.algorithm.header(), value);
        headers.insert("x-amz-checksum-type", HeaderValue::from_static(checksum.kind.name()));
    }
    headers
}

/// A checksum value in the field of its algorithm, for the XML answers that have one for each.
#[derive(Debug, Default)]
pub(super) struct ByAlgorithm {
    pub(super) crc64nvme: Option<String>,
    pub(super) crc32: Option<String>,
    pub(super) crc32c: Option<String>,
    pub(super) sha256: Option<String>,
}

impl ByAlgorithm {
    pub(super) fn of(algorithm: Algorithm, value: Option<String>) -> Self {
        match algorithm {
            Algorithm::Crc64Nvme => Self { crc64nvme: value, ..Self::default() },
            Algorithm::Crc32 => Self { crc32: value, ..Self::default() },
            Algorithm::Crc32c => Self { crc32c: value, ..Self::default() },
            Algorithm::Sha256 => Self { sha256: value, ..Self::default() },
        }
    }
}
