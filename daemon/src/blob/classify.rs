//! From an answer's status and code to an [`Error`].

use aws_smithy_runtime_api::http::Response;

use super::{Error, Exchange};
use crate::model::FailureClass;
use crate::remote::{Fault, ServiceError};

/// How an [`Error`] is made of its exchange.
type Kind = fn(Box<Exchange>) -> Error;

/// What S3's `code` means, or where it says nothing, the `status`.
///
/// <https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html>
pub(super) fn kind(status: u16, code: Option<&str>) -> Kind {
    code.and_then(by_code).unwrap_or_else(|| by_status(status))
}

fn by_code(code: &str) -> Option<Kind> {
    Some(match code {
        "NoSuchBucket" => Error::NoSuchBucket,
        "NoSuchKey" | "NoSuchVersion" => Error::NoSuchKey,
        "NoSuchUpload" => Error::NoSuchUpload,
        "PreconditionFailed" => Error::PreconditionFailed,
        "AccessDenied" | "AllAccessDisabled" | "AccountProblem" | "KMS.AccessDeniedException" => {
            Error::AccessDenied
        }
        "PermanentRedirect"
        | "TemporaryRedirect"
        | "Redirect"
        | "AuthorizationHeaderMalformed"
        | "IllegalLocationConstraintException" => Error::WrongRegion,
        "InvalidAccessKeyId"
        | "SignatureDoesNotMatch"
        | "ExpiredToken"
        | "ExpiredTokenException"
        | "TokenRefreshRequired"
        | "InvalidToken"
        | "InvalidSecurity"
        | "InvalidClientTokenId"
        | "NotSignedUp"
        | "RequestTimeTooSkewed"
        | "RequestExpired" => Error::Credentials,
        "SlowDown"
        | "ServiceUnavailable"
        | "TooManyRequests"
        | "RequestLimitExceeded"
        | "BandwidthLimitExceeded"
        | "Throttling"
        | "ThrottlingException"
        | "KMS.ThrottlingException" => Error::Throttled,
        "InternalError" | "InternalFailure" => Error::ServerFault,
        // The server read too slowly, or the connection did: nothing is wrong with the request.
        "RequestTimeout" | "IncompleteBody" | "RequestTimeoutException" => Error::Unanswered,
        "OperationAborted" | "ConditionalRequestConflict" => Error::Conflict,
        "BadDigest" | "XAmzContentSHA256Mismatch" | "XAmzContentChecksumMismatch" => Error::Corrupt,
        "NotImplemented" | "MethodNotAllowed" => Error::Unsupported,
        code if code.starts_with("KMS.") => Error::Kms,
        _ => return None,
    })
}

fn by_status(status: u16) -> Kind {
    match status {
        // S3 can say 200 and fail in the body: with a code of its own, or none.
        200..=299 => Error::ServerFault,
        300..=399 => Error::WrongRegion,
        401 => Error::Credentials,
        403 => Error::AccessDenied,
        404 => Error::NoSuchKey,
        405 | 501 => Error::Unsupported,
        408 => Error::Unanswered,
        412 => Error::PreconditionFailed,
        429 | 503 => Error::Throttled,
        500..=599 => Error::ServerFault,
        _ => Error::Refused,
    }
}

impl From<Fault> for Error {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Unidentified(exchange) => Self::Unidentified(exchange),
            Fault::WrongIdentity(exchange) => Self::WrongIdentity(exchange),
            Fault::Unmade(exchange) => Self::Refused(exchange),
            Fault::Credentials(exchange) => Self::Credentials(exchange),
            Fault::Refused(exchange) => {
                kind(exchange.status.unwrap_or_default(), exchange.code.as_deref())(exchange)
            }
            Fault::Untrusted(exchange) => Self::Untrusted(exchange),
            Fault::Unanswered(exchange) => Self::Unanswered(exchange),
        }
    }
}

impl ServiceError for Error {
    fn outcome(&self) -> Option<FailureClass> {
        Some(self.class())
    }

    fn region(answer: &Response) -> Option<String> {
        region(answer)
    }
}

/// The bucket's region: in a header, or in the error itself.
fn region(answer: &Response) -> Option<String> {
    let header = answer.headers().get("x-amz-bucket-region").map(str::to_owned);
    let body = || std::str::from_utf8(answer.body().bytes()?).ok();
    header.or_else(|| element(body()?, "Region")).filter(|region| is_region(region))
}

/// What a server calls one is shown to people, and kept.
pub(super) fn is_region(text: &str) -> bool {
    let legal = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-';
    (1..=63).contains(&text.len()) && text.bytes().all(legal)
}

