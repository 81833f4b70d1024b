//! What the answer to a presigned GET says.

use std::collections::BTreeMap;
use std::time::Duration;

use aws_sdk_s3::primitives::{DateTime, DateTimeFormat};
use futures::StreamExt as _;
use reqwest::Response;
use reqwest::header::{self, HeaderMap};
use url::Url;

use crate::blob::classify::{element, is_region, kind};
use crate::blob::head::unquoted;
use crate::blob::{Error, Exchange};
use crate::model::{ObjectHeaders, PinnedObject};
use crate::remote::timestamp;

/// S3's errors are smaller; what is longer is a proxy's page.
const REFUSAL_BYTES_MAX: usize = 16 << 10;
/// The status is known already: its reasons are not worth a stall.
const REFUSAL_PATIENCE: Duration = Duration::from_secs(10);
const META: &str = "x-amz-meta-";

/// A header as text; what is not text is as good as absent.
pub(super) fn text(headers: &HeaderMap, name: &str) -> Option<String> {
    std::str::from_utf8(headers.get(name)?.as_bytes()).ok().map(str::to_owned)
}

/// The ETag without quotes.
pub(super) fn etag(headers: &HeaderMap) -> Option<String> {
    text(headers, header::ETAG.as_str()).map(|etag| unquoted(&etag)).filter(|etag| !etag.is_empty())
}

/// The whole's size, from `Content-Range: bytes 0-0/SIZE`.
pub(super) fn total(headers: &HeaderMap) -> Option<u64> {
    text(headers, header::CONTENT_RANGE.as_str())?.rsplit_once('/')?.1.trim().parse().ok()
}

/// The object of `size` bytes that these headers tell, and what they cannot; `None` without an ETag.
pub(super) fn pinned(size: u64, headers: &HeaderMap) -> Option<(PinnedObject, Vec<String>)> {
    let text = |name: &str| text(headers, name);
    let etag = etag(headers)?;
    let mut warnings = Vec::new();
    // The tags' own request would need a signature of its own.
    if text("x-amz-tagging-count").is_some_and(|count| count != "0") {
        warnings.push("the source's tags are not carried along: its URL may not read them".into());
    }
    if let Some(missing) = text("x-amz-missing-meta").filter(|count| count != "0") {
        warnings.push(format!("{missing} user metadata entries cannot be carried in headers"));
    }
    let date = |text: String| DateTime::from_str(&text, DateTimeFormat::HttpDate).ok();
    let object = PinnedObject {
        size,
        etag,
        version_id: text("x-amz-version-id"),
        last_modified: text("last-modified").and_then(date).and_then(timestamp),
        headers: ObjectHeaders {
            content_type: text("content-type"),
            content_encoding: text("content-encoding"),
            content_language: text("content-language"),
            content_disposition: text("content-disposition"),
            cache_control: text("cache-control"),
            expires: text("expires"),
            website_redirect_location: text("x-amz-website-redirect-location"),
        },
        metadata: metadata(headers),
        tags: BTreeMap::new(),
        // Given with the whole object only, and for the asking: neither was the case.
        crc64nvme: None,
    };
    Some((object, warnings))
}

fn metadata(headers: &HeaderMap) -> BTreeMap<String, String> {
    let entry = |name: &header::HeaderName| {
        let short = name.as_str().strip_prefix(META)?.to_owned();
        Some((short, text(headers, name.as_str())?))
    };
    headers.keys().filter_map(entry).collect()
}

/// Why the server refused. `asked` says what was asked.
pub(super) async fn refusal(asked: Exchange, answer: Response) -> Error {
    let status = answer.status();
    let header = |name| text(answer.headers(), name);
    let exchange = Exchange {
        status: Some(status.as_u16()),
        request_id: header("x-amz-request-id"),
        region: header("x-amz-bucket-region").filter(|region| is_region(region)),
        ..asked
    };
    let mut body = Vec::new();
    let _ = tokio::time::timeout(REFUSAL_PATIENCE, beginning(answer, &mut body)).await;
    let body = String::from_utf8_lossy(&body);
    let code = element(&body, "Code");
    let message = element(&body, "Message").or_else(|| {
        let reason = status.canonical_reason().unwrap_or("no reason given");
        code.is_none().then(|| reason.to_ascii_lowercase())
    });
    let ended = element(&body, "Expires").map(|at| format!(" at {at}")).unwrap_or_default();
    let message = message.unwrap_or_default() + &ended;
    let over = message.contains("expired");
    let make = kind(status.as_u16(), code.as_deref());
    let exchange = Box::new(Exchange { code, message, ..exchange });
    match make(exchange) {
        Error::AccessDenied(exchange) | Error::Credentials(exchange) if over => {
            Error::Expired(exchange)
        }
        // Nobody here can renew whoever signed it: waiting would be for ever.
        Error::Credentials(exchange) => Error::AccessDenied(exchange),
        error => error,
    }
}

/// Reads as much of a refusal as is worth it.
async fn beginning(answer: Response, body: &mut Vec<u8>) {
    let mut frames = answer.bytes_stream();
    while let Some(Ok(frame)) = frames.next().await {
        body.extend_from_slice(&frame);
        if body.len() > REFUSAL_BYTES_MAX {
            break;
        }
    }
}

/// The region that the URL was signed for: of `X-Amz-Credential=ID/DATE/REGION/s3/aws4_request`.
pub(super) fn signed_region(url: &Url) -> Option<String> {
    let mut pairs = url.query_pairs();
    let (_, scope) = pairs.find(|(name, _)| name.eq_ignore_ascii_case("X-Amz-Credential"))?;
    scope.split('/').rev().nth(2).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(list: &[(&'static str, &'static str)]) -> HeaderMap {
        let entry = |(name, value): &(&'static str, &'static str)| {
            let name = header::HeaderName::from_static(name);
            (name, header::HeaderValue::from_static(value))
        };
        list.iter().map(entry).collect()
    }

    #[test]
    fn the_headers_of_one_byte_tell_the_whole_object() {
        let headers = headers(&[
            ("etag", "\"abc-2\""),
            ("content-range", "bytes 0-0/5000"),
            ("content-type", "image/x"),
            ("x-amz-meta-ami-name", "golden"),
            ("x-amz-tagging-count", "3"),
            ("last-modified", "Wed, 21 Oct 2015 07:28:00 GMT"),
            ("expires", "0"),
        ]);
        assert_eq!(total(&headers), Some(5000));
        let (object, warnings) = pinned(5000, &headers).expect("an ETag");
        assert_eq!(object.etag, "abc-2");
        assert_eq!(object.headers.content_type.as_deref(), Some("image/x"));
        assert_eq!(object.headers.expires.as_deref(), Some("0"), "word for word");
        assert_eq!(object.metadata.get("ami-name").map(String::as_str), Some("golden"));
        assert_eq!(object.last_modified.map(|at| at.0), Some(1_445_412_480_000));
        assert_eq!(warnings.len(), 1, "{warnings:?}");
        assert!(pinned(5000, &HeaderMap::new()).is_none());
    }

    #[test]
    fn the_region_is_the_one_signed_for() {
        let url =
            "https://h/k?X-Amz-Credential=AKID%2F20260101%2Fus-gov-west-1%2Fs3%2Faws4_request";
        let region = signed_region(&url.parse().expect("a URL"));
        assert_eq!(region.as_deref(), Some("us-gov-west-1"));
    }
}
