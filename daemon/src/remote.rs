//! One SDK configuration per remote: credentials, endpoints, TLS, resolver, pools, timeouts, and the
//! check that it is who the configuration says.
//!
//! # Invariants
//! - The SDK's default credential chain is never used: `AWS_*` variables would serve every remote
//!   with the same keys. Each remote's provider is built from its own configuration alone.
//! - A remote's partition comes from its region; an identity of another partition is refused.
//! - No secret is printable.

pub mod partition;
pub mod secret;

use std::path::PathBuf;
use std::sync::Arc;

use aws_types::SdkConfig;

pub use partition::partition_of;
pub use secret::Secret;

use crate::base::{Limits, Pace, SharedObserver};
use crate::model::{FailureClass, RemoteName, Timestamp};

/// How one remote is reached, as the configuration says it.
#[derive(Debug, Clone)]
pub struct Options {
    pub name: RemoteName,
    pub region: String,
    pub credentials: Credentials,
    /// The account that STS has to name.
    pub expected_account: Option<String>,
    pub fips: bool,
    pub dual_stack: bool,
    pub path_style: bool,
    pub s3_endpoint: Option<String>,
    pub sts_endpoint: Option<String>,
    /// PEM certificates trusted besides the system's.
    pub ca_bundle: Option<PathBuf>,
    pub limits: Limits,
}

/// Where a remote's credentials come from. Exactly one place, always named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Credentials {
    /// A profile of the AWS configuration files.
    Profile(String),
    Static {
        access_key_id: String,
        secret_access_key: Secret,
        session_token: Option<Secret>,
    },
    /// A role, assumed with a profile's credentials or else the instance's.
    AssumeRole {
        role_arn: String,
        source_profile: Option<String>,
        external_id: Option<String>,
    },
    /// The instance's own role.
    Imds,
}

/// Who a remote is, where STS was asked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Identity {
    pub account: Option<String>,
    pub arn: Option<String>,
}

/// Why a remote cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("remote '{remote}': '{region}' belongs to no known partition")]
    UnknownPartition { remote: RemoteName, region: String },
}

impl Error {
    /// Who acts next.
    pub fn class(&self) -> FailureClass {
        match self {
            Self::UnknownPartition { .. } => FailureClass::Permanent,
        }
    }
}

/// One side that the daemon can reach.
#[derive(Debug)]
pub struct Remote {
    name: RemoteName,
    region: String,
    partition: &'static str,
    pace: Arc<Pace>,
    observer: SharedObserver,
    sdk: SdkConfig,
    s3_endpoint: Option<String>,
    path_style: bool,
}

impl Remote {
    /// Builds the configuration and, unless the remote is an S3-compatible server without STS, checks
    /// who it is.
    ///
    /// # Errors
    /// Where the configuration cannot work, or the identity is not the expected one.
    pub async fn connect(options: Options, observer: SharedObserver) -> Result<Arc<Self>, Error> {
        let _ = (options, observer);
        todo!()
    }

    /// The remote's name.
    pub fn name(&self) -> &RemoteName {
        &self.name
    }

    /// Its region.
    pub fn region(&self) -> &str {
        &self.region
    }

    /// The partition of its region.
    pub fn partition(&self) -> &'static str {
        self.partition
    }

    /// Its limits, in force.
    pub fn pace(&self) -> &Arc<Pace> {
        &self.pace
    }

    /// Who counts what happens at it.
    pub fn observer(&self) -> &SharedObserver {
        &self.observer
    }

    /// The configuration that every AWS client of this remote is made from.
    pub fn sdk_config(&self) -> &SdkConfig {
        &self.sdk
    }

    /// Its S3 endpoint, where the configuration names one.
    pub fn s3_endpoint(&self) -> Option<&str> {
        self.s3_endpoint.as_deref()
    }

    /// Whether buckets are named in the path rather than in the host name.
    pub fn path_style(&self) -> bool {
        self.path_style
    }

    /// What people are told of where it is: the S3 endpoint, or `AWS REGION`.
    pub fn endpoint(&self) -> String {
        self.s3_endpoint.clone().unwrap_or_else(|| format!("AWS {}", self.region))
    }

    /// Who the last check found; empty where STS is not asked.
    pub fn identity(&self) -> Identity {
        todo!()
    }

    /// When the credentials in use expire; `None` where they do not, or none were needed yet.
    pub fn credentials_expire_at(&self) -> Option<Timestamp> {
        todo!()
    }

    /// Asks STS who this is.
    ///
    /// # Errors
    /// Where STS refuses, or names another account or partition than expected.
    pub async fn check_identity(&self) -> Result<Identity, Error> {
        todo!()
    }
}
