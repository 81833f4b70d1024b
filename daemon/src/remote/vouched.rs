//! Whose a remote's keys are: STS is asked about certain keys, and its answer holds for these.
//!
//! Keys of a profile are exchanged while the daemon runs, and another account's may work at S3 all the same.
//!
//! # Invariants
//! - Where an account is expected, no request is signed with keys that do not end by themselves before STS has named
//!   the account of these very keys. Keys with an end are renewed by whoever gave them, and stay the same role's.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use aws_config::identity::IdentityCache;
use aws_credential_types::Credentials as Keys;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{
    ProvideCredentials, Result as Provided, SharedCredentialsProvider, future,
};
use aws_types::SdkConfig;

use super::credentials::Watched;
use super::exchange::line;
use super::identity::{self, Checked, Expected, Identity};
use super::{Barred, Error};
use crate::base::chain;

/// How long STS may take to say who this is, the keys for that included.
const PATIENCE: Duration = Duration::from_secs(20);

/// Asks STS who a remote is, and knows what it said last. Clones know the same.
#[derive(Debug, Clone)]
pub(super) struct Witness {
    pub(super) expected: Expected,
    sts: SdkConfig,
    known: Arc<ArcSwap<Checked>>,
}

impl Witness {
    /// Where `is_waited_for`, an account is expected and STS is asked for it.
    pub(super) fn new(expected: Expected, sts: &SdkConfig, is_waited_for: bool) -> Self {
        // Each check brings its keys with it; what would be kept of them would be kept for good.
        let sts = sts.to_builder().identity_cache(IdentityCache::no_cache()).build();
        let known = Arc::new(ArcSwap::from_pointee(Checked::at_start(is_waited_for)));
        Self { expected, sts, known }
    }

    /// Asks whose these keys are.
    ///
    /// # Errors
    /// Where there are none, STS refuses, or names another account or partition than expected.
    pub(super) async fn check(
        &self,
        keys: impl Future<Output = Provided> + Send,
    ) -> Result<Identity, Error> {
        let remote = &self.expected.remote;
        let mut given = None;
        let asked = async {
            let keys = keys.await.map_err(|error| {
                let cause = line(&chain(&error));
                Error::Credentials { remote: remote.clone(), cause }
            })?;
            let found = self.ask(given.insert(keys)).await?;
            self.expected.check(&found).map(|()| found)
        };
        let checked = tokio::time::timeout(PATIENCE, asked).await.unwrap_or_else(|_| {
            let cause = format!("no answer within {} seconds", PATIENCE.as_secs());
            Err(Error::Unreached { remote: remote.clone(), cause })
        });
        self.known.rcu(|known| match &given {
            Some(keys) => known.after(&checked, self.id(keys)),
            None => known.after(&checked, known.keys()),
        });
        checked
    }

    /// The SDK's futures are large: this one is boxed.
    async fn ask(&self, keys: &Keys) -> Result<Identity, Error> {
        let keys = SharedCredentialsProvider::new(keys.clone());
        let sts = self.sts.to_builder().credentials_provider(keys).build();
        Box::pin(identity::ask(&self.expected.remote, &sts)).await
    }

    /// By what keys are told from others; `None` where that is of no account.
    fn id<'a>(&self, keys: &'a Keys) -> Option<&'a str> {
        let matters = self.expected.account.is_some() && keys.expiry().is_none();
        matters.then(|| keys.access_key_id())
    }

    /// Whether STS named whom it should when it was asked with these keys.
    fn has_named(&self, keys: &Keys) -> bool {
        let known = self.known.load();
        known.bar().is_none() && known.keys() == self.id(keys)
    }

    /// Who was named last.
    pub(super) fn identity(&self) -> Identity {
        self.known.load().identity()
    }

    /// Why nothing may be done, now or at all.
    pub(super) fn bar(&self) -> Option<Barred> {
        self.known.load().bar()
    }
}

/// Gives a remote's keys, once it is known whose they are.
#[derive(Debug, Clone)]
pub(super) struct Vouched {
    pub(super) keys: Watched,
    pub(super) witness: Witness,
}

impl Vouched {
    async fn provide(&self) -> Provided {
        let keys = self.keys.current().await?;
        if !self.witness.has_named(&keys) {
            tracing::info!(remote = %self.witness.expected.remote, "asking STS whose the new keys are");
            let checked = self.witness.check(std::future::ready(Ok(keys.clone()))).await;
            checked.map_err(CredentialsError::provider_error)?;
        }
        Ok(self.keys.until_reread(keys))
    }
}

