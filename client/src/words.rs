//! The words of the contract for the enums of the API, in both directions.
//!
//! `Unspecified` has no word: in what we print the field is absent (`null`), and nobody can type it.

use crate::v1::{
    CheckOutcome, IfExists, JobKind, JobState, LimitsOrigin, PartState, RetireSource,
    ServerSideEncryption, Stage, Verify, WaitReason,
};

/// An enum of the API whose values have words.
pub trait Word: Copy + Sized + 'static {
    /// Every value that has a word, in the order people should see them.
    const ALL: &'static [Self];

    /// The word; `None` for `Unspecified`, which is also what an unknown value of a newer daemon reads
    /// as.
    fn word(self) -> Option<&'static str>;

    /// The value of a word.
    fn from_word(word: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|value| value.word() == Some(word))
    }

    /// All words, for help texts and shell completion.
    fn words() -> Vec<&'static str> {
        Self::ALL.iter().filter_map(|value| value.word()).collect()
    }
}

macro_rules! words {
    ($type:ident { $($variant:ident = $word:literal),+ $(,)? }) => {
        impl Word for $type {
            const ALL: &'static [Self] = &[$(Self::$variant),+];

            fn word(self) -> Option<&'static str> {
                match self {
                    Self::Unspecified => None,
                    $(Self::$variant => Some($word),)+
                }
            }
        }
    };
}

words!(JobKind {
    Transfer = "transfer",
    Store = "store",
    Restore = "restore",
    Migrate = "migrate",
});
words!(JobState {
    Queued = "queued",
    Running = "running",
    Paused = "paused",
    Succeeded = "succeeded",
    Failed = "failed",
    Cancelled = "cancelled",
});
// In the order in which a migration goes through them.
words!(Stage {
    Storing = "storing",
    Planning = "planning",
    Transferring = "transferring",
    Sealing = "sealing",
    Verifying = "verifying",
    Restoring = "restoring",
    Aliasing = "aliasing",
});
words!(WaitReason {
    Rate = "rate",
    Quota = "quota",
    Credentials = "credentials",
    Retry = "retry",
    Schedule = "schedule",
});
words!(Verify { Auto = "auto", Checksum = "checksum", Readback = "readback" });
words!(IfExists { Fail = "fail", Skip = "skip", Replace = "replace" });
// S3's own words, so that what is copied from a bucket policy or the AWS CLI works here.
words!(ServerSideEncryption { Aes256 = "AES256", AwsKms = "aws:kms", AwsKmsDsse = "aws:kms:dsse" });
words!(PartState { Pending = "pending", Active = "active", Done = "done" });
words!(LimitsOrigin {
    Configured = "configured",
    Persisted = "persisted",
    Schedule = "schedule",
    Live = "live",
});
words!(RetireSource {
    Deprecate = "deprecate",
    Disable = "disable",
    Deregister = "deregister",
});
words!(CheckOutcome {
    Passed = "passed",
    Warning = "warning",
    Failed = "failed",
    Skipped = "skipped",
});
words!(CleanUp { Stored = "stored", Landed = "landed", Both = "both" });

/// Which of its two objects a migration deletes once the new image is there. The API has a field for each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CleanUp {
    /// Neither.
    #[default]
    Unspecified,
    /// What EC2 wrote beside the source image.
    Stored,
    /// What was carried to the target.
    Landed,
    Both,
}

impl CleanUp {
    /// From the two fields of the API.
    pub fn of(stored: bool, landed: bool) -> Self {
        match (stored, landed) {
            (false, false) => Self::Unspecified,
            (true, false) => Self::Stored,
            (false, true) => Self::Landed,
            (true, true) => Self::Both,
        }
    }

    /// The API's `clean_up_stored`.
    pub fn stored(self) -> bool {
        matches!(self, Self::Stored | Self::Both)
    }

    /// The API's `clean_up_landed`.
    pub fn landed(self) -> bool {
        matches!(self, Self::Landed | Self::Both)
    }
}

/// Whether a job in this state will never change again by itself.
pub fn is_ended(state: JobState) -> bool {
    match state {
        JobState::Succeeded | JobState::Failed | JobState::Cancelled => true,
        JobState::Unspecified | JobState::Queued | JobState::Running | JobState::Paused => false,
    }
}

/// The name of a gRPC status code as JSON carries it, e.g. `invalid_argument`.
pub fn status_word(code: i32) -> &'static str {
    use tonic::Code;
    match Code::from(code) {
        Code::Ok => "ok",
        Code::Cancelled => "cancelled",
        Code::Unknown => "unknown",
        Code::InvalidArgument => "invalid_argument",
        Code::DeadlineExceeded => "deadline_exceeded",
        Code::NotFound => "not_found",
        Code::AlreadyExists => "already_exists",
        Code::PermissionDenied => "permission_denied",
        Code::ResourceExhausted => "resource_exhausted",
        Code::FailedPrecondition => "failed_precondition",
        Code::Aborted => "aborted",
        Code::OutOfRange => "out_of_range",
        Code::Unimplemented => "unimplemented",
        Code::Internal => "internal",
        Code::Unavailable => "unavailable",
        Code::DataLoss => "data_loss",
        Code::Unauthenticated => "unauthenticated",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round_trip<T: Word + PartialEq + std::fmt::Debug>() {
        for value in T::ALL {
            let word = value.word().expect("every listed value has a word");
            assert_eq!(T::from_word(word), Some(*value));
        }
    }

    #[test]
    fn every_word_reads_back() {
        round_trip::<JobKind>();
        round_trip::<JobState>();
        round_trip::<Stage>();
        round_trip::<WaitReason>();
        round_trip::<Verify>();
        round_trip::<IfExists>();
        round_trip::<ServerSideEncryption>();
        round_trip::<PartState>();
        round_trip::<LimitsOrigin>();
        round_trip::<RetireSource>();
        round_trip::<CheckOutcome>();
        round_trip::<CleanUp>();
        assert_eq!(JobState::from_word("Queued"), None);
    }

    #[test]
    fn what_is_cleaned_up_is_one_word_for_two_fields() {
        for clean_up in CleanUp::ALL.iter().copied().chain([CleanUp::Unspecified]) {
            assert_eq!(CleanUp::of(clean_up.stored(), clean_up.landed()), clean_up);
        }
    }
}
