//! Signature Version 4: the steps that signing and checking have in common, and the check of a request
//! whose whole body is at hand. What presigns and what checks share these few lines and no SDK.
//!
//! <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html>

use std::time::Duration;

use http::request::Parts;
use jiff::Timestamp;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use sha2::{Digest as _, Sha256};

/// SigV4's unreserved characters.
pub(crate) const QUERY: AsciiSet =
    NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
pub(crate) const PATH: AsciiSet = QUERY.remove(b'/');
/// How far a request's clock may be off.
const SKEW_MAX: Duration = Duration::from_secs(15 * 60);

/// HMAC-SHA256: <https://www.rfc-editor.org/rfc/rfc2104>.
pub(crate) fn hmac(key: &[u8], message: &str) -> [u8; 32] {
    let mut block = [0; 64];
    if key.len() > block.len() {
        block[..32].copy_from_slice(&Sha256::digest(key));
    } else {
        block[..key.len()].copy_from_slice(key);
    }
    let inner = Sha256::new_with_prefix(block.map(|byte| byte ^ 0x36)).chain_update(message);
    let outer = Sha256::new_with_prefix(block.map(|byte| byte ^ 0x5c));
    outer.chain_update(inner.finalize()).finalize().into()
}

/// The key of one day, Region and service.
pub(crate) fn signing_key(secret: &str, day: &str, region: &str, service: &str) -> [u8; 32] {
    let first = hmac(format!("AWS4{secret}").as_bytes(), day);
    [region, service, "aws4_request"].iter().fold(first, |key, step| hmac(&key, step))
}

/// An `Authorization` header, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Authorization {
    pub(crate) access_key_id: String,
    day: String,
    pub(crate) region: String,
    pub(crate) service: String,
    signed_headers: Vec<String>,
    signature: String,
}

impl Authorization {
    /// None where there is no header, or one that cannot be read.
    pub(crate) fn of(parts: &Parts) -> Option<Self> {
        let header = parts.headers.get("authorization")?.to_str().ok()?;
        let fields = header.strip_prefix("AWS4-HMAC-SHA256")?;
        let field = |name: &str| {
            fields.split(',').find_map(|field| field.trim().strip_prefix(name)?.strip_prefix('='))
        };
        let scope: Vec<&str> = field("Credential")?.split('/').collect();
        let [access_key_id, day, region, service, "aws4_request"] = scope[..] else { return None };
        Some(Self {
            access_key_id: access_key_id.to_owned(),
            day: day.to_owned(),
            region: region.to_owned(),
            service: service.to_owned(),
            signed_headers: field("SignedHeaders")?.split(';').map(str::to_owned).collect(),
            signature: field("Signature")?.to_owned(),
        })
    }

    /// Whether the signature is the one that `secret` gives.
    pub(crate) fn is_signed_with(&self, secret: &str, parts: &Parts, body: &[u8]) -> bool {
        let time = header(parts, "x-amz-date");
        // A host or a date that is not signed could be anything.
        let signs = |name: &str| self.signed_headers.iter().any(|signed| signed == name);
        if !signs("host") || !signs("x-amz-date") || !time.starts_with(&self.day) {
            return false;
        }
        self.signature_with(secret, parts, body) == self.signature
    }

    fn signature_with(&self, secret: &str, parts: &Parts, body: &[u8]) -> String {
        let time = header(parts, "x-amz-date");
        let scope = format!("{}/{}/{}/aws4_request", self.day, self.region, self.service);
        let digest = hex::encode(Sha256::digest(self.canonical(parts, body)));
        let to_sign = format!("AWS4-HMAC-SHA256\n{time}\n{scope}\n{digest}");
        let key = signing_key(secret, &self.day, &self.region, &self.service);
        hex::encode(hmac(&key, &to_sign))
    }

    fn canonical(&self, parts: &Parts, body: &[u8]) -> String {
        let path = utf8_percent_encode(parts.uri.path(), &PATH);
        let mut pairs: Vec<String> = parts
            .uri
            .query()
            .unwrap_or_default()
            .split('&')
            .filter(|pair| !pair.is_empty())
            .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
            .map(|(name, value)| format!("{}={}", encoded_once(name), encoded_once(value)))
            .collect();
        pairs.sort();
        let headers: String = self
            .signed_headers
            .iter()
            .map(|name| format!("{name}:{}\n", header(parts, name)))
            .collect();
        format!(
            "{}\n{path}\n{}\n{headers}\n{}\n{}",
            parts.method,
            pairs.join("&"),
            self.signed_headers.join(";"),
            hex::encode(Sha256::digest(body))
        )
    }
}

