//! Errors of S3 that s3s has no name for.

use http::StatusCode;
use s3s::{S3Error, S3ErrorCode};

/// An error with S3's own code and status.
pub(crate) fn refusal(
    status: StatusCode,
    code: &'static str,
    message: impl Into<String>,
) -> S3Error {
    let mut error = S3Error::with_message(S3ErrorCode::Custom(code.into()), message.into());
    error.set_status_code(status);
    error
}
