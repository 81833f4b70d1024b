//! Where a remote's credentials come from: one provider each, built from its own configuration.
//!
//! Keys of a profile say nothing of when they end, and whoever exchanges them writes the file anew. So the file is
//! read again every few minutes; the SDK's own provider reads it once, and remembers that it was not there.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_config::imds::credentials::ImdsCredentialsProvider;
use aws_config::profile::ProfileFileCredentialsProvider;
use aws_config::provider_config::ProviderConfig;
use aws_config::sts::AssumeRoleProvider;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider, future};
use aws_runtime::env_config::file::EnvConfigFiles;
use aws_types::SdkConfig;

use super::Secret;
use super::exchange::line;
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

/// How long keys without an end are taken for good. The SDK renews what it keeps up to `RENEW_BEFORE` before its
/// end, half of that at the least: so a profile is read again after 10 to 160 s.
const REREAD_AFTER: Duration = super::RENEW_BEFORE.saturating_add(Duration::from_secs(10));

/// The provider for `credentials`. `sts` is how this remote reaches STS, for roles.
pub async fn provider(remote: &RemoteName, credentials: &Credentials, sts: &SdkConfig) -> Watched {
    let inner = match credentials {
        Credentials::Profile(name) => return profile(name, sts),
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
                Some(name) => SharedCredentialsProvider::new(profile(name, sts)),
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
    Watched::new(inner)
}

/// The name that CloudTrail shows. STS takes 2 to 64 characters.
fn session_name(remote: &RemoteName) -> String {
    format!("causeway-{remote}").chars().take(64).collect()
}

fn profile(name: &str, sts: &SdkConfig) -> Watched {
    let (name, sts, files) = (name.to_owned(), sts.clone(), EnvConfigFiles::default());
    Profile { name, sts, files }.watched()
}

/// A profile, read whenever its credentials are asked for.
#[derive(Debug)]
struct Profile {
    name: String,
    sts: SdkConfig,
    files: EnvConfigFiles,
}

impl Profile {
    fn watched(self) -> Watched {
        let reread_after = Some(REREAD_AFTER);
        Watched { reread_after, ..Watched::new(SharedCredentialsProvider::new(self)) }
    }
}

impl ProvideCredentials for Profile {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        let provider = ProfileFileCredentialsProvider::builder()
            .profile_name(&self.name)
            .profile_files(self.files.clone())
            .configure(&provider_config(&self.sts))
            .build();
        future::ProvideCredentials::new(async move { provider.provide_credentials().await })
    }
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
    /// After which what has no end is asked for again.
    reread_after: Option<Duration>,
    last: Arc<Mutex<Option<aws_credential_types::Credentials>>>,
}

impl Watched {
    pub(super) fn new(inner: SharedCredentialsProvider) -> Self {
        Self { inner, reread_after: None, last: Arc::default() }
    }

    /// When the credentials in use expire.
    pub fn expire_at(&self) -> Option<Timestamp> {
        let expiry = self.last()?.expiry()?.duration_since(UNIX_EPOCH).ok()?;
        Some(Timestamp(u64::try_from(expiry.as_millis()).ok()?))
    }

    fn last(&self) -> Option<aws_credential_types::Credentials> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What was given before, where it is good for a while yet.
    pub(super) fn still_good(&self) -> Option<aws_credential_types::Credentials> {
        /// Longer than a request takes to be signed and to arrive.
        const MARGIN: Duration = Duration::from_secs(60);
        let good = |last: &aws_credential_types::Credentials| {
            last.expiry().is_none_or(|expiry| expiry > SystemTime::now() + MARGIN)
        };
        self.last().filter(good)
    }