impl ProvideCredentials for Vouched {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(self.provide())
    }

    fn fallback_on_interrupt(&self) -> Option<Keys> {
        self.keys.still_good().filter(|keys| self.witness.has_named(keys))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;
    use crate::blob::tests::server::{Asked, http, scripted};
    use crate::remote::tests::options;
    use crate::remote::{Options, ServerClock, sdk_config, sts_config};

    const OURS: &str = "111122223333";

    /// A profile that gives the keys of this id, for good.
    #[derive(Debug, Clone)]
    struct Profile(Arc<Mutex<&'static str>>);

    impl Profile {
        fn exchange(&self, id: &'static str) {
            *self.0.lock().expect("no panic") = id;
        }
    }

    impl ProvideCredentials for Profile {
        fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
        where
            Self: 'a,
        {
            let id = *self.0.lock().expect("no panic");
            future::ProvideCredentials::ready(Ok(Keys::new(id, "s3cr3t", None, None, "test")))
        }
    }

    /// Knows `AKIDOURS` and its like, those of another account, and no other keys.
    fn sts(head: &str) -> String {
        let account = match head {
            _ if head.contains("Credential=AKIDOURS") => OURS,
            _ if head.contains("Credential=AKIDTHEIRS") => "444455556666",
            _ => {
                let refusal = "<ErrorResponse><Error><Code>InvalidClientTokenId</Code></Error>\
                    </ErrorResponse>";
                return http("403 Forbidden", &[], refusal);
            }
        };
        let arn = format!("arn:aws-us-gov:iam::{account}:user/mover");
        let body = format!(
            "<GetCallerIdentityResponse><GetCallerIdentityResult><Arn>{arn}</Arn>\
             <Account>{account}</Account></GetCallerIdentityResult></GetCallerIdentityResponse>"
        );
        http("200 OK", &[], &body)
    }

    async fn vouched(profile: &Profile) -> (Vouched, Asked) {
        let (endpoint, asked) = scripted(None, sts).await;
        let account = Some(OURS.to_owned());
        let options = Options { expected_account: account.clone(), ..options() };
        let base = sdk_config(&options, ServerClock::default()).expect("legal");
        let sts = sts_config(&base, Some(&endpoint));
        let expected = Expected { remote: options.name, partition: "aws-us-gov", account };
        let keys = Watched::new(SharedCredentialsProvider::new(profile.clone()));
        (Vouched { keys, witness: Witness::new(expected, &sts, true) }, asked)
    }

    fn requests(asked: &Asked) -> usize {
        asked.lock().expect("not poisoned").len()
    }

    /// They were signed with at once, and the account was asked for half a minute later: or not at all, while
    /// STS was not reached.
    #[tokio::test]
    async fn exchanged_keys_are_given_once_their_account_is_named() {
        let profile = Profile(Arc::new(Mutex::new("AKIDOURS1")));
        let (vouched, asked) = vouched(&profile).await;
        assert!(matches!(vouched.witness.bar(), Some(Barred::Unchecked(_))));
        vouched.witness.check(vouched.keys.current()).await.expect("ours");
        assert_eq!(vouched.provide().await.expect("ours").access_key_id(), "AKIDOURS1");
        assert_eq!((vouched.witness.bar(), requests(&asked)), (None, 1));

        profile.exchange("AKIDOURS2");
        assert_eq!(vouched.provide().await.expect("ours").access_key_id(), "AKIDOURS2");
        vouched.provide().await.expect("named already");
        assert_eq!((vouched.witness.bar(), requests(&asked)), (None, 2));

        profile.exchange("AKIDUNKNOWN");
        let error = vouched.provide().await.expect_err("STS does not know them");
        assert!(chain(&error).contains("InvalidClientTokenId"), "{}", chain(&error));
        assert_eq!(vouched.fallback_on_interrupt(), None);
        assert_eq!(vouched.witness.bar(), None, "those that were named are good yet");

        profile.exchange("AKIDTHEIRS");
        let error = vouched.provide().await.expect_err("another account's");
        assert!(chain(&error).contains("444455556666"), "{}", chain(&error));
        assert!(matches!(vouched.witness.bar(), Some(Barred::Wrong(_))));

        profile.exchange("AKIDOURS2");
        vouched.witness.check(vouched.keys.current()).await.expect("ours again");
        assert_eq!(vouched.provide().await.expect("ours").access_key_id(), "AKIDOURS2");
        assert_eq!(vouched.witness.bar(), None);
    }
}
