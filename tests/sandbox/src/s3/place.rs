//! Objects that are put there without a request: by a test, or by EC2.

use std::path::PathBuf;
use std::sync::Arc;

use super::Partition;
use crate::checksum::{Algorithm, Hasher};
use crate::content::Content;
use crate::endpoint::Error;
use crate::store::object::{Attributes, Encryption, StoredObject, now};

impl Partition {
    /// Stores an object with a CRC64NVME as S3 computes it. A content that is too large to be read for that
    /// has none.
    ///
    /// # Errors
    /// `NoSuchBucket`, or an unreadable content.
    pub(crate) async fn place(
        &self,
        bucket: &str,
        key: &str,
        content: Content,
        attributes: Attributes,
    ) -> Result<Arc<StoredObject>, Error> {
        let digest = digest(&content)
            .await
            .map_err(|source| Error::Storage { path: PathBuf::from(key), source })?;
        let store = &self.store;
        let encryption = Encryption { algorithm: "AES256".to_owned(), ..Encryption::default() };
        let mut object = StoredObject {
            key: key.to_owned(),
            version_id: None,
            content,
            etag: digest.etag.unwrap_or_else(|| store.unique_id()),
            last_modified: now(),
            attributes,
            checksum: digest.checksum,
            parts: Vec::new(),
        };
        if object.attributes.storage_class.is_empty() {
            object.attributes.storage_class = "STANDARD".to_owned();
        }
        if object.attributes.encryption.algorithm.is_empty() {
            object.attributes.encryption = encryption;
        }
        Ok(store.bucket(bucket, |bucket| {
            let version_id = bucket.options.versioned.then(|| store.unique_id());
            Ok(bucket.put(StoredObject { version_id, ..object }))
        })?)
    }
}

/// Contents above this size are not read just to make a checksum.
const DIGEST_BYTES_MAX: u64 = 64 << 30;

struct Digest {
    etag: Option<String>,
    checksum: Option<crate::Checksum>,
}

async fn digest(content: &Content) -> std::io::Result<Digest> {
    use futures::TryStreamExt as _;
    use md5::Digest as _;
    if !content.is_readable() || content.len() > DIGEST_BYTES_MAX {
        return Ok(Digest { etag: None, checksum: None });
    }
    let mut hasher = Hasher::new(Algorithm::Crc64Nvme);
    // MD5 would take seconds for what the CRC does in a moment.
    let mut md5 = matches!(content, Content::Memory(_)).then(md5::Md5::new);
    let mut frames = content.read(0..content.len());
    while let Some(frame) = frames.try_next().await? {
        hasher.update(&frame);
        if let Some(md5) = &mut md5 {
            md5.update(&frame);
        }
    }
    Ok(Digest {
        etag: md5.map(|md5| hex::encode(md5.finalize())),
        checksum: Some(hasher.finish().full_object()),
    })
}
