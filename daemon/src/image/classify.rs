//! From the codes of EC2 and SSM to an [`Error`].
//!
//! <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html>,
//! <https://docs.aws.amazon.com/systems-manager/latest/APIReference/CommonErrors.html>

use super::Error;
use crate::model::FailureClass;
use crate::remote::{Exchange, Fault, ServiceError};

/// How an [`Error`] is made of its exchange.
type Kind = fn(Box<Exchange>) -> Error;

/// Those that an in-progress quota refuses. AWS's page says that it does, not with which code.
/// <https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/ami-store-restore.html>
const IN_PROGRESS_QUOTA: [&str; 2] = ["CreateStoreImageTask", "CreateRestoreImageTask"];
/// Those that take an image in any state: its absence is all that they call unavailable. Of a deregistered image EC2 says so
/// as often as that it does not exist.
/// <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html>
const IN_ANY_STATE: [&str; 3] = ["DeregisterImage", "DescribeImages", "DescribeImageAttribute"];
/// What follows it is for `aws sts decode-authorization-message`, and longer than a page.
const ENCODED: &str = "Encoded authorization failure message";

impl From<Fault> for Error {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Unidentified(exchange) => Self::Unidentified(exchange),
            Fault::WrongIdentity(exchange) => Self::WrongIdentity(exchange),
            Fault::Unmade(exchange) => Self::Refused(exchange),
            Fault::Credentials(exchange) => Self::Credentials(exchange),
            Fault::Refused(mut exchange) => {
                if let Some((told, _)) = exchange.message.split_once(ENCODED) {
                    exchange.message = told.trim_end().to_owned();
                }
                kind(&exchange)(exchange)
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
}

fn kind(told: &Exchange) -> Kind {
    let Some(code) = told.code.as_deref() else {
        return by_status(told.status.unwrap_or_default());
    };
    if is_throttling(code) {
        return Error::Throttled;
    }
    if IN_PROGRESS_QUOTA.contains(&told.api) && is_quota(code) {
        return Error::Quota;
    }
    match code {
        // EC2's word for keys that it does not know, and for images and snapshots that are not ours.
        "AuthFailure" if told.message.to_ascii_lowercase().contains("not authorized") => {
            Error::AccessDenied
        }
        "InvalidAMIID.Unavailable" if IN_ANY_STATE.contains(&told.api) => Error::NoSuchImage,
        code => by_code(code).unwrap_or_else(|| by_status(told.status.unwrap_or_default())),
    }
}

fn is_throttling(code: &str) -> bool {
    code.starts_with("Throttl")
        || code.contains("Throttled")
        || ["RequestLimitExceeded", "BandwidthLimitExceeded", "SlowDown", "TooManyUpdates"]
            .contains(&code)
        || code.starts_with("TooManyRequests")
}

fn is_quota(code: &str) -> bool {
    let code = code.strip_suffix("Exception").unwrap_or(code);
    // A resource's tags are the request's own, and are not fewer tomorrow.
    (code.ends_with("LimitExceeded") || code.ends_with("QuotaExceeded"))
        && code != "TagLimitExceeded"
}

fn by_code(code: &str) -> Option<Kind> {
    Some(match code {
        "InvalidAMIID.NotFound" => Error::NoSuchImage,
        "InvalidSnapshot.NotFound" | "InvalidSnapshotID.NotFound" => Error::NoSuchSnapshot,
        "IncorrectState" | "IncorrectImageState" | "InvalidAMIID.Unavailable" => Error::WrongState,
        "InvalidAMIName.Duplicate" => Error::NameTaken,
        "ParameterAlreadyExists" => Error::ParameterExists,
        "UnauthorizedOperation" | "AccessDenied" | "AccessDeniedException" => Error::AccessDenied,
        "AuthFailure"
        | "RequestExpired"
        | "ExpiredToken"
        | "ExpiredTokenException"
        | "InvalidClientTokenId"
        | "InvalidToken"
        | "IncompleteSignature"
        | "InvalidSignatureException"
        | "MissingAuthenticationToken"
        | "MissingAuthenticationTokenException"
        | "RequestTimeTooSkewed"
        | "SignatureDoesNotMatch"
        | "UnrecognizedClientException" => Error::Credentials,
        "InvalidAction"
        | "UnknownOperationException"
        | "UnsupportedOperation"
        | "UnsupportedParameterType" => Error::Unsupported,
        "InternalError"
        | "InternalFailure"
        | "InternalServerError"
        | "ServiceUnavailable"
        | "Unavailable" => Error::ServerFault,
        _ => return None,
    })
}

/// A status without a code that we know. One in the 5xx tells nothing about what was done.
fn by_status(status: u16) -> Kind {
    match status {
        // A yes that cannot be read.
        200..=299 | 408 => Error::Unanswered,
        401 => Error::Credentials,
        403 => Error::AccessDenied,
        405 | 501 => Error::Unsupported,
        429 => Error::Throttled,
        500..=599 => Error::ServerFault,
        _ => Error::Refused,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Side;

    fn error(api: &'static str, status: u16, code: Option<&str>, message: &str) -> Error {
        let exchange = Exchange {
            api,
            operation: "ec2:CreateStoreImageTask",
            resource: "ami-1".to_owned(),
            remote: "commercial".parse().ok(),
            status: Some(status),
            code: code.map(str::to_owned),
            message: message.to_owned(),
            ..Exchange::default()
        };
        Fault::Refused(Box::new(exchange)).into()
    }

    #[test]
    fn every_code_says_who_acts_next() {
        use FailureClass::{Credentials, Permanent, Throttled, Transient};
        for (status, code, class) in [
            (400, Some("InvalidAMIID.NotFound"), Permanent),
            (400, Some("InvalidAMIID.Malformed"), Permanent),
            (400, Some("IncorrectState"), Permanent),
            (400, Some("InvalidAMIName.Duplicate"), Permanent),
            (403, Some("UnauthorizedOperation"), Permanent),
            (403, None, Permanent),
            (400, Some("InvalidParameterValue"), Permanent),
            (400, Some("AccessDeniedException"), Permanent),
            (400, Some("ParameterAlreadyExists"), Permanent),
            (400, Some("ParameterLimitExceeded"), Permanent),
            (401, Some("AuthFailure"), Credentials),
            (400, Some("RequestExpired"), Credentials),
            (400, Some("ExpiredTokenException"), Credentials),
            (400, Some("UnrecognizedClientException"), Credentials),
            (503, Some("RequestLimitExceeded"), Throttled),
            (400, Some("Throttling"), Throttled),
            (400, Some("ThrottlingException"), Throttled),
            (400, Some("ThrottledException"), Throttled),
            (400, Some("TooManyUpdates"), Throttled),
            (429, None, Throttled),
            (500, Some("InternalError"), Transient),
            (503, Some("Unavailable"), Transient),
            (503, None, Transient),
            (200, None, Transient),
        ] {
            let error = error("DescribeImages", status, code, "said so");
            assert_eq!(error.class(), class, "{status} {code:?}");
        }
    }

    /// No code is documented: any that says so is taken for it, and only where something is begun.
    #[test]
    fn a_quota_is_told_from_throttling_and_from_what_no_wait_helps_against() {
        for code in ["ResourceLimitExceeded", "SomeNewLimitExceededException", "QuotaExceeded"] {
            for api in IN_PROGRESS_QUOTA {
                let error = error(api, 400, Some(code), "too many");
                assert!(matches!(error, Error::Quota(_)), "{api} {code}: {error}");
                assert_eq!(error.class(), FailureClass::Transient);
            }
            let error = error("RegisterImage", 400, Some(code), "too many");
            assert!(matches!(error, Error::Refused(_)), "{code}: {error}");
        }
        let store = |code| error("CreateStoreImageTask", 400, Some(code), "no");
        assert!(matches!(store("RequestLimitExceeded"), Error::Throttled(_)));
        assert!(matches!(store("TagLimitExceeded"), Error::Refused(_)));
    }

    /// Credentials are waited for, for ever; somebody else's image is not ours tomorrow.
    #[test]
    fn an_auth_failure_about_somebody_elses_image_is_no_matter_of_credentials() {
        let of = |message| error("CreateStoreImageTask", 401, Some("AuthFailure"), message);
        let keys = of("AWS was not able to validate the provided access credentials");
        assert!(matches!(keys, Error::Credentials(_)), "{keys}");
        let image = of("Not authorized for image:ami-1");
        assert!(matches!(image, Error::AccessDenied(_)), "{image}");
    }

    /// The one code tells of an image that is gone, and of one that is disabled.
    #[test]
    fn an_unavailable_image_is_gone_where_its_state_would_not_matter() {
        for (api, is_gone) in [
            ("DeregisterImage", true),
            ("DescribeImages", true),
            ("DescribeImageAttribute", true),
            ("CreateStoreImageTask", false),
            ("DisableImage", false),
            ("EnableImageDeprecation", false),
        ] {
            let error = error(api, 400, Some("InvalidAMIID.Unavailable"), "no longer available");
            match is_gone {
                true => assert!(matches!(error, Error::NoSuchImage(_)), "{api}: {error}"),
                false => assert!(matches!(error, Error::WrongState(_)), "{api}: {error}"),
            }
        }
    }

    #[test]
    fn what_may_have_taken_effect_is_said_to() {
        let lost = |status, code| error("CreateRestoreImageTask", status, code, "").answer_lost();
        assert!(lost(500, Some("InternalError")) && lost(503, None) && lost(200, None));
        assert!(
            !lost(400, Some("ResourceLimitExceeded")) && !lost(503, Some("RequestLimitExceeded"))
        );
    }

    #[test]
    fn a_failure_names_side_action_resource_and_what_to_do_in_a_line() {
        let message = "You are not authorized to perform this operation. User: arn:aws:iam::1:user/a is \
                       not authorized to perform: ec2:CreateStoreImageTask. Encoded authorization failure \
                       message: aGVsbG8gd29ybGQ";
        let error = error("CreateStoreImageTask", 403, Some("UnauthorizedOperation"), message);
        let text = error.to_failure(Side::Source).to_string();
        for word in [
            "source commercial: ec2:CreateStoreImageTask on ami-1: UnauthorizedOperation",
            "allow the source remote's identity ec2:CreateStoreImageTask",
            "HTTP 403",
        ] {
            assert!(text.contains(word), "{word}: {text}");
        }
        assert!(!text.contains("aGVsbG8") && !text.contains("Encoded"), "{text}");
    }
}