/// Whether the request was made about now, as AWS wants it.
pub(crate) fn is_fresh(parts: &Parts, now: Timestamp) -> bool {
    let time = header(parts, "x-amz-date");
    let made = jiff::civil::DateTime::strptime("%Y%m%dT%H%M%SZ", &time)
        .and_then(|time| time.to_zoned(jiff::tz::TimeZone::UTC));
    made.is_ok_and(|made| made.timestamp().duration_since(now).unsigned_abs() <= SKEW_MAX)
}

fn encoded_once(text: &str) -> String {
    let decoded = percent_decode_str(text).decode_utf8_lossy();
    utf8_percent_encode(&decoded, &QUERY).to_string()
}

/// All values of a header, trimmed, with runs of spaces as one.
fn header(parts: &Parts, name: &str) -> String {
    let trimmed = |value: &http::HeaderValue| {
        let text = String::from_utf8_lossy(value.as_bytes()).into_owned();
        text.split(' ').filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
    };
    parts.headers.get_all(name).iter().map(trimmed).collect::<Vec<_>>().join(",")
}

/// Signs a request that has a host and a date, for one Region and service.
#[cfg(test)]
pub(crate) fn sign(
    parts: &mut Parts,
    body: &[u8],
    (access_key_id, secret): (&str, &str),
    (region, service): (&str, &str),
) {
    let time = header(parts, "x-amz-date");
    let mut authorization = Authorization {
        access_key_id: access_key_id.to_owned(),
        day: time[..8].to_owned(),
        region: region.to_owned(),
        service: service.to_owned(),
        signed_headers: vec!["host".to_owned(), "x-amz-date".to_owned()],
        signature: String::new(),
    };
    authorization.signature = authorization.signature_with(secret, parts, body);
    let Authorization { day, signature, .. } = authorization;
    let header = format!(
        "AWS4-HMAC-SHA256 Credential={access_key_id}/{day}/{region}/{service}/aws4_request, \
         SignedHeaders=host;x-amz-date, Signature={signature}"
    );
    parts.headers.insert("authorization", header.parse().unwrap());
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of AWS's own page on signing, for IAM.
    const SIGNED: &str = "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/iam/aws4_request, \
         SignedHeaders=content-type;host;x-amz-date, \
         Signature=5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7";
    const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";

    fn parts(uri: &str) -> Parts {
        let request = http::Request::builder()
            .uri(uri)
            .header("host", "iam.amazonaws.com")
            .header("content-type", "application/x-www-form-urlencoded; charset=utf-8")
            .header("x-amz-date", "20150830T123600Z")
            .header("authorization", SIGNED);
        request.body(()).unwrap().into_parts().0
    }

    #[test]
    fn the_signature_of_awss_example_holds_and_no_other() {
        let parts = parts("/?Version=2010-05-08&Action=ListUsers");
        let authorization = Authorization::of(&parts).unwrap();
        assert_eq!(authorization.service, "iam");
        assert!(authorization.is_signed_with(SECRET, &parts, b""));
        assert!(!authorization.is_signed_with("another", &parts, b""));
        assert!(!authorization.is_signed_with(SECRET, &parts, b"another body"));
    }

    #[test]
    fn another_query_does_not_hold() {
        let parts = parts("/?Action=ListRoles&Version=2010-05-08");
        let authorization = Authorization::of(&parts).unwrap();
        assert!(!authorization.is_signed_with(SECRET, &parts, b""));
    }

    /// Signed by the key, and for any host.
    #[test]
    fn a_signature_that_leaves_the_host_out_does_not_hold() {
        let parts = parts("/?Action=ListUsers&Version=2010-05-08");
        let mut authorization = Authorization::of(&parts).unwrap();
        authorization.signed_headers = vec!["x-amz-date".to_owned()];
        authorization.signature = authorization.signature_with(SECRET, &parts, b"");
        assert!(!authorization.is_signed_with(SECRET, &parts, b""));
    }

    #[test]
    fn a_request_is_fresh_for_a_quarter_of_an_hour() {
        let parts = parts("/");
        assert!(is_fresh(&parts, "2015-08-30T12:50:59Z".parse().unwrap()));
        assert!(!is_fresh(&parts, "2015-08-30T12:51:01Z".parse().unwrap()));
        assert!(!is_fresh(&parts, "2015-08-30T12:20:59Z".parse().unwrap()));
    }
}
