//! Why a transfer did not come to its end, split by who acts next.

use crate::blob;
use crate::integrity;
use crate::ledger;
use crate::model::{Failure, FailureClass, Side};

/// Why a transfer did not come to its end.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// A person acts next. `restart` says that what was uploaded is of no use.
    #[error("{failure}")]
    Failed { failure: Box<Failure>, restart: bool },
    /// What was uploaded is gone or wrong, and a new beginning may well succeed.
    #[error("{failure}")]
    BeginAnew { failure: Box<Failure> },
    /// It was asked to stop, and did.
    #[error("stopped")]
    Stopped,
    /// The ledger does not take what this worker says.
    #[error(transparent)]
    Ledger(#[from] ledger::Error),
}

impl Fault {
    /// A failure after which the parts are still good.
    pub fn failed(failure: Failure) -> Self {
        Self::Failed { failure: Box::new(failure), restart: false }
    }

    /// A failure that makes what was uploaded useless.
    pub(super) fn useless(failure: Failure) -> Self {
        Self::Failed { failure: Box::new(failure), restart: true }
    }

    /// What became of a request that no retry could mend.
    pub(super) fn of_request(error: &blob::Error, side: Side) -> Self {
        let failure = error.to_failure(side);
        if error.is_no_such_upload() {
            return Self::BeginAnew { failure: Box::new(failure) };
        }
        // Every part that was sent is of the version that is gone.
        let changed = matches!(error, blob::Error::SourceChanged { .. });
        Self::Failed { failure: Box::new(failure), restart: changed }
    }
}

impl From<integrity::Error> for Fault {
    fn from(error: integrity::Error) -> Self {
        let remedy = "the parts' digests in the ledger do not fit: retry begins anew";
        Self::useless(Failure::new(FailureClass::Corrupt, error.to_string(), remedy))
    }
}
