//! Why a remote cannot be used.

use std::path::PathBuf;

use super::trust;
use crate::model::{FailureClass, RemoteName};

/// Why a remote cannot be used. Each names the remote, what was expected and what was found.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(
        "remote '{remote}': '{region}' belongs to no known partition: expected a region such as \
         us-east-2 or us-gov-west-1"
    )]
    UnknownPartition { remote: RemoteName, region: String },
    #[error("remote '{remote}': the ca_bundle {} cannot be used", path.display())]
    CaBundle { remote: RemoteName, path: PathBuf, source: trust::Error },
    #[error("remote '{remote}': expected account {expected}, found {found}")]
    WrongAccount { remote: RemoteName, expected: String, found: String },
    #[error(
        "remote '{remote}': its region is of partition {expected}, but {arn} is of partition {found}"
    )]
    WrongPartition { remote: RemoteName, expected: &'static str, found: String, arn: String },
    /// The credentials could not be had, or STS does not take them.
    #[error("remote '{remote}': its credentials do not work: {cause}")]
    Credentials { remote: RemoteName, cause: String },
    #[error("remote '{remote}': STS was not reached: {cause}")]
    Unreached { remote: RemoteName, cause: String },
}

impl Error {
    /// Whether STS named somebody, and not the one who is expected.
    pub(super) fn names_another(&self) -> bool {
        matches!(self, Self::WrongAccount { .. } | Self::WrongPartition { .. })
    }

    /// Who acts next.
    pub fn class(&self) -> FailureClass {
        match self {
            Self::UnknownPartition { .. }
            | Self::CaBundle { .. }
            | Self::WrongAccount { .. }
            | Self::WrongPartition { .. } => FailureClass::Permanent,
            Self::Credentials { .. } => FailureClass::Credentials,
            Self::Unreached { .. } => FailureClass::Transient,
        }
    }
}
