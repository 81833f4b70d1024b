//! Addresses: which object, on which side.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use url::Url;

use super::Timestamp;

/// The longest presigned URL that is taken.
const URL_BYTES_MAX: usize = 16 * 1024;
/// S3's limit on keys.
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-keys.html>
const KEY_BYTES_MAX: usize = 1024;

/// Why a text is not an address. Each says what was expected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotAnAddress {
    #[error("'{0}' is not an address: expected REMOTE:BUCKET/KEY or an https:// URL")]
    Form(String),
    #[error("'{0}' is not a remote's name: expected 1 to 63 of a-z, 0-9, '-' and '_'")]
    Remote(String),
    #[error(
        "'{0}' is not a bucket name: expected 3 to 63 of a-z, 0-9, '.' and '-', \
         beginning and ending with a letter or digit"
    )]
    Bucket(String),
    #[error("the key of '{0}' is empty: expected REMOTE:BUCKET/KEY")]
    NoKey(String),
    #[error("the key is {0} bytes long: S3 takes at most 1024")]
    KeyTooLong(usize),
    #[error("the key holds a control character, which S3 cannot give back")]
    KeyControl,
    #[error("the presigned URL is not usable: {0}")]
    Url(&'static str),
    #[error("'{0}' is an image: store or migrate it, or name its .bin object")]
    Image(String),
    #[error("'{0}' is not an image: expected REMOTE:ami-… with 8 or 17 hexadecimal digits")]
    NotAnImage(String),
}

/// The name of a remote, a key of `[remotes]` in the configuration.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RemoteName(String);

impl RemoteName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for RemoteName {
    type Err = NotAnAddress;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let legal = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-_".contains(c);
        if text.is_empty() || text.len() > 63 || !text.chars().all(legal) {
            return Err(NotAnAddress::Remote(shown(text)));
        }
        Ok(Self(text.to_owned()))
    }
}

impl TryFrom<String> for RemoteName {
    type Error = NotAnAddress;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<RemoteName> for String {
    fn from(name: RemoteName) -> Self {
        name.0
    }
}

impl fmt::Display for RemoteName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// `REMOTE:BUCKET/KEY`. The key of a prefix ends with `/` or is empty.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ObjectAddress {
    pub remote: RemoteName,
    pub bucket: String,
    pub key: String,
}

impl ObjectAddress {
    /// Whether this names a prefix rather than an object.
    pub fn is_prefix(&self) -> bool {
        self.key.is_empty() || self.key.ends_with('/')
    }

    /// The key's last segment: what follows the last `/`.
    pub fn base_name(&self) -> &str {
        self.key.rsplit('/').next().unwrap_or(&self.key)
    }

    /// The address of `suffix` below this prefix.
    ///
    /// # Errors
    /// Where the joined key is not one that S3 takes.
    pub fn join(&self, suffix: &str) -> Result<Self, NotAnAddress> {
        let key = format!("{}{suffix}", self.key);
        check_key(&key)?;
        Ok(Self { key, ..self.clone() })
    }

    /// `BUCKET/KEY`, as errors name a resource.
    pub fn resource(&self) -> String {
        format!("{}/{}", self.bucket, self.key)
    }
}

impl fmt::Display for ObjectAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}/{}", self.remote, self.bucket, self.key)
    }
}

impl FromStr for ObjectAddress {
    type Err = NotAnAddress;

    /// Reads `REMOTE:BUCKET/KEY` or `REMOTE:BUCKET/PREFIX/`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (remote, rest) = text.split_once(':').ok_or_else(|| NotAnAddress::Form(shown(text)))?;
        let remote = remote.parse()?;
        if rest.starts_with("ami-") && !rest.contains('/') {
            return Err(NotAnAddress::Image(shown(text)));
        }
        let (bucket, key) = rest.split_once('/').ok_or_else(|| NotAnAddress::NoKey(shown(text)))?;
        check_bucket(bucket)?;
        check_key(key)?;
        Ok(Self { remote, bucket: bucket.to_owned(), key: key.to_owned() })
    }
}

