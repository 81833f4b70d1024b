//! Who a remote is, as STS says.

use aws_sdk_sts::error::{ProvideErrorMetadata as _, SdkError};
use aws_types::SdkConfig;

use super::Error;
use super::exchange::line;
use crate::base::chain;
use crate::model::RemoteName;

/// Who a remote is, where STS was asked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Identity {
    pub account: Option<String>,
    pub arn: Option<String>,
}

/// Why nothing may be done at a remote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Barred {
    /// An account is expected, and STS has not named one yet. Wait.
    Unchecked(String),
    /// STS named another account or partition than expected.
    Wrong(String),
}

/// What is known of who a remote is.
#[derive(Debug)]
pub(super) enum Checked {
    /// As expected, as far as anybody was asked; and the id of the keys that STS was asked with, where others
    /// might be another's.
    Known(Identity, Option<String>),
    Barred(Barred),
}

impl Checked {
    /// Before STS was asked. Where an account is expected, its answer is waited for.
    pub(super) fn at_start(is_waited_for: bool) -> Self {
        if is_waited_for {
            Self::Barred(Barred::Unchecked("STS was not asked yet".to_owned()))
        } else {
            Self::Known(Identity::default(), None)
        }
    }

    /// What is known after an answer to the keys with this id. That STS is not reached, or does not take others,
    /// changes nothing about who it named.
    pub(super) fn after(&self, answer: &Result<Identity, Error>, keys: Option<&str>) -> Self {
        match (answer, self) {
            (Ok(identity), _) => Self::Known(identity.clone(), keys.map(str::to_owned)),
            (Err(error), _) if error.names_another() => {
                Self::Barred(Barred::Wrong(error.to_string()))
            }
            (Err(error), Self::Barred(Barred::Unchecked(_))) => {
                Self::Barred(Barred::Unchecked(error.to_string()))
            }
            (Err(_), Self::Barred(barred)) => Self::Barred(barred.clone()),
            (Err(_), Self::Known(identity, keys)) => Self::Known(identity.clone(), keys.clone()),
        }
    }

    /// The id of the keys that this is known of, where others might be another's.
    pub(super) fn keys(&self) -> Option<&str> {
        match self {
            Self::Known(_, keys) => keys.as_deref(),
            Self::Barred(_) => None,
        }
    }

    pub(super) fn identity(&self) -> Identity {
        match self {
            Self::Known(identity, _) => identity.clone(),
            Self::Barred(_) => Identity::default(),
        }
    }

    pub(super) fn bar(&self) -> Option<Barred> {
        match self {
            Self::Known(..) => None,
            Self::Barred(barred) => Some(barred.clone()),
        }
    }
}

/// Who this must be.
#[derive(Debug, Clone)]
pub struct Expected {
    pub remote: RemoteName,
    pub partition: &'static str,
    pub account: Option<String>,
}

impl Expected {
    /// Whether STS named whom it should.
    ///
    /// # Errors
    /// Another account, or another partition than the region's.
    pub fn check(&self, identity: &Identity) -> Result<(), Error> {
        if let Some(arn) = &identity.arn {
            self.check_arn(arn)?;
        }
        match (&self.account, &identity.account) {
            (Some(expected), found) if found.as_ref() != Some(expected) => {
                Err(Error::WrongAccount {
                    remote: self.remote.clone(),
                    expected: expected.clone(),
                    found: found.clone().unwrap_or_else(|| "none".to_owned()),
                })
            }
            _ => Ok(()),
        }
    }

    /// Whether `arn` is of the region's partition.
    ///
    /// # Errors
    /// Where it is not.
    pub fn check_arn(&self, arn: &str) -> Result<(), Error> {
        let found = arn.strip_prefix("arn:").and_then(|rest| rest.split(':').next());
        let found = found.unwrap_or("none");
        if found == self.partition {
            return Ok(());
        }
        Err(Error::WrongPartition {
            remote: self.remote.clone(),
            expected: self.partition,
            found: found.to_owned(),
            arn: arn.to_owned(),
        })
    }
}

/// Asks STS who holds the credentials of `sts`.
///
/// # Errors
/// Where STS refuses them, or is not reached.
pub(super) async fn ask(remote: &RemoteName, sts: &SdkConfig) -> Result<Identity, Error> {
    let answer = aws_sdk_sts::Client::new(sts).get_caller_identity().send().await;
    let remote = remote.clone();
    let answer = answer.map_err(|error| {
        let cause = line(&chain(&error));
        match &error {
            SdkError::ServiceError(refusal) => {
                let status = refusal.raw().status().as_u16();
                let cause = told(refusal.err().code(), refusal.err().message());
                let cause = format!("{cause} (HTTP {status})");
                match status {
                    // InvalidClientTokenId, SignatureDoesNotMatch, ExpiredToken, AccessDenied.
                    400..=403 => Error::Credentials { remote, cause },
                    // STS has no others: what a proxy or a portal says is no answer of it.
                    _ => Error::Unreached { remote, cause },
                }
            }
            _ => Error::Unreached { remote, cause },
        }
    })?;
    let legible = |text: Option<String>| text.as_deref().map(line);
    Ok(Identity { account: legible(answer.account), arn: legible(answer.arn) })
}

fn told(code: Option<&str>, message: Option<&str>) -> String {
    match (code, message) {
        (Some(code), Some(message)) => line(&format!("{code}: {message}")),
        (Some(word), None) | (None, Some(word)) => line(word),
        (None, None) => "no reason given".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::FailureClass;

    fn expected() -> Expected {
        Expected {
            remote: "gov".parse().expect("a name"),
            partition: "aws-us-gov",
            account: Some("111122223333".to_owned()),
        }
    }

    fn identity(account: &str, arn: &str) -> Identity {
        Identity { account: Some(account.to_owned()), arn: Some(arn.to_owned()) }
    }

    /// While STS is not reached, the keys that it named last are the only ones that anything is known of.
    #[test]
    fn who_is_known_is_known_by_the_keys_that_sts_was_asked_with() {
        let lost = || Err(Error::Unreached { remote: expected().remote, cause: "lost".to_owned() });
        let found = identity("111122223333", "arn:aws-us-gov:iam::111122223333:user/mover");
        let known = Checked::at_start(true).after(&Ok(found.clone()), Some("AKIDFIRST"));
        for asked in [Some("AKIDFIRST"), Some("AKIDSECOND"), None] {
            let still = known.after(&lost(), asked);
            assert_eq!((still.bar(), still.identity()), (None, found.clone()), "{asked:?}");
            assert_eq!(still.keys(), Some("AKIDFIRST"), "nothing is signed with others");
        }
        assert_eq!(Checked::at_start(false).after(&lost(), None).bar(), None, "nobody waits");
    }

    #[test]
    fn an_identity_of_another_account_or_partition_is_refused_and_named() {
        let arn = "arn:aws-us-gov:sts::111122223333:assumed-role/mover/causeway-gov";
        expected().check(&identity("111122223333", arn)).expect("as expected");

        let error = expected().check(&identity("444455556666", arn)).expect_err("another account");
        let text = error.to_string();
        assert!(text.contains("111122223333") && text.contains("444455556666"), "{text}");

        let arn = "arn:aws:iam::111122223333:user/mover";
        let error = expected().check(&identity("111122223333", arn)).expect_err("commercial");
        assert!(error.to_string().contains("aws-us-gov"), "{error}");
        assert_eq!(error.class(), FailureClass::Permanent);

        assert!(expected().check(&Identity::default()).is_err(), "an account was expected");
    }
}
