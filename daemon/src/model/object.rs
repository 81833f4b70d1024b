//! Objects as S3 describes them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Timestamp;

/// The id S3 gave a multipart upload. Opaque.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct UploadId(pub String);

/// The content headers S3 keeps with an object and gives back.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ObjectHeaders {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content_type: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content_encoding: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content_language: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content_disposition: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache_control: Option<String>,
    /// An HTTP date, as the server wrote it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub website_redirect_location: Option<String>,
}

/// The source, pinned: every read is of exactly this version, or fails.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PinnedObject {
    /// Bytes.
    pub size: u64,
    /// As S3 gives it, without quotes.
    pub etag: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_modified: Option<Timestamp>,
    #[serde(default)]
    pub headers: ObjectHeaders,
    /// User metadata: names in lower case without `x-amz-meta-`.
    #[serde(default)]
    pub metadata: BTreeMap<String, String>,
    #[serde(default)]
    pub tags: BTreeMap<String, String>,
    /// The source's own full-object CRC64NVME, where it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub crc64nvme: Option<u64>,
}

impl PinnedObject {
    /// An object of so many bytes of which nothing is known but its ETag.
    pub fn bare(size: u64, etag: &str) -> Self {
        Self {
            size,
            etag: etag.to_owned(),
            version_id: None,
            last_modified: None,
            headers: ObjectHeaders::default(),
            metadata: BTreeMap::new(),
            tags: BTreeMap::new(),
            crc64nvme: None,
        }
    }
}

/// The object at the target once S3 said yes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PublishedObject {
    /// As S3 gives it, without quotes.
    pub etag: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version_id: Option<String>,
}

/// Server-side encryption asked of the target.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Encryption {
    Aes256,
    /// SSE-KMS; without a key id the account's AWS managed key.
    Kms {
        key_id: Option<String>,
    },
    /// Dual-layer SSE-KMS.
    KmsDsse {
        key_id: Option<String>,
    },
}
