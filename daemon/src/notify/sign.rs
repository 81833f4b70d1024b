//! The signature of the Standard Webhooks specification, which receivers have libraries for.
//! <https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md>

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

const PREFIX: &str = "whsec_";

/// A text that is no signing key. It says nothing of the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "is no signing key: expected whsec_ and 24 to 64 bytes in base64, as of `openssl rand -base64 32`"
)]
pub struct NotAKey;

/// What a webhook's messages are signed with. There is no way to print it.
#[derive(Clone, PartialEq, Eq)]
pub struct SigningKey(Vec<u8>);

impl FromStr for SigningKey {
    type Err = NotAKey;

    fn from_str(text: &str) -> Result<Self, NotAKey> {
        let text = text.trim();
        let key =
            STANDARD.decode(text.strip_prefix(PREFIX).unwrap_or(text)).map_err(|_| NotAKey)?;
        if (24..=64).contains(&key.len()) { Ok(Self(key)) } else { Err(NotAKey) }
    }
}

impl SigningKey {
    /// The value of `webhook-signature`; `at` in seconds since 1970.
    pub(super) fn sign(&self, id: &str, at: u64, body: &str) -> String {
        // HMAC takes keys of any length.
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&self.0) else { return String::new() };
        mac.update(format!("{id}.{at}.{body}").as_bytes());
        format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("REDACTED")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The specification's own example of a key and a message. Made by openssl, not by this code:
    /// `printf %s "$id.$at.$body" | openssl dgst -sha256 -mac HMAC -macopt hexkey:$(echo $key | base64 -d | xxd -p) -binary | base64`
    #[test]
    fn a_signature_is_what_openssl_makes_of_the_specifications_example() {
        let key: SigningKey = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".parse().expect("a key");
        let body = r#"{"test": 2432232314}"#;
        let signed = key.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, body);
        assert_eq!(signed, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn a_key_is_taken_with_and_without_its_prefix_and_never_printed() {
        let text = "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
        let key: SigningKey = text.parse().expect("a key");
        assert_eq!(format!("whsec_{text}\n").parse(), Ok(key.clone()));
        assert_eq!(format!("{key:?}"), "REDACTED");
        let long = STANDARD.encode([7; 65]);
        for wrong in ["", "whsec_", "hunter2", "c2hvcnQ=", long.as_str()] {
            let error = wrong.parse::<SigningKey>().expect_err(wrong).to_string();
            assert!(wrong.is_empty() || wrong == PREFIX || !error.contains(wrong), "{error}");
        }
    }
}
