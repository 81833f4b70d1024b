//! Why a request about an object failed, split by what the caller can do.

use std::fmt;

use crate::model::{Failure, FailureClass, RemoteName, Side, Timestamp};

/// What was asked, and what came back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exchange {
    /// The AWS action, e.g. `s3:GetObject`.
    pub operation: &'static str,
    /// `BUCKET/KEY`; host and path for a presigned source.
    pub resource: String,
    /// `None` for a presigned source.
    pub remote: Option<RemoteName>,
    /// `None` where no answer came.
    pub status: Option<u16>,
    /// S3's error code.
    pub code: Option<String>,
    pub message: String,
    pub request_id: Option<String>,
}

impl fmt::Display for Exchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

/// Why a request failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("the source changed: expected ETag {expected}, found {found}")]
    SourceChanged { exchange: Box<Exchange>, expected: String, found: String },
    #[error("no such bucket")]
    NoSuchBucket(Box<Exchange>),
    #[error("no such key")]
    NoSuchKey(Box<Exchange>),
    #[error("no such upload")]
    NoSuchUpload(Box<Exchange>),
    #[error("precondition failed")]
    PreconditionFailed(Box<Exchange>),
    #[error("expired")]
    Expired { exchange: Box<Exchange>, at: Option<Timestamp> },
}

impl Error {
    /// Who acts next.
    pub fn class(&self) -> FailureClass {
        todo!()
    }

    /// What was asked and answered.
    pub fn exchange(&self) -> &Exchange {
        todo!()
    }

    /// The upload is gone: aborted, completed, or expired by a lifecycle rule.
    pub fn is_no_such_upload(&self) -> bool {
        todo!()
    }

    /// `If-None-Match: *` found an object.
    pub fn is_precondition_failed(&self) -> bool {
        todo!()
    }

    /// The request may have taken effect although no answer came: ask before repeating.
    pub fn answer_lost(&self) -> bool {
        todo!()
    }

    /// The same, told to a person.
    pub fn to_failure(&self, side: Side) -> Failure {
        let _ = side;
        todo!()
    }
}
