//! The limits of one remote, and a change of some of them.

use serde::{Deserialize, Serialize};

use crate::model::Bandwidth;

/// Limits of one remote; an absent limit is unlimited.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub read_bandwidth: Option<Bandwidth>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub write_bandwidth: Option<Bandwidth>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requests_per_second: Option<u32>,
}

impl Limits {
    /// These, and where one is absent that of `others`.
    #[must_use]
    pub fn or(self, others: Self) -> Self {
        Self {
            read_bandwidth: self.read_bandwidth.or(others.read_bandwidth),
            write_bandwidth: self.write_bandwidth.or(others.write_bandwidth),
            requests_per_second: self.requests_per_second.or(others.requests_per_second),
        }
    }
}

/// A change of some limits: `None` leaves one as it is, `Some(None)` lifts it. Written down, a limit that is
/// left is absent and one that is lifted is 0.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Named", into = "Named")]
pub struct LimitsChange {
    pub read_bandwidth: Option<Option<Bandwidth>>,
    pub write_bandwidth: Option<Option<Bandwidth>>,
    pub requests_per_second: Option<Option<u32>>,
}

/// A change as numbers: absent is unchanged, 0 is unlimited.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Named {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub read_bandwidth: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub write_bandwidth: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requests_per_second: Option<u32>,
}

impl LimitsChange {
    /// The limits after this change.
    #[must_use]
    pub fn apply(self, limits: Limits) -> Limits {
        Limits {
            read_bandwidth: self.read_bandwidth.unwrap_or(limits.read_bandwidth),
            write_bandwidth: self.write_bandwidth.unwrap_or(limits.write_bandwidth),
            requests_per_second: self.requests_per_second.unwrap_or(limits.requests_per_second),
        }
    }

    /// This change after an `earlier` one, as one.
    #[must_use]
    pub fn over(self, earlier: Self) -> Self {
        Self {
            read_bandwidth: self.read_bandwidth.or(earlier.read_bandwidth),
            write_bandwidth: self.write_bandwidth.or(earlier.write_bandwidth),
            requests_per_second: self.requests_per_second.or(earlier.requests_per_second),
        }
    }

    /// Whether it leaves all as it is.
    pub fn is_none(self) -> bool {
        self == Self::default()
    }
}

/// The change that makes whatever limits there are into these.
impl From<Limits> for LimitsChange {
    fn from(limits: Limits) -> Self {
        Self {
            read_bandwidth: Some(limits.read_bandwidth),
            write_bandwidth: Some(limits.write_bandwidth),
            requests_per_second: Some(limits.requests_per_second),
        }
    }
}

impl From<Named> for LimitsChange {
    fn from(named: Named) -> Self {
        let bandwidth = |rate: u64| (rate > 0).then_some(Bandwidth(rate));
        Self {
            read_bandwidth: named.read_bandwidth.map(bandwidth),
            write_bandwidth: named.write_bandwidth.map(bandwidth),
            requests_per_second: named.requests_per_second.map(|n| (n > 0).then_some(n)),
        }
    }
}

impl From<LimitsChange> for Named {
    fn from(change: LimitsChange) -> Self {
        let rate = |limit: Option<Bandwidth>| limit.map_or(0, |rate| rate.0);
        Self {
            read_bandwidth: change.read_bandwidth.map(rate),
            write_bandwidth: change.write_bandwidth.map(rate),
            requests_per_second: change.requests_per_second.map(Option::unwrap_or_default),
        }
    }
}
