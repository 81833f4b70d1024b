//! A stored object and what belongs to it besides its bytes.

use std::collections::BTreeMap;
use std::time::SystemTime;

use http::{HeaderName, HeaderValue};

use crate::checksum::Checksum;
use crate::content::Content;

/// One version of an object.
#[derive(Debug, Clone)]
pub struct StoredObject {
    /// Key in its bucket.
    pub key: String,
    /// Present in a versioned bucket.
    pub version_id: Option<String>,
    /// The bytes.
    pub content: Content,
    /// Without quotes.
    pub etag: String,
    /// To the second, as HTTP has it.
    pub last_modified: SystemTime,
    /// Headers, metadata, tags and the like.
    pub attributes: Attributes,
    /// Absent when the endpoint keeps none.
    pub checksum: Option<Checksum>,
    /// The parts it was uploaded in; empty for a PutObject.
    pub parts: Vec<ObjectPart>,
}

/// One part of a finished multipart object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectPart {
    /// 1 to 10,000.
    pub number: u32,
    /// Bytes.
    pub size: u64,
    /// Of the part's bytes; base64.
    pub checksum: Option<String>,
}

/// What a client gives along with an object and gets back with it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Attributes {
    /// Content-Type and its kin, as they came.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// User metadata, names without `x-amz-meta-`.
    pub metadata: BTreeMap<String, String>,
    /// Object tags.
    pub tags: BTreeMap<String, String>,
    /// `STANDARD` when nothing else was asked for.
    pub storage_class: String,
    /// Server-side encryption, in name.
    pub encryption: Encryption,
}

impl Attributes {
    /// A header as text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(header, _)| header.as_str() == name);
        found.and_then(|(_, value)| value.to_str().ok())
    }
}

/// Server-side encryption as asked for and echoed; nothing is encrypted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Encryption {
    /// `AES256`, `aws:kms` or `aws:kms:dsse`.
    pub algorithm: String,
    /// The key's ARN, with KMS.
    pub kms_key_id: Option<String>,
    /// Whether a bucket key is used.
    pub bucket_key_enabled: Option<bool>,
}

impl StoredObject {
    /// Bytes.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.content.len()
    }

    /// All bytes at once: for small objects.
    ///
    /// # Errors
    /// When they cannot be read, or a sink dropped them.
    pub async fn bytes(&self) -> std::io::Result<bytes::Bytes> {
        self.content.read_all().await
    }
}

/// Now, to the second.
pub(crate) fn now() -> SystemTime {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(since.as_secs())
}
