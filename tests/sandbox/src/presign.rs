//! Presigned GET URLs, made here and not by an AWS SDK: what reads an object back to prove it should
//! share nothing with what wrote it.
//!
//! <https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html>

use std::time::Duration;

use jiff::Timestamp;
use percent_encoding::utf8_percent_encode;
use sha2::{Digest as _, Sha256};

use crate::sigv4::{PATH, QUERY, hmac, signing_key};
use crate::{Credentials, Endpoint};

impl Endpoint {
    /// A URL that reads the object for as long as it is valid.
    #[must_use]
    pub fn presigned_get(&self, bucket: &str, key: &str, valid: Duration) -> String {
        let path = format!("/{bucket}/{key}");
        let host = self.address().to_string();
        let scope = Scope { region: self.region(), credentials: self.credentials() };
        let query = scope.sign(&host, &path, valid, Timestamp::now());
        format!("{}{}?{query}", self.url(), utf8_percent_encode(&path, &PATH))
    }
}

struct Scope<'a> {
    region: &'a str,
    credentials: &'a Credentials,
}

impl Scope<'_> {
    /// The query string of a presigned GET.
    fn sign(&self, host: &str, path: &str, valid: Duration, now: Timestamp) -> String {
        let time = now.strftime("%Y%m%dT%H%M%SZ").to_string();
        let day = now.strftime("%Y%m%d").to_string();
        let scope = format!("{day}/{}/s3/aws4_request", self.region);
        let credential = format!("{}/{scope}", self.credentials.access_key_id);
        let seconds = valid.as_secs().to_string();
        // In the order of their names: the canonical query has to be sorted.
        let mut parameters = vec![
            ("X-Amz-Algorithm", "AWS4-HMAC-SHA256"),
            ("X-Amz-Credential", &credential),
            ("X-Amz-Date", &time),
            ("X-Amz-Expires", &seconds),
        ];
        if let Some(token) = &self.credentials.session_token {
            parameters.push(("X-Amz-Security-Token", token));
        }
        parameters.push(("X-Amz-SignedHeaders", "host"));
        let pairs =
            parameters.iter().map(|(k, v)| format!("{k}={}", utf8_percent_encode(v, &QUERY)));
        let query = pairs.collect::<Vec<_>>().join("&");

        let path = utf8_percent_encode(path, &PATH);
        let canonical = format!("GET\n{path}\n{query}\nhost:{host}\n\nhost\nUNSIGNED-PAYLOAD");
        let digest = hex::encode(Sha256::digest(canonical));
        let to_sign = format!("AWS4-HMAC-SHA256\n{time}\n{scope}\n{digest}");
        let key = signing_key(&self.credentials.secret_access_key, &day, self.region, "s3");
        let signature = hex::encode(hmac(&key, &to_sign));
        format!("{query}&X-Amz-Signature={signature}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of AWS's own page (the virtual-hosted bucket is in the host there).
    #[test]
    fn the_signature_is_that_of_awss_example() {
        let credentials =
            Credentials::new("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY");
        let scope = Scope { region: "us-east-1", credentials: &credentials };
        let now: Timestamp = "2013-05-24T00:00:00Z".parse().unwrap();
        let host = "examplebucket.s3.amazonaws.com";
        let query = scope.sign(host, "/test.txt", Duration::from_secs(86400), now);
        let signature = "aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404";
        assert!(query.ends_with(signature), "{query}");
    }
}
