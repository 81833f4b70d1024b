//! What a refusal becomes: a status code and one line.
//!
//! | status | means |
//! | --- | --- |
//! | INVALID_ARGUMENT | the request is wrong, an unknown remote among it |
//! | NOT_FOUND | no such job |
//! | FAILED_PRECONDITION | not in this state; or one of the sides refuses what was asked |
//! | ALREADY_EXISTS | the idempotency key belongs to another specification |
//! | RESOURCE_EXHAUSTED | a limit of the daemon |
//! | UNAVAILABLE | draining, stopping, the data directory cannot be written, or a side does not answer |
//! | DATA_LOSS, INTERNAL | the ledger holds what it should not |

use causeway_proto::v1;
use tonic::{Code, Status};

use crate::base::chain;
use crate::control::engine::LimitsRefused;
use crate::ledger;
use crate::model::{Failure, FailureClass, RemoteName};

/// The ledger's answer. No wildcard arm: whoever adds a variant must decide who acts next.
impl From<ledger::Error> for Status {
    fn from(error: ledger::Error) -> Self {
        use ledger::Error;
        let code = match &error {
            Error::NoSuchJob(_) => Code::NotFound,
            Error::Illegal { .. } => Code::FailedPrecondition,
            Error::KeyReused { .. } => Code::AlreadyExists,
            Error::LeaseLost => Code::Aborted,
            Error::AlreadyOpen { .. }
            | Error::NoSpace { .. }
            | Error::NotWritable { .. }
            | Error::NotPrivate { .. }
            | Error::Storage(_)
            | Error::Audit(_)
            | Error::Closed => Code::Unavailable,
            // These are answered to an operator at the console, not to a client.
            Error::Schema { .. } | Error::NotOwner { .. } | Error::Backup { .. } => Code::Internal,
            Error::Corrupt { .. } | Error::Chain { .. } | Error::Lost { .. } => Code::DataLoss,
        };
        let message = chain(&error);
        // That nothing can be written is told once by the ledger itself.
        if matches!(code, Code::Internal | Code::DataLoss) {
            tracing::error!(error = message, "the ledger could not serve a request");
        }
        Self::new(code, message)
    }
}

/// A side refuses what was asked, or does not answer. The request is well formed and the daemon is well: a
/// side is not in the state that this needs.
pub fn side_failed(failure: &Failure) -> Status {
    Status::new(refused_by(failure), failure.to_string())
}

/// A listing that could not be had, as [`side_failed`].
pub fn listing_failed(failure: &Failure) -> Status {
    let message = format!("the source prefix cannot be listed: {failure}");
    Status::new(refused_by(failure), message)
}

/// What a side does not do now it may do later.
fn refused_by(failure: &Failure) -> Code {
    match failure.class {
        FailureClass::Transient | FailureClass::Throttled | FailureClass::Credentials => {
            Code::Unavailable
        }
        FailureClass::Permanent | FailureClass::Corrupt => Code::FailedPrecondition,
    }
}

/// Limits that were not changed.
pub fn limits_refused(remote: &RemoteName, refused: &LimitsRefused) -> Status {
    let message = format!("remote '{remote}': {}", chain(refused));
    match refused {
        LimitsRefused::NoSuchRemote | LimitsRefused::Illegal(_) => {
            Status::invalid_argument(message)
        }
        LimitsRefused::NotKept(_) => Status::unavailable(message),
    }
}

/// The same, as an answer to one of many.
pub fn fault(status: &Status) -> v1::Fault {
    v1::Fault { code: status.code().into(), message: status.message().to_owned() }
}
