//! What a call can end with, split by what the caller can do about it.

use std::io;

use tonic::{Code, Status};

use crate::exit::Exit;
use crate::tls;

type Source = Box<dyn std::error::Error + Send + Sync>;

/// A call that did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The endpoint is not one this client can dial.
    #[error("endpoint `{endpoint}`: {reason}")]
    Endpoint { endpoint: String, reason: String },
    /// A certificate, a key or a name that TLS cannot be spoken with.
    #[error("{what}: {reason}")]
    Tls { what: String, reason: String },
    /// No connection, or it broke before the answer came.
    #[error("cannot reach the daemon at {endpoint}")]
    Unreachable { endpoint: String, source: Source },
    /// Connected, but no answer in time.
    #[error("the daemon at {endpoint} did not answer in time")]
    TimedOut { endpoint: String },
    /// The daemon answered that it cannot now: draining, its disk cannot be written, or a remote is throttled
    /// or does not take its credentials.
    #[error("not now: {message}")]
    Unavailable { message: String },
    /// No such job or remote.
    #[error("{message}")]
    NotFound { message: String },
    /// The caller may not do this.
    #[error("not permitted: {message}")]
    PermissionDenied { message: String },
    /// The request is wrong, in conflict, or over a limit.
    #[error("refused: {message}")]
    Refused { message: String },
    /// The daemon does not know this call.
    #[error("the daemon's version does not support this: {message}")]
    Unsupported { message: String },
    /// A fault of the daemon.
    #[error("the daemon failed: {message}")]
    Daemon { message: String },
    /// The answer lacks what the contract promises.
    #[error("the daemon's answer has no {field}")]
    Incomplete { field: &'static str },
}

impl Error {
    /// What a gRPC status means for the caller.
    pub(crate) fn from_status(endpoint: &str, status: &Status) -> Self {
        let endpoint = endpoint.to_owned();
        let message = status.message().to_owned();
        // A status that the daemon sent has no source: one that has was made on this side, from a
        // connection that broke.
        let broken = std::error::Error::source(status).is_some();
        match status.code() {
            Code::Cancelled | Code::DeadlineExceeded if !broken || message == "Timeout expired" => {
                Self::TimedOut { endpoint }
            }
            Code::Unavailable if !broken => Self::Unavailable { message },
            Code::NotFound => Self::NotFound { message },
            Code::PermissionDenied | Code::Unauthenticated => Self::PermissionDenied { message },
            Code::InvalidArgument
            | Code::AlreadyExists
            | Code::FailedPrecondition
            | Code::ResourceExhausted
            | Code::OutOfRange
            | Code::Aborted => Self::Refused { message },
            // A daemon that has never heard of the call says nothing of it.
            Code::Unimplemented if message.is_empty() => {
                Self::Unsupported { message: "it is older than this client".to_owned() }
            }
            Code::Unimplemented => Self::Unsupported { message },
            Code::Cancelled
            | Code::DeadlineExceeded
            | Code::Unavailable
            | Code::Unknown
            | Code::Internal
            | Code::DataLoss
            | Code::Ok => {
                if broken {
                    Self::broken(endpoint, status)
                } else {
                    Self::Daemon { message }
                }
            }
        }
    }

    /// What a connection that was not made, or broke, means for the caller.
    pub(crate) fn broken(endpoint: String, error: &(dyn std::error::Error + 'static)) -> Self {
        match tls::cause(error) {
            Some(rustls::Error::InvalidCertificate(why)) => Self::Tls {
                what: endpoint,
                reason: format!(
                    "its certificate is not trusted ({why:?}): --tls-ca names who signed it, and \
                     --tls-server-name the name in it"
                ),
            },
            Some(_) | None => {
                let cause = root_cause(error);
                // It comes after the handshake, through HTTP/2, which keeps of it nothing but the text.
                match cause.text.strip_prefix("received fatal alert: ") {
                    Some(alert) => Self::PermissionDenied {
                        message: format!(
                            "{endpoint} does not accept this client's certificate ({alert}): --tls-cert \
                             and --tls-key give one that its client_ca has signed and that has not expired"
                        ),
                    },
                    None => Self::Unreachable { endpoint, source: cause.into() },
                }
            }
        }
    }

    /// The exit code of a command that ends with this.
    pub fn exit_code(&self) -> Exit {
        match self {
            Self::Endpoint { .. } | Self::Tls { .. } => Exit::Usage,
            Self::Unreachable { .. } | Self::TimedOut { .. } | Self::Unavailable { .. } => {
                Exit::Unreachable
            }
            Self::NotFound { .. } => Exit::NotFound,
            Self::PermissionDenied { .. } => Exit::NotPermitted,
            Self::Refused { .. }
            | Self::Unsupported { .. }
            | Self::Daemon { .. }
            | Self::Incomplete { .. } => Exit::Refused,
        }
    }

    /// Whether the same call may succeed later without anybody changing anything.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Unreachable { .. }
            | Self::TimedOut { .. }
            | Self::Unavailable { .. }
            | Self::Daemon { .. } => true,
            Self::Endpoint { .. }
            | Self::Tls { .. }
            | Self::NotFound { .. }
            | Self::PermissionDenied { .. }
            | Self::Refused { .. }
            | Self::Unsupported { .. }
            | Self::Incomplete { .. } => false,
        }
    }

    /// What to do next, where the message does not say it already. One sentence.
    pub fn remedy(&self) -> Option<&'static str> {
        match self {
            Self::Unreachable { source, .. } => Some(unreachable_remedy(source)),
            Self::TimedOut { .. } => {
                Some("see its log, or `causeway status`; the request may have been carried out")
            }
            Self::Unavailable { .. } => {
                Some("try again later; `causeway status` shows the daemon and each remote")
            }
            Self::PermissionDenied { .. } => {
                Some("an admin grants roles in [[control.access]] of causewayd.toml")
            }
            Self::Unsupported { .. } | Self::Incomplete { .. } => {
                Some("compare `causeway --version` with `causeway status`")
            }
            Self::Daemon { .. } => Some("see the daemon's log"),
            Self::Tls { .. }
            | Self::Endpoint { .. }
            | Self::NotFound { .. }
            | Self::Refused { .. } => None,
        }
    }
}

