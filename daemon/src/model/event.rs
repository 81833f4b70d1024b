//! What happens to a job that somebody outside may want to be told of.

use super::JobState;

/// A step in a job's life, as webhooks name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum JobEvent {
    /// Submitted, resumed or retried.
    Queued,
    /// A worker took it up; again after each restart of the daemon.
    Started,
    Paused,
    Succeeded,
    Failed,
    Cancelled,
}

impl JobEvent {
    /// Every event, in the order of a life.
    pub const ALL: [Self; 6] =
        [Self::Queued, Self::Started, Self::Paused, Self::Succeeded, Self::Failed, Self::Cancelled];
    /// What a webhook is told that does not say.
    pub const ENDS: [Self; 3] = [Self::Succeeded, Self::Failed, Self::Cancelled];

    /// The word used in the configuration, and after `job.` in what is sent.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Started => "started",
            Self::Paused => "paused",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    /// What a change of the state is. A worker that gives its job back is no event.
    pub fn of(before: Option<JobState>, after: JobState) -> Option<Self> {
        if before == Some(after) {
            return None;
        }
        match after {
            JobState::Queued if before == Some(JobState::Running) => None,
            JobState::Queued => Some(Self::Queued),
            JobState::Running => Some(Self::Started),
            JobState::Paused => Some(Self::Paused),
            JobState::Succeeded => Some(Self::Succeeded),
            JobState::Failed => Some(Self::Failed),
            JobState::Cancelled => Some(Self::Cancelled),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_end_is_an_event_and_a_job_given_back_is_none() {
        for state in JobState::ALL {
            assert_eq!(JobEvent::of(Some(state), state), None, "{state:?}");
            let event = JobEvent::of(Some(JobState::Running), state);
            assert_eq!(state.is_terminal(), event.is_some_and(|e| JobEvent::ENDS.contains(&e)));
        }
        assert_eq!(JobEvent::of(Some(JobState::Running), JobState::Queued), None);
        assert_eq!(JobEvent::of(None, JobState::Queued), Some(JobEvent::Queued));
        assert_eq!(JobEvent::of(Some(JobState::Failed), JobState::Queued), Some(JobEvent::Queued));
    }
}
