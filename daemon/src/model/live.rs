//! What is known of a running job from moment to moment, and of no use after a restart.

use std::time::Duration;

use super::PartNumber;

/// Why a running job stands still.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum WaitReason {
    Rate,
    Quota,
    Credentials,
    Retry,
    Schedule,
}

impl WaitReason {
    /// Every reason.
    pub const ALL: [Self; 5] =
        [Self::Rate, Self::Quota, Self::Credentials, Self::Retry, Self::Schedule];

    /// The word used in the API and in metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Rate => "rate",
            Self::Quota => "quota",
            Self::Credentials => "credentials",
            Self::Retry => "retry",
            Self::Schedule => "schedule",
        }
    }
}

/// What a running job waits for, now. Live, not durable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wait {
    pub reason: WaitReason,
    /// One line for a person.
    pub detail: String,
}

impl Wait {
    /// Whether it is right that nothing moves. What failed and is tried again ought to move.
    pub fn explains_rest(&self) -> bool {
        self.reason != WaitReason::Retry
    }
}

/// A running job as it stands this second. Live, not durable: the ledger's job says the rest.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Live {
    pub wait: Option<Wait>,
    /// Bytes acknowledged, plus those of parts under way.
    pub bytes_done: u64,
    /// Over the last seconds.
    pub bytes_per_second: u64,
    /// The parts under way, with the number of this attempt from 1.
    pub parts_active: Vec<(PartNumber, u32)>,
    /// How far EC2 is with what it does now, 0 to 100.
    pub percent: Option<u8>,
    /// How long no byte has moved although nothing holds the job back but, at most, a failure that is
    /// tried again: zero while EC2 works, or a limit, quota, schedule or want of credentials is the reason.
    pub idle: Duration,
}
