//! Why a request about an image failed, split by what the caller can do.

use super::remedy::remedy;
use crate::model::{Failure, FailureClass, Side};
use crate::remote::Exchange;

/// Why a request failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// No image of this id that the account sees. One that was just made may not be seen yet.
    #[error("no such image: {0}")]
    NoSuchImage(Box<Exchange>),
    /// No snapshot of this id that the account sees. One that was just made may not be seen yet.
    #[error("no such snapshot: {0}")]
    NoSuchSnapshot(Box<Exchange>),
    /// What it is about is there, and in no state for it. Whether that passes, its state says.
    #[error("not in a state for this: {0}")]
    WrongState(Box<Exchange>),
    /// Another image of the account and Region has the name.
    #[error("the image's name is taken: {0}")]
    NameTaken(Box<Exchange>),
    /// The parameter is there, and was not to be overwritten.
    #[error("the parameter exists: {0}")]
    ParameterExists(Box<Exchange>),
    /// Too much is in progress, be it other people's. No failure: it passes as tasks end.
    #[error("a quota is used up: {0}")]
    Quota(Box<Exchange>),
    #[error("access denied: {0}")]
    AccessDenied(Box<Exchange>),
    /// The credentials cannot be had, or are not taken now; a clock that is wrong among it.
    #[error("credentials do not work: {0}")]
    Credentials(Box<Exchange>),
    /// Nothing was sent: an account is expected, and STS has not named one yet.
    #[error("the remote's account is not known: {0}")]
    Unidentified(Box<Exchange>),
    /// Nothing was sent: STS named another account or partition than expected.
    #[error("the remote is not the expected one: {0}")]
    WrongIdentity(Box<Exchange>),
    /// The server does not know this request, or not for such an image.
    #[error("not supported: {0}")]
    Unsupported(Box<Exchange>),
    /// The request cannot be granted as it is.
    #[error("refused: {0}")]
    Refused(Box<Exchange>),
    /// The answer is not one to the request: another image, no state, pages without end.
    #[error("not an answer to the request: {0}")]
    BadAnswer(Box<Exchange>),
    /// The peer's certificate is not trusted.
    #[error("the server's certificate is not trusted: {0}")]
    Untrusted(Box<Exchange>),
    #[error("asked to slow down: {0}")]
    Throttled(Box<Exchange>),
    #[error("the server failed: {0}")]
    ServerFault(Box<Exchange>),
    /// No answer, or one that broke off.
    #[error("no whole answer: {0}")]
    Unanswered(Box<Exchange>),
}

impl Error {
    /// Who acts next.
    pub fn class(&self) -> FailureClass {
        match self {
            Self::NoSuchImage(_)
            | Self::NoSuchSnapshot(_)
            | Self::WrongState(_)
            | Self::NameTaken(_)
            | Self::ParameterExists(_)
            | Self::AccessDenied(_)
            | Self::WrongIdentity(_)
            | Self::Unsupported(_)
            | Self::Refused(_)
            | Self::BadAnswer(_)
            | Self::Untrusted(_) => FailureClass::Permanent,
            Self::Credentials(_) | Self::Unidentified(_) => FailureClass::Credentials,
            Self::Throttled(_) => FailureClass::Throttled,
            // A quota is not the side asking for fewer requests: nothing is gained by going slower.
            Self::Quota(_) | Self::ServerFault(_) | Self::Unanswered(_) => FailureClass::Transient,
        }
    }

    /// What was asked and answered.
    pub fn exchange(&self) -> &Exchange {
        match self {
            Self::NoSuchImage(exchange)
            | Self::NoSuchSnapshot(exchange)
            | Self::WrongState(exchange)
            | Self::NameTaken(exchange)
            | Self::ParameterExists(exchange)
            | Self::Quota(exchange)
            | Self::AccessDenied(exchange)
            | Self::Credentials(exchange)
            | Self::Unidentified(exchange)
            | Self::WrongIdentity(exchange)
            | Self::Unsupported(exchange)
            | Self::Refused(exchange)
            | Self::BadAnswer(exchange)
            | Self::Untrusted(exchange)
            | Self::Throttled(exchange)
            | Self::ServerFault(exchange)
            | Self::Unanswered(exchange) => exchange,
        }
    }

    /// The service's error code, where the answer had one.
    pub fn code(&self) -> Option<&str> {
        self.exchange().code.as_deref()
    }

    /// The request may have taken effect although nobody said so: look before repeating.
    pub fn answer_lost(&self) -> bool {
        matches!(self, Self::Unanswered(_) | Self::ServerFault(_))
    }

    /// The same, told to a person.
    pub fn to_failure(&self, side: Side) -> Failure {
        let exchange = self.exchange();
        Failure::new(self.class(), exchange.reason(), remedy(self, side))
            .on(side, exchange.remote.clone())
            .at(exchange.operation, exchange.resource.clone())
    }
}
