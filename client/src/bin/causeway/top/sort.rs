//! The orders of the list.

use std::cmp::Reverse;

use causeway::v1::{Job, JobState};

/// By what the jobs of a page are sorted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sort {
    /// What runs first, then what waits, then what has ended; the newest first among equals.
    #[default]
    State,
    Age,
    Priority,
    Rate,
    Size,
}

impl Sort {
    pub fn next(self) -> Self {
        match self {
            Self::State => Self::Age,
            Self::Age => Self::Priority,
            Self::Priority => Self::Rate,
            Self::Rate => Self::Size,
            Self::Size => Self::State,
        }
    }

    pub fn word(self) -> &'static str {
        match self {
            Self::State => "state",
            Self::Age => "newest",
            Self::Priority => "priority",
            Self::Rate => "rate",
            Self::Size => "size",
        }
    }

    /// Ids grow with time: the newest job has the largest.
    pub fn sort(self, jobs: &mut [Job]) {
        jobs.sort_by(|one, other| other.id.cmp(&one.id));
        match self {
            Self::Age => {}
            Self::State => jobs.sort_by_key(|job| rank(job.state())),
            Self::Priority => jobs.sort_by_key(|job| Reverse(job.priority)),
            Self::Rate => jobs.sort_by_key(|job| Reverse(job.bytes_per_second)),
            Self::Size => jobs.sort_by_key(|job| Reverse(job.bytes_total)),
        }
    }
}

fn rank(state: JobState) -> u8 {
    match state {
        JobState::Running => 0,
        JobState::Paused => 1,
        JobState::Queued => 2,
        JobState::Failed | JobState::Cancelled | JobState::Succeeded => 3,
        JobState::Unspecified => 4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_runs_comes_first_and_then_the_newest() {
        let job = |id: &str, state: JobState, priority| Job {
            id: id.into(),
            state: state.into(),
            priority,
            ..Default::default()
        };
        let mut jobs = vec![
            job("1", JobState::Running, 0),
            job("2", JobState::Succeeded, 0),
            job("3", JobState::Queued, 9),
            job("4", JobState::Running, -5),
        ];
        let ids = |jobs: &[Job]| jobs.iter().map(|job| job.id.clone()).collect::<String>();
        Sort::State.sort(&mut jobs);
        assert_eq!(ids(&jobs), "4132");
        Sort::Priority.sort(&mut jobs);
        assert_eq!(ids(&jobs), "3214");
        let back = (0..5).fold(Sort::State, |sort, _| sort.next());
        assert_eq!(back, Sort::State, "the key goes through all and round");
    }
}