    /// Has what was given before given anew, where it ends soon. The SDK does that for whatever it asks, and nobody
    /// does for a remote that stands idle. What the SDK keeps stays there: it asks again when that ends.
    ///
    /// # Errors
    /// Where nothing is given, and what was given before is not good for long.
    pub async fn renew(&self) -> Result<(), String> {
        /// The SDK is there before: at `RENEW_BEFORE`, or half of it at the latest.
        const LEFT: Duration = Duration::from_secs(super::RENEW_BEFORE.as_secs() / 2);
        let ends_soon = |last: &aws_credential_types::Credentials| {
            last.expiry().is_some_and(|expiry| expiry < SystemTime::now() + LEFT)
        };
        if self.last().filter(ends_soon).is_none() {
            return Ok(());
        }
        match tokio::time::timeout(super::CREDENTIALS_PATIENCE, self.ask()).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => Err(line(&chain(&error))),
            Err(_) if self.still_good().is_some() => Ok(()),
            Err(_) => Err(format!("none within {} seconds", super::CREDENTIALS_PATIENCE.as_secs())),
        }
    }

    /// What was given before, where it does not end soon; what has no end may have been exchanged, and is asked
    /// for anew.
    pub(super) async fn current(&self) -> aws_credential_types::provider::Result {
        let lasts = |last: &aws_credential_types::Credentials| {
            last.expiry().is_some_and(|expiry| expiry > SystemTime::now() + super::RENEW_BEFORE)
        };
        match self.last().filter(lasts) {
            Some(last) => Ok(last),
            None => self.ask().await,
        }
    }

    /// The credentials, with an end for who keeps them.
    pub(super) fn until_reread(
        &self,
        mut credentials: aws_credential_types::Credentials,
    ) -> aws_credential_types::Credentials {
        if let (Some(after), None) = (self.reread_after, credentials.expiry()) {
            *credentials.expiry_mut() = Some(SystemTime::now() + after);
        }
        credentials
    }

    async fn provide(&self) -> aws_credential_types::provider::Result {
        Ok(self.until_reread(self.ask().await?))
    }

    async fn ask(&self) -> aws_credential_types::provider::Result {
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
                    let cause = line(&chain(&error));
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
    use std::collections::VecDeque;

    use aws_credential_types::provider::error::CredentialsError;
    use aws_runtime::env_config::file::EnvConfigFileKind;

    use super::*;

    /// Gives credentials that last so many seconds, one after another, and then none.
    #[derive(Debug)]
    struct Lasting(Mutex<VecDeque<u64>>);

    impl ProvideCredentials for Lasting {
        fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
        where
            Self: 'a,
        {
            let lasts = self.0.lock().expect("no panic").pop_front();
            let given = lasts.map(|seconds| {
                let expiry = Some(SystemTime::now() + Duration::from_secs(seconds));
                aws_credential_types::Credentials::new(
                    "AKIDEXAMPLE",
                    "s3cr3t",
                    None,
                    expiry,
                    "test",
                )
            });
            let none = || CredentialsError::not_loaded("the instance has no role");
            future::ProvideCredentials::ready(given.ok_or_else(none))
        }
    }

    fn watched(lasting: &[u64]) -> Watched {
        let given = Lasting(Mutex::new(lasting.iter().copied().collect()));
        Watched::new(SharedCredentialsProvider::new(given))
    }

    #[tokio::test]
    async fn a_provider_that_stumbles_costs_nothing_before_the_expiry() {
        let watched = watched(&[3600]);
        assert_eq!(watched.expire_at(), None);
        let first = watched.provide().await.expect("given");
        assert!(watched.expire_at().is_some());
        assert_eq!(watched.provide().await.expect("remembered"), first);
        assert!(!format!("{watched:?}").contains("s3cr3t"));
    }

    /// They ran out unseen, which the alert took for a renewal that fails.
    #[tokio::test]
    async fn keys_of_a_remote_that_stands_idle_are_renewed_before_they_end() {
        let watched = watched(&[140, 3600, 7200]);
        watched.renew().await.expect("nothing to do");
        assert_eq!(watched.expire_at(), None, "none were needed yet");
        watched.provide().await.expect("given");
        let first = watched.expire_at();
        watched.renew().await.expect("given");
        let second = watched.expire_at();
        assert!(second > first, "{first:?} {second:?}");
        watched.renew().await.expect("nothing to do");
        assert_eq!(watched.expire_at(), second, "those last: nobody is asked");
    }

    #[tokio::test]
    async fn keys_that_are_not_renewed_are_a_fault_once_they_are_used_up() {
        for (seconds, good) in [(140, true), (50, false), (0, false)] {
            let watched = watched(&[seconds]);
            watched.provide().await.expect("given");
            let renewed = watched.renew().await;
            assert_eq!(renewed.is_ok(), good, "{seconds} s: {renewed:?}");
        }
    }

    /// The SDK's provider reads it once: exchanged keys, or the first ones, took a restart.
    #[tokio::test]
    async fn a_profile_is_read_again() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("credentials");
        let files = EnvConfigFiles::builder();
        let files = files.with_file(EnvConfigFileKind::Credentials, &path).build();
        let sts = SdkConfig::builder().build();
        let profile = Profile { name: "gov".to_owned(), sts, files }.watched();
        profile.provide().await.expect_err("there is no file");
        for id in ["AKIDFIRST", "AKIDSECOND"] {
            let text = format!("[gov]\naws_access_key_id = {id}\naws_secret_access_key = s3cr3t\n");
            std::fs::write(&path, text).expect("written");
            let given = profile.provide().await.expect("given");
            assert_eq!(given.access_key_id(), id);
            let left = given.expiry().map(|end| end.duration_since(SystemTime::now()));
            assert!(left.expect("an end").expect("ahead") <= REREAD_AFTER);
            assert_eq!(profile.expire_at(), None, "that end is not theirs");
        }
        std::fs::remove_file(&path).expect("removed");
        let given = profile.provide().await.expect("they may still be good");
        assert_eq!(given.access_key_id(), "AKIDSECOND");
    }

    #[test]
    fn a_session_name_is_one_that_sts_takes() {
        let long = "n".repeat(63).parse().expect("63 is legal");
        assert_eq!(session_name(&long).len(), 64);
    }
}