/// S3's rules for general purpose buckets.
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html>
///
/// # Errors
/// Where it is not a legal name.
pub fn check_bucket(bucket: &str) -> Result<(), NotAnAddress> {
    let edge = |c: Option<char>| c.is_some_and(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
    let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '.' || c == '-';
    let mut chars = bucket.chars();
    let legal = (3..=63).contains(&bucket.len())
        && edge(chars.next())
        && edge(chars.next_back())
        && chars.all(inner);
    if legal { Ok(()) } else { Err(NotAnAddress::Bucket(shown(bucket))) }
}

fn check_key(key: &str) -> Result<(), NotAnAddress> {
    if key.len() > KEY_BYTES_MAX {
        return Err(NotAnAddress::KeyTooLong(key.len()));
    }
    if key.chars().any(char::is_control) { Err(NotAnAddress::KeyControl) } else { Ok(()) }
}

/// What an error shows of a text that it could not read.
pub(super) fn shown(text: &str) -> String {
    text.chars().take(120).collect()
}

/// What stands for the query where it is left out.
const REDACTED: &str = "REDACTED";

/// A presigned `https://` URL. Its query is a secret, since whoever holds it can read the object: it is neither
/// printed nor serialized. Read back, such a URL is without it, until [`PresignedUrl::with_secret`].
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct PresignedUrl(Url);

impl Serialize for PresignedUrl {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for PresignedUrl {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Self::of(Url::deserialize(from)?).map_err(serde::de::Error::custom)
    }
}

impl PresignedUrl {
    /// The URL, where it is one that could be asked for, with its query or without.
    fn of(url: Url) -> Result<Self, NotAnAddress> {
        if url.scheme() != "https" {
            return Err(NotAnAddress::Url("only https:// is taken"));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(NotAnAddress::Url("it carries a user name or a password"));
        }
        if url.host_str().is_none() {
            return Err(NotAnAddress::Url("it names no host"));
        }
        Ok(Self(url))
    }

    /// The whole URL, signature included. For the request alone.
    pub fn expose(&self) -> &Url {
        &self.0
    }

    /// The query; `None` where there is none, or it was left out.
    pub fn secret(&self) -> Option<&str> {
        self.0.query().filter(|query| *query != REDACTED)
    }

    /// The same with its query left out.
    #[must_use]
    pub fn without_secret(&self) -> Self {
        if self.0.query().is_some() { self.with_secret(REDACTED) } else { self.clone() }
    }

    /// The same with this query.
    #[must_use]
    pub fn with_secret(&self, secret: &str) -> Self {
        let mut url = self.0.clone();
        url.set_query(Some(secret));
        Self(url)
    }

    /// The path's last segment: the name to give the object below a target prefix.
    pub fn base_name(&self) -> Option<String> {
        let last = self.0.path_segments()?.next_back()?;
        let name = percent_encoding::percent_decode_str(last).decode_utf8().ok()?.into_owned();
        (!name.is_empty()).then_some(name)
    }

    /// When the signature ends, as the URL itself says: `X-Amz-Date` plus `X-Amz-Expires` (SigV4), or
    /// `Expires` (SigV2). `None` where the URL does not say.
    pub fn expires_at(&self) -> Option<Timestamp> {
        if let Some(epoch) = self.query("Expires").and_then(|text| text.parse::<u64>().ok()) {
            return Some(Timestamp(epoch.saturating_mul(1000)));
        }
        let date = self.query("X-Amz-Date")?;
        let seconds: u64 = self.query("X-Amz-Expires")?.parse().ok()?;
        let signed = jiff::civil::DateTime::strptime("%Y%m%dT%H%M%SZ", date).ok()?;
        let signed = signed.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp().as_millisecond();
        let signed = Timestamp(u64::try_from(signed).ok()?);
        Some(signed.plus_millis(seconds.saturating_mul(1000)))
    }

    fn query(&self, name: &str) -> Option<String> {
        let mut pairs = self.0.query_pairs();
        pairs.find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.into_owned())
    }
}

