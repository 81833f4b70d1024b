//! One SDK configuration per remote: credentials, endpoints, TLS, resolver, pools, timeouts, and the
//! check that it is who the configuration says.
//!
//! # Invariants
//! - The SDK's default credential chain is never used: `AWS_*` variables would serve every remote
//!   with the same keys. Each remote's provider is built from its own configuration alone.
//! - A remote's partition comes from its region; an identity of another partition is refused.
//! - The SDK neither retries nor times out a body: `transfer` does both, in one place.
//! - Every request of every service but STS's passes one gate, which paces, ends and counts it.
//! - No secret is printable.

pub mod remedy;
pub mod trust;

mod bounded;
mod credentials;
mod error;
mod exchange;
mod identity;
mod partition;
mod profiles;
mod request;
mod resolver;
mod secret;
mod server_clock;
mod transport;
mod vouched;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_config::identity::IdentityCache;
use aws_config::retry::RetryConfig;
use aws_config::stalled_stream_protection::StalledStreamProtectionConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{AppName, BehaviorVersion, Region};
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_smithy_async::rt::sleep::TokioSleep;
use aws_smithy_async::time::SystemTimeSource;
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use aws_smithy_types::checksum_config::{RequestChecksumCalculation, ResponseChecksumValidation};
use aws_types::SdkConfig;

pub use credentials::Credentials;
pub use error::Error;
pub use exchange::{Exchange, Fault, ServiceError, timestamp};
pub use identity::{Barred, Identity};
pub use partition::partition_of;
pub use profiles::ProfileFiles;
pub use request::{ANSWER_PATIENCE, Operation, count};
pub use resolver::Spread;
pub use secret::Secret;
use server_clock::ServerClock;
pub use transport::{CONNECT_TIMEOUT, POOL_IDLE};
use vouched::{Vouched, Witness};

use crate::base::{Limits, Pace, Share, SharedObserver};
use crate::model::{RemoteName, Timestamp};

/// Credentials are renewed this long before they expire.
const RENEW_BEFORE: Duration = Duration::from_secs(300);
/// How long a provider may take to give credentials.
const CREDENTIALS_PATIENCE: Duration = Duration::from_secs(20);
/// How long one request to STS may take.
const STS_PATIENCE: Duration = Duration::from_secs(5);

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
    /// Buckets in the path rather than in the host name.
    pub path_style: bool,
    pub s3_endpoint: Option<String>,
    pub sts_endpoint: Option<String>,
    pub ec2_endpoint: Option<String>,
    pub ssm_endpoint: Option<String>,
    /// PEM certificates trusted besides the system's.
    pub ca_bundle: Option<PathBuf>,
    pub limits: Limits,
}

/// One side that the daemon can reach. Clones are one side, too.
#[derive(Debug, Clone)]
pub struct Remote {
    region: String,
    witness: Witness,
    pace: Arc<Pace>,
    observer: SharedObserver,
    sdk: SdkConfig,
    /// One of each service, see [`Remote::client`].
    clients: Arc<Mutex<http::Extensions>>,
    asks_sts: bool,
    credentials: credentials::Watched,
    server_clock: ServerClock,
    s3_endpoint: Option<String>,
    ec2_endpoint: Option<String>,
    ssm_endpoint: Option<String>,
    path_style: bool,
}

impl Remote {
    /// Builds the configuration without asking anyone anything.
    ///
    /// # Errors
    /// Where the configuration cannot work.
    pub async fn build(options: Options, observer: SharedObserver) -> Result<Self, Error> {
        let Options { name, region, .. } = &options;
        let partition = partition_of(region).ok_or_else(|| Error::UnknownPartition {
            remote: name.clone(),
            region: region.clone(),
        })?;
        let expected = identity::Expected {
            remote: name.clone(),
            partition,
            account: options.expected_account.clone(),
        };
        if let Credentials::AssumeRole { role_arn, .. } = &options.credentials {
            expected.check_arn(role_arn)?;
        }
        let asks_sts = options.s3_endpoint.is_none() || options.sts_endpoint.is_some();
        let is_waited_for = asks_sts && options.expected_account.is_some();
        let server_clock = ServerClock::default();
        let base = sdk_config(&options, server_clock.clone())?;
        let sts = sts_config(&base, options.sts_endpoint.as_deref());
        let credentials = credentials::provider(name, &options.credentials, &sts).await;
        let witness = Witness::new(expected, &sts, is_waited_for);
        let (keys, vouches) = (credentials.clone(), witness.clone());
        let shared = match is_waited_for {
            true => SharedCredentialsProvider::new(Vouched { keys, witness: vouches }),
            false => SharedCredentialsProvider::new(keys),
        };
        Ok(Self {
            pace: Pace::new(name.as_str(), options.limits, Arc::clone(&observer)),
            observer,
            witness,
            sdk: base.into_builder().credentials_provider(shared).build(),
            clients: Arc::default(),
            asks_sts,
            credentials,
            server_clock,
            region: options.region,
            s3_endpoint: options.s3_endpoint,
            ec2_endpoint: options.ec2_endpoint,
            ssm_endpoint: options.ssm_endpoint,
            path_style: options.path_style,
        })
    }

    /// Builds the configuration and checks who it is, see [`Remote::check_identity`].
    ///
    /// # Errors
    /// Where the configuration cannot work, or the identity is not the expected one.
    pub async fn connect(options: Options, observer: SharedObserver) -> Result<Arc<Self>, Error> {
        let remote = Self::build(options, observer).await?;
        remote.check_identity().await?;
        Ok(Arc::new(remote))
    }

