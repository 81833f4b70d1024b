//! Who may speak to an endpoint. Two partitions share no key: a key that this one does not know is
//! refused with `InvalidAccessKeyId`, as AWS does across partitions.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;

use s3s::access::{S3Access, S3AccessContext};
use s3s::auth::{S3Auth, SecretKey};
use s3s::{S3Result, s3_error};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use crate::lock::lock;

/// A key pair, with a session token when it is temporary.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Credentials {
    /// Access key id.
    pub access_key_id: String,
    /// Secret access key.
    pub secret_access_key: String,
    /// Session token; requests without it are refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session_token: Option<String>,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credentials")
            .field("access_key_id", &self.access_key_id)
            .finish_non_exhaustive()
    }
}

impl Credentials {
    /// A long-lived key pair.
    #[must_use]
    pub fn new(access_key_id: impl Into<String>, secret_access_key: impl Into<String>) -> Self {
        Self {
            access_key_id: access_key_id.into(),
            secret_access_key: secret_access_key.into(),
            session_token: None,
        }
    }
}

/// The keys one endpoint knows. They can be added and expired while it runs.
#[derive(Debug, Default)]
pub(crate) struct KeyRing {
    keys: Mutex<BTreeMap<String, Key>>,
}

#[derive(Debug)]
struct Key {
    credentials: Credentials,
    expired: bool,
    /// When it expires of itself.
    until: Option<Instant>,
    /// The ARN of the role it is of; none for the account's user.
    role: Option<String>,
}

impl Key {
    fn is_expired(&self) -> bool {
        self.expired || self.until.is_some_and(|until| until <= Instant::now())
    }

    fn takes(&self, token: Option<&str>) -> bool {
        self.credentials.session_token.as_deref() == token
    }
}

/// How a key and the token that came with it stand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Standing {
    Unknown,
    Expired,
    WrongToken,
    Good(Known),
}

/// A key that is good, as far as can be told without its signature.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Known {
    pub(crate) secret: String,
    /// The ARN of the assumed role; none for the account's user.
    pub(crate) role: Option<String>,
}

impl std::fmt::Debug for Known {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Known").field("role", &self.role).finish_non_exhaustive()
    }
}

impl KeyRing {
    pub(crate) fn add(&self, credentials: Credentials) {
        self.insert(Key { credentials, expired: false, until: None, role: None });
    }

    /// Keys of a role that somebody assumed.
    pub(crate) fn add_role(&self, credentials: Credentials, role: String, lasts: Duration) {
        let until = Some(Instant::now() + lasts);
        self.insert(Key { credentials, expired: false, until, role: Some(role) });
    }

    fn insert(&self, key: Key) {
        lock(&self.keys).insert(key.credentials.access_key_id.clone(), key);
    }

    pub(crate) fn standing(&self, access_key_id: &str, token: Option<&str>) -> Standing {
        match lock(&self.keys).get(access_key_id) {
            None => Standing::Unknown,
            Some(key) if key.is_expired() => Standing::Expired,
            Some(key) if !key.takes(token) => Standing::WrongToken,
            Some(key) => Standing::Good(Known {
                secret: key.credentials.secret_access_key.clone(),
                role: key.role.clone(),
            }),
        }
    }

    /// From now on requests with this key are answered with `ExpiredToken`.
    pub(crate) fn expire(&self, access_key_id: &str) {
        if let Some(key) = lock(&self.keys).get_mut(access_key_id) {
            key.expired = true;
        }
    }

    pub(crate) fn knows(&self, access_key_id: &str) -> bool {
        lock(&self.keys).contains_key(access_key_id)
    }

    fn check_token(&self, access_key_id: &str, token: Option<&str>) -> S3Result<()> {
        match self.standing(access_key_id, token) {
            Standing::Good(_) => Ok(()),
            Standing::Unknown => Err(s3_error!(InvalidAccessKeyId)),
            Standing::Expired => Err(s3_error!(ExpiredToken, "The provided token has expired.")),
            Standing::WrongToken => Err(s3_error!(
                InvalidToken,
                "The provided token is malformed or otherwise invalid."
            )),
        }
    }
}

/// The key ring as s3s wants it: a handle that several parts of the service hold.
#[derive(Debug, Clone)]
pub(crate) struct Keys(pub(crate) std::sync::Arc<KeyRing>);

#[async_trait::async_trait]
impl S3Auth for Keys {
    async fn get_secret_key(&self, access_key: &str) -> S3Result<SecretKey> {
        let keys = lock(&self.0.keys);
        let key = keys.get(access_key).ok_or_else(|| {
            s3_error!(
                InvalidAccessKeyId,
                "The AWS Access Key Id you provided does not exist in our records."
            )
        })?;
        Ok(SecretKey::from(key.credentials.secret_access_key.as_str()))
    }
}

#[async_trait::async_trait]
impl S3Access for Keys {
    async fn check(&self, cx: &mut S3AccessContext<'_>) -> S3Result<()> {
        let Some(credentials) = cx.credentials() else {
            return Err(s3_error!(AccessDenied, "Access Denied"));
        };
        let header = cx.headers().get("x-amz-security-token").and_then(|v| v.to_str().ok());
        let query = crate::call::query_value(cx.uri(), "X-Amz-Security-Token");
        self.0.check_token(&credentials.access_key, header.or(query.as_deref()))
    }
}