impl FromStr for PresignedUrl {
    type Err = NotAnAddress;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.len() > URL_BYTES_MAX {
            return Err(NotAnAddress::Url("it is longer than 16 KiB"));
        }
        let Self(url) =
            Self::of(Url::parse(text).map_err(|_| NotAnAddress::Url("it does not parse"))?)?;
        // It would be left out of the request, and with it the end of the key, or the signature.
        if url.fragment().is_some() {
            return Err(NotAnAddress::Url("it has a '#': in a key it is written %23"));
        }
        if url.query() == Some(REDACTED) {
            return Err(NotAnAddress::Url("its signature is left out, as causeway shows it"));
        }
        Ok(Self(url))
    }
}

/// Host and path; the query is replaced.
impl fmt::Display for PresignedUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "https://{}", self.0.host_str().unwrap_or_default())?;
        if let Some(port) = self.0.port() {
            write!(f, ":{port}")?;
        }
        f.write_str(self.0.path())?;
        if self.0.query().is_some() { write!(f, "?{REDACTED}") } else { Ok(()) }
    }
}

impl fmt::Debug for PresignedUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Where a transfer reads.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Address {
    Object(ObjectAddress),
    Presigned(PresignedUrl),
}

impl Address {
    /// The name to give the object below a target prefix.
    pub fn base_name(&self) -> Option<String> {
        match self {
            Self::Object(object) => Some(object.base_name().to_owned()).filter(|s| !s.is_empty()),
            Self::Presigned(url) => url.base_name(),
        }
    }
}

impl FromStr for Address {
    type Err = NotAnAddress;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.contains("://") {
            text.parse().map(Self::Presigned)
        } else {
            text.parse().map(Self::Object)
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Object(object) => object.fmt(f),
            Self::Presigned(url) => url.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_address_is_read_and_printed_alike() {
        let text = "commercial:my-images/golden/ami-0abc.bin";
        let address: ObjectAddress = text.parse().expect("legal");
        assert_eq!(address.to_string(), text);
        assert_eq!(address.base_name(), "ami-0abc.bin");
        assert!(!address.is_prefix());
        assert!("gov:bucket/".parse::<ObjectAddress>().expect("legal").is_prefix());
    }

    #[test]
    fn each_fault_is_named() {
        for (text, fault) in [
            ("nowhere", "is not an address"),
            ("Com:bucket/key", "is not a remote's name"),
            ("com:b/key", "is not a bucket name"),
            ("com:Bucket/key", "is not a bucket name"),
            ("com:bucket", "is empty"),
            ("com:ami-0abc", "is an image"),
            ("http://host/key", "only https:// is taken"),
            ("https://user:pw@host/key", "a user name"),
            ("https://host/a#b?sig=s", "it has a '#'"),
        ] {
            let error = text.parse::<Address>().expect_err(text).to_string();
            assert!(error.contains(fault), "{text}: {error}");
        }
        // A record says what it says: it is judged as well.
        for text in ["ftp://host/key", "https://user:pw@host/key", "data:x"] {
            let read = serde_json::from_value::<PresignedUrl>(text.into());
            assert!(read.is_err(), "{text}");
        }
        let long = format!("com:bucket/{}", "k".repeat(1025));
        assert_eq!(long.parse::<ObjectAddress>(), Err(NotAnAddress::KeyTooLong(1025)));
    }

    #[test]
    fn a_presigned_url_never_prints_its_signature() {
        let text = "https://bucket.s3.amazonaws.com/a/disk%20one.bin?X-Amz-Date=20260102T030405Z\
                    &X-Amz-Expires=3600&X-Amz-Signature=deadbeef";
        let url: PresignedUrl = text.parse().expect("legal");
        for printed in
            [url.to_string(), format!("{url:?}"), format!("{:?}", Address::Presigned(url.clone()))]
        {
            assert!(!printed.contains("deadbeef"), "{printed}");
        }
        assert_eq!(url.base_name().as_deref(), Some("disk one.bin"));
        assert_eq!(url.expires_at(), Some(Timestamp(1_767_326_645_000)));
    }
}