    /// Asks STS who this is. A server with an S3 endpoint of its own and no STS endpoint is not
    /// asked: its identity stays empty, and of its keys, which nobody else asks for while it stands idle,
    /// it is seen to that they do not run out.
    ///
    /// # Errors
    /// Where STS refuses, or names another account or partition than expected; or where keys have run out.
    pub async fn check_identity(&self) -> Result<Identity, Error> {
        if !self.asks_sts {
            let problem = |cause| Error::Credentials { remote: self.name().clone(), cause };
            return self.credentials.renew().await.map(|()| Identity::default()).map_err(problem);
        }
        self.witness.check(self.credentials.current()).await
    }

    /// The same remote, as the job with this share of its limits asks it.
    pub fn of(&self, share: &Arc<Share>) -> Arc<Self> {
        Arc::new(Self { pace: self.pace.of(share), ..self.clone() })
    }

    /// The remote's name.
    pub fn name(&self) -> &RemoteName {
        &self.witness.expected.remote
    }

    /// Its region.
    pub fn region(&self) -> &str {
        &self.region
    }

    /// The partition of its region.
    pub fn partition(&self) -> &'static str {
        self.witness.expected.partition
    }

    /// Its limits, in force.
    pub fn pace(&self) -> &Arc<Pace> {
        &self.pace
    }

    /// Who counts what happens at it.
    pub fn observer(&self) -> &SharedObserver {
        &self.observer
    }

    /// The client `C` of one service, made when it is first asked for, and from then on the same one: to
    /// make one takes as long as a request.
    pub fn client<C>(&self, make: impl FnOnce(&SdkConfig) -> C) -> C
    where
        C: Clone + Send + Sync + 'static,
    {
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        clients.get_or_insert_with(|| make(&self.sdk)).clone()
    }

    /// Its S3 endpoint, where the configuration names one.
    pub fn s3_endpoint(&self) -> Option<&str> {
        self.s3_endpoint.as_deref()
    }

    /// Its EC2 endpoint, where the configuration names one.
    pub fn ec2_endpoint(&self) -> Option<&str> {
        self.ec2_endpoint.as_deref()
    }

    /// Its SSM endpoint, where the configuration names one.
    pub fn ssm_endpoint(&self) -> Option<&str> {
        self.ssm_endpoint.as_deref()
    }

    /// Whether buckets are named in the path rather than in the host name.
    pub fn path_style(&self) -> bool {
        self.path_style
    }

    /// What people are told of where it is: the S3 endpoint, or the region.
    pub fn endpoint(&self) -> String {
        self.s3_endpoint.clone().unwrap_or_else(|| format!("AWS {}", self.region))
    }

    /// Whether an account is expected that nobody is asked for: an S3 endpoint of its own, and no STS's.
    pub fn is_unchecked(&self) -> bool {
        self.witness.expected.account.is_some() && !self.asks_sts
    }

    /// Who the last check found; empty where STS is not asked.
    pub fn identity(&self) -> Identity {
        self.witness.identity()
    }

    /// Why nothing may be done at this remote, now or at all.
    pub fn barred(&self) -> Option<Barred> {
        self.witness.bar()
    }

    /// Milliseconds that this machine's clock is ahead of the remote's, or behind where negative, to a second;
    /// `None` before an answer told the time.
    pub fn clock_ahead_millis(&self) -> Option<i64> {
        self.server_clock.ahead_millis()
    }

    /// When the credentials in use expire; `None` where they do not, or none were needed yet.
    pub fn credentials_expire_at(&self) -> Option<Timestamp> {
        self.credentials.expire_at()
    }
}

fn sdk_config(options: &Options, server_clock: ServerClock) -> Result<SdkConfig, Error> {
    let client =
        transport::client(options.ca_bundle.as_deref(), server_clock).map_err(|source| {
            let path = options.ca_bundle.clone().unwrap_or_default();
            Error::CaBundle { remote: options.name.clone(), path, source }
        })?;
    let cache =
        IdentityCache::lazy().buffer_time(RENEW_BEFORE).load_timeout(CREDENTIALS_PATIENCE).build();
    let mut config = SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(options.region.clone()))
        .http_client(client)
        .identity_cache(cache)
        .retry_config(RetryConfig::disabled())
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
        .timeout_config(TimeoutConfig::builder().connect_timeout(CONNECT_TIMEOUT).build())
        .sleep_impl(TokioSleep::new())
        .time_source(SystemTimeSource::new())
        // Checksums are asked for by name where they are wanted. What is read is hashed here already,
        // so that the SDK must not do it again.
        .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
        .response_checksum_validation(ResponseChecksumValidation::WhenRequired)
        .use_fips(options.fips)
        .use_dual_stack(options.dual_stack);
    config.set_app_name(AppName::new("causeway").ok());
    Ok(config.build())
}

/// STS is asked a few times an hour and by nobody who would retry: there the SDK may. Whoever else gives
/// credentials is reached by this, too.
fn sts_config(base: &SdkConfig, endpoint: Option<&str>) -> SdkConfig {
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .operation_attempt_timeout(STS_PATIENCE)
        .build();
    let mut config = base.to_builder();
    config.set_endpoint_url(endpoint.map(str::to_owned));
    let bounded = |client| SharedHttpClient::new(bounded::Bounded(client));
    config.set_http_client(base.http_client().map(bounded));
    config.retry_config(RetryConfig::standard()).timeout_config(timeouts).build()
}

#[cfg(test)]
mod tests;
