//! What was asked of a service of AWS and what came back, told in words that all services have in common.
//!
//! Whose codes mean what is for each service's own module to say: it makes its error of a [`Fault`].

use std::fmt;
use std::time::Duration;

use aws_credential_types::provider::error::CredentialsError;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_runtime_api::http::Response;
use aws_smithy_types::DateTime;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use aws_types::request_id::RequestId as _;

use super::Barred;
use crate::base::chain;
use crate::model::{FailureClass, RemoteName, Timestamp};

/// What is kept of a text that a server wrote.
const TEXT_CHARS_MAX: usize = 600;

/// What was asked, and what came back.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Exchange {
    /// AWS's name of the request, e.g. `HeadObject`.
    pub api: &'static str,
    /// The action that a policy has to allow for it, e.g. `s3:GetObject`.
    pub operation: &'static str,
    /// `BUCKET/KEY`, an id or a name; host and path for a presigned source.
    pub resource: String,
    /// `None` for a presigned source.
    pub remote: Option<RemoteName>,
    /// `None` where no answer came.
    pub status: Option<u16>,
    /// The service's error code.
    pub code: Option<String>,
    pub message: String,
    pub request_id: Option<String>,
    /// The region to ask instead, where the answer names one.
    pub region: Option<String>,
}

impl Exchange {
    /// `CODE: message (HTTP 403, request id …)`: what came back, without what was asked.
    pub fn reason(&self) -> String {
        let mut text = match &self.code {
            Some(code) if self.message.is_empty() => code.clone(),
            Some(code) => format!("{code}: {}", self.message),
            None => self.message.clone(),
        };
        match (self.status, &self.request_id) {
            (Some(status), Some(id)) => text += &format!(" (HTTP {status}, request id {id})"),
            (Some(status), None) => text += &format!(" (HTTP {status})"),
            (None, _) => {}
        }
        text
    }
}

impl fmt::Display for Exchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {}: {}", self.api, self.resource, self.reason())
    }
}

/// Why a request has no good answer, as far as that is the same for every service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// Nothing was sent: an account is expected, and STS has not named one yet.
    Unidentified(Box<Exchange>),
    /// Nothing was sent: STS named another account or partition than expected.
    WrongIdentity(Box<Exchange>),
    /// Nothing was sent: the request cannot be made as it is.
    Unmade(Box<Exchange>),
    /// The credentials cannot be had.
    Credentials(Box<Exchange>),
    /// The service said no. Its code, or where it has none the status, says why.
    Refused(Box<Exchange>),
    /// The peer's certificate is not trusted.
    Untrusted(Box<Exchange>),
    /// No answer, or one that broke off.
    Unanswered(Box<Exchange>),
}

/// The error of one service's module.
pub trait ServiceError: From<Fault> + Send {
    /// What the request counts as; `None` where the refusal is what was asked for.
    fn outcome(&self) -> Option<FailureClass>;

    /// The region to ask instead, where the service's refusals name one.
    fn region(_: &Response) -> Option<String> {
        None
    }
}

impl Fault {
    /// Who the remote is has to be known before anything is asked of it.
    pub(super) fn barred(asked: Exchange, barred: Barred) -> Self {
        let exchange = |why: &str| Box::new(Exchange { message: line(why), ..asked });
        match barred {
            Barred::Unchecked(why) => Self::Unidentified(exchange(&why)),
            Barred::Wrong(why) => Self::WrongIdentity(exchange(&why)),
        }
    }

    pub(super) fn late(asked: Exchange, patience: Duration) -> Self {
        let message = format!("no answer within {} seconds", patience.as_secs());
        Self::Unanswered(Box::new(Exchange { message, ..asked }))
    }

    /// Why the SDK's request failed. `asked` says what was asked.
    pub(super) fn of_sdk<E>(
        asked: Exchange,
        error: &SdkError<E, Response>,
        region: fn(&Response) -> Option<String>,
    ) -> Self
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
    {
        let answer = error.raw_response();
        let exchange = Exchange {
            status: answer.map(|answer| answer.status().as_u16()),
            request_id: error.request_id().map(str::to_owned),
            region: answer.and_then(region),
            ..asked
        };
        match error {
            SdkError::ServiceError(refusal) => {
                let code = refusal.err().code().map(line);
                let message = match refusal.err().message() {
                    Some(message) => line(message),
                    None if code.is_some() => String::new(),
                    // A yes that cannot be read, or a page that some other server wrote.
                    None if refusal.raw().status().is_success() => line(&chain(refusal.err())),
                    None => told_by(refusal.raw().status().as_u16()),
                };
                Self::Refused(Box::new(Exchange { code, message, ..exchange }))
            }
            SdkError::ConstructionFailure(_) => {
                Self::Unmade(Box::new(Exchange { message: line(&chain(error)), ..exchange }))
            }
            // An answer that does not parse: a proxy's page, or a body that broke off.
            SdkError::ResponseError(answer) if !answer.raw().status().is_success() => {
                Self::Refused(Box::new(Exchange { message: line(&chain(error)), ..exchange }))
            }
            _ => Self::silent(exchange, error),
        }
    }

    /// Why no answer came.
    pub fn silent(asked: Exchange, error: &(dyn std::error::Error + 'static)) -> Self {
        let message = line(&chain(error));
        // rustls says so, through three layers that keep nothing but its text.
        let untrusted = message.contains("invalid peer certificate");
        let exchange = Box::new(Exchange { message, ..asked });
        if is_credentials_fault(error) {
            Self::Credentials(exchange)
        } else if untrusted {
            Self::Untrusted(exchange)
        } else {
            Self::Unanswered(exchange)
        }
    }
}

/// Whether a request failed for want of credentials, before anything was sent.
fn is_credentials_fault(error: &(dyn std::error::Error + 'static)) -> bool {
    std::iter::successors(Some(error), |error| error.source())
        .any(|error| error.is::<CredentialsError>())
}

fn told_by(status: u16) -> String {
    let reason = http::StatusCode::from_u16(status).ok().and_then(|code| code.canonical_reason());
    reason.unwrap_or("no reason given").to_ascii_lowercase()
}

/// A server's text as an error shows it: on one line, and no longer than a person reads.
pub(super) fn line(text: &str) -> String {
    let legible = |c: char| if c.is_control() { ' ' } else { c };
    let mut line: String = text.trim().chars().take(TEXT_CHARS_MAX).map(legible).collect();
    if text.trim().chars().nth(TEXT_CHARS_MAX).is_some() {
        line.push('…');
    }
    line
}

/// A moment as the SDK tells it.
pub fn timestamp(at: DateTime) -> Option<Timestamp> {
    u64::try_from(at.to_millis().ok()?).ok().map(Timestamp)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_servers_text_is_one_line_and_no_longer_than_a_person_reads() {
        assert_eq!(line("  Access\n\tDenied\0. "), "Access  Denied .");
        let cut = line(&"ü".repeat(1_000_000));
        assert_eq!(cut.chars().count(), TEXT_CHARS_MAX + 1);
        assert!(cut.ends_with("ü…"));
    }
}
