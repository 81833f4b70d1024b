//! Why a request about an object failed, split by what the caller can do.

use super::remedy::remedy;
use crate::model::{Failure, FailureClass, Side};
pub use crate::remote::Exchange;

/// Why a request failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Not the version that was pinned: two versions are never mixed.
    #[error("the source changed: {0}")]
    SourceChanged(Box<Exchange>),
    #[error("no such bucket: {0}")]
    NoSuchBucket(Box<Exchange>),
    /// Nor a version of it.
    #[error("no such key: {0}")]
    NoSuchKey(Box<Exchange>),
    /// The upload is gone: completed, aborted, or expired by a lifecycle rule.
    #[error("no such upload: {0}")]
    NoSuchUpload(Box<Exchange>),
    /// `If-None-Match: *` found an object.
    #[error("a precondition failed: {0}")]
    PreconditionFailed(Box<Exchange>),
    #[error("access denied: {0}")]
    AccessDenied(Box<Exchange>),
    /// The bucket lives in another region than the remote's.
    #[error("wrong region: {0}")]
    WrongRegion(Box<Exchange>),
    /// The credentials cannot be had, or are not taken now; a clock that is wrong among it.
    #[error("credentials do not work: {0}")]
    Credentials(Box<Exchange>),
    /// Nothing was sent: an account is expected, and STS has not named one yet.
    #[error("the remote's account is not known: {0}")]
    Unidentified(Box<Exchange>),
    /// Nothing was sent: STS named another account or partition than expected.
    #[error("the remote is not the expected one: {0}")]
    WrongIdentity(Box<Exchange>),
    /// The KMS key is missing, disabled or of another account.
    #[error("the KMS key cannot be used: {0}")]
    Kms(Box<Exchange>),
    /// The presigned URL's time is over.
    #[error("the presigned URL has expired: {0}")]
    Expired(Box<Exchange>),
    /// Nothing was sent: the configuration does not admit the URL's host.
    #[error("the host is not allowed: {0}")]
    HostNotAllowed(Box<Exchange>),
    /// The server does not know this request, or this part of it.
    #[error("not supported by this server: {0}")]
    Unsupported(Box<Exchange>),
    /// The request cannot be granted as it is.
    #[error("refused: {0}")]
    Refused(Box<Exchange>),
    /// The answer is not one to the request: another range, no ETag, too many bytes.
    #[error("not an answer to the request: {0}")]
    BadAnswer(Box<Exchange>),
    /// The object has user metadata that is no text: the SDK gives none of it, and none could be carried along.
    #[error("the object's metadata cannot be read: {0}")]
    Illegible(Box<Exchange>),
    /// The peer's certificate is not trusted.
    #[error("the server's certificate is not trusted: {0}")]
    Untrusted(Box<Exchange>),
    /// Another request is at the same object.
    #[error("conflict with another request: {0}")]
    Conflict(Box<Exchange>),
    #[error("asked to slow down: {0}")]
    Throttled(Box<Exchange>),
    #[error("the server failed: {0}")]
    ServerFault(Box<Exchange>),
    /// No answer, or one that broke off.
    #[error("no whole answer: {0}")]
    Unanswered(Box<Exchange>),
    /// The bytes that arrived are not those that were sent.
    #[error("the bytes were damaged on the way: {0}")]
    Corrupt(Box<Exchange>),
}

impl Error {
    /// Who acts next.
    pub fn class(&self) -> FailureClass {
        match self {
            Self::SourceChanged(_)
            | Self::NoSuchBucket(_)
            | Self::NoSuchKey(_)
            | Self::NoSuchUpload(_)
            | Self::PreconditionFailed(_)
            | Self::AccessDenied(_)
            | Self::WrongRegion(_)
            | Self::WrongIdentity(_)
            | Self::Kms(_)
            | Self::Expired(_)
            | Self::HostNotAllowed(_)
            | Self::Unsupported(_)
            | Self::Refused(_)
            | Self::BadAnswer(_)
            | Self::Illegible(_)
            | Self::Untrusted(_) => FailureClass::Permanent,
            Self::Credentials(_) | Self::Unidentified(_) => FailureClass::Credentials,
            Self::Throttled(_) => FailureClass::Throttled,
            Self::Conflict(_) | Self::ServerFault(_) | Self::Unanswered(_) => {
                FailureClass::Transient
            }
            Self::Corrupt(_) => FailureClass::Corrupt,
        }
    }

    /// The server said 200, and what it said cannot be read.
    pub fn is_unreadable(&self) -> bool {
        matches!(self, Self::ServerFault(exchange) if exchange.status == Some(200))
    }

    /// What was uploaded does not fit together: another part than the one acknowledged stands there, or
    /// the whole has another checksum.
    pub fn is_of_parts(&self) -> bool {
        let codes = ["InvalidPart", "InvalidPartOrder", "EntityTooSmall"];
        matches!(self, Self::Corrupt(_)) || self.code().is_some_and(|code| codes.contains(&code))
    }

    /// What was asked and answered.
    pub fn exchange(&self) -> &Exchange {
        match self {
            Self::SourceChanged(exchange)
            | Self::NoSuchBucket(exchange)
            | Self::NoSuchKey(exchange)
            | Self::NoSuchUpload(exchange)
            | Self::PreconditionFailed(exchange)
            | Self::AccessDenied(exchange)
            | Self::WrongRegion(exchange)
            | Self::Credentials(exchange)
            | Self::Unidentified(exchange)
            | Self::WrongIdentity(exchange)
            | Self::Kms(exchange)
            | Self::Expired(exchange)
            | Self::HostNotAllowed(exchange)
            | Self::Unsupported(exchange)
            | Self::Refused(exchange)
            | Self::BadAnswer(exchange)
            | Self::Illegible(exchange)
            | Self::Untrusted(exchange)
            | Self::Conflict(exchange)
            | Self::Throttled(exchange)
            | Self::ServerFault(exchange)
            | Self::Unanswered(exchange)
            | Self::Corrupt(exchange) => exchange,
        }
    }

    /// S3's error code, where the answer had one.
    pub fn code(&self) -> Option<&str> {
        self.exchange().code.as_deref()
    }

    /// The upload is gone: aborted, completed, or expired by a lifecycle rule.
    pub fn is_no_such_upload(&self) -> bool {
        matches!(self, Self::NoSuchUpload(_))
    }

    /// `If-None-Match: *` found an object.
    pub fn is_precondition_failed(&self) -> bool {
        matches!(self, Self::PreconditionFailed(_))
    }

    /// The request may have taken effect although nobody said so: ask before repeating.
    pub fn answer_lost(&self) -> bool {
        matches!(self, Self::Unanswered(_) | Self::ServerFault(_))
    }

    /// The same, told to a person.
    pub fn to_failure(&self, side: Side) -> Failure {
        let exchange = self.exchange();
        let reason = match self {
            // S3 says no more than that a precondition failed.
            Self::SourceChanged(_) => format!("the source changed: {}", exchange.reason()),
            _ => exchange.reason(),
        };
        Failure::new(self.class(), reason, remedy(self, side))
            .on(side, exchange.remote.clone())
            .at(exchange.operation, exchange.resource.clone())
    }
}
