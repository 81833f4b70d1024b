//! Which S3 operation a request is, told by its method, path and query before anything is checked:
//! faults and counters need it earlier than s3s knows it.

use http::request::Parts;
use http::{HeaderMap, Method, Uri};
use percent_encoding::percent_decode_str;

/// One request, as far as its head tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Call {
    /// S3's name of the operation.
    pub(crate) operation: &'static str,
    pub(crate) bucket: String,
    pub(crate) key: String,
    pub(crate) part_number: Option<u32>,
    pub(crate) range: Option<String>,
}

impl Call {
    pub(crate) fn of(parts: &Parts) -> Self {
        let path = percent_decode_str(parts.uri.path()).decode_utf8_lossy().into_owned();
        let path = path.strip_prefix('/').unwrap_or(&path);
        let (bucket, key) = path.split_once('/').unwrap_or((path, ""));
        let level = match (bucket, key) {
            ("", _) => Level::Service,
            (_, "") => Level::Bucket,
            _ => Level::Object,
        };
        Self {
            operation: operation(&parts.method, level, &parts.uri, &parts.headers),
            bucket: bucket.to_owned(),
            key: key.to_owned(),
            part_number: query_value(&parts.uri, "partNumber").and_then(|n| n.parse().ok()),
            range: parts.headers.get("range").and_then(|v| v.to_str().ok()).map(str::to_owned),
        }
    }
}

#[derive(Clone, Copy)]
enum Level {
    Service,
    Bucket,
    Object,
}

fn operation(method: &Method, level: Level, uri: &Uri, headers: &HeaderMap) -> &'static str {
    let has = |name| query_value(uri, name).is_some();
    match (level, method.as_str()) {
        (Level::Service, "GET") => "ListBuckets",
        (Level::Bucket, "GET") if has("uploads") => "ListMultipartUploads",
        (Level::Bucket, "GET") if has("location") => "GetBucketLocation",
        (Level::Bucket, "GET") if has("versioning") => "GetBucketVersioning",
        (Level::Bucket, "GET") if has("encryption") => "GetBucketEncryption",
        (Level::Bucket, "GET") if has("publicAccessBlock") => "GetPublicAccessBlock",
        (Level::Bucket, "GET") if has("lifecycle") => "GetBucketLifecycleConfiguration",
        (Level::Bucket, "GET") if has("list-type") => "ListObjectsV2",
        (Level::Bucket, "GET") => "ListObjects",
        (Level::Bucket, "HEAD") => "HeadBucket",
        (Level::Bucket, "PUT") => "CreateBucket",
        (Level::Bucket, "DELETE") => "DeleteBucket",
        (Level::Bucket, "POST") if has("delete") => "DeleteObjects",
        (Level::Object, "GET") if has("tagging") => "GetObjectTagging",
        (Level::Object, "GET") if has("attributes") => "GetObjectAttributes",
        (Level::Object, "GET") if has("uploadId") => "ListParts",
        (Level::Object, "GET") => "GetObject",
        (Level::Object, "HEAD") => "HeadObject",
        (Level::Object, "PUT") if has("tagging") => "PutObjectTagging",
        (Level::Object, "PUT") if has("uploadId") && headers.contains_key("x-amz-copy-source") => {
            "UploadPartCopy"
        }
        (Level::Object, "PUT") if has("uploadId") => "UploadPart",
        (Level::Object, "PUT") if headers.contains_key("x-amz-copy-source") => "CopyObject",
        (Level::Object, "PUT") => "PutObject",
        (Level::Object, "POST") if has("uploads") => "CreateMultipartUpload",
        (Level::Object, "POST") if has("uploadId") => "CompleteMultipartUpload",
        (Level::Object, "DELETE") if has("uploadId") => "AbortMultipartUpload",
        (Level::Object, "DELETE") if has("tagging") => "DeleteObjectTagging",
        (Level::Object, "DELETE") => "DeleteObject",
        _ => "Unknown",
    }
}

/// A query parameter's value, decoded; empty when it stands alone.
pub(crate) fn query_value(uri: &Uri, name: &str) -> Option<String> {
    uri.query()?.split('&').find_map(|pair| {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        (key == name).then(|| percent_decode_str(value).decode_utf8_lossy().into_owned())
    })
}

/// The access key id and the region that the request says it is signed for.
pub(crate) fn credential_scope(parts: &Parts) -> Option<(String, String)> {
    let query = query_value(&parts.uri, "X-Amz-Credential");
    let header = parts.headers.get("authorization").and_then(|v| v.to_str().ok());
    let header = header.and_then(|v| v.split_once("Credential=")).map(|(_, rest)| rest);
    let credential = query.or_else(|| header.map(str::to_owned))?;
    let mut fields = credential.split([',', ' ']).next()?.split('/');
    let access_key_id = fields.next()?.to_owned();
    let region = fields.nth(1)?.to_owned();
    Some((access_key_id, region))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(method: &str, uri: &str) -> Call {
        let request = http::Request::builder().method(method).uri(uri).body(()).unwrap();
        Call::of(&request.into_parts().0)
    }

    #[test]
    fn operations_are_told_by_method_level_and_query() {
        for (method, uri, operation) in [
            ("GET", "/", "ListBuckets"),
            ("GET", "/b?list-type=2&prefix=a", "ListObjectsV2"),
            ("GET", "/b/?uploads", "ListMultipartUploads"),
            ("GET", "/b?encryption", "GetBucketEncryption"),
            ("GET", "/b?publicAccessBlock", "GetPublicAccessBlock"),
            ("GET", "/b?lifecycle", "GetBucketLifecycleConfiguration"),
            ("PUT", "/b", "CreateBucket"),
            ("GET", "/b/k?x-id=GetObject", "GetObject"),
            ("GET", "/b/k?attributes", "GetObjectAttributes"),
            ("PUT", "/b/k?partNumber=3&uploadId=u", "UploadPart"),
            ("POST", "/b/k?uploads", "CreateMultipartUpload"),
            ("POST", "/b/k?uploadId=u", "CompleteMultipartUpload"),
            ("DELETE", "/b/k?uploadId=u", "AbortMultipartUpload"),
        ] {
            assert_eq!(call(method, uri).operation, operation, "{method} {uri}");
        }
    }

    #[test]
    fn key_and_part_number_are_decoded() {
        let call = call("PUT", "/images/a%20b/c.bin?partNumber=12&uploadId=x");
        assert_eq!((call.bucket.as_str(), call.key.as_str()), ("images", "a b/c.bin"));
        assert_eq!(call.part_number, Some(12));
    }

    #[test]
    fn the_scope_is_read_from_header_and_query() {
        let uri = "/b/k?X-Amz-Credential=AK%2F20250101%2Fus-east-2%2Fs3%2Faws4_request";
        let presigned = http::Request::builder().uri(uri).body(()).unwrap().into_parts().0;
        let header =
            "AWS4-HMAC-SHA256 Credential=AK/20250101/us-east-2/s3/aws4_request, SignedHeaders=host";
        let signed = http::Request::builder().uri("/b/k").header("authorization", header);
        let signed = signed.body(()).unwrap().into_parts().0;
        let expected = Some(("AK".to_owned(), "us-east-2".to_owned()));
        assert_eq!(credential_scope(&presigned), expected);
        assert_eq!(credential_scope(&signed), expected);
    }
}
