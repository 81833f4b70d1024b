//! What an object carries besides its bytes, put on the requests that create one.

use std::collections::BTreeMap;

use aws_sdk_s3::types::ServerSideEncryption;
use aws_smithy_runtime_api::http::Request;

use crate::model::{Encryption, ObjectHeaders};

/// What the object is to carry besides its bytes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Attributes {
    pub headers: ObjectHeaders,
    /// Names in lower case without `x-amz-meta-`.
    pub metadata: BTreeMap<String, String>,
    pub tags: BTreeMap<String, String>,
    pub storage_class: Option<String>,
    pub encryption: Option<Encryption>,
}

impl Attributes {
    /// The encryption asked for, and its key.
    pub(super) fn sse(&self) -> Option<(ServerSideEncryption, Option<String>)> {
        Some(match self.encryption.clone()? {
            Encryption::Aes256 => (ServerSideEncryption::Aes256, None),
            Encryption::Kms { key_id } => (ServerSideEncryption::AwsKms, key_id),
            Encryption::KmsDsse { key_id } => (ServerSideEncryption::AwsKmsDsse, key_id),
        })
    }
}

/// `request` with `attributes` on it. A macro, because PutObject and CreateMultipartUpload have the
/// same setters on builders that share no trait.
macro_rules! carried {
    ($request:expr, $attributes:expr) => {{
        let attributes: &Attributes = $attributes;
        let headers = attributes.headers.clone();
        let (sse, key) = attributes.sse().unzip();
        let metadata = attributes.metadata.clone().into_iter().collect();
        $request
            .set_content_type(headers.content_type)
            .set_content_encoding(headers.content_encoding)
            .set_content_language(headers.content_language)
            .set_content_disposition(headers.content_disposition)
            .set_cache_control(headers.cache_control)
            .set_website_redirect_location(headers.website_redirect_location)
            .set_metadata(Some(metadata))
            .set_tagging($crate::blob::tags::header(&attributes.tags))
            .set_storage_class(attributes.storage_class.as_deref().map(Into::into))
            .set_server_side_encryption(sse)
            .set_ssekms_key_id(key.flatten())
    }};
}

/// Puts the `Expires` of `attributes` on a request word for word: the SDK's own setter takes only dates,
/// and what S3 keeps there need not be one.
pub(super) fn expires(attributes: &Attributes) -> impl Fn(&mut Request) + Send + Sync + 'static {
    let expires = attributes.headers.expires.clone();
    move |request| {
        if let Some(text) = &expires {
            // A text that is no header value was never one at the source.
            let _ = request.headers_mut().try_insert("expires", text.clone());
        }
    }
}

pub(super) use carried;
