//! Identities and moments.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use ulid::Ulid;

/// A job's id: a ULID, so that ids sort by submission time.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct JobId(Ulid);

impl JobId {
    /// From the 16 bytes that [`JobId::to_bytes`] gave.
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(Ulid::from_bytes(bytes))
    }

    /// Big-endian, so that byte order is submission order: the ledger's key.
    pub fn to_bytes(self) -> [u8; 16] {
        self.0.to_bytes()
    }

    /// An id of the moment `at` with `entropy` in the low 80 bits.
    pub fn from_parts(at: Timestamp, entropy: u128) -> Self {
        Self(Ulid::from_parts(at.0, entropy))
    }

    /// The next id after this one, within the same millisecond; `None` where there is none left.
    pub fn next(self) -> Option<Self> {
        self.0.increment().ok().map(Self)
    }
}

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A text that is not a job id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not a job id: expected 26 characters such as 01JD3Z6W4Q8R5T7V9X0Y1A2B3C")]
pub struct NotAJobId(String);

impl FromStr for JobId {
    type Err = NotAJobId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ulid::from_string(text).map(Self).map_err(|_| NotAJobId(text.chars().take(64).collect()))
    }
}

impl TryFrom<String> for JobId {
    type Error = NotAJobId;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<JobId> for String {
    fn from(id: JobId) -> Self {
        id.to_string()
    }
}

/// Milliseconds since the Unix epoch, UTC.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Timestamp(pub u64);

impl Timestamp {
    /// This moment plus `millis`.
    pub fn plus_millis(self, millis: u64) -> Self {
        Self(self.0.saturating_add(millis))
    }

    /// Milliseconds from `earlier` to this moment; 0 where `earlier` is later.
    pub fn millis_since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_sort_by_time_and_survive_text_and_bytes() {
        let old = JobId::from_parts(Timestamp(1_000), 7);
        let new = JobId::from_parts(Timestamp(1_001), 3);
        assert!(old < new);
        assert!(old.to_bytes() < new.to_bytes());
        assert_eq!(old.to_string().parse::<JobId>(), Ok(old));
        assert_eq!(JobId::from_bytes(new.to_bytes()), new);
        assert!(old.next().is_some_and(|next| next > old && next < new));
        assert!("not an id".parse::<JobId>().is_err());
    }
}