/// What keeps a person from the daemon differs, and with it what helps.
fn unreachable_remedy(source: &Source) -> &'static str {
    match source.downcast_ref::<Cause>().and_then(|cause| cause.kind) {
        Some(io::ErrorKind::NotFound) => {
            "there is no such socket: is causewayd running (`systemctl status causewayd`)? --endpoint \
             or CAUSEWAY_ENDPOINT names another"
        }
        Some(io::ErrorKind::ConnectionRefused) => {
            "nobody listens there: is causewayd running (`systemctl status causewayd`)? --endpoint or \
             CAUSEWAY_ENDPOINT names another"
        }
        Some(io::ErrorKind::PermissionDenied) => {
            "its socket is for its own user and root: use sudo, or an admin gives your user id a role in \
             [[control.access]]"
        }
        Some(_) | None => {
            "is causewayd running there, and is it a causewayd? --endpoint or CAUSEWAY_ENDPOINT names \
             another"
        }
    }
}

/// The last of a chain of errors.
#[derive(Debug, thiserror::Error)]
#[error("{text}")]
pub(crate) struct Cause {
    text: String,
    /// Where it was the system that refused.
    kind: Option<io::ErrorKind>,
}

/// tonic's chains say the same thing three times over: what is last is what happened.
pub(crate) fn root_cause(error: &(dyn std::error::Error + 'static)) -> Cause {
    let mut cause = error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    let kind = cause.downcast_ref::<io::Error>().map(io::Error::kind);
    Cause { text: cause.to_string(), kind }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exit_of(code: Code) -> Exit {
        Error::from_status("unix:/x", &Status::new(code, "because")).exit_code()
    }

    #[test]
    fn statuses_end_with_the_contracts_exit_codes() {
        assert_eq!(exit_of(Code::Unavailable), Exit::Unreachable);
        assert_eq!(exit_of(Code::DeadlineExceeded), Exit::Unreachable);
        assert_eq!(exit_of(Code::NotFound), Exit::NotFound);
        assert_eq!(exit_of(Code::PermissionDenied), Exit::NotPermitted);
        assert_eq!(exit_of(Code::Unauthenticated), Exit::NotPermitted);
        for code in [
            Code::InvalidArgument,
            Code::AlreadyExists,
            Code::FailedPrecondition,
            Code::ResourceExhausted,
            Code::Unimplemented,
            Code::Internal,
        ] {
            assert_eq!(exit_of(code), Exit::Refused, "{code:?}");
        }
    }

    /// The table of [`Exit::of_status`] is used for faults inside answers: the two must not disagree.
    #[test]
    fn errors_and_faults_agree_on_every_code() {
        for number in 1..=16 {
            let code = Code::from(number);
            assert_eq!(exit_of(code), Exit::of_status(code), "{code:?}");
        }
    }

    /// Three different people have to do three different things.
    #[test]
    fn what_keeps_a_person_from_the_daemon_decides_the_remedy() {
        let remedy = |kind: io::ErrorKind| {
            let source = root_cause(&io::Error::from(kind)).into();
            Error::Unreachable { endpoint: "unix:/x".into(), source }.remedy().expect("one")
        };
        assert!(remedy(io::ErrorKind::NotFound).contains("is causewayd running"));
        assert!(remedy(io::ErrorKind::ConnectionRefused).contains("nobody listens"));
        assert!(remedy(io::ErrorKind::PermissionDenied).contains("use sudo"));
        assert!(remedy(io::ErrorKind::ConnectionReset).contains("is it a causewayd"));
    }

    /// It may be a remote that is throttled: to say that the daemon takes nothing would be wrong.
    #[test]
    fn what_cannot_be_now_is_not_laid_at_the_daemons_door() {
        let error = Error::from_status("unix:/x", &Status::unavailable("gov: slow down"));
        assert_eq!(error.to_string(), "not now: gov: slow down");
        assert!(error.remedy().is_some_and(|remedy| remedy.contains("each remote")));
    }

    #[test]
    fn an_older_daemon_is_named_as_the_reason() {
        let error = Error::from_status("unix:/x", &Status::unimplemented(""));
        let words = "the daemon's version does not support this: it is older than this client";
        assert_eq!(error.to_string(), words);
        assert!(error.remedy().is_some_and(|remedy| remedy.contains("--version")));
    }

    #[test]
    fn a_broken_connection_is_unreachable_not_a_fault_of_the_daemon() {
        let mut status = Status::unknown("transport error");
        status.set_source(std::sync::Arc::new(io::Error::other("reset")));
        let error = Error::from_status("unix:/x", &status);
        assert!(matches!(error, Error::Unreachable { .. }), "{error:?}");
        assert!(error.is_transient());
    }
}
