//! Where a remote's credentials come from: one provider each, built from its own configuration.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_config::imds::credentials::ImdsCredentialsProvider;
use aws_config::profile::ProfileFileCredentialsProvider;
use aws_config::provider_config::ProviderConfig;
use aws_config::sts::AssumeRoleProvider;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider, future};
use aws_types::SdkConfig;

use super::Secret;
use crate::base::chain;
use crate::model::{RemoteName, Timestamp};

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

/// The provider for `credentials`. `sts` is how this remote reaches STS, for roles.
pub async fn provider(remote: &RemoteName, credentials: &Credentials, sts: &SdkConfig) -> Watched {
    let inner = match credentials {
        Credentials::Profile(name) => profile(name, sts),
        Credentials::Static { access_key_id, secret_access_key, session_token } => {
            SharedCredentialsProvider::new(aws_credential_types::Credentials::new(
                access_key_id,
                secret_access_key.expose(),
                session_token.as_ref().map(|token| token.expose().to_owned()),
                None,
                "causeway configuration",
            ))
        }
        Credentials::AssumeRole { role_arn, source_profile, external_id } => {
            let source = match source_profile {
                Some(name) => profile(name, sts),
                None => imds(sts),
            };
            let mut role = AssumeRoleProvider::builder(role_arn)
                .session_name(session_name(remote))
                .configure(sts);
            if let Some(id) = external_id {
                role = role.external_id(id);
            }
            SharedCredentialsProvider::new(role.build_from_provider(source).await)
        }
        Credentials::Imds => imds(sts),
    };
    Watched { inner, last: Arc::default() }
}

/// The name that CloudTrail shows. STS takes 2 to 64 characters.
fn session_name(remote: &RemoteName) -> String {
    format!("causeway-{remote}").chars().take(64).collect()
}

fn profile(name: &str, sts: &SdkConfig) -> SharedCredentialsProvider {
    SharedCredentialsProvider::new(
        ProfileFileCredentialsProvider::builder()
            .profile_name(name)
            .configure(&provider_config(sts))
            .build(),
    )
}

fn imds(sts: &SdkConfig) -> SharedCredentialsProvider {
    SharedCredentialsProvider::new(
        ImdsCredentialsProvider::builder().configure(&provider_config(sts)).build(),
    )
}

fn provider_config(sts: &SdkConfig) -> ProviderConfig {
    let config = ProviderConfig::without_region()
        .with_region(sts.region().cloned())
        .with_use_fips(sts.use_fips())
        .with_use_dual_stack(sts.use_dual_stack());
    match sts.http_client() {
        Some(client) => config.with_http_client(client),
        None => config,
    }
}

/// A provider that remembers what it gave: for its expiry, and for the while that it fails.
#[derive(Clone)]
pub struct Watched {
    inner: SharedCredentialsProvider,
    last: Arc<Mutex<Option<aws_credential_types::Credentials>>>,
}

impl Watched {
    /// When the credentials in use expire.
    pub fn expire_at(&self) -> Option<Timestamp> {
        let expiry = self.last()?.expiry()?.duration_since(UNIX_EPOCH).ok()?;
        Some(Timestamp(u64::try_from(expiry.as_millis()).ok()?))
    }

    fn last(&self) -> Option<aws_credential_types::Credentials> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What was given before, where it is good for a while yet.
    fn still_good(&self) -> Option<aws_credential_types::Credentials> {
        /// Longer than a request takes to be signed and to arrive.
        const MARGIN: Duration = Duration::from_secs(60);
        let good = |last: &aws_credential_types::Credentials| {
            last.expiry().is_none_or(|expiry| expiry > SystemTime::now() + MARGIN)
        };
        self.last().filter(good)
    }

    async fn provide(&self) -> aws_credential_types::provider::Result {
        match self.inner.provide_credentials().await {
            Ok(credentials) => {
                let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
                *last = Some(credentials.clone());
                Ok(credentials)
            }
            // Credentials are renewed minutes before they expire, so that a provider that stumbles
            // costs nothing until then.
            Err(error) => match self.still_good() {
                Some(credentials) => {
                    let cause = chain(&error);
                    tracing::warn!(cause, "credentials were not renewed; the old ones still hold");
                    Ok(credentials)
                }
                None => Err(error),
            },
        }
    }
}

impl ProvideCredentials for Watched {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(self.provide())
    }

    fn fallback_on_interrupt(&self) -> Option<aws_credential_types::Credentials> {
        self.still_good()
    }
}

impl fmt::Debug for Watched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watched").field("expire_at", &self.expire_at()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use aws_credential_types::provider::error::CredentialsError;

    use super::*;

    /// Gives credentials that last an hour, once.
    #[derive(Debug, Default)]
    struct Once(AtomicBool);

    impl ProvideCredentials for Once {
        fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
        where
            Self: 'a,
        {
            let again = self.0.swap(true, Ordering::Relaxed);
            let expiry = SystemTime::now() + Duration::from_secs(3600);
            future::ProvideCredentials::ready(if again {
                Err(CredentialsError::not_loaded("the instance has no role"))
            } else {
                let id = "AKIDEXAMPLE";
                Ok(aws_credential_types::Credentials::new(id, "s3cr3t", None, Some(expiry), "test"))
            })
        }
    }

    #[tokio::test]
    async fn a_provider_that_stumbles_costs_nothing_before_the_expiry() {
        let watched = Watched {
            inner: SharedCredentialsProvider::new(Once::default()),
            last: Arc::default(),
        };
        assert_eq!(watched.expire_at(), None);
        let first = watched.provide().await.expect("given");
        assert!(watched.expire_at().is_some());
        assert_eq!(watched.provide().await.expect("remembered"), first);
        assert!(!format!("{watched:?}").contains("s3cr3t"));
    }

    #[test]
    fn a_session_name_is_one_that_sts_takes() {
        let long = "n".repeat(63).parse().expect("63 is legal");
        assert_eq!(session_name(&long).len(), 64);
    }
}
