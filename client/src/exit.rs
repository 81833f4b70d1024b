//! The exit codes of the command line, as the contract fixes them. Scripts branch on these.

use tonic::Code;

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Exit {
    /// It did what was asked.
    Done = 0,
    /// A job that was waited for failed or was cancelled, a check of a preflight failed, a manifest of which
    /// lines were accepted cannot be read on, or what was done cannot be told, since stdout cannot be written.
    JobFailed = 1,
    /// The command line, the endpoint or a local file is wrong; clap uses the same number.
    Usage = 2,
    /// The daemon cannot be reached, or cannot do it now. Trying again later may help.
    Unreachable = 3,
    /// No such job, or no image that matches.
    NotFound = 4,
    /// The caller may not do this.
    NotPermitted = 5,
    /// The daemon refused: conflict, invalid state, invalid argument, or a fault of its own. Or the person who
    /// was asked did.
    Refused = 6,
}

impl Exit {
    /// The number the process ends with.
    pub fn code(self) -> u8 {
        self as u8
    }

    /// The exit code that a gRPC status stands for. `Unavailable` counts as unreachable: whether the
    /// socket is closed or the daemon is draining, the remedy is the same.
    pub fn of_status(code: Code) -> Self {
        match code {
            Code::Ok => Self::Done,
            Code::NotFound => Self::NotFound,
            Code::PermissionDenied | Code::Unauthenticated => Self::NotPermitted,
            Code::Unavailable | Code::DeadlineExceeded | Code::Cancelled => Self::Unreachable,
            Code::InvalidArgument
            | Code::AlreadyExists
            | Code::FailedPrecondition
            | Code::ResourceExhausted
            | Code::OutOfRange
            | Code::Aborted
            | Code::Unimplemented
            | Code::Unknown
            | Code::Internal
            | Code::DataLoss => Self::Refused,
        }
    }

    /// One code for several refusals: theirs when they agree, else [`Exit::Refused`].
    pub fn of_faults(codes: impl IntoIterator<Item = i32>) -> Self {
        let exits = codes.into_iter().map(|code| Self::of_status(Code::from(code)));
        exits.reduce(Self::agreed).unwrap_or(Self::Done)
    }

    /// One code for two refusals: theirs when they agree, else [`Exit::Refused`]. What many agree on does
    /// not depend on how they are paired, so that it can be found as they come.
    pub fn agreed(self, other: Self) -> Self {
        if self == other { self } else { Self::Refused }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_those_of_the_contract() {
        let all = [
            Exit::Done,
            Exit::JobFailed,
            Exit::Usage,
            Exit::Unreachable,
            Exit::NotFound,
            Exit::NotPermitted,
            Exit::Refused,
        ];
        let codes: Vec<u8> = all.iter().map(|exit| exit.code()).collect();
        assert_eq!(codes, [0, 1, 2, 3, 4, 5, 6]);
    }

    #[test]
    fn faults_that_agree_keep_their_code() {
        assert_eq!(Exit::of_faults([]), Exit::Done);
        assert_eq!(Exit::of_faults([5, 5]), Exit::NotFound);
        assert_eq!(Exit::of_faults([7]), Exit::NotPermitted);
        assert_eq!(Exit::of_faults([5, 9]), Exit::Refused);
        assert_eq!(Exit::of_faults([14, 7, 14]), Exit::Refused);
    }
}