/// The text of the first element `name` of a small XML answer.
pub(super) fn element(xml: &str, name: &str) -> Option<String> {
    let (_, rest) = xml.split_once(&format!("<{name}>"))?;
    let (text, _) = rest.split_once(&format!("</{name}>"))?;
    Some(
        text.replace("&lt;", "<")
            .replace("&gt;", ">")
            .replace("&quot;", "\"")
            .replace("&amp;", "&"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::blob::Exchange;
    use crate::model::FailureClass::{Corrupt, Credentials, Permanent, Throttled, Transient};
    use crate::model::Side;

    fn error(status: u16, code: Option<&str>) -> Error {
        let exchange = Exchange {
            api: "GetObject",
            operation: "s3:GetObject",
            resource: "images/a.bin".to_owned(),
            remote: "commercial".parse().ok(),
            status: Some(status),
            code: code.map(str::to_owned),
            message: "said so".to_owned(),
            ..Exchange::default()
        };
        kind(status, code)(Box::new(exchange))
    }

    #[test]
    fn every_answer_says_who_acts_next() {
        for (status, code, class) in [
            (404, Some("NoSuchBucket"), Permanent),
            (404, Some("NoSuchKey"), Permanent),
            (404, None, Permanent),
            (403, Some("AccessDenied"), Permanent),
            (403, None, Permanent),
            (301, Some("PermanentRedirect"), Permanent),
            (301, None, Permanent),
            (400, Some("AuthorizationHeaderMalformed"), Permanent),
            (403, Some("InvalidAccessKeyId"), Credentials),
            (403, Some("SignatureDoesNotMatch"), Credentials),
            (400, Some("ExpiredToken"), Credentials),
            (403, Some("RequestTimeTooSkewed"), Credentials),
            (401, None, Credentials),
            (400, Some("KMS.NotFoundException"), Permanent),
            (400, Some("KMS.DisabledException"), Permanent),
            (400, Some("EntityTooLarge"), Permanent),
            (400, Some("InvalidTag"), Permanent),
            (400, None, Permanent),
            (501, Some("NotImplemented"), Permanent),
            (503, Some("SlowDown"), Throttled),
            (503, None, Throttled),
            (429, None, Throttled),
            (500, Some("InternalError"), Transient),
            // CompleteMultipartUpload: the status proves nothing.
            (200, Some("InternalError"), Transient),
            (200, Some("SomethingNew"), Transient),
            (502, None, Transient),
            (400, Some("RequestTimeout"), Transient),
            (409, Some("ConditionalRequestConflict"), Transient),
            (400, Some("BadDigest"), Corrupt),
        ] {
            assert_eq!(error(status, code).class(), class, "{status} {code:?}");
        }
        assert!(error(404, Some("NoSuchUpload")).is_no_such_upload());
        assert!(error(412, None).is_precondition_failed());
        assert!(error(500, None).answer_lost() && !error(403, None).answer_lost());
    }

    #[test]
    fn a_failure_names_side_action_resource_and_what_to_do() {
        let failure = error(403, Some("AccessDenied")).to_failure(Side::Source);
        let text = failure.to_string();
        for word in ["source commercial", "s3:GetObject on images/a.bin", "said so", "HTTP 403"] {
            assert!(text.contains(word), "{word}: {text}");
        }
        assert!(failure.remedy.contains("kms:Decrypt"), "{}", failure.remedy);

        let Error::WrongRegion(exchange) = error(301, None) else { panic!("a redirect") };
        let moved = Exchange { region: Some("eu-west-1".to_owned()), ..*exchange };
        let failure = Error::WrongRegion(Box::new(moved)).to_failure(Side::Target);
        assert!(failure.remedy.contains("eu-west-1"), "{}", failure.remedy);

        let failure = error(403, Some("RequestTimeTooSkewed")).to_failure(Side::Target);
        assert!(failure.remedy.contains("clock"), "{}", failure.remedy);
    }

    #[test]
    fn only_what_could_be_a_region_is_told() {
        for text in ["us-east-1", "us-gov-west-1", "eu-isoe-west-1", "garage"] {
            assert!(is_region(text), "{text}");
        }
        for text in ["", "us east", "line\nbreak", "\u{1b}[2J", &"a".repeat(64)] {
            assert!(!is_region(text), "{text:?}");
        }
    }

    #[test]
    fn an_xml_answer_gives_its_elements() {
        let xml = "<Error><Code>A</Code><Message>x &lt; y &amp;amp;</Message></Error>";
        assert_eq!(element(xml, "Code").as_deref(), Some("A"));
        assert_eq!(element(xml, "Message").as_deref(), Some("x < y &amp;"));
        assert_eq!(element("<Code>torn", "Code"), None);
    }
}
